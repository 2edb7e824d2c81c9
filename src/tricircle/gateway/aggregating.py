"""The ``Aggregate`` strategy: all pods are asked the same, one answer is made of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from tricircle.core.bodies import read_value, remove_value, set_value
from tricircle.core.cursor import CURSOR_PARAMETER
from tricircle.core.errors import MalformedBody, ServiceUnavailable
from tricircle.core.joining import Part, join
from tricircle.core.model import Pod
from tricircle.core.pod_numbers import number_pods
from tricircle.core.query import list_values, replace_values, with_parameter, without_parameters
from tricircle.core.table import Aggregate, Pages
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.asking import Asker, Heard, Said, number_ids, split_host
from tricircle.gateway.forward import Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.gateway.walking import Walk

_INTERNAL_ZONE = "internal"
"""Nova's zone of services that run no servers: every pod has it."""


class Aggregator:
    """Answers requests for sums and for lists that have no order of their own."""

    def __init__(self, asker: Asker, profile: Profile) -> None:
        self._asker, self._profile = asker, profile

    async def aggregate(self, inbound: Inbound, strategy: Aggregate) -> Answer:
        """Return one answer made of all pods'."""
        pods, asked = self._in_body(inbound, strategy)
        asks = self._asks(pods, asked, strategy)
        pages = strategy.pages
        if pages is None or any(list_values(inbound.query, name) for name in pages.whole):
            heard = await self._asker.ask(asks, strategy.zones)
            return self._answer(inbound, strategy, heard)
        return await self._page(inbound, strategy, pages, asks)

    def _in_body(self, inbound: Inbound, strategy: Aggregate) -> tuple[list[Pod], Inbound]:
        """Return the pods that a body names, or all, and the request as these are asked."""
        pods, body = self._asker.pods(), inbound.body
        for place in strategy.host_places:
            name = _read(body, place)
            pod, host = split_host(pods, name) if isinstance(name, str) else (None, "")
            if pod is not None:
                pods, body = [pod], set_value(body, place, host)
        number = _read(body, strategy.number_place) if strategy.number_place else None
        if isinstance(number, int | str) and str(number).isdecimal():
            topology = self._asker.topology()
            at = number_pods(topology.pods).from_top(str(number))
            pods = [pod for pod in pods if at is None or pod.id == at[0]]
            # What a pod calls so is another thing: none must find it.
            body = set_value(body, strategy.number_place, at[1] if at is not None else 0)
        return pods, replace(inbound, body=body)

    def _asks(
        self, pods: list[Pod], inbound: Inbound, strategy: Aggregate
    ) -> list[tuple[Pod, Outbound]]:
        """Return what each pod is asked; a filter may leave some out."""
        queries = {pod.id: inbound.query for pod in pods}
        hosts = list_values(inbound.query, strategy.host_filter) if strategy.host_filter else []
        if hosts:
            pod, host = split_host(pods, hosts[-1])
            pods = pods if pod is None else [pod]
            query = replace_values(inbound.query, strategy.host_filter, lambda _: host)
            queries = {pod.id: query for pod in pods}
        zones = list_values(inbound.query, strategy.zone_filter) if strategy.zone_filter else []
        if zones and zones[-1] not in ("", _INTERNAL_ZONE):
            names = {pod.id: self._pod_zone(pod, zones[-1]) for pod in pods}
            queries = {
                pod.id: _with_value(queries[pod.id], strategy.zone_filter, names[pod.id])
                for pod in pods
            }
        whole = Outbound.of(inbound)
        return [(pod, replace(whole, query=queries[pod.id])) for pod in pods]

    def _pod_zone(self, pod: Pod, zone: str) -> str:
        """Return what a pod calls a zone of the top.

        One that it does not serve is a name that no zone has: Nova wants none with a colon.
        """
        entries = self._asker.topology().pod_zones(zone)
        return next((one.pod_az or zone for one in entries if one.pod_id == pod.id), f":{zone}")

    def _answer(self, inbound: Inbound, strategy: Aggregate, heard: Heard) -> Answer:
        refusal = heard.find_refusal()
        if refusal is not None and not (strategy.lenient and heard.good):
            return refusal
        self._check_complete(heard)
        said = [self._numbered(one, strategy) for one in heard.good]
        return self._joined(inbound, strategy, said, heard.missing)

    def _numbered(self, one: Said, strategy: Aggregate) -> Said:
        topology = self._asker.topology()
        return replace(one, answer=number_ids(topology, one.pod, one.answer, strategy.numbers))

    def _joined(
        self, inbound: Inbound, strategy: Aggregate, said: Sequence[Said], silent: Sequence[Pod]
    ) -> Answer:
        first = said[0].answer
        if not first.body:
            return replace(first, headers=[*first.headers, *missing_header(silent)])
        try:
            body = join(strategy.joint, [Part(one.pod.name, one.answer.body) for one in said])
        except MalformedBody as error:
            raise ServiceUnavailable(f"{error}; an operator must look at the pods") from error
        headers = [JSON, *self._profile.version_headers(inbound.version)]
        return Answer(first.status, [*headers, *missing_header(silent)], body)

    def _check_complete(self, heard: Heard) -> None:
        if heard.missing and (not heard.good or not self._asker.partial):
            names = ", ".join(pod.name for pod in heard.missing)
            raise ServiceUnavailable(f"these pods do not answer: {names}; please retry later")
        if not heard.good:
            raise ServiceUnavailable("no pod can be asked; an operator adds one with the Admin API")

    # Pages.

    async def _page(
        self,
        inbound: Inbound,
        strategy: Aggregate,
        pages: Pages,
        asks: Sequence[tuple[Pod, Outbound]],
    ) -> Answer:
        """Return one page: pods by name, each in its own order, beginning after the marker."""
        walk = Walk(self._asker, pages, strategy, inbound.query)
        refusal = await walk.begin([(pod, _asked(outbound, pages)) for pod, outbound in asks])
        if refusal is not None:
            return refusal
        await walk.fill()
        self._check_complete(Heard(walk.taken, walk.silent))
        said = [self._numbered(one, strategy) for one in walk.taken]
        answer = self._joined(inbound, strategy, said, walk.silent)
        body = _as_asked(answer.body, inbound.query, pages)
        link = walk.next_query()
        if link is not None:
            target = inbound.target
            root = f"{inbound.top_root}/{target.api}{target.prefix}{target.path}"
            body = set_value(body, pages.links, [{"rel": "next", "href": f"{root}?{link}"}])
        return replace(answer, body=body)


