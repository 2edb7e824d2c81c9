"""Quotas of volumes at the top of a simulated cloud: what takes, who is refused, what is freed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import ProjectId, Service
from tricircle.core.quotas import WHOLE, Amounts, Holder
from tricircle.testing.cloud import LoseAnswer, Reply, SimulatedCloud, serve
from tricircle.wiring.volume import open_volume

OPTIONS = (
    "[gateway]\ncreate_timeout_s = 2\n[volume_quota]\nvolumes = 4\ngigabytes = 10\n"
    "snapshots = 3\nbackups = 2\nbackup_gigabytes = 5\ngroups = 1\n"
)
TOO_LARGE = (
    "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {0} quota. "
    "Requested {1}G, quota is {2}G and {3}G has been consumed."
)


class World:
    """A top of two pods in one zone, and its client."""

    def __init__(self, top: Top, http: aiohttp.ClientSession, stores: SqlStores) -> None:
        self.top, self.http, self.stores = top, http, stores
        self.project_id = self.project("demo")

    def project(self, name: str) -> ProjectId:
        self.top.member(name)
        project = self.top.cloud.identity.accounts.find_project(name)
        assert project is not None
        return ProjectId(project.id)

    async def send(
        self, method: str, path: str, body: object = None, who: str = "demo", root: str = ""
    ) -> tuple[int, Any]:
        top = self.top
        headers = top.headers("admin", "admin") if who == "admin" else top.member(who)
        headers |= {"OpenStack-API-Version": "compute 2.35, volume 3.71"}
        url = f"{root or top.volume + '/v3'}{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def make(self, what: str = "volume", who: str = "demo", **fields: Any) -> tuple[int, Any]:
        given = {"size": 1, **fields} if what == "volume" else fields
        return await self.send("POST", f"/{what}s", {what: given}, who)

    async def make_volume(self, size: int = 1, **more: Any) -> str:
        status, body = await self.make(size=size, **more)
        assert status == 202, body
        return str(body["volume"]["id"])

    async def limit(self, **limits: int) -> None:
        path = f"/os-quota-sets/{self.project_id}"
        status, body = await self.send("PUT", path, {"quota_set": limits}, "admin")
        assert status == 200, body

    async def used(self, name: str = "demo") -> Amounts:
        holder = Holder(Service.VOLUME, self.project(name))
        used = (await self.stores.quota_ledger.find_standing(holder, 60)).used.get(WHOLE, {})
        return {name: amount for name, amount in used.items() if amount}

    async def until_used(self, expected: Amounts, name: str = "demo") -> None:
        for _ in range(100):
            if await self.used(name) == expected:
                return
            await asyncio.sleep(0.05)
        assert await self.used(name) == expected

    async def make_type(self, name: str) -> None:
        body = {"volume_type": {"name": name}}
        assert (await self.send("POST", "/types", body, "admin"))[0] == 200


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two pods of one zone, with small quotas."""
    zones = {"pod1": "az1", "pod2": "az1"}
    async with (
        open_top(tmp_path, SimulatedCloud(("pod1", "pod2")), OPTIONS, zones) as top,
        aiohttp.ClientSession() as http,
    ):
        database = open_database(top.settings.database.connection)
        yield World(top, http, SqlStores(database))
        await database.close()


def told(body: Any) -> str:
    assert body["overLimit"]["code"] == 413
    assert body["overLimit"]["retryAfter"] == "0"
    return str(body["overLimit"]["message"])


async def test_volumes_are_counted_by_number_and_size(world: World) -> None:
    await world.make_volume(6)
    status, body = await world.make(size=5)
    assert (status, told(body)) == (413, TOO_LARGE.format("gigabytes", 5, 10, 6))
    for _ in range(3):
        await world.make_volume()
    assert await world.used() == {"volumes": 4, "gigabytes": 9}
    status, body = await world.make()
    assert (status, told(body)) == (
        413,
        "VolumeLimitExceeded: Maximum number of volumes allowed (4) exceeded for quota 'volumes'.",
    )


