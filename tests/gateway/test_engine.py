"""Requests find their pod, and what a pod says comes back as it came."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top
from tricircle.testing.cloud import Hang, Refuse, Reply

PARTIAL = {"OpenStack-API-Version": "compute 2.69"}
ABSENT = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"


def add_servers(top: Top, pod: str, count: int = 1, project: str = "demo") -> list[str]:
    """Put servers straight into a pod, as if they had been there before the top."""
    compute = top.cloud.pod(pod).compute
    known = set(compute.servers)
    compute.add_servers(count, top.cloud.project_id(project))
    return [server_id for server_id in compute.servers if server_id not in known]


async def get(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Return status and body of a GET."""
    async with http.get(url, headers=headers) as response:
        return response.status, json.loads(await response.text())


async def test_a_server_that_was_there_before_the_top_is_found(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod2")
    status, body = await get(http, f"{top.compute}/v2.1/servers/{server_id}", top.member())
    assert (status, body["server"]["id"]) == (200, server_id)
    assert body["server"]["OS-EXT-AZ:availability_zone"] == "az2"
    assert body["server"]["links"][0]["href"] == f"{top.compute}/v2.1/servers/{server_id}"


async def test_a_pod_is_asked_only_once_where_a_server_is(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod2")
    for _ in range(3):
        await get(http, f"{top.compute}/v2.1/servers/{server_id}", top.member())
    asked = [one for one in top.cloud.pod("pod1").requests if server_id in one.path]
    assert len(asked) == 1


async def test_an_absent_and_a_foreign_server_look_the_same(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [foreign] = add_servers(top, "pod1", project="other")
    answers = []
    for server_id in (ABSENT, foreign):
        status, body = await get(http, f"{top.compute}/v2.1/servers/{server_id}", top.member())
        answers.append((status, json.dumps(body).replace(server_id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0] == (
        404,
        '{"itemNotFound": {"code": 404, "message": "Instance ID could not be found."}}',
    )


async def test_not_even_bytes_and_headers_tell_an_absent_from_a_foreign_server(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [foreign] = add_servers(top, "pod1", project="other")
    answers = []
    for server_id in (ABSENT, foreign):
        url = f"{top.compute}/v2.1/servers/{server_id}/os-interface"
        async with http.get(url, headers=top.member()) as response:
            body = (await response.read()).replace(server_id.encode(), b"ID")
            answers.append((response.status, body, sorted(map(str.lower, response.headers))))
    assert answers[0] == answers[1]


async def test_a_foreign_server_stays_foreign_after_its_owner_used_it(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [foreign] = add_servers(top, "pod1", project="other")
    status, _ = await get(http, f"{top.compute}/v2.1/servers/{foreign}", top.member("other"))
    assert status == 200
    status, _ = await get(http, f"{top.compute}/v2.1/servers/{foreign}", top.member("demo"))
    assert status == 404
    status, _ = await get(http, f"{top.compute}/v2.1/servers/{foreign}", top.member("other"))
    assert status == 200


async def test_a_name_in_place_of_an_id_is_404_even_while_a_pod_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body = await get(http, f"{top.compute}/v2.1/servers/my-server", top.member())
    assert status == 404
    assert body["itemNotFound"]["message"] == "Instance my-server could not be found."


async def test_an_id_that_no_answering_pod_has_is_unknown_while_a_pod_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body = await get(http, f"{top.compute}/v2.1/servers/{ABSENT}", top.member())
    assert status == 503
    assert "pod2" in body["serviceUnavailable"]["message"]


async def test_a_server_of_a_dead_pod_is_shown_as_nova_shows_a_dead_cells(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod2")
    url = f"{top.compute}/v2.1/servers/{server_id}"
    await get(http, url, top.member())
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body = await get(http, url, {**top.member(), **PARTIAL})
    assert (status, body["server"]["status"]) == (200, "UNKNOWN")
    assert body["server"]["tenant_id"] == top.cloud.project_id("demo")
    status, _ = await get(http, url, top.member())
    assert status in (503, 504)
    status, body = await get(http, url, {**top.member("other"), **PARTIAL})
    assert status in (503, 504)
    assert "server" not in body


async def test_a_list_without_a_dead_pod_says_which_is_missing(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [alive], [lost] = add_servers(top, "pod1"), add_servers(top, "pod2")
    await get(http, f"{top.compute}/v2.1/servers/{lost}", top.member())
    top.cloud.pod("pod2").faults.inject(Refuse())
    async with http.get(f"{top.compute}/v2.1/servers/detail", headers=top.member()) as response:
        assert response.headers["X-Tricircle-Missing-Pods"] == "pod2"
        assert [one["id"] for one in (await response.json())["servers"]] == [alive]
    async with http.get(
        f"{top.compute}/v2.1/servers/detail", headers={**top.member(), **PARTIAL}
    ) as response:
        statuses = {one["id"]: one["status"] for one in (await response.json())["servers"]}
        assert statuses == {alive: "ACTIVE", lost: "UNKNOWN"}


async def test_an_unknown_action_is_answered_by_the_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod1")
    async with http.post(
        f"{top.compute}/v2.1/servers/{server_id}/action",
        headers=top.member(),
        json={"os-notYetInvented": {"a": 1}},
    ) as response:
        assert response.status == 400
        assert "There is no such action" in (await response.json())["badRequest"]["message"]


async def test_unknown_fields_of_a_body_reach_the_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod1")
    sent = b'{"server": {"name": "new", "future": {"x": 1.10, "big": 12345678901234567890}}}'
    async with http.put(
        f"{top.compute}/v2.1/servers/{server_id}",
        headers={**top.member(), "Content-Type": "application/json"},
        data=sent,
    ):
        pass
    received = next(one for one in top.cloud.pod("pod1").requests if one.method == "PUT")
    assert received.body == sent


async def test_a_pods_own_error_comes_back_as_it_came(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod1")
    url = f"{top.compute}/v2.1/servers/{server_id}"
    await get(http, url, top.member())
    teapot = b'{"teapot": {"code": 418, "message": "short and stout"}}'
    top.cloud.pod("pod1").faults.inject(Reply(418, teapot))
    async with http.get(url, headers=top.member()) as response:
        assert (response.status, await response.read()) == (418, teapot)


async def test_flavors_are_read_from_another_pod_while_one_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod1").faults.inject(Refuse())
    status, body = await get(http, f"{top.compute}/v2.1/flavors", top.member())
    assert status == 200
    assert body["flavors"]


async def test_zones_are_the_tops_and_show_a_dead_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    for url in (f"{top.compute}/v2.1", f"{top.volume}/v3"):
        status, body = await get(http, f"{url}/os-availability-zone", top.member())
        zones = {
            one["zoneName"]: one["zoneState"]["available"] for one in body["availabilityZoneInfo"]
        }
        assert (status, zones) == (200, {"az1": True, "az2": True})


async def test_a_volume_of_another_pod_cannot_be_attached(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod1")
    project = top.cloud.project_id("demo")
    async with http.post(
        f"{top.volume}/v3/{project}/volumes",
        headers=top.member(),
        json={"volume": {"size": 1, "availability_zone": "az2"}},
    ) as response:
        volume_id = (await response.json())["volume"]["id"]
    async with http.post(
        f"{top.compute}/v2.1/servers/{server_id}/os-volume_attachments",
        headers=top.member(),
        json={"volumeAttachment": {"volumeId": volume_id}},
    ) as response:
        assert response.status == 400
        assert "is in pod pod2" in (await response.json())["badRequest"]["message"]


async def test_a_pod_that_hangs_harms_no_request_for_another(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [good], [stuck] = add_servers(top, "pod1"), add_servers(top, "pod2")
    for server_id in (good, stuck):
        await get(http, f"{top.compute}/v2.1/servers/{server_id}", top.member())
    top.cloud.pod("pod2").faults.inject(Hang())
    waiting = http.get(f"{top.compute}/v2.1/servers/{stuck}", headers=top.member())
    status, _ = await get(http, f"{top.compute}/v2.1/servers/{good}", top.member())
    assert status == 200
    waiting.close()


@pytest.mark.parametrize("role", ["member", "reader", "admin"])
async def test_every_role_may_list(top: Top, http: aiohttp.ClientSession, role: str) -> None:
    status, _ = await get(http, f"{top.compute}/v2.1/servers", top.headers("demo", role))
    assert status == 200
