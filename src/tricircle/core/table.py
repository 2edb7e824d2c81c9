"""The rows of a gateway's API table and what they are made of.

A gateway serves exactly what its table lists. A row says with a *strategy* what
is done with such a request; *refs* and *twins* turn special cases into data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tricircle.core.bodies import Beside
from tricircle.core.joining import Joint
from tricircle.core.merge import Listing
from tricircle.core.model import Kind, Service, Version
from tricircle.core.wishes import Replica


@dataclass(frozen=True, slots=True)
class Ref:
    """A place in a request body that names a resource which must be in the same pod.

    ``absent`` is the service's own message for a resource that does not exist,
    ``absent_status`` its status; ``{id}`` stands for the id. With no message the pod says so
    itself. ``separator`` parts the ids of a text that names several.
    """

    place: str
    kind: Kind
    beside: Beside | None = None
    absent: str | None = "{kind} {id} could not be found."
    absent_status: int = 404
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Finder:
    """The list of a pod that tells whether it has a thing: its name is at ``place`` then.

    ``filter`` is the list's parameter for that name, if it has one. ``several`` is the
    message for a name that several pods have; ``{name}`` and ``{pods}`` stand for both. What
    follows ``part`` in a name is not looked for. With ``loose`` any row that the filter
    leaves tells that the pod has it: the name may stand for several things.
    """

    path: str
    place: str
    several: str
    filter: str = ""
    part: str = ""
    loose: bool = False


@dataclass(frozen=True, slots=True)
class HostRef:
    """A place in a request body that names a host which must be in the same pod.

    It may be ``pod:host``, and the pod is asked without ``pod:``.
    """

    place: str
    finder: Finder


@dataclass(frozen=True, slots=True)
class Twin:
    """A place in a body, or a parameter of the path, that names a resource of the top's Neutron."""

    place: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a pod is asked whether it holds a resource of a kind.

    ``path`` has ``{id}``; in the answer ``project`` is the place of the project's id. Where
    none is shown, ``holder`` is the resource whose project it is: its kind, and the place
    of its id. ``absent`` is the service's own message for an id that it does not have.
    ``version`` is the microversion that shows it, where it is not the first. What is not
    ``recorded`` comes and goes without us: no routing of it is written.
    """

    service: Service
    path: str
    project: str
    absent: str
    holder: tuple[Kind, str] | None = None
    version: Version | None = None
    recorded: bool = True


@dataclass(frozen=True, slots=True)
class ById:
    """Forward to the pod that holds the id in the path.

    ``param`` names the path's parameter with the id. ``refs`` and ``hosts`` must be in the same
    pod. ``path_twins`` are parameters, ``answer_twins`` places in the answer, that
    are translated between top and pod. ``zones`` are places of zone names in the
    answer. ``made`` is what the request may make beside: its kind, and the place of its
    id in the answer. ``whole`` marks the row of the resource itself, whose 404 means that
    it is gone; where the row ``ends`` it at once, success means that, too. ``hook`` names
    steps of the service's own around the call.
    """

    kind: Kind
    param: str = "id"
    refs: tuple[Ref, ...] = ()
    path_twins: tuple[Twin, ...] = ()
    answer_twins: tuple[Twin, ...] = ()
    zones: tuple[str, ...] = ()
    whole: bool = False
    ends: bool = False
    made: tuple[Kind, str] | None = None
    hook: str | None = None
    hosts: tuple[HostRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer has in place of ids when the client asks for it so.

    ``place`` is where it is in the answer. The list of the collection shows with
    ``filter``, a regular expression, set to it what was made; ids are at ``rows`` there.
    """

    place: str
    filter: str
    rows: str


