"""Ports are ready in a pod for the next servers, as many as are wanted, and none is lost."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.usecases.networks_world import World
from tests.usecases.spares_world import (
    SpareBoot,
    disable,
    keep,
    keeping,
    known_network,
    marked,
    project_of,
    put_into_pod,
    ready,
    repairing,
    rows,
)
from tests.usecases.test_sweep import every_step
from tricircle.core.errors import NeutronRefused, PodDead
from tricircle.core.model import BottomId, Kind, PodId, TopId
from tricircle.core.network.spares import GOING, SparePort
from tricircle.core.runs import Succeeded
from tricircle.testing.cloud import Reply
from tricircle.usecases.spare_ports import SpareOptions

SMALL_POOL = [{"start": "10.0.0.10", "end": "10.0.0.41"}]
DONE = Succeeded("")


@pytest.fixture
def world() -> World:
    return World()


async def check(world: World, network_id: str, wanted: int = 2) -> None:
    """Check that as many spares are ready as are wanted, each a port of the pod, and no more."""
    kept = await ready(world, network_id)
    assert len(kept) == wanted
    assert {spare.port_id for spare in kept} == {port["id"] for port in await marked(world)}
    texts = [fixed.ip_address for spare in kept for fixed in spare.addresses]
    assert len(texts) == len(set(texts))


async def test_as_many_as_are_wanted_are_made_once(world: World) -> None:
    network = await known_network(world)
    assert await keep(world, network["id"]) == DONE
    before = await rows(world)
    assert await keep(world, network["id"]) == DONE
    assert await rows(world) == before
    await check(world, network["id"])


async def test_a_spare_is_a_port_of_the_project_on_the_twin_with_a_free_address(
    world: World,
) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    (twin,) = await world.items("pod1", "networks")
    (subnet,) = await world.items("top", "subnets")
    (group,) = await world.items("pod1", "security-groups", project_id=project_of(world))
    kept = {spare.port_id: spare for spare in await ready(world, network["id"])}
    for port in await marked(world):
        spare = kept[port["id"]]
        assert port["project_id"] == project_of(world) == spare.project_id
        assert port["network_id"] == twin["id"]
        assert port["security_groups"] == [group["id"]]
        assert (port["name"], port["device_id"], port["device_owner"]) == ("", "", "")
        assert port["description"] == f"tricircle-spare:{network['id']}:{project_of(world)}"
        assert port["mac_address"] == spare.mac_address
        (fixed,) = spare.addresses
        assert fixed.subnet_id == subnet["id"]
        assert fixed.ip_address == port["fixed_ips"][0]["ip_address"]
        address = ipaddress.IPv4Address(fixed.ip_address)
        assert ipaddress.IPv4Address("10.0.0.128") <= address
        assert address <= ipaddress.IPv4Address("10.0.0.254")
    assert await world.ports("top") == []


async def test_one_that_is_taken_is_replaced(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    (first, _) = await ready(world, network["id"])
    assert await world.stores.spares.take_spare(first, "boot-1", [])
    assert await keep(world, network["id"]) == DONE
    assert len(await ready(world, network["id"])) == 2
    assert len(await rows(world)) == 3


async def test_spares_that_lack_an_address_are_replaced(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    before = {spare.port_id for spare in await ready(world, network["id"])}
    await world.add_subnet(network["id"], "2001:db8:1::/64")
    assert await keep(world, network["id"]) == Succeeded(
        "a subnet of the network is not in the pod"
    )
    assert await rows(world) == await marked(world) == []
    await world.boot({"networks": [{"uuid": network["id"]}]})
    assert await keep(world, network["id"]) == DONE
    await check(world, network["id"])
    for spare in await ready(world, network["id"]):
        assert spare.port_id not in before
        assert len(spare.addresses) == 2


async def test_with_none_wanted_nothing_is_asked(world: World) -> None:
    network = await known_network(world)
    world.spare_options = SpareOptions(wanted=0)
    world.restart()
    world.cloud.sent.clear()
    assert await keep(world, network["id"]) == DONE
    assert world.cloud.sent == []
    assert await rows(world) == []


async def test_addresses_of_both_versions_and_automatic_ones_are_given(world: World) -> None:
    network = await world.add_network()
    await world.add_subnet(network["id"], "2001:db8:1::/64")
    slaac = await world.add_subnet(
        network["id"], "2001:db8:2::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac"
    )
    await put_into_pod(world, network["id"])
    assert await keep(world, network["id"]) == DONE
    ports = {port["id"]: port for port in await marked(world)}
    for spare in await ready(world, network["id"]):
        four, six, automatic = spare.addresses
        assert "." in four.ip_address
        assert six.ip_address.startswith("2001:db8:1:")
        assert automatic.subnet_id == slaac["id"]
        given = [one["ip_address"] for one in ports[spare.port_id]["fixed_ips"]]
        assert given == [one.ip_address for one in spare.addresses]


async def test_an_address_that_the_top_has_given_is_not_chosen(world: World) -> None:
    network = await world.add_network(cidr=None)
    await world.add_subnet(network["id"], "10.0.0.0/24", allocation_pools=SMALL_POOL)
    await put_into_pod(world, network["id"])
    free = {"10.0.0.30", "10.0.0.35", "10.0.0.40"}
    for number in range(26, 42):
        if f"10.0.0.{number}" not in free:
            fixed = [{"ip_address": f"10.0.0.{number}"}]
            await world.add_port(network["id"], fixed_ips=fixed)
    for _ in range(10):
        await keep(world, network["id"])
    chosen = {one.ip_address for spare in await rows(world) for one in spare.addresses}
    assert chosen < free
    assert len(chosen) == 2


async def test_spares_of_another_pod_have_other_addresses(world: World) -> None:
    network = await world.add_network(cidr=None)
    await world.add_subnet(network["id"], "10.0.0.0/24", allocation_pools=SMALL_POOL)
    await world.boot({"networks": [{"uuid": network["id"]}]}, "pod2")
    await put_into_pod(world, network["id"])
    world.spare_options = SpareOptions(wanted=6)
    world.restart()
    job = keeping(world, network["id"])
    for pod in ("pod1", "pod2"):
        for _ in range(10):
            await world.carry_out(type(job)(PodId(pod), job.network_id, job.project_id))
    texts = [one.ip_address for spare in await rows(world) for one in spare.addresses]
    assert len(texts) == len(set(texts)) == 12


async def test_in_a_crowded_subnet_none_is_made(world: World) -> None:
    network = await world.add_network(cidr=None)
    await world.add_subnet(network["id"], "10.0.0.0/24", allocation_pools=SMALL_POOL)
    await put_into_pod(world, network["id"])
    for number in range(26, 42):
        await world.add_port(network["id"], fixed_ips=[{"ip_address": f"10.0.0.{number}"}])
    assert await keep(world, network["id"]) == Succeeded("the addresses looked at are all in use")
    assert await rows(world) == []


# Where none can be kept.


async def of_an_unknown_pod(world: World) -> str:
    network = await known_network(world)
    del world.pods["pod1"]
    return str(network["id"])


async def of_a_disabled_pod(world: World) -> str:
    network = await known_network(world)
    disable(world)
    return str(network["id"])


async def without_twin(world: World) -> str:
    return str((await world.add_network())["id"])


async def gone_from_the_top(world: World) -> str:
    network = await known_network(world)
    await world.call("top", "DELETE", f"/networks/{network['id']}")
    return str(network["id"])


async def of_another_project(world: World) -> str:
    network = await world.add_network("other", shared=True)
    await put_into_pod(world, network["id"])
    return str(network["id"])


async def with_few_addresses(world: World) -> str:
    return str((await known_network(world, cidr="10.0.0.0/27"))["id"])


async def with_a_subnet_for_some(world: World) -> str:
    network = await world.add_network()
    await world.add_subnet(network["id"], "10.1.0.0/24", service_types=["compute:nova"])
    await put_into_pod(world, network["id"])
    return str(network["id"])


async def with_a_new_subnet(world: World) -> str:
    network = await known_network(world)
    await world.add_subnet(network["id"], "10.1.0.0/24")
    return str(network["id"])


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (of_an_unknown_pod, ""),
        (of_a_disabled_pod, ""),
        (without_twin, "the network is not in the pod"),
        (gone_from_the_top, "the network is gone from the top"),
        (of_another_project, "the network is another project's"),
        (with_few_addresses, "its subnets have fewer than 32 addresses to give"),
        (with_a_subnet_for_some, "a subnet is for some kinds of ports only"),
        (with_a_new_subnet, "a subnet of the network is not in the pod"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_none_is_kept_on_a_network(
    world: World, where: Callable[[World], Awaitable[str]], why: str
) -> None:
    network_id = await where(world)
    assert await keep(world, network_id) == Succeeded(why)
    assert await marked(world) == []
    assert await rows(world) == []


async def test_a_pod_that_refuses_is_not_asked_again_and_again(world: World) -> None:
    network = await known_network(world)
    quota = b'{"NeutronError": {"type": "OverQuota", "message": "no more ports", "detail": ""}}'
    faults = world.sim.pod("pod1").faults
    faults.inject(Reply(409, quota), "network", "POST", "/v2.0/ports", times=1)
    outcome = await keep(world, network["id"])
    assert isinstance(outcome, Succeeded)
    assert "OverQuota: no more ports" in outcome.note
    assert await keep(world, network["id"]) == DONE
    await check(world, network["id"])


async def test_a_pod_that_fails_is_asked_again(world: World) -> None:
    network = await known_network(world)
    faults = world.sim.pod("pod1").faults
    faults.inject(Reply(503, b"{}"), "network", "POST", "/v2.0/ports", times=1)
    with pytest.raises(NeutronRefused):
        await keep(world, network["id"])
    faults.down()
    with pytest.raises(PodDead):
        await keep(world, network["id"])


async def test_what_the_top_refuses_is_a_fault(world: World) -> None:
    network = await known_network(world)
    top = world.sim.faults
    top.inject(Reply(403, b"{}"), "network", "GET", "/v2.0/ports", times=1)
    with pytest.raises(NeutronRefused):
        await keep(world, network["id"])


# What a worker leaves that dies.


def killed() -> Callable[[], Awaitable[tuple[World, Callable[[], Awaitable[Any]]]]]:
    async def prepare() -> tuple[World, Callable[[], Awaitable[Any]]]:
        world = World(("pod1",))
        network = await known_network(world)
        return world, lambda: keep(world, network["id"])

    return prepare


async def test_a_worker_killed_at_any_step_leaves_what_the_next_one_keeps() -> None:
    async def then(world: World) -> None:
        (network,) = await world.items("top", "networks")
        assert await keep(world, network["id"]) == DONE
        await check(world, network["id"])

    assert await every_step(killed(), then) >= 10


async def test_what_is_left_on_a_network_that_goes_does_not_keep_its_twin() -> None:
    async def then(world: World) -> None:
        (network,) = await world.items("top", "networks")
        await world.call("top", "DELETE", f"/networks/{network['id']}")
        for _ in range(2):
            await world.sweep()
        assert await world.ports("pod1") == []
        assert await world.items("pod1", "networks") == []
        assert await world.stores.upkeep.list_routings(kind=Kind.NETWORK) == []
        assert await rows(world) == []

    assert await every_step(killed(), then) >= 10


async def left_port(world: World, network_id: str) -> str:
    """Return a port of the pod that was made as a spare and not written down."""
    await keep(world, network_id)
    for spare in await rows(world):
        await world.stores.spares.forget_spare(spare.pod_id, spare.port_id)
    first, *others = await marked(world)
    for other in others:
        await world.call("pod1", "DELETE", f"/ports/{other['id']}")
    return str(first["id"])


async def test_a_port_that_was_left_is_kept(world: World) -> None:
    network = await known_network(world)
    port_id = await left_port(world, network["id"])
    assert await keep(world, network["id"]) == DONE
    assert port_id in {spare.port_id for spare in await ready(world, network["id"])}
    await check(world, network["id"])


async def test_a_port_that_was_left_with_an_address_in_use_is_deleted(world: World) -> None:
    network = await known_network(world)
    port_id = await left_port(world, network["id"])
    (port,) = await marked(world)
    address = port["fixed_ips"][0]["ip_address"]
    await world.add_port(network["id"], fixed_ips=[{"ip_address": address}])
    assert await keep(world, network["id"]) == DONE
    assert port_id not in {one["id"] for one in await world.ports("pod1")}
    await check(world, network["id"])


async def test_a_port_that_was_left_where_none_can_be_kept_is_deleted(world: World) -> None:
    network = await known_network(world)
    await left_port(world, network["id"])
    await world.add_subnet(network["id"], "10.1.0.0/24")
    await keep(world, network["id"])
    assert await world.ports("pod1") == []


async def test_more_ports_left_than_wanted_are_deleted(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    for spare in await rows(world):
        await world.stores.spares.forget_spare(spare.pod_id, spare.port_id)
    world.spare_options = SpareOptions(wanted=1)
    world.restart()
    assert await keep(world, network["id"]) == DONE
    await check(world, network["id"], 1)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("nova_first", [True, False])
async def test_a_port_that_a_boot_has_is_not_taken_for_one_that_was_left(
    world: World, steps: int, nova_first: bool
) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    first, _ = await ready(world, network["id"])
    for step in SpareBoot(world, first).steps(nova_first=nova_first)[:steps]:
        await step()
    assert await keep(world, network["id"]) == DONE
    kept = {spare.port_id for spare in await ready(world, network["id"])}
    assert len(kept) == 2
    assert first.port_id not in kept
    assert first.port_id in {port["id"] for port in await world.ports("pod1")}


async def test_a_port_of_a_deleted_server_that_was_never_known_is_used_again(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    first, _ = await ready(world, network["id"])
    boot = SpareBoot(world, first)
    await boot.ask_nova()
    await world.stores.spares.forget_spare(first.pod_id, first.port_id)
    await keep(world, network["id"])
    await world.delete_server(boot.server_id)
    (left,) = [port for port in await world.ports("pod1") if port["id"] == first.port_id]
    assert left["device_id"] == ""
    await keep(world, network["id"])
    await check(world, network["id"])
    assert await world.stores.spares.find_spare(PodId("pod1"), first.port_id) is None
    assert not await world.stores.routings.find_routings(Kind.PORT, TopId(first.port_id))


async def test_a_port_that_goes_while_it_is_looked_at_is_not_kept(world: World) -> None:
    network = await known_network(world)
    await keep(world, network["id"])
    first, _ = await ready(world, network["id"])
    await world.stores.spares.take_spare(first, GOING, ())

    class Late:
        """Answers once somebody else has removed the first spare."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.stores.spares, name)

        async def find_spare(self, pod_id: PodId, port_id: BottomId) -> SparePort | None:
            await world.carry_out(repairing(first))
            return await world.stores.spares.find_spare(pod_id, port_id)

    world.spares._spares = Late()
    assert await keep(world, network["id"]) == DONE
    await check(world, network["id"])
