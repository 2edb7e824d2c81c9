"""Real job workers on a real database and broker, in front of simulated pods.

The workers are the program itself. Each pod is behind a socket of its own, so that it
can really be away, and counts the flavors that it makes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.brokers import get_transport_url
from tricircle.adapters.config import Settings, load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import BottomId, Endpoint, Pod, PodId, Service, Version, VersionRange
from tricircle.core.runs import JobId
from tricircle.core.wishes import Document, Replica, WishKey
from tricircle.interfaces.wishes import WishChange
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.testing.cloud.serving import listen

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from tricircle.wiring.xjob import main; main()"
PASSWORD = "canary-password-of-the-service-9f3e"
SOURCE, OTHERS = "pod1", ("pod2", "pod3")
"""The pod that has every flavor already, and those that jobs must make them in."""

STOP_S = 20

Message = MutableMapping[str, Any]


@dataclass
class Stage:
    """What is there, and ways to break it."""

    folder: Path
    cloud: SimulatedCloud
    settings: Settings
    stores: SqlStores
    pods: dict[str, PodId]
    sockets: dict[str, AsyncExitStack]
    ports: dict[str, int]
    created: dict[str, Counter[str]]
    workers: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    # Pods.

    async def stop_pod(self, name: str) -> None:
        """Have nobody listen where a pod is; what it holds stays."""
        await self.sockets[name].aclose()

    async def start_pod(self, name: str) -> None:
        """Serve a pod again where it was."""
        serving = _serve_pod(self.cloud, name, self.ports[name], self.created[name])
        await self.sockets[name].enter_async_context(serving)

    def flavors_of(self, name: str) -> set[str]:
        """Return the flavors that a pod has of those that were wished for."""
        flavors = self.cloud.pod(name).compute.flavors
        return {flavor_id for flavor_id in flavors if flavor_id.startswith("flavor-")}

    async def wish_for_flavor(self, number: int) -> tuple[str, Sequence[JobId]]:
        """Make a flavor in ``SOURCE`` and wish it for all pods; return its id and the jobs."""
        flavor_id, name, ram = f"flavor-{number}", f"size {number}", 64 + number
        made = self.cloud.pod(SOURCE).compute.add_flavor(flavor_id, name, 1, ram, 1)
        made.extra_specs["hw:number"] = str(number)
        document: Document = {
            "name": name, "ram": ram, "vcpus": 1, "disk": 1,
            "extra_specs": {"hw:number": str(number)},
        }  # fmt: skip
        change = WishChange(
            WishKey(Replica.FLAVOR, "", flavor_id),
            document,
            wanted=True,
            expected=0,
            pod_id=self.pods[SOURCE],
            bottom_id=BottomId(flavor_id),
        )
        put = await self.stores.wishes.put_wish(change, f"req-{uuid.uuid4()}")
        return flavor_id, put.job_ids

    # Workers.

    async def start_worker(self, number: int) -> asyncio.subprocess.Process:
        """Start a worker under a number; the one that had it before is over."""
        config = self.folder / f"worker-{number}.conf"
        config.write_text(f"[xjob]\nbind_port = {free_port()}\n")
        files = [self.folder / "tricircle.conf", config]
        arguments = [text for file in files for text in ("--config-file", str(file))]
        with self.log_of(number).open("ab") as log:
            self.workers[number] = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, *arguments, cwd=ROOT, stdout=log, stderr=log
            )
        return self.workers[number]

    def log_of(self, number: int) -> Path:
        """Return where a worker logs."""
        return self.folder / f"worker-{number}.log"

    async def stop_workers(self) -> None:
        """Ask all workers to end, and see to it."""
        for process in self.workers.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.workers.values():
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_S)
            with suppress(ProcessLookupError):
                process.kill()


@asynccontextmanager
async def open_stage(url: str, folder: Path, options: str) -> AsyncIterator[Stage]:
    """Yield a stage without workers; ``options`` are those of [xjob]."""
    cloud = SimulatedCloud(pods=(SOURCE, *OTHERS), token_life_s=86_400)
    created: dict[str, Counter[str]] = {name: Counter() for name in cloud.pods}
    async with AsyncExitStack() as stack:
        root = await stack.enter_async_context(serve(cloud.app))
        sockets, ports = {}, {}
        for name in cloud.pods:
            sockets[name] = await stack.enter_async_context(AsyncExitStack())
            ports[name] = free_port()
            serving = _serve_pod(cloud, name, ports[name], created[name])
            await sockets[name].enter_async_context(serving)
        settings = _configure(cloud, url, folder, root, options)
        database = open_database(url)
        stack.push_async_callback(database.close)
        stores = SqlStores(database)
        pods = {name: await _register(stores, name, port) for name, port in ports.items()}
        stage = Stage(folder, cloud, settings, stores, pods, sockets, ports, created)
        stack.push_async_callback(stage.stop_workers)
        yield stage


@asynccontextmanager
async def _serve_pod(
    cloud: SimulatedCloud, name: str, port: int, made: Counter[str]
) -> AsyncIterator[None]:
    real = cloud.app_for(name)

    async def counting(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        creates = scope.get("method") == "POST" and scope["path"].endswith("/flavors")
        body = b""

        async def read() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def answer(message: Message) -> None:
            if creates and message.get("status", 500) < 300:
                made[json.loads(body)["flavor"]["id"]] += 1
            await send(message)

        await real(scope, read if creates else receive, answer if creates else send)

    async with serve(counting, port) as url:
        cloud.serve_pod_at(name, url)
        yield


def _configure(cloud: SimulatedCloud, url: str, folder: Path, root: str, options: str) -> Settings:
    cloud.token("tricircle", "service", ("admin", "service"))
    user = cloud.identity.accounts.find_user("tricircle")
    assert user is not None
    user.password = PASSWORD
    login = (
        f"auth_type = password\nauth_url = {root}/identity/v3\nusername = tricircle\n"
        f"password = {PASSWORD}\nproject_name = service\n"
        "user_domain_name = Default\nproject_domain_name = Default\n"
    )
    path = folder / "tricircle.conf"
    path.write_text(
        f"[DEFAULT]\ntransport_url = {get_transport_url()}\n"
        f"[database]\nconnection = {url}\n"
        f"[service_credential]\n{login}"
        "[gateway]\nprobe_interval_s = 1\n"
        f"[xjob]\n{options}\n"
    )
    return load_settings("tricircle-test", files=[str(path)])


async def _register(stores: SqlStores, name: str, port: int) -> PodId:
    versions = VersionRange(Version(2, 1), Version(2, 100))
    url = f"http://127.0.0.1:{port}/{name}/compute/v2.1"
    compute = Endpoint(Service.COMPUTE, url, versions)
    pod = Pod(PodId(str(uuid.uuid4())), name, name, endpoints={Service.COMPUTE: compute})
    return (await stores.pods.add_pod(pod)).id


def free_port() -> int:
    """Return a port that nobody listens on now."""
    listening = listen()
    port: int = listening.getsockname()[1]
    listening.close()
    return port
