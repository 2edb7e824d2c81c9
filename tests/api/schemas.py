"""What Nova and Cinder themselves check requests and answers with, held against an exchange.

The schemas are those of a real Nova and a real Cinder, see tests/data/schemas; the formats and the
two changed keywords are those of nova.api.validation.validators and its sibling of Cinder. Nova has
schemas of requests, queries and answers, Cinder of requests alone.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from oslo_utils import timeutils, uuidutils

from tricircle.core.cursor import CURSOR_PARAMETER
from tricircle.core.model import Version
from tricircle.core.versions import parse_version

FOLDER = Path(__file__).parents[1] / "data" / "schemas"
Json = Any
TOP = "the top"
BY_CODE = {(207, "/os-server-external-events")}
"""Statuses that Nova sets in its code beside the one that it declares."""

_PATH = re.compile(r"/v(?P<api>2|2\.1|3)(?:/[0-9a-f-]{32,36})?(?P<path>/[^?]*)?")
_URI = re.compile(
    r"[a-z][a-z0-9+.-]*://[\w.~!$&'()*+,;=:@%\[\]-]+([\w.~!$&'()*+,;=:@%/?#-]*)", re.ASCII
)
OLDEST = Version(2, 1)
_HOST = r"^[a-zA-Z0-9-._]*$"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. ``service`` is ``compute`` or ``volume``, ``path`` begins with the API's version.

    ``where`` is whoever was asked: the top or a pod.
    """

    service: str
    where: str
    method: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. Names of headers are lower case."""

    ask: Ask
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def version(self) -> Version:
        """The microversion that it was answered in; 2.0 is Nova's API of before there were any."""
        if self.ask.path.startswith("/v2/"):
            return Version(2, 0)
        said = self.headers.get("openstack-api-version", "").rpartition(" ")[2]
        return parse_version(said or {"compute": "2.1", "volume": "3.0"}[self.ask.service])


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service, with the names of its schemas by microversion."""

    method: str
    path: re.Pattern[str]
    action: str | None
    known: Mapping[str, Json]

    def find(self, what: str, key: str, version: Version) -> Iterator[Json]:
        """Yield what holds for a microversion: schemas of ``request``, ``query``, ``response``.

        Answers of the API without microversions are those of the oldest one.
        """
        version = max(version, OLDEST) if what == "response" else version
        for ranged in self.known.get(what, ()):
            first, last = ranged["from"], ranged["to"]
            if (first is None or parse_version(first) <= version) and (
                last is None or version <= parse_version(last)
            ):
                yield ranged[key]


class Contract:
    """The operations of a service, in the order in which it looks for them."""

    def __init__(self, service: str) -> None:
        project = {"compute": "nova", "volume": "cinder"}[service]
        document = json.loads((FOLDER / f"{project}.json").read_text())
        self._schemas: Mapping[str, Json] = document["schemas"]
        self._make = {"compute": _nova, "volume": _cinder}[service]
        self._operations = [
            Operation(
                one["method"],
                re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(one["path"].rstrip("/")))),
                one.get("action"),
                one,
            )
            for one in document["operations"]
        ]
        self.validator = cache(self._validator)

    def find(self, method: str, path: str, body: Json) -> Operation | None:
        """Return the operation of a request; an action is found by the word in its body."""
        for one in self._operations:
            fits = one.method == method and one.path.fullmatch(path.rstrip("/"))
            if fits and (one.action is None or (isinstance(body, dict) and one.action in body)):
                return one
        return None

    def _validator(self, name: str) -> Validator:
        return self._make(self._schemas[name])


contract = cache(Contract)


def list_breaches(exchange: Exchange) -> list[str]:
    """Return what in a good exchange is not as the service's own schemas say.

    An answer of 300 or more is a refusal, which the services check with no schema; so are
    documents of versions. The gateway's own cursor is a parameter that no pod is asked with.
    """
    ask, version = exchange.ask, exchange.version
    match = _PATH.fullmatch(ask.path)
    path = match["path"] if match else None
    if path is None or exchange.status >= 300 or (ask.service == "volume" and path == "/"):
        return []
    terms = contract(ask.service)
    body, query = _json(ask.body), parse_qs(ask.query, keep_blank_values=True)
    operation = terms.find(ask.method, path, body)
    if ask.where == TOP:
        query.pop(CURSOR_PARAMETER, None)
    named = f"{ask.where}: {ask.method} {ask.path} at {version}"
    if operation is None:
        return [f"{named}: there is no such operation"]
    breaches = [
        f"{named}: {what} breaks {name}: {_words(error)}"
        for what, value in (("request", body), ("query", query), ("response", _json(exchange.body)))
        for name in operation.find(what, "schema", version)
        for error in terms.validator(name).iter_errors(value)
        if not (_is_ours(ask, what, error) or _is_novas(name, error))
    ]
    if ask.service == "compute" and not list(operation.find("response", "schema", version)):
        breaches.append(f"{named}: there is no schema of the answer")
    wanted = next(operation.find("statuses", "status", version), exchange.status)
    if wanted != exchange.status and (exchange.status, operation.known["path"]) not in BY_CODE:
        breaches.append(f"{named}: the status is {exchange.status} and not {wanted}")
    return breaches


def _is_ours(ask: Ask, what: str, error: ValidationError) -> bool:
    """Tell whether it is only that the top's names of hosts begin with that of their pod."""
    asked_for_host = what == "request" and error.validator == "pattern"
    named = ask.where == TOP and asked_for_host and error.validator_value == _HOST
    pod, _, host = str(error.instance).partition(":")
    return named and all(re.fullmatch(_HOST, part) for part in (pod, host))


