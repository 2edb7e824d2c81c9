"""The simulated cloud: one ASGI application for a Keystone, a Glance and any number of pods."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from tricircle.testing.cloud.accounts import Project, User
from tricircle.testing.cloud.catalogue import Catalogue
from tricircle.testing.cloud.faults import (
    AddHeaders,
    Delay,
    Endless,
    Faults,
    Garbage,
    Hang,
    Injection,
    LoseAnswer,
    Redirect,
    Refuse,
    Reply,
    Truncate,
)
from tricircle.testing.cloud.http import Answer, Request
from tricircle.testing.cloud.identity import Identity
from tricircle.testing.cloud.image import Images
from tricircle.testing.cloud.network import Network
from tricircle.testing.cloud.pod import Pod
from tricircle.testing.cloud.received import Received, RequestLog
from tricircle.testing.cloud.service import Service, World
from tricircle.testing.cloud.sources import Clock, Ids, random_ids, wall_clock

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# The place in a request's scope where the server puts its transport, so that
# a fault can close the connection under it. See serving.py.
TRANSPORT = "tricircle.transport"

_MANY_PODS = 20
_LATEST_COMPUTE = 104
_OLDER_COMPUTE = 100


class ConnectionClosed(Exception):
    """The simulation wants to close a connection it has no transport of."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A service, where it is found, and what goes wrong there."""

    path: str
    service: Service
    faults: Faults
    requests: RequestLog


class SimulatedCloud:
    """A Keystone, a Glance, a top Neutron and pods, all in this process.

    Everything is below one URL: `/identity`, `/image`, `/top/network`, and
    for each pod `/<pod>/compute`, `/<pod>/placement`, `/<pod>/volume`,
    `/<pod>/network`. Time and ids come from `clock` and `ids`, so that a test
    can make both certain. The first pod speaks the latest Nova microversions,
    the others those of an older release, unless `compute_minors` says
    otherwise by pod name. All pods are in zone `nova` unless `zones` says
    otherwise.
    """

    def __init__(
        self,
        pods: Iterable[str] = ("pod1", "pod2"),
        top_region: str = "RegionOne",
        clock: Clock = wall_clock,
        ids: Ids = random_ids,
        zones: dict[str, str] | None = None,
        compute_minors: dict[str, int] | None = None,
        token_life_s: float = 3600.0,
    ) -> None:
        names = tuple(pods)
        self.top_region = top_region
        self.faults = Faults()
        self.requests = RequestLog()
        interfaces = ("public", "internal", "admin") if len(names) <= _MANY_PODS else ("public",)
        self.catalogue = Catalogue(ids, interfaces)
        self.identity = Identity(self.catalogue, clock, ids, token_life_s)
        world = World(self.identity.accounts, clock, ids)
        self.images = Images(world)
        self.top_network = Network(world)
        self.pods: dict[str, Pod] = {}
        for place, name in enumerate(names):
            minor = _LATEST_COMPUTE if place == 0 else _OLDER_COMPUTE
            minor = (compute_minors or {}).get(name, minor)
            zone = (zones or {}).get(name, "nova")
            self.pods[name] = Pod(name, world, self.images, zone, minor)
        self._mounts = {mount.path: mount for mount in self._list_mounts()}
        self._fill_catalogue()
        self._add_defaults()

    # For tests.

    def pod(self, name: str) -> Pod:
        """Return a pod by name."""
        return self.pods[name]

    def token(self, user: User | str, project: Project | str, roles: Iterable[str] = ()) -> str:
        """Return a token of a user for a project; the roles are granted first.

        Without roles those the user has are used. Users and projects are
        found by name or id, and made if there are none.
        """
        accounts = self.identity.accounts
        if isinstance(user, str):
            user = accounts.find_user(user) or accounts.add_user(user, "secret")
        if isinstance(project, str):
            project = accounts.find_project(project) or accounts.add_project(project)
        wanted = tuple(roles)
        if wanted:
            accounts.add_grant(user, project, wanted)
        held = accounts.grants.get((user.id, project.id), set())
        return accounts.issue(user, project, held).id

    def project_id(self, name: str) -> str:
        """Return the id of a project, made if there is none of this name."""
        accounts = self.identity.accounts
        project = accounts.find_project(name) or accounts.add_project(name)
        return project.id

    def serve_pod_at(self, name: str, root: str) -> None:
        """Let the catalogue name another address for a pod's services."""
        for service_type, path in _PATHS.items():
            self.catalogue.set_endpoint(name, service_type, f"{root}/{name}{path}")

    def _list_mounts(self) -> Iterable[Mount]:
        shared: tuple[tuple[str, Service], ...] = (
            ("/identity", self.identity),
            ("/image", self.images),
            ("/top/network", self.top_network),
        )
        for path, service in shared:
            yield Mount(path, service, self.faults, self.requests)
        for pod in self.pods.values():
            for service in pod.services:
                yield Mount(f"/{pod.name}/{service.name}", service, pod.faults, pod.requests)

    def _fill_catalogue(self) -> None:
        catalogue = self.catalogue
        for region in (self.top_region, *self.pods):
            catalogue.set_endpoint(region, "identity", "{root}/identity/v3")
            catalogue.set_endpoint(region, "image", "{root}/image")
        catalogue.set_endpoint(self.top_region, "network", "{root}/top/network")
        for name in self.pods:
            self.serve_pod_at(name, "{root}")

    def _add_defaults(self) -> None:
        admin = self.identity.add_user("admin", "secret")
        project = self.identity.add_project("admin")
        self.identity.add_role(admin, project, "admin")
        service = self.identity.add_user("tricircle", "secret")
        services = self.identity.add_project("service")
        self.identity.add_role(service, services, "admin", "service")
        demo = self.identity.add_user("demo", "secret")
        self.identity.add_role(demo, self.identity.add_project("demo"), "member")
        self.images.add("cirros")

    # ASGI.

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        await self._serve(scope, receive, send, self._mounts)

    def app_for(self, pod_name: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """Return an ASGI application that serves one pod only."""
        prefix = f"/{pod_name}/"
        mounts = {path: mount for path, mount in self._mounts.items() if path.startswith(prefix)}

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(scope, receive, send, mounts)

        return serve

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, mounts: dict[str, Mount]
    ) -> None:
        if scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
            return
        path: str = scope["path"]
        parts = path.split("/", 3)
        mount = mounts.get("/".join(parts[:3])) or mounts.get("/".join(parts[:2]))
        if mount is None:
            await _send(send, Answer(404, b"no such service\n", [("content-type", "text/plain")]))
            return
        request = await _read(scope, receive, mount, path)
        if mount.faults.is_down:
            await _close(scope)
            return
        if mount.requests.enabled:
            mount.requests.add(_logged(scope, mount, request))
        injection = mount.faults.find(mount.service.name, request.method, request.path)
        if injection is None:
            await _send(send, mount.service.answer(request))
            return
        await _strike(injection, scope, send, mount.service, request)


