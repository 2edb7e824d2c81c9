"""What belongs to another project, or may not be done by a role, in Nova's own words."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import pytest

from tests.simulated_top import Top
from tricircle.testing.cloud.compute.records import Server

JSON = Mapping[str, object]


async def ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: dict[str, str],
    body: JSON | None = None,
) -> tuple[int, str]:
    """Return status and message of an error."""
    async with http.request(method, url, headers=headers, json=body) as response:
        answer = await response.json()
        return response.status, next(iter(answer.values()))["message"]


async def make_volume(top: Top, http: aiohttp.ClientSession, project: str, zone: str) -> str:
    """Return the id of a new volume whose pod the top knows."""
    url = f"{top.volume}/v3/{top.cloud.project_id(project)}/volumes"
    body = {"volume": {"size": 1, "availability_zone": zone}}
    async with http.post(url, headers=top.member(project), json=body) as response:
        return str((await response.json())["volume"]["id"])


async def make_network(top: Top, http: aiohttp.ClientSession, project: str) -> str:
    """Return the id of a new network with a subnet at the top."""
    headers = top.member(project)
    url = f"{top.network}/v2.0"
    async with http.post(
        f"{url}/networks", headers=headers, json={"network": {"name": "net"}}
    ) as response:
        network_id = str((await response.json())["network"]["id"])
    subnet = {"network_id": network_id, "ip_version": 4, "cidr": "10.5.0.0/24"}
    async with http.post(f"{url}/subnets", headers=headers, json={"subnet": subnet}) as response:
        assert response.status == 201
    return network_id


def add_server(top: Top, pod: str, project: str) -> Server:
    """Return a new server that a pod has."""
    return top.cloud.pod(pod).compute.add_servers(1, top.cloud.project_id(project))[0]


async def show(top: Top, http: aiohttp.ClientSession, server: Server, project: str) -> None:
    """Let its owner look at a server, so that the top knows where it is."""
    url = f"{top.compute}/v2.1/servers/{server.uuid}"
    async with http.get(url, headers=top.member(project)) as response:
        assert response.status == 200


async def test_a_volume_of_another_project_is_absent_whatever_pod_it_is_in(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server = add_server(top, "pod1", "demo")
    foreign = await make_volume(top, http, "other", "az2")
    url = f"{top.compute}/v2.1/servers/{server.uuid}/os-volume_attachments"
    body = {"volumeAttachment": {"volumeId": foreign}}
    assert await ask(http, "POST", url, top.member(), body) == (
        404,
        f"Volume {foreign} could not be found.",
    )


async def test_what_is_no_id_is_the_pods_to_refuse(top: Top, http: aiohttp.ClientSession) -> None:
    server = add_server(top, "pod1", "demo")
    url = f"{top.compute}/v2.1/servers/{server.uuid}/os-volume_attachments"
    status, message = await ask(
        http, "POST", url, top.member(), {"volumeAttachment": {"volumeId": "my-volume"}}
    )
    assert status == 400
    assert message.startswith("Invalid input for field/attribute volumeId.")


async def test_nothing_is_told_of_the_pod_of_a_server_of_another_project(
    top: Top, http: aiohttp.ClientSession
) -> None:
    foreign = add_server(top, "pod1", "other")
    await show(top, http, foreign, "other")
    volume = await make_volume(top, http, "demo", "az2")
    url = f"{top.compute}/v2.1/servers/{foreign.uuid}/os-volume_attachments"
    body = {"volumeAttachment": {"volumeId": volume}}
    assert await ask(http, "POST", url, top.member(), body) == (
        404,
        f"Instance {foreign.uuid} could not be found.",
    )


async def test_no_port_is_made_for_a_server_of_another_project(
    top: Top, http: aiohttp.ClientSession
) -> None:
    foreign = add_server(top, "pod1", "other")
    await show(top, http, foreign, "other")
    network = await make_network(top, http, "demo")
    url = f"{top.compute}/v2.1/servers/{foreign.uuid}/os-interface"
    body = {"interfaceAttachment": {"net_id": network}}
    assert await ask(http, "POST", url, top.member(), body) == (
        404,
        f"Instance {foreign.uuid} could not be found.",
    )
    assert not top.cloud.top_network.ports.items


@pytest.mark.parametrize(
    ("path", "rule"),
    [("servers", "servers:create"), ("interface", "os-attach-interfaces:create")],
)
async def test_a_reader_is_refused_by_the_rule_that_nova_asks_first(
    top: Top, http: aiohttp.ClientSession, path: str, rule: str
) -> None:
    server = add_server(top, "pod1", "demo")
    network = await make_network(top, http, "demo")
    image = next(iter(top.cloud.images.items))
    wish = {"name": "new", "flavorRef": "1", "imageRef": image, "networks": [{"uuid": network}]}
    requests: dict[str, tuple[str, JSON]] = {
        "servers": ("servers", {"server": wish}),
        "interface": (
            f"servers/{server.uuid}/os-interface",
            {"interfaceAttachment": {"net_id": network}},
        ),
    }
    url, body = requests[path]
    answer = await ask(
        http, "POST", f"{top.compute}/v2.1/{url}", top.headers("demo", "reader"), body
    )
    assert answer == (403, f"Policy doesn't allow os_compute_api:{rule} to be performed.")


@pytest.mark.parametrize(("path", "rule"), [("servers", "index"), ("servers/detail", "detail")])
async def test_a_refused_list_names_the_rule_of_the_list_that_was_asked_for(
    top: Top, http: aiohttp.ClientSession, path: str, rule: str
) -> None:
    url = f"{top.compute}/v2.1/{path}?all_tenants=1"
    assert await ask(http, "GET", url, top.member()) == (
        403,
        f"Policy doesn't allow os_compute_api:servers:{rule}:get_all_tenants to be performed.",
    )
