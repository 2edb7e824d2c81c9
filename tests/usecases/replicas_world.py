"""A small world for tests of replication: two simulated pods, asked without sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from tests.usecases.networks_world import (
    ROOT,
    Answered,
    DirectCloud,
    FixedCredential,
    Life,
    Mortal,
    Sent,
)
from tricircle.core.jobs import Replicate, SweepPod
from tricircle.core.model import (
    BottomId,
    Endpoint,
    Pod,
    PodId,
    Service,
    Version,
    VersionRange,
)
from tricircle.core.runs import Errand, JobState, Outcome
from tricircle.core.wishes import Replica, Wish, WishKey
from tricircle.interfaces.cloud import PodRequest
from tricircle.interfaces.jobs import JobFilter
from tricircle.interfaces.wishes import WishChange
from tricircle.testing.clock import FakeClock
from tricircle.testing.cloud import CountedIds, SetClock, SimulatedCloud
from tricircle.testing.store import MemoryStores
from tricircle.usecases.pod_sweep import PodSweep
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replication import Replication
from tricircle.usecases.twin_ids import TwinIds

ERRAND = Errand("req-replicate", 1)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZb2FBQRWceUfdun2dlIs9fm08LuNroo8c7OjSnZZs one"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZZb2FBQRWceUfdun2dlIs9fm08LuNroo8c7OjSnZZs two"
SPECS = {"hw:cpu_policy": "dedicated", "a b": "c"}
PRIVATE: dict[str, Any] = {"os-flavor-access:is_public": False}
EAST, WEST = PodId("east"), PodId("west")


@dataclass(slots=True)
class BusyCloud(DirectCloud):
    """A cloud beside which others act: ``acts`` by the number of the call they come before."""

    acts: dict[int, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    @asynccontextmanager
    async def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> AsyncIterator[Answered]:
        act = self.acts.pop(len(self.sent), None)
        if act is not None:
            await act()
        # an ASGI application is given decoded paths
        decoded = replace(request, path=unquote(request.path))
        async with DirectCloud.send(self, pod_id, endpoint, decoded, timeout_s) as answered:
            yield answered


class World:
    """A top that has wishes, and two pods; the wishes are made by hand, as if read in east."""

    def __init__(self, minors: dict[str, int] | None = None) -> None:
        minors = minors or {}
        self.sim = SimulatedCloud(
            ("east", "west"), clock=SetClock(), ids=CountedIds(), compute_minors=minors
        )
        self.life = Life()
        self.clock = FakeClock()
        self.cloud = BusyCloud(self.sim.app, self.life)
        self.stores = MemoryStores(SetClock())
        self.pods = {name: _pod(name, minors.get(name, 100)) for name in ("east", "west")}
        self.stores.tables.pods.update({pod.id: pod for pod in self.pods.values()})
        self.service = self.sim.token("tricircle", "service")
        self.user_id = self.sim.identity.accounts.find_user("demo").id  # type: ignore[union-attr]
        self.restart()

    def restart(self) -> None:
        """Begin a new process: what was only in memory is gone."""
        self.life.go_on()
        self.cloud.lost = frozenset()
        credential = FixedCredential(self.service)
        self.twins = TwinIds(
            Mortal(self.stores.routings, self.life),
            Mortal(self.stores.upkeep, self.life),
            self.stores.pods,
            self.cloud,
            credential,
            self.clock,
        )
        self.kinds = ReplicaKinds(self.cloud, credential, 10.0, self.twins)
        wishes = Mortal(self.stores.wishes, self.life)
        self.replication = Replication(wishes, self.twins, self.stores.pods, self.kinds)
        self.sweeper = self.make_sweeper(page=2)

    def make_sweeper(self, page: int) -> PodSweep:
        """Return what sweeps pods, so many wishes at a time."""
        return PodSweep(
            Mortal(self.stores.wishes, self.life),
            self.stores.pods,
            Mortal(self.stores.desk, self.life),
            self.kinds,
            self.twins,
            page,
        )

    async def wish(
        self, resource: Replica, name: str, document: Any, *, wanted: bool = True, owner: str = ""
    ) -> Wish:
        """Keep what the top wants, following whatever it wanted before."""
        key = WishKey(resource, owner, name)
        old = await self.stores.wishes.find_wish(key)
        expected = old.generation if old else 0
        bottom_id = BottomId(name) if wanted else None
        change = WishChange(key, document, wanted, expected, EAST, bottom_id)
        return (await self.stores.wishes.put_wish(change, "req-wish")).wish

    async def want_flavor(self, flavor_id: str = "f1", **values: Any) -> Wish:
        """Want a flavor."""
        return await self.wish(Replica.FLAVOR, flavor_id, flavor(**values))

    async def want_keypair(
        self, public_key: str = KEY, name: str = "my key", owner: str | None = None
    ) -> Wish:
        """Want a key pair of a user."""
        fingerprint = await self.fingerprint(public_key)
        document = {"name": name, "public_key": public_key, "fingerprint": fingerprint}
        return await self.wish(Replica.KEYPAIR, name, document, owner=owner or self.user_id)

    async def want_type(self, **values: Any) -> Wish:
        """Want a volume type."""
        document = {"name": "fast", "extra_specs": {"a": "1"}, **values}
        return await self.wish(Replica.VOLUME_TYPE, "t-top", document)

    async def want_all(self) -> list[Wish]:
        """Want one of each kind."""
        return [
            await self.want_flavor(extra_specs=SPECS, projects=["p1"], **PRIVATE),
            await self.want_keypair(),
            await self.want_type(is_public=False, projects=["p1"]),
        ]

    def check_all(self, pod: str = "west") -> None:
        """Fail the test unless a pod has one of each kind, complete."""
        made = self.flavor(pod)
        assert (made.extra_specs, made.projects) == (SPECS, {"p1"})
        assert self.keypair(pod).public_key == KEY
        assert list(self.types(pod)) == ["fast"]
        assert self.types(pod)["fast"].projects == {"p1"}

    async def want_no_more(self, wish: Wish) -> Wish:
        """Want a thing no more."""
        return await self.wish(
            wish.resource, wish.name, wish.document, wanted=False, owner=wish.owner
        )

    async def fingerprint(self, public_key: str) -> str:
        """Return what Nova makes of a public key."""
        body = {"keypair": {"name": "measure", "public_key": public_key}}
        made = await self.call("east", "POST", "/os-keypairs", body)
        await self.call("east", "DELETE", "/os-keypairs/measure")
        return str(made["keypair"]["fingerprint"])

    def job(self, wish: Wish, pod: PodId = WEST) -> Replicate:
        """Return the job of a wish for a pod."""
        return Replicate(pod, wish.resource.value, wish.owner, wish.name)

    async def replicate(self, wish: Wish, pod: PodId = WEST) -> Outcome:
        """Do the job of a wish."""
        return await self.replication.run(self.job(wish, pod), ERRAND)

    async def sweep(self, pod: PodId = WEST) -> Sequence[Replicate]:
        """Sweep a pod after all earlier jobs have ended; return the jobs that were asked for."""
        self.end_jobs()
        await self.sweeper.run(SweepPod(pod), ERRAND)
        return await self.waiting()

    async def waiting(self) -> Sequence[Replicate]:
        """Return the jobs that wait, ordered by what they are about."""
        found = await self.stores.records.list_jobs(JobFilter(state=JobState.NEW), 100)
        jobs = [one.job for one in found if isinstance(one.job, Replicate)]
        return sorted(jobs, key=lambda job: (job.resource, job.name))

    def end_jobs(self) -> None:
        """Drop all jobs."""
        self.stores.tables.jobs.jobs.clear()

    def sent(self, method: str = "") -> list[Sent]:
        """Return what pods were asked, only changes unless a method is named."""
        return [
            one
            for one in self.cloud.sent
            if (one.method == method if method else one.method != "GET")
        ]

    async def call(
        self, pod: str, method: str, path: str, body: object = None, version: str = "2.61"
    ) -> Any:
        """Return what a pod answers an operator; fails the test on an error."""
        status, answer = await self.try_call(pod, method, path, body, version)
        assert status < 300, answer
        return answer

    async def try_call(
        self, pod: str, method: str, path: str, body: object = None, version: str = "2.61"
    ) -> tuple[int, Any]:
        target, _, query = path.partition("?")
        is_volume = target.startswith(("/types", "/qos-specs", "/group_types"))
        service = Service.VOLUME if is_volume else Service.COMPUTE
        headers = [
            (b"x-auth-token", self.service.encode()),
            (b"content-type", b"application/json"),
        ]
        name = "volume" if is_volume else "compute"
        if version.startswith("3." if is_volume else "2."):
            headers.append((b"openstack-api-version", f"{name} {version}".encode()))
        sent = json.dumps(body).encode() if body is not None else None
        aside = BusyCloud(self.sim.app, Life())
        endpoint = self.pods[pod].endpoints[service]
        request = PodRequest(method, target, query, headers, sent)
        async with aside.send(PodId(pod), endpoint, request, 10.0) as response:
            answer = await response.read()
        return response.status, json.loads(answer) if answer else None

    # What the pods have, past their APIs.

    def flavor(self, pod: str, flavor_id: str = "f1") -> Any:
        """Return a flavor of a pod, if it is there."""
        return self.sim.pod(pod).compute.flavors.get(flavor_id)

    def keypair(self, pod: str, name: str = "my key") -> Any:
        """Return a key pair of a pod, if it is there."""
        return self.sim.pod(pod).compute.keypairs.get((self.user_id, name))

    def types(self, pod: str) -> dict[str, Any]:
        """Return the volume types of a pod by name, without the default one."""
        cinder = self.sim.pod(pod).volume
        return {one.name: one for one in cinder.types.values() if one is not cinder.default_type}


def flavor(**values: Any) -> dict[str, Any]:
    """Return the document of a flavor."""
    return {"name": "m1.own", "ram": 512, "vcpus": 1, "disk": 1, "description": None, **values}


def _pod(name: str, minor: int) -> Pod:
    root = f"{ROOT}/{name}"
    compute = VersionRange(Version(2, 1), Version(2, minor))
    volume = VersionRange(Version(3, 0), Version(3, 71))
    return Pod(
        PodId(name),
        name,
        name,
        endpoints={
            Service.COMPUTE: Endpoint(Service.COMPUTE, f"{root}/compute/v2.1", compute),
            Service.VOLUME: Endpoint(Service.VOLUME, f"{root}/volume/v3", volume),
        },
    )
