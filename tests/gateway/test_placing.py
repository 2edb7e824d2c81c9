"""Where new servers and volumes go, as pods fill up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, servers_in
from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import Node, PodId, ProjectId, ZoneName
from tricircle.testing.cloud import Reply, SimulatedCloud

ROOM = Node(PodId(""), "", 100, 0, 100_000, 0, 1000, 0, 1000, 0)
FULL = Reply(413, b'{"overLimit": {"code": 413, "message": "VolumeSizeExceedsAvailableQuota"}}')


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Top]:
    """A top whose two pods serve one zone."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud, zones={"pod1": "az1", "pod2": "az1"}) as running:
        yield running


@pytest.fixture
async def stores(shared: Top) -> AsyncIterator[SqlStores]:
    """The top's database."""
    database = open_database(shared.settings.database.connection)
    yield SqlStores(database)
    await database.close()


async def measure(top: Top, stores: SqlStores, **nodes: Node) -> None:
    """Write down what pods hold."""
    for name, node in nodes.items():
        pod = top.pods[name]
        await stores.nodes.put_node(replace(node, pod_id=pod.id, name=name))


async def bound_pod(top: Top, stores: SqlStores, zone: str = "az1") -> str | None:
    """Return the name of the pod the project is bound to."""
    project = ProjectId(top.cloud.project_id("demo"))
    found = await stores.bindings.find_binding(project, ZoneName(zone))
    return next((name for name, pod in top.pods.items() if pod.id == found), None)


async def make_volume(top: Top, http: aiohttp.ClientSession, size_gib: int) -> int:
    """Return the status of a new volume."""
    project = top.cloud.project_id("demo")
    body = {"volume": {"size": size_gib, "availability_zone": "az1"}}
    url = f"{top.volume}/v3/{project}/volumes"
    return (await send(http, "POST", url, top.member(), body))[0]


async def test_a_first_server_goes_where_most_is_left(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    await measure(shared, stores, pod1=replace(ROOM, vcpus_used=90), pod2=ROOM)
    network_id = await make_network(shared, http)
    assert (await boot(shared, http, network_id))[0] == 202
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 1)


async def test_a_project_leaves_a_pod_that_has_no_room_for_its_server(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    project = ProjectId(shared.cloud.project_id("demo"))
    await stores.bindings.bind(project, ZoneName("az1"), shared.pods["pod1"].id)
    await measure(shared, stores, pod1=replace(ROOM, vcpus_used=98), pod2=ROOM)
    network_id = await make_network(shared, http)
    assert (await boot(shared, http, network_id, min_count=3))[0] == 202
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 3)
    assert await bound_pod(shared, stores) == "pod2"


async def test_when_all_pods_are_full_nova_is_asked_all_the_same(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    full = replace(ROOM, memory_mib_used=100_000)
    await measure(shared, stores, pod1=full, pod2=full)
    network_id = await make_network(shared, http)
    assert (await boot(shared, http, network_id))[0] == 202


async def test_a_volume_goes_where_its_size_fits(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    await measure(shared, stores, pod1=replace(ROOM, volume_gib_used=995), pod2=ROOM)
    assert await make_volume(shared, http, 10) == 202
    assert len(shared.cloud.pod("pod2").volume.volumes.items()) == 1


async def test_a_project_is_bound_to_the_pod_that_took_what_another_refused(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    assert await make_volume(shared, http, 1) == 202
    assert await bound_pod(shared, stores) == "pod1"
    shared.cloud.pod("pod1").faults.inject(FULL, service="volume", method="POST")
    assert await make_volume(shared, http, 1) == 202
    assert await bound_pod(shared, stores) == "pod2"


async def test_a_project_goes_back_to_a_pod_it_was_in(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    cloud = SimulatedCloud(("pod1", "pod2", "pod3"))
    async with open_top(tmp_path, cloud, zones=dict.fromkeys(cloud.pods, "az1")) as top:
        database = open_database(top.settings.database.connection)
        stores, project = SqlStores(database), ProjectId(cloud.project_id("demo"))
        for name in ("pod3", "pod2"):
            pod_id = top.pods[name].id
            bound = await stores.bindings.bind(project, ZoneName("az1"), pod_id)
            await stores.bindings.rebind(project, ZoneName("az1"), bound, pod_id)
        cloud.pod("pod2").faults.inject(FULL, service="volume", method="POST")
        assert await make_volume(top, http, 1) == 202
        assert await bound_pod(top, stores) == "pod3"
        await database.close()


async def test_a_project_stays_bound_to_a_pod_that_is_down(
    shared: Top, http: aiohttp.ClientSession, stores: SqlStores
) -> None:
    network_id = await make_network(shared, http)
    await boot(shared, http, network_id)
    shared.cloud.pod("pod1").faults.down()
    status = 0
    while status != 202:  # until the gateway knows that it is dead
        status, _ = await boot(shared, http, network_id)
    assert await bound_pod(shared, stores) == "pod1"


@pytest.mark.parametrize(
    ("zone", "status", "pod"),
    [
        ("az1:pod2", 202, "pod2"),
        ("az1:pod2:{host}", 202, "pod2"),
        ("az1:none", 400, None),
        ("az1::{host}", 400, None),
    ],
)
async def test_administrators_name_the_pod_and_its_host(
    shared: Top,
    http: aiohttp.ClientSession,
    stores: SqlStores,
    zone: str,
    status: int,
    pod: str | None,
) -> None:
    headers = shared.headers("demo", "admin", "member")
    server = {
        "name": "s",
        "flavorRef": "1",
        "imageRef": next(iter(shared.cloud.images.items)),
        "networks": "none",
        "availability_zone": zone.format(host=shared.cloud.pod("pod2").compute.first_host()),
    }
    headers["OpenStack-API-Version"] = "compute 2.90"
    url = f"{shared.compute}/v2.1/servers"
    found, body = await send(http, "POST", url, headers, {"server": server})
    assert found == status, body
    assert [name for name in shared.pods if servers_in(shared, name)] == ([pod] if pod else [])
    assert await bound_pod(shared, stores) is None
