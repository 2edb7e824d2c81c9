"""Messages (3.3): what users are told of failures that no request waited for."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import volumes
from tricircle.testing.cloud.volume.guards import require
from tricircle.testing.cloud.volume.lists import (
    is_asked,
    keep_allowed,
    next_link,
    parse_limit,
    parse_order,
    slice_of,
    sort_items,
)
from tricircle.testing.cloud.volume.records import Message

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_FILTERS = ("resource_uuid", "resource_type", "event_id", "request_id", "message_level")
_SORT_KEYS = ("id", "created_at", "expires_at", *_FILTERS)
_PAGES_FROM = 5


def _view(message: Message, request: Request) -> Document:
    key = volumes.view_key(request)
    return {
        "id": message.id,
        "event_id": message.event_id,
        "user_message": message.user_message,
        "message_level": message.message_level,
        "created_at": micro(message.created_at),
        "guaranteed_until": micro(message.expires_at),
        "request_id": message.request_id,
        "links": volumes.links_of(key.base, key.project, "messages", message.id),
        "resource_type": message.resource_type,
        "resource_uuid": message.resource_uuid,
    }


def _require_version(request: Request) -> None:
    if request.microversion < 3:
        refuse(404, "The resource could not be found.")


def _get(cinder: "Cinder", request: Request) -> Message:
    _require_version(request)
    message_id, caller = request.parameters["id"], request.caller
    message = cinder.messages.get(message_id)
    if message is None or not (caller.is_admin or message.project_id == caller.project_id):
        refuse(404, f"Message {message_id} could not be found.")
    return message


def _list(cinder: "Cinder", request: Request) -> Answer:
    _require_version(request)
    paged = request.microversion >= _PAGES_FROM
    filters = keep_allowed(request, _FILTERS) if paged else {}
    # Cinder lists the messages of all projects to everybody, and shows each to its own only.
    found = [message for message in cinder.messages.values() if is_asked(message, filters)]
    newest = (("created_at", False), ("id", False))
    ordered = sort_items(found, parse_order(request, _SORT_KEYS) if paged else newest)
    links: list[Document] = []
    if paged:
        ordered, links = slice_of(request, ordered, "messages", "Message", cinder.max_limit)
    elif ordered and parse_limit(request, cinder.max_limit) <= len(ordered):
        links = next_link(request, "messages", ordered[-1].id)
    body: Document = {"messages": [_view(message, request) for message in ordered]}
    return answer_json(body | ({"messages_links": links} if links else {}))


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"message": _view(_get(cinder, request), request)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    message = _get(cinder, request)
    require(request.caller, "write", "message:delete")
    del cinder.messages[message.id]
    return Answer(204)


ROUTES = (
    ("GET", "/messages", "read", "message:get_all", _list),
    ("GET", "/messages/{id}", "read", "message:get", _show),
    ("DELETE", "/messages/{id}", "write", "message:delete", _delete),
)
