"""JSON Schema as far as Nova and Cinder use it, with jsonschema's own messages.

Both services show the first error their validator finds, so the order of
keywords in a schema decides which message a client sees.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tricircle.testing.cloud.http import Document, Json

Schema = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SchemaError:
    """The first thing wrong with a value: where, what, and in which words."""

    path: tuple[str | int, ...]
    value: Json
    message: str
    is_whole: bool = False


def find_error(schema: Schema, value: Json) -> SchemaError | None:
    """Return the first error of a value, or None."""
    return next(_errors(schema, value, ()), None)


def body_message(error: SchemaError) -> str:
    """Return the words of Nova and Cinder for an error in a body."""
    if error.is_whole or not error.path:
        return error.message
    return (
        f"Invalid input for field/attribute {error.path[-1]}. Value: {error.value}. {error.message}"
    )


def query_message(error: SchemaError) -> str:
    """Return the words of Nova for an error in a query."""
    if error.is_whole or not error.path:
        return error.message
    return (
        f"Invalid input for query parameters {error.path[0]}. Value: {error.value}. {error.message}"
    )


def _errors(schema: Schema, value: Json, path: tuple[str | int, ...]) -> Iterator[SchemaError]:
    for keyword, wanted in schema.items():
        checker = _KEYWORDS.get(keyword)
        if checker is not None:
            yield from checker(wanted, value, schema, path)


def _is_type(value: Json, name: str) -> bool:
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}

_Path = tuple[str | int, ...]
_Checker = Callable[[Json, Json, Schema, _Path], Iterator[SchemaError]]


def _check_type(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    names = [wanted] if isinstance(wanted, str) else wanted
    if not any(_is_type(value, name) for name in names):
        listed = ", ".join(repr(name) for name in names)
        yield SchemaError(path, value, f"{value!r} is not of type {listed}")


def _check_properties(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if isinstance(value, dict):
        for name, inner in wanted.items():
            if name in value:
                yield from _errors(inner, value[name], (*path, name))


def _check_pattern_properties(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if isinstance(value, dict):
        for pattern, inner in wanted.items():
            for name, item in value.items():
                if re.search(pattern, name):
                    yield from _errors(inner, item, (*path, name))


def _check_additional(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if not isinstance(value, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    extra = [
        name
        for name in value
        if name not in known and not any(re.search(pattern, name) for pattern in patterns)
    ]
    if isinstance(wanted, Mapping):
        for name in extra:
            yield from _errors(wanted, value[name], (*path, name))
    elif wanted is False and extra:
        yield SchemaError(path, value, _additional_message(extra, patterns))


def _additional_message(extra: list[str], patterns: Json) -> str:
    listed = ", ".join(repr(name) for name in sorted(extra))
    if patterns:
        verb = "does" if len(extra) == 1 else "do"
        regexps = ", ".join(repr(pattern) for pattern in sorted(patterns))
        return f"{listed} {verb} not match any of the regexes: {regexps}"
    verb = "was" if len(extra) == 1 else "were"
    return f"Additional properties are not allowed ({listed} {verb} unexpected)"


def _check_required(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if isinstance(value, dict):
        for name in wanted:
            if name not in value:
                yield SchemaError(path, value, f"{name!r} is a required property")


def _check_items(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _errors(wanted, item, (*path, index))


def _check_enum(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if not any(
        value == item and isinstance(value, bool) == isinstance(item, bool) for item in wanted
    ):
        yield SchemaError(path, value, f"{value!r} is not one of {list(wanted)!r}")


def _check_min_length(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if isinstance(value, str | list) and len(value) < wanted:
        words = "should be non-empty" if wanted == 1 else "is too short"
        yield SchemaError(path, value, f"{value!r} {words}")


def _check_max_length(
    wanted: Json, value: Json, schema: Schema, path: _Path
) -> Iterator[SchemaError]:
    if isinstance(value, str | list) and len(value) > wanted:
        words = "is expected to be empty" if wanted == 0 else "is too long"
        yield SchemaError(path, value, f"{value!r} {words}")


def _check_unique(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if wanted and isinstance(value, list) and len({str(item) for item in value}) < len(value):
        yield SchemaError(path, value, f"{value!r} has non-unique elements")


def _check_pattern(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if isinstance(value, str) and not re.search(wanted, value):
        yield SchemaError(path, value, f"{value!r} does not match {wanted!r}")


def _number(value: Json) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _check_minimum(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    number = _number(value)
    if number is not None and number < wanted:
        shown = int(number) if number == int(number) else number
        yield SchemaError(path, value, f"{shown!r} is less than the minimum of {wanted!r}")


def _check_maximum(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    number = _number(value)
    if number is not None and number > wanted:
        shown = int(number) if number == int(number) else number
        yield SchemaError(path, value, f"{shown!r} is greater than the maximum of {wanted!r}")


def _check_one_of(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    fitting = [inner for inner in wanted if find_error(inner, value) is None]
    if not fitting:
        message = f"{value!r} is not valid under any of the given schemas"
        yield SchemaError(path, value, message)
    elif len(fitting) > 1:
        listed = ", ".join(repr(inner) for inner in fitting)
        yield SchemaError(path, value, f"{value!r} is valid under each of {listed}")


def _check_any_of(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if all(find_error(inner, value) is not None for inner in wanted):
        message = f"{value!r} is not valid under any of the given schemas"
        yield SchemaError(path, value, message)


def _check_format(wanted: Json, value: Json, schema: Schema, path: _Path) -> Iterator[SchemaError]:
    if not isinstance(value, str):
        return
    if wanted in _NAME_REASONS:
        if not _is_name(value) or (wanted == "az_name" and ":" in value):
            message = "An invalid 'name' value was provided. The name must be: "
            yield SchemaError(path, value, message + _NAME_REASONS[wanted], is_whole=True)
    elif not _FORMATS[wanted](value):
        yield SchemaError(path, value, f"{value!r} is not a {wanted!r}")


_NAME_REASONS = {
    "name": "printable characters. Can not start or end with whitespace.",
    "az_name": "printable characters except :.Can not start or end with whitespace.",
}


def _is_name(value: str) -> bool:
    return value == value.strip() and (value == "" or value.isprintable())


def _succeeds(attempt: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            attempt(value)
        except (ValueError, binascii.Error, re.error):
            return False
        return True

    return check


_FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": _succeeds(UUID),
    "ipv4": _succeeds(ipaddress.IPv4Address),
    "ipv6": _succeeds(ipaddress.IPv6Address),
    "base64": _succeeds(lambda value: base64.b64decode(value.encode(), validate=False)),
    "date-time": _succeeds(lambda value: datetime.fromisoformat(value.strip())),
    "regex": _succeeds(re.compile),
    "uri": lambda value: "://" in value,
}

_KEYWORDS: dict[str, _Checker] = {
    "type": _check_type,
    "properties": _check_properties,
    "patternProperties": _check_pattern_properties,
    "additionalProperties": _check_additional,
    "required": _check_required,
    "items": _check_items,
    "enum": _check_enum,
    "minLength": _check_min_length,
    "maxLength": _check_max_length,
    "minItems": _check_min_length,
    "maxItems": _check_max_length,
    "uniqueItems": _check_unique,
    "pattern": _check_pattern,
    "minimum": _check_minimum,
    "maximum": _check_maximum,
    "oneOf": _check_one_of,
    "anyOf": _check_any_of,
    "format": _check_format,
}


def object_of(properties: Document, required: tuple[str, ...] = (), extra: bool = False) -> Schema:
    """Return the schema of an object, keywords in the order both services use."""
    schema: Document = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    schema["additionalProperties"] = extra
    return schema
