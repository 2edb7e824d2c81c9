"""Job workers, a database, a broker and pods, all of which die while jobs are done.

The workers are the real program, the database and the broker real servers, the pods
simulated ones behind sockets of their own. What the jobs do is real, too: they make
the flavors of the top in two pods that lack them.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.brokers import get_broker, get_transport_url
from tricircle.adapters.bus import open_bell
from tricircle.adapters.config import Settings, load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.jobs import JobState
from tricircle.core.model import (
    BottomId,
    Endpoint,
    Pod,
    PodId,
    Service,
    Version,
    VersionRange,
)
from tricircle.core.wishes import Document, Replica, WishKey
from tricircle.interfaces.jobs import JobFilter
from tricircle.interfaces.wishes import WishChange
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.testing.cloud.serving import listen

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from tricircle.wiring.xjob import main; main()"
PASSWORD = "canary-password-of-the-service-9f3e"
SOURCE, OTHERS = "pod1", ("pod2", "pod3")
SEED = 20261127


@dataclass(frozen=True)
class Plan:
    """What happens. Times are in seconds, ``kill_every_s`` is for one worker of all."""

    flavors: int
    workers: int = 4
    kill_every_s: float = 2.0
    broker_away: tuple[float, float] = (3.0, 5.0)
    pod_away: tuple[float, float] = (2.0, 10.0)
    deadline_s: float = 300.0

    @property
    def effects(self) -> int:
        """Return how many things the jobs have to make."""
        return self.flavors * len(OTHERS)


@dataclass
class Figures:
    """What was seen."""

    plan: Plan
    took_s: float = 0.0
    kills: int = 0
    attempts: int = 0
    created: dict[str, Counter[str]] = field(default_factory=dict)
    present: dict[str, set[str]] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    after_pod_s: float = 0.0
    wished: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        rate = self.plan.effects / self.took_s
        return (
            f"{self.plan.effects} effects and {self.plan.flavors} checks in {self.took_s:.0f} s "
            f"({rate:.0f} effects/s), {self.kills} workers killed, "
            f"{self.attempts} runs begun for {sum(self.states.values())} jobs, "
            f"{self.after_pod_s:.0f} s from the pod's return to the end, states {dict(self.states)}"
        )


class Disaster:
    """The stage, and everything that goes wrong on it."""

    def __init__(self, plan: Plan, database_url: str, folder: Path) -> None:
        self.plan, self.url, self.folder = plan, database_url, folder
        self.figures = Figures(plan)
        self.cloud = SimulatedCloud(pods=(SOURCE, *OTHERS), token_life_s=86_400)
        self.random = random.Random(SEED)  # noqa: S311 (no secret)
        self.processes: dict[int, asyncio.subprocess.Process] = {}
        self.settings: Settings | None = None
        self.roots: dict[str, str] = {}
        self.pod_back_s = 0.0

    async def run(self) -> Figures:
        """Let it all happen; return what was seen at the end."""
        async with AsyncExitStack() as stack:
            root = await stack.enter_async_context(serve(self.cloud.app))
            await stack.enter_async_context(self._pod(SOURCE, 0))
            await stack.enter_async_context(self._pod(OTHERS[0], 0))
            third = AsyncExitStack()
            stack.push_async_callback(third.aclose)
            number = free_port()
            await third.enter_async_context(self._pod(OTHERS[1], number))
            self.settings = self._configure(root)
            database = open_database(self.url)
            stack.push_async_callback(database.close)
            stores = SqlStores(database)
            pods = await self._register(stores)
            stack.push_async_callback(self._stop_workers)
            for worker in range(self.plan.workers):
                await self._start_worker(worker)
            started_s = time.monotonic()
            trouble = [
                asyncio.create_task(self._kill_workers()),
                asyncio.create_task(self._stop_broker()),
                asyncio.create_task(self._stop_pod(third, number)),
            ]
            try:
                await self._submit(stores, pods)
                await asyncio.gather(*trouble[1:])
                await self._wait_until_done(stores, started_s)
            finally:
                for task in trouble:
                    task.cancel()
                await asyncio.gather(*trouble, return_exceptions=True)
            await self._look(stores, started_s)
        return self.figures

    # The stage.

    @asynccontextmanager
    async def _pod(self, name: str, port: int) -> AsyncIterator[str]:
        """Serve a pod, counting the flavors that it makes."""
        made = self.figures.created.setdefault(name, Counter())
        real = self.cloud.app_for(name)

        async def counting(
            scope: MutableMapping[str, Any],
            receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
            send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        ) -> None:
            creates = scope.get("method") == "POST" and scope["path"].endswith("/flavors")
            body = b""

            async def read() -> MutableMapping[str, Any]:
                nonlocal body
                message = await receive()
                body += message.get("body", b"")
                return message

            async def answer(message: MutableMapping[str, Any]) -> None:
                if creates and message.get("status", 500) < 300:
                    made[json.loads(body)["flavor"]["id"]] += 1
                await send(message)

            await real(scope, read if creates else receive, answer if creates else send)

        async with serve(counting, port) as url:
            self.cloud.serve_pod_at(name, url)
            self.roots[name] = url
            yield url

    def _configure(self, root: str) -> Settings:
        self.cloud.token("tricircle", "service", ("admin", "service"))
        user = self.cloud.identity.accounts.find_user("tricircle")
        assert user is not None
        user.password = PASSWORD
        login = (
            f"auth_type = password\nauth_url = {root}/identity/v3\nusername = tricircle\n"
            f"password = {PASSWORD}\nproject_name = service\n"
            "user_domain_name = Default\nproject_domain_name = Default\n"
        )
        path = self.folder / "tricircle.conf"
        path.write_text(
            f"[DEFAULT]\ntransport_url = {get_transport_url()}\n"
            f"[database]\nconnection = {self.url}\n"
            f"[keystone_authtoken]\nwww_authenticate_uri = {root}/identity/v3\n{login}"
            f"[service_credential]\n{login}"
            "[gateway]\nprobe_interval_s = 1\n"
            "[xjob]\nlease_s = 6\nlongest_pod_pause_s = 5\n"
        )
        return load_settings("tricircle-test", files=[str(path)])

    async def _register(self, stores: SqlStores) -> dict[str, PodId]:
        versions = VersionRange(Version(2, 1), Version(2, 100))
        ids = {}
        for name, root in self.roots.items():
            compute = Endpoint(Service.COMPUTE, f"{root}/{name}/compute/v2.1", versions)
            pod = Pod(PodId(str(uuid.uuid4())), name, name, endpoints={Service.COMPUTE: compute})
            ids[name] = (await stores.pods.add_pod(pod)).id
        return ids

    # Workers.

    async def _start_worker(self, number: int) -> None:
        log = (self.folder / f"worker-{number}.log").open("ab")
        port = free_port()
        config = self.folder / f"worker-{number}.conf"
        config.write_text(f"[xjob]\nbind_port = {port}\n")
        self.processes[number] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            "--config-file",
            str(self.folder / "tricircle.conf"),
            "--config-file",
            str(config),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        log.close()

    async def _stop_workers(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 20)
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.kill()

    async def _kill_workers(self) -> None:
        while True:
            await asyncio.sleep(self.plan.kill_every_s * self.random.uniform(0.5, 1.5))
            number = self.random.randrange(self.plan.workers)
            process = self.processes[number]
            process.kill()
            await process.wait()
            self.figures.kills += 1
            await self._start_worker(number)

    async def _stop_broker(self) -> None:
        after_s, away_s = self.plan.broker_away
        await asyncio.sleep(after_s)
        broker = get_broker()
        await asyncio.to_thread(broker.crash)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(broker.start)

    async def _stop_pod(self, life: AsyncExitStack, port: int) -> None:
        after_s, away_s = self.plan.pod_away
        await asyncio.sleep(after_s)
        await life.aclose()
        await asyncio.sleep(away_s)
        await life.enter_async_context(self._pod(OTHERS[1], port))
        self.pod_back_s = time.monotonic()

    # Jobs.

    async def _submit(self, stores: SqlStores, pods: dict[str, PodId]) -> None:
        assert self.settings is not None
        async with open_bell(self.settings) as bell:
            for number in range(self.plan.flavors):
                flavor_id, document = make_flavor(self.cloud, number)
                self.figures.wished.add(flavor_id)
                put = await stores.wishes.put_wish(
                    WishChange(
                        WishKey(Replica.FLAVOR, "", flavor_id),
                        document,
                        wanted=True,
                        expected=0,
                        pod_id=pods[SOURCE],
                        bottom_id=BottomId(flavor_id),
                    ),
                    f"req-{uuid.uuid4()}",
                )
                for job_id in put.job_ids:
                    bell.ring(job_id, "req-test")

    async def _wait_until_done(self, stores: SqlStores, started_s: float) -> None:
        while time.monotonic() - started_s < self.plan.deadline_s:
            left = [
                count.count
                for count in await stores.records.count_jobs()
                if count.kind == "replicate"
            ]
            paused = await stores.records.list_jobs(
                JobFilter(kind="replicate", state=JobState.NEW), 1
            )
            if not left and not paused:
                return
            await asyncio.sleep(0.5)

    async def _look(self, stores: SqlStores, started_s: float) -> None:
        figures, now_s = self.figures, time.monotonic()
        figures.took_s = now_s - started_s
        figures.after_pod_s = now_s - self.pod_back_s
        after = None
        while True:
            page = await stores.records.list_jobs(JobFilter(kind="replicate"), 1000, after)
            for record in page:
                figures.states[str(record.state)] += 1
                figures.attempts += max(record.attempts, 1)
            if len(page) < 1000:
                break
            after = (page[-1].created_at, page[-1].id)
        for name in self.cloud.pods:
            ours = self.cloud.pod(name).compute.flavors
            figures.present[name] = {key for key in ours if key.startswith("flavor-")}


def free_port() -> int:
    """Return a port that nobody listens on now."""
    listening = listen()
    port: int = listening.getsockname()[1]
    listening.close()
    return port


def make_flavor(cloud: SimulatedCloud, number: int) -> tuple[str, Document]:
    """Make a flavor in the pod that has all of them; return its id and what it is like."""
    flavor_id = f"flavor-{number}"
    document = {"name": f"size {number}", "ram": 64 + number, "vcpus": 1, "disk": 1}
    made = cloud.pod(SOURCE).compute.add_flavor(flavor_id, f"size {number}", 1, 64 + number, 1)
    made.extra_specs["hw:number"] = str(number)
    return flavor_id, {**document, "extra_specs": {"hw:number": str(number)}}
