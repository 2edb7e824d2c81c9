"""What a request means at the top, checked and taken with the caller's own token."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from tricircle.core.errors import NeutronRefused, PodError, TricircleError
from tricircle.core.model import Origin, ProjectId, TopId
from tricircle.core.network import refusals
from tricircle.core.network.asking import Asking, Mode, NetworkWish, PortWish, Wish, is_uuid
from tricircle.core.network.marks import BOOT_OWNER
from tricircle.core.network.objects import DEFAULT_GROUP, Network, Port, SecurityGroup
from tricircle.core.network.refusals import Form
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.networking.neutron import Neutron
from tricircle.usecases.networking.ports import TopPort
from tricircle.usecases.networking.together import both

V = TypeVar("V")

_LIMIT_S = 300.0
_ADDRESS_TAKEN = frozenset({"IpAddressInUse", "IpAddressAlreadyAllocated"})


async def leave_to_sweep(ports: Sequence[Port]) -> None:
    """Leave ports that could not be deleted to the sweep, which finds them by their owner."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Whose server gets networks: ``instance`` names it in messages, ``boot_id`` marks its ports.

    ``as_caller`` is the top's Neutron with the caller's token, ``as_service`` with ours.
    ``leave`` is given ports that were made for nothing and could not be deleted.
    """

    form: Form
    project_id: ProjectId
    instance: str
    boot_id: str
    as_caller: Neutron
    as_service: Neutron
    leave: Callable[[Sequence[Port]], Awaitable[None]] = leave_to_sweep


@dataclass(frozen=True, slots=True)
class Granted:
    """The ports a server gets, in the order asked for, and the groups read on the way."""

    ports: tuple[TopPort, ...]
    groups: Mapping[str, SecurityGroup]


@dataclass(frozen=True, slots=True)
class Understood:
    """What a request asks for, looked up: ``groups`` are those it names. Nothing is made yet."""

    wishes: tuple[Wish, ...]
    groups: tuple[SecurityGroup, ...]


async def grant(errand: Errand, asking: Asking) -> Granted:
    """Return the ports that a request asks for; see ``understand`` and ``grant_ports``."""
    return await grant_ports(errand, await understand(errand, asking))


async def understand(errand: Errand, asking: Asking) -> Understood:
    """Return which ports and groups a request means. Raises Nova's errors, PodError."""
    groups = await find_groups(errand, asking.group_names)
    wishes = asking.wishes
    if asking.mode in (Mode.UNSAID, Mode.AUTO):
        wishes = await _only_network(errand, asking.mode)
    return Understood(wishes, tuple(groups))


async def grant_ports(errand: Errand, understood: Understood) -> Granted:
    """Return the ports that a request asks for; those on networks are made now.

    Either all or none. Raises Nova's errors, PodError when the top does not answer.
    """
    wishes, named = understood.wishes, understood.groups
    default: tuple[SecurityGroup, ...] = ()
    take = partial(_take_ports, errand, wishes, [group.id for group in named])
    if named or not any(isinstance(wish, NetworkWish) for wish in wishes):
        ports = await take()
    else:
        # The port will have the project's default group: read its rules meanwhile.
        ports, default = await both(take, partial(read_default_group, errand))
    return Granted(ports, {group.id: group for group in (*named, *default)})


async def give_up(errand: Errand, ports: Sequence[Port]) -> None:
    """Delete ports that were just made. What cannot be deleted now is left behind."""
    outcomes = await fan_out(
        {port.id: partial(errand.as_service.delete, Port, port.id) for port in ports},
        timeout_s=_LIMIT_S,
    )
    left = [port for port in ports if isinstance(outcomes[port.id], Failed)]
    if left:
        await errand.leave(left)


async def find_groups(errand: Errand, names: Sequence[str]) -> list[SecurityGroup]:
    """Return the groups that names or ids mean for the caller, in order, with their rules."""
    if not names:
        return []
    by_id, by_name = await both(
        partial(_list_groups, errand.as_caller, id=[name for name in names if is_uuid(name)]),
        partial(_list_groups, errand.as_caller, name=list(names), project_id=[errand.project_id]),
    )
    return [_pick_group(errand, name, by_id, by_name) for name in names]


async def _list_groups(neutron: Neutron, **filters: Sequence[str]) -> tuple[SecurityGroup, ...]:
    if not all(filters.values()):
        return ()
    return await ask(lambda: neutron.list_all(SecurityGroup, **filters))


def _pick_group(
    errand: Errand,
    name: str,
    by_id: Sequence[SecurityGroup],
    by_name: Sequence[SecurityGroup],
) -> SecurityGroup:
    """Return the group that a name or id means, as python-neutronclient does for Nova."""
    for group in by_id:
        if group.id == name:
            return group
    found = [group for group in by_name if group.name == name]
    if not found:
        raise refusals.group_not_found(errand.form, name, errand.project_id)
    if len(found) > 1:
        raise refusals.group_ambiguous(name)
    return found[0]


async def read_default_group(errand: Errand) -> tuple[SecurityGroup, ...]:
    """Return the project's default group, or nothing: then it is read when it is needed."""
    try:
        return await errand.as_service.list_all(
            SecurityGroup, project_id=errand.project_id, name=DEFAULT_GROUP
        )
    except PodError:
        return ()


