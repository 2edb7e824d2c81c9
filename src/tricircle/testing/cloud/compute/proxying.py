"""How a Nova passes a request on to another service of its pod, with the caller's own token."""

from dataclasses import dataclass
from typing import NoReturn

from tricircle.testing.cloud.http import Json, Request, encode, parse_body, refuse
from tricircle.testing.cloud.schemas import Schema, find_error, query_message
from tricircle.testing.cloud.service import Service

LAST = 35
"""The last microversion 2.N with proxies (MAX_PROXY_API_SUPPORT_VERSION)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other service says."""

    status: int
    body: Json
    request_id: str

    @property
    def message(self) -> str:
        """The words of an error, whatever the service's form of it."""
        inner = next(iter(self.body.values())) if isinstance(self.body, dict) else {}
        return str(inner.get("message", ""))


def ask(
    service: Service, request: Request, method: str, path: str, query: str = "", body: Json = None
) -> Reply:
    """Return the answer of another service to the caller of a request."""
    headers = {
        "x-auth-token": request.headers["x-auth-token"],
        "accept": "application/json",
        "content-type": "application/json",
    }
    base = request.base.rsplit("/", 1)[0]
    sent = encode(body) if body is not None else b""
    asked = Request(method, path, query, headers, sent, f"{base}/{service.name}")
    answer = service.answer(asked)
    document = parse_body(answer.body) if answer.body else None
    return Reply(answer.status, document, answer.find_header("x-openstack-request-id") or "")


def check_version(request: Request, last: int = LAST) -> None:
    """Raise Refused from the microversion on that has no such resource any more."""
    if request.microversion > last:
        refuse(404, "The resource could not be found.")


def check_query(request: Request, schema: Schema) -> None:
    """Raise Refused for a query that a schema does not allow."""
    values: dict[str, list[str]] = {}
    for key, value in request.pairs:
        values.setdefault(key, []).append(value)
    error = find_error(schema, values)
    if error is not None:
        refuse(400, query_message(error))


def limited(request: Request, items: list[Json], largest: int) -> list[Json]:
    """Return the part of a list that ``offset`` and ``limit`` of a request ask for."""
    offset = int(request.find("offset") or 0)
    limit = min(largest, int(request.find("limit") or 0) or largest)
    return items[offset : offset + limit]


def unexpected(minor: int, name: str) -> NoReturn:
    """Raise Refused as Nova does for an error that it does not expect, named by its class.

    ``minor`` is N of the highest microversion 2.N: Nova 34 has other words than Nova 31.
    """
    words = "Please contact the administrator"
    if minor < 104:
        words = (
            "Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log "
            "if possible."
        )
    refuse(500, f"Unexpected API Error. {words}\n<class '{name}'>")
