"""One sorted, paged list out of many: what a list API is, and the merge itself.

The heads of all pods' rows are compared, the least goes first, and each pod's rows
are taken in the order in which the pod gave them: nothing can be lost or come
twice, whatever a pod's database thinks of the order. Only the sort keys of heads are
decoded; items travel as the bytes they are.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from tricircle.core.errors import BadInput, NotFound, TricircleError
from tricircle.core.model import Kind, Version
from tricircle.core.sorting import (
    Dialect,
    SortField,
    SortKey,
    SortPlan,
    SortTerm,
    UnreadableRow,
    list_sort_terms,
    make_sort_plan,
)


@dataclass(frozen=True, slots=True)
class MarkerFilter:
    """How the row of a marker is read where no request shows a single one.

    The list itself has a filter for it, called ``name``, at microversion ``version``.
    ``along`` are parameters that go with it, because they decide who may ask.
    """

    name: str
    version: Version
    along: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """One list API, as data.

    ``path`` is what the client calls. ``detail_path`` is what pods are asked: the
    same API's detailed form, which shows the values of the sort keys. ``summary``
    are the fields of an item of the list called, in their order, when it is the
    short form, else empty. ``sort_fields`` maps the API's sort keys to values in a
    detailed item; ``ignored_keys`` are sort keys dropped without a word, by version.
    ``order`` is that of a list which nobody can sort. ``id_field`` is what an item is
    named by in markers; ``kind`` is None for what is recorded nowhere, which is found by
    ``marker_filter``. ``marker_absent`` are the service's words for a marker ``{id}``
    that does not exist, if they are its own for this list. ``items`` is where single items
    are, if not below the collection. A list that is not ``linked`` has pages, but no link to
    the next one; of one that is ``whole`` the service knows no pages at all, or, if it is
    ``cut``, takes ``offset`` and ``limit`` for a piece of the whole. ``links`` is the
    key of the list's own links, where it is not as usual.
    """

    kind: Kind | None
    dialect: Dialect
    collection: str
    item: str
    path: str
    detail_path: str
    sort_fields: Mapping[str, SortField]
    summary: tuple[str, ...] = ()
    ignored_keys: Callable[[Version | None], Collection[str]] = lambda version: ()
    max_limit: int = 1000
    partial_rows_from: Version | None = None
    order: tuple[SortTerm, ...] = ()
    id_field: str = "id"
    marker_filter: MarkerFilter | None = None
    marker_absent: str = ""
    items: str = ""
    linked: bool = True
    whole: bool = False
    cut: bool = False
    links: str = ""

    @property
    def links_key(self) -> str:
        """Return the key of the list's own links beside the collection."""
        return self.links or f"{self.collection}_links"

    def item_path(self, item_id: str) -> str:
        """Return the path of one item; ``item_id`` is percent-encoded already."""
        return f"{self.items or '/' + self.collection}/{item_id}"

    def sort_plan(self, query: str, version: Version | None) -> SortPlan:
        """Return the order that a client's query asks for."""
        if self.order:
            return make_sort_plan(self.dialect, self.order, self.id_field)
        ignored = self.ignored_keys(version)
        return make_sort_plan(
            self.dialect, list_sort_terms(self.dialect, query, self.sort_fields, ignored)
        )

    def marker_not_found(self, marker: str) -> TricircleError:
        """Return the service's own error for a marker that does not exist."""
        if self.dialect is Dialect.NOVA:
            words = self.marker_absent or "marker [{id}] not found"
            return BadInput(words.format(id=marker))
        words = self.marker_absent or f"{self.item.capitalize()} {{id}} could not be found."
        return NotFound(words.format(id=marker))

    def position_lost(self) -> TricircleError:
        """Return the error for a place that was looked for too long."""
        return BadInput(
            f"the place to go on in the list of {self.collection} is too far from its start to "
            "be looked for; follow the 'next' link of a page, or list from the start"
        )

    def is_full(self, emitted: int, limit: int, count: int | None) -> bool:
        """Tell whether the service would give a ``next`` link after a page, if it gives any."""
        if self.whole:
            return False
        if self.dialect is Dialect.CINDER and emitted and count is not None:
            return limit <= count
        return emitted > 0 and emitted >= limit


@dataclass(frozen=True, slots=True)
class PodPage:
    """One answer of a pod: its rows, undecoded.

    ``more`` tells that the pod has, or may have, rows after them.
    """

    rows: Sequence[msgspec.Raw]
    more: bool
    count: int | None = None


