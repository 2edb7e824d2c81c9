"""Volumes that grow, get another type or another owner take of the quota first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tricircle.core.bodies import check_object, read_value
from tricircle.core.errors import MalformedBody, PodDead, PodError
from tricircle.core.model import Kind, ProjectId, Service, TopId, Version
from tricircle.core.placing import Topology
from tricircle.core.quotas import Amounts, Excess, add_up
from tricircle.core.table import Match
from tricircle.core.volume_quotas import exceeded, exceeded_by_growth, of_type
from tricircle.gateway.answers import Answer
from tricircle.gateway.counted_volumes import Bill, Taken, VolumeClaims, VolumePrices, read_size
from tricircle.gateway.engine import ComposedAnswer
from tricircle.gateway.hooks import ByIdHook, Call
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator
from tricircle.usecases.volume_usage import HeldSnapshot, HeldVolume, VolumeFacts

_EXTENDS_IN_USE = Version(3, 42)
"""From here on a volume may grow while it is attached."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change has reserved; ``project_id`` is whose the volume was before."""

    taken: Taken
    project_id: ProjectId


class Changes(Protocol):
    """Changes of one kind."""

    async def take(self, call: Call) -> Change | None:
        """Return what is reserved for a call. Raises OverLimit in Cinder's words."""
        ...

    async def settle(self, call: Call, change: Change, answer: Answer) -> str | None:
        """Return the id of what is to hold what was reserved, once a pod has taken a change.

        What else the change does to the quota is set right.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    change: Change
    inner: object


class CountedChange:
    """Changes that take of Cinder's quotas; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, claims: VolumeClaims, changes: Changes, inner: ByIdHook) -> None:
        self._claims, self._changes, self._inner = claims, changes, inner

    async def before(self, call: Call) -> Call | Answer:
        """Return the call with what it takes reserved. Raises OverLimit in Cinder's words."""
        prepared = await self._inner.before(call)
        if isinstance(prepared, Answer):
            return prepared
        change = await self._changes.take(call)
        return prepared if change is None else replace(prepared, plan=_Plan(change, prepared.plan))

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; what was reserved is held now, or given back."""
        plan = call.plan
        if not isinstance(plan, _Plan):
            return await self._inner.after(call, answer)
        if answer.status >= 300:
            await self._claims.release(plan.change.taken)
        else:
            top_id = await self._changes.settle(call, plan.change, answer)
            await self._claims.keep(plan.change.taken, [top_id], call.inbound.request_id)
        return await self._inner.after(replace(call, plan=plan.inner), answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return what the rule itself answers; a pod that may have acted keeps its claim."""
        plan = call.plan
        if isinstance(plan, _Plan):
            if isinstance(error, PodDead):
                await self._claims.release(plan.change.taken)
            call = replace(call, plan=plan.inner)
        return await self._inner.failed(call, error)


class VolumeActions:
    """``Changes`` by actions on a volume."""

    def __init__(self, claims: VolumeClaims, facts: VolumeFacts, prices: VolumePrices) -> None:
        self._claims, self._facts, self._prices = claims, facts, prices

    async def take(self, call: Call) -> Change | None:
        """Return what an extension or another type takes."""
        action = _action_of(call.inbound.body)
        if not call.is_callers or action not in _COUNTED:
            return None
        project_id, request_id = call.place.project_id, call.inbound.request_id
        if not await self._claims.are_counted(project_id):
            return None
        volume = await self._facts.find_volume(call.pod, call.top_id, request_id)
        if volume is None or not call.inbound.caller.may_use(volume.project_id):
            return None  # it may have changed hands since this process heard of it

        async def price(kept: frozenset[str]) -> Bill | None:
            if action == "os-extend":
                return _extension(call, volume, kept)
            if action == "os-retype":
                return await self._retype(call, volume, kept)
            return Bill()

        taken = await self._claims.take(volume.project_id, price, request_id)
        return Change(taken, volume.project_id)

    async def settle(self, call: Call, change: Change, answer: Answer) -> str | None:
        """Return the volume's id; what it gives back, or becomes later, is counted."""
        if change.taken.uncounted is not None or _action_of(call.inbound.body) != "os-extend":
            await self._claims.recount(change.project_id, call.inbound.request_id)
        return call.top_id

    async def _retype(self, call: Call, volume: HeldVolume, kept: frozenset[str]) -> Bill | None:
        """Return what a volume and its snapshots take of another type."""
        reference = read_value(call.inbound.body, "os-retype.new_type")
        request_id = call.inbound.request_id
        if not kept or not isinstance(reference, str):
            return Bill()
        type_name = await self._facts.find_type_name(reference, request_id)
        if type_name == volume.type_name:
            return Bill()
        snapshots = await self._facts.list_snapshots(call.pod, call.top_id, request_id)
        weights = [self._prices.weigh(snapshot.size_gib) for snapshot in snapshots]
        plain = add_up([{"volumes": 1, "gigabytes": volume.size_gib}, *weights])
        typed = of_type(plain, type_name, kept)
        amounts = {name: amount for name, amount in typed.items() if name not in plain}
        return Bill([amounts], lambda excess: exceeded(excess, "volumes", volume.size_gib))


_COUNTED = frozenset({"os-extend", "os-retype", "os-extend_volume_completion", "revert"})


def _action_of(body: bytes) -> str:
    try:
        return next(iter(check_object(body)), "")
    except MalformedBody:
        return ""


def _extension(call: Call, volume: HeldVolume, kept: frozenset[str]) -> Bill | None:
    """Return what a larger volume takes; None where the pod will say what is wrong."""
    size_gib = read_size(read_value(call.inbound.body, "os-extend.new_size"))
    growth_gib = size_gib - volume.size_gib
    allowed = ("available", "in-use")[: 1 + (call.inbound.version >= _EXTENDS_IN_USE)]
    if growth_gib <= 0 or volume.status not in allowed:
        return None
    amounts = of_type({"gigabytes": growth_gib}, volume.type_name, kept)
    return Bill([amounts], lambda excess: exceeded_by_growth(excess, growth_gib), size_gib)


