"""What tests of spare ports have in common: a network with spares, and boots that take one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.usecases.networks_world import LATEST, World
from tricircle.core.jobs import KeepSparePorts, RepairSparePort
from tricircle.core.model import (
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.network.marks import BOOT_OWNER
from tricircle.core.network.spares import SparePort
from tricircle.core.runs import Outcome

BOOT = "boot-1"


def project_of(world: World, name: str = "demo") -> ProjectId:
    return ProjectId(world.sim.project_id(name))


async def known_network(world: World, **values: Any) -> Any:
    """Return a network of the top that a server has put into pod1, and that is gone again."""
    network = await world.add_network(**values)
    await put_into_pod(world, network["id"])
    return network


def disable(world: World) -> None:
    """Disable pod1, as an operator does."""
    world.pods["pod1"] = replace(world.pods["pod1"], enabled=False)


async def put_into_pod(world: World, network_id: str, project: str = "demo") -> None:
    """Have twins of a network and its subnets in pod1."""
    caller = world.caller(project)
    server_id, _ = await world.boot({"networks": [{"uuid": network_id}]}, caller=caller)
    await world.delete_server(server_id)
    await world.release.release_server(TopId(server_id), world.pods["pod1"], "r")


def keeping(world: World, network_id: str, project: str = "demo") -> KeepSparePorts:
    return KeepSparePorts(PodId("pod1"), TopId(network_id), project_of(world, project))


async def keep(world: World, network_id: str, project: str = "demo") -> Outcome:
    return await world.carry_out(keeping(world, network_id, project))


def repairing(spare: SparePort) -> RepairSparePort:
    return RepairSparePort(spare.pod_id, spare.port_id, spare.project_id)


async def ready(world: World, network_id: str, project: str = "demo") -> list[SparePort]:
    return list(await world.stores.spares.list_ready(TopId(network_id), project_of(world, project)))


async def rows(world: World) -> list[SparePort]:
    """Return all spares that are written down."""
    return list(await world.stores.spares.list_old(-60))


async def marked(world: World) -> list[Any]:
    """Return the ports of pod1 that look like spares."""
    ports = await world.ports("pod1")
    return [port for port in ports if port["description"].startswith("tricircle-spare:")]


async def one_spare(world: World, **values: Any) -> SparePort:
    """Return the one spare of a new network that a pod has."""
    network = await known_network(world, **values)
    await keep(world, network["id"])
    kept, *others = await ready(world, network["id"])
    for other in others:
        await world.call("pod1", "DELETE", f"/ports/{other.port_id}")
        await world.stores.spares.forget_spare(other.pod_id, other.port_id)
    return kept


@dataclass(slots=True)
class SpareBoot:
    """A boot that has a spare, in steps of which any may be the last."""

    world: World
    spare: SparePort
    group_ids: tuple[str, ...] = ()
    top_id: str = ""
    server_id: str = ""

    async def take(self) -> None:
        assert await self.world.stores.spares.take_spare(self.spare, BOOT, self.group_ids)

    async def ask_nova(self) -> None:
        """Have the pod make the server."""
        caller = self.world.caller()
        body = {"server": self.world.server(networks=[{"port": self.spare.port_id}])}
        answer = await self.world.call("pod1", "POST", "/servers", body, caller.token)
        self.server_id = answer["server"]["id"]

    async def make_top(self) -> None:
        """Make the port at the top."""
        values = {
            "network_id": self.spare.network_id,
            "mac_address": self.spare.mac_address,
            "fixed_ips": [
                {"subnet_id": one.subnet_id, "ip_address": one.ip_address}
                for one in self.spare.addresses
            ],
            "device_owner": BOOT_OWNER,
            "device_id": BOOT,
        }
        if self.group_ids:
            values["security_groups"] = list(self.group_ids)
        token = self.world.caller().token
        made = await self.world.call("top", "POST", "/ports", {"port": values}, token)
        self.top_id = made["port"]["id"]

    async def write_down(self) -> None:
        """Keep the routing of the port."""
        spare = self.spare
        row = Routing(
            Kind.PORT, TopId(self.top_id), spare.pod_id, spare.port_id, spare.project_id,
            RoutingState.ACTIVE, Origin.GATEWAY,
        )  # fmt: skip
        await self.world.stores.routings.keep_routings([row])

    async def forget(self) -> None:
        """Forget that the port was a spare."""
        await self.world.stores.spares.forget_spare(self.spare.pod_id, self.spare.port_id)

    def steps(self, *, nova_first: bool) -> list[Callable[[], Awaitable[None]]]:
        """Return the steps, Nova's answer coming first or last."""
        ours = [self.make_top, self.write_down, self.forget]
        if nova_first:
            return [self.take, self.ask_nova, *ours]
        return [self.take, *ours, self.ask_nova]


async def boot_on_spare(world: World, network_id: str) -> str:
    """Boot a server on a spare as the compute gateway does; return its id.

    What the gateway does beside ends with it, be it that it dies.
    """
    try:
        return await _boot_on_spare(world, network_id)
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


async def _boot_on_spare(world: World, network_id: str) -> str:
    networks, caller = world.networks, world.caller()
    body = json.dumps({"server": world.server(networks=[{"uuid": network_id}])}).encode()
    resolved = await networks.resolve(caller, body, LATEST, "req-boot", may_hope=True)
    placed = await networks.place_on_spare(resolved, world.pods["pod1"])
    assert placed is not None
    server_id = TopId(await world.send_boot(placed, caller))
    settled = await networks.settle(placed)
    assert settled is not None
    await networks.keep_owner(settled, server_id)
    await networks.complete(settled, server_id, "az1")
    return server_id
