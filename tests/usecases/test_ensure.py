"""Making a twin once, however many want it and wherever a maker dies."""

import asyncio
from collections.abc import Callable

import pytest

from tests.usecases.networks_world import QuickClock
from tricircle.core.errors import NeutronRefused, PodDead, PodTimeout, TwinBusy
from tricircle.core.model import (
    BottomId,
    Kind,
    Pod,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.testing.cloud import CountedIds, SetClock
from tricircle.testing.store import MemoryStores
from tricircle.usecases.ensure import Ensured, Patience, TwinMaker

POD = PodId("pod1")
ROUTING = Routing(
    Kind.NETWORK, TopId("top"), POD, None, ProjectId("project"), RoutingState.CREATING
)


class Thing:
    """A resource in a pod: made when told, found when there."""

    def __init__(self) -> None:
        self.there: list[BottomId] = []
        self.calls: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    async def look(self) -> BottomId | None:
        self.calls.append("look")
        await asyncio.sleep(0)
        return self.there[0] if self.there else None

    async def make(self) -> BottomId:
        self.calls.append("make")
        self.before()
        await asyncio.sleep(0)
        self.there.append(BottomId(f"bottom{len(self.there)}"))
        self.after()
        return self.there[-1]


class Making:
    """A store, a clock and makers on them."""

    def __init__(self) -> None:
        self.wall = SetClock()
        self.stores = MemoryStores(self.wall)
        self.stores.tables.pods[POD] = Pod(POD, "pod1", "pod1")
        self.ids = CountedIds()
        self.thing = Thing()

    async def ensure(self, wait_s: float = 15.0) -> Ensured:
        """Ensure the thing as a process of its own."""
        maker = TwinMaker(
            self.stores.routings, QuickClock(self.wall), self.ids, Patience(45.0, wait_s)
        )
        return await maker.ensure(ROUTING, self.thing)

    async def row(self) -> Routing | None:
        rows = await self.stores.routings.find_routings(Kind.NETWORK, TopId("top"))
        return rows[0] if rows else None


@pytest.fixture
def making() -> Making:
    return Making()


def fail(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


async def test_a_new_twin_is_made_without_looking_and_settled(making: Making) -> None:
    assert await making.ensure() == Ensured(BottomId("bottom0"), made=True)
    assert making.thing.calls == ["make"]
    row = await making.row()
    assert row is not None
    assert (row.state, row.bottom_id) == (RoutingState.ACTIVE, "bottom0")


async def test_a_known_twin_is_neither_looked_for_nor_made(making: Making) -> None:
    await making.ensure()
    making.thing.calls.clear()
    assert await making.ensure() == Ensured(BottomId("bottom0"), made=False)
    assert making.thing.calls == []


async def test_ten_at_once_make_one(making: Making) -> None:
    found = await asyncio.gather(*(making.ensure() for _ in range(10)))
    assert {one.bottom_id for one in found} == {"bottom0"}
    assert making.thing.calls.count("make") == 1


async def test_what_a_dead_maker_left_is_found_when_its_lease_is_over(making: Making) -> None:
    making.thing.after = fail(PodTimeout(POD, "no answer"))
    with pytest.raises(PodTimeout):
        await making.ensure()
    making.thing.after = lambda: None
    with pytest.raises(TwinBusy):
        await making.ensure(wait_s=5.0)
    making.wall.advance(60)
    assert await making.ensure() == Ensured(BottomId("bottom0"), made=False)
    assert len(making.thing.there) == 1


async def test_what_a_dead_maker_never_made_is_made_after_looking(making: Making) -> None:
    making.thing.before = fail(PodTimeout(POD, "no answer"))
    with pytest.raises(PodTimeout):
        await making.ensure()
    making.thing.before = lambda: None
    making.wall.advance(60)
    making.thing.calls.clear()
    assert (await making.ensure()).made
    assert making.thing.calls == ["look", "make"]


async def test_a_refusal_leaves_no_record(making: Making) -> None:
    making.thing.before = fail(NeutronRefused(POD, 400, "InvalidInput", "no"))
    with pytest.raises(NeutronRefused):
        await making.ensure()
    assert await making.row() is None


async def test_nothing_sent_leaves_no_record(making: Making) -> None:
    making.thing.before = fail(PodDead(POD, "refused"))
    with pytest.raises(PodDead):
        await making.ensure()
    assert await making.row() is None


async def test_a_conflict_is_answered_by_looking(making: Making) -> None:
    making.thing.there.append(BottomId("there"))
    making.thing.before = fail(NeutronRefused(POD, 409, "Conflict", "exists"))
    assert await making.ensure() == Ensured(BottomId("there"), made=False)


@pytest.mark.parametrize("status", [502, 504])
async def test_a_proxys_error_leaves_the_lease_to_run_out(making: Making, status: int) -> None:
    making.thing.after = fail(NeutronRefused(POD, status, "", ""))
    with pytest.raises(NeutronRefused):
        await making.ensure()
    row = await making.row()
    assert row is not None
    assert row.state is RoutingState.CREATING


async def test_a_maker_that_is_too_slow_gives_up_well_within_its_lease(making: Making) -> None:
    class StuckThing(Thing):
        async def make(self) -> BottomId:
            await asyncio.Event().wait()
            raise AssertionError

    maker = TwinMaker(
        making.stores.routings, QuickClock(making.wall), making.ids, Patience(0.05, 1.0)
    )
    with pytest.raises(PodTimeout, match="could not be made in pod pod1 in time"):
        await maker.ensure(ROUTING, StuckThing())
    row = await making.row()
    assert row is not None


async def test_whoever_loses_the_lease_looks_for_what_the_other_made(making: Making) -> None:
    async def other() -> None:
        making.thing.after = lambda: None
        making.wall.advance(60)
        claim = await making.stores.routings.claim_routing(ROUTING, "other", 45.0)
        assert claim.mine
        await making.stores.routings.settle_routing(ROUTING, "other", BottomId("theirs"))

    others: list[asyncio.Task[None]] = []
    slow = asyncio.Event()

    class SlowThing(Thing):
        async def make(self) -> BottomId:
            others.append(asyncio.create_task(other()))
            await others[0]
            slow.set()
            return await super().make()

    making.thing = SlowThing()
    assert (await making.ensure()).bottom_id == "theirs"


async def test_a_sweep_forgets_what_was_never_made(making: Making) -> None:
    making.thing.before = fail(PodTimeout(POD, "no answer"))
    with pytest.raises(PodTimeout):
        await making.ensure()
    making.wall.advance(60)
    maker = TwinMaker(making.stores.routings, QuickClock(making.wall), making.ids)
    assert await maker.heal(ROUTING, making.thing) is None
    assert await making.row() is None


async def test_a_sweep_leaves_alone_what_someone_is_making(making: Making) -> None:
    await making.stores.routings.claim_routing(ROUTING, "someone", 45.0)
    maker = TwinMaker(making.stores.routings, QuickClock(making.wall), making.ids)
    assert await maker.heal(ROUTING, making.thing) is None
    assert await making.row() is not None
