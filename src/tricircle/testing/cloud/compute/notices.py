"""What other services tell Nova and ask it: events, snapshots of volumes, console tokens."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.compute.schemas import UUID
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_LATER_EVENTS = (
    (51, "volume-extended"),
    (76, "power-update"),
    (82, "accelerator-request-bound"),
    (93, "volume-reimaged"),
)
_TAGGED = ("volume-extended", "power-update", "accelerator-request-bound")
_TEXT: Document = {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class ConsoleToken:
    """Where a console is that a token opens."""

    instance_uuid: str
    host: str
    port: int = 5900


def _event_schema(minor: int) -> Schema:
    names = ["network-changed", "network-vif-plugged", "network-vif-unplugged"]
    names.append("network-vif-deleted")
    names += [name for since, name in _LATER_EVENTS if minor >= since]
    event = object_of(
        {
            "name": {"type": "string", "enum": names},
            "server_uuid": UUID,
            "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]},
            "tag": {"type": "string", "maxLength": 255},
        },
        ("name", "server_uuid"),
    )
    events: Document = {"type": "array", "minItems": 1, "items": dict(event)}
    return object_of({"events": events}, ("events",))


def _take_events(compute: "Compute", request: Request) -> Answer:
    given = read(request, _event_schema(request.microversion))
    answered = [_take_event(compute, event) for event in given["events"]]
    is_good = all(event["code"] == 200 for event in answered)
    return answer_json({"events": answered}, 200 if is_good else 207)


def _take_event(compute: "Compute", event: Document) -> Document:
    server = compute.servers.get(event["server_uuid"])
    if server is None or server.deleted:
        return {**event, "status": "failed", "code": 404}
    if event["name"] in _TAGGED and "tag" not in event:
        return {**event, "status": "failed", "code": 400}
    if server.host is None:
        return {**event, "status": "failed", "code": 422}
    compute.events.append(event)
    return {**event, "status": "completed", "code": 200}


_CREATE_INFO = object_of(
    {
        "snapshot_id": _TEXT,
        "type": {"type": "string", "enum": ["qcow2"]},
        "new_file": _TEXT,
        "id": _TEXT,
    },
    ("snapshot_id", "type", "new_file"),
)
_SNAPSHOT = object_of(
    {
        "snapshot": dict(
            object_of(
                {"volume_id": _TEXT, "create_info": dict(_CREATE_INFO)},
                ("volume_id", "create_info"),
            )
        )
    },
    ("snapshot",),
)


def _server_of_volume(compute: "Compute", volume_id: str) -> Server:
    for server in compute.servers.values():
        if any(found.volume_id == volume_id for found in server.attachments):
            return server
    refuse(400, f"No volume Block Device Mapping with id {volume_id}.")


def _make_snapshot(compute: "Compute", request: Request) -> Answer:
    given = read(request, _SNAPSHOT)["snapshot"]
    _server_of_volume(compute, given["volume_id"])
    made = {"id": given["create_info"].get("id"), "volumeId": given["volume_id"]}
    return answer_json({"snapshot": made})


def _delete_snapshot(compute: "Compute", request: Request) -> Answer:
    try:
        volume_id = json.loads(request.find("delete_info") or "")["volume_id"]
    except KeyError as error:
        refuse(400, str(error))
    except ValueError as error:
        message = str(error) if request.find("delete_info") is not None else "'delete_info'"
        refuse(400, message)
    _server_of_volume(compute, volume_id)
    return empty(204)


def _show_token(compute: "Compute", request: Request) -> Answer:
    if request.microversion < 31:
        refuse(
            400,
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect.",
        )
    token = compute.console_tokens.get(request.parameters["id"])
    if token is None:
        refuse(404, "Token not found")
    console = {
        "instance_uuid": token.instance_uuid,
        "host": token.host,
        "port": token.port,
        "internal_access_path": None,
    }
    return answer_json({"console": console})


_EVENTS = "/os-server-external-events"
_SNAPSHOTS = "/os-assisted-volume-snapshots"
ROUTES = (
    ("POST", _EVENTS, "service", "os-server-external-events:create", _take_events),
    ("POST", _SNAPSHOTS, "service", "os-assisted-volume-snapshots:create", _make_snapshot),
    (
        "DELETE",
        f"{_SNAPSHOTS}/{{id}}",
        "service",
        "os-assisted-volume-snapshots:delete",
        _delete_snapshot,
    ),
    ("GET", "/os-console-auth-tokens/{id}", "admin", "os-console-auth-tokens", _show_token),
)
