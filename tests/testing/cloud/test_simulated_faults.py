"""Every fault does on the wire what its name says, and the log shows what arrived."""

import asyncio
import json
import sys

import aiohttp
import pytest

from tests.testing.cloud.conftest import Clients
from tricircle.testing.cloud import (
    AddHeaders,
    CountedIds,
    Delay,
    Endless,
    Garbage,
    Hang,
    LoseAnswer,
    Redirect,
    Refuse,
    Reply,
    SetClock,
    SimulatedCloud,
    Truncate,
    serve,
    serve_pod,
)


async def test_a_refused_request_ends_without_an_answer(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova = clients.compute()
    cloud.pod("pod1").faults.inject(Refuse(), service="compute", method="POST", times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await nova.post("/servers", {})
    assert (await nova.post("/servers", {})).status == 400
    assert (await nova.get("/servers")).status == 200


async def test_a_lost_answer_leaves_the_deed_done(cloud: SimulatedCloud, clients: Clients) -> None:
    pod = cloud.pod("pod1")
    pod.faults.inject(LoseAnswer(), service="volume", method="POST", path="/volumes$")
    with pytest.raises(aiohttp.ClientConnectionError):
        await clients.volume().post("/volumes", {"volume": {"size": 1}})
    assert len(pod.volume.volumes) == 1


async def test_what_hangs_goes_on_when_it_is_released(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    injection = cloud.pod("pod1").faults.inject(Hang())
    waiting = asyncio.create_task(clients.compute().get("/servers"))
    while not injection.hits:  # noqa: ASYNC110 - what arrives has no event
        await asyncio.sleep(0.001)
    assert not waiting.done()
    injection.release()
    assert (await waiting).status == 200


async def test_a_fault_strikes_after_some_good_answers(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova = clients.compute()
    injection = cloud.pod("pod1").faults.inject(Reply(503), path="/servers", after=2, times=1)
    statuses = [(await nova.get("/servers")).status for _ in range(4)]
    assert statuses == [200, 200, 503, 200]
    assert injection.hits == 1


async def test_an_answer_can_be_garbage_or_cut_short(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    nova, faults = clients.compute(), cloud.pod("pod1").faults
    faults.inject(Garbage(), times=1)
    answer = await nova.get("/servers")
    with pytest.raises(ValueError, match="truncated"):
        _ = answer.json
    faults.inject(Truncate(), times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await nova.get("/servers")


async def test_a_body_can_be_endless(cloud: SimulatedCloud, clients: Clients) -> None:
    cloud.pod("pod1").faults.inject(Endless())
    nova = clients.compute()
    async with clients.session.get(nova.root + "/servers") as answer:
        read = 0
        while read < 1_000_000:
            read += len(await answer.content.read(100_000))
    assert answer.status == 200


async def test_headers_and_redirects_can_be_put_in(cloud: SimulatedCloud, clients: Clients) -> None:
    nova, faults = clients.compute(), cloud.pod("pod1").faults
    faults.inject(AddHeaders((("x-split", "a\r\nset-cookie: stolen=1"),)), times=1)
    answer = await nova.get("/servers")
    assert answer.headers["set-cookie"] == "stolen=1"
    faults.inject(Redirect("http://169.254.169.254/"), times=1)
    redirect = await nova.get("/servers")
    assert (redirect.status, redirect.headers["location"]) == (302, "http://169.254.169.254/")


async def test_a_delay_only_costs_time(cloud: SimulatedCloud, clients: Clients) -> None:
    cloud.pod("pod1").faults.inject(Delay(0.01))
    assert (await clients.compute().get("/servers")).status == 200


async def test_a_pod_that_is_down_leaves_the_others_alone(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    cloud.pod("pod1").faults.down()
    with pytest.raises(aiohttp.ClientConnectionError):
        await clients.network().get("/networks")
    assert (await clients.compute(pod="pod2").get("/servers")).status == 200
    cloud.pod("pod1").faults.up()
    assert (await clients.network().get("/networks")).status == 200


async def test_a_pod_on_a_port_of_its_own_can_really_refuse(cloud: SimulatedCloud) -> None:
    token = cloud.token("demo", "demo")
    async with aiohttp.ClientSession(headers={"X-Auth-Token": token}) as session:
        async with serve_pod(cloud, "pod2") as url:
            assert cloud.catalogue.find_url("pod2", "compute", "") == f"{url}/pod2/compute/v2.1"
            async with session.get(f"{url}/pod2/compute/v2.1/servers") as answer:
                assert answer.status == 200
            async with session.get(f"{url}/pod1/compute/v2.1/servers") as answer:
                assert answer.status == 404
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/pod2/compute/v2.1/servers")


async def test_the_log_shows_what_arrived(cloud: SimulatedCloud, clients: Clients) -> None:
    nova = clients.compute()
    await nova.post("/servers?x=1", {"server": {}}, X_Roles="admin")
    [received] = cloud.pod("pod1").requests.list_for("compute", "POST", "/servers")
    assert received.find_header("X-Roles") == "admin"
    assert (received.query, received.json) == ("x=1", {"server": {}})
    assert cloud.pod("pod2").requests.list_for() == []


def test_two_clouds_given_the_same_ids_are_the_same() -> None:
    def names() -> list[str]:
        cloud = SimulatedCloud(clock=SetClock(), ids=CountedIds())
        made = cloud.pod("pod1").compute.add_servers(3, cloud.project_id("demo"))
        return [server.uuid for server in made]

    assert names() == names()


async def test_it_runs_in_a_process_of_its_own() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tricircle.testing.cloud", "--pods", "3", "--servers", "2",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    facts = json.loads(await program.stdout.readline())
    headers = {"X-Auth-Token": facts["token"]}
    url = f"{facts['url']}/pod3/compute/v2.1/servers"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url) as answer,
    ):
        names = {server["name"] for server in (await answer.json())["servers"]}
    program.terminate()
    await program.wait()
    assert names == {"pod3-server-0", "pod3-server-1"}


async def test_a_cloud_can_be_served_twice(cloud: SimulatedCloud) -> None:
    async with serve(cloud.app) as one, serve(cloud.app) as other:
        assert one != other