def _read(body: bytes, place: str) -> object:
    """Return what is at a place in a body, None in one that the pods will refuse."""
    try:
        return read_value(body, place)
    except MalformedBody:
        return None


def _with_value(query: str, name: str, value: str) -> str:
    return replace_values(query, name, lambda _: value)


def _asked(outbound: Outbound, pages: Pages) -> Outbound:
    """Return what a pod is asked, so that it shows all rows."""
    query = without_parameters(outbound.query, (pages.shown_by, CURSOR_PARAMETER))
    if pages.shown_by:
        query = with_parameter(query, pages.shown_by, "1")
    return replace(outbound, query=query)


def _as_asked(body: bytes, query: str, pages: Pages) -> bytes:
    """Return a page without links of pods, and without what the client did not ask for."""
    body = remove_value(body, pages.links)
    shown = list_values(query, pages.shown_by)[:1] if pages.shown_by else []
    return _without(body, pages.hidden) if pages.hidden and shown != ["1"] else body


def _without(body: bytes, place: str) -> bytes:
    """Return a body without a key in each object of an array: ``list[].key``."""
    collection, _, key = place.partition("[].")
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        rows = msgspec.json.decode(fields[collection], type=list[dict[str, msgspec.Raw]])
    except (msgspec.DecodeError, KeyError):
        raise MalformedBody("a pod's answer is not the JSON it must be") from None
    for row in rows:
        row.pop(key, None)
    return msgspec.json.encode({**fields, collection: rows})
