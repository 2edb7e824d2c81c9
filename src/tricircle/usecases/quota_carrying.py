"""Giving pods the limits that were set at the top.

What the top counts over all pods is unlimited in each of them, so that no pod refuses
what the top has allowed. All else each pod checks by itself, with the same number.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from tricircle.core.errors import NotFound
from tricircle.core.jobs import CarryQuota, CarryQuotaClass
from tricircle.core.model import PodId, Service, Version
from tricircle.core.quotas import UNLIMITED, Amounts, Holder
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.core.server_quotas import COUNTED
from tricircle.core.wishes import Document
from tricircle.interfaces.quotas import QuotaLimits
from tricircle.interfaces.store import PodStore
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.server_usage import PodNovas

_WITH_FILES = Version(2, 56)
"""The last version with limits of injected files; limits of Neutron's are gone already."""

_OF_NEUTRON = frozenset({"fixed_ips", "floating_ips", "security_group_rules", "security_groups"})


class QuotaCarrying:
    """Carries out ``CarryQuota`` and ``CarryQuotaClass``."""

    def __init__(self, limits: QuotaLimits, pods: PodStore, novas: PodNovas) -> None:
        self._limits, self._pods, self._novas = limits, pods, novas

    async def carry(self, job: CarryQuota, errand: Errand) -> Outcome:
        """Make a project's or user's limits in the pod what they are at the top. Raises PodError.

        A limit that is not set any more goes with all of them, then the others are set.
        """
        nova = await self._find_nova(job.pod_id, errand)
        if nova is None:
            return Succeeded("the pod is gone")
        holder = Holder(Service(job.service), job.project_id, job.user_id)
        limits = await self._limits.find_limits(holder)
        path = f"/os-quota-sets/{quote(job.project_id, safe='')}"
        query = {"user_id": job.user_id} if job.user_id else {}
        if not limits:
            await nova.change("DELETE", path, _WITH_FILES, None, **query)
            return Succeeded()
        wanted = for_pods(limits, () if job.user_id else COUNTED)
        body: Document = {"quota_set": {**wanted, "force": True}}
        await nova.change("PUT", path, _WITH_FILES, body, **query)
        return Succeeded()

    async def carry_class(self, job: CarryQuotaClass, errand: Errand) -> Outcome:
        """Make a class's limits in the pod what they are at the top. Raises PodError."""
        nova = await self._find_nova(job.pod_id, errand)
        if nova is None:
            return Succeeded("the pod is gone")
        limits = await self._limits.find_class(Service(job.service), job.name)
        path = f"/os-quota-class-sets/{quote(job.name, safe='')}"
        body: Document = {"quota_class_set": for_pods(limits, COUNTED)}
        await nova.change("PUT", path, _WITH_FILES, body)
        return Succeeded()

    async def _find_nova(self, pod_id: PodId, errand: Errand) -> PodService | None:
        try:
            pod = await self._pods.get_pod(pod_id)
        except NotFound:
            return None
        return self._novas.of(pod, errand.request_id)


def for_pods(limits: Amounts, counted: Collection[str]) -> dict[str, object]:
    """Return limits as a pod gets them; ``counted`` are those that it gets as unlimited."""
    return {
        name: UNLIMITED if name in counted else limit
        for name, limit in limits.items()
        if name not in _OF_NEUTRON and (name in counted or name not in COUNTED)
    }
