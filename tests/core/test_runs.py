"""What becomes of jobs when a run is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.jobs import (
    ReleaseServer,
)
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.runs import (
    MAX_REASON,
    Ending,
    HandedBack,
    JobId,
    JobState,
    LeaseToken,
    Outcome,
    PodAway,
    Postponed,
    RetryRules,
    Run,
    Succeeded,
    Unsuccessful,
    decide,
    decide_abandoned,
    pod_pause_s,
    take_within_rooms,
)

JOB = ReleaseServer(PodId("east"), TopId("s1"), ProjectId("demo"))
RULES = RetryRules(max_attempts=3, first_s=1, longest_s=8, pod_first_s=1, pod_longest_s=4)


def ending(outcome: Outcome, attempt: int = 1, asked: int = 1, jitter: float = 1.0) -> Ending:
    run = Run(JobId("j"), JOB, LeaseToken("w/1"), attempt, asked, "req-1")
    return Ending(run, outcome, RULES, jitter)


# Kinds and keys.


def test_success_ends_a_job() -> None:
    move = decide(ending(Succeeded("made")), asked=1)
    assert (move.state, move.why, move.failed) == (JobState.DONE, "made", False)


@pytest.mark.parametrize(
    "outcome",
    [Succeeded(), Unsuccessful("no"), Postponed("later", 5), PodAway("dead"), HandedBack("end")],
)
@pytest.mark.parametrize("attempt", [1, 2, 3, 50])
def test_what_was_asked_during_the_run_is_never_forgotten(outcome: Outcome, attempt: int) -> None:
    assert decide(ending(outcome, attempt, asked=1), asked=2).state is JobState.NEW


def test_a_repeated_job_is_due_again_after_its_interval() -> None:
    early = decide(ending(Succeeded(again_in_s=100), jitter=0), asked=1)
    late = decide(ending(Succeeded(again_in_s=100), jitter=1), asked=1)
    assert (early.state, early.attempts) == (JobState.NEW, 0)
    assert early.wait_s == pytest.approx(90)
    assert late.wait_s == pytest.approx(110)


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    waits = [decide(ending(Unsuccessful("no"), attempt=n), asked=1).wait_s for n in (1, 2)]
    assert waits == [1, 2]
    rules = RetryRules(max_attempts=100, first_s=1, longest_s=8)
    run = ending(Unsuccessful("no"), attempt=60).run
    assert decide(Ending(run, Unsuccessful("no"), rules, 1.0), 1).wait_s == 8
    assert decide(Ending(run, Unsuccessful("no"), rules, 0.0), 1).wait_s == 4


def test_after_its_last_attempt_a_job_waits_for_an_operator() -> None:
    move = decide(ending(Unsuccessful("no luck"), attempt=3), asked=1)
    assert (move.state, move.why, move.failed) == (JobState.FAILED, "no luck", True)


def test_a_repeated_job_never_waits_for_an_operator() -> None:
    move = decide(ending(Unsuccessful("no", again_in_s=100), attempt=3), asked=1)
    assert (move.state, move.attempts, move.failed) == (JobState.NEW, 0, True)
    assert move.wait_s >= 90


@pytest.mark.parametrize("outcome", [Postponed("later", 5), PodAway("dead"), HandedBack("end")])
@pytest.mark.parametrize("attempt", [1, 3, 50])
def test_what_is_nobodys_failure_never_uses_up_attempts(outcome: Outcome, attempt: int) -> None:
    move = decide(ending(outcome, attempt), asked=1)
    assert (move.state, move.attempts) == (JobState.NEW, attempt - 1)


def test_a_reason_is_kept_up_to_a_length() -> None:
    assert len(decide(ending(Unsuccessful("x" * 10_000)), asked=1).why) == MAX_REASON


def test_an_abandoned_run_counts() -> None:
    assert decide_abandoned(2, RULES).state is JobState.NEW
    assert decide_abandoned(3, RULES).state is JobState.FAILED


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_pause_of_a_pod_is_bounded_and_never_none(failures: int, jitter: float) -> None:
    assert 0.75 <= pod_pause_s(failures, RULES, jitter) <= 4


# Rooms.

_pods = st.sampled_from([None, PodId("a"), PodId("b"), PodId("c")])


@given(
    st.lists(_pods, max_size=30),
    st.dictionaries(st.sampled_from([PodId("a"), PodId("b")]), st.integers(-1, 5)),
    st.integers(0, 5),
)
def test_no_pod_takes_more_than_its_room_and_order_is_kept(
    pods: list[PodId | None], rooms: dict[PodId, int], room: int
) -> None:
    candidates = [(JobId(str(number)), pod) for number, pod in enumerate(pods)]
    taken = take_within_rooms(candidates, rooms, room)
    assert taken == [job_id for job_id, _ in candidates if job_id in set(taken)]
    for pod in (PodId("a"), PodId("b"), PodId("c")):
        mine = [job_id for job_id, each in candidates if each == pod]
        free = max(0, rooms.get(pod, room))
        assert [job_id for job_id in mine if job_id in taken] == mine[:free]
    assert all(job_id in taken for job_id, pod in candidates if pod is None)
