"""The jobs that are repeated for ever are there, once, for every pod."""

from __future__ import annotations

import itertools

import pytest

from tests.xjob.world import EAST, World
from tricircle.core.jobs import Job, MeasureNode, Purge, ReleaseServer
from tricircle.core.model import Pod, PodId
from tricircle.core.placing import Topology
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.jobs import JobFilter
from tricircle.xjob.kinds import kind
from tricircle.xjob.schedule import Schedule


async def do_nothing(job: Job, errand: Errand) -> Outcome:
    return Succeeded()


@pytest.fixture
async def world() -> World:
    made = World()
    await made.add_pods()
    return made


def make_schedule(world: World, topology: list[Topology]) -> Schedule:
    numbers = itertools.count()
    kinds = [
        kind(ReleaseServer, do_nothing),
        kind(MeasureNode, do_nothing, every_s=60),
        kind(Purge, do_nothing, every_s=300),
    ]
    return Schedule(
        world.stores.desk, kinds, lambda: topology[-1], world.clock, lambda: str(next(numbers))
    )


async def jobs_of(world: World) -> set[Job]:
    return {record.job for record in await world.stores.records.list_jobs(JobFilter(), 100)}


async def test_every_repeated_kind_gets_its_jobs_and_no_other_kind_does(world: World) -> None:
    topology = [Topology(tuple(await world.stores.pods.list_pods()))]
    assert await make_schedule(world, topology).complete() == 3
    assert await jobs_of(world) == {MeasureNode(EAST), MeasureNode(PodId("west")), Purge()}


async def test_several_workers_that_schedule_add_each_job_once(world: World) -> None:
    topology = [Topology(tuple(await world.stores.pods.list_pods()))]
    assert await make_schedule(world, topology).complete() == 3
    assert await make_schedule(world, topology).complete() == 0
    assert len(await world.stores.records.list_jobs(JobFilter(), 100)) == 3


async def test_a_pod_that_comes_later_gets_its_jobs_too(world: World) -> None:
    topology = [Topology(tuple(await world.stores.pods.list_pods()))]
    schedule = make_schedule(world, topology)
    await schedule.complete()
    await world.stores.pods.add_pod(Pod(PodId("north"), "north", "north"))
    topology.append(Topology(tuple(await world.stores.pods.list_pods())))
    assert await schedule.complete() == 1
    assert MeasureNode(PodId("north")) in await jobs_of(world)


async def test_a_pod_that_has_just_gone_disturbs_nothing(world: World) -> None:
    topology = [Topology(tuple(await world.stores.pods.list_pods()))]
    await world.stores.pods.delete_pod(EAST)
    assert await make_schedule(world, topology).complete() == 2


async def test_a_repeated_job_that_was_cancelled_comes_back(world: World) -> None:
    schedule = make_schedule(world, [Topology()])
    await schedule.complete()
    (record,) = await world.stores.records.list_jobs(JobFilter(), 100)
    await world.stores.records.cancel_job(record.id, "operator")
    assert await schedule.complete() == 1
