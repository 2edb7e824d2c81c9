"""What Nova says when a server cannot have the networks asked for.

The same cause has another status when a server is made than when an interface is
attached: ``expected_errors`` of nova/api/openstack/compute/servers.py and
attach_interfaces.py (34.0.0 and 31.0.0 agree). What Nova finds out only while it
builds the server, and shows as a server in ERROR, is refused here at once, with
the status the same cause has when an interface is attached.
"""

from __future__ import annotations

import enum

from tricircle.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NeutronRefused,
    NotFound,
    TricircleError,
    Unauthorized,
)


class Form(enum.Enum):
    """Which request is being answered."""

    SERVER = enum.auto()
    INTERFACE = enum.auto()
    GROUP_ACTION = enum.auto()


def network_not_found(form: Form, network_id: str) -> TricircleError:
    """Return Nova's NetworkNotFound."""
    message = f"Network {network_id} could not be found."
    return BadInput(message) if form is Form.SERVER else NotFound(message)


def port_not_found(form: Form, port_id: str) -> TricircleError:
    """Return Nova's PortNotFound."""
    message = f"Port id {port_id} could not be found."
    return BadInput(message) if form is Form.SERVER else NotFound(message)


def port_in_use(port_id: str) -> TricircleError:
    """Return Nova's PortInUse."""
    return Conflict(f"Port {port_id} is still in use.")


def port_not_usable(port_id: str, instance: str) -> TricircleError:
    """Return Nova's PortNotUsable: the port belongs to another project."""
    return BadInput(f"Port {port_id} not usable for instance {instance}.".replace(" .", "."))


def port_requires_address(port_id: str) -> TricircleError:
    """Return Nova's PortRequiresFixedIP."""
    return BadInput(f"Port {port_id} requires a FixedIP in order to be used.")


def network_requires_subnet(form: Form, network_id: str) -> TricircleError:
    """Return Nova's NetworkRequiresSubnet, or what it says of an interface without one."""
    if form is Form.INTERFACE:
        return groups_not_applicable()
    return BadInput(f"Network {network_id} requires a subnet in order to boot instances on.")


def ambiguous_network(form: Form) -> TricircleError:
    """Return Nova's NetworkAmbiguous."""
    message = "Multiple possible networks found, use a Network ID to be more specific."
    return Conflict(message) if form is Form.SERVER else BadInput(message)


def no_network(project_id: str) -> TricircleError:
    """Return Nova's InterfaceAttachFailedNoNetwork."""
    return BadInput(
        f"No specific network was requested and none are available for project '{project_id}'."
    )


def no_auto_network(project_id: str) -> TricircleError:
    """Return Nova's UnableToAutoAllocateNetwork."""
    return BadInput(f"Unable to automatically allocate a network for project {project_id}")


def address_in_use(form: Form, address: str, device_id: str) -> TricircleError:
    """Return Nova's FixedIpAlreadyInUse."""
    message = f"Fixed IP address {address} is already in use on instance {device_id}."
    if not device_id:
        message = f"Fixed IP {address} is already in use."
    return BadInput(message) if form is Form.SERVER else Conflict(message)


def external_network(network_id: str) -> TricircleError:
    """Return Nova's ExternalNetworkAttachForbidden."""
    return Forbidden(f"It is not allowed to create an interface on external network {network_id}")


def group_not_found(form: Form, name: str, project_id: str) -> TricircleError:
    """Return Nova's SecurityGroupNotFound; in python-neutronclient's words for a new server."""
    if form is Form.SERVER:
        return BadInput(f"Unable to find security_group with name or id '{name}'")
    return NotFound(f"Security group {name} is not found for project {project_id}")


def group_ambiguous(name: str) -> TricircleError:
    """Return Nova's NoUniqueMatch, in python-neutronclient's words."""
    return Conflict(
        f"Multiple security_group matches found for name '{name}', use an ID to be more specific."
    )


def groups_not_applicable() -> TricircleError:
    """Return Nova's SecurityGroupCannotBeApplied."""
    return BadInput(
        "Network requires port_security_enabled and subnet associated in order to apply "
        "security groups."
    )


def port_refused(
    refusal: NeutronRefused, form: Form, network_id: str, address: str | None
) -> TricircleError:
    """Return what Nova says when Neutron refuses to make a port for the caller.

    ``refusal`` itself where the cause is not the caller's.
    """
    match refusal.reason:
        case "NetworkNotFound":
            return network_not_found(form, network_id)
        case "SecurityGroupNotFound":
            return BadInput(refusal.detail)
        case "OverQuota":
            return Forbidden("Maximum number of ports exceeded")
        case "IpAddressGenerationFailure":
            return BadInput(f"No fixed IP addresses available for network: {network_id}")
        case "InvalidIpForNetwork" | "InvalidIpForSubnet" | "InvalidInput" if address:
            return BadInput(
                f"Invalid input received: Fixed IP {address} is not a valid ip address for "
                f"network {network_id}."
            )
        case "PortSecurityAndIPRequiredForSecurityGroups" | "PortSecurityPortHasSecurityGroup":
            return groups_not_applicable()
        case _ if refusal.status == 403:
            # Who may make no port may make no server: by that rule Nova refuses first.
            rule = "servers:create" if form is Form.SERVER else "os-attach-interfaces:create"
            return Forbidden(f"Policy doesn't allow os_compute_api:{rule} to be performed.")
        case _:
            return caller_refused(refusal)


def caller_refused(refusal: NeutronRefused) -> TricircleError:
    """Return what a refusal means for the caller whose token was used."""
    match refusal.status:
        case 400:
            return BadInput(f"Invalid input received: {refusal.detail}")
        case 401:
            return Unauthorized("The request you have made requires authentication.")
        case 403:
            return Forbidden(
                "Policy doesn't allow os_compute_api:servers:create:attach_network to be performed."
            )
        case _:
            return refusal
