"""Steps of a service's own around a forwarded request: what a table cannot say as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tricircle.core.errors import PodError
from tricircle.core.model import Pod, PodId
from tricircle.core.placing import Candidate
from tricircle.core.table import Match
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Outbound
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Place


@dataclass(frozen=True, slots=True)
class Call:
    """A request that goes to the pod which holds the resource ``top_id``."""

    inbound: Inbound
    match: Match
    top_id: str
    place: Place
    pod: Pod
    outbound: Outbound
    plan: object = None

    @property
    def is_own(self) -> bool:
        """Tell whether the resource is of the caller's own project, as far as is recorded."""
        return self.inbound.caller.project_id == self.place.project_id

    @property
    def is_callers(self) -> bool:
        """Tell whether the resource is of the caller's project, or the caller an administrator."""
        return self.inbound.caller.may_use(self.place.project_id)


class ByIdHook(Protocol):
    """Steps around a request by id. Each may raise an error of core.errors."""

    async def before(self, call: Call) -> Call | Answer:
        """Return the call as it is to be sent, or an answer: then no pod is sent anything."""
        ...

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer as it is to be given, whatever its status."""
        ...

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return an answer when the pod could not be asked, or raise ``error``."""
        ...


class PlainHook:
    """No steps at all; see ``ByIdHook``."""

    async def before(self, call: Call) -> Call | Answer:
        """Return the call as it is."""
        return call

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer as it is."""
        return answer

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise the error."""
        raise error


class Creation(Protocol):
    """One creation in steps: prepared once, placed in one pod after another until one takes it."""

    @property
    def body(self) -> bytes:
        """Return the body to begin from."""
        ...

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body as this pod needs it; what it names is there by then."""
        ...

    async def settle(self, answer: Answer | None) -> bool:
        """Wait for what was still being made when the pod was asked.

        ``answer`` is the pod's, None where it is unknown. False when something came to
        nothing: what the pod has made is to go, and ``place`` may be tried once more.
        """
        ...

    async def undo(self) -> None:
        """Take back what ``place`` made in the pod, which refused the request."""
        ...

    async def give_up(self) -> None:
        """Take back everything: no pod took it."""
        ...

    async def abandon(self) -> None:
        """Leave everything findable: whether the pod acted is unknown."""
        ...

    async def take_back(self, top_id: str) -> None:
        """Have everything taken back of a resource that is deleted again: others failed."""
        ...

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Keep what belongs to the new resource and return the answer as it is to be given.

        ``top_id`` is None when the answer names no resource.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """The creations that one request stands for; fewer than ``needed`` are none at all."""

    creations: Sequence[Creation]
    needed: int = 1


@dataclass(frozen=True, slots=True)
class Demand:
    """What else than refs and zone decides about the pod.

    ``must`` is the only one that will do, ``prefers`` the one to be tried first. ``plan`` is
    the hook's own.
    """

    must: PodId | None = None
    prefers: PodId | None = None
    plan: object = None


class CreateHook(Protocol):
    """Begins creations of one kind."""

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the request says of its pod; nothing is made yet."""
        ...

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the creations that a request stands for, each with a body of its own.

        Raises the service's own errors for networks or groups that are not there.
        """
        ...
