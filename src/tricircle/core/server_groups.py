"""Server groups of the top: what their twins in pods are called, and how they make one answer.

A group has the id that the pod which made it has chosen: its home. In every other pod that
holds one of its servers stands a twin, which is called like the group with a mark behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tricircle.core.bodies import check_object, read_value, set_value
from tricircle.core.errors import MalformedBody
from tricircle.core.model import BottomId, PodId, ProjectId, TopId, Version
from tricircle.core.query import list_values, without_parameters

LONGEST_NAME = 255
"""Characters of a name, as Nova's schemas have it."""
LONGEST_PAGE = 1000
"""Groups of one answer: Nova's default of [api] max_limit."""
HINTS = ("os:scheduler_hints.group", "OS-SCH-HNT:scheduler_hints.group")
"""Where ``POST /servers`` names a group; Nova heeds the first that is there."""
SHOWN_GROUPS = (
    "server.server_groups[]",
    "server.scheduler_hints.group",
    "server.scheduler_hints.group[]",
)
"""Where a server shows its group, from microversions 2.71 and 2.100 on."""
LISTED_GROUPS = ("scheduler_hints.group", "scheduler_hints.group[]")
"""Where a server in a list does, from 2.100 on."""
POLICY_SINCE = Version(2, 64)
"""From here on a group has ``policy`` and ``rules``; before it has ``policies``."""
OWNED_SINCE = Version(2, 15)
"""The lowest version that shows the project and knows all policies."""

_MARK = re.compile(r"(?P<name>.*) tricircle:(?P<id>[0-9a-f-]{36})", re.S)


def absent_group(top_id: str) -> str:
    """Return Nova's own words for a group that does not exist."""
    return f"Instance group {top_id} could not be found."


def fault_message(body: bytes) -> str:
    """Return what an error of Nova says, '' when it cannot be read."""
    try:
        faults = [read_value(body, f"{key}.message") for key in check_object(body)]
    except MalformedBody:
        return ""
    return next((one for one in faults if isinstance(one, str)), "")


def twin_name(name: str, top_id: TopId) -> str:
    """Return what the twin of a group is called in its pod."""
    mark = f" tricircle:{top_id}"
    return name[: LONGEST_NAME - len(mark)] + mark


def read_twin_name(name: str) -> tuple[str, TopId] | None:
    """Return the name and id of the group that a twin is called for; None for what is no twin."""
    found = _MARK.fullmatch(name)
    return (found["name"], TopId(found["id"])) if found else None


@dataclass(frozen=True, slots=True)
class Group:
    """A server group as one of its pods shows it.

    ``twins`` are its ids in the pods that are known to have it, ``members`` the servers in
    each of those that have told.
    """

    top_id: TopId
    name: str
    policy: str
    project_id: ProjectId
    rules: Mapping[str, object] = field(default_factory=dict)
    twins: Mapping[PodId, BottomId] = field(default_factory=dict)
    members: Mapping[PodId, Sequence[str]] = field(default_factory=dict)

    @property
    def is_together(self) -> bool:
        """Tell whether all its servers must be in one pod."""
        return self.policy == "affinity"

    @property
    def draws_together(self) -> bool:
        """Tell whether its servers should be in one pod if they can."""
        return self.policy in ("affinity", "soft-affinity")

    @property
    def crowded_pod(self) -> PodId | None:
        """Return the pod with most of its servers, the first by id of equals, if it has any."""
        counts = {pod_id: len(members) for pod_id, members in self.members.items() if members}
        return min(counts, key=lambda pod_id: (-counts[pod_id], pod_id), default=None)


