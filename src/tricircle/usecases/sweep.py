"""Finding what boots, attachments and deletions left half done.

A sweep looks only at what has not changed for longer than any of these takes, decides
what is not as it should be, and has that repaired: by job workers, or here at once.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from tricircle.core.jobs import (
    DeleteServerGroup,
    DeleteStrayPort,
    RepairPort,
    RepairTwin,
    SweepTwins,
)
from tricircle.core.model import Kind, PodId, ProjectId, Routing, RoutingState, TopId
from tricircle.core.network.marks import BOOT_OWNER
from tricircle.core.network.objects import KINDS, Port
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.usecases.fanout import Done, fan_out
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S
from tricircle.usecases.mended import Effect, Mended
from tricircle.usecases.networking.found_ports import FoundPort, find_holder
from tricircle.usecases.networking.neutron import Neutron, Neutrons
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.repair import TWINS, Repair, Repairable
from tricircle.usecases.spare_search import SpareFinder

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BATCH = 200
_LIMIT_S = 300.0
_CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Findings:
    """What a part of a sweep found: repairs to be done, and how often it could not look."""

    repairs: tuple[Repairable, ...] = ()
    failed: int = 0


_NOTHING = Findings()


class TwinFinder:
    """Finds ports without server and twins without top. Changes nothing."""

    def __init__(
        self,
        neutrons: Neutrons,
        stores: TwinStores,
        spares: SpareFinder,
        now: Callable[[], datetime],
    ) -> None:
        self._neutrons, self._stores = neutrons, stores
        self._spares, self._now = spares, now

    async def find(self, older_than_s: float, request_id: str) -> AsyncIterator[Findings]:
        """Yield what has not changed for ``older_than_s`` and is to be repaired, in parts.

        ``older_than_s`` must exceed the longest boot. What a part yields may be repaired
        before the next is asked for. Raises PodError when the top does not answer.
        """
        for kind in reversed(TWINS):
            async for rows in self._rows(kind, older_than_s, RoutingState.CREATING):
                yield Findings(tuple(_repair_twin(row) for row in rows))
        # Before the ports: these may become ports of servers, or be released.
        async for spares in self._spares.find(older_than_s, request_id):
            yield Findings(spares)
        async for rows in self._rows(Kind.PORT, older_than_s):
            yield await self._find_ports(rows, request_id)
        async for ports in self._neutrons.top(request_id).pages(Port, device_owner=BOOT_OWNER):
            yield await self._find_strays(ports, older_than_s)
        for kind in TWINS:
            async for rows in self._rows(kind, older_than_s, RoutingState.ACTIVE):
                yield await self._find_orphans(rows, request_id)

    async def find_deletions(
        self, older_than_s: float
    ) -> AsyncIterator[tuple[DeleteServerGroup, ...]]:
        """Yield the jobs of deletions that were begun and could not be handed over then."""
        async for rows in self._rows(Kind.SERVER_GROUP, older_than_s, RoutingState.DELETING):
            yield tuple(DeleteServerGroup(row.pod_id, row.top_id, row.project_id) for row in rows)

    async def _find_ports(self, rows: Sequence[Routing], request_id: str) -> Findings:
        """Return the ports that are not settled, or that the wrong server or none has."""
        by_pod: dict[PodId, list[Routing]] = defaultdict(list)
        unsettled = []
        for row in rows:
            if row.state is RoutingState.CREATING:
                unsettled.append(_repair_port(row))
            else:
                by_pod[row.pod_id].append(row)
        found = await _join(
            {
                pod_id: partial(self._find_ports_of, pod_id, some, request_id)
                for pod_id, some in by_pod.items()
            }
        )
        return Findings((*unsettled, *found.repairs), found.failed)

    async def _find_ports_of(
        self, pod_id: PodId, rows: Sequence[Routing], request_id: str
    ) -> Findings:
        pod = self._stores.find_pod(pod_id)
        if pod is None:
            return _NOTHING
        bottoms = await _by_id(
            self._neutrons.pod(pod, request_id), [row.bottom_id for row in rows if row.bottom_id]
        )
        tops = await _by_id(self._neutrons.top(request_id), [row.top_id for row in rows])
        return await _join(
            {
                row.top_id: partial(
                    self._judge,
                    FoundPort(row, pod, bottoms.get(str(row.bottom_id)), tops.get(row.top_id)),
                    request_id,
                )
                for row in rows
            }
        )

    async def _judge(self, found: FoundPort, request_id: str) -> Findings:
        holder = await find_holder(self._neutrons, found, request_id)
        if holder is not None and found.is_known_to_have(holder):
            return _NOTHING
        return Findings((_repair_port(found.row),))

    async def _find_strays(self, ports: Sequence[Port], older_than_s: float) -> Findings:
        """Return the ports of the top that a gateway made and never wrote down."""
        latest = self._now() - timedelta(seconds=older_than_s)
        old = [port for port in ports if _created_before(port, latest)]
        return await _join({port.id: partial(self._judge_stray, port) for port in old})

    async def _judge_stray(self, port: Port) -> Findings:
        if await self._spares.is_of_boot(port):
            return _NOTHING
        if await self._stores.routings.find_routings(Kind.PORT, TopId(port.id)):
            return _NOTHING
        return Findings((DeleteStrayPort(TopId(port.id), ProjectId(port.project_id)),))

    async def _find_orphans(self, rows: Sequence[Routing], request_id: str) -> Findings:
        """Return the twins of what is gone from the top; all rows are of one kind."""
        ids = sorted({row.top_id for row in rows})
        present = await self._neutrons.top(request_id).list_all(KINDS[rows[0].kind], id=ids)
        kept = {one.id for one in present}
        return Findings(tuple(_repair_twin(row) for row in rows if row.top_id not in kept))

    async def _rows(
        self, kind: Kind, older_than_s: float, state: RoutingState | None = None
    ) -> AsyncIterator[list[Routing]]:
        """Yield the routings of a kind that have not changed for a while, some at a time."""
        after: tuple[Kind, TopId, PodId] | None = None
        while True:
            rows = await self._stores.upkeep.list_routings(
                kind=kind, state=state, older_than_s=older_than_s, limit=_BATCH, after=after
            )
            if rows:
                yield list(rows)
            if len(rows) < _BATCH:
                return
            after = (rows[-1].kind, rows[-1].top_id, rows[-1].pod_id)


class Sweep:
    """Has what a sweep finds repaired by job workers."""

    def __init__(
        self, finder: TwinFinder, requests: JobRequests, older_than_s: float = UNDER_WAY_S
    ) -> None:
        self._finder, self._requests, self._older_than_s = finder, requests, older_than_s

    async def run(self, job: SweepTwins, errand: Errand) -> Outcome:
        """Carry out a job: find, and ask for a job for each repair. Raises PodError."""
        queued: Counter[str] = Counter()
        failed = 0
        async for found in self._finder.find(self._older_than_s, errand.request_id):
            failed += found.failed
            if found.repairs:
                await self._requests.submit(found.repairs, errand.request_id)
                queued.update(repair.kind for repair in found.repairs)
        async for deletions in self._finder.find_deletions(self._older_than_s):
            await self._requests.submit(deletions, errand.request_id)
            queued.update(deletion.kind for deletion in deletions)
        log.info("swept", extra={"queued": dict(queued), "failed": failed})
        return Succeeded(_note(queued, failed))


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did, in numbers, by ``mended.Effect``; ``failed`` could not be done now."""

    settled: int = 0
    forgotten: int = 0
    finished: int = 0
    released: int = 0
    deleted: int = 0
    removed: int = 0
    cleared: int = 0
    failed: int = 0


