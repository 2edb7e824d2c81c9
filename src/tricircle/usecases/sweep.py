"""Repairing what boots, attachments and deletions left half done.

A sweep looks only at what has not changed for longer than any of these takes.
It reads what is really there, and acts on that: whatever it does may be repeated,
and may be done by several sweeps at once, beside any number of gateways.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from tricircle.core.errors import NeutronRefused
from tricircle.core.model import (
    BottomId,
    Kind,
    Origin,
    Pod,
    PodId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.network.marks import BOOT_OWNER, Mark
from tricircle.core.network.objects import KINDS, Port, SecurityGroup
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.fanout import Done, fan_out
from tricircle.usecases.networking.neutron import Neutron, Neutrons
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.release import Release

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_BATCH = 200
_LIMIT_S = 300.0
_CONCURRENCY = 8
_TWINS = (Kind.NETWORK, Kind.SUBNET, Kind.SECURITY_GROUP)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did, in numbers.

    ``settled``: twins whose making had been cut short, found in their pod.
    ``forgotten``: records of twins that were never made.
    ``finished``: ports given to the server that has them.
    ``released``: ports of servers that are gone or never came to be.
    ``deleted``: ports of the top that no boot knows of any more.
    ``removed``: twins of networks, subnets and groups that are gone from the top.
    ``failed``: what could not be done now; the log says why.
    """

    settled: int = 0
    forgotten: int = 0
    finished: int = 0
    released: int = 0
    deleted: int = 0
    removed: int = 0
    failed: int = 0

    def plus(self, other: SweepReport) -> SweepReport:
        """Return the sum of two reports."""
        return SweepReport(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


_NOTHING = SweepReport()


@dataclass(frozen=True, slots=True)
class SweepSources:
    """Where a sweep takes wall time, ids and the top's zone names from."""

    now: Callable[[], datetime]
    new_id: Callable[[], str]
    top_zone: Callable[[PodId, str], str]


class Sweep:
    """Finds and repairs. One object may sweep again and again."""

    def __init__(
        self,
        neutrons: Neutrons,
        stores: TwinStores,
        release: Release,
        maker: TwinMaker,
        sources: SweepSources,
    ) -> None:
        self._neutrons, self._stores, self._release = neutrons, stores, release
        self._maker, self._sources = maker, sources

    async def run(self, older_than_s: float) -> SweepReport:
        """Repair everything that has not changed for ``older_than_s``; return what was done.

        ``older_than_s`` must exceed the longest boot, or boots under way are undone.
        """
        request_id = f"req-{self._sources.new_id()}"
        report = await self._settle_twins(older_than_s, request_id)
        report = report.plus(await self._sweep_ports(older_than_s, request_id))
        report = report.plus(await self._delete_strays(older_than_s, request_id))
        report = report.plus(await self._remove_orphans(older_than_s, request_id))
        log.info("swept", extra={name: getattr(report, name) for name in report.__slots__})
        return report

    # Twins whose making was cut short.

    async def _settle_twins(self, older_than_s: float, request_id: str) -> SweepReport:
        report = _NOTHING
        for kind in _TWINS:
            async for rows in self._rows(kind, older_than_s, RoutingState.CREATING):
                calls = {
                    (row.top_id, row.pod_id): partial(self._settle, row, request_id) for row in rows
                }
                report = report.plus(await _sum(calls))
        return report

    async def _settle(self, row: Routing, request_id: str) -> SweepReport:
        pod = self._stores.find_pod(row.pod_id)
        if pod is None:
            return _NOTHING
        found = await self._maker.heal(row, _Seeker(self._neutrons.pod(pod, request_id), row))
        if found is not None:
            return SweepReport(settled=1)
        rows = await self._stores.routings.find_routings(row.kind, row.top_id)
        known = any(one.pod_id == row.pod_id for one in rows)
        return _NOTHING if known else SweepReport(forgotten=1)

    # Ports.

    async def _sweep_ports(self, older_than_s: float, request_id: str) -> SweepReport:
        report = _NOTHING
        async for rows in self._rows(Kind.PORT, older_than_s):
            unsettled = [row for row in rows if row.state is RoutingState.CREATING]
            settled = await _sum(
                {
                    (row.top_id, row.pod_id): partial(self._settle, row, request_id)
                    for row in unsettled
                }
            )
            report = report.plus(settled)
            rows = [row for row in rows if row not in unsettled]
            rows += [row for old in unsettled for row in await self._reread(old)]
            by_pod: dict[PodId, list[Routing]] = defaultdict(list)
            for row in rows:
                by_pod[row.pod_id].append(row)
            report = report.plus(
                await _sum(
                    {
                        pod_id: partial(self._sweep_ports_of, pod_id, some, request_id)
                        for pod_id, some in by_pod.items()
                    }
                )
            )
        return report

    async def _reread(self, row: Routing) -> list[Routing]:
        rows = await self._stores.routings.find_routings(row.kind, row.top_id)
        return [one for one in rows if one.pod_id == row.pod_id and one.bottom_id is not None]

    async def _sweep_ports_of(
        self, pod_id: PodId, rows: Sequence[Routing], request_id: str
    ) -> SweepReport:
        pod = self._stores.find_pod(pod_id)
        if pod is None:
            return _NOTHING
        bottoms = await _by_id(
            self._neutrons.pod(pod, request_id), [str(row.bottom_id) for row in rows]
        )
        tops = await _by_id(self._neutrons.top(request_id), [row.top_id for row in rows])
        return await _sum(
            {
                row.top_id: partial(
                    self._sweep_port,
                    _Found(row, pod, bottoms.get(str(row.bottom_id)), tops.get(row.top_id)),
                    request_id,
                )
                for row in rows
            }
        )

    async def _sweep_port(self, found: _Found, request_id: str) -> SweepReport:
        row, server_id = found.row, found.server_id
        if server_id:
            return await self._finish(found, TopId(server_id), request_id)
        kept = row.state is not RoutingState.DELETING
        owner_id = row.owner_id
        if owner_id and kept and await self._neutrons.has_server(found.pod, owner_id, request_id):
            # Being built, or shelved: the server will take its port.
            return await self._finish(found, owner_id, request_id)
        await self._release.release_ports([row], found.pod, request_id)
        return SweepReport(released=1)

    async def _finish(self, found: _Found, server_id: TopId, request_id: str) -> SweepReport:
        """Give a port to its server where a boot's answer, or its last steps, were lost."""
        row, changed = found.row, False
        if row.owner_id != server_id:
            server = replace(
                row, kind=Kind.SERVER, top_id=server_id, bottom_id=BottomId(server_id),
                state=RoutingState.ACTIVE, origin=Origin.USER, owner_id=None,
            )  # fmt: skip
            await self._stores.routings.keep_routings([server])
            changed = await self._stores.upkeep.mark_routing(
                Kind.PORT, row.top_id, row.pod_id, RoutingState.ACTIVE, server_id
            )
        if found.top is not None and found.top.device_id != server_id:
            zone = self._sources.top_zone(row.pod_id, found.pod_zone)
            values = {"device_id": server_id, "device_owner": f"compute:{zone or 'nova'}"}
            await self._neutrons.top(request_id).update(Port, row.top_id, values)
            changed = True
        return SweepReport(finished=1) if changed else _NOTHING

    # Ports of the top that a gateway made and never wrote down.

    async def _delete_strays(self, older_than_s: float, request_id: str) -> SweepReport:
        top, report = self._neutrons.top(request_id), _NOTHING
        latest = self._sources.now() - timedelta(seconds=older_than_s)
        async for ports in top.pages(Port, device_owner=BOOT_OWNER):
            old = [port for port in ports if _created_before(port, latest)]
            calls = {port.id: partial(self._delete_stray, top, port) for port in old}
            report = report.plus(await _sum(calls))
        return report

    async def _delete_stray(self, top: Neutron, port: Port) -> SweepReport:
        if await self._stores.routings.find_routings(Kind.PORT, TopId(port.id)):
            return _NOTHING
        await top.delete(Port, port.id)
        return SweepReport(deleted=1)

    # Twins of what is gone from the top.

    async def _remove_orphans(self, older_than_s: float, request_id: str) -> SweepReport:
        top, report = self._neutrons.top(request_id), _NOTHING
        # Networks last: a group or subnet in use keeps nothing else from going.
        for kind in (Kind.SECURITY_GROUP, Kind.SUBNET, Kind.NETWORK):
            async for rows in self._rows(kind, older_than_s, RoutingState.ACTIVE):
                present = await top.list_all(KINDS[kind], id=sorted({row.top_id for row in rows}))
                kept = {one.id for one in present}
                calls = {
                    (row.top_id, row.pod_id): partial(self._remove_orphan, row, request_id)
                    for row in rows
                    if row.top_id not in kept
                }
                report = report.plus(await _sum(calls))
        return report

    async def _remove_orphan(self, row: Routing, request_id: str) -> SweepReport:
        pod = self._stores.find_pod(row.pod_id)
        if pod is None or row.bottom_id is None:
            return _NOTHING
        bottom = self._neutrons.pod(pod, request_id)
        twin = await bottom.find(KINDS[row.kind], row.bottom_id)
        if twin is not None and not (isinstance(twin, SecurityGroup) and twin.is_default):
            try:
                await bottom.delete(KINDS[row.kind], row.bottom_id)
            except NeutronRefused as refusal:
                if refusal.status == 409:
                    # Something in the pod still uses it.
                    return _NOTHING
                raise
        await self._stores.routings.forget_routing(row.kind, row.top_id, row.pod_id)
        return SweepReport(removed=1)

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


@dataclass(frozen=True, slots=True)
class _Found:
    """A port's routing and what is there of the port on both sides."""

    row: Routing
    pod: Pod
    bottom: Port | None
    top: Port | None

    @property
    def server_id(self) -> str:
        """The server of the pod that has the port, '' if none."""
        return self.bottom.device_id if self.bottom is not None else ""

    @property
    def pod_zone(self) -> str:
        """The pod's own name of that server's zone."""
        owner = self.bottom.device_owner if self.bottom is not None else ""
        return owner.partition(":")[2]


@dataclass(frozen=True, slots=True)
class _Seeker:
    """Looks for the twin of a routing."""

    bottom: Neutron
    row: Routing

    async def look(self) -> BottomId | None:
        """Return the twin that carries the mark of the routing: of two, the first by id."""
        mark = Mark(self.row.kind, self.row.top_id, self.row.project_id)
        found = await self.bottom.list_all(
            KINDS[self.row.kind], description=str(mark), project_id=self.row.project_id
        )
        return min((BottomId(one.id) for one in found), default=None)


async def _by_id(neutron: Neutron, ids: Iterable[str]) -> Mapping[str, Port]:
    found = await neutron.list_all(Port, id=sorted(set(ids)))
    return {port.id: port for port in found}


async def _sum(calls: Mapping[K, Callable[[], Awaitable[SweepReport]]]) -> SweepReport:
    """Return the sum of what calls report, those that fail counted; several at a time."""
    outcomes = await fan_out(calls, timeout_s=_LIMIT_S, concurrency=_CONCURRENCY)
    report = _NOTHING
    for key, outcome in outcomes.items():
        if isinstance(outcome, Done):
            report = report.plus(outcome.value)
        else:
            log.warning("not swept", extra={"key": str(key), "reason": outcome.reason})
            report = report.plus(SweepReport(failed=1))
    return report


def _created_before(port: Port, latest: datetime) -> bool:
    if port.created_at is None:
        return False
    try:
        created = datetime.fromisoformat(port.created_at)
    except ValueError:
        return False
    return created.replace(tzinfo=created.tzinfo or UTC) <= latest
