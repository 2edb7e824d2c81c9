"""A client's request as the engine sees it: checked, authenticated, version decided."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.model import Caller, Version
from tricircle.core.table import Naming
from tricircle.interfaces.cloud import Headers


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a request's path, percent-encoded as the client sent them.

    ``api`` is the first segment (``v2.1``), ``project`` the second when it is a
    project's id, else None, and ``path`` the rest, which a row is found for.
    """

    api: str
    project: str | None
    path: str

    @property
    def prefix(self) -> str:
        """Return the part between version and path: ``/<project>`` or nothing."""
        return f"/{self.project}" if self.project is not None else ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request.

    ``top_root`` is the root of links: scheme, host and prefix, no version. ``naming`` is
    that of its row.
    """

    method: str
    target: Target
    query: str
    headers: Headers
    body: bytes
    caller: Caller
    version: Version
    request_id: str
    top_root: str
    naming: Naming | None = None
