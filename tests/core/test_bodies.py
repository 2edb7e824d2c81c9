"""Bodies are edited at a place and nowhere else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.bodies import (
    Beside,
    check_object,
    read_texts,
    read_value,
    read_values,
    remove_value,
    replace,
    replace_texts,
    set_value,
)
from tricircle.core.errors import MalformedBody

BODY = (
    b'{"server": {"name": "caf\\u00e9", "big": 12345678901234567890, "ratio": 1.10,'
    b' "networks": [{"uuid": "n1", "tag": "a"}, {"port": "p1"}, {"uuid": "n2"}],'
    b' "unknown": {"deep": [1, {"uuid": "n1"}]}}, "os:scheduler_hints": {"group": "g"}}'
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_values_are_read_in_order() -> None:
    assert read_texts(BODY, "server.networks[].uuid") == ["n1", "n2"]


def test_a_place_that_is_not_there_has_no_value() -> None:
    assert read_value(BODY, "server.no.such") is None
    assert read_values(BODY, "server.name[].x") == []


def test_a_condition_beside_the_place_chooses_the_objects() -> None:
    body = b'{"m": [{"uuid": "a", "source": "volume"}, {"uuid": "b", "source": "image"}]}'
    assert read_texts(body, "m[].uuid", Beside("source", "volume")) == ["a"]


def test_a_replacement_leaves_every_other_byte_as_it_was() -> None:
    edited = replace_texts(BODY, "server.networks[].uuid", {"n1": "x1"})
    assert b'"big":12345678901234567890' in edited.replace(b": ", b":")
    assert b"1.10" in edited
    assert b"caf\\u00e9" in edited
    assert b'{"deep": [1, {"uuid": "n1"}]}' in edited
    assert read_texts(edited, "server.networks[].uuid") == ["x1", "n2"]


def test_an_edit_that_changes_nothing_returns_the_very_same_bytes() -> None:
    assert replace_texts(BODY, "server.networks[].uuid", {"other": "x"}) is BODY
    assert remove_value(BODY, "server.absent") is BODY


def test_a_value_can_be_set_and_removed() -> None:
    body = set_value(BODY, "server.availability_zone", "nova")
    assert read_value(body, "server.availability_zone") == "nova"
    assert json.loads(remove_value(body, "server.availability_zone")) == json.loads(BODY)


def test_a_key_with_the_same_name_deeper_down_is_left_alone() -> None:
    body = b'{"volume": {"availability_zone": "nova", "metadata": {"availability_zone": "nova"}}}'
    edited = replace(body, "volume.availability_zone", lambda _: "az1")
    assert json.loads(edited) == {
        "volume": {"availability_zone": "az1", "metadata": {"availability_zone": "nova"}}
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"text"', b"{", b'{"a": }', b'{"a": 1}{', b"\xff\xfe", b'{"a": NaN}'],
)
def test_what_is_not_one_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        check_object(body)


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(MalformedBody):
        check_object(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@given(json_values, json_values, st.text(min_size=1))
def test_editing_one_place_keeps_all_others_equal(old: object, beside: object, new: str) -> None:
    body = json.dumps({"server": {"x": old, "y": beside}, "z": beside}).encode()
    edited = replace(body, "server.x", lambda _: new)
    assert json.loads(edited) == {"server": {"x": new, "y": beside}, "z": beside}
