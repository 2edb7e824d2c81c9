"""When and how a list shows what a pod holds that does not answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tricircle.compute.listings import SERVERS, SERVERS_DETAIL
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, Routing, TopId, Version
from tricircle.core.partial import (
    LinkRoots,
    asks_all_projects,
    partial_row,
    shows_partial_rows,
)
from tricircle.volume.listings import VOLUMES


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", True),
        ("all_tenants=1", True),
        ("limit=5", False),
        ("marker=a", False),
        ("sort_key=uuid", False),
        ("sort_dir=asc", False),
        ("name=a", False),
        ("all_tenants=1&status=ACTIVE", False),
    ],
)
def test_only_plain_lists_of_servers_show_partial_rows(query: str, shown: bool) -> None:
    assert shows_partial_rows(SERVERS, query, Version(2, 69)) == shown
    assert not shows_partial_rows(SERVERS, query, Version(2, 68))
    assert not shows_partial_rows(SERVERS, query, None)
    assert not shows_partial_rows(VOLUMES, query, Version(3, 70))


@pytest.mark.parametrize(
    ("query", "everyone"),
    [
        ("", False),
        ("all_tenants", True),
        ("all_tenants=", True),
        ("all_tenants=1", True),
        ("all_tenants=True", True),
        ("all_tenants=0", False),
        ("all_tenants=false", False),
        ("all_tenants=1&all_tenants=0", False),
    ],
)
def test_all_tenants_is_read_as_nova_reads_it(query: str, everyone: bool) -> None:
    assert asks_all_projects(query) == everyone


def test_a_row_without_a_known_time_has_no_time() -> None:
    routing = Routing(Kind.SERVER, TopId("a"), PodId("p"), BottomId("a"), ProjectId("q"))
    row = json.loads(partial_row(SERVERS_DETAIL, routing, LinkRoots("v", "b")))
    assert row == {
        "id": "a",
        "status": "UNKNOWN",
        "tenant_id": "q",
        "links": [
            {"rel": "self", "href": "v/servers/a"},
            {"rel": "bookmark", "href": "b/servers/a"},
        ],
    }
    short = json.loads(partial_row(SERVERS, replace(routing), LinkRoots("v", "b")))
    assert set(short) == {"id", "status", "links"}
