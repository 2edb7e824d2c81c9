"""``tricircle-xjob``: the job workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from tricircle.adapters.bus import open_bell, open_listener
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.credential import KeystoneCredential, make_credential
from tricircle.adapters.cloud.http import HttpCloud, make_cloud
from tricircle.adapters.config import ConfigError, Settings, XjobSettings, load_settings
from tricircle.adapters.log import setup_logging
from tricircle.adapters.sql import SqlStores
from tricircle.core.model import PodId
from tricircle.core.model import Service as PodService
from tricircle.core.runs import RetryRules
from tricircle.interfaces.bus import Bell
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.nodes import NodeSurvey
from tricircle.usecases.pod_sweep import PodSweep
from tricircle.usecases.probing import PodProbe
from tricircle.usecases.purging import Purging
from tricircle.usecases.quota_carrying import LimitsOfPods
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replication import Replication
from tricircle.usecases.server_group_removal import ServerGroupRemoval
from tricircle.usecases.spare_ports import SpareOptions
from tricircle.usecases.twin_ids import TwinIds
from tricircle.wiring.networks import make_networks, wait_for_top_network
from tricircle.wiring.quotas import QuotaParts, make_carrying, make_count_jobs
from tricircle.wiring.serving import Service, read_arguments, serve
from tricircle.wiring.storage import open_storage
from tricircle.xjob.app import XjobApp
from tricircle.xjob.kinds import Handlers, Intervals, Kind, make_kinds
from tricircle.xjob.metrics import MULTIPROCESS, Metrics
from tricircle.xjob.schedule import Schedule
from tricircle.xjob.worker import Worker, WorkerOptions

PROGRAM = "tricircle-xjob"

GRACE_S = 30.0
"""Seconds that jobs under way have when the program is told to end."""

PURGE_INTERVAL_S = 300.0

USAGE_INTERVAL_S = 60.0
"""Seconds between searches for claims of quotas that have expired."""

PROBE_TIMEOUT_S = 10.0
"""Seconds in which all services of a pod must tell what they speak."""


def main() -> None:
    """Run the program."""
    arguments = sys.argv[1:]
    try:
        workers = load_settings(PROGRAM, arguments).xjob.workers
    except ConfigError as error:
        sys.exit(f"{PROGRAM}: {error}")
    with contextlib.ExitStack() as stack:
        if workers > 1 and MULTIPROCESS not in os.environ:
            # whichever process is asked for metrics tells what all have counted
            os.environ[MULTIPROCESS] = stack.enter_context(tempfile.TemporaryDirectory())
        serve(PROGRAM, f"{__name__}:make_service", lambda one: one.xjob.listen, arguments)


def make_service() -> Service:
    """Return the service of one process."""
    settings = read_arguments(PROGRAM)
    setup_logging(settings, PROGRAM)
    return Service(lambda: open_xjob(settings))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a worker's handlers are made of."""

    settings: Settings
    stores: SqlStores
    cloud: HttpCloud
    credential: KeystoneCredential
    directory: Directory
    bell: Bell
    clock: SystemClock


@contextlib.asynccontextmanager
async def open_xjob(settings: Settings) -> AsyncIterator[XjobApp]:
    """Yield a job worker at work; at the end it finishes or hands back its jobs."""
    async with AsyncExitStack() as stack:
        ground = await _open_ground(settings, stack)
        kinds = await _make_kinds(ground)
        metrics = Metrics(ground.stores.records, partial(_name_pod, ground.directory), ground.clock)
        worker = Worker(
            ground.stores.queue,
            kinds,
            ground.cloud.is_dead,
            ground.clock,
            _make_options(settings.xjob),
            _new_id,
            metrics,
        )
        schedule = Schedule(
            ground.stores.desk,
            kinds.values(),
            lambda: ground.directory.topology,
            ground.clock,
            _new_id,
        )
        worker.start()
        stack.push_async_callback(worker.stop, GRACE_S)
        scheduling = asyncio.create_task(schedule.run())
        stack.callback(scheduling.cancel)
        # by host only: the broker keeps the queue of each name for ever
        listening = open_listener(settings, socket.gethostname(), lambda _job_id: worker.wake())
        await stack.enter_async_context(listening)
        yield XjobApp(metrics)


