"""Host aggregates: sets of hosts with metadata, and the zones they make."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.guards import empty, read, require
from tricircle.testing.cloud.compute.schemas import FQDN, NAME
from tricircle.testing.cloud.compute.services import find_service
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_ZONE: Json = {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "^[^:]*$"}
_DEFAULT = "nova"
_AZ = "availability_zone"
_RULE = "os-aggregates"
_IMAGES_SINCE = 81


@dataclass(slots=True)
class HostAggregate:
    """One aggregate; its zone is in its metadata."""

    number: int
    uuid: str
    name: str
    created_at: str
    updated_at: str | None = None
    hosts: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)


class Aggregates:
    """All aggregates of one Nova."""

    def __init__(self) -> None:
        self.items: dict[int, HostAggregate] = {}
        self._number = 0

    def add(self, compute: "Compute", name: str, zone: str | None) -> HostAggregate:
        """Return a new aggregate; raises Refused for a name that is taken."""
        if any(one.name == name for one in self.items.values()):
            refuse(409, f"Aggregate {name} already exists.")
        self._number += 1
        made = HostAggregate(self._number, compute.ids(), name, _now(compute))
        if zone:
            made.metadata[_AZ] = zone
        self.items[made.number] = made
        return made


def _now(compute: "Compute") -> str:
    return f"{compute.now():%Y-%m-%dT%H:%M:%S}.000000"


def _view(one: HostAggregate, minor: int) -> Document:
    view: Document = {
        "id": one.number,
        "name": one.name,
        "hosts": list(one.hosts),
        "metadata": dict(one.metadata),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "deleted_at": None,
        "deleted": False,
        _AZ: one.metadata.get(_AZ),
    }
    return view | ({"uuid": one.uuid} if minor >= 41 else {})


def _show_one(request: Request, one: HostAggregate) -> Answer:
    return answer_json({"aggregate": _view(one, request.microversion)})


def _find(compute: "Compute", request: Request) -> HostAggregate:
    text = request.parameters["id"]
    if not re.fullmatch(r"-?\d+", text):
        refuse(400, "id must be an integer")
    found = compute.aggregates.items.get(int(text))
    if found is None:
        refuse(404, f"Aggregate {text} could not be found.")
    return found


def _index(compute: "Compute", request: Request) -> Answer:
    found = compute.aggregates.items.values()
    return answer_json({"aggregates": [_view(one, request.microversion) for one in found]})


def _body(required: tuple[str, ...]) -> Schema:
    fields = object_of({"name": NAME, _AZ: _ZONE}, required)
    return object_of({"aggregate": dict(fields)}, ("aggregate",))


def _create(compute: "Compute", request: Request) -> Answer:
    given = read(request, _body(("name",)))["aggregate"]
    one = compute.aggregates.add(compute, given["name"].strip(), given.get(_AZ))
    view = _view(one, request.microversion)
    del view["hosts"], view["metadata"]
    return answer_json({"aggregate": view})


def _show(compute: "Compute", request: Request) -> Answer:
    return _show_one(request, _find(compute, request))


def _update(compute: "Compute", request: Request) -> Answer:
    given = read(request, _body(()))["aggregate"]
    if not given:
        refuse(400, f"{given!r} is not valid under any of the given schemas")
    one = _find(compute, request)
    if "name" in given:
        others = (other for other in compute.aggregates.items.values() if other is not one)
        if any(other.name == given["name"] for other in others):
            refuse(409, f"Aggregate {given['name']} already exists.")
        one.name = given["name"]
    if _AZ in given:
        _set_metadata(compute, one, {_AZ: given[_AZ]})
    one.updated_at = _now(compute)
    return _show_one(request, one)


def _set_metadata(compute: "Compute", one: HostAggregate, given: dict[str, str | None]) -> None:
    for key, value in given.items():
        if value is None:
            one.metadata.pop(key, None)
        else:
            one.metadata[key] = value
    _place_hosts(compute)


def _place_hosts(compute: "Compute") -> None:
    """Put every host into the zone of its aggregate, those of none into the default one."""
    zones: dict[str, list[str]] = {_DEFAULT: []}
    for host in [host for hosts in compute.zones.values() for host in hosts]:
        names = [
            one.metadata[_AZ]
            for one in compute.aggregates.items.values()
            if host in one.hosts and _AZ in one.metadata
        ]
        zones.setdefault(names[0] if names else _DEFAULT, []).append(host)
    compute.zones = {zone: hosts for zone, hosts in zones.items() if hosts}


def _delete(compute: "Compute", request: Request) -> Answer:
    one = _find(compute, request)
    if one.hosts:
        reason = "Host aggregate is not empty"
        refuse(400, f"Cannot remove host from aggregate {one.number}. Reason: {reason}.")
    del compute.aggregates.items[one.number]
    return empty(200)


_HOST = dict(object_of({"host": FQDN}, ("host",)))
_VALUES: Json = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_ACTIONS: dict[str, Json] = {
    "add_host": _HOST,
    "remove_host": _HOST,
    "set_metadata": dict(object_of({"metadata": _VALUES}, ("metadata",))),
}


def _act(compute: "Compute", request: Request) -> Answer:
    body = read(request, {"type": "object"})
    action = next(iter(body), "")
    if action not in _ACTIONS:
        refuse(400, f"There is no such action: {action}")
    require(request.caller, "admin", f"{_RULE}:{action}")
    given = read(request, object_of({action: _ACTIONS[action]}, (action,)))[action]
    if action == "set_metadata":
        one = _find(compute, request)
        _set_metadata(compute, one, given["metadata"])
        one.updated_at = _now(compute)
        return _show_one(request, one)
    change = _add_host if action == "add_host" else _remove_host
    return _show_one(request, change(compute, request, given["host"]))


def _add_host(compute: "Compute", request: Request, host: str) -> HostAggregate:
    if find_service(compute, host) is None:
        refuse(404, f"Compute host {host} could not be found.")
    one = _find(compute, request)
    if host in one.hosts:
        refuse(409, f"Aggregate {one.number} already has host {host}.")
    one.hosts.append(host)
    if _AZ in one.metadata:
        _place_hosts(compute)
    return one


def _remove_host(compute: "Compute", request: Request, host: str) -> HostAggregate:
    one = compute.aggregates.items.get(int(request.parameters["id"]))
    if one is None or host not in one.hosts:
        refuse(404, f"Cannot remove host {host} in aggregate {request.parameters['id']}")
    one.hosts.remove(host)
    if _AZ in one.metadata:
        _place_hosts(compute)
    return one


def _cache_images(compute: "Compute", request: Request) -> Answer:
    if request.microversion < _IMAGES_SINCE:
        refuse(404, "The resource could not be found.")
    if not request.caller.is_admin:
        refuse(403, "Policy doesn't allow compute:aggregates:images to be performed.")
    image: Json = dict(object_of({"id": {"type": "string", "format": "uuid"}}, ("id",)))
    items: Json = {"type": "array", "minItems": 1, "items": image}
    given = read(request, object_of({"cache": items}, ("cache",)))["cache"]
    if len({one["id"] for one in given}) < len(given):
        refuse(400, "Duplicate images in request")
    _find(compute, request)
    return empty(202)


ROUTES = (
    ("GET", "/os-aggregates", "admin", f"{_RULE}:index", _index),
    ("POST", "/os-aggregates", "admin", f"{_RULE}:create", _create),
    ("GET", "/os-aggregates/{id}", "admin", f"{_RULE}:show", _show),
    ("PUT", "/os-aggregates/{id}", "admin", f"{_RULE}:update", _update),
    ("DELETE", "/os-aggregates/{id}", "admin", f"{_RULE}:delete", _delete),
    ("POST", "/os-aggregates/{id}/action", "any", f"{_RULE}:action", _act),
    ("POST", "/os-aggregates/{id}/images", "any", f"{_RULE}:images", _cache_images),
)
