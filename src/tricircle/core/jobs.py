"""What XJob can be asked to do; what becomes of it is in ``core/runs.py``.

A job says which state is wanted ("the ports of server s are released"), never what
to do next: whoever runs it reads everything anew. So it may run late, twice, or
after the state is there already.

A kind is one frozen dataclass below. Its fields are text and never a secret; they
are its key: a request for the same kind and fields is the same job. ``pod_id`` and
``project_id`` mean the same in all kinds, and jobs can be listed by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

from tricircle.core.errors import BadInput
from tricircle.core.model import BottomId, PodId, ProjectId, Service, TopId
from tricircle.core.texts import MAX_LENGTH, is_storable

COUNTED_SERVICES = frozenset({Service.COMPUTE.value, Service.VOLUME.value})
"""Those with quotas that are held at the top."""


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
class KeepSparePorts(Job):
    """Have ports ready in a pod for the next servers of a project on a network of the top."""

    kind: ClassVar[str] = "keep_spare_ports"
    quiet: ClassVar[bool] = True
    pod_id: PodId
    network_id: TopId
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class RepairSparePort(Job):
    """Complete the port of a boot that had taken a spare, or remove a spare nobody needs.

    ``bottom_id`` is the pod's own id of the port.
    """

    kind: ClassVar[str] = "repair_spare_port"
    pod_id: PodId
    bottom_id: BottomId
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
        "resource": frozenset(
            {"flavor", "keypair", "volume_type", "qos_specs", "group_type", "default_type"}
        )
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
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": COUNTED_SERVICES}
    service: str
    project_id: ProjectId


@dataclass(frozen=True, slots=True)
class CarryQuota(Job):
    """Give a pod the limits of a project, and of a user in it unless that is ''."""

    kind: ClassVar[str] = "carry_quota"
    for_operators: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": COUNTED_SERVICES}
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
    choices: ClassVar[Mapping[str, frozenset[str]]] = {"service": COUNTED_SERVICES}
    pod_id: PodId
    service: str
    name: str


@dataclass(frozen=True, slots=True)
class CarryLimits(Job):
    """Have a pod given all limits that are set: of projects, of users in them, of classes."""

    kind: ClassVar[str] = "carry_limits"
    for_operators: ClassVar[bool] = True
    pod_id: PodId


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
    KeepSparePorts,
    RepairSparePort,
    DeleteServerGroup,
    Replicate,
    SweepPod,
    SweepTwins,
    CountUsage,
    CarryQuota,
    CarryQuotaClass,
    CarryLimits,
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
