"""Statements about the zone map."""

from __future__ import annotations

from sqlalchemy import Delete, Insert, Select, Update, delete, insert, select, update

from tricircle.adapters.sql.tables import zone_pod
from tricircle.core.model import PodId, ZoneName, ZonePod


def list_zone_pods() -> Select[str, str, str | None]:
    """Return a read of the whole map, ordered by zone and pod id."""
    return select(zone_pod).order_by(zone_pod.c.zone, zone_pod.c.pod_id)


def find_rivals(wanted: ZonePod) -> Select[str, str, str | None]:
    """Return a read of the entries of the same pod."""
    return select(zone_pod).where(zone_pod.c.pod_id == wanted.pod_id).order_by(zone_pod.c.zone)


def add_zone_pod(entry: ZonePod) -> Insert:
    """Return the insert of an entry; an empty ``pod_az`` becomes null."""
    return insert(zone_pod).values(
        zone=entry.zone, pod_id=entry.pod_id, pod_az=entry.pod_az or None
    )


def update_zone_pod(entry: ZonePod) -> Update:
    """Return the update of an entry's ``pod_az``."""
    own = (zone_pod.c.zone == entry.zone) & (zone_pod.c.pod_id == entry.pod_id)
    return update(zone_pod).where(own).values(pod_az=entry.pod_az or None)


def delete_zone_pod(zone: ZoneName, pod_id: PodId) -> Delete:
    """Return the delete of an entry."""
    return delete(zone_pod).where(zone_pod.c.zone == zone, zone_pod.c.pod_id == pod_id)
