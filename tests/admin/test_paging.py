"""Order, pages and markers of the Admin API's lists."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.admin.paging import (
    link_next,
    read_marker,
    select_pods,
    sort_pods,
    write_marker,
)
from tricircle.admin.schemas import PodQuery
from tricircle.core.errors import BadInput
from tricircle.core.model import BottomId, Kind, Pod, PodId, ProjectId, Routing, TopId

PODS = (
    Pod(PodId("1"), "west", "R1", enabled=True, created_at=datetime(2026, 1, 3, tzinfo=UTC)),
    Pod(PodId("2"), "east", "R2", enabled=False, created_at=datetime(2026, 1, 1, tzinfo=UTC)),
    Pod(PodId("3"), "north", "R3", enabled=True, created_at=datetime(2026, 1, 2, tzinfo=UTC)),
)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", ["east", "north", "west"]),
        ("name:desc", ["west", "north", "east"]),
        ("created_at:asc", ["east", "north", "west"]),
        ("enabled,name", ["east", "north", "west"]),
        ("enabled:desc, name:desc", ["west", "north", "east"]),
        ("updated_at", ["west", "east", "north"]),
    ],
)
def test_pods_are_ordered_by_keys_and_then_by_id(sort: str, names: list[str]) -> None:
    assert [pod.name for pod in sort_pods(PODS, sort)] == names


@pytest.mark.parametrize("sort", ["", "colour", "name:up", "endpoints", "name,,id"])
def test_an_unknown_order_is_refused_with_the_keys_there_are(sort: str) -> None:
    with pytest.raises(BadInput, match=r"cannot sort by .* created_at, enabled, id, name"):
        sort_pods(PODS, sort)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (PodQuery(name="east"), ["east"]),
        (PodQuery(region="R3"), ["north"]),
        (PodQuery(enabled=False), ["east"]),
        (PodQuery(enabled=True), ["north", "west"]),
        (PodQuery(name="east", enabled=True), []),
        (PodQuery(marker="2"), ["north", "west"]),
        (PodQuery(marker="north"), ["west"]),
        (PodQuery(marker="2", enabled=True, limit=1), ["north"]),
    ],
)
def test_pods_are_filtered_and_paged(query: PodQuery, names: list[str]) -> None:
    assert [pod.name for pod in select_pods(PODS, query)[0]] == names


def test_a_page_goes_on_after_a_pod_that_the_filter_leaves_out() -> None:
    page, more = select_pods(PODS, PodQuery(marker="east", enabled=True))

    assert [pod.name for pod in page] == ["north", "west"]
    assert not more


def test_an_unknown_marker_is_refused() -> None:
    with pytest.raises(BadInput, match="marker 'south'"):
        select_pods(PODS, PodQuery(marker="south"))


@given(
    names=st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=12),
    sort=st.sampled_from(["name", "name:desc", "region", "enabled:desc,region:desc"]),
    limit=st.integers(1, 5),
)
def test_all_pages_together_are_the_whole_list(names: list[str], sort: str, limit: int) -> None:
    pods = [Pod(PodId(f"id-{name}"), name, region=name[0], enabled="b" in name) for name in names]
    seen: list[Pod] = []
    more = True
    while more:
        marker = seen[-1].id if seen else None
        page, more = select_pods(pods, PodQuery(sort=sort, limit=limit, marker=marker))
        seen += page

    assert seen == sort_pods(pods, sort)


def test_a_marker_of_a_routing_is_read_back() -> None:
    routing = Routing(Kind.SERVER, TopId("t1"), PodId("p1"), BottomId("b1"), ProjectId("project"))

    assert read_marker(write_marker(routing)) == (Kind.SERVER, "t1", "p1")


@pytest.mark.parametrize("marker", ["", "t1", "server/t1", "sever/t1/p1", "server/t1/p1\0"])
def test_a_marker_that_is_none_of_ours_is_refused(marker: str) -> None:
    with pytest.raises(BadInput, match="marker"):
        read_marker(marker)


def test_the_next_link_keeps_filters_and_escapes_them() -> None:
    link = link_next(
        "http://top/v1/pods", {"name": "a&b=c", "enabled": True, "limit": 2, "region": None}, "m/1"
    )

    assert link.rel == "next"
    assert parse_qs(urlsplit(link.href).query) == {
        "name": ["a&b=c"],
        "enabled": ["true"],
        "limit": ["2"],
        "marker": ["m/1"],
    }
