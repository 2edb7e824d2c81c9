"""A boot or a deletion cut short at any step leaves nothing that is not repaired."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.usecases.networks_world import LATEST, Died, World
from tricircle.core.errors import PodDead, PodTimeout
from tricircle.core.jobs import DeleteServerGroup, SweepTwins, pod_of
from tricircle.core.model import BottomId, Kind, ProjectId, Routing, RoutingState, TopId
from tricircle.core.runs import Succeeded
from tricircle.usecases.sweep import SweepReport

LEASES_OVER_S = 60.0
MANY_STEPS = 200


Sweeping = Callable[[World], Awaitable[object]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=[World.sweep, World.sweep_by_jobs], ids=["here", "by jobs"])
def sweep(request: pytest.FixtureRequest) -> Sweeping:
    """How a sweep is done: all in one process, or by job workers."""
    sweeping: Sweeping = request.param
    return sweeping


async def servers(world: World, pod: str = "pod1") -> set[str]:
    answer = await world.call(pod, "GET", "/servers?all_tenants=1")
    return {server["id"] for server in answer["servers"]}


async def check(world: World, pod: str = "pod1") -> None:
    """Check that every port has its twin and its server, and that nothing is there twice."""
    living = await servers(world, pod)
    tops = {port["mac_address"]: port for port in await world.ports("top") if port["device_id"]}
    bottoms = {port["mac_address"]: port for port in await world.ports(pod)}
    assert set(tops) == set(bottoms)
    for mac, top in tops.items():
        assert top["device_id"] in living
        assert top["device_owner"].startswith("compute:")
        assert bottoms[mac]["device_id"] == top["device_id"]
    rows = await world.stores.upkeep.list_routings(kind=Kind.PORT)
    assert {row.top_id for row in rows} == {port["id"] for port in tops.values()}
    assert {row.owner_id for row in rows} <= living
    await check_twins(world, pod)


async def check_twins(world: World, pod: str) -> None:
    """Check that no twin is there twice, and each is known."""
    for collection, kind in (
        ("networks", Kind.NETWORK),
        ("subnets", Kind.SUBNET),
        ("security-groups", Kind.SECURITY_GROUP),
    ):
        twins = [
            one
            for one in await world.items(pod, collection)
            if one["description"].startswith("tricircle:")
        ]
        marks = Counter(one["description"] for one in twins)
        assert all(count == 1 for count in marks.values()), marks
        rows = await world.stores.upkeep.list_routings(kind=kind)
        assert {one["id"] for one in twins} <= {row.bottom_id for row in rows}
    kept = await world.items("top", "ports", device_owner="network:dhcp")
    marks = Counter(one["description"] for one in kept)
    assert all(count == 1 for count in marks.values())


async def cut_short(
    world: World, step: int, carried_out: bool, act: Callable[[], Awaitable[Any]]
) -> bool:
    """Let a process die at a step of ``act``; False when it ended before."""
    world.life.end_at(step, carried_out=carried_out)
    died = False
    try:
        await act()
    except Died:
        died = True
    world.restart()
    return died


async def every_step(
    prepare: Callable[[], Awaitable[tuple[World, Callable[[], Awaitable[Any]]]]],
    then: Callable[[World], Awaitable[None]],
) -> int:
    """Kill a process at every step, before and after; run ``then`` each time; count the steps."""
    for step in range(MANY_STEPS):
        for carried_out in (False, True):
            world, act = await prepare()
            if not await cut_short(world, step, carried_out, act):
                return step
            await then(world)
    raise AssertionError("the act never ends")


def booting(kind: str) -> Callable[[], Awaitable[tuple[World, Callable[[], Awaitable[Any]]]]]:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world = World(("pod1",))
        network = await world.add_network()
        port = await world.add_port(network["id"]) if kind == "port" else None
        item = {"port": port["id"]} if port else {"uuid": network["id"]}
        asked: dict[str, Any] = {"networks": [item]}
        if kind == "known network":
            await world.boot(asked)
        return world, lambda: world.boot(asked)

    return prepare


@pytest.mark.parametrize("kind", ["new network", "known network", "port"])
async def test_a_boot_killed_at_any_step_is_repaired_by_a_sweep(kind: str, sweep: Sweeping) -> None:
    async def then(world: World) -> None:
        await sweep(world)
        await check(world)
        report = await world.sweep()
        assert report == SweepReport()

    assert await every_step(booting(kind), then) >= 8


@pytest.mark.parametrize("kind", ["new network", "known network"])
async def test_after_a_boot_killed_at_any_step_the_next_one_works(
    kind: str, sweep: Sweeping
) -> None:
    async def then(world: World) -> None:
        world.wall.advance(LEASES_OVER_S)
        (network,) = await world.items("top", "networks")
        server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
        assert server_id
        await check_twins(world, "pod1")
        await sweep(world)
        await check(world)
        assert server_id in await servers(world)

    assert await every_step(booting(kind), then) >= 8


async def test_after_a_boot_with_a_port_killed_at_any_step_the_port_is_usable(
    sweep: Sweeping,
) -> None:
    async def then(world: World) -> None:
        await sweep(world)
        (port,) = await world.ports("top")
        if not port["device_id"]:
            server_id, _ = await world.boot({"networks": [{"port": port["id"]}]})
            assert server_id
        await check(world)

    assert await every_step(booting("port"), then) >= 8


@pytest.mark.parametrize("kind", ["known network", "port"])
async def test_a_release_killed_at_any_step_is_completed_by_a_sweep(
    kind: str, sweep: Sweeping
) -> None:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world, boot = await booting(kind)()
        server_id, _ = await boot()
        await world.delete_server(server_id)
        return world, lambda: world.release.release_server(
            TopId(server_id), world.pods["pod1"], "r"
        )

    async def then(world: World) -> None:
        await sweep(world)
        await check(world)

    assert await every_step(prepare, then) >= 4


@pytest.mark.parametrize("kind", ["new network", "known network", "port"])
async def test_an_undo_killed_at_any_step_is_completed_by_a_sweep(
    kind: str, sweep: Sweeping
) -> None:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world, _ = await booting(kind)()
        (network,) = await world.items("top", "networks")
        ports = [port for port in await world.ports("top") if not port["device_id"]]
        item = {"port": ports[0]["id"]} if ports else {"uuid": network["id"]}
        resolved = await resolve(world, {"networks": [item]})
        placed = await world.networks.place(resolved, world.pods["pod1"])
        return world, lambda: world.networks.undo(placed)

    async def then(world: World) -> None:
        await sweep(world)
        await check(world)

    assert await every_step(prepare, then) >= 3


async def test_a_sweep_killed_at_any_step_is_completed_by_the_next(sweep: Sweeping) -> None:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world, boot = await booting("known network")()
        await cut_short(world, 9, True, boot)
        server_id, _ = await boot()
        await world.delete_server(server_id)
        return world, lambda: sweep(world)

    async def then(world: World) -> None:
        await sweep(world)
        await check(world)

    assert await every_step(prepare, then) >= 4


# Answers that are lost, which is not the same: the process lives on.


async def test_any_single_lost_answer_leaves_what_a_sweep_repairs(sweep: Sweeping) -> None:
    for number in range(40):
        world, boot = await booting("new network")()
        world.cloud.sent.clear()
        world.cloud.lost = frozenset({number})
        with contextlib.suppress(PodTimeout):
            await boot()
        if len(world.cloud.sent) <= number:
            return
        world.cloud.lost = frozenset()
        await sweep(world)
        await check(world)
    raise AssertionError("a boot never ends")


async def test_a_boot_whose_answer_was_lost_is_finished_by_the_sweep(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    placed = await world.networks.place(resolved, world.pods["pod1"])
    server_id = await world.send_boot(placed, world.caller())
    await world.networks.abandon(placed)
    report = await world.sweep()
    assert report.finished == 1
    (port,) = await world.ports("top")
    assert port["device_id"] == server_id
    (row,) = await world.stores.routings.find_routings(Kind.SERVER, TopId(server_id))
    assert row.pod_id == "pod1"


async def test_a_boot_under_way_is_left_alone(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    await world.networks.place(resolved, world.pods["pod1"])
    assert await world.sweep_now() == SweepReport()
    assert len(await world.ports("pod1")) == 1


async def test_twins_of_what_is_gone_from_the_top_go(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    await world.sweep()
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    report = await world.sweep()
    assert report.removed == 2
    assert await world.items("pod1", "networks") == []
    assert await world.stores.upkeep.list_routings(kind=Kind.NETWORK) == []


async def test_a_deletion_of_a_server_group_that_was_begun_is_asked_for_again(world: World) -> None:
    group, pod = TopId("8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"), world.pods["pod1"]
    project = ProjectId(world.sim.project_id("demo"))
    row = Routing(Kind.SERVER_GROUP, group, pod.id, BottomId("b"), project)
    await world.stores.routings.keep_routings([row])
    world.grow_old()
    await world.carry_out(SweepTwins())
    assert await world.jobs() == []
    await world.stores.upkeep.mark_routing(
        Kind.SERVER_GROUP, group, pod.id, RoutingState.DELETING, None
    )
    world.grow_old()
    assert await world.carry_out(SweepTwins()) == Succeeded("queued 1 delete_server_group")
    assert await world.jobs() == [DeleteServerGroup(pod.id, group, project)]


async def test_twins_still_in_use_stay(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    for port in await world.items("top", "ports"):
        await world.call("top", "DELETE", f"/ports/{port['id']}")
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    await world.sweep()
    (twin,) = await world.items("pod1", "networks")
    assert twin["name"] == "web"
    assert server_id in await servers(world)


async def test_a_default_group_of_a_pod_is_never_deleted(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    project = world.sim.project_id("demo")
    groups = world.sim.top_network.groups.items
    for group_id in [key for key, one in groups.items() if one["project_id"] == project]:
        del groups[group_id]
    await world.sweep()
    found = await world.items("pod1", "security-groups", project_id=project)
    assert [group["name"] for group in found] == ["default"]


async def test_a_pod_that_does_not_answer_is_counted_and_the_rest_is_swept(world: World) -> None:
    network = await world.add_network()
    for pod in ("pod1", "pod2"):
        server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]}, pod)
        await world.delete_server(server_id, pod)
    world.sim.pod("pod1").faults.down()
    report = await world.sweep()
    assert (report.released, report.failed) == (1, 1)
    world.sim.pod("pod1").faults.up()
    assert (await world.sweep()).released == 1


async def test_what_a_dead_pod_kept_of_a_port_goes_and_the_port_stays(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    first = await world.networks.place(resolved, world.pods["pod1"])
    world.sim.pod("pod1").faults.down()
    await world.networks.withdraw(first)
    placed = await world.networks.place(resolved, world.pods["pod2"])
    server_id = await world.send_boot(placed, world.caller())
    await world.networks.finish(placed, TopId(server_id), "az1")
    world.sim.pod("pod1").faults.up()
    assert (await world.sweep()).released == 1
    assert await world.ports("pod1") == []
    await check(world, "pod2")


async def test_a_gateway_that_dies_after_the_pod_took_a_deletion_is_made_up_for(
    world: World, sweep: Sweeping
) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    assert await world.jobs() == []
    await sweep(world)
    await check(world)
    assert await world.ports("top") == []


async def test_a_gateway_that_dies_after_the_pod_took_a_detachment_is_made_up_for(
    world: World, sweep: Sweeping
) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    await world.release.mark_detaching(port_id, TopId(server_id), world.pods["pod1"])
    await world.call("pod1", "DELETE", f"/servers/{server_id}/os-interface/{placed.port_ids[0]}")
    await sweep(world)
    await check(world)
    assert await world.ports("top") == []
    assert server_id in await servers(world)


# What is found, and asked for.


async def test_nothing_is_asked_for_when_all_is_well(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    await world.boot({"networks": [{"uuid": network["id"]}, {"port": port["id"]}]})
    await world.boot({"networks": [{"uuid": network["id"]}]}, "pod2")
    await world.add_port(network["id"])
    world.grow_old()
    assert await world.carry_out(SweepTwins()) == Succeeded("all is well")
    assert await world.jobs() == []


async def test_a_port_that_its_living_server_lacks_in_the_pod_is_not_asked_for_again_and_again(
    world: World,
) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (bottom,) = await world.ports("pod1")
    await world.call("pod1", "DELETE", f"/ports/{bottom['id']}")
    world.grow_old()
    assert await world.carry_out(SweepTwins()) == Succeeded("all is well")


async def test_each_thing_found_is_one_job_however_many_look(world: World) -> None:
    network = await world.add_network()
    for _ in range(2):
        server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
        await world.delete_server(server_id)
    world.grow_old()
    outcomes = await asyncio.gather(*(world.carry_out(SweepTwins()) for _ in range(3)))
    assert outcomes == [Succeeded("queued 2 repair_port")] * 3
    assert [job.kind for job in await world.jobs()] == ["repair_port"] * 2
    await world.work()
    await check(world)


async def test_a_pod_that_does_not_answer_keeps_nothing_else_from_being_found(
    world: World,
) -> None:
    network = await world.add_network()
    for pod in ("pod1", "pod2"):
        server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]}, pod)
        await world.delete_server(server_id, pod)
    world.sim.pod("pod1").faults.down()
    world.grow_old()
    outcome = await world.carry_out(SweepTwins())
    assert outcome == Succeeded("queued 1 repair_port; not looked at everywhere (1), see the log")
    assert [pod_of(job) for job in await world.jobs()] == ["pod2"]


async def test_without_the_neutron_of_the_top_the_sweep_fails_as_a_whole(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    world.sim.faults.down()
    world.grow_old()
    with pytest.raises(PodDead):
        await world.carry_out(SweepTwins())


async def test_two_sweeps_at_once_do_no_harm(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    world.grow_old()
    await asyncio.gather(world.sweep_now(), world.sweep_now())
    await check(world)
    assert await world.ports("top") == []


async def resolve(world: World, server: dict[str, Any]) -> Any:
    body = json.dumps({"server": world.server(**server)}).encode()
    return await world.networks.resolve(world.caller(), body, LATEST, "req-1")
