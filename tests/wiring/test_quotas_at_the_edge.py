"""The last units of a quota, wanted by many at once, through several gateways: Nova's, Cinder's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.databases import empty_tables, get_migrated_url
from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import ProjectId, Service
from tricircle.core.quotas import WHOLE, Amounts, Holder
from tricircle.gateway.app import GatewayApp
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.wiring.compute import open_compute
from tricircle.wiring.volume import open_volume

ROUNDS, PARALLEL, HELD, ALLOWED = 10, 50, 3, 10
OPTIONS = (
    f"[quota]\ninstances = {ALLOWED}\ncores = -1\nram = 51200\n"
    f"[volume_quota]\nvolumes = {ALLOWED}\ngigabytes = 1000\n"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What everybody wants one more of."""

    service: Service
    open_gateway: Callable[[Settings], AbstractAsyncContextManager[GatewayApp]]
    url_of: Callable[[Top], str]
    path: str
    body: Callable[[Top], Mapping[str, Any]]
    refusal: tuple[int, str]
    one: Amounts


def a_server(top: Top) -> Mapping[str, Any]:
    image = next(iter(top.cloud.images.items))
    return {"server": {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"}}


SERVERS = Wanted(
    Service.COMPUTE,
    open_compute,
    lambda top: top.compute,
    "/v2.1/servers",
    a_server,
    (403, "Quota exceeded for instances"),
    {"instances": 1, "cores": 1, "ram": 512},
)
VOLUMES = Wanted(
    Service.VOLUME,
    open_volume,
    lambda top: top.volume,
    "/v3/volumes",
    lambda _top: {"volume": {"size": 2}},
    (413, "exceeded for quota 'volumes'."),
    {"volumes": 1, "gigabytes": 2},
)
DATABASES = [
    pytest.param("mariadb", marks=pytest.mark.database),
    pytest.param("postgresql", marks=pytest.mark.database),
]


@asynccontextmanager
async def open_two(
    folder: Path, database_url: str, wanted: Wanted
) -> AsyncIterator[tuple[Top, list[str]]]:
    """Yield a top with two gateways on one database, and the URLs of both."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with (
        open_top_without_worker(folder, cloud, OPTIONS, None, database_url) as top,
        wanted.open_gateway(top.settings) as second,
        serve(second) as second_url,
    ):
        yield top, [wanted.url_of(top), second_url]


@pytest.fixture(params=DATABASES)
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


async def make(
    http: aiohttp.ClientSession, top: Top, url: str, project: str, wanted: Wanted
) -> int:
    """Return the status of one creation."""
    headers = {**top.member(project), "OpenStack-API-Version": "compute 2.90, volume 3.71"}
    body = wanted.body(top)
    async with http.post(f"{url}{wanted.path}", json=body, headers=headers) as answer:
        text = await answer.text()
        status, words = wanted.refusal
        assert answer.status == 202 or (answer.status == status and words in text), text
        return answer.status


def count(top: Top, project_id: str, wanted: Wanted) -> int:
    """Return how many of them a project has in all pods."""
    pods = top.cloud.pods.values()
    held = [
        one.project_id
        for pod in pods
        for one in (
            pod.compute.servers.values()
            if wanted.service == Service.COMPUTE
            else pod.volume.volumes.values()
        )
    ]
    return held.count(project_id)


@pytest.mark.parametrize("wanted", [SERVERS, VOLUMES], ids=["servers", "volumes"])
async def test_exactly_the_allowed_number_is_made_ten_times_in_a_row(
    tmp_path: Path, database_url: str, wanted: Wanted
) -> None:
    async with (
        open_two(tmp_path, database_url, wanted) as (top, urls),
        aiohttp.ClientSession() as http,
    ):
        for number in range(ROUNDS):
            project = f"project-{number}"
            project_id = project_of(top, project)
            # what was there before is in both pods, and nobody has counted it
            for held in range(HELD):
                endpoint = top.pods[f"pod{held % 2 + 1}"].endpoints[wanted.service]
                await make(http, top, endpoint.url.rpartition("/v")[0], project, wanted)
            statuses = await asyncio.gather(
                *(make(http, top, urls[one % 2], project, wanted) for one in range(PARALLEL))
            )
            made = ALLOWED - HELD
            assert Counter(statuses) == {202: made, wanted.refusal[0]: PARALLEL - made}, number
            assert count(top, project_id, wanted) == ALLOWED
        await assert_usage_is_right(database_url, top, wanted)


def project_of(top: Top, name: str) -> str:
    """Return the id of a project, which is made if it is not there."""
    top.member(name)
    project = top.cloud.identity.accounts.find_project(name)
    assert project is not None
    return project.id


async def assert_usage_is_right(database_url: str, top: Top, wanted: Wanted) -> None:
    database = open_database(database_url)
    ledger = SqlStores(database).quota_ledger
    for number in range(ROUNDS):
        holder = Holder(wanted.service, ProjectId(project_of(top, f"project-{number}")))
        used = (await ledger.find_standing(holder, 60)).used[WHOLE]
        assert {name: used[name] for name in wanted.one} == {
            name: amount * ALLOWED for name, amount in wanted.one.items()
        }
    await database.close()
