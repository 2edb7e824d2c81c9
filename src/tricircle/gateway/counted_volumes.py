"""What is made and changed in Cinder takes its share of the quota first.

In the Nova gateway too: its proxies make volumes and snapshots.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from tricircle.core.backup_records import read_backup_record
from tricircle.core.bodies import read_value
from tricircle.core.errors import (
    NotFound,
    OverLimit,
    TricircleError,
)
from tricircle.core.model import Kind, Pod, ProjectId, TopId
from tricircle.core.placing import Topology
from tricircle.core.quotas import Amounts, Claim, Excess, Holder, add_up
from tricircle.core.volume_quotas import VOLUMES, exceeded, exceeds_volume, of_type
from tricircle.gateway.counted import ClaimKeeper, CountedCreation, Uncounted
from tricircle.gateway.creation import PlainCreation
from tricircle.gateway.hooks import Batch, CreateHook, Demand
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator, is_id
from tricircle.usecases.quotas import Refused
from tricircle.usecases.volume_usage import HeldVolume, VolumeFacts

Words = Callable[[Excess], str]
"""Says why something is refused."""


def _no_words(excess: Excess) -> str:
    return f"Unexpected over quota on {', '.join(excess.resources)}."


@dataclass(frozen=True, slots=True)
class Bill:
    """What a request takes, and how it is refused.

    ``shares`` are of one resource each; without ``keeps_id`` of several, which are not known.
    ``volume_gib`` is how large one volume becomes.
    With ``is_partial`` it takes more, which is counted afterwards, and ``is_late`` when the pod
    itself knows it later.
    """

    shares: Sequence[Amounts] = ()
    words: Words = _no_words
    volume_gib: int = 0
    keeps_id: bool = True
    is_partial: bool = False
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What is reserved; who is ``uncounted`` takes more than that."""

    claims: Sequence[Claim] = ()
    uncounted: Uncounted | None = None
    keeps_id: bool = True


class VolumeClaims:
    """Reserves what requests take of Cinder's quotas. One for each gateway."""

    def __init__(self, keeper: ClaimKeeper, refusal: type[TricircleError] = OverLimit) -> None:
        """``refusal`` is the error of a service for what is too much."""
        self.keeper, self._quotas, self._refusal = keeper, keeper.quotas, refusal

    async def take(
        self,
        project_id: ProjectId,
        price: Callable[[frozenset[str]], Awaitable[Bill | None]],
        request_id: str,
    ) -> Taken:
        """Return what is reserved for a project, nothing where nobody counts.

        ``price`` is asked with the limits of volume types that anybody counts, and says
        None for what is not known. Raises OverLimit in Cinder's words.
        """
        holder = Holder(VOLUMES.service, project_id)
        standing = await self._quotas.find_standing(holder)
        limits = self._quotas.limits_of(standing)
        if not VOLUMES.applies(standing, limits):
            return Taken()
        bill = await price(VOLUMES.families_of(standing, limits))
        if bill is None:
            return Taken(uncounted=Uncounted(holder))
        too_large = exceeds_volume(bill.volume_gib, limits.project)
        if too_large is not None:
            raise self._refusal(too_large)
        uncounted = Uncounted(holder, bill.is_late) if bill.is_partial else None
        if not any(bill.shares):
            return Taken(uncounted=uncounted)
        result = await self._quotas.reserve(holder, bill.shares, standing, request_id)
        if isinstance(result, Refused):
            raise self._refusal(bill.words(result.excess))
        return Taken(result, uncounted, bill.keeps_id)

    async def are_counted(self, project_id: ProjectId) -> bool:
        """Tell whether anything is counted for a project."""
        standing = await self._quotas.find_standing(Holder(VOLUMES.service, project_id))
        return VOLUMES.applies(standing, self._quotas.limits_of(standing))

    async def recount(self, project_id: ProjectId, request_id: str) -> None:
        """Have a project counted, if it is counted at all, once nothing is under way."""
        holder = Holder(VOLUMES.service, project_id)
        if await self._quotas.has_numbers(holder):
            await self._quotas.count_later(holder, request_id)

    async def keep(self, taken: Taken, top_ids: Sequence[str | None], request_id: str) -> None:
        """Let resources hold what was reserved for them, one claim each."""
        for claim, top_id in zip(taken.claims, top_ids, strict=False):
            await self.keeper.keep(claim, TopId(top_id) if top_id else None, request_id)

    async def release(self, taken: Taken) -> None:
        """Give back what nothing took."""
        for claim in taken.claims:
            await self.keeper.release(claim)