async def _open_ground(settings: Settings, stack: AsyncExitStack) -> _Ground:
    database = open_storage(settings)
    stack.push_async_callback(database.close)
    stores, clock = SqlStores(database), SystemClock()
    cloud = make_cloud(settings.gateway, PodService.COMPUTE)
    stack.push_async_callback(cloud.close)
    credential = make_credential(settings)
    stack.callback(credential.close)
    directory = Directory(
        stores.pods,
        stores.zones,
        clock,
        settings.gateway.directory_refresh_s,
        lambda topology: cloud.update_pods(topology.pods),
    )
    bell = await stack.enter_async_context(open_bell(settings))
    await directory.refresh()
    cloud.start()
    refreshing = asyncio.create_task(directory.run())
    stack.callback(refreshing.cancel)
    return _Ground(settings, stores, cloud, credential, directory, bell, clock)


async def _make_kinds(ground: _Ground) -> Mapping[str, Kind]:
    settings, stores = ground.settings, ground.stores
    cloud, credential = ground.cloud, ground.credential
    timeout_s = settings.gateway.request_timeout_s
    networks = make_networks(
        cloud,
        credential,
        await wait_for_top_network(settings, credential, ground.clock),
        stores,
        JobRequests(stores.desk, ground.bell),
        ground.directory,
        ground.clock,
        timeout_s=timeout_s,
        spare_options=SpareOptions(settings.xjob.spare_ports, settings.xjob.spare_port_for_s),
    )
    twins = TwinIds(stores.routings, stores.upkeep, stores.pods, cloud, credential, ground.clock)
    replicas = ReplicaKinds(cloud, credential, timeout_s, twins)
    requests = JobRequests(stores.desk, ground.bell)
    quotas = QuotaParts(
        settings, stores, cloud, credential, ground.directory, requests, ground.clock
    )
    handlers = Handlers(
        releases=networks.release_jobs,
        repair=networks.repair,
        sweep=networks.sweep,
        spares=networks.spares,
        group_removal=ServerGroupRemoval(
            cloud, credential, stores.routings, stores.pods, timeout_s
        ),
        replication=Replication(stores.wishes, twins, stores.pods, replicas),
        pod_sweep=PodSweep(stores.wishes, stores.pods, stores.desk, replicas, twins),
        counting=make_count_jobs(quotas),
        carrying=make_carrying(quotas),
        limits=LimitsOfPods(stores.quota_limits, stores.pods, requests),
        survey=NodeSurvey(cloud, credential, stores.pods, stores.nodes, timeout_s),
        probe=PodProbe(cloud, stores.pods, PROBE_TIMEOUT_S),
        purging=Purging(stores.records, stores.positions, settings.xjob.keep_ended_s),
    )
    return make_kinds(handlers, _make_intervals(settings.xjob))


def _make_intervals(options: XjobSettings) -> Intervals:
    return Intervals(
        sweep_s=options.sweep_interval_s,
        measure_s=options.measure_interval_s,
        probe_s=options.probe_interval_s,
        purge_s=PURGE_INTERVAL_S,
        usage_s=USAGE_INTERVAL_S,
    )


def _make_options(options: XjobSettings) -> WorkerOptions:
    return WorkerOptions(
        name=f"{socket.gethostname()}:{os.getpid()}",
        concurrency=options.concurrency,
        concurrency_per_pod=options.concurrency_per_pod,
        poll_interval_s=options.poll_interval_s,
        lease_s=options.lease_s,
        job_timeout_s=options.job_timeout_s,
        rules=RetryRules(
            max_attempts=options.max_attempts,
            longest_s=options.longest_pause_s,
            pod_longest_s=options.longest_pod_pause_s,
        ),
    )


def _name_pod(directory: Directory, pod_id: PodId) -> str:
    pod = directory.topology.find_pod(pod_id)
    return pod_id if pod is None else pod.name


def _new_id() -> str:
    return str(uuid.uuid4())
