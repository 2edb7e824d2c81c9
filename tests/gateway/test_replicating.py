"""Changing flavors, key pairs and volume types in all pods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.replicating_world import GatewayWorld
from tests.usecases.networks_world import Died
from tests.usecases.replicas_world import KEY, OTHER_KEY
from tricircle.core.errors import PodDead, PodTimeout
from tricircle.core.model import Kind, TopId, Version
from tricircle.core.wishes import Replica

PODS = ("east", "west")
PRIVATE = {"os-flavor-access:is_public": False}


@pytest.fixture
def world() -> GatewayWorld:
    return GatewayWorld()


def flavor(**values: Any) -> dict[str, Any]:
    return {"flavor": {"name": "own", "ram": 512, "vcpus": 1, "disk": 1, **values}}


def down(world: GatewayWorld, pod: str) -> None:
    world.sim.pod(pod).faults.down()


def up(world: GatewayWorld, pod: str) -> None:
    world.sim.pod(pod).faults.up()


# Flavors.


async def test_a_new_flavor_is_in_all_pods_when_it_is_answered(world: GatewayWorld) -> None:
    status, answer = await world.ask("POST", "/flavors", flavor(id="f1", description="x"))
    assert (status, answer["flavor"]["id"]) == (200, "f1")
    for pod in PODS:
        assert world.flavor(pod).description == "x"
    assert (await world.wishes())["f1"].generation == 1
    # the pod that was asked is so already
    assert {job.pod_id for job in await world.jobs()} < set(PODS)
    assert len(world.bell.rung) == len(PODS) - 1


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": "auto"}])
async def test_a_flavor_without_an_id_gets_one_that_is_the_same_in_all_pods(
    world: GatewayWorld, given: dict[str, Any]
) -> None:
    status, answer = await world.ask("POST", "/flavors", flavor(**given))
    assert status == 200
    for pod in PODS:
        assert world.flavor(pod, answer["flavor"]["id"]).name == "own"


async def test_an_id_may_be_a_number(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id=77))
    assert [world.flavor(pod, "77").name for pod in PODS] == ["own", "own"]


async def test_the_first_pod_is_asked_with_the_users_own_token(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1"))
    (first, second) = world.sent("POST")
    assert (first.pod, second.pod) == PODS
    caller = world.sim.identity.accounts.find_caller(first.headers["x-auth-token"])
    assert caller is not None
    assert caller.user_name == "admin"
    assert second.headers["x-auth-token"] == world.service


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/flavors", flavor(id="f1")),
        ("PUT", "/flavors/1", {"flavor": {"description": "x"}}),
        ("DELETE", "/flavors/1", None),
        ("POST", "/flavors/1/action", {"addTenantAccess": {"tenant": "p"}}),
        ("POST", "/flavors/1/os-extra_specs", {"extra_specs": {"a": "1"}}),
        ("PUT", "/flavors/1/os-extra_specs/a", {"a": "1"}),
        ("DELETE", "/flavors/1/os-extra_specs/a", None),
        ("POST", "/types", {"volume_type": {"name": "x"}}),
    ],
)
async def test_what_the_pod_forbids_changes_nothing(
    world: GatewayWorld, method: str, path: str, body: object
) -> None:
    status, _ = await world.ask(method, path, body, user="demo")
    assert status == 403
    assert await world.jobs() == []
    assert len(world.sent()) == 1


async def test_what_the_pod_refuses_is_answered_in_its_words(world: GatewayWorld) -> None:
    status, answer = await world.ask("POST", "/flavors", flavor(ram="many"))
    assert status == 400
    assert "many" in answer["badRequest"]["message"]
    assert await world.jobs() == []


async def test_changes_of_a_flavor_reach_all_pods(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1", **PRIVATE))
    await world.ask("PUT", "/flavors/f1", {"flavor": {"description": "new"}})
    await world.ask("POST", "/flavors/f1/action", {"addTenantAccess": {"tenant": "p1"}})
    await world.ask("POST", "/flavors/f1/action", {"addTenantAccess": {"tenant": "p2"}})
    await world.ask("POST", "/flavors/f1/action", {"removeTenantAccess": {"tenant": "p1"}})
    specs = {"extra_specs": {"a": "1", "b": "2"}}
    await world.ask("POST", "/flavors/f1/os-extra_specs", specs)
    await world.ask("PUT", "/flavors/f1/os-extra_specs/b", {"b": "3"})
    await world.ask("DELETE", "/flavors/f1/os-extra_specs/a")
    for pod in PODS:
        made = world.flavor(pod)
        assert (made.description, made.projects) == ("new", {"p2"})
        assert made.extra_specs == {"b": "3"}
    assert (await world.wishes())["f1"].generation == 8


async def test_a_flavor_is_deleted_from_all_pods(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1"))
    assert (await world.ask("DELETE", "/flavors/f1"))[0] == 202
    assert [world.flavor(pod) for pod in PODS] == [None, None]
    assert (await world.ask("DELETE", "/flavors/f1"))[0] == 404
    assert await world.stores.wishes.forget_tombstones() == 1


async def test_what_was_in_the_pods_before_becomes_a_wish_when_it_is_changed(
    world: GatewayWorld,
) -> None:
    specs = {"extra_specs": {"a": "1"}}
    assert (await world.ask("POST", "/flavors/1/os-extra_specs", specs))[0] == 200
    assert [world.flavor(pod, "1").extra_specs for pod in PODS] == [{"a": "1"}] * 2
    assert (await world.ask("DELETE", "/flavors/2"))[0] == 202
    assert [world.flavor(pod, "2") for pod in PODS] == [None, None]
    assert {name: wish.wanted for name, wish in (await world.wishes()).items()} == {
        "1": True,
        "2": False,
    }


async def test_another_flavor_of_the_same_id_is_not_deleted(world: GatewayWorld) -> None:
    world.flavor("west", "1").vcpus = 9
    assert (await world.ask("DELETE", "/flavors/1"))[0] == 202
    await world.work()
    assert world.flavor("west", "1").vcpus == 9


async def test_a_change_that_changes_nothing_asks_for_no_job(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1", description="x"))
    await world.work()
    await world.ask("PUT", "/flavors/f1", {"flavor": {"description": "x"}})
    assert await world.jobs() == []


async def test_of_two_changes_at_once_none_is_lost(world: GatewayWorld) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1"))
    path = "/flavors/f1/os-extra_specs"
    asked = [world.ask("POST", path, {"extra_specs": {name: "1"}}) for name in "abcd"]
    assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 4
    await world.work()
    for pod in PODS:
        assert set(world.flavor(pod).extra_specs) == set("abcd")
    specs = (await world.wishes())["f1"].document["extra_specs"]
    assert specs == dict.fromkeys("abcd", "1")


async def test_a_pod_that_is_down_is_left_to_its_job(world: GatewayWorld) -> None:
    down(world, "west")
    assert (await world.ask("POST", "/flavors", flavor(id="f1")))[0] == 200
    up(world, "west")
    assert world.flavor("west") is None
    await world.work()
    assert world.flavor("west").name == "own"


async def test_while_the_first_pod_is_down_the_next_one_is_asked(world: GatewayWorld) -> None:
    down(world, "east")
    assert (await world.ask("POST", "/flavors", flavor(id="f1")))[0] == 200
    up(world, "east")
    # east does not have it yet, and still nobody is told that it is not there
    specs = {"extra_specs": {"a": "1"}}
    assert (await world.ask("POST", "/flavors", flavor(id="f1", ram=1)))[0] == 409
    assert (await world.ask("POST", "/flavors/f1/os-extra_specs", specs))[0] == 200
    assert [world.flavor(pod).extra_specs for pod in PODS] == [{"a": "1"}] * 2
    assert world.flavor("east").memory_mb == 512


async def test_a_pod_that_is_behind_is_brought_up_before_it_is_changed(
    world: GatewayWorld,
) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1"))
    down(world, "west")
    await world.ask("POST", "/flavors/f1/os-extra_specs", {"extra_specs": {"a": "1"}})
    down(world, "east")
    up(world, "west")
    await world.ask("POST", "/flavors/f1/os-extra_specs", {"extra_specs": {"b": "2"}})
    assert world.flavor("west").extra_specs == {"a": "1", "b": "2"}
    up(world, "east")
    await world.work()
    assert world.flavor("east").extra_specs == {"a": "1", "b": "2"}


async def test_with_all_pods_down_nothing_is_changed(world: GatewayWorld) -> None:
    for pod in PODS:
        down(world, pod)
    with pytest.raises(PodDead):
        await world.ask("POST", "/flavors", flavor(id="f1"))
    assert await world.wishes() == {}


async def test_an_answer_that_is_lost_is_not_replaced_by_another_pods(
    world: GatewayWorld,
) -> None:
    world.cloud.lost = frozenset({0})
    with pytest.raises(PodTimeout):
        await world.ask("POST", "/flavors", flavor(id="f1"))
    assert world.flavor("west") is None
    # the client asks again, is told that it is there, and so it is
    assert (await world.ask("POST", "/flavors", flavor(id="f1")))[0] == 409
    assert [world.flavor(pod).name for pod in PODS] == ["own", "own"]


async def test_who_asks_for_an_id_of_his_own_takes_over_no_other_flavor(
    world: GatewayWorld,
) -> None:
    taken = flavor(id="f1", name="m1.tiny")
    assert (await world.ask("POST", "/flavors", taken))[0] == 409
    assert await world.wishes() == {}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_an_id_that_cannot_be_is_refused_by_the_pod(world: GatewayWorld, method: str) -> None:
    body = {"flavor": {"description": "x"}} if method == "PUT" else None
    for flavor_id in ("none", "f" * 300, "%00", "a%2Fb"):
        assert (await world.ask(method, f"/flavors/{flavor_id}", body))[0] == 404
    assert await world.jobs() == []


async def test_a_removal_that_was_not_answered_is_completed_by_the_next_one(
    world: GatewayWorld,
) -> None:
    await world.ask("POST", "/flavors", flavor(id="f1"))
    await world.work()
    world.cloud.sent.clear()
    world.cloud.lost = frozenset({0})
    with pytest.raises(PodTimeout):
        await world.ask("DELETE", "/flavors/f1")
    assert (await world.ask("DELETE", "/flavors/f1"))[0] == 404
    assert [world.flavor(pod) for pod in PODS] == [None, None]


# Key pairs.


async def test_a_key_pair_is_in_all_pods_under_its_user(world: GatewayWorld) -> None:
    body = {"keypair": {"name": "my key", "public_key": KEY}}
    status, _ = await world.ask("POST", "/os-keypairs", body, user="demo")
    assert status == 201
    assert [world.keypair(pod).public_key for pod in PODS] == [KEY, KEY]
    assert (await world.ask("DELETE", "/os-keypairs/my%20key", user="demo"))[0] == 204
    assert [world.keypair(pod) for pod in PODS] == [None, None]


async def test_a_private_key_goes_to_the_user_only(world: GatewayWorld) -> None:
    body = {"keypair": {"name": "my key"}}
    _, answer = await world.ask("POST", "/os-keypairs", body, user="demo")
    assert answer["keypair"]["private_key"].startswith("-----BEGIN")
    (east, west) = (world.keypair(pod) for pod in PODS)
    assert east.public_key == west.public_key
    (wish,) = (await world.wishes(Replica.KEYPAIR)).values()
    assert "private" not in str(wish.document)
    assert set(wish.document) == {"name", "public_key", "fingerprint", "type"}


async def test_an_administrator_may_name_the_user(world: GatewayWorld) -> None:
    body = {"keypair": {"name": "my key", "public_key": KEY, "user_id": world.user_id}}
    assert (await world.ask("POST", "/os-keypairs", body))[0] == 201
    assert [world.keypair(pod).public_key for pod in PODS] == [KEY, KEY]
    path = f"/os-keypairs/my%20key?user_id={world.user_id}"
    # before 2.10 the user is not named so, and the administrator has no such key
    assert (await world.ask("DELETE", path, version=Version(2, 2)))[0] == 404
    assert [world.keypair(pod).public_key for pod in PODS] == [KEY, KEY]
    assert (await world.ask("DELETE", path))[0] == 204
    assert [world.keypair(pod) for pod in PODS] == [None, None]


async def test_keys_of_two_users_may_have_one_name(world: GatewayWorld) -> None:
    for user, key in (("demo", KEY), ("admin", OTHER_KEY)):
        body = {"keypair": {"name": "my key", "public_key": key}}
        assert (await world.ask("POST", "/os-keypairs", body, user=user))[0] == 201
    await world.ask("DELETE", "/os-keypairs/my%20key")
    assert [world.keypair(pod).public_key for pod in PODS] == [KEY, KEY]
    assert len(world.sim.pod("west").compute.keypairs) == 1


async def test_a_reader_makes_no_key_pair_that_its_pod_does_not_allow(world: GatewayWorld) -> None:
    body = {"keypair": {"name": "my key", "public_key": "no key"}}
    assert (await world.ask("POST", "/os-keypairs", body, user="reader"))[0] == 400
    assert await world.jobs() == []


# Volume types.


async def make_type(world: GatewayWorld, **values: Any) -> str:
    body = {"volume_type": {"name": "fast", **values}}
    status, answer = await world.ask("POST", "/types", body)
    assert status == 200
    return str(answer["volume_type"]["id"])


async def test_a_volume_type_is_known_by_its_id_in_the_first_pod(world: GatewayWorld) -> None:
    top_id = await make_type(world, extra_specs={"a": "1"})
    ids = [world.types(pod)["fast"].id for pod in PODS]
    assert ids[0] == top_id != ids[1]
    routings = await world.stores.routings.find_routings(Kind.VOLUME_TYPE, TopId(top_id))
    assert [(one.pod_id, one.bottom_id) for one in routings] == list(zip(PODS, ids, strict=True))
    assert world.types("west")["fast"].extra_specs == {"a": "1"}


@pytest.mark.parametrize("shown_by", PODS)
async def test_changes_of_a_volume_type_reach_all_pods_by_any_of_its_ids(
    world: GatewayWorld, shown_by: str
) -> None:
    await make_type(world, **{"os-volume-type-access:is_public": False})
    path = f"/types/{world.types(shown_by)['fast'].id}"
    renamed = {"volume_type": {"name": "faster", "description": "now"}}
    assert (await world.ask("PUT", path, renamed))[0] == 200
    specs = {"extra_specs": {"a": "1", "b": "2"}}
    assert (await world.ask("POST", f"{path}/extra_specs", specs))[0] == 200
    assert (await world.ask("PUT", f"{path}/extra_specs/a", {"a": "3"}))[0] == 200
    assert (await world.ask("DELETE", f"{path}/extra_specs/b"))[0] == 202
    admit = {"addProjectAccess": {"project": "p1"}}
    assert (await world.ask("POST", f"{path}/action", admit))[0] == 202
    for pod in PODS:
        (made,) = world.types(pod).values()
        assert (made.name, made.description) == ("faster", "now")
        assert (made.extra_specs, made.projects) == ({"a": "3"}, {"p1"})
    assert len(await world.wishes(Replica.VOLUME_TYPE)) == 1
    assert (await world.ask("DELETE", path))[0] == 202
    assert [world.types(pod) for pod in PODS] == [{}, {}]


async def test_a_volume_type_that_was_in_the_pods_before_is_renamed_in_all(
    world: GatewayWorld,
) -> None:
    for pod in PODS:
        body = {"volume_type": {"name": "slow", "extra_specs": {"a": "0"}}}
        await world.call(pod, "POST", "/types", body)
    path = f"/types/{world.types('east')['slow'].id}"
    await world.ask("PUT", path, {"volume_type": {"name": "fast"}})
    assert [list(world.types(pod)) for pod in PODS] == [["fast"], ["fast"]]
    await world.ask("DELETE", path)
    assert [list(world.types(pod)) for pod in PODS] == [[], []]


async def test_a_second_try_of_a_type_whose_answer_was_lost_completes_the_first(
    world: GatewayWorld,
) -> None:
    world.cloud.lost = frozenset({0})
    with pytest.raises(PodTimeout):
        await make_type(world)
    body = {"volume_type": {"name": "fast"}}
    assert (await world.ask("POST", "/types", body))[0] == 409
    assert [list(world.types(pod)) for pod in PODS] == [["fast"], ["fast"]]


# A gateway that dies.


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/flavors", flavor(id="f1", description="x")),
        ("/flavors", flavor(description="x")),
        ("/os-keypairs", {"keypair": {"name": "my key", "public_key": KEY}}),
        ("/types", {"volume_type": {"name": "fast", "extra_specs": {"a": "1"}}}),
    ],
)
async def test_whenever_a_gateway_dies_a_second_try_completes_a_creation(
    path: str, body: object, carried_out: bool
) -> None:
    step, ended = 0, False
    while not ended:
        world = GatewayWorld()
        world.life.end_at(step, carried_out=carried_out)
        try:
            await world.ask("POST", path, body)
            ended = True
        except Died:
            step += 1
        world.restart()
        assert (await world.ask("POST", path, body))[0] in (200, 201, 409)
        await world.work()
        for pod in PODS:
            found = [
                *(one for one in world.sim.pod(pod).compute.flavors.values() if one.name == "own"),
                *world.sim.pod(pod).compute.keypairs.values(),
                *world.types(pod).values(),
            ]
            assert len(found) == 1
            assert await world.sweep(world.pods[pod].id) == []
    assert step > 8


@pytest.mark.parametrize("carried_out", [False, True])
async def test_whenever_a_gateway_dies_all_pods_are_alike_once_the_jobs_are_done(
    carried_out: bool,
) -> None:
    for method, path in (("POST", "/flavors/f1/os-extra_specs"), ("DELETE", "/flavors/f1")):
        body = {"extra_specs": {"a": "1"}} if method == "POST" else None
        step, ended = 0, False
        while not ended:
            world = GatewayWorld()
            await world.ask("POST", "/flavors", flavor(id="f1"))
            await world.work()
            world.life.end_at(step, carried_out=carried_out)
            try:
                await world.ask(method, path, body)
                ended = True
            except Died:
                step += 1
            world.restart()
            for pod in PODS:
                await world.work()
                for job in await world.sweep(world.pods[pod].id):
                    assert job.name == "f1"
                await world.work()
            east, west = (world.flavor(pod) for pod in PODS)
            assert (east is None) == (west is None)
            assert east is None or east.extra_specs == west.extra_specs
        assert step > 8
