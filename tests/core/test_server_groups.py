"""Names of twins, groups as their pods show them, and lists of many pods."""

from __future__ import annotations

import json

import pytest

from tricircle.core.model import BottomId, PodId, ProjectId, TopId, Version
from tricircle.core.server_groups import (
    Group,
    GroupRow,
    Slice,
    fault_message,
    find_hint,
    merge_rows,
    page_query,
    read_group,
    read_slice,
    read_twin_name,
    show_as_one,
    twin_body,
    twin_name,
)

ID = TopId("0b6f3c2a-9d1e-4f5a-8b7c-6d5e4f3a2b1c")
OTHER = "5d0c6f6e-3f3e-4a57-9f5c-0a1b2c3d4e5f"
EAST, WEST = PodId("east"), PodId("west")


@pytest.mark.parametrize("name", ["g", "", "a tricircle:b", " g tricircle:x", "two\nlines", "ä"])
def test_the_name_of_a_twin_tells_the_group(name: str) -> None:
    assert read_twin_name(twin_name(name, ID)) == (name, ID)


def test_a_long_name_is_cut_so_that_nova_takes_it() -> None:
    name = twin_name("x" * 255, ID)
    assert len(name) == 255
    assert read_twin_name(name) == ("x" * 208, ID)


@pytest.mark.parametrize("name", ["g", "tricircle:", f"tricircle:{ID}", f"g tricircle:{ID}x"])
def test_other_names_are_no_twins(name: str) -> None:
    assert read_twin_name(name) is None


def shown(**values: object) -> bytes:
    return json.dumps({"server_group": {"id": ID, "name": "g", "members": [], **values}}).encode()


def test_a_group_is_read_in_the_form_of_any_version() -> None:
    new = read_group(ID, {EAST: shown(policy="affinity", rules={}, project_id="p")}, EAST)
    old = read_group(ID, {EAST: shown(policies=["affinity"], metadata={}, project_id="p")}, EAST)
    assert new == old
    assert (new.name, new.policy, new.project_id) == ("g", "affinity", "p")


def test_a_twin_tells_the_name_of_its_group() -> None:
    answers = {
        WEST: shown(name=twin_name("far", ID), policy="affinity", members=["s"]),
        EAST: shown(members=[]),
    }
    group = read_group(ID, answers, WEST)
    assert (group.name, group.members) == ("far", {WEST: ["s"], EAST: []})
    assert group.crowded_pod == WEST


def test_a_twin_is_asked_for_in_the_form_of_the_pods_version() -> None:
    group = Group(ID, "g", "anti-affinity", ProjectId("p"), {"max_server_per_host": 2})
    name = f"g tricircle:{ID}"
    assert twin_body(group, Version(2, 64)) == {
        "server_group": {
            "name": name,
            "policy": "anti-affinity",
            "rules": {"max_server_per_host": 2},
        }
    }
    assert twin_body(group, Version(2, 15)) == {
        "server_group": {"name": name, "policies": ["anti-affinity"]}
    }


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"os:scheduler_hints": {"group": ID}}, "os:scheduler_hints.group"),
        ({"OS-SCH-HNT:scheduler_hints": {"group": ID}}, "OS-SCH-HNT:scheduler_hints.group"),
        (
            {"OS-SCH-HNT:scheduler_hints": {"group": OTHER}, "os:scheduler_hints": {"group": ID}},
            "os:scheduler_hints.group",
        ),
    ],
)
def test_a_group_is_named_by_a_hint(body: object, place: str) -> None:
    assert find_hint(json.dumps(body).encode()) == (place, ID)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"os:scheduler_hints": {}},
        {"os:scheduler_hints": []},
        {"os:scheduler_hints": {"group": [ID]}},
        {"os:scheduler_hints": {"group": None}},
        {"os:scheduler_hints": {}, "OS-SCH-HNT:scheduler_hints": {"group": ID}},
        {"server": {"group": ID}},
    ],
)
def test_other_bodies_name_none(body: object) -> None:
    assert find_hint(json.dumps(body).encode()) is None


def test_what_the_home_shows_keeps_its_bytes() -> None:
    body = b'{ "server_group": {"new" : 1.50, "id":"%s", "members": ["a"]}}' % ID.encode()
    assert show_as_one(ID, body, [b'{"server_group": {"members": ["a"]}}'], "server_group.") == body


def test_members_of_other_pods_come_behind() -> None:
    others = [shown(members=["b", "c"]), shown(members=["c", "d"])]
    merged = show_as_one(ID, shown(members=["a", "b"]), others, "server_group.")
    assert json.loads(merged)["server_group"]["members"] == ["a", "b", "c", "d"]


def row(top_id: str, group_id: str, name: str, *members: str) -> GroupRow:
    item = json.dumps({"id": group_id, "name": name, "members": members}).encode()
    return GroupRow(top_id, item, group_id == top_id)


def test_a_list_has_each_group_once_where_it_came_first() -> None:
    rows = [
        row(ID, BottomId("twin"), twin_name("g", ID), "a"),
        row(OTHER, OTHER, "h"),
        row(ID, ID, "g", "b"),
    ]
    assert [json.loads(item) for item in merge_rows(rows)] == [
        {"id": ID, "name": "g", "members": ["b", "a"]},
        {"id": OTHER, "name": "h", "members": []},
    ]


def test_a_twin_alone_stands_for_its_group() -> None:
    [item] = merge_rows([row(ID, BottomId("twin"), twin_name("g", ID), "a")])
    assert json.loads(item) == {"id": ID, "name": "g", "members": ["a"]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Slice(0, 1000)),
        ("limit=0", Slice(0, 1000)),
        ("limit=5000&offset=3", Slice(3, 1000)),
        ("limit=1&limit=2", Slice(0, 2)),
        ("limit=-1", None),
        ("limit=many", None),
        ("offset=", None),
        ("offset=%C2%B2", None),
    ],
)
def test_a_query_says_which_rows_are_wanted(query: str, expected: Slice | None) -> None:
    assert read_slice(query) == expected


@pytest.mark.parametrize(
    ("query", "offset", "expected"),
    [
        ("", 0, ""),
        ("", 100, "offset=100"),
        ("limit=1&all_projects=True&offset=2", 0, "all_projects=True"),
        ("all_projects=True", 7, "all_projects=True&offset=7"),
    ],
)
def test_a_pod_is_asked_for_all_rows(query: str, offset: int, expected: str) -> None:
    assert page_query(query, offset) == expected


def test_the_message_of_an_error_is_found_if_there_is_one() -> None:
    assert fault_message(b'{"forbidden": {"code": 403, "message": "no"}}') == "no"
    assert fault_message(b"<html>") == fault_message(b"{}") == fault_message(b'{"a": 1}') == ""
