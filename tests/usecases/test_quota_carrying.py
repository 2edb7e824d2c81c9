"""Limits of the top are given to a pod, and what a pod uses is read from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.usecases.served_pod import EAST, ERRAND, ServedPod, open_pod
from tricircle.adapters.bus import SilentBell
from tricircle.core.errors import PodError, PodMisbehaved
from tricircle.core.jobs import CarryLimits, CarryQuota, CarryQuotaClass
from tricircle.core.model import PodId, ProjectId, Service, TopId, Version
from tricircle.core.quotas import Holder
from tricircle.core.runs import Succeeded
from tricircle.core.server_quotas import SERVERS
from tricircle.core.volume_quotas import VOLUMES
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.clock import FakeClock
from tricircle.testing.cloud import Refuse, Reply
from tricircle.usecases.demands import REMEMBERED_S
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.quota_carrying import LimitsOfPods, QuotaCarrying, QuotaKeeper
from tricircle.usecases.replicas.pod_service import PodServices
from tricircle.usecases.server_usage import ServerSizes, ServerUsage
from tricircle.usecases.volume_usage import HeldVolume, VolumeFacts, VolumeUsage

USER = "u" * 32


class World:
    """A pod, and a project that is known to its Keystone."""

    def __init__(self, served: ServedPod) -> None:
        self.served = served
        cloud = served.credential.cloud
        cloud.token("demo", "demo", ("member",))
        project = cloud.identity.accounts.find_project("demo")
        assert project is not None
        self.project = Holder(Service.COMPUTE, ProjectId(project.id))
        self.user = Holder(Service.COMPUTE, self.project.project_id, USER)
        self.novas = PodServices(Service.COMPUTE, served.http, served.credential, 5.0)
        self.cinders = PodServices(Service.VOLUME, served.http, served.credential, 5.0)
        keeper = QuotaKeeper(self.novas, SERVERS, Version(2, 56), force=True)
        self.limits = served.stores.quota_limits
        cinder_keeper = QuotaKeeper(self.cinders, VOLUMES, Version(3, 0), force=False)
        keepers = {Service.COMPUTE: keeper, Service.VOLUME: cinder_keeper}
        self.carrying = QuotaCarrying(self.limits, served.stores.pods, keepers)

    def job(self, holder: Holder) -> CarryQuota:
        return CarryQuota(EAST, "compute", holder.project_id, holder.user_id)

    def usage(self) -> VolumeUsage:
        return VolumeUsage(self.cinders, self.served.stores.quota_ledger)

    def kept(self, holder: Holder) -> dict[str, int] | None:
        book = self.served.simulated.compute.quota_book
        return book.sets.get((holder.project_id, holder.user_id))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One pod."""
    async with open_pod() as served:
        yield World(served)


async def test_a_pod_gets_what_is_counted_as_unlimited_and_the_rest_alike(world: World) -> None:
    await world.limits.put_limits(world.project, {"instances": 3, "key_pairs": 7, "fixed_ips": 1})
    for _ in range(2):
        assert await world.carrying.carry(world.job(world.project), ERRAND) == Succeeded()
    assert world.kept(world.project) == {"instances": -1, "key_pairs": 7}


async def test_a_user_gets_nothing_of_what_is_counted(world: World) -> None:
    await world.limits.put_limits(world.user, {"instances": 3, "key_pairs": 7})
    await world.carrying.carry(world.job(world.user), ERRAND)
    assert world.kept(world.user) == {"key_pairs": 7}


async def test_limits_that_are_gone_go_from_the_pod(world: World) -> None:
    await world.limits.put_limits(world.project, {"key_pairs": 7})
    await world.carrying.carry(world.job(world.project), ERRAND)
    await world.limits.forget_limits(world.project)
    for _ in range(2):
        await world.carrying.carry(world.job(world.project), ERRAND)
    assert world.kept(world.project) is None


