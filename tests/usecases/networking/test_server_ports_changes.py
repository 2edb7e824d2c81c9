"""Groups, addresses and floating IPs of a running server, at the top and in its pod."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.usecases.networks_world import ROOT, Died, FixedCredential, Mortal, World
from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    PodError,
    TricircleError,
)
from tricircle.core.model import Caller, Endpoint, Service, TopId
from tricircle.core.network.server_actions import (
    AddAddress,
    AddFloatingIp,
    AddGroup,
    RemoveAddress,
    RemoveFloatingIp,
    RemoveGroup,
    ServerAction,
)
from tricircle.testing.cloud import Refuse
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.networking.server_ports_changes import AskedServer, ServerPortsChanges


@pytest.fixture
def world() -> World:
    return World()


def make_changes(world: World) -> ServerPortsChanges:
    """Return the changes of a new process."""
    neutrons = Neutrons(
        world.cloud,
        FixedCredential(world.service),
        Endpoint(Service.NETWORK, f"{ROOT}/top/network"),
        10.0,
    )
    stores = TwinStores(
        Mortal(world.stores.routings, world.life), world.stores.upkeep, lambda pod_id: None
    )
    maker = TwinMaker(stores.routings, world.clock, world.ids)
    return ServerPortsChanges(neutrons, stores, maker, world.clock)


def asked(world: World, server_id: str, caller: Caller | None = None) -> AskedServer:
    caller = caller or world.caller()
    owner = world.caller().project_id
    assert owner is not None
    return AskedServer(caller, TopId(server_id), owner, world.pods["pod1"], "req-1")


async def carry_out(
    world: World, server_id: str, action: ServerAction, caller: Caller | None = None
) -> bool:
    return await make_changes(world).carry_out(asked(world, server_id, caller), action)


async def refusal(
    world: World, server_id: str, action: ServerAction, caller: Caller | None = None
) -> TricircleError:
    with pytest.raises(TricircleError) as raised:
        await carry_out(world, server_id, action, caller)
    return raised.value


async def add_group(world: World, name: str = "web", project: str = "demo") -> Any:
    token = world.caller(project).token
    body = {"security_group": {"name": name}}
    made = await world.call("top", "POST", "/security-groups", body, token)
    return made["security_group"]


async def boot(world: World, networks: int = 1) -> tuple[str, list[Any]]:
    """Return a server's id and its networks."""
    made = [await world.add_network(cidr=f"10.{one}.0.0/24") for one in range(networks)]
    server_id, _ = await world.boot({"networks": [{"uuid": one["id"]} for one in made]})
    return server_id, made


async def group_names(world: World, where: str) -> list[list[str]]:
    """Return the names of the groups of each port."""
    names = {one["id"]: one["name"] for one in await world.items(where, "security-groups")}
    return [
        sorted(names[one] for one in port["security_groups"]) for port in await world.ports(where)
    ]


async def addresses(world: World, where: str) -> list[str]:
    ports = await world.ports(where)
    return sorted(one["ip_address"] for port in ports for one in port["fixed_ips"])


# Groups.


@pytest.mark.parametrize("by", ["name", "id"])
async def test_a_group_comes_to_all_ports_on_both_sides_with_its_rules(
    world: World, by: str
) -> None:
    server_id, _ = await boot(world, networks=2)
    group = await add_group(world)
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 80,
    }
    token = world.caller().token
    await world.call("top", "POST", "/security-group-rules", {"security_group_rule": rule}, token)
    assert await carry_out(world, server_id, AddGroup(group[by]))
    for where in ("top", "pod1"):
        assert await group_names(world, where) == [["default", "web"]] * 2
    (twin,) = await world.items("pod1", "security-groups", name="web")
    assert 80 in [one["port_range_min"] for one in twin["security_group_rules"]]


