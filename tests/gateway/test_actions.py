"""Actions on groups and addresses of a server are done at the top; all others go to the pod."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send
from tests.simulated_top import Top

RECENT = {"OpenStack-API-Version": "compute 2.90"}
OLD = {"OpenStack-API-Version": "compute 2.43"}


async def add_group(top: Top, http: aiohttp.ClientSession, name: str = "web") -> str:
    """Return the id of a new group of the top."""
    url = f"{top.network}/v2.0/security-groups"
    _, made = await send(
        http, "POST", url, top.member(), {"security_group": {"name": name, "description": "mine"}}
    )
    return str(made["security_group"]["id"])


async def act(
    top: Top, http: aiohttp.ClientSession, server_id: str, body: object, **headers: str
) -> tuple[int, Any]:
    """Return status and body of an action, of a member of demo unless said otherwise."""
    url = f"{top.compute}/v2.1/servers/{server_id}/action"
    return await send(http, "POST", url, headers or {**top.member(), **RECENT}, body)


async def make_server(top: Top, http: aiohttp.ClientSession) -> str:
    """Return the id of a server on a network of the top."""
    _, made = await boot(top, http, await make_network(top, http))
    return str(made["server"]["id"])


def pod_ports(top: Top, server_id: str) -> list[Any]:
    """Return the ports that the pod of az1 has for a server."""
    ports = top.cloud.pod("pod1").network.ports.items.values()
    return [port for port in ports if port["device_id"] == server_id]


def pod_groups(top: Top, server_id: str) -> list[str]:
    """Return the names of the groups that a server's port is in, in its pod."""
    groups = top.cloud.pod("pod1").network.groups.items
    [port] = pod_ports(top, server_id)
    return sorted(groups[one]["name"] for one in port["security_groups"])


async def test_a_group_of_the_top_comes_and_goes(top: Top, http: aiohttp.ClientSession) -> None:
    server_id, group_id = await make_server(top, http), await add_group(top, http)
    adding = {"addSecurityGroup": {"name": "web"}}
    assert await act(top, http, server_id, adding) == (202, None)
    assert pod_groups(top, server_id) == ["default", "web"]
    removing = {"removeSecurityGroup": {"name": group_id}}
    assert await act(top, http, server_id, removing) == (202, None)
    assert pod_groups(top, server_id) == ["default"]
    status, body = await act(top, http, server_id, removing)
    assert (status, body["itemNotFound"]["message"]) == (
        404,
        f"Security group {group_id} not associated with the instance {server_id}",
    )


