"""What holds for each merged list of both gateways: one that is added is tested by itself.

Rows are made of what a list says about its sort keys, in one to twenty pods.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.usecases.test_listing import NEW, NoDatabase, Pages, Top, follow_links
from tricircle.compute.routes import ROWS as COMPUTE_ROWS
from tricircle.core.merge import Listing
from tricircle.core.query import list_values
from tricircle.core.sorting import Compare, Dialect
from tricircle.core.table import ByVersion, Merge, Strategy
from tricircle.testing.listed_pods import ListedPod, ListedPods, Row
from tricircle.volume.routes import ROWS as VOLUME_ROWS

MOST_PODS, MOST_ROWS = 20, 40
DIRECTIONS = ["asc", "desc"]
TIMES = [f"2026-01-01T00:00:0{second}.000000" for second in range(3)]
VALUES: dict[Compare, Sequence[object]] = {
    Compare.TEXT: ["a", "A", "b", "\u00e4"],
    Compare.EXACT: ["e", "f"],
    Compare.TIME: TIMES,
    Compare.NUMBER: [0, 1, 10],
    Compare.FLAG: [False, True],
}


def _listings(strategy: Strategy) -> Iterator[Listing]:
    match strategy:
        case Merge():
            yield strategy.listing
        case ByVersion():
            yield from _listings(strategy.before)
            yield from _listings(strategy.then)


def _all_listings() -> list[Listing]:
    found: list[Listing] = []
    for row in (*COMPUTE_ROWS, *VOLUME_ROWS):
        found += [one for one in _listings(row.strategy) if one not in found]
    return found


LISTINGS = _all_listings()
PAGED = [one for one in LISTINGS if not one.whole]
WHOLE = [one for one in LISTINGS if one.whole]


def _name(listing: Listing) -> str:
    return f"{listing.path} {'whole' if listing.whole else 'paged'}"


def _make_row(listing: Listing, row_id: str, dice: Random) -> Row:
    """Return a row that shows every sort key the list has."""
    known = [*listing.sort_fields.values(), *(term.field for term in listing.order)]
    row: Row = {}
    for field in [field for field in known if field.path]:
        at = row
        for step in field.path[:-1]:
            inner = at.setdefault(step, {})
            assert isinstance(inner, dict)
            at = inner
        values = list(VALUES[field.compare])
        at[field.path[-1]] = dice.choice([*values, field.blank] if field.nullable else values)
    return {**row, listing.id_field: row_id}


@st.composite
def tops(draw: st.DrawFn, listing: Listing) -> Top:
    """A top over pods with rows in them: to draw each value would take most of the time."""
    dice = Random(draw(st.integers(0, 2**32)))  # noqa: S311
    names = [f"pod{at:02}" for at in range(draw(st.integers(1, MOST_PODS)))]
    pods = {name: ListedPod([], max_limit=dice.randint(3, 9)) for name in names}
    for number in dice.sample(range(2**32), draw(st.integers(0, MOST_ROWS))):
        row = _make_row(listing, f"{number:08x}", dice)
        pods[dice.choice(names)].rows.append(row)
    return Top(ListedPods(listing, pods, NEW), version=NEW)


@st.composite
def orders(draw: st.DrawFn, listing: Listing) -> str:
    """The part of a query that asks for an order, by any keys the list has."""
    if listing.order:
        return "x=y"
    keys = draw(st.lists(st.sampled_from(sorted(listing.sort_fields)), unique=True, max_size=3))
    if listing.dialect is Dialect.NOVA:
        ways = draw(st.lists(st.sampled_from(DIRECTIONS), max_size=len(keys)))
        return "&".join(
            ["x=y", *(f"sort_key={key}" for key in keys), *(f"sort_dir={way}" for way in ways)]
        )
    parts = [f"{key}:{draw(st.sampled_from(DIRECTIONS))}" for key in keys]
    return f"sort={','.join(parts)}" if parts else "x=y"


@st.composite
def asked(draw: st.DrawFn, listing: Listing) -> tuple[Top, str]:
    """A top, and the order that its list is asked for in.

    A service loses its way in a list that is longer than a page of its own and sorted by
    what may be null: such a list is whole in each pod.
    """
    top, order = draw(tops(listing)), draw(orders(listing))
    terms = listing.sort_plan(order, top.version).terms
    if any(term.field.nullable for term in terms):
        for pod in top.cloud.pods.values():
            pod.max_limit = listing.max_limit
    return top, order


def shows_all(top: Top, order: str) -> bool:
    """Tell whether rows show all that they are sorted by: else each pod's order is all there is."""
    return all(term.field.path for term in top.cloud.listing.sort_plan(order, top.version).terms)


