"""/v1/jobs and /v1/job-kinds: what XJob has done, is doing and is to do.

Whoever may not see all sees the jobs of its own project only, and of those nothing
that tells of the cloud below. A job of another project is as good as absent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from tricircle.admin.backend import Allowed, Backend, RequestId, Uses, Who, base_url
from tricircle.admin.job_schemas import (
    JobBody,
    JobCreate,
    JobCreateBody,
    JobDetailView,
    JobKindsBody,
    JobKindView,
    JobQuery,
    JobsBody,
    JobView,
    ProjectJobDetailView,
    ProjectJobView,
)
from tricircle.admin.paging import link_next
from tricircle.admin.policy import SHOW_ALL_JOBS
from tricircle.core.conflicts import unknown_job
from tricircle.core.errors import BadInput, Forbidden, NotFound
from tricircle.core.jobs import (
    JOB_CLASSES,
    KINDS,
    Job,
    make_job,
    pod_of,
    project_of,
    require_sensible,
)
from tricircle.core.model import ProjectId
from tricircle.core.runs import JobId, JobRecord
from tricircle.interfaces.jobs import JobFilter
from tricircle.usecases.pods import get_named_pod, get_pod

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1", tags=["jobs"])
JobPath = Annotated[str, Path(description="Id of a job.")]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller sees: the jobs of ``project_id`` without internals; None: all with them."""

    project_id: ProjectId | None

    def covers(self, job: Job) -> bool:
        """Tell whether the caller may know of a job."""
        return self.project_id is None or project_of(job) == self.project_id

    def show(self, record: JobRecord) -> JobBody:
        """Return a job as the caller sees it."""
        if self.project_id is None:
            return JobBody(job=JobDetailView.of(record))
        return JobBody(job=ProjectJobDetailView.of(record))


def find_sight(uses: Uses, caller: Who) -> Sight:
    """Return what the caller sees. Raises Forbidden for who has no project and may not see all."""
    if not caller.project_id:
        uses.policy.require(SHOW_ALL_JOBS, caller)
        return Sight(None)
    return Sight(None if uses.policy.allows(SHOW_ALL_JOBS, caller) else caller.project_id)


Sees = Annotated[Sight, Depends(find_sight)]


@router.get("/jobs", summary="List jobs", dependencies=[Depends(Allowed("jobs:list"))])
async def list_jobs(
    request: Request, uses: Uses, sight: Sees, query: Annotated[JobQuery, Query()]
) -> JobsBody:
    """List jobs, newest first: all, or those of the token's project."""
    wanted = await _read_filter(uses, sight, query)
    after = None if query.marker is None else await _find_place(uses, sight, query.marker)
    found = await uses.records.list_jobs(wanted, query.limit + 1, after)
    page = found[: query.limit]
    asked = query.model_dump(exclude={"marker"}, exclude_unset=True)
    url = f"{base_url(request, uses)}/v1/jobs"
    links = [link_next(url, asked, page[-1].id)] if len(found) > query.limit else []
    if sight.project_id is None:
        return JobsBody(jobs=[JobView.of(job) for job in page], jobs_links=links)
    return JobsBody(jobs=[ProjectJobView.of(job) for job in page], jobs_links=links)


@router.post(
    "/jobs",
    summary="Ask for a job",
    status_code=202,
    dependencies=[Depends(Allowed("jobs:create"))],
)
async def create_job(
    uses: Uses, sight: Sees, request_id: RequestId, body: JobCreateBody
) -> JobBody:
    """Have a job done. One of the same kind and fields that has not ended is that job."""
    wanted = await _read_job(uses, body.job)
    (job_id,) = await uses.requests.submit([wanted], request_id)
    log.info("job asked for", extra={"job": job_id, "kind": wanted.kind})
    return sight.show(await uses.records.get_job(job_id))


@router.get("/jobs/{job}", summary="Show a job", dependencies=[Depends(Allowed("jobs:show"))])
async def show_job(uses: Uses, sight: Sees, job: JobPath) -> JobBody:
    """Show one job with its moves, oldest first."""
    return sight.show(await _get_job(uses, sight, job))


@router.post(
    "/jobs/{job}/redo",
    summary="Have a job done again",
    status_code=202,
    dependencies=[Depends(Allowed("jobs:redo"))],
)
async def redo_job(
    uses: Uses, sight: Sees, caller: Who, request_id: RequestId, job: JobPath
) -> JobBody:
    """Have a job done again, now and with all its attempts.

    One that runs is done once more after this run. One that has ended is asked for
    anew: the answer is the job that does it.
    """
    known = await _get_job(uses, sight, job)
    again = await uses.requests.redo(uses.records, known.id, caller.user_id, request_id)
    log.info("job to be done again", extra={"job": again.id, "kind": again.job.kind})
    return sight.show(again)


