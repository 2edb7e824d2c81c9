"""The simulated Nova: words and statuses are those of nova 34.0.0."""

from typing import Any

import pytest

from tests.testing.cloud.conftest import Client, Clients
from tricircle.testing.cloud import SetClock, SimulatedCloud

ABSENT = "11111111-2222-3333-4444-555555555555"


def body(cloud: SimulatedCloud, **more: Any) -> dict[str, Any]:
    image = next(iter(cloud.images.items))
    return {"server": {"name": "vm", "flavorRef": "1", "imageRef": image, **more}}


async def boot(cloud: SimulatedCloud, nova: Client, **more: Any) -> str:
    answer = await nova.post("/servers", body(cloud, **more))
    assert answer.status == 202, answer.body
    server_id: str = answer.json["server"]["id"]
    return server_id


MESSAGES = [
    ({"server": {"flavorRef": "1", "name": ""}},
     "Invalid input for field/attribute name. Value: . '' should be non-empty"),
    ({"server": {"flavorRef": "1"}},
     "Invalid input for field/attribute server. Value: {'flavorRef': '1'}. "
     "'name' is a required property"),
    ({"server": {"flavorRef": "1", "name": "a", "foo": 1}},
     "Invalid input for field/attribute server. Value: {'flavorRef': '1', 'name': 'a', "
     "'foo': 1}. Additional properties are not allowed ('foo' was unexpected)"),
    ({"server": {"flavorRef": "1", "name": "a"}}, "Missing imageRef attribute"),
    ({}, "'server' is a required property"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), MESSAGES)
async def test_a_wrong_body_is_refused_in_novas_words(
    clients: Clients, given: Any, message: str
) -> None:
    answer = await clients.compute().post("/servers", given)
    assert answer.status == 400
    assert answer.json == {"badRequest": {"code": 400, "message": message}}


REFUSALS = [
    ({"availability_zone": "nope"}, 400, "The requested availability zone is not available"),
    ({"flavorRef": "nope"}, 400, "Flavor nope could not be found."),
    ({"imageRef": ABSENT}, 400, "Can not find requested image"),
    ({"networks": [{"port": ABSENT}]}, 400, f"Port id {ABSENT} could not be found."),
    ({"networks": [{"uuid": ABSENT}]}, 400, f"Network {ABSENT} could not be found."),
    ({"key_name": "nope"}, 400, "Invalid key_name provided."),
    ({"min_count": 2, "max_count": 1}, 400, "min_count must be <= max_count"),
    (
        {"max_count": 2, "networks": [{"port": ABSENT}]},
        400,
        "Failed to launch instances: Unable to launch multiple instances with a single "
        "configured port ID. Please launch your instance one by one with different ports.",
    ),
]


@pytest.mark.parametrize(("more", "status", "message"), REFUSALS)
async def test_a_boot_that_cannot_be_is_refused(
    cloud: SimulatedCloud, clients: Clients, more: Any, status: int, message: str
) -> None:
    answer = await clients.compute().post("/servers", body(cloud, **more))
    assert answer.status == status
    assert next(iter(answer.json.values()))["message"] == message


