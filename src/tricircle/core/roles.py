"""What Nova's default policies let roles do, for requests that the top answers itself.

As nova/policies/base.py: PROJECT_READER_OR_ADMIN and PROJECT_MEMBER_OR_ADMIN, about the
caller's own project (34.0.0 and 31.0.0 agree).
"""

from __future__ import annotations

from tricircle.core.errors import Forbidden
from tricircle.core.model import Caller


def require_reader(caller: Caller, rule: str) -> None:
    """Raise Forbidden in Nova's words unless the caller may read in its project."""
    _require(caller, "reader", rule)


def require_member(caller: Caller, rule: str) -> None:
    """Raise Forbidden in Nova's words unless the caller may change things in its project."""
    _require(caller, "member", rule)


def is_admin(caller: Caller) -> bool:
    """Tell whether Nova takes the caller for an administrator."""
    return "admin" in caller.roles


def _require(caller: Caller, role: str, rule: str) -> None:
    if is_admin(caller) or (role in caller.roles and caller.project_id is not None):
        return
    raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
