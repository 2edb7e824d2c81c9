"""What goes back to the client: status, headers and body, whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tricircle.core.bodies import encode

Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``headers`` without framing, which the server adds."""

    status: int
    headers: Sequence[Header]
    body: bytes = b""

    def find_header(self, name: bytes) -> bytes | None:
        """Return the first value of a header named in lower case, if there is one."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def is_json(self) -> bool:
        """Tell whether the body says that it is JSON."""
        return (self.find_header(b"content-type") or b"").startswith(b"application/json")


def json_answer(value: object, status: int = 200, headers: Sequence[Header] = ()) -> Answer:
    """Return an answer with ``value`` as its JSON body."""
    return Answer(status, (JSON, *headers), encode(value))
