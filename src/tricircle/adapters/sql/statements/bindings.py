"""Statements about which pod a project is bound to in a zone."""

from __future__ import annotations

from sqlalchemy import Delete, Insert, Select, Update, delete, select, update

from tricircle.adapters.sql.statements.inserts import insert_missing
from tricircle.adapters.sql.tables import binding, past_binding
from tricircle.core.model import PodId, ProjectId, ZoneName


def find_binding(project_id: ProjectId, zone: ZoneName) -> Select[str]:
    """Return a read of the pod id."""
    return select(binding.c.pod_id).where(
        binding.c.project_id == project_id, binding.c.zone == zone
    )


def list_bindings(project_id: ProjectId) -> Select[str, str]:
    """Return a read of zones and pod ids."""
    return select(binding.c.zone, binding.c.pod_id).where(binding.c.project_id == project_id)


def bind(backend: str, project_id: ProjectId, zone: ZoneName, pod_id: PodId) -> Insert:
    """Return an insert that leaves a binding that is there as it is."""
    adding = insert_missing(backend, binding)
    return adding.values(project_id=project_id, zone=zone, pod_id=pod_id)


def rebind(project_id: ProjectId, zone: ZoneName, old: PodId, new: PodId) -> Update:
    """Return an update that changes a binding only while it still is ``old``."""
    return (
        update(binding)
        .where(
            binding.c.project_id == project_id,
            binding.c.zone == zone,
            binding.c.pod_id == old,
        )
        .values(pod_id=new)
    )


def keep_past(backend: str, project_id: ProjectId, pod_id: PodId) -> Insert:
    """Return an insert that leaves a past binding that is there as it is."""
    return insert_missing(backend, past_binding).values(project_id=project_id, pod_id=pod_id)


def list_past(project_id: ProjectId) -> Select[str]:
    """Return a read of pod ids."""
    return select(past_binding.c.pod_id).where(past_binding.c.project_id == project_id)


def unbind(project_id: ProjectId, zone: ZoneName) -> Delete:
    """Return the removal of a binding."""
    return delete(binding).where(binding.c.project_id == project_id, binding.c.zone == zone)
