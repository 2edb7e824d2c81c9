"""Volumes and snapshots as Nova shows them (up to 2.35): all of it is Cinder's."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.guards import empty, read, require
from tricircle.testing.cloud.compute.proxying import (
    Reply,
    ask,
    check_query,
    check_version,
    limited,
    unexpected,
)
from tricircle.testing.cloud.compute.schemas import BOOLEAN, NON_NEGATIVE
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_TEXT: Document = {"type": "string"}
_NUMBERS: Document = {"type": "array", "items": NON_NEGATIVE}
_QUERY: Schema = object_of({"limit": _NUMBERS, "offset": _NUMBERS}, (), True)
_VOLUME: Document = dict(
    object_of(
        {
            "volume_type": _TEXT,
            "metadata": {"type": "object"},
            "snapshot_id": _TEXT,
            "size": {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1},
            "availability_zone": _TEXT,
            "display_name": _TEXT,
            "display_description": _TEXT,
        },
        ("size",),
    )
)
_SNAPSHOT: Document = dict(
    object_of(
        {
            "volume_id": _TEXT,
            "force": BOOLEAN,
            "display_name": _TEXT,
            "display_description": _TEXT,
        },
        ("volume_id",),
    )
)


def _cinder(
    compute: "Compute", request: Request, method: str, path: str, body: Json = None
) -> Reply:
    path, _, query = path.partition("?")
    project_id = request.caller.project_id
    return ask(compute.volume, request, method, f"/v3/{project_id}{path}", query, body)


def _refuse(compute: "Compute", request: Request, reply: Reply, absent: str, name: str) -> None:
    """Raise Refused as Nova does for an error of Cinder."""
    if reply.status == 404 and absent:
        refuse(404, absent)
    if reply.status == 404:
        unexpected(compute.max_minor, name)
    if reply.status == 403:
        refuse(403, f"{reply.message} (HTTP 403) (Request-ID: {reply.request_id})")
    if reply.status == 413:
        refuse(403, reply.message)
    if reply.status == 400:
        words = f"{reply.message} (HTTP 400) (Request-ID: {reply.request_id})"
        refuse(400, f"Invalid input received: {words}")


def _view_volume(volume: Document) -> Document:
    attached: Document = {}
    if volume["attachments"]:
        first = volume["attachments"][0]
        attached = {
            "id": volume["id"],
            "volumeId": volume["id"],
            "serverId": first["server_id"],
            "device": first["device"],
        }
    return {
        "id": volume["id"],
        "status": volume["status"],
        "size": volume["size"],
        "availabilityZone": volume["availability_zone"],
        "createdAt": volume["created_at"],
        "attachments": [attached],
        "displayName": volume["name"],
        "displayDescription": volume["description"],
        "volumeType": volume["volume_type"],
        "snapshotId": volume["snapshot_id"],
        "metadata": volume["metadata"],
    }


def _view_snapshot(snapshot: Document) -> Document:
    return {
        "id": snapshot["id"],
        "volumeId": snapshot["volume_id"],
        "status": snapshot["status"],
        "size": snapshot["size"],
        "createdAt": snapshot["created_at"],
        "displayName": snapshot["name"],
        "displayDescription": snapshot["description"],
    }


def _list_all(compute: "Compute", request: Request, collection: str) -> list[Json]:
    """Return all that Cinder has, page by page as its client reads them."""
    found: list[Json] = []
    more = ""
    while True:
        reply = _cinder(compute, request, "GET", f"/{collection}/detail{more}")
        found += reply.body[collection]
        if f"{collection}_links" not in reply.body:
            return found
        more = f"?marker={found[-1]['id']}"


def _volumes(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    check_query(request, _QUERY)
    require(request.caller, "read", f"os-volumes:{_list_rule(request)}")
    found = limited(request, _list_all(compute, request, "volumes"), compute.max_limit)
    return answer_json({"volumes": [_view_volume(one) for one in found]})


def _snapshots(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    check_query(request, _QUERY)
    require(request.caller, "read", f"os-volumes:snapshots:{_list_rule(request)}")
    found = limited(request, _list_all(compute, request, "snapshots"), compute.max_limit)
    return answer_json({"snapshots": [_view_snapshot(one) for one in found]})


def _list_rule(request: Request) -> str:
    return "detail" if request.path.rstrip("/").endswith("/detail") else "list"


def _show_volume(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-volumes:show")
    volume_id = request.parameters["id"]
    reply = _cinder(compute, request, "GET", f"/volumes/{volume_id}")
    _refuse(compute, request, reply, f"Volume {volume_id} could not be found.", "")
    return answer_json({"volume": _view_volume(reply.body["volume"])})


def _show_snapshot(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-volumes:snapshots:show")
    snapshot_id = request.parameters["id"]
    reply = _cinder(compute, request, "GET", f"/snapshots/{snapshot_id}")
    _refuse(compute, request, reply, f"Snapshot {snapshot_id} could not be found.", "")
    return answer_json({"snapshot": _view_snapshot(reply.body["snapshot"])})


def _create_volume(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = read(request, object_of({"volume": _VOLUME}, ("volume",)))["volume"]
    require(request.caller, "write", "os-volumes:create")
    snapshot_id = given.get("snapshot_id")
    if snapshot_id is not None:
        found = _cinder(compute, request, "GET", f"/snapshots/{snapshot_id}")
        _refuse(compute, request, found, f"Snapshot {snapshot_id} could not be found.", "")
    wanted = {
        "size": given["size"],
        "name": given.get("display_name"),
        "description": given.get("display_description"),
        "snapshot_id": snapshot_id,
        "volume_type": given.get("volume_type"),
        "availability_zone": given.get("availability_zone"),
        "metadata": given.get("metadata") or {},
    }
    reply = _cinder(compute, request, "POST", "/volumes", {"volume": wanted})
    _refuse(compute, request, reply, "", "nova.exception.NotFound")
    made = reply.body["volume"]
    location = {"location": f"{request.url}/{made['id']}"}
    return answer_json({"volume": _view_volume(made)}, 200, location)


def _create_snapshot(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = read(request, object_of({"snapshot": _SNAPSHOT}, ("snapshot",)))["snapshot"]
    require(request.caller, "write", "os-volumes:snapshots:create")
    wanted = {
        "volume_id": given["volume_id"],
        "force": given.get("force", False),
        "name": given.get("display_name"),
        "description": given.get("display_description"),
    }
    reply = _cinder(compute, request, "POST", "/snapshots", {"snapshot": wanted})
    if reply.status == 400:
        unexpected(compute.max_minor, "nova.exception.InvalidInput")
    _refuse(compute, request, reply, "", "nova.exception.VolumeNotFound")
    return answer_json({"snapshot": _view_snapshot(reply.body["snapshot"])})


def _delete_volume(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "write", "os-volumes:delete")
    volume_id = request.parameters["id"]
    reply = _cinder(compute, request, "DELETE", f"/volumes/{volume_id}")
    _refuse(compute, request, reply, f"Volume {volume_id} could not be found.", "")
    return empty(202)


def _delete_snapshot(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "write", "os-volumes:snapshots:delete")
    snapshot_id = request.parameters["id"]
    reply = _cinder(compute, request, "DELETE", f"/snapshots/{snapshot_id}")
    _refuse(compute, request, reply, f"Snapshot {snapshot_id} could not be found.", "")
    return empty(202)


# Policies are asked after bodies and queries are checked, as Nova does here.
ROUTES = (
    ("GET", "/os-volumes", "any", "", _volumes),
    ("GET", "/os-volumes/detail", "any", "", _volumes),
    ("POST", "/os-volumes", "any", "", _create_volume),
    ("GET", "/os-volumes/{id}", "any", "", _show_volume),
    ("DELETE", "/os-volumes/{id}", "any", "", _delete_volume),
    ("GET", "/os-snapshots", "any", "", _snapshots),
    ("GET", "/os-snapshots/detail", "any", "", _snapshots),
    ("POST", "/os-snapshots", "any", "", _create_snapshot),
    ("GET", "/os-snapshots/{id}", "any", "", _show_snapshot),
    ("DELETE", "/os-snapshots/{id}", "any", "", _delete_snapshot),
)
