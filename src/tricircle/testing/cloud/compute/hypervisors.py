"""The hosts of a Nova and what runs on them, as administrators see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute.lists import parse_limit
from tricircle.testing.cloud.compute.services import find_service, is_uuid
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
    pattern = request.find("hypervisor_hostname_pattern") if request.microversion >= 53 else None
    if pattern is not None:
        return _answer_matching(compute, request, pattern, detailed)
    found, minor = compute.hypervisors, request.microversion
    limit = parse_limit(request, compute.max_limit) if minor >= 33 else len(found)
    marker = request.find("marker") if minor >= 33 else None
    start = 0 if marker is None else _find_place(compute, minor, marker) + 1
    page = found[start : start + limit]
    loads = measure_loads(compute) if detailed else {}
    views = [_whole_view(compute, request, each, loads.get(each.host)) for each in page]
    body: Document = {"hypervisors": views}
    if minor >= 33 and len(page) == limit and page:
        pairs = {**dict(sorted(request.pairs)), "marker": str(_id_of(page[-1], minor))}
        href = f"{request.url}?{urlencode(pairs)}"
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
            "id": hypervisor.service_uuid if minor >= 53 else hypervisor.number + 2,
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


def _whole_view(
    compute: "Compute", request: Request, hypervisor: Hypervisor, load: Load | None
) -> Document:
    """Return a view with status as its service has it, and with servers if they are asked for."""
    minor = request.microversion
    view = _view(hypervisor, minor, load)
    service = find_service(compute, hypervisor.host)
    if service is not None and service.disabled:
        view["status"] = "disabled"
    wanted = (request.find("with_servers") or "").lower() in ("1", "t", "true", "on", "y", "yes")
    if minor >= 53 and wanted:
        held = _list_servers(compute, hypervisor)
        if held or minor >= 75:
            view["servers"] = held
    return view


def _list_servers(compute: "Compute", hypervisor: Hypervisor) -> list[Document]:
    return [
        {"name": server.instance_name, "uuid": server.uuid}
        for server in compute.servers.values()
        if server.host == hypervisor.host and not server.deleted
    ]


def _answer_matching(compute: "Compute", request: Request, pattern: str, detailed: bool) -> Answer:
    if request.find("limit") is not None or request.find("marker") is not None:
        refuse(
            400,
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect.",
        )
    loads = measure_loads(compute) if detailed else {}
    found = _find_matching(compute, pattern)
    views = [_whole_view(compute, request, each, loads.get(each.host)) for each in found]
    return answer_json({"hypervisors": views})


def _find_matching(compute: "Compute", pattern: str) -> list[Hypervisor]:
    found = [each for each in compute.hypervisors if pattern in each.host]
    if not found:
        refuse(404, f"No hypervisor matching '{pattern}' could be found.")
    return found


def _find(compute: "Compute", request: Request) -> Hypervisor:
    minor, wanted = request.microversion, request.parameters["id"]
    if minor >= 53 and not is_uuid(wanted):
        refuse(400, f"Invalid uuid {wanted}")
    found = (each for each in compute.hypervisors if str(_id_of(each, minor)) == wanted)
    hypervisor = next(found, None)
    if hypervisor is None:
        refuse(404, f"Hypervisor with ID '{wanted}' could not be found.")
    return hypervisor


def _show(compute: "Compute", request: Request) -> Answer:
    hypervisor = _find(compute, request)
    load = measure_loads(compute)[hypervisor.host]
    return answer_json({"hypervisor": _whole_view(compute, request, hypervisor, load)})


def _uptime(compute: "Compute", request: Request) -> Answer:
    _check_last(request, 87)
    hypervisor = _find(compute, request)
    if hypervisor.hypervisor_type == "fake":
        refuse(501, "The requested functionality is not supported.")
    view = _view(hypervisor, request.microversion, None)
    return answer_json({"hypervisor": {**view, "uptime": " 08:32:11 up 93 days"}})


def _search(compute: "Compute", request: Request) -> Answer:
    _check_last(request, 52)
    found = _find_matching(compute, request.parameters["id"])
    views = [_view(each, request.microversion, None) for each in found]
    return answer_json({"hypervisors": views})


def _search_servers(compute: "Compute", request: Request) -> Answer:
    _check_last(request, 52)
    views = []
    for each in _find_matching(compute, request.parameters["id"]):
        view = _view(each, request.microversion, None)
        held = _list_servers(compute, each)
        views.append({**view, "servers": held} if held else view)
    return answer_json({"hypervisors": views})


def _statistics(compute: "Compute", request: Request) -> Answer:
    _check_last(request, 87)
    loads = measure_loads(compute)
    rows = [_view(each, 28, loads[each.host]) for each in compute.hypervisors]
    sums: Document = {"count": len(rows)}
    for name in _SUMMED:
        sums[name] = sum(row[name] for row in rows)
    return answer_json({"hypervisor_statistics": sums})


def _check_last(request: Request, minor: int) -> None:
    if request.microversion > minor:
        refuse(404, "The resource could not be found.")


_SUMMED = (
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used",
    "free_ram_mb", "free_disk_gb", "current_workload", "running_vms", "disk_available_least",
)  # fmt: skip
ROUTES = (
    ("GET", "/os-hypervisors/statistics", "admin", "os-hypervisors:statistics", _statistics),
    ("GET", "/os-hypervisors/{id}", "admin", "os-hypervisors:show", _show),
    ("GET", "/os-hypervisors/{id}/uptime", "admin", "os-hypervisors:uptime", _uptime),
    ("GET", "/os-hypervisors/{id}/search", "admin", "os-hypervisors:search", _search),
    ("GET", "/os-hypervisors/{id}/servers", "admin", "os-hypervisors:servers", _search_servers),
    ("GET", "/os-hypervisors", "admin", "os-hypervisors:list", _list),
    ("GET", "/os-hypervisors/detail", "admin", "os-hypervisors:list-detail", _list_details),
)
