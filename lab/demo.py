"""One cloud made of two: what a member of a project can do through the top alone.

Every request goes to the top. The pods are asked afterwards, as the same user,
only to tell where each result landed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab import composition, content
from lab.api import Api, ApiError
from lab.progress import say
from lab.settings import LabError, Settings

DEADLINE_S = 120
Json = Mapping[str, object]


def demo(settings: Settings) -> None:
    """Make a network, servers and volumes through the top, and say where they are."""
    if not composition.tricircle_processes(settings):
        raise LabError("the top is not running, so there is nothing to show; 'make lab-up' first")
    password = composition.passwords_of(settings)["demo"]
    api = Api(settings, "demo", "demo", password)
    mark = time.strftime("%H%M%S")
    zones = show_zones(settings, api)
    with told("a network and its subnet"):
        network = create_network(settings, api, f"demo-{mark}")
    servers = {zone: create_server(settings, api, zone, network, mark) for zone in zones}
    volumes = {zone: create_volume(settings, api, zone, mark) for zone in zones}
    attach(settings, api, servers[zones[0]], volumes[zones[0]])
    show_lists(settings, api)
    say_how_to_go_on(settings)


@contextmanager
def told(text: str) -> Iterator[list[str]]:
    """Say what was done, how long it took, and what the block adds to the list it is given."""
    begin = time.monotonic()
    facts: list[str] = []
    yield facts
    added = "".join(f", {fact}" for fact in facts)
    say(f"  {text}: {time.monotonic() - begin:.1f} s{added}")


def compute(settings: Settings) -> str:
    return f"{settings.top_compute.url}/v2.1"


def volume_url(settings: Settings, api: Api) -> str:
    return f"{settings.top_volume.url}/v3/{api.project_id()}"


def show_zones(settings: Settings, api: Api) -> list[str]:
    """The names of the zones of the top, said aloud."""
    with told("availability zones of the one region"):
        url = f"{compute(settings)}/os-availability-zone"
        zones = [zone["zoneName"] for zone in api.get(url)["availabilityZoneInfo"]]
    say(f"    {', '.join(sorted(zones))}: each is another OpenStack, of another release")
    return sorted(zones)


def create_network(settings: Settings, api: Api, name: str) -> str:
    """The id of a new network with a subnet, at the top only."""
    url = f"{settings.top_network.url}/v2.0"
    network: str = api.post(f"{url}/networks", {"network": {"name": name}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.20.0.0/24", "name": name}
    api.post(f"{url}/subnets", {"subnet": subnet})
    return network


def create_server(settings: Settings, api: Api, zone: str, network: str, mark: str) -> str:
    """The id of a new server in a zone, once it is ACTIVE."""
    with told(f"a server in {zone}") as facts:
        body = {
            "name": f"demo-{mark}-{zone}",
            "flavorRef": content.FLAVORS[0][0],
            "imageRef": image_id(settings, api),
            "availability_zone": zone,
            "networks": [{"uuid": network}],
        }
        url = f"{compute(settings)}/servers"
        created: str = api.post(url, {"server": body})["server"]["id"]
        server = wait_for_status(api, f"{url}/{created}", "server", "ACTIVE")
        facts.append(landed(settings, api, "/servers/", created))
        facts.append(f"addresses {addresses_of(server)}")
    return created


def image_id(settings: Settings, api: Api) -> str:
    """The id of the lab's image."""
    url = f"{settings.glance.url}/v2/images?name={content.IMAGE}"
    found: str = api.get(url)["images"][0]["id"]
    return found


def addresses_of(server: Json) -> str:
    """The addresses of a server in words."""
    networks = server["addresses"]
    if not isinstance(networks, Mapping):
        return "none"
    return ", ".join(port["addr"] for ports in networks.values() for port in ports) or "none"


def create_volume(settings: Settings, api: Api, zone: str, mark: str) -> str:
    """The id of a new volume in a zone, once it is available."""
    with told(f"a volume in {zone}") as facts:
        body = {"name": f"demo-{mark}-{zone}", "size": 1, "availability_zone": zone}
        url = f"{volume_url(settings, api)}/volumes"
        created: str = api.post(url, {"volume": body})["volume"]["id"]
        wait_for_status(api, f"{url}/{created}", "volume", "available")
        facts.append(landed(settings, api, f"/v3/{api.project_id()}/volumes/", created))
    return created


def attach(settings: Settings, api: Api, server: str, volume: str) -> None:
    """Attach the volume to the server and wait until it is in use."""
    with told("the first volume attached to the first server"):
        url = f"{compute(settings)}/servers/{server}/os-volume_attachments"
        api.post(url, {"volumeAttachment": {"volumeId": volume}})
        wait_for_status(api, f"{volume_url(settings, api)}/volumes/{volume}", "volume", "in-use")


def show_lists(settings: Settings, api: Api) -> None:
    """Say what the merged lists hold."""
    for kind, url in (
        ("servers", f"{compute(settings)}/servers/detail"),
        ("volumes", f"{volume_url(settings, api)}/volumes/detail"),
    ):
        with told(f"one list of all {kind}") as facts:
            facts.append(f"{len(api.get(url)[kind])} {kind}")


def wait_for_status(api: Api, url: str, kind: str, wanted: str) -> Json:
    """The resource once it has the status; raises LabError when it gets another for good."""
    give_up = time.monotonic() + DEADLINE_S
    while True:
        found: Json = api.get(url)[kind]
        status = str(found["status"])
        if status == wanted:
            return found
        if "error" in status.lower() or time.monotonic() > give_up:
            raise LabError(f"{kind} {found['id']} is {status}, not {wanted}: {found.get('fault')}")
        time.sleep(0.2)


def landed(settings: Settings, api: Api, path: str, resource: str) -> str:
    """In which pod a resource is, asked of the pods themselves."""
    for pod in settings.pods:
        base = pod.volume.url if "volumes" in path else f"{pod.compute.url}/v2.1"
        try:
            api.get(f"{base}{path}{resource}")
        except ApiError:
            continue
        return f"it is in {pod.name} ({pod.release})"
    return "in no pod"


def say_how_to_go_on(settings: Settings) -> None:
    """Say which commands come next."""
    client = settings.venv("client") / "bin"
    say("that was one cloud made of several. To go on by hand:")
    say(f"  export OS_CLIENT_CONFIG_FILE={settings.clouds_file} OS_CLOUD=top-demo")
    say(f"  PATH={client}:$PATH")
    say("  openstack server list")
    say("'make lab-status' shows every process, 'make lab-down' ends them")
