"""Images and their metadata as Nova shows them: all of it is Glance's (up to 2.35 and 2.38)."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.schemas import METADATA, POSITIVE
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, find_error, object_of, query_message

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_LAST, _LAST_METADATA = 35, 38
_STATUSES = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED"}
_PROGRESS = {"queued": 25, "saving": 50, "active": 100}
_ONE: Document = {**METADATA, "minProperties": 1, "maxProperties": 1}
_ALL_BODY: Schema = object_of({"metadata": METADATA}, ("metadata",))
_ONE_BODY: Schema = object_of({"meta": _ONE}, ("meta",))
_NUMBERS: Document = {"type": "array", "items": POSITIVE}
_QUERY: Schema = object_of({"limit": _NUMBERS, "page_size": _NUMBERS, "offset": _NUMBERS}, (), True)


def _until(request: Request, last: int) -> None:
    if request.microversion > last:
        refuse(404, "The resource could not be found.")


def _show(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST)
    return answer_json({"image": _view(request, _get(compute, request))})


def _index(compute: "Compute", request: Request) -> Answer:
    return _list(compute, request, detailed=False)


def _detail(compute: "Compute", request: Request) -> Answer:
    return _list(compute, request, detailed=True)


def _list(compute: "Compute", request: Request, detailed: bool) -> Answer:
    _until(request, _LAST)
    values: dict[str, list[str]] = {}
    for key, value in request.pairs:
        values.setdefault(key, []).append(value)
    error = find_error(_QUERY, values)
    if error is not None:
        refuse(400, query_message(error))
    images = compute.images.list_visible(request.caller)
    name, marker = request.find("name"), request.find("marker")
    if name is not None:
        images = [image for image in images if image["name"] == name]
    if marker is not None:
        ids = [image["id"] for image in images]
        if marker not in ids:
            refuse(400, f"HTTP 400 Bad Request: No image found with ID {marker}")
        images = images[ids.index(marker) + 1 :]
    limit = int(request.find("limit") or compute.max_limit)
    page = images[:limit]
    views = [_view(request, image) for image in page]
    if not detailed:
        views = [{key: view[key] for key in ("id", "name", "links")} for view in views]
    body: Document = {"images": views}
    if page and len(page) == limit:
        body["images_links"] = [{"rel": "next", "href": _next(request, page[-1]["id"])}]
    return answer_json(body)


def _next(request: Request, marker: str) -> str:
    query = {**dict(parse_qsl(request.query)), "marker": marker}
    return f"{request.url}?{urlencode(query)}"


def _delete(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST)
    image = _get(compute, request)
    if not compute.images.may_write(request.caller, image):
        refuse(403, "You are not allowed to delete the image.")
    del compute.images.items[image["id"]]
    return empty(204)


def _show_metadata(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    image = _get(compute, request)
    return answer_json({"metadata": compute.images.properties_of(image)})


def _show_item(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    properties = compute.images.properties_of(_get(compute, request))
    name = request.parameters["key"]
    if name not in properties:
        refuse(404, "The resource could not be found.")
    return answer_json({"meta": {name: properties[name]}})


def _add_metadata(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    given = read(request, _ALL_BODY)["metadata"]
    image = _get(compute, request)
    merged = {**compute.images.properties_of(image), **given}
    return answer_json({"metadata": _put(compute, request, image, merged)})


def _set_metadata(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    given = read(request, _ALL_BODY)["metadata"]
    image = _get(compute, request)
    return answer_json({"metadata": _put(compute, request, image, given)})


def _set_item(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    given, name = read(request, _ONE_BODY)["meta"], request.parameters["key"]
    if name not in given:
        refuse(400, "Request body and URI mismatch")
    image = _get(compute, request)
    _put(compute, request, image, {**compute.images.properties_of(image), name: given[name]})
    return answer_json({"meta": given})


def _delete_item(compute: "Compute", request: Request) -> Answer:
    _until(request, _LAST_METADATA)
    image, name = _get(compute, request), request.parameters["key"]
    properties = dict(compute.images.properties_of(image))
    if name not in properties:
        refuse(404, "Invalid metadata key")
    del properties[name]
    _put(compute, request, image, properties)
    return empty(204)


def _put(compute: "Compute", request: Request, image: Document, properties: Document) -> Document:
    if not compute.images.may_write(request.caller, image):
        refuse(403, f"Not authorized for image {image['id']}.")
    compute.images.set_properties(image, properties)
    return properties


def _get(compute: "Compute", request: Request) -> Document:
    wanted = request.parameters["id"]
    for image in compute.images.list_visible(request.caller):
        if image["id"] == wanted:
            return image
    refuse(404, "Image not found.")


def _view(request: Request, image: Document) -> Document:
    root = f"{request.base}/v2.1{request.url_project}"
    glance = f"{request.base.rsplit('/', 2)[0]}/image"
    alternate = f"{glance}//images/{image['id']}"
    return {
        "id": image["id"],
        "name": image["name"],
        "minRam": image["min_ram"],
        "minDisk": image["min_disk"],
        "metadata": image.get("properties", {}),
        "created": image["created_at"],
        "updated": image["updated_at"],
        "status": _STATUSES.get(image["status"], "UNKNOWN"),
        "progress": _PROGRESS.get(image["status"], 0),
        "OS-EXT-IMG-SIZE:size": image["size"] or 0,
        "links": [
            {"rel": "self", "href": f"{root}/images/{image['id']}"},
            {
                "rel": "bookmark",
                "href": f"{request.base}{request.url_project}/images/{image['id']}",
            },
            {"rel": "alternate", "type": "application/vnd.openstack.image", "href": alternate},
        ],
    }


# Nova asks no policy of its own here: Glance decides.
ROUTES = (
    ("GET", "/images", "any", "images", _index),
    ("GET", "/images/detail", "any", "images", _detail),
    ("GET", "/images/{id}", "any", "images", _show),
    ("DELETE", "/images/{id}", "any", "images", _delete),
    ("GET", "/images/{id}/metadata", "any", "images", _show_metadata),
    ("POST", "/images/{id}/metadata", "any", "images", _add_metadata),
    ("PUT", "/images/{id}/metadata", "any", "images", _set_metadata),
    ("GET", "/images/{id}/metadata/{key}", "any", "images", _show_item),
    ("PUT", "/images/{id}/metadata/{key}", "any", "images", _set_item),
    ("DELETE", "/images/{id}/metadata/{key}", "any", "images", _delete_item),
)
