"""Attachments, backups and hints: which pod they end in, and who may what."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import Kind, Routing, TopId
from tricircle.testing.cloud import Refuse, SimulatedCloud
from tricircle.testing.cloud.volume.records import Backup, Volume

LATEST = {"OpenStack-API-Version": "volume 3.71"}
ABSENT = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"


async def ask(
    http: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], body: Any = None
) -> tuple[int, Any]:
    """Return status and body of an answer."""
    async with http.request(method, url, headers={**LATEST, **headers}, json=body) as response:
        return response.status, await response.json() if response.content_length else None


def root(top: Top, project: str = "demo") -> str:
    return f"{top.volume}/v3/{top.cloud.project_id(project)}"


def add_volume(top: Top, pod: str, project: str = "demo") -> Volume:
    """Return a volume that a pod had before the top came."""
    return top.cloud.pod(pod).volume.add_volumes(1, top.cloud.project_id(project))[0]


def attach(top: Top, pod: str, volume: Volume) -> str:
    """Let Nova attach a volume to a server of its pod; return the attachment's id."""
    server = top.cloud.pod(pod).compute.add_servers(1, volume.project_id)[0]
    return top.cloud.pod(pod).volume.attach_to_server(volume.id, server.uuid, "/dev/vdb", "host")


@contextmanager
def without_table(top: Top, name: str) -> Iterator[None]:
    """Take a table of the top away."""
    path = top.settings.database.connection.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"ALTER TABLE {name} RENAME TO away")
        yield
        database.execute(f"ALTER TABLE away RENAME TO {name}")


async def records(top: Top, attachment: str) -> list[Routing]:
    """Return what is written down of an attachment."""
    database = open_database(top.settings.database.connection)
    try:
        routings = SqlStores(database).routings
        return list(await routings.find_routings(Kind.ATTACHMENT, TopId(attachment)))
    finally:
        await database.close()


async def test_only_a_service_takes_a_volume_from_a_running_server(
    top: Top, http: aiohttp.ClientSession
) -> None:
    """CVE-2023-2088: the token of the service must reach the pod."""
    volume = add_volume(top, "pod2")
    url = f"{root(top)}/attachments/{attach(top, 'pod2', volume)}"
    status, body = await ask(http, "DELETE", url, top.member())
    assert (status, list(body)) == (409, ["conflictingRequest"])
    nova = top.cloud.token("nova", "service", ("service",))
    service = {"X-Service-Token": nova}
    status, body = await ask(http, "DELETE", url, {**top.member(), **service})
    assert (status, body) == (200, {"attachments": []})
    assert volume.status == "available"


async def test_nobody_is_a_service_by_saying_so(top: Top, http: aiohttp.ClientSession) -> None:
    volume = add_volume(top, "pod2")
    url = f"{root(top)}/attachments/{attach(top, 'pod2', volume)}"
    forged = {"X-Service-Roles": "service", "X-Service-Identity-Status": "Confirmed"}
    assert (await ask(http, "DELETE", url, {**top.member(), **forged}))[0] == 409


async def test_an_attachment_that_nova_made_is_found_and_is_its_volumes_owners(
    top: Top, http: aiohttp.ClientSession
) -> None:
    attachment = attach(top, "pod2", add_volume(top, "pod2"))
    admin = top.headers("admin", "admin", "member", "reader")
    url = f"{root(top, 'admin')}/attachments/{attachment}"
    assert (await ask(http, "GET", url, admin))[0] == 200
    assert (await ask(http, "GET", f"{root(top)}/attachments/{attachment}", top.member()))[0] == 200
    other = f"{root(top, 'other')}/attachments/{attachment}"
    assert (await ask(http, "DELETE", other, top.member("other")))[0] == 404
    demo = top.cloud.project_id("demo")
    assert [one.project_id for one in await records(top, attachment)] == [demo]


