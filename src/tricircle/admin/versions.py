"""/, /v1 and /healthcheck: what clients and load balancers ask before they have a token."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from tricircle.admin.backend import Uses, base_url
from tricircle.admin.schemas import Link, VersionBody, VersionsBody, VersionView

router = APIRouter(tags=["versions"])


@router.get("/", summary="List API versions", response_model_by_alias=True)
async def list_versions(request: Request, uses: Uses) -> VersionsBody:
    """List the versions of this API, in the form clients of OpenStack discover them by."""
    return VersionsBody(versions=[_describe(base_url(request, uses))])


@router.get("/v1", summary="Show this API version", response_model_by_alias=True)
async def show_version(request: Request, uses: Uses) -> VersionBody:
    """Show version 1 of this API."""
    return VersionBody(version=_describe(base_url(request, uses)))


@router.get(
    "/healthcheck",
    summary="Tell a load balancer that this process serves",
    response_class=PlainTextResponse,
)
async def show_health() -> str:
    """Answer OK, as oslo.middleware's healthcheck without backends does."""
    return "OK"


def _describe(base: str) -> VersionView:
    return VersionView(
        id="v1.0",
        status="CURRENT",
        links=[
            Link(rel="self", href=f"{base}/v1/"),
            Link(rel="describedby", href=f"{base}/openapi.json"),
        ],
        media_types=[{"base": "application/json", "type": "application/json"}],
    )
