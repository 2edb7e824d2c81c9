"""What both gateways are joined from, and how they are run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tricircle.adapters.bus import open_bell
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.credential import KeystoneCredential, make_credential
from tricircle.adapters.cloud.http import HttpCloud, make_cloud
from tricircle.adapters.cloud.tokens import KeystoneTokens, make_tokens
from tricircle.adapters.config import ListenSettings, Settings
from tricircle.adapters.sql import SqlStores
from tricircle.core.model import Pod
from tricircle.core.placing import Topology
from tricircle.gateway.aggregating import Aggregator
from tricircle.gateway.app import GatewayApp, Limits
from tricircle.gateway.asking import Asker, Finders
from tricircle.gateway.creation import Creator
from tricircle.gateway.engine import ComposedAnswer, Engine, LocalAnswer, Parts
from tricircle.gateway.forward import Forwarder
from tricircle.gateway.hooks import ByIdHook, CreateHook
from tricircle.gateway.merging import Merger, PageHook
from tricircle.gateway.named_hosts import NamedHosts
from tricircle.gateway.naming import Names
from tricircle.gateway.profile import Profile
from tricircle.gateway.replicating import Replicator
from tricircle.gateway.request import Inbound
from tricircle.gateway.scales import NeedsOf, Scales
from tricircle.gateway.volume_needs import ReplicaNames
from tricircle.usecases.background import Background
from tricircle.usecases.directory import Directory
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.list_call import ListWorld
from tricircle.usecases.locate import Locator
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replication import Replication
from tricircle.usecases.same_pod import SamePod
from tricircle.usecases.twin_ids import TwinIds
from tricircle.usecases.wishing import Wishing
from tricircle.wiring.quotas import QuotaParts
from tricircle.wiring.storage import open_storage

log = logging.getLogger(__name__)

QUERY_BYTES = 65536
"""Longest query that is accepted: that of the longest URL uvicorn reads."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a gateway's own rules may be made of."""

    settings: Settings
    profile: Profile
    stores: SqlStores
    cloud: HttpCloud
    credential: KeystoneCredential
    clock: SystemClock
    background: Background
    directory: Directory
    requests: JobRequests
    twins: TwinIds
    forwarder: Forwarder
    asker: Asker
    locator: Locator

    def topology(self) -> Topology:
        """Return pods and zones as they are known now."""
        return self.directory.topology

    def quota_parts(self) -> QuotaParts:
        """Return what quotas are made of."""
        return QuotaParts(
            self.settings,
            self.stores,
            self.cloud,
            self.credential,
            self.directory,
            self.requests,
            self.clock,
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """A gateway's own steps and answers, by the names its table uses."""

    by_id: Mapping[str, ByIdHook]
    create: Mapping[str, CreateHook]
    local: Mapping[str, LocalAnswer]
    needs: NeedsOf
    names: Callable[[Inbound], Awaitable[ReplicaNames]]
    composed: Mapping[str, ComposedAnswer] = field(default_factory=dict)
    pages: Mapping[str, PageHook] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def open_gateway(
    settings: Settings,
    listen: ListenSettings,
    profile: Profile,
    make_rules: Callable[[Base], Awaitable[Rules]],
) -> AsyncIterator[GatewayApp]:
    """Yield a running gateway: pods known, probes and refreshes going on."""
    database = open_storage(settings)
    clock = SystemClock()
    stores = SqlStores(database)
    cloud = make_cloud(settings.gateway, profile.service)

    def changed(topology: Topology) -> None:
        cloud.update_pods(topology.pods)

    directory = Directory(
        stores.pods, stores.zones, clock, settings.gateway.directory_refresh_s, changed
    )
    credential = make_credential(settings)
    tokens = make_tokens(settings, profile.service.value)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        stack.push_async_callback(cloud.close)
        stack.callback(credential.close)
        stack.callback(tokens.close)
        bell = await stack.enter_async_context(open_bell(settings))
        twins = TwinIds(stores.routings, stores.upkeep, stores.pods, cloud, credential, clock)
        forwarder = Forwarder(
            cloud,
            profile,
            lambda: directory.topology,
            settings.gateway.request_timeout_s,
            Names(twins),
        )
        base = Base(
            settings,
            profile,
            stores,
            cloud,
            credential,
            clock,
            Background(),
            directory,
            JobRequests(stores.desk, bell),
            twins,
            forwarder,
            Asker(
                forwarder,
                lambda: directory.topology,
                settings.gateway.list_timeout_s,
                settings.gateway.partial_lists,
            ),
            Locator(
                cloud,
                stores.routings,
                lambda: directory.topology,
                profile.lookups,
                clock,
                cache_size=settings.gateway.route_cache_size,
                timeout_s=settings.gateway.request_timeout_s,
            ),
        )
        await directory.refresh()
        cloud.start()
        refreshing = asyncio.create_task(directory.run())
        stack.callback(refreshing.cancel)
        stack.push_async_callback(base.background.close)
        yield _make_app(base, listen, tokens, await make_rules(base))


def _make_app(
    base: Base, listen: ListenSettings, tokens: KeystoneTokens, rules: Rules
) -> GatewayApp:
    gateway, forwarder, locator = base.settings.gateway, base.forwarder, base.locator
    same_pod = SamePod(locator, base.topology)
    world = ListWorld(
        base.cloud,
        base.stores.positions,
        base.stores.upkeep,
        base.clock,
        timeout_s=gateway.list_timeout_s,
        partial=gateway.partial_lists,
    )
    finders, wishing = Finders(base.asker), _make_wishing(base)

    async def make_ready(pod: Pod, inbound: Inbound) -> None:
        for resource, labels in (await rules.names(inbound)).items():
            if labels:
                await wishing.make_ready(pod, resource, labels, inbound.request_id)

    hosts = NamedHosts(finders)
    creator = Creator(
        forwarder,
        locator,
        same_pod,
        base.stores.bindings,
        base.topology,
        base.profile,
        rules.create,
        gateway.create_timeout_s,
        Scales(base.stores.nodes, base.stores.bindings, base.clock, rules.needs),
        hosts,
        make_ready,
    )
    merger = Merger(forwarder, locator, world, base.topology, base.profile, rules.pages)
    parts = Parts(
        forwarder,
        locator,
        same_pod,
        creator,
        merger,
        Replicator(forwarder, wishing, base.topology, lambda: str(uuid.uuid4())),
        Aggregator(base.asker, base.profile),
        finders,
        hosts,
        base.topology,
        rules.by_id,
        rules.local,
        rules.composed,
    )
    return GatewayApp(
        base.profile,
        Engine(base.profile.table, parts),
        tokens,
        base.topology,
        listen.public_url,
        tokens.challenge.encode(),
        Limits(gateway.max_body_bytes, gateway.max_headers, QUERY_BYTES),
    )


def _make_wishing(base: Base) -> Wishing:
    stores, timeout_s = base.stores, base.settings.gateway.request_timeout_s
    kinds = ReplicaKinds(base.cloud, base.credential, timeout_s, base.twins)
    replication = Replication(stores.wishes, base.twins, stores.pods, kinds)
    return Wishing(stores.wishes, base.twins, kinds, replication, base.requests)