async def test_a_class_is_carried_likewise(world: World) -> None:
    await world.limits.put_class(Service.COMPUTE, "default", {"cores": 3, "metadata_items": 7})
    job = CarryQuotaClass(EAST, "compute", "default")
    for _ in range(2):
        assert await world.carrying.carry_class(job, ERRAND) == Succeeded()
    book = world.served.simulated.compute.quota_book
    assert book.classes["default"] == {"cores": -1, "metadata_items": 7}


async def test_cinder_gets_what_is_counted_as_unlimited_of_the_types_it_has(world: World) -> None:
    held = Holder(Service.VOLUME, world.project.project_id)
    limits = {"volumes": 3, "per_volume_gigabytes": 7, "volumes___DEFAULT__": 1, "volumes_none": 1}
    await world.limits.put_limits(held, limits)
    job = CarryQuota(EAST, "volumev3", held.project_id, "")
    for _ in range(2):
        assert await world.carrying.carry(job, ERRAND) == Succeeded()
    book = world.served.simulated.volume.quota_book
    wanted = {"volumes": -1, "per_volume_gigabytes": 7, "volumes___DEFAULT__": -1}
    assert book.projects == {held.project_id: wanted}
    await world.limits.put_class(Service.VOLUME, "default", {"gigabytes": 3})
    await world.carrying.carry_class(CarryQuotaClass(EAST, "volumev3", "default"), ERRAND)
    assert book.classes == {"default": {"gigabytes": -1}}
    await world.limits.forget_limits(held)
    await world.carrying.carry(job, ERRAND)
    assert book.projects == {}


async def test_a_new_pod_is_given_all_that_is_set(world: World) -> None:
    stores, requests = world.served.stores, JobRequests(world.served.stores.desk, SilentBell())
    held = Holder(Service.VOLUME, world.project.project_id)
    for holder in (world.project, world.user, held):
        await world.limits.put_limits(holder, {"one": 1})
    await world.limits.put_class(Service.COMPUTE, "default", {"cores": 3})
    filling = LimitsOfPods(world.limits, stores.pods, requests, page=2)
    for _ in range(2):
        assert await filling.fill(CarryLimits(EAST), ERRAND) == Succeeded("4 job(s) asked for")
    jobs = {record.job for record in await stores.records.list_jobs(JobFilter(), 100)}
    assert jobs == {
        *(world.job(holder) for holder in (world.project, world.user)),
        CarryQuota(EAST, "volumev3", held.project_id, ""),
        CarryQuotaClass(EAST, "compute", "default"),
    }
    gone = CarryLimits(PodId("gone"))
    assert await filling.fill(gone, ERRAND) == Succeeded("the pod is gone")


async def test_a_pod_without_cinder_is_given_none_of_its_limits(world: World) -> None:
    stores, requests = world.served.stores, JobRequests(world.served.stores.desk, SilentBell())
    await world.limits.put_limits(Holder(Service.VOLUME, ProjectId("p")), {"volumes": 1})
    await world.served.without(Service.VOLUME)
    filling = LimitsOfPods(world.limits, stores.pods, requests)
    assert await filling.fill(CarryLimits(EAST), ERRAND) == Succeeded("0 job(s) asked for")


async def test_use_of_cinder_is_what_the_pod_itself_counts(world: World) -> None:
    held = Holder(Service.VOLUME, world.project.project_id)
    cinder = world.served.simulated.volume
    [volume] = cinder.add_volumes(1, held.project_id)
    volume.size = 5
    used = await world.usage().count(world.served.pod, held, "req-1")
    assert {name: number for name, number in used.items() if number} == {
        "volumes": 1, "gigabytes": 5
    }  # fmt: skip
    assert set(used) == set(VOLUMES.names)
    await world.limits.put_limits(held, {"gigabytes___DEFAULT__": 9, "volumes_none": 1})
    used = await world.usage().count(world.served.pod, held, "req-1")
    assert (used["gigabytes___DEFAULT__"], used["volumes_none"]) == (5, 0)
    world.served.simulated.faults.inject(Reply(200, b'{"quota_set": {"volumes": 3}}'))
    with pytest.raises(PodMisbehaved):
        await world.usage().count(world.served.pod, held, "req-1")


