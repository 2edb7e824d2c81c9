"""The one repeatable way to make a twin and its routing.

The routing row is claimed first, under a lease; whoever holds the lease makes the
resource, looking for it first unless nobody can have made it before. A process may
die at any line: the next caller waits for the lease to end, looks, and goes on.
An outcome that nobody knows (a time-out) leaves the lease to run out by itself, so
that the pod has time to finish what it may still be doing before someone looks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tricircle.core.errors import PodDead, PodTimeout, TwinBusy, TwinRefused
from tricircle.core.model import BottomId, Routing, RoutingState
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import RoutingStore

_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 0.8
_WORKING_PART = 0.6
"""Of the lease: what was sent by then has time to land before anyone else looks."""
_MAY_EXIST = frozenset({409, 500, 503})
"""Answers of a pod that may have made the thing, or had it before."""
_UNKNOWN_OUTCOMES = frozenset({502, 504})
"""Answers of a proxy before a pod that may still be at work."""


class Seeker(Protocol):
    """How one twin is found."""

    async def look(self) -> BottomId | None:
        """Return the twin if it is in the pod, found by its mark."""
        ...


class Recipe(Seeker, Protocol):
    """How one twin is found and made."""

    async def make(self) -> BottomId:
        """Make the twin. Raises TwinRefused when it certainly was not made."""
        ...


@dataclass(frozen=True, slots=True)
class Ensured:
    """A twin that is there; ``made`` by this very call, or found."""

    bottom_id: BottomId
    made: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take.

    ``lease_s`` bounds what a holder may take to look and make, a few calls, with time to
    spare. ``wait_s`` is how long a caller waits for another one that holds the lease.
    """

    lease_s: float = 45.0
    wait_s: float = 15.0


class TwinMaker:
    """Makes twins, each once, however many processes want it at the same time."""

    def __init__(
        self,
        routings: RoutingStore,
        clock: Clock,
        new_id: Callable[[], str],
        patience: Patience | None = None,
    ) -> None:
        self._routings, self._clock, self._new_id = routings, clock, new_id
        self._patience = patience or Patience()

    async def ensure(self, routing: Routing, recipe: Recipe) -> Ensured:
        """Return the twin that ``routing`` (without bottom id) speaks of, made if missing.

        Raises TwinBusy when another process holds the lease for too long, and whatever
        the recipe raises.
        """
        owner = self._new_id()
        until_s = self._clock.now_s() + self._patience.wait_s
        look_first, poll_s = False, _FIRST_POLL_S
        while True:
            claim = await self._routings.claim_routing(routing, owner, self._patience.lease_s)
            known = claim.routing.bottom_id
            if known is not None and claim.routing.state is not RoutingState.CREATING:
                return Ensured(known, made=False)
            if claim.mine:
                look_first = look_first or not claim.fresh
                ensured = await self._hurry(routing, recipe, look_first)
                if await self._routings.settle_routing(routing, owner, ensured.bottom_id):
                    return ensured
                # The lease ran out meanwhile: someone else may have made it as well.
                look_first = True
                continue
            if self._clock.now_s() >= until_s:
                raise TwinBusy(routing.kind, routing.top_id)
            await self._clock.sleep(poll_s * random.uniform(0.5, 1.5))  # noqa: S311
            poll_s = min(poll_s * 2, _LONGEST_POLL_S)

    async def take_over(self, routing: Routing) -> bool:
        """Tell whether the lease of a twin in the making has run out and is now ours."""
        claim = await self._routings.claim_routing(routing, self._new_id(), self._patience.lease_s)
        return claim.mine

    async def heal(self, routing: Routing, seeker: Seeker) -> BottomId | None:
        """Settle or forget a twin whose making was cut short; None when it is not there.

        Does nothing while someone else holds the lease or when it is settled.
        """
        owner = self._new_id()
        claim = await self._routings.claim_routing(routing, owner, self._patience.lease_s)
        if not claim.mine:
            return claim.routing.bottom_id
        found = await seeker.look()
        if found is None:
            await self._forget(routing)
            return None
        await self._routings.settle_routing(routing, owner, found)
        return found

    async def _hurry(self, routing: Routing, recipe: Recipe, look_first: bool) -> Ensured:
        """Find or make the twin well within the lease, or leave it to the next holder."""
        try:
            async with asyncio.timeout(self._patience.lease_s * _WORKING_PART):
                return await self._find_or_make(routing, recipe, look_first)
        except TimeoutError:
            raise PodTimeout(
                routing.pod_id,
                f"{routing.kind} {routing.top_id} could not be made in pod {routing.pod_id} in "
                "time; please retry",
            ) from None

    async def _find_or_make(self, routing: Routing, recipe: Recipe, look_first: bool) -> Ensured:
        if look_first:
            found = await recipe.look()
            if found is not None:
                return Ensured(found, made=False)
        try:
            return Ensured(await recipe.make(), made=True)
        except TwinRefused as refusal:
            if refusal.status in _UNKNOWN_OUTCOMES:
                raise
            found = await recipe.look() if refusal.status in _MAY_EXIST else None
            if found is None:
                await self._forget(routing)
                raise
            return Ensured(found, made=False)
        except PodDead:
            if not look_first:
                await self._forget(routing)
            raise

    async def _forget(self, routing: Routing) -> None:
        await self._routings.forget_routing(routing.kind, routing.top_id, routing.pod_id)
