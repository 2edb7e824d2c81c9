"""What projects have used is told over all pods, in pages that go on from pod to pod."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.gateway.test_aggregating import ask
from tests.gateway.test_engine import ABSENT, add_servers
from tests.simulated_top import Top
from tricircle.testing.cloud import Refuse

START = "start=2020-01-01T00:00:00"
PATH = "/os-simple-tenant-usage"


def fill(top: Top) -> set[str]:
    """Put servers of two projects into both pods and return the ids of all."""
    made = []
    for pod, project, count in (
        ("pod1", "demo", 3),
        ("pod1", "other", 2),
        ("pod2", "demo", 2),
        ("pod2", "other", 4),
    ):
        made += add_servers(top, pod, count, project)
    return set(made)


async def walk(
    http: aiohttp.ClientSession, top: Top, path: str, links: str
) -> list[dict[str, Any]]:
    """Return all pages of a list."""
    pages, following = [], path
    while following:
        status, body, _ = await ask(http, top, following, "2.40")
        assert status == 200, body
        pages.append(body)
        following = body.get(links, [{"href": ""}])[0]["href"]
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 11, 100])
async def test_all_pages_together_are_all_servers(
    top: Top, http: aiohttp.ClientSession, limit: int
) -> None:
    servers = fill(top)
    path = f"{PATH}?{START}&detailed=1&limit={limit}"
    found: list[str] = []
    for page in await walk(http, top, path, "tenant_usages_links"):
        rows = [row for usage in page["tenant_usages"] for row in usage["server_usages"]]
        assert len(rows) <= limit
        for usage in page["tenant_usages"]:
            hours = sum(row["hours"] for row in usage["server_usages"])
            assert usage["total_hours"] == pytest.approx(hours)
        found += [row["instance_id"] for row in rows]
    assert len(found) == len(servers)
    assert set(found) == servers


async def test_pages_of_sums_alone_add_up_to_the_whole(
    top: Top, http: aiohttp.ClientSession
) -> None:
    fill(top)
    _, whole, _ = await ask(http, top, f"{PATH}?{START}", "2.39")
    hours = dict.fromkeys((each["tenant_id"] for each in whole["tenant_usages"]), 0.0)
    for page in await walk(http, top, f"{PATH}?{START}&limit=2", "tenant_usages_links"):
        assert all("server_usages" not in usage for usage in page["tenant_usages"])
        for usage in page["tenant_usages"]:
            hours[usage["tenant_id"]] += usage["total_hours"]
    for usage in whole["tenant_usages"]:
        assert hours[usage["tenant_id"]] == pytest.approx(usage["total_hours"], abs=0.1)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_project_sees_its_servers_of_all_pods_page_by_page(
    top: Top, http: aiohttp.ClientSession, limit: int
) -> None:
    fill(top)
    project = top.cloud.project_id("demo")
    path = f"{PATH}/{project}?{START}&limit={limit}"
    pages = await walk(http, top, path, "tenant_usage_links")
    rows = [row for page in pages for row in page["tenant_usage"].get("server_usages", [])]
    assert len({row["instance_id"] for row in rows}) == len(rows) == 5
    assert {row["tenant_id"] for row in rows} == {project}


async def test_a_project_without_servers_in_one_pod_is_that_of_the_other(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [server_id] = add_servers(top, "pod2")
    project = top.cloud.project_id("demo")
    for version in ("2.39", "2.40"):
        _, body, _ = await ask(http, top, f"{PATH}/{project}?{START}", version, top.member())
        [row] = body["tenant_usage"]["server_usages"]
        assert row["instance_id"] == server_id


async def test_a_marker_in_a_dead_pod_is_unknown_without_the_link(
    top: Top, http: aiohttp.ClientSession
) -> None:
    fill(top)
    _, page, _ = await ask(http, top, f"{PATH}?{START}&limit=1", "2.40")
    link = page["tenant_usages_links"][0]["href"]
    marker = link.split("marker=")[1].split("&")[0]
    top.cloud.pod("pod1").faults.inject(Refuse())
    status, _, _ = await ask(http, top, f"{PATH}?{START}&limit=1&marker={marker}", "2.40")
    assert status == 503
    status, _, missing = await ask(http, top, link, "2.40")
    assert (status, missing) == (200, "pod1")


@pytest.mark.parametrize("version", ["2.40", "2.100"])
async def test_a_marker_that_is_nowhere_is_refused_in_novas_words(
    top: Top, http: aiohttp.ClientSession, version: str
) -> None:
    status, body, _ = await ask(http, top, f"{PATH}?{START}&marker={ABSENT}", version)
    assert status == 400
    assert body["badRequest"]["message"] == f"Marker {ABSENT} could not be found."


async def test_audits_are_counted_over_pods(top: Top, http: aiohttp.ClientSession) -> None:
    top.cloud.pod("pod2").compute.add_hypervisor("second")
    _, body, _ = await ask(http, top, "/os-instance_usage_audit_log")
    logs = body["instance_usage_audit_logs"]
    assert logs["num_hosts"] == 3
    assert logs["hosts_not_run"] == ["pod1-compute1", "pod2-compute1", "second"]
    assert logs["overall_status"] == "0 of 3 hosts done. 0 errors."
