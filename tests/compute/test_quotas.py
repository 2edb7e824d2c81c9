"""Quotas at the top of a simulated cloud: who is refused, what is given back, who dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import ProjectId, Service
from tricircle.core.quotas import WHOLE, Amounts, Holder
from tricircle.testing.cloud import LoseAnswer, Reply, SimulatedCloud

OPTIONS = "[gateway]\ncreate_timeout_s = 2\n[quota]\ninstances = 4\ncores = 4\nram = 8192\n"
RECENT = {"OpenStack-API-Version": "compute 2.90"}


class World:
    """A top of two pods in one zone, and its client."""

    def __init__(self, top: Top, http: aiohttp.ClientSession, stores: SqlStores) -> None:
        self.top, self.http, self.stores = top, http, stores
        top.member()
        project = top.cloud.identity.accounts.find_project("demo")
        assert project is not None
        self.project_id = ProjectId(project.id)

    async def send(
        self, method: str, path: str, body: object = None, **more: Any
    ) -> tuple[int, Any]:
        headers = {**self.top.member(), **RECENT}
        url = f"{self.top.compute}/v2.1{path}"
        async with self.http.request(method, url, json=body, headers=headers, **more) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def boot(self, **more: Any) -> tuple[int, Any]:
        server = {
            "name": "s",
            "flavorRef": "1",
            "imageRef": next(iter(self.top.cloud.images.items)),
            "networks": "none",
            **more,
        }
        return await self.send("POST", "/servers", {"server": server})

    async def used(self) -> Amounts:
        holder = Holder(Service.COMPUTE, self.project_id)
        return (await self.stores.quota_ledger.find_standing(holder, 60)).used.get(WHOLE, {})

    async def until_used(self, cores: int) -> None:
        for _ in range(100):
            if (await self.used()).get("cores") == cores:
                return
            await asyncio.sleep(0.05)
        assert (await self.used())["cores"] == cores

    def servers(self) -> int:
        return sum(len(pod.compute.servers) for pod in self.top.cloud.pods.values())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two pods of one zone, with a quota of four servers of a core."""
    zones = {"pod1": "az1", "pod2": "az1"}
    async with (
        open_top(tmp_path, SimulatedCloud(("pod1", "pod2")), OPTIONS, zones) as top,
        aiohttp.ClientSession() as http,
    ):
        database = open_database(top.settings.database.connection)
        yield World(top, http, SqlStores(database))
        await database.close()


def message(body: Any) -> str:
    return str(body["forbidden"]["message"])


async def test_as_many_are_made_as_there_is_room_for_the_least(world: World) -> None:
    status, _ = await world.boot(min_count=1, max_count=9)
    assert (status, world.servers()) == (202, 4)
    assert await world.used() == {"instances": 4, "cores": 4, "ram": 2048}


async def test_several_of_which_not_the_least_fits_are_refused_whole(world: World) -> None:
    status, body = await world.boot(min_count=5, max_count=9)
    assert (status, world.servers()) == (403, 0)
    assert message(body) == (
        "Quota exceeded for cores, instances: Requested 9, 5-9, "
        "but already used 0, 0 of 4, 4 cores, instances"
    )


async def test_what_each_pod_refused_is_given_back(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(Reply(503), "compute", "POST")
    status, _ = await world.boot()
    assert status == 503
    assert (await world.used())["instances"] == 0


async def test_what_only_the_first_pod_refused_is_taken_once(world: World) -> None:
    world.top.cloud.pod("pod1").faults.inject(Reply(503), "compute", "POST")
    status, _ = await world.boot()
    assert status == 202
    assert (await world.used())["instances"] == 1


async def test_a_request_that_the_pod_finds_wrong_takes_nothing(world: World) -> None:
    assert (await world.boot(imageRef="8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"))[0] == 400
    assert (await world.boot(flavorRef="none"))[0] == 400
    assert (await world.used()).get("instances", 0) == 0


async def test_a_claim_of_unknown_outcome_stays(world: World) -> None:
    assert (await world.boot())[0] == 202
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(LoseAnswer(), path="/servers")
    assert (await world.boot())[0] in (502, 504)
    assert (await world.used())["instances"] == 2


async def test_a_server_gives_back_what_it_took_when_its_owner_sees_it_gone(world: World) -> None:
    _, body = await world.boot()
    path = f"/servers/{body['server']['id']}"
    await world.until_used(1)
    assert (await world.send("DELETE", path))[0] == 204
    for _ in range(2):
        assert (await world.send("GET", path))[0] == 404
    assert (await world.used())["instances"] == 0


async def test_a_job_gives_back_for_who_does_not_look(world: World) -> None:
    _, body = await world.boot()
    await world.until_used(1)
    await world.send("DELETE", f"/servers/{body['server']['id']}")
    await world.until_used(0)


async def test_a_server_grows_as_far_as_there_is_room(world: World) -> None:
    _, body = await world.boot()
    path = f"/servers/{body['server']['id']}/action"
    await world.boot()
    status, refused = await world.send("POST", path, {"resize": {"flavorRef": "4"}})
    assert status == 403
    assert message(refused) == (
        "Quota exceeded for cores, ram: Requested 3, 7680, "
        "but already used 2, 1024 of 4, 8192 cores, ram"
    )
    assert (await world.send("POST", path, {"resize": {"flavorRef": "3"}}))[0] == 202
    assert (await world.used())["cores"] == 3
    assert (await world.boot())[0] == 202
    assert (await world.boot())[0] == 403


async def test_a_resize_that_the_pod_refuses_takes_nothing(world: World) -> None:
    _, body = await world.boot()
    path = f"/servers/{body['server']['id']}/action"
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(Reply(409), path="/action")
    assert (await world.send("POST", path, {"resize": {"flavorRef": "3"}}))[0] == 409
    assert (await world.used())["cores"] == 1


async def test_what_is_set_is_carried_to_every_pod(world: World) -> None:
    admin = {**world.top.headers("admin", "admin"), **RECENT}
    url = f"{world.top.compute}/v2.1/os-quota-sets/{world.project_id}"
    wanted = {"quota_set": {"instances": 7, "key_pairs": 3}}
    async with world.http.put(url, json=wanted, headers=admin) as answer:
        assert (await answer.json())["quota_set"]["instances"] == 7

    def carried() -> bool:
        sets = [
            pod.compute.quota_book.sets.get((world.project_id, ""))
            for pod in world.top.cloud.pods.values()
        ]
        return sets == [{"instances": -1, "key_pairs": 3}] * 2

    for _ in range(100):
        if carried():
            return
        await asyncio.sleep(0.05)
    assert carried()


async def test_what_is_set_of_the_default_class_holds_for_all(world: World) -> None:
    admin = {**world.top.headers("admin", "admin"), **RECENT}
    url = f"{world.top.compute}/v2.1/os-quota-class-sets/default"
    wanted = {"quota_class_set": {"instances": 1}}
    async with world.http.put(url, json=wanted, headers=admin) as answer:
        assert (await answer.json())["quota_class_set"]["instances"] == 1
    assert (await world.boot())[0] == 202
    status, body = await world.boot()
    assert (status, message(body)) == (
        403,
        "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances",
    )