@dataclass(frozen=True, slots=True)
class Create:
    """Choose a pod, forward, keep the routing of what the pod made.

    ``refs`` and ``hosts`` that name resources of pods decide; else the zone at ``zone``. Pods
    of what ``apart`` names are tried after the others.
    ``created`` is the place of the new resource's id in the answer. ``hook`` names
    steps of the service's own (networks of a server). ``absent_zone`` are the words for a zone
    that nobody knows, where they are not those of the whole service; ``{zone}`` and
    ``{request_id}`` stand for both; who may not create by the service's policy ``rule`` is told
    so first. ``receipt`` is what may come in place of the id.
    """

    kind: Kind
    created: str
    refs: tuple[Ref, ...] = ()
    zone: str | None = None
    zones: tuple[str, ...] = ()
    hook: str | None = None
    absent_zone: str | None = None
    rule: str | None = None
    hosts: tuple[HostRef, ...] = ()
    apart: tuple[Ref, ...] = ()
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Ask every pod, merge into one sorted, paged list.

    ``hook`` names steps of the service's own on the rows of a page.
    """

    listing: Listing
    zones: tuple[str, ...] = ()
    hook: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a request names the user whose resource it is about, if that is not the caller.

    ``place`` is in a body, ``param`` in a query; both mean nothing before version ``since``.
    """

    place: str
    param: str
    since: Version


@dataclass(frozen=True, slots=True)
class Make:
    """A new resource; ``named`` is the place of its id in the answer.

    Where the client may choose the id, ``named`` is its place in the body too; with ``new_id``
    a new one is put there if the body has none. ``label`` is the place of what else no two
    of them share.
    """

    resource: Replica
    named: str
    label: str | None = None
    new_id: bool = False
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Alter:
    """A change of the resource that the parameter ``param`` of path or query names.

    With ``removes`` it is the removal of the whole resource. What is ``unless_used`` is
    asked of a pod first that would refuse it because the resource is in use there. ``beside``
    is another resource, and its parameter, that the change needs. ``frees`` tells that the
    volume types of QoS specs may lose them, ``halves`` that a 404 may leave a part done.
    """

    resource: Replica
    param: str = "id"
    removes: bool = False
    owner: Owner | None = None
    unless_used: bool = False
    beside: tuple[Replica, str] | None = None
    frees: bool = False
    halves: bool = False


@dataclass(frozen=True, slots=True)
class Replicated:
    """Equal in all pods: read from one, or changed in one and carried to the others.

    ``zones`` as in ``ById``.
    """

    zones: tuple[str, ...] = ()
    change: Make | Alter | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """Kept in a service that all pods share: asked of any one pod, changes too."""


@dataclass(frozen=True, slots=True)
class Local:
    """Answered by the top itself; ``answer`` names how."""

    answer: str


@dataclass(frozen=True, slots=True)
class Composed:
    """Put together by the service's own steps out of what several pods say.

    ``answer`` names the steps.
    """

    answer: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of what pods hold, one pod after the other by name, as Nova's cells are paged.

    ``rows`` is the place of the rows' ids, ``links`` that of the list of links. With a
    parameter of ``whole`` the service gives no pages. Where a list shows its rows only
    when ``shown_by`` is 1, pods are always asked so, and without it ``hidden`` is taken out.
    """

    rows: str
    links: str
    whole: tuple[str, ...] = ()
    shown_by: str = ""
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Ask every pod the same, join their answers into one.

    ``zones`` as in ``ById``. ``numbers`` are places of ids that each pod's database gives
    anew (``core.pod_numbers``). ``zone_filter`` and ``host_filter`` are parameters by which
    only pods with that zone or host can have something; a host may be ``pod:host``.
    ``host_places`` are places of such hosts in a body, ``number_place`` that of a number which
    names something of one pod. With ``lenient`` it is enough that one pod does it: the others
    refuse what they do not have.
    """

    joint: Joint
    zones: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    pages: Pages | None = None
    zone_filter: str = ""
    host_filter: str = ""
    host_places: tuple[str, ...] = ()
    number_place: str = ""
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Forward to the pod that has what is named: found by asking all, as nothing is recorded.

    Without a ``finder`` the request itself is sent to all pods, so it must only read;
    ``several`` is the message, as in ``Finder``, when more than one has it. The name is in
    the path's parameter ``param``, or in the body at ``place``, or in the parameter ``query``;
    where it is a host, it may be ``pod:host``. A request that does not name it there is done
    by ``otherwise``. ``zones`` and ``numbers`` as in ``Aggregate``.
    """

    finder: Finder | None = None
    param: str = "id"
    place: str = ""
    query: str = ""
    is_host: bool = False
    several: str = ""
    zones: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    otherwise: Ask | None = None


@dataclass(frozen=True, slots=True)
class ByNumber:
    """Forward to the pod that a number in the path names (``core.pod_numbers``).

    ``absent`` is the service's own message for a number that is not there.
    """

    absent: str
    param: str = "id"
    zones: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ByVersion:
    """One strategy before a microversion, another one from it on."""

    before: Strategy
    since: Version
    then: Strategy


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not served, with the status the service itself gives, and why."""

    status: int
    reason: str


