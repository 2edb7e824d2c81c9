"""What callers are told when the top refuses an action."""

import pytest

from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NeutronRefused,
    TricircleError,
    Unauthorized,
)
from tricircle.core.model import PodId
from tricircle.core.network.action_refusals import action_refused
from tricircle.core.network.server_actions import AddGroup, RemoveAddress

TOP = PodId("top")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadInput), (401, Unauthorized), (403, Forbidden), (409, Conflict)],
)
def test_a_refusal_has_the_status_it_has_in_nova(status: int, kind: type[TricircleError]) -> None:
    refusal = NeutronRefused(TOP, status, "Reason", "said so")
    assert type(action_refused(refusal, AddGroup("web"))) is kind


def test_a_refusal_by_policy_names_novas_rule() -> None:
    refusal = NeutronRefused(TOP, 403, "PolicyNotAuthorized", "no")
    assert str(action_refused(refusal, AddGroup("web"))) == (
        "Policy doesn't allow os_compute_api:os-security-groups:add to be performed."
    )
    assert "os-multinic:remove" in str(action_refused(refusal, RemoveAddress("10.0.0.5")))


def test_a_failure_of_the_top_itself_stays_what_it_is() -> None:
    refusal = NeutronRefused(TOP, 500, "", "broken")
    assert action_refused(refusal, AddGroup("web")) is refusal
