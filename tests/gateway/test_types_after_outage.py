"""Volumes are made of types as the top wants these, in pods that were away too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top_without_worker
from tricircle.testing.cloud import Refuse, SimulatedCloud

LUKS = {"encryption": {"provider": "luks", "control_location": "front-end", "key_size": 256}}
ZONES = {"pod1": "az1", "pod2": "az2", "pod3": "az2", "pod4": "az3"}
VERSIONS = {"OpenStack-API-Version": "compute 2.35, volume 3.71"}


class World:
    """A top whose jobs nobody carries out: two pods serve zone az2."""

    def __init__(self, top: Top, http: aiohttp.ClientSession) -> None:
        self.top, self.http, self.cloud = top, http, top.cloud

    async def ask(
        self, method: str, path: str, body: object = None, *roles: str, url: str = ""
    ) -> tuple[int, Any]:
        headers = self.top.headers("demo", *(roles or ("member", "reader"))) | VERSIONS
        root = url or f"{self.top.volume}/v3"
        async with self.http.request(method, root + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def change(self, method: str, path: str, body: object) -> Any:
        status, answer = await self.ask(method, path, body, "admin")
        assert status == 200, answer
        return answer

    async def make_type(self) -> str:
        made = await self.change("POST", "/types", {"volume_type": {"name": "fast"}})
        return str(made["volume_type"]["id"])

    def away(self, *pods: str) -> None:
        for pod in pods:
            self.cloud.pod(pod).faults.inject(Refuse(), service="volume")

    def back(self) -> None:
        for pod in self.cloud.pods.values():
            pod.faults.clear()

    def holders(self) -> set[str]:
        """Return the pods that have volumes."""
        return {name for name, pod in self.cloud.pods.items() if pod.volume.volumes}

    def encrypting(self) -> set[str]:
        """Return the pods that encrypt new volumes; Cinder begins so only while it has none."""
        return {
            name
            for name, pod in self.cloud.pods.items()
            if any(one.encryption for one in pod.volume.types.values() if one.name == "fast")
        }

    async def make_volume(
        self, url: str = "", path: str = "/volumes", zone: str = "az2"
    ) -> tuple[int, Any]:
        volume = {"size": 1, "volume_type": "fast", "availability_zone": zone}
        return await self.ask("POST", path, {"volume": volume}, url=url)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    cloud = SimulatedCloud(tuple(ZONES))
    async with (
        open_top_without_worker(tmp_path, cloud, zones=ZONES) as top,
        aiohttp.ClientSession() as http,
    ):
        yield World(top, http)


async def test_a_pod_that_was_away_encrypts_what_is_to_be_encrypted(world: World) -> None:
    type_id = await world.make_type()
    world.away("pod2", "pod3")
    await world.change("POST", f"/types/{type_id}/encryption", LUKS)
    world.back()
    status, made = await world.make_volume()
    assert status == 202, made
    assert world.holders() == world.encrypting() & {"pod2", "pod3"}


async def test_a_pod_that_was_away_gives_nobody_a_type_that_is_private_now(world: World) -> None:
    type_id = await world.make_type()
    world.away("pod2", "pod3")
    await world.change("PUT", f"/types/{type_id}", {"volume_type": {"is_public": False}})
    world.back()
    assert (await world.make_volume())[0] == 404
    nova = f"{world.top.compute}/v2.1"
    assert (await world.make_volume(nova, "/os-volumes"))[0] >= 400
    for pod in world.cloud.pods.values():
        assert not pod.volume.volumes


async def test_a_pod_in_which_it_cannot_be_so_yet_is_passed_over(world: World) -> None:
    type_id = await world.make_type()
    status, made = await world.make_volume()
    assert status == 202, made
    [holder] = world.holders()
    world.away(holder)
    await world.change("POST", f"/types/{type_id}/encryption", LUKS)
    world.back()
    status, made = await world.make_volume()
    assert status == 202, made
    assert len(world.cloud.pod(holder).volume.volumes) == 1
    assert world.holders() == {"pod2", "pod3"}


async def test_where_no_other_pod_will_do_nothing_is_made(world: World) -> None:
    type_id = await world.make_type()
    assert (await world.make_volume(zone="az3"))[0] == 202
    world.away("pod4")
    await world.change("POST", f"/types/{type_id}/encryption", LUKS)
    world.back()
    status, refused = await world.make_volume(zone="az3")
    assert status == 503
    assert "encryption" in refused["serviceUnavailable"]["message"]
    assert len(world.cloud.pod("pod4").volume.volumes) == 1
