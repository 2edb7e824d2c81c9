"""What a pod can be asked: one request, streamed both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tricircle.core.model import Endpoint, PodId, Service

Headers = Sequence[tuple[bytes, bytes]]
"""Header names in lower case, in the order they travel, as ASGI has them."""


@dataclass(frozen=True, slots=True)
class PodRequest:
    """A request as it will be sent below an endpoint's ``url``.

    ``path`` starts with a slash, ``path`` and ``query`` are percent-encoded as the
    client sent them (query without '?', may be empty). ``headers`` are all that is
    sent besides Host, and framing, which the adapter adds.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] | None = None


class PodResponse(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers:
        """The pod's headers, hop-by-hop and framing headers taken out."""
        ...

    async def read(self) -> bytes:
        """Return the whole body. Raises PodMisbehaved when it is cut short or too large."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; the same errors as ``read``."""
        ...


class Cloud(Protocol):
    """Sends requests to pods; bounded, pooled, with a circuit breaker for each pod."""

    def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> AbstractAsyncContextManager[PodResponse]:
        """Send one request and wait at most ``timeout_s`` for the head and again for the body.

        Redirects are not followed. Raises PodDead at once for a pod known dead, or
        when it refuses the connection or dies before anything was sent; PodTimeout
        when it may have acted; PodMisbehaved for what is not HTTP.
        """
        ...

    def is_dead(self, pod_id: PodId) -> bool:
        """Tell whether the pod is known dead now (refused, or failed its probe)."""
        ...


class ServiceCredential(Protocol):
    """The service's own token, good in every pod. Never a user's."""

    async def get_token(self) -> str:
        """Return a valid token of the service credential, renewed before it expires."""
        ...


class Catalogue(Protocol):
    """Keystone's catalogue, read with the service credential."""

    async def get_endpoints(self, region: str) -> Mapping[Service, str]:
        """Return the public URLs of a region's services as the catalogue has them.

        Raises NotFound for a region Keystone does not know.
        """
        ...
