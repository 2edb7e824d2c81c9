"""Jobs: how many a worker does, how soon one begins, and what an idle worker costs.

The database is a real MariaDB and the broker a real RabbitMQ, both private; the
worker of the first two is in this process, the idle one is the real program.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import stage
from tricircle.adapters.bus import SilentBell, open_bell, open_listener
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.config import Settings, load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.core.jobs import Job, ReleaseServer
from tricircle.core.model import Pod, PodId, ProjectId, TopId
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.testing.servers import MariaDb, RabbitMq, running
from tricircle.usecases.job_requests import JobRequests
from tricircle.xjob.kinds import by_name, kind
from tricircle.xjob.worker import Worker, WorkerOptions

JOBS, REQUESTS, BATCH = 5000, 200, 500
IDLE_S = 30.0
POLL_S = 0.5
PODS = tuple(PodId(f"pod{number}") for number in range(3))


@dataclass(frozen=True, slots=True)
class Throughput:
    """No-op jobs of one worker process."""

    per_second: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From the call that submits a job to the first line of its handler."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Idle:
    """The real program, two pods, all repeated jobs going on."""

    cpu_percent: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was measured."""

    throughput: Throughput
    with_broker: Latency
    by_polling: Latency
    poll_s: float
    idle: Idle


Handler = Callable[[ReleaseServer, Errand], Awaitable[Outcome]]


class _NoMeter:
    def end(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """Count nothing."""


def run() -> Figures:
    """Measure everything."""
    with running(MariaDb()) as database, running(RabbitMq()) as broker:
        for name in ("bench", "idle"):
            database.run_sql(f"CREATE DATABASE {name}")
        url, transport = database.url("bench"), broker.engine.url(broker.port)
        asyncio.run(sync_schema(url))
        with _settings(url, transport) as settings:
            throughput = asyncio.run(_measure_throughput(settings))
            with_broker = asyncio.run(_measure_latency(settings, poll_s=60))
            polling = asyncio.run(_measure_latency(_without_broker(settings), POLL_S))
        idle = _measure_idle(database.url("idle"), transport)
    return Figures(throughput, with_broker, polling, POLL_S, idle)


async def _measure_throughput(settings: Settings) -> Throughput:
    async with _stores(settings) as stores:
        requests = JobRequests(stores.desk, SilentBell())
        for start in range(0, JOBS, BATCH):
            await requests.submit([_job(n) for n in range(start, start + BATCH)], "req-bench")
        done, over = 0, asyncio.Event()

        async def do(job: ReleaseServer, errand: Errand) -> Outcome:
            nonlocal done
            done += 1
            if done == JOBS:
                over.set()
            return Succeeded()

        worker = _worker(stores, do, poll_s=1.0)
        started, cpu = time.monotonic(), _cpu_s()
        worker.start()
        await over.wait()
        await worker.stop(10)
        took_s, used_s = time.monotonic() - started, _cpu_s() - cpu
    return Throughput(JOBS / took_s, used_s / JOBS * 1000)


async def _measure_latency(settings: Settings, poll_s: float) -> Latency:
    """Submit one job after another, at times that have nothing to do with the polls."""
    begun: dict[str, asyncio.Future[float]] = {}

    async def do(job: ReleaseServer, errand: Errand) -> Outcome:
        begun[job.server_id].set_result(time.monotonic())
        return Succeeded()

    waits_ms = []
    async with _stores(settings) as stores, open_bell(settings) as bell:
        worker = _worker(stores, do, poll_s)
        worker.start()
        async with open_listener(settings, "bench", lambda _job_id: worker.wake()):
            await asyncio.sleep(3)
            requests = JobRequests(stores.desk, bell)
            for number in range(REQUESTS):
                job = _job(f"{poll_s}-{number}")
                begun[job.server_id] = asyncio.get_running_loop().create_future()
                submitted = time.monotonic()
                await requests.submit([job], "req-bench")
                waits_ms.append((await begun[job.server_id] - submitted) * 1000)
                await asyncio.sleep(0.02 + number % 7 * 0.013)
        await worker.stop(10)
    waits_ms.sort()
    return Latency(statistics.median(waits_ms), waits_ms[int(len(waits_ms) * 0.99)])


def _measure_idle(database: str, transport: str) -> Idle:
    with (
        stage.clouds(pods=2, servers=0) as clouds,
        stage.worker(clouds, database, transport) as worker,
    ):
        time.sleep(10)
        cpu, started = worker.cpu_s(), time.monotonic()
        time.sleep(IDLE_S)
        percent = (worker.cpu_s() - cpu) / (time.monotonic() - started) * 100
        return Idle(percent, worker.rss_mib())


@contextlib.asynccontextmanager
async def _stores(settings: Settings) -> AsyncIterator[SqlStores]:
    database = open_database(settings.database.connection)
    stores = SqlStores(database)
    known = {pod.id for pod in await stores.pods.list_pods()}
    for pod_id in PODS:
        if pod_id not in known:
            await stores.pods.add_pod(Pod(pod_id, pod_id, pod_id))
    try:
        yield stores
    finally:
        await database.close()


@contextlib.contextmanager
def _settings(url: str, transport: str) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.conf")
        path.write_text(f"[DEFAULT]\ntransport_url = {transport}\n[database]\nconnection = {url}\n")
        yield load_settings("bench", files=[str(path)])


def _without_broker(settings: Settings) -> Settings:
    return replace(settings, transport_url=None)


def _worker(stores: SqlStores, do: Handler, poll_s: float) -> Worker:
    return Worker(
        stores.queue,
        by_name(kind(ReleaseServer, do)),
        lambda _pod: False,
        SystemClock(),
        WorkerOptions("bench", poll_interval_s=poll_s),
        lambda: str(uuid.uuid4()),
        _NoMeter(),
    )


def _job(number: object) -> ReleaseServer:
    pod_id = PODS[hash(number) % len(PODS)]
    return ReleaseServer(pod_id, TopId(f"server-{number}"), ProjectId("bench"))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(run(), file=sys.stderr)
