"""What Keystone said about tokens a moment ago, so that most requests ask nobody.

Keys are SHA-256 of the whole token (and of the service token beside it), never the
token itself or a part of it. A verdict on a token with access rules holds for one
method and path only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tricircle.core.model import Caller
from tricircle.interfaces.cloud import Headers

Key = bytes
Value = TypeVar("Value")

_MAX_TOKEN_BYTES = 16384


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a request as the client sent them, blanks around them cut off."""

    user: bytes = field(repr=False)
    service: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> Key:
        """Return what the verdict on these tokens is kept under."""
        return hashlib.sha256(self.user + b"\0" + self.service).digest()

    @property
    def are_printable(self) -> bool:
        """Tell whether they may be tokens at all, and be sent in a header."""
        return all(0x20 < byte < 0x7F for byte in self.user + self.service)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Keystone said: the caller, or None for a token it refuses.

    ``restricted`` tells that the token has access rules, so that the verdict is
    about one method and path. ``life_s`` is how long it may be believed.
    """

    caller: Caller | None
    restricted: bool
    life_s: float


def find_tokens(headers: Headers) -> Tokens | None:
    """Return the tokens of a request; None without one, or with more than one of a kind."""
    user = service = b""
    for name, value in headers:
        if name == b"x-auth-token":
            if user:
                return None
            user = value.strip()
        elif name == b"x-service-token":
            if service:
                return None
            service = value.strip()
    if not user or len(user) + len(service) > _MAX_TOKEN_BYTES:
        return None
    return Tokens(user, service)


def make_scoped_key(key: Key, method: str, path: str) -> Key:
    """Return what a verdict about one method and path is kept under."""
    return hashlib.sha256(
        b"\0".join((key, method.encode(), path.encode("utf-8", "surrogatepass")))
    ).digest()


class TokenCache:
    """Verdicts that may still be believed, at most ``size`` of either kind.

    The good and the bad are kept apart, so that a flood of invented tokens cannot
    push out those in use.
    """

    def __init__(self, size: int, now_s: Callable[[], float]) -> None:
        self._size = size
        self._now_s = now_s
        self._accepted: dict[Key, tuple[float, Caller]] = {}
        self._refused: dict[Key, float] = {}
        self._any_scoped = False

    def find_caller(self, tokens: Tokens, method: str, path: str) -> Caller | None:
        """Return whom the tokens belong to, if that is known and may still be believed."""
        key = tokens.key
        entry = self._accepted.get(key)
        if entry is None and self._any_scoped:
            entry = self._accepted.get(make_scoped_key(key, method, path))
        if entry is None or entry[0] <= self._now_s():
            return None
        return entry[1]

    def is_refused(self, tokens: Tokens, method: str, path: str) -> bool:
        """Tell whether Keystone refused the tokens lately."""
        key = tokens.key
        now_s = self._now_s()
        keys = (key, make_scoped_key(key, method, path))
        return any(self._refused.get(one, now_s) > now_s for one in keys)

    def keep(self, tokens: Tokens, method: str, path: str, verdict: Verdict) -> None:
        """Remember a verdict for as long as it may be believed."""
        if verdict.life_s <= 0:
            return
        key = tokens.key
        if verdict.restricted:
            key = make_scoped_key(key, method, path)
        good_until_s = self._now_s() + verdict.life_s
        if verdict.caller is None:
            self._accepted.pop(key, None)
            _put(self._refused, key, good_until_s, self._size)
            return
        self._any_scoped |= verdict.restricted
        self._refused.pop(key, None)
        _put(self._accepted, key, (good_until_s, verdict.caller), self._size)


def _put(entries: dict[Key, Value], key: Key, value: Value, size: int) -> None:
    """Make ``value`` the newest entry; the oldest goes when there are more than ``size``."""
    entries.pop(key, None)
    entries[key] = value
    if len(entries) > size:
        del entries[next(iter(entries))]
