"""Which attributes Neutron's resources have and who may set or see them.

Facts from neutron-lib 5.0.1 (`neutron_lib.api.definitions`) and the default
policies of Neutron 29 (`neutron.conf.policies`).
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from tricircle.testing.cloud.http import Document, Json, refuse

REQUIRED = object()
UNSET = object()

# Returns the value in its canonical form; raises ValueError with the reason.
Check = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `default` REQUIRED means that it must be given.

    `write` and `read` name who may set and see it: anyone who may do so with
    the resource, "admin", "admin or service", or "service".
    """

    default: object = ""
    post: bool = True
    put: bool = True
    check: Check | None = None
    write: str = "member"
    read: str = "member"
    is_filter: bool = True
    is_sort_key: bool = True


class NotConverted(ValueError):
    """A value that fails before it is validated: Neutron says it in other words."""


def check_boolean(value: Json) -> bool:
    """Return a boolean, as neutron-lib converts it."""
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "1"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "0"):
        return False
    raise NotConverted(f"'{value}' cannot be converted to boolean")


def check_string(limit: int) -> Check:
    """Return a check for strings up to a length."""

    def check(value: Json) -> Json:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")
        if len(value) > limit:
            raise ValueError(f"'{value}' exceeds maximum length of {limit}")
        return value

    return check


def check_uuid(value: Json) -> Json:
    """Return a UUID as it was given."""
    if not isinstance(value, str) or not is_uuid(value):
        raise ValueError(f"'{value}' is not a valid UUID")
    return value


def check_uuid_or_none(value: Json) -> Json:
    """Return a UUID or None."""
    return None if value is None else check_uuid(value)


def check_uuid_list(value: Json) -> Json:
    """Return a list of UUIDs; None is an empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"'{value}' is not a list")
    return [check_uuid(item) for item in value]


def check_integer(value: Json) -> Json:
    """Return an integer, also from its digits."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise NotConverted(f"'{value}' is not an integer") from None


def check_values(*allowed: object) -> Check:
    """Return a check for one of some values."""

    def check(value: Json) -> Json:
        if value not in allowed:
            raise ValueError(f"{value} is not in valid_values")
        return value

    return check


def check_mac(value: Json) -> Json:
    """Return a MAC address in lower case with colons."""
    text = str(value).lower().replace("-", ":")
    if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", text):
        raise ValueError(f"'{value}' is not a valid MAC address")
    return text


def check_address_or_none(value: Json) -> Json:
    """Return an IP address in canonical form, or None."""
    if value is None:
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP address") from None


def check_cidr_or_none(value: Json) -> Json:
    """Return a network in canonical form, or None."""
    if value is None:
        return None
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise NotConverted(f"{value} is not in a CIDR format") from None


