"""Giving ports back."""

import pytest

from tests.usecases.networks_world import World
from tricircle.core.errors import PodDead
from tricircle.core.jobs import ReleasePort, ReleaseServer
from tricircle.core.model import Kind, PodId, ProjectId, RoutingState, TopId
from tricircle.core.runs import NotYet, Postponed, Succeeded
from tricircle.usecases.release import PATIENT_ATTEMPTS


@pytest.fixture
def world() -> World:
    return World()


async def test_ports_that_the_gateway_made_go_with_their_server(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    assert await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []
    assert await world.stores.routings.list_owned(TopId(server_id)) == []


async def test_a_port_of_the_user_is_free_again_and_can_go_to_another_pod(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    server_id, _ = await world.boot({"networks": [{"port": port["id"]}]})
    await world.delete_server(server_id)
    assert await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    (kept,) = await world.ports("top")
    assert (kept["device_id"], kept["device_owner"]) == ("", "")
    assert await world.ports("pod1") == []
    again, _ = await world.boot({"networks": [{"port": port["id"]}]}, "pod2")
    assert again


async def test_nothing_goes_while_the_pod_still_has_the_server(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert not await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    assert len(await world.ports("top")) == 1


async def test_only_what_a_server_has_let_go_is_released_while_the_pod_still_shows_it(
    world: World,
) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.release.release_let_go(TopId(server_id), world.pods["pod1"], "r")
    assert len(await world.ports("top")) == 1
    await world.call("pod1", "DELETE", f"/servers/{server_id}/os-interface/{placed.port_ids[0]}")
    await world.release.release_let_go(TopId(server_id), world.pods["pod1"], "r")
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []
    assert await world.stores.routings.list_owned(TopId(server_id)) == []


async def test_a_server_without_ports_costs_no_call(world: World) -> None:
    world.cloud.sent.clear()
    assert await world.release.release_server(TopId(world.ids()), world.pods["pod1"], "r")
    assert world.cloud.sent == []


async def test_releasing_twice_is_as_once(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    for _ in range(2):
        assert await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")


async def test_a_pod_that_does_not_answer_keeps_everything(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    world.sim.pod("pod1").faults.down()
    with pytest.raises(PodDead):
        await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    assert len(await world.ports("top")) == 1


async def test_a_port_given_to_another_server_meanwhile_is_left_to_it(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    server_id, _ = await world.boot({"networks": [{"port": port["id"]}]})
    await world.delete_server(server_id)
    await world.call("top", "PUT", f"/ports/{port['id']}", {"port": {"device_id": "other"}})
    await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    (kept,) = await world.ports("top")
    assert kept["device_id"] == "other"


async def test_a_detached_port_is_released_once_the_server_has_let_it_go(world: World) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    pod = world.pods["pod1"]
    assert not await world.release.release_port(port_id, TopId(server_id), pod, "r")
    (row,) = await world.stores.routings.find_routings(Kind.PORT, port_id)
    assert row.state is RoutingState.DELETING
    await world.call("pod1", "DELETE", f"/servers/{server_id}/os-interface/{placed.port_ids[0]}")
    assert await world.release.release_port(port_id, TopId(server_id), pod, "r")
    assert await world.ports("top") == []


async def test_a_detached_port_of_the_user_stays(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    server_id, placed = await world.boot({"networks": [{"port": port["id"]}]})
    await world.call("pod1", "DELETE", f"/servers/{server_id}/os-interface/{placed.port_ids[0]}")
    assert await world.release.release_port(
        TopId(port["id"]), TopId(server_id), world.pods["pod1"], "r"
    )
    (kept,) = await world.ports("top")
    assert kept["device_id"] == ""


async def test_a_port_of_another_server_is_not_released(world: World) -> None:
    network = await world.add_network()
    _, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    assert await world.release.release_port(port_id, TopId(world.ids()), world.pods["pod1"], "r")
    assert len(await world.ports("top")) == 1


async def test_a_port_released_before_its_server_was_shown_at_the_top_is_free(
    world: World,
) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    server_id, placed = await world.boot({"networks": [{"port": port["id"]}]})
    await world.delete_server(server_id)
    assert await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")
    await world.networks.show_owner(placed, TopId(server_id), "az1")
    (kept,) = await world.ports("top")
    assert kept["device_id"] == ""


# As jobs.

PROJECT = ProjectId("demo")


async def test_a_job_releases_the_ports_of_a_server_once(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    asked = {"networks": [{"uuid": network["id"]}, {"port": port["id"]}]}
    server_id, _ = await world.boot(asked)
    await world.delete_server(server_id)
    job = ReleaseServer(PodId("pod1"), TopId(server_id), PROJECT)
    for _ in range(2):
        assert await world.carry_out(job) == Succeeded()
        (kept,) = await world.ports("top")
        assert (kept["id"], kept["device_id"]) == (port["id"], "")
    assert await world.ports("pod1") == []


async def test_a_job_waits_for_a_server_that_is_being_deleted_and_then_leaves_it_to_the_sweep(
    world: World,
) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    job = ReleaseServer(PodId("pod1"), TopId(server_id), PROJECT)
    for attempt in range(1, PATIENT_ATTEMPTS):
        assert isinstance(await world.carry_out(job, attempt), NotYet)
    assert isinstance(await world.carry_out(job, PATIENT_ATTEMPTS), Succeeded)
    assert len(await world.ports("top")) == 1
    await world.delete_server(server_id)
    assert (await world.sweep()).released == 1


async def test_a_job_releases_a_detached_port_once(world: World) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    job = ReleasePort(PodId("pod1"), port_id, TopId(server_id), PROJECT)
    assert isinstance(await world.carry_out(job), NotYet)
    assert isinstance(await world.carry_out(job, PATIENT_ATTEMPTS), Succeeded)
    await world.call("pod1", "DELETE", f"/servers/{server_id}/os-interface/{placed.port_ids[0]}")
    for _ in range(2):
        assert await world.carry_out(job) == Succeeded()
        assert await world.ports("top") == []


async def test_jobs_of_a_pod_that_is_down_end_in_its_error_and_change_nothing(
    world: World,
) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.delete_server(server_id)
    port_id = TopId(placed.resolved.ports[0].port.id)
    world.sim.pod("pod1").faults.down()
    for job in (
        ReleaseServer(PodId("pod1"), TopId(server_id), PROJECT),
        ReleasePort(PodId("pod1"), port_id, TopId(server_id), PROJECT),
    ):
        with pytest.raises(PodDead) as raised:
            await world.carry_out(job)
        assert raised.value.pod_id == "pod1"
    assert len(await world.ports("top")) == 1
    assert len(await world.stores.routings.list_owned(TopId(server_id))) == 1


async def test_jobs_wait_for_a_pod_that_this_worker_does_not_know_yet(world: World) -> None:
    server_id, port_id, pod_id = TopId(world.ids()), TopId(world.ids()), PodId("new")
    for job in (
        ReleaseServer(pod_id, server_id, PROJECT),
        ReleasePort(pod_id, port_id, server_id, PROJECT),
    ):
        assert isinstance(await world.carry_out(job), Postponed)


async def test_a_detachment_that_was_refused_is_taken_back(world: World) -> None:
    network = await world.add_network()
    server_id, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    pod = world.pods["pod1"]
    await world.release.mark_detaching(port_id, TopId(server_id), pod)
    await world.release.mark_attached(port_id, TopId(server_id), pod)
    (row,) = await world.stores.routings.find_routings(Kind.PORT, port_id)
    assert (row.state, row.owner_id) == (RoutingState.ACTIVE, server_id)


async def test_nothing_is_written_down_of_a_port_of_another_server(world: World) -> None:
    network = await world.add_network()
    _, placed = await world.boot({"networks": [{"uuid": network["id"]}]})
    port_id = TopId(placed.resolved.ports[0].port.id)
    await world.release.mark_detaching(port_id, TopId(world.ids()), world.pods["pod1"])
    (row,) = await world.stores.routings.find_routings(Kind.PORT, port_id)
    assert row.state is RoutingState.ACTIVE
