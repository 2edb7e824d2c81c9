"""Nova's proxies to Neutron are answered by the top: by its Neutron, with the caller's token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, SimulatedCloud

Json = dict[str, Any]


class World:
    """A top, and whoever asks it and its Neutron."""

    def __init__(self, top: Top, http: aiohttp.ClientSession) -> None:
        self.top, self._http = top, http

    async def nova(
        self, method: str, path: str, body: object = None, roles: tuple[str, ...] = ("member",)
    ) -> tuple[int, Json]:
        """Return status and body of a request to the gateway."""
        headers = {**self.top.headers("demo", *roles), "OpenStack-API-Version": "compute 2.35"}
        return await self._ask(method, f"{self.top.compute}/v2.1{path}", body, headers)

    async def neutron(self, path: str, kind: str, /, **values: object) -> Json:
        """Return a new object of the top's Neutron, made by an administrator for the project."""
        project = {"project_id": self.top.cloud.project_id("demo")}
        headers = self.top.headers("admin", "admin")
        url = f"{self.top.network}/v2.0/{path}"
        status, body = await self._ask("POST", url, {kind: {**project, **values}}, headers)
        assert status == 201, body
        made: Json = body[kind]
        return made

    async def _ask(
        self, method: str, url: str, body: object, headers: dict[str, str]
    ) -> tuple[int, Json]:
        async with self._http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else {}

    async def make_floating_ip(self, device_id: str) -> Json:
        """Return a floating IP of the project, given to a port of a device."""
        external = await self.neutron(
            "networks", "network", name="outside", **{"router:external": True}
        )
        await self._subnet(external, "198.51.100.0/24")
        inner = await self.neutron("networks", "network", name="inside")
        subnet = await self._subnet(inner, "10.0.0.0/24")
        router = await self.neutron(
            "routers", "router", external_gateway_info={"network_id": external["id"]}
        )
        headers = self.top.headers("admin", "admin")
        url = f"{self.top.network}/v2.0/routers/{router['id']}/add_router_interface"
        await self._ask("PUT", url, {"subnet_id": subnet["id"]}, headers)
        port = await self.neutron("ports", "port", network_id=inner["id"], device_id=device_id)
        return await self.neutron(
            "floatingips",
            "floatingip",
            floating_network_id=external["id"],
            port_id=port["id"],
        )

    async def _subnet(self, network: Json, cidr: str) -> Json:
        return await self.neutron(
            "subnets", "subnet", network_id=network["id"], ip_version=4, cidr=cidr
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A top in front of two pods."""
    async with (
        open_top(tmp_path, SimulatedCloud(("pod1", "pod2"))) as top,
        aiohttp.ClientSession() as http,
    ):
        yield World(top, http)


def add_server(world: World) -> str:
    """Return a server of the project in the second pod."""
    cloud = world.top.cloud
    [server] = cloud.pod("pod2").compute.add_servers(1, cloud.project_id("demo"))
    return server.uuid


async def test_a_floating_ip_shows_its_server(world: World) -> None:
    server_id = add_server(world)
    floating_ip = await world.make_floating_ip(server_id)
    view = {
        "fixed_ip": floating_ip["fixed_ip_address"],
        "id": floating_ip["id"],
        "instance_id": server_id,
        "ip": floating_ip["floating_ip_address"],
        "pool": "outside",
    }
    assert await world.nova("GET", "/os-floating-ips") == (200, {"floating_ips": [view]})
    one = await world.nova("GET", f"/os-floating-ips/{floating_ip['id']}")
    assert one == (200, {"floating_ip": view})


async def test_a_floating_ip_of_a_server_can_be_deleted(world: World) -> None:
    floating_ip = await world.make_floating_ip(add_server(world))
    status, _ = await world.nova("DELETE", f"/os-floating-ips/{floating_ip['id']}")
    assert status == 202
    assert await world.nova("GET", "/os-floating-ips") == (200, {"floating_ips": []})


async def test_a_floating_ip_of_no_server_is_kept_as_nova_keeps_it(world: World) -> None:
    device_id = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
    floating_ip = await world.make_floating_ip(device_id)
    status, body = await world.nova("DELETE", f"/os-floating-ips/{floating_ip['id']}")
    assert (status, body["itemNotFound"]["message"]) == (
        404,
        f"Instance {device_id} could not be found.",
    )


async def test_without_a_pool_the_only_one_is_meant(world: World) -> None:
    await world.make_floating_ip("")
    status, body = await world.nova("POST", "/os-floating-ips", {})
    assert (status, body["floating_ip"]["pool"]) == (200, "outside")


async def test_without_a_pool_among_several_novas_own_is_meant(world: World) -> None:
    await world.make_floating_ip("")
    nova = await world.neutron("networks", "network", name="nova", **{"router:external": True})
    await world.neutron(
        "subnets", "subnet", network_id=nova["id"], ip_version=4, cidr="203.0.113.0/24"
    )
    status, body = await world.nova("POST", "/os-floating-ips", {})
    assert (status, body["floating_ip"]["pool"]) == (200, "nova")


async def test_the_top_answers_while_all_pods_are_dead(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(Refuse())
    status, body = await world.nova("GET", "/os-security-groups")
    assert (status, body["security_groups"][0]["name"]) == (200, "default")


async def test_what_nova_refuses_is_refused_by_a_pod_and_done_nowhere(world: World) -> None:
    status, body = await world.nova("POST", "/os-security-groups", {"security_group": {}})
    assert (status, body["badRequest"]["message"]) == (
        400,
        "Invalid input for field/attribute security_group. Value: {}. "
        "'name' is a required property",
    )


async def test_a_default_group_keeps_its_name(world: World) -> None:
    _, groups = await world.nova("GET", "/os-security-groups")
    path = f"/os-security-groups/{groups['security_groups'][0]['id']}"
    asked = {"security_group": {"name": "other", "description": ""}}
    status, body = await world.nova("PUT", path, asked)
    assert status == 500
    assert "neutronclient.common.exceptions.Conflict" in body["computeFault"]["message"]


async def test_a_group_in_use_stays(world: World) -> None:
    asked = {"security_group": {"name": "used", "description": ""}}
    _, made = await world.nova("POST", "/os-security-groups", asked)
    group_id = made["security_group"]["id"]
    network = await world.neutron("networks", "network", name="n")
    await world.neutron("ports", "port", network_id=network["id"], security_groups=[group_id])
    status, body = await world.nova("DELETE", f"/os-security-groups/{group_id}")
    assert status == 400
    assert "in use" in body["badRequest"]["message"]
    assert "Neutron server returns request_ids: ['req-" in body["badRequest"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "rule"),
    [
        ("POST", "/os-floating-ips", {}, "os-floating-ips:create"),
        (
            "POST",
            "/os-security-groups",
            {"security_group": {"name": "n", "description": ""}},
            "os-security-groups:create",
        ),
        ("DELETE", "/os-security-groups/none", None, "os-security-groups:delete"),
        ("DELETE", "/os-security-group-rules/none", None, "os-security-groups:rule:delete"),
    ],
)
async def test_readers_change_nothing(
    world: World, method: str, path: str, body: object, rule: str
) -> None:
    status, answer = await world.nova(method, path, body, roles=("reader",))
    assert (status, answer["forbidden"]["message"]) == (
        403,
        f"Policy doesn't allow os_compute_api:{rule} to be performed.",
    )
