"""The ``Merge`` strategy: one list out of all pods, in the service's own form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from tricircle.core.bodies import encode
from tricircle.core.errors import NotFound
from tricircle.core.headers import strip_pod_headers
from tricircle.core.model import Kind, Pod
from tricircle.core.partial import LinkRoots
from tricircle.core.placing import Topology
from tricircle.core.query import list_values, replace_values
from tricircle.core.table import Merge, Naming
from tricircle.gateway.answers import JSON, Answer, Header
from tricircle.gateway.asking import split_host
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.usecases.list_call import ListCall, ListWorld, MergedPage, PodAsk, PodRefusal
from tricircle.usecases.listing import list_merged
from tricircle.usecases.locate import Locator

_ZONE = "availability_zone"
_HOST = "host"
_FORBIDDEN = 403
MISSING_PODS = b"x-tricircle-missing-pods"
"""Header that names the pods whose rows are not in a list."""

PageHook = Callable[[Inbound, Sequence[Pod], Sequence[bytes]], Awaitable[Sequence[bytes]]]
"""Returns the rows of a page, which are of these pods, as they are to be given."""


@dataclass(frozen=True, slots=True)
class Merger:
    """Answers list requests; one object for each gateway."""

    forwarder: Forwarder
    locator: Locator
    world: ListWorld
    topology: Callable[[], Topology]
    profile: Profile
    hooks: Mapping[str, PageHook] = field(default_factory=dict)

    async def merge(self, inbound: Inbound, strategy: Merge) -> Answer:
        """Return one page of a list over all pods that may hold something of it."""
        call = self._make_call(inbound, strategy)
        asks = await self._named(inbound, self._asks(inbound))
        outcome = await list_merged(self.world, call, asks)
        if isinstance(outcome, PodRefusal):
            return await self._refusal(inbound, strategy, outcome)
        if strategy.hook is not None:
            pods = [pod for pod in self.topology().pods if pod not in outcome.missing]
            items = await self.hooks[strategy.hook](inbound, pods, outcome.items)
            outcome = replace(outcome, items=items)
        naming = _naming_of_rows(inbound.naming, strategy)
        items = await self.forwarder.names.items_for_client(
            naming, outcome.items, inbound.request_id
        )
        return self._page(inbound, strategy, replace(outcome, items=items))

    async def _named(self, inbound: Inbound, asks: Sequence[PodAsk]) -> Sequence[PodAsk]:
        """Return what pods are asked with their own ids in the query."""
        whole = Outbound.of(inbound)
        named = await self.forwarder.names.for_pods(
            [(ask.pod, replace(whole, query=ask.query)) for ask in asks]
        )
        return [replace(ask, query=one.query) for ask, one in zip(asks, named, strict=True)]

    def _asks(self, inbound: Inbound) -> list[PodAsk]:
        """Return the pods to ask; a filter by zone chooses them and is put in their words.

        A host may be ``pod:host``: then that pod alone is asked.
        """
        zones, hosts = list_values(inbound.query, _ZONE), list_values(inbound.query, _HOST)
        pods = [pod for pod in self.topology().pods if self.profile.service in pod.endpoints]
        only, host = split_host(pods, hosts[-1]) if hosts else (None, "")
        asks = []
        for pod in pods if only is None else [only]:
            query = inbound.query
            if only is not None:
                query = replace_values(query, _HOST, _always(host))
            if zones:
                names = self._pod_zones(pod, zones[-1])
                if not names:
                    continue
                query = replace_values(query, _ZONE, _always(names[0]))
            asks.append(PodAsk(pod, self.forwarder.endpoint(pod, inbound), query))
        return asks

    def _pod_zones(self, pod: Pod, zone: str) -> list[str]:
        """Return what a pod calls a zone of the top; nothing when it does not serve it."""
        return [
            entry.pod_az or zone
            for entry in self.topology().pod_zones(zone)
            if entry.pod_id == pod.id
        ]

    def _make_call(self, inbound: Inbound, strategy: Merge) -> ListCall:
        target, root = inbound.target, inbound.top_root

        def edit(pod: Pod, item: bytes) -> bytes:
            return self.forwarder.edit_item(pod, root, item, strategy.zones)

        return ListCall(
            listing=strategy.listing,
            query=inbound.query,
            project_id=inbound.caller.project_id,
            version=inbound.version,
            headers=self.forwarder.pod_headers(inbound),
            prefix=target.prefix,
            roots=LinkRoots(f"{root}/{target.api}{target.prefix}", f"{root}{target.prefix}"),
            edit=edit,
            locate=self._make_locate(inbound, strategy.listing.kind),
        )

    def _make_locate(
        self, inbound: Inbound, kind: Kind | None
    ) -> Callable[[str], Awaitable[PodAsk | None]]:
        async def locate(top_id: str) -> PodAsk | None:
            if kind is None:
                return None
            try:
                place = await self.locator.locate(kind, top_id, inbound.caller)
            except NotFound:
                return None
            pod = self.topology().find_pod(place.pod_id)
            if pod is None:
                return None
            return PodAsk(pod, self.forwarder.endpoint(pod, inbound), "")

        return locate

    def _page(self, inbound: Inbound, strategy: Merge, page: MergedPage) -> Answer:
        listing, target = strategy.listing, inbound.target
        body: dict[str, object] = {listing.collection: [msgspec.Raw(item) for item in page.items]}
        if page.next_query is not None and listing.linked:
            href = f"{inbound.top_root}/{target.api}{target.prefix}{listing.path}?{page.next_query}"
            body[listing.links_key] = [{"rel": "next", "href": href}]
        if page.count is not None:
            body["count"] = page.count
        headers = [JSON, *self.profile.version_headers(inbound.version)]
        headers += missing_header(page.missing)
        return Answer(200, headers, encode(body))

    async def _refusal(self, inbound: Inbound, strategy: Merge, refusal: PodRefusal) -> Answer:
        """Return the pod's refusal.

        Its policy names the list that was asked for, which is the detailed one where the
        short one is not enough to sort by: then the pod is asked as the client asked.
        """
        listing = strategy.listing
        if refusal.status == _FORBIDDEN and listing.path != listing.detail_path:
            answer = await self.forwarder.send(refusal.pod, Outbound.of(inbound))
            if answer.status == _FORBIDDEN:
                return answer
        body = self.forwarder.edit_item(refusal.pod, inbound.top_root, refusal.body, ())
        answer = Answer(refusal.status, strip_pod_headers(refusal.headers), body)
        return await self.forwarder.names.for_client(inbound.naming, answer, inbound.request_id)


def _naming_of_rows(naming: Naming | None, strategy: Merge) -> Naming | None:
    """Return where a row of a list names what all pods have alike."""
    if naming is None:
        return None
    above = f"{strategy.listing.collection}[]."
    places = [place.removeprefix(above) for place in naming.answer if place.startswith(above)]
    return replace(naming, answer=tuple(places))


def _always(text: str) -> Callable[[str], str]:
    return lambda _: text


def missing_header(missing: Sequence[Pod]) -> list[Header]:
    """Return the header that names pods which are not in an answer, if there are any."""
    if not missing:
        return []
    return [(MISSING_PODS, ",".join(sorted(pod.name for pod in missing)).encode())]
