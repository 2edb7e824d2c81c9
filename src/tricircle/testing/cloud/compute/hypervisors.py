"""The hosts of a Nova and what runs on them, as administrators see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.lists import parse_limit
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_CPU_INFO = {
    "arch": "x86_64",
    "model": "Nehalem",
    "vendor": "Intel",
    "features": ["pge", "clflush"],
    "topology": {"cores": 1, "threads": 1, "sockets": 4},
}


@dataclass(slots=True, eq=False)
class Hypervisor:
    """A host; its size and what is oversold are those of Nova's fake driver in the lab.

    A `known_to_placement` of False is a host whose provider is not made yet.
    """

    number: int
    uuid: str
    service_uuid: str
    host: str
    state: str = "up"
    status: str = "enabled"
    hypervisor_type: str = "fake"
    vcpus: int = 1000
    memory_mb: int = 800_000
    local_gb: int = 600_000
    reserved_memory_mb: int = 512
    cpu_ratio: float = 4.0
    known_to_placement: bool = True


@dataclass(slots=True)
class Load:
    """What the servers of a host use."""

    servers: int = 0
    vcpus: int = 0
    memory_mb: int = 0
    local_gb: int = 0


def measure_loads(compute: "Compute") -> Mapping[str, Load]:
    """Return the load of every host, by its name."""
    loads = {each.host: Load() for each in compute.hypervisors}
    for server in compute.servers.values():
        load = None if server.deleted or server.host is None else loads.get(server.host)
        if load is None:
            continue
        load.servers += 1
        load.vcpus += server.flavor.vcpus
        load.memory_mb += server.flavor.memory_mb
        # A server that boots from a volume has its disk in Cinder.
        load.local_gb += server.flavor.root_gb if server.image_ref else 0
    return loads


def _list(compute: "Compute", request: Request) -> Answer:
    return _answer_page(compute, request, detailed=False)


def _list_details(compute: "Compute", request: Request) -> Answer:
    return _answer_page(compute, request, detailed=True)


def _answer_page(compute: "Compute", request: Request, detailed: bool) -> Answer:
    found, minor = compute.hypervisors, request.microversion
    limit = parse_limit(request, compute.max_limit) if minor >= 33 else len(found)
    marker = request.find("marker") if minor >= 33 else None
    start = 0 if marker is None else _find_place(compute, minor, marker) + 1
    page = found[start : start + limit]
    loads = measure_loads(compute) if detailed else {}
    views = [_view(each, minor, loads.get(each.host)) for each in page]
    body: Document = {"hypervisors": views}
    if minor >= 33 and len(page) == limit and page:
        query = [f"limit={limit}"] if request.find("limit") else []
        query.append(f"marker={_id_of(page[-1], minor)}")
        href = f"{request.url}?{'&'.join(query)}"
        body["hypervisors_links"] = [{"rel": "next", "href": href}]
    return answer_json(body)


def _find_place(compute: "Compute", minor: int, marker: str) -> int:
    ids = [str(_id_of(each, minor)) for each in compute.hypervisors]
    if marker not in ids:
        refuse(400, f"marker [{marker}] not found")
    return ids.index(marker)


def _id_of(hypervisor: Hypervisor, minor: int) -> str | int:
    return hypervisor.uuid if minor >= 53 else hypervisor.number


def _view(hypervisor: Hypervisor, minor: int, load: Load | None) -> Document:
    """Return a hypervisor as of a microversion, detailed when its load is given."""
    view: Document = {
        "id": _id_of(hypervisor, minor),
        "hypervisor_hostname": hypervisor.host,
        "state": hypervisor.state,
        "status": hypervisor.status,
    }
    if load is None:
        return view
    view |= {
        "hypervisor_type": hypervisor.hypervisor_type,
        "hypervisor_version": 1000,
        "host_ip": "127.0.0.1",
        "service": {
            "id": hypervisor.service_uuid if minor >= 53 else hypervisor.number,
            "host": hypervisor.host,
            "disabled_reason": None,
        },
    }
    if minor >= 88:
        return {**view, "uptime": None}
    memory_used = load.memory_mb + hypervisor.reserved_memory_mb
    return {
        **view,
        "vcpus": hypervisor.vcpus,
        "memory_mb": hypervisor.memory_mb,
        "local_gb": hypervisor.local_gb,
        "vcpus_used": load.vcpus,
        "memory_mb_used": memory_used,
        "local_gb_used": load.local_gb,
        "free_ram_mb": hypervisor.memory_mb - memory_used,
        "free_disk_gb": hypervisor.local_gb - load.local_gb,
        "current_workload": 0,
        "running_vms": load.servers,
        "disk_available_least": 0,
        "cpu_info": _CPU_INFO,
    }


ROUTES = (
    ("GET", "/os-hypervisors", "admin", "os-hypervisors:list", _list),
    ("GET", "/os-hypervisors/detail", "admin", "os-hypervisors:list-detail", _list_details),
)
