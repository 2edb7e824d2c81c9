"""``tricircle-volume``: the Cinder API gateway."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager

from tricircle.adapters.config import Settings
from tricircle.adapters.log import setup_logging
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.app import GatewayApp
from tricircle.gateway.asking import Finders
from tricircle.gateway.versions import VersionAnswer
from tricircle.gateway.volume_needs import VolumeNeeds
from tricircle.gateway.zones import ZoneAnswers
from tricircle.volume.needs import DefaultType
from tricircle.volume.profile import PROFILE
from tricircle.volume.quotas import QUOTAS
from tricircle.volume.rules.backup_records import BackupRecords
from tricircle.volume.rules.transfers import Transfers
from tricircle.wiring.gateway import Base, Rules, open_gateway
from tricircle.wiring.quota_answers import make_quota_answers
from tricircle.wiring.quotas import make_demands
from tricircle.wiring.serving import Service, read_arguments, serve
from tricircle.wiring.volume_quotas import make_counted_volumes

PROGRAM = "tricircle-volume"


def main() -> None:
    """Run the program."""
    serve(PROGRAM, f"{__name__}:make_service", lambda settings: settings.volume, sys.argv[1:])


def make_service() -> Service:
    """Return the service of one worker."""
    settings = read_arguments(PROGRAM)
    setup_logging(settings, PROGRAM)
    return Service(lambda: open_volume(settings))


def open_volume(settings: Settings) -> AbstractAsyncContextManager[GatewayApp]:
    """Return the gateway as a context that is open while it serves."""
    return open_gateway(settings, settings.volume, PROFILE, _make_rules)


async def _make_rules(base: Base) -> Rules:
    zones = ZoneAnswers(base.profile, base.topology, base.cloud.is_dead)
    transfers = Transfers(base.asker, base.locator)
    counted = make_counted_volumes(base)
    default_type = DefaultType(AnyPod(base.forwarder, base.topology), base.clock)
    needs = VolumeNeeds(make_demands(base.quota_parts()), default_type.of)
    return Rules(
        by_id={"counted": counted.resource, **counted.change()},
        create={
            **counted.create_storage(),
            **counted.create_others(BackupRecords(base.locator, Finders(base.asker))),
        },
        local={
            "version": VersionAnswer(base.profile, base.topology),
            "zones": zones.volume,
        },
        needs=needs.of,
        names=needs.names,
        composed={
            "accept_transfer": counted.accept(transfers.accept),
            **make_quota_answers(base, QUOTAS, counted.counted),
        },
    )
