"""Statements about jobs.

Who may move a job is decided by an update whose WHERE names the lease, or by rows
that are locked first. Nothing relies on a snapshot, so any isolation level will do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from tricircle.adapters.sql.columns import from_now, now
from tricircle.adapters.sql.tables import job, job_event, pod_pause
from tricircle.core.jobs import KINDS, JobRequest, job_key, pod_of, project_of, write_fields
from tricircle.core.model import PodId
from tricircle.core.runs import JobId, JobState, LeaseToken, Move
from tricircle.interfaces.jobs import ClaimAsk, JobFilter

COLUMNS = (
    job.c.id,
    job.c.kind,
    job.c.fields,
    job.c.state,
    job.c.request_id,
    job.c.asked,
    job.c.attempts,
    job.c.error,
    job.c.worker,
    job.c.created_at,
    job.c.updated_at,
    job.c.due_at,
    job.c.started_at,
    job.c.finished_at,
    job.c.lease_until,
)

_NEW = JobState.NEW.value
_RUNNING = JobState.RUNNING.value
_FAILED = JobState.FAILED.value
_ENDED = (JobState.DONE.value, JobState.CANCELLED.value)
_COUNTED = (_NEW, _RUNNING, _FAILED)

Rows = Select[*tuple[object, ...]]
Values = Mapping[str, object]


# Requests.


def request_values(request: JobRequest, job_id: JobId) -> Values:
    """Return the row of a new job."""
    key = job_key(request.job)
    return {
        "id": job_id,
        "kind": request.job.kind,
        "job_key": key,
        "live_key": key,
        "fields": write_fields(request.job),
        "pod_id": pod_of(request.job),
        "project_id": project_of(request.job),
        "state": _NEW,
        "request_id": request.request_id,
        "asked": 1,
        "asked_at_start": 0,
        "attempts": 0,
        "error": "",
        "worker": "",
        "due_at": from_now(request.wait_s),
    }


def submit(backend: str, request: JobRequest, job_id: JobId) -> Insert:
    """Return the insert of a job, or the raise of the generation of the one that is live.

    One that waits is due as soon as either request says, one that has failed is new
    again. MySQL sees what an assignment before has changed, so the state comes last.
    """
    values = request_values(request, job_id)
    if backend == "mysql":
        from sqlalchemy.dialects import mysql

        adding = mysql.insert(job).values(values)
        return adding.on_duplicate_key_update(_changes_when_asked_again(request))
    if backend == "postgresql":
        from sqlalchemy.dialects import postgresql

        return (
            postgresql.insert(job)
            .values(values)
            .on_conflict_do_update(
                index_elements=["live_key"], set_=dict(_changes_when_asked_again(request))
            )
        )
    from sqlalchemy.dialects import sqlite

    return (
        sqlite.insert(job)
        .values(values)
        .on_conflict_do_update(
            index_elements=["live_key"], set_=dict(_changes_when_asked_again(request))
        )
    )


def _changes_when_asked_again(request: JobRequest) -> list[tuple[str, object]]:
    due_at = from_now(request.wait_s)
    sooner = case(
        (job.c.state == _FAILED, due_at),
        (and_(job.c.state == _NEW, job.c.due_at > due_at), from_now(request.wait_s)),
        else_=job.c.due_at,
    )
    return [
        ("asked", job.c.asked + 1),
        ("request_id", request.request_id),
        ("attempts", case((job.c.state == _FAILED, 0), else_=job.c.attempts)),
        ("due_at", sooner),
        ("updated_at", now()),
        ("state", case((job.c.state == _FAILED, _NEW), else_=job.c.state)),
    ]


def find_live(keys: Collection[str]) -> Rows:
    """Return a read of the live jobs with these keys and the state of their newest event."""
    newest = (
        select(job_event.c.state)
        .where(job_event.c.job_id == job.c.id)
        .order_by(job_event.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(job.c.live_key, job.c.id, job.c.state, newest.label("told")).where(
        job.c.live_key.in_(keys)
    )


def add_events(events: Sequence[Values]) -> Insert:
    """Return an insert of moves: job_id, state, who, why."""
    return insert(job_event).values([dict(event) for event in events])


# Claims.


def list_pauses() -> Rows:
    """Return a read of the pods that did not answer, until when they are left alone, and now."""
    return select(pod_pause.c.pod_id, pod_pause.c.until, now().label("now"))


def list_candidates(kinds: Collection[str], limit: int) -> Rows:
    """Return a read of the jobs that wait, in the order in which they are due, and of now."""
    return (
        select(job.c.id, job.c.pod_id, job.c.due_at, now().label("now"))
        .where(job.c.state == _NEW, job.c.kind.in_(sorted(kinds)))
        .order_by(job.c.due_at)
        .limit(limit)
    )


def list_candidates_of(
    kinds: Collection[str], rooms: Sequence[tuple[PodId | None, int]]
) -> CompoundSelect[*tuple[object, ...]]:
    """Return a read of the first jobs of each of these pods that are due, and of now.

    One short read of an index for each: what waits for other pods costs nothing.
    """
    parts = []
    for pod_id, room in rooms:
        of_pod = job.c.pod_id.is_(None) if pod_id is None else job.c.pod_id == pod_id
        part = (
            select(job.c.id, job.c.pod_id, job.c.due_at, now().label("now"))
            .where(of_pod, job.c.state == _NEW, job.c.due_at <= now())
            .where(job.c.kind.in_(sorted(kinds)))
            .order_by(job.c.due_at)
            .limit(room)
            .subquery()
        )
        parts.append(select(part))
    return union_all(*parts)


def take_write_lock() -> Update:
    """Return an update of nothing, which takes the lock of a SQLite file."""
    return update(job).where(false()).values(worker="")


def lock_waiting(ids: Collection[JobId], limit: int) -> Rows:
    """Return a read that locks those of these jobs that still wait, oldest first.

    What another worker is about to claim is passed over (SQLite: the whole file is
    locked already, and ignores the clause).
    """
    return (
        select(*COLUMNS)
        # due still: since it was read another worker may have done it, and it is due later
        .where(job.c.id.in_(ids), job.c.state == _NEW, job.c.due_at <= now())
        .order_by(job.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def begin_runs(ids: Collection[JobId], ask: ClaimAsk) -> Update:
    """Return the update by which a worker takes jobs whose rows it has locked."""
    return (
        update(job)
        .where(job.c.id.in_(ids), job.c.state == _NEW)
        .values(
            state=_RUNNING,
            worker=ask.worker,
            lease_token=ask.token,
            lease_until=from_now(ask.lease_s),
            attempts=job.c.attempts + 1,
            asked_at_start=job.c.asked,
            started_at=now(),
            updated_at=now(),
        )
    )


# Leases.


def renew_leases(tokens: Collection[LeaseToken], lease_s: float) -> Update:
    """Return the update that extends leases."""
    return (
        update(job)
        .where(job.c.lease_token.in_(tokens), job.c.state == _RUNNING)
        .values(lease_until=from_now(lease_s))
    )


def list_held(tokens: Collection[LeaseToken]) -> Rows:
    """Return a read of the jobs that are held under these tokens."""
    return select(job.c.id, job.c.lease_token, job.c.asked).where(
        job.c.lease_token.in_(tokens), job.c.state == _RUNNING
    )


def lock_held(ids: Collection[JobId], tokens: Collection[LeaseToken]) -> Update:
    """Return an update of runs that changes nothing but keeps others from them."""
    return (
        update(job)
        .where(job.c.id.in_(ids), job.c.lease_token.in_(tokens), job.c.state == _RUNNING)
        .values(updated_at=now())
    )


def list_abandoned(limit: int) -> Rows:
    """Return a read of runs whose lease has run out."""
    return select(job.c.id).where(_is_abandoned()).limit(limit)


def lock_abandoned(ids: Collection[JobId]) -> Update:
    """Return an update that keeps others from those of these runs that still are abandoned."""
    return update(job).where(job.c.id.in_(ids), _is_abandoned()).values(updated_at=now())


def list_locked_abandoned(ids: Collection[JobId]) -> Rows:
    """Return a read of what was locked."""
    return select(job.c.id, job.c.attempts, job.c.worker).where(job.c.id.in_(ids), _is_abandoned())


def _is_abandoned() -> ColumnElement[bool]:
    return and_(job.c.state == _RUNNING, job.c.lease_until <= now())


def move(ids: Collection[JobId], to: Move) -> Update:
    """Return the update that ends the run of jobs, all with the same move."""
    changes: dict[str, object] = {
        "state": to.state.value,
        "lease_token": None,
        "lease_until": None,
        "finished_at": now(),
        "updated_at": now(),
        "error": to.why if to.failed else "",
    }
    if to.state is JobState.DONE:
        changes["live_key"] = None
    else:
        changes["attempts"] = to.attempts
    if to.state is JobState.NEW:
        changes["due_at"] = from_now(to.wait_s)
    return update(job).where(job.c.id.in_(ids)).values(changes)


# Pods that do not answer.


def find_pauses(pod_ids: Collection[PodId]) -> Rows:
    """Return a read of the failures of pods so far, and whether their pause is over."""
    over = case((pod_pause.c.until <= now(), 1), else_=0)
    return select(pod_pause.c.pod_id, pod_pause.c.failures, over.label("over")).where(
        pod_pause.c.pod_id.in_(pod_ids)
    )


def pause_values(pod_id: PodId, failures: int, pause_s: float, reason: str) -> Values:
    """Return the row of a pod that is left alone for a while."""
    return {
        "pod_id": pod_id,
        "failures": failures,
        "until": from_now(pause_s),
        "reason": reason,
    }


def end_pauses(pod_ids: Collection[PodId]) -> Delete:
    """Return the delete of the pauses of pods that answered."""
    return delete(pod_pause).where(pod_pause.c.pod_id.in_(pod_ids))


# Records.


def list_jobs(
    backend: str, wanted: JobFilter, limit: int, after: tuple[datetime, JobId] | None
) -> Rows:
    """Return a read of jobs, newest first."""
    equal = {
        job.c.kind: wanted.kind,
        job.c.state: wanted.state and wanted.state.value,
        job.c.pod_id: wanted.pod_id,
        job.c.project_id: wanted.project_id,
        job.c.job_key: wanted.key,
    }
    # kinds of a newer release stay out
    conditions: list[ColumnElement[bool]] = [job.c.kind.in_(sorted(KINDS))]
    conditions += [column == value for column, value in equal.items() if value is not None]
    if after is not None:
        conditions.append(_is_older(backend, after))
    order = (job.c.created_at.desc(), job.c.id.desc())
    return select(*COLUMNS).where(*conditions).order_by(*order).limit(limit)


def _is_older(backend: str, after: tuple[datetime, JobId]) -> ColumnElement[bool]:
    created_at, job_id = after
    if backend != "mysql":
        return tuple_(job.c.created_at, job.c.id) < tuple_(created_at, job_id)
    # MySQL and MariaDB read the whole table for a comparison of tuples
    return or_(
        job.c.created_at < created_at,
        and_(job.c.created_at == created_at, job.c.id < job_id),
    )


def find_job(job_id: JobId) -> Rows:
    """Return a read of one job."""
    return select(*COLUMNS).where(job.c.id == job_id)


def list_events(job_id: JobId) -> Rows:
    """Return a read of a job's moves, oldest first."""
    return (
        select(job_event.c.state, job_event.c.at, job_event.c.who, job_event.c.why)
        .where(job_event.c.job_id == job_id)
        .order_by(job_event.c.number)
    )


