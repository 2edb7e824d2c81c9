"""Answers of several pods become one."""

from __future__ import annotations

import json

import pytest

from tricircle.core.errors import MalformedBody
from tricircle.core.joining import How, Joint, Part, Rule, join


def joined(joint: Joint, *bodies: object) -> object:
    parts = [Part(f"pod{n}", json.dumps(body).encode()) for n, body in enumerate(bodies, 1)]
    return json.loads(join(joint, parts))


SUMS = Joint((Rule("limits.absolute.total*", How.SUM), Rule("limits.absolute.max*", How.LARGEST)))


def test_numbers_are_summed_where_a_rule_says_so() -> None:
    one = {"limits": {"rate": [], "absolute": {"totalCoresUsed": 1, "totalRAMUsed": 512}}}
    two = {"limits": {"rate": [], "absolute": {"totalCoresUsed": 2, "totalRAMUsed": 0}}}
    assert joined(SUMS, one, two) == {
        "limits": {"rate": [], "absolute": {"totalCoresUsed": 3, "totalRAMUsed": 512}}
    }


@pytest.mark.parametrize(
    ("one", "two", "largest"), [(10, 20, 20), (20, 10, 20), (-1, 20, -1), (20, -1, -1), (0, 0, 0)]
)
def test_no_limit_is_larger_than_any(one: int, two: int, largest: int) -> None:
    body = joined(
        SUMS,
        {"limits": {"absolute": {"maxTotalCores": one}}},
        {"limits": {"absolute": {"maxTotalCores": two}}},
    )
    assert body == {"limits": {"absolute": {"maxTotalCores": largest}}}


def test_what_no_rule_names_is_the_first_pods() -> None:
    one = {"limits": {"absolute": {"totalCoresUsed": 1, "other": "east"}, "rate": [1]}}
    two = {"limits": {"absolute": {"totalCoresUsed": 1, "other": "west"}, "rate": [2]}}
    assert joined(SUMS, one, two) == {
        "limits": {"absolute": {"totalCoresUsed": 2, "other": "east"}, "rate": [1]}
    }


def test_a_number_only_one_release_knows_is_kept() -> None:
    one = {"limits": {"absolute": {"totalCoresUsed": 1}}}
    two = {"limits": {"absolute": {"totalCoresUsed": 1, "totalNew": 5}}}
    assert joined(SUMS, one, two) == {"limits": {"absolute": {"totalCoresUsed": 2, "totalNew": 5}}}


def test_fractions_are_summed_and_null_counts_nothing() -> None:
    joint = Joint((Rule("hours", How.SUM),))
    assert joined(joint, {"hours": 0.5}, {"hours": None}, {"hours": 1}) == {"hours": 1.5}


def test_arrays_are_put_together_in_the_order_of_the_pods() -> None:
    joint = Joint((Rule("services", How.APPEND),))
    assert joined(
        joint, {"services": [{"id": 1}]}, {"services": []}, {"services": [{"id": 2}]}
    ) == {"services": [{"id": 1}, {"id": 2}]}


USAGES = Joint(
    (
        Rule("tenant_usages", How.GROUP, key="tenant_id"),
        Rule("tenant_usages[].total_*", How.SUM),
        Rule("tenant_usages[].server_usages", How.APPEND),
    )
)


def test_rows_about_the_same_become_one_row() -> None:
    one = {
        "tenant_usages": [{"tenant_id": "a", "total_hours": 1, "server_usages": [1], "start": 1}]
    }
    two = {
        "tenant_usages": [
            {"tenant_id": "b", "total_hours": 5, "server_usages": [2], "start": 2},
            {"tenant_id": "a", "total_hours": 2, "server_usages": [3], "start": 2},
        ]
    }
    assert joined(USAGES, one, two) == {
        "tenant_usages": [
            {"tenant_id": "a", "total_hours": 3, "server_usages": [1, 3], "start": 1},
            {"tenant_id": "b", "total_hours": 5, "server_usages": [2], "start": 2},
        ]
    }


