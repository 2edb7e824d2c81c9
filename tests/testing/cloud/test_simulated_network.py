"""The simulated Neutron: words and statuses are those of neutron 29.0.0."""

from typing import Any

import pytest

from tests.testing.cloud.conftest import Client, Clients
from tricircle.testing.cloud import SimulatedCloud


@pytest.fixture
def network(cloud: SimulatedCloud) -> dict[str, Any]:
    neutron = cloud.pod("pod1").network
    return neutron.add_network(cloud.project_id("demo"), "private", "10.0.0.0/24")


async def make_port(neutron: Client, network: dict[str, Any], **more: Any) -> Any:
    answer = await neutron.post("/ports", {"port": {"network_id": network["id"], **more}})
    return answer.json.get("port") or answer.json["NeutronError"]


async def test_the_default_group_appears_with_its_four_rules(clients: Clients) -> None:
    groups = (await clients.network().get("/security-groups")).json["security_groups"]
    assert [group["name"] for group in groups] == ["default"]
    rules = groups[0]["security_group_rules"]
    found = sorted((r["direction"], r["ethertype"], r["remote_group_id"]) for r in rules[:2])
    assert found == [("egress", "IPv4", None), ("egress", "IPv6", None)]
    assert {r["remote_group_id"] for r in rules[2:]} == {groups[0]["id"]}


async def test_an_equal_rule_is_409_and_names_the_one_there_is(clients: Clients) -> None:
    neutron = clients.network()
    made = await neutron.post("/security-groups", {"security_group": {"name": "web"}})
    rule = {
        "security_group_id": made.json["security_group"]["id"], "direction": "ingress",
        "protocol": "tcp", "port_range_min": 80, "port_range_max": 80,
    }  # fmt: skip
    first = await neutron.post("/security-group-rules", {"security_group_rule": rule})
    rule["protocol"] = "6"
    again = await neutron.post("/security-group-rules", {"security_group_rule": rule})
    assert again.status == 409
    rule_id = first.json["security_group_rule"]["id"]
    assert again.json["NeutronError"] == {
        "type": "SecurityGroupRuleExists",
        "message": f"Security group rule already exists. Rule id is {rule_id}.",
        "detail": "",
    }


async def test_addresses_and_macs_are_unique(clients: Clients, network: dict[str, Any]) -> None:
    neutron = clients.network()
    given: dict[str, Any] = {
        "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "10.0.0.7"}],
    }  # fmt: skip
    port = await make_port(neutron, network, **given)
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.7"
    same_mac = await make_port(neutron, network, mac_address="fa:16:3e:00:00:01")
    same_ip = await make_port(neutron, network, fixed_ips=given["fixed_ips"])
    assert same_mac["type"] == "MacAddressInUse"
    assert same_ip["type"] == "IpAddressAlreadyAllocated"
    await neutron.delete(f"/ports/{port['id']}")
    assert (await make_port(neutron, network, **given))["mac_address"] == "fa:16:3e:00:00:01"


