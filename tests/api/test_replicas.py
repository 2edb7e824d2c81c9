"""What is made, changed and deleted at the top is so in every pod when the top has answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.places import Json, Person, Place
from tests.api.world import PUBLIC_KEY

NAME = "api-replica"
PODS = (1, 2)
DESCRIBED = {"OpenStack-API-Version": "compute 2.61"}


@pytest.fixture
def admin(place: Place) -> Person:
    """Return the administrator."""
    return place.people["admin"]


@pytest.fixture
def flavors(place: Place, admin: Person) -> Iterator[str]:
    """Return where flavors are at the top; the one of these tests is deleted at the end."""
    url = f"{place.top('compute')}/v2.1/flavors"
    yield url
    admin.ask("DELETE", f"{url}/{NAME}")


@pytest.fixture
def keys(place: Place) -> Iterator[str]:
    """Return where key pairs are at the top; the one of these tests is deleted at the end."""
    url = f"{place.top('compute')}/v2.1/os-keypairs"
    yield url
    place.member.ask("DELETE", f"{url}/{NAME}")


@pytest.fixture
def types(place: Place, admin: Person) -> Iterator[str]:
    """Return where volume types are at the top; those of these tests are deleted at the end."""
    url = f"{place.top('volumev3')}/v3/{admin.project_id}/types"
    yield url
    for one in admin.call("GET", f"{url}?is_public=None")["volume_types"]:
        if one["name"].startswith(NAME):
            admin.ask("DELETE", f"{url}/{one['id']}")


def in_pods(place: Place, person: Person, service: str, path: str) -> list[tuple[int, Json]]:
    """Return what each pod itself answers."""
    version = "v2.1" if service == "compute" else f"v3/{person.project_id}"
    headers = DESCRIBED if service == "compute" else {}
    return [
        person.ask("GET", f"{place.pod(service, number)}/{version}{path}", headers=headers)
        for number in PODS
    ]


def test_a_flavor(place: Place, admin: Person, flavors: str) -> None:
    body: Json = {"id": NAME, "name": NAME, "ram": 64, "vcpus": 1, "disk": 1, "description": "x"}
    body["os-flavor-access:is_public"] = False
    admin.call("POST", flavors, {"flavor": body}, DESCRIBED)
    admin.call("POST", f"{flavors}/{NAME}/os-extra_specs", {"extra_specs": {"a:b": "1", "c": "2"}})
    admin.call("DELETE", f"{flavors}/{NAME}/os-extra_specs/c")
    access = {"addTenantAccess": {"tenant": place.member.project_id}}
    admin.call("POST", f"{flavors}/{NAME}/action", access)
    for status, answer in in_pods(place, place.member, "compute", f"/flavors/{NAME}"):
        assert status == 200, answer
        assert answer["flavor"]["description"] == "x"
        assert answer["flavor"]["extra_specs"] == {"a:b": "1"}
    admin.call("DELETE", f"{flavors}/{NAME}")
    found = in_pods(place, admin, "compute", f"/flavors/{NAME}")
    assert [status for status, _ in found] == [404, 404]


def test_a_key_pair(place: Place, keys: str) -> None:
    person = place.member
    person.call("POST", keys, {"keypair": {"name": NAME, "public_key": PUBLIC_KEY}})
    for status, answer in in_pods(place, person, "compute", f"/os-keypairs/{NAME}"):
        assert status == 200, answer
        assert answer["keypair"]["public_key"] == PUBLIC_KEY
        assert answer["keypair"]["user_id"] == person.user_id
    person.call("DELETE", f"{keys}/{NAME}")
    found = in_pods(place, person, "compute", f"/os-keypairs/{NAME}")
    assert [status for status, _ in found] == [404, 404]


def test_a_key_pair_that_nova_makes(place: Place, keys: str) -> None:
    person = place.member
    made = person.call("POST", keys, {"keypair": {"name": NAME}})["keypair"]
    assert made["private_key"]
    found = in_pods(place, person, "compute", f"/os-keypairs/{NAME}")
    assert {answer["keypair"]["fingerprint"] for _, answer in found} == {made["fingerprint"]}


def test_a_volume_type(place: Place, admin: Person, types: str) -> None:
    document: Json = {"name": NAME, "description": "x", "extra_specs": {"a": "1"}}
    document["os-volume-type-access:is_public"] = False
    made = admin.call("POST", types, {"volume_type": document})["volume_type"]["id"]
    admin.call("PUT", f"{types}/{made}", {"volume_type": {"name": f"{NAME}-2"}})
    admin.call("POST", f"{types}/{made}/extra_specs", {"extra_specs": {"b": "2"}})
    admin.call("DELETE", f"{types}/{made}/extra_specs/a")
    access = {"addProjectAccess": {"project": place.member.project_id}}
    admin.call("POST", f"{types}/{made}/action", access)
    for one in list_types(place, admin):
        assert one["name"] == f"{NAME}-2"
        assert (one["description"], one["extra_specs"]) == ("x", {"b": "2"})
    for _, answer in in_pods(place, place.member, "volumev3", "/types"):
        assert f"{NAME}-2" in [one["name"] for one in answer["volume_types"]]
    admin.call("DELETE", f"{types}/{made}")
    assert list_types(place, admin) == []


def list_types(place: Place, admin: Person) -> list[Any]:
    """Return the type of these tests as each pod has it."""
    return [
        one
        for _, answer in in_pods(place, admin, "volumev3", "/types?is_public=None")
        for one in answer["volume_types"]
        if one["name"].startswith(NAME)
    ]


@pytest.fixture
def cinder(place: Place, admin: Person, types: str) -> Iterator[str]:
    """Return where Cinder is at the top; what these tests make there is deleted at the end."""
    url = types.removesuffix("/types")
    yield url
    admin.ask("DELETE", f"{url}/default-types/{place.people['other'].project_id}", headers=NEWEST)
    for path, name in (("qos-specs", "qos_specs"), ("group_types", "group_types")):
        for one in admin.call("GET", f"{url}/{path}", headers=NEWEST)[name]:
            if one["name"].startswith(NAME):
                admin.ask("DELETE", f"{url}/{path}/{one['id']}?force=true", headers=NEWEST)


NEWEST = {"OpenStack-API-Version": "volume 3.70"}


def newest_in_pods(place: Place, person: Person, path: str) -> list[Json]:
    """Return what the Cinder of each pod itself answers."""
    return [
        person.call(
            "GET", f"{place.pod('volumev3', number)}/v3/{person.project_id}{path}", headers=NEWEST
        )
        for number in PODS
    ]


def test_a_type_with_all_that_belongs_to_it(place: Place, admin: Person, cinder: str) -> None:
    other = place.people["other"].project_id
    kind = admin.call("POST", f"{cinder}/types", {"volume_type": {"name": NAME}})["volume_type"]
    made = admin.call("POST", f"{cinder}/qos-specs", {"qos_specs": {"name": NAME, "a": "1"}})
    specs = made["qos_specs"]
    encryption = {"provider": "luks", "control_location": "front-end", "key_size": 256}
    path = f"{cinder}/types/{kind['id']}/encryption"
    encrypted = admin.call("POST", path, {"encryption": encryption})["encryption"]
    path = f"{cinder}/qos-specs/{specs['id']}/associate?vol_type_id={kind['id']}"
    admin.call("GET", path)
    body = {"default_type": {"volume_type": kind["id"]}}
    admin.call("PUT", f"{cinder}/default-types/{other}", body, NEWEST)
    types_of_pods = list_types(place, admin)
    lists = newest_in_pods(place, admin, "/qos-specs")
    for one, listed in zip(types_of_pods, lists, strict=True):
        (found,) = [each for each in listed["qos_specs"] if each["name"] == NAME]
        assert (found["id"], found["specs"]) == (one["qos_specs_id"], {"a": "1"})
    for number, one in zip(PODS, types_of_pods, strict=True):
        root = f"{place.pod('volumev3', number)}/v3/{admin.project_id}"
        shown = admin.call("GET", f"{root}/types/{one['id']}/encryption")
        assert shown["encryption_id"] == encrypted["encryption_id"]
    # to set a default asks Keystone, which may take a pod longer than the top waits for it
    wait_until(
        lambda: (
            [
                [
                    row["volume_type_id"]
                    for row in one["default_types"]
                    if row["project_id"] == other
                ]
                for one in newest_in_pods(place, admin, "/default-types")
            ]
            == [[one["id"]] for one in types_of_pods]
        )
    )


def test_a_group_type(place: Place, admin: Person, cinder: str) -> None:
    body = {"group_type": {"name": NAME, "group_specs": {"a": "1"}}}
    made = admin.call("POST", f"{cinder}/group_types", body, NEWEST)["group_type"]["id"]
    path = f"{cinder}/group_types/{made}"
    admin.call("POST", f"{path}/group_specs", {"group_specs": {"b": "2"}}, NEWEST)
    admin.call("PUT", path, {"group_type": {"description": "x"}}, NEWEST)
    for listed in newest_in_pods(place, admin, "/group_types"):
        (one,) = [each for each in listed["group_types"] if each["name"] == NAME]
        assert (one["description"], one["group_specs"]) == ("x", {"a": "1", "b": "2"})
    admin.call("DELETE", path, headers=NEWEST)
    for listed in newest_in_pods(place, admin, "/group_types"):
        assert NAME not in [one["name"] for one in listed["group_types"]]


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return when something has become true; fail the test when it does not in time."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not become so in time"
        time.sleep(0.5)
