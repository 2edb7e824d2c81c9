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


class Metadata:
    """The metadata below one kind of owner; `find` gets the owner a path names.

    `absent` is the message for a key that is not there, with {owner} and {key}.
    """

    def __init__(self, rule: str, absent: str, find: Find) -> None:
        self._rule = rule
        self._absent = absent
        self._find = find

    def routes(self, path: str) -> tuple[Route, ...]:
        """Return the routes below the path of an owner."""
        rule = self._rule
        return (
            ("GET", path, "read", f"{rule}:get", self.show),
            ("POST", path, "write", f"{rule}:create", self.add),
            ("PUT", path, "write", f"{rule}:update", self.replace),
            ("GET", path + "/{key}", "read", f"{rule}:get", self.show_item),
            ("PUT", path + "/{key}", "write", f"{rule}:update", self.set_item),
            ("DELETE", path + "/{key}", "write", f"{rule}:delete", self.delete_item),
        )

    def show(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer GET of all metadata."""
        return answer_json({"metadata": self._find(cinder, request).metadata})

    def add(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer POST: what is not named stays."""
        owner, given = self._given(cinder, request, "metadata")
        _set(cinder, owner, {**owner.metadata, **given})
        return answer_json({"metadata": owner.metadata})

    def replace(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer PUT of all metadata: what is not named goes."""
        owner, given = self._given(cinder, request, "metadata")
        _set(cinder, owner, dict(given))
        return answer_json({"metadata": owner.metadata})

    def show_item(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer GET of one key."""
        owner = self._find(cinder, request)
        key = self._known_key(owner, request)
        return answer_json({"meta": {key: owner.metadata[key]}})

    def set_item(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer PUT of one key."""
        owner, given = self._given(cinder, request, "meta")
        key = request.parameters["key"]
        if key not in given:
            refuse(400, "Request body and URI mismatch")
        _set(cinder, owner, {**owner.metadata, key: given[key]})
        return answer_json({"meta": {key: given[key]}})

    def delete_item(self, cinder: "Cinder", request: Request) -> Answer:
        """Answer DELETE of one key."""
        owner = self._find(cinder, request)
        require(request.caller, "write", f"{self._rule}:delete")
        key = self._known_key(owner, request)
        _set(cinder, owner, {name: text for name, text in owner.metadata.items() if name != key})
        return Answer(200)

    def _given(self, cinder: "Cinder", request: Request, name: str) -> tuple[Json, Document]:
        given = read(request, object_of({name: _TEXTS}, (name,)))[name]
        owner = self._find(cinder, request)
        require(request.caller, "write", f"{self._rule}:update")
        return owner, given

    def _known_key(self, owner: Json, request: Request) -> str:
        key = request.parameters["key"]
        if key not in owner.metadata:
            refuse(404, self._absent.format(owner=owner.id, key=key))
        return key


def _set(cinder: "Cinder", owner: Json, metadata: dict[str, str]) -> None:
    owner.metadata = metadata
    owner.updated_at = cinder.clock()
    if hasattr(owner, "encoded"):
        cinder.touch(owner)
