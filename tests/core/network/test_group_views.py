"""A server's groups in Nova's form."""

from typing import Any

from tricircle.core.network.group_views import view_groups
from tricircle.core.network.objects import Port, Rule, SecurityGroup


def rule(**values: Any) -> Rule:
    return Rule(**{"id": "rule", "direction": "ingress", **values})


def group(name: str, *rules: Rule) -> SecurityGroup:
    return SecurityGroup(
        id=f"{name}-id", project_id="project", name=name, description="mine", rules=rules
    )


def port(*groups: str) -> Port:
    return Port(id="port", network_id="net", project_id="project", security_groups=groups)


def test_a_group_looks_as_nova_shows_it() -> None:
    web = group("web", rule(protocol="tcp", port_range_min=80, port_range_max=80))
    assert view_groups([port("web-id")], {"web-id": web}) == [
        {
            "id": "web-id",
            "name": "web",
            "description": "mine",
            "tenant_id": "project",
            "rules": [
                {
                    "id": "rule",
                    "parent_group_id": "web-id",
                    "ip_protocol": "tcp",
                    "from_port": 80,
                    "to_port": 80,
                    "group": {},
                    "ip_range": {"cidr": "0.0.0.0/0"},
                }
            ],
        }
    ]


def shown(one: Rule, **others: SecurityGroup) -> list[Any]:
    known = {"web-id": group("web", one), **others}
    [view] = view_groups([port("web-id")], known)
    rules = view["rules"]
    assert isinstance(rules, list)
    return rules


def test_rules_without_ports_have_novas_ranges() -> None:
    [tcp], [icmp], [every] = (shown(rule(protocol=name)) for name in ("tcp", "icmp", None))
    assert (tcp["from_port"], tcp["to_port"]) == (1, 65535)
    assert (icmp["from_port"], icmp["to_port"]) == (-1, -1)
    assert (every["from_port"], every["to_port"]) == (None, None)


def test_rules_for_what_goes_out_are_not_shown() -> None:
    assert shown(rule(direction="egress")) == []


def test_a_remote_group_is_shown_by_name_or_not_at_all() -> None:
    remote = rule(remote_group_id="db-id")
    [one] = shown(remote, **{"db-id": group("db")})
    assert (one["group"], one["ip_range"]) == ({"name": "db", "tenant_id": "project"}, {})
    assert shown(remote) == []


def test_groups_are_sorted_and_shown_once_for_each_port() -> None:
    known = {"a-id": group("a"), "b-id": group("b")}
    views = view_groups([port("b-id", "a-id", "hidden"), port("a-id")], known)
    assert [view["name"] for view in views] == ["a", "a", "b"]
