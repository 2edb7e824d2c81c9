"""A pod's version documents are read anew: against a simulated cloud, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.usecases.served_pod import EAST, ERRAND, ServedPod, open_pod
from tricircle.core.errors import PodDead, PodMisbehaved, PodTimeout, ServiceUnavailable
from tricircle.core.jobs import ProbePod
from tricircle.core.model import Endpoint, Pod, PodId, Service, Version, VersionRange
from tricircle.core.runs import Outcome, Succeeded
from tricircle.testing.cloud import Hang, Injection, Reply, Truncate, serve_pod
from tricircle.usecases.probing import PodProbe

UPGRADED = b'{"version": {"id": "v2.1", "version": "2.110", "min_version": "2.1", "links": []}}'
RANGE = VersionRange(Version(2, 1), Version(2, 110))


@pytest.fixture
async def east() -> AsyncIterator[ServedPod]:
    async with open_pod() as served:
        yield served


async def probe(east: ServedPod, timeout_s: float = 5.0) -> Outcome:
    return await PodProbe(east.http, east.stores.pods, timeout_s).run(ProbePod(EAST), ERRAND)


def upgrade(east: ServedPod) -> None:
    """Let Nova speak a later version."""
    east.simulated.faults.inject(Reply(200, UPGRADED), service="compute")


async def kept(east: ServedPod) -> Pod:
    return await east.stores.pods.get_pod(EAST)


async def arrived(injection: Injection) -> None:
    """Wait until a request was struck."""
    while not injection.hits:  # noqa: ASYNC110 - the simulation has no event for it
        await asyncio.sleep(0.001)


async def test_a_pod_that_speaks_as_before_is_left_alone(east: ServedPod) -> None:
    assert await probe(east) == Succeeded("")
    assert await kept(east) is east.pod


async def test_a_pod_is_asked_without_any_token(east: ServedPod) -> None:
    await probe(east)
    asked = list(east.simulated.requests)
    assert {each.service for each in asked} == {"compute", "volume", "network", "placement"}
    assert all(each.find_header("x-auth-token") is None for each in asked)


async def test_what_an_upgraded_pod_speaks_is_kept(east: ServedPod) -> None:
    upgrade(east)
    assert await probe(east) == Succeeded("compute speaks 2.1 to 2.110, before 2.1 to 2.104")
    pod = await kept(east)
    assert pod.endpoints == {
        **east.pod.endpoints,
        Service.COMPUTE: replace(east.pod.endpoints[Service.COMPUTE], versions=RANGE),
    }
    assert (pod.name, pod.enabled) == (east.pod.name, east.pod.enabled)


async def test_to_probe_twice_has_one_effect(east: ServedPod) -> None:
    upgrade(east)
    await probe(east)
    pod = await kept(east)
    assert await probe(east) == Succeeded("")
    assert await kept(east) is pod


async def test_probes_at_the_same_time_have_one_effect(east: ServedPod) -> None:
    upgrade(east)
    await asyncio.gather(*(probe(east) for _ in range(5)))
    assert (await kept(east)).endpoints[Service.COMPUTE].versions == RANGE


async def test_only_services_of_the_pod_are_asked(east: ServedPod) -> None:
    await east.without(Service.VOLUME, Service.PLACEMENT)
    assert await probe(east) == Succeeded("")
    asked = {each.service for each in east.simulated.requests}
    assert asked == {"compute", "network"}


async def test_an_endpoint_changed_meanwhile_stays_as_it_was_changed(east: ServedPod) -> None:
    upgrade(east)
    hanging = east.simulated.faults.inject(Hang(), service="network")
    probing = asyncio.create_task(probe(east))
    await arrived(hanging)
    moved = Endpoint(Service.COMPUTE, "http://127.0.0.1:1/v2.1", VersionRange(*[Version(2, 1)] * 2))
    changed = {**east.pod.endpoints, Service.COMPUTE: moved}
    await east.stores.pods.update_pod(
        EAST, lambda pod: replace(pod, endpoints=changed, enabled=False)
    )
    hanging.release()
    assert await probing == Succeeded("")
    pod = await kept(east)
    assert pod.endpoints[Service.COMPUTE] == moved
    assert not pod.enabled


async def test_a_pod_disabled_meanwhile_stays_disabled(east: ServedPod) -> None:
    upgrade(east)
    hanging = east.simulated.faults.inject(Hang(), service="network")
    probing = asyncio.create_task(probe(east))
    await arrived(hanging)
    await east.stores.pods.update_pod(EAST, lambda pod: replace(pod, enabled=False))
    hanging.release()
    await probing
    pod = await kept(east)
    assert not pod.enabled
    assert pod.endpoints[Service.COMPUTE].versions == RANGE


async def test_a_pod_deleted_meanwhile_is_no_failure(east: ServedPod) -> None:
    upgrade(east)
    hanging = east.simulated.faults.inject(Hang(), service="network")
    probing = asyncio.create_task(probe(east))
    await arrived(hanging)
    await east.stores.pods.delete_pod(EAST)
    hanging.release()
    assert await probing == Succeeded("the pod is gone")


async def test_a_pod_that_is_gone_is_not_probed(east: ServedPod) -> None:
    run = PodProbe(east.http, east.stores.pods, 5.0).run
    assert await run(ProbePod(PodId("pod-west")), ERRAND) == Succeeded("the pod is gone")


async def test_a_service_that_is_served_elsewhere_now_is_only_reported(east: ServedPod) -> None:
    body = b'{"versions": [{"id": "v2.9", "version": "2.200", "min_version": "2.1"}]}'
    east.simulated.faults.inject(Reply(200, body), service="compute")
    assert await probe(east) == Succeeded(
        f"compute is served at {east.root}/compute/v2.9 now: refresh the pod"
    )
    assert await kept(east) is east.pod


async def test_a_pod_that_refuses_connections_is_dead(east: ServedPod) -> None:
    async with serve_pod(east.credential.cloud, "pod1") as gone:
        pass
    endpoints = {
        service: replace(endpoint, url=endpoint.url.replace(east.root, f"{gone}/pod1"))
        for service, endpoint in east.pod.endpoints.items()
    }
    await east.keep(replace(east.pod, endpoints=endpoints))
    with pytest.raises(PodDead):
        await probe(east)
    assert await kept(east) is east.pod


async def test_a_pod_that_closes_connections_does_not_answer(east: ServedPod) -> None:
    east.simulated.faults.down()
    with pytest.raises((PodDead, PodTimeout)):
        await probe(east)
    assert await kept(east) is east.pod


async def test_a_nova_that_hangs_does_not_answer(east: ServedPod) -> None:
    east.simulated.faults.inject(Hang(), service="compute")
    with pytest.raises(PodTimeout):
        await probe(east, timeout_s=0.3)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Reply(503), "answered with status 503"),
        (Reply(200, b"<html>"), "not a version document"),
        (Truncate(), "east"),
    ],
)
async def test_a_nova_that_answers_nonsense_changes_nothing(
    east: ServedPod, fault: Reply | Truncate, reason: str
) -> None:
    east.simulated.faults.inject(fault, service="compute")
    with pytest.raises(PodMisbehaved, match=reason):
        await probe(east)
    assert await kept(east) is east.pod


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Hang(), "did not answer in time"), (Reply(500), "answered with status 500")],
)
async def test_what_the_others_speak_is_kept_although_one_service_is_away(
    east: ServedPod, fault: Hang | Reply, reason: str
) -> None:
    upgrade(east)
    east.simulated.faults.inject(fault, service="volume")
    with pytest.raises(ServiceUnavailable, match=f"pod east do not answer: volumev3 {reason}"):
        await probe(east, timeout_s=0.3)
    assert (await kept(east)).endpoints[Service.COMPUTE].versions == RANGE
