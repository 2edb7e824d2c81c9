"""Snapshots of volumes and their metadata."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas
from tricircle.testing.cloud.volume.guards import body_of, empty, get_volume, is_true, read, require
from tricircle.testing.cloud.volume.lists import (
    is_asked,
    is_counted,
    keep_allowed,
    parse_order,
    slice_of,
    sort_items,
)
from tricircle.testing.cloud.volume.metadata import Metadata
from tricircle.testing.cloud.volume.records import Snapshot

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SORT_KEYS = (
    "id", "created_at", "updated_at", "display_name", "display_description", "status",
    "volume_id", "volume_size", "project_id", "user_id",
)  # fmt: skip
_FILTERS = ("name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota")
_TEXT: Document = {"type": ["string", "null"], "maxLength": 255}


def get_snapshot(cinder: "Cinder", request: Request) -> Snapshot:
    """Return the snapshot a path names; raises Refused as for an absent one."""
    snapshot_id = request.parameters["id"]
    snapshot = cinder.find_snapshot(request.caller, snapshot_id)
    if snapshot is None:
        refuse(404, f"Snapshot {snapshot_id} could not be found.")
    return snapshot


def _summary(snapshot: Snapshot, request: Request) -> Document:
    view: Document = {
        "id": snapshot.id,
        "name": snapshot.display_name,
        "description": snapshot.display_description,
        "volume_id": snapshot.volume_id,
        "status": snapshot.status,
        "size": snapshot.volume_size,
        "created_at": micro(snapshot.created_at),
        "updated_at": micro(snapshot.updated_at),
        "metadata": snapshot.metadata,
    }
    if request.microversion >= 14:
        view["group_snapshot_id"] = snapshot.group_snapshot_id
    if request.microversion >= 41:
        view["user_id"] = snapshot.user_id
    if request.microversion >= 65:
        view["consumes_quota"] = True
    return view


def show_detail(snapshot: Snapshot, request: Request) -> Document:
    """Return all of a snapshot."""
    return {
        **_summary(snapshot, request),
        "os-extended-snapshot-attributes:project_id": snapshot.project_id,
        "os-extended-snapshot-attributes:progress": snapshot.progress,
    }


def _page(cinder: "Cinder", request: Request, collection: str) -> tuple[list[Snapshot], Document]:
    caller = request.caller
    everyone = caller.is_admin and is_true(request.find("all_tenants"))
    filters = keep_allowed(request, _FILTERS)
    found = [
        item
        for item in cinder.snapshots.values()
        if (everyone or item.project_id == caller.project_id) and is_asked(item, filters)
    ]
    found = sort_items(found, parse_order(request, _SORT_KEYS))
    page, links = slice_of(request, found, collection, "Snapshot", cinder.max_limit)
    more: Document = {"snapshots_links": links} if links else {}
    if is_counted(request):
        more["count"] = len(found)
    return page, more


def _list_summary(cinder: "Cinder", request: Request) -> Answer:
    page, more = _page(cinder, request, "snapshots")
    return answer_json({"snapshots": [_summary(item, request) for item in page]} | more)


def _list_detail(cinder: "Cinder", request: Request) -> Answer:
    page, more = _page(cinder, request, "snapshots/detail")
    return answer_json({"snapshots": [show_detail(item, request) for item in page]} | more)


def _create(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {
        "name": _TEXT,
        "description": _TEXT,
        "display_name": _TEXT,
        "display_description": _TEXT,
        "volume_id": {"type": "string", "format": "uuid"},
        "force": {},
        "metadata": {"type": ["object", "null"]},
    }
    inner = dict(object_of(properties, ("volume_id",)))
    given = read(request, object_of({"snapshot": inner}, ("snapshot",)))["snapshot"]
    volume = get_volume(cinder, request.caller, given["volume_id"])
    require(request.caller, "write", "volume:create_snapshot")
    usable: tuple[str, ...] = ("available",)
    if is_true(given.get("force")) or request.microversion >= 66:
        usable = ("available", "in-use")
    if volume.status not in usable:
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be {', '.join(usable)}, but "
            f"current status is: {volume.status}.",
        )
    weight = quotas.typed({"snapshots": 1, "gigabytes": volume.size}, volume.volume_type)
    quotas.reserve(cinder, request.caller.project_id, weight, "snapshots", volume.size)
    now = cinder.clock()
    snapshot = Snapshot(
        cinder.ids(),
        request.caller.project_id,
        request.caller.user_id,
        volume.id,
        volume.size,
        now,
        now,
    )
    snapshot.display_name = given.get("name", given.get("display_name"))
    snapshot.display_description = given.get("description", given.get("display_description"))
    snapshot.metadata = dict(given.get("metadata") or {})
    cinder.snapshots[snapshot.id] = snapshot
    view = {**_summary(snapshot, request), "status": "creating", "updated_at": None}
    return answer_json({"snapshot": view}, 202)


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"snapshot": show_detail(get_snapshot(cinder, request), request)})


def _update(cinder: "Cinder", request: Request) -> Answer:
    names = ("name", "description", "display_name", "display_description")
    inner = dict(object_of(dict.fromkeys(names, _TEXT)))
    given = read(request, object_of({"snapshot": inner}, ("snapshot",)))["snapshot"]
    snapshot = get_snapshot(cinder, request)
    require(request.caller, "write", "volume:update_snapshot")
    for name, value in given.items():
        setattr(snapshot, name if name.startswith("display_") else f"display_{name}", value)
    snapshot.updated_at = cinder.clock()
    return answer_json({"snapshot": _summary(snapshot, request)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    snapshot = get_snapshot(cinder, request)
    require(request.caller, "write", "volume:delete_snapshot")
    if snapshot.status not in ("available", "error"):
        refuse(
            400,
            "Invalid snapshot: Snapshot status must be available or error and must not be "
            "part of a group.",
        )
    del cinder.snapshots[snapshot.id]
    return Answer(202)


_ACTIONS = ("os-reset_status", "os-update_snapshot_status", "os-force_delete", "os-unmanage")


def _act(cinder: "Cinder", request: Request) -> Answer:
    body = body_of(request)
    name = next(iter(body), "")
    if name not in _ACTIONS:
        refuse(
            400,
            f"There is no such action: {name}. Verify the request body and Content-Type "
            "header and try again.",
        )
    snapshot = get_snapshot(cinder, request)
    rule = f"volume_extension:snapshot_admin_actions:{name.removeprefix('os-')}"
    if name == "os-unmanage":
        rule = "snapshot_extension:snapshot_unmanage"
    require(request.caller, "admin", rule)
    if name in ("os-force_delete", "os-unmanage"):
        del cinder.snapshots[snapshot.id]
        if name == "os-unmanage":
            kept = (snapshot.volume_id, snapshot.volume_size)
            cinder.unmanaged_snapshots[f"snapshot-{snapshot.id}"] = kept
        return empty(202)
    snapshot.status = body[name]["status"]
    snapshot.updated_at = cinder.clock()
    return empty(202)


ROUTES = (
    ("GET", "/snapshots", "read", "volume:get_all_snapshots", _list_summary),
    ("GET", "/snapshots/detail", "read", "volume:get_all_snapshots", _list_detail),
    ("POST", "/snapshots", "write", "volume:create_snapshot", _create),
    ("GET", "/snapshots/{id}", "read", "volume:get_snapshot", _show),
    ("PUT", "/snapshots/{id}", "write", "volume:update_snapshot", _update),
    ("DELETE", "/snapshots/{id}", "write", "volume:delete_snapshot", _delete),
    ("POST", "/snapshots/{id}/action", "write", "volume:snapshot", _act),
    *Metadata(
        "volume:snapshot_metadata", "Snapshot {owner} has no metadata with key {key}.", get_snapshot
    ).routes("/snapshots/{id}/metadata"),
)
