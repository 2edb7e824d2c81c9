"""Quotas of servers, in Nova's words: compared with Nova 34 itself on 2026-11-27."""

from __future__ import annotations

import pytest

from tricircle.core.quotas import WHOLE, Limits, Standing
from tricircle.core.server_quotas import TooMany, Wanted, fit

ONE = {"cores": 1, "ram": 128}


@pytest.mark.parametrize(
    ("limits", "used", "counts", "expected"),
    [
        ((3, -1, -1), 1, (2, 5), 2),
        (
            (3, -1, -1),
            3,
            (4, 4),
            "instances: Requested 4, but already used 3 of 3 instances",
        ),
        ((10, 2, -1), 0, (3, 3), "cores: Requested 3, but already used 0 of 2 cores"),
        ((10, 2, -1), 0, (2, 4), 2),
        (
            (-1, 2, 300),
            0,
            (1, 5),
            "cores, ram: Requested 5, 640, but already used 0, 0 of 2, 300 cores, ram",
        ),
        (
            (2, 1, 200),
            1,
            (2, 3),
            "cores, instances, ram: Requested 3, 2-3, 384, "
            "but already used 1, 1, 128 of 1, 2, 200 cores, instances, ram",
        ),
    ],
)
def test_how_many_fit_or_why_none_does(
    limits: tuple[int, int, int], used: int, counts: tuple[int, int], expected: int | str
) -> None:
    allowed = dict(zip(("instances", "cores", "ram"), limits, strict=True))
    standing = Standing(used={WHOLE: {"instances": used, "cores": used, "ram": 128 * used}})
    found = fit(Wanted(*counts, ONE), standing, Limits(allowed, allowed), "alice")
    if isinstance(expected, str):
        assert found == TooMany(f"Quota exceeded for {expected}")
    else:
        assert found == expected