async def _only_network(errand: Errand, mode: Mode) -> tuple[Wish, ...]:
    """Return a wish for the one network the project can use, as Nova chooses it."""
    up = {"admin_state_up": True} if mode is Mode.AUTO else {}
    caller = errand.as_caller
    own, shared = await both(
        lambda: ask(
            lambda: caller.list_all(Network, project_id=errand.project_id, shared=False, **up)
        ),
        lambda: ask(lambda: caller.list_all(Network, shared=True)),
    )
    networks = {network.id: network for network in (*own, *shared)}
    if len(networks) > 1:
        raise refusals.ambiguous_network(errand.form)
    if networks:
        return (NetworkWish(TopId(next(iter(networks)))),)
    if mode is Mode.AUTO:
        return (NetworkWish(await _auto_network(errand)),)
    if errand.form is Form.INTERFACE:
        raise refusals.no_network(errand.project_id)
    return ()


async def _auto_network(errand: Errand) -> TopId:
    """Return the network that Neutron makes for projects that have none."""
    path = f"/auto-allocated-topology/{quote(errand.project_id)}"
    try:
        answer = await errand.as_caller.show(path)
        found = json.loads(answer or b"{}")["auto_allocated_topology"]["id"]
    except (NeutronRefused, ValueError, KeyError, TypeError):
        raise refusals.no_auto_network(errand.project_id) from None
    return TopId(str(found))


async def _take_ports(
    errand: Errand, wishes: Sequence[Wish], group_ids: Sequence[str]
) -> tuple[TopPort, ...]:
    """Return a port for each wish. When one fails, those that were made are deleted again."""
    existing = await _read_ports(errand, wishes)
    outcomes = await fan_out(
        {
            index: partial(_make_port, errand, wish, group_ids)
            for index, wish in enumerate(wishes)
            if isinstance(wish, NetworkWish)
        },
        timeout_s=_LIMIT_S,
    )
    made = {index: one.value for index, one in outcomes.items() if isinstance(one, Done)}
    failed = [one.error for one in outcomes.values() if isinstance(one, Failed)]
    if failed:
        await give_up(errand, list(made.values()))
        raise failed[0]
    return tuple(
        TopPort(made[index], Origin.GATEWAY)
        if isinstance(wish, NetworkWish)
        else TopPort(existing[wish.port_id], Origin.USER)
        for index, wish in enumerate(wishes)
    )


async def _read_ports(errand: Errand, wishes: Sequence[Wish]) -> dict[str, Port]:
    wanted = [str(wish.port_id) for wish in wishes if isinstance(wish, PortWish)]
    if not wanted:
        return {}
    listed = await ask(lambda: errand.as_caller.list_all(Port, id=wanted))
    found = {port.id: port for port in listed}
    for port_id in wanted:
        _check_port(errand, port_id, found.get(port_id))
    return found


def _check_port(errand: Errand, port_id: str, port: Port | None) -> None:
    if port is None:
        raise refusals.port_not_found(errand.form, port_id)
    if port.device_id:
        raise refusals.port_in_use(port_id)
    if port.lacks_address:
        raise refusals.port_requires_address(port_id)
    if port.project_id != errand.project_id:
        raise refusals.port_not_usable(port_id, errand.instance)


def port_of_boot(errand: Errand, network_id: TopId, group_ids: Sequence[str]) -> dict[str, object]:
    """Return what makes a port of the top for a boot; no groups mean the project's default."""
    values: dict[str, object] = {
        "network_id": network_id,
        "device_id": errand.boot_id,
        "device_owner": BOOT_OWNER,
        "admin_state_up": True,
        "project_id": errand.project_id,
    }
    if group_ids:
        values["security_groups"] = list(group_ids)
    return values


async def _make_port(errand: Errand, wish: NetworkWish, group_ids: Sequence[str]) -> Port:
    values = port_of_boot(errand, wish.network_id, group_ids)
    if wish.fixed_ip is not None:
        values["fixed_ips"] = [{"ip_address": wish.fixed_ip}]
    try:
        port = await errand.as_caller.create(Port, values)
    except NeutronRefused as refusal:
        raise await _explain(errand, wish, refusal) from None
    if not port.fixed_ips and port.ip_allocation != "deferred":
        await give_up(errand, [port])
        raise refusals.network_requires_subnet(errand.form, wish.network_id)
    return port


async def _explain(errand: Errand, wish: NetworkWish, refusal: NeutronRefused) -> TricircleError:
    """Return what Nova would say, asking once more where Neutron's answer does not tell."""
    if refusal.reason in _ADDRESS_TAKEN and wish.fixed_ip is not None:
        holders = await errand.as_caller.list_all(
            Port, network_id=wish.network_id, fixed_ips=f"ip_address={wish.fixed_ip}"
        )
        device_id = next((port.device_id for port in holders), "")
        return refusals.address_in_use(errand.form, wish.fixed_ip, device_id)
    if refusal.status == 403:
        network = await errand.as_caller.find(Network, wish.network_id)
        if network is not None and network.external and not network.shared:
            return refusals.external_network(wish.network_id)
    return refusals.port_refused(refusal, errand.form, wish.network_id, wish.fixed_ip)


async def ask(call: Callable[[], Awaitable[V]]) -> V:
    """Return what a call with the caller's token returns, or raise what it means for them."""
    try:
        return await call()
    except NeutronRefused as refusal:
        raise refusals.caller_refused(refusal) from None
