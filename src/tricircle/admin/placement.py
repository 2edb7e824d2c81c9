"""/v1/placement: where a new resource would go, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tricircle.admin.backend import Allowed, RequestId, Uses
from tricircle.admin.schemas import PlacementBody, PlacementParameters, VerdictView
from tricircle.core.model import ProjectId
from tricircle.usecases.placement import PlacementQuery

router = APIRouter(prefix="/v1/placement", tags=["resources"])


@router.get(
    "",
    summary="Tell where a new resource would go",
    dependencies=[Depends(Allowed("placement:show"))],
)
async def show_placement(
    uses: Uses, request_id: RequestId, query: Annotated[PlacementParameters, Query()]
) -> PlacementBody:
    """List all pods in the order they would be tried, those that are out at the end.

    Nothing is made. What a request names (volumes, server groups, hosts) may decide otherwise.
    """
    asked = PlacementQuery(
        zone=query.zone,
        project_id=ProjectId(query.project_id) if query.project_id else None,
        flavor=query.flavor,
        count=query.count,
        volume_gib=query.size,
        volume_type=query.volume_type,
    )
    verdicts = await uses.placement.explain(asked, request_id)
    return PlacementBody(placement=[VerdictView.of(one) for one in verdicts])
