"""Reserving and counting, while pods are away and processes die."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.usecases.networks_world import Died, Life, Mortal
from tricircle.adapters.bus import SilentBell
from tricircle.core.errors import PodDead, ServiceUnavailable
from tricircle.core.jobs import CountUsage, SweepUsage
from tricircle.core.model import Pod, PodId, ProjectId, Service, TopId
from tricircle.core.quotas import WHOLE, Amounts, Claim, Holder, Standing
from tricircle.core.runs import Errand, NotYet, Succeeded
from tricircle.testing.store import MemoryStores
from tricircle.usecases.counting import PATIENT_ATTEMPTS, CountJobs, UsageCount
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.quotas import QuotaOptions, Quotas, Refused

ALICE = Holder(Service.COMPUTE, ProjectId("p"), "alice")
BOB = Holder(Service.COMPUTE, ProjectId("p"), "bob")
SERVER = {"instances": 1, "cores": 2, "ram": 512}
LIMITS = {"instances": 5, "cores": -1, "ram": -1}
TTL_S = 600.0
REQUEST = "req-1"
JOB = CountUsage("compute", ProjectId("p"))


@dataclass(slots=True)
class PodDouble:
    """``interfaces.quotas.PodUsage`` of all pods: servers by pod, each with its user."""

    servers: dict[str, list[str]]
    dead: set[str] = field(default_factory=set)
    asked: int = 0

    async def count(self, pod: Pod, holder: Holder, request_id: str) -> Amounts:
        self.asked += 1
        await asyncio.sleep(0)
        if pod.name in self.dead:
            raise PodDead(pod.id, f"pod {pod.name} does not answer")
        held = [user for user in self.servers[pod.name] if holder.user_id in (WHOLE, user)]
        return {name: amount * len(held) for name, amount in SERVER.items()}

    async def create(self, pod: str, user: str) -> TopId:
        self.servers[pod].append(user)
        return TopId(f"{pod}-{len(self.servers[pod])}")


class World:
    """Two pods, a store, and a gateway that may die at any step."""

    def __init__(self, limits: Amounts = LIMITS) -> None:
        self.time = datetime(2026, 11, 27, tzinfo=UTC)
        self.stores = MemoryStores(lambda: self.time)
        self.pods = PodDouble({"east": [], "west": []})
        self.life = Life()
        self._numbers = itertools.count(1)
        self.requests = JobRequests(self.stores.desk, SilentBell())
        self.counting = self._counting(self.stores.quota_counts)
        options = QuotaOptions(Service.COMPUTE, limits, TTL_S)
        self.quotas = Quotas(
            options,
            Mortal(self.stores.quota_ledger, self.life),
            self._counting(Mortal(self.stores.quota_counts, self.life)),
            Leftovers(JobRequests(Mortal(self.stores.desk, self.life), SilentBell())),
            lambda: f"claim-{next(self._numbers)}",
        )
        self.jobs = CountJobs(
            self.stores.quota_counts, lambda _service: self.counting, self.requests, 900.0
        )

    def _counting(self, counts: object) -> UsageCount:
        pods = [Pod(PodId(name), name, name) for name in self.pods.servers]
        return UsageCount(counts, lambda: pods, self.pods, 5.0)  # type: ignore[arg-type]

    async def reserve(self, holder: Holder = ALICE, count: int = 1) -> Sequence[Claim] | Refused:
        standing = await self.quotas.find_standing(holder)
        return await self.quotas.reserve(holder, [SERVER] * count, standing, REQUEST)

    async def boot(self, pod: str = "east", holder: Holder = ALICE) -> TopId | None:
        """Boot as a gateway does; None when there is no room."""
        claims = await self.reserve(holder)
        if isinstance(claims, Refused):
            return None
        server_id: TopId = await Mortal(self.pods, self.life).create(pod, holder.user_id)
        for claim in claims:
            await self.quotas.commit(claim, server_id, REQUEST)
        return server_id

    async def used(self, user_id: str = WHOLE) -> Amounts | None:
        standing = await self.stores.quota_ledger.find_standing(ALICE, 60)
        return standing.used.get(user_id)

    async def settle(self) -> None:
        """Let time pass and the jobs run that are asked for then."""
        self.life.go_on()
        self.time += timedelta(seconds=TTL_S + 1)
        errand = Errand(REQUEST, 1)
        await self.jobs.sweep(SweepUsage(), errand)
        assert await self.jobs.count(JOB, errand) == Succeeded()


@pytest.fixture
def world() -> World:
    return World()


def times(count: int) -> Mapping[str, int]:
    return {name: amount * count for name, amount in SERVER.items()}


async def test_nothing_is_counted_or_asked_for_who_has_no_limit() -> None:
    world = World(dict.fromkeys(SERVER, -1))
    assert await world.reserve() == ()
    assert (world.pods.asked, await world.used()) == (0, None)


async def test_a_fresh_project_starts_with_what_its_pods_hold(world: World) -> None:
    world.pods.servers = {"east": ["alice", "bob"], "west": ["bob"]}
    assert await world.boot()
    assert await world.used() == times(4)
    assert await world.boot()
    assert await world.boot() is None


async def test_many_first_requests_ask_each_pod_once(world: World) -> None:
    made = await asyncio.gather(*(world.boot() for _ in range(20)))
    assert sum(server is not None for server in made) == 5
    assert world.pods.asked == 2


async def test_nobody_is_refused_by_an_old_number(world: World) -> None:
    for _ in range(5):
        await world.boot()
    world.pods.servers["east"].pop()  # deleted in the pod itself
    assert await world.boot() is None, "counted a moment ago"
    world.time += timedelta(seconds=6)
    assert await world.boot()
    assert await world.boot() is None


async def test_a_users_own_limit_counts_the_users_own_servers(world: World) -> None:
    world.pods.servers = {"east": ["alice", "bob"], "west": []}
    await world.stores.quota_limits.put_limits(ALICE, {"instances": 2})
    assert await world.boot(holder=ALICE)
    refused = await world.reserve(ALICE)
    assert isinstance(refused, Refused)
    assert refused.standing.used["alice"] == times(2)
    assert await world.boot(holder=BOB)


async def test_a_dead_pod_keeps_counting_with_what_was_known(world: World) -> None:
    for _ in range(2):
        await world.boot("west")
    world.pods.dead.add("west")
    world.time += timedelta(seconds=60)
    assert await world.counting.count(ALICE, REQUEST) is False
    assert await world.used() == times(2)
    assert isinstance(await world.jobs.count(JOB, Errand(REQUEST, 1)), NotYet)
    last = await world.jobs.count(JOB, Errand(REQUEST, PATIENT_ATTEMPTS))
    assert last == Succeeded("a pod does not answer; the sweep counts again")


async def test_what_a_pod_held_that_was_dead_at_first_is_added_later(world: World) -> None:
    world.pods.servers["west"] = ["bob"] * 3
    world.pods.dead.add("west")
    assert await world.boot()
    assert await world.used() == times(1)
    world.pods.dead.clear()
    await world.settle()
    assert await world.used() == times(4)


async def test_the_sweep_asks_for_counts_that_are_due(world: World) -> None:
    await world.reserve()
    await world.stores.quota_counts.begin_count(ALICE)
    assert await world.jobs.sweep(SweepUsage(), Errand(REQUEST, 1)) == Succeeded(
        "0 projects are counted"
    )
    world.time += timedelta(seconds=TTL_S + 1)
    assert await world.jobs.sweep(SweepUsage(), Errand(REQUEST, 1)) == Succeeded(
        "1 projects are counted"
    )


async def steps_of_a_boot(fresh: bool) -> int:
    world = World()
    if not fresh:
        await world.boot("west")
    world.life.end_at(1000, carried_out=False)
    await world.boot()
    return world.life.steps


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
async def test_a_gateway_killed_anywhere_leaves_nothing_miscounted(
    fresh: bool, carried_out: bool
) -> None:
    for step in range(await steps_of_a_boot(fresh)):
        world = World()
        if not fresh:
            await world.boot("west")
        world.life.end_at(step, carried_out=carried_out)
        with pytest.raises(Died):
            await world.boot()
        await world.settle()
        held = sum(len(servers) for servers in world.pods.servers.values())
        assert await world.used() in ((None, times(held)) if held == 0 else (times(held),)), step
        while held < LIMITS["instances"]:
            assert await world.boot(), step
            held += 1
        assert await world.boot() is None, step


class AwayLedger:
    """A ledger whose database is away."""

    async def find_standing(self, holder: Holder, fresh_s: float) -> Standing:
        raise ServiceUnavailable("the database does not answer")


async def test_whether_a_project_is_counted_takes_no_answer_away() -> None:
    world = World()
    assert not await world.quotas.has_numbers(ALICE)
    await world.reserve()
    assert await world.quotas.has_numbers(ALICE)
    ledger: Any = AwayLedger()
    away = Quotas(
        QuotaOptions(Service.COMPUTE, LIMITS, TTL_S),
        ledger,
        world.counting,
        Leftovers(world.requests),
        lambda: "claim",
    )
    assert not await away.has_numbers(ALICE)
