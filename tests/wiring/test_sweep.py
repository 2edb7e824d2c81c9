"""``tricircle-manage sweep`` on a database and pods as they are in service."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, user_ports
from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import SimulatedCloud
from tricircle.wiring.sweep import run_sweep

NAMES = ("settled", "forgotten", "finished", "released", "deleted", "removed", "cleared", "failed")
CLEAN = "".join(f"{name}: 0\n" for name in NAMES)


async def lose_server(top: Top, http: aiohttp.ClientSession) -> None:
    """Boot a server and delete it behind the back of the top."""
    _, made = await boot(top, http, await make_network(top, http))
    compute = top.pods["pod1"].endpoints
    url = next(one.url for service, one in compute.items() if service.value == "compute")
    status, _ = await send(http, "DELETE", f"{url}/servers/{made['server']['id']}", top.member())
    assert status == 204


async def test_it_repairs_by_itself_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud) as top, aiohttp.ClientSession() as http:
        await lose_server(top, http)
        assert await run_sweep(top.settings, 600.0) == 0
        assert capsys.readouterr().out == CLEAN
        assert await run_sweep(top.settings, 0.0) == 0
        assert capsys.readouterr().out == CLEAN.replace("released: 0", "released: 1")
        assert await user_ports(top, http) == []
        assert await run_sweep(top.settings, 0.0) == 0
        assert capsys.readouterr().out == CLEAN


async def test_it_ends_with_1_when_something_could_not_be_repaired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud) as top, aiohttp.ClientSession() as http:
        await lose_server(top, http)
        cloud.pod("pod1").faults.down()
        assert await run_sweep(top.settings, 0.0) == 1
        assert capsys.readouterr().out == CLEAN.replace("failed: 0", "failed: 1")
