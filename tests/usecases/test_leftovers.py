"""Handing to workers what a request leaves undone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.usecases.networks_world import Bell
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.jobs import JobRequest, ReleaseServer
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.runs import JobId
from tricircle.interfaces.jobs import JobDesk
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.leftovers import UNDER_WAY_S, Leftovers

JOB = ReleaseServer(PodId("east"), TopId("s1"), ProjectId("demo"))


class Desk:
    """A desk that keeps what it is given, or has no database."""

    def __init__(self, away: bool = False) -> None:
        self.requests: list[JobRequest] = []
        self._away = away

    async def submit_jobs(self, requests: Sequence[JobRequest]) -> Sequence[JobId]:
        if self._away:
            raise ServiceUnavailable("the database does not answer")
        self.requests.extend(requests)
        return [JobId(str(number)) for number in range(len(requests))]

    async def ensure_jobs(self, requests: Sequence[JobRequest]) -> int:
        return 0


def leftovers(desk: JobDesk) -> Leftovers:
    return Leftovers(JobRequests(desk, Bell()))


async def test_what_may_be_under_way_waits_until_it_must_be_over() -> None:
    desk = Desk()
    await leftovers(desk).hand_over([JOB], "req-1")
    await leftovers(desk).hand_over_later([JOB], "req-1")
    assert [one.wait_s for one in desk.requests] == [0.0, UNDER_WAY_S]


async def test_without_the_database_the_sweep_is_left_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await leftovers(Desk(away=True)).hand_over([JOB], "req-1")
    assert "left to the sweep" in caplog.text


async def test_nothing_left_is_nothing_asked() -> None:
    await leftovers(Desk(away=True)).hand_over([], "req-1")
