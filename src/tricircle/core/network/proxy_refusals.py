"""What Nova says when the Neutron that it passes a request on to refuses it.

Statuses are those that nova/network/security_group_api.py and neutron.py give errors of
python-neutronclient, as the API declares them (34.0.0 and 31.0.0 agree): whatever a
function does not expect is a fault of the service, 500.
"""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.core.errors import (
    BadInput,
    Forbidden,
    NeutronRefused,
    NotFound,
    ServiceFault,
    TricircleError,
    Unauthorized,
)

Meanings = Mapping[int, type[TricircleError]]

_CLIENT_ERRORS = {400: "BadRequest", 404: "NotFound", 409: "Conflict"}
_NO_MORE_ADDRESSES = frozenset({"IpAddressGenerationFailure", "ExternalIpAddressExhausted"})


def words_of(refusal: NeutronRefused) -> str:
    """Return the words of python-neutronclient for a refusal."""
    if not refusal.request_id:
        return refusal.detail
    return f"{refusal.detail}\nNeutron server returns request_ids: ['{refusal.request_id}']"


def explain(refusal: NeutronRefused, meanings: Meanings) -> TricircleError:
    """Return what a refusal means for the caller whose token was used.

    ``meanings`` are the statuses that Nova expects here. ``refusal`` itself where Neutron
    is what is wrong.
    """
    if refusal.status in meanings:
        return meanings[refusal.status](words_of(refusal))
    match refusal.status:
        case 401:
            return Unauthorized("The request you have made requires authentication.")
        case 403:
            return Forbidden(words_of(refusal))
        case status if status >= 500:
            return refusal
        case status:
            name = _CLIENT_ERRORS.get(status, "NeutronClientException")
            return ServiceFault(f"neutronclient.common.exceptions.{name}")


def allocation_refused(refusal: NeutronRefused, pool: str | None) -> TricircleError:
    """Return what a refusal to make a floating IP means."""
    where = f" in pool {pool}" if pool else ""
    if refusal.reason in _NO_MORE_ADDRESSES:
        return NotFound(
            f"No more floating IPs{where}." if pool else "No more floating IPs available."
        )
    if refusal.reason == "OverQuota":
        return Forbidden(f"IP allocation over quota{where}.")
    return explain(refusal, {400: BadInput})
