"""How volumes of a type are encrypted, as cinder/api/contrib/volume_type_encryption.py."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.volume.guards import read
from tricircle.testing.cloud.volume.records import VolumeType
from tricircle.testing.cloud.volume.types import get_type

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_PROPERTIES: Document = {
    "key_size": {
        "type": ["string", "integer", "null"],
        "maximum": 0x7FFFFFFF,
    },
    "provider": {"type": "string", "minLength": 0, "maxLength": 255},
    "control_location": {"enum": ["front-end", "back-end"]},
    "cipher": {"type": ["string", "null"], "minLength": 0, "maxLength": 255},
}


def _schema(*required: str) -> Schema:
    inner = dict(object_of(_PROPERTIES, required, extra=True))
    return object_of({"encryption": inner}, ("encryption",))


_CREATE, _UPDATE = _schema("provider", "control_location"), _schema()


def _given(request: Request, schema: Schema) -> Document:
    given: Document = read(request, schema)["encryption"]
    size = given.get("key_size")
    if size is not None and not str(size).isdigit():
        refuse(400, "Invalid input received: key_size must be an integer.")
    if size is not None:
        given["key_size"] = int(given["key_size"])
    return given


def _check_unused(cinder: "Cinder", type_id: str, verb: str) -> None:
    if any(volume.volume_type_id == type_id for volume in cinder.volumes.values()):
        refuse(400, f"Cannot {verb} encryption specs. Volume type in use.")


def _specs(kind: VolumeType) -> Document:
    """Return what the database has, in the order of its columns."""
    if kind.encryption is None:
        return {}
    return {"volume_type_id": kind.id, **kind.encryption}


def _index(cinder: "Cinder", request: Request) -> Answer:
    return answer_json(_specs(get_type(cinder, request)))


def _show(cinder: "Cinder", request: Request) -> Answer:
    kind, key = get_type(cinder, request), request.parameters["key"]
    specs = _specs(kind)
    if key not in specs:
        refuse(404, f"Volume type encryption for type {kind.id} does not exist.")
    return answer_json({key: specs[key]})


def _create(cinder: "Cinder", request: Request) -> Answer:
    given = _given(request, _CREATE)
    _check_unused(cinder, request.parameters["id"], "create")
    kind = get_type(cinder, request)
    if kind.encryption is not None:
        refuse(400, f"Volume type encryption for type {kind.id} already exists.")
    known = {name: given.get(name) for name in _PROPERTIES}
    kind.encryption = {
        **known,
        "encryption_id": given.get("encryption_id") or cinder.ids(),
        "created_at": cinder.clock().isoformat(),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    # Cinder answers with what it has put into the row.
    given = {**given, "volume_type_id": kind.id, "encryption_id": kind.encryption["encryption_id"]}
    return answer_json({"encryption": given})


def _update(cinder: "Cinder", request: Request) -> Answer:
    given = _given(request, _UPDATE)
    kind = get_type(cinder, request)
    _check_unused(cinder, kind.id, "update")
    if kind.encryption is None:
        refuse(404, f"Volume type encryption for type {kind.id} does not exist.")
    kind.encryption |= {name: given[name] for name in _PROPERTIES if name in given}
    return answer_json({"encryption": given})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    type_id = request.parameters["id"]
    _check_unused(cinder, type_id, "delete")
    kind = cinder.types.get(type_id)
    if kind is None or kind.encryption is None:
        refuse(404, f"Volume type encryption for type {type_id} does not exist.")
    kind.encryption = None
    return Answer(202)


_RULE = "volume_extension:volume_type_encryption"
_ALL, _ONE = "/types/{id}/encryption", "/types/{id}/encryption/{key}"
ROUTES = (
    ("GET", _ALL, "admin", f"{_RULE}:get", _index),
    ("POST", _ALL, "admin", f"{_RULE}:create", _create),
    ("GET", _ONE, "admin", f"{_RULE}:get", _show),
    ("PUT", _ONE, "admin", f"{_RULE}:update", _update),
    ("DELETE", _ONE, "admin", f"{_RULE}:delete", _delete),
)
