"""What a pod's answers add up to."""

from __future__ import annotations

import json

import pytest

from tricircle.core.capacity import (
    LARGEST,
    Hypervisor,
    Pool,
    Quantity,
    Room,
    make_node,
    measure_pools,
    read_candidates,
    read_hypervisors,
    read_pools,
    read_provider,
)
from tricircle.core.model import Pod, PodId

POD = Pod(PodId("pod-east"), "east", "RegionEast")
ROOM = Room(Quantity(400, 8), Quantity(1000, 300), Quantity(50, 20))


def compute(compute_id: str, **more: object) -> Hypervisor:
    given = {"id": compute_id, "state": "up", "status": "enabled", "running_vms": 3, **more}
    (made,) = read_hypervisors(json.dumps({"hypervisors": [given]}).encode())
    return made


def candidates(**summaries: object) -> bytes:
    return json.dumps({"allocation_requests": [], "provider_summaries": summaries}).encode()


def provider(inventories: object, usages: object) -> Room:
    return read_provider(
        json.dumps({"inventories": inventories}).encode(), json.dumps({"usages": usages}).encode()
    )


def test_a_node_is_the_sum_of_its_computes_and_pools() -> None:
    node = make_node(POD, [compute("a"), compute("b")], {"a": ROOM, "b": ROOM}, Quantity(9, 4))
    assert (node.pod_id, node.name) == (POD.id, "east")
    assert (node.vcpus, node.vcpus_used) == (800, 16)
    assert (node.memory_mib, node.memory_mib_used) == (2000, 600)
    assert (node.disk_gib, node.disk_gib_used) == (100, 40)
    assert (node.volume_gib, node.volume_gib_used) == (9, 4)
    assert node.running_vms == 6
    assert node.measured_at is None


@pytest.mark.parametrize("more", [{"state": "down"}, {"status": "disabled"}])
def test_a_compute_that_takes_no_servers_has_what_is_used_and_no_more(more: object) -> None:
    assert isinstance(more, dict)
    node = make_node(POD, [compute("a", **more)], {"a": ROOM}, Quantity())
    assert (node.vcpus, node.vcpus_used) == (8, 8)
    assert (node.memory_mib, node.memory_mib_used) == (300, 300)
    assert (node.disk_gib, node.disk_gib_used) == (20, 20)
    assert node.running_vms == 3


def test_machines_that_are_sold_whole_do_not_count() -> None:
    metal = compute("a", hypervisor_type="ironic")
    node = make_node(POD, [metal], {"a": ROOM}, Quantity())
    assert (node.vcpus, node.memory_mib, node.running_vms) == (0, 0, 0)


def test_what_belongs_to_no_compute_does_not_count() -> None:
    assert make_node(POD, [], {"a": ROOM}, Quantity()).vcpus == 0


def test_sums_stop_at_what_the_database_holds() -> None:
    full = Room(vcpus=Quantity(LARGEST, LARGEST))
    node = make_node(POD, [compute("a"), compute("b")], {"a": full, "b": full}, Quantity())
    assert (node.vcpus, node.vcpus_used) == (LARGEST, LARGEST)


def test_raw_numbers_are_the_machines_own() -> None:
    made = compute("a", vcpus=64, vcpus_used=70, memory_mb=2048, memory_mb_used=512, local_gb=9)
    assert made.raw_room == Room(Quantity(64, 70), Quantity(2048, 512), Quantity(9, 0))


@pytest.mark.parametrize(
    ("given", "kept"), [(-5, 0), (None, 0), (1.9, 1), (10**30, LARGEST), (1e300, LARGEST)]
)
def test_a_number_is_kept_as_the_database_can_hold_it(given: object, kept: int) -> None:
    assert compute("a", vcpus=given, running_vms=given).raw_room.vcpus.total == kept


def test_candidates_are_read_by_compute() -> None:
    resources = {
        "VCPU": {"capacity": 4000, "used": 2},
        "MEMORY_MB": {"capacity": 799488, "used": 512},
        "DISK_GB": {"capacity": 600000, "used": 1},
        "VGPU": {"capacity": 1, "used": 0},
    }
    body = candidates(a={"resources": resources, "traits": ["X"], "root_provider_uuid": "a"})
    assert read_candidates(body) == {
        "a": Room(Quantity(4000, 2), Quantity(799488, 512), Quantity(600000, 1))
    }


def test_pinned_and_nested_cpus_are_vcpus_of_their_compute() -> None:
    root = {"resources": {"VCPU": {"capacity": 8, "used": 1}, "PCPU": {"capacity": 4, "used": 2}}}
    nested = {"resources": {"PCPU": {"capacity": 4, "used": 4}}, "root_provider_uuid": "a"}
    assert read_candidates(candidates(a=root, b=nested))["a"].vcpus == Quantity(16, 7)


