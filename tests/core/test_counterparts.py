"""Ids at the top and in pods of what all pods have alike."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tricircle.core.counterparts import Counterparts, Found, match_by_name, read_counterparts
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, Routing, TopId

EAST, WEST = PodId("east"), PodId("west")
A, B, C = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")


def routing(top: str, pod: PodId, bottom: str | None) -> Routing:
    bottom_id = BottomId(bottom) if bottom is not None else None
    return Routing(Kind.VOLUME_TYPE, TopId(top), pod, bottom_id, ProjectId(""))


def pods(
    east: Mapping[str, str], west: Mapping[str, str]
) -> list[tuple[PodId, dict[str, BottomId]]]:
    return [
        (EAST, {name: BottomId(one) for name, one in east.items()}),
        (WEST, {name: BottomId(one) for name, one in west.items()}),
    ]


def match(
    known: list[Routing], east: Mapping[str, str], west: Mapping[str, str]
) -> tuple[list[Routing], list[Routing]]:
    found: Found = match_by_name(Kind.VOLUME_TYPE, known, pods(east, west))
    return list(found.new), list(found.gone)


@pytest.fixture
def known() -> Counterparts:
    return read_counterparts([routing(A, EAST, A), routing(A, WEST, B)])


def test_a_thing_is_known_by_its_id_at_the_top_and_in_every_pod(known: Counterparts) -> None:
    assert [known.find_top(one) for one in (A, B, C)] == [A, A, None]
    assert [known.find_bottom(WEST, one) for one in (A, B, C)] == [B, B, None]
    assert [known.find_bottom(EAST, one) for one in (A, B)] == [A, A]
    assert known.list_bottoms(B) == {EAST: A, WEST: B}
    assert known.list_bottoms(C) == {}


def test_ids_in_texts_are_translated_and_nothing_else(known: Counterparts) -> None:
    text = f"type {B} of {C} is a {B[:-1]}"
    assert known.to_top(text) == f"type {A} of {C} is a {B[:-1]}"
    assert known.to_bottom(WEST, f"/types/{A}/x") == f"/types/{B}/x"
    assert known.to_bottom(PodId("north"), A) == A


def test_what_is_still_being_made_has_no_id() -> None:
    known = read_counterparts([routing(A, EAST, A), routing(A, WEST, None)])
    assert known.find_bottom(WEST, A) is None


def test_pods_call_the_same_things_the_same() -> None:
    new, gone = match([], {"x": A}, {"x": B, "y": C})
    assert new == [routing(A, EAST, A), routing(A, WEST, B), routing(C, WEST, C)]
    assert gone == []


def test_an_id_that_users_know_stays_when_an_earlier_pod_comes_later() -> None:
    new, _ = match([routing(B, WEST, B)], {"x": A}, {"x": B})
    assert new == [routing(B, EAST, A)]


def test_nothing_is_new_of_what_is_known() -> None:
    known = [routing(A, EAST, A), routing(A, WEST, B)]
    assert match(known, {"x": A}, {"x": B}) == ([], [])


def test_what_was_made_anew_in_a_pod_takes_the_place_of_what_is_gone() -> None:
    known = [routing(A, EAST, A), routing(A, WEST, B)]
    assert match(known, {"x": A}, {"x": C}) == ([routing(A, WEST, C)], [routing(A, WEST, B)])


def test_a_renamed_thing_gives_its_place_to_no_other() -> None:
    known = [routing(A, EAST, A), routing(A, WEST, B)]
    new, gone = match(known, {"x": A}, {"y": B, "x": C})
    assert (new, gone) == ([routing(C, WEST, C)], [])
