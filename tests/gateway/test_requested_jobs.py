"""What a gateway cannot complete within a request is a job by the time of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, user_ports
from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import Kind, RoutingState
from tricircle.core.runs import JobRecord
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import LoseAnswer, Reply, SimulatedCloud

GIVE_UP_S = 20.0
LOCKED = Reply(409, b'{"conflictingRequest": {"code": 409, "message": "locked"}}')


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    """A top whose gateways do not wait for long."""
    options = "[gateway]\ncreate_timeout_s = 2\nrequest_timeout_s = 2\n"
    async with open_top(tmp_path, SimulatedCloud(("pod1", "pod2")), options) as running:
        yield running


@asynccontextmanager
async def stores_of(top: Top) -> AsyncIterator[SqlStores]:
    database = open_database(top.settings.database.connection)
    try:
        yield SqlStores(database)
    finally:
        await database.close()


async def jobs(top: Top, kind: str) -> list[JobRecord]:
    """Return the jobs of a kind, whatever became of them."""
    async with stores_of(top) as stores:
        return list(await stores.records.list_jobs(JobFilter(kind=kind), 100))


async def port_state(top: Top) -> RoutingState:
    async with stores_of(top) as stores:
        (row,) = await stores.upkeep.list_routings(kind=Kind.PORT)
    return row.state


async def wait_until_no_port(top: Top, http: aiohttp.ClientSession) -> None:
    """Return when a worker has released all ports."""
    for _ in range(int(GIVE_UP_S / 0.05)):
        if not await user_ports(top, http):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the ports are not released")


async def make_server(top: Top, http: aiohttp.ClientSession) -> str:
    _, made = await boot(top, http, await make_network(top, http))
    return str(made["server"]["id"])


async def delete(
    top: Top, http: aiohttp.ClientSession, server_id: str, project: str = "demo"
) -> int:
    url = f"{top.compute}/v2.1/servers/{server_id}"
    status, _ = await send(http, "DELETE", url, top.member(project))
    return status


async def detach(
    top: Top, http: aiohttp.ClientSession, server_id: str, project: str = "demo"
) -> int:
    ports = await user_ports(top, http)
    url = f"{top.compute}/v2.1/servers/{server_id}/os-interface/{ports[0]['id']}"
    status, _ = await send(http, "DELETE", url, top.member(project))
    return status


async def test_a_deletion_is_one_job_that_releases_the_ports(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    assert await delete(top, http, server_id) == 204
    (job,) = await jobs(top, "release_server")
    assert getattr(job.job, "server_id", None) == server_id
    await wait_until_no_port(top, http)
    assert len(await jobs(top, "release_server")) == 1


async def test_a_deletion_that_the_pod_does_not_answer_is_a_job_too(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    top.cloud.pod("pod1").faults.inject(LoseAnswer(), "compute", "DELETE")
    assert await delete(top, http, server_id) in (502, 504)
    assert len(await jobs(top, "release_server")) == 1


async def test_a_deletion_that_was_refused_is_no_job(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    top.cloud.pod("pod1").faults.inject(LOCKED, "compute", "DELETE")
    assert await delete(top, http, server_id) == 409
    assert await jobs(top, "release_server") == []


async def test_nobody_makes_jobs_with_servers_of_others(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    assert await delete(top, http, server_id, "other") == 404
    assert await detach(top, http, server_id, "other") == 404
    assert await jobs(top, "release_server") == []
    assert await jobs(top, "release_port") == []
    assert await port_state(top) is RoutingState.ACTIVE


async def test_a_forced_deletion_is_such_a_job_too(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    url = f"{top.compute}/v2.1/servers/{server_id}/action"
    status, _ = await send(http, "POST", url, top.member(), {"forceDelete": None})
    assert status == 202
    assert len(await jobs(top, "release_server")) == 1
    await wait_until_no_port(top, http)


async def test_servers_that_are_deleted_again_as_others_failed_leave_no_port(
    top: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(top, http)
    refused = Reply(400, b'{"badRequest": {"code": 400, "message": "no"}}')
    top.cloud.pod("pod1").faults.inject(refused, "compute", "POST", after=1)
    status, _ = await boot(top, http, network_id, min_count=2, max_count=2)
    assert status == 400
    assert len(await jobs(top, "release_server")) == 1
    await wait_until_no_port(top, http)


async def test_a_detachment_is_one_job_that_releases_the_port(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    assert await detach(top, http, server_id) == 202
    assert len(await jobs(top, "release_port")) == 1
    await wait_until_no_port(top, http)


async def test_a_detachment_that_was_refused_leaves_no_trace(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    top.cloud.pod("pod1").faults.inject(LOCKED, "compute", "DELETE")
    assert await detach(top, http, server_id) == 409
    assert await jobs(top, "release_port") == []
    assert await port_state(top) is RoutingState.ACTIVE


async def test_a_detachment_that_the_pod_does_not_answer_is_a_job_too(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    top.cloud.pod("pod1").faults.inject(LoseAnswer(), "compute", "DELETE")
    assert await detach(top, http, server_id) in (502, 504)
    assert len(await jobs(top, "release_port")) == 1


async def test_a_port_that_is_detached_already_is_released(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    lost = Reply(404, b'{"itemNotFound": {"code": 404, "message": "not attached"}}')
    (twin,) = top.cloud.pod("pod1").network.ports.items.values()
    twin["device_id"] = ""
    top.cloud.pod("pod1").faults.inject(lost, "compute", "DELETE")
    assert await detach(top, http, server_id) == 404
    await wait_until_no_port(top, http)


async def test_a_boot_that_the_pod_does_not_answer_is_looked_at_later(
    top: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(top, http)
    top.cloud.pod("pod1").faults.inject(LoseAnswer(), "compute", "POST", times=1)
    status, _ = await boot(top, http, network_id)
    assert status in (502, 504)
    (job,) = await jobs(top, "repair_port")
    assert (job.due_at - job.created_at).total_seconds() > 500
