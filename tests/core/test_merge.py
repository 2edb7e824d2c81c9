"""The merge itself: rows in order, none lost, none twice."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.compute.listings import SERVERS, SERVERS_DETAIL
from tricircle.core.errors import BadInput, NotFound
from tricircle.core.merge import (
    PodPage,
    Run,
    read_pod_page,
    summarize,
    take_rows,
)
from tricircle.core.sorting import UnreadableRow
from tricircle.volume.groups import GROUPS
from tricircle.volume.listings import ALL_MESSAGES, ATTACHMENTS, SNAPSHOTS, TRANSFERS, VOLUMES

PLAN = SERVERS_DETAIL.sort_plan("sort_key=display_name&sort_dir=asc", None)


def row(row_id: str, name: str) -> msgspec.Raw:
    return msgspec.Raw(json.dumps({"id": row_id, "name": name, "x": {"id": "no"}}))


def run(*names: str, more: bool = False) -> Run:
    return Run([row(name, name) for name in names], more=more)


def names(taken: list[tuple[int, msgspec.Raw]]) -> str:
    return "".join(json.loads(bytes(raw))["name"] for _, raw in taken)


def test_the_least_head_goes_first() -> None:
    assert names(take_rows([run("a", "d"), run("b", "e"), run("c")], PLAN, 9)) == "abcde"


def test_no_more_rows_are_taken_than_needed_and_the_rest_stays() -> None:
    runs = [run("a", "c"), run("b", "d")]
    assert names(take_rows(runs, PLAN, 3)) == "abc"
    assert names(take_rows(runs, PLAN, 0)) == ""
    assert names(take_rows(runs, PLAN, 9)) == "d"


def test_the_merge_stops_where_a_pod_must_be_asked_again() -> None:
    runs = [run("a", "c", more=True), run("b", "d")]
    assert names(take_rows(runs, PLAN, 9)) == "abc"
    assert runs[0].starving
    assert take_rows(runs, PLAN, 9) == []
    runs[0].add(PodPage([row("e", "e")], more=False))
    assert names(take_rows(runs, PLAN, 9)) == "de"


def test_a_row_is_never_passed_over_for_one_behind_it() -> None:
    assert names(take_rows([run("z", "a"), run("b")], PLAN, 9)) == "bza"


def test_a_row_that_cannot_be_read_ends_its_run_alone() -> None:
    broken = Run([row("a", "a"), msgspec.Raw("7"), row("b", "b")], more=True)
    other = run("c")
    assert names(take_rows([broken, other], PLAN, 9)) == "ac"
    assert broken.broken is not None
    assert not broken.starving


def test_a_stopped_run_gives_no_more() -> None:
    stopped = run("a", "b", more=True)
    take_rows([stopped], PLAN, 1)
    stopped.stop()
    assert (stopped.left, stopped.starving) == (0, False)
    assert stopped.last is not None


@given(
    lists=st.lists(st.lists(st.sampled_from("abcd"), max_size=8), max_size=5),
    need=st.integers(0, 50),
)
def test_each_runs_own_order_is_kept(lists: list[list[str]], need: int) -> None:
    runs = [
        Run([row(f"{at}-{spot}", name) for spot, name in enumerate(rows)], more=False)
        for at, rows in enumerate(lists)
    ]
    taken = take_rows(runs, PLAN, need)
    assert len(taken) == min(need, sum(map(len, lists)))
    for at, rows in enumerate(lists):
        own = [json.loads(bytes(raw))["id"] for place, raw in taken if place == at]
        assert own == [f"{at}-{spot}" for spot in range(len(rows))][: len(own)]
    if all(rows == sorted(rows) for rows in lists):
        assert names(taken) == "".join(sorted(names(taken)))


@pytest.mark.parametrize(
    ("body", "asked", "rows", "more"),
    [
        (b'{"servers": []}', 5, 0, False),
        (b'{"servers": [{}, {}]}', 2, 2, True),
        (b'{"servers": [{}, {}]}', 3, 2, False),
        (b'{"servers": [{}], "servers_links": [{"rel": "next", "href": "x"}]}', 3, 1, True),
        (b'{"servers": [{}], "servers_links": [{"rel": "self"}, 1]}', 3, 1, False),
        (b'{"servers": [], "servers_links": [{"rel": "next"}]}', 3, 0, False),
        (b'{"servers": [], "servers_links": null, "extra": [1]}', 0, 0, False),
    ],
)
def test_a_pods_page_says_whether_more_follows(
    body: bytes, asked: int, rows: int, more: bool
) -> None:
    page = read_pod_page(SERVERS, body, asked)
    assert (len(page.rows), page.more) == (rows, more)


def test_a_pods_page_may_have_a_count() -> None:
    assert read_pod_page(VOLUMES, b'{"volumes": [], "count": 7}', 5).count == 7


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"servers": 1}', b'{"servers": [', b"\xff", b"[" * 100_000]
)
def test_a_body_without_rows_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableRow):
        read_pod_page(SERVERS, body, 5)


def test_the_short_form_has_its_fields_in_order_and_as_they_were() -> None:
    detailed = msgspec.Raw(b'{"links": [1,  2], "x": 1, "name": "\\u00e4", "id": "a"}')
    assert summarize(SERVERS, detailed) == b'{"id":"a","name":"\\u00e4","links":[1,  2]}'
    assert summarize(SERVERS_DETAIL, detailed) == bytes(detailed)


@pytest.mark.parametrize(
    ("emitted", "limit", "count", "nova", "cinder"),
    [
        (0, 0, None, False, False),
        (5, 5, None, True, True),
        (4, 5, None, False, False),
        (4, 5, 9, False, True),
        (0, 5, 9, False, False),
    ],
)
def test_next_links_are_given_when_the_service_would(
    emitted: int, limit: int, count: int | None, nova: bool, cinder: bool
) -> None:
    assert SERVERS.is_full(emitted, limit, count) == nova
    assert VOLUMES.is_full(emitted, limit, count) == cinder


def test_a_marker_that_does_not_exist_is_each_services_own_error() -> None:
    assert isinstance(SERVERS.marker_not_found("m"), BadInput)
    assert isinstance(SNAPSHOTS.marker_not_found("m"), NotFound)
    assert str(SNAPSHOTS.marker_not_found("m")) == "Snapshot m could not be found."
    absent = "Volume attachment could not be found with filter: attachment_id = m."
    assert isinstance(ATTACHMENTS.marker_not_found("m"), NotFound)
    assert str(ATTACHMENTS.marker_not_found("m")) == absent


def test_a_list_without_pages_ends_after_the_first() -> None:
    assert not ALL_MESSAGES.is_full(5, 5, None)
    assert not read_pod_page(ALL_MESSAGES, b'{"messages": [{}, {}]}', 2).more


def test_items_may_be_elsewhere_than_below_their_list() -> None:
    assert TRANSFERS.item_path("a") == "/volume-transfers/a"
    assert VOLUMES.item_path("a") == "/volumes/a"


def test_the_key_of_links_may_be_a_lists_own() -> None:
    body = b'{"groups": [{}], "group_links": [{"rel": "next", "href": "x"}]}'
    assert read_pod_page(GROUPS, body, 3).more
    assert GROUPS.links_key == "group_links"
