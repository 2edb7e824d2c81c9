"""/v1/zones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from tricircle.admin.backend import Allowed, Uses
from tricircle.admin.pods import PodPath
from tricircle.admin.schemas import (
    ZoneBody,
    ZoneCreateBody,
    ZonePodBody,
    ZonePodUpdateBody,
    ZonePodView,
    ZonesBody,
    ZoneView,
)
from tricircle.usecases import zones as usecases

router = APIRouter(prefix="/v1/zones", tags=["zones"])
ZonePath = Annotated[str, Path(description="Name of an availability zone.")]


@router.get("", summary="List zones", dependencies=[Depends(Allowed("zones:list"))])
async def list_zones(uses: Uses) -> ZonesBody:
    """List the zones by name, each with the pods that serve it."""
    zones = await usecases.list_zones(uses.zone_map)
    return ZonesBody(zones=[ZoneView.of(zone) for zone in zones])


@router.post(
    "",
    summary="Let a pod serve a zone",
    status_code=201,
    dependencies=[Depends(Allowed("zones:create"))],
)
async def create_zone(uses: Uses, body: ZoneCreateBody) -> ZoneBody:
    """Put a pod into a zone, which comes into being with its first pod."""
    wanted = body.zone
    zone = await usecases.add_member(uses.zone_map, wanted.name, wanted.pod, wanted.pod_az)
    return ZoneBody(zone=ZoneView.of(zone))


@router.get("/{zone}", summary="Show a zone", dependencies=[Depends(Allowed("zones:show"))])
async def show_zone(uses: Uses, zone: ZonePath) -> ZoneBody:
    """Show one zone with the pods that serve it."""
    return ZoneBody(zone=ZoneView.of(await usecases.get_zone(uses.zone_map, zone)))


@router.get(
    "/{zone}/pods/{pod}",
    summary="Show a pod of a zone",
    dependencies=[Depends(Allowed("zones:show"))],
)
async def show_zone_pod(uses: Uses, zone: ZonePath, pod: PodPath) -> ZonePodBody:
    """Show one pod of a zone."""
    member = await usecases.get_member(uses.zone_map, zone, pod)
    return ZonePodBody(zone_pod=ZonePodView.of(zone, member))


@router.patch(
    "/{zone}/pods/{pod}",
    summary="Change a pod of a zone",
    dependencies=[Depends(Allowed("zones:update"))],
)
async def update_zone_pod(
    uses: Uses, zone: ZonePath, pod: PodPath, body: ZonePodUpdateBody
) -> ZonePodBody:
    """Change the availability zone that is sent to a pod."""
    member = await usecases.update_member(uses.zone_map, zone, pod, body.zone_pod.pod_az)
    return ZonePodBody(zone_pod=ZonePodView.of(zone, member))


@router.delete(
    "/{zone}/pods/{pod}",
    summary="Take a pod out of a zone",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(Allowed("zones:delete"))],
)
async def delete_zone_pod(uses: Uses, zone: ZonePath, pod: PodPath) -> None:
    """Take a pod out of a zone. What it holds stays; the zone goes with its last pod."""
    await usecases.remove_member(uses.zone_map, zone, pod)
