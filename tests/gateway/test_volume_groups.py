"""Groups of volumes: one list of all pods', and whose a group is stays true."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.gateway.test_engine import ABSENT
from tests.gateway.test_volume_operators import ask, cinder_of, message_of
from tests.simulated_top import Top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import Kind, Routing, TopId
from tricircle.testing.cloud import Refuse
from tricircle.testing.cloud.volume.group_snapshots import GroupSnapshot
from tricircle.testing.cloud.volume.groups import Group
from tricircle.testing.cloud.volume.records import GroupType, Snapshot

Body = dict[str, Any]


def add_group(
    top: Top, pod: str, name: str, project: str = "demo", kind: GroupType | None = None
) -> Group:
    """Return a new group in a pod, with one volume."""
    cinder = cinder_of(top, pod)
    known = next((one for one in cinder.group_types.values() if one.name == "plain"), None)
    made = Group(
        cinder.ids(), top.cloud.project_id(project), "someone", cinder.clock(), None, cinder.zone,
        cinder.host, kind or known or cinder.add_group_type("plain"), [cinder.default_type], name,
    )  # fmt: skip
    cinder.groups[made.id] = made
    [volume] = cinder.add_volumes(1, made.project_id)
    volume.group_id = made.id
    return made


def add_snapshot(top: Top, pod: str, group: Group, name: str) -> GroupSnapshot:
    """Return a new snapshot of a group."""
    cinder, now = cinder_of(top, pod), cinder_of(top, pod).clock()
    made = GroupSnapshot(
        cinder.ids(), group.project_id, "someone", group.id, group.group_type, now, None, name
    )
    cinder.group_snapshots[made.id] = made
    volume = next(one for one in cinder.volumes.values() if one.group_id == group.id)
    taken = Snapshot(cinder.ids(), group.project_id, "someone", volume.id, 1, now, None)
    taken.group_snapshot_id = made.id
    cinder.snapshots[taken.id] = taken
    return made


async def read_routings(top: Top, kind: Kind, top_id: str) -> list[Routing]:
    """Return what is written down of an id."""
    database = open_database(top.settings.database.connection)
    found = await SqlStores(database).routings.find_routings(kind, TopId(top_id))
    await database.close()
    return list(found)


async def list_all(
    top: Top, http: aiohttp.ClientSession, path: str, collection: str, links: str
) -> list[Body]:
    """Return the rows of all pages of a list, by its links."""
    rows: list[Body] = []
    member = top.member()
    while True:
        status, body, _ = await ask(http, top, "GET", path, headers=member)
        assert status == 200, body
        rows += body[collection]
        if links not in body:
            return rows
        [link] = body[links]
        url = urlsplit(link["href"])
        path = f"{url.path.removeprefix('/v3')}?{url.query}"


SORTS = ("", "&sort=name:asc", "&sort=name:desc", "&sort_key=status", "&sort=created_at:asc",
         "&sort=description:asc,name:desc")  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_of_groups_are_the_list_of_all_pods(
    top: Top, http: aiohttp.ClientSession, sort: str, limit: int
) -> None:
    made = [add_group(top, f"pod{1 + n % 2}", f"group-{n % 3}") for n in range(7)]
    add_group(top, "pod2", "of others", project="other")
    for path in ("/groups", "/groups/detail", "/consistencygroups/detail"):
        collection = path.split("/")[1]
        links = f"{collection.removesuffix('s')}_links"
        rows = await list_all(top, http, f"{path}?limit={limit}{sort}", collection, links)
        assert sorted(row["id"] for row in rows) == sorted(group.id for group in made)
        names = [row["name"] for row in rows]
        if sort.endswith("name:asc"):
            assert all(one <= other for one, other in pairwise(names))


async def test_pages_of_snapshots_are_the_list_of_all_pods(
    top: Top, http: aiohttp.ClientSession
) -> None:
    made = [
        add_snapshot(top, pod, add_group(top, pod, "one"), f"taken-{n}")
        for n, pod in enumerate(("pod1", "pod2", "pod2", "pod1"))
    ]
    ids = sorted(one.id for one in made)
    path, links = "/group_snapshots/detail?limit=1&sort=name:desc", "group_snapshot_links"
    rows = await list_all(top, http, path, "group_snapshots", links)
    assert [row["name"] for row in rows] == ["taken-3", "taken-2", "taken-1", "taken-0"]
    # Before 3.29 nothing in the query means anything.
    _, body, _ = await ask(
        http, top, "GET", "/group_snapshots?limit=1&name=none", None, top.member(), "3.28"
    )
    assert sorted(row["id"] for row in body["group_snapshots"]) == ids
    pieces = []
    for offset in range(5):
        path = f"/cgsnapshots?limit=1&offset={offset}"
        _, body, _ = await ask(http, top, "GET", path, None, top.member())
        pieces += [row["id"] for row in body["cgsnapshots"]]
    assert sorted(pieces) == ids
    _, body, _ = await ask(http, top, "GET", "/cgsnapshots?limit=0", None, top.member())
    assert sorted(row["id"] for row in body["cgsnapshots"]) == ids


async def test_a_group_that_was_there_before_is_found_by_both_apis(
    top: Top, http: aiohttp.ClientSession
) -> None:
    group = add_group(top, "pod2", "old")
    status, body, _ = await ask(http, top, "GET", f"/groups/{group.id}", None, top.member())
    assert (status, body["group"]["availability_zone"]) == (200, "az2")
    [routing] = await read_routings(top, Kind.GROUP, group.id)
    assert routing.project_id == top.cloud.project_id("demo")
    kind = cinder_of(top, "pod2").consistent_type
    older = add_group(top, "pod2", "older", kind=kind)
    path = f"/consistencygroups/{older.id}"
    status, body, _ = await ask(http, top, "GET", path, None, top.member())
    assert (status, body["consistencygroup"]["name"]) == (200, "older")


async def test_what_an_administrator_finds_is_not_written_down_as_his(
    top: Top, http: aiohttp.ClientSession
) -> None:
    group = add_group(top, "pod2", "of a member")
    snapshot = add_snapshot(top, "pod2", group, "taken")
    for path in (f"/groups/{group.id}", f"/group_snapshots/{snapshot.id}"):
        status, _, _ = await ask(http, top, "GET", path)
        assert status == 200
    assert await read_routings(top, Kind.GROUP, group.id) == []
    assert await read_routings(top, Kind.GROUP_SNAPSHOT, snapshot.id) == []
    # Nor does it change hands when it is known.
    await ask(http, top, "GET", f"/groups/{group.id}", None, top.member())
    wish = {"group_snapshot": {"group_id": group.id}}
    status, _, _ = await ask(http, top, "POST", "/group_snapshots", wish)
    assert status == 202
    [routing] = await read_routings(top, Kind.GROUP, group.id)
    assert routing.project_id == top.cloud.project_id("demo")


async def test_sources_decide_about_the_pod(top: Top, http: aiohttp.ClientSession) -> None:
    group = add_group(top, "pod2", "source")
    snapshot = add_snapshot(top, "pod2", group, "taken")
    for path, wish in (
        ("/groups/action", {"create-from-src": {"source_group_id": group.id}}),
        ("/groups/action", {"create-from-src": {"group_snapshot_id": snapshot.id}}),
        ("/consistencygroups/create_from_src",
         {"consistencygroup-from-src": {"cgsnapshot_id": snapshot.id}}),
        ("/consistencygroups/create_from_src",
         {"consistencygroup-from-src": {"source_cgid": group.id}}),
    ):  # fmt: skip
        status, body, _ = await ask(http, top, "POST", path, wish, top.member())
        [made] = body.values()
        assert (status, made["id"] in cinder_of(top, "pod2").groups) == (202, True)


async def test_sources_of_others_are_absent(top: Top, http: aiohttp.ClientSession) -> None:
    group = add_group(top, "pod2", "theirs", project="other")
    snapshot = add_snapshot(top, "pod2", group, "theirs")
    other, member = top.member("other"), top.member()
    await ask(http, top, "GET", f"/groups/{group.id}", None, other)
    for path, wish, missing in (
        ("/groups/action", {"create-from-src": {"source_group_id": group.id}}, f"Group {group.id}"),
        ("/groups/action", {"create-from-src": {"group_snapshot_id": snapshot.id}},
         f"GroupSnapshot {snapshot.id}"),
        ("/group_snapshots", {"group_snapshot": {"group_id": group.id}}, f"Group {group.id}"),
        ("/cgsnapshots", {"cgsnapshot": {"consistencygroup_id": group.id}}, f"Group {group.id}"),
    ):  # fmt: skip
        status, body, _ = await ask(http, top, "POST", path, wish, member)
        assert (status, message_of(body)) == (404, f"{missing} could not be found.")
    status, body, _ = await ask(
        http, top, "PUT", f"/groups/{group.id}", {"group": {"name": "mine"}}, member
    )
    assert (status, message_of(body)) == (404, f"Group {group.id} could not be found.")


@pytest.mark.parametrize("field", ["add_volumes", "remove_volumes"])
async def test_volumes_of_a_change_are_all_of_the_groups_pod(
    top: Top, http: aiohttp.ClientSession, field: str
) -> None:
    group = add_group(top, "pod1", "here")
    project = top.cloud.project_id("demo")
    [here], [there] = (cinder_of(top, pod).add_volumes(1, project) for pod in ("pod1", "pod2"))
    for path, top_key in (
        (f"/groups/{group.id}", "group"),
        (f"/consistencygroups/{group.id}/update", "consistencygroup"),
    ):
        wish = {top_key: {field: f"{here.id},{there.id}"}}
        status, body, _ = await ask(http, top, "PUT", path, wish, top.member())
        assert (status, message_of(body)) == (
            400,
            f"volume {there.id} is in pod pod2, but this request is for pod pod1; both must be in "
            "the same pod",
        )
    assert here.group_id is None


async def test_groups_of_a_pod_that_is_down_are_unknown_and_the_others_stay(
    top: Top, http: aiohttp.ClientSession
) -> None:
    here, there = add_group(top, "pod1", "here"), add_group(top, "pod2", "there")
    member = top.member()
    for group in (here, there):
        await ask(http, top, "GET", f"/groups/{group.id}", None, member)
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, body, missing = await ask(http, top, "GET", "/groups", None, member)
    assert (status, [row["id"] for row in body["groups"]], missing) == (200, [here.id], "pod2")
    status, _, _ = await ask(http, top, "GET", f"/groups/{there.id}", None, member)
    assert status in (503, 504)
    status, _, _ = await ask(http, top, "GET", f"/groups/{ABSENT}", None, member)
    assert status == 503
    status, _, _ = await ask(http, top, "GET", f"/groups/{here.id}", None, member)
    assert status == 200
    assert await read_routings(top, Kind.GROUP, there.id)


async def test_a_group_that_is_gone_is_forgotten(top: Top, http: aiohttp.ClientSession) -> None:
    group, member = add_group(top, "pod2", "short-lived"), top.member()
    await ask(http, top, "GET", f"/groups/{group.id}", None, member)
    path, wish = f"/groups/{group.id}/action", {"delete": {"delete-volumes": True}}
    status, _, _ = await ask(http, top, "POST", path, wish, member)
    assert status == 202
    status, body, _ = await ask(http, top, "GET", f"/groups/{group.id}", None, member)
    assert (status, message_of(body)) == (404, f"Group {group.id} could not be found.")
    assert await read_routings(top, Kind.GROUP, group.id) == []
