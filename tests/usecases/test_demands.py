"""What flavors and volume types ask of a pod."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.usecases.served_pod import EAST, ServedPod, open_pod
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, Routing, Service, TopId
from tricircle.core.weighing import Needs
from tricircle.testing.clock import FakeClock
from tricircle.testing.cloud import Refuse, Reply
from tricircle.usecases.demands import Demands
from tricircle.usecases.replicas.pod_service import PodServices

TAGGED = Needs(tags=frozenset([("disk", "ssd")]))


@pytest.fixture
async def east() -> AsyncIterator[ServedPod]:
    async with open_pod() as pod:
        yield pod


def demands_of(pod: ServedPod, clock: FakeClock) -> Demands:
    novas, cinders = (
        PodServices(service, pod.http, pod.credential, 5.0)
        for service in (Service.COMPUTE, Service.VOLUME)
    )
    return Demands(novas, cinders, pod.stores.routings, lambda: [pod.pod], clock)


async def test_a_flavor_is_asked_for_once_a_minute(east: ServedPod) -> None:
    clock = FakeClock()
    demands = demands_of(east, clock)
    east.simulated.compute.flavors["3"].extra_specs["pod_tag:disk"] = "ssd"
    assert await demands.find_flavor("none", "req-1") is None
    needs = await demands.find_flavor("3", "req-1")
    assert needs is not None
    assert (needs.vcpus, needs.memory_mib, needs.tags) == (2, 4096, TAGGED.tags)
    east.simulated.faults.inject(Refuse())
    assert await demands.find_flavor("3", "req-1") == needs
    await clock.advance(61)
    assert await demands.find_flavor("3", "req-1") is None


async def test_a_volume_type_is_found_by_name_and_by_the_ids_of_top_and_pod(
    east: ServedPod,
) -> None:
    kind = east.simulated.volume.add_type("fast", "")
    kind.extra_specs |= {"pod_tag:disk": "ssd", "volume_backend_name": "a"}
    top_id = "3f1c9a72-0000-4000-8000-000000000001"
    demands = demands_of(east, FakeClock())
    assert await demands.find_volume_type(top_id, "req-1") is None
    await east.stores.routings.keep_routings(
        [Routing(Kind.VOLUME_TYPE, TopId(top_id), EAST, BottomId(kind.id), ProjectId(""))]
    )
    for label in ("fast", kind.id, top_id):
        assert await demands.find_volume_type(label, "req-1") == TAGGED
    assert await demands.find_volume_type("slow", "req-1") is None
    assert await demands.find_volume_type("__DEFAULT__", "req-1") == Needs()


async def test_what_is_private_is_found_too(east: ServedPod) -> None:
    kind = east.simulated.volume.add_type("secret", "")
    kind.is_public = False
    kind.extra_specs["pod_tag:disk"] = "ssd"
    flavor = east.simulated.compute.flavors["1"]
    flavor.is_public = False
    flavor.extra_specs["pod_tag:disk"] = "ssd"
    demands = demands_of(east, FakeClock())
    assert await demands.find_volume_type("secret", "req-1") == TAGGED
    needs = await demands.find_flavor("1", "req-1")
    assert needs is not None
    assert needs.tags == TAGGED.tags


@pytest.mark.parametrize("body", [b'{"flavor": {}}', b"[]", b"<html>"])
async def test_a_pod_that_tells_nonsense_is_passed_over(east: ServedPod, body: bytes) -> None:
    east.simulated.faults.inject(Reply(200, body), "compute", times=1)
    demands = demands_of(east, FakeClock())
    assert await demands.find_flavor("1", "req-1") is None
    assert await demands.find_flavor("1", "req-1") is not None


async def test_a_pod_without_the_service_is_not_asked(east: ServedPod) -> None:
    await east.without(Service.VOLUME)
    assert east.pod.id == PodId(EAST)
    assert await demands_of(east, FakeClock()).find_volume_type("__DEFAULT__", "req-1") is None
