"""One page of what pods hold, pod after pod, as Nova goes through its cells.

These lists have no order that could be compared: within a pod it is that of a column
that nobody sees. So pods come one after the other, by name, and a page is what is left
of one and the beginning of the next. The marker alone says where a page begins, because
one pod has it; the ``next`` link names that pod as well, so that the list goes on when
it has died meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tricircle.core.bodies import read_values
from tricircle.core.bodies import replace as replace_value
from tricircle.core.cursor import CURSOR_PARAMETER
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Pod, PodId
from tricircle.core.paging import read_plain_limit
from tricircle.core.pod_numbers import number_pods
from tricircle.core.query import escape_query, list_values, with_parameter, without_parameters
from tricircle.core.table import Aggregate, Pages
from tricircle.gateway.answers import Answer
from tricircle.gateway.asking import Asker, Heard, Said
from tricircle.gateway.forward import Outbound

_ABSENT = (400, 404)
_NOBODY = "0"
"""A number that no pod gives to anything."""

Asks = Sequence[tuple[Pod, Outbound]]


@dataclass(slots=True)
class _Turn:
    """A pod's turn in a page: what it has answered, and to what."""

    said: Said
    outbound: Outbound


@dataclass(frozen=True, slots=True)
class _Marker:
    """Where a page begins: ``text`` as the client wrote it, ``pod_text`` as its pod knows it.

    ``pod_id`` is the pod, when the client's request tells it.
    """

    text: str
    pod_text: str
    pod_id: PodId | None


class Walk:
    """The way through the pods for one page.

    ``taken`` are the answers that make up the page, ``silent`` the pods missing from it.
    """

    def __init__(self, asker: Asker, pages: Pages, strategy: Aggregate, query: str) -> None:
        self._asker, self._pages, self._strategy, self._query = asker, pages, strategy, query
        self._limit = read_plain_limit(query)
        self._left = self._limit or 0
        self._turns: list[_Turn] = []
        self.taken: list[Said] = []
        self.silent: list[Pod] = []

    async def begin(self, asks: Asks) -> Answer | None:
        """Ask the pods that the page may come from; return a refusal that is the answer."""
        marker = self._read_marker()
        if marker is None:
            heard = await self._asker.ask(asks, self._strategy.zones)
        else:
            asks = [(pod, _with_marker(outbound, marker.pod_text)) for pod, outbound in asks]
            heard = await self._from_marker(asks, marker)
        refusal = heard.find_refusal()
        if refusal is not None:
            return refusal if marker is None else _in_clients_words(refusal, marker)
        self.silent = list(heard.missing)
        outbounds = {pod.id: outbound for pod, outbound in asks}
        self._turns += [_Turn(one, outbounds[one.pod.id]) for one in heard.good]
        for turn in self._turns[0 if marker is None else 1 :]:
            turn.outbound = _without_marker(turn.outbound)
        return None

    async def fill(self) -> None:
        """Take rows of one pod after the other until the page is full."""
        for turn in self._turns:
            if self._limit is not None and self._left <= 0:
                return
            await self._take(turn)

    def next_query(self) -> str | None:
        """Return the query of the next page; None where the service would give no link."""
        if self._limit is None or self._left > 0 or not self.taken:
            return None
        last = self.taken[-1]
        marker = _linked_marker(last, self._pages) or _last_row(last, self._pages)
        if self._strategy.numbers and marker.isdigit():
            numbers = number_pods(self._asker.topology().pods)
            marker = str(numbers.to_top(last.pod.id, int(marker)))
        query = escape_query(without_parameters(self._query, ("marker", CURSOR_PARAMETER)))
        query = with_parameter(query, "marker", marker)
        return with_parameter(query, CURSOR_PARAMETER, last.pod.id)

    def _read_marker(self) -> _Marker | None:
        markers = list_values(self._query, "marker")
        if not markers:
            return None
        text = markers[-1]
        if not self._strategy.numbers:
            named = list_values(self._query, CURSOR_PARAMETER)
            known = [pod.id for pod in self._asker.pods() if named[-1:] == [pod.id]]
            return _Marker(text, text, known[0] if known else None)
        at = number_pods(self._asker.topology().pods).from_top(text)
        if at is None:
            # What a pod calls so is another row: none must find it.
            return _Marker(text, _NOBODY if text.isdigit() else text, None)
        return _Marker(text, str(at[1]), at[0])

    async def _from_marker(self, asks: Asks, marker: _Marker) -> Heard:
        """Return the answers of the pod that has the marker and of those after it.

        A pod that does not have it says 400. Raises ServiceUnavailable when it may be in a
        pod that does not answer.
        """
        known = [(pod, outbound) for pod, outbound in asks if pod.id == marker.pod_id]
        heard = await self._asker.ask(known or asks, self._strategy.zones)
        if heard.good:
            first = heard.good[:1]
            at, silent = first[0].pod.id, []
        elif known and heard.silent:
            first, at, silent = [], known[0][0].id, list(heard.silent)
        else:
            _check_absent(heard)
            return heard
        place = [pod.id for pod, _ in asks].index(at)
        rest = [(pod, _without_marker(outbound)) for pod, outbound in asks[place + 1 :]]
        later = await self._asker.ask(rest, self._strategy.zones)
        return Heard([*first, *later.said], [*silent, *later.silent])

    async def _take(self, turn: _Turn) -> None:
        """Take a pod's rows: it is asked again for fewer where it gave too many.

        And for more, where its own largest page is smaller than what is wanted.
        """
        said: Said | None = turn.said
        if self._limit is not None and _count_rows(turn.said, self._pages) > self._left:
            said = await self._ask_again(turn)
        while said is not None:
            self.taken.append(said)
            self._left -= _count_rows(said, self._pages)
            marker = _linked_marker(said, self._pages)
            if self._limit is None or self._left <= 0 or marker is None:
                return
            turn.outbound = _with_marker(turn.outbound, marker)
            said = await self._ask_again(turn)

    async def _ask_again(self, turn: _Turn) -> Said | None:
        pod, query = turn.said.pod, without_parameters(turn.outbound.query, ("limit",))
        outbound = replace(turn.outbound, query=with_parameter(query, "limit", str(self._left)))
        heard = await self._asker.ask([(pod, outbound)], self._strategy.zones)
        if heard.good:
            return heard.good[0]
        self.silent.append(pod)
        return None


