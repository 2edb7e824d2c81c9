"""Nova or Cinder of one pod, asked with the service's own token."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from tricircle.core.errors import PodMisbehaved, StillInUse
from tricircle.core.model import Endpoint, Pod, Service, Version
from tricircle.core.versions import STANDARD_HEADER
from tricircle.core.wishes import Document
from tricircle.interfaces.cloud import Cloud, PodRequest, ServiceCredential

_NAMES = {Service.COMPUTE: "compute", Service.VOLUME: "volume"}
"""What the services are called in the header that names a microversion."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status that was expected."""

    status: int
    document: Document

    def items(self, name: str) -> list[Document]:
        """Return the objects of a list of the document."""
        found = self.document.get(name)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def item(self, name: str) -> Document:
        """Return an object of the document, empty when it is none."""
        found = self.document.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def message(self) -> str:
        """Return what an error says, in the service's own words."""
        for fault in self.document.values():
            if isinstance(fault, dict):
                return str(fault.get("message", ""))
        return ""


class PodService:
    """One service of one pod. Every call is bounded in time."""

    def __init__(
        self,
        cloud: Cloud,
        credential: ServiceCredential,
        pod: Pod,
        endpoint: Endpoint,
        request_id: str,
        timeout_s: float,
    ) -> None:
        self.pod, self.endpoint, self.request_id = pod, endpoint, request_id
        self._cloud, self._credential = cloud, credential
        self._timeout_s = timeout_s

    async def get(self, path: str, version: Version, **query: str) -> Reply:
        """Return what is at a path, which must be there. Raises PodError."""
        return await self._send("GET", path, version, query, None, ())

    async def find(self, path: str, version: Version, **query: str) -> Reply | None:
        """Return what is at a path; None when nothing is or can be there. Raises PodError."""
        reply = await self._send("GET", path, version, query, None, (400, 404))
        return reply if reply.status < 300 else None

    async def change(
        self, method: str, path: str, version: Version, body: Document | None = None, **query: str
    ) -> Reply:
        """Change something; besides success the status may be 404 or 409. Raises PodError."""
        return await self._send(method, path, version, query, body, (404, 409))

    async def attempt(
        self, method: str, path: str, version: Version, body: Document | None = None
    ) -> str:
        """Change something; return '' or, with 404 and 409, what the pod says. Raises PodError."""
        reply = await self.change(method, path, version, body)
        return reply.message if reply.status >= 300 else ""

    async def change_unused(
        self,
        what: str,
        method: str,
        path: str,
        version: Version,
        body: Document | None = None,
        **query: str,
    ) -> str:
        """Do as ``attempt`` to what may be in use, which is 400. Raises StillInUse, PodError."""
        reply = await self._send(method, path, version, query, body, (400, 404, 409))
        if reply.status == 400:
            raise StillInUse(f"{what} cannot be done to pod {self.pod.name} yet: {reply.message}")
        return reply.message if reply.status >= 300 else ""

    async def _send(
        self,
        method: str,
        path: str,
        version: Version,
        query: Mapping[str, str],
        body: Document | None,
        expected: Collection[int],
    ) -> Reply:
        api = f"{_NAMES[self.endpoint.service]} {version}"
        headers = [
            (b"x-auth-token", (await self._credential.get_token()).encode()),
            (b"accept", b"application/json"),
            (b"x-openstack-request-id", self.request_id.encode()),
            (STANDARD_HEADER, api.encode()),
        ]
        sent = None
        if body is not None:
            headers.append((b"content-type", b"application/json"))
            sent = msgspec.json.encode(body)
        request = PodRequest(method, path, urlencode(query), headers, sent)
        async with self._cloud.send(
            self.pod.id, self.endpoint, request, self._timeout_s
        ) as response:
            status, answer = response.status, await response.read()
        reply = Reply(status, self._read(status, answer))
        if status >= 300 and status not in expected:
            raise PodMisbehaved(
                self.pod.id,
                f"pod {self.pod.name} answers {status} to {method} {path}: {reply.message}",
            )
        return reply

    def _read(self, status: int, answer: bytes) -> Document:
        if not answer:
            return {}
        try:
            return msgspec.json.decode(answer, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if status >= 300:
                return {}
            raise PodMisbehaved(
                self.pod.id, f"pod {self.pod.name} answers {status} with a body that is no JSON"
            ) from None

    def misread(self, what: str, error: ValueError) -> PodMisbehaved:
        """Return the error for a thing that has not the form it should have."""
        return PodMisbehaved(
            self.pod.id, f"pod {self.pod.name} shows a {what} that cannot be used: {error}"
        )


@dataclass(frozen=True, slots=True)
class PodServices:
    """The Novas of pods, or the Cinders."""

    service: Service
    cloud: Cloud
    credential: ServiceCredential
    timeout_s: float

    def of(self, pod: Pod, request_id: str) -> PodService:
        """Return that of a pod, which must have it."""
        endpoint = pod.endpoints[self.service]
        return PodService(self.cloud, self.credential, pod, endpoint, request_id, self.timeout_s)
