"""Jobs in a database that a newer or older release writes too."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.adapters.sql.tables import job
from tricircle.core.errors import NotFound
from tricircle.core.jobs import JobRequest, ProbePod, Purge, SweepTwins
from tricircle.core.model import Pod, PodId
from tricircle.core.runs import JobId
from tricircle.interfaces.jobs import JobFilter

REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"


async def submit_three(stores: SqlStores) -> tuple[JobId, ...]:
    """Ask for three jobs, one after the other, so that their order is known."""
    pod_id = PodId("east")
    await stores.pods.add_pod(Pod(pod_id, "east", "RegionEast"))
    jobs = (Purge(), ProbePod(pod_id), SweepTwins())
    ids = [await stores.desk.submit_jobs([JobRequest(each, REQUEST_ID)]) for each in jobs]
    return tuple(job_id for (job_id,) in ids)


@pytest.mark.parametrize("change", [{"fields": "{}"}, {"kind": "of a newer release"}])
async def test_what_this_release_cannot_read_is_as_good_as_absent(
    empty_url: str, change: dict[str, str]
) -> None:
    await sync_schema(empty_url)
    database = open_database(empty_url)
    records = SqlStores(database).records
    first, unreadable, last = await submit_three(SqlStores(database))
    await database.write(update(job).where(job.c.id == unreadable).values(change))

    listed = await records.list_jobs(JobFilter(), 2)

    assert [record.id for record in listed] == [last, first]
    with pytest.raises(NotFound):
        await records.get_job(unreadable)
    await database.close()
