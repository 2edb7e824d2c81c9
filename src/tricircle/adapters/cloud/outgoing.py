"""The head of a request as it is written to a pod.

Nothing that a client sent is altered, and nothing of it can end a line: what does
not fit into HTTP is refused before a byte leaves.
"""

from __future__ import annotations

import re

from tricircle.adapters.cloud.connection import BAD_IN_VALUE
from tricircle.adapters.cloud.pool import Origin
from tricircle.core.errors import BadInput
from tricircle.core.headers import FRAMING_HEADERS, HOP_BY_HOP_HEADERS
from tricircle.interfaces.cloud import Headers, PodRequest

_NEVER_SENT = HOP_BY_HOP_HEADERS | FRAMING_HEADERS
_PATH = re.compile(r"/[!\"$->@-~]*")  # printable ASCII but '#' and '?'
_QUERY = re.compile(r"[!\"$-~]*")  # printable ASCII but '#'
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-zA-Z]+")
_METHOD = re.compile(r"[A-Z]{1,32}")
_NAMES_KEPT = 2048

# Requests that say nothing of a body when they have none (RFC 9110, section 8.6).
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_names: dict[bytes, bool] = {}
"""Whether a header of this name is sent: there are few names, and each is checked once."""


def make_head(origin: Origin, request: PodRequest) -> bytes:
    """Return request line and headers, to the empty line. Raises BadInput, never alters."""
    if not _METHOD.fullmatch(request.method):
        raise BadInput("the request's method is not an HTTP method; use GET, POST …")
    if not _PATH.fullmatch(request.path) or not _QUERY.fullmatch(request.query):
        raise BadInput("the request's path or query is not percent-encoded; encode it")
    query = f"?{request.query}" if request.query else ""
    lines = [
        f"{request.method} {origin.path}{request.path}{query} HTTP/1.1\r\n"
        f"Host: {origin.authority}".encode("ascii")
    ]
    for name, value in request.headers:
        is_sent = _names.get(name)
        if is_sent or (is_sent is None and _check_name(name)):
            lines.append(b"%b: %b" % (name, value))
    _check_values(request.headers)
    framing = _frame(request)
    if framing:
        lines.append(framing)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _frame(request: PodRequest) -> bytes:
    """Return the header that says how the body is framed; empty when there is none."""
    body = request.body
    if not body:
        return b"" if request.method in _BODILESS else b"Content-Length: 0"
    if isinstance(body, bytes):
        return b"Content-Length: %d" % len(body)
    return b"Transfer-Encoding: chunked"


def _check_name(name: bytes) -> bool:
    """Return whether such a header is sent, and remember it. Raises BadInput for no name."""
    if not _TOKEN.fullmatch(name):
        raise BadInput("a header's name holds characters that HTTP does not allow")
    is_sent = name.lower() not in _NEVER_SENT
    if len(_names) < _NAMES_KEPT:
        _names[name] = is_sent
    return is_sent


def _check_values(headers: Headers) -> None:
    values = b" ".join([value for _, value in headers])
    if BAD_IN_VALUE.search(values):
        raise BadInput("a header holds a control character; remove it")
    try:
        values.decode()
    except UnicodeDecodeError:
        raise BadInput("a header is not valid UTF-8; encode it") from None
