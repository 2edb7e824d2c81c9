"""Services, hosts and clusters of a Cinder, as its operators see and change them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.volume.guards import (
    empty,
    get_cluster_host,
    is_true,
    read,
    require,
    require_minor,
)

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

API, BACKUP, SCHEDULER, VOLUME = (
    "cinder-api", "cinder-backup", "cinder-scheduler", "cinder-volume"
)  # fmt: skip
_BINARIES = (VOLUME, SCHEDULER, BACKUP, API)
_UPDATE = "volume_extension:services:update"
_NULLABLE: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_HOST: Document = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[a-zA-Z0-9-._#@:/+\[\]]*$",
}
_BINARY: Document = {"type": "string", "minLength": 1, "maxLength": 255}


@dataclass(slots=True, eq=False)
class CinderService:
    """One program of Cinder on one host, which may be one of a cluster's."""

    number: int
    binary: str
    host: str
    disabled: bool = False
    disabled_reason: str | None = None
    frozen: bool = False
    replication_status: str = "disabled"
    cluster: str | None = None
    levels: dict[str, str] = field(default_factory=lambda: {"cinder.volume.api": "INFO"})


@dataclass(slots=True, eq=False)
class Cluster:
    """Hosts that share their backend."""

    name: str
    binary: str = VOLUME
    disabled: bool = False
    disabled_reason: str | None = None


def find_services(cinder: "Cinder", name: str, binary: str | None = None) -> list[CinderService]:
    """Return the services of a host, which names all its backends, too, as the database does."""
    return [
        one
        for one in cinder.services
        if _is_on(one.host, name) and (binary is None or one.binary == binary)
    ]


def get_backend(cinder: "Cinder", host: str | None, cluster: str | None) -> CinderService:
    """Return the cinder-volume of a host, with or without its pool, or of a cluster."""
    wanted = (host or cluster or "").partition("#")[0]
    for one in cinder.services:
        if one.binary == VOLUME and wanted == (one.host if host else one.cluster):
            return one
    refuse(404, f"Service {VOLUME} could not be found on host {wanted}.")


def _is_on(host: str, name: str) -> bool:
    return host == name or host.startswith(f"{name}#") or (
        "@" not in name and host.startswith(f"{name}@")
    )  # fmt: skip


def _updated_at(cinder: "Cinder") -> str:
    return cinder.clock().strftime("%Y-%m-%dT%H:%M:%S.%f")


# Services.


def _list(cinder: "Cinder", request: Request) -> Answer:
    host, binary = request.find("host"), request.find("binary")
    found = [
        one
        for one in cinder.services
        if (host is None or _is_on(one.host, host)) and (binary is None or one.binary == binary)
    ]
    return answer_json({"services": [_view(cinder, one, request) for one in found]})


def _view(cinder: "Cinder", service: CinderService, request: Request) -> Document:
    view: Document = {
        "binary": service.binary,
        "host": service.host,
        "zone": cinder.zone,
        "status": "disabled" if service.disabled else "enabled",
        "state": "up",
        "updated_at": _updated_at(cinder),
    }
    if request.microversion >= 49 and service.binary == VOLUME:
        view["backend_state"] = "up"
    if request.microversion >= 7:
        view["cluster"] = service.cluster
    view["disabled_reason"] = service.disabled_reason
    if service.binary == VOLUME:
        view["replication_status"] = service.replication_status
        view["active_backend_id"] = None
        view["frozen"] = service.frozen
    return view


def _service_schema(*more: str) -> Schema:
    properties: Document = {
        "binary": _BINARY,
        "host": _HOST,
        "cluster": _NULLABLE,
        "service": _BINARY,
    }
    properties |= dict.fromkeys(more, _BINARY)
    anyone = {"anyOf": [{"required": ["binary"]}, {"required": ["service"]}]}
    return {**object_of(properties), **anyone}


def _switch(action: str) -> Callable[["Cinder", Request], Answer]:
    def switch(cinder: "Cinder", request: Request) -> Answer:
        with_reason = action == "disable-log-reason"
        given = read(request, _service_schema(*(["disabled_reason"] if with_reason else [])))
        if not given.get("host"):
            refuse(400, "Invalid input received: Host field is missing.")
        host, binary = given["host"], given.get("binary", "")
        wanted = binary or given.get("service", "")
        found = [one for one in find_services(cinder, host, wanted) if one.host == host]
        if not found:
            refuse(404, f"Service {wanted} could not be found on host {host}.")
        found[0].disabled = action != "enable"
        found[0].disabled_reason = given.get("disabled_reason")
        view: Document = {
            "host": host,
            "service": given.get("service", ""),
            "binary": binary,
            "status": "disabled" if found[0].disabled else "enabled",
            "disabled": found[0].disabled,
        }
        if with_reason:
            view["disabled_reason"] = given.get("disabled_reason")
        return answer_json(view)

    return switch


