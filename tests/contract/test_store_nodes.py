"""What every store promises about nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.samples import EAST, WEST, Stores, add_two_pods
from tricircle.core.errors import BadInput, NotFound
from tricircle.core.model import Node

NODE = Node(
    EAST,
    "node-z",
    vcpus=40_000,
    vcpus_used=1,
    memory_mib=2**40,
    memory_mib_used=2,
    disk_gib=3,
    disk_gib_used=4,
    volume_gib=5,
    volume_gib_used=6,
    running_vms=7,
)


async def test_a_node_is_listed_as_put_with_the_time_of_the_database(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.nodes.put_node(replace(NODE, measured_at=datetime(2000, 1, 1, tzinfo=UTC)))
    (kept,) = await stores.nodes.list_nodes()
    assert replace(kept, measured_at=None) == NODE
    assert kept.measured_at is not None
    assert abs(datetime.now(UTC) - kept.measured_at) < timedelta(minutes=5)


async def test_a_newer_measurement_replaces_the_older(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.nodes.put_node(NODE)
    newer = replace(NODE, name="renamed", vcpus_used=39_999, running_vms=0)
    await stores.nodes.put_node(newer)
    (kept,) = await stores.nodes.list_nodes()
    assert replace(kept, measured_at=None) == newer


async def test_nodes_are_listed_by_name(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.nodes.put_node(NODE)
    await stores.nodes.put_node(Node(WEST, "node-a"))
    assert [node.name for node in await stores.nodes.list_nodes()] == ["node-a", "node-z"]


async def test_an_unknown_pod_has_no_node(stores: Stores) -> None:
    with pytest.raises(NotFound, match="there is no pod pod-east"):
        await stores.nodes.put_node(NODE)


async def test_a_name_that_cannot_be_kept_is_refused(stores: Stores) -> None:
    await add_two_pods(stores)
    with pytest.raises(BadInput, match="name of the node"):
        await stores.nodes.put_node(replace(NODE, name="n" * 256))
