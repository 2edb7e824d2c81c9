"""Security groups with those that their rules name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tricircle.core.network.objects import SecurityGroup
from tricircle.usecases.networking.neutron import Neutron

Groups = Mapping[str, SecurityGroup]


async def read_groups(neutron: Neutron, ids: Iterable[str]) -> Groups:
    """Return groups by id, with all that their rules name, as far as the token sees them."""
    return await with_named(neutron, await _read(neutron, ids))


async def with_named(neutron: Neutron, groups: Groups) -> Groups:
    """Return groups with all that their rules name, as far as the token sees them."""
    named = {
        rule.remote_group_id
        for group in groups.values()
        for rule in group.rules
        if rule.remote_group_id is not None
    }
    return {**groups, **await _read(neutron, named - set(groups))}


async def _read(neutron: Neutron, ids: Iterable[str]) -> Groups:
    wanted = sorted(ids)
    if not wanted:
        return {}
    return {group.id: group for group in await neutron.list_all(SecurityGroup, id=wanted)}
