"""Attachments (3.27): what Nova makes, shows and completes."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume.guards import (
    body_of,
    get_volume,
    read,
    require,
    require_minor,
)
from tricircle.testing.cloud.volume.lists import (
    is_asked,
    keep_allowed,
    parse_limit,
    parse_offset,
    parse_order,
    sort_items,
)
from tricircle.testing.cloud.volume.records import Volume, VolumeAttachment

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_ABSENT = "Volume attachment could not be found with filter: attachment_id = {id}."
_FILTERS = ("volume_id", "status", "instance_id", "attach_status")
_SORT_KEYS = (
    "id", "created_at", "volume_id", "instance_uuid", "attach_status", "attach_time",
    "detach_time", "mountpoint",
)  # fmt: skip


def _summary(attachment: VolumeAttachment) -> Document:
    return {
        "id": attachment.id,
        "status": attachment.status,
        "instance": attachment.instance_uuid,
        "volume_id": attachment.volume_id,
    }


def _detail(attachment: VolumeAttachment) -> Document:
    return {
        **_summary(attachment),
        "attached_at": micro(attachment.attach_time) or "",
        "detached_at": micro(attachment.detach_time) or "",
        "attach_mode": attachment.mode,
        "connection_info": attachment.connector,
    }


def _get(cinder: "Cinder", request: Request) -> VolumeAttachment:
    require_minor(request, 27)
    attachment_id = request.parameters["id"]
    found = cinder.attachments.get(attachment_id)
    visible = found is not None and (
        cinder.shows_attachments or cinder.find_visible(request.caller, found.volume_id) is not None
    )
    if found is None or not visible:
        refuse(
            404,
            _ABSENT.format(id=attachment_id),
        )
    return found


def _require_owner(
    cinder: "Cinder", request: Request, attachment: VolumeAttachment, rule: str
) -> None:
    """Raise Refused unless the caller may change what is of the project of the volume."""
    require(request.caller, "write", rule)
    if cinder.find_visible(request.caller, attachment.volume_id) is None:
        refuse(403, f"Policy doesn't allow {rule} to be performed.")


def _page(cinder: "Cinder", request: Request) -> list[VolumeAttachment]:
    """Return a page; Cinder gives no link to the next one."""
    require_minor(request, 27)
    order, caller = parse_order(request, _SORT_KEYS), request.caller
    filters = keep_allowed(request, _FILTERS)
    if "instance_id" in filters:
        filters["instance_uuid"] = filters.pop("instance_id")
    # A filter that Cinder allows and no column has, so nothing passes it.
    found = [] if "status" in filters else list(cinder.attachments.values())
    everyone = caller.is_admin and request.find("all_tenants") is not None
    shown = [
        item
        for item in found
        if (everyone or cinder.volumes[item.volume_id].project_id == caller.project_id)
        and is_asked(item, filters)
    ]
    ordered = sort_items(shown, order)
    places = {item.id: place for place, item in enumerate(ordered)}
    marker = request.find("marker")
    if marker is not None and marker not in places:
        refuse(404, _ABSENT.format(id=marker))
    start = (places[marker] + 1 if marker is not None else 0) + parse_offset(request)
    return ordered[start : start + parse_limit(request, cinder.max_limit)]


def _index(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"attachments": [_summary(item) for item in _page(cinder, request)]})


def _index_detail(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"attachments": [_detail(item) for item in _page(cinder, request)]})


def _create_schema(minor: int) -> Schema:
    properties: Document = {
        "instance_uuid": {"type": "string", "format": "uuid"},
        "connector": {"type": ["object", "null"]},
        "volume_uuid": {"type": "string", "format": "uuid"},
    }
    if minor >= 54:
        properties["mode"] = {"type": "string", "enum": ["rw", "ro"]}
    inner = dict(object_of(properties, ("volume_uuid",)))
    return object_of({"attachment": inner}, ("attachment",))


def _create(cinder: "Cinder", request: Request) -> Answer:
    require_minor(request, 27)
    given = read(request, _create_schema(request.microversion))["attachment"]
    volume = get_volume(cinder, request.caller, given["volume_uuid"])
    require(request.caller, "write", "volume:attachment_create")
    _require_free(volume, given.get("instance_uuid"))
    made = VolumeAttachment(
        cinder.ids(),
        volume.id,
        given.get("instance_uuid"),
        "reserved",
        None,
        None,
        _mode(volume, given),
    )
    made.created_at = cinder.clock()
    if given.get("connector"):
        _connect(made, given["connector"])
    cinder.attachments[made.id] = made
    volume.attachments.append(made)
    volume.status = "attaching" if given.get("connector") else "reserved"
    cinder.touch(volume)
    return answer_json({"attachment": _detail(made)})


def _require_free(volume: Volume, server_id: str | None) -> None:
    """Raise Refused unless a volume can be reserved for a server."""
    if "error" in volume.status:
        refuse(
            400,
            "Invalid volume: Volume attachments can not be created if the volume is in an error "
            f"state. The Volume {volume.id} currently has a status of: {volume.status} ",
        )
    usable = ["available", *(["in-use"] if volume.multiattach else []), "downloading"]
    held = server_id in [item.instance_uuid for item in volume.attachments]
    if volume.status in usable or (server_id and held):
        return
    words = f"{', '.join(usable[:-1])} or {usable[-1]}"
    refuse(
        400,
        f"Invalid volume: Volume {volume.id} status must be {words} to reserve, but the current "
        f"status is {volume.status}.",
    )


def _mode(volume: Volume, given: Document) -> str:
    read_only = volume.admin_metadata.get("readonly") == "True"
    mode: str = given.get("mode", "ro" if read_only else "null")
    return mode


def _connect(attachment: VolumeAttachment, connector: Document) -> None:
    attachment.status = "attaching"
    attachment.mountpoint = connector.get("mountpoint")
    attachment.host = connector.get("host")
    attachment.connector = connection_of(attachment)


def connection_of(attachment: VolumeAttachment) -> Document:
    """Return what a host needs to reach the volume."""
    return {
        "access_mode": "rw",
        "attachment_id": attachment.id,
        "cacheable": False,
        "driver_volume_type": "iscsi",
        "encrypted": False,
        "enforce_multipath": False,
        "qos_specs": None,
        "volume_id": attachment.volume_id,
    }


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"attachment": _detail(_get(cinder, request))})


def _update(cinder: "Cinder", request: Request) -> Answer:
    attachment = _get(cinder, request)
    connector: Document = {"type": "object", "minProperties": 1}
    inner = dict(object_of({"connector": connector}, ("connector",)))
    given = read(request, object_of({"attachment": inner}, ("attachment",)))["attachment"]
    _require_owner(cinder, request, attachment, "volume:attachment_update")
    _connect(attachment, given["connector"])
    volume = cinder.volumes[attachment.volume_id]
    volume.status = "attaching"
    cinder.touch(volume)
    return answer_json({"attachment": _detail(attachment)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    attachment = _get(cinder, request)
    _require_owner(cinder, request, attachment, "volume:attachment_delete")
    require_may_detach(cinder, request, attachment)
    cinder.detach_from_server(attachment.volume_id, attachment.id, False)
    left = cinder.volumes[attachment.volume_id].attachments
    return answer_json({"attachments": [_summary(item) for item in left]})


def require_may_detach(cinder: "Cinder", request: Request, attachment: VolumeAttachment) -> None:
    """Raise Refused for whoever takes a volume from a running server behind Nova's back.

    CVE-2023-2088: only Nova may, and shows it by the token of a service.
    """
    if not attachment.is_in_server or cinder.is_from_service(request):
        return
    refuse(
        409,
        "ConflictNovaUsingAttachment: Detach volume from instance "
        f"{attachment.instance_uuid} using the Compute API",
    )


def _act(cinder: "Cinder", request: Request) -> Answer:
    body = body_of(request)
    name = next(iter(body), "")
    if name != "os-complete" or request.microversion < 44:
        refuse(
            400,
            f"There is no such action: {name}. Verify the request body and Content-Type "
            "header and try again.",
        )
    attachment = _get(cinder, request)
    get_volume(cinder, request.caller, attachment.volume_id)
    require(request.caller, "write", "volume:attachment_complete")
    attachment.status, attachment.attach_time = "attached", cinder.clock()
    volume = cinder.volumes[attachment.volume_id]
    volume.status = "in-use"
    cinder.touch(volume)
    return Answer(204)


ROUTES = (
    ("GET", "/attachments", "read", "volume:attachment", _index),
    ("GET", "/attachments/detail", "read", "volume:attachment", _index_detail),
    ("POST", "/attachments", "write", "volume:attachment_create", _create),
    ("GET", "/attachments/{id}", "read", "volume:attachment", _show),
    ("PUT", "/attachments/{id}", "write", "volume:attachment_update", _update),
    ("DELETE", "/attachments/{id}", "write", "volume:attachment_delete", _delete),
    ("POST", "/attachments/{id}/action", "write", "volume:attachment_complete", _act),
)
