"""How a change that one pod has taken becomes what the top wants."""

from __future__ import annotations

import pytest

from tests.usecases.replicas_world import EAST, SPECS, WEST, World, flavor
from tricircle.core.errors import Conflict, PodDead, StillInUse
from tricircle.core.model import BottomId
from tricircle.core.wishes import Replica, WishKey
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.wishing import Taken, Wishing

KEY = WishKey(Replica.FLAVOR, "", "f1")
REQUEST_ID = "req-user"


class Bell:
    """``interfaces.bus.Bell``: remembers."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str, request_id: str) -> None:
        self.rung.append(job_id)


class WishingWorld(World):
    """A top that makes wishes of what east has."""

    def restart(self) -> None:
        super().restart()
        self.bell = Bell()
        requests = JobRequests(self.stores.desk, self.bell)
        self.wishing = Wishing(
            self.stores.wishes, self.twins, self.kinds, self.replication, requests
        )

    async def make(self, **specs: str) -> None:
        """Make a flavor in east, as a client does, or give it more extra specs."""
        if self.flavor("east") is None:
            body = {"flavor": {**flavor(), "id": "f1"}}
            await self.call("east", "POST", "/flavors", body)
        await self.call("east", "POST", "/flavors/f1/os-extra_specs", {"extra_specs": specs})

    @property
    def taken(self) -> Taken:
        """Return what east has taken."""
        return Taken(self.pods["east"], KEY, BottomId("f1"))


@pytest.fixture
def world() -> WishingWorld:
    return WishingWorld()


async def test_what_the_pod_has_becomes_the_wish(world: WishingWorld) -> None:
    await world.make(**SPECS)
    (put,) = await world.wishing.record(world.taken, REQUEST_ID)
    assert put.wish.document["extra_specs"] == SPECS
    assert set(await world.stores.wishes.list_pods_of(put.wish.id)) == {EAST}
    assert len(put.job_ids) == 1
    assert await world.wishing.record(world.taken, REQUEST_ID) == ()


async def test_a_change_that_comes_between_is_in_the_wish_that_is_put_last(
    world: WishingWorld,
) -> None:
    await world.make(a="1")

    async def other() -> None:
        await world.make(b="2")
        await world.wishing.record(world.taken, REQUEST_ID)

    for call in range(2):
        world.cloud.acts[len(world.cloud.sent) + call] = other
        await world.wishing.record(world.taken, REQUEST_ID)
        wish = await world.stores.wishes.find_wish(KEY)
        assert wish is not None
        assert wish.document["extra_specs"] == world.flavor("east").extra_specs


async def test_who_is_always_outrun_gives_up(world: WishingWorld) -> None:
    await world.make(a="0")
    first = len(world.cloud.sent)

    async def outrun() -> None:
        await world.want_flavor(ram=1000 + len(world.cloud.sent))

    world.cloud.acts.update(dict.fromkeys(range(first, first + 100), outrun))
    with pytest.raises(Conflict, match="flavor f1 keeps changing"):
        await world.wishing.record(world.taken, REQUEST_ID)


async def test_a_wish_is_spread_and_the_bell_rung_even_if_a_pod_is_down(
    world: WishingWorld,
) -> None:
    await world.make(**SPECS)
    (put,) = await world.wishing.record(world.taken, REQUEST_ID)
    world.sim.pod("east").faults.down()
    await world.wishing.spread([put], list(world.pods.values()), REQUEST_ID)
    assert world.flavor("west").extra_specs == SPECS
    assert sorted(world.bell.rung) == sorted(put.job_ids)


async def test_a_type_is_looked_up_by_its_id_in_any_pod(world: WishingWorld) -> None:
    wish = await world.want_type()
    await world.replicate(wish)
    for name in ("t-top", world.types("west")["fast"].id):
        standing = await world.wishing.look_up(WishKey(Replica.VOLUME_TYPE, "", name), REQUEST_ID)
        assert standing.wish == wish
        assert standing.bottom_id(world.pods["west"]) == world.types("west")["fast"].id
    absent = WishKey(Replica.VOLUME_TYPE, "", "none")
    assert (await world.wishing.look_up(absent, REQUEST_ID)).wish is None


async def test_a_pod_that_is_behind_is_brought_up(world: WishingWorld) -> None:
    await world.want_flavor()
    west = world.pods["west"]
    standing = await world.wishing.look_up(KEY, REQUEST_ID)
    assert standing.is_behind(west)
    now = await world.wishing.bring_up(west, standing, REQUEST_ID)
    assert not now.is_behind(west)
    assert world.flavor("west") is not None
    calls = len(world.cloud.sent)
    await world.wishing.bring_up(west, now, REQUEST_ID)
    assert len(world.cloud.sent) == calls


async def test_a_pod_that_cannot_be_read_leaves_no_wish(world: WishingWorld) -> None:
    await world.make()
    world.sim.pod("east").faults.down()
    with pytest.raises(PodDead):
        await world.wishing.record(world.taken, REQUEST_ID)
    assert await world.stores.wishes.find_wish(KEY) is None
    assert await world.waiting() == []
    assert world.flavor(str(WEST)) is None


async def test_what_a_volume_is_made_of_is_ready_first(world: WishingWorld) -> None:
    wish = await world.want_type()
    await world.replicate(wish)
    await world.want_type(is_public=False)
    await world.wish(Replica.VOLUME_TYPE, "t-other", {"name": "other"})
    west = world.pods["west"]
    await world.wishing.make_ready(west, Replica.VOLUME_TYPE, ["unheard"], REQUEST_ID)
    assert world.types("west")["fast"].is_public
    await world.wishing.make_ready(west, Replica.VOLUME_TYPE, ["fast"], REQUEST_ID)
    assert not world.types("west")["fast"].is_public
    assert "other" not in world.types("west")


async def test_what_an_operator_made_under_the_name_stays(world: WishingWorld) -> None:
    body = {"volume_type": {"name": "fast", "extra_specs": {"a": "own"}}}
    await world.call("west", "POST", "/types", body)
    await world.want_type()
    await world.wishing.make_ready(world.pods["west"], Replica.VOLUME_TYPE, ["fast"], REQUEST_ID)
    assert world.types("west")["fast"].extra_specs == {"a": "own"}


async def test_what_cannot_be_made_ready_yet_is_told(world: WishingWorld) -> None:
    wish = await world.want_type()
    await world.replicate(wish)
    cinder, west = world.sim.pod("west").volume, world.pods["west"]
    [volume] = cinder.add_volumes(1, world.sim.project_id("demo"), world.user_id)
    volume.volume_type = world.types("west")["fast"]
    await world.want_no_more(wish)
    for label in ("fast", "t-top"):
        with pytest.raises(StillInUse):
            await world.wishing.make_ready(west, Replica.VOLUME_TYPE, [label], REQUEST_ID)
