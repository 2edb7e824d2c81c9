"""The last units of a quota, wanted by many at once, through several gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.databases import empty_tables, get_migrated_url
from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import ProjectId, Service
from tricircle.core.quotas import WHOLE, Holder
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.wiring.compute import open_compute

ROUNDS, PARALLEL, HELD, ALLOWED = 10, 50, 3, 10
OPTIONS = f"[quota]\ninstances = {ALLOWED}\ncores = -1\nram = 51200\n"
RECENT = {"OpenStack-API-Version": "compute 2.90"}
SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.database),
    pytest.param("postgresql", marks=pytest.mark.database),
]


@asynccontextmanager
async def open_two(folder: Path, database_url: str) -> AsyncIterator[tuple[Top, list[str]]]:
    """Yield a top with two gateways on one database, and the URLs of both."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with (
        open_top_without_worker(folder, cloud, OPTIONS, None, database_url) as top,
        open_compute(top.settings) as second,
        serve(second) as second_url,
    ):
        yield top, [top.compute, second_url]


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database on a server."""
    return get_migrated_url(request.param)


@pytest.fixture
async def database_url(server_url: str) -> str:
    """The URL of an empty database that several gateways may share."""
    database = open_database(server_url)
    await empty_tables(database)
    await database.close()
    return server_url


async def boot(http: aiohttp.ClientSession, top: Top, url: str, project: str, **more: Any) -> int:
    """Return the status of a boot."""
    server = {
        "name": "s",
        "flavorRef": "1",
        "imageRef": next(iter(top.cloud.images.items)),
        "networks": "none",
        **more,
    }
    headers = {**top.member(project), **RECENT}
    async with http.post(f"{url}/v2.1/servers", json={"server": server}, headers=headers) as answer:
        text = await answer.text()
        assert answer.status == 202 or "Quota exceeded for instances" in text, text
        return answer.status


def count_servers(top: Top, project_id: str) -> int:
    return sum(
        server.project_id == project_id
        for pod in top.cloud.pods.values()
        for server in pod.compute.servers.values()
    )


async def test_exactly_the_allowed_number_is_made_ten_times_in_a_row(
    tmp_path: Path, database_url: str
) -> None:
    async with open_two(tmp_path, database_url) as (top, urls), aiohttp.ClientSession() as http:
        for number in range(ROUNDS):
            project = f"project-{number}"
            project_id = project_of(top, project)
            # what was there before is in both pods, and nobody has counted it
            for held in range(HELD):
                pod = top.pods[f"pod{held % 2 + 1}"]
                url = pod.endpoints[Service.COMPUTE].url.removesuffix("/v2.1")
                await boot(http, top, url, project)
            statuses = await asyncio.gather(
                *(boot(http, top, urls[one % 2], project) for one in range(PARALLEL))
            )
            made = ALLOWED - HELD
            assert Counter(statuses) == {202: made, 403: PARALLEL - made}, number
            assert count_servers(top, project_id) == ALLOWED
        await assert_usage_is_right(database_url, top)


def project_of(top: Top, name: str) -> str:
    """Return the id of a project, which is made if it is not there."""
    top.member(name)
    project = top.cloud.identity.accounts.find_project(name)
    assert project is not None
    return project.id


async def assert_usage_is_right(database_url: str, top: Top) -> None:
    database = open_database(database_url)
    ledger = SqlStores(database).quota_ledger
    for number in range(ROUNDS):
        holder = Holder(Service.COMPUTE, ProjectId(project_of(top, f"project-{number}")))
        used = (await ledger.find_standing(holder, 60)).used[WHOLE]
        assert used == {"instances": ALLOWED, "cores": ALLOWED, "ram": ALLOWED * 512}
    await database.close()
