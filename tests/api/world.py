"""What the cases find when they begin, and its names as ``$ENVIRON`` values.

All of it is made through the top, as a user makes it, and deleted at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.api.places import Json, Person, Place

LATEST = {"OpenStack-API-Version": "compute latest"}
ABSENT = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
DEADLINE_S = 90.0
KEY = "api-key"
TYPE = "api-type"
_IN_USE = 409
_LEFT = {"networks": "networks", "security-groups": "security_groups"}


class World:
    """Makes what the cases stand on, and knows how to take it away again."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._made: list[tuple[Person, str]] = []
        self._compute = f"{place.top('compute')}/v2.1"
        self._volume = f"{place.top('volumev3')}/v3"
        self._network = f"{place.top('network')}/v2.0"

    def make(self) -> dict[str, str]:
        """Return the values that cases may name."""
        member, other = self._place.people["member"], self._place.people["other"]
        self._make_for_all_pods()
        networks = {
            "NETWORK": self._make_network(member, "api-net", "10.90.1"),
            "SECOND_NETWORK": self._make_network(member, "api-second", "10.90.2"),
            "OTHER_NETWORK": self._make_network(other, "api-other", "10.90.3"),
        }
        facts = {**self._facts(), **networks}
        network = facts["NETWORK"]
        wanted = {
            "SERVER_IN_EAST": (member, "api-east", facts["ZONE_EAST"], network),
            "SERVER_IN_WEST": (member, "api-west", facts["ZONE_WEST"], network),
            "OTHER_SERVER": (other, "api-other", facts["ZONE_WEST"], facts["OTHER_NETWORK"]),
        }
        servers = {key: self._boot(facts, *wish) for key, wish in wanted.items()}
        volumes = {
            "VOLUME_IN_EAST": self._make_volume(member, "api-east", facts["ZONE_EAST"]),
            "VOLUME_IN_WEST": self._make_volume(member, "api-west", facts["ZONE_WEST"]),
            "OTHER_VOLUME": self._make_volume(other, "api-other", facts["ZONE_WEST"]),
        }
        self._wait_for_all(wanted, servers)
        snapshots = {
            "SNAPSHOT_IN_EAST": self._make_snapshot(member, volumes["VOLUME_IN_EAST"], "api-east"),
            "SNAPSHOT_IN_WEST": self._make_snapshot(member, volumes["VOLUME_IN_WEST"], "api-west"),
            "OTHER_SNAPSHOT": self._make_snapshot(other, volumes["OTHER_VOLUME"], "api-other"),
        }
        return {**facts, **servers, **volumes, **snapshots}

    def delete(self) -> None:
        """Delete what was made and what cases left behind, the newest first."""
        for name in ("member", "other"):
            self._delete_all_of(self._place.people[name])
        for person, url in reversed(self._made):
            _delete(person, url)
        for region in (self._place.region, *self._place.pods):
            self._delete_networks(region)

    def _facts(self) -> dict[str, str]:
        place = self._place
        people = place.people
        version = people["member"].call("GET", f"{self._compute}/")["version"]["version"]
        volume_version = people["member"].call("GET", f"{self._volume}/")["versions"][0]["version"]
        flavors = people["member"].call("GET", f"{self._compute}/flavors")["flavors"]
        images = people["member"].call("GET", f"{place.top('image')}/v2/images")
        types = people["member"].call("GET", f"{self._volume}/{people['member'].project_id}/types")
        return {
            "COMPUTE": place.top("compute"),
            "VOLUME": place.top("volumev3"),
            "NETWORK_URL": place.top("network"),
            "IMAGE_URL": place.top("image"),
            **{f"TOKEN_{name.upper()}": person.token for name, person in people.items()},
            "PROJECT": people["member"].project_id,
            "OTHER_PROJECT": people["other"].project_id,
            "ADMIN_PROJECT": people["admin"].project_id,
            "USER": people["member"].user_id,
            "MAX_COMPUTE": version,
            "MAX_VOLUME": volume_version,
            "FLAVOR": flavors[0]["id"],
            "SECOND_FLAVOR": flavors[1]["id"],
            "FLAVOR_NAME": flavors[0]["name"],
            "IMAGE": images["images"][0]["id"],
            "TYPE": next(one["id"] for one in types["volume_types"] if one["name"] == TYPE),
            "KEY": KEY,
            "ABSENT": ABSENT,
            "POD_EAST": place.pods[0],
            "POD_WEST": place.pods[1],
            "ZONE_EAST": "az1",
            "ZONE_WEST": "az2",
        }

    def _make_for_all_pods(self) -> None:
        """Make what all pods hold alike."""
        member, admin = self._place.people["member"], self._place.people["admin"]
        keys = f"{self._compute}/os-keypairs"
        member.call("POST", keys, {"keypair": {"name": KEY, "public_key": PUBLIC_KEY}})
        self._made.append((member, f"{keys}/{KEY}"))
        types = f"{self._volume}/{admin.project_id}/types"
        # with a scope of its own, which no Cinder takes for something a backend must have
        document = {"name": TYPE, "extra_specs": {"api:spec": "told"}}
        made = admin.call("POST", types, {"volume_type": document})["volume_type"]["id"]
        self._made.append((admin, f"{types}/{made}"))

    def _make_network(self, person: Person, name: str, prefix: str) -> str:
        network = {"name": name}
        made = person.call("POST", f"{self._network}/networks", {"network": network})
        network_id = str(made["network"]["id"])
        self._made.append((person, f"{self._network}/networks/{network_id}"))
        subnet = {
            "network_id": network_id,
            "ip_version": 4,
            "cidr": f"{prefix}.0/24",
            "name": name,
            # what is below is for cases that name an address: nobody is given one by chance
            "allocation_pools": [{"start": f"{prefix}.100", "end": f"{prefix}.250"}],
        }
        person.call("POST", f"{self._network}/subnets", {"subnet": subnet})
        return network_id

    def _boot(self, facts: Json, person: Person, name: str, zone: str, network: str) -> str:
        server = {
            "name": name,
            "flavorRef": facts["FLAVOR"],
            "imageRef": facts["IMAGE"],
            "availability_zone": zone,
            "networks": [{"uuid": network}],
        }
        made = person.call("POST", f"{self._compute}/servers", {"server": server}, LATEST)
        return str(made["server"]["id"])

    def _wait_for_all(self, wanted: Json, servers: dict[str, str]) -> None:
        for key, (person, *_) in wanted.items():
            url = f"{self._compute}/servers/{servers[key]}"
            _wait(person, url, "server", "ACTIVE")

    def _make_volume(self, person: Person, name: str, zone: str) -> str:
        volumes = f"{self._volume}/{person.project_id}/volumes"
        volume = {"name": name, "size": 1, "availability_zone": zone}
        made = str(person.call("POST", volumes, {"volume": volume})["volume"]["id"])
        _wait(person, f"{volumes}/{made}", "volume", "available")
        return made

    def _make_snapshot(self, person: Person, volume_id: str, name: str) -> str:
        snapshots = f"{self._volume}/{person.project_id}/snapshots"
        snapshot = {"name": name, "volume_id": volume_id}
        made = str(person.call("POST", snapshots, {"snapshot": snapshot})["snapshot"]["id"])
        _wait(person, f"{snapshots}/{made}", "snapshot", "available")
        return made

    def _delete_networks(self, region: str) -> None:
        """Delete twins of networks, which stay in pods for now, and all default groups."""
        admin = self._place.people["admin"]
        root = f"{admin.url('network', region)}/v2.0"
        for name in ("member", "other"):
            project = f"project_id={self._place.people[name].project_id}"
            for path, collection in _LEFT.items():
                for one in admin.call("GET", f"{root}/{path}?{project}")[collection]:
                    admin.ask("DELETE", f"{root}/{path}/{one['id']}")

    def _delete_all_of(self, person: Person) -> None:
        """Delete all servers, ports, snapshots and volumes of a project of the cases' own."""
        storage = f"{self._volume}/{person.project_id}"
        _delete_each(person, f"{self._compute}/servers", "servers")
        _delete_each(person, f"{storage}/snapshots", "snapshots")
        _delete_each(person, f"{storage}/volumes", "volumes")
        ports = person.call("GET", f"{self._network}/ports")["ports"]
        for port in ports:
            if port["project_id"] == person.project_id:
                person.ask("DELETE", f"{self._network}/ports/{port['id']}")


