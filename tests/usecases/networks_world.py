"""A small world for tests of booting on networks: a simulated cloud, asked without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tricircle.core.errors import PodDead, PodTimeout, TricircleError
from tricircle.core.jobs import (
    JOB_CLASSES,
    DeleteStrayPort,
    Job,
    KeepSparePorts,
    ReleasePort,
    ReleaseServer,
    RepairPort,
    RepairSparePort,
    RepairTwin,
    SweepTwins,
)
from tricircle.core.model import (
    Caller,
    Endpoint,
    Pod,
    PodId,
    ProjectId,
    Service,
    TopId,
    UserId,
    Version,
)
from tricircle.core.runs import Ending, Errand, JobState, LeaseToken, Outcome, RetryRules
from tricircle.interfaces.cloud import Headers, PodRequest
from tricircle.interfaces.jobs import ClaimAsk, JobFilter
from tricircle.testing.cloud import CountedIds, SetClock, SimulatedCloud
from tricircle.testing.cloud.simulation import ConnectionClosed
from tricircle.testing.store import MemoryStores
from tricircle.usecases.boot import Placed, ServerNetworks
from tricircle.usecases.ensure import Patience, TwinMaker
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S, Leftovers
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.server_ports import ServerPorts, TwinStores
from tricircle.usecases.release import Release, ReleaseJobs
from tricircle.usecases.repair import Repair, RepairOptions
from tricircle.usecases.spare_ports import SpareKeeper, SpareOptions
from tricircle.usecases.spare_repair import Ages, SpareRepair
from tricircle.usecases.spare_search import SpareFinder
from tricircle.usecases.sweep import Sweep, SweepReport, TwinFinder, sweep_here
from tricircle.xjob.worker import explain

ROOT = "http://cloud"
LATEST = Version(2, 100)
OLD = Version(2, 30)
LEASE_S = 45.0


class Died(BaseException):
    """The process was killed here; nothing can catch that."""


class Life:
    """Counts the steps of a process, each call to the outside, and ends it at one of them."""

    def __init__(self) -> None:
        self.steps = 0
        self.last: int | None = None
        self.carried_out = False

    def end_at(self, step: int, *, carried_out: bool) -> None:
        """Die at a step (from 0), before or after the outside has carried it out."""
        self.steps, self.last, self.carried_out = 0, step, carried_out

    def go_on(self) -> None:
        """Live for ever."""
        self.last = None

    def begin(self) -> int:
        """Begin a step; return its number."""
        number, self.steps = self.steps, self.steps + 1
        dies = self.last is not None and number >= self.last + self.carried_out
        if dies:
            raise Died
        return number

    def complete(self, number: int) -> None:
        """End a step that the outside has carried out."""
        if self.last is not None and self.carried_out and number >= self.last:
            raise Died


class Mortal:
    """A store whose every call is a step of a life."""

    def __init__(self, store: Any, life: Life) -> None:
        self._store, self._life = store, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            number = self._life.begin()
            value = await method(*args, **kwargs)
            self._life.complete(number)
            return value

        return call


@dataclass(frozen=True, slots=True)
class Sent:
    """One call that went out."""

    pod: str
    method: str
    path: str
    query: str
    headers: dict[str, str]


@dataclass(slots=True)
class Answered:
    """``interfaces.cloud.PodResponse``."""

    status: int
    headers: Headers
    body: bytes

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body


@dataclass(slots=True)
class DirectCloud:
    """``interfaces.cloud.Cloud`` on a simulation in this process.

    ``lost`` are the numbers of calls (from 0) whose answers are lost on the way.
    """

    app: Callable[..., Any]
    life: Life
    sent: list[Sent] = field(default_factory=list)
    lost: frozenset[int] = frozenset()

    @asynccontextmanager
    async def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> AsyncIterator[Answered]:
        call, number = len(self.sent), self.life.begin()
        headers = {name.decode(): value.decode() for name, value in request.headers}
        self.sent.append(Sent(pod_id, request.method, request.path, request.query, headers))
        answered = await self._call(pod_id, endpoint, request)
        self.life.complete(number)
        if call in self.lost:
            raise PodTimeout(pod_id, f"pod {pod_id} did not answer in time")
        yield answered

    def is_dead(self, pod_id: PodId) -> bool:
        return False

    async def _call(self, pod_id: PodId, endpoint: Endpoint, request: PodRequest) -> Answered:
        url = urlsplit(endpoint.url)
        headers = [(b"host", url.netloc.encode()), *request.headers]
        body = request.body if isinstance(request.body, bytes) else b""
        if body:
            headers.append((b"content-length", str(len(body)).encode()))
        scope = {
            "type": "http",
            "method": request.method,
            "path": url.path + request.path,
            "query_string": request.query.encode(),
            "headers": headers,
            "scheme": "http",
        }
        answered = Answered(0, [], b"")

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = message["headers"]
            else:
                answered.body += message.get("body", b"")

        try:
            await self.app(scope, receive, send)
        except ConnectionClosed:
            raise PodDead(pod_id, f"pod {pod_id} refuses connections") from None
        return answered


class QuickClock:
    """A clock whose waits pass at once, taking the simulation's time with them."""

    def __init__(self, wall: SetClock) -> None:
        self._wall = wall
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        self._now_s += seconds
        self._wall.advance(seconds)
        await asyncio.sleep(0)


