"""Server groups: kept, shown and joined by servers; nothing is really placed by them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.schemas import NAME
from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, find_error, object_of, query_message

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_POLICIES = ["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"]


@dataclass(slots=True)
class ServerGroup:
    """One group and its members."""

    id: str
    name: str
    policy: str
    project_id: str
    user_id: str
    rules: Document = field(default_factory=dict)
    members: list[str] = field(default_factory=list)


class ServerGroups:
    """All groups of one Nova."""

    def __init__(self) -> None:
        self.items: dict[str, ServerGroup] = {}
        self.quota = 10

    def list_of(self, server_id: str) -> list[str]:
        """Return the ids of the groups a server is in."""
        return [group.id for group in self.items.values() if server_id in group.members]

    def join(self, caller: Caller, group_id: str, server_id: str) -> None:
        """Put a server into a group; raises Refused if the caller has none of this id."""
        group = self.items.get(group_id)
        if group is None or not (caller.is_admin or group.project_id == caller.project_id):
            refuse(400, f"Instance group {group_id} could not be found.")
        group.members.append(server_id)

    def leave(self, server_id: str) -> None:
        """Take a server out of its groups."""
        for group in self.items.values():
            if server_id in group.members:
                group.members.remove(server_id)


def _view(group: ServerGroup, minor: int) -> Document:
    view: Document = {"id": group.id, "name": group.name}
    if minor >= 64:
        view |= {"policy": group.policy, "rules": group.rules}
    else:
        view["policies"] = [group.policy]
        view["metadata"] = {}
    view["members"] = group.members
    if minor >= 13:
        view |= {"project_id": group.project_id, "user_id": group.user_id}
    return view


def _schema(minor: int) -> Schema:
    usable = _POLICIES if minor >= 15 else _POLICIES[:2]
    properties: Document = {"name": NAME}
    if minor >= 64:
        rules = {"max_server_per_host": {"type": ["integer", "string"], "minimum": 1}}
        properties["policy"] = {"type": "string", "enum": usable}
        properties["rules"] = dict(object_of(rules))
        required: tuple[str, ...] = ("name", "policy")
    else:
        items: Json = {"type": "string", "enum": usable}
        properties["policies"] = {"type": "array", "items": items, "minItems": 1, "maxItems": 1}
        required = ("name", "policies")
    return object_of({"server_group": dict(object_of(properties, required))}, ("server_group",))


def _check_query(request: Request, names: tuple[str, ...], strict: bool) -> None:
    """Raise Refused for a query that Nova's schema does not allow."""
    values: dict[str, list[Json]] = {}
    for key, value in request.pairs:
        values.setdefault(key, []).append(value)
    number: Document = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minLength": 1}
    properties: Document = {}
    for name in names:
        items: Json = {"type": "string"} if name == "all_projects" else number
        properties[name] = {"type": "array", "items": items}
    error = find_error(object_of(properties, extra=not strict), values)
    if error is not None:
        refuse(400, query_message(error))


def _index(compute: "Compute", request: Request) -> Answer:
    _check_query(request, ("all_projects", "limit", "offset"), request.microversion >= 75)
    caller = request.caller
    everyone = caller.is_admin and request.find("all_projects") is not None
    groups = [
        group
        for group in compute.groups.items.values()
        if everyone or group.project_id == caller.project_id
    ]
    start = int(request.find("offset") or 0)
    limit = min(int(request.find("limit") or 0) or compute.max_limit, compute.max_limit)
    views = [_view(group, request.microversion) for group in groups[start : start + limit]]
    return answer_json({"server_groups": views})


def _create(compute: "Compute", request: Request) -> Answer:
    given = read(request, _schema(request.microversion))["server_group"]
    caller = request.caller
    own = [one for one in compute.groups.items.values() if one.project_id == caller.project_id]
    if len(own) >= compute.groups.quota >= 0:
        refuse(403, "Quota exceeded, too many server groups.")
    policy = given.get("policy") or given["policies"][0]
    rules = {name: int(value) for name, value in (given.get("rules") or {}).items()}
    if policy != "anti-affinity" and rules:
        refuse(400, "Only anti-affinity policy supports rules.")
    group = ServerGroup(
        compute.ids(), given["name"], policy, caller.project_id, caller.user_id, dict(rules)
    )
    compute.groups.items[group.id] = group
    return answer_json({"server_group": _view(group, request.microversion)})


def _get(compute: "Compute", request: Request) -> ServerGroup:
    group_id = request.parameters["id"]
    group = compute.groups.items.get(group_id)
    caller = request.caller
    if group is None or not (caller.is_admin or group.project_id == caller.project_id):
        refuse(404, f"Instance group {group_id} could not be found.")
    return group


def _show(compute: "Compute", request: Request) -> Answer:
    group = _get(compute, request)
    _check_query(request, (), request.microversion >= 102)
    return answer_json({"server_group": _view(group, request.microversion)})


def _delete(compute: "Compute", request: Request) -> Answer:
    del compute.groups.items[_get(compute, request).id]
    return empty(204)


ROUTES = (
    ("GET", "/os-server-groups", "read", "os-server-groups:index", _index),
    ("POST", "/os-server-groups", "write", "os-server-groups:create", _create),
    ("GET", "/os-server-groups/{id}", "read", "os-server-groups:show", _show),
    ("DELETE", "/os-server-groups/{id}", "write", "os-server-groups:delete", _delete),
)
