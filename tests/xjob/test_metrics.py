"""What a worker answers over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.xjob.world import World, release
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.jobs import Purge, ReleaseServer
from tricircle.core.model import PodId
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.jobs import JobCount, JobRecords
from tricircle.testing.cloud import serve
from tricircle.xjob.app import XjobApp
from tricircle.xjob.metrics import FRESH_S, Metrics


@pytest.fixture
async def world() -> World:
    made = World()
    await made.add_pods()
    return made


def make_metrics(world: World, records: JobRecords | None = None) -> Metrics:
    return Metrics(records or world.stores.records, lambda pod: f"the {pod}", world.clock)


def values_of(text: str, name: str) -> dict[str, float]:
    found = re.findall(rf"^{name}(\{{.*?\}})? (\S+)$", text, re.M)
    return {labels: float(value) for labels, value in found}


async def read(metrics: Metrics) -> str:
    return (await metrics.write()).decode()


async def test_jobs_are_counted_by_state_kind_and_pod_with_their_age(world: World) -> None:
    metrics = make_metrics(world)
    await world.submit(release("s1"), release("s2"), Purge())
    await world.clock.advance(30)
    text = await read(metrics)
    waiting = values_of(text, "tricircle_jobs_waiting")
    assert waiting['{kind="release_server",pod="the east"}'] == 2
    assert waiting['{kind="purge",pod=""}'] == 1
    oldest = values_of(text, "tricircle_jobs_waiting_oldest_seconds")
    assert oldest['{kind="release_server",pod="the east"}'] == 30
    assert values_of(text, "tricircle_jobs_failed") == {}


async def test_what_runs_and_what_has_failed_is_told_apart(world: World) -> None:
    async def fail(job: ReleaseServer, errand: Errand) -> Outcome:
        if job.server_id == "bad":
            raise ServiceUnavailable("never")
        await world.clock.sleep(1000)
        return Succeeded()

    metrics = make_metrics(world)
    await world.submit(release("long"))
    async with world.working(fail):
        await world.clock.advance(10)
        text = await read(metrics)
    assert sum(values_of(text, "tricircle_jobs_running").values()) == 1
    assert sum(values_of(text, "tricircle_jobs_waiting").values()) == 0


async def test_runs_are_timed_by_how_they_ended(world: World) -> None:
    metrics = make_metrics(world)
    metrics.end(release("s1"), Succeeded(), 0.02)
    metrics.end(release("s2", PodId("west")), Succeeded(), 100)
    text = await read(metrics)
    counts = values_of(text, "tricircle_job_run_seconds_count")
    east = '{kind="release_server",outcome="succeeded",pod="the east"}'
    assert counts[east] == 1
    assert values_of(text, "tricircle_job_run_seconds_sum")[east] == pytest.approx(0.02)


class Counted:
    """Counts how often the records are counted."""

    def __init__(self, real: JobRecords) -> None:
        self.real, self.reads = real, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    async def count_jobs(self) -> list[JobCount]:
        self.reads += 1
        return list(await self.real.count_jobs())


async def test_who_asks_often_does_not_burden_the_database(world: World) -> None:
    records = Counted(world.stores.records)
    metrics = make_metrics(world, records)  # type: ignore[arg-type]
    for _ in range(10):
        await metrics.write()
    assert records.reads == 1
    await world.clock.advance(FRESH_S)
    await metrics.write()
    assert records.reads == 2


class Away(Counted):
    """Records in a database that is away."""

    async def count_jobs(self) -> list[JobCount]:
        raise ServiceUnavailable("the database does not answer; please retry")


@asynccontextmanager
async def client(metrics: Metrics) -> AsyncIterator[aiohttp.ClientSession]:
    async with serve(XjobApp(metrics)) as url, aiohttp.ClientSession(url) as session:
        yield session


async def test_health_and_metrics_are_served_and_nothing_else(world: World) -> None:
    await world.submit(release("s1"))
    async with client(make_metrics(world)) as session:
        health = await session.get("/healthcheck")
        assert (health.status, await health.text()) == (200, "OK")
        metrics = await session.get("/metrics")
        assert metrics.status == 200
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'tricircle_jobs_waiting{kind="release_server"' in await metrics.text()
        assert (await session.get("/")).status == 404
        assert (await session.post("/metrics")).status == 405


async def test_without_database_the_metrics_say_so_and_the_process_is_well(world: World) -> None:
    away = make_metrics(world, Away(world.stores.records))  # type: ignore[arg-type]
    async with client(away) as session:
        answer = await session.get("/metrics")
        assert answer.status == 503
        assert "the database does not answer" in await answer.text()
        assert (await session.get("/healthcheck")).status == 200
