"""What Nova says when an action cannot change a server's ports.

Messages and statuses are those of nova/network/security_group_api.py and neutron.py
as nova/api/openstack/compute/security_groups.py, multinic.py and floating_ips.py
answer them (34.0.0 and 31.0.0 agree). Nova only casts ``addFixedIp`` and
``removeFixedIp`` to its compute service and so answers 202 even to what fails; here
the same failure is answered at once with the status that the API declares for it.
"""

from __future__ import annotations

from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NeutronRefused,
    NotFound,
    TricircleError,
    Unauthorized,
)
from tricircle.core.network.refusals import groups_not_applicable
from tricircle.core.network.server_actions import AddGroup, ServerAction


def no_ports(server_id: str) -> TricircleError:
    """Return what Nova says of a server without ports."""
    return NotFound(f"instance_id {server_id} could not be found as device id on any ports")


def group_not_associated(name: str, server_id: str) -> TricircleError:
    """Return what Nova says when no port of the server is in the group."""
    return NotFound(f"Security group {name} not associated with the instance {server_id}")


def network_not_of_server(server_id: str) -> TricircleError:
    """Return Nova's NetworkNotFoundForInstance."""
    return NotFound(f"Network could not be found for instance {server_id}.")


def no_more_addresses(network_id: str) -> TricircleError:
    """Return Nova's NoMoreFixedIps."""
    return BadInput(f"No fixed IP addresses available for network: {network_id}")


def address_not_of_server(server_id: str, address: str) -> TricircleError:
    """Return Nova's FixedIpNotFoundForInstance."""
    return BadInput(f"Instance {server_id} does not have fixed IP '{address}'.")


def not_ready() -> TricircleError:
    """Return what Nova says of a floating IP for a server without ports."""
    return BadInput("Instance network is not ready yet")


def no_addresses() -> TricircleError:
    """Return what Nova says of a floating IP for a server without addresses."""
    return BadInput("No fixed IPs associated to instance")


def address_not_assigned() -> TricircleError:
    """Return what Nova says when ``fixed_address`` is not the server's."""
    return BadInput("Specified fixed address not assigned to instance")


def no_ipv4(address: str, server_id: str) -> TricircleError:
    """Return what Nova says when only IPv6 addresses are there for a floating IP."""
    return BadInput(
        f"Unable to associate floating IP {address} to any fixed IPs for instance {server_id}. "
        "Instance has no fixed IPv4 addresses to associate."
    )


def floating_ip_not_found() -> TricircleError:
    """Return what Nova says when a floating IP to be added is not there."""
    return NotFound("floating IP not found")


def floating_address_not_found(address: str) -> TricircleError:
    """Return Nova's FloatingIpNotFoundForAddress."""
    return NotFound(f"Floating IP not found for address {address}.")


def floating_ip_ambiguous(address: str) -> TricircleError:
    """Return Nova's FloatingIpMultipleFoundForAddress."""
    return Conflict(f"Multiple floating IPs are found for address {address}.")


def floating_ip_not_associated(address: str, server_id: str) -> TricircleError:
    """Return what Nova says when a floating IP is not this server's."""
    return Conflict(f"Floating IP {address} is not associated with instance {server_id}.")


def association_failed(
    address: str, fixed_address: str, server_id: str, reason: str
) -> TricircleError:
    """Return what Nova says when an association fails for no reason that it knows."""
    return BadInput(
        f"Unable to associate floating IP {address} to fixed IP {fixed_address} for instance "
        f"{server_id}. Error: {reason}"
    )


def association_refused(reason: str) -> TricircleError:
    """Return Nova's FloatingIpAssociateFailed."""
    return BadInput(reason)


def port_changed_meanwhile(port_id: str) -> TricircleError:
    """Return what is said when others change a port again and again."""
    return Conflict(f"Port {port_id} is being changed by others; please retry.")


def action_refused(refusal: NeutronRefused, action: ServerAction) -> TricircleError:
    """Return what a refusal by the top means for the caller whose token was used.

    ``refusal`` itself where the cause is not the caller's.
    """
    match refusal.status:
        case 401:
            return Unauthorized("The request you have made requires authentication.")
        case 403:
            return Forbidden(f"Policy doesn't allow {action.policy} to be performed.")
        case 400 if isinstance(action, AddGroup) and not refusal.detail:
            return groups_not_applicable()
        case 400:
            return BadInput(refusal.detail)
        case 409:
            return Conflict(refusal.detail)
        case _:
            return refusal