async def test_a_group_that_is_there_already_is_added_without_complaint(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    for _ in range(2):
        assert await carry_out(world, server_id, AddGroup("web"))
    assert await group_names(world, "pod1") == [["default", "web"]]


async def test_a_group_is_taken_from_all_ports_on_both_sides(world: World) -> None:
    server_id, _ = await boot(world, networks=2)
    await add_group(world)
    await carry_out(world, server_id, AddGroup("web"))
    await carry_out(world, server_id, RemoveGroup("default"))
    for where in ("top", "pod1"):
        assert await group_names(world, where) == [["web"]] * 2


async def test_a_group_of_no_port_cannot_be_removed(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    error = await refusal(world, server_id, RemoveGroup("web"))
    assert isinstance(error, NotFound)
    assert str(error) == f"Security group web not associated with the instance {server_id}"


async def test_an_unknown_group_is_not_found(world: World) -> None:
    server_id, _ = await boot(world)
    for action in (AddGroup("nobody"), RemoveGroup("nobody")):
        error = await refusal(world, server_id, action)
        assert isinstance(error, NotFound)
        project_id = world.caller().project_id
        assert str(error) == f"Security group nobody is not found for project {project_id}"


async def test_two_groups_of_one_name_must_be_told_apart_by_id(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    second = await add_group(world)
    assert isinstance(await refusal(world, server_id, AddGroup("web")), Conflict)
    assert await carry_out(world, server_id, AddGroup(second["id"]))


async def test_a_server_without_ports_can_have_no_group(world: World) -> None:
    await add_group(world)
    error = await refusal(world, "no-such-server", AddGroup("web"))
    assert isinstance(error, NotFound)
    assert str(error) == "instance_id no-such-server could not be found as device id on any ports"


async def test_a_port_without_port_security_can_have_no_group(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"], port_security_enabled=False, security_groups=[])
    server_id, _ = await world.boot({"networks": [{"port": port["id"]}]})
    await add_group(world)
    error = await refusal(world, server_id, AddGroup("web"))
    assert isinstance(error, BadInput)
    assert "port_security_enabled and subnet" in str(error)


async def test_ports_that_only_the_pod_knows_are_left_to_it(world: World) -> None:
    server_id, _ = await boot(world)
    [bottom] = await world.ports("pod1")
    [top] = await world.ports("top")
    await world.call("top", "DELETE", f"/ports/{top['id']}")
    await world.stores.routings.forget_routing("port", top["id"], "pod1")  # type: ignore[arg-type]
    assert bottom["device_id"] == server_id
    assert not await carry_out(world, server_id, AddGroup("default"))


async def test_a_port_that_does_not_show_its_server_yet_is_found(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    [top] = await world.ports("top")
    values = {"port": {"device_id": "boot", "device_owner": "tricircle:boot"}}
    await world.call("top", "PUT", f"/ports/{top['id']}", values)
    assert await carry_out(world, server_id, AddGroup("web"))
    assert await group_names(world, "pod1") == [["default", "web"]]


async def test_a_port_of_another_project_with_the_servers_id_is_left_alone(world: World) -> None:
    network = await world.add_network(shared=True)
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    foreign = await world.add_port(network["id"], "other", device_id=server_id)
    await add_group(world)
    admin = world.caller("demo", "admin", "member")
    assert await carry_out(world, server_id, AddGroup("web"), admin)
    ports = {one["id"]: one for one in await world.ports("top")}
    assert ports[foreign["id"]]["security_groups"] == foreign["security_groups"]


async def test_a_reader_changes_nothing(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    reader = world.caller("demo", "reader")
    for action in (AddGroup("web"), RemoveGroup("default"), RemoveAddress("10.0.0.2")):
        if isinstance(action, RemoveAddress):
            action = RemoveAddress((await addresses(world, "top"))[0])
        error = await refusal(world, server_id, action, reader)
        assert isinstance(error, Forbidden)
        assert action.policy in str(error)
    for where in ("top", "pod1"):
        assert await group_names(world, where) == [["default"]]
    assert await addresses(world, "pod1") == await addresses(world, "top")


async def test_a_group_whose_twin_someone_deleted_is_made_again(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    await carry_out(world, server_id, AddGroup("web"))
    await carry_out(world, server_id, RemoveGroup("web"))
    (twin,) = await world.items("pod1", "security-groups", name="web")
    await world.call("pod1", "DELETE", f"/security-groups/{twin['id']}")
    assert await carry_out(world, server_id, AddGroup("web"))
    assert await group_names(world, "pod1") == [["default", "web"]]


async def test_a_pod_that_is_away_is_made_right_by_asking_again(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    world.sim.pod("pod1").faults.inject(Refuse(), service="network")
    assert isinstance(await refusal(world, server_id, AddGroup("web")), PodError)
    world.sim.pod("pod1").faults.clear()
    assert await carry_out(world, server_id, AddGroup("web"))
    assert await group_names(world, "pod1") == [["default", "web"]]


async def prepare(world: World, action: ServerAction) -> str:
    server_id, _ = await boot(world)
    await add_group(world)
    if isinstance(action, RemoveGroup):
        await carry_out(world, server_id, AddGroup("web"))
    return server_id


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("action", [AddGroup("web"), RemoveGroup("web")])
async def test_a_change_that_was_cut_short_anywhere_is_completed_by_repeating_it(
    action: ServerAction, carried_out: bool
) -> None:
    wanted = ["default", "web"] if isinstance(action, AddGroup) else ["default"]
    for step in range(100):
        world = World()
        server_id = await prepare(world, action)
        world.life.end_at(step, carried_out=carried_out)
        try:
            await carry_out(world, server_id, action)
        except Died:
            world.restart()
            world.wall.advance(60)
        else:
            assert step > 4
            return
        with suppress(NotFound):  # it was carried out to the end before
            await carry_out(world, server_id, action)
        for where in ("top", "pod1"):
            assert await group_names(world, where) == [wanted], f"step {step}"
    raise AssertionError("the change never ends")


async def test_the_request_id_is_passed_on(world: World) -> None:
    server_id, _ = await boot(world)
    await add_group(world)
    before = len(world.cloud.sent)
    await carry_out(world, server_id, AddGroup("web"))
    ids = {one.headers["x-openstack-request-id"] for one in world.cloud.sent[before:]}
    assert ids == {"req-1"}


# Addresses.


async def test_an_address_more_is_given_by_the_top(world: World) -> None:
    server_id, (network,) = await boot(world)
    assert await carry_out(world, server_id, AddAddress(network["id"]))
    top = await addresses(world, "top")
    assert len(top) == 2
    assert await addresses(world, "pod1") == top


async def test_an_address_can_come_from_a_subnet_the_pod_does_not_know(world: World) -> None:
    server_id, (network,) = await boot(world)
    first = await addresses(world, "top")
    await world.add_subnet(network["id"], "10.9.0.0/24")
    for _ in range(2):
        await carry_out(world, server_id, AddAddress(network["id"]))
    assert set(first) < set(await addresses(world, "top"))
    assert await addresses(world, "pod1") == await addresses(world, "top")


@pytest.mark.parametrize("known", [True, False])
async def test_a_network_without_a_port_of_the_server_is_not_found(
    world: World, known: bool
) -> None:
    server_id, _ = await boot(world)
    other = (await world.add_network(cidr="10.8.0.0/24"))["id"] if known else "nowhere"
    error = await refusal(world, server_id, AddAddress(other))
    assert isinstance(error, NotFound)
    assert str(error) == f"Network could not be found for instance {server_id}."


async def test_an_address_goes_on_both_sides(world: World) -> None:
    server_id, (network,) = await boot(world)
    [first] = await addresses(world, "top")
    await carry_out(world, server_id, AddAddress(network["id"]))
    assert await carry_out(world, server_id, RemoveAddress(first))
    top = await addresses(world, "top")
    assert (len(top), first in top) == (1, False)
    assert await addresses(world, "pod1") == top


async def test_an_address_leaves_the_pod_before_the_top(world: World) -> None:
    server_id, (network,) = await boot(world)
    [first] = await addresses(world, "top")
    await carry_out(world, server_id, AddAddress(network["id"]))
    before = len(world.cloud.sent)
    await carry_out(world, server_id, RemoveAddress(first))
    puts = [one.pod for one in world.cloud.sent[before:] if one.method == "PUT"]
    assert puts == ["top", "pod1", "top"]


async def test_an_address_of_nobody_cannot_be_removed(world: World) -> None:
    server_id, _ = await boot(world)
    error = await refusal(world, server_id, RemoveAddress("10.0.0.250"))
    assert isinstance(error, BadInput)
    assert str(error) == f"Instance {server_id} does not have fixed IP '10.0.0.250'."


# Floating IPs, at the top.


async def add_floating_ip(world: World, network_id: str) -> Any:
    """Return a new floating IP; a router leads from its network to that of the server."""
    admin = world.caller("demo", "admin", "member").token
    outside: dict[str, Any] = {"cidr": "203.0.113.0/24", "router:external": True}
    external = await world.add_network(**outside)
    gateway = {"external_gateway_info": {"network_id": external["id"]}}
    router = (await world.call("top", "POST", "/routers", {"router": gateway}, admin))["router"]
    [subnet] = await world.items("top", "subnets", network_id=network_id)
    path = f"/routers/{router['id']}/add_router_interface"
    await world.call("top", "PUT", path, {"subnet_id": subnet["id"]}, admin)
    body = {"floatingip": {"floating_network_id": external["id"]}}
    token = world.caller().token
    return (await world.call("top", "POST", "/floatingips", body, token))["floatingip"]


async def floating_port(world: World) -> Any:
    [found] = await world.items("top", "floatingips")
    return found["port_id"]


async def test_a_floating_ip_comes_to_the_top_port_and_goes_again(world: World) -> None:
    server_id, (network,) = await boot(world)
    address = (await add_floating_ip(world, network["id"]))["floating_ip_address"]
    for _ in range(2):
        assert await carry_out(world, server_id, AddFloatingIp(address))
    [port] = [one for one in await world.ports("top") if one["device_id"] == server_id]
    assert await floating_port(world) == port["id"]
    assert await carry_out(world, server_id, RemoveFloatingIp(address))
    assert await floating_port(world) is None
    error = await refusal(world, server_id, RemoveFloatingIp(address))
    assert isinstance(error, Conflict)
    assert str(error) == f"Floating IP {address} is not associated with instance {server_id}."


async def test_an_unknown_floating_ip_is_not_found(world: World) -> None:
    server_id, _ = await boot(world)
    adding = await refusal(world, server_id, AddFloatingIp("203.0.113.99"))
    removing = await refusal(world, server_id, RemoveFloatingIp("203.0.113.99"))
    assert (type(adding), str(adding)) == (NotFound, "floating IP not found")
    assert (type(removing), str(removing)) == (
        NotFound,
        "Floating IP not found for address 203.0.113.99.",
    )


async def test_a_floating_ip_needs_an_address_of_the_server(world: World) -> None:
    server_id, _ = await boot(world)
    error = await refusal(world, server_id, AddFloatingIp("203.0.113.9", "10.99.0.1"))
    assert str(error) == "Specified fixed address not assigned to instance"
    error = await refusal(world, "no-such-server", AddFloatingIp("203.0.113.9"))
    assert (type(error), str(error)) == (BadInput, "Instance network is not ready yet")


async def test_a_floating_ip_without_a_router_on_the_way_is_refused(world: World) -> None:
    _, (network,) = await boot(world)
    made = await add_floating_ip(world, network["id"])
    other = await world.add_network(cidr="10.7.0.0/24")
    alone, _ = await world.boot({"networks": [{"uuid": other["id"]}]})
    error = await refusal(world, alone, AddFloatingIp(made["floating_ip_address"]))
    assert isinstance(error, BadInput)
    assert "Unable to associate floating IP" in str(error)


# What is shown.


async def test_the_groups_of_a_server_are_those_of_the_top(world: World) -> None:
    server_id, _ = await boot(world)
    group = await add_group(world)
    await carry_out(world, server_id, AddGroup("web"))
    views = await make_changes(world).list_groups(asked(world, server_id))
    assert views is not None
    assert [view["name"] for view in views] == ["default", "web"]
    assert views[1]["id"] == group["id"]
    default = views[0]["rules"]
    assert isinstance(default, list)
    assert {one["parent_group_id"] for one in default} == {views[0]["id"]}
    assert {one["group"]["name"] for one in default} == {"default"}


async def test_groups_of_ports_that_only_the_pod_knows_are_not_shown(world: World) -> None:
    assert await make_changes(world).list_groups(asked(world, "elsewhere")) is None


async def test_two_groups_added_at_once_are_both_there_on_both_sides(world: World) -> None:
    server_id, _ = await boot(world, networks=2)
    for name in ("web", "db"):
        await add_group(world, name)
    await asyncio.gather(*(carry_out(world, server_id, AddGroup(name)) for name in ("web", "db")))
    for where in ("top", "pod1"):
        assert await group_names(world, where) == [["db", "default", "web"]] * 2