def lock_job(job_id: JobId) -> Update:
    """Return an update of one job that changes nothing but keeps others from it."""
    return update(job).where(job.c.id == job_id).values(updated_at=job.c.updated_at)


def ask_again(job_id: JobId, state: JobState, request_id: str) -> Update:
    """Return the update of a live job that is to be done again, now."""
    changes: dict[str, object] = {
        "asked": job.c.asked + 1,
        "request_id": request_id,
        "updated_at": now(),
    }
    if state is not JobState.RUNNING:
        changes |= {"state": _NEW, "attempts": 0, "due_at": now()}
    return update(job).where(job.c.id == job_id).values(changes)


def cancel(job_id: JobId) -> Update:
    """Return the update of a job that is given up."""
    return (
        update(job)
        .where(job.c.id == job_id)
        .values(
            state=JobState.CANCELLED.value,
            live_key=None,
            lease_token=None,
            lease_until=None,
            finished_at=now(),
            updated_at=now(),
        )
    )


def count_jobs() -> Rows:
    """Return a read of the number of live jobs by kind, pod and state, with their oldest times."""
    return (
        select(
            job.c.kind,
            job.c.pod_id,
            job.c.state,
            func.count().label("jobs"),
            func.min(job.c.due_at).label("due_at"),
            func.min(job.c.started_at).label("started_at"),
            func.min(job.c.finished_at).label("finished_at"),
            now().label("now"),
        )
        .where(
            job.c.state.in_(_COUNTED),
            or_(job.c.state != _NEW, job.c.due_at <= now()),
        )
        .group_by(job.c.kind, job.c.pod_id, job.c.state)
        .order_by(job.c.kind, job.c.pod_id, job.c.state)
    )


def list_ended(before_s: float, limit: int) -> Rows:
    """Return a read of the ids of jobs that ended long ago."""
    long_ago = from_now(-before_s)
    return (
        # nothing ends before it is due, and due_at is what the index has
        select(job.c.id)
        .where(
            job.c.state.in_(_ENDED),
            job.c.due_at <= long_ago,
            job.c.finished_at <= from_now(-before_s),
        )
        .limit(limit)
    )


def delete_jobs(ids: Collection[str]) -> Delete:
    """Return the delete of these jobs where they still are over."""
    return delete(job).where(job.c.id.in_(ids), job.c.state.in_(_ENDED))


def list_old_events(before_s: float, limit: int) -> Rows:
    """Return a read of the numbers of events from long ago."""
    return (
        select(job_event.c.number)
        .where(job_event.c.at <= from_now(-before_s))
        .order_by(job_event.c.at)
        .limit(limit)
    )


def delete_events(numbers: Collection[int]) -> Delete:
    """Return the delete of these events."""
    return delete(job_event).where(job_event.c.number.in_(numbers))