async def test_whoever_looks_at_an_attachment_first_is_not_written_down_as_its_owner(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").volume.shows_attachments = True
    attachment = attach(top, "pod2", add_volume(top, "pod2"))
    other = f"{root(top, 'other')}/attachments/{attachment}"
    assert (await ask(http, "GET", other, top.member("other")))[0] == 200
    assert await records(top, attachment) == []
    assert (await ask(http, "GET", f"{root(top)}/attachments/{attachment}", top.member()))[0] == 200
    demo = top.cloud.project_id("demo")
    assert [one.project_id for one in await records(top, attachment)] == [demo]


async def test_an_attachment_that_is_gone_is_told_while_the_database_is_away(
    top: Top, http: aiohttp.ClientSession
) -> None:
    attachment = attach(top, "pod2", add_volume(top, "pod2"))
    url = f"{root(top)}/attachments/{attachment}"
    assert (await ask(http, "GET", url, top.member()))[0] == 200
    nova = {**top.member(), "X-Service-Token": top.cloud.token("nova", "service", ("service",))}
    assert (await ask(http, "DELETE", f"{url}x", nova))[0] == 404  # the token is known now
    with without_table(top, "routing"):
        status, body = await ask(http, "DELETE", url, nova)
        assert (status, body) == (200, {"attachments": []})
        assert (await ask(http, "GET", url, top.member()))[0] == 404


async def test_a_server_that_is_nowhere_waits_for_no_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    volume = add_volume(top, "pod1")
    url = f"{root(top)}/volumes/{volume.id}"
    assert (await ask(http, "GET", url, top.member()))[0] == 200
    top.cloud.pod("pod2").faults.inject(Refuse())
    body = {"attachment": {"volume_uuid": volume.id, "instance_uuid": ABSENT}}
    status, made = await ask(http, "POST", f"{root(top)}/attachments", top.member(), body)
    assert (status, made["attachment"]["status"]) == (200, "reserved")


@pytest.mark.parametrize("pod", ["pod1", "pod2"])
async def test_a_hint_decides_about_the_pod(
    top: Top, http: aiohttp.ClientSession, pod: str
) -> None:
    volume = add_volume(top, pod)
    server = top.cloud.pod(pod).compute.add_servers(1, volume.project_id)[0]
    for hint in ({"same_host": volume.id}, {"same_host": [volume.id]},
                 {"local_to_instance": server.uuid}):  # fmt: skip
        body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": hint}
        status, made = await ask(http, "POST", f"{root(top)}/volumes", top.member(), body)
        assert status == 202
        assert made["volume"]["id"] in top.cloud.pod(pod).volume.volumes


async def test_hints_that_contradict_each_other_name_both_pods(
    top: Top, http: aiohttp.ClientSession
) -> None:
    both = [add_volume(top, "pod1").id, add_volume(top, "pod2").id]
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"same_host": both}}
    status, answer = await ask(http, "POST", f"{root(top)}/volumes", top.member(), body)
    assert status == 400
    assert "pod1" in answer["badRequest"]["message"]
    assert "pod2" in answer["badRequest"]["message"]