@router.post(
    "/jobs/{job}/cancel", summary="Give a job up", dependencies=[Depends(Allowed("jobs:cancel"))]
)
async def cancel_job(uses: Uses, sight: Sees, caller: Who, job: JobPath) -> JobBody:
    """Give a job up that waits, runs or has failed. Who runs it cannot finish it any more."""
    known = await _get_job(uses, sight, job)
    cancelled = await uses.records.cancel_job(known.id, caller.user_id)
    log.info("job cancelled", extra={"job": cancelled.id, "kind": cancelled.job.kind})
    return sight.show(cancelled)


@router.get(
    "/job-kinds",
    summary="List the kinds of jobs",
    dependencies=[Depends(Allowed("job_kinds:list"))],
)
async def list_job_kinds() -> JobKindsBody:
    """List the kinds of jobs by name, with their fields."""
    kinds = sorted(JOB_CLASSES, key=lambda job_class: job_class.kind)
    return JobKindsBody(job_kinds=[JobKindView.of(job_class) for job_class in kinds])


async def _get_job(uses: Backend, sight: Sight, job_id: str) -> JobRecord:
    """Return a job the caller may know of. Raises NotFound, the same for any other."""
    record = await uses.records.get_job(JobId(job_id))
    if not sight.covers(record.job):
        raise unknown_job(JobId(job_id))
    return record


async def _find_place(uses: Backend, sight: Sight, marker: str) -> tuple[datetime, JobId]:
    """Return where in the list a marker is. Raises BadInput."""
    try:
        record = await _get_job(uses, sight, marker)
    except NotFound:
        raise BadInput(
            f"marker '{marker}' is not the id of a job; begin again without marker"
        ) from None
    return record.created_at, record.id


async def _read_filter(uses: Backend, sight: Sight, query: JobQuery) -> JobFilter:
    """Return which jobs are asked for. Raises BadInput, Forbidden."""
    if query.kind is not None:
        _require_kind("parameter 'kind'", query.kind)
    project_id = ProjectId(query.project_id) if query.project_id else None
    if sight.project_id is not None:
        _refuse_filters_of_operators(sight.project_id, query)
        project_id = sight.project_id
    pod = await get_named_pod(uses.pods, query.pod) if query.pod is not None else None
    return JobFilter(
        kind=query.kind,
        state=query.state,
        pod_id=pod.id if pod else None,
        project_id=project_id,
        key=query.key,
    )


def _refuse_filters_of_operators(project_id: ProjectId, query: JobQuery) -> None:
    """Raise Forbidden for a filter that would tell where a resource is.

    The answer must not depend on what is there: the key of a job tells of its pod to
    who guesses it.
    """
    foreign = {
        "pod": query.pod is not None,
        "key": query.key is not None,
        "project_id": query.project_id not in (None, project_id),
    }
    for name, is_asked in foreign.items():
        if is_asked:
            raise Forbidden(
                f"policy does not allow {SHOW_ALL_JOBS} with this token, which parameter "
                f"'{name}' takes; leave it out to list the jobs of the token's project"
            )


async def _read_job(uses: Backend, wanted: JobCreate) -> Job:
    """Return the job that is asked for. Raises BadInput naming the field."""
    _require_kind("field 'job.kind'", wanted.kind)
    if not KINDS[wanted.kind].for_operators:
        raise BadInput(
            f"field 'job.kind': jobs of kind '{wanted.kind}' are made by Tricircle alone; "
            "GET /v1/job-kinds lists those with for_operators"
        )
    # before the pod is looked up, so that all other fields are there and right
    job = make_job(wanted.kind, wanted.fields)
    require_sensible(job)
    pod_key = pod_of(job)
    if pod_key is None:
        return job
    try:
        pod = await get_pod(uses.pods, pod_key)
    except NotFound as error:
        raise BadInput(f"field 'job.fields.pod_id': {error}") from None
    return make_job(wanted.kind, {**wanted.fields, "pod_id": pod.id})


def _require_kind(place: str, kind: str) -> None:
    if kind not in KINDS:
        raise BadInput(
            f"{place}: there is no kind of job '{kind}'; there are {', '.join(sorted(KINDS))}"
        )
