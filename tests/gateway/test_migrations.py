"""Migrations of all pods are one list, the newest first, paged as Nova pages them over cells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_aggregating import ask
from tests.gateway.test_engine import ABSENT, add_servers
from tests.simulated_top import Top
from tricircle.testing.cloud import Refuse
from tricircle.testing.cloud.compute.migrations import Migration, note_migration

PATH = "/os-migrations"


def add_migrations(top: Top, pod: str, *ages_s: int, **more: Any) -> list[Migration]:
    """Put migrations of some ages into a pod, all of one server, the oldest first."""
    compute = top.cloud.pod(pod).compute
    [server_id] = add_servers(top, pod)
    made = []
    for age_s in sorted(ages_s, reverse=True):
        migration = note_migration(compute, compute.servers[server_id], "resize", 1)
        migration.created_at -= timedelta(seconds=age_s)
        for name, value in more.items():
            setattr(migration, name, value)
        made.append(migration)
    return made


def fill(top: Top) -> list[str]:
    """Return the ids of new migrations of both pods in the order of the list."""
    one = add_migrations(top, "pod1", 10, 30, 50, 50, 70)
    two = add_migrations(top, "pod2", 20, 30, 50, 60, 80, 90)
    newest = sorted(
        one + two, key=lambda each: (-each.created_at.timestamp(), -each.number, each.uuid)
    )
    return [each.uuid for each in newest]


async def list_uuids(
    http: aiohttp.ClientSession, top: Top, query: str, version: str = "2.80"
) -> list[str]:
    status, body, _ = await ask(http, top, f"{PATH}{query}", version)
    assert status == 200, body
    return [each["uuid"] for each in body["migrations"]]


@pytest.mark.parametrize("version", ["2.59", "2.100"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 11, 12])
async def test_all_pages_together_are_all_migrations_the_newest_first(
    top: Top, http: aiohttp.ClientSession, version: str, limit: int
) -> None:
    wanted, found = fill(top), []
    path: str | None = f"{PATH}?limit={limit}"
    while path is not None:
        _, body, _ = await ask(http, top, path, version)
        assert len(body["migrations"]) <= limit
        found += [each["uuid"] for each in body["migrations"]]
        path = body.get("migrations_links", [{"href": None}])[0]["href"]
    assert found == wanted


async def test_a_page_begins_after_a_marker_of_the_clients_own(
    top: Top, http: aiohttp.ClientSession
) -> None:
    wanted = fill(top)
    for at, marker in enumerate(wanted):
        found = await list_uuids(http, top, f"?marker={marker}&limit=3")
        assert found == wanted[at + 1 : at + 4]


async def test_a_marker_that_is_nowhere_is_refused_in_novas_words(
    top: Top, http: aiohttp.ClientSession
) -> None:
    fill(top)
    status, body, _ = await ask(http, top, f"{PATH}?marker={ABSENT}", "2.59")
    assert status == 400
    assert body["badRequest"]["message"] == f"Marker {ABSENT} could not be found."


async def test_a_marker_that_may_be_in_a_dead_pod_is_unknown(
    top: Top, http: aiohttp.ClientSession
) -> None:
    fill(top)
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body, _ = await ask(http, top, f"{PATH}?marker={ABSENT}", "2.59")
    assert status == 503
    assert "pod2" in body["serviceUnavailable"]["message"]


async def test_the_next_link_leads_on_when_the_pod_of_its_marker_has_died(
    top: Top, http: aiohttp.ClientSession
) -> None:
    newest = add_migrations(top, "pod2", 1)
    older = add_migrations(top, "pod1", 20)
    _, body, _ = await ask(http, top, f"{PATH}?limit=1", "2.59")
    assert body["migrations"][0]["uuid"] == newest[0].uuid
    top.cloud.pod("pod2").faults.inject(Refuse())
    link = body["migrations_links"][0]["href"]
    status, body, missing = await ask(http, top, link, "2.59")
    assert (status, missing) == (200, "pod2")
    assert [each["uuid"] for each in body["migrations"]] == [older[0].uuid]


async def test_filters_reach_the_pods(top: Top, http: aiohttp.ClientSession) -> None:
    add_migrations(top, "pod1", 10, status="error", user_id="one")
    [found] = add_migrations(top, "pod2", 10, status="finished", user_id="two")
    assert await list_uuids(http, top, "?status=finished") == [found.uuid]
    assert await list_uuids(http, top, "?user_id=two") == [found.uuid]
    assert await list_uuids(http, top, f"?instance_uuid={found.instance_uuid}") == [found.uuid]
    assert await list_uuids(http, top, "?host=pod2:pod2-compute1") == [found.uuid]
    assert await list_uuids(http, top, "?changes-since=2099-01-01T00:00:00Z") == []
    assert await list_uuids(http, top, "?changes-before=2000-01-01T00:00:00Z") == []


async def test_before_2_59_there_are_no_pages_and_no_uuids(
    top: Top, http: aiohttp.ClientSession
) -> None:
    fill(top)
    _, body, _ = await ask(http, top, f"{PATH}?limit=1", "2.58")
    assert len(body["migrations"]) == 11
    assert "uuid" not in body["migrations"][0]
    assert list(body) == ["migrations"]


@pytest.mark.parametrize("query", ["", "?limit=1", f"?marker={ABSENT}"])
async def test_members_are_refused(top: Top, http: aiohttp.ClientSession, query: str) -> None:
    fill(top)
    status, body, _ = await ask(http, top, f"{PATH}{query}", "2.59", top.member())
    assert status == 403
    assert body["forbidden"]["message"] == (
        "Policy doesn't allow os_compute_api:os-migrations:index to be performed."
    )
