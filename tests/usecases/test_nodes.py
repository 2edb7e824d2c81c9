"""A pod is measured: against a simulated cloud, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.usecases.served_pod import EAST, ERRAND, ServedPod, open_pod
from tricircle.core.errors import (
    PodDead,
    PodError,
    PodMisbehaved,
    PodTimeout,
    ServiceUnavailable,
)
from tricircle.core.jobs import MeasureNode
from tricircle.core.model import Endpoint, Node, PodId, Service, Version, VersionRange
from tricircle.core.runs import Succeeded
from tricircle.testing.cloud import Fault, Garbage, Hang, Redirect, Reply, Truncate
from tricircle.usecases.nodes import NodeSurvey

# One host of the simulation: 1000 CPUs sold four times, 512 MiB reserved.
EMPTY = Node(
    EAST,
    "east",
    vcpus=4000,
    memory_mib=799_488,
    disk_gib=600_000,
    volume_gib=2_000_000,
)


@pytest.fixture
async def east() -> AsyncIterator[ServedPod]:
    async with open_pod() as served:
        yield served


def survey(east: ServedPod, timeout_s: float = 5.0) -> NodeSurvey:
    stores = east.stores
    return NodeSurvey(east.http, east.credential, stores.pods, stores.nodes, timeout_s)


async def measure(east: ServedPod, timeout_s: float = 5.0) -> Node:
    """Return the node after one run, without its time."""
    await survey(east, timeout_s).run(MeasureNode(EAST), ERRAND)
    (node,) = await east.stores.nodes.list_nodes()
    return replace(node, measured_at=None)


def fill(east: ServedPod, host: str = "pod1-compute1", servers: int = 3) -> None:
    """Put servers of 1 vCPU, 512 MiB and 1 GiB on a host."""
    east.simulated.compute.add_servers(servers, "shop", host=host)


def paths(east: ServedPod, service: str) -> list[str]:
    """Return what a service was asked."""
    received = list(east.simulated.requests)
    return [each.path for each in received if each.service == service]


async def test_a_pod_is_measured_as_its_schedulers_count(east: ServedPod) -> None:
    fill(east)
    east.simulated.volume.add_volumes(7, "shop")
    assert await measure(east) == replace(
        EMPTY, vcpus_used=3, memory_mib_used=1536, disk_gib_used=3, volume_gib_used=7, running_vms=3
    )


async def test_what_was_measured_is_said(east: ServedPod) -> None:
    outcome = await survey(east).run(MeasureNode(EAST), ERRAND)
    assert outcome == Succeeded(
        "0 servers; used are 0 of 4000 vCPUs, 0 of 799488 MiB, 0 of 2000000 GiB of volumes"
    )


async def test_to_measure_twice_has_one_effect(east: ServedPod) -> None:
    fill(east)
    first = await measure(east)
    assert await measure(east) == first
    assert len(await east.stores.nodes.list_nodes()) == 1


async def test_the_service_asks_with_its_own_token_and_the_jobs_request_id(
    east: ServedPod,
) -> None:
    await measure(east)
    received = list(east.simulated.requests)
    assert {each.find_header("x-openstack-request-id") for each in received} == {ERRAND.request_id}
    assert all(each.find_header("x-auth-token") for each in received)


async def test_a_thousand_computes_cost_placement_one_request(east: ServedPod) -> None:
    for number in range(999):
        east.simulated.compute.add_hypervisor(f"host{number}")
    node = await measure(east)
    assert (node.vcpus, node.memory_mib) == (4_000_000, 799_488_000)
    assert paths(east, "placement") == ["/allocation_candidates"]


async def test_pages_are_read_to_the_end_however_short_they_are(east: ServedPod) -> None:
    east.simulated.compute.max_limit = 10
    for number in range(95):
        east.simulated.compute.add_hypervisor(f"host{number}")
    assert (await measure(east)).vcpus == 96 * 4000
    assert len(paths(east, "compute")) == 11


async def test_a_compute_without_memory_left_still_counts(east: ServedPod) -> None:
    east.simulated.compute.add_hypervisor("full", memory_mb=1536 + 512)
    fill(east, "full")
    node = await measure(east)
    assert (node.vcpus, node.vcpus_used) == (8000, 3)
    assert (node.memory_mib, node.memory_mib_used) == (799_488 + 1536, 1536)
    assert len(paths(east, "placement")) == 3


async def test_many_computes_without_memory_left_all_count(east: ServedPod) -> None:
    for number in range(150):
        east.simulated.compute.add_hypervisor(f"full{number}", memory_mb=512)
    assert (await measure(east)).vcpus == 151 * 4000


@pytest.mark.parametrize("more", [{"state": "down"}, {"status": "disabled"}])
async def test_a_compute_that_takes_no_servers_offers_nothing(
    east: ServedPod, more: dict[str, str]
) -> None:
    east.simulated.compute.add_hypervisor("closed", **more)
    fill(east, "closed")
    node = await measure(east)
    assert (node.vcpus, node.vcpus_used) == (4003, 3)
    assert (node.disk_gib, node.disk_gib_used) == (600_003, 3)
    assert node.running_vms == 3


async def test_a_compute_that_placement_does_not_know_offers_nothing(east: ServedPod) -> None:
    east.simulated.compute.add_hypervisor("young", known_to_placement=False)
    assert await measure(east) == EMPTY


async def test_bare_metal_is_not_even_asked_about(east: ServedPod) -> None:
    east.simulated.compute.add_hypervisor("metal", hypervisor_type="ironic")
    assert await measure(east) == EMPTY
    assert paths(east, "placement") == ["/allocation_candidates"]


async def test_without_placement_the_hypervisors_raw_numbers_count(east: ServedPod) -> None:
    fill(east)
    await east.without(Service.PLACEMENT)
    node = await measure(east)
    assert (node.vcpus, node.vcpus_used) == (1000, 3)
    # Nova counts what is reserved as used
    assert (node.memory_mib, node.memory_mib_used) == (800_000, 1536 + 512)
    assert (node.disk_gib, node.disk_gib_used) == (600_000, 3)


@pytest.mark.parametrize("versions", [None, VersionRange(Version(1, 0), Version(1, 28))])
async def test_a_placement_that_is_too_old_is_not_asked(
    east: ServedPod, versions: VersionRange | None
) -> None:
    placement = Endpoint(Service.PLACEMENT, f"{east.root}/placement", versions)
    endpoints = {**east.pod.endpoints, Service.PLACEMENT: placement}
    await east.keep(replace(east.pod, endpoints=endpoints))
    assert (await measure(east)).vcpus == 1000
    assert paths(east, "placement") == []


async def test_a_pod_without_cinder_has_a_node_without_volumes(east: ServedPod) -> None:
    await east.without(Service.VOLUME)
    assert await measure(east) == replace(EMPTY, volume_gib=0)


async def test_a_pod_without_any_service_has_an_empty_node(east: ServedPod) -> None:
    await east.without(*east.pod.endpoints)
    assert await measure(east) == Node(EAST, "east")


@pytest.mark.parametrize("size", ["unknown", "infinite"])
async def test_a_pool_of_unknown_size_offers_nothing(east: ServedPod, size: str) -> None:
    cinder = east.simulated.volume
    cinder.add_volumes(4, "shop")
    cinder.pools[cinder.host] = {"total_capacity_gb": size, "free_capacity_gb": size}
    node = await measure(east)
    assert (node.volume_gib, node.volume_gib_used) == (4, 4)


async def test_a_pod_that_is_gone_is_not_measured() -> None:
    async with open_pod() as east:
        outcome = await survey(east).run(MeasureNode(PodId("pod-west")), ERRAND)
        assert outcome == Succeeded("the pod is gone")
        assert await east.stores.nodes.list_nodes() == []


async def test_a_pod_deleted_meanwhile_gets_no_node(east: ServedPod) -> None:
    class Deleting:
        """Deletes the pod once it has been read."""

        async def get_token(self) -> str:
            await delete_once()
            return await east.credential.get_token()

    async def delete_once() -> None:
        if await east.stores.pods.list_pods():
            await east.stores.pods.delete_pod(EAST)

    stores = east.stores
    late = NodeSurvey(east.http, Deleting(), stores.pods, stores.nodes, 5.0)
    assert await late.run(MeasureNode(EAST), ERRAND) == Succeeded("the pod is gone")
    assert await stores.nodes.list_nodes() == []


async def test_a_pod_that_is_down_changes_nothing(east: ServedPod) -> None:
    before = await measure(east)
    fill(east)
    east.simulated.faults.down()
    with pytest.raises((PodDead, PodTimeout)):
        await measure(east)
    (kept,) = await east.stores.nodes.list_nodes()
    assert replace(kept, measured_at=None) == before


async def test_a_nova_that_hangs_is_a_pod_that_does_not_answer(east: ServedPod) -> None:
    east.simulated.faults.inject(Hang(), service="compute")
    with pytest.raises(PodTimeout):
        await measure(east, timeout_s=0.3)
    assert await east.stores.nodes.list_nodes() == []


@pytest.mark.parametrize(("service", "name"), [("volume", "volumev3"), ("placement", "placement")])
async def test_another_service_that_hangs_does_not_make_the_pod_dead(
    east: ServedPod, service: str, name: str
) -> None:
    east.simulated.faults.inject(Hang(), service=service)
    with pytest.raises(ServiceUnavailable, match=f"the {name} service of pod east does not answer"):
        await measure(east, timeout_s=0.3)
    assert await east.stores.nodes.list_nodes() == []


@pytest.mark.parametrize("service", ["compute", "volume", "placement"])
@pytest.mark.parametrize(
    "fault",
    [
        Garbage(),
        Reply(200, b"<html>"),
        Reply(200, b'{"hypervisors": 1, "pools": 2, "provider_summaries": 3}'),
        Reply(500),
        Reply(404),
        Reply(403, b'{"forbidden": {}}'),
        Redirect("http://127.0.0.1:1/"),
        Truncate(),
    ],
    ids=lambda fault: f"{type(fault).__name__}{getattr(fault, 'status', '')}",
)
async def test_what_is_no_answer_is_the_pods_fault_and_changes_nothing(
    east: ServedPod, service: str, fault: Fault
) -> None:
    before = await measure(east)
    east.simulated.faults.inject(fault, service=service)
    with pytest.raises(PodMisbehaved, match=r"pod.*east"):
        await measure(east)
    (kept,) = await east.stores.nodes.list_nodes()
    assert replace(kept, measured_at=None) == before


def hypervisors(*ids: str) -> Reply:
    """Return a page that never changes."""
    listed: list[dict[str, Any]] = [{"id": each, "state": "up"} for each in ids]
    return Reply(200, json.dumps({"hypervisors": listed}).encode())


async def test_a_pod_that_repeats_a_page_is_not_read_for_ever(east: ServedPod) -> None:
    east.simulated.faults.inject(hypervisors("a", "b"), service="compute")
    with pytest.raises(PodMisbehaved, match="the same page of hypervisors again"):
        await measure(east)
    assert len(paths(east, "compute")) == 2


async def test_an_id_that_is_no_id_reaches_no_other_path(east: ServedPod) -> None:
    east.simulated.faults.inject(hypervisors("../x?y#"), service="compute", times=1)
    east.simulated.faults.inject(hypervisors(), service="compute")
    assert (await measure(east)).vcpus == 0
    assert paths(east, "placement")[1] == "/resource_providers/../x?y#/inventories"


async def test_a_missing_answer_of_a_full_compute_leaves_all_as_it_was(east: ServedPod) -> None:
    east.simulated.compute.add_hypervisor("full", memory_mb=512)
    east.simulated.faults.inject(Reply(500), service="placement", path="usages")
    with pytest.raises(PodError, match="500 to GET /resource_providers/"):
        await measure(east)
    assert await east.stores.nodes.list_nodes() == []