def read_group(top_id: TopId, answers: Mapping[PodId, bytes], home: PodId) -> Group:
    """Return a group from what its pods show of it; ``home`` is the pod that tells its name."""
    shown = answers[home]
    name = _text(shown, "name")
    marked = read_twin_name(name)
    rules = read_value(shown, "server_group.rules")
    policies = read_value(shown, "server_group.policies")
    policy = policies[0] if isinstance(policies, list) and policies else _text(shown, "policy")
    return Group(
        top_id,
        marked[0] if marked and marked[1] == top_id else name,
        str(policy),
        ProjectId(_text(shown, "project_id")),
        rules if isinstance(rules, dict) else {},
        members={pod_id: _members(body, "server_group.") for pod_id, body in answers.items()},
    )


def twin_body(group: Group, version: Version) -> Mapping[str, object]:
    """Return the request that makes a twin, in the form of a microversion."""
    named: dict[str, object] = {"name": twin_name(group.name, group.top_id)}
    if version < POLICY_SINCE:
        return {"server_group": named | {"policies": [group.policy]}}
    rules = {"rules": dict(group.rules)} if group.rules else {}
    return {"server_group": named | {"policy": group.policy} | rules}


def find_hint(body: bytes) -> tuple[str, str] | None:
    """Return place and text of the group that ``POST /servers`` asks for, if it names one."""
    fields = check_object(body)
    place = next((one for one in HINTS if one.partition(".")[0] in fields), None)
    value = read_value(body, place) if place is not None else None
    return (place, value) if place is not None and isinstance(value, str) and value else None


def show_as_one(top_id: str, shown: bytes, others: Iterable[bytes], place: str = "") -> bytes:
    """Return what one pod shows of a group as the top's, with the members of all pods.

    ``shown`` keeps its bytes but for id and name of a twin, and members of other pods. The
    group is at ``place``, e.g. ``server_group.``.
    """
    if read_value(shown, f"{place}id") != top_id:
        shown = set_value(shown, f"{place}id", top_id)
    marked = read_twin_name(str(read_value(shown, f"{place}name") or ""))
    if marked is not None and marked[1] == top_id:
        shown = set_value(shown, f"{place}name", marked[0])
    own = _members(shown, place)
    known = set(own)
    more = [one for other in others for one in _members(other, place) if one not in known]
    if not more:
        return shown
    return set_value(shown, f"{place}members", [*own, *dict.fromkeys(more)])


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of a pod's list: of which group of the top it is."""

    top_id: str
    item: bytes
    is_home: bool


def merge_rows(rows: Iterable[GroupRow]) -> list[bytes]:
    """Return one row for each group, where its first row stood."""
    groups: dict[str, list[GroupRow]] = {}
    for row in rows:
        groups.setdefault(row.top_id, []).append(row)
    merged = []
    for top_id, twins in groups.items():
        first = next((row for row in twins if row.is_home), twins[0])
        others = [row.item for row in twins if row is not first]
        merged.append(show_as_one(top_id, first.item, others))
    return merged


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows of a list a client asks for."""

    offset: int
    limit: int

    def cut(self, rows: Sequence[bytes]) -> Sequence[bytes]:
        """Return those rows."""
        return rows[self.offset : self.offset + self.limit]


def read_slice(query: str) -> Slice | None:
    """Return what a query asks for; None when Nova would refuse it."""
    numbers = []
    for name in ("offset", "limit"):
        values = list_values(query, name)
        if not all(value.isascii() and value.isdecimal() for value in values):
            return None
        numbers.append(int(values[-1]) if values else 0)
    offset, limit = numbers
    return Slice(offset, min(limit or LONGEST_PAGE, LONGEST_PAGE))


def page_query(query: str, offset: int) -> str:
    """Return the query by which a pod is asked for all its groups from an offset on."""
    rest = without_parameters(query, ("offset", "limit"))
    return f"{rest}&offset={offset}" if offset and rest else f"offset={offset}" if offset else rest


def _members(body: bytes, place: str) -> list[str]:
    found = read_value(body, f"{place}members")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _text(body: bytes, key: str) -> str:
    value = read_value(body, f"server_group.{key}")
    return value if isinstance(value, str) else ""
