"""The services of a Nova, and the hosts they are on, as operators see and change them."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.schemas import BOOLEAN, FQDN
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_COMPUTE = "nova-compute"
_REASON: Document = {"type": "string", "minLength": 1, "maxLength": 255}
_TRUE = ("1", "t", "true", "on", "y", "yes")
_HOSTS_UNTIL = 42


@dataclass(slots=True, eq=False)
class NovaService:
    """One program of Nova on one host."""

    number: int
    uuid: str
    binary: str
    host: str
    topic: str
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False


def zone_of(compute: "Compute", service: NovaService) -> str:
    """Return the zone a service is shown in."""
    if service.binary != _COMPUTE:
        return "internal"
    return next((zone for zone, hosts in compute.zones.items() if service.host in hosts), "nova")


def find_service(compute: "Compute", host: str) -> NovaService | None:
    """Return the nova-compute of a host."""
    found = (one for one in compute.services if one.host == host and one.binary == _COMPUTE)
    return next(found, None)


def is_uuid(text: str) -> bool:
    """Tell whether a text is like a UUID, as oslo's is_uuid_like does."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _list(compute: "Compute", request: Request) -> Answer:
    known = {"host", "binary"}
    unknown = sorted({name for name, _ in request.pairs} - known)
    if unknown and request.microversion >= 75:
        names = ", ".join(repr(name) for name in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        refuse(400, f"Additional properties are not allowed ({names} {verb} unexpected)")
    host, binary = request.find("host"), request.find("binary")
    found = [
        one
        for one in compute.services
        if (not host or one.host == host) and (not binary or one.binary == binary)
    ]
    return answer_json({"services": [_view(compute, one, request.microversion) for one in found]})


def _view(compute: "Compute", service: NovaService, minor: int) -> Document:
    view: Document = {
        "binary": service.binary,
        "host": service.host,
        "id": service.uuid if minor >= 53 else service.number,
        "zone": zone_of(compute, service),
        "status": "disabled" if service.disabled else "enabled",
        "state": "down" if service.forced_down else "up",
        "updated_at": compute.now().strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "disabled_reason": service.disabled_reason,
    }
    if minor >= 11:
        view["forced_down"] = service.forced_down
    return view


def _update(compute: "Compute", request: Request) -> Answer:
    if request.microversion >= 53:
        return _update_by_uuid(compute, request)
    return _update_by_host(compute, request)


def _old_schema(minor: int) -> Schema:
    properties: Document = {
        "host": FQDN,
        "binary": {"type": "string", "minLength": 1, "maxLength": 255},
        "disabled_reason": _REASON,
    }
    if minor >= 11:
        properties["forced_down"] = BOOLEAN
    return object_of(properties, ("host", "binary"))


def _update_by_host(compute: "Compute", request: Request) -> Answer:
    given = read(request, _old_schema(request.microversion))
    action = request.parameters["id"]
    known = ["enable", "disable", "disable-log-reason"]
    if request.microversion >= 11:
        known.append("force-down")
    if action not in known:
        refuse(404, "Unknown action")
    view: Document = {"host": given["host"], "binary": given["binary"]}
    if action == "force-down":
        if "forced_down" not in given:
            refuse(400, "Missing forced_down field")
        view["forced_down"] = str(given["forced_down"]).lower() in _TRUE
    else:
        view["status"] = "enabled" if action == "enable" else "disabled"
    if action == "disable-log-reason":
        if "disabled_reason" not in given:
            refuse(400, "Missing disabled reason field")
        view["disabled_reason"] = given["disabled_reason"]
    service = _find_to_change(compute, given["host"], given["binary"])
    if "forced_down" in view:
        service.forced_down = view["forced_down"]
    else:
        service.disabled = action != "enable"
        service.disabled_reason = view.get("disabled_reason")
    return answer_json({"service": view})


def _find_to_change(compute: "Compute", host: str, binary: str) -> NovaService:
    _check_binary(binary)
    service = find_service(compute, host)
    if service is None:
        refuse(404, f"Host '{host}' is not mapped to any cell")
    return service


def _check_binary(binary: str) -> None:
    if binary != _COMPUTE:
        refuse(
            400,
            f"Updating a {binary} service is not supported. Only nova-compute services can be "
            "updated.",
        )


def _update_by_uuid(compute: "Compute", request: Request) -> Answer:
    properties: Document = {
        "status": {"type": "string", "enum": ["enabled", "disabled"]},
        "disabled_reason": _REASON,
        "forced_down": BOOLEAN,
    }
    given = read(request, object_of(properties))
    service_id = request.parameters["id"]
    _check_uuid(service_id)
    service = next((one for one in compute.services if one.uuid == service_id), None)
    if service is None:
        refuse(404, f"Service {service_id} could not be found.")
    _check_binary(service.binary)
    if given.get("status") == "enabled" and given.get("disabled_reason"):
        refuse(400, "Specifying 'disabled_reason' with status 'enabled' is invalid.")
    if not {"status", "forced_down"} & set(given):
        refuse(
            400,
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
        )
    if "status" in given:
        service.disabled = given["status"] == "disabled"
        service.disabled_reason = given.get("disabled_reason")
    if "forced_down" in given:
        service.forced_down = str(given["forced_down"]).lower() in _TRUE
    return answer_json({"service": _view(compute, service, request.microversion)})


def _check_uuid(service_id: str) -> None:
    if not is_uuid(service_id):
        refuse(400, f"Invalid uuid {service_id}")


def _delete(compute: "Compute", request: Request) -> Answer:
    service_id = request.parameters["id"]
    if request.microversion >= 53:
        _check_uuid(service_id)
    elif not re.fullmatch(r"-?\d+", service_id):
        refuse(400, f"Invalid input received: id must be an integer. Got {service_id}")
    found = (one for one in compute.services if service_id in (one.uuid, str(one.number)))
    service = next(found, None)
    if service is None:
        refuse(404, f"Service {service_id} not found.")
    if service.binary == _COMPUTE and any(
        one.host == service.host and not one.deleted for one in compute.servers.values()
    ):
        refuse(
            409,
            "Unable to delete compute service that is hosting instances. Migrate or delete the "
            "instances first.",
        )
    compute.services.remove(service)
    compute.hypervisors = [one for one in compute.hypervisors if one.host != service.host]
    return empty(204)


# Hosts.


def _check_hosts_version(request: Request) -> None:
    if request.microversion > _HOSTS_UNTIL:
        refuse(404, "The resource could not be found.")


def _list_hosts(compute: "Compute", request: Request) -> Answer:
    _check_hosts_version(request)
    zone = request.find("zone")
    hosts = [
        {"host_name": one.host, "service": one.topic, "zone": zone_of(compute, one)}
        for one in compute.services
        if not one.disabled and (not zone or zone_of(compute, one) == zone)
    ]
    return answer_json({"hosts": hosts})


def _check_host(compute: "Compute", request: Request) -> str:
    _check_hosts_version(request)
    host = request.parameters["id"]
    if find_service(compute, host) is None:
        refuse(404, f"Host '{host}' is not mapped to any cell")
    return host


def _show_host(compute: "Compute", request: Request) -> Answer:
    host = _check_host(compute, request)
    held = [one for one in compute.servers.values() if one.host == host and not one.deleted]
    whole = next(one for one in compute.hypervisors if one.host == host)
    total = {"cpu": whole.vcpus, "memory_mb": whole.memory_mb, "disk_gb": whole.local_gb}
    used: dict[str, Document] = {}
    for server in held:
        for project in ("(used_max)", server.project_id):
            row = used.setdefault(project, {"cpu": 0, "memory_mb": 0, "disk_gb": 0})
            row["cpu"] += server.flavor.vcpus
            row["memory_mb"] += server.flavor.memory_mb
            row["disk_gb"] += server.flavor.root_gb
    most = used.pop("(used_max)", {"cpu": 0, "memory_mb": 0, "disk_gb": 0})
    now = {**most, "memory_mb": most["memory_mb"] + whole.reserved_memory_mb}
    rows = {"(total)": total, "(used_now)": now, "(used_max)": most, **used}
    return answer_json(
        {
            "host": [
                {"resource": {"host": host, "project": project, **row}}
                for project, row in rows.items()
            ]
        }
    )


def _update_host(compute: "Compute", request: Request) -> Answer:
    _check_hosts_version(request)
    choice: Document = {
        "type": "string",
        "enum": ["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"],
    }
    schema = {
        "anyOf": [{"required": ["status"]}, {"required": ["maintenance_mode"]}],
        **object_of({"status": choice, "maintenance_mode": choice}),
    }
    given = read(request, schema)
    view: Document = {"host": _check_host(compute, request)}
    if "status" in given:
        view["status"] = "enabled" if given["status"].lower() == "enable" else "disabled"
    if "maintenance_mode" in given:
        is_on = given["maintenance_mode"].lower() == "enable"
        view["maintenance_mode"] = "on_maintenance" if is_on else "off_maintenance"
    return answer_json(view)


def _power(compute: "Compute", request: Request) -> Answer:
    action = request.path.rsplit("/", 1)[-1]
    host = _check_host(compute, request)
    return answer_json({"host": host, "power_action": action})


ROUTES = (
    ("GET", "/os-services", "admin", "os-services:list", _list),
    ("PUT", "/os-services/{id}", "admin", "os-services:update", _update),
    ("DELETE", "/os-services/{id}", "admin", "os-services:delete", _delete),
    ("GET", "/os-hosts", "admin", "os-hosts:list", _list_hosts),
    ("GET", "/os-hosts/{id}", "admin", "os-hosts:show", _show_host),
    ("PUT", "/os-hosts/{id}", "admin", "os-hosts:update", _update_host),
    ("GET", "/os-hosts/{id}/reboot", "admin", "os-hosts:reboot", _power),
    ("GET", "/os-hosts/{id}/shutdown", "admin", "os-hosts:shutdown", _power),
    ("GET", "/os-hosts/{id}/startup", "admin", "os-hosts:start", _power),
)
