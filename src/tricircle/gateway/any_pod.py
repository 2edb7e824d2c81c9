"""One pod, whichever: for what every pod would answer alike."""

from __future__ import annotations

from collections.abc import Callable

from tricircle.core.errors import PodDead, PodError, ServiceUnavailable
from tricircle.core.model import Pod
from tricircle.core.placing import Topology
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.request import Inbound

_READING = frozenset({"GET", "HEAD"})


class AnyPod:
    """Asks the first pod that can be asked, living ones before dead ones, then by name."""

    def __init__(self, forwarder: Forwarder, topology: Callable[[], Topology]) -> None:
        self._forwarder, self._topology = forwarder, topology

    async def ask(self, inbound: Inbound, zones: tuple[str, ...] = ()) -> Answer:
        """Return what a pod answers, the zone names at ``zones`` made the top's.

        A pod that may have acted is the last one asked for a change: nothing is done
        twice. Raises PodError, ServiceUnavailable when there is no pod.
        """
        may_repeat = inbound.method in _READING
        error: PodError | None = None
        outbound = Outbound.of(inbound)
        for pod in await self._in_order(outbound):
            try:
                return await self._forwarder.send(pod, outbound, zones)
            except PodError as failed:
                if not may_repeat and not isinstance(failed, PodDead):
                    raise
                error = failed
        raise error or ServiceUnavailable(
            "no pod can be asked; an operator adds one with the Admin API"
        )

    async def _in_order(self, outbound: Outbound) -> list[Pod]:
        """Return the pods, those last that are known not to have yet what the path names."""
        pods = self.list_pods()
        lacking = await self._forwarder.names.list_lacking(pods, outbound)
        return [*(pod for pod in pods if pod not in lacking), *lacking]

    def list_pods(self) -> list[Pod]:
        """Return the pods that have the gateway's service, in the order they are asked."""
        service, cloud = self._forwarder.service, self._forwarder.cloud
        pods = [pod for pod in self._topology().pods if service in pod.endpoints]
        return sorted(pods, key=lambda pod: (cloud.is_dead(pod.id), pod.name))
