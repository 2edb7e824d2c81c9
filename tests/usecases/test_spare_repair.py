"""An end is made of each spare, whoever dies and wherever: no port and no address is lost."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.usecases.networks_world import World
from tests.usecases.spares_world import (
    BOOT,
    SpareBoot,
    boot_on_spare,
    disable,
    keep,
    known_network,
    marked,
    one_spare,
    project_of,
    ready,
    repairing,
    rows,
)
from tests.usecases.test_sweep import Sweeping, check, every_step, servers
from tricircle.core.errors import PodDead
from tricircle.core.jobs import DeleteStrayPort, RepairSparePort, SweepTwins
from tricircle.core.model import BottomId, Kind, Origin, PodId, ProjectId, RoutingState, TopId
from tricircle.core.network.spares import GOING, SparePort
from tricircle.core.runs import Postponed, Succeeded
from tricircle.usecases.sweep import SweepReport

NOTHING = Succeeded("")
CLEARED = Succeeded("cleared")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=[World.sweep, World.sweep_by_jobs], ids=["here", "by jobs"])
def sweep(request: pytest.FixtureRequest) -> Sweeping:
    """How a sweep is done: all in one process, or by job workers."""
    sweeping: Sweeping = request.param
    return sweeping


async def twice(world: World, spare: SparePort) -> tuple[object, object]:
    job = repairing(spare)
    return await world.carry_out(job), await world.carry_out(job)


# Ready ones.


async def test_what_is_no_spare_is_left_alone(world: World) -> None:
    job = RepairSparePort(PodId("pod1"), BottomId("none"), ProjectId("demo"))
    assert await world.carry_out(job) == NOTHING


async def test_a_spare_of_a_pod_that_is_not_known_yet_waits(world: World) -> None:
    job = RepairSparePort(PodId("pod9"), BottomId("none"), ProjectId("demo"))
    assert isinstance(await world.carry_out(job), Postponed)


async def test_a_young_spare_stays(world: World) -> None:
    spare = await one_spare(world)
    world.grow_old()
    assert await twice(world, spare) == (NOTHING, NOTHING)
    assert [one.boot_id for one in await rows(world)] == [None]
    assert len(await marked(world)) == 1


async def disabled_pod(world: World, spare: SparePort) -> None:
    disable(world)


async def network_gone(world: World, spare: SparePort) -> None:
    await world.call("top", "DELETE", f"/networks/{spare.network_id}")


async def subnet_gone(world: World, spare: SparePort) -> None:
    await world.call("top", "DELETE", f"/subnets/{spare.addresses[0].subnet_id}")


async def subnet_added(world: World, spare: SparePort) -> None:
    await world.add_subnet(spare.network_id, "2001:db8:1::/64")


async def address_used(world: World, spare: SparePort) -> None:
    fixed = [{"ip_address": spare.addresses[0].ip_address}]
    await world.add_port(spare.network_id, fixed_ips=fixed)


async def too_old(world: World, spare: SparePort) -> None:
    world.wall.now += timedelta(seconds=3600)


async def other_mac(world: World, spare: SparePort) -> None:
    change = {"port": {"mac_address": "fa:16:3e:99:99:99"}}
    await world.call("pod1", "PUT", f"/ports/{spare.port_id}", change)


async def other_address(world: World, spare: SparePort) -> None:
    change = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
    await world.call("pod1", "PUT", f"/ports/{spare.port_id}", change)


async def gone_from_the_pod(world: World, spare: SparePort) -> None:
    await world.call("pod1", "DELETE", f"/ports/{spare.port_id}")


async def begun(world: World, spare: SparePort) -> None:
    """Die after the spare was taken for its removal."""
    assert await world.stores.spares.take_spare(spare, GOING, ())


@pytest.mark.parametrize(
    "reason",
    [
        disabled_pod,
        network_gone,
        subnet_gone,
        subnet_added,
        address_used,
        too_old,
        other_mac,
        other_address,
        gone_from_the_pod,
        begun,
    ],
    ids=lambda each: each.__name__,
)
async def test_a_spare_of_no_use_is_removed(
    world: World, reason: Callable[[World, SparePort], Awaitable[None]]
) -> None:
    spare = await one_spare(world)
    await reason(world, spare)
    assert await twice(world, spare) == (CLEARED, NOTHING)
    assert await rows(world) == []
    assert await world.ports("pod1") == []


async def test_a_spare_that_a_server_has_untaken_stays_in_the_pod(world: World) -> None:
    spare = await one_spare(world)
    boot = SpareBoot(world, spare)
    await boot.ask_nova()
    assert await twice(world, spare) == (CLEARED, NOTHING)
    assert await rows(world) == []
    (port,) = await world.ports("pod1")
    assert port["device_id"] == boot.server_id


async def test_a_boot_that_takes_the_spare_first_has_it(world: World) -> None:
    spare = await one_spare(world)
    await too_old(world, spare)
    stale = spare
    assert await world.stores.spares.take_spare(spare, BOOT, ())

    class Stale:
        """Still shows the spare as it was before the boot came."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.stores.spares, name)

        async def find_spare(self, pod_id: PodId, port_id: BottomId) -> SparePort:
            return stale

    world.spare_repair._spares = Stale()
    assert await world.carry_out(repairing(spare)) == NOTHING
    assert len(await marked(world)) == 1
    assert [one.boot_id for one in await rows(world)] == [BOOT]


