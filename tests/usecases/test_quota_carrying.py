"""Limits of the top are given to a pod, and what a pod uses is read from it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.usecases.served_pod import EAST, ERRAND, ServedPod, open_pod
from tricircle.core.errors import PodError, PodMisbehaved
from tricircle.core.jobs import CarryQuota, CarryQuotaClass
from tricircle.core.model import PodId, ProjectId, Service, TopId, Version
from tricircle.core.quotas import Holder
from tricircle.core.runs import Succeeded
from tricircle.core.server_quotas import SERVERS
from tricircle.testing.cloud import Refuse, Reply
from tricircle.usecases.quota_carrying import QuotaCarrying, QuotaKeeper
from tricircle.usecases.replicas.pod_service import PodServices
from tricircle.usecases.server_usage import ServerSizes, ServerUsage

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
        keeper = QuotaKeeper(self.novas, SERVERS, Version(2, 56), force=True)
        self.limits = served.stores.quota_limits
        self.carrying = QuotaCarrying(self.limits, served.stores.pods, {Service.COMPUTE: keeper})

    def job(self, holder: Holder) -> CarryQuota:
        return CarryQuota(EAST, "compute", holder.project_id, holder.user_id)

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
