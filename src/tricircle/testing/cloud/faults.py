"""What can go wrong between a client and a pod, on demand.

A fault is a value; it is injected for a service and for requests whose method
and path match, some number of times, after some number of good answers.
"""

import asyncio
import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refuse:
    """Close the connection without an answer; the request is not carried out."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Carry out the request, then close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Wait until the injection is released, then carry on as usual."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, then carry on as usual."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with this, without carrying out the request."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Garbage:
    """Carry out the request, answer its status with something that is not JSON."""

    body: bytes = b'{"servers": [{"id": '


@dataclass(frozen=True, slots=True)
class Truncate:
    """Send only a part of the answer's body, then close the connection."""

    keep: float = 0.5


@dataclass(frozen=True, slots=True)
class Endless:
    """Send a body that never ends, chunk by chunk."""

    chunk: bytes = b" " * 65_536
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Answer with a redirect."""

    location: str
    status: int = 302


@dataclass(frozen=True, slots=True)
class AddHeaders:
    """Carry out the request, put more headers into the answer, unchecked.

    A value may hold a line break: it goes out as it is, as from a pod that
    lets a tenant split answers.
    """

    headers: tuple[tuple[str, str], ...]


Fault = (
    Refuse
    | LoseAnswer
    | Hang
    | Delay
    | Reply
    | Garbage
    | Truncate
    | Endless
    | Redirect
    | AddHeaders
)


@dataclass(slots=True)
class Injection:
    """One fault and which requests it strikes. `hits` counts those it struck."""

    fault: Fault
    service: str | None
    method: str | None
    path: re.Pattern[str]
    times: int | None
    after: int
    hits: int = 0
    _passed: int = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let everything that hangs here, and all that follows, carry on."""
        self._released.set()

    async def wait(self) -> None:
        """Wait until this is released."""
        await self._released.wait()

    def strikes(self, service: str, method: str, path: str) -> bool:
        """Count a request and say whether it is struck."""
        if self.service not in (None, service) or self.method not in (None, method):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if not self.path.search(path):
            return False
        self._passed += 1
        if self._passed <= self.after:
            return False
        self.hits += 1
        return True


class Faults:
    """The faults of one pod, or of the services all pods share."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []
        self.is_down = False

    def inject(
        self,
        fault: Fault,
        service: str | None = None,
        method: str | None = None,
        path: str = "",
        times: int | None = None,
        after: int = 0,
    ) -> Injection:
        """Let `fault` strike requests, and return a handle on it.

        `path` is a regular expression searched below the mount of the
        service. The fault strikes `times` requests (None: all) after `after`
        matching ones got their usual answer. The oldest injection wins.
        """
        injection = Injection(fault, service, method, re.compile(path), times, after)
        self._injections.append(injection)
        return injection

    def remove(self, injection: Injection) -> None:
        """Take one injection away and release what hangs on it."""
        injection.release()
        self._injections = [kept for kept in self._injections if kept is not injection]

    def clear(self) -> None:
        """Take all faults away, release what hangs and bring the pod up."""
        for injection in self._injections:
            injection.release()
        self._injections = []
        self.is_down = False

    def down(self) -> None:
        """Refuse all connections of all services."""
        self.is_down = True

    def up(self) -> None:
        """End `down`."""
        self.is_down = False

    def find(self, service: str, method: str, path: str) -> Injection | None:
        """Return the injection that strikes a request, and count it."""
        if not self._injections:
            return None
        return next(
            (found for found in self._injections if found.strikes(service, method, path)), None
        )
