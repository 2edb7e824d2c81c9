"""Ports that are ready in a pod before a server asks for one.

A spare is a pod's port on the twin of a network, with addresses that the top has not
given away. A boot takes it, so that the pod's Nova can be asked at once, and makes the
port at the top meanwhile, with the spare's MAC and addresses. The top keeps nothing for
a spare: whoever asks the top for such an address gets it, and the spare is then useless.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from random import Random

from tricircle.core.model import (
    BottomId,
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.network.marks import BOOT_OWNER, spare_mark
from tricircle.core.network.objects import FixedIp, Network, Port, Subnet

GOING = "going"
"""In place of a boot's id: the spare is being removed, and no boot can take it any more."""

MIN_ADDRESSES = 32
"""In a subnet with less to give, spares would take a noticeable part."""

CANDIDATES = 8
"""Addresses of each subnet that are looked at together; if all are used the subnet is crowded."""


@dataclass(frozen=True, slots=True)
class SparePort:
    """Port ``port_id`` of a pod, for a server of a project on network ``network_id`` of the top.

    ``addresses`` are of subnets of the top. ``boot_id`` is the boot that has taken it, None
    while it is ready; ``group_ids`` are security groups of the top that this boot gives
    its port, none for the project's default.
    """

    pod_id: PodId
    port_id: BottomId
    network_id: TopId
    project_id: ProjectId
    mac_address: str
    addresses: tuple[FixedIp, ...]
    boot_id: str | None = None
    group_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


def why_no_spare(
    network: Network | None, subnets: Sequence[Subnet], project_id: ProjectId
) -> str | None:
    """Return why no spare can be kept on a network of the top with all its subnets, if so.

    The addresses must be those of any port that asks for none, and be known beforehand.
    """
    if network is None:
        return "the network is gone from the top"
    if network.project_id != project_id:
        return "the network is another project's"
    if network.external:
        return "the network is external"
    if not subnets:
        return "the network has no subnet"
    if any(subnet.service_types for subnet in subnets):
        return "a subnet is for some kinds of ports only"
    if any(subnet.segment_id for subnet in subnets):
        return "addresses are given when the host is known"
    for choice in _by_version(subnets):
        if not any(_is_large(subnet) for subnet in choice):
            return f"its subnets have fewer than {MIN_ADDRESSES} addresses to give"
    return None


def auto_subnets(subnets: Iterable[Subnet]) -> tuple[str, ...]:
    """Return the subnets in which every port gets the address that follows from its MAC."""
    return tuple(subnet.id for subnet in subnets if subnet.auto_address)


def draw_candidates(subnets: Sequence[Subnet], random: Random) -> tuple[tuple[FixedIp, ...], ...]:
    """Return, for each address that a port gets beside automatic ones, some to choose from.

    As Neutron does, one address of each IP version is given. They are of the upper half
    of a subnet's pools: Neutron itself picks among the first that are free.
    """
    return tuple(
        _draw(random.choice([one for one in choice if _is_large(one)]), random)
        for choice in _by_version(subnets)
    )


def choose(candidates: Sequence[Sequence[FixedIp]], used: Set[str]) -> tuple[FixedIp, ...] | None:
    """Return one of each that is not used; None when there is no such."""
    chosen = []
    for choice in candidates:
        free = next((fixed for fixed in choice if fixed.ip_address not in used), None)
        if free is None:
            return None
        chosen.append(free)
    return tuple(chosen)


def spare_values(
    network_id: TopId,
    project_id: ProjectId,
    addresses: Sequence[FixedIp],
    auto: Sequence[str],
    twins: Mapping[str, BottomId],
) -> dict[str, object]:
    """Return what makes a pod's port that is ready for a server of a project.

    ``twins`` has the pod's ids of the network and its subnets. No group is named: the
    pod's Neutron puts the port into the project's default group.
    """
    given = [
        {"subnet_id": twins[fixed.subnet_id], "ip_address": fixed.ip_address} for fixed in addresses
    ]
    return {
        "network_id": twins[network_id],
        "project_id": project_id,
        "description": spare_mark(network_id, project_id),
        "fixed_ips": [*given, *({"subnet_id": twins[subnet_id]} for subnet_id in auto)],
    }


