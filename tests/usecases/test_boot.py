"""Booting on networks of the top, in a simulated cloud."""

import json
from typing import Any

import pytest

from tests.usecases.networks_world import LATEST, OLD, World
from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotBuiltYet,
    NotFound,
    PodTimeout,
    TricircleError,
)
from tricircle.core.model import Kind, Origin, ProjectId, TopId, Version
from tricircle.core.runs import Succeeded
from tricircle.testing.cloud import Reply
from tricircle.usecases.boot import Resolved


@pytest.fixture
def world() -> World:
    return World()


async def resolve(
    world: World, server: dict[str, Any], version: Version = LATEST, project: str = "demo"
) -> Resolved:
    body = json.dumps({"server": world.server(**server)}).encode()
    return await world.networks.resolve(world.caller(project), body, version, "req-1")


async def refusal(
    world: World, server: dict[str, Any], version: Version = LATEST, project: str = "demo"
) -> TricircleError:
    with pytest.raises(TricircleError) as raised:
        await resolve(world, server, version, project)
    return raised.value


# What a boot leaves in the pod and at the top.


async def test_the_twin_port_has_the_address_and_mac_of_the_top(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    (top,), (bottom,) = await world.ports("top"), await world.ports("pod1")
    assert bottom["mac_address"] == top["mac_address"]
    assert [one["ip_address"] for one in bottom["fixed_ips"]] == [
        one["ip_address"] for one in top["fixed_ips"]
    ]
    assert (top["device_id"], top["device_owner"]) == (server_id, "compute:az1")
    assert bottom["device_id"] == server_id


async def test_a_port_that_a_user_made_keeps_its_name_at_the_top_and_in_the_pod(
    world: World,
) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"], name="door", fixed_ips=[{"ip_address": "10.0.0.77"}])
    server_id, _ = await world.boot({"networks": [{"port": port["id"]}]})
    (bottom,) = await world.ports("pod1")
    assert bottom["name"] == "door"
    assert bottom["fixed_ips"][0]["ip_address"] == "10.0.0.77"
    (row,) = await world.stores.routings.list_owned(TopId(server_id))
    assert (row.top_id, row.origin) == (port["id"], Origin.USER)


async def test_a_port_on_several_networks_is_made_on_each_in_order(world: World) -> None:
    first, second = await world.add_network(), await world.add_network(cidr="10.1.0.0/24")
    wanted = [{"uuid": second["id"], "tag": "back"}, {"uuid": first["id"]}]
    _, placed = await world.boot({"networks": wanted})
    items = json.loads(placed.body)["server"]["networks"]
    assert items[0]["tag"] == "back"
    assert "uuid" not in items[0]
    ports = {port["id"]: port for port in await world.ports("pod1")}
    addresses = [ports[item["port"]]["fixed_ips"][0]["ip_address"] for item in items]
    assert [address.rpartition(".")[0] for address in addresses] == ["10.1.0", "10.0.0"]


async def test_a_fixed_address_is_the_ports_address(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"], "fixed_ip": "10.0.0.50"}]})
    (bottom,) = await world.ports("pod1")
    assert bottom["fixed_ips"][0]["ip_address"] == "10.0.0.50"


async def test_a_network_twin_keeps_name_project_and_size_of_packets(world: World) -> None:
    network = await world.add_network(mtu=1400)
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (twin,) = await world.items("pod1", "networks")
    assert (twin["name"], twin["mtu"]) == ("web", 1400)
    assert twin["project_id"] == network["project_id"]
    assert twin["description"] == f"tricircle:network:{network['id']}:{network['project_id']}"


async def test_a_pod_may_use_only_the_address_that_the_top_keeps_for_it(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (subnet,) = await world.items("pod1", "subnets")
    (kept,) = await world.items("top", "ports", device_owner="network:dhcp")
    address = kept["fixed_ips"][0]["ip_address"]
    assert subnet["allocation_pools"] == [{"start": address, "end": address}]


async def test_a_subnet_without_dhcp_has_no_address_for_the_pod(world: World) -> None:
    network = await world.add_network(cidr=None)
    await world.add_subnet(network["id"], "10.9.0.0/24", enable_dhcp=False, gateway_ip=None)
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (subnet,) = await world.items("pod1", "subnets")
    assert (subnet["allocation_pools"], subnet["gateway_ip"]) == ([], None)


async def test_two_pods_hold_the_same_network_with_different_reserved_addresses(
    world: World,
) -> None:
    network = await world.add_network()
    for pod in ("pod1", "pod2"):
        await world.boot({"networks": [{"uuid": network["id"]}]}, pod)
    pools = [(await world.items(pod, "subnets"))[0]["allocation_pools"] for pod in ("pod1", "pod2")]
    assert pools[0] != pools[1]
    addresses = [port["fixed_ips"][0]["ip_address"] for port in await world.ports("top")]
    assert len(set(addresses)) == 2


async def test_a_subnet_added_later_comes_to_the_pod_with_the_next_boot(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    await world.add_subnet(network["id"], "10.2.0.0/24")
    port = await world.add_port(network["id"], fixed_ips=[{"ip_address": "10.2.0.9"}])
    await world.boot({"networks": [{"port": port["id"]}]})
    assert {one["cidr"] for one in await world.items("pod1", "subnets")} == {
        "10.0.0.0/24",
        "10.2.0.0/24",
    }


async def test_addresses_that_follow_from_the_mac_are_the_same_in_the_pod(world: World) -> None:
    network = await world.add_network()
    await world.add_subnet(
        network["id"], "2001:db8::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac"
    )
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (top,), (bottom,) = await world.ports("top"), await world.ports("pod1")
    assert sorted(one["ip_address"] for one in bottom["fixed_ips"]) == sorted(
        one["ip_address"] for one in top["fixed_ips"]
    )


async def test_the_reserved_address_is_of_its_own_subnet_beside_automatic_ones(
    world: World,
) -> None:
    network = await world.add_network()
    auto = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    given = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
    await world.add_subnet(network["id"], "2001:db8:1::/64", **auto)
    await world.add_subnet(network["id"], "2001:db8:2::/64", **given)
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert server_id
    subnets = {one["cidr"]: one for one in await world.items("pod1", "subnets")}
    (pool,) = subnets["2001:db8:2::/64"]["allocation_pools"]
    assert pool["start"].startswith("2001:db8:2:")


async def test_a_boot_on_a_known_network_asks_the_pods_neutron_once(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    world.cloud.sent.clear()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    assert sorted((one.pod, one.method, one.path.split("/")[-1][:15]) for one in world.cloud.sent)[
        :4
    ] == [
        ("pod1", "POST", "ports"),
        ("pod1", "POST", "servers"),
        ("top", "GET", "security-groups"),
        ("top", "POST", "ports"),
    ]
    assert len(world.cloud.sent) == 5


async def test_every_call_carries_the_request_id(world: World) -> None:
    network = await world.add_network()
    world.cloud.sent.clear()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    neutron = [one for one in world.cloud.sent if one.path.startswith("/v2.0")]
    assert {one.headers["x-openstack-request-id"] for one in neutron} == {"req-boot"}


# Forms of a request.


async def test_auto_takes_the_only_network(world: World) -> None:
    await world.add_network()
    _, placed = await world.boot({"networks": "auto"})
    (bottom,) = await world.ports("pod1")
    assert json.loads(placed.body)["server"]["networks"] == [{"port": bottom["id"]}]


async def test_none_makes_no_port_and_goes_to_the_pod_as_it_is(world: World) -> None:
    await world.add_network()
    _, placed = await world.boot({"networks": "none"})
    assert json.loads(placed.body)["server"]["networks"] == "none"
    assert await world.ports("top") == []


async def test_without_networks_an_old_client_gets_the_only_network(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {}, OLD)
    assert [one.port.network_id for one in resolved.ports] == [network["id"]]


async def test_without_networks_and_without_any_network_there_is_no_port(world: World) -> None:
    resolved = await resolve(world, {}, OLD)
    assert resolved.ports == ()


async def test_a_body_that_novas_schema_refuses_goes_to_the_pod(world: World) -> None:
    refused: list[object] = [None, "somewhere", [{"uuid": 5}], [{"uuid": "x"}], [{}], "auto "]
    for networks in refused:
        resolved = await resolve(world, {"networks": networks})
        placed = await world.networks.place(resolved, world.pods["pod1"])
        assert placed.body == resolved.body
        assert resolved.ports == ()


async def test_unknown_fields_of_the_body_stay_as_they_are(world: World) -> None:
    network = await world.add_network()
    server = {"networks": [{"uuid": network["id"], "future": 1.50}], "x": [1e3]}
    body = json.dumps({"server": world.server(**server), "os:scheduler_hints": {"a": "b"}})
    resolved = await world.networks.resolve(world.caller(), body.encode(), LATEST, "req-1")
    placed = await world.networks.place(resolved, world.pods["pod1"])
    assert b'"x":[1000.0]' in placed.body.replace(b" ", b"")
    assert b'"future":1.5' in placed.body
    assert b'"os:scheduler_hints"' in placed.body


# What Nova would refuse.


async def test_an_unknown_network_is_refused_in_novas_words(world: World) -> None:
    absent = world.ids()
    error = await refusal(world, {"networks": [{"uuid": absent}]})
    assert isinstance(error, BadInput)
    assert str(error) == f"Network {absent} could not be found."


async def test_a_network_of_another_project_is_as_unknown(world: World) -> None:
    network = await world.add_network("other")
    error = await refusal(world, {"networks": [{"uuid": network["id"]}]})
    assert str(error) == f"Network {network['id']} could not be found."
    assert await world.items("pod1", "networks") == []


async def test_a_port_of_another_project_is_unknown(world: World) -> None:
    network = await world.add_network("other")
    port = await world.add_port(network["id"], "other")
    error = await refusal(world, {"networks": [{"port": port["id"]}]})
    assert isinstance(error, BadInput)
    assert str(error) == f"Port id {port['id']} could not be found."


async def test_a_port_in_use_is_refused(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    await world.boot({"networks": [{"port": port["id"]}]})
    error = await refusal(world, {"networks": [{"port": port["id"]}]})
    assert isinstance(error, Conflict)
    assert str(error) == f"Port {port['id']} is still in use."


async def test_several_networks_and_none_named_is_a_conflict(world: World) -> None:
    await world.add_network()
    await world.add_network(cidr="10.1.0.0/24")
    for version, server in ((OLD, {}), (LATEST, {"networks": "auto"}), (LATEST, {"networks": []})):
        error = await refusal(world, server, version)
        assert isinstance(error, Conflict)
        assert str(error) == (
            "Multiple possible networks found, use a Network ID to be more specific."
        )


async def test_an_address_in_use_is_refused_with_its_server(world: World) -> None:
    network = await world.add_network()
    wanted = {"networks": [{"uuid": network["id"], "fixed_ip": "10.0.0.50"}]}
    server_id, _ = await world.boot(wanted)
    error = await refusal(world, wanted)
    assert isinstance(error, BadInput)
    assert str(error) == f"Fixed IP address 10.0.0.50 is already in use on instance {server_id}."


async def test_an_address_outside_the_network_is_refused(world: World) -> None:
    network = await world.add_network()
    wanted = {"networks": [{"uuid": network["id"], "fixed_ip": "192.168.9.9"}]}
    error = await refusal(world, wanted)
    assert isinstance(error, BadInput)
    assert "192.168.9.9 is not a valid ip address for network" in str(error)


async def test_a_network_without_subnet_is_refused_and_leaves_no_port(world: World) -> None:
    network = await world.add_network(cidr=None)
    error = await refusal(world, {"networks": [{"uuid": network["id"]}]})
    assert isinstance(error, BadInput)
    assert "requires a subnet in order to boot instances on" in str(error)
    assert await world.ports("top") == []


async def test_when_one_of_several_networks_is_refused_no_port_stays(world: World) -> None:
    network = await world.add_network()
    await refusal(world, {"networks": [{"uuid": network["id"]}, {"uuid": world.ids()}]})
    assert await world.ports("top") == []


async def test_too_many_ports_are_refused_as_nova_does(world: World) -> None:
    network = await world.add_network()
    over = b'{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded", "detail": ""}}'
    world.sim.faults.inject(Reply(409, over), "network", "POST", "/v2.0/ports", after=1)
    wanted = {"networks": [{"uuid": network["id"]}] * 2}
    error = await refusal(world, wanted)
    assert isinstance(error, Forbidden)
    assert str(error) == "Maximum number of ports exceeded"
    assert await world.ports("top") == []


async def test_the_same_port_twice_is_refused(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    error = await refusal(world, {"networks": [{"port": port["id"]}] * 2})
    assert isinstance(error, BadInput)
    assert "was specified twice" in str(error)


async def test_a_reader_cannot_make_ports(world: World) -> None:
    network = await world.add_network()
    body = json.dumps({"server": world.server(networks=[{"uuid": network["id"]}])}).encode()
    with pytest.raises(Forbidden):
        await world.networks.resolve(world.caller("demo", "reader"), body, LATEST, "req-1")


async def test_an_external_network_is_refused(world: World) -> None:
    external: dict[str, Any] = {"router:external": True}
    network = await world.add_network("admin", **external)
    denied = b'{"NeutronError": {"type": "PolicyNotAuthorized", "message": "no", "detail": ""}}'
    world.sim.faults.inject(Reply(403, denied), "network", "POST", "/v2.0/ports")
    error = await refusal(world, {"networks": [{"uuid": network["id"]}]})
    assert isinstance(error, Forbidden)
    assert "external network" in str(error)


async def test_not_even_an_admin_boots_on_an_external_network(world: World) -> None:
    external: dict[str, Any] = {"router:external": True}
    network = await world.add_network("admin", **external)
    body = json.dumps({"server": world.server(networks=[{"uuid": network["id"]}])}).encode()
    resolved = await world.networks.resolve(world.caller("admin", "admin"), body, LATEST, "r")
    with pytest.raises(NotBuiltYet, match="floating IPs"):
        await world.networks.place(resolved, world.pods["pod1"])


async def test_several_servers_in_one_body_are_left_to_whoever_splits_it(world: World) -> None:
    network = await world.add_network()
    error = await refusal(world, {"networks": [{"uuid": network["id"]}], "max_count": 2})
    assert isinstance(error, NotBuiltYet)


# Security groups.


async def add_group(world: World, name: str = "web", project: str = "demo") -> Any:
    token = world.caller(project).token
    body = {"security_group": {"name": name}}
    return (await world.call("top", "POST", "/security-groups", body, token))["security_group"]


async def add_rule(world: World, group_id: str, project: str = "demo", **values: Any) -> Any:
    rule = {"security_group_id": group_id, "direction": "ingress", "ethertype": "IPv4", **values}
    body = {"security_group_rule": rule}
    token = world.caller(project).token
    answer = await world.call("top", "POST", "/security-group-rules", body, token)
    return answer["security_group_rule"]


async def twin_rules(world: World, name: str, pod: str = "pod1") -> set[tuple[Any, ...]]:
    groups = {one["id"]: one["name"] for one in await world.items(pod, "security-groups")}
    return {
        (
            rule["direction"],
            rule["ethertype"],
            rule["protocol"],
            rule["port_range_min"],
            groups.get(rule["remote_group_id"]),
        )
        for rule in await world.items(pod, "security-group-rules")
        if groups.get(rule["security_group_id"]) == name
        and rule["project_id"] == world.sim.project_id("demo")
    }


async def test_a_named_group_comes_to_the_pod_with_its_rules_and_leaves_the_body(
    world: World,
) -> None:
    network, group = await world.add_network(), await add_group(world)
    await add_rule(world, group["id"], protocol="tcp", port_range_min=80, port_range_max=80)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    _, placed = await world.boot(asked)
    assert "security_groups" not in json.loads(placed.body)["server"]
    assert ("ingress", "IPv4", "tcp", 80, None) in await twin_rules(world, "web")
    shown = json.loads(placed.restore(b'{"server": {"security_groups": [{"name": "default"}]}}'))
    assert shown["server"]["security_groups"] == [{"name": "web"}]


async def test_a_group_can_be_named_by_its_id(world: World) -> None:
    network, group = await world.add_network(), await add_group(world)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": group["id"]}]}
    await world.boot(asked)
    (bottom,) = await world.ports("pod1")
    groups = {one["id"]: one["name"] for one in await world.items("pod1", "security-groups")}
    assert [groups[one] for one in bottom["security_groups"]] == ["web"]


async def test_an_unknown_group_is_refused(world: World) -> None:
    network = await world.add_network()
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "nobody"}]}
    error = await refusal(world, asked)
    assert isinstance(error, BadInput)
    assert str(error) == "Unable to find security_group with name or id 'nobody'"


async def test_two_groups_of_one_name_are_a_conflict(world: World) -> None:
    network = await world.add_network()
    await add_group(world)
    await add_group(world)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    assert isinstance(await refusal(world, asked), Conflict)


async def test_the_default_group_is_the_pods_own_with_the_tops_rules(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    project = world.sim.project_id("demo")
    (default,) = await world.items("top", "security-groups", project_id=project, name="default")
    await add_rule(world, default["id"], protocol="tcp", port_range_min=22, port_range_max=22)
    await world.boot({"networks": [{"uuid": network["id"]}]})
    found = await world.items("pod1", "security-groups", project_id=project)
    assert [group["name"] for group in found] == ["default"]
    assert await twin_rules(world, "default") == {
        ("egress", "IPv4", None, None, None),
        ("egress", "IPv6", None, None, None),
        ("ingress", "IPv4", None, None, "default"),
        ("ingress", "IPv6", None, None, "default"),
        ("ingress", "IPv4", "tcp", 22, None),
    }


async def test_a_default_group_made_anew_at_the_top_takes_the_place_of_the_former(
    world: World,
) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    project = world.sim.project_id("demo")
    groups = world.sim.top_network.groups.items
    for group_id in [key for key, one in groups.items() if one["project_id"] == project]:
        del groups[group_id]
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert server_id
    rows = await world.stores.upkeep.list_routings(kind=Kind.SECURITY_GROUP)
    assert len(rows) == 1


async def test_a_rule_taken_away_at_the_top_goes_from_the_pod_with_the_next_boot(
    world: World,
) -> None:
    network, group = await world.add_network(), await add_group(world)
    rule = await add_rule(world, group["id"], protocol="tcp", port_range_min=80, port_range_max=80)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    await world.boot(asked)
    token = world.caller().token
    await world.call("top", "DELETE", f"/security-group-rules/{rule['id']}", None, token)
    await world.boot(asked)
    assert await twin_rules(world, "web") == {
        ("egress", "IPv4", None, None, None),
        ("egress", "IPv6", None, None, None),
    }


async def test_a_rule_that_came_back_is_put_there_again_whoever_took_it_away(
    world: World,
) -> None:
    network, group = await world.add_network(), await add_group(world)
    values: dict[str, Any] = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    rule = await add_rule(world, group["id"], **values)
    await world.boot(asked)
    here = world.networks
    token = world.caller().token
    await world.call("top", "DELETE", f"/security-group-rules/{rule['id']}", None, token)
    world.restart()
    await world.boot(asked)
    await add_rule(world, group["id"], **values)
    world.networks = here
    await world.boot(asked)
    assert ("ingress", "IPv4", "tcp", 80, None) in await twin_rules(world, "web")


async def test_groups_that_name_each_other_both_get_twins(world: World) -> None:
    network = await world.add_network()
    front, back = await add_group(world, "front"), await add_group(world, "back")
    await add_rule(world, front["id"], remote_group_id=back["id"])
    await add_rule(world, back["id"], remote_group_id=front["id"])
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "front"}]}
    await world.boot(asked)
    assert ("ingress", "IPv4", None, None, "back") in await twin_rules(world, "front")
    await world.boot(asked | {"security_groups": [{"name": "back"}]})
    assert ("ingress", "IPv4", None, None, "front") in await twin_rules(world, "back")


async def test_a_rule_added_in_the_pod_by_someone_else_goes_once_rules_are_compared_again(
    world: World,
) -> None:
    network, group = await world.add_network(), await add_group(world)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    await world.boot(asked)
    (twin,) = await world.items("pod1", "security-groups", name="web")
    rule = {"security_group_id": twin["id"], "direction": "ingress", "protocol": "udp"}
    await world.call("pod1", "POST", "/security-group-rules", {"security_group_rule": rule})
    world.restart()
    await world.boot(asked)
    assert not any(one[2] == "udp" for one in await twin_rules(world, "web"))
    assert group["name"] == "web"


async def test_a_rule_with_an_address_group_is_refused_by_name(world: World) -> None:
    network, group = await world.add_network(), await add_group(world)
    token = world.caller().token
    made = {"address_group": {"name": "them", "addresses": ["10.8.0.0/24"]}}
    answer = await world.call("top", "POST", "/address-groups", made, token)
    await add_rule(
        world, group["id"], remote_address_group_id=answer["address_group"]["id"], protocol="tcp"
    )
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    resolved = await resolve(world, asked)
    with pytest.raises(NotBuiltYet, match="address group"):
        await world.networks.place(resolved, world.pods["pod1"])


async def test_a_port_without_port_security_has_no_groups_in_the_pod(world: World) -> None:
    network = await world.add_network(port_security_enabled=False)
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (bottom,) = await world.ports("pod1")
    assert (bottom["port_security_enabled"], bottom["security_groups"]) == (False, [])


# Shared networks.


async def test_a_shared_network_can_be_used_by_another_project(world: World) -> None:
    network = await world.add_network("admin", shared=True)
    server_id, _ = await world.boot(
        {"networks": [{"uuid": network["id"]}]}, caller=world.caller("other")
    )
    assert server_id
    (bottom,) = await world.ports("pod1")
    assert bottom["project_id"] == world.sim.project_id("other")


async def test_a_network_shared_with_one_project_is_shared_with_it_alone_in_the_pod(
    world: World,
) -> None:
    network, other = await world.add_network("demo"), world.sim.project_id("other")
    policy = {
        "object_type": "network",
        "object_id": network["id"],
        "action": "access_as_shared",
        "target_tenant": other,
    }
    token = world.caller("demo", "admin", "member").token
    await world.call("top", "POST", "/rbac-policies", {"rbac_policy": policy}, token)
    for _ in range(2):
        server_id, _ = await world.boot(
            {"networks": [{"uuid": network["id"]}]}, caller=world.caller("other")
        )
        assert server_id
    targets = [one["target_tenant"] for one in await world.items("pod1", "rbac-policies")]
    assert targets.count(other) == 1
    token = world.caller("third").token
    answer = await world.call("pod1", "GET", "/networks", None, token)
    assert answer["networks"] == []


# When the pod refuses, or has lost something.


async def test_after_a_refusal_nothing_that_was_made_stays(world: World) -> None:
    network = await world.add_network()
    world.sim.pod("pod1").faults.inject(
        Reply(403, b'{"forbidden": {"code": 403, "message": "Quota exceeded"}}'), "compute", "POST"
    )
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert server_id == ""
    assert await world.ports("top") == []
    assert await world.ports("pod1") == []
    assert await world.stores.upkeep.list_routings(kind=Kind.PORT) == []


async def test_after_a_refusal_a_port_of_the_user_stays_at_the_top(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    world.sim.pod("pod1").faults.inject(Reply(400, b"{}"), "compute", "POST")
    await world.boot({"networks": [{"port": port["id"]}]})
    (kept,) = await world.ports("top")
    assert (kept["id"], kept["device_id"]) == (port["id"], "")
    assert await world.ports("pod1") == []


async def test_a_boot_refused_by_one_pod_moves_to_the_next_with_its_ports(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    first = await world.networks.place(resolved, world.pods["pod1"])
    await world.networks.withdraw(first)
    assert await world.ports("pod1") == []
    await world.networks.place(resolved, world.pods["pod2"])
    (top,), (bottom,) = await world.ports("top"), await world.ports("pod2")
    assert top["mac_address"] == bottom["mac_address"]


async def test_a_port_left_in_one_pod_is_taken_away_before_it_goes_to_another(
    world: World,
) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    asked = {"networks": [{"port": port["id"]}]}
    await world.networks.place(await resolve(world, asked), world.pods["pod1"])
    await world.networks.place(await resolve(world, asked), world.pods["pod2"])
    assert await world.ports("pod1") == []
    assert len(await world.ports("pod2")) == 1


async def test_a_port_left_in_a_pod_gets_what_has_changed_at_the_top(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    asked = {"networks": [{"port": port["id"]}]}
    await world.networks.place(await resolve(world, asked), world.pods["pod1"])
    group = await add_group(world)
    changes = {"port": {"security_groups": [group["id"]], "name": "renamed"}}
    await world.call("top", "PUT", f"/ports/{port['id']}", changes, world.caller().token)
    await world.networks.place(await resolve(world, asked), world.pods["pod1"])
    (bottom,) = await world.ports("pod1")
    groups = {one["id"]: one["name"] for one in await world.items("pod1", "security-groups")}
    assert bottom["name"] == "renamed"
    assert [groups[one] for one in bottom["security_groups"]] == ["web"]


@pytest.mark.parametrize("collection", ["networks", "security-groups"])
async def test_a_twin_that_someone_deleted_in_the_pod_is_made_again(
    world: World, collection: str
) -> None:
    network, _ = await world.add_network(), await add_group(world)
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}
    server_id, _ = await world.boot(asked)
    for port in await world.ports("pod1"):
        await world.call("pod1", "DELETE", f"/ports/{port['id']}")
    for one in await world.items("pod1", collection, name="web"):
        await world.call("pod1", "DELETE", f"/{collection}/{one['id']}")
    again, _ = await world.boot(asked)
    assert again != server_id
    assert len(await world.items("pod1", collection, name="web")) == 1


async def test_a_pod_with_a_smaller_mtu_gets_the_network_with_its_own(world: World) -> None:
    network = await world.add_network(mtu=1450)
    refusal_body = (
        b'{"NeutronError": {"type": "InvalidInput", "message": "Requested MTU is too big", '
        b'"detail": ""}}'
    )
    world.sim.pod("pod1").faults.inject(
        Reply(400, refusal_body), "network", "POST", "/v2.0/networks", times=1
    )
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert server_id
    assert len(await world.items("pod1", "networks")) == 1


# What is left to jobs.


async def test_a_boot_leaves_no_job_when_all_goes_well_or_is_taken_back(world: World) -> None:
    network = await world.add_network()
    asked = {"networks": [{"uuid": network["id"]}]}
    await world.boot(asked)
    world.sim.pod("pod1").faults.inject(Reply(403, b"{}"), "compute", "POST")
    await world.boot(asked)
    assert await world.jobs() == []


async def test_what_a_dead_pod_keeps_of_a_failed_boot_goes_as_soon_as_it_is_back(
    world: World,
) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}, {"port": port["id"]}]})
    placed = await world.networks.place(resolved, world.pods["pod1"])
    world.sim.pod("pod1").faults.down()
    await world.networks.undo(placed)
    assert [job.kind for job in await world.jobs()] == ["repair_port", "repair_port"]
    assert len(await world.ports("top")) == 2
    world.sim.pod("pod1").faults.up()
    assert set((await world.work()).values()) == {Succeeded("released")}
    assert await world.ports("pod1") == []
    assert [one["id"] for one in await world.ports("top")] == [port["id"]]


