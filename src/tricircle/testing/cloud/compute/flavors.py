"""Flavors, their extra specs and who may use them."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.records import Flavor
from tricircle.testing.cloud.compute.schemas import (
    BOOLEAN,
    DESCRIPTION,
    NAME,
    NON_NEGATIVE,
    POSITIVE,
)
from tricircle.testing.cloud.compute.views import links_of
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_SORT_KEYS = {
    "flavorid": "flavorid",
    "id": "number",
    "name": "name",
    "memory_mb": "memory_mb",
    "root_gb": "root_gb",
    "vcpus": "vcpus",
    "swap": "swap",
    "ephemeral_gb": "ephemeral_gb",
    "rxtx_factor": "rxtx_factor",
    "is_public": "is_public",
}
_SPEC_KEY = "^[a-zA-Z0-9-_:. ]{1,255}$"


def _may_use(request: Request, flavor: Flavor) -> bool:
    caller = request.caller
    return flavor.is_public or caller.is_admin or caller.project_id in flavor.projects


def _get(compute: "Compute", request: Request) -> Flavor:
    flavor_id = request.parameters["flavor_id"]
    flavor = compute.flavors.get(flavor_id)
    if flavor is None or not _may_use(request, flavor):
        refuse(404, f"Flavor {flavor_id} could not be found.")
    return flavor


def _basic(compute: "Compute", request: Request, flavor: Flavor) -> Document:
    key = compute.view_key(request)
    links = links_of(key, "flavors", flavor.flavorid)
    view: Document = {"id": flavor.flavorid, "name": flavor.name, "links": links}
    if request.microversion >= 55:
        view["description"] = flavor.description
    return view


def _detail(compute: "Compute", request: Request, flavor: Flavor) -> Document:
    minor = request.microversion
    view: Document = {
        "id": flavor.flavorid,
        "name": flavor.name,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "swap": flavor.swap or (0 if minor >= 75 else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "links": links_of(compute.view_key(request), "flavors", flavor.flavorid),
    }
    if minor < 102:
        view["OS-FLV-DISABLED:disabled"] = False
        view["rxtx_factor"] = flavor.rxtx_factor
    if minor >= 55:
        view["description"] = flavor.description
    if minor >= 61:
        view["extra_specs"] = flavor.extra_specs
    return view


def _list_basic(compute: "Compute", request: Request) -> Answer:
    page = _page(compute, request)
    body: Document = {"flavors": [_basic(compute, request, flavor) for flavor in page]}
    return answer_json(body | _links(compute, request, page, "flavors"))


def _list_detail(compute: "Compute", request: Request) -> Answer:
    page = _page(compute, request)
    body: Document = {"flavors": [_detail(compute, request, flavor) for flavor in page]}
    return answer_json(body | _links(compute, request, page, "flavors/detail"))


def _page(compute: "Compute", request: Request) -> list[Flavor]:
    found = [item for item in compute.flavors.values() if _is_listed(request, item)]
    for name, field in (("minRam", "memory_mb"), ("minDisk", "root_gb")):
        wanted = request.find(name)
        if wanted is not None:
            if not wanted.lstrip("-").isdigit():
                refuse(400, f"Invalid {name} filter [{wanted}]")
            found = [item for item in found if getattr(item, field) >= int(wanted)]
    field = _SORT_KEYS.get(request.find("sort_key") or "flavorid", "flavorid")
    reverse = request.find("sort_dir") == "desc"
    found.sort(key=lambda item: (getattr(item, field), item.number), reverse=reverse)
    marker = request.find("marker")
    if marker:
        places = [place for place, item in enumerate(found) if item.flavorid == marker]
        if not places:
            refuse(400, f"marker [{marker}] not found")
        found = found[places[0] + 1 :]
    return found[: _limit(compute, request)]


def _limit(compute: "Compute", request: Request) -> int:
    given = request.find("limit") or str(compute.max_limit)
    if not given.isdigit():
        refuse(
            400,
            f"Invalid input for query parameters limit. Value: {given}. {given!r} does "
            "not match '^[0-9]*$'",
        )
    return min(int(given), compute.max_limit)


def _is_listed(request: Request, flavor: Flavor) -> bool:
    if not request.caller.is_admin:
        return _may_use(request, flavor)
    wanted = request.find("is_public")
    if wanted is None:
        return flavor.is_public or request.caller.project_id in flavor.projects
    if wanted.lower() == "none":
        return True
    if wanted.lower() not in ("true", "false", "1", "0", "yes", "no", "t", "f", "y", "n"):
        refuse(400, f"Invalid is_public filter [{wanted}]")
    return flavor.is_public == (wanted.lower() in ("true", "1", "yes", "t", "y"))


def _links(compute: "Compute", request: Request, page: list[Flavor], collection: str) -> Document:
    limit = _limit(compute, request)
    if not limit or len(page) != limit:
        return {}
    params = dict(sorted(request.pairs)) | {"marker": page[-1].flavorid}
    prefix = compute.view_key(request).self_prefix
    return {
        "flavors_links": [{"rel": "next", "href": f"{prefix}/{collection}?{urlencode(params)}"}]
    }


def _show(compute: "Compute", request: Request) -> Answer:
    return answer_json({"flavor": _detail(compute, request, _get(compute, request))})


def _create_schema(minor: int) -> Schema:
    properties: Document = {
        "name": NAME,
        "id": {
            "oneOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": r"^(?! )[a-zA-Z0-9. _-]+(?<! )$",
                },
                {"type": "integer"},
                {"type": "null"},
            ]
        },
        "ram": POSITIVE,
        "vcpus": POSITIVE,
        "disk": NON_NEGATIVE,
        "OS-FLV-EXT-DATA:ephemeral": NON_NEGATIVE,
        "swap": NON_NEGATIVE,
        "os-flavor-access:is_public": BOOLEAN,
    }
    if minor < 102:
        properties["rxtx_factor"] = {"type": ["number", "string"]}
    if minor >= 55:
        properties["description"] = DESCRIPTION
    flavor = dict(object_of(properties, ("name", "ram", "vcpus", "disk")))
    return object_of({"flavor": flavor}, ("flavor",))


def _create(compute: "Compute", request: Request) -> Answer:
    given = read(request, _create_schema(request.microversion))["flavor"]
    flavorid = given.get("id")
    flavorid = compute.ids() if flavorid in (None, "auto") else str(flavorid)
    if any(item.name == given["name"] for item in compute.flavors.values()):
        refuse(409, f"Flavor with name {given['name']} already exists.")
    if flavorid in compute.flavors:
        refuse(409, f"Flavor with ID {flavorid} already exists.")
    sizes = (int(given["vcpus"]), int(given["ram"]), int(given["disk"]))
    flavor = compute.add_flavor(flavorid, given["name"], *sizes)
    flavor.ephemeral_gb = int(given.get("OS-FLV-EXT-DATA:ephemeral", 0))
    flavor.swap = int(given.get("swap", 0))
    flavor.rxtx_factor = float(given.get("rxtx_factor", 1.0))
    public = str(given.get("os-flavor-access:is_public", True)).lower()
    flavor.is_public = public in ("true", "1", "on", "yes")
    flavor.description = given.get("description")
    return answer_json({"flavor": _detail(compute, request, flavor)})


def _update(compute: "Compute", request: Request) -> Answer:
    if request.microversion < 55:
        refuse(404, "The resource could not be found.")
    flavor = dict(object_of({"description": DESCRIPTION}, ("description",)))
    given = read(request, object_of({"flavor": flavor}, ("flavor",)))["flavor"]
    found = _get(compute, request)
    found.description = given["description"]
    return answer_json({"flavor": _detail(compute, request, found)})


def _delete(compute: "Compute", request: Request) -> Answer:
    del compute.flavors[_get(compute, request).flavorid]
    return empty(202)


def _list_specs(compute: "Compute", request: Request) -> Answer:
    return answer_json({"extra_specs": _get(compute, request).extra_specs})


def _add_specs(compute: "Compute", request: Request) -> Answer:
    value = {"type": ["string", "number"], "minLength": 0, "maxLength": 255}
    specs = {
        "type": "object",
        "patternProperties": {_SPEC_KEY: value},
        "additionalProperties": False,
    }
    given = read(request, object_of({"extra_specs": specs}, ("extra_specs",)))["extra_specs"]
    flavor = _get(compute, request)
    flavor.extra_specs |= {key: str(text) for key, text in given.items()}
    return answer_json({"extra_specs": given})


def _show_spec(compute: "Compute", request: Request) -> Answer:
    flavor, key = _get(compute, request), request.parameters["key"]
    if key not in flavor.extra_specs:
        refuse(404, f"Flavor {flavor.flavorid} has no extra specs with key {key}.")
    return answer_json({key: flavor.extra_specs[key]})


def _set_spec(compute: "Compute", request: Request) -> Answer:
    value = {"type": ["string", "number"], "minLength": 0, "maxLength": 255}
    schema = {
        "type": "object",
        "patternProperties": {_SPEC_KEY: value},
        "additionalProperties": False,
    }
    given, key = read(request, schema), request.parameters["key"]
    if key not in given:
        refuse(400, "Request body and URI mismatch")
    _get(compute, request).extra_specs[key] = str(given[key])
    return answer_json(given)


def _delete_spec(compute: "Compute", request: Request) -> Answer:
    flavor, key = _get(compute, request), request.parameters["key"]
    if key not in flavor.extra_specs:
        refuse(404, f"Flavor {flavor.flavorid} has no extra specs with key {key}.")
    del flavor.extra_specs[key]
    return empty(200)


def _access_view(flavor: Flavor) -> Document:
    projects = sorted(flavor.projects)
    return {
        "flavor_access": [{"flavor_id": flavor.flavorid, "tenant_id": found} for found in projects]
    }


def _list_access(compute: "Compute", request: Request) -> Answer:
    flavor = _get(compute, request)
    if flavor.is_public:
        refuse(404, "Access list not available for public flavors.")
    return answer_json(_access_view(flavor))


def _act(compute: "Compute", request: Request) -> Answer:
    project: Document = {"type": "string", "minLength": 1, "maxLength": 255}
    tenant = dict(object_of({"tenant": project}, ("tenant",)))
    schema = object_of({"addTenantAccess": tenant, "removeTenantAccess": tenant})
    given, flavor = read(request, schema), _get(compute, request)
    if "addTenantAccess" in given:
        project_id = given["addTenantAccess"]["tenant"]
        if flavor.is_public:
            refuse(409, "Can not add access to a public flavor.")
        if project_id in flavor.projects:
            refuse(
                409,
                "Flavor access already exists for flavor "
                f"{flavor.flavorid} and project {project_id} combination.",
            )
        flavor.projects.add(project_id)
    else:
        project_id = given["removeTenantAccess"]["tenant"]
        if project_id not in flavor.projects:
            refuse(
                404, f"Flavor access not found for {flavor.flavorid} / {project_id} combination."
            )
        flavor.projects.remove(project_id)
    return answer_json(_access_view(flavor))


_SPECS = "/flavors/{flavor_id}/os-extra_specs"
_SPEC = _SPECS + "/{key}"
ROUTES = (
    ("GET", "/flavors", "read", "flavors", _list_basic),
    ("GET", "/flavors/detail", "read", "flavors", _list_detail),
    ("POST", "/flavors", "admin", "os-flavor-manage:create", _create),
    ("GET", "/flavors/{flavor_id}", "read", "flavors", _show),
    ("PUT", "/flavors/{flavor_id}", "admin", "os-flavor-manage:update", _update),
    ("DELETE", "/flavors/{flavor_id}", "admin", "os-flavor-manage:delete", _delete),
    ("POST", "/flavors/{flavor_id}/action", "admin", "os-flavor-access:add_tenant_access", _act),
    ("GET", "/flavors/{flavor_id}/os-flavor-access", "admin", "os-flavor-access", _list_access),
    ("GET", _SPECS, "read", "os-flavor-extra-specs:index", _list_specs),
    ("POST", _SPECS, "admin", "os-flavor-extra-specs:create", _add_specs),
    ("GET", _SPEC, "read", "os-flavor-extra-specs:show", _show_spec),
    ("PUT", _SPEC, "admin", "os-flavor-extra-specs:update", _set_spec),
    ("DELETE", _SPEC, "admin", "os-flavor-extra-specs:delete", _delete_spec),
)
