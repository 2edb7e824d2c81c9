"""Which addresses a port gets that waits for a server."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.objects import AllocationPool, FixedIp, Network, Port, Subnet
from tricircle.core.network.spares import (
    MIN_ADDRESSES,
    SparePort,
    auto_subnets,
    choose,
    draw_candidates,
    is_complete,
    is_unchanged,
    read_addresses,
    spare_values,
    top_port_values,
    why_no_spare,
)

DEMO = ProjectId("demo")
NET = TopId("net")
MAC = "fa:16:3e:00:00:01"
RANGES = {4: "10.0.0.0/16", 6: "2001:db8::/64"}


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311


def network(**values: Any) -> Network:
    return Network(**{"id": NET, "project_id": DEMO, **values})


def subnet(name: str = "sub", version: int = 4, **values: Any) -> Subnet:
    cidr = ipaddress.ip_network(RANGES[version])
    pool = AllocationPool(start=str(cidr[2]), end=str(cidr[-2]))
    made: dict[str, Any] = {"id": name, "network_id": NET, "project_id": DEMO}
    made |= {"cidr": str(cidr), "ip_version": version, "gateway_ip": str(cidr[1])}
    return Subnet(**made | {"allocation_pools": (pool,)} | values)


def fixed(address: str, subnet_id: str = "sub") -> FixedIp:
    return FixedIp(subnet_id=subnet_id, ip_address=address)


@st.composite
def large_subnets(draw: st.DrawFn) -> Subnet:
    """Subnets with one to four pools that have enough addresses together."""
    version = draw(st.sampled_from([4, 6]))
    base = int(ipaddress.ip_network(RANGES[version])[0])
    last = (1 << 16) - 2 if version == 4 else (1 << 64) - 1
    marks = draw(st.sets(st.integers(2, last), min_size=2, max_size=8).filter(_is_even))
    ordered = sorted(marks)
    pairs = list(zip(ordered[::2], ordered[1::2], strict=True))
    if sum(high - low + 1 for low, high in pairs) < MIN_ADDRESSES:
        pairs = [(2, 1 + MIN_ADDRESSES)]
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    pools = tuple(
        AllocationPool(start=str(kind(base + low)), end=str(kind(base + high)))
        for low, high in draw(st.permutations(pairs))
    )
    # Neutron keeps the gateway out of the pools; should one be inside, it is not given
    gateway = str(kind(base + draw(st.sampled_from([1, pairs[0][0], pairs[-1][1]]))))
    return subnet("sub", version, allocation_pools=pools, gateway_ip=gateway)


def _is_even(marks: set[int]) -> bool:
    return len(marks) % 2 == 0


@given(large_subnets(), st.integers())
def test_what_is_drawn_is_in_the_upper_half_of_the_pools_and_never_the_gateway(
    one: Subnet, seed: int
) -> None:
    (drawn,) = draw_candidates([one], seeded(seed))
    pools = [(_number(pool.start), _number(pool.end)) for pool in one.allocation_pools]
    half = sum(high - low + 1 for low, high in pools) // 2
    for candidate in drawn:
        number = _number(candidate.ip_address)
        assert candidate.subnet_id == "sub"
        assert any(low <= number <= high for low, high in pools)
        assert candidate.ip_address != one.gateway_ip
        assert sum(max(0, min(high + 1, number) - low) for low, high in pools) >= half
    assert len({candidate.ip_address for candidate in drawn}) == len(drawn)


@given(large_subnets(), st.integers(), st.data())
def test_what_is_chosen_is_never_used(one: Subnet, seed: int, data: st.DataObject) -> None:
    candidates = draw_candidates([one], seeded(seed))
    addresses = [candidate.ip_address for candidate in candidates[0]]
    used = data.draw(st.sets(st.sampled_from(addresses))) if addresses else set()
    chosen = choose(candidates, used)
    if chosen is None:
        assert used == set(addresses)
        return
    (address,) = chosen
    assert address in candidates[0]
    assert address.ip_address not in used


def _number(address: str) -> int:
    return int(ipaddress.ip_address(address))


def test_equal_random_sources_draw_the_same_and_others_differ() -> None:
    first = draw_candidates([subnet()], seeded(1))
    assert first == draw_candidates([subnet()], seeded(1))
    assert first != draw_candidates([subnet()], seeded(2))


def test_one_address_of_each_version_is_given_beside_automatic_ones() -> None:
    slaac = subnet("auto", 6, ipv6_address_mode="slaac")
    subnets = [subnet("a"), subnet("b"), subnet("c", 6), slaac]
    candidates = draw_candidates(subnets, seeded(3))
    assert [{one.subnet_id for one in some} for some in candidates] in (
        [{"a"}, {"c"}],
        [{"b"}, {"c"}],
    )
    assert auto_subnets(subnets) == ("auto",)


def test_a_small_subnet_is_not_chosen_beside_a_large_one() -> None:
    pool = AllocationPool(start="10.0.0.2", end="10.0.0.32")
    small = subnet("small", allocation_pools=(pool,))
    for seed in range(20):
        (drawn,) = draw_candidates([small, subnet("large")], seeded(seed))
        assert {one.subnet_id for one in drawn} == {"large"}


@pytest.mark.parametrize(
    ("net", "subnets", "words"),
    [
        (None, [], "gone"),
        (network(project_id="other"), [subnet()], "another project"),
        (network(external=True), [subnet()], "external"),
        (network(), [], "no subnet"),
        (network(), [subnet(), subnet("b", 6, service_types=("x:y",))], "some kinds"),
        (network(), [subnet(segment_id="s1")], "host"),
        (
            network(),
            [subnet(allocation_pools=(AllocationPool(start="10.0.0.2", end="10.0.0.32"),))],
            "fewer than 32",
        ),
        (network(), [subnet(), subnet("b", 6, allocation_pools=())], "fewer than 32"),
    ],
)
def test_no_spare_where_addresses_cannot_be_chosen(
    net: Network | None, subnets: list[Subnet], words: str
) -> None:
    assert words in (why_no_spare(net, subnets, DEMO) or "")


@pytest.mark.parametrize(
    "subnets",
    [
        [subnet()],
        [subnet(allocation_pools=(AllocationPool(start="10.0.0.2", end="10.0.0.33"),))],
        [subnet("a", allocation_pools=()), subnet("b")],
        [subnet("a", 6, ipv6_address_mode="slaac", allocation_pools=())],
    ],
)
def test_a_spare_where_they_can(subnets: list[Subnet]) -> None:
    assert why_no_spare(network(), subnets, DEMO) is None


@pytest.mark.parametrize(
    ("have", "complete"),
    [
        (["a", "six", "auto"], True),
        (["b", "six", "auto"], True),
        (["a", "six"], False),
        (["a", "auto"], False),
        (["six", "auto"], False),
        (["a", "six", "auto", "gone"], False),
    ],
)
def test_a_spare_lacks_an_address_when_subnets_came_or_went(
    have: list[str], complete: bool
) -> None:
    slaac = subnet("auto", 6, ipv6_address_mode="slaac")
    subnets = [subnet("a"), subnet("b"), subnet("six", 6), slaac]
    addresses = tuple(fixed("10.0.0.9", subnet_id) for subnet_id in have)
    spare = SparePort(PodId("pod1"), BottomId("p"), NET, DEMO, MAC, addresses)
    assert is_complete(spare, subnets) is complete


def test_a_spare_has_no_name_no_device_and_names_no_group() -> None:
    twins = {"net": BottomId("bnet"), "sub": BottomId("bsub"), "auto": BottomId("bauto")}
    assert spare_values(NET, DEMO, [fixed("10.0.0.9")], ["auto"], twins) == {
        "network_id": "bnet",
        "project_id": "demo",
        "description": "tricircle-spare:net:demo",
        "fixed_ips": [
            {"subnet_id": "bsub", "ip_address": "10.0.0.9"},
            {"subnet_id": "bauto"},
        ],
    }


def test_the_port_of_the_top_is_told_no_address_that_follows_from_the_mac() -> None:
    addresses = (fixed("10.0.0.9"), fixed("2001:db8::f816:3eff:fe00:1", "auto"))
    spare = SparePort(PodId("pod1"), BottomId("p"), NET, DEMO, MAC, addresses, "boot")
    values = {
        "network_id": "net",
        "project_id": "demo",
        "mac_address": MAC,
        "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.9"}, {"subnet_id": "auto"}],
        "device_owner": "tricircle:boot",
        "device_id": "boot",
    }
    assert top_port_values(spare, ["auto"]) == values
    grouped = replace(spare, group_ids=("g",))
    assert top_port_values(grouped, ["auto"]) == values | {"security_groups": ["g"]}


@pytest.mark.parametrize(
    ("addresses", "read"),
    [
        ((fixed("10.0.0.9", "bsub"),), (fixed("10.0.0.9"),)),
        ((fixed("10.0.0.9", "bsub"), fixed("10.1.0.9", "else")), None),
        ((), None),
    ],
)
def test_addresses_of_a_pod_are_read_as_those_of_the_top(
    addresses: tuple[FixedIp, ...], read: tuple[FixedIp, ...] | None
) -> None:
    port = Port(id="p", network_id="bnet", project_id=DEMO, fixed_ips=addresses)
    assert read_addresses(port, {"sub": BottomId("bsub")}) == read


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({}, True),
        ({"mac_address": MAC.upper()}, True),
        ({"mac_address": "fa:16:3e:00:00:02"}, False),
        ({"fixed_ips": (fixed("10.0.0.8", "bsub"),)}, False),
        ({"fixed_ips": ()}, False),
    ],
)
def test_a_spare_that_someone_has_changed_is_known(values: dict[str, Any], same: bool) -> None:
    spare = SparePort(PodId("pod1"), BottomId("p"), NET, DEMO, MAC, (fixed("10.0.0.9"),))
    port = Port(
        **{
            "id": "p",
            "network_id": "bnet",
            "project_id": DEMO,
            "mac_address": MAC,
            "fixed_ips": (fixed("10.0.0.9", "bsub"),),
            **values,
        }
    )
    assert is_unchanged(spare, port) is same
