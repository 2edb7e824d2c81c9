"""The networks of servers, joined for a program that boots or releases them."""

from __future__ import annotations

import logging
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from tricircle.adapters.cloud.credential import KeystoneCredential
from tricircle.adapters.config import Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.links import strip_version
from tricircle.core.model import Endpoint, Service
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud
from tricircle.usecases.boot import ServerNetworks
from tricircle.usecases.directory import Directory
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S, Leftovers
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.server_ports import ServerPorts, TwinStores
from tricircle.usecases.networking.server_ports_changes import ServerPortsChanges
from tricircle.usecases.release import Release, ReleaseJobs
from tricircle.usecases.repair import Repair, RepairOptions
from tricircle.usecases.spare_ports import SpareKeeper, SpareOptions
from tricircle.usecases.spare_repair import Ages, SpareRepair
from tricircle.usecases.spare_search import SpareFinder
from tricircle.usecases.sweep import Sweep, TwinFinder

log = logging.getLogger(__name__)

KEYSTONE_PATIENCE_S = 300.0
"""Seconds a gateway waits at its start for a Keystone that does not answer."""


@dataclass(frozen=True, slots=True)
class Networks:
    """What makes the ports of servers, changes them, gives them back, and what repairs that.

    ``release_jobs``, ``repair``, ``sweep`` and ``spares`` carry out jobs.
    """

    neutrons: Neutrons
    servers: ServerNetworks
    changes: ServerPortsChanges
    release: Release
    release_jobs: ReleaseJobs
    repair: Repair
    finder: TwinFinder
    sweep: Sweep
    spares: SpareKeeper


async def find_top_network(settings: Settings, credential: KeystoneCredential) -> Endpoint:
    """Return the top's own Neutron, from Keystone's catalogue. Raises ServiceUnavailable."""
    region = settings.top.region_name
    url = (await credential.get_endpoints(region)).get(Service.NETWORK)
    if url is None:
        raise ServiceUnavailable(
            f"region '{region}' has no public network endpoint in Keystone's catalogue; add it, "
            "or correct [top] region_name"
        )
    return Endpoint(Service.NETWORK, strip_version(url))


async def wait_for_top_network(
    settings: Settings, credential: KeystoneCredential, clock: Clock
) -> Endpoint:
    """Return the top's own Neutron as soon as Keystone tells where it is.

    A gateway may be started before Keystone. Raises ServiceUnavailable after
    ``KEYSTONE_PATIENCE_S``, so that whoever supervises the program sees that it is stuck.
    """
    end_s = clock.now_s() + KEYSTONE_PATIENCE_S
    while True:
        try:
            return await find_top_network(settings, credential)
        except ServiceUnavailable as error:
            if clock.now_s() > end_s:
                raise
            log.warning("waiting for Keystone", extra={"reason": str(error)})
        await clock.sleep(2.0)


def make_networks(
    cloud: Cloud,
    credential: KeystoneCredential,
    top: Endpoint,
    stores: SqlStores,
    requests: JobRequests,
    directory: Directory,
    clock: Clock,
    *,
    timeout_s: float,
    older_than_s: float = UNDER_WAY_S,
    spare_options: SpareOptions | None = None,
) -> Networks:
    """Return all of them, for one process; what is younger than that may be under way."""
    spare_options = spare_options or SpareOptions()
    neutrons = Neutrons(cloud, credential, top, timeout_s)
    twins = TwinStores(
        stores.routings, stores.upkeep, lambda pod_id: directory.topology.find_pod(pod_id)
    )
    options = RepairOptions(lambda *names: directory.topology.top_zone(*names), older_than_s)
    release = Release(neutrons, twins)
    maker = TwinMaker(stores.routings, clock, _new_id)
    ages = Ages(older_than_s, spare_options.kept_for_s, _now)
    spares = SpareRepair(twins, stores.spares, ServerPorts(neutrons, twins, maker, clock), ages)
    spare_finder = SpareFinder(neutrons, stores.spares, twins.find_pod, ages)
    finder = TwinFinder(neutrons, twins, spare_finder, _now)
    return Networks(
        neutrons,
        ServerNetworks(
            neutrons,
            twins,
            Leftovers(requests),
            clock,
            _new_id,
            spares=stores.spares if spare_options.wanted else None,
        ),
        ServerPortsChanges(neutrons, twins, maker, clock),
        release,
        ReleaseJobs(release, twins.find_pod, stores.quota_ledger),
        Repair(neutrons, twins, release, maker, spares, options),
        finder,
        Sweep(finder, requests, older_than_s),
        SpareKeeper(neutrons, twins, stores.spares, spare_options.wanted, random.SystemRandom()),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid.uuid4())
