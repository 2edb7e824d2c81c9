"""A pod dies: its servers are shown as unknown, the other pod's work goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.conftest import WAIT_S, Site, lab_command

pytestmark = pytest.mark.lab

KNOWN_DEAD_S = 10.0
"""By then every gateway's probe has noticed (deadline 2 s, interval 5 s)."""


@pytest.fixture(scope="module")
def stopped(shared_member: Site) -> Iterator[dict[str, Any]]:
    """Servers and volumes in both pods, the second of which is stopped then."""
    network = shared_member.network("10.80.0.0/24")
    made = {
        "network": network,
        "alive": shared_member.server("az1", network),
        "lost": shared_member.server("az2", network),
        "volume": shared_member.volume("az1"),
    }
    lab_command("stop-pod", "pod2")
    time.sleep(KNOWN_DEAD_S)
    try:
        yield made
    finally:
        lab_command("start-pod", "pod2")
        wait_until_back(shared_member, made["lost"].id)


def wait_until_back(site: Site, server_id: str) -> None:
    """Wait until a server's pod answers again."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if site.cloud.compute.get(f"/servers/{server_id}", microversion="2.1").status_code == 200:
            return
        time.sleep(1)
    raise AssertionError("pod2 did not come back")


def test_its_servers_are_listed_as_unknown(
    stopped: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    compute = connect("top-demo").compute
    answer = compute.get("/servers/detail", microversion="2.69")
    statuses = {one["id"]: one["status"] for one in answer.json()["servers"]}
    assert statuses[stopped["alive"].id] == "ACTIVE"
    assert statuses[stopped["lost"].id] == "UNKNOWN"
    assert answer.headers["X-Tricircle-Missing-Pods"] == "pod2"
    shown = compute.get(f"/servers/{stopped['lost'].id}", microversion="2.69")
    assert shown.json()["server"]["status"] == "UNKNOWN"


def test_older_clients_get_a_shorter_list_that_says_so(
    stopped: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    answer = connect("top-demo").compute.get("/servers/detail", microversion="2.60")
    listed = {one["id"] for one in answer.json()["servers"]}
    assert stopped["alive"].id in listed
    assert stopped["lost"].id not in listed
    assert answer.headers["X-Tricircle-Missing-Pods"] == "pod2"


def test_its_servers_are_not_forgotten_and_not_found_absent(
    stopped: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    answer = connect("top-demo").compute.get(f"/servers/{stopped['lost'].id}", microversion="2.60")
    assert answer.status_code == 503


def test_lists_and_requests_for_others_do_not_wait(
    stopped: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    cloud = connect("top-demo")
    direct = connect("pod1-demo")
    path = f"/servers/{stopped['alive'].id}"
    cloud.compute.get(path), direct.compute.get(path)
    started = time.monotonic()
    assert direct.compute.get("/servers/detail").status_code == 200
    straight_s = time.monotonic() - started
    started = time.monotonic()
    assert cloud.compute.get("/servers/detail").status_code == 200
    assert time.monotonic() - started < straight_s + 1.0


def test_the_other_pod_takes_new_servers_and_volumes(stopped: dict[str, Any], member: Site) -> None:
    server = member.server("az1", stopped["network"])
    assert server.status == "ACTIVE"
    assert member.volume("az1").availability_zone == "az1"


def test_its_zone_is_not_available(stopped: dict[str, Any], connect: Callable[[str], Any]) -> None:
    zones = {
        zone.name: zone.state["available"]
        for zone in connect("top-demo").compute.availability_zones()
    }
    assert zones == {"az1": True, "az2": False}


def test_a_creation_in_its_zone_is_refused_and_leaves_nothing(
    stopped: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    cloud = connect("top-demo")
    network = stopped["network"]
    before = {port.id for port in cloud.network.ports(network_id=network.id)}
    answer = cloud.compute.post(
        "/servers",
        json={
            "server": {
                "name": "nowhere",
                "flavorRef": cloud.compute.find_flavor("m1.tiny").id,
                "imageRef": cloud.image.find_image("tiny-image").id,
                "availability_zone": "az2",
                "networks": [{"uuid": network.id}],
            }
        },
    )
    assert answer.status_code == 503
    assert "pod2" in answer.text
    after = {port.id for port in cloud.network.ports(network_id=network.id)}
    assert after - before == set()
