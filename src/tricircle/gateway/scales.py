"""What is weighed when a pod is chosen: how large a request is, and how much pods have left."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Caller, Node, PodId, ProjectId
from tricircle.core.placing import Topology
from tricircle.core.weighing import Facts, Needs
from tricircle.gateway.request import Inbound
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import BindingStore, NodeStore
from tricircle.usecases.remembered import Remembered

log = logging.getLogger(__name__)

NODES_S = 15.0
"""Seconds for which nodes are remembered; they are measured every few minutes."""
PAST_S, PAST_PROJECTS = 60.0, 1000
"""Seconds for which the past of a project is remembered, and of how many projects."""
NeedsOf = Callable[[Inbound], Awaitable[Needs]]
"""Returns what the body of a request asks for; nothing where that cannot be known."""


@dataclass(slots=True)
class Scales:
    """Reads what is weighed. One for each gateway."""

    nodes: NodeStore
    bindings: BindingStore
    clock: Clock
    needs_of: NeedsOf
    _known: Mapping[PodId, Node] = field(default_factory=dict)
    _until_s: float = -1.0
    _past: Remembered[ProjectId, frozenset[PodId]] = field(init=False)

    def __post_init__(self) -> None:
        self._past = Remembered(self.clock, PAST_S, PAST_PROJECTS)

    async def read_needs(self, inbound: Inbound) -> Needs:
        """Return what a request asks for."""
        return await self.needs_of(inbound)

    async def read_facts(self, caller: Caller, topology: Topology) -> Facts:
        """Return what is known of pods and of the caller's project."""
        facts = Facts(topology, await self._read_nodes())
        if not caller.project_id:
            return facts
        bindings = await self.bindings.list_bindings(caller.project_id)
        past = await self._read_past(caller.project_id)
        return replace(facts, bindings=bindings, past_pods=past)

    async def _read_past(self, project_id: ProjectId) -> frozenset[PodId]:
        known = self._past.find(project_id)
        if known is None:
            known = await self.bindings.list_past_pods(project_id)
            self._past.keep(project_id, known)
        return known

    async def _read_nodes(self) -> Mapping[PodId, Node]:
        """Return the nodes of pods; when the database is away those that were known."""
        if self.clock.now_s() < self._until_s:
            return self._known
        try:
            self._known = {node.pod_id: node for node in await self.nodes.list_nodes()}
            self._until_s = self.clock.now_s() + NODES_S
        except ServiceUnavailable as error:
            log.warning("placing without figures of pods", extra={"reason": str(error)})
        return self._known
