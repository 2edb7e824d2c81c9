"""Merged lists through real gateways, over HTTP, in front of simulated pods."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, SimulatedCloud

PODS = ("pod1", "pod2", "pod3")
NAMES = ("a", "B", "b", "c", "\u00e4")
MISSING = "X-Tricircle-Missing-Pods"


@dataclass(frozen=True, slots=True)
class Client:
    """A member of project demo, at the top."""

    top: Top
    http: aiohttp.ClientSession
    headers: dict[str, str]

    async def get(self, url: str) -> tuple[Any, str | None]:
        """Return the body of a list and the pods that are missing from it."""
        async with self.http.get(url, headers=self.headers) as response:
            assert response.status == 200, await response.text()
            return await response.json(), response.headers.get(MISSING)

    async def follow(self, url: str, key: str) -> list[list[str]]:
        """Return the ids of each page, following ``next`` links."""
        pages: list[list[str]] = []
        link: str | None = url
        while link is not None:
            body, _ = await self.get(link)
            pages.append([item["id"] for item in body[key]])
            links = {one["rel"]: one["href"] for one in body.get(f"{key}_links", [])}
            link = links.get("next")
        return pages

    async def until_whole(self, url: str) -> None:
        """Wait until no pod is missing from a list: one that was dead is probed again first."""
        async with asyncio.timeout(20):
            while (await self.get(url))[1] is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def follow_markers(self, url: str, key: str) -> list[list[str]]:
        """Return the ids of each page, sending the last id as marker until nothing comes."""
        pages: list[list[str]] = []
        marker = ""
        while not pages or pages[-1]:
            body, _ = await self.get(url + marker)
            pages.append([item["id"] for item in body[key]])
            marker = f"&marker={pages[-1][-1]}" if pages[-1] else ""
        return pages


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a top over three pods with servers and volumes, made in the same seconds."""
    cloud = SimulatedCloud(PODS)
    dice, project = random.Random(7), cloud.project_id("demo")  # noqa: S311
    for name in PODS:
        pod = cloud.pod(name)
        for server in pod.compute.add_servers(7, project, spread_s=2):
            server.display_name, server.key_name = dice.choice(NAMES), dice.choice((None, "k"))
        for volume in pod.volume.add_volumes(7, project, spread_s=2):
            volume.display_name, volume.size = dice.choice((None, "", *NAMES)), dice.randint(1, 3)
    async with open_top(tmp_path, cloud) as top, aiohttp.ClientSession() as http:
        yield Client(top, http, top.member())


def flat(pages: list[list[str]]) -> list[str]:
    return [row_id for page in pages for row_id in page]


@pytest.mark.parametrize("key", ["created_at", "display_name", "uuid", "key_name", "power_state"])
@pytest.mark.parametrize("way", ["asc", "desc"])
async def test_pages_of_servers_make_up_the_whole_list(client: Client, key: str, way: str) -> None:
    url = f"{client.top.compute}/v2.1/servers?sort_key={key}&sort_dir={way}"
    [whole] = await client.follow(url, "servers")
    assert len(set(whole)) == len(whole) == 21
    pages = await client.follow(f"{url}&limit=4", "servers")
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 1]
    assert flat(pages) == whole
    assert flat(await client.follow_markers(f"{url}&limit=4", "servers")) == whole


@pytest.mark.parametrize("sort", ["created_at", "name:asc", "name:desc", "size:asc,name", "id"])
async def test_pages_of_volumes_make_up_the_whole_list(client: Client, sort: str) -> None:
    url = f"{client.top.volume}/v3/volumes/detail?sort={sort}"
    [whole] = await client.follow(url, "volumes")
    assert len(set(whole)) == len(whole) == 21
    pages = await client.follow(f"{url}&limit=4", "volumes")
    assert flat(pages) == whole
    assert flat(await client.follow_markers(f"{url}&limit=4", "volumes")) == whole


async def test_detailed_pages_are_sorted_by_what_they_show(client: Client) -> None:
    url = f"{client.top.compute}/v2.1/servers/detail?sort_key=display_name&sort_dir=asc"
    body, _ = await client.get(url)
    names = [server["name"].casefold() for server in body["servers"]]
    assert names == sorted(names)


async def test_a_pod_that_dies_between_pages_and_returns_costs_no_row(client: Client) -> None:
    url = f"{client.top.compute}/v2.1/servers?limit=4"
    [whole] = await client.follow(f"{client.top.compute}/v2.1/servers", "servers")
    body, missing = await client.get(url)
    seen = [server["id"] for server in body["servers"]]
    assert missing is None
    client.top.cloud.pod("pod2").faults.inject(Refuse())
    body, missing = await client.get(body["servers_links"][0]["href"])
    seen += [server["id"] for server in body["servers"]]
    assert missing == "pod2"
    client.top.cloud.pod("pod2").faults.clear()
    link = body["servers_links"][0]["href"]
    await client.until_whole(link)
    seen += flat(await client.follow(link, "servers"))
    assert sorted(seen) == sorted(whole)


async def test_a_zone_chooses_the_pods_and_is_shown_as_the_tops(client: Client) -> None:
    url = f"{client.top.volume}/v3/volumes/detail?availability_zone=az2&limit=5"
    pages = await client.follow(url, "volumes")
    assert sorted(flat(pages)) == sorted(client.top.cloud.pod("pod2").volume.volumes)
    body, _ = await client.get(url)
    assert {volume["availability_zone"] for volume in body["volumes"]} == {"az2"}


async def test_next_links_point_at_the_top(client: Client) -> None:
    body, _ = await client.get(f"{client.top.compute}/v2.1/servers/detail?limit=1")
    assert body["servers_links"][0]["rel"] == "next"
    href = body["servers_links"][0]["href"]
    assert href.startswith(f"{client.top.compute}/v2.1/servers/detail?limit=1&marker=")


@pytest.mark.parametrize(
    ("service", "path", "status", "message"),
    [
        ("compute", "/v2.1/servers?marker=x", 400, "marker [x] not found"),
        ("compute", "/v2.1/servers?limit=-1", 400, "Invalid input for query parameters limit."),
        ("compute", "/v2.1/servers?sort_key=x", 400, "Invalid input for query parameters sort_key"),
        ("volume", "/v3/volumes?marker=x", 404, "Volume x could not be found."),
        ("volume", "/v3/volumes?limit=x", 400, "limit param must be an integer"),
        ("volume", "/v3/snapshots?marker=x", 404, "Snapshot x could not be found."),
    ],
)
async def test_what_is_wrong_is_said_in_the_services_own_words(
    client: Client, service: str, path: str, status: int, message: str
) -> None:
    root = client.top.compute if service == "compute" else client.top.volume
    async with client.http.get(root + path, headers=client.headers) as response:
        assert response.status == status
        [fault] = (await response.json()).values()
        assert fault["message"].startswith(message)
