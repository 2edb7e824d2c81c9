"""Errors that no controller gives, in the form that a client wants: JSON, HTML or plain text.

They are webob's, which answers for Nova and Cinder where these have no such resource. Pods are
always asked for JSON, so that what they say of it is a page too.
"""

from __future__ import annotations

from collections.abc import Sequence

from webob import Request
from webob.exc import status_map

from tricircle.core.bodies import check_object, read_value
from tricircle.core.errors import MalformedBody
from tricircle.gateway.answers import JSON, Answer, Header

_DETAIL = "<br /><br />\n"


def no_such_resource() -> Answer:
    """Return what Nova's and Cinder's routers answer to a path or method they do not have."""
    body = (
        b'{"message": "The resource could not be found.<br /><br />\\n\\n\\n", '
        b'"code": "404 Not Found", "title": "Not Found"}'
    )
    return Answer(404, (JSON,), body)


def as_wanted(answer: Answer, request_headers: Sequence[Header]) -> Answer:
    """Return the answer, in the form that the client wants if it is a page of webob's."""
    if answer.status < 400 or answer.status not in status_map or not _is_page(answer.body):
        return answer
    accepts = [value.decode("latin-1") for name, value in request_headers if name == b"accept"]
    explanation, _, detail = str(read_value(answer.body, "message")).partition(_DETAIL)
    page = status_map[answer.status](detail.removesuffix("\n\n"))
    page.explanation = explanation
    request = Request.blank("/", environ={"HTTP_ACCEPT": ",".join(accepts)})
    response = request.get_response(page)
    content_type = (JSON[0], response.headers["content-type"].encode("latin-1"))
    others = [header for header in answer.headers if header[0] != JSON[0]]
    return Answer(answer.status, (content_type, *others), response.body)


def _is_page(body: bytes) -> bool:
    if not body.startswith(b'{"message": '):
        return False
    try:
        return check_object(body).keys() == {"message", "code", "title"}
    except MalformedBody:
        return False
