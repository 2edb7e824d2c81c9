"""What every store promises to sweeps and the Admin API."""

from __future__ import annotations

import pytest

from tests.contract.samples import EAST, NETWORK, WEST, Stores, add_two_pods, make_routing
from tricircle.core.model import BottomId, Kind, Origin, ProjectId, RoutingState, TopId

ROUTINGS = [
    make_routing("n1", EAST, "b1"),
    make_routing("n1", WEST, "b1", origin=Origin.GATEWAY),
    make_routing("n2", EAST, project_id="project-2"),
    make_routing("p1", EAST, "b2", Kind.PORT, origin=Origin.GATEWAY),
    make_routing("n1", WEST, "b3", Kind.SERVER, project_id="project-2"),
]
"""In primary-key order: kind, top id, pod."""


@pytest.fixture(autouse=True)
async def routings(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.routings.keep_routings(ROUTINGS)


def keys(routings: object) -> list[tuple[str, str, str]]:
    assert isinstance(routings, list)
    return [(str(each.kind), each.top_id, each.pod_id) for each in routings]


async def test_all_routings_are_listed_in_primary_key_order(stores: Stores) -> None:
    assert keys(await stores.upkeep.list_routings()) == keys(ROUTINGS)


async def test_routings_are_filtered_by_each_of_their_values(stores: Stores) -> None:
    upkeep = stores.upkeep
    found = {
        "kind": await upkeep.list_routings(kind=Kind.NETWORK),
        "pod": await upkeep.list_routings(pod_id=WEST),
        "project": await upkeep.list_routings(project_id=ProjectId("project-2")),
        "top id": await upkeep.list_routings(top_id=TopId("n1")),
        "state": await upkeep.list_routings(state=RoutingState.CREATING),
        "origin": await upkeep.list_routings(origin=Origin.GATEWAY),
        "several": await upkeep.list_routings(kind=Kind.NETWORK, pod_id=WEST, top_id=TopId("n1")),
        "none": await upkeep.list_routings(kind=Kind.VOLUME),
        "impossible": await upkeep.list_routings(top_id=TopId("nul\0")),
    }
    expected = {
        "kind": [0, 1, 2],
        "pod": [1, 4],
        "project": [2, 4],
        "top id": [0, 1, 4],
        "state": [2],
        "origin": [1, 3],
        "several": [1],
        "none": [],
        "impossible": [],
    }
    assert {name: keys(list(routings)) for name, routings in found.items()} == {
        name: keys([ROUTINGS[index] for index in indexes]) for name, indexes in expected.items()
    }


async def test_routings_are_filtered_by_the_time_since_their_last_change(stores: Stores) -> None:
    assert not await stores.upkeep.list_routings(older_than_s=60)
    assert len(await stores.upkeep.list_routings(older_than_s=-60)) == len(ROUTINGS)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
async def test_pages_put_together_are_the_whole_list(stores: Stores, limit: int) -> None:
    listed, after = [], None
    while page := list(await stores.upkeep.list_routings(limit=limit, after=after)):
        assert len(page) <= limit
        listed += page
        after = (page[-1].kind, page[-1].top_id, page[-1].pod_id)
    assert keys(listed) == keys(ROUTINGS)


async def test_state_and_owner_can_be_marked(stores: Stores) -> None:
    marked = await stores.upkeep.mark_routing(
        Kind.NETWORK, TopId("n1"), EAST, RoutingState.DELETING, TopId("server-9")
    )
    assert marked
    found = await stores.routings.find_routings(Kind.NETWORK, TopId("n1"))
    assert [(each.state, each.owner_id) for each in found] == [
        (RoutingState.DELETING, "server-9"),
        (RoutingState.ACTIVE, None),
    ]
    assert found[0].updated_at is not None
    assert found[0].created_at is not None
    assert found[0].updated_at >= found[0].created_at


async def test_what_is_being_deleted_cannot_be_claimed_or_settled(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", 60)
    await stores.upkeep.mark_routing(Kind.NETWORK, NETWORK, EAST, RoutingState.DELETING, None)
    claim = await stores.routings.claim_routing(make_routing(), "me", 60)
    assert (claim.mine, claim.routing.state) == (False, RoutingState.DELETING)
    assert not await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))


async def test_nothing_is_marked_that_is_not_there(stores: Stores) -> None:
    assert not await stores.upkeep.mark_routing(
        Kind.NETWORK, NETWORK, EAST, RoutingState.ACTIVE, None
    )