async def test_what_a_pod_that_said_no_keeps_is_left_alone_while_another_is_asked(
    world: World,
) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    first = await world.networks.place(resolved, world.pods["pod1"])
    world.sim.pod("pod1").faults.down()
    await world.networks.withdraw(first)
    world.sim.pod("pod1").faults.up()
    assert await world.work() == {}
    placed = await world.networks.place(resolved, world.pods["pod2"])
    server_id = await world.send_boot(placed, world.caller())
    await world.networks.finish(placed, TopId(server_id), "az1")
    world.grow_old()
    await world.work()
    assert await world.ports("pod1") == []
    (top,), (bottom,) = await world.ports("top"), await world.ports("pod2")
    assert top["device_id"] == bottom["device_id"] == server_id


async def test_a_port_that_the_top_does_not_delete_now_is_deleted_by_a_job(world: World) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    placed = await world.networks.place(resolved, world.pods["pod1"])
    world.sim.faults.inject(Reply(503, b"{}"), "network", "DELETE", "/v2.0/ports", times=1)
    await world.networks.undo(placed)
    assert [job.kind for job in await world.jobs()] == ["delete_stray_port"]
    assert list((await world.work()).values()) == [Succeeded("deleted")]
    assert await world.ports("top") == []


async def test_a_port_beside_one_that_is_refused_is_deleted_by_a_job_when_the_top_stumbles(
    world: World,
) -> None:
    network = await world.add_network()
    world.sim.faults.inject(Reply(503, b"{}"), "network", "DELETE", "/v2.0/ports", times=1)
    await refusal(world, {"networks": [{"uuid": network["id"]}, {"uuid": world.ids()}]})
    assert len(await world.ports("top")) == 1
    assert list((await world.work()).values()) == [Succeeded("deleted")]
    assert await world.ports("top") == []


