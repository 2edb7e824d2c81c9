"""Query strings, edited without decoding what they do not concern.

Filters must reach a pod exactly as the client wrote them, so a query stays text
and only whole parameters are taken out or put in. Nova and Cinder (WebOb) split
parameters at ``&`` and at ``;``: both must be seen here, or a client could slip a
second ``limit`` past us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import quote, unquote_plus

_SEPARATOR = re.compile(r"[&;]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_A_URI = "%!$&'()*+,;=:@/?"
"""What a query may hold as it is beside letters, digits and ``-._~`` (RFC 3986, section 3.4)."""


def list_parameters(query: str) -> list[tuple[str, str]]:
    """Return all parameters as decoded (name, value) pairs, in order."""
    return [(_name(part), _value(part)) for part in _parts(query)]


def list_values(query: str, name: str) -> list[str]:
    """Return the decoded values of one parameter, in order."""
    return [_value(part) for part in _parts(query) if _name(part) == name]


def without_parameters(query: str, names: Collection[str]) -> str:
    """Return ``query`` without the parameters ``names``; the others keep their bytes."""
    return "&".join(part for part in _parts(query) if _name(part) not in names)


def with_parameter(query: str, name: str, value: str) -> str:
    """Return ``query`` with a parameter added at its end."""
    part = f"{quote(name, safe='')}={quote(value, safe='')}"
    return f"{query}&{part}" if query else part


def escape_query(query: str) -> str:
    """Return ``query``, bytes as Latin-1, as it may stand in a URI; what may already is kept.

    Clients send brackets and the like as they are and servers take them, but a link with them
    is not a URI, and both services escape them in theirs.
    """
    return quote(_LONE_PERCENT.sub("%25", query), safe=_IN_A_URI, encoding="latin-1")


def replace_values(query: str, name: str, change: Callable[[str], str]) -> str:
    """Return ``query`` with each decoded value of ``name`` changed, in its place."""
    return "&".join(
        f"{part.partition('=')[0]}={quote(change(_value(part)), safe='')}"
        if _name(part) == name
        else part
        for part in _parts(query)
    )


def _parts(query: str) -> list[str]:
    return [part for part in _SEPARATOR.split(query) if part]


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def _value(part: str) -> str:
    return unquote_plus(part.partition("=")[2])
