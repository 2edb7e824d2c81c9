"""The simulated Cinder: words and statuses are those of cinder 29.0.0."""

from typing import Any

import pytest

from tests.testing.cloud.conftest import Clients
from tricircle.testing.cloud import SimulatedCloud

ABSENT = "11111111-2222-3333-4444-555555555555"


async def test_the_root_offers_multiple_choices(clients: Clients) -> None:
    answer = await clients.for_service("/pod1/volume").get("/")
    assert answer.status == 300
    assert answer.json["versions"][0]["version"] == "3.71"


async def test_a_volume_is_created_available_and_deleted(clients: Clients) -> None:
    cinder = clients.volume()
    made = await cinder.post("/volumes", {"volume": {"size": 2, "name": "data"}})
    assert made.status == 202
    assert made.json["volume"]["status"] == "creating"
    path = f"/volumes/{made.json['volume']['id']}"
    assert (await cinder.get(path)).json["volume"]["status"] == "available"
    assert (await cinder.delete(path)).status == 202
    assert (await cinder.get(path)).status == 404


REFUSALS = [
    ({"size": 0}, 400, "Invalid input for field/attribute size. Value: 0. 0 is less than the "
                       "minimum of 1"),
    ({"size": 1, "volume_type": "nope"}, 404,
     "Volume type with name nope could not be found."),
    ({"snapshot_id": ABSENT}, 404, f"Snapshot {ABSENT} could not be found."),
    ({"source_volid": ABSENT}, 404, f"Volume {ABSENT} could not be found."),
    ({"size": 1, "imageRef": ABSENT}, 400,
     "Invalid image identifier or unable to access requested image."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "status", "message"), REFUSALS)
async def test_a_wrong_volume_is_refused_in_cinders_words(
    clients: Clients, given: Any, status: int, message: str
) -> None:
    answer = await clients.volume().post("/volumes", {"volume": given})
    assert answer.status == status
    assert next(iter(answer.json.values())) == {"code": status, "message": message}


async def test_a_full_quota_is_413(cloud: SimulatedCloud, clients: Clients) -> None:
    cloud.pod("pod1").volume.quotas["volumes"] = 0
    answer = await clients.volume().post("/volumes", {"volume": {"size": 1}})
    assert answer.status == 413
    assert answer.json["overLimit"]["message"].startswith("VolumeLimitExceeded")


async def test_the_project_in_the_url_must_be_the_tokens(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    other = cloud.project_id("other")
    cinder = clients.for_service("/pod1/volume/v3")
    assert (await cinder.get("/volumes")).status == 200
    answer = await cinder.get(f"/{other}/volumes")
    assert answer.status == 400
    assert answer.json["badRequest"]["message"] == "Malformed request url"


async def test_foreign_volumes_look_absent(cloud: SimulatedCloud, clients: Clients) -> None:
    volume = cloud.pod("pod1").volume.add_volumes(1, cloud.project_id("demo"))[0]
    answer = await clients.volume("eve", "other").get(f"/volumes/{volume.id}")
    assert answer.status == 404
    assert answer.json["itemNotFound"]["message"] == f"Volume {volume.id} could not be found."


async def test_a_volume_with_a_snapshot_is_not_deleted_but_in_cascade(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    cinder = clients.volume()
    volume = cloud.pod("pod1").volume.add_volumes(1, cloud.project_id("demo"))[0]
    made = await cinder.post("/snapshots", {"snapshot": {"volume_id": volume.id}})
    assert made.status == 202
    assert (await cinder.delete(f"/volumes/{volume.id}")).status == 400
    assert (await cinder.delete(f"/volumes/{volume.id}?cascade=true")).status == 202
    assert (await cinder.get("/snapshots")).json["snapshots"] == []


async def test_only_nova_may_take_an_attachment_from_a_server(
    cloud: SimulatedCloud, clients: Clients
) -> None:
    pod = cloud.pod("pod1")
    volume = pod.volume.add_volumes(1, cloud.project_id("demo"))[0]
    attachment_id = pod.volume.attach_to_server(volume.id, ABSENT, "/dev/vdb", "host")
    answer = await clients.volume().delete(
        f"/attachments/{attachment_id}", OpenStack_API_Version="volume 3.27"
    )
    assert answer.status == 409
    assert "using the Compute API" in answer.json["conflictingRequest"]["message"]


async def test_extending_needs_a_greater_size(cloud: SimulatedCloud, clients: Clients) -> None:
    volume = cloud.pod("pod1").volume.add_volumes(1, cloud.project_id("demo"))[0]
    path = f"/volumes/{volume.id}/action"
    cinder = clients.volume()
    assert (await cinder.post(path, {"os-extend": {"new_size": 1}})).status == 400
    assert (await cinder.post(path, {"os-extend": {"new_size": 3}})).status == 202
    assert volume.size == 3