def _is_novas(name: str, error: ValidationError) -> bool:
    """Tell whether Nova's own answer breaks it: hosts that did not run are names, no UUIDs."""
    logs = name.startswith("instance_usage_audit_log.") and error.validator == "format"
    return logs and "hosts_not_run" in error.absolute_path


def _words(error: ValidationError) -> str:
    place = "/".join(map(str, error.absolute_path))
    return f"{error.message[:600]} (at {place or 'its root'}, of {str(error.instance)[:200]})"


def _json(body: bytes) -> Json:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _number(instance: Json) -> float | None:
    try:
        return float(instance)
    except (TypeError, ValueError):
        return None


def _number_or_text(keyword: str, original: Any) -> Callable[..., Iterator[ValidationError]]:
    """Return a keyword that takes a number written as text for the number."""

    def check(
        validator: Any, bound: Json, instance: Json, schema: Json
    ) -> Iterator[ValidationError]:
        number = _number(instance)
        if number is not None:
            yield from original.VALIDATORS[keyword](validator, bound, number, schema) or ()

    return check


def _maker(original: Any, formats: FormatChecker) -> Callable[[Json], Validator]:
    changed = {word: _number_or_text(word, original) for word in ("minimum", "maximum")}
    made: Any = extend(original, changed)  # type: ignore[no-untyped-call]
    return lambda schema: made(schema, format_checker=formats)


def _is_printable(text: str) -> bool:
    categories = map(unicodedata.category, text)
    return all(one[0] != "C" and (one[0] != "Z" or one == "Zs") for one in categories)


def _is_regex(text: str) -> bool:
    re.compile(text)
    return bool(text)


def _is_cidr(text: str) -> bool:
    ipaddress.ip_interface(text)
    return "/" in text


def _is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _is_name(text: str) -> bool:
    return _is_printable(text) and text == text.strip()


def _is_time(text: str) -> bool:
    return timeutils.parse_isotime(text) is not None


def _is_base64(text: str) -> bool:
    return base64.b64decode(text.encode()) is not None


NOVA_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "regex": _is_regex,
    "date-time": _is_time,
    "base64": _is_base64,
    "cidr": _is_cidr,
    "uuid": uuidutils.is_uuid_like,
    "uri": _is_uri,
    "name": _is_name,
    "name_with_leading_trailing_spaces": lambda text: _is_printable(text) and bool(text.strip()),
    "az_name": lambda text: _is_name(text) and ":" not in text,
    "az_name_with_leading_trailing_spaces": lambda text: (
        _is_printable(text) and bool(text.strip()) and ":" not in text
    ),
}
CINDER_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": _is_time,
    "base64": _is_base64,
    "uuid": uuidutils.is_uuid_like,
    "name": lambda text: bool(text.strip()),
    "name_skip_leading_trailing_spaces": lambda text: 0 < len(text.strip()) <= 255,
    "name_non_mandatory_remove_white_spaces": lambda text: len(text.strip()) <= 255,
    "description_non_mandatory_remove_white_spaces": lambda text: len(text.strip()) <= 255,
    "availability_zone": lambda text: 0 < len(text.strip()) <= 255,
    "group_type": lambda text: 0 < len(text.strip()) <= 255,
    "mysql_text": lambda text: len(text.encode()) <= 65535,
}
"""What each format asks of a text; Cinder's that ask for its own tables of states are left out."""


def _checker(formats: Mapping[str, Callable[[str], bool]]) -> FormatChecker:
    checker = FormatChecker()
    for name, is_good in formats.items():
        checker.checks(name, raises=ValueError)(
            lambda value, is_good=is_good: not isinstance(value, str) or is_good(value)
        )
    return checker


_nova = _maker(Draft202012Validator, _checker(NOVA_FORMATS))
_cinder = _maker(Draft4Validator, _checker(CINDER_FORMATS))
