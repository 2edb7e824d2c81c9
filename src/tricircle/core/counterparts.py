"""Ids at the top, and in each pod, of what all pods have alike with ids of their own.

Cinder chooses the ids of volume types, QoS specs and group types. Users see one id of each:
that in the first pod it was found in. Any pod's own id is understood as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tricircle.core.model import BottomId, Kind, PodId, ProjectId, Routing, TopId

ID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
"""What Cinder gives as an id."""


@dataclass(frozen=True, slots=True)
class Counterparts:
    """The ids of some kinds of things, as they were kept at one time."""

    tops: Mapping[str, TopId] = field(default_factory=dict)
    bottoms: Mapping[TopId, Mapping[PodId, BottomId]] = field(default_factory=dict)

    def find_top(self, an_id: str) -> TopId | None:
        """Return the id at the top of what has this id there or in any pod."""
        return self.tops.get(an_id)

    def find_bottom(self, pod_id: PodId, an_id: str) -> BottomId | None:
        """Return a pod's own id of what has this id at the top or in any pod."""
        top_id = self.tops.get(an_id)
        return None if top_id is None else self.bottoms[top_id].get(pod_id)

    def list_bottoms(self, an_id: str) -> Mapping[PodId, BottomId]:
        """Return each pod's own id of what has this id at the top or in any pod."""
        top_id = self.tops.get(an_id)
        return {} if top_id is None else self.bottoms[top_id]

    def to_top(self, text: str) -> str:
        """Return a text with the ids of pods in it made the top's."""
        return ID.sub(lambda found: self.tops.get(found[0], found[0]), text)

    def to_bottom(self, pod_id: PodId, text: str) -> str:
        """Return a text with the ids in it made a pod's, as far as it has such things."""
        return ID.sub(lambda found: self.find_bottom(pod_id, found[0]) or found[0], text)


def read_counterparts(routings: Iterable[Routing]) -> Counterparts:
    """Return what routings say."""
    tops: dict[str, TopId] = {}
    bottoms: dict[TopId, dict[PodId, BottomId]] = {}
    for one in routings:
        if one.bottom_id is not None:
            tops[one.bottom_id] = one.top_id
            bottoms.setdefault(one.top_id, {})[one.pod_id] = one.bottom_id
    # an id that some pod has is that pod's; only then can it be the top's alone
    return Counterparts({**{top: top for top in bottoms}, **tops}, bottoms)


NamedIds = Mapping[str, BottomId]
"""The things of one pod by their names, which no two of them share."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be written down: routings that are new, and those of things that are gone."""

    new: Sequence[Routing]
    gone: Sequence[Routing]


def match_by_name(
    kind: Kind, known: Sequence[Routing], pods: Sequence[tuple[PodId, NamedIds]]
) -> Found:
    """Return what is not known yet of the things that pods have, the first pod first.

    What pods call the same is the same. ``known`` must have been read before the pods
    were: then what a pod does not show any more is gone.
    """
    tops = {(one.pod_id, one.bottom_id): one.top_id for one in known}
    kept = {(one.top_id, one.pod_id): one for one in known}
    by_name: dict[str, TopId] = {}
    for pod_id, things in pods:
        for name, bottom_id in things.items():
            top_id = tops.get((pod_id, bottom_id))
            if top_id is not None:
                by_name.setdefault(name, top_id)
    new: list[Routing] = []
    gone: list[Routing] = []
    for pod_id, things in pods:
        shown = set(things.values())
        for name, bottom_id in sorted(things.items()):
            if (pod_id, bottom_id) in tops:
                continue
            top_id = by_name.setdefault(name, TopId(bottom_id))
            other = kept.get((top_id, pod_id))
            if other is not None and other.bottom_id in shown:
                top_id = TopId(bottom_id)
            elif other is not None:
                gone.append(other)
            new.append(Routing(kind, top_id, pod_id, bottom_id, ProjectId("")))
    return Found(new, gone)