def _delete_each(person: Person, url: str, collection: str) -> None:
    """Delete all of a list and return when the list is empty."""
    give_up = time.monotonic() + DEADLINE_S
    while found := person.call("GET", url)[collection]:
        for one in found:
            person.ask("DELETE", f"{url}/{one['id']}")
        assert time.monotonic() < give_up, f"these cannot be deleted: {found}"
        time.sleep(0.2)


def _delete(person: Person, url: str) -> None:
    """Delete something as soon as nothing uses it any more."""
    give_up = time.monotonic() + DEADLINE_S
    while person.ask("DELETE", url)[0] == _IN_USE:
        assert time.monotonic() < give_up, f"{url} is still in use"
        time.sleep(0.2)


def _wait(person: Person, url: str, kind: str, wanted: str) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while (status := person.call("GET", url)[kind]["status"]) != wanted:
        assert "error" not in status.lower(), f"{kind} {url} is {status}, not {wanted}"
        assert time.monotonic() < give_up, f"{kind} {url} is still {status}, not {wanted}"
        time.sleep(0.2)


@contextmanager
def made_in(place: Place) -> Iterator[dict[str, str]]:
    """Yield the values that cases may name; what they name exists inside only."""
    world = World(place)
    try:
        yield world.make()
    finally:
        world.delete()


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZb2FBQRWceUfdun2dlIs9fm08LuNroo8c7OjSnZZs api"
