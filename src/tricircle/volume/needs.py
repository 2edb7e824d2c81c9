"""The type of volumes that name none, which is a project's own."""

from __future__ import annotations

from dataclasses import replace

from tricircle.core.bodies import read_value
from tricircle.core.errors import MalformedBody, TricircleError
from tricircle.core.model import ProjectId
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.request import Inbound, Target
from tricircle.interfaces.clock import Clock
from tricircle.usecases.demands import MOST_REMEMBERED, REMEMBERED_S
from tricircle.usecases.remembered import Remembered


class DefaultType:
    """Asks any pod with the caller's own token, and remembers it."""

    def __init__(self, pods: AnyPod, clock: Clock) -> None:
        self._pods = pods
        self._names: Remembered[ProjectId | None, str] = Remembered(
            clock, REMEMBERED_S, MOST_REMEMBERED
        )

    async def of(self, inbound: Inbound) -> str:
        """Return the name of the type that the caller gets without naming one, '' for none."""
        project_id = inbound.caller.project_id
        known = self._names.find(project_id)
        if known is not None:
            return known
        target = Target(inbound.target.api, inbound.target.project, "/types/default")
        asking = replace(inbound, method="GET", target=target, query="", body=b"", naming=None)
        try:
            answer = await self._pods.ask(asking)
            name = read_value(answer.body, "volume_type.name") if answer.status == 200 else None
        except (TricircleError, MalformedBody):
            return ""
        if not isinstance(name, str):
            return ""
        self._names.keep(project_id, name)
        return name
