"""Flavors and volume types that demand tags of pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.test_creation import boot, make_network, send, servers_in
from tests.simulated_top import Top, open_top
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.testing.cloud import Refuse, SimulatedCloud

SSD = "pod_tag:disk"


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Top]:
    """A top with two pods in one zone, of which the second has a tag."""
    cloud = SimulatedCloud(("pod1", "pod2"))
    zones = {"pod1": "az1", "pod2": "az1"}
    options = "[gateway]\ndirectory_refresh_s = 0.1\n"
    async with open_top(tmp_path, cloud, options, zones) as running:
        await tag(running, "pod2", disk="ssd")
        yield running


async def tag(top: Top, name: str, **tags: str) -> None:
    """Give a pod exactly these tags, and wait until gateways know."""
    database = open_database(top.settings.database.connection)
    await SqlStores(database).pods.update_pod(
        top.pods[name].id, lambda pod: replace(pod, tags=tags)
    )
    await database.close()
    await asyncio.sleep(0.5)


def demand(top: Top, flavor_id: str, **specs: str) -> None:
    """Let a flavor have extra specs in all pods."""
    for name in top.pods:
        found = {f"pod_tag:{key}": value for key, value in specs.items()}
        top.cloud.pod(name).compute.flavors[flavor_id].extra_specs |= found


def add_type(top: Top, name: str, **specs: str) -> None:
    """Make a volume type in all pods."""
    for pod in top.pods:
        made = top.cloud.pod(pod).volume.add_type(name, "")
        made.extra_specs |= {f"pod_tag:{key}": value for key, value in specs.items()}


async def make_volume(
    top: Top, http: aiohttp.ClientSession, *roles: str, **values: object
) -> tuple[int, Any]:
    """Return status and body of a new volume in az1, asked for by a member."""
    project = top.cloud.project_id("demo")
    url = f"{top.volume}/v3/{project}/volumes"
    body = {"volume": {"size": 1, "availability_zone": "az1", **values}}
    headers = top.headers("demo", *roles) if roles else top.member()
    return await send(http, "POST", url, headers, body)


def volumes_in(top: Top, pod: str) -> int:
    """Return how many volumes a pod has."""
    return len(top.cloud.pod(pod).volume.volumes.items())


async def test_a_server_goes_where_its_flavor_demands(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    demand(shared, "1", disk="ssd")
    network_id = await make_network(shared, http)
    assert (await boot(shared, http, network_id, flavorRef="1"))[0] == 202
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 1)


async def test_what_no_pod_has_is_refused_and_leaves_nothing(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    demand(shared, "1", disk="ssd", gpu="yes")
    network_id = await make_network(shared, http)
    status, body = await boot(shared, http, network_id, flavorRef="1")
    assert status == 503
    assert body["serviceUnavailable"]["message"] == (
        "no enabled pod of availability zone 'az1' has the tags that the flavor or volume type "
        "demands (disk=ssd, gpu=yes); see GET /v1/placement of the Admin API"
    )
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 0)
    await tag(shared, "pod1", disk="ssd", gpu="yes")
    assert (await boot(shared, http, network_id, flavorRef="1"))[0] == 202
    assert servers_in(shared, "pod1") == 1


async def test_a_dead_pod_is_not_replaced_by_one_without_the_tag(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    demand(shared, "1", disk="ssd")
    network_id = await make_network(shared, http)
    shared.cloud.pod("pod2").faults.inject(Refuse(), service="network")
    assert (await boot(shared, http, network_id, flavorRef="1"))[0] == 503
    assert servers_in(shared, "pod1") == 0


async def test_whoever_names_the_pod_has_decided(shared: Top, http: aiohttp.ClientSession) -> None:
    demand(shared, "1", disk="ssd")
    server = {
        "name": "s",
        "flavorRef": "1",
        "imageRef": next(iter(shared.cloud.images.items)),
        "networks": "none",
        "availability_zone": "az1:pod1",
    }
    headers = {**shared.headers("demo", "admin"), "OpenStack-API-Version": "compute 2.90"}
    status, _ = await send(
        http, "POST", f"{shared.compute}/v2.1/servers", headers, {"server": server}
    )
    assert (status, servers_in(shared, "pod1")) == (202, 1)


@pytest.mark.parametrize("by_id", [False, True])
async def test_a_volume_goes_where_its_type_demands(
    shared: Top, http: aiohttp.ClientSession, by_id: bool
) -> None:
    add_type(shared, "fast", disk="ssd")
    types = shared.cloud.pod("pod2").volume.types.values()
    label = next(one.id for one in types if one.name == "fast") if by_id else "fast"
    status, body = await make_volume(shared, http, volume_type=label)
    assert status == 202, body
    assert (volumes_in(shared, "pod1"), volumes_in(shared, "pod2")) == (0, 1)


async def test_a_volume_without_a_type_goes_where_the_default_type_demands(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    for name in shared.pods:
        shared.cloud.pod(name).volume.default_type.extra_specs[SSD] = "ssd"
    assert (await make_volume(shared, http))[0] == 202
    assert (await make_volume(shared, http, volume_type=None))[0] == 202
    assert volumes_in(shared, "pod2") == 2


async def test_a_volume_by_way_of_nova_goes_where_its_type_demands(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    add_type(shared, "fast", disk="ssd")
    add_type(shared, "faster", disk="nvme")
    url, headers = f"{shared.compute}/v2.1/os-volumes", shared.member()
    volume = {"size": 1, "volume_type": "fast", "availability_zone": "az1"}
    status, body = await send(http, "POST", url, headers, {"volume": volume})
    assert status == 200, body
    assert (volumes_in(shared, "pod1"), volumes_in(shared, "pod2")) == (0, 1)
    volume["volume_type"] = "faster"
    assert (await send(http, "POST", url, headers, {"volume": volume}))[0] == 503
    del volume["volume_type"]
    assert (await send(http, "POST", url, headers, {"volume": volume}))[0] == 200


async def test_a_group_goes_where_the_types_of_its_volumes_demand(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    add_type(shared, "fast", disk="ssd")
    for name in shared.pods:
        shared.cloud.pod(name).volume.add_group_type("together")
    headers = {**shared.member(), "OpenStack-API-Version": "volume 3.71"}
    url = f"{shared.volume}/v3/{shared.cloud.project_id('demo')}/groups"
    group = {"group_type": "together", "volume_types": ["__DEFAULT__", "fast"]}
    status, body = await send(http, "POST", url, headers, {"group": group})
    assert status == 202, body
    assert body["group"]["id"] in shared.cloud.pod("pod2").volume.groups


async def test_a_volume_of_a_type_that_no_pod_serves_is_refused(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    add_type(shared, "faster", disk="nvme")
    status, body = await make_volume(shared, http, volume_type="faster")
    assert status == 503
    assert "(disk=nvme)" in body["serviceUnavailable"]["message"]
    status, body = await make_volume(shared, http, volume_type="none")
    assert (status, body["itemNotFound"]["message"]) == (
        404,
        "Volume type with name none could not be found.",
    )


async def test_a_server_must_not_need_tags_that_the_pod_of_its_volume_lacks(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    _, body = await make_volume(shared, http)
    volume_id = body["volume"]["id"]
    assert volumes_in(shared, "pod1") == 1
    device = {
        "boot_index": 0,
        "uuid": volume_id,
        "source_type": "volume",
        "destination_type": "volume",
    }
    demand(shared, "1", disk="ssd")
    network_id = await make_network(shared, http)
    devices = {"block_device_mapping_v2": [device], "imageRef": ""}
    status, body = await boot(shared, http, network_id, flavorRef="1", **devices)
    assert (status, body["badRequest"]["message"]) == (
        400,
        "what this request names is in pod pod1, which has not the tags that the flavor or volume "
        "type demands (disk=ssd); name another one",
    )
    assert (await boot(shared, http, network_id, flavorRef="2", **devices))[0] == 202


async def test_the_types_of_volumes_made_with_a_server_demand_too(
    shared: Top, http: aiohttp.ClientSession
) -> None:
    add_type(shared, "fast", disk="ssd")
    image_id = next(iter(shared.cloud.images.items))
    device = {
        "boot_index": 0,
        "uuid": image_id,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": 1,
        "volume_type": "fast",
    }
    network_id = await make_network(shared, http)
    status, body = await boot(
        shared, http, network_id, block_device_mapping_v2=[device], imageRef=""
    )
    assert status == 202, body
    assert (servers_in(shared, "pod1"), servers_in(shared, "pod2")) == (0, 1)
