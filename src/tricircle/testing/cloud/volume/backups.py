"""Backups: made, restored, and carried from one Cinder to another as records."""

import base64
import binascii
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas, volumes
from tricircle.testing.cloud.volume.guards import body_of, empty, get_volume, is_true, read, require
from tricircle.testing.cloud.volume.lists import (
    is_asked,
    is_counted,
    keep_allowed,
    parse_order,
    slice_of,
    sort_items,
)
from tricircle.testing.cloud.volume.records import Backup, Snapshot, Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_FILTERS = ("name", "status", "volume_id")
_SORT_KEYS = (
    "id", "created_at", "updated_at", "display_name", "display_description", "status", "size",
    "availability_zone", "container", "object_count", "project_id", "user_id", "volume_id",
    "snapshot_id", "data_timestamp", "host", "service", "parent_id",
)  # fmt: skip
_TEXT: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_UUID: Document = {"type": "string", "format": "uuid"}
_UUID_OR_NONE: Document = {"oneOf": [_UUID, {"type": "null"}]}
_METADATA: Document = {
    "type": ["object", "null"],
    "patternProperties": {"^[a-zA-Z0-9-_:. /]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
_BOOLEAN: Document = {"type": ["boolean", "string"]}
_IMPORTED_FROM = "00000000-0000-0000-0000-000000000000"
_NO_ACTION = (
    "There is no such action: {name}. Verify the request body and Content-Type "
    "header and try again."
)


def _views(cinder: "Cinder", backup: Backup, request: Request) -> tuple[Document, Document]:
    """Return the short view of a backup, and what the detailed one has besides."""
    key = volumes.view_key(request)
    links = volumes.links_of(key.base, key.project, "backups", backup.id)
    short: Document = {"id": backup.id, "name": backup.display_name, "links": links}
    more: Document = {
        "status": backup.status,
        "size": backup.size,
        "object_count": backup.object_count,
        "availability_zone": backup.availability_zone,
        "container": backup.container,
        "created_at": micro(backup.created_at),
        "updated_at": micro(backup.updated_at),
        "description": backup.display_description,
        "fail_reason": None,
        "volume_id": backup.volume_id,
        "is_incremental": backup.parent_id is not None,
        "has_dependent_backups": any(_children(cinder, backup)),
        "snapshot_id": backup.snapshot_id,
        "data_timestamp": micro(backup.data_timestamp),
    }
    if request.microversion >= 43:
        more["metadata"] = backup.metadata
    if request.microversion >= 18 and request.caller.is_admin:
        more["os-backup-project-attr:project_id"] = backup.project_id
    if request.microversion >= 56 and request.caller.is_admin:
        more["user_id"] = backup.user_id
    return short, more


def _children(cinder: "Cinder", backup: Backup) -> Iterator[Backup]:
    return (other for other in cinder.backups.values() if other.parent_id == backup.id)


def _summary(cinder: "Cinder", backup: Backup, request: Request) -> Document:
    return _views(cinder, backup, request)[0]


def _detail(cinder: "Cinder", backup: Backup, request: Request) -> Document:
    short, more = _views(cinder, backup, request)
    return {**short, **more}


def _find(cinder: "Cinder", caller: Caller, backup_id: str) -> Backup:
    backup = cinder.backups.get(backup_id)
    if backup is None or not (caller.is_admin or backup.project_id == caller.project_id):
        refuse(404, f"Backup {backup_id} could not be found.")
    return backup


def _get(cinder: "Cinder", request: Request) -> Backup:
    return _find(cinder, request.caller, request.parameters["id"])


def _page(cinder: "Cinder", request: Request, collection: str) -> tuple[list[Backup], Document]:
    order = parse_order(request, _SORT_KEYS)
    filters, caller = keep_allowed(request, _FILTERS), request.caller
    everyone = caller.is_admin and is_true(request.find("all_tenants"))
    found = [
        backup
        for backup in cinder.backups.values()
        if (everyone or backup.project_id == caller.project_id) and is_asked(backup, filters)
    ]
    page, links = slice_of(
        request, sort_items(found, order), collection, "Backup", cinder.max_limit
    )
    more: Document = {"backups_links": links} if links else {}
    if is_counted(request):
        more["count"] = len(found)
    return page, more


def _list_summary(cinder: "Cinder", request: Request) -> Answer:
    page, more = _page(cinder, request, "backups")
    return answer_json({"backups": [_summary(cinder, one, request) for one in page]} | more)


def _list_detail(cinder: "Cinder", request: Request) -> Answer:
    page, more = _page(cinder, request, "backups/detail")
    return answer_json({"backups": [_detail(cinder, one, request) for one in page]} | more)


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"backup": _detail(cinder, _get(cinder, request), request)})


def _create_schema(minor: int) -> Schema:
    properties: Document = {
        "volume_id": _UUID,
        "container": _TEXT,
        "description": _TEXT,
        "incremental": _BOOLEAN,
        "force": _BOOLEAN,
        "name": _TEXT,
        "snapshot_id": _UUID_OR_NONE,
    }
    if minor >= 43:
        properties["metadata"] = _METADATA
    if minor >= 51:
        properties["availability_zone"] = _TEXT
    return object_of({"backup": dict(object_of(properties, ("volume_id",)))}, ("backup",))


