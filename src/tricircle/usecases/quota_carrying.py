"""Giving pods the limits that were set at the top.

What the top counts over all pods is unlimited in each of them, so that no pod refuses
what the top has allowed. All else each pod checks by itself, with the same number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.errors import NotFound
from tricircle.core.jobs import CarryLimits, CarryQuota, CarryQuotaClass
from tricircle.core.model import Pod, PodId, Service, Version
from tricircle.core.quotas import UNLIMITED, Amounts, Counting, Holder
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.core.wishes import Document
from tricircle.interfaces.quotas import LimitLists, QuotaLimits
from tricircle.interfaces.store import PodStore
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.replicas.pod_service import PodService, PodServices

PAGE = 500
"""Limits that jobs are asked for at once."""


@dataclass(frozen=True, slots=True)
class QuotaKeeper:
    """A service of the pods as it keeps limits.

    ``version`` is the one to speak; with ``force`` it does not compare them with what is used.
    """

    services: PodServices
    counting: Counting
    version: Version
    force: bool


class QuotaCarrying:
    """Carries out ``CarryQuota`` and ``CarryQuotaClass``."""

    def __init__(
        self, limits: QuotaLimits, pods: PodStore, keepers: Mapping[Service, QuotaKeeper]
    ) -> None:
        self._limits, self._pods, self._keepers = limits, pods, keepers

    async def carry(self, job: CarryQuota, errand: Errand) -> Outcome:
        """Make a project's or user's limits in the pod what they are at the top. Raises PodError.

        A limit that is not set any more goes with all of them, then the others are set.
        """
        keeper = self._keepers[Service(job.service)]
        service = await self._find(keeper, job.pod_id, errand)
        if service is None:
            return Succeeded("the pod is gone")
        limits = await self._limits.find_limits(
            Holder(keeper.counting.service, job.project_id, job.user_id)
        )
        path = f"/os-quota-sets/{quote(job.project_id, safe='')}"
        query = {"user_id": job.user_id} if job.user_id else {}
        if not limits:
            await service.change("DELETE", path, keeper.version, None, **query)
            return Succeeded()
        shown = (await service.get(path, keeper.version, **query)).item("quota_set")
        wanted = _for_pod(limits, shown, keeper.counting)
        if job.user_id:
            wanted = {name: n for name, n in wanted.items() if not keeper.counting.has(name)}
        if wanted:
            forced: Document = {"force": True} if keeper.force else {}
            body: Document = {"quota_set": {**wanted, **forced}}
            await service.change("PUT", path, keeper.version, body, **query)
        return Succeeded()

    async def carry_class(self, job: CarryQuotaClass, errand: Errand) -> Outcome:
        """Make a class's limits in the pod what they are at the top. Raises PodError."""
        keeper = self._keepers[Service(job.service)]
        service = await self._find(keeper, job.pod_id, errand)
        if service is None:
            return Succeeded("the pod is gone")
        limits = await self._limits.find_class(keeper.counting.service, job.name)
        path = f"/os-quota-class-sets/{quote(job.name, safe='')}"
        shown = (await service.get(path, keeper.version)).item("quota_class_set")
        wanted = _for_pod(limits, shown, keeper.counting)
        if wanted:
            body: Document = {"quota_class_set": wanted}
            await service.change("PUT", path, keeper.version, body)
        return Succeeded()

    async def _find(self, keeper: QuotaKeeper, pod_id: PodId, errand: Errand) -> PodService | None:
        """Return the service of a pod, None when either is gone."""
        try:
            pod = await self._pods.get_pod(pod_id)
        except NotFound:
            return None
        if keeper.counting.service not in pod.endpoints:
            return None
        return keeper.services.of(pod, errand.request_id)


class LimitsOfPods:
    """Carries out ``CarryLimits``: for all that is set a job is asked for, which sees to it."""

    def __init__(
        self, limits: LimitLists, pods: PodStore, requests: JobRequests, page: int = PAGE
    ) -> None:
        self._limits, self._pods, self._requests, self._page = limits, pods, requests, page

    async def fill(self, job: CarryLimits, errand: Errand) -> Outcome:
        """Have a pod given all limits of the services it has, a page at a time."""
        try:
            pod = await self._pods.get_pod(job.pod_id)
        except NotFound:
            return Succeeded("the pod is gone")
        asked, holder, named = 0, None, None
        while holders := await self._limits.list_holders(holder, self._page):
            holder = holders[-1]
            asked += await self._ask(pod, [_job_of(pod, one) for one in holders], errand)
        while classes := await self._limits.list_classes(named, self._page):
            named = classes[-1]
            jobs = [CarryQuotaClass(pod.id, service.value, name) for service, name in classes]
            asked += await self._ask(pod, jobs, errand)
        return Succeeded(f"{asked} job(s) asked for")

    async def _ask(
        self, pod: Pod, jobs: Sequence[CarryQuota | CarryQuotaClass], errand: Errand
    ) -> int:
        wanted = [job for job in jobs if Service(job.service) in pod.endpoints]
        if wanted:
            await self._requests.submit(wanted, errand.request_id)
        return len(wanted)


def _job_of(pod: Pod, holder: Holder) -> CarryQuota:
    return CarryQuota(pod.id, holder.service.value, holder.project_id, holder.user_id)


def _for_pod(limits: Amounts, shown: Document, counting: Counting) -> Document:
    """Return limits as a pod gets them: those it has, without a number where the top counts."""
    return {
        name: UNLIMITED if counting.has(name) else limit
        for name, limit in limits.items()
        if name in shown
    }