async def test_a_volume_that_is_to_be_apart_goes_to_another_pod(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Also from the pod that the project is bound to; where there is no other, to that one."""
    zones = {"pod1": "az1", "pod2": "az1"}
    async with open_top(tmp_path, SimulatedCloud(("pod1", "pod2")), "", zones) as top:

        async def make(**hints: object) -> str:
            body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": hints}
            _, made = await ask(http, "POST", f"{root(top)}/volumes", top.member(), body)
            return str(made["volume"]["id"])

        first = await make()
        apart = await make(different_host=first)
        both = await make(different_host=[first, apart])
        held = {pod: set(top.cloud.pod(pod).volume.volumes) for pod in ("pod1", "pod2")}
        assert held == {"pod1": {first, both}, "pod2": {apart}}


async def test_a_hint_that_names_nothing_is_the_schedulers_to_judge(
    top: Top, http: aiohttp.ClientSession
) -> None:
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"same_host": ABSENT}}
    assert (await ask(http, "POST", f"{root(top)}/volumes", top.member(), body))[0] == 202


# Records of backups.


def encode(**fields: object) -> dict[str, Any]:
    """Return a request to import a record."""
    record = {"id": ABSENT, "size": 1, **fields}
    url = base64.b64encode(json.dumps(record).encode()).decode()
    return {"backup-record": {"backup_service": "posix", "backup_url": url}}


async def import_record(
    top: Top, http: aiohttp.ClientSession, body: object, role: str = "admin"
) -> int:
    headers = top.headers("admin", role)
    url = f"{root(top, 'admin')}/backups/import_record"
    status, _ = await ask(http, "POST", url, headers, body)
    return status


@pytest.mark.parametrize("pod", ["pod1", "pod2"])
async def test_a_record_goes_to_the_pod_of_the_host_that_made_it(
    top: Top, http: aiohttp.ClientSession, pod: str
) -> None:
    host = top.cloud.pod(pod).volume.host.partition("@")[0]
    assert await import_record(top, http, encode(host=host)) == 201
    holders = [one for one in ("pod1", "pod2") if ABSENT in top.cloud.pod(one).volume.backups]
    assert holders == [pod]


async def test_a_record_of_no_known_host_goes_where_anything_new_goes(
    top: Top, http: aiohttp.ClientSession
) -> None:
    assert await import_record(top, http, encode(host="gone")) == 201
    assert ABSENT in top.cloud.pod("pod1").volume.backups


async def test_no_id_comes_into_two_pods(top: Top, http: aiohttp.ClientSession) -> None:
    cinder = top.cloud.pod("pod2").volume
    project = top.cloud.project_id("demo")
    now = cinder.clock()
    cinder.backups[ABSENT] = Backup(ABSENT, project, "x", ABSENT, 1, now, now, "az", "host")
    assert await import_record(top, http, encode(host="gone")) == 400
    assert ABSENT not in top.cloud.pod("pod1").volume.backups


async def test_whether_an_id_is_in_a_pod_must_be_known_first(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    assert await import_record(top, http, encode(host="gone")) == 503


async def test_who_may_not_import_is_told_so(top: Top, http: aiohttp.ClientSession) -> None:
    assert await import_record(top, http, encode(host="gone"), "member") == 403


# What is made beside.


async def test_a_restored_volume_is_written_down(top: Top, http: aiohttp.ClientSession) -> None:
    body = {"backup": {"volume_id": add_volume(top, "pod2").id}}
    _, made = await ask(http, "POST", f"{root(top)}/backups", top.member(), body)
    url = f"{root(top)}/backups/{made['backup']['id']}/restore"
    status, restored = await ask(http, "POST", url, top.member(), {"restore": {}})
    assert status == 202
    top.cloud.pod("pod1").faults.inject(Refuse())
    url = f"{root(top)}/volumes/{restored['restore']['volume_id']}"
    assert (await ask(http, "GET", url, top.member()))[0] == 200
    asked = [one for one in top.cloud.pod("pod1").requests if url.rpartition("/")[2] in one.path]
    assert asked == []


@pytest.mark.parametrize(
    ("path", "collection"),
    [("backups", "backups"), ("attachments", "attachments"), ("volume-transfers", "transfers"),
     ("messages", "messages"), ("os-volume-transfer/detail", "transfers")],
)  # fmt: skip
async def test_a_list_without_a_dead_pod_says_which_is_missing(
    top: Top, http: aiohttp.ClientSession, path: str, collection: str
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    async with http.get(f"{root(top)}/{path}", headers={**LATEST, **top.member()}) as response:
        assert response.status == 200
        assert response.headers["x-tricircle-missing-pods"] == "pod2"
        assert (await response.json())[collection] == []


async def test_volumes_of_all_pods_are_summed_up(top: Top, http: aiohttp.ClientSession) -> None:
    for pod, words in (("pod1", {"a.b": "1"}), ("pod2", {"a.b": "2"})):
        add_volume(top, pod).metadata = words
    _, answer = await ask(http, "GET", f"{root(top)}/volumes/summary", top.member())
    assert answer == {
        "volume-summary": {"total_count": 2, "total_size": 2, "metadata": {"a.b": ["1", "2"]}}
    }


async def test_filters_are_those_that_all_pods_know(top: Top, http: aiohttp.ClientSession) -> None:
    url = f"{root(top)}/resource_filters?resource=message"
    _, both = await ask(http, "GET", url, top.member())
    straight = top.cloud.pod("pod1").requests
    assert straight
    names = ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"]
    assert both == {"resource_filters": [{"resource": "message", "filters": names}]}