def _create(cinder: "Cinder", request: Request) -> Answer:
    given = read(request, _create_schema(request.microversion))["backup"]
    caller = request.caller
    volume = get_volume(cinder, caller, given["volume_id"])
    require(caller, "write", "backup:create")
    snapshot = _source(cinder, caller, volume, given)
    parent = _parent(cinder, caller, volume, given) if is_true(given.get("incremental")) else None
    amounts = {"backups": 1, "backup_gigabytes": volume.size}
    quotas.reserve(cinder, caller.project_id, amounts, "backups", volume.size)
    now = cinder.clock()
    made = Backup(
        cinder.ids(), caller.project_id, caller.user_id, volume.id, volume.size, now, now,
        cinder.zone, cinder.host.partition("@")[0],
    )  # fmt: skip
    made.display_name, made.display_description = given.get("name"), given.get("description")
    made.container = given.get("container") or f"{made.id[:2]}/{made.id[2:4]}/{made.id}"
    made.metadata = dict(given.get("metadata") or {})
    made.parent_id = parent.id if parent else None
    made.snapshot_id = snapshot.id if snapshot else None
    made.data_timestamp = snapshot.created_at if snapshot else now
    zone = given.get("availability_zone")
    if zone and zone != cinder.zone:
        # The scheduler finds no backup service there, and nobody waits for it to say so.
        made.status, made.availability_zone = "error", zone
    cinder.backups[made.id] = made
    return answer_json({"backup": _summary(cinder, made, request)}, 202)


def _source(cinder: "Cinder", caller: Caller, volume: Volume, given: Document) -> Snapshot | None:
    """Return the snapshot that is backed up, if any; raises Refused as Cinder does."""
    snapshot_id = given.get("snapshot_id")
    if snapshot_id is not None:
        snapshot = cinder.find_snapshot(caller, snapshot_id)
        if snapshot is None:
            refuse(404, f"Snapshot {snapshot_id} could not be found.")
        if snapshot.volume_id != volume.id:
            refuse(
                400,
                f"Invalid volume: Volume {volume.id} does not match with snapshot.volume_id "
                f"{snapshot.volume_id}.",
            )
        return snapshot
    if volume.status not in ("available", "in-use"):
        refuse(
            400,
            "Invalid volume: Volume to be backed up must be available or in-use, but the "
            f'current status is "{volume.status}".',
        )
    if volume.status == "in-use" and not is_true(given.get("force")):
        refuse(400, "Invalid volume: Backing up an in-use volume must use the force flag.")
    return None


def _parent(cinder: "Cinder", caller: Caller, volume: Volume, given: Document) -> Backup:
    """Return the latest backup of a volume, which an incremental one goes on from."""
    former = [
        backup
        for backup in cinder.backups.values()
        if backup.volume_id == volume.id and backup.project_id == caller.project_id
    ]
    if not former or former[-1].status != "available":
        refuse(400, "Invalid backup: No backups available to do an incremental backup.")
    return former[-1]