async def test_facts_of_cinder_are_read_from_a_pod(world: World) -> None:
    facts = VolumeFacts(world.cinders, lambda: [world.served.pod], FakeClock())
    pod, cinder = world.served.pod, world.served.simulated.volume
    [volume] = cinder.add_volumes(1, world.project.project_id)
    found = await facts.find_volume(pod, volume.id, "req-1")
    assert found == HeldVolume(world.project.project_id, 1, "__DEFAULT__", "available")
    assert await facts.find_volume(pod, USER, "req-1") is None
    assert await facts.find_snapshot(pod, USER, "req-1") is None
    assert await facts.find_backup_size(pod, USER, "req-1") is None
    assert await facts.find_transfer([pod], USER, "req-1") is None
    assert await facts.list_snapshots(pod, volume.id, "req-1") == []


async def test_types_are_found_by_name_id_and_project(world: World) -> None:
    clock, cinder = FakeClock(), world.served.simulated.volume
    facts = VolumeFacts(world.cinders, lambda: [world.served.pod], clock)
    project_id, fast = world.project.project_id, cinder.add_type("fast")
    assert await facts.find_type_name("fast", "req-1") == "fast"
    assert await facts.find_type_name(fast.id, "req-1") == "fast"
    assert await facts.find_default_type(project_id, "req-1") == "__DEFAULT__"
    cinder.default_types[project_id] = fast
    # asked once in a while, not for each volume
    assert await facts.find_default_type(project_id, "req-1") == "__DEFAULT__"
    await clock.advance(REMEMBERED_S)
    assert await facts.find_default_type(project_id, "req-1") == "fast"
    world.served.simulated.faults.inject(Refuse())
    await clock.advance(REMEMBERED_S)
    assert await facts.find_default_type(project_id, "req-1") == ""


async def test_a_pod_that_is_gone_needs_nothing(world: World) -> None:
    gone = CarryQuota(PodId("gone"), "compute", world.project.project_id, "")
    assert await world.carrying.carry(gone, ERRAND) == Succeeded("the pod is gone")
    gone_class = CarryQuotaClass(PodId("gone"), "compute", "default")
    assert await world.carrying.carry_class(gone_class, ERRAND) == Succeeded("the pod is gone")


async def test_a_pod_that_gives_no_answer_gets_them_later(world: World) -> None:
    world.served.simulated.faults.inject(Refuse())
    await world.limits.put_limits(world.project, {"key_pairs": 7})
    with pytest.raises(PodError):
        await world.carrying.carry(world.job(world.project), ERRAND)


async def test_use_is_what_the_pod_itself_counts(world: World) -> None:
    usage = ServerUsage(world.novas)
    zero = {"instances": 0, "cores": 0, "ram": 0}
    assert await usage.count(world.served.pod, world.project, "req-1") == zero
    assert await usage.count(world.served.pod, world.user, "req-1") == zero
    world.served.simulated.faults.inject(Reply(200, b'{"quota_set": {"cores": {}}}'))
    with pytest.raises(PodMisbehaved):
        await usage.count(world.served.pod, world.project, "req-1")


async def test_a_server_that_is_not_there_has_no_size(world: World) -> None:
    sizes = ServerSizes(world.novas)
    assert await sizes.find(world.served.pod, TopId("none"), "req-1") is None


async def test_a_pod_that_has_lost_its_cinder_is_given_nothing(world: World) -> None:
    await world.served.stores.pods.update_pod(
        EAST, lambda pod: replace(pod, endpoints={Service.COMPUTE: pod.endpoints[Service.COMPUTE]})
    )
    job = CarryQuota(EAST, "volumev3", world.project.project_id, "")
    for outcome in (
        await world.carrying.carry(job, ERRAND),
        await world.carrying.carry_class(CarryQuotaClass(EAST, "volumev3", "default"), ERRAND),
    ):
        assert outcome == Succeeded("the pod is gone")
