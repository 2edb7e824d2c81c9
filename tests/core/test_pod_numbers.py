"""Numbers that each pod gives anew are told apart at the top."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tricircle.core.model import Pod, PodId
from tricircle.core.pod_numbers import number_pods

START = datetime(2026, 1, 1, tzinfo=UTC)
PODS = [
    Pod(PodId(f"pod-{n}"), f"pod{n}", f"pod{n}", created_at=START + timedelta(days=n))
    for n in range(500)
]


def test_a_number_comes_back_as_what_it_was() -> None:
    numbers = number_pods(PODS)
    for pod in PODS:
        for number in (1, 7, 2**31 - 1):
            top = numbers.to_top(pod.id, number)
            assert top < 2**53
            assert numbers.from_top(str(top)) == (pod.id, number)


def test_no_two_pods_share_a_number() -> None:
    numbers = number_pods(PODS)
    assert len({numbers.to_top(pod.id, 1) for pod in PODS}) == len(PODS)


def test_a_pods_numbers_do_not_depend_on_the_other_pods() -> None:
    alone = number_pods(PODS[:1]).to_top(PODS[0].id, 1)
    assert number_pods(PODS).to_top(PODS[0].id, 1) == alone
    assert number_pods(reversed(PODS)).to_top(PODS[0].id, 1) == alone


@pytest.mark.parametrize("text", ["", "1", "0", "-1", "x", "9" * 40, "1.0", "٣", str(2**31 - 1)])
def test_what_the_top_gave_to_nothing_names_nothing(text: str) -> None:
    assert number_pods(PODS).from_top(text) is None