@pytest.mark.parametrize("odd", [5, "a", None, [], {}, {"tenant_id": 1}, {"tenant_id": ["a"]}])
def test_a_row_of_a_pod_that_is_none_harms_no_other(odd: object) -> None:
    good = {"tenant_id": "a", "total_hours": 1}
    one, two = {"tenant_usages": [odd, good]}, {"tenant_usages": [good, odd]}
    both = {"tenant_id": "a", "total_hours": 2}
    assert joined(USAGES, one, two) == {"tenant_usages": [odd, both, odd]}


def test_rows_of_one_pod_alone_keep_their_bytes() -> None:
    body = b'{"tenant_usages": [{"tenant_id": "a", "total_hours": 1.50}]}'
    assert join(USAGES, [Part("pod1", body)]) == body


def test_an_empty_object_takes_what_the_other_has() -> None:
    joint = Joint((Rule("tenant_usage.total_*", How.SUM),))
    usage = {"tenant_usage": {"tenant_id": "a", "total_hours": 1}}
    assert joined(joint, {"tenant_usage": {}}, usage) == usage
    assert joined(joint, usage, {"tenant_usage": {}}) == usage


def test_a_name_of_two_pods_is_told_apart() -> None:
    joint = Joint((Rule("log", How.NAMED),))
    assert joined(joint, {"log": {"host": 1}}, {"log": {"host": 2, "other": 3}}) == {
        "log": {"host": 1, "pod2:host": 2, "other": 3}
    }


def test_rows_of_one_name_are_told_apart_and_keep_the_rest() -> None:
    joint = Joint((Rule("pools", How.NAMED, key="name"),))
    one = {"pools": [{"name": "lvm", "free": 1}, {"name": "ssd"}]}
    two = {"pools": [{"free": 2, "name": "lvm"}, {"name": "hdd"}, {"name": 5}, 6]}
    assert joined(joint, one, two) == {
        "pools": [
            {"name": "lvm", "free": 1},
            {"name": "ssd"},
            {"free": 2, "name": "pod2:lvm"},
            {"name": "hdd"},
            {"name": 5},
            6,
        ]
    }


COMMON = Joint((
    Rule("filters", How.COMMON, key="resource"),
    Rule("filters[].names", How.COMMON),
))  # fmt: skip


def test_only_what_both_have_is_common() -> None:
    one = {"filters": [{"resource": "volume", "names": ["name", "size"]}, {"resource": "pool"}]}
    two = {"filters": [{"resource": "group"}, {"resource": "volume", "names": ["size", "new"]}]}
    assert joined(COMMON, one, two) == {"filters": [{"resource": "volume", "names": ["size"]}]}


def test_the_union_of_arrays_has_each_element_once_whatever_their_names_are() -> None:
    joint = Joint((Rule("sum.words", How.UNION),))
    one = {"sum": {"words": {"a.b": ["1", "2"], "only": ["x"]}}}
    two = {"sum": {"words": {"a.b": ["2", "3"], "*": ["y"]}}}
    assert joined(joint, one, two) == {
        "sum": {"words": {"a.b": ["1", "2", "3"], "only": ["x"], "*": ["y"]}}
    }


def test_the_finish_sees_the_joined_values() -> None:
    joint = Joint((Rule("n", How.SUM),), lambda body: body.replace(b"3", b"4"))
    assert joined(joint, {"n": 1}, {"n": 2}) == {"n": 4}


@pytest.mark.parametrize("bad", [b"{", b'{"services": [}'])
def test_what_is_no_json_is_a_bad_body(bad: bytes) -> None:
    joint = Joint((Rule("services", How.APPEND),))
    with pytest.raises(MalformedBody):
        join(joint, [Part("pod1", b'{"services": []}'), Part("pod2", bad)])