def _find_replicating(
    cinder: "Cinder", request: Request, given: Document, is_clustered: bool
) -> list[CinderService]:
    """Return the services that a body names by host or, where that is known, by cluster."""
    cluster, host = get_cluster_host(given.get, is_clustered)
    found = [
        one
        for one in cinder.services
        if one.binary == VOLUME and (_is_on(one.host, host) if host else one.cluster == cluster)
    ]
    if not found:
        named = f"host={host}" if host else f"cluster={cluster}"
        refuse(400, f"No service found with {named}")
    return found


def _freeze(frozen: bool) -> Callable[["Cinder", Request], Answer]:
    def freeze(cinder: "Cinder", request: Request) -> Answer:
        given = read(request, object_of({"cluster": _NULLABLE, "host": _HOST}))
        found = _find_replicating(cinder, request, given, request.microversion >= 26)
        changed = [one for one in found if one.frozen != frozen]
        if not changed:
            hosts = [one.host for one in found]
            refuse(
                400,
                f"Invalid input received: No service could be changed: frozen in {hosts} must be "
                f"{not frozen} to failover.",
            )
        for one in changed:
            one.frozen = one.disabled = frozen
            one.disabled_reason = "frozen" if frozen else ""
        return empty(200)

    return freeze


def _fail_over(cinder: "Cinder", request: Request) -> Answer:
    schema = object_of({"cluster": _NULLABLE, "host": _HOST, "backend_id": _NULLABLE})
    given = read(request, schema)
    is_clustered = request.path.endswith("/failover")
    if is_clustered and request.microversion < 26:
        refuse(400, "Invalid input received: Unknown action")
    found = _find_replicating(cinder, request, given, is_clustered)
    ready = [one for one in found if one.replication_status in ("enabled", "failed-over")]
    if not ready:
        hosts = [one.host for one in found]
        refuse(
            400,
            "Invalid input received: No service could be changed: replication_status in "
            f"{hosts} must be ['enabled', 'failed-over'] and must be up to failover.",
        )
    for one in ready:
        one.replication_status = "failing-over"
    return Answer(202)


# Log levels.


def _log_schema(*more: str) -> Schema:
    binary: Document = {"type": "string", "enum": [*_BINARIES, "", "*"]}
    return object_of({"binary": binary, **dict.fromkeys(("server", "prefix", *more), _NULLABLE)})


def _logging(cinder: "Cinder", given: Document) -> list[CinderService]:
    """Return the services whose log levels are meant, the API itself first."""
    binary, server = given.get("binary"), given.get("server")
    host = cinder.host.partition("@")[0]
    api = CinderService(0, API, host, levels=cinder.levels)
    every = [*([api] if not server or server == host else []), *cinder.services]
    return [
        one
        for one in every
        if binary in ("*", None, "", one.binary)
        and (not server or one is api or _is_on(one.host, server) or one.cluster == server)
    ]


def _get_log(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 32)
    given = read(request, _log_schema())
    prefix = given.get("prefix") or ""
    shown = [
        {
            "host": one.host,
            "binary": one.binary,
            "levels": {
                name: level for name, level in one.levels.items() if name.startswith(prefix)
            },
        }
        for one in _logging(cinder, given)
    ]
    return answer_json({"log_levels": shown})


def _set_log(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 32)
    given = read(request, _log_schema("level"))
    for one in _logging(cinder, given):
        one.levels[given.get("prefix") or ""] = str(given.get("level")).upper()
    return Answer(202)


# Hosts.


def _list_hosts(cinder: "Cinder", request: Request) -> Answer:
    zone = request.find("zone")
    hosts = [
        {
            "host_name": one.host,
            "service": one.binary,
            "zone": cinder.zone,
            "service-status": "available",
            "service-state": "enabled",
            "last-update": _updated_at(cinder),
        }
        for one in cinder.services
        if not one.disabled and (not zone or zone == cinder.zone)
    ]
    return answer_json({"hosts": hosts})


