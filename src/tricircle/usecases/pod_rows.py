"""The rows of one pod for a merged list: asked for page by page, from a position on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from tricircle.core.cursor import Position
from tricircle.core.errors import PodMisbehaved
from tricircle.core.merge import PodPage, Run, read_pod_page
from tricircle.core.paging import pod_query
from tricircle.core.sorting import UnreadableRow, Values
from tricircle.interfaces.cloud import PodRequest
from tricircle.usecases.list_call import ListSource, PodAsk, PodRefusal

MAX_SCAN_PAGES = 20
"""Where a position must be looked for, at most this many of a pod's largest pages are read."""


class PodRows:
    """One pod's part in a merged list.

    ``run`` holds the rows that have arrived. ``values`` are those of the page's
    marker, for a position that has none of its own.
    """

    def __init__(
        self, source: ListSource, ask: PodAsk, position: Position | None, values: Values | None
    ) -> None:
        self.ask, self.run = ask, Run()
        self.count: int | None = None
        self.last_ask = 0
        self._source, self._values = source, values
        self._start = self._fetched = position

    async def fetch(self, size: int, timeout_s: float) -> PodRefusal | None:
        """Add the pod's next rows to ``run``, about ``size``; return the pod's refusal if any.

        Raises PodError; the service's own error when the position is lost.
        """
        self.last_ask = size
        page = await self._next_page(size, timeout_s)
        if isinstance(page, PodRefusal):
            return page
        if self.count is None:
            self.count = page.count
        try:
            if page.rows:
                self._fetched = self._position_after(page.rows[-1])
        except UnreadableRow as error:
            raise self._misbehaved(str(error)) from None
        self.run.add(page)
        return None

    def position(self, *, alone: bool) -> Position | None:
        """Return where the pod stands after the rows that were taken; None at its start.

        ``alone`` puts its own sort values in it: where the page ends does not tell.
        """
        if self.run.last is not None:
            position = self._position_after(self.run.last)
            return position if alone else replace(position, values=None)
        if self._start is None or self._start.last_id is None:
            return self._start
        return replace(self._start, values=self._values_of(self._start) if alone else None)

    async def _next_page(self, size: int, timeout_s: float) -> PodPage | PodRefusal:
        at = self._fetched
        if at is None:
            return await self._ask_page(size, None, timeout_s)
        if at.last_id is None:
            return await self._seek_value(at, size, timeout_s)
        if at.safe:
            return await self._after_marker(at, size, timeout_s)
        page = await self._seek(self._stop_after_id(at.last_id), size, timeout_s)
        if page is not None:
            return page
        if self._values_of(at) is not None:
            return await self._seek_value(at, size, timeout_s)
        return await self._after_marker(at, size, timeout_s)

    async def _after_marker(
        self, at: Position, size: int, timeout_s: float
    ) -> PodPage | PodRefusal:
        page = await self._ask_page(size, at.last_id, timeout_s)
        if not isinstance(page, PodRefusal) or page.status not in (400, 404):
            return page
        # The marker is gone, or something else is wrong: then it is without a marker, too.
        return await self._seek_value(at, size, timeout_s)

    async def _seek_value(self, at: Position, size: int, timeout_s: float) -> PodPage | PodRefusal:
        """Return the rows that sort after the position's values, reading from the start."""
        values = self._values_of(at)
        if values is None or not self._source.plan.fits(values):
            page = await self._ask_page(1, None, timeout_s)
            if isinstance(page, PodRefusal):
                return page
            raise self._source.listing.marker_not_found(at.last_id or "")
        page_or_end = await self._seek(self._stop_above(values), size, timeout_s)
        return PodPage((), False) if page_or_end is None else page_or_end

    async def _seek(
        self, stop: Callable[[Sequence[msgspec.Raw]], int | None], size: int, timeout_s: float
    ) -> PodPage | PodRefusal | None:
        """Return the pod's rows from the first that ``stop`` names; None when it names none."""
        largest = self._source.listing.max_limit
        last: msgspec.Raw | None = None
        for _ in range(MAX_SCAN_PAGES):
            marker = None if last is None else self._source.plan.id_of(last)
            page = await self._ask_page(largest, marker, timeout_s)
            if isinstance(page, PodRefusal):
                return page
            found = stop(page.rows)
            if found is not None:
                return self._cut(page, found, size, last)
            if page.rows:
                last = page.rows[-1]
            if not page.more:
                self._settle(last)
                return None
        raise self._source.listing.position_lost()

    def _cut(self, page: PodPage, found: int, size: int, last: msgspec.Raw | None) -> PodPage:
        self._settle(page.rows[found - 1] if found else last)
        # Copied, so that the skipped part of the answer is not held in memory.
        rows = [msgspec.Raw(bytes(row)) for row in page.rows[found : found + size]]
        return PodPage(rows, page.more or found + size < len(page.rows), page.count)

    def _settle(self, last_skipped: msgspec.Raw | None) -> None:
        """Keep what a search has found as the position, unless rows were merged already."""
        position = None
        if last_skipped is not None:
            found = self._position_after(last_skipped)
            position = replace(found, values=self._fetched.values if self._fetched else None)
        self._fetched = position
        if self.run.last is None and not self.run.left:
            self._start = position

    def _stop_after_id(self, row_id: str) -> Callable[[Sequence[msgspec.Raw]], int | None]:
        id_of = self._source.plan.id_of

        def stop(rows: Sequence[msgspec.Raw]) -> int | None:
            return next((at + 1 for at, row in enumerate(rows) if id_of(row) == row_id), None)

        return stop

    def _stop_above(self, values: Values) -> Callable[[Sequence[msgspec.Raw]], int | None]:
        plan = self._source.plan
        target = plan.key_of_values(values)

        def stop(rows: Sequence[msgspec.Raw]) -> int | None:
            return next(
                (at for at, row in enumerate(rows) if plan.key_of(row) > target),
                None,
            )

        return stop

    def _position_after(self, row: msgspec.Raw) -> Position:
        plan = self._source.plan
        values = plan.values_of(row)
        return Position(plan.id_of(row), values, plan.is_safe_marker(values))

    def _values_of(self, position: Position) -> Values | None:
        return self._values if position.values is None else position.values

    async def _ask_page(
        self, size: int, marker: str | None, timeout_s: float
    ) -> PodPage | PodRefusal:
        source = self._source
        query = pod_query(source.listing, self.ask.query, size, marker)
        request = PodRequest("GET", source.prefix + source.path, query, source.headers)
        async with source.cloud.send(
            self.ask.pod.id, self.ask.endpoint, request, timeout_s
        ) as response:
            body = await response.read()
        if 400 <= response.status < 500:
            return PodRefusal(self.ask.pod, response.status, response.headers, body)
        if response.status != 200:
            raise self._misbehaved(f"status {response.status}")
        try:
            return read_pod_page(source.listing, body, size)
        except UnreadableRow as error:
            raise self._misbehaved(str(error)) from None

    def _misbehaved(self, reason: str) -> PodMisbehaved:
        pod = self.ask.pod
        return PodMisbehaved(
            pod.id,
            f"pod {pod.name} gave no usable list of {self._source.listing.collection}: {reason}",
        )
