"""No job is lost and none is done twice, whoever dies: a telling part of it for every run.

The whole of it, with 10,000 effects and half a minute without broker, is ``make
test-faults``.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.databases import make_database
from tests.xjob.disaster import (
    OPTIONS,
    Disaster,
    Figures,
    Plan,
    wait_until_done,
    wish_for_flavors,
)
from tests.xjob.stage import OTHERS, PASSWORD, Stage, open_stage
from tricircle.adapters.sql.schema import sync_schema
from tricircle.core.runs import JobState
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud.faults import Hang

SHORT = Plan(flavors=250)
WHOLE = Plan(
    flavors=5000,
    kill_every_s=5.0,
    broker_away=(20.0, 30.0),
    pod_away=(10.0, 60.0),
    deadline_s=1500.0,
)
RETURN_S = 120.0
"""By then everything that waited for a pod is done after its return."""

OpenStage = Callable[[str], AbstractAsyncContextManager[Stage]]


@pytest.fixture(
    params=[
        pytest.param("mariadb", marks=pytest.mark.database),
        pytest.param("postgresql", marks=pytest.mark.database),
    ]
)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStage:
    """A function that opens a stage on a database of its own."""
    url = make_database(str(request.param))

    @asynccontextmanager
    async def opened(options: str) -> AsyncIterator[Stage]:
        await sync_schema(url)
        async with open_stage(url, tmp_path, options) as stage:
            yield stage

    return opened


async def test_every_effect_is_there_once_whoever_dies(opening: OpenStage) -> None:
    async with opening(OPTIONS) as stage:
        check(stage, await Disaster(SHORT, stage).run())


@pytest.mark.faults
async def test_ten_thousand_effects_are_there_once(opening: OpenStage) -> None:
    async with opening(OPTIONS) as stage:
        figures = await Disaster(WHOLE, stage).run()
        print(f"\n{figures}")
        check(stage, figures)


def check(stage: Stage, figures: Figures) -> None:
    """Every wish has had its effect once, no job is left, and no secret is in a log."""
    assert figures.kills > 0
    for pod in OTHERS:
        assert stage.flavors_of(pod) == figures.wished
        assert set(stage.created[pod].values()) == {1}
    # a sweep of a pod may have asked anew for what it saw being made
    assert set(figures.states) == {"done"}
    assert len(figures.keys) == figures.plan.effects
    logs = b"".join(path.read_bytes() for path in stage.folder.glob("*.log"))
    assert b"job done" in logs
    assert PASSWORD.encode() not in logs


async def test_what_waits_for_a_pod_is_done_soon_after_its_return(opening: OpenStage) -> None:
    """With the options as they are by default."""
    async with opening("") as stage:
        await stage.stop_pod(OTHERS[-1])
        await stage.start_worker(0)
        wished = await wish_for_flavors(stage, range(1000))
        gone = JobFilter(pod_id=stage.pods[OTHERS[-1]], kind="replicate")
        await wait_for(lambda: stage.flavors_of(OTHERS[0]) == wished, 300)
        waiting = await stage.stores.records.list_jobs(gone, 1000)
        assert {job.state for job in waiting} == {JobState.NEW}
        assert len(waiting) == 1000
        await stage.start_pod(OTHERS[-1])
        returned_s = time.monotonic()
        await wait_until_done(stage, RETURN_S)
        print(f"\n1000 jobs done {time.monotonic() - returned_s:.1f} s after the pod's return")
        assert stage.flavors_of(OTHERS[-1]) == wished


async def test_a_worker_that_stalls_past_its_lease_cannot_finish_over_its_successor(
    opening: OpenStage,
) -> None:
    async with opening("lease_s = 2") as stage:
        faults = stage.cloud.pod(OTHERS[0]).faults
        hanging = faults.inject(Hang(), path="/flavors/flavor-0", times=1)
        stalled = await stage.start_worker(0)
        await stage.wish_for_flavor(0)
        wanted = JobFilter(pod_id=stage.pods[OTHERS[0]], kind="replicate")
        await wait_for(lambda: hanging.hits == 1, 60)
        stalled.send_signal(signal.SIGSTOP)
        await stage.start_worker(1)
        await wait_until_done(stage, 60)
        (done,) = await stage.stores.records.list_jobs(wanted, 10)
        hanging.release()
        stalled.send_signal(signal.SIGCONT)
        await wait_for(lambda: b"lease lost" in stage.log_of(0).read_bytes(), 60)
        (after,) = await stage.stores.records.list_jobs(wanted, 10)
        assert after == done
        assert done.worker.endswith(f":{stage.workers[1].pid}")
        assert done.attempts == 2
        assert stage.created[OTHERS[0]] == {"flavor-0": 1}


async def test_a_worker_that_is_told_to_end_takes_nothing_more(
    opening: OpenStage,
) -> None:
    async with opening("") as stage:
        ending = await stage.start_worker(0)
        await stage.wish_for_flavor(0)
        await wait_until_done(stage, 60)
        ending.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(ending.wait(), 20) in (0, -signal.SIGTERM)
        assert re.search(b"worker stopped", stage.log_of(0).read_bytes())
        await stage.wish_for_flavor(1)
        waiting = await stage.stores.records.list_jobs(JobFilter(kind="replicate"), 10)
        assert [job.state for job in waiting].count(JobState.NEW) == len(OTHERS)


async def wait_for(check: Callable[[], object], deadline_s: float) -> None:
    """Wait until a check holds. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not check():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(0.1)
