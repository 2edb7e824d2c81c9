"""What XJob can be asked to do, and what becomes of such a request.

A job says which state is wanted ("the ports of server s are released"), never what
to do next: whoever runs it reads everything anew. So it may run late, twice, or
after the state is there already.

A kind is one frozen dataclass below. Its fields are text and never a secret; they
are its key: a request for the same kind and fields is the same job. ``pod_id`` and
``project_id`` mean the same in all kinds, and jobs can be listed by them.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import ClassVar, NewType, TypeVar, assert_never

from tricircle.core.errors import BadInput
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.texts import MAX_LENGTH, is_storable, make_storable

JobId = NewType("JobId", str)
LeaseToken = NewType("LeaseToken", str)
"""``<worker>/<random>``: who holds a lease, and which one of its claims it was."""

MAX_REASON = 2000
"""Characters of an error that are kept."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all kinds share.

    ``kind`` is kept in the database and shown: never rename one. An operator may
    submit those with ``for_operators``. A ``quiet`` one runs again and again, so its
    history holds failures only. ``choices`` are the values that a field may have, and
    ``optional`` the fields that may be empty.
    """

    kind: ClassVar[str] = ""
    for_operators: ClassVar[bool] = False
    quiet: ClassVar[bool] = False
    choices: ClassVar[Mapping[str, frozenset[str]]] = {}
    optional: ClassVar[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class ReleaseServer(Job):
    """Release the ports of a server that is gone from its pod."""

    kind: ClassVar[str] = "release_server"
    for_operators: ClassVar[bool] = True
    pod_id: PodId
    server_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class ReleasePort(Job):
    """Release a port that was detached from its server."""

    kind: ClassVar[str] = "release_port"
    pod_id: PodId
    port_id: TopId
    server_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class RepairPort(Job):
    """Give a port to the server that has it, or release it when none does."""

    kind: ClassVar[str] = "repair_port"
    for_operators: ClassVar[bool] = True
    pod_id: PodId
    port_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class RepairTwin(Job):
    """Complete the record of a network's, subnet's or group's twin, or remove the twin.

    ``resource`` is a ``model.Kind``; the twin goes when the resource is gone from the top.
    """

    kind: ClassVar[str] = "repair_twin"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {
        "resource": frozenset({"network", "subnet", "security_group"})
    }
    pod_id: PodId
    resource: str
    top_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class DeleteStrayPort(Job):
    """Delete a port of the top that a boot made and nobody wrote down."""

    kind: ClassVar[str] = "delete_stray_port"
    port_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class DeleteServerGroup(Job):
    """Delete what a pod still has of a server group that is deleted."""

    kind: ClassVar[str] = "delete_server_group"
    pod_id: PodId
    group_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class Replicate(Job):
    """Make a flavor, key pair or volume type in a pod what the top wants it to be.

    ``resource`` is a ``core.wishes.Replica``, ``owner`` the user of a key pair, else ''.
    """

    kind: ClassVar[str] = "replicate"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {
        "resource": frozenset({"flavor", "keypair", "volume_type"})
    }
    optional: ClassVar[frozenset[str]] = frozenset({"owner"})
    pod_id: PodId
    resource: str
    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class SweepPod(Job):
    """Find what of flavors, key pairs and volume types a pod lacks, and replicate it."""

    kind: ClassVar[str] = "sweep_pod"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True
    pod_id: PodId


@dataclass(frozen=True, slots=True)
class SweepTwins(Job):
    """Find ports without server and twins without top, and have them repaired."""

    kind: ClassVar[str] = "sweep_twins"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CountUsage(Job):
    """Set what a project uses of a service right, by what the pods hold."""

    kind: ClassVar[str] = "count_usage"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": frozenset({"compute"})}
    service: str
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class CarryQuota(Job):
    """Give a pod the limits of a project, and of a user in it unless that is ''."""

    kind: ClassVar[str] = "carry_quota"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": frozenset({"compute"})}
    optional: ClassVar[frozenset[str]] = frozenset({"user_id"})
    pod_id: PodId
    service: str
    project_id: ProjectId
    user_id: str


@dataclass(frozen=True, slots=True)
class CarryQuotaClass(Job):
    """Give a pod the limits of a quota class."""

    kind: ClassVar[str] = "carry_quota_class"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": frozenset({"compute"})}
    pod_id: PodId
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class SweepUsage(Job):
    """Find projects whose usage may be wrong, and have it counted."""

    kind: ClassVar[str] = "sweep_usage"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class MeasureNode(Job):
    """Measure what a pod holds and how much of it is used."""

    kind: ClassVar[str] = "measure_node"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True
    pod_id: PodId


@dataclass(frozen=True, slots=True)
class ProbePod(Job):
    """Read the version ranges of a pod's services anew, which shows that they live."""

    kind: ClassVar[str] = "probe_pod"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True
    pod_id: PodId


