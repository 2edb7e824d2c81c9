"""Requests, answers and routes: what every simulated service is made of.

No web framework: the answers must be exact to the byte, and a page of a list
must not cost more here than in the gateway that is being measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import msgspec

from tricircle.testing.cloud.callers import Caller

# What a client sent, or what is sent back. Its shape is decided by the API
# that is simulated and checked by its schemas, not by the type checker.
Json = Any
Document = dict[str, Json]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode(value: object) -> bytes:
    """Return `value` as compact JSON."""
    return _encode(value)


@dataclass(slots=True)
class Request:
    """One HTTP request as a service sees it.

    `path` starts below the mount of the service, `base` is the URL up to
    there: `http://127.0.0.1:8080/pod1/compute`. `microversion` is the number
    behind the dot, `url_project` the project if the path has one in front, `api` the
    version in the path of a service that has several.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    base: str
    parameters: dict[str, str] = field(default_factory=dict)
    microversion: int = 0
    url_project: str = ""
    api: str = ""
    _caller: Caller | None = None
    _pairs: list[tuple[str, str]] | None = None

    @property
    def caller(self) -> Caller:
        """Who sent it; set by the service once the token was found good."""
        if self._caller is None:
            raise LookupError("the token of this request was not looked at")
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query as names and values, in the order they came."""
        if self._pairs is None:
            self._pairs = parse_qsl(self.query, keep_blank_values=True)
        return self._pairs

    def find(self, name: str) -> str | None:
        """Return the last value of a query parameter, as webob's `GET` does."""
        found = None
        for key, value in self.pairs:
            if key == name:
                found = value
        return found

    def list_values(self, name: str) -> list[str]:
        """Return all values of a query parameter in order."""
        return [value for key, value in self.pairs if key == name]

    @property
    def url(self) -> str:
        """The URL that was asked, without its query."""
        return self.base + self.path


@dataclass(slots=True)
class Answer:
    """One HTTP answer: a status, a body ready to be sent, and headers."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def find_header(self, name: str) -> str | None:
        """Return the value of the first header with that name."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def answer_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer whose body is `value` as JSON."""
    return answer_bytes(_encode(value), status, headers)


def answer_bytes(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer whose body is JSON already."""
    pairs = [("content-type", "application/json")]
    if headers:
        pairs.extend(headers.items())
    return Answer(status, body, pairs)


class Refused(Exception):
    """A service says no; it puts `status` and `message` in its own form.

    `microversion` is what the answer says it was served with, for refusals
    of a microversion.
    """

    def __init__(self, status: int, message: str, kind: str = "", microversion: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.microversion = microversion


def refuse(status: int, message: str, kind: str = "") -> NoReturn:
    """Raise Refused. `kind` is the exception's name where the form shows it."""
    raise Refused(status, message, kind)


def parse_body(body: bytes) -> Json:
    """Return the JSON value of a body; raises ValueError."""
    return _decode(body)


def page_not_found(request: Request) -> Answer:
    """Return webob's page for a path no route has, JSON for who wants that."""
    text = "The resource could not be found.<br /><br />\n\n\n"
    if "application/json" in request.headers.get("accept", ""):
        return answer_json({"message": text, "code": "404 Not Found", "title": "Not Found"}, 404)
    title = "404 Not Found"
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n"
        f"  <h1>{title}</h1>\n  {text}\n </body>\n</html>"
    )
    return Answer(404, page.encode(), [("content-type", "text/html; charset=UTF-8")])


Handler = Callable[[Request], Answer]


class _Node:
    __slots__ = ("handlers", "literal", "parameter", "parameter_name")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.parameter_name = ""
        self.handlers: dict[str, Handler] = {}


class NoSuchPath(Exception):
    """No route has this path."""


class NoSuchMethod(Exception):
    """A route has this path, but not for this method."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


class Routes:
    """Which handler serves a method and path; `{name}` stands for one segment."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Serve `pattern` with `handler`."""
        node = self._root
        for segment in pattern.strip("/").split("/"):
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter = _Node()
                    node.parameter.parameter_name = segment[1:-1]
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.handlers[method] = handler

    def get(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        """Return the handler and the values of the path's parameters.

        Raises NoSuchPath and NoSuchMethod.
        """
        values: list[tuple[str, str]] = []
        node = self._find(self._root, path.strip("/").split("/"), 0, values)
        if node is None:
            raise NoSuchPath(path)
        handler = node.handlers.get(method)
        if handler is None:
            raise NoSuchMethod(sorted(node.handlers))
        return handler, dict(values)

    def _find(
        self, node: _Node, segments: list[str], depth: int, values: list[tuple[str, str]]
    ) -> _Node | None:
        if depth == len(segments):
            return node if node.handlers else None
        following = node.literal.get(segments[depth])
        if following is not None:
            found = self._find(following, segments, depth + 1, values)
            if found is not None:
                return found
        if node.parameter is None or not segments[depth]:
            return None
        values.append((node.parameter.parameter_name, segments[depth]))
        found = self._find(node.parameter, segments, depth + 1, values)
        if found is None:
            values.pop()
        return found
