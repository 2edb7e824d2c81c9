"""Nova's lists of Cinder's volumes over all pods: whole, cut as asked, honest about gaps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, Reply, SimulatedCloud

UNTIL_2_35 = {"OpenStack-API-Version": "compute 2.35"}
MISSING = "X-Tricircle-Missing-Pods"


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    """A top in front of two pods with five and four volumes of the member's project."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud) as running:
        project_id = cloud.project_id("demo")
        cloud.pod("pod1").volume.add_volumes(5, project_id, spread_s=20.0)
        cloud.pod("pod2").volume.add_volumes(4, project_id, spread_s=30.0)
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


async def volumes(
    top: Top, http: aiohttp.ClientSession, query: str = ""
) -> tuple[int, dict[str, Any], str | None]:
    """Return status, body and the missing pods of a list."""
    headers = {**top.member(), **UNTIL_2_35}
    async with http.get(f"{top.compute}/v2.1/os-volumes{query}", headers=headers) as response:
        return response.status, json.loads(await response.text()), response.headers.get(MISSING)


async def test_all_slices_together_are_the_whole_list(
    top: Top, http: aiohttp.ClientSession
) -> None:
    _, whole, _ = await volumes(top, http)
    slices = []
    for offset in range(0, 12, 3):
        slices += (await volumes(top, http, f"?limit=3&offset={offset}"))[1]["volumes"]
    assert slices == whole["volumes"]
    assert len({one["id"] for one in slices}) == 9
    assert slices == sorted(slices, key=lambda one: (one["createdAt"], one["id"]), reverse=True)


async def test_a_pod_with_more_rows_than_a_page_is_asked_again(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod1").volume.add_volumes(1200, top.cloud.project_id("demo"), spread_s=1.0)
    _, body, _ = await volumes(top, http, "?offset=1100&limit=500")
    assert len(body["volumes"]) == 109


async def test_a_dead_pod_is_missing(top: Top, http: aiohttp.ClientSession) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body, missing = await volumes(top, http)
    assert (status, len(body["volumes"]), missing) == (200, 5, "pod2")


async def test_a_pod_whose_cinder_is_broken_is_missing(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod1").faults.inject(Reply(500, b'{"computeFault": {}}'), path="/os-volumes")
    status, body, missing = await volumes(top, http)
    assert (status, len(body["volumes"]), missing) == (200, 4, "pod1")


async def test_the_refusal_of_a_pod_is_the_answer(top: Top, http: aiohttp.ClientSession) -> None:
    top.cloud.pod("pod1").faults.inject(Reply(403, b'{"forbidden": {}}'), path="/os-volumes")
    status, body, missing = await volumes(top, http)
    assert (status, body, missing) == (403, {"forbidden": {}}, None)


async def test_without_any_pod_it_is_unavailable(top: Top, http: aiohttp.ClientSession) -> None:
    for pod in top.cloud.pods.values():
        pod.faults.inject(Refuse())
    status, body, _ = await volumes(top, http)
    assert status == 503
    assert "pod1, pod2" in body["serviceUnavailable"]["message"]