async def test_the_answer_has_novas_headers(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    url = f"{top.compute}/v2.1/servers/{server_id}/action"
    body = {"addSecurityGroup": {"name": "default"}}
    headers = {**top.member(), **RECENT}
    async with http.post(url, json=body, headers=headers) as response:
        assert response.status == 202
        assert response.headers["OpenStack-API-Version"] == "compute 2.90"
        assert response.headers["x-openstack-request-id"].startswith("req-")


async def test_the_groups_of_a_server_are_shown_as_the_top_has_them(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id, group_id = await make_server(top, http), await add_group(top, http)
    await act(top, http, server_id, {"addSecurityGroup": {"name": "web"}})
    url = f"{top.compute}/v2.1/servers/{server_id}/os-security-groups"
    status, body = await send(http, "GET", url, {**top.member(), **RECENT})
    assert status == 200
    default, web = body["security_groups"]
    assert (web["id"], web["name"], web["description"]) == (group_id, "web", "mine")
    assert web["tenant_id"] == top.cloud.project_id("demo")
    assert {rule["parent_group_id"] for rule in default["rules"]} == {default["id"]}
    assert default["rules"][0]["group"]["name"] == "default"


async def test_an_unknown_group_is_answered_in_novas_words(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    status, body = await act(top, http, server_id, {"addSecurityGroup": {"name": "nobody"}})
    project_id = top.cloud.project_id("demo")
    assert (status, body["itemNotFound"]["message"]) == (
        404,
        f"Security group nobody is not found for project {project_id}",
    )


@pytest.mark.parametrize("name", ["addSecurityGroup", "removeSecurityGroup"])
async def test_others_learn_nothing_of_a_server(
    top: Top, http: aiohttp.ClientSession, name: str
) -> None:
    server_id = await make_server(top, http)
    headers = {**top.member("other"), **RECENT}
    body = {name: {"name": "default"}}
    status, answer = await act(top, http, server_id, body, **headers)
    assert (status, answer["itemNotFound"]["message"]) == (
        404,
        f"Instance {server_id} could not be found.",
    )
    assert pod_groups(top, server_id) == ["default"]


async def test_a_reader_is_refused_by_policy(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    await add_group(top, http)
    headers = {**top.headers("demo", "reader"), **RECENT}
    status, body = await act(top, http, server_id, {"addSecurityGroup": {"name": "web"}}, **headers)
    assert (status, body["forbidden"]["message"]) == (
        403,
        "Policy doesn't allow os_compute_api:os-security-groups:add to be performed.",
    )
    assert pod_groups(top, server_id) == ["default"]


async def test_an_address_more_is_the_tops(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    [port] = pod_ports(top, server_id)
    [network] = (await send(http, "GET", f"{top.network}/v2.0/networks", top.member()))[1][
        "networks"
    ]
    headers = {**top.member(), **OLD}
    body: dict[str, object] = {"addFixedIp": {"networkId": network["id"]}}
    assert (await act(top, http, server_id, body, **headers))[0] == 202
    [first, _] = [one["ip_address"] for one in pod_ports(top, server_id)[0]["fixed_ips"]]
    body = {"removeFixedIp": {"address": first}}
    assert (await act(top, http, server_id, body, **headers))[0] == 202
    assert first not in [one["ip_address"] for one in pod_ports(top, server_id)[0]["fixed_ips"]]
    assert port["id"] == pod_ports(top, server_id)[0]["id"]


@pytest.mark.parametrize(
    "body",
    [
        {"addFixedIp": {"networkId": "n"}},
        {"removeFixedIp": {"address": "10.1.0.2"}},
        {"addFloatingIp": {"address": "203.0.113.7"}},
        {"removeFloatingIp": {"address": "203.0.113.7"}},
    ],
)
async def test_actions_that_nova_has_removed_are_the_pods_to_refuse(
    top: Top, http: aiohttp.ClientSession, body: object
) -> None:
    server_id = await make_server(top, http)
    received = await through(top, http, server_id, body)
    assert received in (400, 404)


async def through(top: Top, http: aiohttp.ClientSession, server_id: str, body: object) -> int:
    """Return the status of an action that must reach the pod."""
    before = len(actions_at_pod(top))
    status, _ = await act(top, http, server_id, body)
    assert len(actions_at_pod(top)) == before + 1
    return status


def actions_at_pod(top: Top) -> list[Any]:
    """Return the actions that the pod of az1 was asked for."""
    return list(top.cloud.pod("pod1").requests.list_for("compute", "POST", "/action"))


async def test_other_actions_pass_through_untouched(top: Top, http: aiohttp.ClientSession) -> None:
    server_id = await make_server(top, http)
    assert await through(top, http, server_id, {"os-stop": None}) == 202
    assert await through(top, http, server_id, {"addSecurityGroup": {"name": ""}}) == 400


async def test_a_floating_ip_is_looked_for_at_the_top(
    top: Top, http: aiohttp.ClientSession
) -> None:
    server_id = await make_server(top, http)
    headers = {**top.member(), **OLD}
    body = {"addFloatingIp": {"address": "203.0.113.7"}}
    status, answer = await act(top, http, server_id, body, **headers)
    assert (status, answer["itemNotFound"]["message"]) == (404, "floating IP not found")
