"""Where a page of a merged list begins in each pod, and where it ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from tricircle.core.bodies import set_value
from tricircle.core.cursor import (
    MAX_LINK_CURSOR_CHARS,
    Cursor,
    Position,
    cursor_from_text,
    cursor_to_text,
    decode_cursor,
    encode_cursor,
    position_key,
)
from tricircle.core.errors import (
    BadInput,
    PodError,
    PodMisbehaved,
    ServiceUnavailable,
)
from tricircle.core.merge import MarkerFilter, read_pod_page
from tricircle.core.model import PodId
from tricircle.core.paging import PageAsk, next_query
from tricircle.core.query import list_values, with_parameter
from tricircle.core.sorting import UnreadableRow, Values
from tricircle.core.versions import STANDARD_HEADER
from tricircle.interfaces.cloud import PodRequest
from tricircle.interfaces.store import PositionStore
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.list_call import ListCall, ListSource, ListWorld, PodAsk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a page begins.

    ``default`` is for pods that ``positions`` does not name; None is their start.
    ``values`` are the sort values of the row before the page, as far as known.
    """

    positions: Mapping[PodId, Position]
    default: Position | None = None
    values: Values | None = None

    def position_of(self, pod_id: PodId) -> Position | None:
        """Return where a pod begins; None at its first row."""
        return self.positions.get(pod_id, self.default)


class Positions:
    """Finds where one page begins and keeps where it ends."""

    def __init__(
        self, world: ListWorld, call: ListCall, source: ListSource, list_hash: str
    ) -> None:
        self._world, self._call, self._source = world, call, source
        self._list_hash = list_hash

    async def find_resume(self, page: PageAsk, asks: Sequence[PodAsk]) -> Resume:
        """Return where the page after ``page.marker`` begins in each pod.

        The link's cursor knows; else positions that were kept; else the marker's row
        is read from its pod, and the other pods are searched for the place it would
        have there. Raises BadInput for a cursor that is not ours, and the service's
        own error for a marker that does not exist.
        """
        cursor = None if page.cursor is None else cursor_from_text(page.cursor)
        if page.marker is None:
            return Resume({})
        if cursor is None or (cursor.list_hash, cursor.last_id) != (self._list_hash, page.marker):
            cursor = await self._find_kept(page.marker)
        if cursor is not None:
            return Resume(cursor.positions, None, cursor.values)
        if len(asks) == 1:
            safe = self._source.plan.is_safe_marker(None)
            return Resume({}, Position(page.marker, safe=safe))
        if self._source.listing.marker_filter is not None:
            return await self._look_for(page.marker, self._source.listing.marker_filter, asks)
        return await self._locate(page.marker)

    async def keep(self, last: msgspec.Raw, positions: Mapping[PodId, Position]) -> str:
        """Return the query of the ``next`` link after a page that ends with ``last``.

        Keeps the positions as well, for a client that sends only the marker.
        """
        plan = self._source.plan
        cursor = Cursor(self._list_hash, plan.id_of(last), plan.values_of(last), positions)
        data = encode_cursor(cursor)
        text: str | None = cursor_to_text(data)
        kept = await self._keep(cursor.last_id, data)
        if kept and text is not None and len(text) > MAX_LINK_CURSOR_CHARS:
            text = None
        return next_query(self._source.listing, self._call.query, cursor.last_id, text)

    async def _keep(self, last_id: str, data: bytes) -> bool:
        key = position_key(self._list_hash, last_id)
        try:
            await self._store.keep_position(key, data, self._world.position_ttl_s)
        except ServiceUnavailable as error:
            log.warning("list position not kept", extra={"reason": str(error)})
            return False
        return True

    async def _find_kept(self, marker: str) -> Cursor | None:
        try:
            data = await self._store.find_position(position_key(self._list_hash, marker))
        except ServiceUnavailable as error:
            log.warning("kept list positions not readable", extra={"reason": str(error)})
            return None
        if data is None:
            return None
        try:
            return decode_cursor(data)
        except BadInput:
            return None

    async def _locate(self, marker: str) -> Resume:
        """Return positions by value: the marker's own pod goes on from its row."""
        listing, plan = self._source.listing, self._source.plan
        ask = await self._call.locate(marker)
        if ask is None:
            raise listing.marker_not_found(marker)
        values = await self._read_values(ask, marker)
        if values is None:
            keys = ", ".join(term.key for term in plan.terms)
            raise BadInput(
                f"the position of marker {marker} is no longer known, and lists sorted by {keys} "
                "cannot be searched for it; follow the 'next' link, or list from the start"
            )
        own = Position(marker, safe=plan.is_safe_marker(values))
        return Resume({ask.pod.id: own}, Position(None, values), values)

    async def _look_for(self, marker: str, by: MarkerFilter, asks: Sequence[PodAsk]) -> Resume:
        """Return positions by value, of a marker that all pods are asked for.

        Where a pod refuses, the page begins at the start: it will refuse that as well.
        """
        listing, plan = self._source.listing, self._source.plan
        timeout_s = self._world.timeout_s
        outcomes = await fan_out(
            {ask.pod.id: _MarkerCall(self._source, ask, marker, by, timeout_s) for ask in asks},
            timeout_s=timeout_s,
        )
        silent = []
        for ask in asks:
            match outcomes[ask.pod.id]:
                case Done(None):
                    pass
                case Done(_Refused()):
                    return Resume({})
                case Done(msgspec.Raw() as row):
                    values = plan.values_of(row)
                    own = Position(marker, safe=plan.is_safe_marker(values))
                    return Resume({ask.pod.id: own}, Position(None, values), values)
                case Failed():
                    silent.append(ask.pod.name)
        if silent:
            raise ServiceUnavailable(
                f"the list cannot go on after {marker}: it is in no pod that answers, and these "
                f"do not answer: {', '.join(silent)}; please retry"
            )
        raise listing.marker_not_found(marker)

    async def _read_values(self, ask: PodAsk, marker: str) -> Values | None:
        """Return the sort values of the marker's row; None when it does not show them all."""
        source = self._source
        path = source.prefix + source.listing.item_path(quote(marker, safe=""))
        request = PodRequest("GET", path, headers=source.headers)
        timeout_s = self._world.timeout_s
        try:
            async with source.cloud.send(ask.pod.id, ask.endpoint, request, timeout_s) as response:
                body = await response.read()
        except PodError as error:
            raise ServiceUnavailable(f"the list cannot go on after {marker}: {error}") from error
        if 400 <= response.status < 500:
            raise source.listing.marker_not_found(marker)
        try:
            item = _decode_item(body)[source.listing.item]
            return source.plan.values_of(item)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, UnreadableRow):
            what = f"{source.listing.item} {marker}"
            raise PodMisbehaved(ask.pod.id, f"pod {ask.pod.name} gave no usable {what}") from None

    @property
    def _store(self) -> PositionStore:
        return self._world.positions


