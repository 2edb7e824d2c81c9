"""Groups of volumes (3.13), and the same groups as the older API of consistency groups has them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, body_message, find_error, object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas
from tricircle.testing.cloud.volume.guards import (
    body_of,
    get_owned,
    is_true,
    read,
    require,
    require_minor,
)
from tricircle.testing.cloud.volume.lists import (
    NOT_FILTERS,
    is_asked,
    keep_allowed,
    parse_order,
    slice_of,
    sort_items,
)
from tricircle.testing.cloud.volume.records import GroupType, Volume, VolumeType
from tricircle.testing.cloud.volume.volumes import find_type

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SORT_KEYS = (
    "id", "created_at", "updated_at", "display_name", "description", "status", "host",
    "availability_zone",
    "project_id", "user_id", "group_type_id", "group_snapshot_id", "source_group_id",
    "replication_status",
)  # fmt: skip
_TEXT: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_UUID: Document = {"type": "string", "format": "uuid"}
_BOOLEAN: Document = {"type": ["boolean", "string"]}


@dataclass(slots=True, eq=False)
class Group:
    """A group of volumes, of a consistent type when the older API made it."""

    id: str
    project_id: str
    user_id: str
    created_at: datetime
    updated_at: datetime | None
    availability_zone: str
    host: str
    group_type: GroupType
    volume_types: list[VolumeType]
    display_name: str | None = None
    display_description: str | None = None
    status: str = "available"
    group_snapshot_id: str | None = None
    source_group_id: str | None = None
    replication_status: str = "disabled"

    @property
    def group_type_id(self) -> str:
        """The id of its type."""
        return self.group_type.id

    @property
    def description(self) -> str | None:
        """What lists are sorted by, as its column is called."""
        return self.display_description


def volumes_of(cinder: "Cinder", group: Group) -> list[Volume]:
    """Return the volumes of a group."""
    return [volume for volume in cinder.volumes.values() if volume.group_id == group.id]


def get_group(cinder: "Cinder", caller: Caller, group_id: str) -> Group:
    """Return a group the caller sees; raises Refused as for an absent one."""
    return get_owned(cinder.groups, caller, group_id, "Group")


def check_generic(cinder: "Cinder", group_type: GroupType, what: str = "group") -> None:
    """Raise Refused for a type that only the older API may use."""
    if group_type is cinder.consistent_type:
        whose, api = ("group", "CG") if what == "group" else ("group snapshots", "CG snapshot")
        refuse(
            400,
            f"Group_type {group_type.id} is reserved for migrating CGs to groups. Migrated "
            f"{whose} can only be operated by {api} APIs.",
        )


def _summary(group: Group) -> Document:
    return {"id": group.id, "name": group.display_name}


def _common(group: Group) -> Document:
    return {
        "id": group.id,
        "status": group.status,
        "availability_zone": group.availability_zone,
        "created_at": micro(group.created_at),
        "name": group.display_name,
        "description": group.display_description,
    }


def _detail(cinder: "Cinder", group: Group, request: Request) -> Document:
    view: Document = {
        **_common(group),
        "group_type": group.group_type_id,
        "volume_types": [kind.id for kind in group.volume_types],
    }
    if request.microversion >= 14:
        view["group_snapshot_id"] = group.group_snapshot_id
        view["source_group_id"] = group.source_group_id
    if request.microversion >= 25 and is_true(request.find("list_volume")):
        view["volumes"] = [volume.id for volume in volumes_of(cinder, group)]
    if request.microversion >= 38:
        view["replication_status"] = group.replication_status
    if request.microversion >= 58 and request.caller.is_admin:
        view["project_id"] = group.project_id
    return view


def _consistent_detail(group: Group) -> Document:
    return {**_common(group), "volume_types": [kind.id for kind in group.volume_types]}


# Lists.


def _page(
    cinder: "Cinder", request: Request, found: list[Group], path: str
) -> tuple[list[Group], Document]:
    caller = request.caller
    if not (caller.is_admin and request.find("all_tenants") is not None):
        found = [group for group in found if group.project_id == caller.project_id]
    found = sort_items(found, parse_order(request, _SORT_KEYS))
    page, links = slice_of(request, found, path, "Group", cinder.max_limit)
    name = path.partition("s/")[0].removesuffix("s")
    return page, {f"{name}_links": links} if links else {}


def _list(detailed: bool) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, 13)
        filters = keep_allowed(request, ("name",))
        filters.pop("list_volume", None)
        found = [
            group
            for group in cinder.groups.values()
            if group.group_type is not cinder.consistent_type and is_asked(group, filters)
        ]
        # Links lead to the short list, also from the detailed one.
        page, more = _page(cinder, request, found, "groups")
        views = [_detail(cinder, group, request) if detailed else _summary(group) for group in page]
        return answer_json({"groups": views} | more)

    return index


def _list_consistent(detailed: bool) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        filters = {name: value for name, value in request.pairs if name not in NOT_FILTERS}
        found = [group for group in cinder.groups.values() if is_asked(group, filters)]
        page, more = _page(cinder, request, found, "consistencygroups")
        views = [_consistent_detail(group) if detailed else _summary(group) for group in page]
        return answer_json({"consistencygroups": views} | more)

    return index


# Creation.


def _create_schema() -> Schema:
    properties: Document = {
        "description": _TEXT,
        "group_type": {"type": "string"},
        "name": _TEXT,
        "volume_types": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "maxLength": 255},
            "uniqueItems": True,
        },
        "availability_zone": {"type": ["string", "null"]},
    }
    inner = dict(object_of(properties, ("group_type", "volume_types")))
    return object_of({"group": inner}, ("group",))


def _get_group_type(cinder: "Cinder", wanted: str) -> GroupType:
    by_id = cinder.group_types.get(wanted)
    by_name = (kind for kind in cinder.group_types.values() if kind.name == wanted)
    found = by_id or next(by_name, None)
    if found is None:
        words = "" if len(wanted) == 36 else "with name "
        refuse(404, f"Group type {words}{wanted} could not be found.")
    return found


def _make(
    cinder: "Cinder", request: Request, group_type: GroupType, names: list[str], given: Document
) -> Group:
    require(request.caller, "write", "group:create")
    types = [find_type(cinder, request.caller, name) for name in names]
    zone = given.get("availability_zone") or cinder.zone
    if zone != cinder.zone:
        refuse(400, f"Invalid input received: Availability zone '{zone}' is invalid.")
    return _add(cinder, request.caller, group_type, [kind for kind in types if kind], given)


def _add(
    cinder: "Cinder",
    caller: Caller,
    group_type: GroupType,
    types: list[VolumeType],
    given: Document,
) -> Group:
    quotas.reserve(cinder, caller.project_id, {"groups": 1}, "groups")
    now = cinder.clock()
    group = Group(
        cinder.ids(), caller.project_id, caller.user_id, now, now, cinder.zone,
        cinder.host, group_type, types, given.get("name"), given.get("description"),
    )  # fmt: skip
    cinder.groups[group.id] = group
    return group


def _create(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 13)
    given = read(request, _create_schema())["group"]
    group_type = _get_group_type(cinder, given["group_type"])
    check_generic(cinder, group_type)
    group = _make(cinder, request, group_type, given["volume_types"], given)
    return answer_json({"group": _summary(group)}, 202)


def _act_on_all(cinder: "Cinder", request: Request) -> Answer:
    """Answer POST /groups/action, whose only action makes a group."""
    body = body_of(request)
    name = next(iter(body), "")
    if name != "create-from-src":
        _refuse_action(name)
    require_minor(request, 14)
    properties: Document = {
        "description": _TEXT,
        "name": _TEXT,
        "source_group_id": _UUID,
        "group_snapshot_id": _UUID,
    }
    inner = dict(object_of(properties))
    inner["oneOf"] = [{"required": ["group_snapshot_id"]}, {"required": ["source_group_id"]}]
    given = read(request, object_of({name: inner}, (name,)))[name]
    snapshot_id, source_id = given.get("group_snapshot_id"), given.get("source_group_id")
    group = _copy(cinder, request, snapshot_id, source_id, given)
    return answer_json({"group": _summary(group)}, 202)


def _copy(
    cinder: "Cinder",
    request: Request,
    snapshot_id: str | None,
    source_id: str | None,
    given: Document,
) -> Group:
    """Return a new group with copies of all volumes of a group, now or as in a snapshot."""
    caller = request.caller
    if snapshot_id:
        source = cinder.groups[cinder.get_group_snapshot(caller, snapshot_id).group_id]
        taken = [one for one in cinder.snapshots.values() if one.group_snapshot_id == snapshot_id]
        volumes = [cinder.volumes[one.volume_id] for one in taken]
    else:
        source = get_group(cinder, caller, source_id or "")
        volumes = volumes_of(cinder, source)
    require(caller, "write", "group:create")
    if not volumes:
        what = "Group snapshot" if snapshot_id else "Source Group"
        refuse(400, f"Invalid Group: {what} is empty. No group will be created.")
    group = _add(cinder, caller, source.group_type, source.volume_types, given)
    group.group_snapshot_id, group.source_group_id = snapshot_id, source_id
    for volume in volumes:
        [made] = cinder.add_volumes(1, caller.project_id, volume.display_name or "", caller.user_id)
        made.size, made.volume_type, made.group_id = volume.size, volume.volume_type, group.id
    return group


def _create_consistent(cinder: "Cinder", request: Request) -> Answer:
    inner = dict(
        object_of(
            {"name": _TEXT, "description": _TEXT, "volume_types": {}}, ("volume_types",), extra=True
        )
    )
    schema = object_of({"consistencygroup": inner}, ("consistencygroup",), extra=True)
    require(request.caller, "write", "group:create")
    given = read(request, schema)["consistencygroup"]
    if not given["volume_types"]:
        refuse(
            400,
            f"volume_types must be provided to create consistency group {given.get('name')}.",
        )
    names = given["volume_types"].rstrip(",").split(",")
    group = _make(cinder, request, cinder.consistent_type, names, given)
    return answer_json({"consistencygroup": _summary(group)}, 202)


def _copy_consistent(cinder: "Cinder", request: Request) -> Answer:
    name = "consistencygroup-from-src"
    require(request.caller, "write", "group:create")
    given = read(request, object_of({name: {"type": "object"}}, (name,), extra=True))[name]
    snapshot_id, source_id = given.get("cgsnapshot_id"), given.get("source_cgid")
    what = f"consistency group {given.get('name')} from source."
    if not snapshot_id and not source_id:
        refuse(400, f"Either 'cgsnapshot_id' or 'source_cgid' must be provided to create {what}")
    if snapshot_id and source_id:
        refuse(400, f"Cannot provide both 'cgsnapshot_id' and 'source_cgid' to create {what}")
    group = _copy(cinder, request, snapshot_id, source_id, given)
    return answer_json({"consistencygroup": _summary(group)}, 202)


# One group.


def _show(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 13)
    group = get_group(cinder, request.caller, request.parameters["id"])
    check_generic(cinder, group.group_type)
    return answer_json({"group": _detail(cinder, group, request)})


def _show_consistent(cinder: "Cinder", request: Request) -> Answer:
    group = get_group(cinder, request.caller, request.parameters["id"])
    return answer_json({"consistencygroup": _consistent_detail(group)})


_UPDATED = ("name", "description", "add_volumes", "remove_volumes")


def _update(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 13)
    inner = dict(object_of(dict.fromkeys(_UPDATED, _TEXT)))
    inner["anyOf"] = [{"required": [name]} for name in _UPDATED]
    given = read(request, object_of({"group": inner}, ("group",)))["group"]
    group = get_group(cinder, request.caller, request.parameters["id"])
    check_generic(cinder, group.group_type)
    _change(cinder, request.caller, group, given)
    return Answer(202)


def _update_consistent(cinder: "Cinder", request: Request) -> Answer:
    inner = dict(object_of(dict.fromkeys(_UPDATED, _TEXT), extra=True))
    schema = object_of({"consistencygroup": inner}, ("consistencygroup",), extra=True)
    given = read(request, schema)["consistencygroup"]
    group = get_group(cinder, request.caller, request.parameters["id"])
    require(request.caller, "write", "group:update")
    if not any(given.get(name) for name in _UPDATED):
        # The path with 'update' is the extension's, which knows no microversions.
        is_old = request.microversion < 6 or request.path.endswith("/update")
        refuse(
            400,
            "Name, description, add_volumes, and remove_volumes can not be all empty in the "
            "request body."
            if is_old
            else "Must specify one or more of the following keys to update: name, description, "
            "add_volumes, remove_volumes.",
        )
    _change(cinder, request.caller, group, given)
    return Answer(202)


def _change(cinder: "Cinder", caller: Caller, group: Group, given: Document) -> None:
    require(caller, "write", "group:update")
    added = [volume_id for volume_id in (given.get("add_volumes") or "").split(",") if volume_id]
    gone = [volume_id for volume_id in (given.get("remove_volumes") or "").split(",") if volume_id]
    both = [volume_id for volume_id in added if volume_id in gone]
    if both:
        refuse(400, f"Invalid volume: UUIDs {both} are in both add and remove volume list.")
    joining = [_get_joining(cinder, caller, group, volume_id) for volume_id in added]
    inside = {volume.id: volume for volume in volumes_of(cinder, group)}
    for volume_id in gone:
        if volume_id not in inside:
            refuse(
                400,
                f"Invalid volume: Cannot remove volume {volume_id} from group {group.id} "
                "because it is not in the group.",
            )
    for volume in joining:
        volume.group_id = group.id
        cinder.touch(volume)
    for volume_id in gone:
        inside[volume_id].group_id = None
        cinder.touch(inside[volume_id])
    group.display_name = given.get("name") or group.display_name
    group.display_description = given.get("description") or group.display_description
    group.updated_at = cinder.clock()


def _get_joining(cinder: "Cinder", caller: Caller, group: Group, volume_id: str) -> Volume:
    """Return a volume that may go into a group; raises Refused."""
    volume, words = cinder.find_visible(caller, volume_id), ""
    if volume is None:
        words = "volume cannot be found"
    elif volume.group_id not in (None, group.id):
        words = f"it is already in group {volume.group_id}"
    elif volume.volume_type not in group.volume_types:
        words = f"volume type {volume.volume_type_id} is not supported by the group"
    elif volume.status not in ("available", "in-use"):
        words = (
            f"volume is in an invalid state: {volume.status}. Valid states are: "
            "('available', 'in-use')"
        )
    if volume is None or words:
        refuse(
            400,
            f"Invalid volume: Cannot add volume {volume_id} to group {group.id} because {words}.",
        )
    return volume


def _delete(cinder: "Cinder", caller: Caller, group: Group, with_volumes: bool) -> None:
    require(caller, "write", "group:delete")
    if not with_volumes and group.status not in ("available", "error"):
        refuse(
            400,
            "Invalid Group: Group status must be available or error, but current status is: "
            f"{group.status}",
        )
    if any(one.group_id == group.id for one in cinder.group_snapshots.values()):
        refuse(400, "Invalid Group: Group has existing snapshots.")
    volumes = volumes_of(cinder, group)
    if volumes and not with_volumes:
        refuse(
            400,
            f"Invalid Group: Group {group.id} still contains volumes. The delete-volumes flag is "
            "required to delete it.",
        )
    for volume in volumes:
        if volume.attachments:
            refuse(
                400,
                f"Invalid Group: Volume in group {group.id} is attached. Need to detach first.",
            )
        if any(one.volume_id == volume.id for one in cinder.snapshots.values()):
            refuse(400, "Invalid Group: Volume in group still has dependent snapshots.")
    for volume in volumes:
        del cinder.volumes[volume.id]
    cinder.index.forget()
    del cinder.groups[group.id]


def _delete_consistent(cinder: "Cinder", request: Request) -> Answer:
    force = False
    if request.body:
        inner = dict(object_of({"force": _BOOLEAN}, extra=True))
        schema = object_of({"consistencygroup": inner}, ("consistencygroup",), extra=True)
        force = is_true(read(request, schema)["consistencygroup"].get("force", False))
    elif request.method == "DELETE":
        # Its schema is for a body, and it has none.
        refuse(
            400,
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect.",
        )
    group = get_group(cinder, request.caller, request.parameters["id"])
    _delete(cinder, request.caller, group, force)
    return Answer(202)


def _delete_plainly(cinder: "Cinder", request: Request) -> Answer:
    """Fail as Cinder does, which has the route and nothing behind it."""
    refuse(
        500,
        "The server has either erred or is incapable of performing the requested operation.",
    )


# Actions.


def _refuse_action(name: str) -> None:
    refuse(
        400,
        f"There is no such action: {name}. Verify the request body and Content-Type "
        "header and try again.",
    )


@dataclass(frozen=True, slots=True)
class _Action:
    since: int
    schema: Schema
    do: Callable[["Cinder", Request, Group, Json], Answer]


def _act(cinder: "Cinder", request: Request) -> Answer:
    body = body_of(request)
    name = next(iter(body), "")
    if name not in _ACTIONS:
        _refuse_action(name)
    action = _ACTIONS[name]
    require_minor(request, action.since)
    error = find_error(object_of({name: dict(action.schema)}, (name,)), body)
    if error is not None:
        refuse(400, body_message(error))
    group = get_group(cinder, request.caller, request.parameters["id"])
    return action.do(cinder, request, group, body[name])


def _delete_group(cinder: "Cinder", request: Request, group: Group, given: Json) -> Answer:
    check_generic(cinder, group.group_type)
    _delete(cinder, request.caller, group, is_true(given.get("delete-volumes", False)))
    return Answer(202)


def _reset_status(cinder: "Cinder", request: Request, group: Group, given: Json) -> Answer:
    require(request.caller, "admin", "group:reset_status")
    group.status, group.updated_at = given["status"].lower(), cinder.clock()
    return Answer(202)


def _replicate(action: str) -> Callable[["Cinder", Request, Group, Json], Answer]:
    """Return what refuses a replication: no type of the simulation replicates."""

    def refuse_it(cinder: "Cinder", request: Request, group: Group, given: Json) -> Answer:
        require(request.caller, "write", f"group:{action}")
        refuse(400, f"Invalid group type: Group {group.id} is not a replication group type.")

    return refuse_it


_REPLICATIONS = (
    "enable_replication", "disable_replication", "failover_replication",
    "list_replication_targets",
)  # fmt: skip
_ACTIONS = {
    "delete": _Action(13, object_of({"delete-volumes": _BOOLEAN}), _delete_group),
    "reset_status": _Action(20, object_of({"status": {"type": "string"}}, ("status",)),
                            _reset_status),
    **{name: _Action(38, object_of({}, extra=True), _replicate(name)) for name in _REPLICATIONS},
}  # fmt: skip

_OLD = "/consistencygroups"
ROUTES = (
    ("GET", "/groups", "read", "group:get_all", _list(False)),
    ("GET", "/groups/detail", "read", "group:get_all", _list(True)),
    ("POST", "/groups", "write", "group:create", _create),
    ("POST", "/groups/action", "write", "group:create", _act_on_all),
    ("GET", "/groups/{id}", "read", "group:get", _show),
    ("PUT", "/groups/{id}", "write", "group:update", _update),
    ("DELETE", "/groups/{id}", "write", "group:delete", _delete_plainly),
    ("POST", "/groups/{id}/action", "write", "group:delete", _act),
    ("GET", _OLD, "read", "group:get_all", _list_consistent(False)),
    ("GET", f"{_OLD}/detail", "read", "group:get_all", _list_consistent(True)),
    ("POST", _OLD, "write", "group:create", _create_consistent),
    ("POST", f"{_OLD}/create_from_src", "write", "group:create", _copy_consistent),
    ("GET", f"{_OLD}/{{id}}", "read", "group:get", _show_consistent),
    ("PUT", f"{_OLD}/{{id}}", "write", "group:update", _update_consistent),
    ("PUT", f"{_OLD}/{{id}}/update", "write", "group:update", _update_consistent),
    ("DELETE", f"{_OLD}/{{id}}", "write", "group:delete", _delete_consistent),
    ("POST", f"{_OLD}/{{id}}/delete", "write", "group:delete", _delete_consistent),
)
