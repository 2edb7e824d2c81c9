"""What every store promises about jobs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.samples import EAST, PROJECT, WEST, Stores, add_two_pods
from tricircle.core.errors import BadInput, Conflict, NotFound
from tricircle.core.jobs import (
    KINDS,
    JobRequest,
    MeasureNode,
    Purge,
    ReleaseServer,
    job_key,
    pod_of,
)
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.runs import (
    Ending,
    HandedBack,
    JobId,
    JobState,
    LeaseToken,
    NotYet,
    Outcome,
    PodAway,
    Postponed,
    RetryRules,
    Run,
    Succeeded,
    Unsuccessful,
)
from tricircle.interfaces.jobs import ClaimAsk, Claimed, JobFilter

REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
RULES = RetryRules(max_attempts=2, first_s=60, longest_s=60, pod_first_s=60, pod_longest_s=60)
AT_ONCE = replace(RULES, first_s=0, pod_first_s=0)
_numbers = itertools.count()


def release(server: str, pod_id: PodId = EAST, project: str = PROJECT) -> ReleaseServer:
    return ReleaseServer(pod_id, TopId(server), ProjectId(project))


def ask(
    limit: int = 10,
    *,
    worker: str = "one",
    room: int = 10,
    lease_s: float = 60,
    rooms: Mapping[PodId, int] | None = None,
) -> ClaimAsk:
    token = LeaseToken(f"{worker}/{next(_numbers)}")
    return ClaimAsk(worker, token, limit, lease_s, set(KINDS), room, rooms or {})


async def submit(stores: Stores, *servers: str, pod_id: PodId = EAST) -> Sequence[JobId]:
    requests = [JobRequest(release(server, pod_id), REQUEST_ID) for server in servers]
    return await stores.desk.submit_jobs(requests)


async def claim(stores: Stores, asked: ClaimAsk | None = None) -> Sequence[Run]:
    return (await stores.queue.claim_jobs(asked or ask())).runs


async def finish(
    stores: Stores, runs: Sequence[Run], outcome: Outcome, rules: RetryRules = RULES
) -> set[JobId]:
    endings = [Ending(run, outcome, rules, 1.0) for run in runs]
    return set(await stores.queue.finish_runs(endings))


async def states(stores: Stores) -> list[str]:
    return sorted(str(job.state) for job in await stores.records.list_jobs(JobFilter(), 100))


@pytest.fixture(autouse=True)
async def two_pods(stores: Stores) -> None:
    await add_two_pods(stores)


# Requests.


async def test_a_request_is_kept_as_it_was_made(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    kept = await stores.records.get_job(job_id)
    assert kept.job == release("s1")
    assert (kept.state, kept.asked, kept.attempts) == (JobState.NEW, 1, 0)
    assert (kept.request_id, kept.error, kept.worker) == (REQUEST_ID, "", "")
    assert abs(kept.due_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert [event.state for event in kept.events] == [JobState.NEW]
    assert REQUEST_ID in kept.events[0].why


async def test_the_same_request_is_the_same_job(stores: Stores) -> None:
    first = await submit(stores, "s1", "s2")
    again = await submit(stores, "s2", "s1", "s2")
    assert again == [first[1], first[0], first[1]]
    assert (await stores.records.get_job(first[1])).asked == 3
    assert len((await stores.records.get_job(first[1])).events) == 1


async def test_a_job_that_waits_is_due_as_soon_as_either_request_says(stores: Stores) -> None:
    await stores.desk.submit_jobs([JobRequest(release("s1"), REQUEST_ID, wait_s=600)])
    assert await claim(stores) == ()
    await stores.desk.submit_jobs([JobRequest(release("s1"), REQUEST_ID)])
    await stores.desk.submit_jobs([JobRequest(release("s1"), REQUEST_ID, wait_s=600)])
    assert len(await claim(stores)) == 1


async def test_a_request_for_an_unknown_pod_keeps_nothing(stores: Stores) -> None:
    requests = [
        JobRequest(release("s1"), REQUEST_ID),
        JobRequest(release("s2", PodId("nowhere")), REQUEST_ID),
    ]
    with pytest.raises(NotFound, match="no pod nowhere"):
        await stores.desk.submit_jobs(requests)
    assert await states(stores) == []


async def test_what_cannot_be_kept_is_refused_by_name(stores: Stores) -> None:
    with pytest.raises(BadInput, match="server_id"):
        await submit(stores, "s" * 256)


async def test_scheduling_adds_what_is_missing_and_touches_nothing_else(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    requests = [
        JobRequest(release("s1"), REQUEST_ID),
        JobRequest(release("s2"), REQUEST_ID),
        JobRequest(MeasureNode(PodId("nowhere")), REQUEST_ID),
        JobRequest(Purge(), REQUEST_ID),
    ]
    assert await stores.desk.ensure_jobs(requests) == 2
    assert await stores.desk.ensure_jobs(requests) == 0
    assert (await stores.records.get_job(job_id)).asked == 1
    assert await states(stores) == ["new"] * 3


# Claims.


async def test_a_claim_gives_what_is_due_oldest_first(stores: Stores) -> None:
    first = await submit(stores, "s1")
    second = await submit(stores, "s2")
    runs = [*await claim(stores, ask(1)), *await claim(stores)]
    assert [run.job_id for run in runs] == [*first, *second]
    assert [(run.attempt, run.asked, run.request_id) for run in runs] == [(1, 1, REQUEST_ID)] * 2
    shown = await stores.records.get_job(first[0])
    assert (shown.state, shown.worker, shown.attempts) == (JobState.RUNNING, "one", 1)
    assert shown.lease_until is not None
    assert shown.started_at is not None
    assert [event.state for event in shown.events] == [JobState.NEW, JobState.RUNNING]
    assert shown.events[-1].who == "one"


async def test_a_job_is_given_once(stores: Stores) -> None:
    await submit(stores, "s1")
    assert len(await claim(stores)) == 1
    assert await claim(stores) == ()


async def test_a_worker_learns_when_the_next_job_is_due(stores: Stores) -> None:
    assert await stores.queue.claim_jobs(ask()) == Claimed((), next_due_s=None)
    await submit(stores, "s1", "s2")
    assert len(await claim(stores)) == 2
    await stores.desk.submit_jobs([JobRequest(release("s3"), REQUEST_ID, wait_s=60)])
    waiting = await stores.queue.claim_jobs(ask())
    assert waiting.next_due_s is not None
    assert 30 < waiting.next_due_s <= 60


async def test_a_pod_gets_no_more_than_it_has_room_for(stores: Stores) -> None:
    await submit(stores, "s1", "s2", "s3", pod_id=EAST)
    await submit(stores, "s4", "s5", pod_id=WEST)
    claimed = await stores.queue.claim_jobs(ask(4, room=2, rooms={WEST: 1}))
    pods = [pod_of(run.job) for run in claimed.runs]
    assert (pods.count(EAST), pods.count(WEST)) == (2, 1)


async def test_a_pod_without_room_does_not_stand_before_others(stores: Stores) -> None:
    await submit(stores, *(f"e{n}" for n in range(5)), pod_id=EAST)
    await submit(stores, "w", pod_id=WEST)
    runs = await claim(stores, ask(2, rooms={EAST: 0}))
    assert [run.job for run in runs] == [release("w", WEST)]


async def test_many_jobs_that_cannot_begin_do_not_hide_one_that_can(stores: Stores) -> None:
    await submit(stores, *(f"e{n}" for n in range(30)), pod_id=EAST)
    await submit(stores, "w1", "w2", pod_id=WEST)
    await stores.desk.submit_jobs([JobRequest(Purge(), REQUEST_ID)])
    claimed = await claim(stores, ask(2, room=1, rooms={EAST: 0}))
    assert {run.job for run in claimed} < {release("w1", WEST), release("w2", WEST), Purge()}
    assert len(claimed) == 2


async def test_kinds_that_a_worker_does_not_know_are_left_to_others(stores: Stores) -> None:
    await submit(stores, "s1")
    old = replace(ask(), kinds={"purge"})
    assert (await stores.queue.claim_jobs(old)).runs == ()
    assert len(await claim(stores)) == 1


# How runs end.


async def test_a_job_that_succeeded_is_over_and_may_be_asked_for_anew(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    runs = await claim(stores)
    assert await finish(stores, runs, Succeeded("released 2")) == {job_id}
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.attempts, shown.lease_until) == (JobState.DONE, 1, None)
    assert shown.finished_at is not None
    assert shown.events[-1].why == "released 2"
    (second,) = await submit(stores, "s1")
    assert second != job_id
    assert len(await claim(stores)) == 1


async def test_a_thousand_requests_during_a_run_make_exactly_one_more(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    runs = await claim(stores)
    for _ in range(10):
        await submit(stores, *["s1"] * 100)
    assert await claim(stores) == ()
    await finish(stores, runs, Succeeded())
    again = await claim(stores)
    assert [run.job_id for run in again] == [job_id]
    assert again[0].asked == 1001
    await finish(stores, again, Succeeded())
    assert await claim(stores) == ()
    assert await states(stores) == ["done"]


async def test_a_request_before_the_run_is_served_by_it(stores: Stores) -> None:
    await submit(stores, "s1")
    await submit(stores, "s1")
    await finish(stores, await claim(stores), Succeeded())
    assert await states(stores) == ["done"]


async def test_a_failure_is_tried_again_later_and_in_the_end_left_to_an_operator(
    stores: Stores,
) -> None:
    (job_id,) = await submit(stores, "s1")
    await finish(stores, await claim(stores), Unsuccessful("no luck"))
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.error, shown.attempts) == (JobState.NEW, "no luck", 1)
    assert shown.due_at > shown.updated_at + timedelta(seconds=29)
    assert await claim(stores) == ()
    await stores.records.redo_job(job_id, "operator", REQUEST_ID)
    for _ in range(2):
        await finish(stores, await claim(stores), Unsuccessful("again"), AT_ONCE)
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.error, shown.attempts) == (JobState.FAILED, "again", 2)
    assert shown.events[-1].why == "again"


@pytest.mark.parametrize("text", ["a\0b", "half a pair \ud83e", "x" * 100_000])
async def test_whatever_a_pod_says_can_be_kept(stores: Stores, text: str) -> None:
    for outcome in (Unsuccessful(text), PodAway(text), Succeeded(text)):
        (job_id,) = await submit(stores, "s1")
        await stores.records.redo_job(job_id, "operator", REQUEST_ID)
        assert await finish(stores, await claim(stores), outcome, AT_ONCE) == {job_id}
    shown = await stores.records.get_job(job_id)
    assert shown.events[-1].why.startswith(text[:1])


async def test_a_new_request_revives_what_has_failed(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    for _ in range(2):
        await finish(stores, await claim(stores), Unsuccessful("no"), AT_ONCE)
    assert await states(stores) == ["failed"]
    assert await submit(stores, "s1") == [job_id]
    (run,) = await claim(stores)
    assert run.attempt == 1
    shown = await stores.records.get_job(job_id)
    assert [str(event.state) for event in shown.events][-3:] == ["failed", "new", "running"]


@pytest.mark.parametrize("outcome", [HandedBack("worker ends"), Postponed("not yet", 0)])
async def test_a_run_that_was_nobodys_failure_does_not_count(
    stores: Stores, outcome: Outcome
) -> None:
    (job_id,) = await submit(stores, "s1")
    for _ in range(5):
        await finish(stores, await claim(stores), outcome)
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.attempts, shown.error) == (JobState.NEW, 0, "")


async def test_a_job_that_waits_for_something_is_no_failure_however_often_it_looks(
    stores: Stores,
) -> None:
    (job_id,) = await submit(stores, "s1")
    for attempt in range(1, 5):
        (run,) = await claim(stores)
        assert run.attempt == attempt
        await finish(stores, [run], NotYet("still there"), AT_ONCE)
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.attempts, shown.error) == (JobState.NEW, 4, "")


async def test_a_repeated_job_stays_and_tells_only_of_failures(stores: Stores) -> None:
    (job_id,) = await stores.desk.submit_jobs([JobRequest(MeasureNode(EAST), REQUEST_ID)])
    await finish(stores, await claim(stores), Succeeded(again_in_s=0))
    runs = await claim(stores)
    assert [run.job_id for run in runs] == [job_id]
    await finish(stores, runs, Unsuccessful("no", again_in_s=0), AT_ONCE)
    shown = await stores.records.get_job(job_id)
    assert [(str(event.state), event.why) for event in shown.events][1:] == [("new", "no")]
    await finish(stores, await claim(stores), Unsuccessful("no", again_in_s=600), AT_ONCE)
    assert await states(stores) == ["new"]
    assert await claim(stores) == ()


# Pods that do not answer.


async def test_all_jobs_of_a_pod_that_is_away_wait_and_none_counts_it(stores: Stores) -> None:
    await submit(stores, "s1", "s2", "s3")
    (run,) = await claim(stores, ask(1))
    await finish(stores, [run], PodAway("refused"))
    shown = await stores.records.get_job(run.job_id)
    assert (shown.state, shown.attempts, shown.error) == (JobState.NEW, 0, "refused")
    await submit(stores, "w", pod_id=WEST)
    claimed = await stores.queue.claim_jobs(ask())
    assert [run.job for run in claimed.runs] == [release("w", WEST)]
    nothing = await stores.queue.claim_jobs(ask())
    assert nothing.runs == ()
    assert nothing.next_due_s is not None
    assert 30 < nothing.next_due_s <= 60


@pytest.mark.parametrize("outcome", [Succeeded(), NotYet("still there")])
async def test_one_job_tries_whether_the_pod_is_back_and_then_all_go_on(
    stores: Stores, outcome: Outcome
) -> None:
    await submit(stores, "s1", "s2", "s3")
    (run,) = await claim(stores, ask(1))
    await finish(stores, [run], PodAway("refused"), AT_ONCE)
    trial = await claim(stores)
    assert len(trial) == 1
    assert await claim(stores, ask(rooms={EAST: 9})) == ()
    await finish(stores, trial, outcome)
    assert len(await claim(stores)) == 2


async def test_several_jobs_that_find_a_pod_away_count_as_one_failure(stores: Stores) -> None:
    rules = RetryRules(pod_first_s=40, pod_longest_s=10_000)
    await submit(stores, "s1", "s2", "s3")
    for run in await claim(stores):
        await finish(stores, [run], PodAway("refused"), rules)
    nothing = await stores.queue.claim_jobs(ask())
    assert nothing.next_due_s is not None
    assert nothing.next_due_s <= 40


# Leases.


async def test_a_lease_that_is_renewed_is_not_taken(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    (run,) = await claim(stores, ask(lease_s=0))
    assert set(await stores.queue.renew_leases([run.token], 60)) == {job_id}
    assert await stores.queue.recover_jobs(RULES) == 0
    assert await finish(stores, [run], Succeeded()) == {job_id}


async def test_who_stalled_past_the_lease_cannot_finish_over_the_successor(
    stores: Stores,
) -> None:
    (job_id,) = await submit(stores, "s1")
    (stalled,) = await claim(stores, ask(lease_s=0, worker="stalled"))
    assert await stores.queue.recover_jobs(RULES) == 1
    assert await stores.queue.recover_jobs(RULES) == 0
    (successor,) = await claim(stores, ask(worker="successor"))
    assert successor.attempt == 2
    assert await finish(stores, [stalled], Succeeded()) == set()
    assert set(await stores.queue.renew_leases([stalled.token], 60)) == set()
    shown = await stores.records.get_job(job_id)
    assert (shown.state, shown.worker) == (JobState.RUNNING, "successor")
    assert await finish(stores, [successor], Succeeded()) == {job_id}
    whys = [event.why for event in (await stores.records.get_job(job_id)).events]
    assert any("lease" in why for why in whys)


async def test_a_lease_that_ran_out_is_still_good_until_somebody_takes_the_job(
    stores: Stores,
) -> None:
    (job_id,) = await submit(stores, "s1")
    (run,) = await claim(stores, ask(lease_s=0))
    assert await finish(stores, [run], Succeeded()) == {job_id}


async def test_a_job_that_kills_its_workers_is_left_to_an_operator(stores: Stores) -> None:
    await submit(stores, "s1")
    for _ in range(2):
        await claim(stores, ask(lease_s=0))
        await stores.queue.recover_jobs(RULES)
    assert await states(stores) == ["failed"]


# Records.


async def test_jobs_are_listed_newest_first_in_pages(stores: Stores) -> None:
    for number in range(5):
        await submit(stores, f"s{number}")
    everything = await stores.records.list_jobs(JobFilter(), 100)
    times = [(job.created_at, job.id) for job in everything]
    assert times == sorted(times, reverse=True)
    page = await stores.records.list_jobs(JobFilter(), 2)
    rest = await stores.records.list_jobs(JobFilter(), 100, (page[-1].created_at, page[-1].id))
    assert [*page, *rest] == list(everything)


async def test_jobs_are_found_by_each_filter(stores: Stores) -> None:
    await submit(stores, "s1")
    await submit(stores, "s2", pod_id=WEST)
    other = JobRequest(release("s3", project="other"), REQUEST_ID)
    await stores.desk.submit_jobs([other, JobRequest(Purge(), REQUEST_ID)])

    async def count(wanted: JobFilter) -> int:
        return len(await stores.records.list_jobs(wanted, 100))

    assert await count(JobFilter()) == 4
    assert await count(JobFilter(kind="release_server")) == 3
    assert await count(JobFilter(pod_id=WEST)) == 1
    assert await count(JobFilter(project_id=ProjectId("other"))) == 1
    assert await count(JobFilter(state=JobState.NEW)) == 4
    assert await count(JobFilter(state=JobState.DONE)) == 0
    assert await count(JobFilter(key=job_key(release("s1")))) == 1
    assert await count(JobFilter(kind="purge", pod_id=EAST)) == 0
    assert await count(JobFilter(kind="\0")) == 0


async def test_an_unknown_job_is_not_found(stores: Stores) -> None:
    for unknown in (JobId("nothing"), JobId("\0")):
        with pytest.raises(NotFound, match="could not be found"):
            await stores.records.get_job(unknown)
        with pytest.raises(NotFound):
            await stores.records.redo_job(unknown, "operator", REQUEST_ID)
        with pytest.raises(NotFound):
            await stores.records.cancel_job(unknown, "operator")


async def test_what_runs_is_done_once_more_when_it_is_to_be_redone(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    runs = await claim(stores)
    shown = await stores.records.redo_job(job_id, "operator", REQUEST_ID)
    assert (shown.state, shown.events[-1].who) == (JobState.RUNNING, "operator")
    await finish(stores, runs, Succeeded())
    assert len(await claim(stores)) == 1


async def test_what_is_over_is_asked_for_anew_when_it_is_to_be_redone(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    await finish(stores, await claim(stores), Succeeded())
    shown = await stores.records.redo_job(job_id, "operator", REQUEST_ID)
    assert shown.id != job_id
    assert (shown.job, shown.state) == (release("s1"), JobState.NEW)


async def test_what_is_cancelled_is_never_run(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    shown = await stores.records.cancel_job(job_id, "operator")
    assert (shown.state, shown.events[-1].who) == (JobState.CANCELLED, "operator")
    assert await claim(stores) == ()
    with pytest.raises(Conflict, match="cancelled already"):
        await stores.records.cancel_job(job_id, "operator")


async def test_who_runs_what_is_cancelled_cannot_finish_it(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    runs = await claim(stores)
    await stores.records.cancel_job(job_id, "operator")
    assert set(await stores.queue.renew_leases([runs[0].token], 60)) == set()
    assert await finish(stores, runs, Succeeded()) == set()
    assert await states(stores) == ["cancelled"]


async def test_what_is_over_is_left_as_it_was_when_it_cannot_be_cancelled(stores: Stores) -> None:
    (job_id,) = await submit(stores, "s1")
    await finish(stores, await claim(stores), Succeeded())
    before = await stores.records.get_job(job_id)
    with pytest.raises(Conflict, match="done already"):
        await stores.records.cancel_job(job_id, "operator")
    assert await stores.records.get_job(job_id) == before


async def test_jobs_are_counted_by_kind_pod_and_state(stores: Stores) -> None:
    await submit(stores, "s1", "s2", "s3")
    await stores.desk.submit_jobs(
        [JobRequest(Purge(), REQUEST_ID), JobRequest(release("late"), REQUEST_ID, wait_s=600)]
    )
    await claim(stores, ask(1))
    counts = {
        (count.kind, count.pod_id, count.state): (count.count, count.oldest_s)
        for count in await stores.records.count_jobs()
    }
    assert {key: value[0] for key, value in counts.items()} == {
        ("purge", None, JobState.NEW): 1,
        ("release_server", EAST, JobState.NEW): 2,
        ("release_server", EAST, JobState.RUNNING): 1,
    }
    assert all(0 <= oldest_s < 300 for _, oldest_s in counts.values())


async def test_only_what_ended_long_ago_is_purged(stores: Stores) -> None:
    done, failed, waiting = await submit(stores, "s1", "s2", "s3")
    runs = {run.job_id: run for run in await claim(stores)}
    await finish(stores, [runs[done]], Succeeded())
    await finish(stores, [runs[failed]], Unsuccessful("no"), replace(RULES, max_attempts=1))
    await finish(stores, [runs[waiting]], HandedBack(""))
    assert await stores.records.purge_jobs(600) == 0
    assert await stores.records.purge_jobs(0) == 1
    assert await states(stores) == ["failed", "new"]
    with pytest.raises(NotFound):
        await stores.records.get_job(done)
    assert (await stores.records.get_job(failed)).error == "no"


async def test_jobs_of_a_pod_go_with_it(stores: Stores) -> None:
    await submit(stores, "s1")
    runs = await claim(stores)
    await finish(stores, runs, PodAway("gone"))
    await stores.pods.delete_pod(EAST)
    assert await states(stores) == []
    assert await finish(stores, runs, Succeeded()) == set()
