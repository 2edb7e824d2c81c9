"""Errors as HTTP, in the one form this API has: Keystone's.

``{"error": {"code": 404, "title": "Not Found", "message": "..."}}``
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tricircle.core import errors

log = logging.getLogger(__name__)

_STATUSES: Sequence[tuple[type[errors.TricircleError], int]] = (
    (errors.BadInput, 400),
    (errors.BodyTooLarge, 413),
    (errors.Unauthorized, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.NotBuiltYet, 501),
    (errors.NotAcceptable, 406),
    (errors.PodMisbehaved, 502),
    (errors.PodTimeout, 504),
)
_MAX_PROBLEMS = 5
_PLACES = {"body": "field", "query": "parameter", "path": "part of the path"}
_INTERNAL = "an unexpected error occurred; the log has it under the request id of this answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is answered."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


def report(error: Exception) -> Fault:
    """Return how an error is answered, and log what an operator may have to act on.

    500 stands for what should not have happened; whoever catches that logs it.
    """
    fault = _describe(error)
    if isinstance(error, errors.TricircleError) and fault.status >= 500:
        log.warning("request failed", extra={"reason": fault.message, "status": fault.status})
    return fault


def _describe(error: Exception) -> Fault:
    match error:
        case errors.TricircleError():
            return Fault(_status_of(error), str(error))
        case RequestValidationError():
            return Fault(_status_of_problems(error), _explain_problems(error))
        case HTTPException():
            return Fault(error.status_code, _explain_status(error), error.headers or {})
        case _:
            return Fault(500, _INTERNAL)


def answer_fault(fault: Fault) -> JSONResponse:
    """Return the fault in Keystone's form."""
    title = HTTPStatus(fault.status).phrase
    # A client may have sent half of a surrogate pair, which is named but cannot be encoded.
    message = fault.message.encode("utf-8", "backslashreplace").decode()
    error = {"code": fault.status, "title": title, "message": message}
    return JSONResponse({"error": error}, fault.status, dict(fault.headers))


def _status_of(error: errors.TricircleError) -> int:
    """Return an error's status; 503 for whatever may pass by itself."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 503)


def _explain_status(error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return "there is no such resource in this API; see /openapi.json for what there is"
        case 405:
            return "this resource does not have this method; the Allow header lists those it has"
        case _:
            return str(error.detail)


def _status_of_problems(error: RequestValidationError) -> int:
    """Return 404 when it is the path alone that cannot be: nothing is there then."""
    in_path = [problem["loc"][0] == "path" for problem in error.errors()]
    return 404 if all(in_path) else 400


def _explain_problems(error: RequestValidationError) -> str:
    """Return what is wrong with each field, by its place in the body or query."""
    problems = error.errors()
    texts = [_explain_problem(problem) for problem in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        texts.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    return "; ".join(texts)


def _explain_problem(problem: Mapping[str, object]) -> str:
    location = problem.get("loc")
    parts = [str(part) for part in location] if isinstance(location, tuple) else []
    where, names = (parts[0], parts[1:]) if parts else ("request", [])
    place = f"{_PLACES.get(where, where)} '{'.'.join(names)}'"
    match problem.get("type"):
        case "missing" if not names:
            return "a JSON body is required"
        case "missing":
            return f"{place} is required"
        case "extra_forbidden":
            return f"{place} is not known; see /openapi.json for those that are"
        case _ if not names:
            return f"the {where} is not as it must be: {problem.get('msg')}"
        case _:
            return f"{place}: {problem.get('msg')}"