async def test_a_server_that_a_pod_may_have_taken_is_looked_for_when_it_must_be_there(
    world: World,
) -> None:
    network = await world.add_network()
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    placed = await world.networks.place(resolved, world.pods["pod1"])
    await world.networks.abandon(placed)
    assert await world.work() == {}
    server_id = await world.send_boot(placed, world.caller())
    world.grow_old()
    assert list((await world.work()).values()) == [Succeeded("finished")]
    (port,) = await world.ports("top")
    assert port["device_id"] == server_id


async def test_a_twin_that_the_pod_may_still_be_making_is_not_forgotten(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    resolved = await resolve(world, {"networks": [{"uuid": network["id"]}]})
    world.cloud.lost = frozenset({len(world.cloud.sent)})
    with pytest.raises(PodTimeout):
        await world.networks.place(resolved, world.pods["pod1"])
    late = next(one for one in await world.ports("pod1") if not one["device_id"])
    await world.call("pod1", "DELETE", f"/ports/{late['id']}")
    await world.networks.undo(resolved)
    # only now the pod is done with making it
    fields = ("network_id", "project_id", "description", "mac_address")
    again = {name: late[name] for name in fields}
    await world.call("pod1", "POST", "/ports", {"port": again})
    world.grow_old()
    assert list((await world.work()).values()) == [Succeeded("settled, released")]
    assert len(await world.ports("pod1")) == len(await world.ports("top")) == 1


# Marks.


async def test_a_mark_on_an_object_of_another_project_is_not_believed(world: World) -> None:
    network = await world.add_network()
    forged = {
        "name": "trap",
        "description": f"tricircle:network:{network['id']}:{network['project_id']}",
    }
    token = world.caller("evil").token
    await world.call("pod1", "POST", "/networks", {"network": forged}, token)
    server_id, _ = await world.boot({"networks": [{"uuid": network["id"]}]})
    assert server_id
    (row,) = await world.stores.routings.find_routings(Kind.NETWORK, TopId(network["id"]))
    twin = (await world.call("pod1", "GET", f"/networks/{row.bottom_id}"))["network"]
    assert (twin["name"], twin["project_id"]) == ("web", network["project_id"])


# Interfaces of running servers.


async def attach(world: World, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    caller = world.caller()
    resolved = await world.networks.resolve_interface(
        caller, json.dumps(body).encode() if body else b"", ProjectId(str(caller.project_id)), "r"
    )
    placed = await world.networks.place(resolved, world.pods["pod1"])
    sent = json.loads(placed.body)
    path = f"/servers/{server_id}/os-interface"
    await world.call("pod1", "POST", path, sent, caller.token)
    await world.networks.finish(placed, TopId(server_id), "az1")
    return dict(sent["interfaceAttachment"])


async def test_an_interface_on_a_network_gets_a_port_of_the_top(world: World) -> None:
    network = await world.add_network()
    server_id, _ = await world.boot({"networks": "none"})
    wanted = {"net_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.8"}]}
    sent = await attach(world, server_id, {"interfaceAttachment": wanted})
    assert set(sent) == {"port_id"}
    (top,) = await world.ports("top")
    assert (top["device_id"], top["fixed_ips"][0]["ip_address"]) == (server_id, "10.0.0.8")