def read_pod_page(listing: Listing, body: bytes, asked: int) -> PodPage:
    """Return the page in a pod's answer to a request for ``asked`` rows.

    A pod whose own largest page is smaller gives less and a ``next`` link.
    Raises UnreadableRow when the body is not such a page.
    """
    try:
        page = _page_decoder(listing.collection, listing.links_key)(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRow(str(error)) from None
    rows: list[msgspec.Raw] = page.rows  # type: ignore[attr-defined]
    links: list[object] | None = page.links  # type: ignore[attr-defined]
    more = bool(rows) and not listing.whole and (len(rows) >= asked or _has_next(links))
    return PodPage(rows, more, page.count)  # type: ignore[attr-defined]


@lru_cache(maxsize=64)
def _page_decoder(collection: str, links: str) -> Callable[[bytes], msgspec.Struct]:
    page = msgspec.defstruct(
        "Page",
        [
            ("rows", list[msgspec.Raw]),
            ("links", list[object] | None, None),
            ("count", int | None, None),
        ],
        rename={"rows": collection, "links": links, "count": "count"},
    )
    return msgspec.json.Decoder(page).decode


def _has_next(links: list[object] | None) -> bool:
    return any(isinstance(link, dict) and link.get("rel") == "next" for link in links or ())


@dataclass(slots=True)
class Run:
    """The rows of one pod that have arrived, in the pod's order.

    ``rows[taken:]`` are still to be merged; ``more`` tells that the pod has rows
    after them. ``broken`` says why the pod's rows cannot be read any further.
    """

    rows: Sequence[msgspec.Raw] = ()
    taken: int = 0
    more: bool = True
    last: msgspec.Raw | None = None
    broken: str | None = None
    head: SortKey | None = field(default=None, repr=False)

    @property
    def left(self) -> int:
        """Return how many rows wait to be merged."""
        return len(self.rows) - self.taken

    @property
    def starving(self) -> bool:
        """Tell whether the merge cannot go on before the pod has been asked again."""
        return self.more and not self.left

    def add(self, page: PodPage) -> None:
        """Append a page and forget the rows already taken."""
        self.rows = [*self.rows[self.taken :], *page.rows]
        self.taken, self.more = 0, page.more

    def stop(self) -> None:
        """Take no more rows of this pod: what comes after is unknown."""
        self.rows, self.taken, self.more, self.head = (
            self.rows[: self.taken],
            self.taken,
            False,
            None,
        )


def take_rows(runs: Sequence[Run], plan: SortPlan, need: int) -> list[tuple[int, msgspec.Raw]]:
    """Return the next rows of all runs as (place of the run, row), at most ``need``.

    Stops early when a run is starving: its next row could be the one that comes first.
    """
    taken: list[tuple[int, msgspec.Raw]] = []
    if any(run.starving for run in runs):
        return taken
    heap = [
        (run.head, place) for place, run in enumerate(runs) if run.left and _read_head(run, plan)
    ]
    heapq.heapify(heap)
    while heap and len(taken) < need:
        place = heap[0][1]
        run = runs[place]
        taken.append((place, _take_one(run)))
        if run.left and _read_head(run, plan):
            heapq.heapreplace(heap, (run.head, place))
        elif run.starving:
            break
        else:
            heapq.heappop(heap)
    return taken


def _take_one(run: Run) -> msgspec.Raw:
    row = run.rows[run.taken]
    run.taken, run.last, run.head = run.taken + 1, row, None
    return row


def _read_head(run: Run, plan: SortPlan) -> bool:
    if run.head is None:
        try:
            run.head = plan.key_of(run.rows[run.taken])
        except UnreadableRow as error:
            run.stop()
            run.broken = str(error)
            return False
    return True


def summarize(listing: Listing, row: msgspec.Raw) -> bytes:
    """Return an item as the list called shows it. Raises UnreadableRow."""
    if not listing.summary:
        return bytes(row)
    try:
        return _encode(_summary_decoder(listing.summary)(row))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRow(str(error)) from None


@lru_cache(maxsize=64)
def _summary_decoder(fields: tuple[str, ...]) -> Callable[[msgspec.Raw], msgspec.Struct]:
    summary = msgspec.defstruct(
        "Summary",
        [(f"f{at}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for at in range(len(fields))],
        rename={f"f{at}": name for at, name in enumerate(fields)},
        gc=False,
    )
    return msgspec.json.Decoder(summary).decode


_encode = msgspec.json.Encoder().encode
