"""Errors as HTTP, in the form that Nova and Cinder themselves give them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tricircle.core import errors
from tricircle.core.bodies import set_value
from tricircle.gateway.answers import JSON, Answer, Header, json_answer

_FAULT_NAMES: Mapping[int, str] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""As ``Fault._fault_names`` in nova/api/openstack/wsgi.py and cinder's; else computeFault."""

_STATUSES: Sequence[tuple[type[errors.TricircleError], int]] = (
    (errors.BadInput, 400),
    (errors.BodyTooLarge, 413),
    (errors.OverLimit, 413),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.ServiceFault, 500),
    (errors.NotBuiltYet, 501),
    (errors.NotAcceptable, 406),
    (errors.PodMisbehaved, 502),
    (errors.PodTimeout, 504),
    (errors.TricircleError, 503),
)


def status_of(error: errors.TricircleError) -> int:
    """Return the HTTP status of an error; 503 for whatever may pass by itself."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def fault_of(error: errors.TricircleError, headers: Sequence[Header] = ()) -> Answer:
    """Return an error in the form that the services give it."""
    answer = fault(status_of(error), str(error), headers)
    if not isinstance(error, errors.OverLimit):
        return answer
    body = set_value(answer.body, "overLimit.retryAfter", "0")
    return Answer(answer.status, (*answer.headers, (b"retry-after", b"0")), body)


def fault(status: int, message: str, headers: Sequence[Header] = ()) -> Answer:
    """Return Nova's and Cinder's own form of an error."""
    name = _FAULT_NAMES.get(status, "computeFault")
    body = json.dumps({name: {"code": status, "message": message}}).encode()
    return Answer(status, (JSON, *headers), body)


def unauthorized(authenticate: bytes) -> Answer:
    """Return the answer keystonemiddleware gives to a request without a good token.

    ``authenticate`` is the value of WWW-Authenticate, ``Keystone uri="…"``.
    """
    message = "The request you have made requires authentication."
    body = {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    return json_answer(body, 401, ((b"www-authenticate", authenticate),))


def internal_error() -> Answer:
    """Return Nova's answer to a defect of its own; the traceback is in the log only."""
    message = (
        "Unexpected API Error. Please report this to the operator of this cloud with the "
        "request id of this answer."
    )
    return fault(500, message)