def _show_host(cinder: "Cinder", request: Request) -> Answer:
    host = request.parameters["host_name"]
    if all(one.host != host for one in find_services(cinder, host, VOLUME)):
        refuse(404, f"Service {VOLUME} could not be found on host {host}.")
    volumes = [one for one in cinder.volumes.values() if _is_on(one.host, host)]
    rows = [_resource(cinder, host, "(total)", None)]
    rows += [_resource(cinder, host, project, project) for project in
             dict.fromkeys(one.project_id for one in volumes)]  # fmt: skip
    return answer_json({"host": [{"resource": row} for row in rows]})


def _resource(cinder: "Cinder", host: str, name: str, project: str | None) -> Document:
    volumes = {
        one.id: one
        for one in cinder.volumes.values()
        if _is_on(one.host, host) and project in (None, one.project_id)
    }
    snapshots = [one for one in cinder.snapshots.values() if one.volume_id in volumes]
    return {
        "host": host,
        "project": name,
        "volume_count": str(len(volumes)),
        "total_volume_gb": str(sum(one.size for one in volumes.values())),
        "snapshot_count": str(len(snapshots)),
        "total_snapshot_gb": str(sum(one.volume_size for one in snapshots)),
    }


def _update_host(cinder: "Cinder", request: Request) -> Answer:
    """Refuse: Cinder has the API, and NotImplementedError behind it."""
    if not request.caller.is_admin:
        refuse(403, "User does not have admin privileges")
    host = request.parameters["host_name"]
    if all(one.host != host or one.disabled for one in cinder.services):
        refuse(404, f"Host {host} could not be found.")
    read(request, object_of({"status": {"enum": ["enable", "disable"]}}, extra=True))
    refuse(
        500,
        "The server has either erred or is incapable of performing the requested operation.",
    )


def _update_no_host(cinder: "Cinder", request: Request) -> Answer:
    """Refuse: the route leads to a method that must be told a host."""
    refuse(
        400,
        "The server could not comply with the request since it is either malformed or "
        "otherwise incorrect.",
    )


# Clusters.


_FILTERS = ("name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts")
_REPLICATION_FILTERS = ("replication_status", "frozen", "active_backend_id")


def _list_clusters(detailed: bool) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, 7)
        known = _FILTERS + (_REPLICATION_FILTERS if request.microversion >= 26 else ())
        unknown = [name for name, _ in request.pairs if name not in known]
        if unknown:
            refuse(400, f"Invalid input received: Invalid filter keys: {', '.join(unknown)}")
        name, disabled = request.find("name"), request.find("disabled")
        found = [
            one
            for one in cinder.clusters
            if (name is None or one.name == name)
            and (disabled is None or one.disabled == is_true(disabled))
        ]
        return answer_json(
            {"clusters": [_cluster_view(cinder, one, request, detailed) for one in found]}
        )

    return index


def _cluster_view(cinder: "Cinder", cluster: Cluster, request: Request, detailed: bool) -> Document:
    view: Document = {
        "name": cluster.name,
        "binary": cluster.binary,
        "state": "up",
        "status": "disabled" if cluster.disabled else "enabled",
    }
    if request.microversion >= 26:
        view["replication_status"] = "disabled"
    if not detailed:
        return view
    hosts = [one for one in cinder.services if one.cluster == cluster.name]
    view |= {
        "num_hosts": len(hosts),
        "num_down_hosts": 0,
        "last_heartbeat": _updated_at(cinder),
        "created_at": _updated_at(cinder),
        "updated_at": _updated_at(cinder),
        "disabled_reason": cluster.disabled_reason,
    }
    if request.microversion >= 26:
        view |= {"frozen": False, "active_backend_id": None}
    return view


def _get_cluster(cinder: "Cinder", name: str, binary: str) -> Cluster:
    for one in cinder.clusters:
        if (one.name, one.binary) == (name, binary):
            return one
    wanted = {"binary": binary, "name": name}
    refuse(404, f"Cluster {wanted} could not be found.")


def _show_cluster(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 7)
    binary = request.find("binary") or VOLUME
    cluster = _get_cluster(cinder, request.parameters["id"], binary)
    return answer_json({"cluster": _cluster_view(cinder, cluster, request, True)})


