"""The job worker as it is joined: real parts, a simulated cloud, a SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.jobs import Job, JobRequest, MeasureNode, ProbePod, Purge, SweepPod, SweepTwins
from tricircle.core.runs import JobRecord, JobState
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.wiring.xjob import open_xjob

PATIENCE_S = 30.0
FAST = "[xjob]\npoll_interval_s = 0.1\n"


@asynccontextmanager
async def open_both(folder: Path) -> AsyncIterator[tuple[Top, SqlStores, str]]:
    """Yield a top with a worker beside it, its stores and the worker's URL."""
    async with open_top_without_worker(folder, SimulatedCloud(), FAST) as top:
        database = open_database(top.settings.database.connection)
        async with open_xjob(top.settings) as app, serve(app) as url:
            yield top, SqlStores(database), url
        await database.close()


async def wait_for(check: Callable[[list[JobRecord]], bool], stores: SqlStores) -> None:
    """Wait until the jobs are as a test wants them."""
    async with asyncio.timeout(PATIENCE_S):
        # workers tell nobody when they have done something
        while not check(list(await stores.records.list_jobs(JobFilter(), 1000))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_repeated_jobs_of_every_pod_run_by_themselves(tmp_path: Path) -> None:
    async with open_both(tmp_path) as (top, stores, _url):
        pods = [pod.id for pod in top.pods.values()]
        wanted: set[Job] = {kind(pod) for pod in pods for kind in (MeasureNode, ProbePod, SweepPod)}
        wanted |= {SweepTwins(), Purge()}

        def all_ran(jobs: list[JobRecord]) -> bool:
            ran = {job.job for job in jobs if job.finished_at and not job.error}
            return wanted <= ran

        await wait_for(all_ran, stores)
        nodes = await stores.nodes.list_nodes()
        assert {node.pod_id for node in nodes} == set(pods)
        assert all(node.vcpus > 0 for node in nodes)
        jobs = await stores.records.list_jobs(JobFilter(), 1000)
        assert {job.state for job in jobs} == {JobState.NEW}


async def test_what_is_asked_for_is_done_and_seen_in_the_metrics(tmp_path: Path) -> None:
    async with open_both(tmp_path) as (_top, stores, url), aiohttp.ClientSession(url) as session:
        await stores.desk.submit_jobs([JobRequest(Purge(), "req-1")])

        def purged(jobs: list[JobRecord]) -> bool:
            return any(job.job == Purge() and job.finished_at for job in jobs)

        await wait_for(purged, stores)
        text = await (await session.get("/metrics")).text()
        assert 'tricircle_job_run_seconds_count{kind="purge",outcome="succeeded"' in text


async def test_a_pod_that_is_deleted_takes_its_jobs_along_and_disturbs_nobody(
    tmp_path: Path,
) -> None:
    async with open_both(tmp_path) as (top, stores, url), aiohttp.ClientSession(url) as session:
        pod = next(iter(top.pods.values()))
        await wait_for(lambda jobs: any(job.job == MeasureNode(pod.id) for job in jobs), stores)
        for entry in await stores.zones.list_zone_pods():
            await stores.zones.delete_zone_pod(entry.zone, entry.pod_id)
        await stores.pods.delete_pod(pod.id)
        assert not await stores.records.list_jobs(JobFilter(pod_id=pod.id), 10)
        await asyncio.sleep(1)
        assert (await session.get("/healthcheck")).status == 200
