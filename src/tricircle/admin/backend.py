"""What the resources of the API work with, and how a handler gets at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from tricircle.admin.policy import Policy
from tricircle.core.model import Caller
from tricircle.interfaces.jobs import JobRecords
from tricircle.interfaces.store import NodeStore, PodStore, RoutingStore, RoutingUpkeep, ZoneStore
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.placement import PlacementAdvice
from tricircle.usecases.pods import RegionCheck
from tricircle.usecases.zones import ZoneMap


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything a handler may need, joined by ``wiring``.

    ``public_url`` is what links begin with; None takes the Host of each request.
    """

    pods: PodStore
    zones: ZoneStore
    routings: RoutingStore
    upkeep: RoutingUpkeep
    nodes: NodeStore
    records: JobRecords
    requests: JobRequests
    check: RegionCheck
    placement: PlacementAdvice
    policy: Policy
    new_id: Callable[[], str]
    public_url: str | None = None

    @property
    def zone_map(self) -> ZoneMap:
        """The tables the zone map is read from."""
        return ZoneMap(self.pods, self.zones)


def get_backend(request: Request) -> Backend:
    """Return what the edge has put beside the request."""
    backend = request.state.backend
    assert isinstance(backend, Backend)  # noqa: S101 - narrows the type
    return backend


def get_caller(request: Request) -> Caller:
    """Return whom the edge has put beside the request."""
    caller = request.state.caller
    assert isinstance(caller, Caller)  # noqa: S101 - narrows the type
    return caller


def get_request_id(request: Request) -> str:
    """Return the id of the request, as the edge has put it there."""
    return str(request.state.request_id)


Uses = Annotated[Backend, Depends(get_backend)]
Who = Annotated[Caller, Depends(get_caller)]
RequestId = Annotated[str, Depends(get_request_id)]

_token = APIKeyHeader(
    name="X-Auth-Token", scheme_name="token", description="A Keystone token.", auto_error=False
)


class Allowed:
    """Lets a request through when a policy rule allows its caller."""

    def __init__(self, rule: str) -> None:
        """Take the name of the rule without the leading ``tricircle:``."""
        self.rule = f"tricircle:{rule}"

    def __call__(
        self,
        caller: Who,
        backend: Uses,
        _token: Annotated[str | None, Security(_token)] = None,
    ) -> None:
        """Check the caller the edge has put there. Raises Forbidden."""
        backend.policy.require(self.rule, caller)


def base_url(request: Request, backend: Backend) -> str:
    """Return what links in the answer to this request begin with, without trailing slash."""
    return backend.public_url or str(request.base_url).rstrip("/")
