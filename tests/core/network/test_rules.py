"""Which rules a twin lacks and which it has too many of."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.errors import NotBuiltYet
from tricircle.core.model import BottomId
from tricircle.core.network.objects import Rule, SecurityGroup
from tricircle.core.network.rules import RuleChanges, compare_rules, fingerprint, remote_groups

TWINS = {"top-self": BottomId("bottom-self"), "top-other": BottomId("bottom-other")}


def rule(rule_id: str, **values: Any) -> Rule:
    return Rule(id=rule_id, **{"direction": "ingress", **values})


def group(group_id: str, *rules: Rule) -> SecurityGroup:
    return SecurityGroup(id=group_id, project_id="project", rules=rules)


def changes(top: tuple[Rule, ...], bottom: tuple[Rule, ...]) -> RuleChanges:
    return compare_rules(group("top-self", *top), group("bottom-self", *bottom), TWINS)


def test_equal_rules_need_no_change() -> None:
    values = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
    assert changes((rule("a", **values),), (rule("b", **values),)) == RuleChanges()


def test_a_missing_rule_is_added_for_the_groups_project() -> None:
    (added,) = changes((rule("a", protocol="tcp", port_range_min=80, port_range_max=90),), ()).add
    assert added == {
        "security_group_id": "bottom-self",
        "project_id": "project",
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 90,
    }


def test_a_rule_too_many_is_deleted() -> None:
    assert changes((), (rule("b"),)).delete == ("b",)


def test_remote_groups_are_compared_by_their_twins() -> None:
    top = (rule("a", remote_group_id="top-self"), rule("b", remote_group_id="top-other"))
    bottom = (rule("x", remote_group_id="bottom-self"),)
    found = changes(top, bottom)
    assert [one["remote_group_id"] for one in found.add] == ["bottom-other"]
    assert found.delete == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"protocol": "icmpv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "TCP"}, {"protocol": "tcp"}),
        ({"protocol": "any"}, {"protocol": None}),
        ({"remote_ip_prefix": "10.0.0.5/24"}, {"remote_ip_prefix": "10.0.0.0/24"}),
        ({"ethertype": "ipv4"}, {"ethertype": "IPv4"}),
        ({"description": "mine"}, {"description": ""}),
    ],
)
def test_two_spellings_are_one_rule(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert changes((rule("a", **first),), (rule("b", **second),)) == RuleChanges()


def test_a_rule_with_an_address_group_in_the_pod_is_too_many() -> None:
    assert changes((rule("a"),), (rule("x", remote_address_group_id="y"),)).delete == ("x",)


def test_of_two_equal_rules_in_a_twin_one_stays() -> None:
    assert changes((rule("a"),), (rule("x"), rule("y"))) == RuleChanges((), ("y",))


def test_remote_groups_are_found() -> None:
    one = group("g", rule("a", remote_group_id="h"), rule("b", remote_group_id="g"), rule("c"))
    assert remote_groups([one]) == {"g", "h"}


def test_a_rule_with_an_address_group_is_refused_by_name() -> None:
    with pytest.raises(NotBuiltYet, match="rule a of security group g names an address group"):
        remote_groups([group("g", rule("a", remote_address_group_id="x"))])


def test_a_fingerprint_changes_with_rules_twins_and_revision_only() -> None:
    one = revised(5, rule("a", remote_group_id="top-other"))
    same = revised(5, rule("z", remote_group_id="top-other"))
    assert fingerprint(one, TWINS) == fingerprint(same, TWINS)
    assert fingerprint(one, TWINS) != fingerprint(one, {**TWINS, "top-other": BottomId("new")})
    assert fingerprint(one, TWINS) != fingerprint(revised(5), TWINS)
    assert fingerprint(one, TWINS) != fingerprint(revised(7, *one.rules), TWINS)


def test_without_revisions_there_is_no_fingerprint() -> None:
    assert fingerprint(group("g"), {}) is None


def revised(revision: int, *rules: Rule) -> SecurityGroup:
    return SecurityGroup(id="g", project_id="p", rules=rules, revision_number=revision)


RULES = st.lists(
    st.builds(
        rule,
        st.just("x"),
        direction=st.sampled_from(["ingress", "egress"]),
        protocol=st.sampled_from([None, "tcp", "udp"]),
        port_range_min=st.sampled_from([None, 80]),
        remote_ip_prefix=st.sampled_from([None, "10.0.0.0/8"]),
    ),
    max_size=8,
)


@given(RULES, RULES)
def test_after_the_changes_the_rules_are_equal(top: list[Rule], bottom: list[Rule]) -> None:
    present = [
        rule(str(number), **{name: getattr(one, name) for name in one.__struct_fields__[1:]})
        for number, one in enumerate(bottom)
    ]
    found = changes(tuple(top), tuple(present))
    fields = Rule.__struct_fields__
    after = [one for one in present if one.id not in found.delete]
    after += [
        rule("new", **{name: value for name, value in one.items() if name in fields})
        for one in found.add
    ]
    assert fingerprint(revised(1, *after), {}) == fingerprint(revised(1, *top), {})
