"""What a simulated service was asked: for assertions on what got through."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tricircle.testing.cloud.http import Json


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. Header names are lower case."""

    service: str
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Json:
        """The body's JSON value."""
        return msgspec.json.decode(self.body)

    def find_header(self, name: str) -> str | None:
        """Return the first value of a header."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)


class RequestLog:
    """The last requests a pod received, oldest first."""

    def __init__(self, limit: int = 10_000) -> None:
        self._entries: deque[Received] = deque(maxlen=limit)
        self.enabled = True

    def add(self, entry: Received) -> None:
        """Remember a request; the oldest is dropped when the log is full."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all requests."""
        self._entries.clear()

    def list_for(
        self, service: str | None = None, method: str | None = None, path: str = ""
    ) -> list[Received]:
        """Return the requests of a service and method whose path contains `path`."""
        return [
            entry
            for entry in self._entries
            if service in (None, entry.service)
            and method in (None, entry.method)
            and path in entry.path
        ]

    def __iter__(self) -> Iterator[Received]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Received:
        return self._entries[index]