NOT_YET = Refuse(501, "not yet")
"""The service has this API; the gateway does not serve it yet."""

REMOVED = Refuse(410, "This resource is no longer available. No forwarding address is given.")
"""The service itself has removed this API."""

Strategy = (
    ById
    | Create
    | Merge
    | Replicated
    | Shared
    | Local
    | Composed
    | Aggregate
    | Ask
    | ByNumber
    | ByVersion
    | Refuse
)


@dataclass(frozen=True, slots=True)
class Naming:
    """Where a request and its answers name what all pods have alike, each with an id of its own.

    Ids of these ``kinds`` are made a pod's after the ``words`` of a path, in the parameters
    ``query`` and at the places ``body``, and the top's at the places ``answer`` and in errors.
    """

    kinds: tuple[Kind, ...]
    words: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One API: ``path`` is below the version and the project, e.g. ``/servers/{id}/action``.

    ``until`` is the last microversion that has it; above, the service knows no such resource.
    """

    method: str
    path: str
    strategy: Strategy
    until: Version | None = None
    naming: Naming | None = None


def rows_of(strategy: Strategy, *apis: str, until: Version | None = None) -> list[Row]:
    """Return one row for each ``METHOD /path``, all with one strategy."""
    pairs = (api.split(maxsplit=1) for api in apis)
    return [Row(method, path, strategy, until) for method, path in pairs]


@dataclass(frozen=True, slots=True)
class Match:
    """A row that fits a request, with the parameters of its path as the client sent them."""

    row: Row
    params: Mapping[str, str]


class Table:
    """Finds the row of a request. Built once from the rows; look-ups cost a few dict reads."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        self._root = _Branch()
        for row in rows:
            self._root.add(row)

    def find(self, method: str, path: str) -> Match | None:
        """Return the row for a method and a path, None when there is none."""
        branch, values = self._walk(path)
        if branch is None or method not in branch.rows:
            return None
        row = branch.rows[method]
        return Match(row, dict(zip(parameters(row.path), values, strict=True)))

    def has_first(self, word: str) -> bool:
        """Tell whether a path may begin with this very word."""
        return word in self._root.fixed

    def _walk(self, path: str) -> tuple[_Branch | None, list[str]]:
        parts = path.split("/")[1:] if path != "/" else []
        # as in Nova and Cinder: an empty name is nothing's, so a slash at the end is none either
        return (None, []) if "" in parts else self._root.find(parts, [])


class _Branch:
    """One step of all paths: fixed words win over parameters."""

    __slots__ = ("any", "fixed", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.fixed: dict[str, _Branch] = {}
        self.any: _Branch | None = None

    def add(self, row: Row) -> None:
        branch = self
        for part in (part for part in row.path.split("/") if part):
            branch = branch.step(part)
        if row.method in branch.rows:
            raise ValueError(f"two rows for {row.method} {row.path}")
        branch.rows[row.method] = row

    def step(self, part: str) -> _Branch:
        if part.startswith("{"):
            if self.any is None:
                self.any = _Branch()
            return self.any
        return self.fixed.setdefault(part, _Branch())

    def find(self, parts: list[str], values: list[str]) -> tuple[_Branch | None, list[str]]:
        if not parts:
            return (self, values) if self.rows else (None, values)
        head, rest = parts[0], parts[1:]
        fixed = self.fixed.get(head)
        if fixed is not None:
            branch, found = fixed.find(rest, values)
            if branch is not None:
                return branch, found
        if self.any is not None:
            return self.any.find(rest, [*values, head])
        return None, values


_PARAMETER = re.compile(r"\{(\w+)\}")


def parameters(path: str) -> tuple[str, ...]:
    """Return the names of a row's path parameters, in order."""
    cached = _PARAMETERS.get(path)
    if cached is None:
        cached = _PARAMETERS[path] = tuple(_PARAMETER.findall(path))
    return cached


def fill_path(path: str, params: Mapping[str, str]) -> str:
    """Return a row's path with its parameters filled in."""
    return _PARAMETER.sub(lambda match: params[match[1]], path)


_PARAMETERS: dict[str, tuple[str, ...]] = {}