def check_list(value: Json) -> Json:
    """Return a list; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"'{value}' is not a list")
    return value


def is_uuid(value: str) -> bool:
    """Return whether a string is a UUID with its dashes, or without."""
    try:
        return str(UUID(value)).replace("-", "") == value.lower().replace("-", "")
    except ValueError:
        return False


_READ_ONLY = Attribute(post=False, put=False)
_TIME = Attribute(post=False, put=False)
_STANDARD = {
    "id": _READ_ONLY,
    "name": Attribute("", check=check_string(255)),
    "project_id": Attribute(put=False, check=check_string(255)),
    "tenant_id": Attribute(put=False, check=check_string(255)),
    "description": Attribute("", check=check_string(255)),
    "created_at": _TIME,
    "updated_at": _TIME,
    "revision_number": _READ_ONLY,
    "tags": Attribute(post=False, put=False, is_sort_key=False),
}
_PROVIDER = {
    "provider:network_type": Attribute(UNSET, check=check_string(32), write="admin", read="admin"),
    "provider:physical_network": Attribute(
        UNSET, check=check_string(64), write="admin", read="admin"
    ),
    "provider:segmentation_id": Attribute(UNSET, check=check_integer, write="admin", read="admin"),
}
NETWORK = {
    **_STANDARD,
    **_PROVIDER,
    "admin_state_up": Attribute(True, check=check_boolean),
    "shared": Attribute(False, check=check_boolean, write="admin", is_sort_key=False),
    "router:external": Attribute(False, check=check_boolean, write="admin", is_sort_key=False),
    "is_default": Attribute(UNSET, check=check_boolean, write="admin", is_sort_key=False),
    "availability_zone_hints": Attribute(None, put=False, check=check_list, is_filter=False),
    "availability_zones": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "port_security_enabled": Attribute(True, check=check_boolean, is_filter=False),
    "mtu": Attribute(UNSET, check=check_integer),
    "dns_domain": Attribute("", check=check_string(255), is_filter=False, is_sort_key=False),
    "qos_policy_id": Attribute(None, check=check_uuid_or_none, is_filter=False, is_sort_key=False),
    "vlan_transparent": Attribute(False, put=False, check=check_boolean, is_sort_key=False),
    "qinq": Attribute(False, put=False, check=check_boolean, is_sort_key=False),
    "segments": Attribute(UNSET, check=check_list, write="admin", read="admin", is_filter=False),
    "status": _READ_ONLY,
    "subnets": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "ipv4_address_scope": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "ipv6_address_scope": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "l2_adjacency": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
}
SUBNET = {
    **_STANDARD,
    "ip_version": Attribute(REQUIRED, put=False, check=lambda v: check_values(4, 6)(int(v))),
    "network_id": Attribute(REQUIRED, put=False, check=check_uuid),
    "cidr": Attribute(UNSET, put=False, check=check_cidr_or_none),
    "gateway_ip": Attribute(UNSET, check=check_address_or_none),
    "allocation_pools": Attribute(UNSET, check=check_list, is_filter=False, is_sort_key=False),
    "dns_nameservers": Attribute(None, check=check_list, is_filter=False, is_sort_key=False),
    "host_routes": Attribute(None, check=check_list, is_filter=False, is_sort_key=False),
    "enable_dhcp": Attribute(True, check=check_boolean),
    "ipv6_ra_mode": Attribute(None, put=False),
    "ipv6_address_mode": Attribute(None, put=False),
    "subnetpool_id": Attribute(None, put=False),
    "prefixlen": Attribute(UNSET, put=False, is_filter=False, is_sort_key=False),
    "use_default_subnetpool": Attribute(UNSET, put=False, is_filter=False, is_sort_key=False),
    "service_types": Attribute(None, check=check_list, is_filter=False, is_sort_key=False),
    "shared": Attribute(post=False, put=False, is_sort_key=False),
    "router:external": Attribute(post=False, put=False, is_sort_key=False),
}
PORT = {
    **_STANDARD,
    # Accepted and ignored (seen on Neutron 29): tags are set below the port only.
    "tags": Attribute(UNSET, put=False, is_sort_key=False),
    "network_id": Attribute(REQUIRED, put=False, check=check_uuid),
    "admin_state_up": Attribute(True, check=check_boolean),
    "mac_address": Attribute(UNSET, check=check_mac),
    "fixed_ips": Attribute(UNSET, check=check_list, is_sort_key=False),
    "device_id": Attribute("", check=check_string(255)),
    "device_owner": Attribute("", check=check_string(255)),
    "security_groups": Attribute(UNSET, check=check_uuid_list, is_sort_key=False),
    "port_security_enabled": Attribute(UNSET, check=check_boolean, is_filter=False),
    "allowed_address_pairs": Attribute(None, check=check_list, is_filter=False, is_sort_key=False),
    "extra_dhcp_opts": Attribute(None, check=check_list, is_filter=False, is_sort_key=False),
    "binding:vnic_type": Attribute("normal", is_filter=False, is_sort_key=False),
    "binding:host_id": Attribute(
        "", write="admin or service", read="admin or service", is_sort_key=False
    ),
    "binding:profile": Attribute(
        None, write="service", read="admin or service", is_filter=False, is_sort_key=False
    ),
    "binding:vif_type": Attribute(
        post=False, put=False, read="admin or service", is_filter=False, is_sort_key=False
    ),
    "binding:vif_details": Attribute(
        post=False, put=False, read="admin or service", is_filter=False, is_sort_key=False
    ),
    "dns_name": Attribute("", is_filter=False, is_sort_key=False),
    "dns_assignment": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "qos_policy_id": Attribute(None, check=check_uuid_or_none, is_filter=False, is_sort_key=False),
    "qos_network_policy_id": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "status": _READ_ONLY,
    "ip_allocation": _READ_ONLY,
    "resource_request": Attribute(
        post=False, put=False, read="admin", is_filter=False, is_sort_key=False
    ),
}
SECURITY_GROUP = {
    **_STANDARD,
    "stateful": Attribute(True, check=check_boolean),
    "shared": Attribute(post=False, put=False, is_sort_key=False),
    "security_group_rules": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
}
SECURITY_GROUP_RULE = {
    **{key: value for key, value in _STANDARD.items() if key not in ("name", "tags")},
    "security_group_id": Attribute(REQUIRED, put=False),
    "direction": Attribute(REQUIRED, put=False, check=check_values("ingress", "egress")),
    "ethertype": Attribute("IPv4", put=False),
    "protocol": Attribute(None, put=False),
    "port_range_min": Attribute(None, put=False),
    "port_range_max": Attribute(None, put=False),
    "remote_group_id": Attribute(None, put=False),
    "remote_ip_prefix": Attribute(None, put=False),
    "remote_address_group_id": Attribute(None, put=False),
    "normalized_cidr": _READ_ONLY,
    "belongs_to_default_sg": Attribute(post=False, put=False, is_sort_key=False),
}
ADDRESS_GROUP = {
    **{key: value for key, value in _STANDARD.items() if key != "tags"},
    "addresses": Attribute(None, put=False, check=check_list, is_filter=False, is_sort_key=False),
}
RBAC_POLICY = {
    "id": _READ_ONLY,
    "object_type": Attribute(REQUIRED, put=False),
    "object_id": Attribute(REQUIRED, put=False, check=check_uuid),
    "target_tenant": Attribute(REQUIRED),
    "project_id": Attribute(put=False),
    "tenant_id": Attribute(put=False),
    "action": Attribute(REQUIRED, put=False),
}
ROUTER = {
    **_STANDARD,
    "admin_state_up": Attribute(True, check=check_boolean),
    "external_gateway_info": Attribute(None, is_filter=False, is_sort_key=False),
    "routes": Attribute(None, post=False, check=check_list, is_filter=False, is_sort_key=False),
    "distributed": Attribute(False, write="admin", read="admin", is_filter=False),
    "ha": Attribute(False, write="admin", read="admin", is_filter=False),
    "availability_zone_hints": Attribute(None, put=False, check=check_list, is_filter=False),
    "availability_zones": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "flavor_id": Attribute(None, put=False),
    "status": _READ_ONLY,
}
FLOATING_IP = {
    **{key: value for key, value in _STANDARD.items() if key != "name"},
    "floating_network_id": Attribute(REQUIRED, put=False, check=check_uuid),
    "floating_ip_address": Attribute(None, put=False, check=check_address_or_none, write="admin"),
    "subnet_id": Attribute(None, put=False, is_filter=False, is_sort_key=False),
    "port_id": Attribute(None, check=check_uuid_or_none, is_sort_key=False),
    "fixed_ip_address": Attribute(None, check=check_address_or_none),
    "dns_name": Attribute("", put=False, is_filter=False, is_sort_key=False),
    "dns_domain": Attribute("", put=False, is_filter=False, is_sort_key=False),
    "qos_policy_id": Attribute(None, is_filter=False, is_sort_key=False),
    "router_id": _READ_ONLY,
    "status": _READ_ONLY,
    "port_details": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
    "port_forwardings": Attribute(post=False, put=False, is_filter=False, is_sort_key=False),
}


def fill_in(attributes: dict[str, Attribute], given: Document) -> Document:
    """Return what a POST means: checked, with defaults; raises Refused."""
    _reject_unknown(attributes, given)
    for name, attribute in attributes.items():
        if name in given and not attribute.post:
            refuse(400, f"Attribute '{name}' not allowed in POST", "HTTPBadRequest")
        if attribute.default is REQUIRED and name not in given:
            message = f"Failed to parse request. Required attribute '{name}' not specified"
            refuse(400, message, "HTTPBadRequest")
    values: Document = {}
    for name, attribute in attributes.items():
        if not attribute.post:
            continue
        if name in given:
            values[name] = _checked(name, attribute, given[name])
        elif attribute.default is not UNSET and attribute.default is not REQUIRED:
            default = attribute.default
            values[name] = [] if default is None and attribute.check is check_list else default
    return values


def check_changes(attributes: dict[str, Attribute], given: Document) -> Document:
    """Return what a PUT changes, checked; raises Refused."""
    _reject_unknown(attributes, given)
    for name in given:
        if not attributes[name].put:
            refuse(400, f"Cannot update read-only attribute {name}", "HTTPBadRequest")
    return {name: _checked(name, attributes[name], value) for name, value in given.items()}


def _reject_unknown(attributes: dict[str, Attribute], given: Iterable[str]) -> None:
    unknown = [name for name in given if name not in attributes]
    if unknown:
        message = f"Unrecognized attribute(s) '{', '.join(unknown)}'"
        refuse(400, message, "HTTPBadRequest")


def _checked(name: str, attribute: Attribute, value: Json) -> Json:
    if attribute.check is None:
        return value
    try:
        return attribute.check(value)
    except NotConverted as error:
        refuse(400, f"Invalid input for operation: {error}.", "InvalidInput")
    except (ValueError, TypeError) as error:
        refuse(400, f"Invalid input for {name}. Reason: {error}.", "HTTPBadRequest")
