"""``GET /os-baremetal-nodes``: the nodes of every pod that has an Ironic.

A Nova without one answers 500 (34.0.0 and 31.0.0); such a pod has no nodes, and only
where no pod has any is that the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tricircle.core.bodies import encode
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Pod
from tricircle.core.table import Match
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.usecases.fanout import Done, fan_out

_read_nodes = msgspec.json.Decoder(dict[str, list[msgspec.Raw]]).decode


class BaremetalNodes:
    """Asks all pods for nodes of Ironic."""

    def __init__(
        self, forwarder: Forwarder, any_pod: AnyPod, profile: Profile, timeout_s: float
    ) -> None:
        self._forwarder, self._any_pod = forwarder, any_pod
        self._profile, self._timeout_s = profile, timeout_s

    async def list_nodes(self, inbound: Inbound, match: Match) -> Answer:
        """Return the nodes of all pods, or what a pod says when none has any."""
        answers, missing = await self._ask_all(inbound)
        good = [one for one in answers if one.status == 200]
        if not good:
            return _first(answers, missing)
        try:
            nodes = [node for one in good for node in _read_nodes(one.body)["nodes"]]
        except (msgspec.DecodeError, KeyError):
            raise ServiceUnavailable("a pod gave no usable list of nodes; please retry") from None
        headers = [JSON, *self._profile.version_headers(inbound.version), *missing_header(missing)]
        return Answer(200, headers, encode({"nodes": nodes}))

    async def show_node(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the pod that has a node; else that it is nowhere."""
        answers, missing = await self._ask_all(inbound)
        for status in (200, 404):
            found = [one for one in answers if one.status == status]
            if found and (status == 200 or not missing):
                return found[0]
        return _first([one for one in answers if one.status != 404], missing)

    async def _ask_all(self, inbound: Inbound) -> tuple[list[Answer], list[Pod]]:
        """Return what the pods answer, in the order of their names, and who does not."""
        pods = sorted(self._any_pod.list_pods(), key=lambda pod: pod.name)
        outcomes = await fan_out(
            {pod.id: self._call(pod, inbound) for pod in pods}, timeout_s=self._timeout_s
        )
        answers = [one.value for one in outcomes.values() if isinstance(one, Done)]
        return answers, [pod for pod in pods if not isinstance(outcomes[pod.id], Done)]

    def _call(self, pod: Pod, inbound: Inbound) -> Callable[[], Awaitable[Answer]]:
        return lambda: self._forwarder.send(pod, Outbound.of(inbound))


def _first(answers: Sequence[Answer], missing: Sequence[Pod]) -> Answer:
    if answers:
        return answers[0]
    names = ", ".join(pod.name for pod in missing) or "there are none"
    raise ServiceUnavailable(f"no pod can be asked for nodes ({names}); please retry later")
