"""The bodies and queries of jobs, as pydantic checks and documents them.

A job is shown in two ways. What its project sees has no field that would tell of the
cloud below: not the pod, who works on it, or what a pod or an operator said.
"""

from __future__ import annotations

import dataclasses
import inspect
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from tricircle.admin.schemas import Input, Link, Page, PodKey, ResourceId
from tricircle.core.jobs import Job, field_names, job_key, pod_of, project_of, read_fields
from tricircle.core.runs import JobRecord, JobState

PROJECT_FIELDS = frozenset(
    {
        "project_id",
        "server_id",
        "port_id",
        "network_id",
        "resource",
        "top_id",
        "group_id",
        "service",
        "user_id",
    }
)
"""What a project sees of a job's fields: its own ids. Any other name is for operators."""

JobKey = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="What jobs of the same kind and fields share; a job shows it.",
    ),
]
KindName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=32,
        description="A kind of job, see GET /v1/job-kinds.",
        examples=["sweep_pod"],
    ),
]


class JobQuery(Page):
    """Filters and page of GET /v1/jobs."""

    kind: KindName | None = None
    state: JobState | None = None
    pod: PodKey | None = None
    project_id: ResourceId | None = None
    key: JobKey | None = None


class JobCreate(Input):
    """A job that is asked for."""

    kind: KindName
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="Exactly the fields of the kind. pod_id may be the name of a pod.",
        examples=[{"pod_id": "east"}],
    )


class JobCreateBody(Input):
    """Body of POST /v1/jobs."""

    job: JobCreate


class ProjectEventView(BaseModel):
    """A move of a job, as its project sees it."""

    state: JobState
    at: datetime


class EventView(BaseModel):
    """A move of a job."""

    state: JobState = Field(description="The state it moved to.")
    at: datetime
    who: str = Field(description="The worker or user that moved it; empty for a request.")
    why: str


class ProjectJobView(BaseModel):
    """A job, as its project sees it."""

    id: str
    kind: str
    state: JobState
    project_id: str | None
    fields: dict[str, str] = Field(description="The project's own ids among the job's fields.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = Field(description="When its last run ended.")

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        """Return how a job is shown to its project."""
        facts = _read_facts(record)
        own = {name: text for name, text in facts["fields"].items() if name in PROJECT_FIELDS}
        return cls.model_validate({**facts, "fields": own})


class ProjectJobDetailView(ProjectJobView):
    """A job with its moves, oldest first, as its project sees it."""

    events: list[ProjectEventView]


class JobView(BaseModel):
    """A job."""

    id: str
    kind: str
    state: JobState
    key: str = Field(description="What jobs of the same kind and fields share.")
    fields: dict[str, str]
    pod_id: str | None
    project_id: str | None
    request_id: str = Field(description="The request that asked for it last.")
    asked: int = Field(description="How often it was asked for.")
    attempts: int = Field(description="Runs begun since it was last asked for anew.")
    error: str = Field(description="What went wrong in the last run; empty when nothing did.")
    worker: str = Field(description="Who runs it or ran it last.")
    created_at: datetime
    updated_at: datetime
    due_at: datetime = Field(description="When it may begin.")
    started_at: datetime | None = Field(description="When its last run began.")
    finished_at: datetime | None = Field(description="When its last run ended.")
    lease_until: datetime | None = Field(
        description="Until when the run is the worker's unless it renews; null while none runs it."
    )

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        """Return how a job is shown to operators."""
        return cls.model_validate(_read_facts(record))


class JobDetailView(JobView):
    """A job with its moves, oldest first."""

    events: list[EventView]


class JobBody(BaseModel):
    """One job; the shorter form is for its project."""

    job: JobDetailView | ProjectJobDetailView


class JobsBody(BaseModel):
    """A page of jobs, newest first; ``jobs_links`` has a next link unless it is the last page."""

    jobs: list[JobView] | list[ProjectJobView]
    jobs_links: list[Link] = Field(default_factory=list)


class JobKindView(BaseModel):
    """A kind of job."""

    name: str = Field(examples=["sweep_pod"])
    description: str
    fields: list[str] = Field(examples=[["pod_id"]])
    for_operators: bool = Field(description="Whether POST /v1/jobs takes it.")

    @classmethod
    def of(cls, job_class: type[Job]) -> JobKindView:
        """Return how a kind is shown."""
        return cls(
            name=job_class.kind,
            description=" ".join((inspect.getdoc(job_class) or "").replace("``", "").split()),
            fields=list(field_names(job_class)),
            for_operators=job_class.for_operators,
        )


class JobKindsBody(BaseModel):
    """All kinds of jobs, by name."""

    job_kinds: list[JobKindView]


def _read_facts(record: JobRecord) -> dict[str, Any]:
    """Return everything about a job; the fields of a view say what of it is shown."""
    return {
        **dataclasses.asdict(record),
        "kind": record.job.kind,
        "key": job_key(record.job),
        "fields": read_fields(record.job),
        "pod_id": pod_of(record.job),
        "project_id": project_of(record.job),
    }
