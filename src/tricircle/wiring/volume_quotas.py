"""What makes requests take of Cinder's quotas, joined for either gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tricircle.core.errors import OverLimit, TricircleError
from tricircle.gateway.counted import ClaimKeeper, CountedResource
from tricircle.gateway.counted_changes import (
    CountedAcceptance,
    CountedChange,
    Restorations,
    VolumeActions,
)
from tricircle.gateway.counted_volumes import CountedCreate, VolumeClaims, VolumePrices
from tricircle.gateway.engine import ComposedAnswer
from tricircle.gateway.hooks import ByIdHook, CreateHook, PlainHook
from tricircle.usecases.volume_usage import VolumeFacts
from tricircle.wiring.gateway import Base
from tricircle.wiring.quotas import CountedQuotas, make_volume_quotas


@dataclass(frozen=True, slots=True)
class CountedVolumes:
    """What takes of Cinder's quotas in one gateway."""

    base: Base
    counted: CountedQuotas
    claims: VolumeClaims
    facts: VolumeFacts
    prices: VolumePrices

    @property
    def resource(self) -> ByIdHook:
        """Return the steps around the row of what gives back what it took when it is gone."""
        return CountedResource(PlainHook(), self.counted.quotas)

    def create_storage(self) -> Mapping[str, CreateHook]:
        """Return the steps around creations that Nova passes on, too."""
        return {
            "create_volume": CountedCreate(self.claims, self.prices.of_volume),
            "create_snapshot": CountedCreate(self.claims, self.prices.of_snapshot),
        }

    def create_others(self, imports: CreateHook) -> Mapping[str, CreateHook]:
        """Return the steps around all other creations; ``imports`` prepares those of backups."""
        claims, prices = self.claims, self.prices
        return {
            "create_backup": CountedCreate(claims, prices.of_backup),
            "import_record": CountedCreate(claims, prices.of_import, imports),
            "create_group": CountedCreate(claims, prices.of_group),
            "fill_group": CountedCreate(claims, prices.of_filled_group),
            "create_group_snapshot": CountedCreate(claims, prices.of_group_snapshot),
            "manage_volume": CountedCreate(claims, prices.of_managed_volume),
        }

    def change(self) -> Mapping[str, ByIdHook]:
        """Return the steps around changes."""
        actions = VolumeActions(self.claims, self.facts, self.prices)
        restorations = Restorations(self.claims, self.prices)
        return {
            "change_volume": CountedChange(self.claims, actions, PlainHook()),
            "restore": CountedChange(self.claims, restorations, PlainHook()),
        }

    def accept(self, accept: ComposedAnswer) -> ComposedAnswer:
        """Return what accepts transfers, given what does all of it but for the quota."""
        return CountedAcceptance(
            self.claims, self.facts, self.prices, self.base.locator, self.base.topology, accept
        ).accept


def make_counted_volumes(base: Base, refusal: type[TricircleError] = OverLimit) -> CountedVolumes:
    """Return it; ``refusal`` is how this gateway's service says that it is too much."""
    quotas = make_volume_quotas(base.quota_parts())
    claims = VolumeClaims(ClaimKeeper(quotas.counted.quotas, base.background), refusal)
    weigh = not base.settings.volume_quota.no_snapshot_gb_quota
    prices = VolumePrices(quotas.facts, base.locator, base.topology, snapshots_weigh=weigh)
    return CountedVolumes(base, quotas.counted, claims, quotas.facts, prices)
