"""One Neutron, asked in terms of its objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from tricircle.core.errors import NeutronRefused, NotFound, PodMisbehaved
from tricircle.core.model import Caller, Endpoint, Pod, PodId, Service
from tricircle.core.network.objects import COLLECTIONS, T, error_text, read_list, read_one
from tricircle.interfaces.cloud import Cloud, Headers, PodRequest, ServiceCredential

TOP = PodId("top")
"""The top's own Neutron, as ``Cloud`` knows it."""

_IDS_IN_A_QUERY = 50
_PAGE = 500
Filter = str | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    request_id: str


class Neutron:
    """One Neutron and the token it is asked with. Every call is bounded in time."""

    def __init__(
        self,
        cloud: Cloud,
        pod_id: PodId,
        endpoint: Endpoint,
        get_token: Callable[[], Awaitable[str]],
        request_id: str,
        timeout_s: float,
    ) -> None:
        self.pod_id = pod_id
        self._cloud, self._endpoint, self._get_token = cloud, endpoint, get_token
        self._request_id, self._timeout_s = request_id, timeout_s

    async def list_all(self, kind: type[T], **filters: Filter) -> tuple[T, ...]:
        """Return the objects that pass all filters; several values of one filter mean "or".

        Raises NeutronRefused, PodError.
        """
        ids = filters.get("id")
        if isinstance(ids, str | bool) or ids is None or len(ids) <= _IDS_IN_A_QUERY:
            return await self._list(kind, filters)
        found: list[T] = []
        for start in range(0, len(ids), _IDS_IN_A_QUERY):
            some = ids[start : start + _IDS_IN_A_QUERY]
            found.extend(await self._list(kind, {**filters, "id": some}))
        return tuple(found)

    async def pages(self, kind: type[T], **filters: Filter) -> AsyncIterator[tuple[T, ...]]:
        """Yield all objects that pass the filters, a page at a time, ordered by id."""
        marker: str | None = None
        while True:
            page: dict[str, Filter] = {"limit": str(_PAGE), "sort_key": "id", "sort_dir": "asc"}
            if marker is not None:
                page["marker"] = marker
            found = await self._list(kind, {**filters, **page})
            if found:
                yield found
            if len(found) < _PAGE:
                return
            marker = str(getattr(found[-1], "id", ""))

    async def find(self, kind: type[T], object_id: str) -> T | None:
        """Return an object by id, None when this token cannot see one."""
        reply = await self._send("GET", _path(kind, object_id))
        if reply.status == 404:
            return None
        return self._read_one(reply, kind)

    async def get(self, kind: type[T], object_id: str) -> T:
        """Return an object by id. Raises NeutronRefused with 404 when this token sees none."""
        return self._read_one(await self._send("GET", _path(kind, object_id)), kind)

    async def create(self, kind: type[T], values: Mapping[str, object]) -> T:
        """Return a new object. Raises NeutronRefused, PodError (PodTimeout: who knows)."""
        return self._read_one(await self._send("POST", _path(kind), _one(kind, values)), kind)

    async def create_all(self, kind: type[T], items: Sequence[Mapping[str, object]]) -> None:
        """Create several objects at once, all or none."""
        body = msgspec.json.encode({COLLECTIONS[kind].plural: list(items)})
        self._check(await self._send("POST", _path(kind), body))

    async def update(
        self,
        kind: type[T],
        object_id: str,
        values: Mapping[str, object],
        revision: int | None = None,
    ) -> T | None:
        """Return an object as changed, None when it is gone.

        With ``revision`` only if the object still is at it; else NeutronRefused with 412.
        """
        condition = () if revision is None else ((b"if-match", _revision(revision)),)
        reply = await self._send("PUT", _path(kind, object_id), _one(kind, values), condition)
        if reply.status == 404:
            return None
        return self._read_one(reply, kind)

    async def delete(self, kind: type[T], object_id: str) -> bool:
        """Delete an object; False when it was gone already."""
        reply = await self._send("DELETE", _path(kind, object_id))
        if reply.status == 404:
            return False
        self._check(reply)
        return True

    async def show(self, path: str) -> bytes | None:
        """Return what a path below ``/v2.0`` answers, None for 404."""
        reply = await self._send("GET", path)
        if reply.status == 404:
            return None
        self._check(reply)
        return reply.body

    async def _list(self, kind: type[T], filters: Mapping[str, Filter]) -> tuple[T, ...]:
        reply = await self._send("GET", f"{_path(kind)}?{_query(filters)}")
        self._check(reply)
        try:
            return read_list(reply.body, kind)
        except ValueError as error:
            raise self._misbehaved(error) from None

    def _read_one(self, reply: _Reply, kind: type[T]) -> T:
        self._check(reply)
        try:
            return read_one(reply.body, kind)
        except ValueError as error:
            raise self._misbehaved(error) from None

    def _check(self, reply: _Reply) -> None:
        if reply.status < 300:
            return
        reason, detail = error_text(reply.body)
        raise NeutronRefused(self.pod_id, reply.status, reason, detail, reply.request_id)

    def _misbehaved(self, error: ValueError) -> PodMisbehaved:
        return PodMisbehaved(
            self.pod_id, f"Neutron of pod {self.pod_id} answered what is not usable: {error}"
        )

    async def _send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> _Reply:
        path, _, query = target.partition("?")
        token = await self._get_token()
        sent = [
            (b"x-auth-token", token.encode()),
            (b"accept", b"application/json"),
            (b"x-openstack-request-id", self._request_id.encode()),
            *headers,
        ]
        if body is not None:
            sent.append((b"content-type", b"application/json"))
        request = PodRequest(method, f"/v2.0{path}", query, sent, body)
        async with self._cloud.send(
            self.pod_id, self._endpoint, request, self._timeout_s
        ) as response:
            body = await response.read()
            return _Reply(response.status, body, _request_id(response.headers))


