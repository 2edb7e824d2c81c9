"""Jobs in the database: requests, claims that act as locks, and how runs end."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.job_records import read_record
from tricircle.adapters.sql.statements import jobs as statements
from tricircle.adapters.sql.statements.inserts import insert_missing, insert_or_replace
from tricircle.adapters.sql.statements.pods import find_pods, list_pod_ids
from tricircle.adapters.sql.tables import job, pod_pause
from tricircle.core.conflicts import unknown_pod
from tricircle.core.errors import BadInput, Conflict, NotFound
from tricircle.core.jobs import KINDS, JobRequest, job_key, pod_of, read_fields
from tricircle.core.model import PodId
from tricircle.core.runs import (
    MAX_REASON,
    Ending,
    JobId,
    JobState,
    LeaseToken,
    Move,
    NotYet,
    PodAway,
    RetryRules,
    Run,
    Succeeded,
    decide,
    decide_abandoned,
    pod_pause_s,
    take_within_rooms,
)
from tricircle.core.texts import make_storable, require_storable
from tricircle.interfaces.jobs import ClaimAsk, Claimed

BATCH = 200
"""Jobs that one transaction handles."""

CANDIDATES = 4
"""So many times the jobs that a worker wants are looked at, for it and its rivals."""

PODS_IN_A_READ = 50

T = TypeVar("T")


class SqlJobDesk:
    """``interfaces.jobs.JobDesk`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit_jobs(self, requests: Sequence[JobRequest]) -> Sequence[JobId]:
        """Keep requests, all or none; return the job that serves each, in order."""
        found: dict[str, JobId] = {}
        _require_storable(requests)
        wanted = _in_order_of_keys(requests)

        async def work(connection: AsyncConnection) -> None:
            for start in range(0, len(wanted), BATCH):
                found.update(await self.submit(connection, wanted[start : start + BATCH]))

        if wanted:
            await self._with_pods(work, requests)
        return [found[job_key(request.job)] for request in requests]

    async def submit(
        self, connection: AsyncConnection, requests: Sequence[JobRequest]
    ) -> Mapping[str, JobId]:
        """Keep requests as a part of a transaction; return the jobs by key."""
        for request in requests:
            adding = statements.submit(self._database.backend, request, _new_id())
            await connection.execute(adding)
        by_key = {job_key(request.job): request for request in requests}
        live = (await connection.execute(statements.find_live(list(by_key)))).all()
        await _tell(
            connection,
            [
                _event(row.id, JobState.NEW, "", f"asked for by {by_key[row.live_key].request_id}")
                for row in live
                if row.state == JobState.NEW.value and row.told != JobState.NEW.value
            ],
        )
        return {row.live_key: JobId(row.id) for row in live}

    async def ensure_jobs(self, requests: Sequence[JobRequest]) -> int:
        """Keep those requests that no live job serves yet; return how many."""
        _require_storable(requests)
        added = 0
        for some in _batches(_in_order_of_keys(requests)):
            added += await self._ensure(some)
        return added

    async def _ensure(self, requests: Sequence[JobRequest]) -> int:
        keys = [job_key(request.job) for request in requests]
        live = {row.live_key for row in await self._database.read(statements.find_live(keys))}
        pods = sorted({pod for request in requests if (pod := pod_of(request.job))})
        known = {row[0] for row in await self._database.read(find_pods(pods))} if pods else set()
        missing = [
            request
            for request in requests
            if job_key(request.job) not in live and pod_of(request.job) in {None, *known}
        ]
        if not missing:
            return 0

        async def work(connection: AsyncConnection) -> int:
            values = [dict(statements.request_values(one, _new_id())) for one in missing]
            adding = insert_missing(self._database.backend, job)
            for row in values:
                await connection.execute(adding.values(row))
            found = statements.find_live([str(row["live_key"]) for row in values])
            ours = {str(row["id"]) for row in values}
            new = [row for row in (await connection.execute(found)).all() if row.id in ours]
            await _tell(connection, [_event(row.id, JobState.NEW, "", "scheduled") for row in new])
            return len(new)

        try:
            return await self._database.transact(work)
        except IntegrityError:
            # a pod has just been deleted: whoever asks again sees that
            return 0

    async def _with_pods(
        self, work: Callable[[AsyncConnection], Awaitable[T]], requests: Iterable[JobRequest]
    ) -> T:
        try:
            return await self._database.transact(work)
        except IntegrityError:
            pods = sorted({pod for request in requests if (pod := pod_of(request.job))})
            known = {row[0] for row in await self._database.read(find_pods(pods))}
            missing = [pod for pod in pods if pod not in known]
            if missing:
                raise unknown_pod(missing[0]) from None
            raise Conflict("the pods changed at the same time; please retry") from None


class SqlJobQueue:
    """``interfaces.jobs.JobQueue`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_jobs(self, ask: ClaimAsk) -> Claimed:
        """Give the worker jobs that are due, oldest first, under a lease of its own.

        Candidates are read without any lock, more than are wanted, so that several
        workers find some each; then those that nobody else has locked are taken.
        """
        rooms, waits_s = await self._read_rooms(ask)
        wanted = ask.limit * CANDIDATES
        rows = await self._database.read(statements.list_candidates(ask.kinds, wanted))
        due = [row for row in rows if row.due_at <= row.now]
        waits_s += [_seconds(row.due_at, row.now) for row in rows[len(due) : len(due) + 1]]
        candidates = _choose(due, rooms, ask)
        if len(due) == wanted and len(candidates) < ask.limit:
            # what cannot begin stands before what can
            candidates = await self._choose_by_pod(rooms, ask)
        if not candidates:
            return Claimed((), next_due_s=min(waits_s, default=None))

        async def work(connection: AsyncConnection) -> Sequence[Run]:
            return await self._claim(connection, ask, candidates)

        runs = await self._database.transact(work)
        # others have been faster: there may be more
        return Claimed(runs, next_due_s=None if runs else 0.0)

    async def _read_rooms(self, ask: ClaimAsk) -> tuple[dict[PodId, int], list[float]]:
        """Return what each pod has room for, and in how many seconds pauses of pods end."""
        rooms, resumed_s = dict(ask.rooms), []
        for row in await self._database.read(statements.list_pauses()):
            pod_id, wait_s = PodId(row.pod_id), _seconds(row.until, row.now)
            if wait_s > 0:
                rooms[pod_id] = 0
                resumed_s.append(wait_s)
            else:
                # one at a time until the pod has answered
                under_way = ask.room - rooms.get(pod_id, ask.room)
                rooms[pod_id] = max(0, 1 - under_way)
        return rooms, resumed_s

    async def _choose_by_pod(self, rooms: Mapping[PodId, int], ask: ClaimAsk) -> list[JobId]:
        """Return candidates out of the oldest jobs of every pod that has room."""
        open_pods: list[tuple[PodId | None, int]] = [(None, ask.limit)]
        for row in await self._database.read(list_pod_ids()):
            room = rooms.get(PodId(row.id), ask.room)
            if room > 0:
                open_pods.append((PodId(row.id), min(room, ask.limit)))
        found: list[AnyRow] = []
        for some in _batches(open_pods, PODS_IN_A_READ):
            found += await self._database.read(statements.list_candidates_of(ask.kinds, some))
        return _choose(sorted(found, key=lambda row: row.due_at), rooms, ask)

    async def _claim(
        self, connection: AsyncConnection, ask: ClaimAsk, candidates: Collection[JobId]
    ) -> Sequence[Run]:
        if self._database.backend == "sqlite":
            await connection.execute(statements.take_write_lock())
        rows = (await connection.execute(statements.lock_waiting(candidates, ask.limit))).all()
        runs: list[Run] = []
        for row in rows:
            try:
                runs.append(_read_run(row, ask.token))
            except BadInput as error:
                await _set_aside(connection, JobId(row.id), ask.worker, str(error))
        if runs:
            await connection.execute(statements.begin_runs([run.job_id for run in runs], ask))
            await _tell(
                connection,
                [
                    _event(run.job_id, JobState.RUNNING, ask.worker, "")
                    for run in runs
                    if not run.job.quiet
                ],
            )
        return runs

    async def renew_leases(
        self, tokens: Collection[LeaseToken], lease_s: float
    ) -> Collection[JobId]:
        """Extend the leases under these tokens; return the jobs still held by them."""
        held: set[JobId] = set()
        for some in _batches(sorted(tokens)):
            await self._database.write(statements.renew_leases(some, lease_s))
            rows = await self._database.read(statements.list_held(some))
            held.update(JobId(row.id) for row in rows)
        return held

    async def finish_runs(self, endings: Sequence[Ending]) -> Collection[JobId]:
        """Carry out ``core.runs.decide`` for each run; return the jobs whose lease was ours."""
        finished: set[JobId] = set()
        ordered = sorted(endings, key=lambda ending: ending.run.job_id)
        for some in _batches(ordered):

            async def work(
                connection: AsyncConnection, some: Sequence[Ending] = some
            ) -> Collection[JobId]:
                return await self._finish(connection, some)

            finished.update(await self._database.transact(work))
        return finished

    async def _finish(
        self, connection: AsyncConnection, endings: Sequence[Ending]
    ) -> Collection[JobId]:
        ids = [ending.run.job_id for ending in endings]
        tokens = sorted({ending.run.token for ending in endings})
        await connection.execute(statements.lock_held(ids, tokens))
        rows = (await connection.execute(statements.list_held(tokens))).all()
        held = {(row.id, row.lease_token): row.asked for row in rows}
        moves = {
            ending.run.job_id: (ending, decide(ending, held[ending.run.job_id, ending.run.token]))
            for ending in endings
            if (ending.run.job_id, ending.run.token) in held
        }
        await _carry_out(connection, {job_id: move for job_id, (_, move) in moves.items()})
        await _tell(
            connection,
            [
                _event(job_id, move.state, ending.run.token.partition("/")[0], move.why)
                for job_id, (ending, move) in moves.items()
                if move.failed or not ending.run.job.quiet
            ],
        )
        await self._note_pods(connection, [ending for ending, _ in moves.values()])
        return moves.keys()

    async def _note_pods(self, connection: AsyncConnection, endings: Sequence[Ending]) -> None:
        """Let pods rest that did not answer, and resume those that did."""
        away: dict[PodId, Ending] = {}
        answered: set[PodId] = set()
        for ending in endings:
            pod_id = pod_of(ending.run.job)
            if pod_id is None:
                continue
            match ending.outcome:
                case PodAway():
                    away[pod_id] = ending
                case Succeeded() | NotYet():
                    answered.add(pod_id)
        if answered - away.keys():
            await connection.execute(statements.end_pauses(sorted(answered - away.keys())))
        if not away:
            return
        rows = (await connection.execute(statements.find_pauses(sorted(away)))).all()
        known = {row.pod_id: row for row in rows}
        for pod_id, ending in sorted(away.items()):
            row = known.get(pod_id)
            if row is not None and not row.over:
                continue
            failures = 1 if row is None else row.failures + 1
            pause_s = pod_pause_s(failures, ending.rules, ending.jitter)
            reason = make_storable(cast(PodAway, ending.outcome).reason, MAX_REASON)
            values = statements.pause_values(pod_id, failures, pause_s, reason)
            await connection.execute(insert_or_replace(self._database.backend, pod_pause, values))

    async def recover_jobs(self, rules: RetryRules) -> int:
        """Take jobs from workers whose lease has run out; return how many."""
        rows = await self._database.read(statements.list_abandoned(BATCH))
        ids = sorted(JobId(row.id) for row in rows)
        if not ids:
            return 0

        async def work(connection: AsyncConnection) -> int:
            await connection.execute(statements.lock_abandoned(ids))
            found = (await connection.execute(statements.list_locked_abandoned(ids))).all()
            moves = {JobId(row.id): decide_abandoned(row.attempts, rules) for row in found}
            await _carry_out(connection, moves)
            await _tell(
                connection,
                [
                    _event(row.id, moves[row.id].state, row.worker, moves[row.id].why)
                    for row in found
                ],
            )
            return len(moves)

        return await self._database.transact(work)


