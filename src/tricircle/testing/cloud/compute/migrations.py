"""The record of servers that moved, or were to, as operators see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute.lists import parse_limit
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_FILTERS = ("status", "source_compute", "migration_type", "instance_uuid", "user_id", "project_id")


@dataclass(slots=True, eq=False)
class Migration:
    """One move of a server."""

    number: int
    uuid: str
    instance_uuid: str
    user_id: str
    project_id: str
    source_compute: str
    migration_type: str
    old_flavor: int
    new_flavor: int
    created_at: datetime
    status: str = "finished"


def note_migration(compute: "Compute", server: Server, kind: str, old_flavor: int) -> Migration:
    """Return a new record of a server that moves within its only host."""
    now = compute.now()
    made = Migration(
        compute.next_number(), compute.ids(), server.uuid, server.user_id, server.project_id,
        server.host or "", kind, old_flavor, server.flavor.number, now,
    )  # fmt: skip
    compute.migrations.append(made)
    return made


def _list(compute: "Compute", request: Request) -> Answer:
    minor = request.microversion
    allowed = _allowed(minor)
    unknown = sorted({name for name, _ in request.pairs} - allowed)
    if unknown and minor >= 59:
        names = ", ".join(repr(name) for name in unknown)
        verb = "was" if len(unknown) == 1 else "were"
        refuse(400, f"Additional properties are not allowed ({names} {verb} unexpected)")
    since, before = request.find("changes-since"), request.find("changes-before")
    if minor >= 66 and since and before and _iso(before) < _iso(since):
        refuse(400, "The value of changes-since must be less than or equal to changes-before.")
    found = [one for one in compute.migrations if _passes(one, request)]
    if minor < 59:
        return answer_json({"migrations": [_view(one, minor) for one in found]})
    found.sort(key=lambda one: (one.created_at, one.number), reverse=True)
    marker, start = request.find("marker"), 0
    if marker is not None:
        ids = [one.uuid for one in found]
        if marker not in ids:
            refuse(400, f"Marker {marker} could not be found.")
        start = ids.index(marker) + 1
    limit = parse_limit(request, compute.max_limit)
    page = found[start : start + limit]
    body: Document = {"migrations": [_view(one, minor) for one in page]}
    if page and len(page) == limit:
        pairs = {**dict(sorted(request.pairs)), "marker": page[-1].uuid}
        href = f"{request.url}?{urlencode(pairs)}"
        body["migrations_links"] = [{"rel": "next", "href": href}]
    return answer_json(body)


def _allowed(minor: int) -> set[str]:
    allowed = {"hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"}
    allowed |= {"limit", "marker", "changes-since"}
    if minor >= 66:
        allowed.add("changes-before")
    return allowed | {"user_id", "project_id"} if minor >= 80 else allowed


def _passes(migration: Migration, request: Request) -> bool:
    for name in (*_FILTERS, "uuid"):
        wanted = request.find(name)
        if wanted is not None and getattr(migration, name) != wanted:
            return False
    host = request.find("host")
    if host is not None and migration.source_compute != host:
        return False
    since, before = request.find("changes-since"), request.find("changes-before")
    changed = migration.created_at.isoformat()
    is_late = since is None or request.microversion < 59 or changed >= _iso(since)
    return is_late and (before is None or changed <= _iso(before))


def _iso(text: str) -> str:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).isoformat()


def _view(migration: Migration, minor: int) -> Document:
    moment = migration.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f")
    view: Document = {
        "created_at": moment,
        "updated_at": moment,
        "id": migration.number,
        "source_compute": migration.source_compute,
        "dest_compute": migration.source_compute,
        "source_node": migration.source_compute,
        "dest_node": migration.source_compute,
        "dest_host": "127.0.0.1",
        "old_instance_type_id": migration.old_flavor,
        "new_instance_type_id": migration.new_flavor,
        "instance_uuid": migration.instance_uuid,
        "status": migration.status,
    }
    if minor >= 23:
        view["migration_type"] = migration.migration_type
    if minor >= 59:
        view["uuid"] = migration.uuid
    if minor >= 80:
        view |= {"user_id": migration.user_id, "project_id": migration.project_id}
    return view


ROUTES = (("GET", "/os-migrations", "admin", "os-migrations:index", _list),)
