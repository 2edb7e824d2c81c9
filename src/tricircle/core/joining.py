"""One answer out of several pods': sums of numbers, arrays put together, the first's rest.

What is done where is data: a ``Rule`` for a place. Only the objects on the way to a
place are taken apart, everything else keeps its bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import assert_never

import msgspec

from tricircle.core.errors import MalformedBody


class How(enum.Enum):
    """How the values of two pods at one place become one."""

    SUM = "sum"
    LARGEST = "largest"
    """The larger number, and -1, which is no limit, before all others."""
    APPEND = "append"
    """Arrays one after the other."""
    GROUP = "group"
    """Arrays of objects, those with the same ``key`` becoming one."""
    NAMED = "named"
    """Objects by a name that pods may share: then it is ``pod:name`` for the later pod.

    With a ``key``, an array of objects that have their name there.
    """
    COMMON = "common"
    """Of arrays what both have; of arrays of objects, those with the same ``key``, joined."""
    UNION = "union"
    """Objects of arrays by any name: each array has what either has, once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done at a place.

    A place is written as in ``core.bodies``; ``*`` at its end stands for any end of
    the last key.
    """

    place: str
    how: How
    key: str = ""


@dataclass(frozen=True, slots=True)
class Joint:
    """How the bodies of several pods become one; what no rule names is the first pod's.

    ``finish`` makes right what follows from the joined values, such as a text about them.
    """

    rules: tuple[Rule, ...]
    finish: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one pod says; ``pod`` is its name."""

    pod: str
    body: bytes


_Object = dict[str, msgspec.Raw]
_decode_object = msgspec.json.Decoder(_Object).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_EACH = "[]"


def join(joint: Joint, parts: Sequence[Part]) -> bytes:
    """Return the parts as one body, in their order. Raises MalformedBody."""
    try:
        body = reduce(lambda one, other: _join_values(joint, "", one, other), parts).body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody("a pod's answer is not the JSON it must be") from None
    return body if joint.finish is None else joint.finish(body)


def _join_values(joint: Joint, place: str, one: Part, other: Part) -> Part:
    rule = _find_rule(joint.rules, place)
    if rule is None:
        return Part(one.pod, _join_below(joint, place, one, other))
    match rule.how:
        case How.SUM:
            body = _encode(_number(one.body) + _number(other.body))
        case How.LARGEST:
            body = _largest(one.body, other.body)
        case How.APPEND:
            body = _encode([*_elements(one.body), *_elements(other.body)])
        case How.GROUP:
            body = _group(joint, rule, one, other)
        case How.NAMED:
            body = _join_rows(rule, one, other) if rule.key else _join_named(one, other)
        case How.COMMON:
            body = _join_common(joint, rule, one, other)
        case How.UNION:
            body = _join_union(one, other)
        case _:
            assert_never(rule.how)
    return Part(one.pod, body)


def _join_below(joint: Joint, place: str, one: Part, other: Part) -> bytes:
    """Return the first pod's value; of objects with rules below them, all keys of both."""
    if not _is_object(one.body) or not _is_object(other.body):
        return one.body
    if place and not any(
        rule.place.startswith((f"{place}.", place + _EACH)) for rule in joint.rules
    ):
        return one.body
    mine, theirs = _decode_object(one.body), _decode_object(other.body)
    for key, value in theirs.items():
        if key not in mine:
            mine[key] = value
            continue
        below = f"{place}.{key}" if place else key
        left, right = Part(one.pod, bytes(mine[key])), Part(other.pod, bytes(value))
        mine[key] = msgspec.Raw(_join_values(joint, below, left, right).body)
    return _encode(mine)


def _group(joint: Joint, rule: Rule, one: Part, other: Part) -> bytes:
    groups: dict[object, Part] = {}
    for part in (one, other):
        for element in _elements(part.body):
            key = _key_of(element, rule.key)
            new = Part(part.pod, bytes(element))
            known = groups.get(key)
            joined = new if known is None else _join_element(joint, rule, known, new)
            groups[key] = joined
    return _encode([msgspec.Raw(part.body) for part in groups.values()])


def _key_of(element: msgspec.Raw, key: str) -> object:
    """Return what an element is grouped by; something equal to nothing where it has no name."""
    fields = _decode_object(element) if _is_object(bytes(element)) else {}
    name = _decode_value(fields[key]) if key in fields else None
    return name if isinstance(name, str) else object()


def _join_element(joint: Joint, rule: Rule, one: Part, other: Part) -> Part:
    return Part(one.pod, _join_below(joint, rule.place + _EACH, one, other))


def _join_named(one: Part, other: Part) -> bytes:
    joined = _decode_object(one.body)
    for name, value in _decode_object(other.body).items():
        joined[f"{other.pod}:{name}" if name in joined else name] = value
    return _encode(joined)


def _join_common(joint: Joint, rule: Rule, one: Part, other: Part) -> bytes:
    if not rule.key:
        theirs = {bytes(element) for element in _elements(other.body)}
        return _encode([element for element in _elements(one.body) if bytes(element) in theirs])
    known = {_key_of(element, rule.key): element for element in _elements(other.body)}
    pairs = [(element, known.get(_key_of(element, rule.key))) for element in _elements(one.body)]
    joined = [
        _join_element(joint, rule, Part(one.pod, bytes(mine)), Part(other.pod, bytes(theirs)))
        for mine, theirs in pairs
        if theirs is not None
    ]
    return _encode([msgspec.Raw(part.body) for part in joined])


def _join_union(one: Part, other: Part) -> bytes:
    joined = _decode_object(one.body)
    for name, value in _decode_object(other.body).items():
        mine = _elements(bytes(joined[name])) if name in joined else []
        elements = {bytes(element): element for element in (*mine, *_elements(bytes(value)))}
        joined[name] = msgspec.Raw(_encode(list(elements.values())))
    return _encode(joined)


def _join_rows(rule: Rule, one: Part, other: Part) -> bytes:
    rows = _elements(one.body)
    taken = {_key_of(row, rule.key) for row in rows}
    for row in _elements(other.body):
        name = _key_of(row, rule.key)
        if name not in taken:
            rows.append(row)
            continue
        renamed = msgspec.Raw(_encode(f"{other.pod}:{name}"))
        rows.append(msgspec.Raw(_encode({**_decode_object(row), rule.key: renamed})))
    return _encode(rows)


def _find_rule(rules: Iterable[Rule], place: str) -> Rule | None:
    return next((rule for rule in rules if _fits(rule.place, place)), None)


def _fits(pattern: str, place: str) -> bool:
    if not pattern.endswith("*"):
        return pattern == place
    start = pattern[:-1]
    return place.startswith(start) and "." not in place[len(start) :]


def _is_object(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"{"


def _elements(raw: bytes) -> list[msgspec.Raw]:
    return _decode_array(raw) if raw.lstrip()[:1] == b"[" else []


def _number(raw: bytes) -> int | float:
    value = _decode_value(raw)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _largest(one: bytes, other: bytes) -> bytes:
    numbers = (_number(one), _number(other))
    return one if numbers[0] == -1 or (numbers[1] != -1 and numbers[0] >= numbers[1]) else other
