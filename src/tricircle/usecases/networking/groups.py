"""Twins of security groups in a pod, their rules made equal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tricircle.core.errors import NeutronRefused, NotFound
from tricircle.core.model import BottomId, Kind, PodId
from tricircle.core.network.objects import DEFAULT_GROUP, Rule, SecurityGroup
from tricircle.core.network.rules import (
    Fingerprint,
    compare_rules,
    fingerprint,
    missing_groups,
    remote_groups,
)
from tricircle.core.network.twins import check_extensions, group_values, mark_of
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import RoutingStore
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.networks import Site, find_active, new_routing
from tricircle.usecases.networking.pod_facts import PodFacts
from tricircle.usecases.networking.together import all_of

_COMPARED_KEPT = 10_000
_COMPARED_GOOD_FOR_S = 60.0


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the rules of a twin were made equal to, and until when we rely on it."""

    bottom_id: BottomId
    rules: Fingerprint
    until_s: float


class GroupTwins:
    """Ensures security groups in pods.

    The rules at the top are read at each boot; those in the pod only when the top's
    differ from what this process has put there within the last minute.
    """

    def __init__(
        self, routings: RoutingStore, maker: TwinMaker, facts: PodFacts, clock: Clock
    ) -> None:
        self._routings, self._maker = routings, maker
        self._facts, self._clock = facts, clock
        self._compared: OrderedDict[tuple[PodId, str], _Compared] = OrderedDict()

    async def ensure(
        self, site: Site, group_ids: Iterable[str], read: Mapping[str, SecurityGroup]
    ) -> Mapping[str, BottomId]:
        """Return the pod's ids of security groups whose rules are right there.

        ``read`` has groups of the top that were read in this request already.
        Raises NotFound for a group that is gone from the top.
        """
        wanted = sorted(set(group_ids))
        if not wanted:
            return {}
        groups = await self._read(site, wanted, read)
        remote = remote_groups(groups.values())
        twins = await self._ensure_all(site, sorted({*wanted, *remote}), groups)
        stale = [groups[one] for one in wanted if not self._is_equal(site, groups[one], twins)]
        if stale:
            await self._equalise(site, stale, twins)
        return twins

    async def _read(
        self, site: Site, ids: Sequence[str], read: Mapping[str, SecurityGroup]
    ) -> dict[str, SecurityGroup]:
        groups = {one: read[one] for one in ids if one in read}
        missing = missing_groups(ids, groups)
        if missing:
            found = await site.top.list_all(SecurityGroup, id=missing)
            groups.update((group.id, group) for group in found)
        gone = missing_groups(ids, groups)
        if gone:
            raise NotFound(f"Security group {gone[0]} not found.")
        return groups

    async def _ensure_all(
        self, site: Site, ids: Sequence[str], groups: Mapping[str, SecurityGroup]
    ) -> dict[str, BottomId]:
        known = await all_of(
            partial(find_active, self._routings, Kind.SECURITY_GROUP, one, site.pod_id)
            for one in ids
        )
        twins = {
            str(routing.top_id): routing.bottom_id
            for routing in known
            if routing is not None and routing.bottom_id is not None
        }
        missing = missing_groups(ids, twins)
        if missing:
            tops = await self._read(site, missing, groups)
            made = await all_of(partial(self._ensure_one, site, tops[one]) for one in missing)
            twins.update(zip(missing, made, strict=True))
        return twins

    async def _ensure_one(self, site: Site, top: SecurityGroup) -> BottomId:
        routing = new_routing(Kind.SECURITY_GROUP, top.id, top.project_id, site.pod_id)
        recipe = _GroupRecipe(site, top, self._facts, self._routings)
        return (await self._maker.ensure(routing, recipe)).bottom_id

    def _is_equal(self, site: Site, top: SecurityGroup, twins: Mapping[str, BottomId]) -> bool:
        compared = self._compared.get((site.pod_id, top.id))
        return (
            compared is not None
            and compared.until_s > self._clock.now_s()
            and compared.bottom_id == twins[top.id]
            and compared.rules == fingerprint(top, twins)
        )

    async def _equalise(
        self, site: Site, tops: Sequence[SecurityGroup], twins: Mapping[str, BottomId]
    ) -> None:
        ids = [twins[top.id] for top in tops]
        bottoms = {one.id: one for one in await site.bottom.list_all(SecurityGroup, id=ids)}
        for top in tops:
            if twins[top.id] not in bottoms:
                raise NeutronRefused(
                    site.pod_id, 404, "SecurityGroupNotFound", f"{twins[top.id]} is gone"
                )
        await all_of(
            partial(self._equalise_one, site, top, bottoms[twins[top.id]], twins) for top in tops
        )

    async def _equalise_one(
        self, site: Site, top: SecurityGroup, bottom: SecurityGroup, twins: Mapping[str, BottomId]
    ) -> None:
        changes = compare_rules(top, bottom, twins)
        if changes.add:
            await _add_rules(site, changes.add)
        await all_of(partial(site.bottom.delete, Rule, one) for one in changes.delete)
        self._remember(site, top, BottomId(bottom.id), twins)

    def _remember(
        self, site: Site, top: SecurityGroup, bottom_id: BottomId, twins: Mapping[str, BottomId]
    ) -> None:
        rules = fingerprint(top, twins)
        if rules is None:
            return
        key = (site.pod_id, top.id)
        until_s = self._clock.now_s() + _COMPARED_GOOD_FOR_S
        self._compared[key] = _Compared(bottom_id, rules, until_s)
        self._compared.move_to_end(key)
        if len(self._compared) > _COMPARED_KEPT:
            self._compared.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _GroupRecipe:
    site: Site
    top: SecurityGroup
    facts: PodFacts
    routings: RoutingStore

    async def look(self) -> BottomId | None:
        """Return the group by mark; a default group by its name, which no other can have."""
        if self.top.is_default:
            return await self._look_for_default()
        mark = mark_of(Kind.SECURITY_GROUP, self.top)
        found = await self.site.bottom.list_all(
            SecurityGroup, project_id=self.top.project_id, description=mark
        )
        return min((BottomId(group.id) for group in found), default=None)

    async def make(self) -> BottomId:
        """Return a new group without our rules; a default group is there already."""
        if self.top.is_default:
            return await self._get_default()
        check_extensions(self.top, await self.facts.extensions(self.site.bottom), self.site.pod_id)
        made = await self.site.bottom.create(SecurityGroup, group_values(self.top))
        return BottomId(made.id)

    async def _get_default(self) -> BottomId:
        found = await self._look_for_default()
        if found is None:
            detail = f"project {self.top.project_id} has no default group there"
            raise NeutronRefused(self.site.pod_id, 404, "SecurityGroupNotFound", detail)
        return found

    async def _look_for_default(self) -> BottomId | None:
        """Return the project's default group; Neutron makes it when its groups are listed.

        It stands for this group alone: an admin may have deleted the former one at the top.
        """
        found = await self.site.bottom.list_all(
            SecurityGroup, project_id=self.top.project_id, name=DEFAULT_GROUP
        )
        if not found:
            return None
        bottom_id, pod_id = BottomId(found[0].id), self.site.pod_id
        for row in await self.routings.find_by_bottom(Kind.SECURITY_GROUP, pod_id, [bottom_id]):
            if row.top_id != self.top.id:
                await self.routings.forget_routing(row.kind, row.top_id, row.pod_id)
        return bottom_id


async def _add_rules(site: Site, rules: Sequence[Mapping[str, object]]) -> None:
    """Add rules in one go; one by one when someone else has just added some of them."""
    try:
        await site.bottom.create_all(Rule, rules)
    except NeutronRefused as refusal:
        if not _exists_already(refusal):
            raise
        await all_of(partial(_add_rule, site, rule) for rule in rules)


async def _add_rule(site: Site, rule: Mapping[str, object]) -> None:
    try:
        await site.bottom.create(Rule, rule)
    except NeutronRefused as refusal:
        if not _exists_already(refusal):
            raise


def _exists_already(refusal: NeutronRefused) -> bool:
    return refusal.status == 409 and refusal.reason != "OverQuota"
