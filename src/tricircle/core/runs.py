"""The life of a job: its states, its runs, and what becomes of it when a run is over.

Nothing here depends on what a job is about.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, assert_never

from tricircle.core.jobs import Job
from tricircle.core.model import PodId
from tricircle.core.texts import make_storable

JobId = NewType("JobId", str)
LeaseToken = NewType("LeaseToken", str)
"""``<worker>/<random>``: who holds a lease, and which one of its claims it was."""

MAX_REASON = 2000
"""Characters of an error that are kept."""


class JobState(enum.StrEnum):
    """Where a job is. NEW waits for a worker, FAILED for an operator or a new request."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE_STATES = frozenset({JobState.NEW, JobState.RUNNING, JobState.FAILED})
"""A key has at most one job in one of these."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A move of a job: to which state, when, by whom and why."""

    state: JobState
    at: datetime
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it is kept.

    ``asked`` counts the requests for it: its generation. ``attempts`` are the runs
    begun since it was last new on demand. ``error`` is what went wrong last.
    ``due_at`` is when it may begin; ``started_at`` and ``finished_at`` are of its last run.
    """

    id: JobId
    job: Job
    state: JobState
    request_id: str
    asked: int
    attempts: int
    error: str
    worker: str
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lease_until: datetime | None
    events: Sequence[JobEvent] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """The right to run a job once, held by ``token`` until its lease ends.

    ``attempt`` counts from 1. ``asked`` is the generation that this run serves.
    """

    job_id: JobId
    job: Job
    token: LeaseToken
    attempt: int
    asked: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What who carries out a job is told beside the job: ``attempt`` counts from 1."""

    request_id: str
    attempt: int


# How a run ends.


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The wanted state is there. With ``again_in_s`` the job is due again by then."""

    note: str = ""
    again_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unsuccessful:
    """The run failed; the job is tried again up to its limit.

    With ``again_in_s`` the job is of those that are repeated for ever.
    """

    reason: str
    again_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """The time has not come: tried again after ``wait_s``, and it is nobody's failure."""

    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class NotYet:
    """What the job waits for has not happened: looked at again after growing pauses.

    It is nobody's failure and no limit ends it, but it counts: by the attempt, who
    carries the job out sees when it has waited long enough.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class PodAway:
    """The job's pod does not answer: it waits for the pod, as do all other jobs of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker ends, and somebody else is to begin anew at once."""

    reason: str


Outcome = Succeeded | Unsuccessful | Postponed | NotYet | PodAway | HandedBack


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often and after which pauses jobs are tried again.

    The pause doubles from ``first_s`` to ``longest_s``; likewise for a pod that does
    not answer, from ``pod_first_s`` to ``pod_longest_s``.
    """

    max_attempts: int = 10
    first_s: float = 1.0
    longest_s: float = 300.0
    pod_first_s: float = 1.0
    pod_longest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Ending:
    """A run that is over: what came of it and under which rules.

    ``jitter`` is a random number from 0 to 1, drawn anew for each.
    """

    run: Run
    outcome: Outcome
    rules: RetryRules
    jitter: float


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of a job whose run is over; due in ``wait_s`` when it is new again."""

    state: JobState
    attempts: int
    wait_s: float = 0.0
    why: str = ""
    failed: bool = False


def decide(ending: Ending, asked: int) -> Move:
    """Return what becomes of a job, ``asked`` being its generation now.

    What was asked during the run makes exactly one more run, however often it was.
    """
    outcome, run, rules = ending.outcome, ending.run, ending.rules
    again = asked > run.asked
    match outcome:
        case Succeeded():
            note = make_storable(outcome.note, MAX_REASON)
            if again:
                return Move(JobState.NEW, 0, why="asked again during the run")
            if outcome.again_in_s is not None:
                return Move(JobState.NEW, 0, _spread(outcome.again_in_s, ending), note)
            return Move(JobState.DONE, run.attempt, why=note)
        case Unsuccessful():
            why = make_storable(outcome.reason, MAX_REASON)
            if again:
                return Move(JobState.NEW, 0, _backoff_s(1, ending), why, failed=True)
            if run.attempt < rules.max_attempts:
                wait_s = _backoff_s(run.attempt, ending)
                return Move(JobState.NEW, run.attempt, wait_s, why, failed=True)
            if outcome.again_in_s is not None:
                wait_s = _spread(max(outcome.again_in_s, rules.longest_s), ending)
                return Move(JobState.NEW, 0, wait_s, why, failed=True)
            return Move(JobState.FAILED, run.attempt, why=why, failed=True)
        case Postponed():
            why = make_storable(outcome.reason, MAX_REASON)
            return Move(JobState.NEW, run.attempt - 1, _spread(outcome.wait_s, ending), why)
        case NotYet():
            attempt = 0 if again else run.attempt
            wait_s = _backoff_s(attempt + again, ending)
            return Move(JobState.NEW, attempt, wait_s, make_storable(outcome.reason, MAX_REASON))
        case PodAway():
            why = make_storable(outcome.reason, MAX_REASON)
            return Move(JobState.NEW, run.attempt - 1, 0.0, why, failed=True)
        case HandedBack():
            return Move(
                JobState.NEW, run.attempt - 1, 0.0, make_storable(outcome.reason, MAX_REASON)
            )
        case _:
            assert_never(outcome)


def decide_abandoned(attempts: int, rules: RetryRules) -> Move:
    """Return what becomes of a job whose worker let its lease run out.

    The run counts: a job that kills its workers must not do so for ever.
    """
    why = "the worker has not renewed its lease: it died or was cut off"
    if attempts < rules.max_attempts:
        return Move(JobState.NEW, attempts, 0.0, why, failed=True)
    return Move(JobState.FAILED, attempts, 0.0, why, failed=True)


def pod_pause_s(failures: int, rules: RetryRules, jitter: float) -> float:
    """Return how long a pod is left alone after so many failures in a row (from 1)."""
    return _double(failures, rules.pod_first_s, rules.pod_longest_s) * (0.75 + jitter / 4)


def take_within_rooms(
    candidates: Iterable[tuple[JobId, PodId | None]], rooms: Mapping[PodId, int], room: int
) -> list[JobId]:
    """Return the candidates that may begin, in order.

    A pod takes as many as ``rooms`` says, ``room`` when it is not in there. Jobs of no
    pod are bounded by nothing here.
    """
    left = dict(rooms)
    taken = []
    for job_id, pod_id in candidates:
        if pod_id is not None:
            free = left.get(pod_id, room)
            if free <= 0:
                continue
            left[pod_id] = free - 1
        taken.append(job_id)
    return taken


def _backoff_s(attempt: int, ending: Ending) -> float:
    """Return a pause of a half to the whole of the doubled time."""
    longest = _double(attempt, ending.rules.first_s, ending.rules.longest_s)
    return longest * (0.5 + ending.jitter / 2)


def _double(count: int, first_s: float, longest_s: float) -> float:
    # beyond 2**30 any sensible longest_s is reached
    doubled: float = first_s * 2 ** min(count - 1, 30)
    return min(doubled, longest_s)


def _spread(seconds: float, ending: Ending) -> float:
    """Return ``seconds``, a tenth more or less, so that workers do not act in step."""
    return seconds * (0.9 + ending.jitter / 5)
