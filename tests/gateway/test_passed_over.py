"""Which answers of a pod let another pod have the request, and which are the client's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, servers_in, user_ports
from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Reply, SimulatedCloud


def refusal(status: int, word: str, message: str) -> Reply:
    return Reply(status, json.dumps({word: {"code": status, "message": message}}).encode())


BUSY = refusal(503, "serviceUnavailable", "The service is unavailable.")
BY_NOVA = {
    "busy": BUSY,
    "cores": refusal(
        403, "forbidden", "Quota exceeded for cores: Requested 1, but already used 20 of 20 cores"
    ),
    "group": refusal(403, "forbidden", "Quota exceeded, too many servers in group"),
    "unified": refusal(
        403,
        "forbidden",
        "Project 0f5a is over a limit for [Resource servers is over limit of 1 due to current "
        "usage 1 and delta 1]",
    ),
    "ports": refusal(403, "forbidden", "Maximum number of ports exceeded"),
}
BY_CINDER = {
    "busy": BUSY,
    "volumes": refusal(
        413, "overLimit", "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded"
    ),
    "gigabytes": refusal(
        413,
        "overLimit",
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes "
        "quota. Requested 1G, quota is 10G and 10G has been consumed.",
    ),
}
OWN = {
    "metadata": refusal(403, "forbidden", "Maximum number of metadata items exceeds 128"),
    "files": refusal(403, "forbidden", "Personality file limit exceeded"),
    "policy": refusal(403, "forbidden", "Policy doesn't allow this to be performed."),
    "input": refusal(400, "badRequest", "Invalid image identifier or unable to access image."),
    "broken": refusal(500, "computeFault", "Unexpected API Error."),
}


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Top]:
    """A top whose two pods serve one zone."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud, zones={"pod1": "az1", "pod2": "az1"}) as running:
        yield running


async def make(
    top: Top, http: aiohttp.ClientSession, path: str, body: dict[str, object]
) -> tuple[int, Any]:
    """Return status and body of something that is made by Cinder."""
    url = f"{top.volume}/v3/{top.cloud.project_id('demo')}{path}"
    headers = {**top.member(), "OpenStack-API-Version": "volume 3.71"}
    return await send(http, "POST", url, headers, body)


@pytest.mark.parametrize("reply", BY_NOVA.values(), ids=BY_NOVA)
async def test_a_server_goes_on_to_the_next_pod(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(reply, "compute", "POST", "/servers$")
    assert (await boot(shared, http, network_id))[0] == 202
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 1)
    [port] = await user_ports(shared, http)
    assert port["device_owner"].startswith("compute:")


@pytest.mark.parametrize("reply", BY_NOVA.values(), ids=BY_NOVA)
async def test_when_no_pod_takes_a_server_the_last_ones_answer_is_the_clients(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    network_id = await make_network(shared, http)
    for name in shared.pods:
        shared.cloud.pod(name).faults.inject(reply, "compute", "POST", "/servers$")
    status, body = await boot(shared, http, network_id)
    assert (status, body) == (reply.status, json.loads(reply.body))
    assert await user_ports(shared, http) == []


@pytest.mark.parametrize("reply", OWN.values(), ids=OWN)
async def test_what_is_wrong_with_the_request_itself_is_told_at_once(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod1").faults.inject(reply, "compute", "POST", "/servers$")
    assert (await boot(shared, http, network_id))[0] == reply.status
    assert servers_in(shared, "pod2") == 0


@pytest.mark.parametrize("reply", BY_CINDER.values(), ids=BY_CINDER)
async def test_a_volume_goes_on_to_the_next_pod(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    shared.cloud.pod("pod1").faults.inject(reply, "volume", "POST", "/volumes$")
    body: dict[str, object] = {"volume": {"size": 1, "availability_zone": "az1"}}
    status, made = await make(shared, http, "/volumes", body)
    assert status == 202
    assert shared.cloud.pod("pod2").volume.volumes.get(made["volume"]["id"]) is not None
    shared.cloud.pod("pod2").faults.inject(reply, "volume", "POST", "/volumes$")
    status, refused = await make(shared, http, "/volumes", body)
    assert (status, refused) == (reply.status, json.loads(reply.body))


@pytest.mark.parametrize("reply", OWN.values(), ids=OWN)
async def test_what_is_wrong_with_a_volume_is_told_at_once(
    shared: Top, http: aiohttp.ClientSession, reply: Reply
) -> None:
    shared.cloud.pod("pod1").faults.inject(reply, "volume", "POST", "/volumes$")
    body: dict[str, object] = {"volume": {"size": 1, "availability_zone": "az1"}}
    assert (await make(shared, http, "/volumes", body))[0] == reply.status
    assert not shared.cloud.pod("pod2").volume.volumes.items()


async def test_a_volume_beside_another_one_goes_nowhere_else(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    body: dict[str, object] = {"volume": {"size": 1, "availability_zone": "az1"}}
    _, made = await make(shared, http, "/volumes", body)
    source = shared.cloud.pod("pod1").volume.volumes.get(made["volume"]["id"])
    assert source is not None
    source.status = "available"
    shared.cloud.pod("pod1").faults.inject(BY_CINDER["volumes"], "volume", "POST", "/volumes$")
    copy: dict[str, object] = {"volume": {"size": 1, "source_volid": made["volume"]["id"]}}
    assert (await make(shared, http, "/volumes", copy))[0] == 413
    assert not shared.cloud.pod("pod2").volume.volumes.items()


async def test_a_group_of_volumes_goes_on_to_the_next_pod(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    full = refusal(
        413, "overLimit", "GroupLimitExceeded: Maximum number of groups allowed (10) exceeded"
    )
    shared.cloud.pod("pod1").faults.inject(full, "volume", "POST", "/groups$")
    for name in shared.pods:
        shared.cloud.pod(name).volume.add_group_type("together")
    body: dict[str, object] = {
        "group": {
            "group_type": "together",
            "volume_types": ["__DEFAULT__"],
            "availability_zone": "az1",
        }
    }
    status, made = await make(shared, http, "/groups", body)
    assert status == 202, made
    assert made["group"]["id"] in shared.cloud.pod("pod2").volume.groups
