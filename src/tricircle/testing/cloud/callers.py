"""Who sends a request, and what the roles of OpenStack's defaults let them do."""

import re
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One thing an application credential may do."""

    id: str
    service: str
    method: str
    path: str

    def allows(self, service: str, method: str, path: str) -> bool:
        """Return whether a request is covered, by keystonemiddleware's rules.

        `*` and `{name}` stand for one segment, `**` for any number.
        """
        if (service, method) != (self.service, self.method):
            return False
        parts = re.split(r"(\*\*|\*|\{[^}]*\})", self.path)
        pattern = "".join(_pattern_of(part) for part in parts)
        return re.fullmatch(pattern, path) is not None


def _pattern_of(part: str) -> str:
    if part == "**":
        return ".*"
    if part == "*" or part.startswith("{"):
        return "[^/]+"
    return re.escape(part)


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token: the facts services decide on."""

    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: frozenset[str]
    expires_at: datetime
    access_rules: tuple[AccessRule, ...] | None = None
    is_admin: bool = field(init=False)
    is_service: bool = field(init=False)
    may_write: bool = field(init=False)
    may_read: bool = field(init=False)

    def __post_init__(self) -> None:
        admin = "admin" in self.roles
        writer = admin or bool(self.roles & {"member", "manager"})
        object.__setattr__(self, "is_admin", admin)
        object.__setattr__(self, "is_service", "service" in self.roles)
        object.__setattr__(self, "may_write", writer)
        object.__setattr__(self, "may_read", writer or "reader" in self.roles)
