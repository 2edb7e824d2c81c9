"""Decisions about quotas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.quotas import (
    WHOLE,
    Demand,
    Excess,
    Standing,
    Tally,
    demands_of,
    find_excess,
    is_exact,
    limits_of,
    settle,
)

CONFIGURED = {"instances": 10, "cores": 20}
SERVER = {"instances": 1, "cores": 2}


def test_what_is_set_wins_over_the_class_and_that_over_the_configuration() -> None:
    standing = Standing(project={"cores": 5}, user={"instances": 1}, defaults={"instances": 7})
    limits = limits_of(standing, CONFIGURED)
    assert limits.project == {"instances": 7, "cores": 5}
    assert limits.user == {"instances": 1, "cores": 5}


def demands(standing: Standing, configured: dict[str, int]) -> object:
    return demands_of(SERVER, standing, limits_of(standing, configured), "alice")


def test_nothing_is_counted_for_who_has_no_limit() -> None:
    assert demands(Standing(), {"instances": -1, "cores": -1}) == []


def test_what_has_a_limit_and_no_number_is_counted_first() -> None:
    assert demands(Standing(), CONFIGURED) is None
    assert demands(Standing(used={WHOLE: {"cores": 1}}), CONFIGURED) is None
    user = Standing(user={"cores": 1}, used={WHOLE: SERVER})
    assert demands(user, CONFIGURED) is None


def test_numbers_that_are_kept_grow_with_and_without_limits() -> None:
    standing = Standing(used={WHOLE: SERVER, "alice": SERVER})
    assert demands(standing, {"instances": 10, "cores": -1}) == [
        Demand(WHOLE, "instances", 1, 10),
        Demand(WHOLE, "cores", 2, None),
        Demand("alice", "instances", 1, None),
        Demand("alice", "cores", 2, None),
    ]


def test_a_users_own_limit_is_judged_by_the_users_numbers() -> None:
    standing = Standing(user={"cores": 3}, used={WHOLE: SERVER, "alice": SERVER})
    assert demands(standing, CONFIGURED) == [
        Demand(WHOLE, "instances", 1, 10),
        Demand(WHOLE, "cores", 2, 20),
        Demand("alice", "instances", 1, 10),
        Demand("alice", "cores", 2, 3),
    ]


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(used={WHOLE: {"instances": 9, "cores": 18}}), None),
        (
            Standing(used={WHOLE: {"instances": 10, "cores": 19}}),
            Excess(["cores", "instances"], CONFIGURED, {"instances": 10, "cores": 19}),
        ),
        (
            Standing(
                user={"cores": 3},
                used={WHOLE: {"instances": 5, "cores": 9}, "alice": {"instances": 1, "cores": 2}},
            ),
            Excess(["cores"], {"instances": 10, "cores": 3}, {"instances": 1, "cores": 2}),
        ),
    ],
)
def test_excess_is_told_as_nova_tells_it(standing: Standing, expected: Excess | None) -> None:
    limits = limits_of(standing, CONFIGURED)
    assert find_excess(SERVER, standing, limits, "alice") == expected


NUMBERS = st.integers(0, 20)


@given(held=NUMBERS, begun=NUMBERS, ended=NUMBERS, freed=NUMBERS, shown=st.floats(0, 1))
def test_a_count_never_moves_a_right_number(
    held: int, begun: int, ended: int, freed: int, shown: float
) -> None:
    """``held`` are in the pods from the start, ``begun`` claims open, others come and go."""
    freed = min(freed, held)
    before = Tally(held + begun, begun, 0)
    now = Tally(held + begun + ended - freed, begun + ended, freed)
    counted = held - freed + round(shown * (begun + ended + freed))
    assert settle(counted, before, now, live=begun, expired=0) == now.used


@given(wrong=NUMBERS, right=NUMBERS, expired=NUMBERS)
def test_while_nothing_is_under_way_a_number_becomes_what_pods_show(
    wrong: int, right: int, expired: int
) -> None:
    tally = Tally(wrong + expired, 100, 50)
    assert is_exact(tally, tally, 0)
    assert settle(right, tally, tally, 0, expired) == right


def test_without_a_user_the_project_alone_is_limited() -> None:
    standing = Standing(used={WHOLE: {"volumes": 1}})
    limits = limits_of(standing, {"volumes": 4})
    demands = demands_of({"volumes": 1}, standing, limits, WHOLE)
    assert demands == [Demand(WHOLE, "volumes", 1, 4)]
