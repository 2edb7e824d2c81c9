"""Nova's quotas: of projects, users and classes, as its database driver keeps them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute.guards import empty, read, require
from tricircle.testing.cloud.compute.records import Flavor
from tricircle.testing.cloud.compute.schemas import BOOLEAN
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, find_error, object_of, query_message

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_FIXED = {
    "fixed_ips": -1,
    "floating_ips": -1,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "injected_files": 5,
    "key_pairs": 100,
    "metadata_items": 128,
    "security_group_rules": -1,
    "security_groups": -1,
    "server_group_members": 10,
    "server_groups": 10,
}
_OF_NEUTRON = {"fixed_ips", "floating_ips", "security_group_rules", "security_groups"}
_OF_FILES = {"injected_file_content_bytes", "injected_file_path_bytes", "injected_files"}
_OF_GROUPS = {"server_groups", "server_group_members"}
_COUNTED = ("cores", "instances", "ram", "server_groups")
_LIMIT: Document = {
    "type": ["integer", "string"],
    "pattern": "^-?[0-9]+$",
    "minimum": -1,
    "maximum": 0x7FFFFFFF,
}
_ORDER = (
    "instances", "cores", "ram", "floating_ips", "fixed_ips", "metadata_items", "key_pairs",
    "security_groups", "security_group_rules", "injected_files", "injected_file_content_bytes",
    "injected_file_path_bytes", "server_groups", "server_group_members",
)  # fmt: skip


class QuotaBook:
    """Limits that were set: of a project, of a user in one ('' is none), of a class."""

    def __init__(self) -> None:
        self.sets: dict[tuple[str, str], dict[str, int]] = {}
        self.classes: dict[str, dict[str, int]] = {}

    def forget(self, project_id: str, user_id: str) -> None:
        """Forget a user's limits, or all of a project's."""
        for key in list(self.sets):
            if key[0] == project_id and user_id in ("", key[1]):
                del self.sets[key]

    def sum_users(self, project_id: str, name: str) -> int:
        """Return the sum of the users' own limits."""
        return sum(
            limits.get(name, 0)
            for (project, user), limits in self.sets.items()
            if project == project_id and user
        )


def used_by(compute: "Compute", project_id: str, user_id: str = "") -> dict[str, int]:
    """Return what a project, or a user in it, uses."""
    held = [
        server
        for server in compute.servers.values()
        if server.project_id == project_id
        and not server.deleted
        and user_id in ("", server.user_id)
    ]
    groups = [
        group
        for group in compute.groups.items.values()
        if group.project_id == project_id and user_id in ("", group.user_id)
    ]
    return {
        "instances": len(held),
        "cores": sum(server.flavor.vcpus for server in held),
        "ram": sum(server.flavor.memory_mb for server in held),
        "server_groups": len(groups),
    }


def limits_of(compute: "Compute", project_id: str, user_id: str = "") -> dict[str, int]:
    """Return the limits that hold for a project, or for a user in it."""
    sets = compute.quota_book.sets
    user = sets.get((project_id, user_id), {}) if user_id else {}
    return {**_defaults(compute), **sets.get((project_id, ""), {}), **user}


def check_boot(compute: "Compute", caller: Caller, flavor: Flavor, count: int) -> None:
    """Raise Refused unless a caller may have so many more servers."""
    wanted = {
        "cores": count * flavor.vcpus,
        "instances": count,
        "ram": count * flavor.memory_mb,
    }
    limits = limits_of(compute, caller.project_id)
    if all(limits[name] < 0 for name in wanted):
        return
    used = used_by(compute, caller.project_id)
    overs = [name for name in wanted if 0 <= limits[name] < used[name] + wanted[name]]
    if overs:
        names = ", ".join(overs)
        told = [", ".join(str(part[name]) for name in overs) for part in (wanted, used, limits)]
        refuse(
            403,
            f"Quota exceeded for {names}: Requested {told[0]}, but already used "
            f"{told[1]} of {told[2]} {names}",
        )


def _defaults(compute: "Compute") -> dict[str, int]:
    return {**_FIXED, **compute.quotas, **compute.quota_book.classes.get("default", {})}


def _view(limits: Mapping[str, Json], minor: int, neutron_until: int) -> Document:
    hidden = _OF_NEUTRON if minor >= neutron_until else set()
    hidden = hidden | (_OF_FILES if minor >= 57 else set())
    return {name: limits[name] for name in sorted(limits) if name not in hidden}


def _check_query(request: Request, names: tuple[str, ...], strict_since: int) -> None:
    texts: Document = {"type": "array", "items": {"type": "string"}}
    schema = object_of(dict.fromkeys(names, texts), extra=request.microversion < strict_since)
    values: dict[str, list[str]] = {}
    for key, value in request.pairs:
        values.setdefault(key, []).append(value)
    error = find_error(schema, values)
    if error is not None:
        refuse(400, query_message(error))


def _check_reader(request: Request, rule: str) -> None:
    caller = request.caller
    is_reader = caller.may_read and request.parameters["id"] == caller.project_id
    if not is_reader and not caller.is_admin:
        refuse(403, f"Policy doesn't allow os_compute_api:os-quota-sets:{rule} to be performed.")


def _check_project(compute: "Compute", request: Request) -> None:
    """Raise Refused for a project that Keystone does not have, if the caller may know."""
    project_id = request.parameters["id"]
    if request.caller.is_admin and not compute.tokens.has_project(project_id):
        refuse(400, f"Project ID {project_id} is not a valid project.")


