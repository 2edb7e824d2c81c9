"""POST /volumes/{id}/action, and the deletion of volumes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import body_message, find_error, object_of
from tricircle.testing.cloud.volume import attachments, quotas
from tricircle.testing.cloud.volume.guards import (
    body_of,
    empty,
    get_cluster_host,
    get_volume,
    is_true,
    require,
)
from tricircle.testing.cloud.volume.records import Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

Doer = Callable[["Cinder", Request, Volume, Json], Answer]
_GONE = "The resource could not be found."
_NO_RETYPE = (
    "Invalid volume: Retype needs volume to be in available or in-use state, not be part of an "
    "active migration or a consistency group, requested type has to be different that the one "
    "from the volume, and for in-use volumes front-end qos specs cannot change."
)


@dataclass(frozen=True, slots=True)
class Action:
    """One action; `properties` and `required` are the schema of its value."""

    rule: str
    do: Doer
    properties: Document | None = None
    required: tuple[str, ...] = ()
    need: str = "write"
    since: int = 0


def act(cinder: "Cinder", request: Request) -> Answer:
    """Answer POST /volumes/{id}/action, checking in Cinder's order."""
    body = body_of(request)
    if len(body) != 1:
        refuse(400, "Malformed request body")
    name = next(iter(body))
    action = ACTIONS.get(name)
    if action is None:
        refuse(
            400,
            f"There is no such action: {name}. Verify the request body and Content-Type "
            "header and try again.",
        )
    if request.microversion < action.since:
        refuse(404, _GONE)
    if action.properties is not None:
        inner = dict(object_of(action.properties, action.required, extra=True))
        error = find_error(object_of({name: inner}, (name,)), body)
        if error is not None:
            refuse(400, body_message(error))
    volume = get_volume(cinder, request.caller, request.parameters["id"])
    require(request.caller, action.need, action.rule)
    return action.do(cinder, request, volume, body[name])


def delete_volume(cinder: "Cinder", volume: Volume, force: bool, cascade: bool) -> None:
    """Delete a volume, or refuse in Cinder's words."""
    snapshots = [item for item in cinder.snapshots.values() if item.volume_id == volume.id]
    deletable = ("available", "error", "error_restoring", "error_extending", "error_managing")
    if (
        (volume.status not in deletable and not force)
        or volume.attachments
        or volume.group_id
        or (snapshots and not cascade)
    ):
        refuse(
            400,
            "Invalid volume: Volume status must be available or error or error_restoring "
            "or error_extending or error_managing and must not be migrating, attached, "
            "belong to a group, have snapshots, awaiting a transfer, or be "
            "disassociated from snapshots after volume transfer.",
        )
    for snapshot in snapshots:
        del cinder.snapshots[snapshot.id]
    del cinder.volumes[volume.id]
    cinder.index.forget()


def _set_status(cinder: "Cinder", volume: Volume, status: str) -> Answer:
    volume.status = status
    cinder.touch(volume)
    return empty(202)


def _extend(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    size = int(given["new_size"])
    usable = ("available", "in-use") if request.microversion >= 42 else ("available",)
    if size <= volume.size:
        refuse(
            400,
            "Invalid input received: New size for extend must be greater than current "
            f"size. (current: {volume.size}, extended: {size}).",
        )
    if volume.status not in usable:
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be '{usable[0]}' to extend, "
            f"currently {volume.status}.",
        )
    growth = size - volume.size
    quotas.check_size(cinder, request.caller.project_id, size)
    amounts = quotas.typed({"gigabytes": growth}, volume.volume_type)
    quotas.reserve(cinder, volume.project_id, amounts, "volumes", growth, told="gigabytes")
    volume.size = size
    cinder.touch(volume)
    return empty(202)


