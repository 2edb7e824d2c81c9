"""One answer is made of all pods', and says which of them is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_engine import add_servers
from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Garbage, Refuse, Reply, SimulatedCloud

Body = dict[str, Any]


async def ask(
    http: aiohttp.ClientSession,
    top: Top,
    path: str,
    version: str = "2.1",
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: object = None,
) -> tuple[int, Body, str | None]:
    """Return status, body and missing pods of an answer; an administrator asks by default."""
    sent = {
        **(headers or top.headers("admin", "admin")),
        "OpenStack-API-Version": f"compute {version}",
    }
    url = path if path.startswith("http") else f"{top.compute}/v2.1{path}"
    async with http.request(method, url, headers=sent, json=body) as response:
        text = await response.text()
        missing = response.headers.get("X-Tricircle-Missing-Pods")
        return response.status, json.loads(text) if text else {}, missing


def add_hosts(top: Top, pod: str, *names: str) -> None:
    for name in names:
        top.cloud.pod(pod).compute.add_hypervisor(name)


async def test_what_a_project_uses_is_summed_over_pods(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_servers(top, "pod1", 2)
    add_servers(top, "pod2", 1)
    add_servers(top, "pod2", 4, project="other")
    _, body, missing = await ask(http, top, "/limits", headers=top.member())
    absolute = body["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"]) == (3, 3)
    assert absolute["maxTotalKeypairs"] == 100
    assert missing is None


async def test_a_limit_is_the_largest_of_the_pods(top: Top, http: aiohttp.ClientSession) -> None:
    books = [top.cloud.pod(name).compute.quota_book for name in ("pod1", "pod2")]
    books[0].classes["default"] = {"key_pairs": 10}
    books[1].classes["default"] = {"key_pairs": 20}
    _, body, _ = await ask(http, top, "/limits", headers=top.member())
    assert body["limits"]["absolute"]["maxTotalKeypairs"] == 20
    books[0].classes["default"] = {"key_pairs": -1}
    _, body, _ = await ask(http, top, "/limits", headers=top.member())
    assert body["limits"]["absolute"]["maxTotalKeypairs"] == -1


async def test_a_limit_that_the_top_holds_is_the_tops(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod1").compute.quotas["cores"] = 10
    _, body, _ = await ask(http, top, "/limits", headers=top.member())
    assert body["limits"]["absolute"]["maxTotalCores"] == -1


async def test_a_dead_pod_is_named_and_the_others_are_summed(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_servers(top, "pod1", 2)
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body, missing = await ask(http, top, "/limits", headers=top.member())
    assert (status, missing) == (200, "pod2")
    assert body["limits"]["absolute"]["totalInstancesUsed"] == 2


async def test_with_all_pods_dead_there_is_no_answer(top: Top, http: aiohttp.ClientSession) -> None:
    for pod in top.cloud.pods.values():
        pod.faults.inject(Refuse())
    status, body, _ = await ask(http, top, "/limits", headers=top.member())
    assert status == 503
    assert "pod1, pod2" in body["serviceUnavailable"]["message"]


async def test_no_partial_sums_where_the_operator_wants_none(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    options = "[gateway]\npartial_lists = no"
    async with open_top(tmp_path, SimulatedCloud(("pod1", "pod2")), options) as top:
        top.cloud.pod("pod2").faults.inject(Refuse())
        status, _, _ = await ask(http, top, "/limits", headers=top.member())
        assert status == 503


@pytest.mark.parametrize("path", ["/os-services", "/os-hypervisors", "/limits?tenant_id=other"])
async def test_a_pods_policy_is_the_answer(
    top: Top, http: aiohttp.ClientSession, path: str
) -> None:
    status, body, _ = await ask(http, top, path, headers=top.member())
    assert status == 403
    assert body["forbidden"]["message"].startswith("Policy doesn't allow os_compute_api:")


async def test_services_of_all_pods_have_numbers_of_their_own(
    top: Top, http: aiohttp.ClientSession
) -> None:
    _, body, _ = await ask(http, top, "/os-services", "2.52")
    ids = [service["id"] for service in body["services"]]
    assert len(ids) == len(set(ids)) == 6
    assert max(ids) < 2**53
    _, again, _ = await ask(http, top, "/os-services", "2.52")
    assert [service["id"] for service in again["services"]] == ids


async def test_a_service_is_shown_in_the_tops_zone(top: Top, http: aiohttp.ClientSession) -> None:
    _, body, _ = await ask(http, top, "/os-services?binary=nova-compute")
    zones = {service["zone"] for service in body["services"] if service["zone"] != "internal"}
    assert zones == {"az1", "az2"}


@pytest.mark.parametrize("version", ["2.33", "2.52", "2.53", "2.100"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_all_pages_together_are_all_hypervisors(
    top: Top, http: aiohttp.ClientSession, version: str, limit: int
) -> None:
    add_hosts(top, "pod1", "one", "two", "three")
    add_hosts(top, "pod2", "four", "two")
    _, whole, _ = await ask(http, top, "/os-hypervisors", version)
    assert len(whole["hypervisors"]) == 7
    found: list[Body] = []
    path: str | None = f"/os-hypervisors?limit={limit}"
    while path is not None:
        status, page, _ = await ask(http, top, path, version)
        assert status == 200
        assert len(page["hypervisors"]) <= limit
        found += page["hypervisors"]
        path = page.get("hypervisors_links", [{"href": None}])[0]["href"]
    assert found == whole["hypervisors"]


async def test_a_marker_of_the_clients_own_is_found_in_its_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_hosts(top, "pod1", "one", "two")
    add_hosts(top, "pod2", "three")
    for version in ("2.33", "2.53"):
        _, whole, _ = await ask(http, top, "/os-hypervisors/detail", version)
        ids = [one["id"] for one in whole["hypervisors"]]
        for at, marker in enumerate(ids):
            path = f"/os-hypervisors/detail?marker={marker}&limit=2"
            _, page, _ = await ask(http, top, path, version)
            assert [one["id"] for one in page["hypervisors"]] == ids[at + 1 : at + 3]


async def test_a_pod_of_smaller_pages_is_asked_on(top: Top, http: aiohttp.ClientSession) -> None:
    add_hosts(top, "pod1", *(f"host{n}" for n in range(7)))
    top.cloud.pod("pod1").compute.max_limit = 3
    _, page, _ = await ask(http, top, "/os-hypervisors?limit=9", "2.53")
    assert len(page["hypervisors"]) == 9
    assert len({one["id"] for one in page["hypervisors"]}) == 9


@pytest.mark.parametrize(("version", "marker"), [("2.33", "1"), ("2.33", "0"), ("2.53", "none")])
async def test_a_marker_that_is_nowhere_is_refused_in_novas_words(
    top: Top, http: aiohttp.ClientSession, version: str, marker: str
) -> None:
    status, body, _ = await ask(http, top, f"/os-hypervisors?marker={marker}", version)
    assert status == 400
    assert body["badRequest"]["message"] == f"marker [{marker}] not found"


@pytest.mark.parametrize("version", ["2.33", "2.53"])
async def test_the_next_link_leads_on_when_its_pod_has_died(
    top: Top, http: aiohttp.ClientSession, version: str
) -> None:
    add_hosts(top, "pod1", "one")
    _, page, _ = await ask(http, top, "/os-hypervisors?limit=1", version)
    top.cloud.pod("pod1").faults.inject(Refuse())
    link = page["hypervisors_links"][0]["href"]
    status, page, missing = await ask(http, top, link, version)
    assert (status, missing) == (200, "pod1")
    assert [one["hypervisor_hostname"] for one in page["hypervisors"]] == ["pod2-compute1"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"limits": null}',
        b'{"limits": {"absolute": 1}}',
        b'{"limits": {"absolute": {"totalCoresUsed": "many"}}}',
        b'{"limits": {"absolute": {"totalCoresUsed": true}}}',
    ],
)
async def test_nonsense_of_one_pod_does_not_harm_the_others(
    top: Top, http: aiohttp.ClientSession, body: bytes
) -> None:
    add_servers(top, "pod1", 2)
    top.cloud.pod("pod2").faults.inject(Reply(200, body))
    status, answer, _ = await ask(http, top, "/limits", headers=top.member())
    assert status == 200
    assert answer["limits"]["absolute"]["totalCoresUsed"] == 2


@pytest.mark.parametrize("fault", [Reply(500, b"oops"), Reply(200, b"[]"), Reply(401), Garbage()])
async def test_a_pod_with_an_answer_of_no_use_is_missing(
    top: Top, http: aiohttp.ClientSession, fault: Reply | Garbage
) -> None:
    top.cloud.pod("pod2").faults.inject(fault)
    status, _, missing = await ask(http, top, "/limits", headers=top.member())
    assert (status, missing) == (200, "pod2")
