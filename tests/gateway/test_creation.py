"""A creation finds a pod that takes it, and leaves nothing where one did not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Hang, LoseAnswer, Refuse, Reply, SimulatedCloud

RECENT = {"OpenStack-API-Version": "compute 2.90"}


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Top]:
    """A top whose two pods serve one zone."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    zones = {"pod1": "az1", "pod2": "az1"}
    options = "[gateway]\ncreate_timeout_s = 2\n"
    async with open_top(tmp_path, cloud, options, zones) as running:
        yield running


async def send(
    http: aiohttp.ClientSession, method: str, url: str, headers: dict[str, str], body: object = None
) -> tuple[int, Any]:
    """Return status and body of a request."""
    async with http.request(method, url, headers=headers, json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


async def make_network(top: Top, http: aiohttp.ClientSession) -> str:
    """Return a new network of the top with a subnet."""
    headers = top.member()
    _, made = await send(
        http, "POST", f"{top.network}/v2.0/networks", headers, {"network": {"name": "n"}}
    )
    network_id = str(made["network"]["id"])
    subnet = {"network_id": network_id, "cidr": "10.1.0.0/24", "ip_version": 4}
    await send(http, "POST", f"{top.network}/v2.0/subnets", headers, {"subnet": subnet})
    return network_id


async def boot(
    top: Top, http: aiohttp.ClientSession, network_id: str, **more: object
) -> tuple[int, Any]:
    """Return status and body of a boot on a network."""
    headers = {**top.member(), **RECENT}
    _, flavors = await send(http, "GET", f"{top.compute}/v2.1/flavors", headers)
    server = {
        "name": "s",
        "flavorRef": flavors["flavors"][0]["id"],
        "imageRef": next(iter(top.cloud.images.items)),
        "availability_zone": "az1",
        "networks": [{"uuid": network_id}],
        **more,
    }
    return await send(http, "POST", f"{top.compute}/v2.1/servers", headers, {"server": server})


async def user_ports(top: Top, http: aiohttp.ClientSession) -> list[Any]:
    """Return the ports of the top but those for DHCP."""
    _, body = await send(http, "GET", f"{top.network}/v2.0/ports", top.member())
    return [port for port in body["ports"] if port["device_owner"] != "network:dhcp"]


def servers_in(top: Top, pod: str) -> int:
    """Return how many servers a pod has."""
    return len(top.cloud.pod(pod).compute.servers)


async def test_the_first_server_binds_the_project_to_its_pod(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    for _ in range(3):
        status, _ = await boot(shared, http, network_id)
        assert status == 202
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (3, 0)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, b'{"serviceUnavailable": {"code": 503, "message": "busy"}}'),
        Reply(403, b'{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}'),
    ],
)
async def test_a_pod_that_is_full_or_busy_is_passed_over(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(reply, service="compute", method="POST")
    status, _ = await boot(shared, http, network_id)
    assert (status, servers_in(shared, "pod2")) == (202, 1)
    [port] = await user_ports(shared, http)
    assert port["device_owner"].startswith("compute:")


async def test_a_dead_pod_is_passed_over(shared: Top, http: aiohttp.ClientSession) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(Refuse(), service="network")
    status, _ = await boot(shared, http, network_id)
    assert (status, servers_in(shared, "pod2")) == (202, 1)


async def test_a_refused_boot_leaves_no_port(shared: Top, http: aiohttp.ClientSession) -> None:
    network_id = await make_network(shared, http)
    status, body = await boot(shared, http, network_id, key_name="no-such-key")
    assert (status, "badRequest" in body) == (400, True)
    assert await user_ports(shared, http) == []
    for pod in shared.cloud.pods.values():
        assert [port for port in pod.network.ports.items.values() if not port["device_owner"]] == []


async def test_a_lost_answer_is_not_repeated_elsewhere(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(LoseAnswer(), service="compute", method="POST")
    status, _ = await boot(shared, http, network_id)
    assert status == 504
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (1, 0)
    [port] = await user_ports(shared, http)
    assert port["fixed_ips"], "the port of a server that may exist must stay"


async def test_a_hanging_boot_ends_at_its_time_out(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(Hang(), service="compute", method="POST")
    status, body = await boot(shared, http, network_id)
    assert status == 504
    assert "unknown" in next(iter(body.values()))["message"]


async def test_an_unknown_zone_is_refused_in_the_services_words(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    status, body = await boot(shared, http, network_id, availability_zone="nowhere")
    assert status == 400
    assert body["badRequest"]["message"] == "The requested availability zone is not available"
    project = shared.cloud.project_id("demo")
    status, body = await send(
        http,
        "POST",
        f"{shared.volume}/v3/{project}/volumes",
        shared.member(),
        {"volume": {"size": 1, "availability_zone": "nowhere"}},
    )
    assert (status, body["badRequest"]["message"]) == (
        400,
        "Availability zone 'nowhere' is invalid.",
    )


async def test_a_host_can_be_forced_by_administrators_only(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    status, body = await boot(shared, http, network_id, availability_zone="az1:pod2")
    assert status == 403
    assert "forced_host" in body["forbidden"]["message"]


async def test_several_servers_are_all_or_none_below_the_minimum(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    status, _ = await boot(shared, http, network_id, min_count=2, max_count=3)
    assert status == 202
    names = sorted(one.display_name for one in shared.cloud.pod("pod1").compute.servers.values())
    assert names == ["s-1", "s-2", "s-3"]
    status, body = await boot(shared, http, network_id, min_count=3, max_count=2)
    assert (status, body["badRequest"]["message"]) == (400, "min_count must be <= max_count")


async def test_ports_of_servers_that_only_a_reservation_tells_of_are_released_with_them(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    wish = {"return_reservation_id": True, "min_count": 2, "max_count": 2}
    status, body = await boot(shared, http, network_id, **wish)
    assert (status, list(body)) == (202, ["reservation_id"])
    headers = shared.member()
    for server_id in [*shared.cloud.pod("pod1").compute.servers]:
        url = f"{shared.compute}/v2.1/servers/{server_id}"
        assert (await send(http, "DELETE", url, headers))[0] == 204
        assert (await send(http, "GET", url, headers))[0] == 404
    assert await user_ports(shared, http) == []


async def test_what_only_reservations_tell_of_is_all_or_none_below_the_minimum(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    reply = Reply(403, b'{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}')
    for pod in ("pod1", "pod2"):
        shared.cloud.pod(pod).faults.inject(
            reply, service="compute", method="POST", after=1 if pod == "pod1" else 0
        )
    wish = {"return_reservation_id": True, "min_count": 2, "max_count": 2}
    status, _ = await boot(shared, http, network_id, **wish)
    assert status == 403
    _, listed = await send(http, "GET", f"{shared.compute}/v2.1/servers", shared.member())
    assert listed == {"servers": []}


async def test_the_zone_that_was_asked_for_is_shown_by_its_name_at_the_top(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    network_id = await make_network(shared, http)
    _, made = await boot(shared, http, network_id)
    server_id = made["server"]["id"]
    headers = {**shared.member(), "OpenStack-API-Version": "compute 2.96"}
    _, shown = await send(http, "GET", f"{shared.compute}/v2.1/servers/{server_id}", headers)
    _, listed = await send(http, "GET", f"{shared.compute}/v2.1/servers/detail", headers)
    for server in (shown["server"], *listed["servers"]):
        assert server["OS-EXT-AZ:availability_zone"] == "az1"
        assert server["pinned_availability_zone"] == "az1"
