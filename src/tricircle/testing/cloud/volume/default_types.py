"""The default volume types of projects, as cinder/api/v3/default_types.py."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.volume.guards import read
from tricircle.testing.cloud.volume.records import VolumeType

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SINCE = 62
_NAME: Document = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}


def _check_version(request: Request) -> None:
    if request.microversion < _SINCE:
        refuse(404, "The resource could not be found.")


def _check_caller(cinder: "Cinder", request: Request) -> str:
    """Return the project of the path, which an administrator may ask about."""
    project_id = request.parameters["id"]
    if not cinder.tokens.has_project(project_id):
        refuse(404, f"Project with id {project_id} not found.")
    _check_admin(request)
    return project_id


def _check_admin(request: Request) -> None:
    if not request.caller.is_admin:
        refuse(403, "You are not authorized to perform this operation.")


def _view(project_id: str, kind: VolumeType) -> Document:
    return {"project_id": project_id, "volume_type_id": kind.id}


def _index(cinder: "Cinder", request: Request) -> Answer:
    _check_version(request)
    _check_admin(request)
    rows = [_view(project_id, kind) for project_id, kind in cinder.default_types.items()]
    return answer_json({"default_types": rows})


def _show(cinder: "Cinder", request: Request) -> Answer:
    _check_version(request)
    project_id = _check_caller(cinder, request)
    kind = cinder.default_types.get(project_id)
    if kind is None:
        refuse(404, f"Default type for project {project_id} not found.")
    return answer_json({"default_type": _view(project_id, kind)})


def _set(cinder: "Cinder", request: Request) -> Answer:
    _check_version(request)
    inner = dict(object_of({"volume_type": _NAME}, ("volume_type",)))
    schema: Document = {"type": "object", "properties": {"default_type": inner}}
    wanted = read(request, schema)["default_type"]["volume_type"]
    project_id = _check_caller(cinder, request)
    kind = next((one for one in cinder.types.values() if wanted in (one.id, one.name)), None)
    if kind is None:
        refuse(400, _unknown(wanted))
    cinder.default_types[project_id] = kind
    return answer_json({"default_type": _view(project_id, kind)})


def _unknown(wanted: str) -> str:
    is_id = len(wanted) == 36 and wanted.count("-") == 4
    named = wanted if is_id else f"with name {wanted}"
    return f"Volume type {named} could not be found."


def _unset(cinder: "Cinder", request: Request) -> Answer:
    _check_version(request)
    if cinder.tokens.has_project(request.parameters["id"]):
        _check_admin(request)
    cinder.default_types.pop(request.parameters["id"], None)
    return Answer(204)


_RULE = "volume_extension:default"
ROUTES = (
    ("GET", "/default-types", "any", f"{_RULE}_get_all", _index),
    ("GET", "/default-types/{id}", "any", f"{_RULE}_get", _show),
    ("PUT", "/default-types/{id}", "any", f"{_RULE}_set_or_update", _set),
    ("DELETE", "/default-types/{id}", "any", f"{_RULE}_unset", _unset),
)
