"""What every pod would answer alike is asked of one of them, and done only once."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from tests.simulated_top import Top
from tricircle.testing.cloud import LoseAnswer, Refuse

METADATA = {"metadata": {"one": "1"}}
UNTIL_2_35 = {"OpenStack-API-Version": "compute 2.35"}


def add_image(top: Top) -> str:
    """Return an image of the member's project in the Glance that all share."""
    image_id = top.cloud.images.add("mine", top.cloud.project_id("demo"), "private")["id"]
    return str(image_id)


async def ask(
    top: Top, http: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    """Return status and body of a request of the member."""
    headers = {**top.member(), **UNTIL_2_35}
    async with http.request(
        method, f"{top.compute}/v2.1{path}", json=body, headers=headers
    ) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else {}


async def test_an_image_is_read_from_another_pod_when_the_first_is_down(
    top: Top, http: aiohttp.ClientSession
) -> None:
    image_id = add_image(top)
    top.cloud.pod("pod1").faults.inject(Refuse(), service="compute", method="GET")
    status, body = await ask(top, http, "GET", f"/images/{image_id}")
    assert (status, body["image"]["id"]) == (200, image_id)
    assert body["image"]["links"][0]["href"].startswith(top.compute)


async def test_a_change_goes_to_one_pod_only(top: Top, http: aiohttp.ClientSession) -> None:
    image_id = add_image(top)
    status, body = await ask(top, http, "POST", f"/images/{image_id}/metadata", METADATA)
    assert (status, body) == (200, METADATA)
    asked = [one for pod in top.cloud.pods.values() for one in pod.requests if one.method == "POST"]
    assert len(asked) == 1


async def test_a_change_is_not_tried_again_after_a_pod_that_may_have_made_it(
    top: Top, http: aiohttp.ClientSession
) -> None:
    image_id = add_image(top)
    top.cloud.pod("pod1").faults.inject(LoseAnswer(), service="compute", method="DELETE")
    status, _ = await ask(top, http, "DELETE", f"/images/{image_id}")
    assert status == 504
    assert not [one for one in top.cloud.pod("pod2").requests if one.method == "DELETE"]


async def test_above_its_last_microversion_an_api_is_gone_without_asking_a_pod(
    top: Top, http: aiohttp.ClientSession
) -> None:
    headers = {**top.member(), "OpenStack-API-Version": "compute 2.36"}
    async with http.get(f"{top.compute}/v2.1/images", headers=headers) as response:
        assert response.status == 404
        assert response.headers["OpenStack-API-Version"] == "compute 2.36"
        assert await response.json() == {
            "itemNotFound": {"code": 404, "message": "The resource could not be found."}
        }
    assert not [
        one for pod in top.cloud.pods.values() for one in pod.requests if "images" in one.path
    ]
