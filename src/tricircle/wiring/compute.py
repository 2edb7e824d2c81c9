"""``tricircle-compute``: the Nova API gateway."""

from __future__ import annotations

import sys
import uuid
from contextlib import AbstractAsyncContextManager

from tricircle.adapters.config import Settings
from tricircle.adapters.log import setup_logging
from tricircle.compute.profile import PROFILE
from tricircle.compute.quotas import QUOTAS
from tricircle.compute.rules.actions import ServerActions
from tricircle.compute.rules.aggregates import AggregateAnswers
from tricircle.compute.rules.assisted_snapshots import AssistedSnapshots
from tricircle.compute.rules.boot import Boot
from tricircle.compute.rules.booted_volumes import BootedVolumes
from tricircle.compute.rules.counted_boot import CountedBoot
from tricircle.compute.rules.counted_servers import CountedActions
from tricircle.compute.rules.events import ServerEvents
from tricircle.compute.rules.groups import ServerGroups
from tricircle.compute.rules.interfaces import AttachInterface, DetachInterface
from tricircle.compute.rules.needs import ServerNeeds
from tricircle.compute.rules.server import ServerRule
from tricircle.compute.rules.server_groups import ServerGroupAnswers
from tricircle.compute.rules.shown_groups import ShownGroups
from tricircle.compute.rules.twins import TwinIds
from tricircle.core.errors import Forbidden
from tricircle.gateway.app import GatewayApp
from tricircle.gateway.counted import ClaimKeeper, CountedResource
from tricircle.gateway.versions import VersionAnswer
from tricircle.gateway.zones import ZoneAnswers
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.server_groups import ServerGroupTwins
from tricircle.usecases.spare_ports import SpareOptions
from tricircle.wiring.gateway import Base, Rules, open_gateway
from tricircle.wiring.networks import make_networks, wait_for_top_network
from tricircle.wiring.proxies import make_network_proxies, make_proxies
from tricircle.wiring.quota_answers import make_quota_answers
from tricircle.wiring.quotas import make_server_quotas
from tricircle.wiring.serving import Service, read_arguments, serve
from tricircle.wiring.volume_quotas import make_counted_volumes

PROGRAM = "tricircle-compute"


def main() -> None:
    """Run the program."""
    serve(PROGRAM, f"{__name__}:make_service", lambda settings: settings.compute, sys.argv[1:])


def make_service() -> Service:
    """Return the service of one worker."""
    settings = read_arguments(PROGRAM)
    setup_logging(settings, PROGRAM)
    return Service(lambda: open_compute(settings))


def open_compute(settings: Settings) -> AbstractAsyncContextManager[GatewayApp]:
    """Return the gateway as a context that is open while it serves."""
    return open_gateway(settings, settings.compute, PROFILE, _make_rules)


async def _make_rules(base: Base) -> Rules:
    top = await wait_for_top_network(base.settings, base.credential, base.clock)
    made = make_networks(
        base.cloud,
        base.credential,
        top,
        base.stores,
        base.requests,
        base.directory,
        base.clock,
        timeout_s=base.settings.gateway.request_timeout_s,
        spare_options=SpareOptions(base.settings.xjob.spare_ports),
    )
    networks, release, leftovers = made.servers, made.release, Leftovers(base.requests)
    twins = TwinIds(networks)
    group_twins = _make_group_twins(base)
    groups = ServerGroupAnswers(
        base.asker, group_twins, base.stores.upkeep, leftovers, base.topology
    )
    shown, aggregates = ShownGroups(group_twins), AggregateAnswers(base.asker)
    servers = make_server_quotas(base.quota_parts())
    server_quotas = servers.counted.quotas
    volumes, needs = make_counted_volumes(base, Forbidden), ServerNeeds(servers.demands)
    zones = ZoneAnswers(base.profile, base.topology, base.cloud.is_dead)
    return Rules(
        by_id={
            "server": CountedResource(
                ServerRule(release, base.stores.routings, base.topology, leftovers, shown),
                server_quotas,
            ),
            "action": CountedActions(
                ServerActions(made.changes, leftovers, shown),
                server_quotas,
                servers.flavors,
                servers.servers,
            ),
            "counted_storage": volumes.resource,
            "groups": ServerGroups(made.changes, twins),
            "twins": twins,
            "attach_interface": AttachInterface(networks, twins),
            "detach_interface": DetachInterface(release, twins, leftovers),
        },
        create={
            "boot": CountedBoot(
                BootedVolumes(
                    Boot(networks, base.topology, base.background, group_twins), volumes.claims
                ),
                ClaimKeeper(server_quotas, base.background),
                servers.flavors,
            ),
            **volumes.create_storage(),
        },
        local={
            "version": VersionAnswer(base.profile, base.topology),
            "zones": zones.compute,
            "zones_detail": zones.compute_detail,
            **make_network_proxies(base, made.neutrons),
        },
        needs=needs.of,
        names=needs.names,
        composed={
            **make_proxies(base),
            "events": ServerEvents(base.asker, base.locator, base.profile.version_headers),
            "assisted_snapshots": AssistedSnapshots(base.asker, base.locator),
            "list_groups": groups.list_all,
            "create_group": groups.create,
            "show_group": groups.show,
            "delete_group": groups.delete,
            "list_aggregates": aggregates.list_all,
            "create_aggregate": aggregates.create,
            "show_aggregate": aggregates.show,
            "update_aggregate": aggregates.update,
            "delete_aggregate": aggregates.delete,
            "act_on_aggregate": aggregates.act,
            "cache_images": aggregates.cache_images,
            **make_quota_answers(base, QUOTAS, servers.counted),
        },
        pages={"groups_of_servers": shown.in_list},
    )


def _make_group_twins(base: Base) -> ServerGroupTwins:
    stores = base.stores
    maker = TwinMaker(stores.routings, base.clock, lambda: str(uuid.uuid4()))
    timeout_s = base.settings.gateway.request_timeout_s
    return ServerGroupTwins(
        base.cloud, stores.routings, stores.bindings, maker, base.topology, timeout_s
    )
