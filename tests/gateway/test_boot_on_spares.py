"""Boots on ports that are ready in the pod: the top's port is made while Nova is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, user_ports
from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.jobs import KeepSparePorts
from tricircle.core.model import ProjectId, TopId
from tricircle.core.network.spares import SparePort
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import Delay, Hang, Reply, SimulatedCloud

PATIENCE_S = 20.0
QUOTA = Reply(
    409,
    json.dumps(
        {
            "NeutronError": {
                "type": "OverQuota",
                "message": "Quota exceeded for resources: ['port'].",
                "detail": "",
            }
        }
    ).encode(),
)
FULL = Reply(403, b'{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}')


@dataclass(frozen=True)
class World:
    """A top whose two pods serve one zone, a network in pod1 and its spares there."""

    top: Top
    http: aiohttp.ClientSession
    stores: SqlStores
    network_id: str

    @property
    def project_id(self) -> ProjectId:
        return ProjectId(self.top.cloud.project_id("demo"))

    async def spares(self, wanted: int = 2) -> list[SparePort]:
        """Return the spares once there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await self.stores.spares.list_ready(TopId(self.network_id), self.project_id)
                if len(found) == wanted:
                    return list(found)
                await asyncio.sleep(0.05)

    async def boot(self, **more: object) -> tuple[int, Any]:
        return await boot(self.top, self.http, self.network_id, **more)

    async def user_ports(self) -> list[Any]:
        return await user_ports(self.top, self.http)

    async def wait_for_ports(self, wanted: int) -> list[Any]:
        """Return the top's ports of servers once there are so many, all shown with their server."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                ports = await self.user_ports()
                shown = [one for one in ports if one["device_owner"].startswith("compute:")]
                if len(ports) == len(shown) == wanted:
                    return ports
                await asyncio.sleep(0.05)

    def pod_port(self, port_id: str, pod: str = "pod1") -> Any:
        """Return a port as a pod has it, None when it is gone."""
        return self.top.cloud.pod(pod).network.ports.items.get(port_id)

    def servers_in(self, pod: str) -> int:
        """Return how many servers a pod has that are not deleted."""
        servers = self.top.cloud.pod(pod).compute.servers
        return sum(not server.deleted for server in servers.values())


@asynccontextmanager
async def open_world(folder: Path, http: aiohttp.ClientSession) -> AsyncIterator[World]:
    cloud = SimulatedCloud(("pod1", "pod2"))
    zones = {"pod1": "az1", "pod2": "az1"}
    options = "[gateway]\ncreate_timeout_s = 2\n"
    async with open_top(folder, cloud, options, zones) as top:
        database = open_database(top.settings.database.connection)
        try:
            network_id = await make_network(top, http)
            world = World(top, http, SqlStores(database), network_id)
            assert (await world.boot())[0] == 202
            await world.spares()
            await world.wait_for_ports(1)
            yield world
        finally:
            await database.close()


@pytest.fixture
async def world(tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[World]:
    async with open_world(tmp_path, http) as opened:
        yield opened


async def new_port(world: World, before: list[Any]) -> Any:
    """Return the top's port that was not there before."""
    known = {port["id"] for port in before}
    [port] = [one for one in await world.user_ports() if one["id"] not in known]
    return port


async def test_the_server_has_the_spare_and_the_top_a_port_like_it(world: World) -> None:
    before, ready = await world.user_ports(), await world.spares()
    status, made = await world.boot()
    assert status == 202
    port = await new_port(world, before)
    [spare] = [one for one in ready if one.mac_address == port["mac_address"]]
    assert port["fixed_ips"] == [
        {"subnet_id": one.subnet_id, "ip_address": one.ip_address} for one in spare.addresses
    ]
    assert world.pod_port(spare.port_id)["device_id"] == made["server"]["id"]
    await world.wait_for_ports(2)
    mark = f"tricircle:port:{port['id']}:{world.project_id}"
    assert world.pod_port(spare.port_id)["description"] == mark


async def test_nova_is_asked_while_the_top_makes_its_port(world: World) -> None:
    world.top.cloud.faults.inject(Delay(0.6), method="POST", path="/ports$", times=1)
    world.top.cloud.pod("pod1").faults.inject(
        Delay(0.6), service="compute", method="POST", path="/servers$", times=1
    )
    started = asyncio.get_running_loop().time()
    status, _ = await world.boot()
    took_s = asyncio.get_running_loop().time() - started
    assert status == 202
    assert 0.6 < took_s < 1.1


