"""Finding what a pod lacks of what all pods shall have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.usecases.replicas_world import EAST, ERRAND, PRIVATE, WEST, World
from tricircle.core.errors import PodDead
from tricircle.core.jobs import SweepPod
from tricircle.core.model import PodId, Service
from tricircle.core.runs import Succeeded
from tricircle.core.wishes import Replica


@pytest.fixture
def world() -> World:
    return World()


async def test_a_new_pod_lacks_everything(world: World) -> None:
    wishes = await world.want_all()
    assert await world.sweep() == [world.job(wish) for wish in wishes]
    for wish in wishes:
        await world.replicate(wish)
    assert await world.sweep() == []


async def test_a_sweep_finds_what_was_changed_in_the_pod(world: World) -> None:
    wishes = await world.want_all()
    wishes += [await world.want_flavor(f"f{number}", name=f"n{number}") for number in range(2, 7)]
    for wish in wishes:
        await world.replicate(wish)
    world.cloud.sent.clear()
    assert await world.sweep() == []
    assert world.sent() == []
    world.flavor("west").extra_specs["drift"] = "1"
    world.flavor("west", "f4").projects.clear()
    del world.sim.pod("west").compute.flavors["f5"]
    world.sim.pod("west").compute.keypairs.clear()
    world.types("west")["fast"].projects.add("p9")
    names = [job.name for job in await world.sweep()]
    assert names == ["f1", "f5", "my key", "t-top"]
    for wish in wishes:
        await world.replicate(wish)
    assert await world.sweep() == []
    world.check_all()


async def test_a_sweep_leaves_alone_what_nobody_wished(world: World) -> None:
    before = set(world.sim.pod("west").compute.flavors)
    await world.want_flavor()
    assert len(await world.sweep()) == 1
    assert set(world.sim.pod("west").compute.flavors) == before


async def test_a_sweep_finds_what_should_be_gone_and_forgets_what_is(world: World) -> None:
    wish = await world.want_flavor()
    await world.replicate(wish)
    wish = await world.want_no_more(wish)
    assert await world.sweep() == [world.job(wish)]
    await world.replicate(wish)
    assert await world.sweep() == []
    assert await world.stores.wishes.find_wish(wish.key) is None


async def test_a_sweep_does_not_begin_anew_what_waits_for_an_operator(world: World) -> None:
    await world.want_flavor()
    world.end_jobs()
    await world.sweep()
    before = dict(world.stores.tables.jobs.jobs)
    await world.sweeper.run(SweepPod(WEST), ERRAND)
    assert world.stores.tables.jobs.jobs == before


async def test_a_sweep_of_a_pod_that_is_down_says_so(world: World) -> None:
    wish = await world.want_flavor()
    await world.replicate(wish)
    world.sim.pod("west").faults.down()
    with pytest.raises(PodDead):
        await world.sweep()


async def test_a_sweep_reads_private_flavors_and_long_lists(world: World) -> None:
    wishes = [
        await world.want_flavor(f"f{number:02}", name=f"n{number}", **PRIVATE)
        for number in range(12)
    ]
    for wish in wishes:
        await world.replicate(wish)
    world.sim.pod("west").compute.max_limit = 5
    assert await world.sweep() == []
    assert await world.sweep(EAST) == [world.job(wish, EAST) for wish in wishes]


async def test_a_pod_without_a_service_lacks_only_what_is_to_be_forgotten(world: World) -> None:
    wish = await world.want_type()
    pod = world.pods["west"]
    endpoints = {Service.COMPUTE: pod.endpoints[Service.COMPUTE]}
    world.stores.tables.pods[WEST] = replace(pod, endpoints=endpoints)
    assert await world.sweep() == []
    assert isinstance(await world.replicate(wish), Succeeded)
    wish = await world.want_no_more(wish)
    assert await world.sweep() == [world.job(wish)]
    await world.replicate(wish)
    assert await world.stores.wishes.forget_tombstones() == 1


async def test_what_is_known_to_be_missing_is_asked_for_before_the_pod_is(world: World) -> None:
    wish = await world.want_flavor()
    await world.replicate(wish)
    missing = await world.want_flavor("f2", name="two")
    world.sim.pod("west").faults.down()
    with pytest.raises(PodDead):
        await world.sweep()
    assert await world.waiting() == [world.job(missing)]


async def test_key_pairs_of_many_users_are_compared(world: World) -> None:
    accounts = world.sim.identity.accounts
    wishes = []
    for number in range(20):
        owner = accounts.add_user(f"user{number}", "secret").id
        wishes.append(await world.want_keypair(name=f"key{number}", owner=owner))
    for wish in wishes:
        await world.replicate(wish)
    world.sweeper = world.make_sweeper(page=50)
    assert await world.sweep() == []
    keypairs: Any = world.sim.pod("west").compute.keypairs
    del keypairs[wishes[3].owner, "key3"]
    assert await world.sweep() == [world.job(wishes[3])]
    assert wishes[3].resource is Replica.KEYPAIR


async def test_a_sweep_of_a_pod_that_is_gone_is_done(world: World) -> None:
    assert isinstance(await world.sweeper.run(SweepPod(PodId("gone")), ERRAND), Succeeded)
