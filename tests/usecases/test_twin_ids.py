"""Knowing the ids of what all pods have alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.usecases.networks_world import FixedCredential
from tests.usecases.replicas_world import EAST, WEST, World
from tricircle.core.model import BottomId, Kind, TopId
from tricircle.usecases.twin_ids import KEPT_S, LEARN_AGAIN_S, TwinIds

TYPE = Kind.VOLUME_TYPE
REQUEST_ID = "req-user"
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def world() -> World:
    return World()


def default(world: World, pod: str) -> str:
    return world.sim.pod(pod).volume.default_type.id


async def test_the_default_type_of_stock_pods_is_one_thing(world: World) -> None:
    east, west = default(world, "east"), default(world, "west")
    known = await world.twins.find_all(TYPE, west, REQUEST_ID)
    assert known.find_top(west) == east
    assert await world.twins.find_bottom(TYPE, WEST, east, REQUEST_ID) == west


async def test_pods_are_asked_once_for_what_they_have(world: World) -> None:
    for pod in ("west", "east", "west"):
        await world.twins.find_all(TYPE, default(world, pod), REQUEST_ID)
    assert {one.pod for one in world.sent("GET")} == {"east", "west"}
    # a page each, and the empty one after it
    assert len(world.sent("GET")) == 4


async def test_an_id_that_nobody_has_does_not_make_pods_be_asked_again_and_again(
    world: World,
) -> None:
    for _ in range(3):
        known = await world.twins.find_all(TYPE, NOWHERE, REQUEST_ID)
        assert known.find_top(NOWHERE) is None
    assert len(world.sent("GET")) == 4
    await world.clock.advance(LEARN_AGAIN_S + 1)
    await world.twins.find_all(TYPE, NOWHERE, REQUEST_ID)
    assert len(world.sent("GET")) == 8


async def test_several_that_do_not_know_an_id_ask_once(world: World) -> None:
    await asyncio.gather(
        *(world.twins.find_all(TYPE, default(world, "west"), REQUEST_ID) for _ in range(5))
    )
    assert len(world.sent("GET")) == 4


async def test_a_pod_that_is_down_is_known_later_and_the_id_stays(world: World) -> None:
    east, west = default(world, "east"), default(world, "west")
    world.sim.pod("east").faults.down()
    known = await world.twins.find_all(TYPE, west, REQUEST_ID)
    assert known.find_top(west) == west
    world.sim.pod("east").faults.up()
    await world.clock.advance(LEARN_AGAIN_S + 1)
    known = await world.twins.find_all(TYPE, east, REQUEST_ID)
    assert known.find_top(east) == west
    assert known.find_bottom(EAST, west) == east


async def test_what_another_process_writes_down_is_seen(world: World) -> None:
    await world.twins.find_all(TYPE, default(world, "east"), REQUEST_ID)
    first = world.twins
    world.restart()
    await world.twins.keep(TYPE, TopId("top"), WEST, BottomId(NOWHERE))
    assert (await first.find_all(TYPE, NOWHERE, REQUEST_ID)).find_top(NOWHERE) == "top"


async def test_what_another_process_forgets_is_forgotten_soon(world: World) -> None:
    first, east = world.twins, default(world, "east")
    await first.find_all(TYPE, east, REQUEST_ID)
    world.restart()
    await world.twins.keep(TYPE, TopId(east), WEST, None)
    await world.clock.advance(KEPT_S + 1)
    known = await first.find_all(TYPE, east, REQUEST_ID)
    assert known.find_bottom(WEST, east) is None


async def test_a_thing_that_was_thought_another_one_gets_its_right_id(world: World) -> None:
    east, west = default(world, "east"), default(world, "west")
    await world.twins.find_all(TYPE, east, REQUEST_ID)
    await world.twins.keep(TYPE, TopId("top"), WEST, BottomId(west))
    known = await world.twins.find_all(TYPE, west, REQUEST_ID)
    assert known.find_top(west) == "top"
    assert known.find_bottom(WEST, east) is None
    assert known.find_bottom(EAST, east) == east


async def test_kinds_are_known_each_by_itself(world: World) -> None:
    group_type = world.sim.pod("west").volume.consistent_type.id
    known = await world.twins.resolve(
        [TYPE, Kind.GROUP_TYPE], lambda one: bool(one.find_top(group_type)), REQUEST_ID
    )
    assert known.find_top(group_type) == world.sim.pod("east").volume.consistent_type.id
    assert known.find_top(default(world, "west")) == default(world, "east")


class CountedReads:
    """``interfaces.store.RoutingUpkeep`` that tells how often all routings were read."""

    def __init__(self, upkeep: Any) -> None:
        self._upkeep, self.count = upkeep, 0

    async def list_routings(self, **query: Any) -> Any:
        self.count += "after" not in query
        await asyncio.sleep(0)
        return await self._upkeep.list_routings(**query)


async def test_many_at_once_that_do_not_know_an_id_read_once(world: World) -> None:
    reads: Any = CountedReads(world.stores.upkeep)
    stores, credential = world.stores, FixedCredential(world.service)
    twins = TwinIds(stores.routings, reads, stores.pods, world.cloud, credential, world.clock)
    await twins.find_all(TYPE, NOWHERE, REQUEST_ID)
    await twins.find_all(TYPE, default(world, "east"), REQUEST_ID)
    before = reads.count
    await asyncio.gather(*(twins.find_all(TYPE, NOWHERE, REQUEST_ID) for _ in range(50)))
    assert reads.count - before <= 2
