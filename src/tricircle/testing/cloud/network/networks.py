"""Networks and subnets."""

import ipaddress
from collections.abc import Iterable

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Document, refuse
from tricircle.testing.cloud.network.addresses import default_pools, numbers
from tricircle.testing.cloud.network.attributes import NETWORK, SUBNET
from tricircle.testing.cloud.network.resources import Resource, refuse_by_policy

_VLAN_RANGE = range(100, 1000)
_TUNNEL_RANGE = range(1, 65_536)


class Networks(Resource):
    """Networks; a project's own network is a VXLAN unless an admin says otherwise."""

    collection = "networks"
    single = "network"
    attributes = NETWORK

    def create(self, caller: Caller, values: Document) -> Document:
        """Return provider attributes and what Neutron works out."""
        self.network.groups.ensure_default(values["project_id"])
        provider = self._provider(values)
        return {
            **provider,
            "mtu": values.get("mtu") or (1450 if provider["provider:network_type"] == "vxlan"
                                         else 1500),
            "status": "ACTIVE",
            "subnets": [],
            "availability_zones": [],
            "ipv4_address_scope": None,
            "ipv6_address_scope": None,
            "l2_adjacency": True,
        }  # fmt: skip

    def _provider(self, values: Document) -> Document:
        kind = values.get("provider:network_type")
        physical = values.get("provider:physical_network")
        wanted = values.get("provider:segmentation_id")
        if kind is None and (physical is not None or wanted is not None):
            refuse(400, "Invalid input for operation: network_type required.", "InvalidInput")
        kind = kind or "vxlan"
        if kind not in ("vxlan", "vlan", "flat", "geneve", "gre", "local"):
            refuse(
                400,
                f"Invalid input for operation: network_type value '{kind}' not supported.",
                "InvalidInput",
            )
        if kind in ("vlan", "flat") and physical not in self.network.physical_networks:
            text = f"physical_network '{physical}' unknown for {kind.upper()} provider network"
            refuse(400, f"Invalid input for operation: {text}.", "InvalidInput")
        segment = self._segment(kind, physical, wanted)
        return {
            "provider:network_type": kind,
            "provider:physical_network": physical,
            "provider:segmentation_id": segment,
        }

    def _segment(self, kind: str, physical: str | None, wanted: int | None) -> int | None:
        if kind in ("flat", "local"):
            return None
        taken = {
            item["provider:segmentation_id"]
            for item in self.items.values()
            if item["provider:network_type"] == kind
            and item["provider:physical_network"] == physical
        }
        if wanted is None:
            span = _VLAN_RANGE if kind == "vlan" else _TUNNEL_RANGE
            free = next((number for number in span if number not in taken), None)
            if free is None:
                refuse(
                    503,
                    "Unable to create the network. No project network is available for allocation.",
                    "NoNetworkAvailable",
                )
            return free
        if wanted in taken and kind == "vlan":
            refuse(
                409,
                f"Unable to create the network. The VLAN {wanted} on physical network "
                f"{physical} is in use.",
                "VlanIdInUse",
            )
        if wanted in taken:
            refuse(
                409,
                f"Unable to create the network. The tunnel ID {wanted} is in use.",
                "TunnelIdInUse",
            )
        return wanted

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse while ports are there, but for those Neutron made itself."""
        network_id = item["id"]
        ports = [p for p in self.network.ports.items.values() if p["network_id"] == network_id]
        own = [port for port in ports if port["device_owner"] == "network:dhcp"]
        if len(own) < len(ports):
            used = ",".join(port["id"] for port in ports if port not in own)
            refuse(
                409,
                f"Unable to complete operation on network {network_id}. There are one or "
                "more ports still in use on the network, id for these ports is: "
                f"{used}.",
                "NetworkInUse",
            )
        for port in own:
            self.network.ports.discard(port)
        for subnet_id in item["subnets"]:
            self.network.addresses.remove_subnet(subnet_id)
            self.network.subnets.items.pop(subnet_id, None)
        self.network.sharing.forget("network", network_id)

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether a network is shared, external or shared by a policy."""
        return bool(
            item["shared"]
            or item["router:external"]
            or self.network.sharing.covers("network", item["id"], caller.project_id)
        )

    def derived(self, item: Document) -> Document:
        """Return the subnets in order."""
        return {"subnets": sorted(item["subnets"])}

    def view(self, caller: Caller, item: Document, fields: Iterable[str] = ()) -> Document:
        """Return what a caller may see; a private network's shared flag follows policies."""
        view = super().view(caller, item, fields)
        if "shared" in view:
            view["shared"] = bool(
                item["shared"]
                or self.network.sharing.covers("network", item["id"], caller.project_id)
            )
        return view