def top_port_values(spare: SparePort, auto: Sequence[str]) -> dict[str, object]:
    """Return what makes the port of the top that a boot needs which has taken a spare.

    Addresses in the ``auto`` subnets follow from the MAC: Neutron refuses to be told.
    """
    values: dict[str, object] = {
        "network_id": spare.network_id,
        "project_id": spare.project_id,
        "mac_address": spare.mac_address,
        "fixed_ips": [_asked(fixed, auto) for fixed in spare.addresses],
        "device_owner": BOOT_OWNER,
        "device_id": spare.boot_id,
    }
    if spare.group_ids:
        values["security_groups"] = list(spare.group_ids)
    return values


def routing_of(spare: SparePort, top_id: TopId) -> Routing:
    """Return the record of what was a spare and now is the twin of a port of the top."""
    return Routing(
        Kind.PORT,
        top_id,
        spare.pod_id,
        spare.port_id,
        spare.project_id,
        RoutingState.ACTIVE,
        Origin.GATEWAY,
    )


def read_addresses(port: Port, twins: Mapping[str, BottomId]) -> tuple[FixedIp, ...] | None:
    """Return the addresses of a pod's port in the subnets of the top whose ``twins`` are given.

    None when it has none, or one in another subnet.
    """
    tops = {str(bottom_id): top_id for top_id, bottom_id in twins.items()}
    if not port.fixed_ips or any(fixed.subnet_id not in tops for fixed in port.fixed_ips):
        return None
    return tuple(
        FixedIp(subnet_id=tops[fixed.subnet_id], ip_address=fixed.ip_address)
        for fixed in port.fixed_ips
    )


def is_complete(spare: SparePort, subnets: Sequence[Subnet]) -> bool:
    """Tell whether a spare has the addresses that every port gets on a network of the top.

    ``subnets`` are all of the network as they are now: some may be new, some gone.
    """
    given = {fixed.subnet_id for fixed in spare.addresses}
    if not given <= {subnet.id for subnet in subnets}:
        return False
    choices = [*_by_version(subnets), *([one] for one in subnets if one.auto_address)]
    return all(any(subnet.id in given for subnet in choice) for choice in choices)


def is_unchanged(spare: SparePort, port: Port) -> bool:
    """Tell whether a pod's port still is what it was when it was made as a spare."""
    return port.mac_address.lower() == spare.mac_address.lower() and texts_of(
        port.fixed_ips
    ) == texts_of(spare.addresses)


def texts_of(addresses: Iterable[FixedIp]) -> frozenset[str]:
    """Return addresses without their subnets."""
    return frozenset(fixed.ip_address for fixed in addresses)


def _asked(fixed: FixedIp, auto: Sequence[str]) -> dict[str, str]:
    given = {} if fixed.subnet_id in auto else {"ip_address": fixed.ip_address}
    return {"subnet_id": fixed.subnet_id, **given}


def _by_version(subnets: Sequence[Subnet]) -> list[list[Subnet]]:
    """Return the subnets whose addresses Neutron chooses, by IP version, without empty ones."""
    chosen = [subnet for subnet in subnets if not subnet.auto_address]
    by_version = ([one for one in chosen if one.ip_version == version] for version in (4, 6))
    return [some for some in by_version if some]


def _pools(subnet: Subnet) -> list[range]:
    """Return the pools as numbers, ascending."""
    pools = [
        range(int(ipaddress.ip_address(pool.start)), int(ipaddress.ip_address(pool.end)) + 1)
        for pool in subnet.allocation_pools
    ]
    return sorted(pools, key=lambda pool: pool.start)


def _size(pools: Iterable[range]) -> int:
    # not len(): pools of IPv6 are larger than it can say
    return sum(pool.stop - pool.start for pool in pools)


def _is_large(subnet: Subnet) -> bool:
    return _size(_pools(subnet)) >= MIN_ADDRESSES


def _draw(subnet: Subnet, random: Random) -> tuple[FixedIp, ...]:
    pools = _pools(subnet)
    size = _size(pools)
    gateway = None if subnet.gateway_ip is None else ipaddress.ip_address(subnet.gateway_ip)
    kind = ipaddress.IPv4Address if subnet.ip_version == 4 else ipaddress.IPv6Address
    drawn = (kind(_nth(pools, random.randrange(size // 2, size))) for _ in range(CANDIDATES))
    return tuple(
        FixedIp(subnet_id=subnet.id, ip_address=str(address))
        for address in dict.fromkeys(drawn)
        if address != gateway
    )


def _nth(pools: Sequence[range], index: int) -> int:
    """Return an address of pools by its place among all of them."""
    for pool in pools:
        size = pool.stop - pool.start
        if index < size:
            return pool.start + index
        index -= size
    raise IndexError(index)