def _reserve(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if volume.status != "available" and not (volume.multiattach and volume.status == "in-use"):
        refuse(
            400,
            "Invalid volume: Volume status must be available to reserve, but the status "
            f"is {volume.status}.",
        )
    return _set_status(cinder, volume, "attaching")


def _unreserve(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if volume.status != "attaching":
        return empty(202)
    return _set_status(cinder, volume, "in-use" if volume.attachments else "available")


def _begin_detaching(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if volume.status != "in-use":
        refuse(
            400,
            "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and "
            "attach_status must be 'attached' to detach.",
        )
    return _set_status(cinder, volume, "detaching")


def _roll_detaching(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if volume.status != "detaching":
        return empty(202)
    return _set_status(cinder, volume, "in-use")


def _attach(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    server_id = given.get("instance_uuid") or ""
    host = given.get("host_name")
    made = cinder.attach_to_server(volume.id, server_id, given["mountpoint"], host)
    cinder.attachments[made].is_in_server = False
    return empty(202)


def _detach(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    wanted = given.get("attachment_id") if isinstance(given, dict) else None
    if wanted is None and len(volume.attachments) > 1:
        refuse(
            400,
            "Invalid volume: Detach volume failed: More than one attachment, but no "
            "attachment_id provided.",
        )
    chosen = [item for item in volume.attachments if wanted in (None, item.id)]
    if wanted is not None and not chosen:
        refuse(404, f"Volume attachment could not be found with filter: attachment_id = {wanted}.")
    for item in chosen:
        attachments.require_may_detach(cinder, request, item)
        cinder.detach_from_server(volume.id, item.id, False)
    if not chosen:
        _set_status(cinder, volume, "available")
    return empty(202)


def _initialize(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    data = {
        "target_iqn": f"iqn.2010-10.org.openstack:{volume.id}",
        "target_lun": 1,
        "target_portal": "127.0.0.1:3260",
        "volume_id": volume.id,
    }
    info = {"driver_volume_type": "iscsi", "data": data, "enforce_multipath": False}
    return answer_json({"connection_info": info})


def _terminate(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    return empty(202)


def _upload(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    usable = ("available", "in-use") if is_true(given.get("force")) else ("available",)
    if volume.status not in usable:
        refuse(400, f"Invalid volume: Volume {volume.id} status must be {' or '.join(usable)}")
    if cinder.images is None:
        refuse(500, "There is no image service.")
    image = cinder.images.add(given["image_name"], volume.project_id, "private")
    view: Document = {
        "id": volume.id,
        "updated_at": None,
        "status": "uploading",
        "display_description": volume.display_description,
        "size": volume.size,
        "volume_type": {"id": volume.volume_type.id, "name": volume.volume_type.name},
        "image_id": image["id"],
        "container_format": given.get("container_format", "bare"),
        "disk_format": given.get("disk_format", "raw"),
        "image_name": given["image_name"],
    }
    if request.microversion >= 1:
        view |= {
            "visibility": given.get("visibility", "private"),
            "protected": is_true(given.get("protected")),
        }
    return answer_json({"os-volume_upload_image": view}, 202)


def _read_only(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if volume.status != "available":
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be available to update "
            f"readonly flag, but current status is: {volume.status}.",
        )
    volume.admin_metadata = {**volume.admin_metadata, "readonly": str(is_true(given["readonly"]))}
    cinder.touch(volume)
    return empty(202)


def _retype(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    wanted = given["new_type"]
    kind = next((item for item in cinder.types.values() if wanted in (item.id, item.name)), None)
    if kind is None:
        refuse(404, f"Volume type with name {wanted} could not be found.")
    if volume.status not in ("available", "in-use"):
        refuse(400, f"Invalid volume: Volume {volume.id} status must be available or in-use.")
    snapshots = [item for item in cinder.snapshots.values() if item.volume_id == volume.id]
    amounts = {"volumes": 1, "gigabytes": volume.size}
    if snapshots:
        amounts["snapshots"] = len(snapshots)
        amounts["gigabytes"] += sum(item.volume_size for item in snapshots)
    typed = quotas.typed(amounts, kind)
    wanted = {name: typed[name] for name in typed if name not in amounts}
    quotas.reserve(cinder, volume.project_id, wanted, "volumes", volume.size)
    if kind is volume.volume_type:
        refuse(400, _NO_RETYPE)
    volume.volume_type = kind
    cinder.touch(volume)
    return empty(202)


def _set_bootable(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    volume.bootable = is_true(given["bootable"])
    cinder.touch(volume)
    return empty(200)


def _reset_status(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if "status" in given:
        volume.status = given["status"]
    if "migration_status" in given:
        volume.migration_status = given["migration_status"]
    if given.get("attach_status") == "detached":
        volume.attachments = []
    cinder.touch(volume)
    return empty(202)


def _force_delete(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    delete_volume(cinder, volume, True, True)
    return empty(202)


def _set_image(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    volume.image_metadata = {**volume.image_metadata, **given["metadata"]}
    cinder.touch(volume)
    return answer_json({"metadata": volume.image_metadata})


def _show_image(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if not volume.image_metadata:
        refuse(404, f"Glance metadata for volume/snapshot {volume.id} cannot be found.")
    return answer_json({"metadata": volume.image_metadata})


def _unset_image(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    key = given["key"]
    if key not in volume.image_metadata:
        refuse(404, "Metadata does not exist.")
    volume.image_metadata = {
        name: text for name, text in volume.image_metadata.items() if name != key
    }
    cinder.touch(volume)
    return empty(200)


def _force_detach(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    return _detach(cinder, request, volume, given)


def _reimage(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    usable = ["available", "error"]
    if is_true(given.get("reimage_reserved")):
        usable.append("reserved")
    if volume.status not in usable:
        words = f"{', '.join(usable[:-1])} or {usable[-1]}"
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be {words}, but current status is "
            f"{volume.status}.",
        )
    cinder.copy_image(volume, given["image_id"])
    cinder.touch(volume)
    return empty(202)


def _unmanage(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    if any(item.volume_id == volume.id for item in cinder.snapshots.values()):
        refuse(
            400,
            "Invalid volume: Volume cannot be unmanaged while it has dependent snapshots.",
        )
    if volume.attachments:
        refuse(409, f"Volume {volume.id} is still attached, detach volume first.")
    cinder.unmanaged_volumes[f"volume-{volume.id}"] = volume.size
    del cinder.volumes[volume.id]
    cinder.index.forget()
    return empty(202)


def _migrate(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    cluster, host = get_cluster_host(given.get, request.microversion >= 16)
    backend = str(host or cluster).partition("#")[0]
    found = [
        one
        for one in cinder.services
        if one.binary == "cinder-volume"
        and not one.disabled
        and backend == (one.host if host else one.cluster)
    ]
    if not found:
        refuse(400, f"Invalid host: No available service named '{cluster or host}'")
    pool = str(host) if "#" in str(host) else f"{found[0].host}#{volume.host.partition('#')[2]}"
    if volume.status not in ("available", "in-use") or volume.group_id or volume.host == pool:
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be available or in-use, must not be "
            "migrating, have snapshots, be replicated, be part of a group and destination "
            "host/cluster must be different than the current one",
        )
    volume.host, volume.migration_status = pool, "success"
    cinder.touch(volume)
    return empty(202)


def _revert(cinder: "Cinder", request: Request, volume: Volume, given: Json) -> Answer:
    snapshots = [item for item in cinder.snapshots.values() if item.volume_id == volume.id]
    if not snapshots:
        refuse(400, f"Volume {volume.id} doesn't have any snapshots.")
    latest = max(snapshots, key=lambda item: item.created_at)
    if given.get("snapshot_id") != latest.id:
        refuse(
            400,
            f"Specified snapshot {given.get('snapshot_id')} is None or not the latest one "
            f"of volume {volume.id}.",
        )
    return empty(202)


_ANY: Document = {}
_SIZE: Document = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1}
_CONNECTOR: Document = {"connector": {"type": ["object", "string"]}}
_RULE = "volume_extension:volume_actions"
_ADMIN_RULE = "volume_extension:volume_admin_actions"
_IMAGE_RULE = "volume_extension:volume_image_metadata"
ACTIONS: dict[str, Action] = {
    "os-extend": Action("volume:extend", _extend, {"new_size": _SIZE}, ("new_size",)),
    "os-reserve": Action(f"{_RULE}:reserve", _reserve),
    "os-unreserve": Action(f"{_RULE}:unreserve", _unreserve),
    "os-begin_detaching": Action(f"{_RULE}:begin_detaching", _begin_detaching),
    "os-roll_detaching": Action(f"{_RULE}:roll_detaching", _roll_detaching),
    "os-attach": Action(
        f"{_RULE}:attach", _attach, {"mountpoint": {"type": "string"}}, ("mountpoint",)
    ),
    "os-detach": Action(f"{_RULE}:detach", _detach),
    "os-initialize_connection": Action(
        f"{_RULE}:initialize_connection", _initialize, _CONNECTOR, ("connector",)
    ),
    "os-terminate_connection": Action(
        f"{_RULE}:terminate_connection", _terminate, _CONNECTOR, ("connector",)
    ),
    "os-volume_upload_image": Action(
        f"{_RULE}:upload_image",
        _upload,
        {"image_name": {"type": "string", "minLength": 1}},
        ("image_name",),
    ),
    "os-update_readonly_flag": Action(
        "volume:update_readonly_flag", _read_only, {"readonly": _ANY}, ("readonly",)
    ),
    "os-retype": Action("volume:retype", _retype, {"new_type": {"type": "string"}}, ("new_type",)),
    "os-set_bootable": Action("volume:update", _set_bootable, {"bootable": _ANY}, ("bootable",)),
    "os-reset_status": Action(f"{_ADMIN_RULE}:reset_status", _reset_status, {}, need="admin"),
    "os-force_delete": Action(f"{_ADMIN_RULE}:force_delete", _force_delete, need="admin"),
    "os-unmanage": Action("volume_extension:volume_unmanage", _unmanage, need="admin"),
    "os-migrate_volume": Action(
        f"{_ADMIN_RULE}:migrate_volume",
        _migrate,
        {"host": {"type": ["string", "null"]}, "cluster": {"type": ["string", "null"]}},
        need="admin",
    ),
    "os-set_image_metadata": Action(
        f"{_IMAGE_RULE}:set", _set_image, {"metadata": {"type": "object"}}, ("metadata",)
    ),
    "os-show_image_metadata": Action(f"{_IMAGE_RULE}:show", _show_image, need="read"),
    "os-unset_image_metadata": Action(
        f"{_IMAGE_RULE}:remove", _unset_image, {"key": {"type": "string"}}, ("key",)
    ),
    "os-force_detach": Action(
        f"{_ADMIN_RULE}:force_detach",
        _force_detach,
        {"connector": {"type": ["object", "null"]}, "attachment_id": {"type": ["string", "null"]}},
        need="admin",
    ),
    "os-reimage": Action(
        f"{_RULE}:reimage",
        _reimage,
        {"image_id": {"type": "string", "format": "uuid"}},
        ("image_id",),
        since=68,
    ),
    "revert": Action("volume:revert_to_snapshot", _revert, {}, since=40),
}
