"""What the Admin API refuses, with which status and in which words.

Nothing is kept by any of these requests, so one API serves them all.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "field 'pod' is required"),
        ([], "must be"),
        ({"pod": None}, "field 'pod'"),
        ({"pod": {}}, "field 'pod.name' is required; field 'pod.region' is required"),
        ({"pod": {"name": "a", "region": "r"}, "x": 1}, "field 'x' is not known"),
        ({"pod": {"name": "a", "region": "r", "colour": 1}}, "field 'pod.colour' is not known"),
        ({"pod": {"name": 1, "region": "r"}}, "field 'pod.name'"),
        ({"pod": {"name": "", "region": "r"}}, "field 'pod.name'"),
        ({"pod": {"name": "a/b", "region": "r"}}, "field 'pod.name'"),
        ({"pod": {"name": "az:node", "region": "r"}}, "field 'pod.name'"),
        ({"pod": {"name": "a" * 65, "region": "r"}}, "field 'pod.name'"),
        ({"pod": {"name": "a", "region": ""}}, "field 'pod.region'"),
        ({"pod": {"name": "a", "region": "r\u0000"}}, "field 'pod.region'"),
        ({"pod": {"name": "a", "region": "\ud800"}}, "field 'pod.region'"),
        ({"pod": {"name": "a", "region": "r", "enabled": "yes"}}, "field 'pod.enabled'"),
        ({"pod": {"name": "a", "region": "r", "enabled": 1}}, "field 'pod.enabled'"),
        ({"pod": {"name": "a", "region": "r", "description": "d" * 256}}, "'pod.description'"),
    ],
)
async def test_a_wrong_body_is_refused_naming_the_field(
    shared_api: Api, body: object, message: str
) -> None:
    answer = await shared_api.call("POST", "/v1/pods", body)

    assert answer.status == 400
    assert message in answer.message


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b'{"pod": 1, "pod": 2}', JSON, 400),
        (b"[" * 1000, JSON, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"Content-Type": "application/jsonx"}, 415),
        (b" " * 70_000, JSON, 413),
    ],
)
async def test_a_body_that_is_no_proper_json_is_refused(
    shared_api: Api, data: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await shared_api.call("POST", "/v1/pods", data=data, headers=headers)).status == status


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/pods?limit=0", "parameter 'limit'"),
        ("/v1/pods?limit=x", "parameter 'limit'"),
        ("/v1/pods?limit=1001", "parameter 'limit'"),
        ("/v1/pods?colour=red", "parameter 'colour' is not known"),
        ("/v1/pods?enabled=perhaps", "parameter 'enabled'"),
        ("/v1/pods?sort=colour", "cannot sort by 'colour'"),
        ("/v1/pods?marker=nothing", "marker 'nothing'"),
        ("/v1/routings?kind=sever", "parameter 'kind'"),
        ("/v1/routings?state=lost", "parameter 'state'"),
        ("/v1/routings?top_id=%00", "parameter 'top_id'"),
        ("/v1/routings?pod=nothing", "pod 'nothing' could not be found"),
        ("/v1/routings?marker=server", "marker 'server'"),
    ],
)
async def test_a_wrong_query_is_refused_naming_the_parameter(
    shared_api: Api, path: str, message: str
) -> None:
    answer = await shared_api.call("GET", path)

    assert answer.status == 400
    assert message in answer.message


async def test_a_query_without_end_is_refused(shared_api: Api) -> None:
    assert (await shared_api.call("GET", f"/v1/pods?name={'a' * 5000}")).status == 414


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/pods"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/pods/pod9"),
        ("PATCH", "/v1/pods/pod9"),
        ("DELETE", "/v1/pods/pod9"),
        ("POST", "/v1/pods/pod9/enable"),
        ("POST", "/v1/pods/pod9/disable"),
        ("POST", "/v1/pods/pod9/refresh"),
        ("POST", "/v1/pods/pod9/explode"),
        ("GET", "/v1/zones/az9"),
        ("GET", "/v1/zones/az9/pods/pod9"),
        ("PATCH", "/v1/zones/az9/pods/pod9"),
        ("DELETE", "/v1/zones/az9/pods/pod9"),
        ("GET", "/v1/routings/server/nothing"),
        ("GET", "/v1/routings/sever/nothing"),
        ("GET", "/v1/routings/server/%00"),
        ("GET", "/v1/pods/%2e%2e%2fzones"),
    ],
)
async def test_what_is_not_there_is_404(shared_api: Api, method: str, path: str) -> None:
    bodies: dict[str, Any] = {
        "/v1/pods/pod9": {"pod": {"enabled": False}},
        "/v1/zones/az9/pods/pod9": {"zone_pod": {"pod_az": "nova"}},
    }
    body = bodies.get(path) if method == "PATCH" else None

    assert (await shared_api.call(method, path, body)).status == 404


async def test_a_method_a_resource_does_not_have_is_405_with_those_it_has(shared_api: Api) -> None:
    answer = await shared_api.call("PUT", "/v1/pods")

    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize("name", ["", "az:1", "a/b", "az\n", " az", "z" * 256])
async def test_a_zone_name_clients_could_not_use_is_refused(shared_api: Api, name: str) -> None:
    assert (await shared_api.add_zone(name, "pod1")).status == 400
