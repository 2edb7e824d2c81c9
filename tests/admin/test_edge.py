"""Which bodies are let through to be read."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.admin.edge import MAX_BODY_BYTES, MAX_BODY_DEPTH, check_json
from tricircle.core.errors import MalformedBody


@pytest.mark.parametrize(
    "body",
    [
        b'{"pod": {"name": "a"}}',
        b'{"name": "[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"name": "\\"[[[[[[[[[[[[[[[[[[[[[[[["}',
        b"[]",
        b"[" * MAX_BODY_DEPTH + b"]" * MAX_BODY_DEPTH,
        '{"name": "Köln"}'.encode(),
    ],
)
def test_json_is_let_through(body: bytes) -> None:
    check_json(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": {"b": 1, "b": 1}}', "a key stands twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * (MAX_BODY_DEPTH + 1) + b"]" * (MAX_BODY_DEPTH + 1), "levels deep"),
        (b"[" * MAX_BODY_BYTES, "levels deep"),
        (b'{"a":' * 5000, "levels deep"),
    ],
)
def test_what_parsers_could_read_differently_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedBody, match=reason):
        check_json(body)


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=8))
def test_every_shallow_value_passes(value: object) -> None:
    check_json(json.dumps({"value": value}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused(body: bytes) -> None:
    try:
        check_json(body)
    except MalformedBody:
        return
    json.loads(body)


@pytest.mark.parametrize("part", [b'"', b"\\", b'\\"', b'"\\', b"{", b'"a'])
def test_no_body_takes_long_to_judge(part: bytes) -> None:
    body = part * (MAX_BODY_BYTES // len(part))
    started_s = time.process_time()

    with pytest.raises(MalformedBody):
        check_json(body)

    assert time.process_time() - started_s < 1
