"""What a request to Cinder must satisfy: a role, a body, a volume that is there."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Document, Json, Request, parse_body, refuse
from tricircle.testing.cloud.schemas import Schema, body_message, find_error
from tricircle.testing.cloud.volume.records import Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder


class _Owned(Protocol):
    """Something that belongs to a project."""

    project_id: str


Owned = TypeVar("Owned", bound=_Owned)


def require(caller: Caller, need: str, rule: str) -> None:
    """Raise Refused unless the caller's roles allow reading, writing or administration."""
    allowed = {"read": caller.may_read, "write": caller.may_write, "admin": caller.is_admin}
    if not allowed[need]:
        refuse(403, f"Policy doesn't allow {rule} to be performed.")


def body_of(request: Request) -> Document:
    """Return the JSON object of a body; raises Refused."""
    try:
        body: Json = parse_body(request.body)
    except ValueError:
        refuse(400, "Malformed request body")
    if not isinstance(body, dict):
        refuse(400, f"{body!r} is not of type 'object'")
    return body


def read(request: Request, schema: Schema) -> Document:
    """Return the body of a request, checked; raises Refused."""
    body = body_of(request)
    error = find_error(schema, body)
    if error is not None:
        refuse(400, body_message(error))
    return body


def get_volume(cinder: "Cinder", caller: Caller, volume_id: str) -> Volume:
    """Return a volume the caller sees; raises Refused as for an absent one."""
    volume = cinder.find_visible(caller, volume_id)
    if volume is None:
        refuse(404, f"Volume {volume_id} could not be found.")
    return volume


def require_minor(request: Request, minor: int) -> None:
    """Raise Refused for a microversion that does not have the API yet."""
    if request.microversion < minor:
        refuse(404, "The resource could not be found.")


def get_cluster_host(
    given: Callable[[str], str | None], knows_clusters: bool
) -> tuple[str | None, str | None]:
    """Return cluster and host, of which exactly one must be given; raises Refused."""
    cluster, host = given("cluster") if knows_clusters else None, given("host")
    if bool(cluster) == bool(host):
        words = "One and only one of cluster and host must be set."
        refuse(
            400,
            f"Invalid input received: {words if knows_clusters else 'Host field is missing.'}",
        )
    return cluster, host


def get_owned(records: Mapping[str, Owned], caller: Caller, item_id: str, label: str) -> Owned:
    """Return what the caller sees of a kind; raises Refused as for an absent one."""
    found = records.get(item_id)
    if found is None or not (caller.is_admin or found.project_id == caller.project_id):
        refuse(404, f"{label} {item_id} could not be found.")
    return found


def is_true(value: object) -> bool:
    """Return whether a value means yes."""
    return str(value).lower() in ("1", "t", "true", "on", "y", "yes")


def empty(status: int) -> Answer:
    """Return an answer without a body, which Cinder still calls JSON."""
    return Answer(status, b"", [("content-type", "application/json")])
