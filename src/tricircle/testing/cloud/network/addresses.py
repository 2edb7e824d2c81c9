"""Which IP and MAC addresses are taken, and which one comes next."""

import ipaddress
from dataclasses import dataclass, field

from tricircle.testing.cloud.http import Document, Json, refuse


@dataclass(slots=True)
class SubnetAddresses:
    """The addresses in use in one subnet."""

    pools: list[tuple[int, int]]
    used: set[int] = field(default_factory=set)
    _hint: int = 0

    def find_free(self) -> int | None:
        """Return the lowest free address that was not tried before, or any free one."""
        for start in (self._hint, 0):
            for first, last in self.pools:
                for number in range(max(first, start), last + 1):
                    if number not in self.used:
                        self._hint = number + 1
                        return number
            if start == 0:
                break
        return None


def default_pools(cidr: str, gateway: str | None) -> list[Document]:
    """Return what Neutron lets ports have: all but gateway, network and broadcast."""
    network = ipaddress.ip_network(cidr)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4 and network.prefixlen < 31:
        first, last = first + 1, last - 1
    elif network.version == 6 and network.prefixlen < 127:
        first += 1
    kind = type(network.network_address)
    pools = []
    split = int(ipaddress.ip_address(gateway)) if gateway else None
    ranges = [(first, last)]
    if split is not None and first <= split <= last:
        ranges = [(first, split - 1), (split + 1, last)]
    for low, high in ranges:
        if low <= high:
            pools.append({"start": str(kind(low)), "end": str(kind(high))})
    return pools


def numbers(pools: list[Document]) -> list[tuple[int, int]]:
    """Return pools as pairs of integers."""
    return [
        (int(ipaddress.ip_address(pool["start"])), int(ipaddress.ip_address(pool["end"])))
        for pool in pools
    ]


class Addresses:
    """The IPAM of one Neutron: subnets and MAC addresses by network."""

    def __init__(self) -> None:
        self._subnets: dict[str, SubnetAddresses] = {}
        self._macs: dict[str, set[str]] = {}

    def add_subnet(self, subnet: Document) -> None:
        """Start to give addresses of a subnet."""
        self._subnets[subnet["id"]] = SubnetAddresses(numbers(subnet["allocation_pools"]))

    def set_pools(self, subnet_id: str, pools: list[Document]) -> None:
        """Give addresses from other pools from now on."""
        used = self._subnets[subnet_id].used
        self._subnets[subnet_id] = SubnetAddresses(numbers(pools), used)

    def remove_subnet(self, subnet_id: str) -> None:
        """Forget a subnet."""
        self._subnets.pop(subnet_id, None)

    def is_used(self, subnet_id: str) -> bool:
        """Return whether any address of a subnet is taken."""
        return bool(self._subnets[subnet_id].used)

    def take_mac(self, network_id: str, wanted: str | None, seed: str) -> str:
        """Return a MAC address, unique in its network; 409 if the wanted one is taken."""
        taken = self._macs.setdefault(network_id, set())
        if wanted is not None:
            if wanted in taken:
                message = (
                    f"Unable to complete operation for network {network_id}. "
                    f"The mac address {wanted} is in use."
                )
                refuse(409, message, "MacAddressInUse")
            taken.add(wanted)
            return wanted
        number = int(seed.replace("-", "")[-6:], 16)
        while (mac := _mac(number)) in taken:
            number = (number + 1) % (1 << 24)
        taken.add(mac)
        return mac

    def release(self, port: Document) -> None:
        """Give back what a port had."""
        self._macs.get(port["network_id"], set()).discard(port["mac_address"])
        for fixed in port["fixed_ips"]:
            self.release_address(fixed)

    def release_address(self, fixed: Document) -> None:
        """Give back one address."""
        subnet = self._subnets.get(fixed["subnet_id"])
        if subnet is not None:
            subnet.used.discard(int(ipaddress.ip_address(fixed["ip_address"])))

    def take(self, network_id: str, wanted: Json, subnets: list[Document]) -> list[Document]:
        """Return the addresses of a port; `wanted` None means one per IP version.

        Raises Refused like Neutron's IPAM, and then takes nothing.
        """
        if wanted is None:
            wanted = _one_per_version(subnets)
            return [self._take_any(network_id, choice) for choice in wanted]
        taken: list[Document] = []
        by_id = {subnet["id"]: subnet for subnet in subnets}
        for fixed in wanted:
            subnet = _subnet_for(network_id, fixed, subnets, by_id)
            if "ip_address" in fixed:
                taken.append(self._take_exact(network_id, subnet, fixed["ip_address"]))
            else:
                taken.append(self._take_any(network_id, [subnet]))
        return taken

    def _take_exact(self, network_id: str, subnet: Document, address: str) -> Document:
        number = int(ipaddress.ip_address(address))
        used = self._subnets[subnet["id"]].used
        if number in used:
            message = f"IP address {address} already allocated in subnet {subnet['id']}"
            refuse(409, message, "IpAddressAlreadyAllocated")
        used.add(number)
        return {"subnet_id": subnet["id"], "ip_address": address}

    def _take_any(self, network_id: str, subnets: list[Document]) -> Document:
        for subnet in subnets:
            number = self._subnets[subnet["id"]].find_free()
            if number is not None:
                self._subnets[subnet["id"]].used.add(number)
                kind = type(ipaddress.ip_network(subnet["cidr"]).network_address)
                return {"subnet_id": subnet["id"], "ip_address": str(kind(number))}
        message = f"No more IP addresses available on network {network_id}."
        refuse(409, message, "IpAddressGenerationFailure")


def _mac(number: int) -> str:
    return f"fa:16:3e:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def _one_per_version(subnets: list[Document]) -> list[list[Document]]:
    versions = [[s for s in subnets if s["ip_version"] == version] for version in (4, 6)]
    return [found for found in versions if found]


def _subnet_for(
    network_id: str, fixed: Document, subnets: list[Document], by_id: dict[str, Document]
) -> Document:
    if "subnet_id" in fixed:
        subnet = by_id.get(fixed["subnet_id"])
        if subnet is None:
            message = f"Subnet {fixed['subnet_id']} could not be found."
            refuse(404, message, "SubnetNotFound")
        if "ip_address" in fixed and not _holds(subnet, fixed["ip_address"]):
            message = (
                f"IP address {fixed['ip_address']} is not a valid IP for the specified subnet."
            )
            refuse(400, message, "InvalidIpForSubnet")
        return subnet
    found = next((s for s in subnets if _holds(s, fixed.get("ip_address", ""))), None)
    if found is None:
        message = (
            f"IP address {fixed.get('ip_address')} is not a valid IP for any of the subnets "
            "on the specified network."
        )
        refuse(400, message, "InvalidIpForNetwork")
    return found


def _holds(subnet: Document, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet["cidr"])
    except ValueError:
        return False