async def test_a_refusal_may_be_tried_again_at_once(world: World) -> None:
    url, headers = f"{world.top.volume}/v3/volumes", world.top.member()
    async with world.http.post(url, json={"volume": {"size": 11}}, headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (413, "0")


async def test_a_reader_is_refused_as_a_reader_also_when_the_quota_is_used_up(
    world: World,
) -> None:
    headers = world.top.headers("demo", "reader")
    url = f"{world.top.volume}/v3/volumes"
    async with world.http.post(url, json={"volume": {"size": 11}}, headers=headers) as answer:
        body = await answer.json()
        assert answer.status == 403
        assert body["forbidden"]["message"] == (
            "Policy doesn't allow volume:create to be performed."
        )
    assert await world.used() == {}


async def test_a_size_is_that_of_the_source_where_none_is_given(world: World) -> None:
    source = await world.make_volume(3)
    status, body = await world.make("snapshot", volume_id=source)
    assert status == 202
    snapshot = body["snapshot"]["id"]
    assert await world.used() == {"volumes": 1, "gigabytes": 6, "snapshots": 1}
    await world.make_volume(snapshot_id=snapshot, size=None)  # type: ignore[arg-type]
    assert (await world.used())["gigabytes"] == 9
    status, body = await world.make(source_volid=source, size=None)
    assert (status, told(body)) == (413, TOO_LARGE.format("gigabytes", 3, 10, 9))


async def test_a_volume_gives_back_what_it_took_when_it_is_gone(world: World) -> None:
    volume = await world.make_volume(2)
    assert (await world.send("DELETE", f"/volumes/{volume}"))[0] == 202
    await asyncio.sleep(0.2)
    for _ in range(2):
        assert (await world.send("GET", f"/volumes/{volume}"))[0] == 404
    assert await world.used() == {}


async def test_a_volume_grows_as_far_as_there_is_room(world: World) -> None:
    volume = await world.make_volume(2)
    path = f"/volumes/{volume}/action"
    status, body = await world.send("POST", path, {"os-extend": {"new_size": 11}})
    assert (status, told(body)) == (413, TOO_LARGE.format("gigabytes", 9, 10, 2))
    assert (await world.send("POST", path, {"os-extend": {"new_size": 10}}))[0] == 202
    assert await world.used() == {"volumes": 1, "gigabytes": 10}
    assert (await world.send("POST", path, {"os-extend": {"new_size": 5}}))[0] == 400
    await world.send("DELETE", f"/volumes/{volume}")
    await asyncio.sleep(0.2)
    assert (await world.send("GET", f"/volumes/{volume}"))[0] == 404
    assert await world.used() == {}


async def test_growth_that_the_pod_refuses_takes_nothing(world: World) -> None:
    volume = await world.make_volume(2)
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(Reply(409), path="/action")
    path = f"/volumes/{volume}/action"
    assert (await world.send("POST", path, {"os-extend": {"new_size": 5}}))[0] == 409
    assert (await world.used())["gigabytes"] == 2


async def test_no_volume_is_larger_than_any_may_be(world: World) -> None:
    await world.limit(per_volume_gigabytes=3)
    words = "VolumeSizeExceedsLimit: Requested volume size {0}G is larger than maximum allowed "
    status, body = await world.make(size=4)
    assert (status, told(body)) == (413, words.format(4) + "limit 3G.")
    status, body = await world.make(size=40)
    assert (status, told(body)) == (413, words.format(40) + "limit 3G.")
    assert await world.used() == {}


async def test_what_each_pod_refused_is_given_back(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(Reply(503), "volume", "POST")
    assert (await world.make())[0] == 503
    assert await world.used() == {}


async def test_a_claim_of_unknown_outcome_stays(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.faults.inject(LoseAnswer(), "volume", "POST")
    assert (await world.make())[0] in (502, 504)
    assert (await world.used())["volumes"] == 1


async def test_backups_are_counted_by_themselves(world: World) -> None:
    volume = await world.make_volume(3)
    status, body = await world.make("backup", volume_id=volume)
    assert status == 202, body
    assert await world.used() == {
        "volumes": 1, "gigabytes": 3, "backups": 1, "backup_gigabytes": 3
    }  # fmt: skip
    status, refused = await world.make("backup", volume_id=volume)
    assert (status, told(refused)) == (
        413,
        "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes "
        "quota. Requested 3G, quota is 5G and 3G has been consumed.",
    )
    backup = body["backup"]["id"]
    await world.send("DELETE", f"/backups/{backup}")
    assert (await world.send("GET", f"/backups/{backup}"))[0] == 404
    assert await world.used() == {"volumes": 1, "gigabytes": 3}


async def test_a_backup_is_restored_to_a_volume_that_fits(world: World) -> None:
    volume = await world.make_volume(4)
    _, body = await world.make("backup", volume_id=volume)
    path = f"/backups/{body['backup']['id']}/restore"
    await asyncio.sleep(0.2)
    status, body = await world.send("POST", path, {"restore": {}})
    assert status == 202, body
    used = await world.used()
    assert (used["volumes"], used["gigabytes"]) == (2, 8)
    restored = body["restore"]["volume_id"]
    status, body = await world.send("POST", path, {"restore": {}})
    assert status in (400, 413), body
    await world.limit(gigabytes=8)
    status, body = await world.make(size=1)
    assert (status, told(body)) == (413, TOO_LARGE.format("gigabytes", 1, 8, 8))
    assert restored != volume


async def test_the_size_of_a_backup_is_its_owners_secret(world: World) -> None:
    volume = await world.make_volume(4)
    _, body = await world.make("backup", volume_id=volume)
    assert (await world.make(who="other", size=9))[0] == 202
    path = f"/backups/{body['backup']['id']}/restore"
    status, answer = await world.send("POST", path, {"restore": {}}, "other")
    assert (status, list(answer)) == (404, ["itemNotFound"])
    status, answer = await world.send(
        "POST", f"/volumes/{volume}/action", {"os-extend": {"new_size": 9}}, "other"
    )
    assert (status, list(answer)) == (404, ["itemNotFound"])
    status, answer = await world.make("snapshot", "other", volume_id=volume)
    assert (status, list(answer)) == (404, ["itemNotFound"])
    assert await world.used("other") == {"volumes": 1, "gigabytes": 9}


async def test_an_imported_backup_takes_what_its_record_says(world: World) -> None:
    record = {"id": "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e", "size": 9}
    url = base64.b64encode(json.dumps(record).encode()).decode()
    body = {"backup-record": {"backup_service": "posix", "backup_url": url}}
    status, answer = await world.send("POST", "/backups/import_record", body, "admin")
    assert status == 413
    assert told(answer).startswith("VolumeBackupSizeExceedsAvailableQuota: ")


async def test_each_type_has_limits_of_its_own(world: World) -> None:
    await world.make_type("fast.1")
    await world.make_volume(2, volume_type="fast.1")
    await world.limit(**{"volumes_fast.1": 2, "gigabytes_fast.1": 4})
    await world.make_volume(1, volume_type="fast.1")
    status, body = await world.make(volume_type="fast.1")
    assert (status, told(body)) == (
        413,
        "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota "
        "'volumes_fast.1'.",
    )
    await world.make_volume(1)
    assert await world.used() == {
        "volumes": 3, "gigabytes": 4, "volumes_fast.1": 2, "gigabytes_fast.1": 3
    }  # fmt: skip


async def test_another_type_takes_of_that_types_limits(world: World) -> None:
    await world.make_type("fast")
    await world.limit(volumes_fast=1, gigabytes_fast=2)
    large, small, third = [await world.make_volume(size) for size in (3, 2, 1)]
    retype = {"os-retype": {"new_type": "fast", "migration_policy": "never"}}
    status, body = await world.send("POST", f"/volumes/{large}/action", retype)
    assert (status, told(body)) == (413, TOO_LARGE.format("gigabytes_fast", 3, 2, 0))
    assert (await world.send("POST", f"/volumes/{small}/action", retype))[0] == 202
    status, body = await world.send("POST", f"/volumes/{third}/action", retype)
    assert status == 413
    used = await world.used()
    assert (used["volumes_fast"], used["gigabytes_fast"], used["volumes"]) == (1, 2, 3)


async def test_a_type_that_is_the_projects_default_counts_too(world: World) -> None:
    await world.limit(volumes___DEFAULT__=1)
    await world.make_volume()
    status, body = await world.make()
    assert status == 413
    assert "quota 'volumes___DEFAULT__'." in told(body)


async def test_an_accepted_volume_is_its_new_owners(world: World) -> None:
    volume = await world.make_volume(3)
    assert (await world.make("snapshot", volume_id=volume))[0] == 202
    assert (await world.make(who="other", size=5))[0] == 202

    async def offer() -> tuple[str, dict[str, Any]]:
        transfer = {"transfer": {"volume_id": volume}}
        status, body = await world.send("POST", "/volume-transfers", transfer)
        assert status == 202, body
        key = {"accept": {"auth_key": body["transfer"]["auth_key"]}}
        return f"/volume-transfers/{body['transfer']['id']}", key

    await asyncio.sleep(0.2)
    path, key = await offer()
    status, refused = await world.send("POST", f"{path}/accept", key, "other")
    words = TOO_LARGE.format("gigabytes", 3, 10, 8).partition(": ")[2]
    assert (status, told(refused)) == (413, words)
    assert await world.used("other") == {"volumes": 1, "gigabytes": 5}
    other = world.project("other")
    await world.send("PUT", f"/os-quota-sets/{other}", {"quota_set": {"gigabytes": 11}}, "admin")
    status, answer = await world.send("POST", f"{path}/accept", key, "other")
    assert status == 202, answer
    assert await world.used("other") == {"volumes": 2, "gigabytes": 11, "snapshots": 1}
    assert await world.used() == {}


async def test_who_had_a_volume_before_touches_nothing_of_its_new_owner(world: World) -> None:
    volume = await world.make_volume(3)
    async with open_volume(world.top.settings) as another, serve(another) as url:
        late = f"{url}/v3"
        assert (await world.send("GET", f"/volumes/{volume}", root=late))[0] == 200
        offer = await world.send("POST", "/volume-transfers", {"transfer": {"volume_id": volume}})
        transfer = offer[1]["transfer"]
        body = {"accept": {"auth_key": transfer["auth_key"]}}
        path = f"/volume-transfers/{transfer['id']}/accept"
        assert (await world.send("POST", path, body, "other"))[0] == 202
        await world.until_used({"volumes": 1, "gigabytes": 3}, "other")
        too_large = {"os-extend": {"new_size": 11}}
        path = f"/volumes/{volume}/action"
        assert (await world.send("POST", path, too_large, root=late))[0] == 404
        assert (await world.send("GET", f"/volumes/{volume}", root=late))[0] == 404
        assert await world.used("other") == {"volumes": 1, "gigabytes": 3}


async def test_a_volume_that_novas_proxy_makes_is_counted(world: World) -> None:
    root = f"{world.top.compute}/v2.1"
    status, body = await world.send("POST", "/os-volumes", {"volume": {"size": 8}}, root=root)
    assert status == 200, body
    assert await world.used() == {"volumes": 1, "gigabytes": 8}
    status, body = await world.send("POST", "/os-volumes", {"volume": {"size": 8}}, root=root)
    assert status == 403
    assert body["forbidden"]["message"] == TOO_LARGE.format("gigabytes", 8, 10, 8)


async def test_what_is_set_is_carried_to_every_pod(world: World) -> None:
    await world.limit(volumes=7, per_volume_gigabytes=3)

    def carried() -> bool:
        books = [pod.volume.quota_book.projects for pod in world.top.cloud.pods.values()]
        wanted = {"volumes": -1, "per_volume_gigabytes": 3}
        return [book.get(world.project_id) for book in books] == [wanted] * 2

    for _ in range(100):
        if carried():
            return
        await asyncio.sleep(0.05)
    assert carried()


async def test_a_class_inherits_from_the_default_class(world: World) -> None:
    limits = {"quota_class_set": {"volumes": "1"}}
    assert (await world.send("PUT", "/os-quota-class-sets/default", limits, "admin"))[0] == 200
    _, body = await world.send("GET", "/os-quota-class-sets/other", None, "admin")
    assert body["quota_class_set"]["volumes"] == 1
    assert body["quota_class_set"]["gigabytes"] == 10
    await world.make_volume()
    assert (await world.make())[0] == 413


async def test_a_limit_below_what_is_used_is_refused_once_one_is_set(world: World) -> None:
    await world.make_volume(2)
    await world.limit(volumes=3)
    path = f"/os-quota-sets/{world.project_id}"
    status, body = await world.send("PUT", path, {"quota_set": {"volumes": 0}}, "admin")
    assert (status, body["badRequest"]["message"]) == (
        400,
        "Quota volumes limit must be equal or greater than existing resources. Current usage is 1 "
        "and the requested limit is 0.",
    )
    await world.limit(gigabytes=1)


async def test_use_is_shown_as_the_sum_of_all_pods(world: World) -> None:
    for pod in world.top.cloud.pods.values():
        pod.volume.add_volumes(2, world.project_id)
    path = f"/os-quota-sets/{world.project_id}?usage=true"
    _, body = await world.send("GET", path)
    assert body["quota_set"]["volumes"] == {"limit": 4, "in_use": 4, "reserved": 0}
    assert body["quota_set"]["gigabytes___DEFAULT__"]["in_use"] == 4
    _, body = await world.send("GET", "/limits")
    absolute = body["limits"]["absolute"]
    assert (absolute["totalVolumesUsed"], absolute["maxTotalVolumes"]) == (4, 4)
    assert absolute["maxTotalBackupGigabytes"] == 5
    assert (await world.make())[0] == 413


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("volume", {"snapshot_id": "a-name"}),
        ("volume", {"backup_id": "a-name"}),
        ("snapshot", {"volume_id": "a-name"}),
        ("backup", {"volume_id": "a-name"}),
        ("group_snapshot", {"group_id": "a-name"}),
    ],
)
async def test_what_is_no_id_is_the_pods_to_refuse(
    world: World, what: str, fields: dict[str, str]
) -> None:
    status, body = await world.make(what, **fields)
    assert (status, list(body)) == (400, ["badRequest"])
    assert "a-name" in body["badRequest"]["message"]
    assert await world.used() == {}


async def test_what_is_not_there_is_novas_to_refuse(world: World) -> None:
    root, absent = f"{world.top.compute}/v2.1", "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
    body = {"snapshot": {"volume_id": absent, "display_name": "s"}}
    answer = await world.send("POST", "/os-snapshots", body, root=root)
    pod = world.top.pods["pod1"].endpoints[Service.COMPUTE].url
    assert answer == await world.send("POST", "/os-snapshots", body, root=pod)
    assert answer[0] >= 400
    assert await world.used() == {}
