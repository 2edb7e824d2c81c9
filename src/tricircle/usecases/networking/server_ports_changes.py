"""Changes of the ports that a server has: groups, addresses, floating IPs.

The ports belong to the top: it is changed first, with the caller's own token, so that
Neutron's policy decides; then, with the service's, the twins in the pod are made like
it. Only an address that goes leaves the twin first: the top must not give it to
someone else before. A change that was cut short is completed by asking for it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, assert_never

from msgspec.structs import replace

from tricircle.core.errors import NeutronRefused
from tricircle.core.model import BottomId, Caller, Kind, Pod, ProjectId, TopId
from tricircle.core.network import action_refusals as refusals
from tricircle.core.network.group_views import View, view_groups
from tricircle.core.network.objects import Port, SecurityGroup, Subnet
from tricircle.core.network.refusals import Form, groups_not_applicable
from tricircle.core.network.server_actions import (
    AddAddress,
    AddFloatingIp,
    AddGroup,
    RemoveAddress,
    RemoveFloatingIp,
    RemoveGroup,
    ServerAction,
    Values,
    addresses_of,
    addresses_with,
    addresses_without,
    groups_with,
    groups_without,
    has_address,
    in_order,
    may_have_group,
)
from tricircle.interfaces.clock import Clock
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.floating_ips import ServerAddresses, associate, disassociate
from tricircle.usecases.networking.live_ports import LivePorts
from tricircle.usecases.networking.named_groups import read_groups
from tricircle.usecases.networking.networks import Site, find_active
from tricircle.usecases.networking.neutron import Neutron, Neutrons
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.networking.together import all_of
from tricircle.usecases.networking.wishes import Errand, find_groups

V = TypeVar("V")
Change = Callable[[Port], Values]

_ATTEMPTS = 4
_PRECONDITION_FAILED = 412
_NOT_THE_CALLERS = frozenset({401, 403})
_NO_ADDRESS = "IpAddressGenerationFailure"


@dataclass(frozen=True, slots=True)
class AskedServer:
    """A server that somebody asks about: whose it is, and in which pod."""

    caller: Caller
    server_id: TopId
    project_id: ProjectId
    pod: Pod
    request_id: str


@dataclass(frozen=True, slots=True)
class _Work:
    """One action under way: the server, its ports at the top, both tokens."""

    asked: AskedServer
    action: ServerAction
    ports: Sequence[Port]
    as_caller: Neutron
    site: Site


class ServerPortsChanges:
    """Carries out actions on the ports of servers. One for each process."""

    def __init__(
        self, neutrons: Neutrons, stores: TwinStores, maker: TwinMaker, clock: Clock
    ) -> None:
        self._neutrons, self._stores = neutrons, stores
        self._live = LivePorts(stores, maker, clock)

    async def carry_out(self, asked: AskedServer, action: ServerAction) -> bool:
        """Carry out an action; False when the ports are not of the top: the pod's Nova does it.

        Raises Nova's errors; PodError and TwinBusy, after which it may be asked for again.
        """
        as_caller = self._neutrons.top_as(asked.caller, asked.request_id)
        site = Site(
            self._neutrons.top(asked.request_id),
            self._neutrons.pod(asked.pod, asked.request_id),
        )
        ports = await _explained(action, partial(self._list_ports, asked, as_caller))
        if not ports and await site.bottom.list_all(Port, device_id=asked.server_id):
            return False
        await self._do(_Work(asked, action, ports, as_caller, site))
        return True

    async def list_groups(self, asked: AskedServer) -> list[View] | None:
        """Return a server's groups in Nova's form; None when its ports are not of the top."""
        as_caller = self._neutrons.top_as(asked.caller, asked.request_id)
        ports = await self._list_ports(asked, as_caller)
        if not ports:
            return None
        groups = await read_groups(
            as_caller, {one for port in ports for one in port.security_groups}
        )
        return view_groups(ports, groups)

    async def _list_ports(self, asked: AskedServer, as_caller: Neutron) -> list[Port]:
        """Return the server's ports at the top, in order, as far as the caller sees them.

        A port of a boot that has just ended may not show its server at the top yet.
        Others may write any server's id on ports of their own: these do not count.
        """
        shown = await as_caller.list_all(Port, device_id=asked.server_id)
        found = {port.id: port for port in shown}
        owned = await self._stores.routings.list_owned(asked.server_id)
        missing = sorted(
            str(row.top_id)
            for row in owned
            if row.kind is Kind.PORT and row.pod_id == asked.pod.id and row.top_id not in found
        )
        if missing:
            found.update({port.id: port for port in await as_caller.list_all(Port, id=missing)})
        return in_order([port for port in found.values() if port.project_id == asked.project_id])

    async def _do(self, work: _Work) -> None:
        match work.action:
            case AddGroup(group=name):
                await self._add_group(work, name)
            case RemoveGroup(group=name):
                await self._remove_group(work, name)
            case AddAddress(network_id=network_id):
                await self._add_address(work, network_id)
            case RemoveAddress(address=address):
                await self._remove_address(work, address)
            case AddFloatingIp() as action:
                await _explained(work.action, partial(associate, _addresses(work), action))
            case RemoveFloatingIp() as action:
                await _explained(work.action, partial(disassociate, _addresses(work), action))
            case _:
                assert_never(work.action)

    async def _add_group(self, work: _Work, name: str) -> None:
        group = await _find_group(work, name)
        if not all(may_have_group(port) for port in work.ports):
            raise groups_not_applicable()
        changed = await all_of(
            partial(_change, work, port, partial(_with_group, group.id)) for port in work.ports
        )
        present = [port for port in changed if port is not None]
        if not present:
            raise refusals.no_ports(work.asked.server_id)
        await self._live.equalise_groups(work.site, present)

    async def _remove_group(self, work: _Work, name: str) -> None:
        """Take the group away; where the top has done so already only the twins follow."""
        group = await _find_group(work, name)
        having = [port for port in work.ports if group.id in port.security_groups]
        changed = await all_of(
            partial(_change, work, port, partial(_without_group, group.id)) for port in having
        )
        ports = {port.id: port for port in work.ports}
        ports.update({port.id: port for port in changed if port is not None})
        twin = await self._find_group_twin(work.site, group)
        taken = await self._live.equalise_groups(work.site, list(ports.values()))
        if not having and twin not in taken:
            raise refusals.group_not_associated(name, work.asked.server_id)

    async def _find_group_twin(self, site: Site, group: SecurityGroup) -> BottomId | None:
        row = await find_active(self._stores.routings, Kind.SECURITY_GROUP, group.id, site.pod_id)
        return row.bottom_id if row is not None else None

    async def _add_address(self, work: _Work, network_id: str) -> None:
        """Give the first port on the network an address of the first subnet that has one."""
        list_subnets = partial(work.as_caller.list_all, Subnet, network_id=network_id)
        subnets = await _explained(work.action, list_subnets)
        ports = [port for port in work.ports if port.network_id == network_id]
        refused: NeutronRefused | None = None
        for port in ports:
            for subnet in subnets:
                try:
                    given = await _try_change(work, port, partial(_with_address, subnet.id))
                except NeutronRefused as refusal:
                    if refusal.status in _NOT_THE_CALLERS or refusal.status >= 500:
                        raise refusals.action_refused(refusal, work.action) from None
                    refused = refusal
                    continue
                if given is not None:
                    await self._live.equalise_addresses(work.site, [given])
                    return
        if refused is not None and refused.reason == _NO_ADDRESS:
            raise refusals.no_more_addresses(network_id)
        raise refusals.network_not_of_server(work.asked.server_id)

    async def _remove_address(self, work: _Work, address: str) -> None:
        """Take an address from the twin, then from the top.

        The caller's right to do so is asked for before, by leaving the addresses as they are.
        """
        having = [port for port in work.ports if has_address(port, address)]
        if not having:
            raise refusals.address_not_of_server(work.asked.server_id, address)
        port = await _change(work, having[0], addresses_of)
        if port is None:
            raise refusals.address_not_of_server(work.asked.server_id, address)
        rest = replace(port, fixed_ips=addresses_without(port, address))
        await self._live.put_addresses(work.site, rest)
        try:
            changed = await _try_change(work, port, partial(_without_address, address))
        except NeutronRefused as refusal:
            await self._live.equalise_addresses(work.site, [port])
            raise refusals.action_refused(refusal, work.action) from None
        if changed is not None:
            await self._live.equalise_addresses(work.site, [changed])


async def _find_group(work: _Work, name: str) -> SecurityGroup:
    """Return the group that a name or id means, of a server that has ports."""
    asked = work.asked
    project_id = asked.caller.project_id or ProjectId("")
    errand = Errand(Form.GROUP_ACTION, project_id, "", "", work.as_caller, work.site.top)
    (group,) = await find_groups(errand, [name])
    if not work.ports:
        raise refusals.no_ports(asked.server_id)
    return group


async def _change(work: _Work, port: Port, change: Change) -> Port | None:
    """Return a port as the caller's token has changed it, None when it is gone."""
    return await _explained(work.action, partial(_try_change, work, port, change))


