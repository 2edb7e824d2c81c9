"""Pods that have nothing but lists: rows in memory, paged exactly as Nova and Cinder page.

``Cloud`` for tests of merged lists: small enough to run thousands of times in a
property test, and faithful where it matters there: how a marker row with null,
a deleted marker and a pod's own largest page behave.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cmp_to_key
from urllib.parse import unquote

from tricircle.core.errors import PodDead
from tricircle.core.merge import Listing
from tricircle.core.model import Endpoint, Pod, PodId, Service, Version
from tricircle.core.query import list_values
from tricircle.core.sorting import Compare, Dialect, SortTerm
from tricircle.interfaces.cloud import Headers, PodRequest

Row = dict[str, object]
Comparison = Callable[[Row, Row], int]


@dataclass(frozen=True, slots=True)
class ListedAnswer:
    """An answer of such a pod."""

    status: int
    body: bytes
    headers: Headers = ()

    async def read(self) -> bytes:
        """Return the body."""
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self.body


@dataclass(slots=True)
class ListedPod:
    """One pod: its rows, and what is wrong with it at the moment.

    ``shuffled`` keeps ``rows`` in the order they are in, whatever is asked for, as a
    database that collates in a way of its own would. ``answer`` is given to every
    list instead of rows. ``forgets`` tells that a deleted row is no marker any more.
    """

    rows: list[Row]
    max_limit: int = 1000
    dead: bool = False
    hangs: bool = False
    shuffled: bool = False
    forgets: bool = True
    answer: ListedAnswer | None = None
    deleted: dict[str, Row] = field(default_factory=dict)

    def __contains__(self, row_id: str) -> bool:
        return any(row["id"] == row_id for row in self.rows)

    def delete(self, row_id: str) -> None:
        """Delete a row."""
        for row in [row for row in self.rows if row["id"] == row_id]:
            self.rows.remove(row)
            self.deleted[row_id] = row


class ListedPods:
    """A ``Cloud`` of such pods for one listing.

    ``requests`` are those that were sent; ``before`` is called with each, so that
    something may happen in the middle of a page. All are of one microversion.
    """

    def __init__(
        self, listing: Listing, pods: Mapping[str, ListedPod], version: Version | None = None
    ) -> None:
        self.listing, self.pods, self._version = listing, dict(pods), version
        self.before: Callable[[str, PodRequest], None] = lambda name, request: None
        self.requests: list[tuple[str, PodRequest]] = []

    @property
    def known(self) -> list[Pod]:
        """Return the pods as the top knows them."""
        endpoint = Endpoint(Service.COMPUTE, "http://pod/v2.1")
        return [Pod(PodId(name), name, name, endpoints={Service.COMPUTE: endpoint})
                for name in self.pods]  # fmt: skip

    @asynccontextmanager
    async def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> AsyncIterator[ListedAnswer]:
        """Answer a list or an item."""
        self.requests.append((pod_id, request))
        self.before(pod_id, request)
        pod = self.pods[pod_id]
        if pod.dead:
            raise PodDead(pod_id, f"pod {pod_id} refuses connections")
        if pod.hangs:
            await asyncio.Event().wait()
        if request.path in (self.listing.path, self.listing.detail_path):
            yield pod.answer or self._list(pod, request)
        else:
            yield self._show(pod, unquote(request.path.rpartition("/")[2]))

    def is_dead(self, pod_id: PodId) -> bool:
        """Tell whether a pod is dead."""
        return self.pods[pod_id].dead

    def sort_rows(self, rows: Sequence[Row], query: str) -> list[Row]:
        """Return rows in the order a query asks for."""
        terms = self.listing.sort_plan(query, self._version).terms
        return sorted(rows, key=cmp_to_key(_comparison(terms)))

    def _list(self, pod: ListedPod, request: PodRequest) -> ListedAnswer:
        terms = self.listing.sort_plan(request.query, self._version).terms
        rows = pod.rows if pod.shuffled else self.sort_rows(pod.rows, request.query)
        by = self.listing.marker_filter
        for wanted in list_values(request.query, by.name) if by else []:
            rows = [row for row in rows if row[self.listing.id_field] == wanted]
        for marker_id in list_values(request.query, "marker"):
            marker = self._find_marker(pod, marker_id)
            if marker is None:
                return self._no_marker(marker_id)
            if pod.shuffled:
                rows = rows[rows.index(marker) + 1 :]
            else:
                rows = [row for row in rows if _follows(self.listing.dialect, terms, row, marker)]
        limits = [int(text) for text in list_values(request.query, "limit")]
        limit = min([*limits, pod.max_limit])
        page: dict[str, object] = {self.listing.collection: rows[:limit]}
        if limit and len(rows[:limit]) == limit:
            page[self.listing.links_key] = [{"rel": "next", "href": "http://pod/next"}]
        return ListedAnswer(200, json.dumps(page).encode())

    def _find_marker(self, pod: ListedPod, marker_id: str) -> Row | None:
        found = next((row for row in pod.rows if row[self.listing.id_field] == marker_id), None)
        return found or (None if pod.forgets else pod.deleted.get(marker_id))

    def _no_marker(self, marker_id: str) -> ListedAnswer:
        status = 400 if self.listing.dialect is Dialect.NOVA else 404
        return ListedAnswer(status, f"marker [{marker_id}] not found".encode())

    def _show(self, pod: ListedPod, row_id: str) -> ListedAnswer:
        row = next((row for row in pod.rows if row["id"] == row_id), None)
        if row is None:
            return ListedAnswer(404, b"{}")
        return ListedAnswer(200, json.dumps({self.listing.item: row}).encode())


def read_column(row: Row, term: SortTerm) -> object:
    """Return what the database holds where a row shows the value of a sort key.

    A column that the API does not show is ``hidden:<key>`` in a row here.
    """
    value: object = row if term.field.path else row.get(f"hidden:{term.key}")
    for step in term.field.path:
        value = value.get(step) if isinstance(value, dict) else value
    if value == term.field.blank:
        return None
    folds = isinstance(value, str) and term.field.compare is Compare.TEXT
    return value.casefold() if folds and isinstance(value, str) else value


def _comparison(terms: Sequence[SortTerm]) -> Comparison:
    def compare(one: Row, other: Row) -> int:
        for term in terms:
            first, second = read_column(one, term), read_column(other, term)
            if first == second:
                continue
            less = _is_less(first, second)
            return -1 if less != term.descending else 1
        return 0

    return compare


def _is_less(first: object, second: object) -> bool:
    """Null comes first, as in MySQL and SQLite."""
    if first is None or second is None:
        return first is None
    return bool(first < second)  # type: ignore[operator]


def _follows(dialect: Dialect, terms: Sequence[SortTerm], row: Row, marker: Row) -> bool:
    """Tell whether the WHERE of a page after ``marker`` has ``row``."""
    pairs = [(read_column(row, term), read_column(marker, term), term) for term in terms]
    if dialect is Dialect.CINDER:
        return _follows_in_cinder(pairs)
    return _follows_in_nova(pairs)


def _follows_in_nova(pairs: Sequence[tuple[object, object, SortTerm]]) -> bool:
    """As paginate_query of oslo_db/sqlalchemy/utils.py, where null equals nothing."""
    for at, (value, marked, term) in enumerate(pairs):
        if marked is None or value is None or value == marked:
            continue
        equal = all(mark is None or val == mark for val, mark, _ in pairs[:at])
        if equal and _is_less(value, marked) == term.descending:
            return True
    return False


def _follows_in_cinder(pairs: Sequence[tuple[object, object, SortTerm]]) -> bool:
    """As paginate_query of cinder/common/sqlalchemyutils.py, where null is the empty value."""
    for at, (value, marked, term) in enumerate(pairs):
        first, second = _filled(value, term), _filled(marked, term)
        if first == second:
            continue
        equal = all(_filled(val, key) == _filled(mark, key) for val, mark, key in pairs[:at])
        if equal and _is_less(first, second) == term.descending:
            return True
    return False


def _filled(value: object, term: SortTerm) -> object:
    if value is not None:
        return value
    empty: Mapping[Compare, object] = {Compare.NUMBER: 0, Compare.FLAG: False}
    return empty.get(term.field.compare, "")