async def test_a_spare_of_a_dead_pod_waits_for_it(world: World) -> None:
    spare = await one_spare(world)
    await too_old(world, spare)
    world.sim.pod("pod1").faults.down()
    with pytest.raises(PodDead):
        await world.carry_out(repairing(spare))
    world.sim.pod("pod1").faults.up()
    assert await twice(world, spare) == (CLEARED, NOTHING)
    assert await world.ports("pod1") == []


# Taken ones.


async def after(boot: SpareBoot, *steps: Callable[[], Awaitable[None]]) -> SparePort:
    """Have a boot do some of its steps and die, long ago."""
    for step in steps:
        await step()
    boot.world.grow_old()
    return boot.spare


async def test_a_spare_of_a_boot_that_may_be_under_way_is_left_alone(world: World) -> None:
    spare = await one_spare(world)
    await SpareBoot(world, spare).take()
    assert isinstance(await world.carry_out(repairing(spare)), Postponed)
    assert len(await marked(world)) == 1


async def test_a_boot_that_came_to_nothing_leaves_no_port(world: World) -> None:
    boot = SpareBoot(world, await one_spare(world))
    spare = await after(boot, boot.take, boot.make_top)
    assert await twice(world, spare) == (Succeeded("released"), NOTHING)
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []
    assert await rows(world) == []


async def test_a_port_that_is_written_down_is_no_spare_any_more(world: World) -> None:
    boot = SpareBoot(world, await one_spare(world))
    spare = await after(boot, boot.take, boot.make_top, boot.write_down)
    assert await twice(world, spare) == (CLEARED, NOTHING)
    assert await rows(world) == []
    (port,) = await world.ports("pod1")
    assert port["description"] == f"tricircle:port:{boot.top_id}:{project_of(world)}"


async def test_a_mark_of_the_gateway_is_left_as_it_is(world: World) -> None:
    boot = SpareBoot(world, await one_spare(world))
    spare = await after(boot, boot.take, boot.make_top, boot.write_down)
    change = {"port": {"description": "of someone"}}
    await world.call("pod1", "PUT", f"/ports/{spare.port_id}", change)
    assert await world.carry_out(repairing(spare)) == CLEARED
    (port,) = await world.ports("pod1")
    assert port["description"] == "of someone"


@pytest.mark.parametrize("with_top", [True, False])
async def test_a_server_whose_gateway_died_gets_its_port(world: World, with_top: bool) -> None:
    boot = SpareBoot(world, await one_spare(world))
    steps = [boot.take, boot.ask_nova, *([boot.make_top] if with_top else [])]
    spare = await after(boot, *steps)
    assert await twice(world, spare) == (Succeeded("finished"), NOTHING)
    assert await rows(world) == []
    (top,) = await world.ports("top")
    assert top["id"] == boot.top_id or not with_top
    assert top["device_id"] == boot.server_id
    assert top["mac_address"] == spare.mac_address
    assert top["fixed_ips"][0]["ip_address"] == spare.addresses[0].ip_address
    assert top["project_id"] == project_of(world)
    (row,) = await world.stores.upkeep.list_routings(kind=Kind.PORT)
    assert (row.top_id, row.bottom_id) == (top["id"], spare.port_id)
    assert (row.state, row.origin) == (RoutingState.ACTIVE, Origin.GATEWAY)
    assert row.owner_id == boot.server_id
    (server,) = await world.stores.upkeep.list_routings(kind=Kind.SERVER)
    assert server.top_id == boot.server_id
    await check(world)


