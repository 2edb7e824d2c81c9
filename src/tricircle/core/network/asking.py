"""Which networks a request asks for, and the same body with ports of the pod in it."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from tricircle.core.bodies import (
    encode,
    read_value,
    read_values,
    remove_value,
    replace,
    set_value,
)
from tricircle.core.errors import BadInput
from tricircle.core.model import BottomId, TopId, Version

INTERFACE = "interfaceAttachment"
NETWORKS = "server.networks"
GROUPS = "server.security_groups"
_WORDS_SINCE = Version(2, 37)


class Mode(enum.Enum):
    """How a body speaks of networks."""

    LISTED = enum.auto()
    """One by one."""
    UNSAID = enum.auto()
    """Not at all, or as an empty list: the only network there is, or none."""
    AUTO = enum.auto()
    """``auto``: the only network there is, or one that Neutron makes."""
    NONE = enum.auto()
    """``none``."""
    UNREADABLE = enum.auto()
    """Not as Nova's schema has it: the pod says what is wrong."""


@dataclass(frozen=True, slots=True)
class PortWish:
    """A port that exists."""

    port_id: TopId


@dataclass(frozen=True, slots=True)
class NetworkWish:
    """A new port on a network, with this address if one is given."""

    network_id: TopId
    fixed_ip: str | None = None


Wish = PortWish | NetworkWish


@dataclass(frozen=True, slots=True)
class Asking:
    """What a server body says about networks and security groups.

    ``group_names`` are names or ids of security groups, each once, in order,
    without ``default`` when it stands alone: Nova means the same by none.
    ``count`` is the largest number of servers that the body may make.
    """

    mode: Mode
    wishes: tuple[Wish, ...] = ()
    group_names: tuple[str, ...] = ()
    count: int = 1


def read_asking(body: bytes, version: Version) -> Asking:
    """Return what a body asks for. Raises BadInput with Nova's own words."""
    groups = read_value(body, GROUPS)
    networks = read_value(body, NETWORKS)
    names = _read_groups(groups)
    if names is None or not _is_readable(networks, version) or not _is_server(body):
        return Asking(Mode.UNREADABLE)
    count = _read_count(body)
    match networks:
        case "none":
            return Asking(Mode.NONE, (), names, count)
        case "auto":
            return Asking(Mode.AUTO, (), names, count)
        case [*items] if items:
            wishes = tuple(_read_wish(item) for item in items if isinstance(item, dict))
            _check_ports_differ(wishes)
            _check_count(wishes, count)
            return Asking(Mode.LISTED, wishes, names, count)
        case _:
            return Asking(Mode.UNSAID, (), names, count)


def read_interface(body: bytes) -> Asking:
    """Return what the body of an interface attachment asks for; it may be empty.

    Raises BadInput with Nova's own words.
    """
    if not body.strip():
        return Asking(Mode.UNSAID)
    network, port = (read_value(body, f"{INTERFACE}.{key}") for key in ("net_id", "port_id"))
    addresses = read_values(body, f"{INTERFACE}.fixed_ips[].ip_address")
    if not _are_texts(network, port, *addresses):
        return Asking(Mode.UNREADABLE)
    if network and port:
        raise BadInput("Must not input both network_id and port_id")
    if addresses and not network:
        raise BadInput("Must input network_id when request IP address")
    if port:
        return Asking(Mode.LISTED, (PortWish(TopId(str(port))),))
    if network:
        address = str(addresses[0]) if addresses else None
        return Asking(Mode.LISTED, (NetworkWish(TopId(str(network)), address),))
    return Asking(Mode.UNSAID)


def put_interface(body: bytes, asking: Asking, port_ids: Sequence[BottomId]) -> bytes:
    """Return the body of an interface attachment with the pod's port instead."""
    if asking.mode is Mode.UNREADABLE or not port_ids:
        return body
    if read_value(body or b"{}", INTERFACE) is None:
        return encode({INTERFACE: {"port_id": port_ids[0]}})
    for key in ("net_id", "fixed_ips"):
        body = remove_value(body, f"{INTERFACE}.{key}")
    return set_value(body, f"{INTERFACE}.port_id", port_ids[0])


