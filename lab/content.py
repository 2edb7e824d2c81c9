"""What a lab holds when it is up: an image, flavors, public networks, and pods known to the top.

Every step looks first, so that it can be repeated after any interruption.
"""

from __future__ import annotations

from lab.api import Api, ApiError
from lab.pods import CINDER_QUOTAS
from lab.settings import Address, Pod, Settings

IMAGE = "tiny-image"
IMAGE_BYTES = 64 * 1024
FLAVORS = (  # id, name, vcpus, ram in MiB, disk in GiB; the ids are the same in every pod
    ("1", "m1.tiny", 1, 128, 1),
    ("2", "m1.small", 1, 512, 2),
)
PUBLIC = "public"
CONFLICT = 409


def ensure_image(settings: Settings, api: Api, name: str = IMAGE) -> None:
    """Create a public image and give it its bytes, unless there is one that has them."""
    url = f"{settings.glance.url}/v2/images"
    found = api.get(f"{url}?name={name}")["images"]
    if any(image["status"] == "active" for image in found):
        return
    described = {
        "name": name,
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "public",
    }
    image = found[0] if found else api.post(url, described)
    api.put_bytes(f"{url}/{image['id']}/file", bytes(IMAGE_BYTES))


def ensure_flavors(pod: Pod, api: Api) -> None:
    """Create the flavors a pod has not got."""
    url = f"{pod.compute.url}/v2.1/flavors"
    known = {flavor["id"] for flavor in api.get(url)["flavors"]}
    for flavor_id, name, vcpus, ram_mib, disk_gib in FLAVORS:
        if flavor_id not in known:
            flavor = {"id": flavor_id, "name": name, "vcpus": vcpus}
            api.post(url, {"flavor": flavor | {"ram": ram_mib, "disk": disk_gib}})


def ensure_public_network(neutron: Address, subnet_prefix: str, api: Api) -> None:
    """Create the external network and its subnet; `subnet_prefix` is three numbers of a /24."""
    url = f"{neutron.url}/v2.0"
    networks = api.get(f"{url}/networks?name={PUBLIC}")["networks"]
    if not networks:
        network = {
            "name": PUBLIC,
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": PUBLIC,
            "is_default": True,
        }
        networks = [api.post(f"{url}/networks", {"network": network})["network"]]
    if not networks[0]["subnets"]:
        subnet = {
            "name": f"{PUBLIC}-subnet",
            "network_id": networks[0]["id"],
            "ip_version": 4,
            "cidr": f"{subnet_prefix}.0/24",
            "gateway_ip": f"{subnet_prefix}.1",
            "enable_dhcp": False,
        }
        api.post(f"{url}/subnets", {"subnet": subnet})


def public_subnet_prefix(number: int) -> str:
    """A /24 of the net reserved for tests (RFC 2544), another for each Neutron."""
    return f"198.18.{number}"


def ensure_free_quotas(pod: Pod, api: Api) -> None:
    """Let every project of a pod have as many volumes as it wants.

    Cinder's migrations write limits of the default class, which count for more than
    those of its configuration.
    """
    url = f"{pod.volume.url}/v3/os-quota-class-sets/default"
    api.put(url, {"quota_class_set": dict.fromkeys(CINDER_QUOTAS, -1)})


def ensure_pod(pod: Pod, api: Api) -> None:
    """Create what a new pod holds."""
    ensure_free_quotas(pod, api)
    ensure_flavors(pod, api)
    ensure_public_network(pod.network, public_subnet_prefix(pod.number), api)


def ensure_top_network(settings: Settings, api: Api) -> None:
    """Create the top's external network."""
    ensure_public_network(settings.top_network, public_subnet_prefix(100), api)


def ensure_registered(settings: Settings, api: Api) -> None:
    """Tell Tricircle of each pod and of the zone it serves, unless it knows."""
    url = f"{settings.top_admin.url}/v1"
    pods = {pod["name"] for pod in api.get(f"{url}/pods")["pods"]}
    for pod in settings.pods:
        if pod.name not in pods:
            api.post(f"{url}/pods", {"pod": {"name": pod.name, "region": pod.name}})
        zone = {"name": pod.zone, "pod": pod.name, "pod_az": "nova"}
        try:
            api.post(f"{url}/zones", {"zone": zone})
        except ApiError as error:
            if error.status != CONFLICT:  # that the zone is known already is fine
                raise
