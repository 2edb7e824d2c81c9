"""Making a pod like the top wants it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.usecases.networks_world import Died
from tests.usecases.replicas_world import ERRAND, KEY, OTHER_KEY, PRIVATE, SPECS, WEST, World
from tricircle.core.errors import Conflict, NotFound, PodDead, PodMisbehaved, PodTimeout
from tricircle.core.jobs import Replicate
from tricircle.core.model import BottomId, Kind, PodId, TopId
from tricircle.core.runs import Postponed, Succeeded
from tricircle.core.wishes import Wish, WishPod
from tricircle.testing.cloud.faults import Reply

EPHEMERAL: dict[str, Any] = {"OS-FLV-EXT-DATA:ephemeral": 3}


@pytest.fixture
def world() -> World:
    return World()


async def known(world: World, wish: Wish, pod: PodId = WEST) -> WishPod | None:
    return (await world.stores.wishes.list_pods_of(wish.id)).get(pod)


# Flavors.


async def test_a_flavor_is_made_with_everything_it_has(world: World) -> None:
    wish = await world.want_flavor(
        extra_specs=SPECS, description="mine", swap=5, rxtx_factor=2.0, projects=["p2", "p1"],
        **PRIVATE, **EPHEMERAL,
    )  # fmt: skip
    assert isinstance(await world.replicate(wish), Succeeded)
    made = world.flavor("west")
    assert (made.name, made.memory_mb, made.vcpus, made.root_gb) == ("m1.own", 512, 1, 1)
    assert (made.swap, made.ephemeral_gb, made.rxtx_factor) == (5, 3, 2.0)
    assert (made.description, made.extra_specs) == ("mine", SPECS)
    assert (made.is_public, made.projects) == (False, {"p1", "p2"})
    assert await known(world, wish) == WishPod(1, BottomId("f1"))


async def test_a_second_run_changes_nothing(world: World) -> None:
    wish = await world.want_flavor(extra_specs=SPECS, projects=["p1"], **PRIVATE)
    await world.replicate(wish)
    world.cloud.sent.clear()
    await world.replicate(wish)
    assert world.sent() == []
    assert world.sent("GET") != []


async def test_changes_are_carried_and_nothing_else_is_touched(world: World) -> None:
    await world.want_flavor(extra_specs={"a": "1", "b": "2"}, projects=["p1", "p2"], **PRIVATE)
    wish = await world.want_flavor(
        extra_specs={"b": "3", "c": "4"}, projects=["p2", "p3"], description="new", **PRIVATE
    )
    await world.replicate(wish)
    number = world.flavor("west").number
    wish = await world.want_flavor(extra_specs={"c": "4"}, projects=["p3"], **PRIVATE)
    await world.replicate(wish)
    made = world.flavor("west")
    assert made.number == number
    assert (made.extra_specs, made.projects, made.description) == ({"c": "4"}, {"p3"}, None)


async def test_a_flavor_that_the_top_made_is_replaced_when_its_numbers_change(
    world: World,
) -> None:
    await world.replicate(await world.want_flavor(extra_specs=SPECS))
    wish = await world.want_flavor(ram=1024, extra_specs={"x": "y"})
    await world.replicate(wish)
    made = world.flavor("west")
    assert (made.memory_mb, made.extra_specs) == (1024, {"x": "y"})


async def test_an_operators_own_flavor_is_never_replaced(world: World) -> None:
    world.sim.pod("west").compute.add_flavor("f1", "m1.own", 2, 512, 1)
    wish = await world.want_flavor()
    with pytest.raises(Conflict) as refused:
        await world.replicate(wish)
    said = str(refused.value)
    assert "flavor f1 ('m1.own') of pod west" in said
    assert "vcpus 2 and not 1" in said
    assert "delete it in the pod" in said
    assert world.flavor("west").vcpus == 2
    assert world.sent() == []


async def test_an_operators_own_flavor_of_the_same_numbers_is_taken_over(world: World) -> None:
    world.sim.pod("west").compute.add_flavor("f1", "m1.own", 1, 512, 1)
    await world.replicate(await world.want_flavor(extra_specs=SPECS))
    assert world.flavor("west").extra_specs == SPECS


async def test_another_flavor_of_the_same_name_is_named(world: World) -> None:
    world.sim.pod("west").compute.add_flavor("own", "m1.own", 1, 512, 1)
    with pytest.raises(Conflict, match=r"Flavor with name m1\.own already exists"):
        await world.replicate(await world.want_flavor())
    assert world.flavor("west") is None


async def test_a_flavor_that_is_not_wanted_goes_from_where_it_was_made(world: World) -> None:
    wish = await world.want_flavor()
    await world.replicate(wish)
    wish = await world.want_no_more(wish)
    await world.replicate(wish)
    assert world.flavor("west") is None
    assert await known(world, wish) == WishPod(2)
    assert await world.stores.wishes.forget_tombstones() == 1


async def test_a_pod_that_never_had_it_has_nothing_to_remove(world: World) -> None:
    wish = await world.want_no_more(await world.want_flavor())
    assert isinstance(await world.replicate(wish), Succeeded)
    assert world.sent() == []
    assert await known(world, wish) == WishPod(2)


async def test_an_operators_own_flavor_is_not_removed_with_the_tops(world: World) -> None:
    world.sim.pod("west").compute.add_flavor("f1", "m1.own", 2, 512, 1)
    wish = await world.want_no_more(await world.want_flavor())
    assert isinstance(await world.replicate(wish), Succeeded)
    assert world.flavor("west").vcpus == 2
    # nor is it the top's once the top wants one again
    with pytest.raises(Conflict):
        await world.replicate(await world.want_flavor())
    assert world.flavor("west").vcpus == 2


async def test_what_was_in_all_pods_before_is_removed_from_all(world: World) -> None:
    world.sim.pod("west").compute.add_flavor("f1", "m1.own", 1, 512, 1)
    await world.replicate(await world.want_no_more(await world.want_flavor()))
    assert world.flavor("west") is None


@pytest.mark.parametrize("minor", [12, 54, 55, 60, 61, 104])
async def test_pods_of_any_release_get_what_they_can_have(minor: int) -> None:
    world = World({"west": minor})
    wish = await world.want_flavor(
        extra_specs=SPECS, description="text", projects=["p1"], **PRIVATE
    )
    await world.replicate(wish)
    made = world.flavor("west")
    assert (made.extra_specs, made.projects) == (SPECS, {"p1"})
    assert made.description == ("text" if minor >= 55 else None)
    assert await world.sweep() == []


async def test_the_request_goes_by_the_id_of_the_first_one(world: World) -> None:
    await world.replicate(await world.want_flavor())
    ids = {one.headers["x-openstack-request-id"] for one in world.cloud.sent}
    assert ids == {ERRAND.request_id}


# Key pairs.


async def test_a_key_pair_is_made_for_its_user(world: World) -> None:
    wish = await world.want_keypair()
    for _ in range(2):
        assert isinstance(await world.replicate(wish), Succeeded)
    made = world.keypair("west")
    assert (made.public_key, made.kind) == (KEY, "ssh")
    assert [one.method for one in world.sent()] == ["POST"]


async def test_a_name_of_a_newer_release_is_made_with_its_microversion(world: World) -> None:
    wish = await world.want_keypair(name="me@host.org")
    await world.replicate(wish)
    assert world.keypair("west", "me@host.org") is not None


async def test_another_key_of_the_same_name_is_replaced_only_when_the_top_made_it(
    world: World,
) -> None:
    body = {"keypair": {"name": "my key", "public_key": KEY, "user_id": world.user_id}}
    await world.call("west", "POST", "/os-keypairs", body)
    wish = await world.want_keypair(OTHER_KEY)
    with pytest.raises(Conflict, match="fingerprint"):
        await world.replicate(wish)
    assert world.keypair("west").public_key == KEY
    await world.replicate(await world.want_keypair(KEY))
    await world.replicate(await world.want_keypair(OTHER_KEY))
    assert world.keypair("west").public_key == OTHER_KEY


async def test_a_key_pair_that_is_not_wanted_goes(world: World) -> None:
    wish = await world.want_keypair()
    await world.replicate(wish)
    wish = await world.want_no_more(wish)
    for _ in range(2):
        await world.replicate(wish)
    assert world.keypair("west") is None


# Volume types.


async def test_a_volume_type_is_made_and_routed(world: World) -> None:
    wish = await world.want_type(description="quick", is_public=False, projects=["p1"])
    for _ in range(2):
        assert isinstance(await world.replicate(wish), Succeeded)
    made = world.types("west")["fast"]
    assert (made.description, made.is_public) == ("quick", False)
    assert (made.extra_specs, made.projects) == ({"a": "1"}, {"p1"})
    assert await known(world, wish) == WishPod(1, made.id)
    (routing,) = await world.stores.routings.find_routings(Kind.VOLUME_TYPE, TopId("t-top"))
    assert (routing.pod_id, routing.bottom_id) == (WEST, made.id)


async def test_changes_of_a_volume_type_reach_the_same_one(world: World) -> None:
    await world.replicate(await world.want_type(extra_specs={"a": "1", "b": "2"}))
    made = world.types("west")["fast"]
    wish = await world.want_type(
        name="faster", description="now", is_public=False, extra_specs={"b": "3"}, projects=["p"]
    )
    await world.replicate(wish)
    assert world.types("west") == {"faster": made}
    assert (made.description, made.is_public, made.projects) == ("now", False, {"p"})
    assert made.extra_specs == {"b": "3"}
    await world.replicate(await world.want_type(name="faster", extra_specs={"b": "3"}))
    assert (made.is_public, made.description) == (True, "")


async def test_an_operators_own_type_of_the_same_name_is_left_alone(world: World) -> None:
    body = {"volume_type": {"name": "fast", "extra_specs": {"volume_backend_name": "west"}}}
    await world.call("west", "POST", "/types", body)
    with pytest.raises(Conflict, match=r"volume type t-top \('fast'\) of pod west.*extra_specs"):
        await world.replicate(await world.want_type())
    assert world.types("west")["fast"].extra_specs == {"volume_backend_name": "west"}
    await world.replicate(await world.want_no_more(await world.want_type()))
    assert "fast" in world.types("west")


async def test_a_type_that_was_in_all_pods_before_is_changed_in_all(world: World) -> None:
    body = {"volume_type": {"name": "slow", "extra_specs": {"a": "0"}}}
    await world.call("west", "POST", "/types", body)
    wish = await world.want_type(formerly={"name": "slow", "extra_specs": {"a": "0"}})
    await world.replicate(wish)
    assert list(world.types("west")) == ["fast"]
    assert world.types("west")["fast"].extra_specs == {"a": "1"}


async def test_a_type_in_use_is_removed_later(world: World) -> None:
    wish = await world.want_type()
    await world.replicate(wish)
    cinder = world.sim.pod("west").volume
    cinder.add_volumes(1, world.sim.project_id("demo"), world.user_id)
    for volume in cinder.volumes.values():
        volume.volume_type = world.types("west")["fast"]
    wish = await world.want_no_more(wish)
    outcome = await world.replicate(wish)
    assert isinstance(outcome, Postponed)
    assert "still in use" in outcome.reason
    cinder.volumes.clear()
    assert isinstance(await world.replicate(wish), Succeeded)
    assert world.types("west") == {}
    assert await world.stores.routings.find_routings(Kind.VOLUME_TYPE, TopId("t-top")) == []


# What goes wrong.


@pytest.mark.parametrize("carried_out", [False, True])
async def test_a_process_killed_anywhere_leaves_what_the_next_one_completes(
    carried_out: bool,
) -> None:
    for number in range(3):
        step, ended = 0, False
        while not ended:
            world = World()
            wish = (await world.want_all())[number]
            world.life.end_at(step, carried_out=carried_out)
            try:
                await world.replicate(wish)
                ended = True
            except Died:
                step += 1
            world.restart()
            for each in world.stores.tables.wishes.wishes.values():
                await world.replicate(each)
            world.check_all()
        assert step > 5


@pytest.mark.parametrize("carried_out", [False, True])
async def test_a_removal_killed_anywhere_is_completed(carried_out: bool) -> None:
    for number in range(3):
        step, ended = 0, False
        while not ended:
            world = World()
            wish = (await world.want_all())[number]
            await world.replicate(wish)
            wish = await world.want_no_more(wish)
            world.life.end_at(step, carried_out=carried_out)
            try:
                await world.replicate(wish)
                ended = True
            except Died:
                step += 1
            world.restart()
            await world.replicate(wish)
            left = [world.flavor("west"), world.keypair("west"), world.types("west").get("fast")]
            assert left[number] is None
        assert step > 3


async def test_a_type_whose_creation_was_not_answered_is_found_and_changed(world: World) -> None:
    wish = await world.want_type()
    await world.replicate(wish)
    creation = next(n for n, sent in enumerate(world.cloud.sent) if sent.method == "POST")
    world = World()
    wish = await world.want_type()
    world.cloud.lost = frozenset({creation})
    with pytest.raises(PodTimeout):
        await world.replicate(wish)
    made = world.types("west")["fast"]
    world.restart()
    wish = await world.want_type(extra_specs={"a": "2"})
    await world.replicate(wish)
    assert world.types("west") == {"fast": made}
    assert made.extra_specs == {"a": "2"}


async def test_a_pod_that_is_down_gets_everything_when_it_is_back(world: World) -> None:
    wishes = await world.want_all()
    world.sim.pod("west").faults.down()
    for wish in wishes:
        with pytest.raises(PodDead):
            await world.replicate(wish)
    world.sim.pod("west").faults.up()
    for wish in wishes:
        await world.replicate(wish)
    world.check_all()


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_what_a_pod_refuses_is_told_in_its_words(world: World, status: int) -> None:
    wish = await world.want_flavor()
    body = b'{"forbidden": {"code": 403, "message": "not you"}}'
    world.sim.pod("west").faults.inject(Reply(status, body), method="POST")
    with pytest.raises(
        PodMisbehaved, match=rf"pod west answers {status} to POST /flavors: not you"
    ):
        await world.replicate(wish)


@pytest.mark.parametrize("call", range(8))
async def test_what_changes_during_a_run_is_done_too(world: World, call: int) -> None:
    wish = await world.want_flavor(extra_specs={"a": "1"})
    acts = {call: lambda: world.want_flavor(ram=2048, extra_specs={"b": "2"})}
    world.cloud.acts.update(acts)
    await world.replicate(wish)
    while world.cloud.acts:  # the run was over before
        await world.cloud.acts.pop(call)()
        await world.replicate(wish)
    made = world.flavor("west")
    assert (made.memory_mb, made.extra_specs) == (2048, {"b": "2"})
    assert await known(world, wish) == WishPod(2, BottomId("f1"))


async def test_two_at_once_make_one(world: World) -> None:
    wishes = await world.want_all()
    outcomes = await asyncio.gather(*(world.replicate(wish) for wish in wishes for _ in range(3)))
    assert all(isinstance(one, Succeeded) for one in outcomes)
    world.check_all()


async def test_a_pod_that_is_gone_is_done(world: World) -> None:
    wish = await world.want_flavor()
    job = Replicate(PodId("gone"), "flavor", "", wish.name)
    assert isinstance(await world.replication.run(job, ERRAND), Succeeded)


async def test_a_wish_that_is_gone_is_done(world: World) -> None:
    job = Replicate(WEST, "flavor", "", "none")
    assert isinstance(await world.replication.run(job, ERRAND), Succeeded)
    assert world.cloud.sent == []


async def test_a_replica_of_another_release_is_left_to_it(world: World) -> None:
    with pytest.raises(NotFound, match="qos"):
        await world.replication.run(Replicate(WEST, "qos", "", "none"), ERRAND)
