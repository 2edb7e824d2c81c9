"""The whole top in front of a simulated cloud: real programs' parts, real HTTP, one thread.

For tests of a gateway's behaviour. The database is a SQLite file, tokens are
checked by keystonemiddleware, and pods are asked over loopback.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import uuid
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulated_worker import open_worker
from tricircle.adapters.config import Settings, load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
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
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.wiring.compute import open_compute
from tricircle.wiring.volume import open_volume

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

COMPUTE_RANGE = VersionRange(Version(2, 1), Version(2, 100))
_NO_QUOTA = {
    "[quota]": "instances = -1\ncores = -1\nram = -1\n",
    "[volume_quota]": "volumes = -1\ngigabytes = -1\nsnapshots = -1\nbackups = -1\n"
    "backup_gigabytes = -1\ngroups = -1\n",
}
_EMPTY = Path(tempfile.mkdtemp(), "empty.sqlite")
VOLUME_RANGE = VersionRange(Version(3, 0), Version(3, 71))


@dataclass(frozen=True, slots=True)
class Top:
    """A running top: its URLs, its pods and whoever asks."""

    cloud: SimulatedCloud
    settings: Settings
    compute: str
    volume: str
    network: str
    pods: dict[str, Pod]

    def member(self, project: str = "demo") -> dict[str, str]:
        """Return headers of a member of a project."""
        return self.headers(project, "member", "reader")

    def headers(self, project: str, *roles: str) -> dict[str, str]:
        """Return headers of a user of a project with these roles."""
        token = self.cloud.token(f"{project}-{'-'.join(roles)}", project, roles)
        return {"X-Auth-Token": token, "Accept": "application/json"}


@asynccontextmanager
async def open_top(
    folder: Path,
    cloud: SimulatedCloud,
    options: str = "",
    zones: Mapping[str, str] | None = None,
) -> AsyncIterator[Top]:
    """Yield a top in front of all pods of ``cloud``, with a worker for what users wait for.

    Pod N serves zone azN, unless ``zones`` names its zone.
    """
    async with (
        open_top_without_worker(folder, cloud, options, zones) as top,
        open_worker(top.settings),
    ):
        yield top


@asynccontextmanager
async def open_top_without_worker(
    folder: Path,
    cloud: SimulatedCloud,
    options: str = "",
    zones: Mapping[str, str] | None = None,
    database_url: str = "",
    around: Callable[[Application], Application] = lambda application: application,
) -> AsyncIterator[Top]:
    """Yield the same with nobody who carries out jobs.

    ``database_url`` is an empty one with the schema in place; else a SQLite file is made.
    ``around`` is put between the top and the cloud.
    """
    cloud.token("tricircle", "service", ("admin", "service"))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(around(cloud.app)))
        user = cloud.identity.accounts.find_user("tricircle")
        database_url = database_url or f"sqlite:///{await _copy_empty_database(folder)}"
        password = user.password if user else ""
        settings = _write_settings(folder, url, database_url, options, password)
        pods = await _register(settings, url, cloud, zones or {})
        compute = await stack.enter_async_context(open_compute(settings))
        volume = await stack.enter_async_context(open_volume(settings))
        yield Top(
            cloud,
            settings,
            await stack.enter_async_context(serve(compute)),
            await stack.enter_async_context(serve(volume)),
            f"{url}/top/network",
            pods,
        )


@contextmanager
def run_top(folder: Path, cloud: SimulatedCloud, options: str = "") -> Iterator[Top]:
    """Run a top in a thread of its own, for clients that block."""
    started: list[Top | BaseException] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        try:
            async with open_top(folder, cloud, options) as top:
                started.append(top)
                ready.set()
                await stop.wait()
        except BaseException as error:
            started.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()), daemon=True)
    thread.start()
    ready.wait(60)
    first = started[0]
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


async def _copy_empty_database(folder: Path) -> Path:
    """Return a SQLite file with the schema in it, which is made once for all tests of a run."""
    if not _EMPTY.exists():  # noqa: ASYNC240 - a fixture, nobody waits beside it
        await sync_schema(f"sqlite:///{_EMPTY}")
    return Path(shutil.copy(_EMPTY, folder / "top.sqlite"))


async def _register(
    settings: Settings, url: str, cloud: SimulatedCloud, zones: Mapping[str, str]
) -> dict[str, Pod]:
    database = open_database(settings.database.connection)
    stores = SqlStores(database)
    pods = {}
    for number, name in enumerate(cloud.pods, start=1):
        root = f"{url}/{name}"
        pod = Pod(
            PodId(str(uuid.uuid4())),
            name,
            name,
            endpoints={
                Service.COMPUTE: Endpoint(Service.COMPUTE, f"{root}/compute/v2.1", COMPUTE_RANGE),
                Service.VOLUME: Endpoint(Service.VOLUME, f"{root}/volume/v3", VOLUME_RANGE),
                Service.NETWORK: Endpoint(Service.NETWORK, f"{root}/network"),
            },
        )
        pods[name] = await stores.pods.add_pod(pod)
        zone = ZoneName(zones.get(name, f"az{number}"))
        await stores.zones.add_zone_pod(ZonePod(zone, pod.id, "nova"))
    await database.close()
    return pods


def _write_settings(
    folder: Path, url: str, database_url: str, options: str, password: str
) -> Settings:
    login = f"""
auth_type = password
auth_url = {url}/identity/v3
username = tricircle
password = {password}
project_name = service
user_domain_name = Default
project_domain_name = Default
"""
    free = "".join(f"{name}\n{no}" for name, no in _NO_QUOTA.items() if name not in options)
    path = folder / "tricircle.conf"
    path.write_text(
        f"[database]\nconnection = {database_url}\n"
        f"[keystone_authtoken]\nwww_authenticate_uri = {url}/identity/v3\n{login}"
        f"[service_credential]\n{login}\n{options}\n{free}"
    )
    return load_settings("tricircle-test", files=[str(path)])
