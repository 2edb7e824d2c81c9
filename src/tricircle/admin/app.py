"""The Admin API as one ASGI application."""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from tricircle.admin import jobs, placement, pods, routings, versions, zones
from tricircle.admin.backend import Backend
from tricircle.admin.edge import Edge
from tricircle.admin.faults import Fault, answer_fault, report
from tricircle.admin.schemas import ErrorBody
from tricircle.core.errors import TricircleError
from tricircle.interfaces.identity import TokenChecker

_DESCRIPTION = """\
Pods and the zone map of Tricircle, where resources are, and the jobs on them.

Every request below /v1/ takes a Keystone token in X-Auth-Token. Errors have the
form `{"error": {"code": 404, "title": "Not Found", "message": "..."}}`. Every answer
has X-OpenStack-Request-ID; one that the client sends is logged beside it.
"""

_FAULTS: Mapping[int, str] = {
    400: "The request itself is wrong; the message names the field.",
    401: "No token, or one that Keystone does not accept.",
    403: "The token is good but policy does not allow this.",
    404: "There is no such resource.",
    409: "The request contradicts what is there, or an endpoint of the pod does not answer.",
    503: "Keystone or the database cannot be reached.",
}


def build_app(backend: Backend, tokens: TokenChecker, authenticate: str) -> ASGIApp:
    """Return the application; ``authenticate`` is the value of WWW-Authenticate in a 401."""
    return Edge(build_api(), backend, tokens, authenticate)


@functools.cache
def build_api() -> FastAPI:
    """Return the resources without what surrounds them; they find the backend in each request."""
    api = FastAPI(
        title="Tricircle Admin API",
        description=_DESCRIPTION,
        version=importlib.metadata.version("tricircle"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # The pages would load scripts from elsewhere; the document is what is promised.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for kind in (TricircleError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, _handle_error)
    api.include_router(versions.router)
    faults: dict[int | str, dict[str, object]] = {
        status: {"model": ErrorBody, "description": meaning} for status, meaning in _FAULTS.items()
    }
    faults["default"] = {"model": ErrorBody, "description": "Any other error has this form too."}
    routers = (pods.router, zones.router, routings.router, placement.router, jobs.router)
    for router in routers:
        api.include_router(router, responses=faults)
    _forget_framework_errors(api)
    return api


async def _handle_error(request: Request, error: Exception) -> JSONResponse:
    fault = report(error)
    if fault.status == 405:
        # The framework names the methods of one handler of the path only.
        allowed = ", ".join(_list_methods(request.app, request.url.path))
        fault = Fault(405, fault.message, {"Allow": allowed})
    return answer_fault(fault)


def _list_methods(api: FastAPI, path: str) -> Sequence[str]:
    """Return the methods a path has, as the served document tells."""
    return [
        method.upper()
        for template, operations in api.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        for method in operations
    ]


def _forget_framework_errors(api: FastAPI) -> None:
    """Take the framework's own 422 out of the document: it is never answered."""
    document = api.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    schemas = cast("MutableMapping[str, object]", document["components"]["schemas"])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