async def _carry_out(connection: AsyncConnection, moves: Mapping[JobId, Move]) -> None:
    """Move jobs whose rows are locked; those that move alike in one statement."""
    alike: dict[Move, list[JobId]] = defaultdict(list)
    for job_id, move in moves.items():
        alike[move].append(job_id)
    for move, ids in alike.items():
        await connection.execute(statements.move(ids, move))


async def _set_aside(connection: AsyncConnection, job_id: JobId, worker: str, reason: str) -> None:
    """Leave a job whose fields this release cannot read to an operator."""
    move = Move(JobState.FAILED, 0, why=make_storable(reason, MAX_REASON), failed=True)
    await connection.execute(statements.move([job_id], move))
    await _tell(connection, [_event(job_id, move.state, worker, move.why)])


async def _tell(connection: AsyncConnection, events: Sequence[Mapping[str, object]]) -> None:
    if events:
        await connection.execute(statements.add_events(events))


def _event(job_id: str, state: JobState, who: str, why: str) -> Mapping[str, object]:
    return {"job_id": job_id, "state": state.value, "who": who, "why": why}


def _read_run(row: AnyRow, token: LeaseToken) -> Run:
    record = read_record(row)
    return Run(
        job_id=record.id,
        job=record.job,
        token=token,
        attempt=record.attempts + 1,
        asked=record.asked,
        request_id=record.request_id,
    )


def _in_order_of_keys(requests: Iterable[JobRequest]) -> list[JobRequest]:
    """Return requests so that two that keep the same ones at once do not deadlock."""
    return sorted(requests, key=lambda request: job_key(request.job))


def _require_storable(requests: Iterable[JobRequest]) -> None:
    for request in requests:
        if request.job.kind not in KINDS:
            raise NotFound(f"there is no kind of job '{request.job.kind}'")
        for name, value in read_fields(request.job).items():
            require_storable(f"field {name} of the job", value)
        require_storable("the id of the request", request.request_id)


def _choose(rows: Iterable[AnyRow], rooms: Mapping[PodId, int], ask: ClaimAsk) -> list[JobId]:
    """Return the jobs of which any may begin, as their pods have room for all of them."""
    pods = [(JobId(row.id), None if row.pod_id is None else PodId(row.pod_id)) for row in rows]
    return take_within_rooms(pods, rooms, ask.room)


def _batches(items: Sequence[T], size: int = BATCH) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _seconds(until: datetime, now: datetime) -> float:
    return (until - now).total_seconds()


def _new_id() -> JobId:
    return JobId(str(uuid.uuid4()))
