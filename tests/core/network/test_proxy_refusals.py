"""What Neutron refuses is refused in the words and with the status of Nova."""

from __future__ import annotations

import pytest

from tricircle.core.errors import (
    BadInput,
    Forbidden,
    NeutronRefused,
    NotFound,
    ServiceFault,
    TricircleError,
    Unauthorized,
)
from tricircle.core.model import PodId
from tricircle.core.network.proxy_refusals import Meanings, allocation_refused, explain


def refused(status: int, reason: str = "", detail: str = "no") -> NeutronRefused:
    return NeutronRefused(PodId("top"), status, reason, detail, "req-1")


@pytest.mark.parametrize(
    ("status", "meanings", "kind"),
    [
        (404, {404: NotFound}, NotFound),
        (409, {409: BadInput}, BadInput),
        (401, {}, Unauthorized),
        (403, {}, Forbidden),
        (409, {}, ServiceFault),
        (404, {}, ServiceFault),
        (500, {}, NeutronRefused),
    ],
)
def test_a_status_means_what_nova_makes_of_it(
    status: int, meanings: Meanings, kind: type[TricircleError]
) -> None:
    assert type(explain(refused(status), meanings)) is kind


def test_the_words_are_those_of_neutrons_client() -> None:
    words = "no\nNeutron server returns request_ids: ['req-1']"
    assert str(explain(refused(404), {404: NotFound})) == words


def test_what_nova_does_not_expect_names_the_error() -> None:
    assert str(explain(refused(409), {})).endswith(
        "<class 'neutronclient.common.exceptions.Conflict'>"
    )


@pytest.mark.parametrize(
    ("refusal", "pool", "kind", "message"),
    [
        (
            refused(409, "IpAddressGenerationFailure"),
            "p",
            NotFound,
            "No more floating IPs in pool p.",
        ),
        (
            refused(400, "ExternalIpAddressExhausted"),
            None,
            NotFound,
            "No more floating IPs available.",
        ),
        (refused(409, "OverQuota"), "p", Forbidden, "IP allocation over quota in pool p."),
        (refused(409, "OverQuota"), None, Forbidden, "IP allocation over quota."),
        (
            refused(400, "BadRequest"),
            None,
            BadInput,
            "no\nNeutron server returns request_ids: ['req-1']",
        ),
    ],
)
def test_a_floating_ip_that_cannot_be_had(
    refusal: NeutronRefused, pool: str | None, kind: type[TricircleError], message: str
) -> None:
    error = allocation_refused(refusal, pool)
    assert (type(error), str(error)) == (kind, message)
