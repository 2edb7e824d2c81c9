"""A Placement: what the hosts of a Nova hold and how much of it is taken, read only."""

import re
from collections.abc import Mapping

from tricircle.testing.cloud.compute import Compute
from tricircle.testing.cloud.compute.hypervisors import Hypervisor, Load, measure_loads
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    NoSuchMethod,
    NoSuchPath,
    Refused,
    Request,
    Routes,
    answer_json,
    refuse,
)
from tricircle.testing.cloud.service import Service, World, unauthorized

# Placement 13 (2025.1) and 16 (2026.2) both end at 1.39.
_MAX_MINOR = 39
_TITLES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 406: "Not Acceptable"}
_NOT_FOUND = "The resource could not be found.\n\n {}  "
_MALFORMED = (
    "The server could not comply with the request since it is either malformed or "
    "otherwise incorrect.\n\n {}  "
)


class Providers(Service):
    """Placement: resource providers, their inventories and usages, and candidates."""

    def __init__(self, world: World, compute: Compute) -> None:
        super().__init__("placement", "placement", world)
        self._compute = compute
        self._routes = Routes()
        provider = "/resource_providers/{id}"
        self._routes.add("GET", "/resource_providers", self._list_providers)
        self._routes.add("GET", f"{provider}/inventories", self._list_inventories)
        self._routes.add("GET", f"{provider}/usages", self._list_usages)
        self._routes.add("GET", "/allocation_candidates", self._list_candidates)

    def answer(self, request: Request) -> Answer:
        """Return Placement's answer."""
        self._compute.settle()
        served = True
        try:
            answer = self._serve(request)
        except Refused as refused:
            answer = self._error(refused.status, refused.message)
            served = refused.status != 406
        except (NoSuchPath, NoSuchMethod):
            answer = self._error(404, _NOT_FOUND.format(""))
        if served and answer.status != 401:
            answer.headers += [
                ("openstack-api-version", f"placement 1.{request.microversion}"),
                ("vary", "openstack-api-version"),
            ]
        answer.headers.append(("x-openstack-request-id", self.request_id()))
        return answer

    def _serve(self, request: Request) -> Answer:
        if request.path in ("", "/"):
            request.microversion = _requested_minor(request)
            return answer_json({"versions": [_VERSION]})
        caller = self.authenticate(request)
        if caller is None:
            return unauthorized(request.base.rsplit("/", 2)[0] + "/identity")
        request.caller = caller
        request.microversion = _requested_minor(request)
        handler, request.parameters = self._routes.get(request.method, request.path)
        if not (caller.is_admin or caller.is_service):
            refuse(403, "Access was denied to this resource.\n\n placement  ")
        return handler(request)

    def _error(self, status: int, detail: str) -> Answer:
        error = {
            "status": status,
            "title": _TITLES[status],
            "detail": detail,
            "code": "placement.undefined_code",
            "request_id": self.request_id(),
        }
        return answer_json({"errors": [error]}, status)

    def _known(self) -> list[Hypervisor]:
        return [each for each in self._compute.hypervisors if each.known_to_placement]

    def _get(self, request: Request) -> Hypervisor:
        wanted = request.parameters["id"]
        found = next((each for each in self._known() if each.uuid == wanted), None)
        if found is None:
            refuse(404, _NOT_FOUND.format(f"No resource provider with uuid {wanted} found"))
        return found

    def _list_providers(self, request: Request) -> Answer:
        views = [{"uuid": each.uuid, "name": each.host, "generation": 2} for each in self._known()]
        return answer_json({"resource_providers": views})

    def _list_inventories(self, request: Request) -> Answer:
        inventories = _inventories(self._get(request))
        return answer_json({"resource_provider_generation": 2, "inventories": inventories})

    def _list_usages(self, request: Request) -> Answer:
        hypervisor = self._get(request)
        usages = _usages(hypervisor, measure_loads(self._compute)[hypervisor.host])
        return answer_json({"resource_provider_generation": 2, "usages": usages})

    def _list_candidates(self, request: Request) -> Answer:
        if request.microversion < 10:
            raise NoSuchPath(request.path)
        given = request.find("resources")
        if not given:
            what = "At least one request group (`resources` or `resources{$S}`) is required."
            refuse(400, _MALFORMED.format(what))
        wanted = {name: int(amount) for name, amount in re.findall(r"(\w+):(\d+)", given)}
        loads = measure_loads(self._compute)
        requests, summaries = [], {}
        for each in self._known():
            resources = _resources(each, loads[each.host])
            if not _has_room(resources, wanted):
                continue
            requests.append({"allocations": {each.uuid: {"resources": wanted}}})
            summary: Document = {"resources": resources}
            if request.microversion < 27:
                summary["resources"] = {name: resources[name] for name in wanted}
            if request.microversion >= 17:
                summary["traits"] = ["COMPUTE_NODE", "OWNER_NOVA"]
            if request.microversion >= 29:
                summary |= {"parent_provider_uuid": None, "root_provider_uuid": each.uuid}
            summaries[each.uuid] = summary
        return answer_json({"allocation_requests": requests, "provider_summaries": summaries})


_VERSION = {
    "id": "v1.0",
    "max_version": f"1.{_MAX_MINOR}",
    "min_version": "1.0",
    "status": "CURRENT",
    "links": [{"rel": "self", "href": ""}],
}


def _requested_minor(request: Request) -> int:
    """Return N of the 1.N a request is served with; raises Refused."""
    parts = [part.split() for part in request.headers.get("openstack-api-version", "").split(",")]
    wanted = next((part[1] for part in parts if len(part) == 2 and part[0] == "placement"), "1.0")
    if wanted == "latest":
        return _MAX_MINOR
    match = re.fullmatch(r"1\.(\d+)", wanted)
    if match is None or int(match[1]) > _MAX_MINOR:
        refuse(
            406,
            "The resource could not be generated that was acceptable to your browser (content of "
            "type application/json. \n\n Invalid microversion: Unacceptable version header: "
            f"{wanted}",
        )
    return int(match[1])


def _inventories(hypervisor: Hypervisor) -> Mapping[str, Document]:
    if hypervisor.hypervisor_type == "ironic":
        return {"CUSTOM_BAREMETAL": _inventory(1)}
    return {
        "VCPU": _inventory(hypervisor.vcpus, ratio=hypervisor.cpu_ratio),
        "MEMORY_MB": _inventory(hypervisor.memory_mb, hypervisor.reserved_memory_mb),
        "DISK_GB": _inventory(hypervisor.local_gb),
    }


def _inventory(total: int, reserved: int = 0, ratio: float = 1.0) -> Document:
    return {
        "total": total,
        "reserved": reserved,
        "min_unit": 1,
        "max_unit": total,
        "step_size": 1,
        "allocation_ratio": ratio,
    }


def _usages(hypervisor: Hypervisor, load: Load) -> Mapping[str, int]:
    used = {"VCPU": load.vcpus, "MEMORY_MB": load.memory_mb, "DISK_GB": load.local_gb}
    return {name: used.get(name, 0) for name in _inventories(hypervisor)}


def _resources(hypervisor: Hypervisor, load: Load) -> Mapping[str, Document]:
    usages = _usages(hypervisor, load)
    return {
        name: {
            "capacity": int((each["total"] - each["reserved"]) * each["allocation_ratio"]),
            "used": usages[name],
        }
        for name, each in _inventories(hypervisor).items()
    }


def _has_room(resources: Mapping[str, Document], wanted: Mapping[str, int]) -> bool:
    return all(
        name in resources and resources[name]["used"] + amount <= resources[name]["capacity"]
        for name, amount in wanted.items()
    )
