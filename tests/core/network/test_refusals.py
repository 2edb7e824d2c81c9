"""What Nova says for each refusal of a Neutron."""

import pytest

from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NeutronRefused,
    NotFound,
    TricircleError,
    Unauthorized,
)
from tricircle.core.model import PodId
from tricircle.core.network import refusals
from tricircle.core.network.refusals import Form


def refused(status: int, reason: str) -> NeutronRefused:
    return NeutronRefused(PodId("top"), status, reason, "detail")


@pytest.mark.parametrize(
    ("status", "reason", "address", "error", "message"),
    [
        (404, "NetworkNotFound", None, BadInput, "Network net could not be found."),
        (409, "OverQuota", None, Forbidden, "Maximum number of ports exceeded"),
        (
            409,
            "IpAddressGenerationFailure",
            None,
            BadInput,
            "No fixed IP addresses available for network: net",
        ),
        (
            400,
            "InvalidIpForNetwork",
            "10.9.9.9",
            BadInput,
            "Invalid input received: Fixed IP 10.9.9.9 is not a valid ip address for network net.",
        ),
        (400, "Strange", None, BadInput, "Invalid input received: detail"),
        (401, "", None, Unauthorized, "The request you have made requires authentication."),
    ],
)
def test_a_refused_port_is_explained_in_novas_words(
    status: int, reason: str, address: str | None, error: type[TricircleError], message: str
) -> None:
    found = refusals.port_refused(refused(status, reason), Form.SERVER, "net", address)
    assert type(found) is error
    assert str(found) == message


def test_what_is_not_the_callers_fault_stays_a_refusal_of_neutron() -> None:
    trouble = refused(500, "HTTPInternalServerError")
    assert refusals.port_refused(trouble, Form.SERVER, "net", None) is trouble


def test_the_same_cause_has_another_status_for_an_interface() -> None:
    assert isinstance(refusals.network_not_found(Form.INTERFACE, "n"), NotFound)
    assert isinstance(refusals.port_not_found(Form.INTERFACE, "p"), NotFound)
    assert isinstance(refusals.ambiguous_network(Form.INTERFACE), BadInput)
    assert isinstance(refusals.ambiguous_network(Form.SERVER), Conflict)
    assert isinstance(refusals.address_in_use(Form.INTERFACE, "10.0.0.1", "vm"), Conflict)
    assert isinstance(refusals.address_in_use(Form.SERVER, "10.0.0.1", "vm"), BadInput)
