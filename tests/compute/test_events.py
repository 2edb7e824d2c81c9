"""Events of other services reach the pods of their servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_aggregating import ask
from tests.gateway.test_engine import ABSENT, add_servers
from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, Reply, SimulatedCloud

PATH = "/os-server-external-events"


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    async with open_top(tmp_path, SimulatedCloud(("pod1", "pod2", "pod3"))) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def event(server_id: str, name: str = "network-changed", **more: str) -> dict[str, str]:
    return {"name": name, "server_uuid": server_id, **more}


async def tell(
    http: aiohttp.ClientSession, top: Top, *events: dict[str, str], roles: tuple[str, ...] = ()
) -> tuple[int, dict[str, Any]]:
    headers = top.headers("service", *(roles or ("service",)))
    status, body, _ = await ask(http, top, PATH, "2.100", headers, "POST", {"events": events})
    return status, body


def told(top: Top) -> dict[str, list[str]]:
    """Return the servers that events were told about, by pod."""
    return {
        name: [one["server_uuid"] for one in pod.compute.events]
        for name, pod in top.cloud.pods.items()
    }


async def test_each_event_goes_to_the_pod_of_its_server_and_no_other(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [east], [west] = add_servers(top, "pod1"), add_servers(top, "pod2")
    status, body = await tell(http, top, event(west, tag="a"), event(east), event(west, tag="b"))
    assert status == 200
    assert [one["code"] for one in body["events"]] == [200, 200, 200]
    assert [one.get("tag") for one in body["events"]] == ["a", None, "b"]
    assert told(top) == {"pod1": [east], "pod2": [west, west], "pod3": []}


async def test_a_known_server_costs_no_other_pod_a_request(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [west] = add_servers(top, "pod2")
    await ask(http, top, f"/servers/{west}", headers=top.member())
    before = len(top.cloud.pod("pod1").requests)
    status, _ = await tell(http, top, event(west))
    assert (status, len(top.cloud.pod("pod1").requests)) == (200, before)


async def test_a_server_that_is_nowhere_fails_alone(top: Top, http: aiohttp.ClientSession) -> None:
    [west] = add_servers(top, "pod2")
    status, body = await tell(http, top, event(ABSENT), event(west))
    assert status == 207
    assert [(one["code"], one["status"]) for one in body["events"]] == [
        (404, "failed"),
        (200, "completed"),
    ]


async def test_events_of_a_dead_pod_cannot_be_told_now(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [east], [west] = add_servers(top, "pod1"), add_servers(top, "pod2")
    for server_id in (east, west):
        await ask(http, top, f"/servers/{server_id}", headers=top.member())
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body = await tell(http, top, event(east), event(west))
    assert status == 207
    assert [one["code"] for one in body["events"]] == [200, 422]
    assert told(top)["pod1"] == [east]


async def test_an_unknown_server_may_be_in_the_dead_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body = await tell(http, top, event(ABSENT))
    assert (status, body["events"][0]["code"]) == (207, 422)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b'{"events": []}', b'{"events": [{"code": "good"}]}']
)
async def test_nonsense_of_a_pod_is_as_good_as_silence(
    top: Top, http: aiohttp.ClientSession, body: bytes
) -> None:
    [west] = add_servers(top, "pod2")
    await ask(http, top, f"/servers/{west}", headers=top.member())
    for status in (200, 207):
        top.cloud.pod("pod2").faults.inject(Reply(status, body))
        answered, told_of = await tell(http, top, event(west))
        assert (answered, told_of["events"][0]["code"]) == (207, 422)
        top.cloud.pod("pod2").faults.clear()


async def test_a_bad_event_lets_none_be_told(top: Top, http: aiohttp.ClientSession) -> None:
    [east], [west] = add_servers(top, "pod1"), add_servers(top, "pod2")
    status, _ = await tell(http, top, event(east), event(west, "invented"))
    assert status == 400
    assert told(top) == {"pod1": [], "pod2": [], "pod3": []}


@pytest.mark.parametrize("server_id", ["none", "", ABSENT[:-1]])
async def test_what_is_no_id_is_refused_in_novas_words(
    top: Top, http: aiohttp.ClientSession, server_id: str
) -> None:
    status, body = await tell(http, top, event(server_id))
    assert status == 400
    assert "server_uuid" in body["badRequest"]["message"]


@pytest.mark.parametrize("body", [[], {}, {"events": []}, {"events": {}}, {"events": [1]}])
async def test_a_body_without_events_is_refused_by_a_pod(
    top: Top, http: aiohttp.ClientSession, body: object
) -> None:
    headers = top.headers("service", "service")
    status, _, _ = await ask(http, top, PATH, "2.100", headers, "POST", body)
    assert status == 400


async def test_users_may_not_tell_events(top: Top, http: aiohttp.ClientSession) -> None:
    [east], [west] = add_servers(top, "pod1"), add_servers(top, "pod2")
    status, _ = await tell(http, top, event(east), event(west), roles=("member",))
    assert status == 403
    assert told(top) == {"pod1": [], "pod2": [], "pod3": []}
