"""What is known of wishes in pods."""

from __future__ import annotations

import pytest

from tricircle.core.jobs import Replicate
from tricircle.core.model import BottomId, PodId
from tricircle.core.wishes import (
    Replica,
    Wish,
    WishId,
    WishKey,
    WishPod,
    is_behind,
    is_made,
    key_of,
)

WISH = Wish(WishId("w"), Replica.KEYPAIR, "user", "k", {}, True, 3)


def test_a_key_is_called_by_its_name() -> None:
    assert str(WISH.key) == "key pair k of user user"
    assert str(WishKey(Replica.VOLUME_TYPE, "", "t")) == "volume type t"


def test_a_job_names_its_wish() -> None:
    pod = PodId("p")
    assert key_of(Replicate(pod, "keypair", "user", "k")) == WISH.key
    assert key_of(Replicate(pod, "of a newer release", "", "k")) is None


@pytest.mark.parametrize(
    ("known", "behind", "made"),
    [
        (None, True, False),
        (WishPod(0, BottomId("")), True, True),
        (WishPod(2), True, False),
        (WishPod(3), False, False),
        (WishPod(3, BottomId("k")), False, True),
    ],
)
def test_what_is_known_of_a_pod(known: WishPod | None, behind: bool, made: bool) -> None:
    assert (is_behind(WISH, known), is_made(known)) == (behind, made)