class Subnets(Resource):
    """Subnets; they are seen by whoever sees their network."""

    collection = "subnets"
    single = "subnet"
    attributes = SUBNET

    def create(self, caller: Caller, values: Document) -> Document:
        """Return gateway and pools; refuse an overlap."""
        network = self.network.networks.items.get(values["network_id"])
        if network is None:
            raise self.network.networks.refuse_absent(values["network_id"])
        if not caller.is_admin and network["project_id"] != caller.project_id:
            refuse_by_policy(["create_subnet"])
        cidr = values.get("cidr")
        if cidr is None:
            refuse(
                400,
                "Bad subnets request: a subnetpool must be specified in the absence of a cidr.",
                "BadRequest",
            )
        parsed = ipaddress.ip_network(cidr)
        if parsed.version != values["ip_version"]:
            text = f"cidr '{cidr}' does not match the ip_version '{values['ip_version']}'"
            refuse(400, f"Invalid input for operation: {text}.", "InvalidInput")
        self._refuse_overlap(network, cidr)
        gateway = values.get("gateway_ip", str(parsed.network_address + 1))
        pools = values.get("allocation_pools")
        if pools is None:
            pools = default_pools(cidr, gateway)
        self._check_pools(cidr, gateway, pools)
        external = network["router:external"]
        made = {"gateway_ip": gateway, "allocation_pools": pools, "router:external": external}
        self.network.addresses.add_subnet({**values, **made})
        network["subnets"].append(values["id"])
        return made

    def _refuse_overlap(self, network: Document, cidr: str) -> None:
        parsed = ipaddress.ip_network(cidr)
        for subnet_id in network["subnets"]:
            other = ipaddress.ip_network(self.items[subnet_id]["cidr"])
            if other.version == parsed.version and other.overlaps(parsed):
                text = (
                    f"Requested subnet with cidr: {cidr} for network: {network['id']} overlaps "
                    "with another subnet"
                )
                refuse(400, f"Invalid input for operation: {text}.", "InvalidInput")

    def _check_pools(self, cidr: str, gateway: str | None, pools: list[Document]) -> None:
        parsed = ipaddress.ip_network(cidr)
        for pool in pools:
            if ipaddress.ip_address(pool["start"]) not in parsed or (
                ipaddress.ip_address(pool["end"]) not in parsed
            ):
                message = f"The allocation pool {pool['start']}-{pool['end']} spans beyond the "
                refuse(400, f"{message}subnet cidr {cidr}.", "OutOfBoundsAllocationPool")
        for (first, last), pool in zip(numbers(pools), pools, strict=True):
            if gateway and first <= int(ipaddress.ip_address(gateway)) <= last:
                refuse(
                    409,
                    f"Gateway ip {gateway} conflicts with allocation pool "
                    f"{pool['start']}-{pool['end']}.",
                    "GatewayConflictWithAllocationPools",
                )

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Give addresses from the new pools."""
        if "allocation_pools" in changes or "gateway_ip" in changes:
            gateway = changes.get("gateway_ip", item["gateway_ip"])
            pools: list[Document] = {**item, **changes}["allocation_pools"]
            self._check_pools(item["cidr"], gateway, pools)
            self.network.addresses.set_pools(item["id"], pools)

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse while a port has an address, but for those Neutron made itself."""
        for port in list(self.network.ports.items.values()):
            if any(fixed["subnet_id"] == item["id"] for fixed in port["fixed_ips"]):
                if port["device_owner"] != "network:dhcp":
                    refuse(
                        409,
                        f"Unable to complete operation on subnet {item['id']}: One or "
                        "more ports have an IP allocation from this subnet.",
                        "SubnetInUse",
                    )
                self.network.ports.discard(port)
        self.network.addresses.remove_subnet(item["id"])
        self.network.networks.items[item["network_id"]]["subnets"].remove(item["id"])

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether the network of a subnet is shared."""
        networks = self.network.networks
        network = networks.items.get(item["network_id"])
        return network is not None and networks.is_shared_with(caller, network)
