"""Nova's proxies to Neutron: the top's own Neutron holds what users see, so the top answers.

What Nova's schemas refuse is left to a pod's Nova, which does nothing but say so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

from tricircle.core.model import Caller, ProjectId
from tricircle.core.network.proxy_requests import read_floating_ip, read_group, read_rule
from tricircle.core.network.proxy_views import view_network, view_pool, view_tenant_network
from tricircle.core.query import list_values
from tricircle.core.roles import is_admin, require_member, require_reader
from tricircle.core.slices import read_slice
from tricircle.core.table import Match
from tricircle.gateway.answers import JSON, Answer, json_answer
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.proxies import FloatingIpProxy, GroupProxy, NetworkProxy

FindServer = Callable[[str, Caller], Awaitable[object]]
"""Raises NotFound in Nova's words for a server that a caller does not see."""

_NETWORKS = "os_compute_api:os-networks"
_TENANT_NETWORKS = "os_compute_api:os-tenant-networks"
_FLOATING_IPS = "os_compute_api:os-floating-ips"
_GROUPS = "os_compute_api:os-security-groups"
_JSON_TYPES = (b"", b"text/plain", b"application/json", b"application/vnd.openstack.compute+json")


@dataclass(frozen=True, slots=True)
class ProxyTools:
    """What all these answers are made with."""

    neutrons: Neutrons
    any_pod: AnyPod
    profile: Profile
    find_server: FindServer


class NetworkAnswers:
    """Answers ``os-networks``, ``os-tenant-networks`` and ``os-floating-ip-pools``."""

    def __init__(self, tools: ProxyTools) -> None:
        self._tools = tools

    async def list_networks(self, inbound: Inbound, match: Match) -> Answer:
        """Return the networks that the caller sees, with more fields for administrators."""
        require_reader(inbound.caller, f"{_NETWORKS}:list")
        found = await self._proxy(inbound).list_networks()
        whole = is_admin(inbound.caller)
        return self._answer(inbound, "networks", [view_network(o, for_admin=whole) for o in found])

    async def show_network(self, inbound: Inbound, match: Match) -> Answer:
        """Return one network."""
        require_reader(inbound.caller, f"{_NETWORKS}:show")
        found = await self._proxy(inbound).get_network(unquote(match.params["id"]))
        view = view_network(found, for_admin=is_admin(inbound.caller))
        return self._answer(inbound, "network", view)

    async def list_tenant_networks(self, inbound: Inbound, match: Match) -> Answer:
        """Return the networks that the caller sees."""
        require_reader(inbound.caller, f"{_TENANT_NETWORKS}:list")
        found = await self._proxy(inbound).list_networks()
        return self._answer(inbound, "networks", [view_tenant_network(one) for one in found])

    async def show_tenant_network(self, inbound: Inbound, match: Match) -> Answer:
        """Return one network."""
        require_reader(inbound.caller, f"{_TENANT_NETWORKS}:show")
        found = await self._proxy(inbound).get_network(unquote(match.params["id"]))
        return self._answer(inbound, "network", view_tenant_network(found))

    async def list_pools(self, inbound: Inbound, match: Match) -> Answer:
        """Return the external networks; everybody may ask."""
        found = await self._proxy(inbound).list_pools()
        return self._answer(inbound, "floating_ip_pools", [view_pool(one) for one in found])

    def _proxy(self, inbound: Inbound) -> NetworkProxy:
        return NetworkProxy(self._tools.neutrons.top_as(inbound.caller, inbound.request_id))

    def _answer(self, inbound: Inbound, name: str, value: object) -> Answer:
        return _answer(self._tools.profile, inbound, name, value)


class FloatingIpAnswers:
    """Answers ``os-floating-ips``."""

    def __init__(self, tools: ProxyTools) -> None:
        self._tools = tools

    async def list_all(self, inbound: Inbound, match: Match) -> Answer:
        """Return the floating IPs of the caller's project."""
        caller = inbound.caller
        require_reader(caller, f"{_FLOATING_IPS}:list")
        found = await self._proxy(inbound).list_all(caller.project_id or ProjectId(""))
        return _answer(self._tools.profile, inbound, "floating_ips", found)

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return one floating IP."""
        require_reader(inbound.caller, f"{_FLOATING_IPS}:show")
        view = await self._proxy(inbound).show(unquote(match.params["id"]))
        return _answer(self._tools.profile, inbound, "floating_ip", view)

    async def create(self, inbound: Inbound, match: Match) -> Answer:
        """Return a new floating IP."""
        asked = read_floating_ip(inbound.body) if _has_json(inbound) else None
        if asked is None:
            return await self._tools.any_pod.ask(inbound)
        require_member(inbound.caller, f"{_FLOATING_IPS}:create")
        view = await self._proxy(inbound).create(asked.pool)
        return _answer(self._tools.profile, inbound, "floating_ip", view)

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Delete a floating IP."""
        require_member(inbound.caller, f"{_FLOATING_IPS}:delete")
        await self._proxy(inbound).delete(unquote(match.params["id"]))
        return _accepted(self._tools.profile, inbound)

    def _proxy(self, inbound: Inbound) -> FloatingIpProxy:
        neutron = self._tools.neutrons.top_as(inbound.caller, inbound.request_id)
        return FloatingIpProxy(neutron, partial(self._find_server, inbound.caller))

    async def _find_server(self, caller: Caller, server_id: str) -> object:
        return await self._tools.find_server(server_id, caller)


