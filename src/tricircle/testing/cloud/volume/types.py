"""Volume types and their extra specs."""

import ast
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.volume.guards import body_of, empty, is_true, read, require
from tricircle.testing.cloud.volume.lists import NOT_FILTERS, keep_public, page_of_kinds
from tricircle.testing.cloud.volume.records import VolumeType

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_TEXT: Document = {"type": ["string", "null"], "maxLength": 255}
_NAME: Document = {"type": "string", "minLength": 1, "maxLength": 255}
_FILTERS_SINCE = 52
_VISIBLE_SPECS = ("multiattach", "RESKEY:availability_zones", "replication_enabled")


def _view(kind: VolumeType, request: Request) -> Document:
    admin = request.caller.is_admin
    specs = {key: text for key, text in kind.extra_specs.items() if admin or key in _VISIBLE_SPECS}
    view: Document = {
        "id": kind.id,
        "name": kind.name,
        "is_public": kind.is_public,
        "description": kind.description,
        "extra_specs": specs,
    }
    if admin:
        view["qos_specs_id"] = kind.qos_specs_id
    view["os-volume-type-access:is_public"] = kind.is_public
    return view


def _may_use(kind: VolumeType, request: Request) -> bool:
    caller = request.caller
    return kind.is_public or caller.is_admin or caller.project_id in kind.projects


def get_type(cinder: "Cinder", request: Request) -> VolumeType:
    """Return the type of the path if the caller sees it; raises Refused."""
    wanted = request.parameters["id"]
    if wanted == "default":
        return cinder.default_types.get(request.caller.project_id, cinder.default_type)
    kind = cinder.types.get(wanted)
    if kind is None or not _may_use(kind, request):
        refuse(404, f"Volume type {wanted} could not be found.")
    return kind


def _index(cinder: "Cinder", request: Request) -> Answer:
    kinds = keep_public(request, cinder.types.values())
    page, links = page_of_kinds(request, _filtered(request, kinds), "types", cinder.max_limit)
    body: Document = {"volume_types": [_view(kind, request) for kind in page]}
    return answer_json(body | ({"volume_type_links": links} if links else {}))


def _filtered(request: Request, kinds: list[VolumeType]) -> list[VolumeType]:
    """Return the types that fit the filters, which members have from 3.52 on."""
    given = {key: value for key, value in request.pairs if key not in (*NOT_FILTERS, "is_public")}
    if not request.caller.is_admin:
        unknown = [key for key in given if key != "extra_specs"]
        if unknown and request.microversion >= _FILTERS_SINCE:
            refuse(400, f"Invalid filters {','.join(unknown)} are found in query options.")
        known = given if request.microversion >= _FILTERS_SINCE else {}
        given = {key: value for key, value in known.items() if key not in unknown}
    specs = given.pop("extra_specs", None)
    if specs is not None:
        wanted = _read_specs(specs)
        if not request.caller.is_admin and not set(wanted) <= set(_VISIBLE_SPECS):
            return []
        kinds = [kind for kind in kinds if _has_specs(kind, wanted)]
    if any(not hasattr(VolumeType, key) for key in given):
        return []
    return [
        kind
        for kind in kinds
        if all(str(getattr(kind, key)) == value for key, value in given.items())
    ]


def _read_specs(text: str) -> dict[str, str]:
    """Return the extra specs of a filter, which are Python: `{'one': '1'}`."""
    try:
        read_specs: dict[str, str] = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        refuse(
            500,
            "The server has either erred or is incapable of performing the requested operation.",
        )
    return read_specs


def _has_specs(kind: VolumeType, wanted: dict[str, str]) -> bool:
    return all(
        value in kind.extra_specs.get(key, "")
        if key == "RESKEY:availability_zones"
        else kind.extra_specs.get(key) == value
        for key, value in wanted.items()
    )


def _show(cinder: "Cinder", request: Request) -> Answer:
    view = _view(get_type(cinder, request), request)
    if request.parameters["id"] == "default":
        del view["os-volume-type-access:is_public"]
    return answer_json({"volume_type": view})


def _changed(kind: VolumeType, request: Request) -> Answer:
    """Return a type as the older view of its changes shows it."""
    view = _view(kind, request)
    view.pop("qos_specs_id", None)
    return answer_json({"volume_type": view})