async def test_an_interface_by_port_keeps_other_fields(world: World) -> None:
    network = await world.add_network()
    port = await world.add_port(network["id"])
    caller = world.caller()
    body = json.dumps({"interfaceAttachment": {"port_id": port["id"], "tag": "t"}}).encode()
    resolved = await world.networks.resolve_interface(
        caller, body, ProjectId(str(caller.project_id)), "r"
    )
    placed = await world.networks.place(resolved, world.pods["pod1"])
    sent = json.loads(placed.body)["interfaceAttachment"]
    assert sent == {"port_id": placed.port_ids[0], "tag": "t"}


async def test_an_empty_interface_request_takes_the_only_network(world: World) -> None:
    await world.add_network()
    server_id, _ = await world.boot({"networks": "none"})
    assert "port_id" in await attach(world, server_id, {})


async def test_an_interface_on_an_unknown_network_is_not_found(world: World) -> None:
    server_id, _ = await world.boot({"networks": "none"})
    with pytest.raises(NotFound, match="could not be found"):
        await attach(world, server_id, {"interfaceAttachment": {"net_id": world.ids()}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"net_id": "N", "port_id": "N"}, "Must not input both network_id and port_id"),
        (
            {"port_id": "N", "fixed_ips": [{"ip_address": "10.0.0.1"}]},
            "Must input network_id when request IP address",
        ),
    ],
)
async def test_contradicting_interface_fields_are_refused_in_novas_words(
    world: World, fields: dict[str, Any], message: str
) -> None:
    absent = world.ids()
    body = {key: absent if value == "N" else value for key, value in fields.items()}
    with pytest.raises(BadInput, match=message):
        await attach(world, "x", {"interfaceAttachment": body})


# Ids.


async def test_ids_translate_both_ways(world: World) -> None:
    network = await world.add_network()
    await world.boot({"networks": [{"uuid": network["id"]}]})
    (top,), (bottom,) = await world.ports("top"), await world.ports("pod1")
    pod = world.pods["pod1"]
    assert await world.networks.to_bottom(Kind.PORT, [top["id"], "absent"], pod) == {
        top["id"]: bottom["id"]
    }
    assert await world.networks.to_top(Kind.PORT, [bottom["id"], "absent"], pod) == {
        bottom["id"]: top["id"]
    }
    assert await world.networks.to_bottom(Kind.PORT, [top["id"]], world.pods["pod2"]) == {}
