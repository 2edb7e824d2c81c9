"""What a request to Nova must satisfy: a role, a body, a server in the right state."""

from collections.abc import Collection

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.http import Answer, Document, Json, Request, parse_body, refuse
from tricircle.testing.cloud.schemas import Schema, body_message, find_error


def require(caller: Caller, need: str, rule: str) -> None:
    """Raise Refused unless the caller's roles allow reading, writing or administration."""
    allowed = {
        "any": True,
        "read": caller.may_read,
        "write": caller.may_write,
        "admin": caller.is_admin,
        "service": caller.is_service or caller.is_admin,
    }
    if not allowed[need]:
        refuse(403, f"Policy doesn't allow os_compute_api:{rule} to be performed.")


_CONTENT_TYPES = ("", "text/plain", "application/json", "application/vnd.openstack.compute+json")


def check_content_type(request: Request) -> None:
    """Raise Refused for a body, or the lack of one, of a type Nova does not know."""
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind not in _CONTENT_TYPES:
        refuse(415, "Unsupported Content-Type")


def body_of(request: Request) -> Document:
    """Return the JSON object of a body; raises Refused."""
    if not request.body:
        refuse(400, "None is not of type 'object'")
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


def require_state(caller: Caller, server: Server, action: str, allowed: Collection[str]) -> None:
    """Raise Refused for a locked server, or one in the wrong state."""
    if server.locked and not caller.is_admin:
        refuse(409, f"Instance {server.uuid} is locked")
    if server.vm_state not in allowed:
        refuse(
            409,
            f"Cannot '{action}' instance {server.uuid} while it is in vm_state {server.vm_state}",
        )
    if server.task_state is not None:
        refuse(
            409,
            f"Cannot '{action}' instance {server.uuid} while it is in task_state "
            f"{server.task_state}",
        )


def empty(status: int) -> Answer:
    """Return an answer without a body, which Nova still calls JSON."""
    return Answer(status, b"", [("content-type", "application/json")])
