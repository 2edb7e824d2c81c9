"""The zone map: which pods serve a zone, in what order, and what is not there."""

from __future__ import annotations

import pytest

from tricircle.core.errors import BadInput, Duplicate, NotFound
from tricircle.core.model import Pod, PodId, ZoneName, ZonePod
from tricircle.testing.store import MemoryStores
from tricircle.usecases import zones as usecases
from tricircle.usecases.zones import ZoneMap, ZoneMember

# Ids and names in opposite orders, so that one cannot pass for the other.
WEST = Pod(PodId("1"), "west", "RegionWest")
EAST = Pod(PodId("2"), "east", "RegionEast", enabled=False)


@pytest.fixture
async def tables() -> ZoneMap:
    """Two pods, no zone."""
    stores = MemoryStores()
    for pod in (WEST, EAST):
        await stores.pods.add_pod(pod)
    return ZoneMap(stores.pods, stores.zones)


def _shown(members: object) -> list[tuple[str, str]]:
    assert isinstance(members, list)
    return [(member.pod.name, member.pod_az) for member in members]


async def test_zones_and_their_pods_are_ordered_by_name(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az2", "west", "nova")
    await usecases.add_member(tables, "az1", "west", "a")
    await usecases.add_member(tables, "az1", EAST.id, "b")

    zones = await usecases.list_zones(tables)

    assert [zone.name for zone in zones] == ["az1", "az2"]
    assert _shown(zones[0].members) == [("east", "b"), ("west", "a")]


async def test_a_disabled_pod_still_serves_its_zone(tables: ZoneMap) -> None:
    zone = await usecases.add_member(tables, "az1", "east", "")

    assert [member.pod.enabled for member in zone.members] == [False]


async def test_a_pod_that_is_not_there_cannot_serve_a_zone(tables: ZoneMap) -> None:
    with pytest.raises(BadInput, match="pod 'south' could not be found"):
        await usecases.add_member(tables, "az1", "south", "")

    assert await usecases.list_zones(tables) == []


async def test_a_pod_serves_a_zone_once(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az1", "west", "nova")

    with pytest.raises(Duplicate, match="az1"):
        await usecases.add_member(tables, "az1", "west", "other")


async def test_what_is_sent_to_a_pod_can_be_changed(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az1", "west", "nova")

    changed = await usecases.update_member(tables, "az1", "west", "fast")

    assert changed == await usecases.get_member(tables, "az1", "west")
    assert isinstance(changed, ZoneMember)
    assert changed.pod_az == "fast"


async def test_a_zone_is_gone_with_its_last_pod(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az1", "west", "nova")

    await usecases.remove_member(tables, "az1", WEST.id)

    with pytest.raises(NotFound, match="zone 'az1' could not be found"):
        await usecases.get_zone(tables, "az1")


async def test_a_pod_of_another_zone_is_not_found_in_this_one(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az1", "west", "nova")
    await usecases.add_member(tables, "az2", "east", "nova")

    with pytest.raises(NotFound, match="pod 'east' does not serve zone 'az1'"):
        await usecases.remove_member(tables, "az1", "east")


async def test_an_entry_whose_pod_has_just_gone_is_left_out(tables: ZoneMap) -> None:
    await usecases.add_member(tables, "az1", "west", "nova")
    emptied = ZoneMap(MemoryStores().pods, tables.zones)

    assert await usecases.list_zones(emptied) == []
    assert await tables.zones.list_zone_pods() == [ZonePod(ZoneName("az1"), WEST.id, "nova")]
