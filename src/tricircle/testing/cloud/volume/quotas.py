"""Cinder's quotas: limits of projects and classes, what is used, and what is too much."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import body_message, find_error, object_of
from tricircle.testing.cloud.volume.guards import body_of, empty, is_true, require
from tricircle.testing.cloud.volume.records import VolumeType

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_BOOLEANS = ("1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no")
_LARGEST = 0x7FFFFFFF
_LIMIT: Document = {
    "type": ["integer", "string"],
    "pattern": "^[0-9]*$",
    "minimum": -1,
    "minLength": 1,
    "maximum": _LARGEST,
}
_MAXIMA = {
    "maxTotalVolumes": "volumes",
    "maxTotalSnapshots": "snapshots",
    "maxTotalVolumeGigabytes": "gigabytes",
    "maxTotalBackups": "backups",
    "maxTotalBackupGigabytes": "backup_gigabytes",
}
_USED = {
    "totalVolumesUsed": "volumes",
    "totalGigabytesUsed": "gigabytes",
    "totalSnapshotsUsed": "snapshots",
    "totalBackupsUsed": "backups",
    "totalBackupGigabytesUsed": "backup_gigabytes",
}
_LIMIT_EXCEEDED = {
    "volumes": "VolumeLimitExceeded: Maximum number of volumes allowed ({0}) exceeded for quota "
    "'{1}'.",
    "snapshots": "SnapshotLimitExceeded: Maximum number of snapshots allowed ({0}) exceeded",
    "backups": "BackupLimitExceeded: Maximum number of backups allowed ({0}) exceeded",
    "groups": "GroupLimitExceeded: Maximum number of groups allowed ({0}) exceeded",
}
CONFIGURED = {
    "volumes": -1,
    "per_volume_gigabytes": -1,
    "snapshots": -1,
    "gigabytes": -1,
    "backups": -1,
    "backup_gigabytes": -1,
    "groups": -1,
}
"""Without a limit, as the quotas of all pods are to be."""


class QuotaBook:
    """Limits that were set: of a project, of a class."""

    def __init__(self) -> None:
        self.projects: dict[str, dict[str, int]] = {}
        self.classes: dict[str, dict[str, int]] = {}

    def rename_type(self, old: str, new: str) -> None:
        """Let the limits of a volume type follow its name."""
        for limits in (*self.projects.values(), *self.classes.values()):
            for name in ("volumes", "gigabytes", "snapshots"):
                if f"{name}_{old}" in limits:
                    limits[f"{name}_{new}"] = limits.pop(f"{name}_{old}")


def typed(amounts: Mapping[str, int], kind: VolumeType) -> dict[str, int]:
    """Return amounts with those of a volume type."""
    return {**amounts, **{f"{name}_{kind.name}": amount for name, amount in amounts.items()}}


def add_up(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums by name."""
    total: dict[str, int] = {}
    for amounts in many:
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + amount
    return total


def reserve_volume(cinder: "Cinder", project_id: str, size: int, kind: VolumeType) -> None:
    """Raise Refused unless a project may have one more volume."""
    check_size(cinder, project_id, size)
    reserve(cinder, project_id, typed({"volumes": 1, "gigabytes": size}, kind), "volumes", size)


def check_size(cinder: "Cinder", project_id: str, size: int) -> None:
    """Raise Refused for a volume that is larger than any may be."""
    limit = _limits_of(cinder, project_id)["per_volume_gigabytes"]
    if 0 <= limit < size:
        refuse(
            413,
            f"VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum "
            f"allowed limit {limit}G.",
        )


