"""Repairing one thing at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.usecases.networks_world import LATEST, World
from tricircle.core.errors import BadInput, PodDead, PodTimeout
from tricircle.core.jobs import DeleteStrayPort, Job, RepairPort, RepairTwin
from tricircle.core.model import Kind, PodId, ProjectId, Routing, RoutingState, TopId
from tricircle.core.runs import Postponed, Succeeded
from tricircle.testing.cloud import Reply
from tricircle.usecases.boot import Placed

NOTHING = Succeeded("")


@pytest.fixture
def world() -> World:
    return World()


async def place(world: World, item: dict[str, Any] | None = None) -> Placed:
    """Make a port in pod1 for a server that Nova was not asked for yet."""
    if item is None:
        network = await world.add_network()
        item = {"uuid": network["id"]}
    body = json.dumps({"server": world.server(networks=[item])}).encode()
    resolved = await world.networks.resolve(world.caller(), body, LATEST, "req-1")
    return await world.networks.place(resolved, world.pods["pod1"])


def repair(placed: Placed) -> RepairPort:
    port = placed.resolved.ports[0].port
    return RepairPort(placed.pod.id, TopId(port.id), ProjectId(port.project_id))


async def row_of(world: World, kind: Kind) -> Routing:
    (row,) = await world.stores.upkeep.list_routings(kind=kind)
    return row


async def twice(world: World, job: Job) -> tuple[object, object]:
    return await world.carry_out(job), await world.carry_out(job)


# Ports.


async def test_a_port_of_a_boot_that_never_came_is_released_once(world: World) -> None:
    placed = await place(world)
    world.grow_old()
    assert await twice(world, repair(placed)) == (Succeeded("released"), NOTHING)
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []


async def test_a_port_of_a_boot_that_may_be_under_way_is_left_alone(world: World) -> None:
    placed = await place(world)
    outcome = await world.carry_out(repair(placed))
    assert isinstance(outcome, Postponed)
    assert len(await world.ports("pod1")) == 1


async def test_a_port_that_is_marked_as_going_is_released_however_young(world: World) -> None:
    placed = await place(world)
    job = repair(placed)
    await world.stores.upkeep.mark_routing(
        Kind.PORT, job.port_id, job.pod_id, RoutingState.DELETING, None
    )
    assert await twice(world, job) == (Succeeded("released"), NOTHING)
    assert await world.ports("top") == []


async def test_a_leftover_that_a_new_boot_uses_again_is_one_of_a_boot_under_way(
    world: World,
) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    job = repair(await place(world, {"port": port["id"]}))
    await world.stores.upkeep.mark_routing(
        Kind.PORT, job.port_id, job.pod_id, RoutingState.DELETING, None
    )
    world.grow_old()
    await place(world, {"port": port["id"]})
    assert isinstance(await world.carry_out(job), Postponed)
    assert len(await world.ports("pod1")) == 1


async def test_a_port_that_a_server_has_is_given_to_it_once(world: World) -> None:
    placed = await place(world)
    server_id = await world.send_boot(placed, world.caller())
    world.grow_old()
    assert await twice(world, repair(placed)) == (Succeeded("finished"), NOTHING)
    (port,) = await world.ports("top")
    assert port["device_id"] == server_id


async def test_a_healthy_port_is_left_as_it_is(world: World) -> None:
    network = await world.add_network()
    _, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    before = await world.ports("top"), await world.ports("pod1")
    assert await world.carry_out(repair(placed)) == NOTHING
    assert (await world.ports("top"), await world.ports("pod1")) == before


async def test_a_port_whose_server_was_not_shown_at_the_top_is_given_to_it_at_once(
    world: World,
) -> None:
    placed = await place(world)
    server_id = await world.send_boot(placed, world.caller())
    world.sim.faults.inject(Reply(503, b"{}"), "network", "PUT", "/v2.0/ports", times=1)
    await world.networks.finish(placed, TopId(server_id), "az1")
    assert await world.jobs() == [repair(placed)]
    assert await world.work() == {repair(placed): Succeeded("finished")}
    (port,) = await world.ports("top")
    assert port["device_id"] == server_id


async def test_a_twin_that_was_made_and_not_noted_is_released_with_its_port(world: World) -> None:
    job = await lose_answer_of(world, "ports")
    world.grow_old()
    assert await twice(world, job) == (Succeeded("settled, released"), NOTHING)
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []


async def test_the_record_of_a_twin_that_was_never_made_goes_with_its_port(world: World) -> None:
    job = await lose_answer_of(world, "ports")
    (twin,) = await world.ports("pod1")
    await world.call("pod1", "DELETE", f"/ports/{twin['id']}")
    world.grow_old()
    assert await twice(world, job) == (Succeeded("forgotten, deleted"), NOTHING)
    assert await world.ports("top") == []


async def test_a_port_of_a_dead_pod_stays_as_it_is(world: World) -> None:
    placed = await place(world)
    world.grow_old()
    world.sim.pod("pod1").faults.down()
    with pytest.raises(PodDead) as raised:
        await world.carry_out(repair(placed))
    assert raised.value.pod_id == "pod1"
    assert len(await world.ports("top")) == 1
    assert (await row_of(world, Kind.PORT)).state is RoutingState.ACTIVE


async def test_a_pod_that_this_worker_does_not_know_yet_is_waited_for(world: World) -> None:
    port_id, project = TopId(world.ids()), ProjectId("demo")
    for job in (
        RepairPort(PodId("new"), port_id, project),
        RepairTwin(PodId("new"), "network", port_id, project),
    ):
        assert isinstance(await world.carry_out(job), Postponed)


# Ports of the top that nothing is known of.


async def stray(world: World, owner: str = "tricircle:boot") -> DeleteStrayPort:
    network = await world.add_network()
    values = {"network_id": network["id"], "device_id": world.ids(), "device_owner": owner}
    project = world.caller().project_id or ProjectId("")
    made = {"port": {**values, "project_id": project}}
    port = (await world.call("top", "POST", "/ports", made))["port"]
    return DeleteStrayPort(TopId(port["id"]), project)


async def test_a_stray_port_is_deleted_once(world: World) -> None:
    job = await stray(world)
    assert await twice(world, job) == (Succeeded("deleted"), NOTHING)
    assert await world.ports("top") == []


async def test_a_port_that_has_an_owner_by_now_is_no_stray(world: World) -> None:
    assert await world.carry_out(await stray(world, "compute:az1")) == NOTHING
    assert len(await world.ports("top")) == 1


async def test_a_port_that_is_written_down_is_no_stray(world: World) -> None:
    job = repair(await place(world))
    assert await world.carry_out(DeleteStrayPort(job.port_id, job.project_id)) == NOTHING
    assert len(await world.ports("top")) == 1


async def test_a_port_of_another_project_is_not_deleted(world: World) -> None:
    job = await stray(world)
    assert await world.carry_out(DeleteStrayPort(job.port_id, ProjectId("other"))) == NOTHING
    assert len(await world.ports("top")) == 1


# Twins of networks, subnets and groups.


async def lose_answer_of(world: World, collection: str) -> RepairPort:
    """Let a pod make something for a first boot and the answer get lost; return its port's job."""
    trial = World()
    await place(trial)
    calls = [(one.pod, one.method, one.path) for one in trial.cloud.sent]
    world.cloud.lost = frozenset({calls.index(("pod1", "POST", f"/v2.0/{collection}"))})
    with pytest.raises(PodTimeout):
        await place(world)
    (port,) = await world.ports("top")
    return RepairPort(PodId("pod1"), TopId(port["id"]), ProjectId(port["project_id"]))


