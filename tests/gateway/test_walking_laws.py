"""What holds for each list that is paged one pod after the other, over one to twenty pods.

One that is added to a gateway's table is tested by itself.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top_without_worker
from tricircle.compute.routes import ROWS as COMPUTE_ROWS
from tricircle.core.bodies import read_values
from tricircle.core.model import Service
from tricircle.core.table import Aggregate, ByVersion, Pages, Strategy
from tricircle.testing.cloud import Refuse, SimulatedCloud
from tricircle.volume.routes import ROWS as VOLUME_ROWS

WAYS = ((3, True), (7, False))
"""Rows of a page, and whether links are followed or markers of the client's own."""

MOST_ROWS = 5
"""Of one pod."""


def _pages(strategy: Strategy) -> Iterator[Pages]:
    match strategy:
        case Aggregate():
            if strategy.pages is not None:
                yield strategy.pages
        case ByVersion():
            yield from _pages(strategy.before)
            yield from _pages(strategy.then)


@dataclass(frozen=True, slots=True)
class Paged:
    """One such list."""

    service: Service
    path: str
    pages: Pages

    def __str__(self) -> str:
        return self.path


LISTS = sorted(
    {
        Paged(service, row.path, pages)
        for service, rows in ((Service.COMPUTE, COMPUTE_ROWS), (Service.VOLUME, VOLUME_ROWS))
        for row in rows
        for pages in _pages(row.strategy)
    },
    key=str,
)


@dataclass(frozen=True, slots=True)
class World:
    """A top over pods that each have some of everything; an administrator asks."""

    top: Top
    http: aiohttp.ClientSession

    async def get(self, url: str) -> Any:
        """Return the body of an answer."""
        headers = self.top.headers("admin", "admin")
        version = {"OpenStack-API-Version": "compute 2.90"}
        async with self.http.get(url, headers={**headers, **version}) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    def url(self, paged: Paged, root: str, query: str) -> str:
        """Return the URL of a list at the top or in a pod; ``{id}`` is the project's."""
        path = paged.path.replace("{id}", self.top.cloud.project_id("demo"))
        shown = f"{paged.pages.shown_by}=1&" if paged.pages.shown_by else ""
        return f"{root}{path}?{shown}{query}"

    def top_url(self, paged: Paged, query: str) -> str:
        """Return the URL of a list at the top."""
        roots = {Service.COMPUTE: f"{self.top.compute}/v2.1", Service.VOLUME: self.top.volume}
        return self.url(paged, roots[paged.service], query)

    async def in_pods(self, paged: Paged, names: Sequence[str]) -> list[str]:
        """Return the ids of what pods have, one pod after the other."""
        found = []
        for name in sorted(names):
            root = self.top.pods[name].endpoints[paged.service].url
            found += read_values(await self.get(self.url(paged, root, "")), paged.pages.rows)
        return [str(one) for one in found]

    async def follow(self, paged: Paged, limit: int, *, by_links: bool) -> list[list[str]]:
        """Return the ids of each page, by links or by markers of the client's own."""
        link: str | None = self.top_url(paged, f"limit={limit}")
        pages: list[list[str]] = []
        while link is not None:
            body = await self.get(link)
            pages.append([str(one) for one in read_values(body, paged.pages.rows)])
            links = [str(one) for one in read_values(body, f"{paged.pages.links}[].href")]
            link = links[0] if links else None
            if link is not None and not by_links:
                link = self.top_url(paged, f"limit={limit}&marker={pages[-1][-1]}")
        return pages


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A world of so many pods."""
    dice = random.Random(request.param)  # noqa: S311
    cloud = SimulatedCloud([f"pod{at:02}" for at in range(request.param)])
    for pod in cloud.pods.values():
        pod.compute.add_servers(dice.randint(0, MOST_ROWS), cloud.project_id("demo"))
        for at in range(dice.randint(0, MOST_ROWS)):
            pod.compute.add_hypervisor(f"{pod.name}-host{at}")
    async with open_top_without_worker(tmp_path, cloud) as top, aiohttp.ClientSession() as http:
        yield World(top, http)


@pytest.mark.parametrize("world", [1, 6, 20], indirect=True)
async def test_the_pages_are_what_the_pods_have(world: World) -> None:
    for paged in LISTS:
        expected = await world.in_pods(paged, list(world.top.pods))
        assert expected, paged
        for limit, by_links in WAYS:
            pages = await world.follow(paged, limit, by_links=by_links)
            assert [one for page in pages for one in page] == expected, paged
            assert all(len(page) == limit for page in pages[:-1]), paged


@pytest.mark.parametrize("world", [6], indirect=True)
@pytest.mark.parametrize("paged", LISTS, ids=str)
async def test_a_pod_that_dies_between_pages_costs_only_rows_of_its_own(
    world: World, paged: Paged
) -> None:
    names = list(world.top.pods)
    body = await world.get(world.top_url(paged, "limit=4"))
    seen = [str(one) for one in read_values(body, paged.pages.rows)]
    victim = names[len(names) // 2]
    left = await world.in_pods(paged, [name for name in names if name != victim])
    lost = await world.in_pods(paged, [victim])
    world.top.cloud.pod(victim).faults.inject(Refuse())
    while links := [str(one) for one in read_values(body, f"{paged.pages.links}[].href")]:
        body = await world.get(links[0])
        seen += [str(one) for one in read_values(body, paged.pages.rows)]
    assert [one for one in seen if one not in lost] == left
    assert len(seen) == len(set(seen))
