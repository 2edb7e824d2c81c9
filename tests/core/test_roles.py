"""Roles may do what Nova's default policies let them do."""

from __future__ import annotations

import pytest

from tricircle.core.errors import Forbidden
from tricircle.core.model import Caller, ProjectId, UserId
from tricircle.core.roles import require_member, require_reader


def caller(*roles: str, project: str | None = "p") -> Caller:
    project_id = None if project is None else ProjectId(project)
    return Caller(UserId("u"), project_id, frozenset(roles), "token")


@pytest.mark.parametrize("roles", [("admin",), ("reader",), ("member", "reader")])
def test_who_may_read(roles: tuple[str, ...]) -> None:
    require_reader(caller(*roles), "r")


@pytest.mark.parametrize("roles", [("admin",), ("member", "reader")])
def test_who_may_write(roles: tuple[str, ...]) -> None:
    require_member(caller(*roles), "r")


@pytest.mark.parametrize(
    "someone", [caller("reader"), caller("none"), caller("member", project=None)]
)
def test_who_may_not_write(someone: Caller) -> None:
    with pytest.raises(Forbidden) as caught:
        require_member(someone, "os_compute_api:x")
    assert str(caught.value) == "Policy doesn't allow os_compute_api:x to be performed."