Price = Callable[[Inbound, frozenset[str]], Awaitable[Bill | None]]


class CountedCreate:
    """Creations that take of Cinder's quotas; see ``gateway.hooks.CreateHook``."""

    def __init__(self, claims: VolumeClaims, price: Price, inner: CreateHook | None = None) -> None:
        self._claims, self._price, self._inner = claims, price, inner

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the creation itself demands."""
        return Demand() if self._inner is None else await self._inner.demand(inbound)

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the creation that there is room for. Raises OverLimit in Cinder's words."""
        project_id = inbound.caller.project_id
        if project_id is None:
            return await self._begin(inbound, demand)
        taken = await self._claims.take(
            project_id, lambda kept: self._price(inbound, kept), inbound.request_id
        )
        try:
            batch = await self._begin(inbound, demand)
        except TricircleError:
            await self._claims.release(taken)
            raise
        claim = next(iter(taken.claims), None)
        if claim is None and taken.uncounted is None:
            return batch
        [creation] = batch.creations
        counted = CountedCreation(
            self._claims.keeper,
            inbound.request_id,
            creation,
            claim,
            taken.keeps_id,
            taken.uncounted,
        )
        return replace(batch, creations=[counted])

    async def _begin(self, inbound: Inbound, demand: Demand) -> Batch:
        if self._inner is None:
            return Batch([PlainCreation(inbound.body)])
        return await self._inner.begin(inbound, demand)


