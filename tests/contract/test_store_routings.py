"""What every store promises about routings and the claims on them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.contract.samples import (
    EAST,
    NETWORK,
    PROJECT,
    WEST,
    Stores,
    add_two_pods,
    make_pod,
    make_routing,
)
from tricircle.core.errors import BadInput, Duplicate, NotFound
from tricircle.core.model import BottomId, Kind, Origin, PodId, Routing, RoutingState, TopId

EXPIRED_S = -1.0
LEASE_S = 60.0
LONGEST = "ß漢🦀" * 85  # 255 characters


@pytest.fixture(autouse=True)
async def two_pods(stores: Stores) -> None:
    await add_two_pods(stores)


def timeless(routing: Routing) -> Routing:
    return replace(routing, created_at=None, updated_at=None)


async def test_routings_are_found_as_kept_ordered_by_pod(stores: Stores) -> None:
    west = make_routing("n", WEST, "b-west", origin=Origin.GATEWAY, owner_id="server-1")
    east = make_routing("n", EAST, "b-east")
    await stores.routings.keep_routings([west, east, make_routing("m", EAST, "other")])
    found = await stores.routings.find_routings(Kind.NETWORK, TopId("n"))
    assert [timeless(routing) for routing in found] == [east, west]
    assert all(routing.created_at and routing.updated_at for routing in found)


async def test_a_lookup_is_exact(stores: Stores) -> None:
    await stores.routings.keep_routings([make_routing("id-a", EAST, "b")])
    for other in ("ID-A", "id-a ", "id-á", "id-", "", "nul\0", "half \ud800", "x" * 300, LONGEST):
        assert not await stores.routings.find_routings(Kind.NETWORK, TopId(other))
    assert not await stores.routings.find_routings(Kind.SUBNET, TopId("id-a"))


async def test_a_lookup_sees_what_was_kept_after_an_earlier_one(stores: Stores) -> None:
    for number in range(3):
        assert not await stores.routings.find_routings(Kind.NETWORK, TopId(f"n{number}"))
        await stores.routings.keep_routings([make_routing(f"n{number}", EAST, f"b{number}")])
        assert await stores.routings.find_routings(Kind.NETWORK, TopId(f"n{number}"))


async def test_the_longest_ids_come_back_unchanged(stores: Stores) -> None:
    pod_id = PodId(LONGEST)
    await stores.pods.add_pod(make_pod(pod_id, LONGEST, LONGEST))
    routing = make_routing(LONGEST, pod_id, LONGEST, project_id=LONGEST, owner_id=LONGEST)
    await stores.routings.keep_routings([routing])
    (found,) = await stores.routings.find_routings(Kind.NETWORK, TopId(LONGEST))
    assert timeless(found) == routing


async def test_what_is_there_already_is_left_as_it_is(stores: Stores) -> None:
    first = make_routing("n", EAST, "b")
    await stores.routings.keep_routings([first])
    await stores.routings.keep_routings(
        [
            make_routing("n", EAST, "changed", owner_id="someone"),
            make_routing("other", EAST, "b"),
            make_routing("new", EAST, "c"),
        ]
    )
    listed = await stores.upkeep.list_routings()
    assert [timeless(each) for each in listed] == [first, make_routing("new", EAST, "c")]


async def test_keeping_nothing_does_nothing(stores: Stores) -> None:
    await stores.routings.keep_routings([])
    assert not await stores.upkeep.list_routings()


async def test_thousands_of_routings_are_kept_at_once(stores: Stores) -> None:
    many = [make_routing(f"s{n}", EAST, f"s{n}", Kind.SERVER) for n in range(2500)]
    await stores.routings.keep_routings(many)
    assert len(await stores.upkeep.list_routings(limit=5000)) == 2500


async def test_two_that_keep_the_same_routings_do_not_disturb_each_other(stores: Stores) -> None:
    many = [make_routing(f"s{n}", EAST, f"s{n}", Kind.SERVER) for n in range(300)]
    await asyncio.gather(*(stores.routings.keep_routings(same) for same in (many, many[::-1]) * 3))
    assert len(await stores.upkeep.list_routings()) == 300


async def test_routings_into_an_unknown_pod_are_refused_and_none_is_kept(stores: Stores) -> None:
    lost = make_routing("lost", PodId("nowhere"), "b")
    with pytest.raises(NotFound, match="there is no pod nowhere"):
        await stores.routings.keep_routings([make_routing("fine", EAST, "b"), lost])
    with pytest.raises(NotFound, match="there is no pod nowhere"):
        await stores.routings.claim_routing(replace(lost, bottom_id=None), "me", LEASE_S)
    assert not await stores.upkeep.list_routings()


async def test_an_id_that_cannot_be_kept_is_refused(stores: Stores) -> None:
    with pytest.raises(BadInput, match="the id of the network is longer than 255 characters"):
        await stores.routings.keep_routings([make_routing("x" * 256, EAST, "b")])
    with pytest.raises(BadInput, match="the id of the resource in the pod"):
        await stores.routings.keep_routings([make_routing("x", EAST, "nul\0")])


async def test_routings_are_found_by_what_they_are_in_the_pod(stores: Stores) -> None:
    await stores.routings.keep_routings(
        [
            make_routing("n1", EAST, "b1"),
            make_routing("n2", EAST, "b2"),
            make_routing("n3", EAST, "b3"),
            make_routing("n1", WEST, "b1"),
            make_routing("s1", EAST, "b1", Kind.SUBNET),
        ]
    )
    wanted = [BottomId(each) for each in ("b3", "b1", "b1", "B2", "unknown", "nul\0", "x" * 300)]
    found = await stores.routings.find_by_bottom(Kind.NETWORK, EAST, wanted)
    assert [(each.top_id, each.pod_id) for each in found] == [("n1", EAST), ("n3", EAST)]
    assert not await stores.routings.find_by_bottom(Kind.NETWORK, EAST, [])


async def test_what_was_made_for_an_owner_is_listed_in_order(stores: Stores) -> None:
    await stores.routings.keep_routings(
        [
            make_routing("s", EAST, "1", Kind.SUBNET, owner_id="server-1"),
            make_routing("p2", EAST, "2", Kind.PORT, owner_id="server-1"),
            make_routing("p1", EAST, "3", Kind.PORT, owner_id="server-1"),
            make_routing("p3", EAST, "4", Kind.PORT, owner_id="server-2"),
            make_routing("p4", EAST, "5", Kind.PORT),
        ]
    )
    owned = await stores.routings.list_owned(TopId("server-1"))
    assert [each.top_id for each in owned] == ["p1", "p2", "s"]
    assert not await stores.routings.list_owned(TopId("nul\0"))


async def test_a_first_claim_is_mine_and_fresh(stores: Stores) -> None:
    wanted = make_routing(origin=Origin.GATEWAY, owner_id="server-1")
    claim = await stores.routings.claim_routing(wanted, "me", LEASE_S)
    assert (claim.mine, claim.fresh) == (True, True)
    assert timeless(claim.routing) == wanted
    assert list(await stores.routings.find_routings(Kind.NETWORK, NETWORK)) == [claim.routing]


async def test_a_claim_holds_the_state_and_bottom_id_of_something_being_made(
    stores: Stores,
) -> None:
    claim = await stores.routings.claim_routing(make_routing(NETWORK, EAST, "b"), "me", LEASE_S)
    assert (claim.routing.state, claim.routing.bottom_id) == (RoutingState.CREATING, None)


async def test_a_live_lease_of_another_owner_is_respected(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "first", LEASE_S)
    claim = await stores.routings.claim_routing(make_routing(), "second", LEASE_S)
    assert (claim.mine, claim.fresh) == (False, False)
    assert claim.routing.state is RoutingState.CREATING


async def test_who_claims_again_renews_the_lease(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", EXPIRED_S)
    claim = await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    assert (claim.mine, claim.fresh) == (True, False)
    assert not (await stores.routings.claim_routing(make_routing(), "other", LEASE_S)).mine


async def test_an_expired_lease_is_taken_over_and_the_late_settle_fails(stores: Stores) -> None:
    routing = make_routing()
    await stores.routings.claim_routing(routing, "late", EXPIRED_S)
    heir = replace(routing, owner_id=TopId("server-2"), origin=Origin.GATEWAY)
    claim = await stores.routings.claim_routing(heir, "heir", LEASE_S)
    assert (claim.mine, claim.fresh) == (True, False)
    assert timeless(claim.routing) == heir
    assert not await stores.routings.settle_routing(routing, "late", BottomId("b-late"))
    assert await stores.routings.settle_routing(heir, "heir", BottomId("b-heir"))
    (kept,) = await stores.routings.find_routings(Kind.NETWORK, NETWORK)
    assert (kept.bottom_id, kept.state) == ("b-heir", RoutingState.ACTIVE)
    assert not await stores.routings.settle_routing(routing, "late", BottomId("b-late"))


async def test_a_claim_kept_without_a_lease_can_be_taken(stores: Stores) -> None:
    await stores.routings.keep_routings([make_routing()])
    claim = await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    assert (claim.mine, claim.fresh) == (True, False)


async def test_a_lease_that_ran_out_is_ours_until_it_is_taken_over(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", EXPIRED_S)
    assert await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))


async def test_what_is_settled_is_returned_as_it_is_and_nobody_owns_it(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    assert await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    (kept,) = await stores.routings.find_routings(Kind.NETWORK, NETWORK)
    for owner in ("me", "other"):
        other = make_routing(owner_id="someone", project_id="other")
        claim = await stores.routings.claim_routing(other, owner, LEASE_S)
        assert (claim.routing, claim.mine, claim.fresh) == (kept, False, False)
    assert timeless(kept) == make_routing(NETWORK, EAST, "b")


async def test_a_settle_whose_answer_was_lost_may_be_repeated(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    assert await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    assert await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    assert not await stores.routings.settle_routing(make_routing(), "me", BottomId("c"))


async def test_nothing_is_settled_without_a_claim(stores: Stores) -> None:
    assert not await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    assert not await stores.routings.settle_routing(make_routing(), "other", BottomId("b"))
    assert not await stores.routings.settle_routing(
        make_routing(NETWORK, WEST), "me", BottomId("b")
    )


async def test_one_bottom_resource_is_the_twin_of_one_top_resource(stores: Stores) -> None:
    await stores.routings.keep_routings([make_routing("first", EAST, "b")])
    await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    with pytest.raises(Duplicate, match="network b of pod pod-east is already kept"):
        await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    assert await stores.routings.settle_routing(make_routing(), "me", BottomId("c"))


async def test_a_forgotten_claim_can_be_made_anew_and_not_be_settled(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "me", LEASE_S)
    await stores.routings.forget_routing(Kind.NETWORK, NETWORK, EAST)
    await stores.routings.forget_routing(Kind.NETWORK, NETWORK, EAST)
    assert not await stores.routings.settle_routing(make_routing(), "me", BottomId("b"))
    claim = await stores.routings.claim_routing(make_routing(), "other", LEASE_S)
    assert (claim.mine, claim.fresh) == (True, True)


async def test_only_one_pods_routing_is_forgotten(stores: Stores) -> None:
    await stores.routings.keep_routings(
        [make_routing("n", EAST, "b"), make_routing("n", WEST, "b")]
    )
    await stores.routings.forget_routing(Kind.NETWORK, TopId("n"), EAST)
    await stores.routings.forget_routing(Kind.NETWORK, TopId("nul\0"), EAST)
    (left,) = await stores.routings.find_routings(Kind.NETWORK, TopId("n"))
    assert left.pod_id == WEST
    await stores.routings.keep_routings([make_routing("again", EAST, "b")])
    assert await stores.routings.find_routings(Kind.NETWORK, TopId("again"))


async def test_of_many_claims_at_the_same_time_exactly_one_wins(stores: Stores) -> None:
    claims = await asyncio.gather(
        *(stores.routings.claim_routing(make_routing(), f"o{n}", LEASE_S) for n in range(20))
    )
    assert [claim.mine for claim in claims].count(True) == 1
    assert [claim.fresh for claim in claims].count(True) == 1
    assert {claim.routing.project_id for claim in claims} == {PROJECT}


async def test_of_many_take_overs_at_the_same_time_exactly_one_wins(stores: Stores) -> None:
    await stores.routings.claim_routing(make_routing(), "late", EXPIRED_S)
    claims = await asyncio.gather(
        *(stores.routings.claim_routing(make_routing(), f"o{n}", LEASE_S) for n in range(20))
    )
    assert [claim.mine for claim in claims].count(True) == 1
    assert not any(claim.fresh for claim in claims)


async def test_claims_in_two_pods_do_not_touch_each_other(stores: Stores) -> None:
    first = await stores.routings.claim_routing(make_routing(NETWORK, EAST), "a", LEASE_S)
    second = await stores.routings.claim_routing(make_routing(NETWORK, WEST), "b", LEASE_S)
    assert (first.fresh, second.fresh) == (True, True)
