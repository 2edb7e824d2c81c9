"""The values of a merged list: what is asked, by whom, with what, and what comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tricircle.core.merge import Listing
from tricircle.core.model import Endpoint, Pod, ProjectId, Version
from tricircle.core.partial import LinkRoots
from tricircle.core.sorting import SortPlan
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud, Headers
from tricircle.interfaces.store import PositionStore, RoutingUpkeep


@dataclass(frozen=True, slots=True)
class PodAsk:
    """A pod that takes part in a list, and the client's query as this pod must see it.

    Paging parameters in ``query`` do not matter: each pod gets its own.
    """

    pod: Pod
    endpoint: Endpoint
    query: str


@dataclass(frozen=True, slots=True)
class ListWorld:
    """What lists work with, the same for every request.

    ``partial`` False refuses a list that a pod is missing from. Positions at the end
    of a page are kept for ``position_ttl_s``.
    """

    cloud: Cloud
    positions: PositionStore
    routings: RoutingUpkeep
    clock: Clock
    timeout_s: float = 60.0
    partial: bool = True
    position_ttl_s: float = 900.0


@dataclass(frozen=True, slots=True)
class ListCall:
    """One client's request for a list.

    ``query`` is the client's, ``headers`` are what pods are sent, ``prefix`` comes
    between an endpoint and the list's path (``/<project>`` or nothing). ``edit``
    makes an item of a pod right for the client; ``locate`` finds the pod of an id
    for this caller, None when no pod has it.
    """

    listing: Listing
    query: str
    project_id: ProjectId | None
    version: Version | None
    headers: Headers
    prefix: str
    roots: LinkRoots
    edit: Callable[[Pod, bytes], bytes]
    locate: Callable[[str], Awaitable[PodAsk | None]]


@dataclass(frozen=True, slots=True)
class MergedPage:
    """One page for the client.

    ``next_query`` is the query of the ``next`` link when there is one. ``missing``
    are the pods whose rows are not, or not all, in the page. ``count`` is the number
    of rows of all pages, when the client asked for it.
    """

    items: Sequence[bytes]
    next_query: str | None
    missing: Sequence[Pod]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PodRefusal:
    """A pod's own answer of 4xx to a list."""

    pod: Pod
    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class ListSource:
    """What all pods of one list are asked in common; ``path`` comes after the prefix.

    ``shortens`` tells that items must be reduced to the list's short form.
    """

    cloud: Cloud
    listing: Listing
    plan: SortPlan
    headers: Headers
    prefix: str
    path: str
    shortens: bool