async def test_the_shape_of_a_server_follows_the_microversion(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova = clients.compute()
    server_id = await boot(cloud, nova)
    expected = {
        "2.1": None, "2.9": "locked", "2.19": "description", "2.26": "tags",
        "2.63": "trusted_image_certificates", "2.71": "server_groups", "2.73": "locked_reason",
        "2.90": "OS-EXT-SRV-ATTR:hostname", "2.96": "pinned_availability_zone",
        "2.100": "scheduler_hints",
    }  # fmt: skip
    known: set[str] = set()
    for version, added in expected.items():
        answer = await nova.get(f"/servers/{server_id}", OpenStack_API_Version=f"compute {version}")
        keys = set(answer.json["server"])
        assert keys - known - {added} == (keys if added is None else set())
        assert answer.headers["OpenStack-API-Version"] == f"compute {version}"
        known = keys


async def test_the_flavor_is_embedded_from_2_47_on(cloud: SimulatedCloud, clients: Clients) -> None:
    nova = clients.compute()
    path = f"/servers/{await boot(cloud, nova)}"
    before = (await nova.get(path, OpenStack_API_Version="compute 2.46")).json["server"]
    after = (await nova.get(path, OpenStack_API_Version="compute 2.47")).json["server"]
    assert before["flavor"]["id"] == "1"
    assert after["flavor"] == {
        "vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0,
        "original_name": "m1.tiny", "extra_specs": {},
    }  # fmt: skip


async def test_a_microversion_beyond_the_pods_is_406(clients: Clients) -> None:
    nova = clients.compute(pod="pod2")
    answer = await nova.get("/servers", OpenStack_API_Version="compute 2.104")
    assert answer.status == 406
    assert answer.json["computeFault"]["message"] == (
        "Version 2.104 is not supported by the API. Minimum is 2.1 and maximum is 2.100."
    )


async def test_building_and_deleting_take_time_of_the_clock(
    cloud: SimulatedCloud, clients: Clients, clock: SetClock
) -> None:
    nova = clients.compute()
    delays = cloud.pod("pod1").compute.delays
    delays.build_s, delays.delete_s = 5, 3
    path = f"/servers/{await boot(cloud, nova)}"
    assert (await nova.get(path)).json["server"]["status"] == "BUILD"
    clock.advance(5)
    assert (await nova.get(path)).json["server"]["status"] == "ACTIVE"
    assert (await nova.delete(path)).status == 204
    assert (await nova.get(path)).json["server"]["OS-EXT-STS:task_state"] == "deleting"
    clock.advance(3)
    assert (await nova.get(path)).status == 404


async def test_a_given_port_is_bound_and_kept_but_nova_deletes_its_own(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    project_id = cloud.project_id("demo")
    network = cloud.pod("pod1").network.add_network(project_id, "private", "10.0.0.0/24")
    neutron, nova = clients.network(), clients.compute()
    given = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.9"}]}}
    port_id = (await neutron.post("/ports", given)).json["port"]["id"]
    server_id = await boot(cloud, nova, networks=[{"port": port_id}, {"uuid": network["id"]}])
    bound = (await neutron.get(f"/ports/{port_id}")).json["port"]
    assert (bound["device_id"], bound["device_owner"]) == (server_id, "compute:nova")
    busy = await nova.post("/servers", body(cloud, networks=[{"port": port_id}]))
    assert busy.status == 409
    assert busy.json["conflictingRequest"]["message"] == f"Port {port_id} is still in use."
    shown = (await nova.get(f"/servers/{server_id}")).json["server"]
    assert [found["addr"] for found in shown["addresses"]["private"]] == ["10.0.0.9", "10.0.0.2"]
    await nova.delete(f"/servers/{server_id}")
    left = (await neutron.get("/ports")).json["ports"]
    assert [(port["id"], port["device_id"]) for port in left] == [(port_id, "")]


async def test_foreign_and_absent_servers_look_alike(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    server_id = await boot(cloud, clients.compute())
    foreign = await clients.compute("eve", "other").get(f"/servers/{server_id}")
    absent = await clients.compute().get(f"/servers/{ABSENT}")
    assert (foreign.status, absent.status) == (404, 404)
    assert foreign.json["itemNotFound"]["message"] == f"Instance {server_id} could not be found."
    assert absent.json["itemNotFound"]["message"] == f"Instance {ABSENT} could not be found."


async def test_a_reader_may_look_but_not_touch(cloud: SimulatedCloud, clients: Clients) -> None:
    server_id = await boot(cloud, clients.compute())
    reader = clients.compute("reader")
    assert (await reader.get(f"/servers/{server_id}")).status == 200
    answer = await reader.post(f"/servers/{server_id}/action", {"os-stop": None})
    assert answer.status == 403
    assert answer.json["forbidden"]["message"] == (
        "Policy doesn't allow os_compute_api:servers:stop to be performed."
    )


STATES = [
    ("pause", None, "PAUSED"), ("unpause", None, "ACTIVE"), ("suspend", None, "SUSPENDED"),
    ("resume", None, "ACTIVE"), ("os-stop", None, "SHUTOFF"), ("os-start", None, "ACTIVE"),
    ("resize", {"flavorRef": "2"}, "VERIFY_RESIZE"), ("confirmResize", None, "ACTIVE"),
    ("shelve", None, "SHELVED_OFFLOADED"), ("unshelve", None, "ACTIVE"),
    ("rescue", None, "RESCUE"), ("unrescue", None, "ACTIVE"),
    ("reboot", {"type": "SOFT"}, "ACTIVE"),
]  # fmt: skip


async def test_actions_move_a_server_from_state_to_state(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova = clients.compute()
    path = f"/servers/{await boot(cloud, nova)}"
    for action, given, status in STATES:
        assert (await nova.post(f"{path}/action", {action: given})).status in (200, 202, 204)
        assert (await nova.get(path)).json["server"]["status"] == status


async def test_an_action_in_the_wrong_state_is_409(cloud: SimulatedCloud, clients: Clients) -> None:
    nova = clients.compute()
    server_id = await boot(cloud, nova)
    answer = await nova.post(f"/servers/{server_id}/action", {"os-start": None})
    assert answer.status == 409
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'start' instance {server_id} while it is in vm_state active"
    )


async def test_an_unknown_action_is_400(clients: Clients) -> None:
    answer = await clients.compute().post(f"/servers/{ABSENT}/action", {"dance": None})
    assert answer.status == 400
    assert answer.json["badRequest"]["message"] == "There is no such action: dance"


async def test_links_follow_the_project_in_the_url(cloud: SimulatedCloud, clients: Clients) -> None:
    nova, project_id = clients.compute(), cloud.project_id("demo")
    await boot(cloud, nova)
    plain = (await nova.get("/servers")).json["servers"][0]
    dated = (await nova.get(f"/{project_id}/servers")).json["servers"][0]
    assert plain["links"][0]["href"] == f"{nova.root}/servers/{plain['id']}"
    assert dated["links"][0]["href"] == f"{nova.root}/{project_id}/servers/{plain['id']}"
    other = await nova.get(f"/{ABSENT}/servers")
    assert other.status == 400
    assert "doesn't match Context's project_id" in other.json["badRequest"]["message"]


async def test_attaching_answers_without_a_body_from_2_101_on(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova = clients.compute()
    server_id = await boot(cloud, nova)
    volume = cloud.pod("pod1").volume.add_volumes(1, cloud.project_id("demo"))[0]
    answer = await nova.post(
        f"/servers/{server_id}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": volume.id}},
        OpenStack_API_Version="compute 2.101",
    )
    assert (answer.status, answer.body) == (202, b"")
    assert volume.status == "in-use"
