"""Server groups whose servers are in several pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.credential import make_credential
from tricircle.adapters.cloud.http import HttpCloud, make_cloud
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.errors import PodError
from tricircle.core.jobs import DeleteServerGroup
from tricircle.core.model import (
    Caller,
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    Service,
    TopId,
    UserId,
)
from tricircle.core.placing import Topology
from tricircle.core.runs import Errand, JobState
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import LoseAnswer, Reply, SimulatedCloud
from tricircle.usecases.ensure import Patience, TwinMaker
from tricircle.usecases.server_group_removal import ServerGroupRemoval
from tricircle.usecases.server_groups import ServerGroupTwins

ERRAND = Errand("req-job", 1)
FAST = "[gateway]\nprobe_interval_s = 0.2\n"
FULL = Reply(403, b'{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}')


@dataclass(frozen=True, slots=True)
class World:
    """A top without job worker, whose requests are sent by one user."""

    top: Top
    http: aiohttp.ClientSession
    stores: SqlStores
    cloud: HttpCloud

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        version: str = "2.96",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, str]:
        """Return status, body and the pods that are missing from an answer."""
        sent = {**(headers or self.top.member()), "OpenStack-API-Version": f"compute {version}"}
        url = f"{self.top.compute}/v2.1{path}"
        async with self.http.request(method, url, headers=sent, json=body) as response:
            text = await response.text()
            missing = response.headers.get("X-Tricircle-Missing-Pods", "")
            return response.status, json.loads(text) if text else None, missing

    async def make(self, policy: str = "anti-affinity", name: str = "g", **more: Any) -> str:
        """Return the id of a new group."""
        body = {"server_group": {"name": name, "policy": policy, **more}}
        status, made, _ = await self.send("POST", "/os-server-groups", body)
        assert status == 200, made
        return str(made["server_group"]["id"])

    async def boot(
        self, group_id: str, zone: str | None = None, *, headers: Any = None, **more: Any
    ) -> tuple[int, Any]:
        """Return status and body of a boot into a group."""
        server = {
            "name": "s",
            "flavorRef": "1",
            "imageRef": next(iter(self.top.cloud.images.items)),
            "networks": "none",
            **({"availability_zone": zone} if zone else {}),
            **more,
        }
        body = {"server": server, "os:scheduler_hints": {"group": group_id}}
        status, made, _ = await self.send("POST", "/servers", body, headers=headers)
        return status, made

    def groups(self, pod: str) -> list[Any]:
        """Return the groups that a pod has."""
        return list(self.top.cloud.pod(pod).compute.groups.items.values())

    def servers(self) -> list[int]:
        """Return how many servers each pod has."""
        return [len(pod.compute.servers) for pod in self.top.cloud.pods.values()]

    async def down(self, pod: str) -> None:
        """Have a pod answer nothing, and the gateway know it."""
        self.top.cloud.pod(pod).faults.down()
        await self._wait_until(pod, False)

    async def up(self, pod: str) -> None:
        """Have a pod answer again, and the gateway know it."""
        self.top.cloud.pod(pod).faults.up()
        await self._wait_until(pod, True)

    async def _wait_until(self, pod: str, alive: bool) -> None:
        admin = self.top.headers("admin", "admin")
        async with asyncio.timeout(20.0):
            while True:
                _, body, _ = await self.send("GET", "/os-availability-zone/detail", headers=admin)
                hosts = [zone["hosts"].get(pod) for zone in body["availabilityZoneInfo"]]
                if [host["nova-compute"]["available"] for host in hosts if host] == [alive]:
                    return
                await asyncio.sleep(0.05)

    async def jobs(self) -> Sequence[DeleteServerGroup]:
        """Return the jobs that wait to delete groups."""
        found = await self.stores.records.list_jobs(JobFilter(state=JobState.NEW), 100)
        return [one.job for one in found if isinstance(one.job, DeleteServerGroup)]

    async def work(self) -> None:
        """Do those jobs."""
        credential = make_credential(self.top.settings)
        removal = ServerGroupRemoval(
            self.cloud, credential, self.stores.routings, self.stores.pods, 5.0
        )
        for job in await self.jobs():
            await removal.run(job, ERRAND)
            await removal.run(job, ERRAND)
        credential.close()


@asynccontextmanager
async def open_world(
    folder: Path, zones: dict[str, str] | None = None, options: str = FAST
) -> AsyncIterator[World]:
    """Yield a world of two pods."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with (
        open_top_without_worker(folder, cloud, options, zones) as top,
        aiohttp.ClientSession() as http,
    ):
        database = open_database(top.settings.database.connection)
        pods = make_cloud(top.settings.gateway, Service.COMPUTE)
        pods.update_pods(tuple(top.pods.values()))
        yield World(top, http, SqlStores(database), pods)
        await pods.close()
        await database.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two pods, zones az1 and az2."""
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[World]:
    """Two pods, both of zone az1."""
    async with open_world(tmp_path, {"pod1": "az1", "pod2": "az1"}) as opened:
        yield opened


# Twins.


async def test_a_group_is_in_other_pods_only_when_a_server_of_it_is(world: World) -> None:
    group_id = await world.make(rules={"max_server_per_host": 2})
    assert [len(world.groups(pod)) for pod in ("pod1", "pod2")] == [1, 0]
    assert (await world.boot(group_id, "az2"))[0] == 202
    [twin] = world.groups("pod2")
    assert twin.name == f"g tricircle:{group_id}"
    assert (twin.policy, twin.rules) == ("anti-affinity", {"max_server_per_host": 2})
    assert twin.project_id == world.groups("pod1")[0].project_id


async def test_servers_that_come_at_once_share_one_twin(world: World) -> None:
    group_id = await world.make("soft-anti-affinity")
    answers = await asyncio.gather(*(world.boot(group_id, "az2") for _ in range(6)))
    assert {status for status, _ in answers} == {202}
    [twin] = world.groups("pod2")
    assert len(twin.members) == 6


async def test_several_servers_of_one_request_are_all_in_the_group(world: World) -> None:
    group_id = await world.make("affinity")
    assert (await world.boot(group_id, "az2", min_count=3))[0] == 202
    _, shown, _ = await world.send("GET", f"/os-server-groups/{group_id}")
    assert len(shown["server_group"]["members"]) == 3
    assert world.servers() == [0, 3]


async def test_a_group_that_a_pod_had_before_has_servers_in_another_one(world: World) -> None:
    body = {"server_group": {"name": "old", "policies": ["anti-affinity"]}}
    url = f"{world.top.pods['pod2'].endpoints[Service.COMPUTE].url}/os-server-groups"
    async with world.http.post(url, headers=world.top.member(), json=body) as response:
        group_id = (await response.json())["server_group"]["id"]
    assert (await world.boot(group_id, "az1"))[0] == 202
    [twin] = world.groups("pod1")
    assert twin.name == f"old tricircle:{group_id}"
    _, listed, _ = await world.send("GET", "/os-server-groups")
    assert [(one["id"], one["name"]) for one in listed["server_groups"]] == [(group_id, "old")]
    assert len(listed["server_groups"][0]["members"]) == 1


async def test_the_id_of_a_twin_means_nothing_to_users(world: World) -> None:
    group_id = await world.make()
    await world.boot(group_id, "az2")
    [twin] = world.groups("pod2")
    for method in ("GET", "DELETE"):
        status, _, _ = await world.send(method, f"/os-server-groups/{twin.id}")
        assert status == 404
    assert (await world.boot(twin.id, "az2"))[0] == 400


async def test_a_pod_that_takes_no_more_groups_takes_no_server_of_one(world: World) -> None:
    group_id = await world.make()
    world.top.cloud.pod("pod2").compute.groups.quota = 0
    status, body = await world.boot(group_id, "az2")
    assert status == 503
    assert "too many server groups" in body["serviceUnavailable"]["message"]


async def test_a_twin_whose_making_was_cut_short_is_found_again(world: World) -> None:
    group_id = await world.make()
    twins = make_twins(world)
    faults = world.top.cloud.pod("pod2").faults
    lost = faults.inject(LoseAnswer(), service="compute", method="POST")
    hint = json.dumps({"os:scheduler_hints": {"group": group_id}}).encode()
    joining = await twins.join(hint, caller_of(world), "req-1")
    assert joining is not None
    with pytest.raises(PodError):
        await joining.enter(world.top.pods["pod2"], hint)
    faults.remove(lost)
    entered = await joining.enter(world.top.pods["pod2"], hint)
    [twin] = world.groups("pod2")
    assert json.loads(entered) == {"os:scheduler_hints": {"group": twin.id}}


def make_twins(world: World) -> ServerGroupTwins:
    """Return what makes twins, with hardly any patience."""
    stores, ids = world.stores, iter(range(1000))
    maker = TwinMaker(
        stores.routings, SystemClock(), lambda: f"owner-{next(ids)}", Patience(1.0, 5.0)
    )
    topology = Topology(tuple(world.top.pods.values()))
    return ServerGroupTwins(
        world.cloud, stores.routings, stores.bindings, maker, lambda: topology, 5.0
    )


def caller_of(world: World) -> Caller:
    """Return a member of the project."""
    project_id = ProjectId(world.top.cloud.project_id("demo"))
    token = world.top.member()["X-Auth-Token"]
    return Caller(UserId("u"), project_id, frozenset({"member"}), token)


# What users see.


async def test_groups_of_all_pods_are_one_list_that_can_be_cut(world: World) -> None:
    first = await world.make(name="one")
    await world.down("pod1")
    second = await world.make(name="two")
    await world.up("pod1")
    await world.boot(first, "az2")

    async def names(query: str) -> list[str]:
        _, listed, _ = await world.send("GET", f"/os-server-groups{query}")
        return [one["name"] for one in listed["server_groups"]]

    assert await names("") == ["one", "two"]
    assert await names("?limit=1") == ["one"]
    assert await names("?limit=0&offset=1") == ["two"]
    assert await names("?limit=1&offset=1&limit=2") == ["two"]
    assert {first, second} == {one.id for pod in ("pod1", "pod2") for one in world.groups(pod)} - {
        twin.id for twin in world.groups("pod2") if "tricircle" in twin.name
    }


async def test_long_lists_are_read_to_their_end(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.compute.groups.quota, pod.compute.max_limit = -1, 110
    for number in range(130):
        await world.make(name=str(number))
    _, listed, _ = await world.send("GET", "/os-server-groups")
    assert [one["name"] for one in listed["server_groups"]] == [str(n) for n in range(130)]


async def test_a_group_is_shown_without_the_pod_that_is_down(world: World) -> None:
    group_id = await world.make(name="far")
    await world.boot(group_id, "az1")
    await world.boot(group_id, "az2")
    whole = (await world.send("GET", f"/os-server-groups/{group_id}"))[1]["server_group"]
    await world.down("pod1")
    status, shown, missing = await world.send("GET", f"/os-server-groups/{group_id}")
    assert (status, missing) == (200, "pod1")
    assert shown["server_group"] == {**whole, "members": whole["members"][1:]}
    status, listed, missing = await world.send("GET", "/os-server-groups")
    assert (status, missing) == (200, "pod1")
    assert listed["server_groups"] == [shown["server_group"]]
    await world.down("pod2")
    status, _, _ = await world.send("GET", f"/os-server-groups/{group_id}")
    assert status == 503


async def test_a_list_without_a_pod_can_be_refused(tmp_path: Path) -> None:
    async with open_world(tmp_path, options=f"{FAST}partial_lists = no\n") as world:
        await world.make()
        await world.down("pod2")
        assert (await world.send("GET", "/os-server-groups"))[0] == 503
        admin = world.top.headers("admin", "admin")
        assert (await world.send("GET", "/os-aggregates", headers=admin))[0] == 503


async def test_a_group_is_made_while_a_pod_is_down_or_disabled(world: World) -> None:
    await world.down("pod1")
    await world.make()
    assert len(world.groups("pod2")) == 1


async def test_the_quota_of_groups_is_not_that_of_all_pods_together(world: World) -> None:
    world.top.cloud.pod("pod1").compute.groups.quota = 1
    await world.make()
    body = {"server_group": {"name": "g", "policy": "affinity"}}
    status, answer, _ = await world.send("POST", "/os-server-groups", body)
    message = "Quota exceeded, too many server groups."
    assert (status, answer["forbidden"]["message"]) == (403, message)
    assert world.groups("pod2") == []


async def test_servers_show_the_group_by_its_id_at_the_top(world: World) -> None:
    group_id = await world.make()
    _, made = await world.boot(group_id, "az2")
    path = f"/servers/{made['server']['id']}"
    _, shown, _ = await world.send("GET", path, version="2.100")
    assert shown["server"]["server_groups"] == [group_id]
    assert shown["server"]["scheduler_hints"] == {"group": group_id}
    change = {"server": {"name": "renamed"}}
    _, changed, _ = await world.send("PUT", path, change, version="2.71")
    assert changed["server"]["server_groups"] == [group_id]
    _, listed, _ = await world.send("GET", "/servers/detail", version="2.100")
    assert [one["scheduler_hints"] for one in listed["servers"]] == [{"group": group_id}]


# Where servers go.


async def test_an_affinity_group_stays_in_the_pod_of_its_first_server(shared: World) -> None:
    group_id = await shared.make("affinity")
    refusal = shared.top.cloud.pod("pod1").faults.inject(FULL, service="compute", path="/servers$")
    assert (await shared.boot(group_id, "az1"))[0] == 202
    shared.top.cloud.pod("pod1").faults.remove(refusal)
    assert [(await shared.boot(group_id, "az1"))[0] for _ in range(2)] == [202, 202]
    assert shared.servers() == [0, 3]


async def test_first_servers_at_once_are_in_one_pod(shared: World) -> None:
    group_id = await shared.make("affinity")
    answers = await asyncio.gather(*(shared.boot(group_id) for _ in range(8)))
    assert {status for status, _ in answers} == {202}
    assert sorted(shared.servers()) == [0, 8]


async def test_the_pod_of_an_affinity_group_is_not_left_when_it_is_full_or_down(
    shared: World,
) -> None:
    group_id = await shared.make("affinity")
    await shared.boot(group_id, "az1")
    refusal = shared.top.cloud.pod("pod1").faults.inject(FULL, service="compute", path="/servers$")
    assert (await shared.boot(group_id, "az1"))[0] == 403
    shared.top.cloud.pod("pod1").faults.remove(refusal)
    await shared.down("pod1")
    assert (await shared.boot(group_id, "az1"))[0] == 503
    assert shared.servers() == [1, 0]


async def test_an_affinity_group_without_servers_begins_anew(world: World) -> None:
    group_id = await world.make("affinity")
    _, made = await world.boot(group_id, "az2")
    status, body = await world.boot(group_id, "az1")
    assert status == 400
    assert "is in pod pod2" in body["badRequest"]["message"]
    await world.send("DELETE", f"/servers/{made['server']['id']}")
    assert (await world.boot(group_id, "az1"))[0] == 202
    assert (await world.boot(group_id, "az2"))[0] == 400


async def test_soft_affinity_is_a_wish(shared: World) -> None:
    group_id = await shared.make("soft-affinity")
    refusal = shared.top.cloud.pod("pod1").faults.inject(FULL, service="compute", path="/servers$")
    await shared.boot(group_id, "az1")
    shared.top.cloud.pod("pod1").faults.remove(refusal)
    await shared.boot(group_id, "az1")
    assert shared.servers() == [0, 2]
    await shared.down("pod2")
    await shared.boot(group_id, "az1")
    assert shared.servers() == [1, 2]


async def test_a_group_of_another_project_takes_servers_where_it_is(world: World) -> None:
    group_id = await world.make()
    admin = world.top.headers("other", "admin")
    assert (await world.boot(group_id, "az1", headers=admin))[0] == 202
    assert (await world.boot(group_id, "az2", headers=admin))[0] == 400
    assert world.groups("pod2") == []


# Deletion.


async def test_a_deleted_group_is_gone_from_all_pods(world: World) -> None:
    group_id = await world.make("affinity")
    await world.boot(group_id, "az2")
    assert (await world.send("DELETE", f"/os-server-groups/{group_id}"))[0] == 204
    assert [world.groups(pod) for pod in ("pod1", "pod2")] == [[], []]
    assert await world.stores.routings.find_routings(Kind.SERVER_GROUP, TopId(group_id)) == []
    assert await world.jobs() == []


@pytest.mark.parametrize("dead", ["pod1", "pod2"])
async def test_what_a_dead_pod_has_of_a_deleted_group_goes_by_a_job(
    world: World, dead: str
) -> None:
    group_id = await world.make()
    await world.boot(group_id, "az1")
    await world.boot(group_id, "az2")
    await world.down(dead)
    assert (await world.send("DELETE", f"/os-server-groups/{group_id}"))[0] == 204
    await world.up(dead)
    assert (await world.send("GET", "/os-server-groups"))[1]["server_groups"] == []
    assert (await world.send("GET", f"/os-server-groups/{group_id}"))[0] == 404
    assert (await world.boot(group_id, "az1"))[0] == 400
    assert len(world.groups(dead)) == 1
    await world.work()
    assert world.groups(dead) == []
    assert await world.stores.routings.find_routings(Kind.SERVER_GROUP, TopId(group_id)) == []


async def test_a_group_whose_only_pod_is_down_is_not_deleted(world: World) -> None:
    group_id = await world.make()
    await world.down("pod1")
    assert (await world.send("DELETE", f"/os-server-groups/{group_id}"))[0] == 503
    await world.up("pod1")
    assert (await world.send("GET", f"/os-server-groups/{group_id}"))[0] == 200


async def test_a_twin_that_was_never_written_down_goes_too(world: World) -> None:
    group_id = await world.make()
    await world.boot(group_id, "az2")
    [twin] = world.groups("pod2")
    pod_id = PodId(world.top.pods["pod2"].id)
    routings = world.stores.routings
    await routings.forget_routing(Kind.SERVER_GROUP, TopId(group_id), pod_id)
    making = Routing(
        Kind.SERVER_GROUP,
        TopId(group_id),
        pod_id,
        None,
        ProjectId(twin.project_id),
        RoutingState.CREATING,
        Origin.GATEWAY,
    )
    await routings.claim_routing(making, "somebody", 0.0)
    assert (await world.send("DELETE", f"/os-server-groups/{group_id}"))[0] == 204
    await world.work()
    assert world.groups("pod2") == []


async def test_a_group_that_its_pods_have_lost_is_forgotten(world: World) -> None:
    group_id = await world.make()
    world.top.cloud.pod("pod1").compute.groups.items.clear()
    status, body, _ = await world.send("GET", f"/os-server-groups/{group_id}")
    message = f"Instance group {group_id} could not be found."
    assert (status, body["itemNotFound"]["message"]) == (404, message)
    assert await world.stores.routings.find_routings(Kind.SERVER_GROUP, TopId(group_id)) == []
