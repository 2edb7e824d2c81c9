"""Deleting what a pod that did not answer still has of a deleted server group.

The job ``DeleteServerGroup``. The group was deleted by its user in another pod, whose policy
allowed it; here the service's own token is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tricircle.core.errors import NotFound
from tricircle.core.jobs import DeleteServerGroup
from tricircle.core.model import Kind, Pod, RoutingState, Service, Version
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.core.server_groups import OWNED_SINCE, read_twin_name
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.interfaces.store import PodStore, RoutingStore
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.server_groups import WHOLE_PAGE

_VERSION: Version = OWNED_SINCE


class ServerGroupRemoval:
    """Carries out ``DeleteServerGroup``."""

    def __init__(
        self,
        cloud: Cloud,
        credential: ServiceCredential,
        routings: RoutingStore,
        pods: PodStore,
        timeout_s: float,
    ) -> None:
        self._cloud, self._credential = cloud, credential
        self._routings, self._pods, self._timeout_s = routings, pods, timeout_s

    async def run(self, job: DeleteServerGroup, errand: Errand) -> Outcome:
        """Delete a group's twin in a pod and forget it. Raises PodError."""
        rows = await self._routings.find_routings(Kind.SERVER_GROUP, job.group_id)
        row = next((one for one in rows if one.pod_id == job.pod_id), None)
        if row is None or row.state is not RoutingState.DELETING:
            return Succeeded("there is nothing to delete")
        try:
            pod = await self._pods.get_pod(job.pod_id)
        except NotFound:
            return Succeeded("the pod is gone")
        if Service.COMPUTE not in pod.endpoints:
            return Succeeded("the pod has no such service")
        nova = self._nova(pod, errand.request_id)
        ids = [str(row.bottom_id)] if row.bottom_id else await self._search(nova, job)
        for bottom_id in ids:
            await nova.change("DELETE", f"/os-server-groups/{bottom_id}", _VERSION)
        await self._routings.forget_routing(Kind.SERVER_GROUP, job.group_id, job.pod_id)
        return Succeeded(f"{len(ids)} deleted")

    async def _search(self, nova: PodService, job: DeleteServerGroup) -> list[str]:
        """Return the twins of a group whose id was never written down, found by their name."""
        found: list[Mapping[str, object]] = []
        while True:
            query = {"all_projects": "True"} | ({"offset": str(len(found))} if found else {})
            page = (await nova.get("/os-server-groups", _VERSION, **query)).items("server_groups")
            found += page
            if len(page) < WHOLE_PAGE:
                return _twins_of(job, found)

    def _nova(self, pod: Pod, request_id: str) -> PodService:
        endpoint = pod.endpoints[Service.COMPUTE]
        return PodService(self._cloud, self._credential, pod, endpoint, request_id, self._timeout_s)


def _twins_of(job: DeleteServerGroup, groups: Sequence[Mapping[str, object]]) -> list[str]:
    return [
        str(one["id"])
        for one in groups
        if one.get("project_id") == job.project_id
        and (read_twin_name(str(one.get("name"))) or ("", ""))[1] == job.group_id
    ]
