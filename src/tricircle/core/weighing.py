"""Which pods a new resource may go to, which is best, and why.

Filters say why a pod is out, weighers how good it is; each is one pure function and gives its
reason in words, so that the same code places resources and explains it to operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tricircle.core.errors import NoPodInZone, TagsLacking
from tricircle.core.model import Node, Pod, PodId, ZoneName
from tricircle.core.placing import Candidate, Topology
from tricircle.core.pod_tags import Tag, demanded_tags, list_lacking
from tricircle.core.replicas import Flavor, VolumeType


@dataclass(frozen=True, slots=True)
class Needs:
    """What a new resource takes; 0 where it takes nothing or nobody knows.

    ``tags`` are names and values that its pod must have. Two values of one name no pod has.
    """

    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    volume_gib: int = 0
    tags: frozenset[Tag] = frozenset()

    def times(self, count: int) -> Needs:
        """Return what so many of them take."""
        return Needs(
            self.vcpus * count,
            self.memory_mib * count,
            self.disk_gib * count,
            self.volume_gib * count,
            self.tags,
        )


def flavor_needs(flavor: Flavor) -> Needs:
    """Return what a server of a flavor takes."""
    swap_mib = flavor.swap if isinstance(flavor.swap, int) else 0
    disk_gib = flavor.disk + flavor.ephemeral - (-swap_mib // 1024)
    tags = demanded_tags(flavor.extra_specs)
    return Needs(flavor.vcpus, flavor.ram, disk_gib, tags=tags)


def type_needs(volume_type: VolumeType) -> Needs:
    """Return what a volume type demands of the pod of a volume, whose size it does not know."""
    return Needs(tags=demanded_tags(volume_type.extra_specs))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of its pod.

    ``must`` is the pod that holds what the request names, ``prefers`` one to be tried first.
    ``apart`` are pods with something that the new resource must share no host with.
    """

    zone: str | None
    must: PodId | None = None
    prefers: PodId | None = None
    needs: Needs = field(default_factory=Needs)
    apart: frozenset[PodId] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known: pods and zones, and their nodes.

    ``bindings`` are the pods a project is bound to, by zone, ``past_pods`` those that a
    binding was moved from.
    """

    topology: Topology
    nodes: Mapping[PodId, Node] = field(default_factory=dict)
    bindings: Mapping[ZoneName, PodId] = field(default_factory=dict)
    past_pods: frozenset[PodId] = frozenset()


@dataclass(frozen=True, slots=True)
class Weight:
    """What one weigher says of a pod; the larger the better."""

    weigher: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a pod: ``refusal`` says why it is out, else its weights are added."""

    pod: Pod
    pod_az: str
    refusal: str = ""
    weights: tuple[Weight, ...] = ()

    @property
    def weight(self) -> float:
        """Return the sum."""
        return sum(one.value for one in self.weights)

    @property
    def has_room(self) -> bool:
        """Tell whether the pod has room for what is asked, as far as was measured."""
        return all(one.value >= 0 for one in self.weights if one.weigher == "room")


def judge(asked: Asked, facts: Facts) -> list[Verdict]:
    """Return all pods, best first, those that are out at the end; equals by name.

    Two workers given the same facts agree.
    """
    verdicts = [_judge_one(asked, facts, pod) for pod in facts.topology.pods]
    return sorted(verdicts, key=lambda one: (bool(one.refusal), -one.weight, one.pod.name))


def list_candidates(asked: Asked, facts: Facts) -> list[Candidate]:
    """Return the pods to try, best first. Raises NoPodInZone, TagsLacking."""
    found = [one for one in judge(asked, facts) if not one.refusal]
    if found:
        return [Candidate(one.pod, one.pod_az, one.has_room) for one in found]
    if asked.needs.tags:
        needs = replace(asked.needs, tags=frozenset())
        list_candidates(replace(asked, needs=needs), facts)
        raise TagsLacking(asked.zone, ", ".join(list_lacking(asked.needs.tags, {})))
    raise NoPodInZone(asked.zone or "any")


def _judge_one(asked: Asked, facts: Facts, pod: Pod) -> Verdict:
    pod_az = next((az for az in _zones_in(asked, facts, pod)), "")
    refusal = next((why for check in _FILTERS if (why := check(asked, facts, pod))), "")
    if refusal:
        return Verdict(pod, pod_az, refusal)
    return Verdict(pod, pod_az, "", tuple(weigh(asked, facts, pod) for weigh in _WEIGHERS))


def _zones_in(asked: Asked, facts: Facts, pod: Pod) -> Sequence[str]:
    """Return what a pod calls the zone asked for; nothing is sent when none was."""
    if asked.zone is None:
        return [""] if facts.topology.zones_of(pod.id) or pod.id == asked.must else []
    entries = facts.topology.pod_zones(asked.zone)
    return [entry.pod_az for entry in entries if entry.pod_id == pod.id]


