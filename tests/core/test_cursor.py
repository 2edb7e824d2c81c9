"""Cursors: small, strict, and the same when they come back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.cursor import (
    MAX_CURSOR_CHARS,
    Cursor,
    Position,
    cursor_from_text,
    cursor_to_text,
    decode_cursor,
    encode_cursor,
    position_key,
)
from tricircle.core.errors import BadInput
from tricircle.core.model import PodId

IDS = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=40
).filter(str.isprintable)
VALUES = st.none() | st.lists(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=9), max_size=4
).map(tuple)
POSITIONS = st.builds(Position, st.none() | IDS, VALUES, st.booleans())
CURSORS = st.builds(
    Cursor,
    st.text("0123456789abcdef", min_size=1, max_size=24),
    IDS,
    VALUES,
    st.dictionaries(IDS.map(PodId), POSITIONS, max_size=5),
)
GOOD: Mapping[str, object] = {"v": 1, "h": "ab", "m": "id", "s": None, "p": {}}


def link(document: object) -> str:
    return cursor_to_text(json.dumps(document).encode())


@given(cursor=CURSORS)
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    text = cursor_to_text(encode_cursor(cursor))
    assert cursor_from_text(text) == cursor
    assert text.isascii()
    assert not set(text) & set("+/=&?#% ")


def test_a_plain_position_costs_little_more_than_its_id() -> None:
    one = encode_cursor(Cursor("h", "m", None, {}))
    two = encode_cursor(Cursor("h", "m", None, {PodId("p"): Position("x" * 36)}))
    assert len(two) - len(one) <= 36 + len('"p":""')


def test_a_good_document_is_taken() -> None:
    assert cursor_from_text(link(GOOD)) == Cursor("ab", "id", None, {})


@pytest.mark.parametrize(
    "document",
    [
        {**GOOD, "v": 2},
        {**GOOD, "x": 1},
        {**GOOD, "h": ""},
        {**GOOD, "h": "a" * 65},
        {**GOOD, "m": ""},
        {**GOOD, "m": "a" * 256},
        {**GOOD, "m": "a\nb"},
        {**GOOD, "m": 7},
        {**GOOD, "s": [[]]},
        {**GOOD, "s": ["a"] * 65},
        {**GOOD, "p": []},
        {**GOOD, "p": {"pod": ""}},
        {**GOOD, "p": {"pod": 1}},
        {**GOOD, "p": {"": "a"}},
        {**GOOD, "p": {"pod": ["a"]}},
        {**GOOD, "p": {"pod": ["a", True, None, 1]}},
        {**GOOD, "p": {"pod": ["a", True, ["x"] * 65]}},
        {"v": 1},
        [],
        None,
    ],
)
def test_any_other_document_is_refused(document: object) -> None:
    with pytest.raises(BadInput, match="tricircle_cursor"):
        cursor_from_text(link(document))


@pytest.mark.parametrize(
    "text",
    ["", "!", "a", "a b", "\u00e9", "=" * 8, "A" * (MAX_CURSOR_CHARS + 4), "e30=e30="],
)
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        cursor_from_text(text)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_cursor_or_refused(data: bytes) -> None:
    try:
        decode_cursor(data)
    except BadInput:
        return
    assert data


def test_deep_json_is_refused() -> None:
    with pytest.raises(BadInput):
        cursor_from_text(base64.urlsafe_b64encode(b"[" * 40_000).decode())


def test_positions_of_different_lists_and_pages_have_different_keys() -> None:
    keys = {position_key("a", "b"), position_key("a", "c"), position_key("c", "b")}
    assert len(keys) == 3