def ids(top: Top, pages: Pages) -> list[str]:
    rows = [json.loads(item) for page in pages for item in page.items]
    return [row[top.cloud.listing.id_field] for row in rows]


def own_ids(top: Top, name: str) -> list[str]:
    return [str(row[top.cloud.listing.id_field]) for row in top.cloud.pods[name].rows]


def union(top: Top, query: str) -> list[str]:
    """Return the ids of all pods' rows in the order that a query asks for."""
    rows = [row for pod in top.cloud.pods.values() for row in pod.rows]
    sorted_rows = top.cloud.sort_rows(rows, query)
    return [str(row[top.cloud.listing.id_field]) for row in sorted_rows]


async def follow(top: Top, query: str, *, by_links: bool) -> Pages:
    """Return all pages by the service's links, or by markers of the client's own."""
    if by_links and top.cloud.listing.linked:
        return await follow_links(top, query)
    pages = [await top.page(query)]
    limit = int(list_values(query, "limit")[0])
    while len(last := ids(top, pages[-1:])) >= limit:
        pages.append(await top.page(f"{query}&marker={last[-1]}"))
        assert len(pages) <= MOST_ROWS + 1
    return pages


def test_there_are_lists() -> None:
    assert {one.dialect for one in PAGED} == set(Dialect)


@pytest.mark.parametrize("listing", PAGED, ids=_name)
@settings(max_examples=20)
@given(data=st.data(), by_links=st.booleans(), limit=st.integers(1, 9))
async def test_the_pages_are_the_sorted_union(
    listing: Listing, data: st.DataObject, by_links: bool, limit: int
) -> None:
    top, order = data.draw(asked(listing))
    if shows_all(top, order) and data.draw(st.booleans()):
        top.positions = NoDatabase()
    seen = ids(top, await follow(top, f"{order}&limit={limit}", by_links=by_links))
    expected = union(top, order)
    assert len(seen) == len(set(seen))
    assert sorted(seen) == sorted(expected)
    if shows_all(top, order):
        assert seen == expected


@pytest.mark.parametrize("listing", [one for one in PAGED if one.linked], ids=_name)
@settings(max_examples=12)
@given(data=st.data(), limit=st.integers(1, 9))
async def test_pods_that_die_between_pages_cost_only_rows_of_theirs(
    listing: Listing, data: st.DataObject, limit: int
) -> None:
    top, order = data.draw(asked(listing))
    names = list(top.cloud.pods)

    def change() -> None:
        dead = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names) - 1))
        for name, pod in top.cloud.pods.items():
            pod.dead = name in dead

    pages = await follow_links(top, f"{order}&limit={limit}", change)
    seen = ids(top, pages)
    assert len(seen) == len(set(seen))
    assert {pod.name for pod in pages[-1].missing} == {n for n in names if top.cloud.pods[n].dead}
    for name, pod in top.cloud.pods.items():
        assert set(own_ids(top, name)) <= set(seen) or pod.dead
    steady = set(names) - {pod.name for page in pages for pod in page.missing}
    rows = {row_id for name in steady for row_id in own_ids(top, name)}
    if shows_all(top, order):
        assert [one for one in seen if one in rows] == [
            one for one in union(top, order) if one in rows
        ]


@pytest.mark.parametrize("listing", WHOLE, ids=_name)
@settings(max_examples=12)
@given(data=st.data(), limit=st.integers(1, 9))
async def test_a_list_without_pages_is_the_sorted_union_at_once(
    listing: Listing, data: st.DataObject, limit: int
) -> None:
    top, order = data.draw(asked(listing))
    for pod in top.cloud.pods.values():
        pod.max_limit = 1000
    seen = ids(top, [await top.page(order)])
    assert sorted(seen) == sorted(union(top, order))
    if listing.cut:
        starts = range(0, len(seen) + 1, limit)
        pieces = [await top.page(f"{order}&limit={limit}&offset={at}") for at in starts]
        assert ids(top, pieces) == seen
