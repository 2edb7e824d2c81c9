"""Group types and their specs, as cinder/api/v3/{group_types,group_specs}.py."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.volume.guards import is_true, read, require
from tricircle.testing.cloud.volume.lists import keep_public, page_of_kinds
from tricircle.testing.cloud.volume.records import GroupType

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import CallHandler
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SINCE = 11
_NAME: Document = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
_NEW_NAME: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_TEXT: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_VALUE: Document = {"type": ["string", "null"], "maxLength": 255}
_FIRST_SPECS: Document = {
    "type": ["object", "null"],
    "patternProperties": {"^[a-zA-Z0-9-_:. /]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
_SPECS: Document = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:.]{1,255}$": _VALUE},
    "additionalProperties": False,
}


def _view(kind: GroupType, request: Request) -> Document:
    view: Document = {
        "id": kind.id,
        "name": kind.name,
        "description": kind.description,
        "is_public": kind.is_public,
    }
    if request.caller.is_admin:
        view["group_specs"] = kind.group_specs
    return view


def _get(cinder: "Cinder", request: Request) -> GroupType:
    wanted = request.parameters["id"]
    kind = cinder.group_types.get(wanted)
    caller = request.caller
    if kind is None or not (
        kind.is_public or caller.is_admin or caller.project_id in kind.projects
    ):
        refuse(404, f"Group type {wanted} could not be found.")
    return kind


def _index(cinder: "Cinder", request: Request) -> Answer:
    found = keep_public(request, cinder.group_types.values())
    page, links = page_of_kinds(request, found, "group_types", cinder.max_limit)
    body: Document = {"group_types": [_view(kind, request) for kind in page]}
    return answer_json(body | ({"group_type_links": links} if links else {}))


def _show(cinder: "Cinder", request: Request) -> Answer:
    if request.parameters["id"] == "default":
        refuse(404, "Default group type can not be found.")
    return answer_json({"group_type": _view(_get(cinder, request), request)})


def _create(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {
        "name": _NAME,
        "description": _TEXT,
        "is_public": {},
        "group_specs": _FIRST_SPECS,
    }
    inner = dict(object_of(properties, ("name",)))
    given = read(request, object_of({"group_type": inner}, ("group_type",)))["group_type"]
    _check_name(cinder, given["name"], None)
    kind = cinder.add_group_type(given["name"])
    kind.description = given.get("description")
    kind.is_public = is_true(given.get("is_public", True))
    kind.group_specs = dict(given.get("group_specs") or {})
    return answer_json({"group_type": _view(kind, request)}, 202)


def _check_name(cinder: "Cinder", name: str, mine: GroupType | None) -> None:
    if any(kind.name == name and kind is not mine for kind in cinder.group_types.values()):
        refuse(409, f"Group Type {name} already exists.")


def _update(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {"name": _NEW_NAME, "description": _TEXT, "is_public": {}}
    inner = dict(object_of(properties))
    given = read(request, object_of({"group_type": inner}, ("group_type",)))["group_type"]
    name = given.get("name")
    if name and not name.strip():
        refuse(400, "Group type name can not be empty.")
    if all(given.get(key) is None for key in properties):
        refuse(400, "Specify group type name, description or a combination thereof.")
    kind = _get(cinder, request)
    if name:
        _check_name(cinder, name, kind)
    kind.name = name or kind.name
    kind.description = given.get("description", kind.description)
    if given.get("is_public") is not None:
        kind.is_public = is_true(given["is_public"])
    return answer_json({"group_type": _view(kind, request)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    kind = _get(cinder, request)
    if any(group.group_type is kind for group in cinder.groups.values()):
        refuse(
            400,
            f"Target group type is still in use. Group Type {kind.id} deletion is not allowed "
            "with groups present with the type.",
        )
    del cinder.group_types[kind.id]
    return Answer(202)


def _list_specs(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"group_specs": _get(cinder, request).group_specs})


def _add_specs(cinder: "Cinder", request: Request) -> Answer:
    body = read(request, object_of({"group_specs": _SPECS}, ("group_specs",)))
    _get(cinder, request).group_specs |= body["group_specs"]
    return answer_json(body, 202)


def _show_spec(cinder: "Cinder", request: Request) -> Answer:
    kind, key = _get(cinder, request), request.parameters["key"]
    if key not in kind.group_specs:
        refuse(404, f"Group Type {kind.id} has no extra spec with key {key}.")
    return answer_json({key: kind.group_specs[key]})


def _set_spec(cinder: "Cinder", request: Request) -> Answer:
    body = read(request, _SPECS)
    if len(body) > 1:
        refuse(400, f"{body!r} has too many properties")
    kind = _get(cinder, request)
    if request.parameters["key"] not in body:
        refuse(400, "Request body and URI mismatch")
    kind.group_specs |= body
    return answer_json(body)


def _delete_spec(cinder: "Cinder", request: Request) -> Answer:
    kind, key = _get(cinder, request), request.parameters["key"]
    if key not in kind.group_specs:
        refuse(404, f"Group Type {kind.id} has no specs with key {key}.")
    del kind.group_specs[key]
    return Answer(202)


def _since(handler: "CallHandler", need: str, rule: str) -> "CallHandler":
    """Return a handler that is not there before 3.11, whoever asks."""

    def handle(cinder: "Cinder", request: Request) -> Answer:
        if request.microversion < _SINCE:
            refuse(404, "The resource could not be found.")
        if need == "admin":
            require(request.caller, need, rule)
        return handler(cinder, request)

    return handle


_TYPE, _TYPE_SPECS = "group:group_types", "group:group_types_specs"
_ONE, _SPECS_OF = "/group_types/{id}", "/group_types/{id}/group_specs"
_SPEC = f"{_SPECS_OF}/{{key}}"
ROUTES = tuple(
    (method, path, "any", rule, _since(handler, need, rule))
    for method, path, need, rule, handler in (
        ("GET", "/group_types", "any", "", _index),
        ("POST", "/group_types", "admin", f"{_TYPE}:create", _create),
        ("GET", _ONE, "any", "", _show),
        ("PUT", _ONE, "admin", f"{_TYPE}:update", _update),
        ("DELETE", _ONE, "admin", f"{_TYPE}:delete", _delete),
        ("GET", _SPECS_OF, "admin", f"{_TYPE_SPECS}:get_all", _list_specs),
        ("POST", _SPECS_OF, "admin", f"{_TYPE_SPECS}:create", _add_specs),
        ("GET", _SPEC, "admin", f"{_TYPE_SPECS}:get", _show_spec),
        ("PUT", _SPEC, "admin", f"{_TYPE_SPECS}:update", _set_spec),
        ("DELETE", _SPEC, "admin", f"{_TYPE_SPECS}:delete", _delete_spec),
    )
)
