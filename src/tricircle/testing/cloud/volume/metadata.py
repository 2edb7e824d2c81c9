"""Metadata of volumes and snapshots: the same six requests below either."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.volume.guards import read, require

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_TEXTS: Document = {
    "type": "object",
    "patternProperties": {"^[\\s\\S]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
Find = Callable[["Cinder", Request], Json]
Route = tuple[str, str, str, str, Callable[["Cinder", Request], Answer]]


def routes_for(path: str, rule: str, absent: str, find: Find) -> tuple[Route, ...]:
    """Return the routes below `path` for the owner of metadata that `find` gets.

    `absent` is the message for a key that is not there, with {owner} and {key}.
    """

    def show(cinder: "Cinder", request: Request) -> Answer:
        return answer_json({"metadata": find(cinder, request).metadata})

    def add(cinder: "Cinder", request: Request) -> Answer:
        owner, given = _owned(cinder, request, "metadata")
        owner.metadata = {**owner.metadata, **given}
        _touch(cinder, owner)
        return answer_json({"metadata": owner.metadata})

    def replace(cinder: "Cinder", request: Request) -> Answer:
        owner, given = _owned(cinder, request, "metadata")
        owner.metadata = dict(given)
        _touch(cinder, owner)
        return answer_json({"metadata": owner.metadata})

    def show_item(cinder: "Cinder", request: Request) -> Answer:
        owner = find(cinder, request)
        key = _key(owner, request)
        return answer_json({"meta": {key: owner.metadata[key]}})

    def set_item(cinder: "Cinder", request: Request) -> Answer:
        owner, given = _owned(cinder, request, "meta")
        key = request.parameters["key"]
        if key not in given:
            refuse(400, "Request body and URI mismatch")
        owner.metadata = {**owner.metadata, key: given[key]}
        _touch(cinder, owner)
        return answer_json({"meta": {key: given[key]}})

    def delete_item(cinder: "Cinder", request: Request) -> Answer:
        owner = find(cinder, request)
        require(request.caller, "write", f"{rule}:delete")
        key = _key(owner, request)
        owner.metadata = {name: text for name, text in owner.metadata.items() if name != key}
        _touch(cinder, owner)
        return Answer(200)

    def _owned(cinder: "Cinder", request: Request, name: str) -> tuple[Json, Document]:
        given = read(request, object_of({name: _TEXTS}, (name,)))[name]
        owner = find(cinder, request)
        require(request.caller, "write", f"{rule}:update")
        return owner, given

    def _key(owner: Json, request: Request) -> str:
        key = request.parameters["key"]
        if key not in owner.metadata:
            refuse(404, absent.format(owner=owner.id, key=key))
        return key

    return (
        ("GET", path, "read", f"{rule}:get", show),
        ("POST", path, "write", f"{rule}:create", add),
        ("PUT", path, "write", f"{rule}:update", replace),
        ("GET", path + "/{key}", "read", f"{rule}:get", show_item),
        ("PUT", path + "/{key}", "write", f"{rule}:update", set_item),
        ("DELETE", path + "/{key}", "write", f"{rule}:delete", delete_item),
    )


def _touch(cinder: "Cinder", owner: Json) -> None:
    owner.updated_at = cinder.clock()
    if hasattr(owner, "encoded"):
        cinder.touch(owner)