async def test_another_spare_comes_in_place_of_the_one_that_was_taken(world: World) -> None:
    ready = {one.port_id for one in await world.spares()}
    for _ in range(5):
        assert (await world.boot())[0] == 202
        await world.spares()
    assert not ready & {one.port_id for one in await world.spares()}
    assert world.servers_in("pod1") == 6
    await world.wait_for_ports(6)


async def test_as_many_boots_as_like_take_each_spare_once(world: World) -> None:
    answers = await asyncio.gather(*(world.boot() for _ in range(8)))
    assert {status for status, _ in answers} == {202}
    ports = await world.wait_for_ports(9)
    assert len({port["mac_address"] for port in ports}) == 9
    assert len({port["device_id"] for port in ports}) == 9


async def test_a_server_with_groups_has_them_in_the_pod_before_the_answer(world: World) -> None:
    url = f"{world.top.network}/v2.0/security-groups"
    body = {"security_group": {"name": "web"}}
    _, made = await send(world.http, "POST", url, world.top.member(), body)
    before, ready = await world.user_ports(), await world.spares()
    status, answer = await world.boot(security_groups=[{"name": "web"}])
    assert (status, answer["server"]["security_groups"]) == (202, [{"name": "web"}])
    port = await new_port(world, before)
    assert port["security_groups"] == [made["security_group"]["id"]]
    [spare] = [one for one in ready if one.mac_address == port["mac_address"]]
    [group_id] = world.pod_port(spare.port_id)["security_groups"]
    group = world.top.cloud.pod("pod1").network.groups.items[group_id]
    assert group["name"] == "web"


async def test_an_address_that_others_have_got_meanwhile_costs_a_detour_only(
    world: World,
) -> None:
    url = f"{world.top.network}/v2.0/ports"
    for spare in await world.spares():
        fixed_ips = [{"ip_address": spare.addresses[0].ip_address}]
        port = {"network_id": world.network_id, "fixed_ips": fixed_ips}
        status, _ = await send(world.http, "POST", url, world.top.member(), {"port": port})
        assert status == 201
    before = await world.user_ports()
    status, made = await world.boot()
    assert status == 202
    port = await new_port(world, before)
    assert world.servers_in("pod1") == 2
    assert made["server"]["id"] in world.top.cloud.pod("pod1").compute.servers
    addresses = {spare.addresses[0].ip_address for spare in await world.stores.spares.list_old(-9)}
    assert port["fixed_ips"][0]["ip_address"] not in addresses


async def test_a_subnet_that_came_since_gives_the_server_its_address_too(world: World) -> None:
    await world.spares()
    subnet = {"network_id": world.network_id, "cidr": "2001:db8::/64", "ip_version": 6}
    url = f"{world.top.network}/v2.0/subnets"
    status, _ = await send(world.http, "POST", url, world.top.member(), {"subnet": subnet})
    assert status == 201
    before = await world.user_ports()
    status, made = await world.boot()
    assert status == 202
    addresses = [one["ip_address"] for one in (await new_port(world, before))["fixed_ips"]]
    assert [":" in address for address in addresses] == [False, True]
    [port] = [
        one
        for one in world.top.cloud.pod("pod1").network.ports.items.values()
        if one["device_id"] == made["server"]["id"]
    ]
    assert [one["ip_address"] for one in port["fixed_ips"]] == addresses


async def test_a_quota_that_is_used_up_at_the_top_leaves_no_server(world: World) -> None:
    world.top.cloud.faults.inject(QUOTA, method="POST", path="/ports$")
    before = await world.user_ports()
    status, body = await world.boot()
    assert (status, body["forbidden"]["message"]) == (403, "Maximum number of ports exceeded")
    assert (world.servers_in("pod1"), world.servers_in("pod2")) == (1, 0)
    assert await world.user_ports() == before


async def test_a_spare_that_is_gone_from_the_pod_costs_a_detour_only(world: World) -> None:
    for spare in await world.spares():
        url = f"{world.top.network}/v2.0/ports/{spare.port_id}".replace("/top/", "/pod1/")
        assert (await send(world.http, "DELETE", url, world.top.member()))[0] == 204
    status, _ = await world.boot()
    assert (status, world.servers_in("pod1")) == (202, 2)
    await world.wait_for_ports(2)


