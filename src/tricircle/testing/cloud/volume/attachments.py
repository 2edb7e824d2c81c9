"""Attachments (3.27): what Nova makes, shows and completes."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume.guards import body_of, get_volume, is_true, read, require
from tricircle.testing.cloud.volume.records import Volume, VolumeAttachment

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_GONE = "The resource could not be found."


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


def _require_minor(request: Request, minor: int) -> None:
    if request.microversion < minor:
        refuse(404, _GONE)


def _get(cinder: "Cinder", request: Request) -> VolumeAttachment:
    _require_minor(request, 27)
    attachment_id = request.parameters["id"]
    found = cinder.attachments.get(attachment_id)
    if found is None or cinder.find_visible(request.caller, found.volume_id) is None:
        refuse(
            404,
            f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.",
        )
    return found


def _visible(cinder: "Cinder", request: Request) -> list[VolumeAttachment]:
    _require_minor(request, 27)
    caller = request.caller
    everyone = caller.is_admin and is_true(request.find("all_tenants"))
    found = []
    for item in cinder.attachments.values():
        volume = cinder.volumes.get(item.volume_id)
        if volume is not None and (everyone or volume.project_id == caller.project_id):
            found.append(item)
    for key, field in (
        ("volume_id", "volume_id"),
        ("instance_id", "instance_uuid"),
        ("status", "status"),
    ):
        wanted = request.find(key)
        if wanted is not None:
            found = [item for item in found if getattr(item, field) == wanted]
    return found


def _index(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"attachments": [_summary(item) for item in _visible(cinder, request)]})


def _index_detail(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"attachments": [_detail(item) for item in _visible(cinder, request)]})


def _create(cinder: "Cinder", request: Request) -> Answer:
    _require_minor(request, 27)
    properties: Document = {
        "instance_uuid": {"type": ["string", "null"]},
        "connector": {"type": ["object", "null"]},
        "volume_uuid": {"type": "string", "format": "uuid"},
        "mode": {"type": "string"},
    }
    inner = dict(object_of(properties, ("volume_uuid",)))
    given = read(request, object_of({"attachment": inner}, ("attachment",)))["attachment"]
    volume = get_volume(cinder, request.caller, given["volume_uuid"])
    require(request.caller, "write", "volume:attachment_create")
    if volume.status not in ("available", "reserved", "downloading") and not volume.multiattach:
        refuse(
            400,
            f"Invalid volume: Volume {volume.id} status must be available or downloading "
            f"to reserve, but the current status is {volume.status}.",
        )
    made = VolumeAttachment(
        cinder.ids(),
        volume.id,
        given.get("instance_uuid"),
        "reserved",
        None,
        None,
        _mode(volume, given),
    )
    if given.get("connector"):
        _connect(made, given["connector"])
    cinder.attachments[made.id] = made
    volume.attachments.append(made)
    volume.status = "attaching" if given.get("connector") else "reserved"
    cinder.touch(volume)
    return answer_json({"attachment": _detail(made)})


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
    inner = dict(object_of({"connector": {"type": "object"}}, ("connector",)))
    given = read(request, object_of({"attachment": inner}, ("attachment",)))["attachment"]
    require(request.caller, "write", "volume:attachment_update")
    _connect(attachment, given["connector"])
    volume = cinder.volumes[attachment.volume_id]
    volume.status = "attaching"
    cinder.touch(volume)
    return answer_json({"attachment": _detail(attachment)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    attachment = _get(cinder, request)
    require(request.caller, "write", "volume:attachment_delete")
    if attachment.status == "attached" and not request.caller.is_service:
        # CVE-2023-2088: only Nova may take a volume away under a running server.
        refuse(
            409,
            "ConflictNovaUsingAttachment: Detach volume from instance "
            f"{attachment.instance_uuid} using the Compute API",
        )
    cinder.detach_from_server(attachment.volume_id, attachment.id, False)
    return answer_json({"attachments": []})


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