class Bell:
    """``interfaces.bus.Bell``: nobody listens, and it is written down."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job_id: str, request_id: str) -> None:
        self.rung.append(job_id)


class FixedCredential:
    """The service's token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self) -> str:
        return self._token


class World:
    """Two pods, a top, and everything that boots need."""

    def __init__(self, pods: tuple[str, ...] = ("pod1", "pod2")) -> None:
        self.wall = SetClock()
        self.ids = CountedIds(7)
        self.sim = SimulatedCloud(pods, clock=self.wall, ids=CountedIds())
        self.life = Life()
        self.cloud = DirectCloud(self.sim.app, self.life)
        self.stores = MemoryStores(self.wall)
        self.pods = {name: _pod(name) for name in pods}
        self.stores.tables.pods.update({pod.id: pod for pod in self.pods.values()})
        # tests let hours pass, in which the real credential would renew its token
        self.sim.identity.accounts.token_life_s = 30 * 86400.0
        self.service = self.sim.token("tricircle", "service")
        self.spare_options = SpareOptions()
        self.restart()

    def restart(self) -> None:
        """Begin a new process: what was only in memory is gone."""
        self.life.go_on()
        self.cloud.lost = frozenset()
        self.clock = QuickClock(self.wall)
        neutrons = Neutrons(
            self.cloud,
            FixedCredential(self.service),
            Endpoint(Service.NETWORK, f"{ROOT}/top/network"),
            10.0,
        )
        stores = TwinStores(
            Mortal(self.stores.routings, self.life),
            Mortal(self.stores.upkeep, self.life),
            lambda pod_id: {pod.id: pod for pod in self.pods.values()}.get(pod_id),
        )
        patience = Patience(lease_s=LEASE_S, wait_s=15.0)
        self.bell = Bell()
        self.requests = JobRequests(Mortal(self.stores.desk, self.life), self.bell)
        self.networks = ServerNetworks(
            neutrons,
            stores,
            Leftovers(self.requests),
            self.clock,
            self.ids,
            patience,
            Mortal(self.stores.spares, self.life),
        )
        self.release = Release(neutrons, stores)
        ledger = Mortal(self.stores.quota_ledger, self.life)
        self.release_jobs = ReleaseJobs(self.release, stores.find_pod, ledger)
        maker = TwinMaker(stores.routings, self.clock, self.ids, patience)
        options = RepairOptions(lambda pod_id, zone: zone)
        spares = Mortal(self.stores.spares, self.life)
        ages = Ages(UNDER_WAY_S, self.spare_options.kept_for_s, self.wall)
        self.spare_repair = SpareRepair(
            stores, spares, ServerPorts(neutrons, stores, maker, self.clock), ages
        )
        self.repair = Repair(neutrons, stores, self.release, maker, self.spare_repair, options)
        spare_finder = SpareFinder(neutrons, spares, stores.find_pod, ages)
        self.finder = TwinFinder(neutrons, stores, spare_finder, self.wall)
        self.sweeper = Sweep(self.finder, self.requests)
        random = Random(self.ids())  # noqa: S311
        self.spares = SpareKeeper(neutrons, stores, spares, self.spare_options.wanted, random)

    def caller(self, project: str = "demo", *roles: str) -> Caller:
        """Return a caller of a project, a member unless said otherwise."""
        held = roles or ("member",)
        token = self.sim.token(f"{project}-{'-'.join(held)}", project, held)
        project_id = ProjectId(self.sim.project_id(project))
        return Caller(UserId("user"), project_id, frozenset(held), token)

    async def call(
        self, where: str, method: str, path: str, body: object = None, token: str | None = None
    ) -> Any:
        """Return what a Neutron (``top`` or a pod) answers; fails the test on an error."""
        status, answer = await self.try_call(where, method, path, body, token)
        assert status < 300, answer
        return answer

    async def try_call(
        self, where: str, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[int, Any]:
        service = "compute/v2.1" if path.startswith("/servers") else "network/v2.0"
        target, _, query = path.partition("?")
        request = PodRequest(
            method,
            target,
            query,
            [(b"x-auth-token", (token or self.service).encode())],
            json.dumps(body).encode() if body is not None else None,
        )
        endpoint = Endpoint(Service.NETWORK, f"{ROOT}/{where}/{service}")
        aside = DirectCloud(self.sim.app, Life())
        async with aside.send(PodId(where), endpoint, request, 10.0) as response:
            answer = await response.read()
        return response.status, json.loads(answer) if answer else None

    async def add_network(
        self, project: str = "demo", cidr: str | None = "10.0.0.0/24", **values: Any
    ) -> Any:
        """Return a new network of the top, with a subnet."""
        token = self.caller(project, "admin", "member").token
        wanted = {"name": "web", **values}
        network = (await self.call("top", "POST", "/networks", {"network": wanted}, token))[
            "network"
        ]
        if cidr is not None:
            await self.add_subnet(network["id"], cidr, project)
        return network

    async def add_subnet(
        self, network_id: str, cidr: str, project: str = "demo", **values: Any
    ) -> Any:
        """Return a new subnet of the top."""
        wanted = {"network_id": network_id, "ip_version": 6 if ":" in cidr else 4, "cidr": cidr}
        token = self.caller(project).token
        answer = await self.call("top", "POST", "/subnets", {"subnet": wanted | values}, token)
        return answer["subnet"]

    async def add_port(self, network_id: str, project: str = "demo", **values: Any) -> Any:
        """Return a new port of the top."""
        token = self.caller(project).token
        wanted = {"network_id": network_id, **values}
        return (await self.call("top", "POST", "/ports", {"port": wanted}, token))["port"]

    async def items(self, where: str, collection: str, **filters: str) -> list[Any]:
        """Return what a Neutron has, everything of all projects."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        answer = await self.call(where, "GET", f"/{collection}?{query}")
        return list(answer[collection.replace("-", "_")])

    async def ports(self, where: str) -> list[Any]:
        """Return the ports that servers have or will have."""
        found = await self.items(where, "ports")
        return [port for port in found if not port["device_owner"].startswith("network:")]

    async def boot(
        self, server: dict[str, Any], pod: str = "pod1", caller: Caller | None = None
    ) -> tuple[str, Placed]:
        """Boot a server as the compute gateway does; return its id and what was placed."""
        caller = caller or self.caller()
        body = json.dumps({"server": self.server(**server)}).encode()
        resolved = await self.networks.resolve(caller, body, LATEST, "req-boot")
        try:
            placed = await self.networks.place(resolved, self.pods[pod])
        except Exception:
            await self.networks.undo(resolved)
            raise
        server_id = await self.send_boot(placed, caller)
        if not server_id:
            await self.networks.undo(placed)
            return "", placed
        await self.networks.finish(placed, TopId(server_id), "az1")
        return server_id, placed

    def server(self, **values: Any) -> dict[str, Any]:
        """Return the body of a server."""
        image = next(iter(self.sim.images.items))
        return {"name": "vm", "imageRef": image, "flavorRef": "1", **values}

    async def send_boot(self, placed: Placed, caller: Caller) -> str:
        """Send a placed body to its pod's Nova; return the server's id, '' when it refuses."""
        endpoint = placed.pod.endpoints[Service.COMPUTE]
        headers = [
            (b"x-auth-token", caller.token.encode()),
            (b"openstack-api-version", b"compute 2.100"),
            (b"content-type", b"application/json"),
        ]
        request = PodRequest("POST", "/servers", "", headers, placed.body)
        async with self.cloud.send(placed.pod.id, endpoint, request, 60.0) as response:
            answer = json.loads(await response.read())
        return str(answer["server"]["id"]) if response.status == 202 else ""

    async def delete_server(self, server_id: str, pod: str = "pod1") -> None:
        """Delete a server in its pod, as Nova does once it is told."""
        await self.call(pod, "DELETE", f"/servers/{server_id}")

    def grow_old(self, older_than_s: float = UNDER_WAY_S) -> None:
        """Let time pass until nothing that is there can be under way."""
        self.wall.now += timedelta(seconds=older_than_s + 60)

    async def sweep(self) -> SweepReport:
        """Let time pass until everything is old, then sweep in this process."""
        self.grow_old()
        return await self.sweep_now()

    async def sweep_now(self) -> SweepReport:
        """Sweep in this process what is old already."""
        return await sweep_here(self.finder, self.repair, UNDER_WAY_S, "req-sweep")

    async def sweep_by_jobs(self) -> None:
        """Let time pass until everything is old, then sweep and do all jobs, as workers do."""
        self.grow_old()
        await self.carry_out(SweepTwins())
        await self.work()

    async def jobs(self) -> list[Job]:
        """Return the jobs that wait, in the order of their kinds and fields."""
        found = await self.stores.records.list_jobs(JobFilter(state=JobState.NEW), 1000)
        return sorted((record.job for record in found), key=repr)

    async def carry_out(self, job: Job, attempt: int = 1) -> Outcome:
        """Return the outcome of a job's run, as a worker calls for it."""
        errand = Errand("req-job", attempt)
        match job:
            case ReleaseServer():
                return await self.release_jobs.release_server(job, errand)
            case ReleasePort():
                return await self.release_jobs.release_port(job, errand)
            case KeepSparePorts():
                return await self.spares.run(job, errand)
            case RepairPort() | RepairTwin() | DeleteStrayPort() | RepairSparePort():
                return await self.repair.run(job, errand)
            case SweepTwins():
                return await self.sweeper.run(job, errand)
            case _:
                raise AssertionError(f"nobody carries out {job.kind}")

    async def work(self) -> dict[Job, Outcome]:
        """Carry out what is due, as a worker does, until nothing is; return the last outcomes."""
        outcomes: dict[Job, Outcome] = {}
        await self.stores.queue.recover_jobs(RetryRules())
        while runs := (await self.stores.queue.claim_jobs(self._ask())).runs:
            for run in runs:
                try:
                    outcome = await self.carry_out(run.job, run.attempt)
                except TricircleError as error:
                    outcome = explain(error, run.job, lambda pod_id: False)
                await self.stores.queue.finish_runs([Ending(run, outcome, RetryRules(), 1.0)])
                outcomes[run.job] = outcome
        return outcomes

    def _ask(self) -> ClaimAsk:
        token = LeaseToken(f"worker/{self.ids()}")
        return ClaimAsk("worker", token, 50, 60.0, [each.kind for each in JOB_CLASSES], 50)


def _pod(name: str) -> Pod:
    root = f"{ROOT}/{name}"
    return Pod(
        PodId(name),
        name,
        name,
        endpoints={
            Service.COMPUTE: Endpoint(Service.COMPUTE, f"{root}/compute/v2.1"),
            Service.NETWORK: Endpoint(Service.NETWORK, f"{root}/network"),
        },
        created_at=datetime(2026, 1, 1),
    )