def reserve(
    cinder: "Cinder",
    project_id: str,
    amounts: Mapping[str, int],
    resource: str,
    size: int = 0,
    told: str = "",
    held: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Raise Refused unless a project may have so much more than it has, and than ``held``.

    ``told`` is the limit that is told whichever of those of sizes is passed.
    """
    limits, used = _limits_of(cinder, project_id), _used(cinder, project_id)
    used = {name: amount + held.get(name, 0) for name, amount in used.items()}
    for name in sorted(amounts):
        if not 0 <= limits[name] < used[name] + amounts[name]:
            continue
        if "gigabytes" in name:
            shown = told or name
            words = (
                "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup "
                "gigabytes quota."
                if resource == "backups"
                else "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds "
                f"allowed {shown} quota."
            )
            refuse(
                413,
                f"{words} Requested {size}G, quota is {limits[shown]}G and {used[shown]}G has "
                "been consumed.",
            )
        if resource in name:
            refuse(413, _LIMIT_EXCEEDED[resource].format(limits[name], name))
        refuse(413, f"UnexpectedOverQuota: Unexpected over quota on {name}.")


def _names(cinder: "Cinder") -> list[str]:
    kinds = [kind.name for kind in cinder.types.values()]
    by_type = [f"{name}_{kind}" for kind in kinds for name in ("volumes", "gigabytes", "snapshots")]
    return [*(name for name in CONFIGURED if name != "groups"), *by_type, "groups"]


def _defaults(cinder: "Cinder") -> dict[str, int]:
    limits = {**cinder.quotas, **cinder.quota_book.classes.get("default", {})}
    return {name: limits.get(name, -1) for name in _names(cinder)}


def _limits_of(cinder: "Cinder", project_id: str) -> dict[str, int]:
    own = cinder.quota_book.projects.get(project_id, {})
    return {name: own.get(name, limit) for name, limit in _defaults(cinder).items()}


def _used(cinder: "Cinder", project_id: str) -> dict[str, int]:
    held = [
        typed({"volumes": 1, "gigabytes": volume.size}, volume.volume_type)
        for volume in cinder.volumes.values()
        if volume.project_id == project_id
    ]
    for snapshot in cinder.snapshots.values():
        if snapshot.project_id == project_id:
            weight = {"snapshots": 1, "gigabytes": snapshot.volume_size}
            held.append(typed(weight, cinder.volumes[snapshot.volume_id].volume_type))
    for backup in cinder.backups.values():
        if backup.project_id == project_id:
            held.append({"backups": 1, "backup_gigabytes": backup.size})
    groups = sum(group.project_id == project_id for group in cinder.groups.values())
    return add_up([dict.fromkeys(_names(cinder), 0), {"groups": groups}, *held])


def _check_reader(request: Request) -> str:
    project_id, caller = request.parameters["id"], request.caller
    if not caller.is_admin and not (caller.may_read and project_id == caller.project_id):
        refuse(403, "Policy doesn't allow volume_extension:quotas:show to be performed.")
    return project_id


def _show(cinder: "Cinder", request: Request) -> Answer:
    project_id = _check_reader(request)
    usage = request.find("usage") or "false"
    if usage.lower() not in _BOOLEANS:
        refuse(400, f"Value '{usage}' for 'usage' is not a boolean.")
    limits, used = _limits_of(cinder, project_id), _used(cinder, project_id)
    view: Document = dict(limits)
    if is_true(usage):
        view = {
            name: {"limit": limit, "in_use": used[name], "reserved": 0}
            for name, limit in limits.items()
        }
    return answer_json({"quota_set": {**view, "id": project_id}})


def _show_defaults(cinder: "Cinder", request: Request) -> Answer:
    project_id = _check_reader(request)
    return answer_json({"quota_set": {**_defaults(cinder), "id": project_id}})


def _update(cinder: "Cinder", request: Request) -> Answer:
    given = _read_set(request, "quota_set", 1)
    names = _names(cinder)
    _check_names(given, (*names, "tenant_id", "id"), "quota set")
    wanted = {name: value for name, value in given.items() if name in names}
    for name, value in wanted.items():
        _check_number(name, value)
    require(request.caller, "admin", "volume_extension:quotas:update")
    project_id = request.parameters["id"]
    own, used = cinder.quota_book.projects.get(project_id, {}), _used(cinder, project_id)
    for name, limit in wanted.items():
        if isinstance(limit, str):
            refuse(
                400,
                "The server could not comply with the request since it is either malformed or "
                "otherwise incorrect.",
            )
        usage = used[name] if name in own and name != "per_volume_gigabytes" else 0
        if limit != -1 and limit < usage:
            refuse(
                400,
                f"Quota {name} limit must be equal or greater than existing resources. Current "
                f"usage is {usage} and the requested limit is {limit}.",
            )
    cinder.quota_book.projects.setdefault(project_id, {}).update(wanted)
    return answer_json({"quota_set": _limits_of(cinder, project_id)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    require(request.caller, "admin", "volume_extension:quotas:delete")
    cinder.quota_book.projects.pop(request.parameters["id"], None)
    return empty(200)


def _class_view(cinder: "Cinder", name: str) -> dict[str, int]:
    limits = cinder.quota_book.classes.get(name, {})
    return {key: limits.get(key, limit) for key, limit in _defaults(cinder).items()}


def _show_class(cinder: "Cinder", request: Request) -> Answer:
    require(request.caller, "admin", "volume_extension:quota_classes:get")
    name = request.parameters["id"]
    return answer_json({"quota_class_set": {**_class_view(cinder, name), "id": name}})


def _update_class(cinder: "Cinder", request: Request) -> Answer:
    given = _read_set(request, "quota_class_set", 0)
    _check_names(given, _names(cinder), "quota class set")
    schema = object_of(dict.fromkeys(given, _LIMIT))
    error = find_error(object_of({"quota_class_set": schema}), {"quota_class_set": given})
    if error is not None:
        refuse(400, body_message(error))
    require(request.caller, "admin", "volume_extension:quota_classes:update")
    name = request.parameters["id"]
    wanted = {key: int(value) for key, value in given.items()}
    cinder.quota_book.classes.setdefault(name, {}).update(wanted)
    return answer_json({"quota_class_set": _class_view(cinder, name)})


def _read_set(request: Request, name: str, least: int) -> Document:
    body = body_of(request)
    inner: Document = {"type": "object"}
    error = find_error(object_of({name: inner}, (name,)), body)
    if error is not None:
        refuse(400, body_message(error))
    given: Document = body[name]
    if len(given) < least:
        words = "Invalid input for field/attribute {0}. Value: {1}. {1} should be non-empty"
        refuse(400, words.format(name, given))
    return given


def _check_names(given: Document, known: tuple[str, ...] | list[str], what: str) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        refuse(400, f"Invalid input received: Bad key(s) in {what}: {', '.join(unknown)}")


def _check_number(name: str, value: Json) -> None:
    try:
        number = int(str(value))
    except ValueError:
        refuse(400, f"{name} must be an integer")
    if number < -1:
        refuse(400, f"{name} must be >= -1")
    if number > _LARGEST:
        refuse(400, f"{name} must be <= {_LARGEST}")


def _limits(cinder: "Cinder", request: Request) -> Answer:
    project_id = request.caller.project_id
    if request.microversion >= 39 and request.caller.is_admin:
        project_id = request.find("project_id") or request.find("tenant_id") or project_id
    limits, used = _limits_of(cinder, project_id), _used(cinder, project_id)
    absolute = {key: limits[name] for key, name in _MAXIMA.items()}
    absolute |= {key: used[name] for key, name in _USED.items()}
    return answer_json({"limits": {"rate": [], "absolute": absolute}})


_QUOTA = "/os-quota-sets/{id}"
_CLASS = "/os-quota-class-sets/{id}"
ROUTES = (
    ("GET", "/limits", "read", "limits_extension:used_limits", _limits),
    ("GET", _QUOTA, "any", "volume_extension:quotas:show", _show),
    ("GET", _QUOTA + "/defaults", "any", "volume_extension:quotas:show", _show_defaults),
    ("PUT", _QUOTA, "any", "volume_extension:quotas:update", _update),
    ("DELETE", _QUOTA, "any", "volume_extension:quotas:delete", _delete),
    ("GET", _CLASS, "any", "volume_extension:quota_classes:get", _show_class),
    ("PUT", _CLASS, "any", "volume_extension:quota_classes:update", _update_class),
)
