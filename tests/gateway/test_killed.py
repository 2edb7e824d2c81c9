"""A gateway that dies at any step of a creation leaves nothing that is not put right.

A telling part of the steps for every run; all of them are ``make test-faults``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.databases import empty_tables, get_migrated_url, get_server
from tests.gateway.aftermath import let_an_hour_pass, look
from tests.gateway.killing import Stage, open_stage
from tests.simulated_top import Top
from tests.simulated_worker import open_worker
from tricircle.adapters.sql import Database, SqlStores, open_database
from tricircle.core.model import ProjectId, TopId
from tricircle.wiring.sweep import run_sweep
from tricircle.wiring.xjob import open_xjob

COMPUTE, VOLUME = "tricircle-compute", "tricircle-volume"
RECENT = {COMPUTE: "compute 2.90", VOLUME: "volume 3.59"}
PUT_RIGHT_S = 90
EVERY = 7
"""A part of the steps: each so many-th, which is prime to how they are grouped."""


@dataclass
class World:
    """A stage, and the projects in each of which one creation was cut short."""

    stage: Stage
    http: aiohttp.ClientSession
    database: Database
    names: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], object]] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)

    async def cut_short(self, creation: Creation, step: int, *, carried_out: bool) -> bool:
        """Let a gateway die at a step of a creation; False when it ended before."""
        name = f"{creation.name}-{step}-{'after' if carried_out else 'before'}"
        version = {"OpenStack-API-Version": RECENT[creation.program]}
        headers = {**self.stage.top.member(name), **version}
        project_id = self.stage.top.cloud.project_id(name)
        self.names[project_id] = name
        path, body = await creation.prepare(self, headers, project_id)
        self.asked.append((path, headers, body))
        process_id = await self.stage.start(creation.program)
        # its token and what is remembered for a while are no steps of the creation
        async with self.http.get(
            f"http://127.0.0.1:{self.stage.ports[creation.program]}{path}", headers=headers
        ) as warm:
            assert warm.status == 200, await warm.text()
        self.stage.fuse.arm(process_id, step, carried_out=carried_out)
        status = await self.stage.ask(self.http, creation.program, path, headers, body)
        died = self.stage.fuse.is_dead
        self.stage.fuse.disarm()
        assert died or status == 202, status
        return died

    async def post(self, url: str, headers: dict[str, str], body: object) -> Any:
        """Return the body of what a POST answers."""
        async with self.http.post(url, json=body, headers=headers) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def ask_again(self, program: str) -> None:
        """Have every creation asked for once more, of a gateway that lives."""
        top = self.stage.top
        root = top.volume if program == VOLUME else top.compute
        for path, headers, body in self.asked:
            await self.post(f"{root}{path}", headers, body)

    async def put_right(self) -> Sequence[str]:
        """Do what happens by itself within some time; return what is wrong nevertheless."""
        settings = self.stage.top.settings
        await let_an_hour_pass(self.database)
        assert await run_sweep(settings, 0.0) == 0
        async with open_xjob(settings):
            wrongs = await self.find_wrongs()
            async with asyncio.timeout(PUT_RIGHT_S):
                for pause_s in count(1):
                    if not wrongs or pause_s > 12:
                        return wrongs
                    await asyncio.sleep(pause_s)
                    await let_an_hour_pass(self.database)
                    wrongs = await self.find_wrongs()
        raise AssertionError

    async def find_wrongs(self) -> Sequence[str]:
        """Return what is wrong now, with the name of the creation it comes from."""
        seen = await look(self.stage.top, self.http, self.database, self.groups)
        return [
            f"{name}: {wrong}"
            for project_id, name in self.names.items()
            for wrong in seen.wrongs(project_id)
        ]


@dataclass(frozen=True)
class Creation:
    """A POST, and what must be there before it: ``on_spare`` a port that is ready in the pod."""

    name: str
    program: str
    on_spare: bool = False

    async def prepare(
        self, world: World, headers: dict[str, str], project_id: str
    ) -> tuple[str, object]:
        """Return its path and body."""
        top = world.stage.top
        if self.program == VOLUME:
            return f"/v3/{project_id}/volumes", {"volume": {"size": 1, "name": "v"}}
        networks = f"{top.network}/v2.0"
        network = {"network": {"name": "n"}}
        network_id = (await world.post(f"{networks}/networks", headers, network))["network"]["id"]
        subnet = {"network_id": network_id, "cidr": "10.1.0.0/24", "ip_version": 4}
        await world.post(f"{networks}/subnets", headers, {"subnet": subnet})
        if self.on_spare:
            return "/v2.1/servers", await self._keep_spares(world, headers, project_id, network_id)
        group = {"server_group": {"name": "g", "policy": "anti-affinity"}}
        made = await world.post(f"{top.compute}/v2.1/os-server-groups", headers, group)
        world.groups[project_id] = made["server_group"]["id"]
        hints = {"group": world.groups[project_id]}
        server = _server(top, network_id)
        return "/v2.1/servers", {"server": server, "os:scheduler_hints": hints}

    async def _keep_spares(
        self, world: World, headers: dict[str, str], project_id: str, network_id: str
    ) -> dict[str, object]:
        """Return the body of a server for which ports are ready, since another one is there."""
        top = world.stage.top
        body: dict[str, object] = {"server": _server(top, network_id)}
        await world.post(f"{top.compute}/v2.1/servers", headers, body)
        spares = SqlStores(world.database).spares
        async with open_worker(top.settings), asyncio.timeout(PUT_RIGHT_S):
            for _ in count():
                if await spares.list_ready(TopId(network_id), ProjectId(project_id)):
                    return body
                await asyncio.sleep(0.05)
        raise AssertionError


def _server(top: Top, network_id: str) -> dict[str, object]:
    return {
        "name": "s",
        "flavorRef": "1",
        "imageRef": next(iter(top.cloud.images.items)),
        "networks": [{"uuid": network_id}],
    }


SERVER = Creation("server", COMPUTE)
A_VOLUME = Creation("volume", VOLUME)
ON_SPARE = Creation("server-on-spare", COMPUTE, on_spare=True)
CREATIONS = pytest.mark.parametrize(
    "creation", [SERVER, ON_SPARE, A_VOLUME], ids=lambda one: one.name
)
Opened = Callable[[], Any]


@pytest.fixture(
    params=[
        pytest.param("mariadb", marks=pytest.mark.database),
        pytest.param("postgresql", marks=pytest.mark.database),
    ]
)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """A function that opens a world on an empty database of a server."""
    url, port = get_migrated_url(request.param), get_server(request.param).port

    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        database = open_database(url)
        await empty_tables(database)
        async with (
            open_stage(tmp_path, url, port) as stage,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        ):
            yield World(stage, http, database)
        await database.close()

    return opened


async def cut_short_at(world: World, creation: Creation, steps: Iterable[int]) -> int:
    """Kill a gateway at these steps, before and after each; return the last there was."""
    last = 0
    for step in steps:
        for carried_out in (False, True):
            if not await world.cut_short(creation, step, carried_out=carried_out):
                return last
        last = step
    raise AssertionError("the creation never ends")


async def check(world: World, creation: Creation) -> None:
    """Check that time puts all right, and that what was left keeps nobody from anything."""
    left = await world.find_wrongs()
    # a volume has nothing beside it
    assert left or creation.program == VOLUME
    assert await world.put_right() == []
    await world.ask_again(creation.program)
    assert await world.put_right() == []


@CREATIONS
async def test_a_creation_cut_short_here_and_there_is_put_right(
    opening: Opened, creation: Creation
) -> None:
    async with opening() as world:
        assert await cut_short_at(world, creation, count(2, EVERY)) > 1
        await check(world, creation)


@pytest.mark.faults
@CREATIONS
async def test_a_creation_cut_short_at_any_step_is_put_right(
    opening: Opened, creation: Creation
) -> None:
    async with opening() as world:
        steps = await cut_short_at(world, creation, count(1))
        print(f"\n{creation.name}: {steps} steps, {len(world.names) - 1} gateways killed")
        await check(world, creation)