def _switch_cluster(disabled: bool) -> Callable[["Cinder", Request], Answer]:
    def switch(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, 7)
        properties: Document = {"name": {**_BINARY, "format": "name"}, "binary": _NULLABLE}
        if disabled:
            properties["disabled_reason"] = {"type": ["string", "null"]}
        given = read(request, object_of(properties, ("name",)))
        cluster = _get_cluster(cinder, given["name"], given.get("binary") or VOLUME)
        cluster.disabled, cluster.disabled_reason = disabled, given.get("disabled_reason")
        view = _cluster_view(cinder, cluster, request, False)
        return answer_json({"cluster": {**view, "disabled_reason": cluster.disabled_reason}})

    return switch


# What was interrupted.


def _clean_up(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 24)
    boolean: Document = {"type": ["boolean", "string"]}
    properties: Document = {
        "cluster_name": _HOST,
        "disabled": boolean,
        "host": _HOST,
        "is_up": boolean,
        "binary": {"enum": [VOLUME, SCHEDULER]},
        "resource_id": {"oneOf": [{"type": "null"}, {"type": "string", "format": "uuid"}]},
        "resource_type": _NULLABLE,
        "service_id": {"type": ["integer", "string", "null"], "pattern": "^[0-9]*$"},
    }
    given = read(request, object_of(properties))
    resource_id, number = given.get("resource_id"), given.get("service_id")
    if resource_id and not {"service_id", "cluster_name", "host"} & set(given):
        if resource_id not in cinder.interrupted:
            words = ("There is no resource with UUID %s pending cleanup.", resource_id)
            refuse(400, f"Invalid input received: {words}")
        number = cinder.interrupted.pop(resource_id)
    # Those that are down: of an interrupted resource the service that had begun it.
    cleaning = [
        {"id": one.number, "host": one.host, "binary": one.binary, "cluster_name": one.cluster}
        for one in cinder.services
        if number is not None
        and one.number == int(number)
        and (given.get("host") is None or _is_on(one.host, given["host"]))
    ]
    return answer_json({"cleaning": cleaning, "unavailable": []}, 202)


def _guarded(
    rule: str, handler: Callable[["Cinder", Request], Answer], since: int = 0
) -> tuple[str, str, Callable[["Cinder", Request], Answer]]:
    """Return need, rule and handler of a route whose version is looked at before its policy."""

    def handle(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, since)
        require(request.caller, "admin", rule)
        return handler(cinder, request)

    return "write", rule, handle


_HOSTS = "volume_extension:hosts"
ROUTES = (
    ("GET", "/os-services", "admin", "volume_extension:services:index", _list),
    ("PUT", "/os-services/enable", "admin", _UPDATE, _switch("enable")),
    ("PUT", "/os-services/disable", "admin", _UPDATE, _switch("disable")),
    ("PUT", "/os-services/disable-log-reason", "admin", _UPDATE, _switch("disable-log-reason")),
    ("PUT", "/os-services/freeze", "admin", _UPDATE, _freeze(True)),
    ("PUT", "/os-services/thaw", "admin", _UPDATE, _freeze(False)),
    ("PUT", "/os-services/failover_host", "admin", _UPDATE, _fail_over),
    ("PUT", "/os-services/failover", "admin", _UPDATE, _fail_over),
    ("PUT", "/os-services/get-log", *_guarded(_UPDATE, _get_log, 32)),
    ("PUT", "/os-services/set-log", *_guarded(_UPDATE, _set_log, 32)),
    ("GET", "/os-hosts", "admin", _HOSTS, _list_hosts),
    ("PUT", "/os-hosts", "write", _HOSTS, _update_no_host),
    ("GET", "/os-hosts/{host_name}", "admin", _HOSTS, _show_host),
    ("PUT", "/os-hosts/{host_name}", "write", _HOSTS, _update_host),
    ("GET", "/clusters", *_guarded("clusters:get_all", _list_clusters(False), 7)),
    ("GET", "/clusters/detail", *_guarded("clusters:get_all", _list_clusters(True), 7)),
    ("GET", "/clusters/{id}", *_guarded("clusters:get", _show_cluster, 7)),
    ("PUT", "/clusters/enable", *_guarded("clusters:update", _switch_cluster(False), 7)),
    ("PUT", "/clusters/disable", *_guarded("clusters:update", _switch_cluster(True), 7)),
    ("POST", "/workers/cleanup", *_guarded("workers:cleanup", _clean_up, 24)),
)
