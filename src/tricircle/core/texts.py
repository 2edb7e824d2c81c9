"""Which text the store can keep as an id or name."""

from __future__ import annotations

from tricircle.core.errors import BadInput

MAX_LENGTH = 255
"""Characters of an id, a name or a zone, as in OpenStack's own APIs."""


def is_storable(text: str) -> bool:
    """Tell whether ``text`` can be an id or name in the store.

    What a client sends as an id may be anything, e.g. hold a NUL, which
    PostgreSQL refuses, or half of a surrogate pair, which is no Unicode text.
    """
    return len(text) <= MAX_LENGTH and is_encodable(text)


def is_encodable(text: str) -> bool:
    """Tell whether ``text`` is Unicode text that every database takes."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def make_storable(text: str, length: int) -> str:
    """Return the beginning of ``text``, with ``?`` for what no database takes.

    For what a pod says, which may be anything.
    """
    text = text[:length]
    if is_encodable(text):
        return text
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def require_storable(what: str, text: str) -> None:
    """Raise BadInput naming ``what`` unless ``text`` can be an id or name in the store."""
    if len(text) > MAX_LENGTH:
        raise BadInput(f"{what} is longer than {MAX_LENGTH} characters; use a shorter one")
    if not is_encodable(text):
        raise BadInput(f"{what} holds characters that are no text; leave them out")
