"""Host aggregates with hosts of several pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top_without_worker
from tricircle.testing.cloud import SimulatedCloud

FAST = "[gateway]\nprobe_interval_s = 0.2\n"


@dataclass(frozen=True, slots=True)
class World:
    """A top of two pods, whose requests are sent by an administrator."""

    top: Top
    http: aiohttp.ClientSession

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, Any, str]:
        """Return status, body and the pods that are missing from an answer."""
        headers = self.top.headers("admin", "admin") | {"OpenStack-API-Version": "compute 2.90"}
        url = f"{self.top.compute}/v2.1{path}"
        async with self.http.request(method, url, headers=headers, json=body) as response:
            text = await response.text()
            missing = response.headers.get("X-Tricircle-Missing-Pods", "")
            return response.status, json.loads(text) if text else None, missing

    async def make(self, name: str, **values: object) -> int:
        """Return the id of a new aggregate."""
        body = {"aggregate": {"name": name, **values}}
        status, made, _ = await self.send("POST", "/os-aggregates", body)
        assert status == 200, made
        return int(made["aggregate"]["id"])

    async def act(self, number: int, action: str, **values: object) -> tuple[int, Any]:
        """Return status and body of an action."""
        path = f"/os-aggregates/{number}/action"
        status, body, _ = await self.send("POST", path, {action: values})
        return status, body

    def parts(self, pod: str) -> list[Any]:
        """Return the aggregates that a pod has."""
        return list(self.top.cloud.pod(pod).compute.aggregates.items.values())

    def host(self, pod: str) -> str:
        """Return the only host of a pod."""
        return self.top.cloud.pod(pod).compute.first_host()

    async def down(self, pod: str) -> None:
        """Have a pod answer nothing, and the gateway know it."""
        self.top.cloud.pod(pod).faults.down()
        await self._wait_until_missing(pod)

    async def up(self, pod: str) -> None:
        """Have a pod answer again, and the gateway know it."""
        self.top.cloud.pod(pod).faults.up()
        await self._wait_until_missing("")

    async def _wait_until_missing(self, pods: str) -> None:
        async with asyncio.timeout(20.0):
            while True:
                if (await self.send("GET", "/os-aggregates"))[2] == pods:
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two pods, zones az1 and az2."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with (
        open_top_without_worker(tmp_path, cloud, FAST) as top,
        aiohttp.ClientSession() as http,
    ):
        yield World(top, http)


async def test_a_pod_gets_a_part_when_a_host_of_it_comes(world: World) -> None:
    number = await world.make("fast")
    await world.act(number, "set_metadata", metadata={"disk": "fast"})
    assert [len(world.parts(pod)) for pod in ("pod1", "pod2")] == [1, 0]
    status, _ = await world.act(number, "add_host", host=f"pod2:{world.host('pod2')}")
    assert status == 200
    [part] = world.parts("pod2")
    assert (part.name, part.metadata) == ("fast", {"disk": "fast"})
    assert part.hosts == [world.host("pod2")]


async def test_numbers_of_parts_name_the_whole_aggregate(world: World) -> None:
    number = await world.make("fast")
    await world.act(number, "add_host", host=f"pod2:{world.host('pod2')}")
    await world.down("pod1")
    _, listed, _ = await world.send("GET", "/os-aggregates")
    [other] = listed["aggregates"]
    assert other["id"] != number
    await world.up("pod1")
    _, shown, _ = await world.send("GET", f"/os-aggregates/{other['id']}")
    assert shown["aggregate"]["id"] == number


async def test_the_zone_of_an_aggregate_is_the_pods_own(world: World) -> None:
    number = await world.make("zoned", availability_zone="az2")
    [part] = world.parts("pod2")
    assert (part.metadata, world.parts("pod1")) == ({"availability_zone": "nova"}, [])
    path = f"/os-aggregates/{number}"
    _, changed, _ = await world.send("PUT", path, {"aggregate": {"availability_zone": "az2"}})
    assert changed["aggregate"]["availability_zone"] == "az2"
    status, _, _ = await world.send("PUT", path, {"aggregate": {"availability_zone": "az1"}})
    assert status == 400
    new = {"availability_zone": "of-its-own"}
    _, changed = await world.act(number, "set_metadata", metadata=new)
    assert changed["aggregate"]["metadata"] == new


async def test_a_host_of_several_pods_must_be_named_with_its_pod(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        for service in pod.compute.services:
            service.host = "same"
    number = await world.make("fast")
    status, body = await world.act(number, "add_host", host="same")
    assert status == 400
    assert "Name one of them as pod:same" in body["badRequest"]["message"]
    for pod_name in ("pod1", "pod2"):
        assert (await world.act(number, "add_host", host=f"{pod_name}:same"))[0] == 200
    assert (await world.act(number, "remove_host", host="same"))[0] == 400
    _, left = await world.act(number, "remove_host", host="pod1:same")
    assert left["aggregate"]["hosts"] == ["same"]


async def test_names_are_taken_whichever_pod_has_them(world: World) -> None:
    await world.make("zoned", availability_zone="az2")
    number = await world.make("fast")
    status, body, _ = await world.send("POST", "/os-aggregates", {"aggregate": {"name": "zoned"}})
    assert (status, body["conflictingRequest"]["message"]) == (
        409,
        "Aggregate zoned already exists.",
    )
    rename = {"aggregate": {"name": "zoned"}}
    assert (await world.send("PUT", f"/os-aggregates/{number}", rename))[0] == 409


async def test_without_a_pod_aggregates_are_shown_and_not_changed(world: World) -> None:
    number = await world.make("fast")
    other = await world.make("zoned", availability_zone="az2")
    await world.down("pod2")
    status, listed, missing = await world.send("GET", "/os-aggregates")
    assert (status, missing) == (200, "pod2")
    assert [one["name"] for one in listed["aggregates"]] == ["fast"]
    path = f"/os-aggregates/{number}"
    assert (await world.send("GET", path))[0] == 200
    assert (await world.send("PUT", path, {"aggregate": {"name": "faster"}}))[0] == 503
    assert (await world.send("DELETE", path))[0] == 503
    assert (await world.act(number, "set_metadata", metadata={"a": "b"}))[0] == 503
    assert (await world.act(number, "add_host", host=world.host("pod1")))[0] == 200
    assert (await world.act(number, "add_host", host="unknown"))[0] == 503
    assert (await world.send("GET", f"/os-aggregates/{other}"))[0] == 503
    await world.make("made-meanwhile")


@pytest.mark.parametrize("text", ["0", "1", "-1", "99999999999999999999", "x", "%00"])
async def test_what_is_no_id_is_refused(world: World, text: str) -> None:
    await world.make("fast")
    assert (await world.send("GET", f"/os-aggregates/{text}"))[0] in (400, 404)
    assert (await world.send("DELETE", f"/os-aggregates/{text}"))[0] in (400, 404)