def _create(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {
        "name": _NAME,
        "description": _TEXT,
        "extra_specs": {"type": ["object", "null"]},
        "os-volume-type-access:is_public": {},
    }
    inner = dict(object_of(properties, ("name",)))
    given = read(request, object_of({"volume_type": inner}, ("volume_type",)))["volume_type"]
    if any(kind.name == given["name"] for kind in cinder.types.values()):
        refuse(409, f"Volume Type {given['name']} already exists.")
    kind = cinder.add_type(given["name"], given.get("description"))
    kind.extra_specs = dict(given.get("extra_specs") or {})
    kind.is_public = is_true(given.get("os-volume-type-access:is_public", True))
    return _changed(kind, request)


def _update(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {"name": _TEXT, "description": _TEXT, "is_public": {}}
    inner = dict(object_of(properties))
    given = read(request, object_of({"volume_type": inner}, ("volume_type",)))["volume_type"]
    kind = get_type(cinder, request)
    old, kind.name = kind.name, given.get("name") or kind.name
    cinder.quota_book.rename_type(old, kind.name)
    kind.description = given.get("description", kind.description)
    if "is_public" in given:
        kind.is_public = is_true(given["is_public"])
    for volume in cinder.volumes.values():
        volume.encoded = None
    return _changed(kind, request)


def _delete(cinder: "Cinder", request: Request) -> Answer:
    kind = get_type(cinder, request)
    if kind is cinder.default_type or kind in cinder.default_types.values():
        refuse(400, f"The volume type {kind.id} is a default volume type and cannot be deleted.")
    if _has_volumes(cinder, kind) or any(
        kind in group.volume_types for group in cinder.groups.values()
    ):
        refuse(400, "Target volume type is still in use.")
    del cinder.types[kind.id]
    return Answer(202)


def _has_volumes(cinder: "Cinder", kind: VolumeType) -> bool:
    return any(volume.volume_type is kind for volume in cinder.volumes.values())


def _check_unused(cinder: "Cinder", request: Request) -> None:
    kind = cinder.types.get(request.parameters["id"])
    if kind is not None and _has_volumes(cinder, kind):
        refuse(400, "Volume Type is currently in use.")


def _list_specs(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"extra_specs": _view(get_type(cinder, request), request)["extra_specs"]})


def _add_specs(cinder: "Cinder", request: Request) -> Answer:
    specs = {"extra_specs": {"type": "object"}}
    given = read(request, object_of(specs, ("extra_specs",)))["extra_specs"]
    _check_unused(cinder, request)
    get_type(cinder, request).extra_specs |= given
    return answer_json({"extra_specs": given})


def _spec_key(kind: VolumeType, request: Request) -> str:
    key = request.parameters["key"]
    if key not in kind.extra_specs:
        refuse(404, f"Volume Type {kind.id} has no extra specs with key {key}.")
    return key


def _show_spec(cinder: "Cinder", request: Request) -> Answer:
    kind = get_type(cinder, request)
    key = _spec_key(kind, request)
    return answer_json({key: kind.extra_specs[key]})


def _set_spec(cinder: "Cinder", request: Request) -> Answer:
    given, key = body_of(request), request.parameters["key"]
    if key not in given:
        refuse(400, "Request body and URI mismatch")
    _check_unused(cinder, request)
    get_type(cinder, request).extra_specs[key] = given[key]
    return answer_json(given)


def _delete_spec(cinder: "Cinder", request: Request) -> Answer:
    kind = get_type(cinder, request)
    _check_unused(cinder, request)
    del kind.extra_specs[_spec_key(kind, request)]
    return Answer(202)


def _list_access(cinder: "Cinder", request: Request) -> Answer:
    kind = get_type(cinder, request)
    if kind.is_public:
        refuse(404, "Access list not available for public volume types.")
    access = [
        {"volume_type_id": kind.id, "project_id": project} for project in sorted(kind.projects)
    ]
    return answer_json({"volume_type_access": access})


def _act(cinder: "Cinder", request: Request) -> Answer:
    body, kind = body_of(request), get_type(cinder, request)
    name = next(iter(body), "")
    if name not in ("addProjectAccess", "removeProjectAccess"):
        refuse(
            400,
            f"There is no such action: {name}. Verify the request body and Content-Type "
            "header and try again.",
        )
    require(request.caller, "admin", f"volume_extension:volume_type_access:{name}")
    project_id = body[name]["project"]
    if kind.is_public:
        refuse(
            409,
            "Invalid volume type: Type access modification is not applicable to public "
            "volume type.",
        )
    if name == "addProjectAccess":
        if project_id in kind.projects:
            refuse(
                409, f"Volume type access for {kind.id} / {project_id} combination already exists."
            )
        kind.projects.add(project_id)
        return empty(202)
    if project_id not in kind.projects:
        refuse(404, f"Volume type access not found for {kind.id} / {project_id} combination.")
    kind.projects.remove(project_id)
    return empty(202)


_MANAGE = "volume_extension:types_manage"
_SPECS, _SPEC = "/types/{id}/extra_specs", "/types/{id}/extra_specs/{key}"
ROUTES = (
    ("GET", "/types", "read", "volume_extension:type_get_all", _index),
    ("POST", "/types", "admin", "volume_extension:type_create", _create),
    ("GET", "/types/{id}", "read", "volume_extension:type_get", _show),
    ("PUT", "/types/{id}", "admin", "volume_extension:type_update", _update),
    ("DELETE", "/types/{id}", "admin", "volume_extension:type_delete", _delete),
    ("POST", "/types/{id}/action", "read", _MANAGE, _act),
    ("GET", "/types/{id}/os-volume-type-access", "admin", _MANAGE, _list_access),
    ("GET", _SPECS, "read", "volume_extension:types_extra_specs:index", _list_specs),
    ("POST", _SPECS, "admin", "volume_extension:types_extra_specs:create", _add_specs),
    ("GET", _SPEC, "read", "volume_extension:types_extra_specs:show", _show_spec),
    ("PUT", _SPEC, "admin", "volume_extension:types_extra_specs:update", _set_spec),
    ("DELETE", _SPEC, "admin", "volume_extension:types_extra_specs:delete", _delete_spec),
)