class GroupAnswers:
    """Answers ``os-security-groups`` and ``os-security-group-rules``."""

    def __init__(self, tools: ProxyTools) -> None:
        self._tools = tools

    async def list_all(self, inbound: Inbound, match: Match) -> Answer:
        """Return a slice of the groups of the caller's project, or of all for administrators."""
        wanted = read_slice(inbound.query)
        if wanted is None:
            return await self._tools.any_pod.ask(inbound)
        caller = inbound.caller
        require_reader(caller, f"{_GROUPS}:get")
        everyones = is_admin(caller) and bool(list_values(inbound.query, "all_tenants"))
        proxy = self._proxy(inbound)
        found = await proxy.list_all(caller, everyones=everyones)
        views = await proxy.views(found[wanted.offset : wanted.end])
        return _answer(self._tools.profile, inbound, "security_groups", views)

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return one group."""
        require_reader(inbound.caller, f"{_GROUPS}:show")
        view = await self._proxy(inbound).show(unquote(match.params["id"]))
        return _answer(self._tools.profile, inbound, "security_group", view)

    async def create(self, inbound: Inbound, match: Match) -> Answer:
        """Return a new group."""
        asked = read_group(inbound.body) if _has_json(inbound) else None
        if asked is None:
            return await self._tools.any_pod.ask(inbound)
        require_member(inbound.caller, f"{_GROUPS}:create")
        view = await self._proxy(inbound).create(asked)
        return _answer(self._tools.profile, inbound, "security_group", view)

    async def update(self, inbound: Inbound, match: Match) -> Answer:
        """Return a group with another name and description."""
        asked = read_group(inbound.body) if _has_json(inbound) else None
        if asked is None:
            return await self._tools.any_pod.ask(inbound)
        require_member(inbound.caller, f"{_GROUPS}:update")
        view = await self._proxy(inbound).update(unquote(match.params["id"]), asked)
        return _answer(self._tools.profile, inbound, "security_group", view)

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Delete a group."""
        require_member(inbound.caller, f"{_GROUPS}:delete")
        await self._proxy(inbound).delete(unquote(match.params["id"]))
        return _accepted(self._tools.profile, inbound)

    async def create_rule(self, inbound: Inbound, match: Match) -> Answer:
        """Return a new rule."""
        asked = read_rule(inbound.body) if _has_json(inbound) else None
        if asked is None:
            return await self._tools.any_pod.ask(inbound)
        require_member(inbound.caller, f"{_GROUPS}:rule:create")
        view = await self._proxy(inbound).create_rule(asked)
        return _answer(self._tools.profile, inbound, "security_group_rule", view)

    async def delete_rule(self, inbound: Inbound, match: Match) -> Answer:
        """Delete a rule."""
        require_member(inbound.caller, f"{_GROUPS}:rule:delete")
        await self._proxy(inbound).delete_rule(unquote(match.params["id"]))
        return _accepted(self._tools.profile, inbound)

    def _proxy(self, inbound: Inbound) -> GroupProxy:
        return GroupProxy(self._tools.neutrons.top_as(inbound.caller, inbound.request_id))


def _answer(profile: Profile, inbound: Inbound, name: str, value: object) -> Answer:
    return json_answer({name: value}, headers=profile.version_headers(inbound.version))


def _accepted(profile: Profile, inbound: Inbound) -> Answer:
    return Answer(202, (JSON, *profile.version_headers(inbound.version)))


def _has_json(inbound: Inbound) -> bool:
    """Tell whether the body is of a type that Nova reads as JSON."""
    kinds = [value for name, value in inbound.headers if name == b"content-type"]
    return not kinds or kinds[0].partition(b";")[0].strip() in _JSON_TYPES