def _check_absent(heard: Heard) -> None:
    """Raise ServiceUnavailable when only a pod that does not answer can have a marker."""
    others = [one for one in heard.said if one.answer.status not in _ABSENT]
    if heard.silent and not others:
        names = ", ".join(pod.name for pod in heard.silent)
        raise ServiceUnavailable(
            f"the marker is in no pod that answers, and these do not answer: {names}; please retry"
        )


def _in_clients_words(refusal: Answer, marker: _Marker) -> Answer:
    """Return a pod's refusal of a marker with the marker that the client sent."""
    if refusal.status != 400 or marker.text == marker.pod_text:
        return refusal
    old, new = f"[{marker.pod_text}]", f"[{marker.text}]"

    def change(value: object) -> object:
        return value.replace(old, new) if isinstance(value, str) else value

    return replace(refusal, body=replace_value(refusal.body, "badRequest.message", change))


def _with_marker(outbound: Outbound, marker: str) -> Outbound:
    query = with_parameter(_without_marker(outbound).query, "marker", marker)
    return replace(outbound, query=query)


def _without_marker(outbound: Outbound) -> Outbound:
    return replace(outbound, query=without_parameters(outbound.query, ("marker",)))


def _count_rows(said: Said, pages: Pages) -> int:
    return len(read_values(said.answer.body, pages.rows))


def _last_row(said: Said, pages: Pages) -> str:
    rows = read_values(said.answer.body, pages.rows)
    return str(rows[-1]) if rows else ""


def _linked_marker(said: Said, pages: Pages) -> str | None:
    """Return the marker in a pod's own link to its next page."""
    for href in read_values(said.answer.body, f"{pages.links}[].href"):
        values = list_values(urlsplit(str(href)).query, "marker")
        if values:
            return values[-1]
    return None