class Restorations:
    """``Changes`` that restore a backup to a volume that the pod makes for it."""

    def __init__(self, claims: VolumeClaims, prices: VolumePrices) -> None:
        self._claims, self._prices = claims, prices

    async def take(self, call: Call) -> Change | None:
        """Return what a new volume of the caller's takes."""
        inbound = call.inbound
        project_id = inbound.caller.project_id
        if project_id is None or not call.is_callers:
            return None
        if read_value(inbound.body, "restore.volume_id") is not None:
            return None

        async def price(kept: frozenset[str]) -> Bill | None:
            bill = await self._prices.of_restored_volume(inbound, call.pod, call.top_id, kept)
            if bill is None:
                return None
            words = bill.words
            return replace(bill, words=lambda excess: _unnamed(words(excess)))

        return Change(await self._claims.take(project_id, price, inbound.request_id), project_id)

    async def settle(self, call: Call, change: Change, answer: Answer) -> str | None:
        """Return the id of the new volume."""
        volume_id = read_value(answer.body, "restore.volume_id")
        return volume_id if isinstance(volume_id, str) else None


class CountedAcceptance:
    """Accepts transfers: the new owner takes what the old one gives back."""

    def __init__(
        self,
        claims: VolumeClaims,
        facts: VolumeFacts,
        prices: VolumePrices,
        locator: Locator,
        topology: Callable[[], Topology],
        accept: ComposedAnswer,
    ) -> None:
        self._claims, self._facts, self._prices = claims, facts, prices
        self._locator, self._topology, self._accept = locator, topology, accept

    async def accept(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer to a request. Raises OverLimit in Cinder's words."""
        project_id = inbound.caller.project_id
        if project_id is None or not await self._claims.are_counted(project_id):
            return await self._accept(inbound, match)
        offer = await self._find_offer(inbound, match.params["id"])
        if offer is None:
            return await self._accept(inbound, match)
        taken = await self._claims.take(project_id, offer.price, inbound.request_id)
        try:
            answer = await self._accept(inbound, match)
        except PodDead:
            await self._claims.release(taken)
            raise
        if answer.status >= 300:
            await self._claims.release(taken)
            return answer
        for top_id in offer.ids:
            await self._claims.keeper.quotas.free(TopId(top_id), offer.volume.project_id)
        await self._claims.keep(taken, offer.ids, inbound.request_id)
        await self._claims.recount(offer.volume.project_id, inbound.request_id)
        return answer

    async def _find_offer(self, inbound: Inbound, transfer_id: str) -> _Offer | None:
        """Return what is offered, None where a pod will say what is wrong."""
        place = await self._locator.find_recorded(Kind.TRANSFER, transfer_id)
        pods = [
            pod
            for pod in self._topology().pods
            if Service.VOLUME in pod.endpoints and (place is None or pod.id == place.pod_id)
        ]
        request_id = inbound.request_id
        transfer = await self._facts.find_transfer(pods, transfer_id, request_id)
        if transfer is None:
            return None
        pod, volume_id = transfer.pod, transfer.volume_id
        volume = await self._facts.find_volume(pod, volume_id, request_id)
        if volume is None:
            return None
        snapshots: Sequence[HeldSnapshot] = ()
        if transfer.has_snapshots:
            snapshots = await self._facts.list_snapshots(pod, volume_id, request_id)
        plain = [
            {"volumes": 1, "gigabytes": volume.size_gib},
            *(self._prices.weigh(one.size_gib) for one in snapshots),
        ]
        sizes_gib = sum(one.size_gib for one in snapshots)
        return _Offer([volume_id, *(one.id for one in snapshots)], volume, plain, sizes_gib)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A volume and its snapshots, and what each of them takes."""

    ids: Sequence[str]
    volume: HeldVolume
    plain: Sequence[Amounts]
    snapshots_gib: int

    async def price(self, kept: frozenset[str]) -> Bill:
        """Return what all of it takes."""
        shares = [of_type(amounts, self.volume.type_name, kept) for amounts in self.plain]
        size_gib = self.volume.size_gib
        return Bill(shares, _AcceptanceWords(size_gib, self.snapshots_gib, shares), size_gib)


@dataclass(frozen=True, slots=True)
class _AcceptanceWords:
    """Why a transfer is not accepted: Cinder takes the volume first, and then its snapshots."""

    volume_gib: int
    snapshots_gib: int
    shares: Sequence[Amounts]

    def __call__(self, excess: Excess) -> str:
        volume, used = self.shares[0], excess.used
        overs = _find_overs(volume, used, excess.limits)
        resource, size_gib = "volumes", self.volume_gib
        if not overs:
            used = add_up([used, volume])
            overs = _find_overs(add_up(self.shares[1:]), used, excess.limits)
            resource, size_gib = "snapshots", self.snapshots_gib
        told = exceeded(Excess(overs, excess.limits, used), resource, size_gib)
        return told.removeprefix("VolumeSizeExceedsAvailableQuota: ")


def _unnamed(told: str) -> str:
    """Return Cinder's words where its controller tells them without the name of the error."""
    name, _, words = told.partition(": ")
    return words if name in ("VolumeSizeExceedsAvailableQuota", "VolumeLimitExceeded") else told


def _find_overs(amounts: Amounts, used: Amounts, limits: Amounts) -> list[str]:
    return sorted(
        name
        for name, amount in amounts.items()
        if 0 <= limits.get(name, -1) < used.get(name, 0) + amount
    )
