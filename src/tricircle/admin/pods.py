"""/v1/pods."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tricircle.admin.backend import Allowed, Backend, RequestId, Uses, base_url
from tricircle.admin.paging import link_next, select_pods
from tricircle.admin.schemas import (
    PodBody,
    PodCreateBody,
    PodQuery,
    PodsBody,
    PodUpdateBody,
    PodView,
)
from tricircle.core.model import Pod
from tricircle.usecases import pods as usecases
from tricircle.usecases.pods import NewPod, PodChange

router = APIRouter(prefix="/v1/pods", tags=["pods"])
PodPath = Annotated[str, Path(description="Id or name of a pod.")]


@router.get("", summary="List pods", dependencies=[Depends(Allowed("pods:list"))])
async def list_pods(request: Request, uses: Uses, query: Annotated[PodQuery, Query()]) -> PodsBody:
    """List the pods, ordered by name unless asked otherwise."""
    page, more = select_pods(await uses.pods.list_pods(), query)
    asked = query.model_dump(exclude={"marker"}, exclude_unset=True)
    url = f"{base_url(request, uses)}/v1/pods"
    links = [link_next(url, asked, page[-1].id)] if more else []
    return PodsBody(pods=[PodView.of(pod) for pod in page], pods_links=links)


@router.post(
    "", summary="Add a pod", status_code=201, dependencies=[Depends(Allowed("pods:create"))]
)
async def create_pod(uses: Uses, request_id: RequestId, body: PodCreateBody) -> PodBody:
    """Add the region of a bottom OpenStack as a pod.

    Its endpoints are read from Keystone's catalogue and each must answer its
    version document; else nothing is kept. Jobs then give it what every pod is to have.
    """
    new = NewPod(**body.pod.model_dump())
    pod = await usecases.add_pod(uses.pods, uses.check, new, uses.new_id)
    await usecases.fill_new_pod(uses.requests, pod, request_id)
    return _show(pod)


@router.get("/{pod}", summary="Show a pod", dependencies=[Depends(Allowed("pods:show"))])
async def show_pod(uses: Uses, pod: PodPath) -> PodBody:
    """Show one pod with its endpoints and the versions they speak."""
    return _show(await usecases.get_pod(uses.pods, pod))


@router.patch("/{pod}", summary="Change a pod", dependencies=[Depends(Allowed("pods:update"))])
async def update_pod(
    uses: Uses, request_id: RequestId, pod: PodPath, body: PodUpdateBody
) -> PodBody:
    """Change name, description, enabled or tags. What is left out stays as it is."""
    return await _change(uses, request_id, pod, PodChange(**body.pod.model_dump()))


@router.delete(
    "/{pod}",
    summary="Delete a pod",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(Allowed("pods:delete"))],
)
async def delete_pod(uses: Uses, pod: PodPath) -> None:
    """Delete a pod that serves no zone and holds no resource. The OpenStack itself stays."""
    await usecases.delete_pod(uses.pods, pod)


@router.post(
    "/{pod}/enable", summary="Enable a pod", dependencies=[Depends(Allowed("pods:update"))]
)
async def enable_pod(uses: Uses, request_id: RequestId, pod: PodPath) -> PodBody:
    """Let a pod get new resources. May be repeated."""
    return await _change(uses, request_id, pod, PodChange(enabled=True))


@router.post(
    "/{pod}/disable", summary="Disable a pod", dependencies=[Depends(Allowed("pods:update"))]
)
async def disable_pod(uses: Uses, request_id: RequestId, pod: PodPath) -> PodBody:
    """Give a pod no new resources; what it holds stays reachable. May be repeated."""
    return await _change(uses, request_id, pod, PodChange(enabled=False))


@router.post(
    "/{pod}/refresh", summary="Check a pod again", dependencies=[Depends(Allowed("pods:refresh"))]
)
async def refresh_pod(uses: Uses, request_id: RequestId, pod: PodPath) -> PodBody:
    """Read a pod's endpoints and versions anew, after it was moved or upgraded.

    When an endpoint does not answer the pod stays as it was.
    """
    refreshed = await usecases.refresh_pod(uses.pods, uses.check, pod)
    await usecases.fill_pod(uses.requests, refreshed, request_id)
    return _show(refreshed)


async def _change(uses: Backend, request_id: str, key: str, change: PodChange) -> PodBody:
    """Change a pod; one that gets new resources again is given what it lacks."""
    pod = await usecases.update_pod(uses.pods, key, change)
    if change.enabled:
        await usecases.fill_pod(uses.requests, pod, request_id)
    return _show(pod)


def _show(pod: Pod) -> PodBody:
    return PodBody(pod=PodView.of(pod))
