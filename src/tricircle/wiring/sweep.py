"""``tricircle-manage sweep``: repairs what boots and deletions left half done."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator

from tricircle.adapters.bus import SilentBell
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.credential import make_credential
from tricircle.adapters.cloud.http import make_cloud
from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.model import Service
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.spare_ports import SpareOptions
from tricircle.usecases.sweep import sweep_here
from tricircle.wiring.networks import Networks, find_top_network, make_networks
from tricircle.wiring.storage import open_storage


async def run_sweep(settings: Settings, older_than_s: float) -> int:
    """Sweep once, print what was done, and return 0, or 1 when something could not be repaired.

    Nothing is queued: all is repaired here, whether there are job workers or not. Safe at
    any time and beside any number of gateways, workers and sweeps. What is younger than
    ``older_than_s`` may still be under way and is left alone.
    """
    async with _open_networks(settings, older_than_s) as networks:
        request_id = f"req-{uuid.uuid4()}"
        report = await sweep_here(networks.finder, networks.repair, older_than_s, request_id)
    for name, count in dataclasses.asdict(report).items():
        print(f"{name}: {count}")
    return 1 if report.failed else 0


@contextlib.asynccontextmanager
async def _open_networks(settings: Settings, older_than_s: float) -> AsyncIterator[Networks]:
    async with contextlib.AsyncExitStack() as stack:
        database = open_storage(settings)
        stack.push_async_callback(database.close)
        stores = SqlStores(database)
        cloud = make_cloud(settings.gateway, Service.NETWORK)
        stack.push_async_callback(cloud.close)
        credential = make_credential(settings)
        stack.callback(credential.close)
        clock = SystemClock()
        directory = Directory(
            stores.pods, stores.zones, clock, 0.0, lambda topology: cloud.update_pods(topology.pods)
        )
        await directory.refresh()
        top = await find_top_network(settings, credential)
        yield make_networks(
            cloud,
            credential,
            top,
            stores,
            JobRequests(stores.desk, SilentBell()),
            directory,
            clock,
            timeout_s=settings.gateway.request_timeout_s,
            older_than_s=older_than_s,
            spare_options=SpareOptions(settings.xjob.spare_ports, settings.xjob.spare_port_for_s),
        )