def put_ports(body: bytes, asking: Asking, port_ids: Sequence[BottomId]) -> bytes:
    """Return the body with ports of the pod instead of what it asked for.

    Other keys of an item (``tag``) stay. The security groups are on the ports, so
    they go from the body: Nova would look for them in the pod and then ignore them.
    """
    if asking.mode is Mode.UNREADABLE:
        return body
    body = remove_value(body, GROUPS)
    if asking.mode is Mode.LISTED:
        return replace(body, NETWORKS, lambda items: _put_each(items, port_ids))
    if port_ids:
        return set_value(body, NETWORKS, [{"port": port_id} for port_id in port_ids])
    return body


def _put_each(items: object, port_ids: Sequence[BottomId]) -> object:
    if not isinstance(items, list):
        return items
    return [
        {key: value for key, value in item.items() if key not in ("uuid", "fixed_ip")}
        | {"port": port_id}
        for item, port_id in zip(items, port_ids, strict=True)
    ]


def _is_server(body: bytes) -> bool:
    return isinstance(read_value(body, "server"), dict)


def _read_groups(groups: object) -> tuple[str, ...] | None:
    if groups is None:
        return ()
    if not isinstance(groups, list):
        return None
    names: dict[str, None] = {}
    for group in groups:
        name = group.get("name", "") if isinstance(group, dict) else None
        if not isinstance(name, str):
            return None
        if name:
            names[name] = None
    return () if list(names) == ["default"] else tuple(names)


def _is_readable(networks: object, version: Version) -> bool:
    if isinstance(networks, str):
        return version >= _WORDS_SINCE and networks in ("auto", "none")
    if networks is None:
        return version < _WORDS_SINCE
    return isinstance(networks, list) and all(_is_readable_item(item) for item in networks)


def _is_readable_item(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    port, network, address = item.get("port"), item.get("uuid"), item.get("fixed_ip")
    if port is not None:
        return isinstance(port, str) and is_uuid(port)
    if address is not None and not _is_address(address):
        return False
    return isinstance(network, str) and is_uuid(network)


def _read_wish(item: dict[str, object]) -> Wish:
    port, address = item.get("port"), item.get("fixed_ip")
    if port is None:
        return NetworkWish(TopId(str(item["uuid"])), None if address is None else str(address))
    if address is not None:
        raise BadInput(
            f"Specified Fixed IP '{address}' cannot be used with port '{port}': "
            "the two cannot be specified together."
        )
    return PortWish(TopId(str(port)))


def _check_ports_differ(wishes: Sequence[Wish]) -> None:
    seen: set[TopId] = set()
    for wish in wishes:
        if not isinstance(wish, PortWish):
            continue
        if wish.port_id in seen:
            raise BadInput(
                f"Port ID '{wish.port_id}' was specified twice: "
                "you cannot attach a port multiple times."
            )
        seen.add(wish.port_id)


def _check_count(wishes: Sequence[Wish], count: int) -> None:
    if count < 2:
        return
    if any(isinstance(wish, PortWish) for wish in wishes):
        raise BadInput(
            "Failed to launch instances: Unable to launch multiple instances with a single "
            "configured port ID. Please launch your instance one by one with different ports."
        )
    if any(isinstance(wish, NetworkWish) and wish.fixed_ip for wish in wishes):
        raise BadInput(
            "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip "
            "is specified."
        )


def _read_count(body: bytes) -> int:
    counts = [read_value(body, f"server.{key}") for key in ("max_count", "min_count")]
    for count in counts:
        if isinstance(count, int | str) and str(count).isdigit():
            return max(int(count), 1)
    return 1


def _are_texts(*values: object) -> bool:
    """Tell whether these are UUIDs, addresses or nothing."""
    return all(
        value is None or (isinstance(value, str) and (is_uuid(value) or _is_address(value)))
        for value in values
    )


def is_uuid(text: str) -> bool:
    """Tell whether Nova takes a text for a UUID (hyphens, case and braces do not matter)."""
    plain = text.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "").lower()
    return len(plain) == 32 and all(letter in "0123456789abcdef" for letter in plain)


def _is_address(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return isinstance(value, str)