def _update(cinder: "Cinder", request: Request) -> Answer:
    if request.microversion < 9:
        refuse(404, "The resource could not be found.")
    properties: Document = {"name": _TEXT, "description": _TEXT}
    if request.microversion >= 43:
        properties["metadata"] = {**_METADATA, "type": "object"}
    inner = {**object_of(properties), "type": ["object", "null"]}
    given = read(request, object_of({"backup": inner}, ("backup",)))["backup"] or {}
    backup = _get(cinder, request)
    require(request.caller, "write", "backup:update")
    backup.display_name = given.get("name", backup.display_name)
    backup.display_description = given.get("description", backup.display_description)
    backup.metadata = dict(given.get("metadata", backup.metadata))
    backup.updated_at = cinder.clock()
    return answer_json({"backup": _summary(cinder, backup, request)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    backup = _get(cinder, request)
    require(request.caller, "write", "backup:delete")
    if backup.status not in ("available", "error"):
        refuse(400, "Invalid backup: Backup status must be available or error")
    _remove(cinder, backup)
    return empty(202)


def _remove(cinder: "Cinder", backup: Backup) -> None:
    if any(_children(cinder, backup)):
        refuse(400, "Invalid backup: Incremental backups exist for this backup.")
    del cinder.backups[backup.id]


def _act(cinder: "Cinder", request: Request) -> Answer:
    body = body_of(request)
    name = next(iter(body), "")
    if name not in ("os-reset_status", "os-force_delete"):
        refuse(400, _NO_ACTION.format(name=name))
    backup = _get(cinder, request)
    rule = f"volume_extension:backup_admin_actions:{name.removeprefix('os-')}"
    require(request.caller, "admin", rule)
    if name == "os-force_delete":
        _remove(cinder, backup)
        return empty(202)
    backup.status, backup.updated_at = body[name]["status"].lower(), cinder.clock()
    return empty(202)


def _restore(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {"name": _TEXT, "volume_id": _UUID_OR_NONE}
    inner = {**object_of(properties), "type": ["object", "null"]}
    given = read(request, object_of({"restore": inner}, ("restore",)))["restore"] or {}
    backup = _get(cinder, request)
    require(request.caller, "write", "backup:restore")
    if backup.status != "available":
        refuse(400, "Invalid backup: Backup status must be available")
    volume = _target(cinder, request.caller, backup, given)
    if volume.status != "available":
        refuse(400, "Invalid volume: Volume to be restored to must be available")
    if backup.size > volume.size:
        refuse(
            400,
            f"Invalid volume: volume size {volume.size} is too small to restore backup of size "
            f"{backup.size}.",
        )
    cinder.touch(volume)
    view = {"backup_id": backup.id, "volume_id": volume.id, "volume_name": volume.display_name}
    return answer_json({"restore": view}, 202)


def _target(cinder: "Cinder", caller: Caller, backup: Backup, given: Document) -> Volume:
    """Return the volume that a backup is restored to: the one named, or a new one."""
    wanted = given.get("volume_id")
    if wanted is not None:
        return get_volume(cinder, caller, wanted)
    name = given.get("name")
    return volumes.add_volume(
        cinder,
        caller,
        backup.size,
        f"restore_backup_{backup.id}" if name is None else name,
        "auto-created_from_restore_from_backup",
    )


def _export(cinder: "Cinder", request: Request) -> Answer:
    backup = _get(cinder, request)
    require(request.caller, "admin", "backup:export-import")
    if backup.status != "available":
        refuse(
            400,
            f"Invalid backup: Backup status must be available and not {backup.status}.",
        )
    record = {
        "id": backup.id,
        "user_id": backup.user_id,
        "project_id": backup.project_id,
        "volume_id": backup.volume_id,
        "host": backup.host,
        "availability_zone": backup.availability_zone,
        "container": backup.container,
        "parent_id": backup.parent_id,
        "status": backup.status,
        "size": backup.size,
        "object_count": backup.object_count,
        "display_name": backup.display_name,
        "display_description": backup.display_description,
        "service": backup.service,
    }
    url = base64.b64encode(msgspec.json.encode(record)).decode()
    view = {"backup_service": backup.service, "backup_url": url}
    return answer_json({"backup-record": view})


def _import(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {
        "backup_service": {"type": "string", "minLength": 0, "maxLength": 255},
        "backup_url": {"type": "string", "minLength": 1, "format": "base64"},
    }
    inner = dict(object_of(properties, ("backup_service", "backup_url")))
    given = read(request, object_of({"backup-record": inner}, ("backup-record",)))["backup-record"]
    caller = request.caller
    require(caller, "admin", "backup:backup-import")
    record = _record(given["backup_url"])
    if record["id"] in cinder.backups:
        refuse(400, "Invalid backup: Backup already exists in database.")
    amounts = {"backups": 1, "backup_gigabytes": record["size"]}
    quotas.reserve(cinder, caller.project_id, amounts, "backups", record["size"])
    now = cinder.clock()
    made = Backup(
        record["id"], caller.project_id, caller.user_id, _IMPORTED_FROM, record["size"], now, now,
        cinder.zone, cinder.host.partition("@")[0],
    )  # fmt: skip
    for name in ("display_name", "display_description", "container", "parent_id", "volume_id"):
        setattr(made, name, record.get(name))
    cinder.backups[made.id] = made
    # The backup service has not read the record yet, so the answer has no name.
    view = {**_summary(cinder, made, request), "name": None}
    return answer_json({"backup": view}, 201)


def _record(url: str) -> Json:
    """Return what an exported record says; raises Refused."""
    try:
        record = msgspec.json.decode(base64.b64decode(url))
    except (msgspec.DecodeError, binascii.Error):
        refuse(400, "Invalid input received: Can't parse backup record.")
    if not isinstance(record, dict) or "id" not in record:
        refuse(400, "Invalid input received: Provided backup record is missing an id")
    if "size" not in record:
        refuse(400, "Invalid input received: Provided backup record is missing size attribute")
    return record


ROUTES = (
    ("GET", "/backups", "read", "backup:get_all", _list_summary),
    ("GET", "/backups/detail", "read", "backup:get_all", _list_detail),
    ("POST", "/backups", "write", "backup:create", _create),
    ("POST", "/backups/import_record", "write", "backup:backup-import", _import),
    ("GET", "/backups/{id}", "read", "backup:get", _show),
    ("PUT", "/backups/{id}", "write", "backup:update", _update),
    ("DELETE", "/backups/{id}", "write", "backup:delete", _delete),
    ("POST", "/backups/{id}/action", "write", "backup", _act),
    ("POST", "/backups/{id}/restore", "write", "backup:restore", _restore),
    ("GET", "/backups/{id}/export_record", "write", "backup:export-import", _export),
)