@dataclass(frozen=True, slots=True)
class _Refused:
    """A pod's refusal to show a marker's row."""


@dataclass(frozen=True, slots=True)
class _MarkerCall:
    """Asks a pod for the row of a marker, with the list's own filter for it."""

    source: ListSource
    ask: PodAsk
    marker: str
    by: MarkerFilter
    timeout_s: float

    async def __call__(self) -> msgspec.Raw | _Refused | None:
        """Return the row, named by the marker; None when the pod has none. Raises PodError."""
        source, ask = self.source, self.ask
        headers = [pair for pair in source.headers if pair[0] != STANDARD_HEADER]
        headers.append((STANDARD_HEADER, f"compute {self.by.version}".encode()))
        query = with_parameter("", self.by.name, self.marker)
        for name in self.by.along:
            for value in list_values(ask.query, name)[-1:]:
                query = with_parameter(query, name, value)
        path = source.prefix + source.listing.path
        request = PodRequest("GET", path, query, headers)
        async with source.cloud.send(ask.pod.id, ask.endpoint, request, self.timeout_s) as response:
            body = await response.read()
        if 400 <= response.status < 500:
            return _Refused()
        try:
            rows = read_pod_page(source.listing, body, 1).rows
        except UnreadableRow as error:
            raise PodMisbehaved(ask.pod.id, f"pod {ask.pod.name}: {error}") from None
        if not rows:
            return None
        return msgspec.Raw(set_value(bytes(rows[0]), source.listing.id_field, self.marker))


_decode_item = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
