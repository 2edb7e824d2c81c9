"""Both gateways' way of changing replicas, on the small world of replication."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.usecases.networks_world import Mortal
from tests.usecases.replicas_world import ERRAND, World
from tricircle.compute.profile import PROFILE as COMPUTE
from tricircle.core.jobs import Replicate
from tricircle.core.model import Caller, Pod, ProjectId, UserId, Version
from tricircle.core.placing import Topology
from tricircle.core.runs import JobState
from tricircle.core.table import Replicated
from tricircle.core.wishes import Replica, Wish
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.forward import Forwarder
from tricircle.gateway.naming import Names
from tricircle.gateway.profile import Profile
from tricircle.gateway.replicating import Replicator
from tricircle.gateway.request import Inbound, Target
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import CountedIds
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.wishing import Wishing
from tricircle.volume.profile import PROFILE as VOLUME
from tricircle.volume.types import NAMINGS

VERSION = Version(2, 61)


class Bell:
    """``interfaces.bus.Bell``: counts."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str, request_id: str) -> None:
        self.rung.append(job_id)


class GatewayWorld(World):
    """A top whose gateways change replicas."""

    ids = CountedIds(9)

    def restart(self) -> None:
        super().restart()
        self.bell = Bell()
        self.topology = Topology(tuple(self.pods.values()), ())
        forwarders = {id(one): self._forwarder(one) for one in (COMPUTE, VOLUME)}
        self.replicators = {key: self._replicator(one) for key, one in forwarders.items()}
        self.any_pods = {key: AnyPod(one, lambda: self.topology) for key, one in forwarders.items()}

    def _forwarder(self, profile: Profile) -> Forwarder:
        return Forwarder(self.cloud, profile, lambda: self.topology, 10.0, Names(self.twins))

    def _replicator(self, forwarder: Forwarder) -> Replicator:
        wishes = Mortal(self.stores.wishes, self.life)
        requests = JobRequests(self.stores.desk, self.bell)
        wishing = Wishing(wishes, self.twins, self.kinds, self.replication, requests)
        return Replicator(forwarder, wishing, lambda: self.topology, self.ids)

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = "admin",
        version: Version = VERSION,
    ) -> tuple[int, Any]:
        """Return what a gateway answers a user; admins are in project admin, others in demo."""
        target, _, query = path.partition("?")
        profile = VOLUME if target.split("/")[1] in NAMINGS else COMPUTE
        match = profile.table.find(method, target)
        assert match is not None
        assert isinstance(match.row.strategy, Replicated)
        inbound = Inbound(
            method,
            Target(profile.current_api, None, target),
            query,
            ((b"content-type", b"application/json"), *self._token(user)),
            json.dumps(body).encode() if body is not None else b"",
            self._caller(user),
            version if profile is COMPUTE else Version(3, 70),
            "req-user",
            "http://top",
            match.row.naming,
        )
        change = match.row.strategy.change
        if change is None:
            answer = await self.any_pods[id(profile)].ask(inbound)
        else:
            answer = await self.replicators[id(profile)].change(inbound, match, change)
        return answer.status, json.loads(answer.body) if answer.body else None

    def _caller(self, user: str) -> Caller:
        project = "admin" if user == "admin" else "demo"
        found = self.sim.identity.accounts.find_user(user)
        assert found is not None
        roles = frozenset({"admin" if user == "admin" else "member"})
        project_id = ProjectId(self.sim.project_id(project))
        return Caller(UserId(found.id), project_id, roles, self.token_of(user))

    def token_of(self, user: str) -> str:
        """Return a token of a user."""
        project, role = ("admin", "admin") if user == "admin" else ("demo", "member")
        return self.sim.token(user, project, (role,) if user != "reader" else ("reader",))

    def _token(self, user: str) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"x-auth-token", self.token_of(user).encode()),)

    async def wishes(self, resource: Replica = Replica.FLAVOR) -> Mapping[str, Wish]:
        """Return the wishes by name."""
        return {one.name: one for one in await self.stores.wishes.list_wishes(resource, 100)}

    async def jobs(self) -> list[Replicate]:
        """Return the jobs that wait."""
        found = await self.stores.records.list_jobs(JobFilter(state=JobState.NEW), 100)
        return [one.job for one in found if isinstance(one.job, Replicate)]

    async def work(self) -> None:
        """Do all jobs that wait, as a worker does."""
        jobs = await self.jobs()
        self.end_jobs()
        for job in jobs:
            await self.replication.run(job, ERRAND)

    async def replicate_job(self, job: Replicate) -> None:
        """Do one job, as a worker does."""
        await self.replication.run(job, ERRAND)

    def leave(self, pod: str) -> Pod:
        """Let a pod be none of the top's; return it as it was."""
        left = self.pods.pop(pod)
        del self.stores.tables.pods[left.id]
        self.restart()
        return left

    def join(self, pod: Pod) -> None:
        """Let a pod be one of the top's from now on."""
        self.pods[pod.name] = pod
        self.stores.tables.pods[pod.id] = pod
        self.restart()
