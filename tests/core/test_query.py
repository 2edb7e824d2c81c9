"""Query strings keep the bytes of what they do not concern."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.query import (
    escape_query,
    list_parameters,
    list_values,
    replace_values,
    with_parameter,
    without_parameters,
)

NAMES = st.text("abc%;&=+ /", max_size=5)


def test_parameters_are_decoded_in_order() -> None:
    assert list_parameters("a=1&b=x%20y+z&a=&c") == [
        ("a", "1"),
        ("b", "x y z"),
        ("a", ""),
        ("c", ""),
    ]


def test_a_semicolon_separates_parameters_as_it_does_for_nova_and_cinder() -> None:
    assert list_values("name=a;limit=2&limit=3", "limit") == ["2", "3"]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("marker=a&name=%5Eb&limit=1", "name=%5Eb"),
        ("mark%65r=a&name=b", "name=b"),
        ("name=b;marker=a", "name=b"),
        ("&&limit=1&", ""),
        ("limit", ""),
        ("limits=1", "limits=1"),
    ],
)
def test_parameters_are_taken_out_however_they_are_written(query: str, left: str) -> None:
    assert without_parameters(query, {"marker", "limit"}) == left


@given(pairs=st.lists(st.tuples(NAMES, NAMES)))
def test_what_is_put_in_comes_out(pairs: list[tuple[str, str]]) -> None:
    query = ""
    for name, value in pairs:
        query = with_parameter(query, name, value)
    assert list_parameters(query) == pairs


def test_values_are_replaced_in_their_place() -> None:
    query = "a=1&availability_zone=az%201&b=%5E"
    changed = replace_values(query, "availability_zone", lambda zone: zone + "/&")
    assert changed == "a=1&availability_zone=az%201%2F%26&b=%5E"


@pytest.mark.parametrize(
    ("query", "escaped"),
    [
        ("name=^api-[ew]&limit=1", "name=%5Eapi-%5Bew%5D&limit=1"),
        ("name=%5Eapi-%5bew%5D&a:b=c,d/e?f@g+h", "name=%5Eapi-%5bew%5D&a:b=c,d/e?f@g+h"),
        ("name=100%&x=%2", "name=100%25&x=%252"),
        ("name=\xc3\xa9", "name=%C3%A9"),
        ('name={"a"|b\\c}', "name=%7B%22a%22%7Cb%5Cc%7D"),
    ],
)
def test_what_no_uri_may_hold_is_escaped_and_nothing_else(query: str, escaped: str) -> None:
    assert escape_query(query) == escaped
    assert escape_query(escaped) == escaped
