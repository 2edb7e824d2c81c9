"""The life of a pod: checked and kept, changed, checked again, taken out.

A pod is checked before it is kept and nothing is written when the check fails,
so that every pod in the list is one that has answered.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

from tricircle.core import endpoints
from tricircle.core.conflicts import PodName, find_pod_conflict
from tricircle.core.endpoints import CatalogueUrl
from tricircle.core.errors import (
    BadInput,
    Conflict,
    NotFound,
    PodError,
    ServiceUnavailable,
)
from tricircle.core.jobs import CarryLimits, Job, MeasureNode, ProbePod, SweepPod
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.core.pod_tags import change_tags
from tricircle.interfaces.cloud import Catalogue, Cloud
from tricircle.interfaces.store import PodStore
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.version_documents import explain, read_endpoint

log = logging.getLogger(__name__)

# What no two pods may share, else every resource would be listed twice.
_OWN_SERVICES = (Service.COMPUTE, Service.VOLUME, Service.NETWORK)


@dataclass(frozen=True, slots=True)
class NewPod:
    """What an operator says of a pod to be added."""

    name: str
    region: str
    enabled: bool = True
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodChange:
    """What is to change of a pod; None leaves a field as it is.

    ``tags`` are those to be set, or to be removed when they are None.
    """

    name: str | None = None
    enabled: bool | None = None
    description: str | None = None
    tags: Mapping[str, str | None] | None = None

    def apply(self, pod: Pod) -> Pod:
        """Return a pod with the change made. Raises BadInput."""
        return dataclasses.replace(
            pod,
            name=pod.name if self.name is None else self.name,
            enabled=pod.enabled if self.enabled is None else self.enabled,
            description=pod.description if self.description is None else self.description,
            tags=change_tags(pod.tags, self.tags or {}),
        )


@dataclass(frozen=True, slots=True)
class RegionCheck:
    """Finds out whether a region of Keystone's catalogue can be a pod.

    ``open_cloud`` gives a way to ask one pod, which need not be kept yet, and which
    trusts what that pod's region is to be trusted with. ``own_region`` is the region
    the top itself is in. ``timeout_s`` bounds the whole check of one service; all
    services are asked at once.
    """

    catalogue: Catalogue
    open_cloud: Callable[[Pod], AbstractAsyncContextManager[Cloud]]
    own_region: str
    timeout_s: float

    async def read_endpoints(self, pod: Pod) -> Mapping[Service, Endpoint]:
        """Return the endpoints of a pod's region, each of which has answered just now.

        Raises BadInput for a region that Keystone does not know, that is the top's
        own or lacks a service; Conflict naming every endpoint that did not answer
        as it should.
        """
        urls = await self._read_catalogue(pod.region)
        async with self.open_cloud(pod) as cloud:
            outcomes = await fan_out(
                {
                    service: partial(self._read_endpoint, cloud, pod.id, service, url)
                    for service, url in urls.items()
                },
                timeout_s=self.timeout_s,
            )
        failures = [
            f"the {service} endpoint {urls[service].versioned} {outcome.reason}"
            for service, outcome in outcomes.items()
            if isinstance(outcome, Failed)
        ]
        if failures:
            raise Conflict(
                f"region '{pod.region}' cannot be used: {'; '.join(failures)}; "
                "make the endpoints answer, or correct them with 'openstack endpoint set'"
            )
        return {
            service: outcome.value
            for service, outcome in outcomes.items()
            if isinstance(outcome, Done)
        }

    async def _read_catalogue(self, region: str) -> Mapping[Service, CatalogueUrl]:
        if region == self.own_region:
            raise BadInput(
                f"region '{region}' is the one Tricircle itself serves; "
                "a pod needs a region of its own, see 'openstack region list'"
            )
        try:
            urls = await self.catalogue.get_endpoints(region)
        except NotFound:
            raise BadInput(
                f"region '{region}' is not in Keystone's catalogue; see 'openstack region list'"
            ) from None
        missing = [service for service in endpoints.REQUIRED_SERVICES if service not in urls]
        if missing:
            raise BadInput(
                f"region '{region}' has no public endpoint for {', '.join(missing)} in Keystone's "
                f"catalogue; add it with 'openstack endpoint create --region {region}'"
            )
        wanted = (*endpoints.REQUIRED_SERVICES, *endpoints.OPTIONAL_SERVICES)
        return {
            service: endpoints.parse_catalogue_url(service, urls[service])
            for service in wanted
            if service in urls
        }

    async def _read_endpoint(
        self, cloud: Cloud, pod_id: PodId, service: Service, url: CatalogueUrl
    ) -> Endpoint:
        """Return the endpoint as it will be kept. Raises Conflict with the reason if it cannot."""
        try:
            return await read_endpoint(cloud, pod_id, service, url, self.timeout_s)
        except PodError as error:
            raise Conflict(explain(error)) from error
        except BadInput as error:
            raise Conflict(str(error)) from error


async def get_pod(store: PodStore, key: str) -> Pod:
    """Return the pod with this id or, failing that, this name. Raises NotFound."""
    pods = await store.list_pods()
    found = next((pod for pod in pods if pod.id == key), None)
    found = found or next((pod for pod in pods if pod.name == key), None)
    if found is None:
        raise NotFound(f"pod '{key}' could not be found; see GET /v1/pods")
    return found


async def get_named_pod(store: PodStore, key: str) -> Pod:
    """Return the pod that a body or query names. Raises BadInput: the request is wrong then."""
    try:
        return await get_pod(store, key)
    except NotFound as error:
        raise BadInput(str(error)) from None


async def add_pod(
    store: PodStore, check: RegionCheck, new: NewPod, new_id: Callable[[], str]
) -> Pod:
    """Return a new pod, checked and kept.

    Of two that are added at once the store's constraints let one through. Raises
    what ``RegionCheck.read_endpoints`` does, and Duplicate.
    """
    pods = await store.list_pods()
    wanted = Pod(PodId(new_id()), new.name, new.region, new.enabled, new.description, tags=new.tags)
    # Early, so that a region that is a pod already is not asked in vain.
    names = [PodName(pod.id, pod.name, pod.region) for pod in pods]
    if conflict := find_pod_conflict(wanted, names):
        raise conflict
    found = await check.read_endpoints(wanted)
    _refuse_shared(await store.list_pods(), wanted.id, found)
    pod = await store.add_pod(dataclasses.replace(wanted, endpoints=found))
    log.info("pod added", extra={"pod": pod.name, "pod_id": pod.id, "region": pod.region})
    return pod


def _refuse_shared(pods: Sequence[Pod], pod_id: PodId, found: Mapping[Service, Endpoint]) -> None:
    for pod in pods:
        for service in _OWN_SERVICES:
            kept = pod.endpoints.get(service)
            if pod.id != pod_id and kept is not None and kept.url == found[service].url:
                raise Conflict(
                    f"the {service} endpoint {kept.url} belongs to pod '{pod.name}' already; "
                    "each pod needs its own, see 'openstack endpoint list'"
                )


async def update_pod(store: PodStore, key: str, change: PodChange) -> Pod:
    """Return the pod with the change made. Raises NotFound, Duplicate, BadInput."""
    pod = await get_pod(store, key)
    if change.apply(pod) == pod:
        return pod
    kept = await store.update_pod(pod.id, change.apply)
    log.info("pod changed", extra={"pod": kept.name, "pod_id": kept.id, "enabled": kept.enabled})
    return kept


async def refresh_pod(store: PodStore, check: RegionCheck, key: str) -> Pod:
    """Return the pod with endpoints and version ranges as they are now.

    Raises what ``RegionCheck.read_endpoints`` does; then the pod is as it was.
    """
    pod = await get_pod(store, key)
    found = await check.read_endpoints(pod)
    _refuse_shared(await store.list_pods(), pod.id, found)
    # Whatever else of the pod was changed while its services were asked stays.
    kept = await store.update_pod(
        pod.id, lambda current: dataclasses.replace(current, endpoints=found)
    )
    log.info("pod refreshed", extra={"pod": kept.name, "pod_id": kept.id})
    return kept


async def fill_new_pod(requests: JobRequests, pod: Pod, request_id: str) -> None:
    """Have a new pod given what every pod is to have, measured and probed."""
    jobs = (SweepPod(pod.id), CarryLimits(pod.id), MeasureNode(pod.id), ProbePod(pod.id))
    await _ask_for(requests, pod, jobs, request_id)


async def fill_pod(requests: JobRequests, pod: Pod, request_id: str) -> None:
    """Have a pod given what it lacks of what every pod is to have."""
    await _ask_for(requests, pod, (SweepPod(pod.id), CarryLimits(pod.id)), request_id)


async def _ask_for(requests: JobRequests, pod: Pod, jobs: Sequence[Job], request_id: str) -> None:
    """Ask for jobs of a pod that is kept already, which only makes them come sooner.

    XJob schedules them for every pod by itself, but for the limits, which a refresh of the
    pod asks for again: nothing is lost when this fails.
    """
    try:
        await requests.submit(jobs, request_id)
    except (ServiceUnavailable, NotFound, Conflict) as error:
        log.warning(
            "pod is filled later: jobs could not be asked for",
            extra={"pod": pod.name, "pod_id": pod.id, "reason": str(error)},
        )


async def delete_pod(store: PodStore, key: str) -> None:
    """Delete a pod that serves no zone and holds nothing. Raises NotFound, PodInUse."""
    pod = await get_pod(store, key)
    await store.delete_pod(pod.id)
    log.info("pod deleted", extra={"pod": pod.name, "pod_id": pod.id, "region": pod.region})
