"""/v1/routings and /v1/nodes: what is where, and how full it is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from tricircle.admin.backend import Allowed, Uses, base_url
from tricircle.admin.paging import link_next, read_marker, write_marker
from tricircle.admin.schemas import (
    NodesBody,
    NodeView,
    ResourceId,
    RoutingQuery,
    RoutingsBody,
    RoutingView,
)
from tricircle.core.errors import NotFound
from tricircle.core.model import Kind, ProjectId, TopId
from tricircle.usecases.pods import get_named_pod

router = APIRouter(prefix="/v1", tags=["resources"])


@router.get("/routings", summary="List routings", dependencies=[Depends(Allowed("routings:list"))])
async def list_routings(
    request: Request, uses: Uses, query: Annotated[RoutingQuery, Query()]
) -> RoutingsBody:
    """List routings, ordered by kind, id and pod."""
    pod = await get_named_pod(uses.pods, query.pod) if query.pod is not None else None
    found = await uses.upkeep.list_routings(
        kind=query.kind,
        pod_id=pod.id if pod else None,
        project_id=ProjectId(query.project_id) if query.project_id else None,
        top_id=TopId(query.top_id) if query.top_id else None,
        state=query.state,
        limit=query.limit + 1,
        after=read_marker(query.marker),
    )
    page = found[: query.limit]
    asked = query.model_dump(exclude={"marker"}, exclude_unset=True)
    url = f"{base_url(request, uses)}/v1/routings"
    more = len(found) > query.limit
    links = [link_next(url, asked, write_marker(page[-1]))] if more else []
    return RoutingsBody(routings=[RoutingView.of(item) for item in page], routings_links=links)


@router.get(
    "/routings/{kind}/{top_id}",
    summary="Show where a resource is",
    dependencies=[Depends(Allowed("routings:show"))],
)
async def show_routings(
    uses: Uses, kind: Kind, top_id: Annotated[ResourceId, Path()]
) -> RoutingsBody:
    """Show the routings of one resource: one, or one for each pod that has a twin of it."""
    found = await uses.routings.find_routings(kind, TopId(top_id))
    if not found:
        raise NotFound(f"there is no routing for {kind} '{top_id}'; see GET /v1/routings")
    return RoutingsBody(routings=[RoutingView.of(item) for item in found])


@router.get("/nodes", summary="List nodes", dependencies=[Depends(Allowed("nodes:list"))])
async def list_nodes(uses: Uses) -> NodesBody:
    """List the pods as hosts, with what they hold and what is used of it."""
    return NodesBody(nodes=[NodeView.of(node) for node in await uses.nodes.list_nodes()])