async def _try_change(work: _Work, port: Port, change: Change) -> Port | None:
    """As ``_change``, with what Neutron says. A port that others change is read again."""
    latest: Port | None = port
    for _ in range(_ATTEMPTS):
        if latest is None:
            return None
        try:
            return await work.as_caller.update(
                Port, port.id, change(latest), latest.revision_number
            )
        except NeutronRefused as refusal:
            if refusal.status != _PRECONDITION_FAILED:
                raise
        latest = await work.as_caller.find(Port, port.id)
    raise refusals.port_changed_meanwhile(port.id)


async def _explained(action: ServerAction, call: Callable[[], Awaitable[V]]) -> V:
    try:
        return await call()
    except NeutronRefused as refusal:
        raise refusals.action_refused(refusal, action) from None


def _addresses(work: _Work) -> ServerAddresses:
    return ServerAddresses(work.asked.server_id, work.ports, work.as_caller)


def _with_group(group_id: str, port: Port) -> Values:
    return groups_with(port, group_id)


def _without_group(group_id: str, port: Port) -> Values:
    return groups_without(port, group_id)


def _with_address(subnet_id: str, port: Port) -> Values:
    return addresses_with(port, subnet_id)


def _without_address(address: str, port: Port) -> Values:
    return addresses_of(replace(port, fixed_ips=addresses_without(port, address)))
