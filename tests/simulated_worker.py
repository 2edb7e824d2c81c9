"""A job worker beside a simulated top: repairs and releases, nothing that is repeated."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tricircle.adapters.bus import SilentBell
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.credential import make_credential
from tricircle.adapters.cloud.http import make_cloud
from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.jobs import (
    CarryQuota,
    CarryQuotaClass,
    CountUsage,
    DeleteStrayPort,
    Job,
    KeepSparePorts,
    ReleasePort,
    ReleaseServer,
    RepairPort,
    RepairSparePort,
    RepairTwin,
)
from tricircle.core.model import Service
from tricircle.core.runs import Outcome
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.wiring.networks import find_top_network, make_networks
from tricircle.wiring.quotas import QuotaParts, make_carrying, make_count_jobs
from tricircle.wiring.storage import open_storage
from tricircle.xjob.kinds import by_name, kind
from tricircle.xjob.worker import Worker, WorkerOptions


class _NoMeter:
    """``xjob.worker.Meter``."""

    def end(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """Count nothing."""


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Worker]:
    """Yield a worker at work."""
    async with AsyncExitStack() as stack:
        database = open_storage(settings)
        stack.push_async_callback(database.close)
        stores, clock = SqlStores(database), SystemClock()
        cloud = make_cloud(settings.gateway, Service.NETWORK)
        stack.push_async_callback(cloud.close)
        credential = make_credential(settings)
        stack.callback(credential.close)
        directory = Directory(
            stores.pods, stores.zones, clock, 0.0, lambda topology: cloud.update_pods(topology.pods)
        )
        await directory.refresh()
        requests = JobRequests(stores.desk, SilentBell())
        quotas = QuotaParts(settings, stores, cloud, credential, directory, requests, clock)
        carrying = make_carrying(quotas)
        made = make_networks(
            cloud,
            credential,
            await find_top_network(settings, credential),
            stores,
            requests,
            directory,
            clock,
            timeout_s=settings.gateway.request_timeout_s,
        )
        kinds = by_name(
            kind(ReleaseServer, made.release_jobs.release_server),
            kind(ReleasePort, made.release_jobs.release_port),
            kind(RepairPort, made.repair.run),
            kind(RepairTwin, made.repair.run),
            kind(DeleteStrayPort, made.repair.run),
            kind(RepairSparePort, made.repair.run),
            kind(KeepSparePorts, made.spares.run),
            kind(CountUsage, make_count_jobs(quotas).count),
            kind(CarryQuota, carrying.carry),
            kind(CarryQuotaClass, carrying.carry_class),
        )
        options = WorkerOptions("test-worker", poll_interval_s=0.1)
        worker = Worker(
            stores.queue,
            kinds,
            cloud.is_dead,
            clock,
            options,
            lambda: str(uuid.uuid4()),
            _NoMeter(),
        )
        worker.start()
        stack.push_async_callback(worker.stop, 5.0)
        yield worker
