"""What every store promises about pods."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.samples import (
    COMPUTE,
    EAST,
    IMAGE,
    NETWORK,
    PROJECT,
    WEST,
    Stores,
    add_two_pods,
    make_pod,
    make_routing,
)
from tricircle.core.errors import BadInput, Duplicate, NotFound, PodInUse
from tricircle.core.model import BottomId, Kind, Node, Pod, PodId, Service, TopId, ZoneName, ZonePod
from tricircle.core.pod_tags import MAX_TAGS
from tricircle.interfaces.store import PodChange

LONGEST = "ß漢🦀" * 85  # 255 characters, one of them outside the basic plane


def disabled(pod: Pod) -> Pod:
    """A pod that gets nothing new."""
    return replace(pod, enabled=False)


async def test_a_pod_is_returned_as_kept_with_its_endpoints_and_times(stores: Stores) -> None:
    kept = await stores.pods.add_pod(make_pod())
    assert replace(kept, created_at=None, updated_at=None) == make_pod()
    assert kept.created_at is not None
    assert abs(datetime.now(UTC) - kept.created_at) < timedelta(minutes=5)
    assert kept.updated_at is not None
    # each column is given the time by itself
    assert abs(kept.updated_at - kept.created_at) < timedelta(seconds=5)
    assert await stores.pods.get_pod(EAST) == kept
    assert await stores.pods.list_pods() == [kept]


async def test_pods_are_listed_by_name(stores: Stores) -> None:
    for number, name in enumerate(["b", "Z", "a", "é", "z"]):
        await stores.pods.add_pod(make_pod(PodId(f"id-{number}"), name, f"region-{number}"))
    assert [pod.name for pod in await stores.pods.list_pods()] == ["Z", "a", "b", "z", "é"]


async def test_a_pod_without_endpoints_can_be_kept(stores: Stores) -> None:
    await stores.pods.add_pod(replace(make_pod(), endpoints={}))
    assert (await stores.pods.get_pod(EAST)).endpoints == {}


async def test_an_unknown_pod_is_not_found(stores: Stores) -> None:
    for unknown in (EAST, PodId("x" * 300), PodId("nul\0")):
        with pytest.raises(NotFound, match="there is no pod"):
            await stores.pods.get_pod(unknown)
        with pytest.raises(NotFound, match="there is no pod"):
            await stores.pods.delete_pod(unknown)
    with pytest.raises(NotFound, match=EAST):
        await stores.pods.update_pod(EAST, disabled)


@pytest.mark.parametrize(
    ("second", "named"),
    [
        (make_pod(WEST, "east", "RegionWest"), "pod name 'east' is taken by pod pod-east"),
        (make_pod(WEST, "west", "RegionEast"), "region 'RegionEast' is already pod 'east'"),
        (make_pod(EAST, "west", "RegionWest"), "pod id pod-east is taken"),
    ],
)
async def test_a_pod_with_a_taken_name_region_or_id_is_refused(
    stores: Stores, second: object, named: str
) -> None:
    await stores.pods.add_pod(make_pod())
    assert isinstance(second, type(make_pod()))
    with pytest.raises(Duplicate, match=named):
        await stores.pods.add_pod(second)
    assert len(await stores.pods.list_pods()) == 1


@pytest.mark.parametrize("name", ["East", "east ", " east", "eást", "EAST"])
async def test_names_are_compared_exactly(stores: Stores, name: str) -> None:
    await stores.pods.add_pod(make_pod())
    await stores.pods.add_pod(make_pod(WEST, name, "RegionWest"))
    assert {pod.name for pod in await stores.pods.list_pods()} == {"east", name}


async def test_the_longest_names_come_back_unchanged(stores: Stores) -> None:
    pod = make_pod(PodId(LONGEST), LONGEST, LONGEST)
    await stores.pods.add_pod(replace(pod, description=LONGEST * 20))
    kept = await stores.pods.get_pod(PodId(LONGEST))
    assert (kept.id, kept.name, kept.region) == (LONGEST, LONGEST, LONGEST)
    assert kept.description == LONGEST * 20


@pytest.mark.parametrize("name", [LONGEST + "x", "nul\0", "half \ud800"])
async def test_a_name_that_cannot_be_kept_is_refused(stores: Stores, name: str) -> None:
    with pytest.raises(BadInput, match="name of the pod"):
        await stores.pods.add_pod(make_pod(EAST, name))
    assert await stores.pods.list_pods() == []


async def test_an_update_replaces_all_but_region_and_time_of_creation(stores: Stores) -> None:
    created = await stores.pods.add_pod(make_pod())
    moved = replace(COMPUTE, url="https://new/v2.1", versions=None)
    changed = await stores.pods.update_pod(
        EAST,
        lambda pod: replace(
            pod,
            id=WEST,
            name="orient",
            region="elsewhere",
            enabled=False,
            description="",
            endpoints={Service.COMPUTE: moved},
            created_at=None,
        ),
    )
    assert changed == await stores.pods.get_pod(EAST)
    assert (changed.name, changed.region, changed.enabled) == ("orient", "RegionEast", False)
    assert changed.endpoints == {Service.COMPUTE: moved}
    assert changed.created_at == created.created_at
    assert changed.updated_at is not None
    assert created.updated_at is not None
    assert changed.updated_at >= created.updated_at


async def test_of_changes_made_at_once_none_is_lost(stores: Stores) -> None:
    await stores.pods.add_pod(make_pod())

    def told(text: str) -> PodChange:
        return lambda pod: replace(pod, description=pod.description + text)

    changes = [*(told(f" {number}") for number in range(8)), disabled]
    await asyncio.gather(*(stores.pods.update_pod(EAST, change) for change in changes))
    kept = await stores.pods.get_pod(EAST)
    assert not kept.enabled
    assert sorted(kept.description.split()) == sorted(["the", "first", *"01234567"])


async def test_the_tags_of_a_pod_are_changed_one_by_one(stores: Stores) -> None:
    await stores.pods.add_pod(replace(make_pod(), tags={}))

    def tagged(name: str) -> PodChange:
        return lambda pod: replace(pod, tags={**pod.tags, name: "ssd"})

    names = [f"tag{number}" for number in range(MAX_TAGS)]
    await asyncio.gather(*(stores.pods.update_pod(EAST, tagged(name)) for name in names[:5]))
    assert sorted((await stores.pods.get_pod(EAST)).tags) == names[:5]
    await stores.pods.update_pod(
        EAST, lambda pod: replace(pod, tags=dict.fromkeys(names, "🦀" * 255))
    )
    assert dict((await stores.pods.get_pod(EAST)).tags) == dict.fromkeys(names, "🦀" * 255)
    await stores.pods.update_pod(EAST, lambda pod: replace(pod, tags={}))
    assert await stores.pods.list_pods() == [await stores.pods.get_pod(EAST)]
    assert (await stores.pods.get_pod(EAST)).tags == {}


async def test_a_change_that_is_refused_changes_nothing(stores: Stores) -> None:
    created = await stores.pods.add_pod(make_pod())

    def refuse(pod: Pod) -> Pod:
        raise BadInput(f"pod {pod.name} stays as it is")

    with pytest.raises(BadInput, match="pod east stays as it is"):
        await stores.pods.update_pod(EAST, refuse)
    with pytest.raises(BadInput, match="name of the pod"):
        await stores.pods.update_pod(EAST, lambda pod: replace(pod, name="nul\0"))
    assert await stores.pods.get_pod(EAST) == created


async def test_an_update_to_the_name_of_another_pod_changes_nothing(stores: Stores) -> None:
    await add_two_pods(stores)
    with pytest.raises(Duplicate, match="pod name 'west' is taken"):
        await stores.pods.update_pod(EAST, lambda pod: replace(pod, name="west", endpoints={}))
    kept = await stores.pods.get_pod(EAST)
    assert (kept.name, dict(kept.endpoints)) == (
        "east",
        {Service.COMPUTE: COMPUTE, Service.IMAGE: IMAGE},
    )


async def test_a_deleted_pod_takes_its_endpoints_and_node_with_it(stores: Stores) -> None:
    await stores.pods.add_pod(make_pod())
    await stores.nodes.put_node(Node(EAST, "east"))
    await stores.pods.delete_pod(EAST)
    assert await stores.pods.list_pods() == []
    assert await stores.nodes.list_nodes() == []
    await stores.pods.add_pod(replace(make_pod(), endpoints={}))
    assert (await stores.pods.get_pod(EAST)).endpoints == {}


async def test_a_pod_that_holds_anything_is_not_deleted_and_the_error_says_what(
    stores: Stores,
) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(ZonePod(ZoneName("az1"), EAST, "nova"))
    await stores.zones.add_zone_pod(ZonePod(ZoneName("az2"), EAST, ""))
    await stores.routings.keep_routings(
        [
            make_routing("s1", EAST, "s1", Kind.SERVER),
            make_routing("s2", EAST, "s2", Kind.SERVER),
            make_routing("v1", EAST, "v1", Kind.VOLUME),
            make_routing("v2", WEST, "v2", Kind.VOLUME),
        ]
    )
    with pytest.raises(PodInUse) as refused:
        await stores.pods.delete_pod(EAST)
    said = str(refused.value)
    assert "pod 'east' (pod-east) serves az1, az2 in the zone map" in said
    assert "holds 2 server routing(s), 1 volume routing(s)" in said
    assert "only disable the pod" in said
    assert (await stores.pods.get_pod(EAST)).endpoints


async def test_each_thing_alone_keeps_a_pod(stores: Stores) -> None:
    await stores.pods.add_pod(make_pod())
    await stores.zones.add_zone_pod(ZonePod(ZoneName("az1"), EAST, ""))
    with pytest.raises(PodInUse, match="serves az1"):
        await stores.pods.delete_pod(EAST)
    await stores.zones.delete_zone_pod(ZoneName("az1"), EAST)

    await stores.routings.keep_routings([make_routing("s1", EAST, "s1", Kind.SERVER)])
    with pytest.raises(PodInUse, match=r"holds 1 server routing\(s\);"):
        await stores.pods.delete_pod(EAST)


async def test_replicas_keep_no_pod_and_go_with_it(stores: Stores) -> None:
    await add_two_pods(stores)
    types = [
        make_routing("t1", EAST, "t1", Kind.VOLUME_TYPE),
        make_routing("t1", WEST, "t2", Kind.VOLUME_TYPE),
    ]
    server = make_routing("s1", EAST, "s1", Kind.SERVER)
    await stores.routings.keep_routings([*types, server])
    with pytest.raises(PodInUse, match=r"holds 1 server routing\(s\);"):
        await stores.pods.delete_pod(EAST)
    assert len(await stores.routings.find_routings(Kind.VOLUME_TYPE, TopId("t1"))) == 2

    await stores.routings.forget_routing(Kind.SERVER, server.top_id, EAST)
    await stores.pods.delete_pod(EAST)
    (left,) = await stores.routings.find_routings(Kind.VOLUME_TYPE, TopId("t1"))
    assert left.pod_id == WEST


async def test_projects_are_bound_no_more_to_a_pod_that_is_deleted(stores: Stores) -> None:
    await stores.pods.add_pod(make_pod())
    await stores.bindings.bind(PROJECT, ZoneName("az1"), EAST)
    await stores.pods.delete_pod(EAST)
    assert await stores.bindings.find_binding(PROJECT, ZoneName("az1")) is None


async def test_a_claim_alone_keeps_a_pod_until_it_is_forgotten(stores: Stores) -> None:
    await stores.pods.add_pod(make_pod())
    routing = make_routing()
    await stores.routings.claim_routing(routing, "me", 60)
    with pytest.raises(PodInUse, match=r"holds 1 network routing\(s\);"):
        await stores.pods.delete_pod(EAST)
    await stores.routings.settle_routing(routing, "me", BottomId("b"))
    await stores.routings.forget_routing(Kind.NETWORK, NETWORK, EAST)
    await stores.pods.delete_pod(EAST)
