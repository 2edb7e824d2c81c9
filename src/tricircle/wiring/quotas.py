"""Quotas of servers, joined for a gateway or a job worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.model import Pod, Service
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.usecases.counting import CountJobs, UsageCount
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S, Leftovers
from tricircle.usecases.quota_carrying import QuotaCarrying
from tricircle.usecases.quotas import QuotaOptions, Quotas
from tricircle.usecases.server_usage import FlavorSizes, PodNovas, ServerSizes, ServerUsage

RECOUNT_EVERY = 24
"""Intervals of the sweep after which a project is counted though nothing asks for it.

Seldom, as each count asks every pod: only what was made in a pod directly is found so, and
nobody is refused by a number that was not checked.
"""


@dataclass(frozen=True, slots=True)
class ServerQuotas:
    """What reserves, counts and carries; ``count_jobs`` and ``carrying`` carry out jobs."""

    quotas: Quotas
    counting: UsageCount
    flavors: FlavorSizes
    servers: ServerSizes
    count_jobs: CountJobs
    carrying: QuotaCarrying


def make_server_quotas(
    settings: Settings,
    stores: SqlStores,
    cloud: Cloud,
    credential: ServiceCredential,
    directory: Directory,
    requests: JobRequests,
    clock: Clock,
) -> ServerQuotas:
    """Return all of them, for one process."""
    novas = PodNovas(cloud, credential, settings.gateway.request_timeout_s)
    pods = _pods_with_nova(directory)
    counting = UsageCount(
        stores.quota_counts, pods, ServerUsage(novas), settings.gateway.request_timeout_s
    )
    options = QuotaOptions(Service.COMPUTE, asdict(settings.quota), UNDER_WAY_S)
    quotas = Quotas(
        options, stores.quota_ledger, counting, Leftovers(requests), lambda: str(uuid.uuid4())
    )
    return ServerQuotas(
        quotas,
        counting,
        FlavorSizes(novas, pods, clock),
        ServerSizes(novas),
        CountJobs(
            stores.quota_counts,
            lambda _service: counting,
            requests,
            RECOUNT_EVERY * settings.xjob.sweep_interval_s,
        ),
        QuotaCarrying(stores.quota_limits, stores.pods, novas),
    )


def _pods_with_nova(directory: Directory) -> Callable[[], Sequence[Pod]]:
    def pods() -> Sequence[Pod]:
        return [pod for pod in directory.topology.pods if Service.COMPUTE in pod.endpoints]

    return pods
