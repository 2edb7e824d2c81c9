"""All that a member asks of a server, in a pod of each release, through the top alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import WAIT_S, Site
from tricircle.core.model import Version

pytestmark = pytest.mark.lab

Json = dict[str, Any]
PODS = {"az1": "pod1", "az2": "pod2"}
COMMON_HIGHEST = Version(2, 100)
ZONES = ("OS-EXT-AZ:availability_zone", "pinned_availability_zone")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcOkrnQJu/jeijbQPCYPLdSeiNFbN9BFYMKQSB6a3Zr someone"


@pytest.fixture(params=sorted(PODS))
def zone(request: pytest.FixtureRequest) -> str:
    """A zone: each is a pod of another release."""
    return str(request.param)


@pytest.fixture(scope="module", params=sorted(PODS))
def stage(
    request: pytest.FixtureRequest, shared_member: Site, connect: Callable[[str], Any]
) -> tuple[Site, str, Any]:
    """A site, a zone and a server there, for what leaves the server as it was."""
    zone = str(request.param)
    network = networks_of(shared_member)
    return shared_member, zone, shared_member.server(zone, network)


def networks_of(site: Site) -> Any:
    """Return the network of a site, which is made once."""
    found = site.cloud.network.find_network(site.mark)
    return found or site.network()


def ask(
    cloud: Any, path: str, version: Version | str, method: str = "GET", body: Any = None
) -> Any:
    """Return the answer of a Nova to a request of a microversion."""
    return cloud.compute.request(
        path, method, json=body, microversion=str(version), raise_exc=False
    )


def as_at_the_top(server: Json, pod: Any, top: Any) -> Json:
    """Return what a pod shows with the URLs of the top, and without what each names by itself."""
    roots = [cloud.compute.get_endpoint().split("/v2.1")[0] for cloud in (pod, top)]
    shown: Json = json.loads(json.dumps(server).replace(*roots))
    return without_zones(shown)


def without_zones(server: Json) -> Json:
    """Return a server without its zone, which has another name in the pod."""
    return {key: value for key, value in server.items() if key not in ZONES}


def test_every_microversion_shows_what_the_pod_shows(
    stage: tuple[Site, str, Any], connect: Callable[[str], Any]
) -> None:
    site, zone, server = stage
    straight = connect(f"{PODS[zone]}-demo")
    for minor in range(1, COMMON_HIGHEST.minor + 1):
        version = Version(2, minor)
        path = f"/servers/{server.id}"
        through, asked = ask(site.cloud, path, version), ask(straight, path, version)
        assert (through.status_code, asked.status_code) == (200, 200), version
        for header in ("OpenStack-API-Version", "X-OpenStack-Nova-API-Version"):
            assert through.headers.get(header) == asked.headers.get(header), version
        shown, expected = through.json()["server"], asked.json()["server"]
        assert list(shown) == list(expected), version
        assert without_zones(shown) == as_at_the_top(expected, straight, site.cloud), version
        assert shown["OS-EXT-AZ:availability_zone"] == zone


def test_a_microversion_beyond_that_of_all_pods_is_refused_and_latest_is_the_highest(
    stage: tuple[Site, str, Any],
) -> None:
    site, _, server = stage
    beyond = ask(site.cloud, f"/servers/{server.id}", "2.101")
    assert beyond.status_code == 406
    assert "2.101" in beyond.text
    assert "2.100" in beyond.text
    latest = ask(site.cloud, f"/servers/{server.id}", "latest")
    assert latest.headers["OpenStack-API-Version"] == f"compute {COMMON_HIGHEST}"


def full_body(site: Site, zone: str, network: Any, snapshot: Any, group: Any) -> Json:
    """Return a creation with all that a member can ask for at the common highest microversion."""
    compute = site.cloud.compute
    port = site.cloud.network.create_port(network_id=network.id, name=site.mark)
    image = site.image()
    return {
        "server": {
            "name": site.mark,
            "description": 'a "strange" \u00fcber-server',
            "hostname": f"host-{site.mark}",
            "flavorRef": compute.find_flavor("m1.tiny", ignore_missing=False).id,
            "imageRef": image.id,
            "availability_zone": zone,
            "key_name": site.mark,
            "user_data": base64.b64encode(b"#!/bin/sh\n").decode(),
            "metadata": {"a": "1", "b": "\u00df"},
            "tags": ["one", "two"],
            "config_drive": True,
            "adminPass": "Secret-of-1",
            "OS-DCF:diskConfig": "MANUAL",
            "accessIPv4": "192.0.2.7",
            "accessIPv6": "2001:db8::7",
            "security_groups": [{"name": site.mark}],
            "networks": [{"port": port.id, "tag": "nic0"}, {"uuid": network.id, "tag": "nic1"}],
            "block_device_mapping_v2": [
                {
                    "uuid": image.id,
                    "source_type": "image",
                    "destination_type": "local",
                    "boot_index": 0,
                    "delete_on_termination": True,
                },
                {
                    "uuid": snapshot.id,
                    "source_type": "snapshot",
                    "destination_type": "volume",
                    "boot_index": -1,
                    "delete_on_termination": True,
                    "tag": "data",
                },
                {
                    "source_type": "blank",
                    "destination_type": "volume",
                    "volume_size": 1,
                    "boot_index": -1,
                    "delete_on_termination": True,
                },
            ],
        },
        "os:scheduler_hints": {"group": group.id},
    }


def test_all_that_a_creation_names_reaches_the_pod(
    member: Site, zone: str, connect: Callable[[str], Any]
) -> None:
    cloud, undo = member.cloud, member.undo
    network = member.network()
    cloud.compute.create_keypair(name=member.mark, public_key=KEY)
    undo.callback(cloud.compute.delete_keypair, member.mark)
    secure = cloud.network.create_security_group(name=member.mark)
    undo.callback(cloud.network.delete_security_group, secure)
    volume = member.volume(zone)
    snapshot = cloud.block_storage.create_snapshot(volume_id=volume.id, name=member.mark)
    undo.callback(cloud.block_storage.wait_for_delete, snapshot, wait=WAIT_S)
    undo.callback(cloud.block_storage.delete_snapshot, snapshot)
    cloud.block_storage.wait_for_status(snapshot, "available", wait=WAIT_S)
    group = cloud.compute.create_server_group(name=member.mark, policy="affinity")
    undo.callback(cloud.compute.delete_server_group, group)

    body = full_body(member, zone, network, snapshot, group)
    port_id = body["server"]["networks"][0]["port"]
    undo.callback(cloud.network.delete_port, port_id)
    answer = ask(cloud, "/servers", COMMON_HIGHEST, "POST", body)
    assert answer.status_code == 202, answer.text
    created = answer.json()["server"]
    undo.callback(member._remove_server, created["id"])
    assert created["adminPass"] == "Secret-of-1"
    server = cloud.compute.wait_for_server(cloud.compute.get_server(created["id"]), wait=WAIT_S)

    path = f"/servers/{server.id}"
    shown = ask(cloud, path, COMMON_HIGHEST).json()["server"]
    asked = body["server"]
    same = ("name", "description", "key_name", "metadata", "tags", "accessIPv4", "accessIPv6")
    assert {key: shown[key] for key in same} == {key: asked[key] for key in same}
    assert shown["OS-DCF:diskConfig"] == "MANUAL"
    assert shown["config_drive"] == "True"
    # the port that the user made has the default group
    groups = sorted(one["name"] for one in shown["security_groups"])
    assert groups == sorted(["default", member.mark])
    assert shown["server_groups"] == [group.id]
    assert len(shown["os-extended-volumes:volumes_attached"]) == 2
    assert all(
        one["delete_on_termination"] for one in shown["os-extended-volumes:volumes_attached"]
    )

    admin = connect(f"{PODS[zone]}-admin")
    inside = ask(admin, path, COMMON_HIGHEST).json()["server"]
    assert inside["OS-EXT-SRV-ATTR:user_data"] == asked["user_data"]
    assert inside["OS-EXT-SRV-ATTR:hostname"] == asked["hostname"]
    interfaces = ask(cloud, f"{path}/os-interface", COMMON_HIGHEST).json()["interfaceAttachments"]
    assert port_id in {one["port_id"] for one in interfaces}
    assert {one["tag"] for one in interfaces} == {"nic0", "nic1"}
    attached = ask(cloud, f"{path}/os-volume_attachments", COMMON_HIGHEST).json()
    assert {one["tag"] for one in attached["volumeAttachments"]} == {"data", None}
    assert json.dumps(attached).count(server.id) == 2


def test_a_server_is_shelved_rescued_rebuilt_and_resized(member: Site, zone: str) -> None:
    compute = member.cloud.compute
    server = member.server(zone, member.network())

    compute.shelve_server(server)
    server = compute.wait_for_server(server, status="SHELVED_OFFLOADED", wait=WAIT_S)
    assert server.availability_zone in (zone, "")
    compute.unshelve_server(server)
    server = compute.wait_for_server(server, wait=WAIT_S)
    assert server.availability_zone == zone

    compute.rescue_server(server, admin_pass="Secret-of-2")
    server = compute.wait_for_server(server, status="RESCUE", wait=WAIT_S)
    compute.unrescue_server(server)
    server = compute.wait_for_server(server, wait=WAIT_S)

    other = member.image()
    compute.rebuild_server(server, image=other.id, name=f"{member.mark}-rebuilt")
    server = compute.wait_for_server(server, wait=WAIT_S)
    assert server.name == f"{member.mark}-rebuilt"

    small = compute.find_flavor("m1.small", ignore_missing=False)
    for finish, flavor in (
        (compute.revert_server_resize, "m1.tiny"),
        (compute.confirm_server_resize, "m1.small"),
    ):
        compute.resize_server(server, small.id)
        server = compute.wait_for_server(server, status="VERIFY_RESIZE", wait=WAIT_S)
        finish(server)
        server = compute.wait_for_server(server, wait=WAIT_S)
        assert server.flavor.original_name == flavor


def test_an_image_made_of_a_server_boots_in_the_other_zone(
    member: Site, zone: str, connect: Callable[[str], Any]
) -> None:
    [other] = set(PODS) - {zone}
    network = member.network()
    server = member.server(zone, network)
    image = member.cloud.compute.create_server_image(server, name=member.mark, wait=True)
    member.undo.callback(member.cloud.image.delete_image, image.id)
    assert member.cloud.image.get_image(image.id).status == "active"
    copy = member.server(other, network, image_id=image.id)
    assert copy.availability_zone == other
    assert copy.image.id == image.id