async def test_an_address_outside_the_pools_may_be_taken(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    neutron = clients.network()
    made = (await neutron.post("/networks", {"network": {"name": "n"}})).json["network"]
    subnet = {"network_id": made["id"], "ip_version": 4, "cidr": "10.1.0.0/24",
              "allocation_pools": []}  # fmt: skip
    assert (await neutron.post("/subnets", {"subnet": subnet})).status == 201
    port = await make_port(neutron, made, fixed_ips=[{"ip_address": "10.1.0.9"}])
    assert port["fixed_ips"][0]["ip_address"] == "10.1.0.9"
    assert (await make_port(neutron, made))["type"] == "IpAddressGenerationFailure"


DENIED = [
    ({"id": "11111111-2222-3333-4444-555555555555"}, 400, "Attribute 'id' not allowed in POST"),
    ({"provider:network_type": "vlan"}, 403,
     "(rule:create_network and rule:create_network:provider:network_type) is disallowed by "
     "policy"),
    ({"project_id": "0" * 32}, 400,
     "Specifying 'project_id' other than the authenticated project in request is not allowed "
     "for the current user."),
    ({"colour": "red"}, 400, "Unrecognized attribute(s) 'colour'"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "status", "message"), DENIED)
async def test_what_a_member_may_not_set(
    clients: Clients, given: Any, status: int, message: str
) -> None:
    answer = await clients.network().post("/networks", {"network": given})
    assert answer.status == status
    assert answer.json["NeutronError"]["message"] == message


async def test_an_admin_makes_provider_networks_for_others(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    given = {
        "project_id": cloud.project_id("demo"), "provider:network_type": "vlan",
        "provider:physical_network": "physnet1", "provider:segmentation_id": 3999,
    }  # fmt: skip
    admin = clients.network("admin", "admin")
    made = await admin.post("/networks", {"network": given})
    assert made.status == 201
    again = await admin.post("/networks", {"network": given})
    assert again.json["NeutronError"]["type"] == "VlanIdInUse"
    mine = await clients.network().get(f"/networks/{made.json['network']['id']}")
    assert "provider:segmentation_id" not in mine.json["network"]


async def test_only_admins_and_services_bind_ports(
    clients: Clients, network: dict[str, Any]
) -> None:
    port = await make_port(clients.network(), network)
    path, given = f"/ports/{port['id']}", {"port": {"binding:host_id": "host"}}
    assert (await clients.network().put(path, given)).status == 403
    bound = await clients.network("nova", "service").put(path, given)
    assert bound.json["port"]["binding:vif_type"] == "ovs"
    profile = {"port": {"binding:profile": {"a": 1}}}
    assert (await clients.network("admin", "admin").put(path, profile)).status == 403


async def test_a_foreign_network_is_absent_until_it_is_shared(
    cloud: SimulatedCloud, clients: Clients, network: dict[str, Any]
) -> None:
    other = clients.network("eve", "other")
    assert (await other.get(f"/networks/{network['id']}")).status == 404
    policy = {
        "object_type": "network", "object_id": network["id"], "action": "access_as_shared",
        "target_tenant": cloud.project_id("other"),
    }  # fmt: skip
    assert (await clients.network().post("/rbac-policies", {"rbac_policy": policy})).status == 201
    seen = await other.get(f"/networks/{network['id']}")
    assert seen.json["network"]["shared"] is True


async def test_a_change_for_another_revision_is_412(
    clients: Clients, network: dict[str, Any]
) -> None:
    path, given = f"/networks/{network['id']}", {"network": {"name": "new"}}
    neutron = clients.network()
    assert (await neutron.put(path, given, If_Match="revision_number=99")).status == 412
    revision = (await neutron.get(path)).json["network"]["revision_number"]
    assert (await neutron.put(path, given, If_Match=f"revision_number={revision}")).status == 200


async def test_ports_are_listed_by_any_attribute_in_pages(
    clients: Clients, network: dict[str, Any]
) -> None:
    neutron = clients.network()
    for number in range(5):
        await make_port(neutron, network, name=f"p{number}", description="mark")
    path: str | None = "/ports?description=mark&limit=2&sort_key=name&sort_dir=desc&fields=name"
    names = []
    while path:
        answer = (await neutron.get(path)).json
        names += [port["name"] for port in answer["ports"]]
        links = {link["rel"]: link["href"] for link in answer.get("ports_links", ())}
        path = links["next"].removeprefix(neutron.root) if "next" in links else None
    assert names == ["p4", "p3", "p2", "p1", "p0"]
    wrong = await neutron.get("/ports?colour=red")
    assert wrong.json["NeutronError"]["message"] == (
        "['colour'] is invalid attribute for filtering"
    )


async def test_extra_routes_can_be_added_and_removed_twice(
    clients: Clients, network: dict[str, Any]
) -> None:
    neutron = clients.network()
    router = (await neutron.post("/routers", {"router": {"name": "r"}})).json["router"]
    subnet_id = network["subnets"][0]
    path = f"/routers/{router['id']}"
    await neutron.put(f"{path}/add_router_interface", {"subnet_id": subnet_id})
    route = {"destination": "10.9.0.0/24", "nexthop": "10.0.0.200"}
    for _ in range(2):
        answer = await neutron.put(f"{path}/add_extraroutes", {"router": {"routes": [route]}})
        assert answer.json["router"]["routes"] == [route]
    for _ in range(2):
        answer = await neutron.put(f"{path}/remove_extraroutes", {"router": {"routes": [route]}})
        assert answer.json["router"]["routes"] == []
