"""What a pod answers through ``interfaces.cloud.Cloud``, simulated or real."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.clouds import JSON, TIMEOUT_S, Place, open_lab, open_simulated
from tricircle.core.model import Service
from tricircle.interfaces.cloud import PodRequest


@pytest.fixture(params=["simulated", pytest.param("lab", marks=pytest.mark.lab)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with open_lab() if request.param == "lab" else open_simulated(tmp_path) as place:
        yield place


def as_user(token: str, version: str = "") -> list[tuple[bytes, bytes]]:
    headers = [(b"x-auth-token", token.encode()), (b"accept", b"application/json")]
    return [*headers, (b"openstack-api-version", version.encode())] if version else headers


@pytest.mark.parametrize("service", [Service.COMPUTE, Service.VOLUME])
async def test_without_a_token_a_pod_answers_401(place: Place, service: Service) -> None:
    answer = await place.ask(service, PodRequest("GET", "/limits"))
    assert answer.status == 401


@pytest.mark.parametrize(
    ("service", "path", "key"),
    [(Service.COMPUTE, "/servers", "servers"), (Service.VOLUME, "/{project}/volumes", "volumes")],
)
async def test_a_list_is_a_json_object_with_a_request_id(
    place: Place, service: Service, path: str, key: str
) -> None:
    token = await place.log_in()
    caller = await place.make_checker().check([(b"x-auth-token", token.encode())], "GET", "/")
    path = path.format(project=caller.project_id)
    answer = await place.ask(service, PodRequest("GET", path, "limit=1", as_user(token)))
    assert answer.status == 200
    assert isinstance(answer.document[key], list)
    assert answer.find_header(b"content-type") == b"application/json"
    request_id = answer.find_header(b"x-openstack-request-id")
    assert request_id is not None
    assert request_id.startswith(b"req-")


async def test_the_microversion_that_was_sent_is_the_one_that_counts(place: Place) -> None:
    token = await place.log_in()
    request = PodRequest("GET", "/servers", "", as_user(token, "compute 2.60"))
    answer = await place.ask(Service.COMPUTE, request)
    assert answer.find_header(b"openstack-api-version") == b"compute 2.60"


async def test_what_is_not_there_is_404_with_a_message(place: Place) -> None:
    request = PodRequest("GET", f"/servers/{uuid.uuid4()}", "", as_user(await place.log_in()))
    answer = await place.ask(Service.COMPUTE, request)
    assert answer.status == 404
    assert set(answer.document) == {"itemNotFound"}


async def test_a_resource_can_be_made_shown_and_deleted(place: Place) -> None:
    token = await place.log_in()
    name = f"contract-{uuid.uuid4()}"
    body = json.dumps({"keypair": {"name": name, "public_key": PUBLIC_KEY}}).encode()
    headers = [*as_user(token), JSON]
    made = await place.ask(Service.COMPUTE, PodRequest("POST", "/os-keypairs", "", headers, body))
    assert made.status in (200, 201), made.body
    path = f"/os-keypairs/{name}"
    shown = await place.ask(Service.COMPUTE, PodRequest("GET", path, "", as_user(token)))
    assert shown.status == 200
    deleted = await place.ask(Service.COMPUTE, PodRequest("DELETE", path, "", as_user(token)))
    assert deleted.status in (202, 204)
    assert deleted.body == b""
    gone = await place.ask(Service.COMPUTE, PodRequest("GET", path, "", as_user(token)))
    assert gone.status == 404


async def test_a_percent_encoded_name_is_found_under_that_name(place: Place) -> None:
    token = await place.log_in()
    name = f"contract {uuid.uuid4()} @x"
    body = json.dumps({"keypair": {"name": name, "public_key": PUBLIC_KEY}}).encode()
    headers = [*as_user(token, "compute 2.92"), JSON]
    made = await place.ask(Service.COMPUTE, PodRequest("POST", "/os-keypairs", "", headers, body))
    assert made.status in (200, 201), made.body
    path = "/os-keypairs/" + name.replace(" ", "%20").replace("@", "%40")
    shown = await place.ask(Service.COMPUTE, PodRequest("GET", path, "", as_user(token)))
    await place.ask(Service.COMPUTE, PodRequest("DELETE", path, "", as_user(token)))
    assert shown.status == 200
    assert name in shown.body.decode()


async def test_a_streamed_answer_is_the_answer(place: Place) -> None:
    request = PodRequest("GET", "/flavors/detail", "", as_user(await place.log_in()))
    whole = await place.ask(Service.COMPUTE, request)
    endpoint = place.pod.endpoints[Service.COMPUTE]
    async with place.http.send(place.pod.id, endpoint, request, TIMEOUT_S) as answer:
        parts = [part async for part in answer.chunks()]
    assert json.loads(b"".join(parts)) == whole.document


async def test_a_wrong_body_is_the_pods_own_400(place: Place) -> None:
    headers = [*as_user(await place.log_in()), JSON]
    request = PodRequest("POST", "/servers", "", headers, b'{"server": {}}')
    answer = await place.ask(Service.COMPUTE, request)
    assert answer.status == 400
    assert set(answer.document) == {"badRequest"}


PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHKsFrvFj2wMrVyvBkWvHqVmIyyCY0lSGw9aYoFZ3HkN contract"
)
