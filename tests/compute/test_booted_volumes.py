"""Volumes that pods make for servers are counted when they must be there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.jobs import CountUsage, Job
from tricircle.core.model import ProjectId
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import SimulatedCloud

QUOTAS = "[volume_quota]\nvolumes = 4\ngigabytes = -1\nsnapshots = -1\n"
NEW = {"boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1}
LOCAL = {"boot_index": 0, "source_type": "image", "destination_type": "local"}


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    """Two pods, and a quota of volumes."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top_without_worker(tmp_path, cloud, QUOTAS) as top:
        yield top


@pytest.mark.parametrize(("device", "is_counted"), [(NEW, True), (LOCAL, False)])
async def test_a_new_volume_of_a_server_is_counted_later(
    top: Top, device: dict[str, object], is_counted: bool
) -> None:
    image = next(iter(top.cloud.images.items))
    server = {
        "name": "s",
        "flavorRef": "1",
        "networks": "none",
        "block_device_mapping_v2": [{**device, "uuid": image}],
    }
    if device is LOCAL:
        server["imageRef"] = image
    headers = {**top.member(), "OpenStack-API-Version": "compute 2.90"}
    url = f"{top.compute}/v2.1/servers"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json={"server": server}, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
    project = top.cloud.identity.accounts.find_project("demo")
    assert project is not None
    wanted = [CountUsage("volumev3", ProjectId(project.id))] if is_counted else []
    assert await jobs_of(top, len(wanted)) == wanted


async def jobs_of(top: Top, least: int) -> list[Job]:
    """Return the jobs that count, once there are so many."""
    database = open_database(top.settings.database.connection)
    records = SqlStores(database).records
    for _ in range(100):
        jobs = [one.job for one in await records.list_jobs(JobFilter(kind="count_usage"), 10)]
        if len(jobs) >= least:
            break
        await asyncio.sleep(0.05)
    await database.close()
    return jobs
