"""Nodes of Ironic are those of the pods that have one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, Reply, SimulatedCloud

NODES = "/os-baremetal-nodes"
JSON = (("content-type", "application/json"),)


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    """A top in front of two pods, the second of which has nodes."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    cloud.pod("pod2").faults.inject(Reply(200, b'{"nodes": [{"id": "n"}]}', JSON), path=f"{NODES}$")
    cloud.pod("pod2").faults.inject(Reply(200, b'{"node": {"id": "n"}}', JSON), path=f"{NODES}/n$")
    cloud.pod("pod2").faults.inject(Reply(404, b"{}", JSON), path=f"{NODES}/m$")
    async with open_top(tmp_path, cloud) as running:
        yield running


async def ask(top: Top, path: str) -> tuple[int, dict[str, Any], str | None]:
    """Return status, body and the missing pods of an administrator's request."""
    headers = {**top.headers("admin", "admin"), "OpenStack-API-Version": "compute 2.35"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{top.compute}/v2.1{path}", headers=headers) as response,
    ):
        missing = response.headers.get("X-Tricircle-Missing-Pods")
        return response.status, json.loads(await response.text()), missing


async def test_the_list_is_that_of_the_pods_with_ironic(top: Top) -> None:
    assert await ask(top, NODES) == (200, {"nodes": [{"id": "n"}]}, None)


async def test_a_node_is_found_in_its_pod(top: Top) -> None:
    assert await ask(top, f"{NODES}/n") == (200, {"node": {"id": "n"}}, None)


async def test_a_node_that_no_ironic_has_is_absent(top: Top) -> None:
    assert (await ask(top, f"{NODES}/m"))[0] == 404


async def test_a_dead_pod_is_missing(top: Top) -> None:
    top.cloud.pod("pod1").faults.inject(Refuse())
    assert await ask(top, NODES) == (200, {"nodes": [{"id": "n"}]}, "pod1")
