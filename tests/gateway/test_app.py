"""The edge of a gateway: who may ask, in which version, and what is refused."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.simulated_top import Top

SPOOFED = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "somebody",
    "X-Project-Id": "another",
    "X-Roles": "admin",
    "X-Is-Admin-Project": "True",
    "X-Service-Roles": "service",
    "X_Auth_Token": "gAAAA",
}


async def test_a_request_without_a_token_gets_keystones_own_answer(
    top: Top, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{top.compute}/v2.1/servers") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith('Keystone uri="http://127.0.0.1')
        assert await response.json() == {
            "error": {
                "code": 401,
                "title": "Unauthorized",
                "message": "The request you have made requires authentication.",
            }
        }


async def test_identity_headers_of_a_client_count_for_nothing(
    top: Top, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{top.compute}/v2.1/servers", headers=SPOOFED) as response:
        assert response.status == 401
    async with http.get(
        f"{top.compute}/v2.1/os-availability-zone/detail", headers={**top.member(), **SPOOFED}
    ) as response:
        assert response.status == 403


async def test_identity_headers_of_a_client_reach_no_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    async with http.get(
        f"{top.compute}/v2.1/servers/detail", headers={**top.member(), **SPOOFED}
    ) as response:
        assert response.status == 200
    for pod in top.cloud.pods.values():
        for received in pod.requests:
            names = {name for name, _ in received.headers}
            assert not names & {"x-user-id", "x-roles", "x-project-id", "x_auth_token"}


async def test_the_project_of_the_url_must_be_the_tokens(
    top: Top, http: aiohttp.ClientSession
) -> None:
    other = top.cloud.project_id("other")
    async with http.get(f"{top.compute}/v2.1/{other}/servers", headers=top.member()) as response:
        assert response.status == 400
        body = await response.json()
        assert f"URL's project_id '{other}' doesn't match" in body["badRequest"]["message"]
    async with http.get(f"{top.volume}/v3/{other}/volumes", headers=top.member()) as response:
        assert response.status == 400
        assert (await response.json())["badRequest"]["message"] == "Malformed request url"


@pytest.mark.parametrize("path", ["/v2.1/no-such", "/v9/servers", "/nothing", "/v2.1/../v2.1/x"])
async def test_a_path_nova_does_not_have_is_404(
    top: Top, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(f"{top.compute}{path}", headers=top.member()) as response:
        assert response.status == 404


async def test_dots_in_a_path_never_reach_a_pod(top: Top) -> None:
    for path in ("/v2.1/servers/../os-hypervisors", "/v2.1/servers/%2e%2e/os-hypervisors"):
        assert (await raw_status(top, path)) == 404


async def raw_status(top: Top, path: str) -> int:
    """Send a path as it is, which clients would tidy up."""
    url = urlsplit(top.compute)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    token = top.member()["X-Auth-Token"]
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def test_the_version_document_is_what_every_pod_can_serve(
    top: Top, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{top.compute}/v2.1/") as response:
        version = (await response.json())["version"]
        assert (version["min_version"], version["version"]) == ("2.1", "2.100")
        assert version["links"][0]["href"] == f"{top.compute}/v2.1/"


async def test_the_list_of_versions_needs_no_token(top: Top, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{top.compute}/") as response:
        assert response.status == 200
    async with http.get(f"{top.volume}/") as response:
        assert response.status == 300
        assert (await response.json())["versions"][0]["version"] == "3.71"


async def test_a_version_above_the_common_range_is_406_in_novas_words(
    top: Top, http: aiohttp.ClientSession
) -> None:
    headers = {**top.member(), "OpenStack-API-Version": "compute 2.104"}
    async with http.get(f"{top.compute}/v2.1/servers", headers=headers) as response:
        assert response.status == 406
        assert (await response.json())["computeFault"]["message"] == (
            "Version 2.104 is not supported by the API. Minimum is 2.1 and maximum is 2.100."
        )


async def test_what_was_decided_is_what_the_pod_is_sent(
    top: Top, http: aiohttp.ClientSession
) -> None:
    headers = {
        **top.member(),
        "OpenStack-API-Version": "compute latest",
        "X-OpenStack-Nova-API-Version": "2.5",
    }
    async with http.get(f"{top.compute}/v2.1/servers/detail", headers=headers) as response:
        assert response.headers["OpenStack-API-Version"] == "compute 2.100"
    [received] = top.cloud.pod("pod1").requests.list_for("compute", path="servers")
    assert received.find_header("openstack-api-version") == "compute 2.100"
    assert received.find_header("x-openstack-nova-api-version") is None


async def test_every_answer_has_a_request_id(top: Top, http: aiohttp.ClientSession) -> None:
    for path in ("/", "/v2.1/servers", "/nothing"):
        async with http.get(f"{top.compute}{path}", headers=top.member()) as response:
            assert response.headers["x-openstack-request-id"].startswith("req-")


async def test_a_body_that_is_too_large_is_413(top: Top, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"server": {"name": "x" * (17 * 1024 * 1024)}}).encode()
    async with http.post(
        f"{top.compute}/v2.1/servers", data=body, headers=top.member()
    ) as response:
        assert response.status == 413
        assert "overLimit" in await response.json()


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"[" * 50_000])
async def test_a_body_that_is_no_json_object_is_400(
    top: Top, http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post(
        f"{top.compute}/v2.1/servers", data=body, headers=top.member()
    ) as response:
        assert response.status == 400
        assert (await response.json())["badRequest"]["message"] == "Malformed request body"


async def test_ambiguous_framing_is_refused(top: Top) -> None:
    url = urlsplit(top.compute)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(
        b"POST /v2.1/servers HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    await writer.drain()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2.1/os-cells", 410),
        ("POST", "/v2.1/os-certificates", 410),
    ],
)
async def test_what_is_not_served_says_so_with_the_services_own_status(
    top: Top, http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with http.request(method, top.compute + path, headers=top.member()) as response:
        assert response.status == status
        assert next(iter((await response.json()).values()))["code"] == status


async def test_health_needs_no_token(top: Top, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{top.compute}/healthcheck") as response:
        assert (response.status, await response.text()) == (200, "OK")
