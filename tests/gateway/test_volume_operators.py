"""What operators ask of Cinder: hosts, clusters and pools of one name in several pods, and more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_engine import ABSENT
from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import Refuse, Reply, SimulatedCloud
from tricircle.testing.cloud.volume import Volume
from tricircle.testing.cloud.volume.services import VOLUME, CinderService, Cluster

Body = dict[str, Any]
SHARED = "shared@lvm"


async def ask(
    http: aiohttp.ClientSession,
    top: Top,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    version: str = "3.71",
) -> tuple[int, Body, str | None]:
    """Return status, body and missing pods of an answer; an administrator asks by default."""
    sent = {
        **(headers or top.headers("admin", "admin")),
        "OpenStack-API-Version": f"volume {version}",
    }
    async with http.request(method, f"{top.volume}/v3{path}", headers=sent, json=body) as response:
        text = await response.text()
        missing = response.headers.get("X-Tricircle-Missing-Pods")
        return response.status, json.loads(text) if text else {}, missing


def message_of(body: Body) -> str:
    [fault] = body.values()
    return str(fault["message"])


def cinder_of(top: Top, pod: str) -> Volume:
    return top.cloud.pod(pod).volume


def add_backend(top: Top, pod: str, host: str = SHARED, cluster: str | None = None) -> None:
    """Give a pod one more backend, with a pool."""
    cinder = cinder_of(top, pod)
    number = len(cinder.services) + 1
    cinder.services.append(CinderService(number, VOLUME, host, cluster=cluster))
    cinder.pools[f"{host}#lvm"] = {}


def add_shared(top: Top) -> None:
    for pod in ("pod1", "pod2"):
        add_backend(top, pod)


def backend_of(top: Top, pod: str, host: str = SHARED) -> CinderService:
    return next(one for one in cinder_of(top, pod).services if one.host == host)


@pytest.mark.parametrize("action", ["freeze", "disable"])
async def test_a_host_of_several_pods_must_be_named_with_its_pod(
    top: Top, http: aiohttp.ClientSession, action: str
) -> None:
    add_shared(top)
    wish = {"host": SHARED} | ({"binary": VOLUME} if action == "disable" else {})
    status, body, _ = await ask(http, top, "PUT", f"/os-services/{action}", wish)
    assert (status, message_of(body)) == (
        400,
        f"Host {SHARED} is in several pods: pod1, pod2. Name one of them as pod:{SHARED}.",
    )
    wish["host"] = f"pod2:{SHARED}"
    status, _, _ = await ask(http, top, "PUT", f"/os-services/{action}", wish)
    changed = [getattr(backend_of(top, pod), "frozen" if action == "freeze" else "disabled")
               for pod in ("pod1", "pod2")]  # fmt: skip
    assert (status, changed) == (200, [False, True])


async def test_a_host_without_its_backend_stands_for_all_backends_of_it(
    top: Top, http: aiohttp.ClientSession
) -> None:
    status, _, _ = await ask(http, top, "PUT", "/os-services/freeze", {"host": "pod2-volume1"})
    assert status == 200
    assert backend_of(top, "pod2", "pod2-volume1@lvm").frozen


async def test_pools_of_one_name_are_told_apart_and_sorted(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_shared(top)
    _, body, _ = await ask(http, top, "GET", "/scheduler-stats/get_pools")
    names = [pool["name"] for pool in body["pools"]]
    assert names == sorted(names)
    assert set(names) == {
        "pod1-volume1@lvm#lvm", "pod2-volume1@lvm#lvm", f"{SHARED}#lvm", f"pod2:{SHARED}#lvm",
    }  # fmt: skip
    named = f"/scheduler-stats/get_pools?detail=true&name=pod2:{SHARED}%23lvm".replace("@", "%40")
    _, body, _ = await ask(http, top, "GET", named)
    assert [pool["name"] for pool in body["pools"]] == [f"{SHARED}#lvm"]
    assert body["pools"][0]["capabilities"]["vendor_name"] == "Tricircle"


async def test_pools_before_3_28_have_no_filter(top: Top, http: aiohttp.ClientSession) -> None:
    path = "/scheduler-stats/get_pools?name=none"
    _, body, _ = await ask(http, top, "GET", path, version="3.27")
    assert len(body["pools"]) == 2


async def test_clusters_of_all_pods_are_listed_found_and_switched(
    top: Top, http: aiohttp.ClientSession
) -> None:
    for pod, name in (("pod1", "both"), ("pod2", "both"), ("pod2", "one")):
        cinder_of(top, pod).clusters.append(Cluster(name))
        add_backend(top, pod, f"{pod}-{name}@lvm", name)
    _, body, _ = await ask(http, top, "GET", "/clusters/detail")
    assert [(one["name"], one["num_hosts"]) for one in body["clusters"]] == [
        ("both", 1), ("both", 1), ("one", 1),
    ]  # fmt: skip
    _, body, _ = await ask(http, top, "GET", "/clusters?name=pod2:both")
    assert [one["name"] for one in body["clusters"]] == ["both"]
    status, body, _ = await ask(http, top, "GET", "/clusters/one")
    assert (status, body["cluster"]["name"]) == (200, "one")
    status, body, _ = await ask(http, top, "GET", "/clusters/both")
    assert (status, message_of(body)) == (
        400,
        "Cluster both is in several pods: pod1, pod2. Name one of them as pod:both.",
    )
    wish = {"name": "pod2:both", "disabled_reason": "repair"}
    status, body, _ = await ask(http, top, "PUT", "/clusters/disable", wish)
    assert (status, body["cluster"]["status"]) == (200, "disabled")
    switched = [[one.disabled for one in cinder_of(top, pod).clusters] for pod in ("pod1", "pod2")]
    assert switched == [[False], [True, False]]
    status, _, _ = await ask(http, top, "PUT", "/clusters/enable", {"name": "one"})
    assert status == 200


async def test_what_names_a_cluster_goes_to_its_pod(top: Top, http: aiohttp.ClientSession) -> None:
    cinder_of(top, "pod2").clusters.append(Cluster("one@lvm"))
    add_backend(top, "pod2", "member@lvm", "one@lvm")
    cinder_of(top, "pod2").unmanaged_volumes["foreign"] = 3
    status, _, _ = await ask(http, top, "PUT", "/os-services/freeze", {"cluster": "one@lvm"})
    assert (status, backend_of(top, "pod2", "member@lvm").frozen) == (200, True)
    path = "/manageable_volumes?cluster=one%40lvm"
    status, body, _ = await ask(http, top, "GET", path)
    assert status == 200
    assert [row["size"] for row in body["manageable-volumes"]] == [3]
    wish = {"volume": {"cluster": "one@lvm#pool", "ref": {"source-name": "foreign"}}}
    status, body, _ = await ask(http, top, "POST", "/manageable_volumes", wish)
    assert (status, body["volume"]["id"] in cinder_of(top, "pod2").volumes) == (202, True)


async def test_a_foreign_volume_is_written_down_where_its_host_is(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_shared(top)
    cinder_of(top, "pod2").unmanaged_volumes["foreign"] = 2
    wish = {"volume": {"host": f"{SHARED}#lvm", "ref": {"source-name": "foreign"}}}
    status, body, _ = await ask(http, top, "POST", "/os-volume-manage", wish, version="3.0")
    assert (status, "is in several pods: pod1, pod2" in message_of(body)) == (400, True)
    wish["volume"]["host"] = f"pod2:{SHARED}#lvm"
    status, body, _ = await ask(http, top, "POST", "/os-volume-manage", wish, version="3.0")
    assert (status, body["volume"]["availability_zone"]) == (202, "az2")
    made = cinder_of(top, "pod2").volumes[body["volume"]["id"]]
    assert (made.host, made.size) == (f"{SHARED}#lvm", 2)
    status, body, _ = await ask(http, top, "GET", f"/volumes/{made.id}")
    assert (status, body["volume"]["size"]) == (200, 2)


async def test_a_volume_moves_within_its_pod(top: Top, http: aiohttp.ClientSession) -> None:
    add_shared(top)
    [volume] = cinder_of(top, "pod2").add_volumes(1, top.cloud.project_id("demo"))
    path = f"/volumes/{volume.id}/action"
    # The name alone is enough: that of the volume's own pod is meant.
    status, _, _ = await ask(http, top, "POST", path, {"os-migrate_volume": {"host": SHARED}})
    assert (status, volume.host) == (202, f"{SHARED}#lvm")
    host = "pod2:pod2-volume1@lvm#lvm"
    status, _, _ = await ask(http, top, "POST", path, {"os-migrate_volume": {"host": host}})
    assert (status, volume.host) == (202, "pod2-volume1@lvm#lvm")
    member = top.member()
    status, body, _ = await ask(
        http, top, "POST", path, {"os-migrate_volume": {"host": SHARED}}, member
    )
    assert (status, message_of(body)) == (
        403,
        "Policy doesn't allow volume_extension:volume_admin_actions:migrate_volume to be "
        "performed.",
    )


async def test_a_volume_of_others_is_absent_whatever_host_is_named(
    top: Top, http: aiohttp.ClientSession
) -> None:
    [volume] = cinder_of(top, "pod2").add_volumes(1, top.cloud.project_id("other"))
    await ask(http, top, "GET", f"/volumes/{volume.id}")
    wish = {"os-migrate_volume": {"host": "pod1:pod1-volume1@lvm#lvm"}}
    path = f"/volumes/{volume.id}/action"
    status, body, _ = await ask(http, top, "POST", path, wish, top.member())
    assert (status, message_of(body)) == (404, f"Volume {volume.id} could not be found.")


async def test_what_was_interrupted_is_cleaned_in_its_pod_alone(
    top: Top, http: aiohttp.ClientSession
) -> None:
    cinder_of(top, "pod2").interrupted[ABSENT] = 3
    status, body, _ = await ask(http, top, "POST", "/workers/cleanup", {"resource_id": ABSENT})
    assert status == 202
    [cleaned] = body["cleaning"]
    assert (cleaned["host"], cleaned["id"] > 2**31) == ("pod2-volume1@lvm", True)
    wish = {"service_id": cleaned["id"]}
    status, body, _ = await ask(http, top, "POST", "/workers/cleanup", wish)
    assert (status, body["cleaning"]) == (202, [cleaned])
    # What a pod calls so is a service of each pod.
    status, body, _ = await ask(http, top, "POST", "/workers/cleanup", {"service_id": 3})
    assert (status, body["cleaning"]) == (202, [])
    status, body, _ = await ask(http, top, "POST", "/workers/cleanup", {"service_id": "three"})
    assert (status, message_of(body)) == (
        400,
        "Invalid input for field/attribute service_id. Value: three. 'three' does not match "
        "'^[0-9]*$'",
    )


async def test_log_levels_are_those_of_all_pods_or_of_one(
    top: Top, http: aiohttp.ClientSession
) -> None:
    add_shared(top)
    wish = {"server": f"pod2:{SHARED}", "prefix": "cinder", "level": "debug"}
    status, _, _ = await ask(http, top, "PUT", "/os-services/set-log", wish)
    levels = [backend_of(top, pod).levels.get("cinder") for pod in ("pod1", "pod2")]
    assert (status, levels) == (202, [None, "DEBUG"])
    status, _, _ = await ask(http, top, "PUT", "/os-services/set-log", {**wish, "server": SHARED})
    levels = [backend_of(top, pod).levels.get("cinder") for pod in ("pod1", "pod2")]
    assert (status, levels) == (202, ["DEBUG", "DEBUG"])
    _, body, _ = await ask(http, top, "PUT", "/os-services/get-log", {"server": SHARED})
    assert [one["host"] for one in body["log_levels"]] == [SHARED, SHARED]


@pytest.mark.parametrize("version", ["3.31", "3.32"])
async def test_log_levels_began_with_3_32(
    top: Top, http: aiohttp.ClientSession, version: str
) -> None:
    status, _, _ = await ask(http, top, "PUT", "/os-services/get-log", {}, version=version)
    assert status == (404 if version == "3.31" else 200)


READS = ("/os-services", "/os-hosts", "/clusters", "/scheduler-stats/get_pools")


@pytest.mark.parametrize("path", READS)
async def test_a_pod_that_is_down_is_named_in_lists(
    top: Top, http: aiohttp.ClientSession, path: str
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, _, missing = await ask(http, top, "GET", path)
    assert (status, missing) == (200, "pod2")


async def test_a_change_of_all_pods_says_which_it_missed(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, _, missing = await ask(http, top, "PUT", "/os-services/set-log", {"level": "INFO"})
    assert (status, missing) == (202, "pod2")
    status, _, missing = await ask(http, top, "POST", "/workers/cleanup", {})
    assert (status, missing) == (202, "pod2")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/os-services/freeze", {"host": "pod2-volume1@lvm"}),
        ("PUT", "/os-services/enable", {"host": "pod2-volume1@lvm", "binary": VOLUME}),
        ("GET", "/os-hosts/pod2-volume1@lvm", None),
        ("GET", "/capabilities/pod2-volume1@lvm", None),
        ("GET", "/clusters/one", None),
        ("PUT", "/clusters/enable", {"name": "one"}),
        ("GET", "/manageable_volumes?host=pod2-volume1@lvm", None),
        ("POST", "/manageable_volumes", {"volume": {"host": "pod2-volume1@lvm", "ref": {}}}),
    ],
)
async def test_what_may_be_in_a_pod_that_is_down_is_unknown(
    top: Top, http: aiohttp.ClientSession, method: str, path: str, body: object
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    status, _, _ = await ask(http, top, method, path, body)
    assert status == 503


async def test_a_pod_that_is_down_hinders_nothing_in_others(
    top: Top, http: aiohttp.ClientSession
) -> None:
    top.cloud.pod("pod2").faults.inject(Refuse())
    host = "pod1-volume1@lvm"
    for method, path, body in (
        ("PUT", "/os-services/freeze", {"host": host}),
        ("GET", f"/os-hosts/{host}", None),
        ("GET", f"/capabilities/{host}", None),
        ("GET", f"/manageable_volumes?host={host}", None),
    ):
        status, _, _ = await ask(http, top, method, path, body)
        assert status == 200, path


async def test_a_named_pod_answers_as_it_does(top: Top, http: aiohttp.ClientSession) -> None:
    path = "/manageable_volumes?host=pod2:pod2-volume1@lvm"
    words = b'{"computeFault": {"code": 500, "message": "no driver"}}'
    reply = Reply(500, words, (("content-type", "application/json"),))
    top.cloud.pod("pod2").faults.inject(reply, path="/manageable_volumes")
    status, body, _ = await ask(http, top, "GET", path)
    assert (status, message_of(body)) == (500, "no driver")


async def test_partial_answers_can_be_forbidden(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    cloud = SimulatedCloud(("pod1", "pod2"))
    async with open_top(tmp_path, cloud, "[gateway]\npartial_lists = no\n") as top:
        cloud.pod("pod2").faults.inject(Refuse())
        for method, path, wish in (
            ("GET", "/os-services", None),
            ("PUT", "/os-services/set-log", {"level": "INFO"}),
        ):
            status, _, _ = await ask(http, top, method, path, wish)
            assert status == 503