class VolumePrices:
    """What creations take, as Cinder reckons it; ``snapshots_weigh``: their GiB count."""

    def __init__(
        self,
        facts: VolumeFacts,
        locator: Locator,
        topology: Callable[[], Topology],
        *,
        snapshots_weigh: bool,
    ) -> None:
        self._facts, self._locator, self._topology = facts, locator, topology
        self._snapshots_weigh = snapshots_weigh

    async def of_volume(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a new volume takes: its size, or that of what it is made from."""
        source = await self._find_source(inbound)
        size_gib = read_size(read_value(inbound.body, "volume.size")) or source.size_gib
        if not size_gib:
            return None
        amounts = {"volumes": 1, "gigabytes": size_gib}
        if kept:
            amounts = of_type(amounts, await self._find_type(inbound, source), kept)
        return Bill([amounts], _words("volumes", size_gib), size_gib)

    async def of_snapshot(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a snapshot takes: the size of its volume."""
        volume = await self._find_volume(inbound, "snapshot.volume_id")
        if volume is None:
            return None
        amounts = of_type(self.weigh(volume.size_gib), volume.type_name, kept)
        return Bill([amounts], _words("snapshots", volume.size_gib))

    async def of_backup(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a backup takes: the size of its volume."""
        volume = await self._find_volume(inbound, "backup.volume_id")
        return None if volume is None else _backup_bill(volume.size_gib)

    async def of_import(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a backup takes that another cloud has recorded."""
        record = read_backup_record(read_value(inbound.body, "backup-record.backup_url"))
        return _backup_bill(record.size_gib) if record is not None and record.size_gib else None

    async def of_group(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a group takes; its volumes are made one by one."""
        return Bill([{"groups": 1}], _words("groups", 0))

    async def of_filled_group(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a group takes that is made with volumes, which the pod makes itself."""
        return Bill([{"groups": 1}], _words("groups", 0), is_partial=True)

    async def of_managed_volume(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what a volume takes whose size only its pod finds out, later."""
        amounts = {"volumes": 1}
        if kept:
            amounts = of_type(amounts, await self._find_type(inbound, _Source(0, None)), kept)
        return Bill([amounts], _words("volumes", 0), is_partial=True, is_late=True)

    async def of_group_snapshot(self, inbound: Inbound, kept: frozenset[str]) -> Bill | None:
        """Return what the snapshots of a group's volumes take."""
        places = ("group_snapshot.group_id", "cgsnapshot.consistencygroup_id")
        group = await self._find(inbound, Kind.GROUP, *places)
        if group is None:
            return None
        volumes = await self._facts.list_volumes_of(group.pod, group.id, inbound.request_id)
        weights = [of_type(self.weigh(one.size_gib), one.type_name, kept) for one in volumes]
        amounts = add_up(weights)
        told = amounts.get("gigabytes", volumes[-1].size_gib if volumes else 0)
        return Bill([amounts], _words("snapshots", told), keeps_id=False)

    async def of_restored_volume(
        self, inbound: Inbound, pod: Pod, backup_id: str, kept: frozenset[str]
    ) -> Bill | None:
        """Return what a volume takes that a backup is restored to, where it names none."""
        size_gib = await self._facts.find_backup_size(pod, backup_id, inbound.request_id)
        if not size_gib:
            return None
        amounts = {"volumes": 1, "gigabytes": size_gib}
        if kept:
            project_id = inbound.caller.project_id or ProjectId("")
            default = await self._facts.find_default_type(project_id, inbound.request_id)
            amounts = of_type(amounts, default, kept)
        return Bill([amounts], _words("volumes", size_gib), size_gib)

    def weigh(self, size_gib: int) -> dict[str, int]:
        """Return what a snapshot takes."""
        return {"snapshots": 1, **({"gigabytes": size_gib} if self._snapshots_weigh else {})}

    async def _find_source(self, inbound: Inbound) -> _Source:
        """Return size and type of what a volume is made from, in Cinder's order."""
        snapshot = await self._find(inbound, Kind.SNAPSHOT, "volume.snapshot_id")
        if snapshot is not None:
            pod = snapshot.pod
            found = await self._facts.find_snapshot(pod, snapshot.id, inbound.request_id)
            if found is not None:
                volume_id = found.volume_id
                return _Source(found.size_gib, lambda: self._type_of(pod, volume_id, inbound))
        volume = await self._find_volume(inbound, "volume.source_volid")
        if volume is not None:
            type_name = volume.type_name
            return _Source(volume.size_gib, lambda: _ready(type_name))
        backup = await self._find(inbound, Kind.BACKUP, "volume.backup_id")
        if backup is None:
            return _Source(0, None)
        size = await self._facts.find_backup_size(backup.pod, backup.id, inbound.request_id)
        return _Source(size or 0, None)

    async def _find_type(self, inbound: Inbound, source: _Source) -> str:
        named = read_value(inbound.body, "volume.volume_type")
        if isinstance(named, str) and named:
            return await self._facts.find_type_name(named, inbound.request_id)
        if source.find_type is not None:
            return await source.find_type()
        project_id = inbound.caller.project_id or ProjectId("")
        return await self._facts.find_default_type(project_id, inbound.request_id)

    async def _type_of(self, pod: Pod, volume_id: str, inbound: Inbound) -> str:
        volume = await self._facts.find_volume(pod, volume_id, inbound.request_id)
        return volume.type_name if volume is not None else ""

    async def _find_volume(self, inbound: Inbound, place: str) -> HeldVolume | None:
        named = await self._find(inbound, Kind.VOLUME, place)
        if named is None:
            return None
        return await self._facts.find_volume(named.pod, named.id, inbound.request_id)

    async def _find(self, inbound: Inbound, kind: Kind, *places: str) -> _Named | None:
        """Return what a body names at one of these places, None for what is not there.

        What is no id, or the id of nothing, is the pod's to refuse.
        """
        values = (read_value(inbound.body, place) for place in places)
        top_id = next((value for value in values if isinstance(value, str)), "")
        if not is_id(top_id):
            return None
        try:
            place = await self._locator.locate_visible(kind, top_id, inbound.caller)
        except NotFound:
            return None
        pod = self._topology().find_pod(place.pod_id)
        return None if pod is None else _Named(pod, top_id)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a request names, and where it is."""

    pod: Pod
    id: str


@dataclass(frozen=True, slots=True)
class _Source:
    """What a volume is made from: its size, and the way to its type."""

    size_gib: int
    find_type: Callable[[], Awaitable[str]] | None


async def _ready(value: str) -> str:
    return value


def read_size(value: object) -> int:
    """Return a size as Cinder reads it, 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def _words(resource: str, size_gib: int) -> Words:
    return lambda excess: exceeded(excess, resource, size_gib)


def _backup_bill(size_gib: int) -> Bill:
    amounts = {"backups": 1, "backup_gigabytes": size_gib}
    return Bill([amounts], _words("backups", size_gib))
