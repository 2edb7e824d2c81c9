"""What every store promises about bindings."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.samples import EAST, PROJECT, WEST, Stores, add_two_pods
from tricircle.core.errors import BadInput, NotFound
from tricircle.core.model import PodId, ProjectId, ZoneName

AZ1 = ZoneName("az1")


async def test_a_project_that_was_never_bound_has_no_pod(stores: Stores) -> None:
    for zone in ("az1", "", "nul\0", "x" * 300):
        assert await stores.bindings.find_binding(PROJECT, ZoneName(zone)) is None


async def test_who_binds_first_decides(stores: Stores) -> None:
    await add_two_pods(stores)
    assert await stores.bindings.bind(PROJECT, AZ1, EAST) == EAST
    assert await stores.bindings.bind(PROJECT, AZ1, WEST) == EAST
    assert await stores.bindings.find_binding(PROJECT, AZ1) == EAST


async def test_a_binding_is_of_one_project_and_one_zone(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    assert await stores.bindings.bind(PROJECT, ZoneName(""), WEST) == WEST
    assert await stores.bindings.bind(PROJECT, ZoneName("AZ1"), WEST) == WEST
    assert await stores.bindings.bind(PROJECT, ZoneName("az1 "), WEST) == WEST
    assert await stores.bindings.bind(ProjectId("project-2"), AZ1, WEST) == WEST
    assert await stores.bindings.find_binding(PROJECT, AZ1) == EAST


async def test_first_bindings_at_the_same_time_agree(stores: Stores) -> None:
    await add_two_pods(stores)
    wishes = [EAST, WEST] * 10
    answers = await asyncio.gather(*(stores.bindings.bind(PROJECT, AZ1, wish) for wish in wishes))
    assert set(answers) == {await stores.bindings.find_binding(PROJECT, AZ1)}


async def test_nothing_is_bound_to_an_unknown_pod(stores: Stores) -> None:
    with pytest.raises(NotFound, match="there is no pod pod-east"):
        await stores.bindings.bind(PROJECT, AZ1, EAST)
    await add_two_pods(stores)
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    with pytest.raises(NotFound, match="there is no pod nowhere"):
        await stores.bindings.rebind(PROJECT, AZ1, EAST, PodId("nowhere"))
    assert await stores.bindings.find_binding(PROJECT, AZ1) == EAST


async def test_the_pods_that_a_binding_was_moved_from_are_known(stores: Stores) -> None:
    await add_two_pods(stores)
    assert await stores.bindings.list_past_pods(PROJECT) == frozenset()
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    await stores.bindings.rebind(PROJECT, AZ1, WEST, EAST)  # it was not there
    await stores.bindings.rebind(PROJECT, AZ1, EAST, EAST)
    assert await stores.bindings.list_past_pods(PROJECT) == frozenset()
    for old, new in ((EAST, WEST), (WEST, EAST), (EAST, WEST)):
        await stores.bindings.rebind(PROJECT, AZ1, old, new)
    assert await stores.bindings.list_past_pods(PROJECT) == {EAST, WEST}
    assert await stores.bindings.list_past_pods(ProjectId("nobody")) == frozenset()
    assert await stores.bindings.list_past_pods(ProjectId("nul\0")) == frozenset()
    await stores.pods.delete_pod(EAST)
    assert await stores.bindings.list_past_pods(PROJECT) == {WEST}


async def test_a_binding_moves_only_from_what_it_was(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    assert await stores.bindings.rebind(PROJECT, AZ1, EAST, WEST) == WEST
    assert await stores.bindings.rebind(PROJECT, AZ1, EAST, WEST) == WEST
    assert await stores.bindings.rebind(PROJECT, AZ1, EAST, EAST) == WEST
    assert await stores.bindings.find_binding(PROJECT, AZ1) == WEST


async def test_a_binding_that_is_gone_is_made_anew(stores: Stores) -> None:
    await add_two_pods(stores)
    assert await stores.bindings.rebind(PROJECT, AZ1, EAST, WEST) == WEST
    assert await stores.bindings.find_binding(PROJECT, AZ1) == WEST


async def test_a_zone_that_cannot_be_kept_is_refused(stores: Stores) -> None:
    await add_two_pods(stores)
    with pytest.raises(BadInput, match="the zone"):
        await stores.bindings.bind(PROJECT, ZoneName("z" * 256), EAST)


async def test_a_binding_can_be_forgotten(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    await stores.bindings.bind(PROJECT, ZoneName("az2"), EAST)
    for zone in (AZ1, AZ1, ZoneName("nul\0"), ZoneName("x" * 300)):
        await stores.bindings.unbind(PROJECT, zone)
    assert await stores.bindings.find_binding(PROJECT, AZ1) is None
    assert await stores.bindings.find_binding(PROJECT, ZoneName("az2")) == EAST
    assert await stores.bindings.bind(PROJECT, AZ1, WEST) == WEST


async def test_all_bindings_of_a_project_are_listed(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.bindings.bind(PROJECT, AZ1, EAST)
    await stores.bindings.bind(PROJECT, ZoneName(""), WEST)
    await stores.bindings.bind(ProjectId("project-2"), ZoneName("az2"), WEST)
    assert await stores.bindings.list_bindings(PROJECT) == {AZ1: EAST, ZoneName(""): WEST}
    assert await stores.bindings.list_bindings(ProjectId("nobody")) == {}
    assert await stores.bindings.list_bindings(ProjectId("nul\0")) == {}
