"""Snapshots of groups (3.14), and the same as the older API of consistency groups has them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas
from tricircle.testing.cloud.volume.groups import (
    Group,
    check_generic,
    get_group,
    volumes_of,
)
from tricircle.testing.cloud.volume.guards import body_of, get_owned, read, require, require_minor
from tricircle.testing.cloud.volume.lists import (
    is_asked,
    keep_allowed,
    parse_limit,
    parse_offset,
    parse_order,
    slice_of,
    sort_items,
)
from tricircle.testing.cloud.volume.records import GroupType, Snapshot

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SORT_KEYS = (
    "id", "created_at", "updated_at", "display_name", "description", "status", "group_id",
    "project_id",
    "user_id", "group_type_id",
)  # fmt: skip
_NEWEST_FIRST = (("created_at", False), ("id", False))
_TEXT: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}


@dataclass(slots=True, eq=False)
class GroupSnapshot:
    """A snapshot of a group: one of each volume."""

    id: str
    project_id: str
    user_id: str
    group_id: str
    group_type: GroupType
    created_at: datetime
    updated_at: datetime | None
    display_name: str | None = None
    display_description: str | None = None
    status: str = "available"

    @property
    def group_type_id(self) -> str:
        """The id of the type of its group."""
        return self.group_type.id

    @property
    def description(self) -> str | None:
        """What lists are sorted by, as its column is called."""
        return self.display_description


def get_snapshot(cinder: "Cinder", caller: Caller, snapshot_id: str) -> GroupSnapshot:
    """Return a snapshot of a group the caller sees; raises Refused as for an absent one."""
    return get_owned(cinder.group_snapshots, caller, snapshot_id, "GroupSnapshot")


def _summary(snapshot: GroupSnapshot) -> Document:
    return {"id": snapshot.id, "name": snapshot.display_name}


def _detail(snapshot: GroupSnapshot, request: Request) -> Document:
    view: Document = {
        "id": snapshot.id,
        "group_id": snapshot.group_id,
        "group_type_id": snapshot.group_type_id,
        "status": snapshot.status,
        "created_at": micro(snapshot.created_at),
        "name": snapshot.display_name,
        "description": snapshot.display_description,
    }
    if request.microversion >= 58 and request.caller.is_admin:
        view["project_id"] = snapshot.project_id
    return view


def _consistent_detail(snapshot: GroupSnapshot) -> Document:
    return {
        "id": snapshot.id,
        "consistencygroup_id": snapshot.group_id,
        "status": snapshot.status,
        "created_at": micro(snapshot.created_at),
        "name": snapshot.display_name,
        "description": snapshot.display_description,
    }


def _visible(cinder: "Cinder", request: Request, filtered: bool) -> list[GroupSnapshot]:
    caller = request.caller
    everyone = filtered and caller.is_admin and request.find("all_tenants") is not None
    return [
        one
        for one in cinder.group_snapshots.values()
        if everyone or one.project_id == caller.project_id
    ]


def _list(detailed: bool) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, 14)
        paged = request.microversion >= 29
        found = _visible(cinder, request, paged)
        more: Document = {}
        if paged:
            filters = keep_allowed(request, ("name", "status", "group_id"))
            found = [one for one in found if is_asked(one, filters)]
            found = sort_items(found, parse_order(request, _SORT_KEYS))
            path = "group_snapshots"
            found, links = slice_of(request, found, path, "GroupSnapshot", cinder.max_limit)
            more = {"group_snapshot_links": links} if links else {}
        else:
            found = sort_items(found, _NEWEST_FIRST)
        shown = [one for one in found if one.group_type is not cinder.consistent_type]
        views = [_detail(one, request) if detailed else _summary(one) for one in shown]
        return answer_json({"group_snapshots": views} | more)

    return index


def _list_consistent(detailed: bool) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        found = sort_items(_visible(cinder, request, False), _NEWEST_FIRST)
        offset = parse_offset(request)
        limit = parse_limit(request, cinder.max_limit) or cinder.max_limit
        page = found[offset : offset + limit]
        views = [_consistent_detail(one) if detailed else _summary(one) for one in page]
        return answer_json({"cgsnapshots": views})

    return index


def _make(
    cinder: "Cinder", caller: Caller, group: Group, name: str | None, description: str | None
) -> GroupSnapshot:
    require(caller, "write", "group:create_group_snapshot")
    volumes = volumes_of(cinder, group)
    if not volumes or group.status in ("creating", "updating"):
        refuse(
            400,
            "Invalid Group: Source group cannot be empty or in 'creating' or 'updating' state. No "
            "group snapshot will be created.",
        )
    weights = [
        quotas.typed({"snapshots": 1, "gigabytes": volume.size}, volume.volume_type)
        for volume in volumes
    ]
    amounts = quotas.add_up(weights)
    quotas.reserve(cinder, caller.project_id, amounts, "snapshots", amounts["gigabytes"])
    now = cinder.clock()
    made = GroupSnapshot(
        cinder.ids(), caller.project_id, caller.user_id, group.id, group.group_type, now, now,
        name, description,
    )  # fmt: skip
    cinder.group_snapshots[made.id] = made
    for volume in volumes:
        snapshot = Snapshot(
            cinder.ids(), caller.project_id, caller.user_id, volume.id, volume.size, now, now, name
        )
        snapshot.group_snapshot_id = made.id
        cinder.snapshots[snapshot.id] = snapshot
    return made


def _create(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 14)
    properties: Document = {
        "group_id": {"type": "string", "format": "uuid"},
        "name": _TEXT,
        "description": _TEXT,
    }
    inner = dict(object_of(properties, ("group_id",)))
    given = read(request, object_of({"group_snapshot": inner}, ("group_snapshot",)))
    given = given["group_snapshot"]
    group = get_group(cinder, request.caller, given["group_id"])
    check_generic(cinder, group.group_type, "group snapshots")
    made = _make(cinder, request.caller, group, given.get("name"), given.get("description"))
    view = {**_summary(made), "group_type_id": made.group_type_id}
    return answer_json({"group_snapshot": view}, 202)


def _create_consistent(cinder: "Cinder", request: Request) -> Answer:
    texts: Document = {key: {} for key in ("consistencygroup_id", "name", "description")}
    inner = dict(object_of(texts, ("consistencygroup_id",), extra=True))
    given = read(request, object_of({"cgsnapshot": inner}, ("cgsnapshot",), extra=True))
    given = given["cgsnapshot"]
    group = get_group(cinder, request.caller, given["consistencygroup_id"])
    made = _make(cinder, request.caller, group, given.get("name"), given.get("description"))
    return answer_json({"cgsnapshot": _summary(made)}, 202)


def _show(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 14)
    found = get_snapshot(cinder, request.caller, request.parameters["id"])
    check_generic(cinder, found.group_type, "group snapshots")
    return answer_json({"group_snapshot": _detail(found, request)})


def _show_consistent(cinder: "Cinder", request: Request) -> Answer:
    found = get_snapshot(cinder, request.caller, request.parameters["id"])
    return answer_json({"cgsnapshot": _consistent_detail(found)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 14)
    found = get_snapshot(cinder, request.caller, request.parameters["id"])
    check_generic(cinder, found.group_type, "group snapshots")
    return _delete_with_snapshots(cinder, request, found)


def _delete_consistent(cinder: "Cinder", request: Request) -> Answer:
    found = get_snapshot(cinder, request.caller, request.parameters["id"])
    return _delete_with_snapshots(cinder, request, found)


def _delete_with_snapshots(cinder: "Cinder", request: Request, found: GroupSnapshot) -> Answer:
    require(request.caller, "write", "group:delete_group_snapshot")
    if found.status not in ("available", "error"):
        refuse(
            400,
            "Invalid GroupSnapshot: GroupSnapshot status must be available or error, and no Group "
            "can be currently using it as source for its creation.",
        )
    for snapshot in list(cinder.snapshots.values()):
        if snapshot.group_snapshot_id == found.id:
            del cinder.snapshots[snapshot.id]
    del cinder.group_snapshots[found.id]
    return Answer(202)


def _act(cinder: "Cinder", request: Request) -> Answer:
    name = next(iter(body_of(request)), "")
    if name != "reset_status":
        refuse(
            400,
            f"There is no such action: {name}. Verify the request body and Content-Type "
            "header and try again.",
        )
    require_minor(request, 19)
    inner = dict(object_of({"status": {"type": "string"}}, ("status",)))
    status = read(request, object_of({name: inner}, (name,)))[name]["status"]
    found = get_snapshot(cinder, request.caller, request.parameters["id"])
    require(request.caller, "admin", "group:reset_group_snapshot_status")
    found.status, found.updated_at = status.lower(), cinder.clock()
    return Answer(202)


_GET_ALL, _GET = "group:get_all_group_snapshots", "group:get_group_snapshot"
_MAKE, _REMOVE = "group:create_group_snapshot", "group:delete_group_snapshot"
ROUTES = (
    ("GET", "/group_snapshots", "read", _GET_ALL, _list(False)),
    ("GET", "/group_snapshots/detail", "read", _GET_ALL, _list(True)),
    ("POST", "/group_snapshots", "write", _MAKE, _create),
    ("GET", "/group_snapshots/{id}", "read", _GET, _show),
    ("DELETE", "/group_snapshots/{id}", "write", _REMOVE, _delete),
    ("POST", "/group_snapshots/{id}/action", "write", "group:reset_group_snapshot_status", _act),
    ("GET", "/cgsnapshots", "read", _GET_ALL, _list_consistent(False)),
    ("GET", "/cgsnapshots/detail", "read", _GET_ALL, _list_consistent(True)),
    ("POST", "/cgsnapshots", "write", _MAKE, _create_consistent),
    ("GET", "/cgsnapshots/{id}", "read", _GET, _show_consistent),
    ("DELETE", "/cgsnapshots/{id}", "write", _REMOVE, _delete_consistent),
)
