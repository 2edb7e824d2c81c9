"""What nothing is recorded of is found by asking: services, hosts, hypervisors, tokens."""

from __future__ import annotations

import aiohttp
import pytest

from tests.gateway.test_aggregating import add_hosts, ask
from tests.gateway.test_engine import ABSENT, add_servers
from tests.simulated_top import Top
from tricircle.testing.cloud import Refuse


async def number_of(top: Top, http: aiohttp.ClientSession, host: str) -> str:
    """Return the top's number of the nova-compute of a host."""
    _, body, _ = await ask(http, top, f"/os-services?host={host}&binary=nova-compute", "2.52")
    [service] = body["services"]
    return str(service["id"])


async def test_a_hypervisor_is_found_by_number_and_by_uuid(
    top: Top, http: aiohttp.ClientSession
) -> None:
    for version in ("2.28", "2.53", "2.88"):
        _, whole, _ = await ask(http, top, "/os-hypervisors/detail", version)
        for shown in whole["hypervisors"]:
            status, body, _ = await ask(http, top, f"/os-hypervisors/{shown['id']}", version)
            assert (status, body["hypervisor"]) == (200, shown)


async def test_statistics_are_those_of_all_hypervisors(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_servers(top, "pod1", 2)
    add_servers(top, "pod2", 1)
    add_hosts(top, "pod2", "second")
    _, body, _ = await ask(http, top, "/os-hypervisors/statistics", "2.87")
    statistics = body["hypervisor_statistics"]
    assert (statistics["count"], statistics["running_vms"], statistics["vcpus_used"]) == (3, 3, 3)


async def test_a_search_finds_in_any_pod(top: Top, http: aiohttp.ClientSession) -> None:
    for pattern, names in (("pod2", ["pod2-compute1"]), ("compute", None), ("none", [])):
        for version, path in (
            ("2.1", f"/os-hypervisors/{pattern}/search"),
            ("2.53", f"/os-hypervisors?hypervisor_hostname_pattern={pattern}"),
        ):
            status, body, missing = await ask(http, top, path, version)
            found = [one["hypervisor_hostname"] for one in body.get("hypervisors", [])]
            assert found == (["pod1-compute1", "pod2-compute1"] if names is None else names)
            assert status == (200 if found else 404)
            assert missing is None


async def test_an_id_of_no_answering_pod_is_unknown_while_a_pod_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    for method, path, body in (
        ("GET", f"/os-hypervisors/{ABSENT}", None),
        ("GET", f"/os-console-auth-tokens/{ABSENT}", None),
        ("PUT", f"/os-services/{ABSENT}", {"status": "enabled"}),
        ("DELETE", f"/os-services/{ABSENT}", None),
    ):
        status, answer, _ = await ask(http, top, path, "2.53", method=method, body=body)
        assert status == 503
        assert "pod2" in answer["serviceUnavailable"]["message"]


async def test_what_a_living_pod_has_is_found_while_another_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    service = top.cloud.pod("pod1").compute.services[2]
    top.cloud.pod("pod2").faults.inject(Refuse())
    path, body = f"/os-services/{service.uuid}", {"status": "disabled", "disabled_reason": "x"}
    status, _, _ = await ask(http, top, path, "2.53", method="PUT", body=body)
    assert (status, service.disabled, service.disabled_reason) == (200, True, "x")


@pytest.mark.parametrize("action", ["disable", "enable", "disable-log-reason", "force-down"])
async def test_a_service_is_changed_in_the_pod_of_its_host(
    top: Top, http: aiohttp.ClientSession, action: str
) -> None:
    body = {"host": "pod2-compute1", "binary": "nova-compute"}
    more: dict[str, dict[str, object]] = {
        "disable-log-reason": {"disabled_reason": "x"},
        "force-down": {"forced_down": True},
    }
    path = f"/os-services/{action}"
    whole = {**body, **more.get(action, {})}
    status, _, _ = await ask(http, top, path, "2.11", method="PUT", body=whole)
    service = top.cloud.pod("pod2").compute.services[2]
    assert (status, service.disabled) == (200, action.startswith("disable"))
    assert service.forced_down == (action == "force-down")
    asked = [one for one in top.cloud.pod("pod1").requests if one.method == "PUT"]
    assert not asked


async def test_a_host_of_two_pods_is_not_changed_before_it_is_said_which(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_hosts(top, "pod1", "same")
    add_hosts(top, "pod2", "same")
    body = {"host": "same", "binary": "nova-compute"}
    status, answer, _ = await ask(http, top, "/os-services/disable", method="PUT", body=body)
    assert status == 400
    assert answer["badRequest"]["message"] == (
        "Host same refers to multiple hosts, in these pods: pod1, pod2. "
        "Name one of them as pod:same."
    )
    body["host"] = "pod2:same"
    status, answer, _ = await ask(http, top, "/os-services/disable", method="PUT", body=body)
    assert (status, answer["service"]["host"]) == (200, "same")
    disabled = {
        name: [one.host for one in pod.compute.services if one.disabled]
        for name, pod in top.cloud.pods.items()
    }
    assert disabled == {"pod1": [], "pod2": ["same"]}


async def test_hosts_of_one_name_are_shown_both_and_named_with_their_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_hosts(top, "pod1", "same")
    add_hosts(top, "pod2", "same")
    _, both, _ = await ask(http, top, "/os-services?host=same", "2.53")
    assert len(both["services"]) == 2
    _, one, _ = await ask(http, top, "/os-services?host=pod2:same", "2.53")
    assert one["services"] == both["services"][1:]
    status, _, _ = await ask(http, top, "/os-hosts/same", "2.42")
    assert status == 400
    status, body, _ = await ask(http, top, "/os-hosts/pod2:same", "2.42")
    assert (status, body["host"][0]["resource"]["host"]) == (200, "same")


async def test_servers_of_a_host_of_a_pod(top: Top, http: aiohttp.ClientSession) -> None:
    for pod in ("pod1", "pod2"):
        add_servers(top, pod)
        for server in top.cloud.pod(pod).compute.servers.values():
            server.host = "same"
    for host, count in (("same", 2), ("pod2:same", 1), ("pod1:other", 0)):
        _, body, _ = await ask(http, top, f"/servers?all_tenants=1&host={host}")
        assert len(body["servers"]) == count


async def test_a_service_is_deleted_by_number_and_by_uuid(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_hosts(top, "pod2", "one", "two")
    compute = top.cloud.pod("pod2").compute
    number = await number_of(top, http, "one")
    status, _, _ = await ask(http, top, f"/os-services/{number}", "2.52", method="DELETE")
    assert status == 204
    service_id = compute.services[-1].uuid
    status, _, _ = await ask(http, top, f"/os-services/{service_id}", "2.53", method="DELETE")
    assert status == 204
    assert [one.host for one in compute.hypervisors] == ["pod2-compute1"]
    assert len(top.cloud.pod("pod1").compute.services) == 3


async def test_a_number_of_a_pod_deletes_nothing(top: Top, http: aiohttp.ClientSession) -> None:
    for number in ("1", "3", str(2**40)):
        status, body, _ = await ask(http, top, f"/os-services/{number}", "2.52", method="DELETE")
        assert status == 404
        assert body["itemNotFound"]["message"] == f"Service {number} not found."
    assert all(len(pod.compute.services) == 3 for pod in top.cloud.pods.values())


@pytest.mark.parametrize(
    ("method", "path", "version", "body"),
    [
        ("GET", "/os-hypervisors/1", "2.52", None),
        ("GET", f"/os-hypervisors/{ABSENT}", "2.53", None),
        ("GET", "/os-hypervisors/x/search", "2.52", None),
        ("PUT", "/os-services/disable", "2.52", {"host": "pod1-compute1", "binary": "x"}),
        ("PUT", f"/os-services/{ABSENT}", "2.53", {"status": "enabled"}),
        ("DELETE", "/os-services/1", "2.52", None),
        ("DELETE", f"/os-services/{ABSENT}", "2.53", None),
        ("GET", "/os-hosts/pod1-compute1", "2.42", None),
        ("GET", "/os-hosts/pod1-compute1/reboot", "2.42", None),
        ("PUT", "/os-hosts/pod1-compute1", "2.42", {"status": "disable"}),
        ("GET", f"/os-console-auth-tokens/{ABSENT}", "2.53", None),
        ("GET", "/os-instance_usage_audit_log", "2.53", None),
    ],
)
async def test_a_member_and_a_reader_are_refused_by_the_pods_policy(
    top: Top,
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    version: str,
    body: object,
) -> None:
    for headers in (top.member(), top.headers("demo", "reader")):
        status, answer, _ = await ask(http, top, path, version, headers, method, body)
        assert status == 403
        assert answer["forbidden"]["message"].startswith("Policy doesn't allow os_compute_api:")