_PATHS = {
    "compute": "/compute/v2.1",
    "volumev3": "/volume/v3/$(project_id)s",
    "network": "/network",
    "placement": "/placement",
}


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _read(scope: Scope, receive: Receive, mount: Mount, path: str) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    method: str = scope["method"]
    body = b""
    if method in ("POST", "PUT", "PATCH") or headers.get("content-length", "0") != "0":
        body = await _read_body(receive)
    host = headers.get("host", "localhost")
    base = f"{scope.get('scheme', 'http')}://{host}{mount.path}"
    query = scope["query_string"].decode("latin-1")
    return Request(method, path[len(mount.path) :], query, headers, body, base)


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _logged(scope: Scope, mount: Mount, request: Request) -> Received:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    )
    return Received(
        mount.service.name, request.method, request.path, request.query, headers, request.body
    )


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _close(scope: Scope) -> None:
    """Close the connection of a request under the server that serves it."""
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionClosed
    transport.abort()
    # The server must see the loss before the application returns, or it would
    # try to send an error of its own.
    for _ in range(3):
        await asyncio.sleep(0)


async def _strike(
    injection: Injection, scope: Scope, send: Send, service: Service, request: Request
) -> None:
    fault = injection.fault
    match fault:
        case Refuse():
            await _close(scope)
        case LoseAnswer():
            service.answer(request)
            await _close(scope)
        case Hang():
            await injection.wait()
            await _send(send, service.answer(request))
        case Delay():
            await asyncio.sleep(fault.seconds)
            await _send(send, service.answer(request))
        case Reply():
            await _send(send, Answer(fault.status, fault.body, list(fault.headers)))
        case Garbage():
            answer = service.answer(request)
            await _send(send, Answer(answer.status, fault.body, answer.headers))
        case Truncate():
            await _send_part(send, service.answer(request), fault.keep)
        case Endless():
            await _send_endless(scope, send, fault)
        case Redirect():
            await _send(send, Answer(fault.status, b"", [("location", fault.location)]))
        case AddHeaders():
            answer = service.answer(request)
            answer.headers += fault.headers
            await _send_raw(scope, answer)


async def _send_raw(scope: Scope, answer: Answer) -> None:
    """Send an answer past the server, which would refuse a header with a line break."""
    transport = scope["extensions"][TRANSPORT]
    lines = [f"HTTP/1.1 {answer.status} OK", *(f"{key}: {text}" for key, text in answer.headers)]
    lines += [f"content-length: {len(answer.body)}", "connection: close", "", ""]
    transport.write("\r\n".join(lines).encode("latin-1") + answer.body)
    transport.close()
    for _ in range(3):
        await asyncio.sleep(0)


async def _send_part(send: Send, answer: Answer, keep: float) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    part = answer.body[: int(len(answer.body) * keep)]
    # An application that returns without its last body makes the server close.
    await send({"type": "http.response.body", "body": part, "more_body": True})


async def _send_endless(scope: Scope, send: Send, fault: Endless) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    transport = scope.get("extensions", {}).get(TRANSPORT)
    while transport is None or not transport.is_closing():
        await send({"type": "http.response.body", "body": fault.chunk, "more_body": True})
        await asyncio.sleep(fault.pause_s)