async def sweep_here(
    finder: TwinFinder, repair: Repair, older_than_s: float, request_id: str
) -> SweepReport:
    """Find and repair in this process, without any worker; return what was done."""
    effects: Counter[Effect] = Counter()
    failed = 0
    async for found in finder.find(older_than_s, request_id):
        calls = {one: partial(repair.mend, one, request_id) for one in found.repairs}
        done, unsuccessful = await _carry_out(calls)
        failed += found.failed + unsuccessful
        for mended in done:
            if isinstance(mended, Mended):
                effects.update(mended.effects)
    report = SweepReport(**{effect.value: effects[effect] for effect in Effect}, failed=failed)
    log.info("swept", extra={name: getattr(report, name) for name in report.__slots__})
    return report


async def _by_id(neutron: Neutron, ids: Iterable[str]) -> Mapping[str, Port]:
    found = await neutron.list_all(Port, id=sorted(set(ids)))
    return {port.id: port for port in found}


async def _join(calls: Mapping[K, Callable[[], Awaitable[Findings]]]) -> Findings:
    """Return what all calls found, those that fail counted."""
    done, failed = await _carry_out(calls)
    repairs = tuple(repair for found in done for repair in found.repairs)
    return Findings(repairs, failed + sum(found.failed for found in done))


async def _carry_out(calls: Mapping[K, Callable[[], Awaitable[V]]]) -> tuple[list[V], int]:
    """Return what calls return and how many fail, several at a time."""
    outcomes = await fan_out(calls, timeout_s=_LIMIT_S, concurrency=_CONCURRENCY)
    done, failed = [], 0
    for key, outcome in outcomes.items():
        if isinstance(outcome, Done):
            done.append(outcome.value)
        else:
            log.warning("not swept", extra={"key": str(key), "reason": outcome.reason})
            failed += 1
    return done, failed


def _repair_port(row: Routing) -> RepairPort:
    return RepairPort(row.pod_id, row.top_id, row.project_id)


def _repair_twin(row: Routing) -> RepairTwin:
    return RepairTwin(row.pod_id, row.kind.value, row.top_id, row.project_id)


def _note(queued: Mapping[str, int], failed: int) -> str:
    parts = [f"{count} {kind}" for kind, count in sorted(queued.items())]
    note = f"queued {', '.join(parts)}" if parts else "all is well"
    return f"{note}; not looked at everywhere ({failed}), see the log" if failed else note


def _created_before(port: Port, latest: datetime) -> bool:
    if port.created_at is None:
        return False
    try:
        created = datetime.fromisoformat(port.created_at)
    except ValueError:
        return False
    return created.replace(tzinfo=created.tzinfo or UTC) <= latest