# Filters: each returns why a pod is out, '' when it is not.


def _check_zone(asked: Asked, facts: Facts, pod: Pod) -> str:
    if _zones_in(asked, facts, pod):
        return ""
    zone = "any availability zone" if asked.zone is None else f"availability zone '{asked.zone}'"
    return f"does not serve {zone}"


def _check_demand(asked: Asked, facts: Facts, pod: Pod) -> str:
    if asked.must is None or asked.must == pod.id:
        return ""
    return "does not hold what the request names"


def _check_tags(asked: Asked, facts: Facts, pod: Pod) -> str:
    lacking = list_lacking(asked.needs.tags, pod.tags)
    return f"lacks the tags that are demanded: {', '.join(lacking)}" if lacking else ""


def _check_enabled(asked: Asked, facts: Facts, pod: Pod) -> str:
    """What a disabled pod holds must stay usable, so it still takes what must be beside it."""
    if pod.enabled or asked.must == pod.id:
        return ""
    return "is disabled: it gets nothing new"


_FILTERS: tuple[Callable[[Asked, Facts, Pod], str], ...] = (
    _check_zone,
    _check_demand,
    _check_enabled,
    _check_tags,
)


# Weighers. Each outweighs all that follow it.


def _weigh_room(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    """A full pod comes last and is not out: figures are old, and Nova's own answer is best."""
    node = facts.nodes.get(pod.id)
    if node is None:
        return Weight("room", 0.0, "was never measured, so it has plenty")
    lacking = [
        f"{max(free, 0)} of {total} {word} free, {needed} needed"
        for word, needed, free, total in _figures(asked.needs, node)
        if needed > max(free, 0)
    ]
    if lacking:
        return Weight("room", -2000.0, f"has no room: {'; '.join(lacking)}")
    return Weight("room", 0.0, "has room")


def _weigh_wish(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    if asked.prefers == pod.id:
        return Weight("wish", 1000.0, "has servers of the server group")
    return Weight("wish", 0.0, "no wish names it")


def _weigh_apart(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    if pod.id in asked.apart:
        return Weight("apart", 0.0, "has what this must share no host with")
    return Weight("apart", 500.0 if asked.apart else 0.0, "has nothing that this must avoid")


def _weigh_binding(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    if facts.bindings.get(ZoneName(asked.zone or "")) == pod.id:
        return Weight("binding", 100.0, "the project is bound to it in this zone")
    return Weight("binding", 0.0, "the project is not bound to it in this zone")


def _weigh_history(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    """Now counts more than before, and before more than figures: what was made there is there."""
    if pod.id in facts.bindings.values():
        return Weight("history", 20.0, "the project is bound to it in some zone")
    if pod.id in facts.past_pods:
        return Weight("history", 10.0, "the project was bound to it before")
    return Weight("history", 0.0, "the project was never bound to it")


def _weigh_capacity(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    """Return up to 5 for the scarcest thing that is left when the new resource is there."""
    node = facts.nodes.get(pod.id)
    if node is None:
        return Weight("capacity", 5.0, "was never measured, so it has plenty")
    shares = [
        max(free - needed, 0) / total
        for _, needed, free, total in _figures(asked.needs, node)
        if total > 0
    ]
    share = min(shares, default=0.0)
    return Weight("capacity", round(5 * share, 3), f"{share:.0%} would be left")


def _weigh_spread(asked: Asked, facts: Facts, pod: Pod) -> Weight:
    """Return up to 1 for having few servers."""
    most = max((node.running_vms for node in facts.nodes.values()), default=0)
    node = facts.nodes.get(pod.id)
    if node is None or most <= 0:
        return Weight("spread", 1.0, "its servers were never counted, or none has any")
    share = 1 - node.running_vms / most
    return Weight("spread", round(share, 3), f"{node.running_vms} servers, at most {most} in a pod")


_WEIGHERS: tuple[Callable[[Asked, Facts, Pod], Weight], ...] = (
    _weigh_room,
    _weigh_wish,
    _weigh_apart,
    _weigh_binding,
    _weigh_history,
    _weigh_capacity,
    _weigh_spread,
)


def _figures(needs: Needs, node: Node) -> list[tuple[str, int, int, int]]:
    """Return words, need, what is free, and all there is, of what is needed.

    When nothing is known to be needed: of vCPUs and memory.
    """
    pairs = [
        ("vCPUs", needs.vcpus, node.vcpus, node.vcpus_used),
        ("MiB of memory", needs.memory_mib, node.memory_mib, node.memory_mib_used),
        ("GiB of disk", needs.disk_gib, node.disk_gib, node.disk_gib_used),
        ("GiB for volumes", needs.volume_gib, node.volume_gib, node.volume_gib_used),
    ]
    figures = [(word, needed, total - used, total) for word, needed, total, used in pairs]
    needed = [one for one in figures if one[1] > 0]
    return needed or figures[:2]
