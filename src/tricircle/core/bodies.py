"""Read and replace values at a place in a JSON body without touching anything else.

A body is never rebuilt: only the objects on the way to a place are taken
apart, one level at a time; everything beside that way keeps its bytes, so
fields, numbers and escapes that we do not know travel as they came.

A *place* is written like ``server.networks[].uuid``: keys joined by dots, ``[]``
for "each element". Keys with a dot in them do not occur in OpenStack's bodies.
A step that is not there, or whose value has another type, matches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from tricircle.core.errors import MalformedBody

RawObject = dict[str, msgspec.Raw]

_decode_object = msgspec.json.Decoder(RawObject).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_EACH = "[]"


@dataclass(frozen=True, slots=True)
class Beside:
    """A condition on the object that holds a place: its ``key`` must be the text ``value``."""

    key: str
    value: str


def check_object(body: bytes) -> RawObject:
    """Return the outermost object one level deep. Raises MalformedBody."""
    try:
        return _decode_object(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody("Malformed request body") from None


def read_value(body: bytes, place: str) -> object:
    """Return the decoded value at ``place``, None when it is not there or null."""
    return next(iter(_find_values(body, _steps(place), None)), None)


def read_values(body: bytes, place: str, beside: Beside | None = None) -> list[object]:
    """Return all decoded values at ``place``, in order."""
    return list(_find_values(body, _steps(place), beside))


def read_texts(body: bytes, place: str, beside: Beside | None = None) -> list[str]:
    """Return all texts at ``place``, in order; what is not text is left out."""
    return [value for value in read_values(body, place, beside) if isinstance(value, str)]


def replace(
    body: bytes, place: str, change: Callable[[object], object], beside: Beside | None = None
) -> bytes:
    """Return ``body`` with ``change`` applied to each value at ``place``.

    Where ``change`` returns its argument itself the bytes stay as they are.
    """
    return _edit(body, _steps(place), _changed_leaf(change), beside)


def replace_texts(
    body: bytes, place: str, texts: Mapping[str, str], beside: Beside | None = None
) -> bytes:
    """Return ``body`` with each text at ``place`` that is a key of ``texts`` replaced."""

    def change(value: object) -> object:
        return texts.get(value, value) if isinstance(value, str) else value

    return replace(body, place, change, beside)


def set_value(body: bytes, place: str, value: object) -> bytes:
    """Return ``body`` with ``value`` put at ``place``; the objects on the way must be there."""
    parent, _, key = place.rpartition(".")

    def change(raw: bytes) -> bytes:
        fields = _open_object(raw)
        return raw if fields is None else _encode({**fields, key: value})

    return _edit(body, _steps(parent), change, None)


def remove_value(body: bytes, place: str) -> bytes:
    """Return ``body`` without the key at ``place``; unchanged when it is not there."""
    parent, _, key = place.rpartition(".")

    def change(raw: bytes) -> bytes:
        fields = _open_object(raw)
        if fields is None or key not in fields:
            return raw
        del fields[key]
        return _encode(fields)

    return _edit(body, _steps(parent), change, None)


def edit_fields(body: bytes, place: str, change: Callable[[RawObject], RawObject]) -> bytes:
    """Return ``body`` with ``change`` applied to the keys of each object at ``place``.

    For keys that are no words of the API, such as names that users give: they may hold dots.
    """

    def change_bytes(raw: bytes) -> bytes:
        fields = _open_object(raw)
        return raw if fields is None else _encode(change(fields))

    return _edit(body, _steps(place), change_bytes, None)


def encode(value: object) -> bytes:
    """Return ``value`` as JSON; ``msgspec.Raw`` parts are copied as they are."""
    return _encode(value)


@lru_cache(maxsize=1024)
def _steps(place: str) -> tuple[str, ...]:
    parts = place.replace(_EACH, "." + _EACH).split(".") if place else []
    return tuple(part for part in parts if part)


def _find_values(body: bytes, steps: tuple[str, ...], beside: Beside | None) -> Iterator[object]:
    if not steps:
        yield _decode_value(body)
        return
    if steps[0] == _EACH:
        for element in _open_array(body) or ():
            yield from _find_values(bytes(element), steps[1:], beside)
        return
    fields = _open_object(body)
    if fields is None or steps[0] not in fields:
        return
    if len(steps) == 1 and not _holds(fields, beside):
        return
    yield from _find_values(bytes(fields[steps[0]]), steps[1:], beside)


def _edit(
    body: bytes, steps: tuple[str, ...], change: Callable[[bytes], bytes], beside: Beside | None
) -> bytes:
    if not steps:
        return change(body)
    if steps[0] == _EACH:
        return _edit_each(body, steps[1:], change, beside)
    fields = _open_object(body)
    if fields is None or steps[0] not in fields:
        return body
    if len(steps) == 1 and not _holds(fields, beside):
        return body
    old = bytes(fields[steps[0]])
    new = _edit(old, steps[1:], change, beside)
    if new is old:
        return body
    fields[steps[0]] = msgspec.Raw(new)
    return _encode(fields)


def _edit_each(
    body: bytes, steps: tuple[str, ...], change: Callable[[bytes], bytes], beside: Beside | None
) -> bytes:
    elements = _open_array(body)
    if elements is None:
        return body
    old = [bytes(element) for element in elements]
    new = [_edit(element, steps, change, beside) for element in old]
    if all(after is before for before, after in zip(old, new, strict=True)):
        return body
    return _encode([msgspec.Raw(element) for element in new])


def _changed_leaf(change: Callable[[object], object]) -> Callable[[bytes], bytes]:
    def change_bytes(raw: bytes) -> bytes:
        value = _decode_value(raw)
        changed = change(value)
        return raw if changed is value else _encode(changed)

    return change_bytes


def _holds(fields: RawObject, beside: Beside | None) -> bool:
    if beside is None:
        return True
    raw = fields.get(beside.key)
    return raw is not None and _decode_value(raw) == beside.value


def _open_object(raw: bytes) -> RawObject | None:
    if raw.lstrip()[:1] != b"{":
        return None
    return check_object(raw)


def _open_array(raw: bytes) -> list[msgspec.Raw] | None:
    if raw.lstrip()[:1] != b"[":
        return None
    try:
        return _decode_array(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody("Malformed request body") from None
