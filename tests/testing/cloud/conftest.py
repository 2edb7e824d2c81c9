"""A simulated cloud of two pods, served on a real socket, and small clients for it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest

from tricircle.testing.cloud import SetClock, SimulatedCloud, serve, serve_in_thread


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Client:
    """Sends requests below one service with one token."""

    session: aiohttp.ClientSession
    root: str
    token: str | None
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, json: Any = None, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Accept": "application/json", **self.headers, **given}
        if self.token:
            given["X-Auth-Token"] = self.token
        if method in ("POST", "PUT") and json is None:
            given["Content-Type"] = "application/json"
        async with self.session.request(
            method, self.root + path, json=json, headers=given, allow_redirects=False
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.send("GET", path, **headers)

    async def post(self, path: str, json: Any = None, **headers: str) -> Reply:
        return await self.send("POST", path, json, **headers)

    async def put(self, path: str, json: Any = None, **headers: str) -> Reply:
        return await self.send("PUT", path, json, **headers)

    async def delete(self, path: str, **headers: str) -> Reply:
        return await self.send("DELETE", path, **headers)


@dataclass
class Clients:
    """Makes clients for services and callers."""

    cloud: SimulatedCloud
    url: str
    session: aiohttp.ClientSession

    def for_service(self, mount: str, user: str = "demo", project: str = "demo") -> Client:
        roles = {"reader": ["reader"], "admin": ["admin"], "nova": ["service"]}
        token = self.cloud.token(user, project, roles.get(user, ["member"]))
        return Client(self.session, self.url + mount, token)

    def compute(self, user: str = "demo", project: str = "demo", pod: str = "pod1") -> Client:
        return self.for_service(f"/{pod}/compute/v2.1", user, project)

    def volume(self, user: str = "demo", project: str = "demo") -> Client:
        path = f"/pod1/volume/v3/{self.cloud.project_id(project)}"
        return self.for_service(path, user, project)

    def network(self, user: str = "demo", project: str = "demo") -> Client:
        return self.for_service("/pod1/network/v2.0", user, project)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def cloud(clock: SetClock) -> SimulatedCloud:
    return SimulatedCloud(clock=clock)


@pytest.fixture
async def clients(cloud: SimulatedCloud) -> AsyncIterator[Clients]:
    async with serve(cloud.app) as url, aiohttp.ClientSession() as session:
        yield Clients(cloud, url, session)


@pytest.fixture
def served() -> Iterator[tuple[SimulatedCloud, str]]:
    """A cloud with the real time, served from a thread for clients that block."""
    cloud = SimulatedCloud()
    with serve_in_thread(cloud.app) as url:
        yield cloud, url
