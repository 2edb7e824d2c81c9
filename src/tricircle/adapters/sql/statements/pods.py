"""Statements about pods and their endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Delete, Insert, Select, Update, delete, func, insert, or_, select, update

from tricircle.adapters.sql.columns import now
from tricircle.adapters.sql.tables import pod, pod_endpoint, routing, zone_pod
from tricircle.core.model import REPLICATED_KINDS, Endpoint, Pod, PodId, Service

_SERVICES = [service.value for service in Service]
_REPLICAS = [kind.value for kind in REPLICATED_KINDS]


def list_pods(pod_id: PodId | None = None) -> Select[*tuple[object, ...]]:
    """Return a read of all pods, or one: a row for each endpoint, ordered by pod name."""
    # a newer release may have written services that this one does not know
    known = (pod_endpoint.c.pod_id == pod.c.id) & pod_endpoint.c.service.in_(_SERVICES)
    joined = pod.outerjoin(pod_endpoint, known)
    statement = select(
        pod,
        pod_endpoint.c.service,
        pod_endpoint.c.url,
        pod_endpoint.c.minimum_version,
        pod_endpoint.c.maximum_version,
    ).select_from(joined)
    if pod_id is not None:
        statement = statement.where(pod.c.id == pod_id)
    return statement.order_by(pod.c.name, pod_endpoint.c.service)


def find_rivals(wanted: Pod) -> Select[str, str, str]:
    """Return a read of id, name and region of the pods that have what ``wanted`` claims."""
    taken = or_(pod.c.id == wanted.id, pod.c.name == wanted.name, pod.c.region == wanted.region)
    return select(pod.c.id, pod.c.name, pod.c.region).where(taken)


def find_pods(pod_ids: Sequence[PodId]) -> Select[str]:
    """Return a read of the ids of those of these pods that are there."""
    return select(pod.c.id).where(pod.c.id.in_(pod_ids))


def list_pod_ids() -> Select[str]:
    """Return a read of the ids of all pods."""
    return select(pod.c.id).order_by(pod.c.id)


def add_pod(new: Pod) -> Insert:
    """Return the insert of a pod without its endpoints."""
    return insert(pod).values(
        id=new.id,
        name=new.name,
        region=new.region,
        enabled=new.enabled,
        description=new.description,
        tags=_write_tags(new.tags),
    )


def lock_pod(pod_id: PodId) -> Select[str]:
    """Return a read that keeps others from a pod's row until the transaction ends."""
    return select(pod.c.id).where(pod.c.id == pod_id).with_for_update()


def update_pod(changed: Pod) -> Update:
    """Return the update of all that may change in a pod's own row."""
    return (
        update(pod)
        .where(pod.c.id == changed.id)
        .values(
            name=changed.name,
            enabled=changed.enabled,
            description=changed.description,
            tags=_write_tags(changed.tags),
            updated_at=now(),
        )
    )


def _write_tags(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, sort_keys=True)


def delete_pod(pod_id: PodId) -> Delete:
    """Return the delete of a pod, which takes its endpoints and node with it."""
    return delete(pod).where(pod.c.id == pod_id)


def forget_replicas_of(pod_id: PodId) -> Delete:
    """Return the delete of the routings into a pod of what all pods have alike."""
    return delete(routing).where(routing.c.pod_id == pod_id, routing.c.kind.in_(_REPLICAS))


def add_endpoints(pod_id: PodId, endpoints: Sequence[Endpoint]) -> Insert:
    """Return the insert of at least one endpoint."""
    return insert(pod_endpoint).values(
        [
            {
                "pod_id": pod_id,
                "service": endpoint.service.value,
                "url": endpoint.url,
                "minimum_version": str(endpoint.versions.minimum) if endpoint.versions else None,
                "maximum_version": str(endpoint.versions.maximum) if endpoint.versions else None,
            }
            for endpoint in endpoints
        ]
    )


def delete_endpoints(pod_id: PodId) -> Delete:
    """Return the delete of all endpoints of a pod."""
    return delete(pod_endpoint).where(pod_endpoint.c.pod_id == pod_id)


def list_zones_of(pod_id: PodId) -> Select[str]:
    """Return a read of the zones a pod serves, ordered."""
    return select(zone_pod.c.zone).where(zone_pod.c.pod_id == pod_id).order_by(zone_pod.c.zone)


def count_routings_of(pod_id: PodId) -> Select[str, int]:
    """Return a count of the routings into a pod, replicas left out, by kind and ordered by it."""
    counted = select(routing.c.kind, func.count().label("routings")).where(
        routing.c.pod_id == pod_id, routing.c.kind.not_in(_REPLICAS)
    )
    return counted.group_by(routing.c.kind).order_by(routing.c.kind)