def twin_job(row: Routing) -> RepairTwin:
    return RepairTwin(row.pod_id, row.kind.value, row.top_id, row.project_id)


async def test_a_network_that_was_made_and_not_noted_is_settled_once(world: World) -> None:
    await lose_answer_of(world, "networks")
    job = twin_job(await row_of(world, Kind.NETWORK))
    assert isinstance(await world.carry_out(job), Postponed)
    world.grow_old()
    assert await twice(world, job) == (Succeeded("settled"), NOTHING)
    assert (await row_of(world, Kind.NETWORK)).state is RoutingState.ACTIVE


async def test_the_record_of_a_network_that_was_never_made_goes(world: World) -> None:
    await lose_answer_of(world, "networks")
    job = twin_job(await row_of(world, Kind.NETWORK))
    (twin,) = await world.items("pod1", "networks")
    await world.call("pod1", "DELETE", f"/networks/{twin['id']}")
    world.grow_old()
    assert await twice(world, job) == (Succeeded("forgotten"), NOTHING)


async def test_a_twin_of_what_is_gone_from_the_top_goes_once(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    job = twin_job(await row_of(world, Kind.NETWORK))
    assert await world.carry_out(job) == NOTHING
    await world.delete_server(server_id)
    await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    assert await twice(world, job) == (Succeeded("removed"), NOTHING)
    assert await world.items("pod1", "networks") == []


async def test_a_twin_in_use_stays_and_is_no_failure(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    job = twin_job(await row_of(world, Kind.NETWORK))
    for port in await world.items("top", "ports"):
        await world.call("top", "DELETE", f"/ports/{port['id']}")
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    assert await twice(world, job) == (NOTHING, NOTHING)
    assert len(await world.items("pod1", "networks")) == 1


async def test_a_twin_of_a_dead_pod_stays_as_it_is(world: World) -> None:
    network = await world.add_network(cidr=None)
    await world.add_subnet(network["id"], "10.0.0.0/24", enable_dhcp=False)
    await world.boot({"networks": [{"uuid": network["id"]}]})
    job = twin_job(await row_of(world, Kind.NETWORK))
    for port in await world.items("top", "ports"):
        await world.call("top", "DELETE", f"/ports/{port['id']}")
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    world.sim.pod("pod1").faults.down()
    with pytest.raises(PodDead):
        await world.carry_out(job)
    assert (await row_of(world, Kind.NETWORK)).state is RoutingState.ACTIVE


async def test_only_twins_that_boots_make_can_be_repaired(world: World) -> None:
    with pytest.raises(BadInput, match="network, security_group, subnet"):
        await world.carry_out(RepairTwin(PodId("pod1"), "router", TopId("r"), ProjectId("demo")))
