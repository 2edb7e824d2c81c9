"""Pods are checked before they are kept: against a simulated cloud, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tricircle.adapters.cloud.credential import KeystoneCredential, make_credential
from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud
from tricircle.adapters.config import load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.errors import BadInput, Conflict, Duplicate, NotFound, PodInUse
from tricircle.core.model import (
    Endpoint,
    Pod,
    PodId,
    Service,
    Version,
    VersionRange,
    ZoneName,
    ZonePod,
)
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import (
    Endless,
    Fault,
    Garbage,
    Hang,
    Redirect,
    Refuse,
    Reply,
    SimulatedCloud,
    Truncate,
    serve,
    serve_pod,
)
from tricircle.testing.store import MemoryStores
from tricircle.usecases import pods as usecases
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.pods import NewPod, PodChange, RegionCheck

_CONFIG = """
[service_credential]
auth_type = password
auth_url = {url}/identity
username = tricircle
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""
REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
REQUIRED = (Service.COMPUTE, Service.VOLUME, Service.NETWORK)


@dataclass
class World:
    """A simulated cloud, the stores, and a check that is made from them."""

    cloud: SimulatedCloud
    root: str
    credential: KeystoneCredential
    stores: MemoryStores = field(default_factory=MemoryStores)
    ids: Callable[[], str] = field(
        default_factory=lambda: map("pod-{}".format, itertools.count(1)).__next__
    )

    def check(self, timeout_s: float = 5.0) -> RegionCheck:
        """Return a check of regions of the cloud."""
        return RegionCheck(self.credential, _open_cloud, self.cloud.top_region, timeout_s)

    async def add(self, name: str, region: str | None = None, timeout_s: float = 5.0) -> Pod:
        """Add a pod, of the region of its name unless another is given."""
        new = NewPod(name, region or name)
        return await usecases.add_pod(self.stores.pods, self.check(timeout_s), new, self.ids)

    async def names(self) -> list[str]:
        """Return the names of the pods that are kept."""
        return [pod.name for pod in await self.stores.pods.list_pods()]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A cloud of two pods, served over HTTP."""
    cloud = SimulatedCloud()
    async with serve(cloud.app) as root:
        config = tmp_path / "tricircle.conf"
        config.write_text(_CONFIG.format(url=root))
        credential = make_credential(load_settings("tricircle-api", files=[str(config)]))
        yield World(cloud, root, credential)
        credential.close()
        for pod in cloud.pods.values():
            pod.faults.clear()


@contextlib.asynccontextmanager
async def _open_cloud(_pod: Pod) -> AsyncIterator[HttpCloud]:
    http = HttpCloud(Service.COMPUTE, Rhythm())
    try:
        yield http
    finally:
        await http.close()


async def test_a_pod_is_kept_with_its_endpoints_and_what_they_speak(world: World) -> None:
    pod = await world.add("pod1")

    root = f"{world.root}/pod1"
    assert {service: pod.endpoints[service] for service in REQUIRED} == {
        Service.COMPUTE: Endpoint(
            Service.COMPUTE,
            f"{root}/compute/v2.1",
            VersionRange(Version(2, 1), Version(2, 104)),
        ),
        Service.VOLUME: Endpoint(
            Service.VOLUME, f"{root}/volume/v3", VersionRange(Version(3, 0), Version(3, 71))
        ),
        Service.NETWORK: Endpoint(Service.NETWORK, f"{root}/network"),
    }
    assert pod.enabled
    assert pod.created_at is not None
    assert await world.stores.pods.list_pods() == [pod]


async def test_pods_of_two_releases_keep_their_own_ranges(world: World) -> None:
    newer, older = await world.add("pod1"), await world.add("pod2")

    maxima = [
        versions.maximum if (versions := pod.endpoints[Service.COMPUTE].versions) else None
        for pod in (newer, older)
    ]
    assert maxima == [Version(2, 104), Version(2, 100)]


async def test_a_check_sends_no_token(world: World) -> None:
    await world.add("pod1")

    asked = list(world.cloud.pod("pod1").requests)
    assert asked
    assert all(request.find_header("x-auth-token") is None for request in asked)


@pytest.mark.parametrize(
    "path",
    ["/compute", "/compute/", "/compute/v2.1/", "/compute/v2/%(tenant_id)s", "/compute/v2.1/abc1"],
)
async def test_however_the_catalogue_writes_nova_it_is_kept_alike(world: World, path: str) -> None:
    world.cloud.catalogue.set_endpoint("pod1", "compute", f"{{root}}/pod1{path}")

    pod = await world.add("pod1")

    assert pod.endpoints[Service.COMPUTE].url == f"{world.root}/pod1/compute/v2.1"


async def test_a_region_keystone_does_not_know_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match=r"region 'pod9' is not in Keystone's catalogue; see"):
        await world.add("pod9")


async def test_the_region_of_the_top_cannot_be_a_pod(world: World) -> None:
    with pytest.raises(BadInput, match="region 'RegionOne' is the one Tricircle itself serves"):
        await world.add("pod1", region="RegionOne")


async def test_a_region_without_all_services_is_refused_naming_them(world: World) -> None:
    world.cloud.catalogue.remove_endpoint("pod1", "network")
    world.cloud.catalogue.remove_endpoint("pod1", "volumev3")

    with pytest.raises(BadInput, match=r"'pod1' has no public endpoint for volumev3, network"):
        await world.add("pod1")


async def test_an_endpoint_that_is_no_url_is_refused(world: World) -> None:
    world.cloud.catalogue.set_endpoint("pod1", "network", "pod1.example.org:9696")

    with pytest.raises(BadInput, match=r"network endpoint 'pod1.example.org:9696' is not"):
        await world.add("pod1")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Refuse(), "did not answer"),
        (Hang(), "did not answer in time"),
        (Reply(500), "answered with status 500"),
        (Reply(401), "answered with status 401"),
        (Reply(200, b"<html>"), "not a version document"),
        (Reply(200, b'{"versions": [{"id": "v9.0"}]}'), "lists no version"),
        (Garbage(), "not a version document"),
        (Truncate(), "did not answer"),
        (Redirect("http://127.0.0.1:1/"), "answered with status 302"),
        (Endless(), "sent more than a version document"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
async def test_a_pod_with_a_bad_endpoint_is_not_kept(
    world: World, fault: Fault, reason: str
) -> None:
    world.cloud.pod("pod1").faults.inject(fault, service="compute")

    with pytest.raises(Conflict) as refused:
        await world.add("pod1", timeout_s=0.5)

    assert f"the compute endpoint {world.root}/pod1/compute/v2.1" in str(refused.value)
    assert reason in str(refused.value)
    assert "region 'pod1' cannot be used" in str(refused.value)
    assert await world.names() == []


@pytest.mark.parametrize(("service", "path"), [("volumev3", "volume/v3"), ("network", "network")])
async def test_every_endpoint_must_answer(world: World, service: str, path: str) -> None:
    world.cloud.pod("pod1").faults.inject(Reply(500), service=path.partition("/")[0])

    with pytest.raises(Conflict, match=f"the {service} endpoint {world.root}/pod1/{path} answered"):
        await world.add("pod1")

    assert await world.names() == []


async def test_all_bad_endpoints_are_named_at_once(world: World) -> None:
    world.cloud.pod("pod1").faults.down()

    with pytest.raises(Conflict) as refused:
        await world.add("pod1")

    assert all(f"the {service} endpoint" in str(refused.value) for service in REQUIRED)


async def test_a_pod_that_refuses_connections_is_named_with_the_reason(world: World) -> None:
    async with serve_pod(world.cloud, "pod1") as gone:
        pass

    with pytest.raises(Conflict, match=rf"{gone}/pod1/compute/v2.1 cannot be reached .*connect"):
        await world.add("pod1")


async def test_services_are_asked_at_the_same_time(world: World) -> None:
    world.cloud.pod("pod1").faults.inject(Hang())
    started_s = time.monotonic()

    with pytest.raises(Conflict):
        await world.add("pod1", timeout_s=0.5)

    assert time.monotonic() - started_s < 1.4


async def test_a_pod_that_was_refused_can_be_added_once_it_answers(world: World) -> None:
    world.cloud.pod("pod1").faults.down()
    with pytest.raises(Conflict):
        await world.add("pod1")
    world.cloud.pod("pod1").faults.up()

    assert (await world.add("pod1")).name == "pod1"


async def test_a_name_or_region_that_is_taken_is_refused_without_asking_anyone(
    world: World,
) -> None:
    await world.add("pod1")
    world.cloud.pod("pod1").requests.clear()
    world.cloud.pod("pod2").requests.clear()

    with pytest.raises(Duplicate, match="'pod1' is taken"):
        await world.add("pod1", region="pod2")
    with pytest.raises(Duplicate, match="region 'pod1' is already pod 'pod1'"):
        await world.add("again", region="pod1")

    assert not len(world.cloud.pod("pod1").requests)
    assert not len(world.cloud.pod("pod2").requests)


async def test_of_a_pod_added_many_times_at_once_exactly_one_is_kept(world: World) -> None:
    outcomes = await asyncio.gather(*(world.add("pod1") for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(outcome, Pod) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4
    assert await world.names() == ["pod1"]


async def test_two_regions_with_the_same_services_cannot_both_be_pods(world: World) -> None:
    await world.add("pod1")
    world.cloud.catalogue.set_endpoint("pod2", "network", "{root}/pod1/network")

    with pytest.raises(Conflict, match=r"the network endpoint .* belongs to pod 'pod1' already"):
        await world.add("pod2")


async def test_pods_may_share_an_image_service(world: World) -> None:
    shared = {
        pod.endpoints[Service.IMAGE].url
        for pod in (await world.add("pod1"), await world.add("pod2"))
    }

    assert shared == {f"{world.root}/image/v2"}


async def test_a_pod_is_found_by_id_and_by_name(world: World) -> None:
    pod = await world.add("pod1")

    assert await usecases.get_pod(world.stores.pods, "pod1") == pod
    assert await usecases.get_pod(world.stores.pods, pod.id) == pod
    with pytest.raises(NotFound, match="pod 'pod7' could not be found"):
        await usecases.get_pod(world.stores.pods, "pod7")


async def test_a_change_touches_only_what_it_names(world: World) -> None:
    pod = await world.add("pod1")

    changed = await usecases.update_pod(world.stores.pods, pod.id, PodChange(enabled=False))

    assert not changed.enabled
    assert (changed.name, changed.endpoints) == (pod.name, pod.endpoints)


async def test_a_pod_cannot_take_the_name_of_another(world: World) -> None:
    await world.add("pod1")
    await world.add("pod2")

    with pytest.raises(Duplicate, match="'pod1'"):
        await usecases.update_pod(world.stores.pods, "pod2", PodChange(name="pod1"))


async def test_a_refresh_keeps_what_the_services_speak_now(world: World) -> None:
    await world.add("pod1")
    world.cloud.pod("pod1").faults.inject(
        Reply(
            200,
            b'{"version": {"id": "v2.1", "version": "2.110", "min_version": "2.1", "links": []}}',
        ),
        service="compute",
    )

    pod = await usecases.refresh_pod(world.stores.pods, world.check(), "pod1")

    versions = pod.endpoints[Service.COMPUTE].versions
    assert versions == VersionRange(Version(2, 1), Version(2, 110))


async def test_a_refresh_that_fails_leaves_the_pod_as_it_was(world: World) -> None:
    pod = await world.add("pod1")
    world.cloud.pod("pod1").faults.inject(Reply(503), service="network")

    with pytest.raises(Conflict, match=r"network endpoint .* answered with status 503"):
        await usecases.refresh_pod(world.stores.pods, world.check(), "pod1")

    assert await world.stores.pods.list_pods() == [pod]


async def test_a_pod_disabled_while_it_is_refreshed_stays_disabled(world: World) -> None:
    await world.add("pod1")
    hanging = world.cloud.pod("pod1").faults.inject(Hang(), service="compute")
    refreshing = asyncio.create_task(usecases.refresh_pod(world.stores.pods, world.check(), "pod1"))
    while not hanging.hits:  # noqa: ASYNC110 - the simulation has no event for it
        await asyncio.sleep(0.001)
    await usecases.update_pod(world.stores.pods, "pod1", PodChange(enabled=False))
    hanging.release()

    assert not (await refreshing).enabled


# Jobs of a pod that was added or has changed.


class SilentBell:
    """``interfaces.bus.Bell`` that nobody hears."""

    def ring(self, job_id: str, request_id: str) -> None:
        """Tell nobody."""


async def kinds_waiting(world: World) -> list[str]:
    """The kinds of all jobs there are, by name."""
    jobs = await world.stores.records.list_jobs(JobFilter(), 100)
    return sorted(record.job.kind for record in jobs)


async def test_a_new_pod_is_filled_measured_and_probed(world: World) -> None:
    requests = JobRequests(world.stores.desk, SilentBell())

    await usecases.fill_new_pod(requests, await world.add("pod1"), REQUEST_ID)

    assert await kinds_waiting(world) == ["carry_limits", "measure_node", "probe_pod", "sweep_pod"]


async def test_a_pod_that_has_changed_is_filled_again(world: World) -> None:
    requests, pod = JobRequests(world.stores.desk, SilentBell()), await world.add("pod1")

    await usecases.fill_pod(requests, pod, REQUEST_ID)
    await usecases.fill_pod(requests, pod, REQUEST_ID)

    assert await kinds_waiting(world) == ["carry_limits", "sweep_pod"]


async def test_a_pod_is_filled_later_when_jobs_cannot_be_asked_for(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = open_database(f"sqlite:///{tmp_path}/nowhere/none.sqlite")
    requests, pod = JobRequests(SqlStores(away).desk, SilentBell()), await world.add("pod1")

    await usecases.fill_new_pod(requests, pod, REQUEST_ID)

    assert "pod is filled later: jobs could not be asked for" in caplog.text
    assert await world.names() == ["pod1"]
    await away.close()


async def test_a_pod_that_is_gone_again_is_not_filled(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    requests, pod = JobRequests(world.stores.desk, SilentBell()), await world.add("pod1")
    await usecases.delete_pod(world.stores.pods, "pod1")

    await usecases.fill_pod(requests, pod, REQUEST_ID)

    assert "jobs could not be asked for" in caplog.text
    assert await kinds_waiting(world) == []


async def test_a_pod_in_use_is_not_deleted(world: World) -> None:
    pod = await world.add("pod1")
    await world.stores.zones.add_zone_pod(ZonePod(ZoneName("az1"), pod.id, "nova"))

    with pytest.raises(PodInUse, match="az1"):
        await usecases.delete_pod(world.stores.pods, "pod1")

    await world.stores.zones.delete_zone_pod(ZoneName("az1"), PodId(pod.id))
    await usecases.delete_pod(world.stores.pods, "pod1")
    assert await world.names() == []
