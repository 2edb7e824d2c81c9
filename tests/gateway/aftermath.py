"""What is wrong after gateways have died: looked for in the pods and in the database."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from sqlalchemy import Table, select, text

from tests.simulated_top import Top
from tricircle.adapters.sql import Database
from tricircle.adapters.sql import tables as sql
from tricircle.core.model import Kind, RoutingState

Ports = Mapping[str, Sequence[dict[str, Any]]]
"""By project."""

_TIMES: Mapping[Table, Sequence[str]] = {
    sql.routing: ("created_at", "updated_at", "lease_until"),
    sql.job: ("due_at", "lease_until"),
    sql.pod_pause: ("until",),
    sql.quota_usage: ("counted_at",),
    sql.quota_claim: ("created_at", "expires_at"),
    sql.spare_port: ("created_at", "updated_at"),
}


async def let_an_hour_pass(database: Database) -> None:
    """Make everything in the database an hour older."""
    hour = text("INTERVAL '1' HOUR")
    for table, columns in _TIMES.items():
        await database.write(
            table.update().values({name: table.c[name] - hour for name in columns})
        )


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Everything that is there, of all projects at once."""

    servers: Mapping[str, Sequence[str]]
    volumes: Mapping[str, Sequence[str]]
    ports: Mapping[str, Ports]
    routings: Mapping[str, Sequence[Any]]
    claims: Counter[str]
    used: Mapping[tuple[str, str], int]
    """By project and resource; what nobody limits is not there."""
    groups: Mapping[str, Sequence[str]]
    taken: Mapping[str, Sequence[str]]
    """Spare ports that boots have taken, by project; those that are ready are not ``ports``."""
    shown: Mapping[str, Sequence[str]]
    """Ids of servers and volumes that the top lists, by project."""

    def wrongs(self, project_id: str) -> Iterator[str]:
        """Yield what is orphaned, doubled or miscounted in a project."""
        servers, volumes = self.servers.get(project_id, ()), self.volumes.get(project_id, ())
        for place, ports in self.ports.items():
            owners = [port["device_id"] for port in ports.get(project_id, ())]
            if place == "top" and Counter(owners) != Counter(servers):
                yield f"ports at the top are of {owners}, servers are {servers}"
            if not Counter(owners) <= Counter(servers):
                yield f"ports in {place} are of {owners}, servers are {servers}"
        if Counter(self.shown.get(project_id, ())) != Counter([*servers, *volumes]):
            yield f"the top shows {self.shown.get(project_id)}, not {servers} and {volumes}"
        known = defaultdict(set)
        for row in self.routings.get(project_id, ()):
            known[row.kind].add(row.top_id)
            if row.state != RoutingState.ACTIVE or row.bottom_id is None:
                yield f"{row.kind} {row.top_id} is {row.state}"
        tops = {port["id"] for port in self.ports["top"].get(project_id, ())}
        if known[Kind.PORT] != tops:
            yield f"ports {known[Kind.PORT]} are recorded, {tops} are there"
        if not known[Kind.SERVER] <= set(servers) or not known[Kind.VOLUME] <= set(volumes):
            yield f"{known} are recorded, {servers} and {volumes} are there"
        if self.taken.get(project_id):
            yield f"spare ports {self.taken[project_id]} are taken"
        if self.claims[project_id]:
            yield f"{self.claims[project_id]} claims are open"
        for resource, held in (("instances", servers), ("volumes", volumes)):
            used = self.used.get((project_id, resource), len(held))
            if used != len(held):
                yield f"{used} {resource} are counted, {held} are there"
        if project_id in self.groups and Counter(self.groups[project_id]) != Counter(servers):
            yield f"the group has {self.groups[project_id]}, servers are {servers}"


async def look(
    top: Top, http: aiohttp.ClientSession, database: Database, groups: Mapping[str, str]
) -> Aftermath:
    """Return what is there; ``groups`` are server groups by the project they are of."""
    pods = top.cloud.pods.values()
    claims = await database.read(
        select(sql.quota_claim.c.project_id).where(sql.quota_claim.c.expires_at.is_not(None))
    )
    usage = sql.quota_usage.c
    used = await database.read(
        select(usage.project_id, usage.resource, usage.used).where(usage.user_id == "")
    )
    rows = await database.read(select(sql.routing))
    spares = await database.read(select(sql.spare_port))
    ready = {str(row.port_id) for row in spares if row.boot_id is None}
    return Aftermath(
        _ids_by_project(
            {key: one for key, one in pod.compute.servers.items() if not one.deleted}
            for pod in pods
        ),
        _ids_by_project(pod.volume.volumes for pod in pods),
        {place: await _list_ports(top, http, place, ready) for place in ("top", *top.cloud.pods)},
        _by_project((row.project_id, row) for row in rows),
        Counter(str(row[0]) for row in claims),
        {(str(row[0]), str(row[1])): int(str(row[2])) for row in used},
        {name: await _list_members(top, http, group) for name, group in groups.items()},
        _by_project((row.project_id, row.port_id) for row in spares if row.boot_id is not None),
        await _list_shown(top, http),
    )


def _ids_by_project(held: Iterable[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    return _by_project((one.project_id, key) for some in held for key, one in some.items())


def _by_project(pairs: Iterable[tuple[Any, Any]]) -> Mapping[str, Sequence[Any]]:
    found = defaultdict(list)
    for project_id, value in pairs:
        found[project_id].append(value)
    return found


async def _list_ports(
    top: Top, http: aiohttp.ClientSession, place: str, ready: Container[str]
) -> Ports:
    url = f"{top.network.removesuffix('/top/network')}/{place}/network/v2.0/ports"
    body = await _get(http, url, top.headers("admin", "admin"))
    return _by_project(
        (port["project_id"], port)
        for port in body["ports"]
        if port["device_owner"] != "network:dhcp"
        and not _serves_twins(port)
        and not (port["id"] in ready and not port["device_id"])
    )


def _serves_twins(port: Mapping[str, Any]) -> bool:
    """Tell whether a port is none of a server: it keeps an address or is a router's."""
    return str(port["device_owner"]).startswith("network:")


async def _list_shown(top: Top, http: aiohttp.ClientSession) -> Mapping[str, Sequence[str]]:
    headers = top.headers("admin", "admin")
    admin = top.cloud.project_id("admin")
    servers = await _get(http, f"{top.compute}/v2.1/servers/detail?all_tenants=1", headers)
    volumes = await _get(http, f"{top.volume}/v3/{admin}/volumes/detail?all_tenants=1", headers)
    pairs = [(one["tenant_id"], one["id"]) for one in servers["servers"]]
    pairs += [(one["os-vol-tenant-attr:tenant_id"], one["id"]) for one in volumes["volumes"]]
    return _by_project(pairs)


async def _list_members(top: Top, http: aiohttp.ClientSession, group_id: str) -> Sequence[str]:
    url = f"{top.compute}/v2.1/os-server-groups/{group_id}"
    headers = {**top.headers("admin", "admin"), "OpenStack-API-Version": "compute 2.90"}
    members: Sequence[str] = (await _get(http, url, headers))["server_group"]["members"]
    return members


async def _get(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> Any:
    async with http.get(url, headers=headers) as response:
        answer = await response.text()
        assert response.status == 200, answer
        return json.loads(answer)