def test_what_a_provider_sells_is_without_what_is_reserved_times_what_is_oversold() -> None:
    inventories = {
        "VCPU": {"total": 10, "reserved": 1, "allocation_ratio": 1.5},
        "MEMORY_MB": {"total": 1000, "reserved": 600, "allocation_ratio": 1.0},
        "DISK_GB": {"total": 5},
    }
    room = provider(inventories, {"VCPU": 3, "MEMORY_MB": 400, "DISK_GB": 9})
    assert room == Room(Quantity(13, 3), Quantity(400, 400), Quantity(5, 9))


def test_a_provider_that_reserves_more_than_it_has_sells_nothing() -> None:
    inventories = {"VCPU": {"total": 1, "reserved": 2, "allocation_ratio": 1e300}}
    assert provider(inventories, {}).vcpus == Quantity(0, 0)
    inventories = {"VCPU": {"total": 10**25, "reserved": 0, "allocation_ratio": 1e300}}
    assert provider(inventories, {"VCPU": -1}).vcpus == Quantity(LARGEST, 0)


def pools(*capabilities: object) -> list[Pool]:
    listed = [{"name": "p", "capabilities": each} for each in capabilities]
    return list(read_pools(json.dumps({"pools": listed}).encode()))


THICK = {"total_capacity_gb": 100, "free_capacity_gb": 70, "allocated_capacity_gb": 25}
THIN = {
    **THICK,
    "provisioned_capacity_gb": 40,
    "thin_provisioning_support": True,
    "max_over_subscription_ratio": "20.0",
}


@pytest.mark.parametrize(
    ("capabilities", "total", "used"),
    [
        # thick: what others have written there is used, too
        (THICK, 100, 30),
        ({**THICK, "reserved_percentage": 15}, 85, 30),
        ({**THICK, "max_over_subscription_ratio": "20.0"}, 100, 30),
        ({**THICK, "free_capacity_gb": 120}, 100, 0),
        # thin: what is promised counts, not what is written
        (THIN, 2000, 40),
        ({**THIN, "reserved_percentage": 15}, 1700, 40),
        ({**THIN, "reserved_percentage": 150}, 0, 40),
        ({**THIN, "provisioned_capacity_gb": None}, 2000, 25),
        ({**THIN, "provisioned_capacity_gb": 0}, 2000, 25),
        ({**THIN, "max_over_subscription_ratio": None}, 100, 40),
        ({**THIN, "max_over_subscription_ratio": "many"}, 100, 40),
        ({**THIN, "max_over_subscription_ratio": "auto"}, 229, 40),
        ({"total_capacity_gb": 9, "free_capacity_gb": 9, "thin_provisioning_support": "True",
          "max_over_subscription_ratio": "auto"}, 180, 0),
        # nobody knows: it offers nothing
        ({**THICK, "total_capacity_gb": "infinite"}, 25, 25),
        ({**THIN, "free_capacity_gb": "infinite"}, 25, 25),
        ({**THIN, "total_capacity_gb": "unknown", "free_capacity_gb": "unknown"}, 25, 25),
        ({"allocated_capacity_gb": 7}, 7, 7),
        ({}, 0, 0),
        # absurd
        ({**THICK, "total_capacity_gb": -1, "free_capacity_gb": -1}, 0, 0),
        ({**THIN, "total_capacity_gb": 10**30, "max_over_subscription_ratio": "1e308"},
         LARGEST, 40),
        ({**THIN, "max_over_subscription_ratio": "nan"}, 100, 40),
        ({**THIN, "max_over_subscription_ratio": -3}, 0, 40),
    ],
)  # fmt: skip
def test_a_pool_counts_as_cinders_scheduler_counts(
    capabilities: dict[str, object], total: int, used: int
) -> None:
    assert measure_pools(pools(capabilities)) == Quantity(total, used)


def test_pools_are_added_and_one_that_has_not_reported_is_left_out() -> None:
    assert measure_pools(pools(THICK, THIN, None)) == Quantity(2100, 70)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"hypervisors": {}, "provider_summaries": [], "pools": 1}',
        b'{"hypervisors": [{}], "provider_summaries": {"a": 1}, "pools": [1]}',
        b'{"hypervisors": [{"id": 1}], "provider_summaries": {"a": {"resources": [1]}},'
        b' "pools": [{"capabilities": []}]}',
        b'{"hypervisors": [{"id": "a", "vcpus": "4"}],'
        b' "provider_summaries": {"a": {"resources": {"VCPU": {"used": true}}}},'
        b' "pools": [{"capabilities": {"total_capacity_gb": {}}}]}',
        b'{"hypervisors": [{"id": "a", "vcpus": 1e400}],'
        b' "provider_summaries": {"a": {"resources": {"VCPU": {"used": 1e400}}}},'
        b' "pools": [{"capabilities": {"total_capacity_gb": 1e400}}]}',
        b'{"x": ' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_such_answer_is_refused(body: bytes) -> None:
    for read in (read_hypervisors, read_candidates, read_pools):
        with pytest.raises(ValueError, match=r"."):
            read(body)
    with pytest.raises(ValueError, match=r"."):
        read_provider(body, b'{"usages": {}}')
    with pytest.raises(ValueError, match=r"."):
        read_provider(b'{"inventories": {}}', body)