async def test_the_port_of_that_server_has_the_groups_that_were_asked_for(world: World) -> None:
    token = world.caller().token
    wanted = {"security_group": {"name": "web"}}
    group = (await world.call("top", "POST", "/security-groups", wanted, token))["security_group"]
    boot = SpareBoot(world, await one_spare(world), (group["id"],))
    spare = await after(boot, boot.take, boot.ask_nova)
    assert await world.carry_out(repairing(spare)) == Succeeded("finished")
    (top,) = await world.ports("top")
    assert top["security_groups"] == [group["id"]]
    (twin,) = await world.items("pod1", "security-groups", name="web")
    (bottom,) = await world.ports("pod1")
    assert bottom["security_groups"] == [twin["id"]]


async def test_a_server_whose_address_is_in_use_is_shown_to_operators(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    boot = SpareBoot(world, await one_spare(world))
    spare = await after(boot, boot.take, boot.ask_nova)
    fixed = [{"ip_address": spare.addresses[0].ip_address}]
    rival = await world.add_port(spare.network_id, fixed_ips=fixed)
    with caplog.at_level(logging.WARNING):
        outcome = await world.carry_out(repairing(spare))
    assert isinstance(outcome, Postponed)
    assert boot.server_id in outcome.reason
    assert "the top refuses the port of a server" in caplog.text
    assert [port["device_id"] for port in await world.ports("pod1")] == [boot.server_id]
    await world.call("top", "DELETE", f"/ports/{rival['id']}")
    assert await world.carry_out(repairing(spare)) == Succeeded("finished")
    await check(world)


async def test_what_a_server_had_that_is_deleted_before_its_port_is_known_goes(
    world: World,
) -> None:
    boot = SpareBoot(world, await one_spare(world))
    spare = await after(boot, boot.take, boot.ask_nova, boot.make_top)
    await world.delete_server(boot.server_id)
    assert await twice(world, spare) == (Succeeded("released"), NOTHING)
    assert await world.ports("top") == await world.ports("pod1") == []


async def test_a_port_of_a_boot_with_a_spare_is_no_stray(world: World) -> None:
    boot = SpareBoot(world, await one_spare(world))
    await after(boot, boot.take, boot.make_top)
    stray = DeleteStrayPort(TopId(boot.top_id), project_of(world))
    assert await world.carry_out(stray) == NOTHING
    await world.carry_out(SweepTwins())
    assert await world.jobs() == [repairing(boot.spare)]


async def test_a_port_of_another_boot_is_one(world: World) -> None:
    boot = SpareBoot(world, await one_spare(world))
    await after(boot, boot.take, boot.make_top)
    change = {"port": {"device_id": "boot-2"}}
    await world.call("top", "PUT", f"/ports/{boot.top_id}", change)
    stray = DeleteStrayPort(TopId(boot.top_id), project_of(world))
    assert await world.carry_out(stray) == Succeeded("deleted")


# Sweeps.


async def test_young_spares_are_not_looked_at(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    world.grow_old()
    assert await world.carry_out(SweepTwins()) == Succeeded("all is well")
    assert await world.sweep_now() == SweepReport()


async def test_a_sweep_removes_what_nobody_has_taken(world: World, sweep: Sweeping) -> None:
    spare = await one_spare(world)
    await too_old(world, spare)
    await sweep(world)
    assert await rows(world) == []
    assert await world.ports("pod1") == []


async def test_a_sweep_removes_the_spares_of_a_disabled_pod(world: World, sweep: Sweeping) -> None:
    await one_spare(world)
    disable(world)
    await sweep(world)
    assert await rows(world) == []
    assert await world.ports("pod1") == []


async def test_spares_and_twins_of_a_network_that_is_gone_go(world: World, sweep: Sweeping) -> None:
    spare = await one_spare(world)
    other = await world.add_network(name="other", cidr="10.2.0.0/24")
    await world.boot({"networks": [{"uuid": other["id"]}]})
    await keep(world, other["id"])
    await network_gone(world, spare)
    for _ in range(2):
        await sweep(world)
    assert {row.network_id for row in await rows(world)} == {other["id"]}
    assert len(await marked(world)) == 2
    assert [one["name"] for one in await world.items("pod1", "networks")] == ["other"]
    kept = await world.stores.upkeep.list_routings(kind=Kind.SUBNET)
    assert len(kept) == 1


async def test_a_taken_spare_of_a_network_that_is_gone_goes(world: World, sweep: Sweeping) -> None:
    spare = await one_spare(world)
    await SpareBoot(world, spare).take()
    await network_gone(world, spare)
    for _ in range(2):
        await sweep(world)
    assert await rows(world) == []
    assert await world.ports("pod1") == await world.items("pod1", "networks") == []


async def test_a_sweep_tells_what_it_cleared(world: World) -> None:
    spare = await one_spare(world)
    await too_old(world, spare)
    assert await world.sweep() == SweepReport(cleared=1)


@pytest.mark.parametrize("nova_first", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
async def test_a_gateway_that_dies_during_a_boot_is_made_up_for(
    world: World, sweep: Sweeping, steps: int, nova_first: bool
) -> None:
    boot = SpareBoot(world, await one_spare(world))
    await after(boot, *boot.steps(nova_first=nova_first)[:steps])
    for _ in range(2):
        await sweep(world)
    await check(world)
    assert await rows(world) == []
    assert await marked(world) == []
    tops = await world.ports("top")
    assert [port["device_id"] for port in tops] == ([boot.server_id] if boot.server_id else [])
    assert await world.sweep() == SweepReport()


Steps = Callable[[SpareBoot], list[Callable[[], Awaitable[None]]]]


@pytest.mark.parametrize(
    "begin",
    [
        lambda boot: [],
        lambda boot: [boot.take],
        lambda boot: [boot.take, boot.make_top],
        lambda boot: [boot.take, boot.ask_nova],
        lambda boot: [boot.take, boot.ask_nova, boot.make_top],
        lambda boot: [boot.take, boot.ask_nova, boot.make_top, boot.write_down],
    ],
    ids=["expired", "taken", "no server", "server", "server and top", "written down"],
)
async def test_a_repair_killed_at_any_step_is_completed(begin: Steps, sweep: Sweeping) -> None:
    servers: list[str] = []

    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world = World(("pod1",))
        boot = SpareBoot(world, await one_spare(world))
        await after(boot, *begin(boot))
        await too_old(world, boot.spare)
        servers[:] = [boot.server_id] if boot.server_id else []
        return world, lambda: world.carry_out(repairing(boot.spare))

    async def then(world: World) -> None:
        await sweep(world)
        await sweep(world)
        await check(world)
        assert [port["device_id"] for port in await world.ports("top")] == servers
        assert await rows(world) == []
        assert await marked(world) == []
        assert await world.sweep() == SweepReport()

    assert await every_step(prepare, then) >= 3


@pytest.mark.parametrize("worker_lives", [True, False])
async def test_a_boot_on_a_spare_killed_at_any_step_is_made_up_for(
    sweep: Sweeping, worker_lives: bool
) -> None:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world = World(("pod1",))
        network = await known_network(world)
        await keep(world, network["id"])
        return world, lambda: boot_on_spare(world, network["id"])

    async def then(world: World) -> None:
        (network,) = await world.items("top", "networks")
        if worker_lives:
            await keep(world, network["id"])
        await sweep(world)
        await sweep(world)
        for spare in await ready(world, network["id"]):
            await world.call("pod1", "DELETE", f"/ports/{spare.port_id}")
            await world.stores.spares.forget_spare(spare.pod_id, spare.port_id)
        await check(world)
        living = [one["device_id"] for one in await world.ports("pod1")]
        assert [port["device_id"] for port in await world.ports("top")] == living
        assert len(living) <= 1
        assert set(living) == await servers(world)
        assert await rows(world) == []
        assert await world.sweep() == SweepReport()

    assert await every_step(prepare, then) >= 10


async def test_the_next_boot_may_have_what_is_left(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    first, second = await ready(world, network["id"])
    boot = SpareBoot(world, second)
    for step in boot.steps(nova_first=True):
        await step()
    world.grow_old()
    await world.sweep_now()
    assert await ready(world, network["id"]) == [first]
