"""Why a store refuses a change, decided and worded once for every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tricircle.core.errors import BadInput, Conflict, Duplicate, NotFound, PodInUse
from tricircle.core.model import BottomId, Kind, Pod, PodId, Routing, ZoneName, ZonePod
from tricircle.core.network.spares import SparePort
from tricircle.core.quotas import MAX_USER, Holder
from tricircle.core.runs import JobId, JobState
from tricircle.core.texts import require_storable
from tricircle.core.wishes import WORDS, WishKey


@dataclass(frozen=True, slots=True)
class PodName:
    """What no two pods may share."""

    id: PodId
    name: str
    region: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What keeps a pod from being deleted; ``routings`` counts them by kind."""

    zones: Sequence[ZoneName] = ()
    routings: Mapping[Kind | str, int] = field(default_factory=dict)


def find_pod_conflict(wanted: Pod, others: Iterable[PodName]) -> Duplicate | None:
    """Return why a pod cannot be kept beside ``others``, which may include itself."""
    rivals = [other for other in others if other.id != wanted.id]
    for other in rivals:
        if other.name == wanted.name:
            return Duplicate(
                f"pod name '{wanted.name}' is taken by pod {other.id}; choose another name"
            )
    for other in rivals:
        if other.region == wanted.region:
            return Duplicate(
                f"region '{wanted.region}' is already pod '{other.name}' ({other.id});"
                " a region can be one pod only, see GET /v1/pods of the Admin API"
            )
    return None


def taken_pod_id(pod_id: PodId) -> Duplicate:
    """Return the error for a pod added under the id of another one."""
    return Duplicate(f"pod id {pod_id} is taken; see GET /v1/pods of the Admin API")


def find_zone_conflict(wanted: ZonePod, others: Iterable[ZonePod]) -> Duplicate | None:
    """Return why an entry cannot be kept beside the pod's other entries."""
    for other in others:
        if other.pod_id != wanted.pod_id or other.zone == wanted.zone:
            continue
        if wanted.pod_az and other.pod_az == wanted.pod_az:
            return Duplicate(
                f"zone '{wanted.pod_az}' of pod {wanted.pod_id} already stands for zone"
                f" '{other.zone}'; one zone of a pod can be one zone of the top only"
            )
    return None


def taken_zone(wanted: ZonePod) -> Duplicate:
    """Return the error for an entry that is there already."""
    return Duplicate(
        f"pod {wanted.pod_id} already serves zone '{wanted.zone}'; update that entry instead"
    )


def taken_bottom(routing: Routing, bottom_id: BottomId) -> Duplicate:
    """Return the error for a bottom resource that is another top resource's twin."""
    return Duplicate(
        f"{routing.kind} {bottom_id} of pod {routing.pod_id} is already kept under another id"
        f" than {routing.top_id}; look it up by its id in the pod"
    )


def pod_in_use(pod: PodName, holdings: Holdings) -> PodInUse:
    """Return the error for deleting a pod that holds something: how much, and what to do."""
    return PodInUse(
        f"pod '{pod.name}' ({pod.id}) {_describe(holdings)}; delete or move these first,"
        " or only disable the pod"
    )


def unknown_pod(pod_id: PodId) -> NotFound:
    """Return the error for a pod that is not there."""
    return NotFound(f"there is no pod {pod_id}; see GET /v1/pods of the Admin API")


def unknown_zone_pod(zone: ZoneName, pod_id: PodId) -> NotFound:
    """Return the error for an entry of the zone map that is not there."""
    return NotFound(f"pod {pod_id} does not serve zone '{zone}'; see the zone map of the top")


def unknown_job(job_id: JobId) -> NotFound:
    """Return the error for a job that is not there."""
    return NotFound(f"job '{job_id}' could not be found; see GET /v1/jobs of the Admin API")


def ended_job(job_id: JobId, state: JobState) -> Conflict:
    """Return the error for cancelling what has ended already."""
    return Conflict(f"job '{job_id}' is {state} already; only what has not ended can be cancelled")


def changed_wish(key: WishKey) -> Conflict:
    """Return the error for a change of a wish that somebody else has changed meanwhile."""
    return Conflict(f"{key} changed at the same time; please retry")


def require_storable_wish(key: WishKey) -> None:
    """Raise BadInput unless a wish of this key can be kept."""
    require_storable(f"the owner of the {WORDS[key.resource]}", key.owner)
    require_storable(f"the id of the {WORDS[key.resource]}", key.name)


def require_storable_spare(spare: SparePort) -> None:
    """Raise BadInput unless a spare port can be kept."""
    require_storable("the id of the pod", spare.pod_id)
    require_storable("the id of the port in the pod", spare.port_id)
    require_storable("the id of the network", spare.network_id)
    require_storable("the id of the project", spare.project_id)
    require_storable("the MAC address of the port", spare.mac_address)


def require_storable_holder(holder: Holder) -> None:
    """Raise BadInput unless quotas of this holder can be kept."""
    require_storable("the id of the project", holder.project_id)
    require_storable("the id of the user", holder.user_id)
    if len(holder.user_id) > MAX_USER:
        raise BadInput(
            f"the id of the user is longer than {MAX_USER} characters; use a shorter one"
        )


def _describe(holdings: Holdings) -> str:
    parts = []
    if holdings.zones:
        parts.append(f"serves {', '.join(holdings.zones)} in the zone map")
    counted = [f"{count} {kind} routing(s)" for kind, count in sorted(holdings.routings.items())]
    if counted:
        parts.append(f"holds {', '.join(counted)}")
    return " and ".join(parts)
