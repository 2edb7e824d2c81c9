"""Merged lists: every page of them, whatever the pods do meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricircle.compute.listings import SERVERS, SERVERS_DETAIL
from tricircle.core.cursor import CURSOR_PARAMETER
from tricircle.core.errors import BadInput, NotFound, ServiceUnavailable
from tricircle.core.merge import Listing
from tricircle.core.model import (
    BottomId,
    Kind,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    Service,
    TopId,
    Version,
)
from tricircle.core.partial import LinkRoots
from tricircle.core.query import list_values, without_parameters
from tricircle.interfaces.cloud import PodRequest
from tricircle.interfaces.store import PositionStore
from tricircle.testing.clock import FakeClock
from tricircle.testing.listed_pods import ListedAnswer, ListedPod, ListedPods, Row
from tricircle.testing.store import MemoryStores
from tricircle.usecases.listing import (
    ListCall,
    ListWorld,
    MergedPage,
    PodAsk,
    PodRefusal,
    list_merged,
)
from tricircle.volume.listings import SNAPSHOTS, VOLUMES, VOLUMES_DETAIL

PROJECT = ProjectId("p")
NEW = Version(2, 90)
Pages = Sequence[MergedPage]
Make = Callable[..., Row]


class NoDatabase:
    """``PositionStore`` of a database that is away."""

    async def keep_position(self, key: str, position: bytes, ttl_s: float) -> None:
        raise ServiceUnavailable("the database is away")

    async def find_position(self, key: str) -> bytes | None:
        raise ServiceUnavailable("the database is away")

    async def purge_positions(self) -> int:
        raise ServiceUnavailable("the database is away")


@dataclass
class Top:
    """A top over some pods, and a client of its list."""

    cloud: ListedPods
    stores: MemoryStores = field(default_factory=MemoryStores)
    positions: PositionStore | None = None
    partial: bool = True
    version: Version = NEW
    timeout_s: float = 60.0

    async def get(self, query: str = "") -> MergedPage | PodRefusal:
        clock = FakeClock()
        world = ListWorld(
            self.cloud,
            self.positions or self.stores.positions,
            self.stores.upkeep,
            clock,
            self.timeout_s,
            self.partial,
        )
        call = ListCall(
            listing=self.cloud.listing,
            query=query,
            project_id=PROJECT,
            version=self.version,
            headers=[],
            prefix="",
            roots=LinkRoots("http://top/v2.1", "http://top"),
            edit=lambda pod, item: item,
            locate=self._locate,
        )
        return await list_merged(world, call, self._asks(query))

    async def page(self, query: str = "") -> MergedPage:
        outcome = await self.get(query)
        assert isinstance(outcome, MergedPage)
        return outcome

    def _asks(self, query: str) -> list[PodAsk]:
        return [PodAsk(pod, pod.endpoints[Service.COMPUTE], query) for pod in self.cloud.known]

    async def _locate(self, row_id: str) -> PodAsk | None:
        for pod in self.cloud.known:
            rows = self.cloud.pods[pod.id].rows
            if any(row["id"] == row_id for row in rows):
                return PodAsk(pod, pod.endpoints[Service.COMPUTE], "")
        return None


def ids(page: MergedPage) -> list[str]:
    return [json.loads(item)["id"] for item in page.items]


async def follow_links(top: Top, query: str, between: Callable[[], None] = lambda: None) -> Pages:
    """Return all pages a client sees that follows ``next`` links."""
    pages = [await top.page(query)]
    while (link := pages[-1].next_query) is not None:
        between()
        pages.append(await top.page(link))
        assert len(pages) < 200
    return pages


async def follow_markers(top: Top, query: str, between: Callable[[], None] = lambda: None) -> Pages:
    """Return all pages a client sees that sends the last id of a page as marker."""
    pages = [await top.page(query)]
    while pages[-1].next_query is not None:
        between()
        pages.append(await top.page(f"{query}&marker={ids(pages[-1])[-1]}"))
        assert len(pages) < 200
    return pages


def all_ids(pages: Pages) -> list[str]:
    return [row_id for page in pages for row_id in ids(page)]


def server(number: int, **fields: object) -> Row:
    return {
        "id": f"{number:08x}",
        "created": "2026-01-01T00:00:00Z",
        "name": f"server-{number}",
        "links": [],
        **fields,
    }


def volume(number: int, **fields: object) -> Row:
    return {
        "id": f"{number:08x}",
        "created_at": "2026-01-01T00:00:00.000000",
        "name": f"volume-{number}",
        "size": 1,
        **fields,
    }


def servers_in(listing: Listing, **pods: Sequence[Row]) -> Top:
    return Top(ListedPods(listing, {name: ListedPod(list(rows)) for name, rows in pods.items()}))


def without_limit(query: str | None) -> str:
    return without_parameters(str(query), ["limit"])


def union(top: Top, query: str) -> list[str]:
    rows = [row for pod in top.cloud.pods.values() for row in pod.rows]
    return [str(row["id"]) for row in top.cloud.sort_rows(rows, query)]


# Random clouds -------------------------------------------------------------------------

TEXTS = ["a", "A", "b", "B", "ab", "\u00e4", "z"]
NOVA_FIELDS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "created": st.sampled_from([f"2026-01-01T00:00:0{second}Z" for second in range(4)]),
        "name": st.sampled_from(TEXTS),
        "OS-EXT-STS:power_state": st.sampled_from([0, 1, 4]),
        "image": st.sampled_from(["", {"id": "i1"}, {"id": "i2"}]),
    }
)
NULLABLE_NOVA_FIELDS = st.fixed_dictionaries(
    {
        "key_name": st.sampled_from([None, "k", "K", "m"]),
        "OS-SRV-USG:launched_at": st.sampled_from(
            [None, "2026-01-01T00:00:01.000000", "2026-01-01T00:00:02.000000"]
        ),
    }
)
CINDER_FIELDS: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "created_at": st.sampled_from([f"2026-01-01T00:00:00.00000{tick}" for tick in range(4)]),
        "name": st.sampled_from([None, "", *TEXTS]),
        "description": st.sampled_from([None, "", "d", "e"]),
        "size": st.sampled_from([1, 2, 10]),
    }
)
NOVA_KEYS = ["created_at", "display_name", "power_state", "image_ref", "uuid"]
NOVA_NULLABLE_KEYS = [*NOVA_KEYS, "key_name", "launched_at", "task_state"]
CINDER_KEYS = ["created_at", "name", "display_name", "display_description", "size", "id"]
DIRECTIONS = st.sampled_from(["asc", "desc"])


@st.composite
def clouds(draw: st.DrawFn, listing: Listing, fields: st.SearchStrategy[Row], make: Make) -> Top:
    numbers = draw(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=24))
    rows = [make(number, **draw(fields)) for number in numbers]
    names = ["pod1", "pod2", "pod3"][: draw(st.integers(2, 3))]
    pods: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        pods[draw(st.sampled_from(names))].append(row)
    return servers_in(listing, **pods)


@st.composite
def nova_orders(draw: st.DrawFn, keys: Sequence[str]) -> str:
    chosen = draw(st.lists(st.sampled_from(keys), unique=True, max_size=3))
    directions = draw(st.lists(DIRECTIONS, max_size=len(chosen)))
    parts = [f"sort_key={key}" for key in chosen] + [f"sort_dir={way}" for way in directions]
    return "&".join(["changes-since=2026", *parts])


@st.composite
def cinder_orders(draw: st.DrawFn) -> str:
    chosen = draw(st.lists(st.sampled_from(CINDER_KEYS), unique=True, max_size=3))
    parts = [f"{key}:{draw(DIRECTIONS)}" if draw(st.booleans()) else key for key in chosen]
    return f"sort={','.join(parts)}" if parts else "bootable=true"


LIMITS = st.integers(1, 7)
nova_clouds = clouds(SERVERS_DETAIL, NOVA_FIELDS, server)


def _joined(one: Row, other: Row) -> Row:
    return {**one, **other}


nullable_nova_clouds = clouds(
    SERVERS_DETAIL, st.builds(_joined, NOVA_FIELDS, NULLABLE_NOVA_FIELDS), server
)
cinder_clouds = clouds(VOLUMES_DETAIL, CINDER_FIELDS, volume)


@given(top=nova_clouds, order=nova_orders(NOVA_KEYS), limit=LIMITS, pod_limit=st.integers(1, 9))
async def test_pages_of_servers_are_the_sorted_union(
    top: Top, order: str, limit: int, pod_limit: int
) -> None:
    top.cloud.pods["pod1"].max_limit = pod_limit
    pages = await follow_links(top, f"{order}&limit={limit}")
    assert all_ids(pages) == union(top, order)


@given(top=nullable_nova_clouds, order=nova_orders(NOVA_NULLABLE_KEYS), limit=LIMITS)
async def test_pages_sorted_by_columns_with_null_lose_nothing(
    top: Top, order: str, limit: int
) -> None:
    pages = await follow_links(top, f"{order}&limit={limit}")
    assert sorted(all_ids(pages)) == sorted(union(top, order))
    if "task_state" not in order:
        assert all_ids(pages) == union(top, order)


@given(top=cinder_clouds, order=cinder_orders(), limit=LIMITS)
async def test_pages_of_volumes_are_the_sorted_union(top: Top, order: str, limit: int) -> None:
    pages = await follow_links(top, f"{order}&limit={limit}")
    assert all_ids(pages) == union(top, order)


@given(top=nova_clouds, order=nova_orders(NOVA_KEYS), limit=LIMITS)
async def test_a_client_that_sends_only_markers_sees_the_same_pages(
    top: Top, order: str, limit: int
) -> None:
    query = f"{order}&limit={limit}"
    assert all_ids(await follow_markers(top, query)) == all_ids(await follow_links(top, query))


@given(top=nova_clouds, order=nova_orders(NOVA_KEYS), limit=LIMITS)
async def test_a_marker_without_any_kept_position_is_found_by_value(
    top: Top, order: str, limit: int
) -> None:
    top.positions = NoDatabase()
    pages = await follow_markers(top, f"{order}&limit={limit}")
    assert all_ids(pages) == union(top, order)


@given(top=cinder_clouds, order=cinder_orders(), limit=LIMITS)
async def test_a_volume_marker_without_any_kept_position_is_found_by_value(
    top: Top, order: str, limit: int
) -> None:
    top.positions = NoDatabase()
    pages = await follow_markers(top, f"{order}&limit={limit}")
    assert all_ids(pages) == union(top, order)


@given(top=nullable_nova_clouds, data=st.data())
async def test_pods_that_collate_in_a_way_of_their_own_cost_no_row(
    top: Top, data: st.DataObject
) -> None:
    for pod in top.cloud.pods.values():
        pod.shuffled, pod.rows = True, data.draw(st.permutations(pod.rows))
    order = data.draw(nova_orders([*NOVA_NULLABLE_KEYS, "locked_by"]))
    pages = await follow_links(top, f"{order}&limit={data.draw(LIMITS)}")
    assert sorted(all_ids(pages)) == sorted(union(top, ""))
    for pod in top.cloud.pods.values():
        own = [row["id"] for row in pod.rows]
        assert [row_id for row_id in all_ids(pages) if row_id in own] == own


@given(top=nova_clouds, order=nova_orders(NOVA_KEYS), data=st.data())
async def test_page_size_may_change_between_pages(
    top: Top, order: str, data: st.DataObject
) -> None:
    page = await top.page(f"{order}&limit={data.draw(LIMITS)}")
    seen = ids(page)
    while page.next_query is not None:
        link = without_parameters(page.next_query, ["limit"])
        page = await top.page(f"{link}&limit={data.draw(LIMITS)}")
        seen += ids(page)
    assert seen == union(top, order)


@given(top=nova_clouds, order=nova_orders(NOVA_KEYS), limit=LIMITS, data=st.data())
async def test_a_pod_that_dies_and_comes_back_gives_each_row_once(
    top: Top, order: str, limit: int, data: st.DataObject
) -> None:
    names = list(top.cloud.pods)

    def change() -> None:
        victims = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names) - 1))
        for name, pod in top.cloud.pods.items():
            pod.dead = name in victims

    change()
    pages = await follow_links(top, f"{order}&limit={limit}", change)
    seen = all_ids(pages)
    absent = {pod.name for pod in pages[-1].missing}
    assert absent == {name for name in names if top.cloud.pods[name].dead}
    expected = union(top, order)
    for name, pod in top.cloud.pods.items():
        own = [row_id for row_id in expected if row_id in {row["id"] for row in pod.rows}]
        given_rows = [row_id for row_id in seen if row_id in own]
        assert given_rows == (own[: len(given_rows)] if name in absent else own)
    steady = {name for page in pages for pod in page.missing for name in [pod.name]}
    rows = {row["id"] for name in names if name not in steady for row in top.cloud.pods[name].rows}
    assert [i for i in seen if i in rows] == [i for i in expected if i in rows]


@settings(max_examples=200)
@given(top=cinder_clouds, order=cinder_orders(), limit=st.integers(1, 4), data=st.data())
async def test_deleted_markers_and_dying_pods_cost_no_other_row(
    top: Top, order: str, limit: int, data: st.DataObject
) -> None:
    before = union(top, order)
    names = list(top.cloud.pods)
    page = await top.page(f"{order}&limit={limit}")
    seen, steady = ids(page), True
    while page.next_query is not None:
        victim = data.draw(st.sampled_from([None, *names]))
        for name, pod in top.cloud.pods.items():
            pod.dead = name == victim
            # Rows given lately are the markers of their pods.
            for row_id in [row_id for row_id in seen[-4:] if data.draw(st.booleans())]:
                pod.delete(row_id)
        page = await top.page(page.next_query)
        seen += ids(page)
        steady = steady and not page.missing
    assert len(seen) == len(set(seen))
    dead = {row["id"] for pod in top.cloud.pods.values() if pod.dead for row in pod.rows}
    left = set(union(top, order)) - dead
    assert left <= set(seen)
    if steady:
        assert [i for i in seen if i in left] == [i for i in before if i in left]


def thirty_volumes(*names: str) -> Top:
    rows = [volume(at, created_at=f"2026-01-01T00:00:{at:02}") for at in range(30)]
    pods = {name: rows[at :: len(names)] for at, name in enumerate(names)}
    return servers_in(VOLUMES_DETAIL, **pods)


async def test_a_pod_that_was_away_goes_on_where_it_stood_though_its_marker_is_gone() -> None:
    top = thirty_volumes("pod1", "pod2")
    pages = [await top.page("limit=6")]
    top.cloud.pods["pod2"].dead = True
    pages.append(await top.page(str(pages[-1].next_query)))
    for row_id in ids(pages[0]):
        top.cloud.pods["pod2"].delete(row_id)
    top.cloud.pods["pod2"].dead = False
    pages += await follow_links(top, str(pages[-1].next_query))
    assert len(all_ids(pages)) == 30
    assert set(all_ids(pages)) == {f"{at:08x}" for at in range(30)}


async def test_rows_that_come_late_do_not_move_the_other_pods_back() -> None:
    top = thirty_volumes("pod1", "pod2", "pod3")
    top.cloud.pods["pod3"].dead = True
    pages = [await top.page("limit=9")]
    top.cloud.pods["pod3"].dead = False
    for limit in (2, 1, 1, 9, 9, 9):
        if pages[-1].next_query is not None:
            # The markers of pod1 and pod2 go, one by one, while pod3 gives what it owes.
            for pod in (top.cloud.pods["pod1"], top.cloud.pods["pod2"]):
                pod.delete([i for i in all_ids(pages) if i in pod][-1])
            link = f"{without_limit(pages[-1].next_query)}&limit={limit}"
            pages.append(await top.page(link))
    assert sorted(all_ids(pages)) == [f"{at:08x}" for at in range(30)]


async def test_a_pod_that_is_left_out_for_a_page_keeps_its_place() -> None:
    top = thirty_volumes("pod1", "pod2")
    pages = [await top.page("limit=6")]
    away = top.cloud.pods.pop("pod2")
    pages.append(await top.page(str(pages[-1].next_query)))
    top.cloud.pods["pod2"] = away
    pages += await follow_links(top, str(pages[-1].next_query))
    assert sorted(all_ids(pages)) == [f"{at:08x}" for at in range(30)]


async def test_a_search_for_a_place_reads_on_when_the_page_needs_more() -> None:
    rows = [server(at, key_name=None if at % 2 else f"k{at:03}") for at in range(100)]
    top = servers_in(SERVERS_DETAIL, pod1=rows, pod2=[], pod3=[])
    query = "sort_key=key_name&limit=35"
    assert all_ids(await follow_links(top, query)) == union(top, query)


async def test_a_marker_deleted_in_the_middle_of_a_page_costs_no_row() -> None:
    top = thirty_volumes("pod1", "pod2")
    top.cloud.pods["pod1"].max_limit = 2

    def delete_marker(name: str, request: PodRequest) -> None:
        for marker in list_values(request.query, "marker"):
            top.cloud.pods[name].delete(marker)

    top.cloud.before = delete_marker
    assert ids(await top.page("limit=30")) == [f"{at:08x}" for at in reversed(range(30))]


# What is asked of pods -----------------------------------------------------------------


def asked(top: Top) -> list[tuple[str, str]]:
    return [(name, request.query) for name, request in top.cloud.requests]


def many(count: int, first: int = 0) -> list[Row]:
    return [
        server(number, created=f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z")
        for number in range(first, first + count)
    ]


async def test_filters_reach_the_pods_as_the_client_wrote_them() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(1), pod2=[])
    await top.page("name=%5Ea%2Bb&limit=5&tags=x%2Cy&marker=")
    assert asked(top)[0] == ("pod1", "name=%5Ea%2Bb&tags=x%2Cy&limit=5")


async def test_a_second_limit_behind_a_semicolon_does_not_reach_a_pod() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(9), pod2=[])
    page = await top.page("name=a;limit=2")
    assert len(page.items) == 2
    assert asked(top)[0] == ("pod1", "name=a&limit=2")


async def test_many_pods_are_first_asked_for_twice_their_share() -> None:
    rows = {f"pod{at}": many(50, first=50 * at) for at in range(20)}
    top = servers_in(SERVERS_DETAIL, **rows)
    page = await top.page("limit=200")
    assert ids(page) == union(top, "")[:200]
    assert {query for _, query in asked(top)[:20]} == {"limit=20"}


async def test_a_pod_that_holds_the_whole_page_is_found_in_few_requests() -> None:
    top = servers_in(SERVERS_DETAIL, big=many(1000), **{f"pod{at}": [] for at in range(50)})
    page = await top.page("limit=1000")
    assert len(page.items) == 1000
    assert len([name for name, _ in asked(top) if name == "big"]) <= 7


async def test_pods_that_run_out_together_are_asked_again_together() -> None:
    rows = {f"pod{at}": many(1000)[at::10] for at in range(10)}
    top = servers_in(SERVERS_DETAIL, **rows)
    top.cloud.listing = replace(SERVERS_DETAIL, max_limit=1000)
    for pod in top.cloud.pods.values():
        pod.max_limit = 25
    page = await top.page("limit=500")
    assert len(page.items) == 500
    assert len(asked(top)) <= 30


async def test_a_pod_whose_own_largest_page_is_smaller_is_asked_again() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(30), pod2=many(3, first=100))
    top.cloud.pods["pod1"].max_limit = 7
    pages = await follow_links(top, "limit=20")
    assert all_ids(pages) == union(top, "")
    assert [len(page.items) for page in pages] == [20, 13]


async def test_only_the_short_form_is_asked_for_when_it_is_enough_to_sort_by() -> None:
    top = servers_in(SERVERS, pod1=many(1), pod2=many(1, first=5))
    await top.page("sort_key=display_name")
    assert {request.path for _, request in top.cloud.requests} == {"/servers"}


# What comes out ------------------------------------------------------------------------


async def test_the_short_form_is_made_from_the_detailed_one() -> None:
    odd = b'{"id":"a1","name":"\\u00e4 \\u2028","created":"2026-01-01T00:00:00Z","links":[ 1, 2]}'
    top = servers_in(SERVERS, pod1=[], pod2=[])
    top.cloud.pods["pod1"].answer = ListedAnswer(200, b'{"servers":[' + odd + b"]}")
    page = await top.page()
    assert page.items == [b'{"id":"a1","name":"\\u00e4 \\u2028","links":[ 1, 2]}']
    assert top.cloud.requests[0][1].path == "/servers/detail"


async def test_the_short_form_of_snapshots_has_cinders_fields() -> None:
    row = volume(1, volume_id="v", user_id="u", status="available", metadata={})
    page = await servers_in(SNAPSHOTS, pod1=[row], pod2=[]).page("sort=user_id")
    fields = ["id", "created_at", "name", "volume_id", "status", "size", "metadata"]
    assert list(json.loads(page.items[0])) == fields


async def test_items_keep_their_bytes() -> None:
    odd = b'{"created":"2026-01-01T00:00:00Z", "id":"a1",  "big": 12345678901234567890.10}'
    top = servers_in(SERVERS_DETAIL, pod1=[], pod2=[])
    top.cloud.pods["pod2"].answer = ListedAnswer(200, b'{"servers": [' + odd + b"]}")
    assert (await top.page()).items == [odd]


async def test_one_pod_is_asked_as_the_client_asked() -> None:
    top = servers_in(SERVERS, pod1=many(5))
    page = await top.page("limit=2")
    assert ids(page) == union(top, "")[:2]
    assert top.cloud.requests[0][1].path == "/servers"
    assert all_ids(await follow_markers(top, "limit=2")) == union(top, "")
    assert all_ids(await follow_links(top, "limit=2")) == union(top, "")


async def test_an_unknown_marker_of_one_pod_is_the_services_own_error() -> None:
    with pytest.raises(BadInput, match=r"^marker \[nope\] not found$"):
        await servers_in(SERVERS_DETAIL, pod1=many(2)).page("marker=nope")


async def test_no_pod_gives_an_empty_list() -> None:
    assert await servers_in(SERVERS_DETAIL).page() == MergedPage([], None, [])


# Next links, limits and markers --------------------------------------------------------


@pytest.mark.parametrize(("limit", "has_next"), [(4, True), (5, True), (6, False)])
async def test_a_full_page_has_a_next_link_even_when_nothing_follows(
    limit: int, has_next: bool
) -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(3), pod2=many(2, first=10))
    page = await top.page(f"limit={limit}")
    assert (page.next_query is not None) == has_next


async def test_the_next_link_keeps_the_clients_parameters() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(3), pod2=[])
    page = await top.page("sort_key=uuid&sort_dir=asc&limit=1&name=%5Ea")
    assert page.next_query is not None
    start = "sort_key=uuid&sort_dir=asc&limit=1&name=%5Ea&marker=00000000&"
    assert page.next_query.startswith(start + CURSOR_PARAMETER + "=")


async def test_without_a_limit_a_page_is_as_long_as_the_service_makes_it() -> None:
    top = servers_in(replace(SERVERS_DETAIL, max_limit=4), pod1=many(3), pod2=many(3, first=9))
    page = await top.page()
    assert len(page.items) == 4
    assert page.next_query is not None
    assert len((await top.page("limit=9999999999999999999999")).items) == 4


async def test_limit_zero_is_an_empty_page() -> None:
    for listing in (SERVERS_DETAIL, VOLUMES_DETAIL):
        page = await servers_in(listing, pod1=many(3), pod2=[]).page("limit=0")
        assert page == MergedPage([], None, [])


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("-1", "Invalid input for query parameters limit. Value: -1. '-1' does not match "
               "'^[0-9]*$'"),
        ("a", "Invalid input for query parameters limit. Value: a. 'a' does not match "
              "'^[0-9]*$'"),
        ("", "Invalid input for query parameters limit. Value: . '' should be non-empty"),
    ],
)  # fmt: skip
async def test_a_bad_limit_is_refused_in_novas_words(limit: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        await servers_in(SERVERS_DETAIL, pod1=[], pod2=[]).page(f"limit={limit}")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=a", "limit param must be an integer"),
        ("limit=", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("offset=a", "offset must be an integer"),
        ("offset=-1", "offset must be >= 0"),
        ("offset=2147483648", "offset must be <= 2147483647"),
    ],
)
async def test_a_bad_page_is_refused_in_cinders_words(query: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        await servers_in(VOLUMES_DETAIL, pod1=[], pod2=[]).page(query)
    assert str(caught.value) == message


async def test_an_unknown_marker_is_refused_in_novas_words() -> None:
    with pytest.raises(BadInput, match=r"^marker \[nope\] not found$"):
        await servers_in(SERVERS_DETAIL, pod1=[], pod2=[]).page("marker=nope")


async def test_an_unknown_marker_is_refused_in_cinders_words() -> None:
    with pytest.raises(NotFound, match=r"^Volume nope could not be found\.$"):
        await servers_in(VOLUMES, pod1=[], pod2=[]).page("marker=nope")


@pytest.mark.parametrize("cursor", ["x", "e30", "%00", "a" * 70000, "eyJ2IjoxfQ", ""])
async def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadInput, match=CURSOR_PARAMETER):
        await servers_in(SERVERS_DETAIL, pod1=[], pod2=[]).page(
            f"marker=m&{CURSOR_PARAMETER}={cursor}"
        )


async def test_a_cursor_of_another_order_is_not_used() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(4)[::2], pod2=many(4)[1::2])
    page = await top.page("limit=1")
    assert page.next_query is not None
    link = page.next_query + "&sort_key=uuid&sort_dir=asc"
    assert ids(await top.page(link)) == []


async def test_a_cursor_with_another_marker_gives_way_to_the_marker() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(6)[::2], pod2=many(6)[1::2])
    everything = union(top, "")
    page = await top.page("limit=1")
    assert page.next_query is not None
    link = without_parameters(page.next_query, ["marker"]) + f"&marker={everything[3]}"
    assert ids(await top.page(link)) == everything[4:5]


async def test_a_long_cursor_stays_out_of_the_link_when_it_is_kept() -> None:
    top = servers_in(SERVERS_DETAIL, **{f"{at:032x}": many(2, first=2 * at) for at in range(150)})
    page = await top.page("limit=250")
    assert page.next_query == "limit=250&marker=" + ids(page)[-1]
    assert ids(await top.page(page.next_query)) == union(top, "")[250:]


async def test_a_long_cursor_is_in_the_link_when_it_cannot_be_kept() -> None:
    top = servers_in(SERVERS_DETAIL, **{f"{at:032x}": many(2, first=2 * at) for at in range(150)})
    top.positions = NoDatabase()
    page = await top.page("limit=250")
    assert page.next_query is not None
    assert CURSOR_PARAMETER in page.next_query
    assert ids(await top.page(page.next_query)) == union(top, "")[250:]


async def test_a_marker_whose_pod_is_dead_can_only_be_retried() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=many(2, first=5))
    top.cloud.pods["pod1"].dead = True
    with pytest.raises(ServiceUnavailable, match="pod1"):
        await top.page("marker=00000001")


async def test_an_order_by_a_hidden_column_goes_on_by_its_cursor_alone() -> None:
    rows = [server(at, **{"hidden:instance_type_id": at % 3}) for at in range(9)]
    top = servers_in(SERVERS_DETAIL, pod1=rows[:4], pod2=rows[4:])
    query = "sort_key=instance_type_id&limit=2"
    assert sorted(all_ids(await follow_links(top, query))) == sorted(union(top, ""))
    assert sorted(all_ids(await follow_markers(top, query))) == sorted(union(top, ""))
    top.positions = NoDatabase()
    with pytest.raises(BadInput, match="no longer known"):
        await follow_markers(top, query)


async def test_a_deleted_marker_that_nova_remembers_goes_on() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(6)[::2], pod2=many(6)[1::2])
    for pod in top.cloud.pods.values():
        pod.forgets = False
    everything = union(top, "")
    page = await top.page("limit=3")
    for pod in top.cloud.pods.values():
        pod.delete(everything[2])
    assert ids(await top.page(f"limit=3&marker={everything[2]}")) == everything[3:]
    assert page.next_query is not None
    assert ids(await top.page(page.next_query)) == everything[3:]


async def test_cinders_offset_skips_rows_of_the_whole_list() -> None:
    rows = [volume(at, created_at=f"2026-01-01T00:00:{at:02}") for at in range(40)]
    top = servers_in(VOLUMES_DETAIL, pod1=rows[::2], pod2=rows[1::2])
    pages = await follow_links(top, "limit=10&offset=25")
    assert all_ids(pages) == union(top, "")[25:]
    assert not any("offset" in query for _, query in asked(top))
    assert ids(await top.page("offset=40")) == []


async def test_counts_of_volumes_are_summed() -> None:
    top = servers_in(VOLUMES_DETAIL, pod1=[], pod2=[])
    for name, count in (("pod1", 3), ("pod2", 4)):
        row = json.dumps(volume(count))
        body = f'{{"volumes": [{row}], "count": {count}}}'
        top.cloud.pods[name].answer = ListedAnswer(200, body.encode())
    page = await top.page("with_count=true&limit=5")
    assert page.count == 7
    assert page.next_query is not None


# Pods that do not answer ---------------------------------------------------------------


async def test_a_dead_pod_is_named_and_the_rest_is_whole() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=many(2, first=5))
    top.cloud.pods["pod2"].dead = True
    page = await top.page("limit=9")
    assert [pod.name for pod in page.missing] == ["pod2"]
    assert ids(page) == ["00000001", "00000000"]


@pytest.mark.parametrize(
    "answer",
    [
        ListedAnswer(500, b"{}"),
        ListedAnswer(503, b""),
        ListedAnswer(302, b""),
        ListedAnswer(200, b""),
        ListedAnswer(200, b"<html>"),
        ListedAnswer(200, b"[]"),
        ListedAnswer(200, b'{"servers": {}}'),
        ListedAnswer(200, b'{"servers": [1]}'),
        ListedAnswer(200, b'{"servers": [{"name": "x"}]}'),
        ListedAnswer(200, b'{"servers": [{"id": 7}]}'),
        ListedAnswer(200, b'{"servers": [{"id": "a"}'),
        ListedAnswer(200, b'{"servers": [' + b"[" * 100_000 + b"]"),
        ListedAnswer(401, b"{}"),
        ListedAnswer(404, b"{}"),
    ],
)
async def test_a_pod_that_gives_no_list_is_missing(answer: ListedAnswer) -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    top.cloud.pods["pod2"].answer = answer
    page = await top.page()
    assert [pod.name for pod in page.missing] == ["pod2"]
    assert ids(page) == ["00000001", "00000000"]


async def test_rows_of_a_strange_form_end_a_pods_part_only() -> None:
    body = b'{"servers": [{"id":"a","created":[1]}, "x", {"id":"b"}]}'
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    top.cloud.pods["pod2"].answer = ListedAnswer(200, body)
    page = await top.page()
    assert [pod.name for pod in page.missing] == ["pod2"]
    assert sorted(ids(page)) == ["00000000", "00000001", "a"]


async def test_a_slow_pod_is_missing_after_the_time_of_a_list() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    top.cloud.pods["pod2"].hangs, top.timeout_s = True, 0.05
    page = await top.page()
    assert [pod.name for pod in page.missing] == ["pod2"]
    assert len(page.items) == 2


async def test_a_list_that_nobody_answers_is_unavailable() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    for pod in top.cloud.pods.values():
        pod.dead = True
    with pytest.raises(ServiceUnavailable, match="pod1, pod2"):
        await top.page("limit=5")


async def test_no_partial_lists_means_none() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    top.partial = False
    assert len((await top.page()).items) == 2
    top.cloud.pods["pod2"].dead = True
    with pytest.raises(ServiceUnavailable, match="pod2"):
        await top.page()


@pytest.mark.parametrize("status", [400, 403, 406, 409, 413, 429])
async def test_a_refusal_by_one_pod_is_the_answer_and_not_a_shorter_list(status: int) -> None:
    top = servers_in(SERVERS_DETAIL, pod1=many(2), pod2=[])
    top.cloud.pods["pod2"].answer = ListedAnswer(status, b"why", [(b"x", b"y")])
    refusal = await top.get("name=a")
    assert isinstance(refusal, PodRefusal)
    assert (refusal.pod.name, refusal.status, refusal.body) == ("pod2", status, b"why")
    assert refusal.headers == [(b"x", b"y")]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_all_pods_refuse_is_answered_with_their_own_refusal(status: int) -> None:
    top = servers_in(SERVERS_DETAIL, pod1=[], pod2=[])
    for pod in top.cloud.pods.values():
        pod.answer = ListedAnswer(status, b"why")
    refusal = await top.get()
    assert isinstance(refusal, PodRefusal)
    assert (refusal.pod.name, refusal.status) == ("pod1", status)


async def test_of_two_refusals_the_one_the_caller_can_act_on_is_given() -> None:
    top = servers_in(SERVERS_DETAIL, pod1=[], pod2=[], pod3=[])
    for name, status in (("pod1", 403), ("pod2", 400), ("pod3", 404)):
        top.cloud.pods[name].answer = ListedAnswer(status, b"")
    refusal = await top.get()
    assert isinstance(refusal, PodRefusal)
    assert refusal.status == 400


# Nova's rows for what cannot be asked --------------------------------------------------


def routing(number: int, pod: str, project: str = PROJECT, **fields: Any) -> Routing:
    made = datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)
    top_id = f"{number:08x}"
    return Routing(
        Kind.SERVER, TopId(top_id), PodId(pod), BottomId(top_id), ProjectId(project),
        created_at=made, **fields,
    )  # fmt: skip


def half_dead(listing: Listing) -> Top:
    top = servers_in(listing, pod1=many(2), pod2=many(2, first=5))
    top.cloud.pods["pod2"].dead = True
    for one in (
        routing(5, "pod2"),
        routing(6, "pod2"),
        routing(7, "pod2", "other"),
        routing(8, "pod2", state=RoutingState.DELETING),
        routing(1, "pod1"),
    ):
        top.stores.tables.routings.put(one)
    return top


async def test_rows_of_a_dead_pod_come_first_in_novas_detailed_form() -> None:
    page = await half_dead(SERVERS_DETAIL).page()
    assert ids(page) == ["00000005", "00000006", "00000001", "00000000"]
    assert json.loads(page.items[0]) == {
        "id": "00000005",
        "status": "UNKNOWN",
        "tenant_id": "p",
        "created": "2026-01-01T00:00:05Z",
        "links": [
            {"rel": "self", "href": "http://top/v2.1/servers/00000005"},
            {"rel": "bookmark", "href": "http://top/servers/00000005"},
        ],
    }


async def test_rows_of_a_dead_pod_in_novas_short_form() -> None:
    page = await half_dead(SERVERS).page()
    assert set(json.loads(page.items[0])) == {"id", "status", "links"}


@pytest.mark.parametrize(
    "query", ["limit=9", "sort_key=uuid", "sort_dir=asc", "marker=00000001", "name=a"]
)
async def test_paging_sorting_and_filters_leave_rows_of_a_dead_pod_out(query: str) -> None:
    page = await half_dead(SERVERS_DETAIL).page(query)
    assert "00000005" not in ids(page)
    assert [pod.name for pod in page.missing] == ["pod2"]


async def test_older_microversions_have_no_rows_of_a_dead_pod() -> None:
    top = half_dead(SERVERS_DETAIL)
    top.version = Version(2, 68)
    assert ids(await top.page()) == ["00000001", "00000000"]


async def test_all_tenants_shows_what_a_dead_pod_holds_of_everyone() -> None:
    top = half_dead(SERVERS_DETAIL)
    assert "00000007" in ids(await top.page("all_tenants=1"))
    assert "00000007" not in ids(await top.page("all_tenants=0"))


async def test_all_tenants_needs_a_pod_that_allows_it() -> None:
    top = half_dead(SERVERS_DETAIL)
    top.cloud.pods["pod1"].dead = True
    assert ids(await top.page()) == ["00000001", "00000005", "00000006"]
    with pytest.raises(ServiceUnavailable):
        await top.page("all_tenants=1")


async def test_rows_of_a_dead_pod_fill_a_page_and_no_more() -> None:
    top = half_dead(replace(SERVERS_DETAIL, max_limit=3))
    assert ids(await top.page()) == ["00000005", "00000001", "00000000"]