async def test_a_pod_that_refuses_keeps_no_port_and_the_next_one_gets_it(world: World) -> None:
    ready = await world.spares()
    world.top.cloud.pod("pod1").faults.inject(FULL, service="compute", method="POST")
    before = await world.user_ports()
    status, _ = await world.boot()
    assert (status, world.servers_in("pod2")) == (202, 1)
    port = await new_port(world, before)
    [spare] = [one for one in ready if one.mac_address == port["mac_address"]]
    assert world.pod_port(spare.port_id) is None
    twins = world.top.cloud.pod("pod2").network.ports.items.values()
    assert port["mac_address"] in {one["mac_address"] for one in twins}


async def test_what_is_wrong_with_the_request_is_told_and_leaves_nothing(world: World) -> None:
    before = await world.user_ports()
    status, body = await world.boot(key_name="no-such-key")
    assert (status, "badRequest" in body) == (400, True)
    assert await world.user_ports() == before
    assert world.servers_in("pod1") == 1


async def test_an_unknown_outcome_keeps_the_port_of_a_server_that_may_exist(world: World) -> None:
    world.top.cloud.pod("pod1").faults.inject(
        Hang(), service="compute", method="POST", path="/servers$"
    )
    before = await world.user_ports()
    status, _ = await world.boot()
    assert status == 504
    assert (await new_port(world, before))["device_owner"] == "tricircle:boot"


async def test_another_project_takes_no_spare_of_this_one(world: World) -> None:
    headers = world.top.headers("demo", "admin", "member")
    url = f"{world.top.network}/v2.0/networks/{world.network_id}"
    status, _ = await send(world.http, "PUT", url, headers, {"network": {"shared": True}})
    assert status == 200
    ready = await world.spares()
    image = next(iter(world.top.cloud.images.items))
    server = {
        "name": "s",
        "flavorRef": "1",
        "imageRef": image,
        "networks": [{"uuid": world.network_id}],
    }
    other = {**world.top.member("other"), "OpenStack-API-Version": "compute 2.90"}
    url = f"{world.top.compute}/v2.1/servers"
    status, _ = await send(world.http, "POST", url, other, {"server": server})
    assert status == 202
    assert await world.spares() == ready


async def test_a_reader_is_refused_as_by_nova_and_nothing_is_left(world: World) -> None:
    reader = world.top.headers("demo", "reader")
    image = next(iter(world.top.cloud.images.items))
    networks = [{"uuid": world.network_id}]
    server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": networks}
    before = await world.user_ports()
    headers = {**reader, "OpenStack-API-Version": "compute 2.90"}
    url = f"{world.top.compute}/v2.1/servers"
    status, body = await send(world.http, "POST", url, headers, {"server": server})
    assert status == 403
    assert "os_compute_api:servers:create" in body["forbidden"]["message"]
    assert await world.user_ports() == before
    assert world.servers_in("pod1") == 1


async def test_a_server_with_two_networks_or_an_address_of_its_own_takes_no_spare(
    world: World,
) -> None:
    ready = await world.spares()
    wanted = [{"uuid": world.network_id, "fixed_ip": "10.1.0.44"}]
    assert (await world.boot(networks=wanted))[0] == 202
    second = await make_network(world.top, world.http)
    wanted = [{"uuid": world.network_id}, {"uuid": second}]
    assert (await world.boot(networks=wanted))[0] == 202
    assert await world.spares() == ready


async def test_the_only_network_of_a_project_has_spares_for_who_names_none(world: World) -> None:
    before, ready = await world.user_ports(), await world.spares()
    status, _ = await world.boot(networks="auto")
    assert status == 202
    port = await new_port(world, before)
    assert port["mac_address"] in {spare.mac_address for spare in ready}


async def test_who_wants_no_spares_has_none(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    options = "[xjob]\nspare_ports = 0\n"
    async with open_top(tmp_path, SimulatedCloud(("pod1",)), options) as top:
        network_id = await make_network(top, http)
        assert (await boot(top, http, network_id))[0] == 202
        database = open_database(top.settings.database.connection)
        world = World(top, http, SqlStores(database), network_id)
        await world.wait_for_ports(1)
        await asyncio.sleep(0.5)  # long after a job would be asked for
        jobs = await world.stores.records.list_jobs(JobFilter(kind=KeepSparePorts.kind), 10)
        await database.close()
        assert not jobs