class Neutrons:
    """Gives access to every Neutron there is. One for each process."""

    def __init__(
        self, cloud: Cloud, credential: ServiceCredential, top: Endpoint, timeout_s: float
    ) -> None:
        self._cloud, self._credential, self._top = cloud, credential, top
        self._timeout_s = timeout_s

    @property
    def timeout_s(self) -> float:
        """How long one call may take."""
        return self._timeout_s

    def top_as(self, caller: Caller, request_id: str) -> Neutron:
        """Return the top's Neutron, asked with a caller's own token."""

        async def token() -> str:
            return caller.token

        return Neutron(self._cloud, TOP, self._top, token, request_id, self._timeout_s)

    def top(self, request_id: str) -> Neutron:
        """Return the top's Neutron, asked with the service's token."""
        token = self._credential.get_token
        return Neutron(self._cloud, TOP, self._top, token, request_id, self._timeout_s)

    def pod(self, pod: Pod, request_id: str) -> Neutron:
        """Return a pod's Neutron, asked with the service's token. Raises NotFound without one."""
        endpoint = pod.endpoints.get(Service.NETWORK)
        if endpoint is None:
            raise NotFound(
                f"pod {pod.name} has no network service; see GET /v1/pods of the Admin API"
            )
        token = self._credential.get_token
        return Neutron(self._cloud, pod.id, endpoint, token, request_id, self._timeout_s)

    async def has_server(self, pod: Pod, server_id: str, request_id: str) -> bool:
        """Tell whether a pod's Nova has a server. Raises PodError when it does not say."""
        endpoint = pod.endpoints.get(Service.COMPUTE)
        if endpoint is None:
            raise NotFound(
                f"pod {pod.name} has no compute service; see GET /v1/pods of the Admin API"
            )
        headers = [
            (b"x-auth-token", (await self._credential.get_token()).encode()),
            (b"accept", b"application/json"),
            (b"x-openstack-request-id", request_id.encode()),
        ]
        request = PodRequest("GET", f"/servers/{quote(server_id)}", "", headers)
        async with self._cloud.send(pod.id, endpoint, request, self._timeout_s) as response:
            await response.read()
            if response.status in (200, 404):
                return response.status == 200
        raise PodMisbehaved(
            pod.id, f"Nova of pod {pod.id} answered {response.status} for server {server_id}"
        )


def _path(kind: type[T], object_id: str | None = None) -> str:
    path = COLLECTIONS[kind].path
    return path if object_id is None else f"{path}/{quote(object_id, safe='')}"


def _one(kind: type[T], values: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({COLLECTIONS[kind].singular: values})


def _query(filters: Mapping[str, Filter]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in filters.items():
        values = [value] if isinstance(value, str | bool) else value
        pairs.extend((name, str(one)) for one in values)
    return urlencode(pairs)


def _request_id(headers: Headers) -> str:
    found = (value for name, value in headers if name == b"x-openstack-request-id")
    return next(found, b"").decode("latin-1")


def _revision(number: int) -> bytes:
    return f"revision_number={number}".encode()
