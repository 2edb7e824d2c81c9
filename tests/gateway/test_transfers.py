"""Volumes change hands: whoever accepts them finds them, and owns them afterwards everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.simulated_top import Top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import Kind, Routing, TopId
from tricircle.testing.cloud import Refuse, serve
from tricircle.testing.cloud.volume.records import Snapshot, Volume
from tricircle.wiring.volume import open_volume

LATEST = {"OpenStack-API-Version": "volume 3.71"}


async def ask(
    http: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], body: Any = None
) -> tuple[int, Any]:
    """Return status and body of an answer."""
    async with http.request(method, url, headers={**LATEST, **headers}, json=body) as response:
        return response.status, await response.json() if response.content_length else None


def root(top: Top, project: str) -> str:
    return f"{top.volume}/v3/{top.cloud.project_id(project)}"


def add_volume(top: Top, pod: str) -> Volume:
    """Return a volume that a pod had before the top came."""
    return top.cloud.pod(pod).volume.add_volumes(1, top.cloud.project_id("demo"))[0]


async def make_volume(top: Top, http: aiohttp.ClientSession, zone: str) -> str:
    """Return the id of a new volume whose owner the top has written down."""
    body = {"volume": {"size": 1, "availability_zone": zone}}
    _, made = await ask(http, "POST", f"{root(top, 'demo')}/volumes", top.member(), body)
    return str(made["volume"]["id"])


async def offer(top: Top, http: aiohttp.ClientSession, volume_id: str, base: str = "") -> Any:
    """Return a new transfer of a volume, made through the top or straight in a pod."""
    url = f"{base or root(top, 'demo')}/volume-transfers"
    status, made = await ask(
        http, "POST", url, top.member(), {"transfer": {"volume_id": volume_id}}
    )
    assert status == 202
    return made["transfer"]


async def accept(top: Top, http: aiohttp.ClientSession, transfer: Any, base: str = "") -> int:
    """Let project other accept a transfer; return the status."""
    url = f"{base or root(top, 'other')}/volume-transfers/{transfer['id']}/accept"
    body = {"accept": {"auth_key": transfer["auth_key"]}}
    status, _ = await ask(http, "POST", url, top.member("other"), body)
    return status


async def records(top: Top, kind: Kind, top_id: str) -> list[Routing]:
    database = open_database(top.settings.database.connection)
    try:
        return list(await SqlStores(database).routings.find_routings(kind, TopId(top_id)))
    finally:
        await database.close()


def pod_root(top: Top, pod: str, project: str) -> str:
    url = next(one for one in top.pods.values() if one.name == pod)
    [endpoint] = [one for one in url.endpoints.values() if one.service == "volumev3"]
    return f"{endpoint.url}/{top.cloud.project_id(project)}"


async def test_the_new_owner_is_written_down_with_what_came_along(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    body = {"snapshot": {"volume_id": volume_id}}
    _, made = await ask(http, "POST", f"{root(top, 'demo')}/snapshots", top.member(), body)
    snapshot_id = made["snapshot"]["id"]
    transfer = await offer(top, http, volume_id)
    assert len(await records(top, Kind.TRANSFER, transfer["id"])) == 1
    assert await accept(top, http, transfer) == 202
    other = top.cloud.project_id("other")
    for kind, top_id in ((Kind.VOLUME, volume_id), (Kind.SNAPSHOT, snapshot_id)):
        assert [one.project_id for one in await records(top, kind, top_id)] == [other]
    assert await records(top, Kind.TRANSFER, transfer["id"]) == []


async def test_a_transfer_that_nobody_wrote_down_is_accepted(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume = add_volume(top, "pod2")
    transfer = await offer(top, http, volume.id, pod_root(top, "pod2", "demo"))
    assert await accept(top, http, transfer) == 202
    assert volume.project_id == top.cloud.project_id("other")


async def test_it_may_be_in_a_pod_that_does_not_answer(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume = add_volume(top, "pod2")
    transfer = await offer(top, http, volume.id, pod_root(top, "pod2", "demo"))
    top.cloud.pod("pod2").faults.inject(Refuse())
    assert await accept(top, http, transfer) == 503
    assert volume.project_id == top.cloud.project_id("demo")


async def test_a_dead_pod_keeps_nobody_from_transfers_of_another(
    top: Top, http: aiohttp.ClientSession
) -> None:
    transfer = await offer(top, http, await make_volume(top, http, "az1"))
    top.cloud.pod("pod2").faults.inject(Refuse())
    assert await accept(top, http, transfer) == 202


async def test_an_owner_that_changed_behind_our_back_is_noticed(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    straight = pod_root(top, "pod2", "demo")
    transfer = await offer(top, http, volume_id, straight)
    assert await accept(top, http, transfer, pod_root(top, "pod2", "other")) == 202
    url = f"{root(top, 'other')}/volumes/{volume_id}"
    assert (await ask(http, "GET", url, top.member("other")))[0] == 200
    other = top.cloud.project_id("other")
    assert [one.project_id for one in await records(top, Kind.VOLUME, volume_id)] == [other]


async def test_a_new_owner_is_noticed_where_a_request_names_the_volume(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    transfer = await offer(top, http, volume_id, pod_root(top, "pod2", "demo"))
    assert await accept(top, http, transfer, pod_root(top, "pod2", "other")) == 202
    body = {"backup": {"volume_id": volume_id}}
    url = f"{root(top, 'other')}/backups"
    assert (await ask(http, "POST", url, top.member("other"), body))[0] == 202
    other = top.cloud.project_id("other")
    assert [one.project_id for one in await records(top, Kind.VOLUME, volume_id)] == [other]
    answer = await ask(http, "POST", f"{root(top, 'demo')}/backups", top.member(), body)
    assert answer[0] == 404


async def test_a_process_that_heard_nothing_forgets_what_its_new_owner_deleted(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    async with open_volume(top.settings) as another, serve(another) as url:
        late = f"{url}/v3/{top.cloud.project_id('demo')}/volumes/{volume_id}"
        assert (await ask(http, "GET", late, top.member()))[0] == 200
        assert await accept(top, http, await offer(top, http, volume_id)) == 202
        late = f"{url}/v3/{top.cloud.project_id('other')}/volumes/{volume_id}"
        assert (await ask(http, "DELETE", late, top.member("other")))[0] == 202
        assert (await ask(http, "GET", late, top.member("other")))[0] == 404
    assert await records(top, Kind.VOLUME, volume_id) == []


async def test_nobody_else_makes_us_forget_a_volume(top: Top, http: aiohttp.ClientSession) -> None:
    volume_id = await make_volume(top, http, "az2")
    url = f"{root(top, 'other')}/volumes/{volume_id}"
    assert (await ask(http, "DELETE", url, top.member("other")))[0] == 404
    assert len(await records(top, Kind.VOLUME, volume_id)) == 1


async def test_snapshots_that_were_looked_at_before_are_written_down_anew(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    cinder = top.cloud.pod("pod2").volume
    snapshots = [
        Snapshot(f"8c2b3a64-6a3c-4a0e-9d0f-00000000000{n}", top.cloud.project_id("demo"), "x",
                 volume_id, 1, cinder.clock(), None)
        for n in range(3)
    ]  # fmt: skip
    cinder.snapshots.update((one.id, one) for one in snapshots)
    for one in snapshots:
        url = f"{root(top, 'demo')}/snapshots/{one.id}"
        assert (await ask(http, "GET", url, top.member()))[0] == 200
    assert await accept(top, http, await offer(top, http, volume_id)) == 202
    other = top.cloud.project_id("other")
    for one in snapshots:
        assert [row.project_id for row in await records(top, Kind.SNAPSHOT, one.id)] == [other]


async def test_a_process_that_heard_nothing_keeps_what_the_new_owner_has(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume_id = await make_volume(top, http, "az2")
    async with open_volume(top.settings) as another, serve(another) as url:
        late = f"{url}/v3/{top.cloud.project_id('demo')}/volumes/{volume_id}"
        assert (await ask(http, "GET", late, top.member()))[0] == 200
        assert await accept(top, http, await offer(top, http, volume_id)) == 202
        for _ in range(2):
            assert (await ask(http, "GET", late, top.member()))[0] == 404
    other = top.cloud.project_id("other")
    assert [one.project_id for one in await records(top, Kind.VOLUME, volume_id)] == [other]