@dataclass(frozen=True, slots=True)
class Purge(Job):
    """Delete jobs that ended long ago, and whatever else has expired."""

    kind: ClassVar[str] = "purge"
    for_operators: ClassVar[bool] = True
    quiet: ClassVar[bool] = True


JOB_CLASSES: tuple[type[Job], ...] = (
    ReleaseServer,
    ReleasePort,
    RepairPort,
    RepairTwin,
    DeleteStrayPort,
    DeleteServerGroup,
    Replicate,
    SweepPod,
    SweepTwins,
    CountUsage,
    CarryQuota,
    CarryQuotaClass,
    SweepUsage,
    MeasureNode,
    ProbePod,
    Purge,
)
KINDS: Mapping[str, type[Job]] = {each.kind: each for each in JOB_CLASSES}

J = TypeVar("J", bound=Job)


def field_names(job_class: type[Job]) -> tuple[str, ...]:
    """Return the names of a kind's fields, in order."""
    return tuple(field.name for field in fields(job_class))


def read_fields(job: Job) -> dict[str, str]:
    """Return a job's fields by name."""
    return {name: str(getattr(job, name)) for name in field_names(type(job))}


def make_job(kind: str, values: Mapping[str, object]) -> Job:
    """Return the job of a kind with these fields.

    Raises BadInput for an unknown kind, for fields that are missing, unknown, or no
    text that can be kept.
    """
    job_class = KINDS.get(kind)
    if job_class is None:
        raise BadInput(f"there is no kind of job '{kind}'; there are {', '.join(sorted(KINDS))}")
    names = field_names(job_class)
    missing = [name for name in names if name not in values]
    surplus = sorted(set(values) - set(names))
    if missing or surplus:
        wrong = [f"{name} is missing" for name in missing]
        wrong += [f"{name} is not one of them" for name in surplus]
        raise BadInput(
            f"fields of {kind} are {', '.join(names) or 'none'}: {'; '.join(wrong)}; "
            "give exactly these"
        )
    for name in names:
        value = values[name]
        if not isinstance(value, str) or not is_storable(value):
            raise BadInput(
                f"field {name} of {kind} must be text of at most {MAX_LENGTH} characters"
            )
    return job_class(**values)


def require_sensible(job: Job) -> None:
    """Return when the fields of a job that somebody asks for can mean something.

    Not for jobs that are kept already: a later release may know more. Raises BadInput.
    """
    for name, value in read_fields(job).items():
        allowed = job.choices.get(name)
        if allowed is not None and value not in allowed:
            raise BadInput(
                f"field {name} of {job.kind} is '{value}'; it must be one of "
                f"{', '.join(sorted(allowed))}"
            )
        if not value and name not in job.optional:
            raise BadInput(f"field {name} of {job.kind} is empty; give an id")


def write_fields(job: Job) -> str:
    """Return the fields as JSON, the same text for the same fields."""
    return json.dumps(read_fields(job), sort_keys=True, separators=(",", ":"))


def job_key(job: Job) -> str:
    """Return what tells a job from others: a digest of kind and fields, 64 characters."""
    return hashlib.sha256(f"{job.kind} {write_fields(job)}".encode()).hexdigest()


def pod_of(job: Job) -> PodId | None:
    """Return the pod a job is about, if it is about one."""
    found = getattr(job, "pod_id", None)
    return None if found is None else PodId(found)


def project_of(job: Job) -> ProjectId | None:
    """Return the project a job is done for, if it is for one."""
    found = getattr(job, "project_id", None)
    return None if found is None else ProjectId(found)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """That a job be done, not before ``wait_s`` from now.

    ``request_id`` is that of the API request it comes from; it goes on to the pods.
    """

    job: Job
    request_id: str
    wait_s: float = 0.0


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
