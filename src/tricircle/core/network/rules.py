"""What must change so that a security group's twin lets through exactly what the group does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tricircle.core.errors import NotBuiltYet
from tricircle.core.model import BottomId
from tricircle.core.network.objects import Rule, SecurityGroup

RuleKey = tuple[str, str, str | None, int | None, int | None, str | None, str | None]
"""Everything that makes two rules the same for Neutron."""

# Neutron takes these names for the same protocol and may answer with either.
_SAME_PROTOCOL = {"icmpv6": "ipv6-icmp", "icmp6": "ipv6-icmp"}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The rules of a group at one of its revisions."""

    revision: int
    rules: frozenset[RuleKey]


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """Rules to add (as request values), then ids of rules to delete.

    In this order there is no moment with fewer rules than asked for.
    """

    add: tuple[Mapping[str, object], ...] = ()
    delete: tuple[str, ...] = ()


def remote_groups(groups: Iterable[SecurityGroup]) -> frozenset[str]:
    """Return the ids of all groups that rules of these groups name as their remote side.

    Raises NotBuiltYet for a rule whose remote side is an address group.
    """
    found: set[str] = set()
    for group in groups:
        for rule in group.rules:
            if rule.remote_address_group_id is not None:
                raise NotBuiltYet(
                    f"rule {rule.id} of security group {group.id} names an address group, "
                    "which pods do not get yet; please use remote_ip_prefix"
                )
            if rule.remote_group_id is not None:
                found.add(rule.remote_group_id)
    return frozenset(found)


def compare_rules(
    top: SecurityGroup, bottom: SecurityGroup, twins: Mapping[str, BottomId]
) -> RuleChanges:
    """Return what makes ``bottom``'s rules equal to ``top``'s.

    ``twins`` has the pod's id of every group that ``top``'s rules name.
    """
    wanted = {_key(rule, twins): rule for rule in top.rules}
    present: dict[RuleKey, str] = {}
    surplus: list[str] = []
    for rule in bottom.rules:
        key = _key(rule, {})
        if rule.remote_address_group_id is not None or key not in wanted or key in present:
            surplus.append(rule.id)
        else:
            present[key] = rule.id
    add = tuple(_values(bottom, rule, twins) for key, rule in wanted.items() if key not in present)
    return RuleChanges(add, tuple(surplus))


def fingerprint(top: SecurityGroup, twins: Mapping[str, BottomId]) -> Fingerprint | None:
    """Return what ``top``'s rules mean in one pod, to be compared with what was put there.

    The revision belongs to it: rules that are taken away and come back must be compared
    with the pod again, as another process may have been there meanwhile. None when the
    top's Neutron counts no revisions.
    """
    if top.revision_number is None:
        return None
    return Fingerprint(top.revision_number, frozenset(_key(rule, twins) for rule in top.rules))


def missing_groups(wanted: Iterable[str], known: Mapping[str, object]) -> Sequence[str]:
    """Return the ids that are not yet known, sorted."""
    return sorted(set(wanted) - set(known))


def _key(rule: Rule, twins: Mapping[str, BottomId]) -> RuleKey:
    remote = rule.remote_group_id
    return (
        rule.direction,
        rule.ethertype.lower(),
        _protocol(rule.protocol),
        rule.port_range_min,
        rule.port_range_max,
        _prefix(rule.remote_ip_prefix),
        twins.get(remote, BottomId(remote)) if remote is not None else None,
    )


def _protocol(name: str | None) -> str | None:
    if name is None or name.lower() == "any":
        return None
    return _SAME_PROTOCOL.get(name.lower(), name.lower())


def _prefix(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def _values(
    group: SecurityGroup, rule: Rule, twins: Mapping[str, BottomId]
) -> Mapping[str, object]:
    values: dict[str, object] = {
        "security_group_id": group.id,
        "project_id": group.project_id,
        "direction": rule.direction,
        "ethertype": rule.ethertype,
    }
    for name in ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix"):
        value = getattr(rule, name)
        if value is not None:
            values[name] = value
    if rule.remote_group_id is not None:
        values["remote_group_id"] = twins[rule.remote_group_id]
    return values
