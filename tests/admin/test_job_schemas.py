"""What of a job is shown, and to whom."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tricircle.admin.job_schemas import (
    PROJECT_FIELDS,
    JobDetailView,
    JobKindView,
    ProjectJobDetailView,
)
from tricircle.core.jobs import JOB_CLASSES, Job, field_names, job_key, make_job
from tricircle.core.runs import JobEvent, JobId, JobRecord, JobState

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def record_of(job_class: type[Job]) -> JobRecord:
    """Return a job whose every text is another one."""
    job = make_job(job_class.kind, {name: f"<{name}>" for name in field_names(job_class)})
    return JobRecord(
        id=JobId("<id>"),
        job=job,
        state=JobState.FAILED,
        request_id="<request>",
        asked=1,
        attempts=1,
        error="<error>",
        worker="<worker>",
        created_at=NOW,
        updated_at=NOW,
        due_at=NOW,
        started_at=NOW,
        finished_at=NOW,
        lease_until=NOW,
        events=(JobEvent(JobState.FAILED, NOW, "<who>", "<why>"),),
    )


@pytest.mark.parametrize("job_class", JOB_CLASSES)
def test_a_project_is_told_its_own_ids_and_nothing_else(job_class: type[Job]) -> None:
    record = record_of(job_class)

    shown = ProjectJobDetailView.of(record).model_dump_json()

    names = {*field_names(job_class), "request", "error", "worker", "who", "why"}
    assert {name for name in names if f"<{name}>" in shown} == names & PROJECT_FIELDS
    assert job_key(record.job) not in shown


@pytest.mark.parametrize("job_class", JOB_CLASSES)
def test_an_operator_is_told_everything(job_class: type[Job]) -> None:
    record = record_of(job_class)

    shown = JobDetailView.of(record).model_dump_json()

    names = {*field_names(job_class), "id", "request", "error", "worker", "who", "why"}
    assert {name for name in names if f"<{name}>" in shown} == names
    assert job_key(record.job) in shown


@pytest.mark.parametrize(
    "job_class", [each for each in JOB_CLASSES if "project_id" in field_names(each)]
)
def test_of_a_job_of_a_project_only_what_is_of_the_pod_is_kept_from_it(
    job_class: type[Job],
) -> None:
    assert set(field_names(job_class)) - PROJECT_FIELDS <= {"pod_id", "bottom_id"}


@pytest.mark.parametrize("job_class", JOB_CLASSES)
def test_a_kind_is_described_in_one_line(job_class: type[Job]) -> None:
    view = JobKindView.of(job_class)

    assert view.description.endswith(".")
    assert view.description.isprintable()
