"""Pods and zones as they are known, and how zone names are translated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tricircle.core.model import Pod, PodId, ZoneName, ZonePod


@dataclass(frozen=True, slots=True)
class Topology:
    """All pods and the zone map as they were at one moment."""

    pods: tuple[Pod, ...] = ()
    zone_pods: tuple[ZonePod, ...] = ()
    _by_id: dict[PodId, Pod] = field(default_factory=dict, repr=False, compare=False)
    _tops: dict[tuple[PodId, str], str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_id.update((pod.id, pod) for pod in self.pods)
        self._tops.update(((one.pod_id, one.pod_az), one.zone) for one in self.zone_pods)

    def find_pod(self, pod_id: PodId) -> Pod | None:
        """Return a pod by id, if it is known."""
        return self._by_id.get(pod_id)

    def top_zone(self, pod_id: PodId, pod_az: str) -> str:
        """Return the top's name of a pod's zone; the pod's own name when it is not mapped."""
        return self._tops.get((pod_id, pod_az), pod_az)

    def pod_zones(self, zone: str) -> tuple[ZonePod, ...]:
        """Return the entries of one zone of the top, ordered by pod id."""
        return tuple(entry for entry in self.zone_pods if entry.zone == zone)

    def zones_of(self, pod_id: PodId) -> tuple[ZoneName, ...]:
        """Return the zones of the top that a pod serves, sorted."""
        return tuple(sorted(entry.zone for entry in self.zone_pods if entry.pod_id == pod_id))

    def zones(self) -> tuple[ZoneName, ...]:
        """Return the names of all zones of the top, sorted."""
        return tuple(sorted({entry.zone for entry in self.zone_pods}))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that a new resource may go to, and the zone name to send it ('' = none).

    ``has_room`` tells whether it has room for it, as far as was measured.
    """

    pod: Pod
    pod_az: str
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class ZoneState:
    """A zone of the top as users see it: available while any of its pods takes requests."""

    name: str
    available: bool
    pods: tuple[tuple[Pod, bool], ...]
    """Each pod of the zone, by name, and whether it answers."""


def zone_states(topology: Topology, is_dead: Callable[[PodId], bool]) -> list[ZoneState]:
    """Return the state of every zone, ordered by name."""
    states = []
    for name in topology.zones():
        found = (topology.find_pod(entry.pod_id) for entry in topology.pod_zones(name))
        pods = sorted((pod for pod in found if pod is not None), key=lambda pod: pod.name)
        alive = tuple((pod, not is_dead(pod.id)) for pod in pods)
        states.append(
            ZoneState(name, any(pod.enabled and answers for pod, answers in alive), alive)
        )
    return states
