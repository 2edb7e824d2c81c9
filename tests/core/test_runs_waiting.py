"""Jobs that wait for something to happen."""

from __future__ import annotations

import pytest

from tricircle.core.jobs import ReleaseServer
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.runs import (
    Ending,
    JobId,
    JobState,
    LeaseToken,
    Move,
    NotYet,
    RetryRules,
    Run,
    decide,
)

JOB = ReleaseServer(PodId("east"), TopId("s1"), ProjectId("demo"))
RULES = RetryRules(max_attempts=3, first_s=1, longest_s=8)


def ending(attempt: int) -> Ending:
    run = Run(JobId("j"), JOB, LeaseToken("w/1"), attempt, 1, "req-1")
    return Ending(run, NotYet("still there"), RULES, 1.0)


@pytest.mark.parametrize(("attempt", "wait_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (50, 8)], ids=str)
def test_it_is_looked_at_again_after_growing_pauses_beyond_the_limit_too(
    attempt: int, wait_s: float
) -> None:
    assert decide(ending(attempt), 1) == Move(JobState.NEW, attempt, wait_s, "still there")


def test_what_is_asked_for_meanwhile_begins_anew() -> None:
    assert decide(ending(7), 2) == Move(JobState.NEW, 0, 1, "still there")
