"""What every store promises about wishes."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.samples import EAST, WEST, Stores, add_two_pods, make_pod
from tricircle.core.errors import BadInput, Conflict
from tricircle.core.jobs import JobRequest, Replicate
from tricircle.core.model import BottomId, PodId
from tricircle.core.wishes import Replica, Wish, WishId, WishKey, WishPod
from tricircle.interfaces.jobs import JobFilter
from tricircle.interfaces.wishes import JOB_WAIT_S, WishChange

REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
FLAVOR = WishKey(Replica.FLAVOR, "", "f1")
DOCUMENT = {"name": "small", "ram": 512, "extra_specs": {"hw:größe": "1"}, "projects": ["p"]}


def change(
    key: WishKey = FLAVOR, expected: int = 0, *, wanted: bool = True, ram: int = 512
) -> WishChange:
    document = {**DOCUMENT, "ram": ram}
    return WishChange(key, document, wanted, expected, EAST, BottomId("b1"))


async def put(stores: Stores, wanted: WishChange) -> Wish:
    return (await stores.wishes.put_wish(wanted, REQUEST_ID)).wish


async def jobs_of(stores: Stores) -> list[Replicate]:
    found = [record.job for record in await stores.records.list_jobs(JobFilter(), 100)]
    return sorted((job for job in found if isinstance(job, Replicate)), key=lambda job: job.pod_id)


@pytest.fixture(autouse=True)
async def two_pods(stores: Stores) -> None:
    await add_two_pods(stores)


# Wishes.


async def test_a_wish_is_kept_as_it_was_put(stores: Stores) -> None:
    wish = await put(stores, change())
    assert (wish.key, wish.document, wish.wanted) == (FLAVOR, DOCUMENT, True)
    assert wish.generation == 1
    assert await stores.wishes.find_wish(FLAVOR) == wish


async def test_a_wish_that_is_not_there_is_not_found(stores: Stores) -> None:
    await put(stores, change())
    assert await stores.wishes.find_wish(WishKey(Replica.FLAVOR, "", "F1")) is None
    assert await stores.wishes.find_wish(WishKey(Replica.FLAVOR, "u", "f1")) is None
    assert await stores.wishes.find_wish(WishKey(Replica.VOLUME_TYPE, "", "f1")) is None
    assert await stores.wishes.find_wish(WishKey(Replica.FLAVOR, "", "f\0" * 200)) is None


async def test_every_change_raises_the_generation(stores: Stores) -> None:
    first = await put(stores, change())
    second = await put(stores, change(expected=1, ram=1024))
    third = await put(stores, change(expected=2, wanted=False))
    assert [second.generation, third.generation] == [2, 3]
    assert {first.id, second.id, third.id} == {first.id}
    assert await stores.wishes.find_wish(FLAVOR) == third
    assert not third.wanted


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_change_of_another_generation_changes_nothing(
    stores: Stores, expected: int
) -> None:
    await put(stores, change())
    wish = await put(stores, change(expected=1))
    jobs = await stores.records.list_jobs(JobFilter(), 100)
    with pytest.raises(Conflict, match="flavor f1"):
        await put(stores, change(expected=expected, ram=1))
    assert await stores.wishes.find_wish(FLAVOR) == wish
    assert await stores.records.list_jobs(JobFilter(), 100) == jobs


async def test_a_change_of_a_wish_that_is_not_there_is_refused(stores: Stores) -> None:
    with pytest.raises(Conflict):
        await put(stores, change(expected=1))
    assert await jobs_of(stores) == []


@pytest.mark.parametrize("expected", [0, 1])
async def test_of_changes_at_once_one_wins(stores: Stores, expected: int) -> None:
    if expected:
        await put(stores, change())
    changes = [put(stores, change(expected=expected, ram=ram)) for ram in range(1, 6)]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    won = [one for one in outcomes if isinstance(one, Wish)]
    assert len(won) == 1
    assert all(isinstance(one, Wish | Conflict) for one in outcomes)
    assert await stores.wishes.find_wish(FLAVOR) == won[0]


async def test_what_cannot_be_kept_is_refused_by_name(stores: Stores) -> None:
    for name in ("f" * 256, "f\0"):
        with pytest.raises(BadInput, match="flavor"):
            await put(stores, change(WishKey(Replica.FLAVOR, "", name)))


async def test_wishes_are_listed_in_pages_by_owner_and_name(stores: Stores) -> None:
    keys = [WishKey(Replica.KEYPAIR, owner, name) for owner in "ab" for name in ("K", "k", "ä")]
    for key in reversed(keys):
        await put(stores, change(key))
    await put(stores, change())
    found: list[WishKey] = []
    while page := await stores.wishes.list_wishes(Replica.KEYPAIR, 4, found[-1] if found else None):
        found += [wish.key for wish in page]
    assert found == keys


# Jobs.


async def test_a_wish_comes_with_a_job_of_every_other_pod_a_little_later(
    stores: Stores,
) -> None:
    key = WishKey(Replica.KEYPAIR, "user", "my key")
    put_wish = await stores.wishes.put_wish(change(key), REQUEST_ID)
    (other,) = {EAST, WEST} - {change(key).pod_id}
    assert await jobs_of(stores) == [Replicate(other, "keypair", "user", "my key")]
    (job_id,) = put_wish.job_ids
    record = await stores.records.get_job(job_id)
    assert (record.request_id, record.asked) == (REQUEST_ID, 1)
    waits_s = (record.due_at - record.created_at).total_seconds()
    assert abs(waits_s - JOB_WAIT_S) < 1


async def test_a_further_change_asks_the_same_jobs_again(stores: Stores) -> None:
    first = await stores.wishes.put_wish(change(), REQUEST_ID)
    second = await stores.wishes.put_wish(change(expected=1), REQUEST_ID)
    assert set(first.job_ids) == set(second.job_ids)
    assert (await stores.records.get_job(first.job_ids[0])).asked == 2


async def test_a_wish_of_a_pod_that_is_gone_is_not_kept(stores: Stores) -> None:
    await stores.pods.delete_pod(EAST)
    with pytest.raises(Conflict):
        await put(stores, change())
    assert await stores.wishes.find_wish(FLAVOR) is None
    assert await jobs_of(stores) == []


async def test_changes_beside_requests_for_their_jobs_do_not_lock_each_other_out(
    stores: Stores,
) -> None:
    keys = [WishKey(Replica.FLAVOR, "", f"f{number}") for number in range(8)]
    requests = [
        JobRequest(Replicate(pod, "flavor", "", key.name), REQUEST_ID)
        for key in keys
        for pod in (WEST, EAST)
    ]
    await asyncio.gather(
        *(put(stores, change(key)) for key in keys), stores.desk.submit_jobs(requests)
    )
    assert len(await jobs_of(stores)) == 16


# Pods.


async def test_the_pod_a_wish_was_read_from_is_known_to_have_it(stores: Stores) -> None:
    wish = await put(stores, change())
    assert await stores.wishes.list_pods_of(wish.id) == {EAST: WishPod(1, BottomId("b1"))}
    await put(stores, change(expected=1))
    assert await stores.wishes.list_pods_of(wish.id) == {EAST: WishPod(2, BottomId("b1"))}


async def test_what_is_known_of_a_pod_never_gets_older(stores: Stores) -> None:
    wish = await put(stores, change())
    for generation, expected in ((0, 0), (2, 2), (1, 2), (2, 2), (3, 3)):
        await stores.wishes.note_pod(wish.id, WEST, WishPod(generation, BottomId(f"b{generation}")))
        known = await stores.wishes.list_pods_of(wish.id)
        assert known[WEST] == WishPod(expected, BottomId(f"b{expected}"))


async def test_what_is_gone_is_not_noted(stores: Stores) -> None:
    wish = await put(stores, change())
    await stores.wishes.note_pod(WishId("gone"), WEST, WishPod(1))
    await stores.wishes.note_pod(wish.id, PodId("gone"), WishPod(1))
    assert set(await stores.wishes.list_pods_of(wish.id)) == {EAST}


async def test_wishes_are_listed_with_what_a_pod_has(stores: Stores) -> None:
    first = await put(stores, change())
    second = await put(stores, change(WishKey(Replica.FLAVOR, "", "f2")))
    await stores.wishes.note_pod(second.id, WEST, WishPod(0))
    found = await stores.wishes.list_for_pod(WEST, Replica.FLAVOR, 10)
    assert found == [(first, None), (second, WishPod(0))]
    assert await stores.wishes.list_for_pod(WEST, Replica.FLAVOR, 1, first.key) == found[1:]
    assert await stores.wishes.list_for_pod(WEST, Replica.KEYPAIR, 10) == []


async def test_a_pod_lacks_what_it_is_behind_of(stores: Stores) -> None:
    keys = [WishKey(Replica.FLAVOR, "", f"f{number}") for number in range(4)]
    wishes = [await put(stores, change(key)) for key in keys]
    await stores.wishes.note_pod(wishes[1].id, WEST, WishPod(0))
    await stores.wishes.note_pod(wishes[2].id, WEST, WishPod(1))
    gone = await put(stores, change(keys[3], 1, wanted=False))
    lacking = [wishes[0], wishes[1], gone]
    assert await stores.wishes.list_lacking(WEST, Replica.FLAVOR, 10) == lacking
    assert await stores.wishes.list_lacking(WEST, Replica.FLAVOR, 2) == lacking[:2]
    assert await stores.wishes.list_lacking(WEST, Replica.FLAVOR, 2, keys[1]) == [gone]
    assert await stores.wishes.list_lacking(EAST, Replica.FLAVOR, 10) == []


async def test_a_pod_added_later_lacks_everything(stores: Stores) -> None:
    wish = await put(stores, change())
    north = PodId("pod-north")
    await stores.pods.add_pod(make_pod(north, "north", "RegionNorth"))
    assert await stores.wishes.list_lacking(north, Replica.FLAVOR, 10) == [wish]


# Tombstones.


async def test_a_tombstone_stays_until_every_pod_is_known_not_to_have_it(stores: Stores) -> None:
    await put(stores, change())
    wish = await put(stores, change(expected=1, wanted=False))
    assert await stores.wishes.forget_tombstones() == 0
    await stores.wishes.note_pod(wish.id, WEST, WishPod(1))
    assert await stores.wishes.forget_tombstones() == 0
    await stores.wishes.note_pod(wish.id, WEST, WishPod(2))
    assert await stores.wishes.forget_tombstones() == 1
    assert await stores.wishes.find_wish(FLAVOR) is None
    assert await stores.wishes.list_pods_of(wish.id) == {}
    assert (await put(stores, change())).generation == 1


async def test_what_is_wanted_is_no_tombstone(stores: Stores) -> None:
    wish = await put(stores, change())
    await stores.wishes.note_pod(wish.id, WEST, WishPod(1))
    assert await stores.wishes.forget_tombstones() == 0


async def test_a_pod_that_is_deleted_holds_up_no_tombstone(stores: Stores) -> None:
    await put(stores, change())
    wish = await put(stores, change(expected=1, wanted=False))
    await stores.pods.delete_pod(WEST)
    assert set(await stores.wishes.list_pods_of(wish.id)) == {EAST}
    assert await stores.wishes.forget_tombstones() == 1
