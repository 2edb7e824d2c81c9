"""GET, POST, PUT, DELETE of volumes, their metadata and their summary."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.core.network.asking import is_uuid
from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    Request,
    answer_bytes,
    answer_json,
    encode,
    refuse,
)
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas, volume_actions
from tricircle.testing.cloud.volume.guards import get_volume, is_true, read, require
from tricircle.testing.cloud.volume.lists import (
    Order,
    find_start,
    is_asked,
    is_counted,
    keep_allowed,
    next_link,
    parse_limit,
    parse_offset,
    parse_order,
    sort_items,
)
from tricircle.testing.cloud.volume.records import Volume, VolumeType

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SORT_KEYS = (
    "id", "created_at", "updated_at", "display_name", "display_description", "status", "size",
    "availability_zone", "bootable", "host", "project_id", "user_id", "volume_type_id",
    "snapshot_id", "source_volid", "migration_status", "multiattach", "group_id",
)  # fmt: skip
_FILTERS = (
    "name",
    "status",
    "metadata",
    "bootable",
    "migration_status",
    "availability_zone",
    "group_id",
    "size",
    "created_at",
    "updated_at",
    "consumes_quota",
)
_TEXT: Document = {"type": ["string", "null"]}
_MULTIATTACH = (
    "multiattach parameter has been removed. The default behavior is to use multiattach enabled "
    "volume types. Contact your administrator to create a multiattach enabled volume type and use "
    "it to create multiattach volumes."
)
_UUID_OR_NONE: Document = {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}
_STEPS = (0, 13, 21, 48, 61, 63, 64, 65)


Handler = Callable[["Cinder", Request], Answer]


@dataclass(frozen=True, slots=True)
class ViewKey:
    """All that decides how a volume looks, beside the volume."""

    base: str
    project: str
    step: int
    is_admin: bool


class VolumeIndex:
    """Volumes in order, by project: made when asked for, forgotten on each change."""

    def __init__(self, cinder: "Cinder") -> None:
        self._cinder = cinder
        self._orders: dict[tuple[str | None, Order], tuple[list[Volume], dict[str, int]]] = {}

    def forget(self) -> None:
        """Drop all orders."""
        self._orders.clear()

    def get(self, project_id: str | None, order: Order) -> tuple[list[Volume], dict[str, int]]:
        """Return the volumes of a project, or all, in order, and where each one is."""
        key = (project_id, order)
        if key not in self._orders:
            volumes = [
                volume
                for volume in self._cinder.volumes.values()
                if project_id in (None, volume.project_id)
            ]
            ordered = sort_items(volumes, order)
            places = {volume.id: place for place, volume in enumerate(ordered)}
            self._orders[key] = (ordered, places)
        return self._orders[key]


def view_key(request: Request) -> ViewKey:
    """Return what decides how volumes look in the answer to a request."""
    step = max(step for step in _STEPS if step <= request.microversion)
    return ViewKey(request.base, request.url_project, step, request.caller.is_admin)


def links_of(base: str, project: str, collection: str, item_id: str) -> list[Document]:
    """Return the self and bookmark links of an item."""
    return [
        {"rel": "self", "href": f"{base}/v3{project}/{collection}/{item_id}"},
        {"rel": "bookmark", "href": f"{base}{project}/{collection}/{item_id}"},
    ]


def show_detail(volume: Volume, key: ViewKey) -> Document:
    """Return all of a volume a caller may see, with what extensions add to it."""
    view = show_core(volume, key)
    view["os-vol-tenant-attr:tenant_id"] = volume.project_id
    if volume.image_metadata:
        view["volume_image_metadata"] = volume.image_metadata
    if key.is_admin:
        view["os-vol-host-attr:host"] = volume.host
        view["os-vol-mig-status-attr:migstat"] = volume.migration_status
        view["os-vol-mig-status-attr:name_id"] = None
    return view


def show_core(volume: Volume, key: ViewKey) -> Document:
    """Return a volume as POST and PUT answer it."""
    view: Document = {
        "id": volume.id,
        "status": volume.status,
        "size": volume.size,
        "availability_zone": volume.availability_zone,
        "created_at": micro(volume.created_at),
        "updated_at": micro(volume.updated_at),
        "name": volume.display_name,
        "description": volume.display_description,
        "volume_type": volume.volume_type.name,
        "snapshot_id": volume.snapshot_id,
        "source_volid": volume.source_volid,
        "metadata": {**volume.metadata, **_visible_admin(volume)},
        "links": links_of(key.base, key.project, "volumes", volume.id),
        "user_id": volume.user_id,
        "bootable": str(volume.bootable).lower(),
        "encrypted": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "multiattach": volume.multiattach,
        "attachments": [_attachment_view(item, key) for item in volume.attachments
                        if item.status == "attached"],
    }  # fmt: skip
    if key.is_admin:
        view["migration_status"] = volume.migration_status
    _add_versioned(view, volume, key)
    return view


def _add_versioned(view: Document, volume: Volume, key: ViewKey) -> None:
    if key.step >= 13:
        view["group_id"] = volume.group_id
    if key.step >= 21 and key.is_admin:
        view["provider_id"] = None
    if key.step >= 48:
        view["shared_targets"] = False
        view["service_uuid"] = volume.service_uuid
    if key.step >= 61 and key.is_admin:
        view["cluster_name"] = None
    if key.step >= 63:
        view["volume_type_id"] = volume.volume_type.id
    if key.step >= 65:
        view["consumes_quota"] = True


def _visible_admin(volume: Volume) -> dict[str, str]:
    return {
        name: value
        for name, value in volume.admin_metadata.items()
        if name in ("readonly", "attached_mode")
    }


def _attachment_view(attachment: Json, key: ViewKey) -> Document:
    return {
        "id": attachment.volume_id,
        "attachment_id": attachment.id,
        "volume_id": attachment.volume_id,
        "server_id": attachment.instance_uuid,
        "host_name": attachment.host if key.is_admin else None,
        "device": attachment.mountpoint,
        "attached_at": micro(attachment.attach_time),
    }


def _encoded(volume: Volume, key: ViewKey) -> bytes:
    known = volume.encoded
    if known is not None and known[0] == key:
        return known[1]
    made = encode(show_detail(volume, key))
    volume.encoded = (key, made)
    return made


def _summary(volume: Volume, key: ViewKey) -> bytes:
    links = links_of(key.base, key.project, "volumes", volume.id)
    return encode({"id": volume.id, "name": volume.display_name, "links": links})


def list_summary(cinder: "Cinder", request: Request) -> Answer:
    """Answer GET /volumes."""
    return _list(cinder, request, "volumes")


def list_detail(cinder: "Cinder", request: Request) -> Answer:
    """Answer GET /volumes/detail."""
    return _list(cinder, request, "volumes/detail")


def _list(cinder: "Cinder", request: Request, collection: str) -> Answer:
    limit, order = parse_limit(request, cinder.max_limit), parse_order(request, _SORT_KEYS)
    offset = parse_offset(request)
    filters = keep_allowed(request, _FILTERS)
    everyone = request.caller.is_admin and request.find("all_tenants") in ("1", "true", "True")
    project_id = None if everyone else request.caller.project_id
    volumes, positions = cinder.index.get(project_id, order)
    start = find_start(request, volumes, positions, "Volume")
    page: list[Volume] = []
    for place in range(start, len(volumes)):
        if len(page) >= limit + offset:
            break
        if is_asked(volumes[place], filters):
            page.append(volumes[place])
    page = page[offset:]
    key, show = view_key(request), _summary if collection == "volumes" else _encoded
    body = b'{"volumes":[' + b",".join([show(volume, key) for volume in page]) + b"]"
    counted = is_counted(request)
    total = sum(is_asked(volume, filters) for volume in volumes)
    if page and limit <= (total if counted else len(page)):
        body += b',"volumes_links":' + encode(next_link(request, collection, page[-1].id))
    if counted:
        body += b',"count":' + str(total).encode()
    return answer_bytes(body + b"}")


def summary(cinder: "Cinder", request: Request) -> Answer:
    """Answer GET /volumes/summary (3.12)."""
    if request.microversion < 12:
        refuse(404, "The resource could not be found.")
    everyone = request.caller.is_admin and is_true(request.find("all_tenants"))
    # What members may not ask for is ignored here, not refused; and metadata are unfiltered.
    filters = {key: value for key, value in request.pairs if key in _FILTERS}
    owned = [
        volume
        for volume in cinder.volumes.values()
        if everyone or volume.project_id == request.caller.project_id
    ]
    found = [volume for volume in owned if is_asked(volume, filters)]
    view: Document = {"total_count": len(found), "total_size": sum(item.size for item in found)}
    if request.microversion >= 36:
        metadata: dict[str, list[str]] = {}
        for volume in owned:
            for name, text in volume.metadata.items():
                values = metadata.setdefault(name, [])
                if text not in values:
                    values.append(text)
        view["metadata"] = metadata
    return answer_json({"volume-summary": view})


def show(cinder: "Cinder", request: Request) -> Answer:
    """Answer GET /volumes/{id}."""
    volume = get_volume(cinder, request.caller, request.parameters["id"])
    return answer_bytes(b'{"volume":' + _encoded(volume, view_key(request)) + b"}")


def _create_schema(minor: int) -> Schema:
    properties: Document = {
        "name": _TEXT,
        "description": _TEXT,
        "display_name": _TEXT,
        "display_description": _TEXT,
        "volume_type": _TEXT,
        "metadata": {"type": ["object", "null"], "patternProperties": {".*": {"type": "string"}}},
        "snapshot_id": _UUID_OR_NONE,
        "source_volid": _UUID_OR_NONE,
        "consistencygroup_id": _UUID_OR_NONE,
        "size": {"type": ["integer", "string", "null"], "pattern": "^[0-9]+$", "minimum": 1},
        "availability_zone": _TEXT,
        "multiattach": {},
        "image_id": _TEXT,
        "imageRef": _TEXT,
    }
    if minor >= 13:
        properties["group_id"] = _TEXT
    if minor >= 47:
        properties["backup_id"] = _UUID_OR_NONE
    volume = dict(object_of(properties, extra=minor < 53))
    hints = {"type": ["object", "null"]}
    return object_of({"volume": volume, "OS-SCH-HNT:scheduler_hints": hints}, ("volume",))


def create(cinder: "Cinder", request: Request) -> Answer:
    """Answer POST /volumes."""
    given = read(request, _create_schema(request.microversion))["volume"]
    caller = request.caller
    for name in ("name", "description", "display_name", "display_description"):
        _check_length(name, given.get(name))
    if is_true(given.get("multiattach")):
        refuse(400, _MULTIATTACH)
    kind = find_type(cinder, caller, given.get("volume_type")) or cinder.default_type
    size, snapshot_id, source_id = _size(cinder, caller, given)
    require(caller, "write", "volume:create")
    zone = given.get("availability_zone") or cinder.zone
    if zone != cinder.zone:
        refuse(400, f"Availability zone '{zone}' is invalid.")
    image_id = (given.get("imageRef") or given.get("image_id") or "").rsplit("/", 1)[-1]
    if image_id:
        cinder.get_image(image_id)
    name, description = given.get("name"), given.get("description")
    volume = add_volume(
        cinder,
        caller,
        size,
        given.get("display_name", name),
        given.get("display_description", description),
        kind,
    )
    volume.metadata = dict(given.get("metadata") or {})
    volume.snapshot_id, volume.source_volid = snapshot_id, source_id
    if image_id:
        cinder.copy_image(volume, image_id)
    volume.group_id = given.get("group_id")
    view = show_core(volume, view_key(request))
    view |= {"status": "creating", "updated_at": None}
    if request.microversion >= 48:
        view |= {"shared_targets": True, "service_uuid": None}
    _schedule(cinder, request, volume)
    return answer_json({"volume": view}, 202)


def add_volume(
    cinder: "Cinder",
    caller: Caller,
    size: int,
    name: str | None,
    description: str | None,
    kind: VolumeType | None = None,
) -> Volume:
    """Return a new volume of a project; raises Refused when its quota is used up."""
    now, kind = cinder.clock(), kind or cinder.default_type
    quotas.reserve_volume(cinder, caller.project_id, size, kind)
    volume = Volume(
        cinder.ids(), caller.project_id, caller.user_id, size, now, now, cinder.zone, kind,
        cinder.host, _stripped(name), _stripped(description),
    )  # fmt: skip
    volume.multiattach = kind.extra_specs.get("multiattach") == "<is> True"
    volume.service_uuid = cinder.service_id
    cinder.volumes[volume.id] = volume
    cinder.index.forget()
    return volume


def _schedule(cinder: "Cinder", request: Request, volume: Volume) -> None:
    """Put a volume in error when no backend is what its type wants."""
    wanted = volume.volume_type.extra_specs.get("volume_backend_name")
    if wanted not in (None, *(pool.partition("#")[2] for pool in cinder.pools)):
        volume.status, volume.host = "error", ""
        cinder.tell_of_no_backend(volume, cinder.request_id())


def _check_length(name: str, value: str | None) -> None:
    if value is not None and len(value) > 255:
        refuse(400, f"Invalid input received: {name} has {len(value)} characters, more than 255.")


def _stripped(value: str | None) -> str | None:
    return value.strip() if value is not None else None


def _size(cinder: "Cinder", caller: Caller, given: Document) -> tuple[int, str | None, str | None]:
    snapshot_id, source_id = given.get("snapshot_id"), given.get("source_volid")
    size = given.get("size")
    if snapshot_id is not None:
        snapshot = cinder.find_snapshot(caller, snapshot_id)
        if snapshot is None:
            refuse(404, f"Snapshot {snapshot_id} could not be found.")
        size = size if size is not None else snapshot.volume_size
        if int(size) < snapshot.volume_size:
            refuse(
                400,
                f"Invalid input received: Volume size '{size}'GB cannot be smaller than "
                f"the snapshot size {snapshot.volume_size}GB. They must be >= original "
                "snapshot size.",
            )
    if source_id is not None:
        source = get_volume(cinder, caller, source_id)
        size = size if size is not None else source.size
    backup_id = given.get("backup_id")
    if backup_id:
        size = _size_from_backup(cinder, caller, backup_id, size)
    if size is None:
        refuse(
            400,
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect.",
        )
    return int(size), snapshot_id, source_id


def _size_from_backup(
    cinder: "Cinder", caller: Caller, backup_id: str, size: int | str | None
) -> int:
    backup = cinder.backups.get(backup_id)
    if backup is None or not (caller.is_admin or backup.project_id == caller.project_id):
        refuse(404, f"Backup {backup_id} could not be found.")
    if backup.status != "available":
        refuse(
            400,
            "Invalid backup: Originating backup status must be one of 'available' values",
        )
    wanted = int(size) if size is not None else backup.size
    if wanted < backup.size:
        refuse(
            400,
            f"Invalid input received: Volume size {wanted}GB cannot be smaller than the backup "
            f"size {backup.size}GB. It must be >= backup size.",
        )
    return wanted


def find_type(cinder: "Cinder", caller: Caller, wanted: str | None) -> VolumeType | None:
    """Return a volume type by name or id; 404 if the caller sees none."""
    if not wanted:
        return None
    for kind in cinder.types.values():
        allowed = kind.is_public or caller.is_admin or caller.project_id in kind.projects
        if wanted in (kind.id, kind.name) and allowed:
            return kind
    named = "" if is_uuid(wanted) else "with name "
    refuse(404, f"Volume type {named}{wanted} could not be found.")


def update(cinder: "Cinder", request: Request) -> Answer:
    """Answer PUT /volumes/{id}."""
    names = ("name", "description", "display_name", "display_description")
    properties: Document = dict.fromkeys(names, _TEXT)
    properties["metadata"] = {"type": "object"}
    inner = dict(object_of(properties))
    if request.microversion >= 53:
        inner["anyOf"] = [{"required": [name]} for name in properties]
    schema = object_of({"volume": inner}, ("volume",))
    given = read(request, schema)["volume"]
    volume = get_volume(cinder, request.caller, request.parameters["id"])
    require(request.caller, "write", "volume:update")
    for name in names:
        if name in given:
            field = name if name.startswith("display_") else f"display_{name}"
            setattr(volume, field, _stripped(given[name]))
    if "metadata" in given:
        volume.metadata = dict(given["metadata"])
    cinder.touch(volume)
    return answer_json({"volume": show_core(volume, view_key(request))})


def delete(cinder: "Cinder", request: Request) -> Answer:
    """Answer DELETE /volumes/{id}."""
    volume = get_volume(cinder, request.caller, request.parameters["id"])
    require(request.caller, "write", "volume:delete")
    force = request.microversion >= 23 and is_true(request.find("force"))
    if force:
        require(request.caller, "admin", "volume:force_delete")
    volume_actions.delete_volume(cinder, volume, force, is_true(request.find("cascade")))
    return Answer(202)


ROUTES = (
    ("GET", "/volumes", "read", "volume:get_all", list_summary),
    ("GET", "/volumes/detail", "read", "volume:get_all", list_detail),
    ("GET", "/volumes/summary", "read", "volume:get_all", summary),
    ("POST", "/volumes", "write", "volume:create", create),
    ("GET", "/volumes/{id}", "read", "volume:get", show),
    ("PUT", "/volumes/{id}", "write", "volume:update", update),
    ("DELETE", "/volumes/{id}", "write", "volume:delete", delete),
    ("POST", "/volumes/{id}/action", "write", "volume", volume_actions.act),
)