def _show(compute: "Compute", request: Request) -> Answer:
    _check_query(request, ("user_id",), 75)
    _check_reader(request, "show")
    _check_project(compute, request)
    project_id = request.parameters["id"]
    limits = limits_of(compute, project_id, request.find("user_id") or "")
    return answer_json({"quota_set": {"id": project_id, **_view(limits, request.microversion, 36)}})


def _show_detail(compute: "Compute", request: Request) -> Answer:
    _check_query(request, ("user_id",), 75)
    _check_reader(request, "detail")
    _check_project(compute, request)
    project_id, user_id = request.parameters["id"], request.find("user_id") or ""
    used = used_by(compute, project_id, user_id)
    details = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in limits_of(compute, project_id, user_id).items()
    }
    return answer_json(
        {"quota_set": {"id": project_id, **_view(details, request.microversion, 36)}}
    )


def _show_defaults(compute: "Compute", request: Request) -> Answer:
    _check_project(compute, request)
    view = _view(_defaults(compute), request.microversion, 36)
    return answer_json({"quota_set": {"id": request.parameters["id"], **view}})


def _update_schema(minor: int) -> Schema:
    hidden = (_OF_NEUTRON if minor >= 36 else set()) | (_OF_FILES if minor >= 57 else set())
    names: Document = {name: _LIMIT for name in _ORDER if name not in hidden}
    inner: Document = {**object_of({**names, "force": BOOLEAN})}
    return object_of({"quota_set": inner}, ("quota_set",))


def _update(compute: "Compute", request: Request) -> Answer:
    given = read(request, _update_schema(request.microversion))["quota_set"]
    _check_query(request, ("user_id",), 75)
    require(request.caller, "admin", "os-quota-sets:update")
    _check_project(compute, request)
    project_id, user_id = request.parameters["id"], request.find("user_id") or ""
    forces = str(given.get("force", "")).lower() in ("true", "1", "on", "yes")
    wanted = {name: int(value) for name, value in given.items() if name != "force"}
    for name, limit in wanted.items():
        if not forces:
            _check_bounds(compute, project_id, user_id, name, limit)
    compute.quota_book.sets.setdefault((project_id, user_id), {}).update(wanted)
    limits = limits_of(compute, project_id, user_id)
    return answer_json({"quota_set": _view(limits, request.microversion, 36)})


def _check_bounds(compute: "Compute", project_id: str, user_id: str, name: str, limit: int) -> None:
    project = limits_of(compute, project_id)[name]
    remains = project - compute.quota_book.sum_users(project_id, name)
    used = used_by(compute, project_id, user_id).get(name, 0)
    if user_id:
        own = compute.quota_book.sets.get((project_id, user_id), {}).get(name, 0)
        least, most = used, -1 if min(remains, own) <= -1 else remains + own
    else:
        shared = -1 if min(project, remains) <= -1 else project - remains
        least, most = max(shared, used), -1
    if _size(limit) < _size(least):
        refuse(
            400,
            f"Quota limit {limit} for {name} must be greater than or equal to already used "
            f"and reserved {least}.",
        )
    if _size(limit) > _size(most):
        refuse(400, f"Quota limit {limit} for {name} must be less than or equal to {most}.")


def _size(limit: int) -> float:
    return float("inf") if limit == -1 else limit


def _delete(compute: "Compute", request: Request) -> Answer:
    _check_query(request, ("user_id",), 75)
    require(request.caller, "admin", "os-quota-sets:delete")
    compute.quota_book.forget(request.parameters["id"], request.find("user_id") or "")
    return empty(202)


def _class_view(compute: "Compute", request: Request) -> Document:
    limits = {**_FIXED, **compute.quotas}
    limits |= compute.quota_book.classes.get(request.parameters["id"], {})
    hidden = _OF_GROUPS if request.microversion < 50 else set()
    shown = {name: limit for name, limit in limits.items() if name not in hidden}
    return _view(shown, request.microversion, 50)


def _show_class(compute: "Compute", request: Request) -> Answer:
    view = _class_view(compute, request)
    return answer_json({"quota_class_set": {"id": request.parameters["id"], **view}})


def _update_class(compute: "Compute", request: Request) -> Answer:
    minor = request.microversion
    hidden = (_OF_NEUTRON if minor >= 50 else set()) | (_OF_FILES if minor >= 57 else set())
    names: Document = {name: _LIMIT for name in _ORDER if name not in hidden}
    inner: Document = {**object_of(names)}
    schema = object_of({"quota_class_set": inner}, ("quota_class_set",))
    given = read(request, schema)["quota_class_set"]
    require(request.caller, "admin", "os-quota-class-sets:update")
    name = request.parameters["id"]
    if len(name) > 255:
        refuse(400, f"quota_class_name has {len(name)} characters, more than 255.")
    wanted = {key: int(value) for key, value in given.items()}
    compute.quota_book.classes.setdefault(name, {}).update(wanted)
    return answer_json({"quota_class_set": _class_view(compute, request)})


_QUOTA = "/os-quota-sets/{id}"
_CLASS = "/os-quota-class-sets/{id}"
ROUTES = (
    ("GET", _QUOTA, "any", "os-quota-sets:show", _show),
    ("GET", _QUOTA + "/defaults", "any", "os-quota-sets:defaults", _show_defaults),
    ("GET", _QUOTA + "/detail", "any", "os-quota-sets:detail", _show_detail),
    ("PUT", _QUOTA, "any", "os-quota-sets:update", _update),
    ("DELETE", _QUOTA, "any", "os-quota-sets:delete", _delete),
    ("GET", _CLASS, "admin", "os-quota-class-sets:show", _show_class),
    ("PUT", _CLASS, "any", "os-quota-class-sets:update", _update_class),
)
