"""How large the servers of a request are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from tricircle.core.bodies import read_value
from tricircle.core.errors import MalformedBody, TricircleError
from tricircle.core.placing import Topology
from tricircle.core.weighing import Needs, flavor_needs
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.forward import Forwarder
from tricircle.gateway.request import Inbound, Target
from tricircle.interfaces.clock import Clock

REMEMBERED_S = 60.0
"""Seconds for which a flavor's sizes are remembered; they never change while it lives."""
_MOST = 1000
_DEVICES = ("server.block_device_mapping_v2", "server.block_device_mapping")


class ServerNeeds:
    """Reads flavors from a pod, with the caller's own token; it is the same in all of them."""

    def __init__(
        self, forwarder: Forwarder, topology: Callable[[], Topology], clock: Clock
    ) -> None:
        self._pods, self._clock = AnyPod(forwarder, topology), clock
        self._known: OrderedDict[str, tuple[float, Needs]] = OrderedDict()

    async def of(self, inbound: Inbound) -> Needs:
        """Return what ``POST /servers`` asks for at least."""
        flavor = read_value(inbound.body, "server.flavorRef")
        if not isinstance(flavor, str | int) or not str(flavor).strip("/"):
            return Needs()
        needs = await self._size_of(inbound, str(flavor).strip("/").rpartition("/")[2])
        if any(read_value(inbound.body, place) for place in _DEVICES):
            needs = replace(needs, disk_gib=0)  # its disk is a volume
        return needs.times(_count(inbound.body))

    async def _size_of(self, inbound: Inbound, flavor_id: str) -> Needs:
        until_s, needs = self._known.get(flavor_id, (-1.0, Needs()))
        if self._clock.now_s() < until_s:
            return needs
        path = f"/flavors/{quote(flavor_id, safe='')}"
        target = Target(inbound.target.api, inbound.target.project, path)
        asking = replace(inbound, method="GET", target=target, query="", body=b"")
        try:
            answer = await self._pods.ask(asking)
        except TricircleError:
            return Needs()
        if answer.status != 200:
            return Needs()
        needs = _read_flavor(answer.body)
        self._known[flavor_id] = (self._clock.now_s() + REMEMBERED_S, needs)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return needs


def _read_flavor(body: bytes) -> Needs:
    try:
        flavor = read_value(body, "flavor")
    except MalformedBody:
        return Needs()
    return flavor_needs(flavor) if isinstance(flavor, dict) else Needs()


def _count(body: bytes) -> int:
    """Return how many servers there must be at least; what is no count the pod will refuse."""
    value = read_value(body, "server.min_count")
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 6 else 1
