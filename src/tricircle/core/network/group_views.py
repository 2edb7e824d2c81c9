"""A server's security groups as Nova shows them.

As ``index`` of ServerSecurityGroupController in
nova/api/openstack/compute/security_groups.py with ``_convert_to_nova_security_group_format``
in nova/network/security_group_api.py (34.0.0 and 31.0.0 agree): incoming rules only, a
group once for each port that is in it, sorted by project and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tricircle.core.network.objects import Port, Rule, SecurityGroup

View = dict[str, object]
_WITH_PORTS = frozenset({"TCP", "UDP"})
ANYWHERE = "0.0.0.0/0"
"""What Nova shows, and takes, for no address at all."""


def view_groups(ports: Iterable[Port], groups: Mapping[str, SecurityGroup]) -> list[View]:
    """Return the groups of a server's ports; ``groups`` has these and those their rules name.

    What is not in ``groups`` is not the caller's to see and left out.
    """
    mine = [groups[one] for port in ports for one in port.security_groups if one in groups]
    ordered = sorted(mine, key=lambda group: (group.project_id, group.name))
    return [view_group(group, groups) for group in ordered]


def view_group(group: SecurityGroup, groups: Mapping[str, SecurityGroup]) -> View:
    """Return one group; ``groups`` as above."""
    return {
        "id": group.id,
        "description": group.description,
        "name": group.name,
        "tenant_id": group.project_id,
        "rules": [
            view_rule(group.id, rule, groups)
            for rule in group.rules
            if rule.direction == "ingress"
            and (rule.remote_group_id is None or rule.remote_group_id in groups)
        ],
    }


def view_rule(group_id: str, rule: Rule, groups: Mapping[str, SecurityGroup]) -> View:
    """Return one rule of a group; ``groups`` has the one it names, if it names one."""
    first, last = port_range(rule)
    view: View = {
        "id": rule.id,
        "parent_group_id": group_id,
        "ip_protocol": rule.protocol,
        "from_port": first,
        "to_port": last,
        "group": {},
        "ip_range": {},
    }
    if rule.remote_group_id is None:
        view["ip_range"] = {"cidr": rule.remote_ip_prefix or ANYWHERE}
    else:
        remote = groups[rule.remote_group_id]
        view["group"] = {"name": remote.name, "tenant_id": remote.project_id}
    return view


def port_range(rule: Rule) -> tuple[int | None, int | None]:
    """Return the ports of a rule, all of them where Neutron has none; type and code of ICMP."""
    if not rule.protocol or rule.port_range_min is not None or rule.port_range_max is not None:
        return rule.port_range_min, rule.port_range_max
    return (1, 65535) if rule.protocol.upper() in _WITH_PORTS else (-1, -1)
