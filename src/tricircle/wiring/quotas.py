"""Quotas of servers and of volumes, joined for a gateway or a job worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.model import Pod, Service, Version
from tricircle.core.quotas import Amounts, Counting
from tricircle.core.server_quotas import SERVERS
from tricircle.core.volume_quotas import VOLUMES
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.interfaces.quotas import PodUsage
from tricircle.usecases.counting import CountJobs, UsageCount
from tricircle.usecases.demands import Demands
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S, Leftovers
from tricircle.usecases.quota_carrying import QuotaCarrying, QuotaKeeper
from tricircle.usecases.quotas import QuotaOptions, Quotas
from tricircle.usecases.replicas.pod_service import PodServices
from tricircle.usecases.server_usage import FlavorSizes, ServerSizes, ServerUsage
from tricircle.usecases.volume_usage import VolumeFacts, VolumeUsage

RECOUNT_EVERY = 24
"""Intervals of the sweep after which a project is counted though nothing asks for it.

Seldom, as each count asks every pod: only what was made in a pod directly is found so, and
nobody is refused by a number that was not checked.
"""

_WITH_FILES = Version(2, 56)
"""The last of Nova's with limits of injected files; limits of Neutron's are gone already."""


@dataclass(frozen=True, slots=True)
class QuotaParts:
    """What quotas are made of, in a gateway or a worker."""

    settings: Settings
    stores: SqlStores
    cloud: Cloud
    credential: ServiceCredential
    directory: Directory
    requests: JobRequests
    clock: Clock

    def pods_of(self, service: Service) -> PodServices:
        """Return a service of all pods."""
        timeout_s = self.settings.gateway.request_timeout_s
        return PodServices(service, self.cloud, self.credential, timeout_s)

    def list_pods(self, service: Service) -> Callable[[], Sequence[Pod]]:
        """Return what lists the pods that have a service."""
        directory = self.directory
        return lambda: [pod for pod in directory.topology.pods if service in pod.endpoints]

    def join(self, counting: Counting, configured: Amounts, usage: PodUsage) -> CountedQuotas:
        """Return the quotas of a service."""
        timeout_s = self.settings.gateway.request_timeout_s
        count = UsageCount(
            self.stores.quota_counts, self.list_pods(counting.service), usage, timeout_s
        )
        quotas = Quotas(
            QuotaOptions(counting.service, configured, UNDER_WAY_S),
            self.stores.quota_ledger,
            count,
            Leftovers(self.requests),
            lambda: str(uuid.uuid4()),
        )
        return CountedQuotas(quotas, count)


@dataclass(frozen=True, slots=True)
class CountedQuotas:
    """What reserves, and what counts."""

    quotas: Quotas
    counting: UsageCount


@dataclass(frozen=True, slots=True)
class ServerQuotas:
    """The quotas of servers, how large servers and flavors are, and what flavors demand."""

    counted: CountedQuotas
    demands: Demands
    flavors: FlavorSizes
    servers: ServerSizes


@dataclass(frozen=True, slots=True)
class VolumeQuotas:
    """The quotas of volumes, and what Cinders tell of them."""

    counted: CountedQuotas
    facts: VolumeFacts


def make_demands(parts: QuotaParts) -> Demands:
    """Return what knows how large flavors are, and which tags they and volume types demand."""
    return Demands(
        parts.pods_of(Service.COMPUTE),
        parts.pods_of(Service.VOLUME),
        parts.stores.routings,
        lambda: parts.directory.topology.pods,
        parts.clock,
    )


def make_server_quotas(parts: QuotaParts) -> ServerQuotas:
    """Return the quotas that Nova has."""
    novas, demands = parts.pods_of(Service.COMPUTE), make_demands(parts)
    return ServerQuotas(
        parts.join(SERVERS, asdict(parts.settings.quota), ServerUsage(novas)),
        demands,
        FlavorSizes(demands),
        ServerSizes(novas),
    )


def make_volume_quotas(parts: QuotaParts) -> VolumeQuotas:
    """Return the quotas that Cinder has."""
    cinders, options = parts.pods_of(Service.VOLUME), parts.settings.volume_quota
    usage = VolumeUsage(cinders, parts.stores.quota_ledger)
    return VolumeQuotas(
        parts.join(VOLUMES, options.limits, usage),
        VolumeFacts(cinders, parts.list_pods(Service.VOLUME), parts.clock),
    )


def make_count_jobs(parts: QuotaParts) -> CountJobs:
    """Return what carries out the jobs that count."""
    counted = {
        Service.COMPUTE: make_server_quotas(parts).counted.counting,
        Service.VOLUME: make_volume_quotas(parts).counted.counting,
    }
    older_than_s = RECOUNT_EVERY * parts.settings.xjob.sweep_interval_s
    return CountJobs(parts.stores.quota_counts, counted.__getitem__, parts.requests, older_than_s)


def make_carrying(parts: QuotaParts) -> QuotaCarrying:
    """Return what carries out the jobs that give pods limits."""
    novas, cinders = parts.pods_of(Service.COMPUTE), parts.pods_of(Service.VOLUME)
    keepers = {
        Service.COMPUTE: QuotaKeeper(novas, SERVERS, _WITH_FILES, force=True),
        Service.VOLUME: QuotaKeeper(cinders, VOLUMES, Version(3, 0), force=False),
    }
    return QuotaCarrying(parts.stores.quota_limits, parts.stores.pods, keepers)
