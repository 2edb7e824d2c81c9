"""Jobs are kept first, then a worker is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tricircle.core.errors import NotFound
from tricircle.core.jobs import ProbePod, Purge, ReleaseServer, SweepTwins
from tricircle.core.model import Pod, PodId, ProjectId, TopId
from tricircle.core.runs import JobId, JobState
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.store import MemoryStores
from tricircle.usecases.job_requests import RINGS, JobRequests

REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
EAST = PodId("east")


@dataclass
class RememberedBell:
    """``interfaces.bus.Bell`` that remembers what it was rung for."""

    rings: list[tuple[str, str]] = field(default_factory=list)

    def ring(self, job_id: str, request_id: str) -> None:
        """Remember the job and the request."""
        self.rings.append((job_id, request_id))


@dataclass
class World:
    """Stores in memory and a bell that remembers."""

    stores: MemoryStores = field(default_factory=MemoryStores)
    bell: RememberedBell = field(default_factory=RememberedBell)

    @property
    def requests(self) -> JobRequests:
        """Where jobs are asked for."""
        return JobRequests(self.stores.desk, self.bell)


@pytest.fixture
def world() -> World:
    """No jobs and no rings."""
    return World()


async def test_what_is_asked_for_is_kept_and_a_worker_is_told(world: World) -> None:
    ids = await world.requests.submit([Purge(), SweepTwins()], REQUEST_ID)

    jobs = [(await world.stores.records.get_job(job_id)).job for job_id in ids]
    assert jobs == [Purge(), SweepTwins()]
    assert world.bell.rings == [(job_id, REQUEST_ID) for job_id in ids]


async def test_nobody_is_told_of_what_is_to_wait(world: World) -> None:
    await world.requests.submit([Purge()], REQUEST_ID, wait_s=60)

    assert world.bell.rings == []


async def test_of_many_jobs_only_some_are_told(world: World) -> None:
    await world.stores.pods.add_pod(Pod(EAST, "east", "RegionEast"))
    jobs = [ReleaseServer(EAST, TopId(f"s{n}"), ProjectId("shop")) for n in range(100)]

    await world.requests.submit(jobs, REQUEST_ID)

    assert len(world.bell.rings) == RINGS


async def test_nobody_is_told_of_what_cannot_be_kept(world: World) -> None:
    with pytest.raises(NotFound, match="no pod east"):
        await world.requests.submit([Purge(), ProbePod(EAST)], REQUEST_ID)

    assert await world.stores.records.list_jobs(JobFilter(), 10) == []
    assert world.bell.rings == []


async def test_a_worker_is_told_of_a_job_that_is_to_be_done_again(world: World) -> None:
    (job_id,) = await world.requests.submit([Purge()], REQUEST_ID, wait_s=60)

    again = await world.requests.redo(world.stores.records, job_id, "operator", REQUEST_ID)

    assert (again.id, again.state) == (job_id, JobState.NEW)
    assert world.bell.rings == [(job_id, REQUEST_ID)]


async def test_nobody_is_told_of_a_job_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        await world.requests.redo(world.stores.records, JobId("none"), "operator", REQUEST_ID)

    assert world.bell.rings == []
