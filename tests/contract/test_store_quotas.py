"""What every store promises about limits, usage and claims."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.reserving import PROJECT, TAKEN, demands
from tests.contract.samples import Stores
from tests.databases import empty_tables
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.errors import BadInput
from tricircle.core.model import ProjectId, Service, TopId
from tricircle.core.quotas import WHOLE, Amounts, Claim, ClaimId, Demand, Holder

USER = replace(PROJECT, user_id="alice")
OTHER = Holder(Service.COMPUTE, ProjectId("other"))
VOLUMES = Holder(Service.VOLUME, ProjectId("p"))
NOTHING = {"instances": 0, "cores": 0, "ram": 0}
ONE = Claim(ClaimId("one"), USER, TAKEN)
SERVER = TopId("server")
PROCESSES = 3


async def count(
    stores: Stores, counted: Mapping[str, Amounts], holder: Holder = PROJECT, whole: bool = True
) -> bool:
    return await stores.quota_counts.finish_count(
        await stores.quota_counts.begin_count(holder), counted, whole
    )


async def used(stores: Stores, holder: Holder = USER) -> Mapping[str, Amounts]:
    return (await stores.quota_ledger.find_standing(holder, 60)).used


def named(name: str) -> Claim:
    return replace(ONE, id=ClaimId(name))


# Limits.


async def test_whose_limits_are_set_is_listed_in_pages(stores: Stores) -> None:
    limits = stores.quota_limits
    assert await limits.list_holders(None, 2) == []
    for holder in (VOLUMES, USER, PROJECT, OTHER):
        await limits.put_limits(holder, {"one": 1, "two": 2})
    first = await limits.list_holders(None, 3)
    assert first == [OTHER, PROJECT, USER]
    assert await limits.list_holders(first[-1], 3) == [VOLUMES]
    assert await limits.list_holders(VOLUMES, 3) == []


async def test_classes_with_limits_are_listed_in_pages(stores: Stores) -> None:
    limits = stores.quota_limits
    for service, name in ((Service.VOLUME, "a"), (Service.COMPUTE, "b"), (Service.COMPUTE, "a")):
        await limits.put_class(service, name, {"one": 1, "two": 2})
    first = await limits.list_classes(None, 2)
    assert first == [(Service.COMPUTE, "a"), (Service.COMPUTE, "b")]
    assert await limits.list_classes(first[-1], 2) == [(Service.VOLUME, "a")]


async def test_limits_are_kept_by_service_project_and_user(stores: Stores) -> None:
    limits = stores.quota_limits
    await limits.put_limits(PROJECT, {"cores": 5, "ram": -1})
    await limits.put_limits(PROJECT, {"cores": 6})
    await limits.put_limits(USER, {"cores": 2})
    await limits.put_limits(VOLUMES, {"gigabytes_" + "t" * 200: 7})
    assert await limits.find_limits(PROJECT) == {"cores": 6, "ram": -1}
    assert await limits.find_limits(USER) == {"cores": 2}
    assert await limits.find_limits(VOLUMES) == {"gigabytes_" + "t" * 200: 7}
    assert await limits.find_limits(OTHER) == {}


async def test_limits_of_users_are_summed(stores: Stores) -> None:
    limits = stores.quota_limits
    await limits.put_limits(PROJECT, {"cores": 50})
    await limits.put_limits(USER, {"cores": 2, "ram": 1})
    await limits.put_limits(replace(PROJECT, user_id="bob"), {"cores": 3})
    assert await limits.sum_user_limits(Service.COMPUTE, PROJECT.project_id) == {
        "cores": 5,
        "ram": 1,
    }


async def test_a_user_is_forgotten_alone_and_a_project_with_its_users(stores: Stores) -> None:
    limits = stores.quota_limits
    bob = replace(PROJECT, user_id="bob")
    for holder in (PROJECT, USER, bob, OTHER):
        await limits.put_limits(holder, {"cores": 1})
    await limits.forget_limits(USER)
    assert await limits.find_limits(USER) == {}
    assert await limits.find_limits(bob) == {"cores": 1}
    await limits.forget_limits(PROJECT)
    assert await limits.find_limits(PROJECT) == await limits.find_limits(bob) == {}
    assert await limits.find_limits(OTHER) == {"cores": 1}


async def test_a_class_is_kept_by_service(stores: Stores) -> None:
    limits = stores.quota_limits
    await limits.put_class(Service.COMPUTE, "default", {"cores": 5})
    await limits.put_class(Service.COMPUTE, "default", {"cores": 6, "ram": 1})
    assert await limits.find_class(Service.COMPUTE, "default") == {"cores": 6, "ram": 1}
    assert await limits.find_class(Service.VOLUME, "default") == {}
    assert await limits.find_class(Service.COMPUTE, "gold") == {}


async def test_what_cannot_be_kept_is_refused_and_never_found(stores: Stores) -> None:
    limits = stores.quota_limits
    with pytest.raises(BadInput, match="id of the project"):
        await limits.put_limits(replace(PROJECT, project_id=ProjectId("p" * 256)), {"cores": 1})
    with pytest.raises(BadInput, match="id of the user"):
        await limits.put_limits(replace(PROJECT, user_id="u" * 65), {"cores": 1})
    with pytest.raises(BadInput, match="name of the class"):
        await limits.put_class(Service.COMPUTE, "c\0", {"cores": 1})
    assert await limits.find_limits(replace(PROJECT, project_id=ProjectId("nul\0"))) == {}
    assert await limits.find_class(Service.COMPUTE, "c" * 300) == {}


async def test_a_standing_has_all_that_a_decision_needs(stores: Stores) -> None:
    await stores.quota_limits.put_limits(PROJECT, {"cores": 5})
    await stores.quota_limits.put_limits(USER, {"ram": 2})
    await stores.quota_limits.put_limits(replace(PROJECT, user_id="bob"), {"ram": 3})
    await stores.quota_limits.put_class(Service.COMPUTE, "default", {"instances": 7})
    await stores.quota_limits.put_class(Service.COMPUTE, "gold", {"instances": 8})
    await count(stores, {WHOLE: {"cores": 1}, "alice": {"cores": 0}, "bob": {"cores": 1}})
    standing = await stores.quota_ledger.find_standing(USER, 60)
    assert standing.project == {"cores": 5}
    assert standing.user == {"ram": 2}
    assert standing.defaults == {"instances": 7}
    assert standing.used == {WHOLE: {"cores": 1}, "alice": {"cores": 0}}
    assert standing.is_fresh
    assert not (await stores.quota_ledger.find_standing(USER, -60)).is_fresh
    assert (await stores.quota_ledger.find_standing(OTHER, 60)).used == {}


# Reserving.


async def test_a_number_that_is_not_kept_cannot_grow(stores: Stores) -> None:
    assert not await stores.quota_ledger.reserve([ONE], demands(), 60)
    assert await used(stores) == {}


async def test_all_numbers_grow_up_to_their_limits_or_none_does(stores: Stores) -> None:
    await count(stores, {WHOLE: {"instances": 0, "cores": 16, "ram": 0}})
    assert await stores.quota_ledger.reserve([named("a")], demands(), 60)
    assert await stores.quota_ledger.reserve([named("b")], demands(), 60)
    assert not await stores.quota_ledger.reserve([named("c")], demands(), 60)
    assert await used(stores) == {WHOLE: {"instances": 2, "cores": 20, "ram": 1024}}


async def test_a_number_without_limit_grows_too(stores: Stores) -> None:
    await count(stores, {WHOLE: {"cores": 100}})
    assert await stores.quota_ledger.reserve([ONE], [Demand(WHOLE, "cores", 2, None)], 60)
    assert await used(stores) == {WHOLE: {"cores": 102}}


async def test_a_users_own_numbers_decide_too(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING, "alice": NOTHING})
    wanted = [*demands(), Demand("alice", "cores", 2, 3)]
    assert await stores.quota_ledger.reserve([named("a")], wanted, 60)
    assert not await stores.quota_ledger.reserve([named("b")], wanted, 60)
    assert (await used(stores))["alice"]["cores"] == 2


async def test_what_is_released_can_be_taken_again_and_only_once(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING, "alice": NOTHING})
    wanted = [*demands(), *(Demand("alice", name, each, None) for name, each in TAKEN.items())]
    assert await stores.quota_ledger.reserve([ONE], wanted, 60)
    await stores.quota_ledger.reserve([named("other")], wanted, 60)
    for _ in range(2):
        await stores.quota_ledger.release(ONE)
    assert await used(stores) == {WHOLE: TAKEN, "alice": TAKEN}


async def test_what_is_committed_stays_until_its_resource_goes(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    for _ in range(2):
        assert await stores.quota_ledger.commit(ONE, SERVER)
    await stores.quota_ledger.release(ONE)
    assert await used(stores) == {WHOLE: TAKEN}
    assert await stores.quota_ledger.list_claims(Service.COMPUTE, SERVER) == [ONE]
    assert not await stores.quota_ledger.free(Service.VOLUME, SERVER)
    assert await stores.quota_ledger.free(Service.COMPUTE, SERVER)
    assert not await stores.quota_ledger.free(Service.COMPUTE, SERVER)
    assert await used(stores) == {WHOLE: NOTHING}
    assert await stores.quota_ledger.list_claims(Service.COMPUTE, SERVER) == []


async def test_what_another_project_has_taken_stays(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    assert not await stores.quota_ledger.free(Service.COMPUTE, SERVER, OTHER.project_id)
    assert await used(stores) == {WHOLE: TAKEN}
    assert await stores.quota_ledger.free(Service.COMPUTE, SERVER, PROJECT.project_id)
    assert await used(stores) == {WHOLE: NOTHING}


async def test_what_is_committed_without_an_id_stays(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    assert await stores.quota_ledger.commit(ONE, None)
    await stores.quota_ledger.release(ONE)
    assert await used(stores) == {WHOLE: TAKEN}


async def test_what_is_detached_stays_and_cannot_be_freed(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    await stores.quota_ledger.detach(Service.VOLUME, SERVER)
    assert await stores.quota_ledger.list_claims(Service.COMPUTE, SERVER) == [ONE]
    await stores.quota_ledger.detach(Service.COMPUTE, SERVER)
    assert not await stores.quota_ledger.free(Service.COMPUTE, SERVER)
    assert await used(stores) == {WHOLE: TAKEN}


async def test_a_resource_is_freed_once_by_many_at_once(stores: Stores) -> None:
    await count(stores, {WHOLE: {"instances": 5, "cores": 10, "ram": 2560}})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    free = stores.quota_ledger.free
    freed = await asyncio.gather(*(free(Service.COMPUTE, SERVER) for _ in range(8)))
    assert sum(freed) == 1
    assert (await used(stores))[WHOLE] == {"instances": 5, "cores": 10, "ram": 2560}


# Counting.


async def test_a_count_sets_numbers_right_when_nothing_is_under_way(stores: Stores) -> None:
    assert await count(stores, {WHOLE: {"cores": 4}})
    assert await count(stores, {WHOLE: {"cores": 2}})
    assert await used(stores) == {WHOLE: {"cores": 2}}
    assert await count(stores, {WHOLE: {"cores": 6}})
    assert await used(stores) == {WHOLE: {"cores": 6}}


@pytest.mark.parametrize("shown", [0, 2])
async def test_what_is_under_way_survives_a_count(stores: Stores, shown: int) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    assert not await count(stores, {WHOLE: {**NOTHING, "cores": shown}})
    assert await used(stores) == {WHOLE: TAKEN}


@pytest.mark.parametrize("shown", [0, 2])
async def test_what_was_begun_and_ended_during_a_count_survives(stores: Stores, shown: int) -> None:
    await count(stores, {WHOLE: NOTHING})
    mark = await stores.quota_counts.begin_count(PROJECT)
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    counted = {WHOLE: {**NOTHING, "cores": shown}}
    assert not await stores.quota_counts.finish_count(mark, counted, True)
    assert await used(stores) == {WHOLE: TAKEN}


@pytest.mark.parametrize("shown", [0, 2])
async def test_what_was_freed_during_a_count_stays_freed(stores: Stores, shown: int) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    mark = await stores.quota_counts.begin_count(PROJECT)
    await stores.quota_ledger.free(Service.COMPUTE, SERVER)
    counted = {WHOLE: {"instances": shown // 2, "cores": shown, "ram": shown * 256}}
    assert not await stores.quota_counts.finish_count(mark, counted, True)
    assert await used(stores) == {WHOLE: NOTHING}


@pytest.mark.parametrize("was_made", [True, False])
async def test_a_claim_that_expired_is_in_the_pods_or_nowhere(
    stores: Stores, was_made: bool
) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), -1)
    shown = TAKEN if was_made else NOTHING
    assert await count(stores, {WHOLE: shown})
    assert await used(stores) == {WHOLE: shown}
    assert not await stores.quota_ledger.commit(ONE, SERVER)


async def test_a_count_that_is_not_whole_lowers_and_settles_nothing(stores: Stores) -> None:
    await count(stores, {WHOLE: {"instances": 3, "cores": 3, "ram": 3}})
    await stores.quota_ledger.reserve([ONE], demands(), -1)
    assert not await count(stores, {WHOLE: {**NOTHING, "cores": 7}}, whole=False)
    assert await used(stores) == {WHOLE: {"instances": 4, "cores": 7, "ram": 515}}
    assert await stores.quota_ledger.commit(ONE, SERVER)


async def test_a_new_number_includes_what_is_under_way(stores: Stores) -> None:
    await count(stores, {WHOLE: NOTHING})
    await stores.quota_ledger.reserve([ONE], demands(), 60)
    assert not await count(stores, {WHOLE: NOTHING, "alice": NOTHING, "bob": NOTHING})
    assert await used(stores) == {WHOLE: TAKEN, "alice": TAKEN}
    assert (await used(stores, replace(USER, user_id="bob")))["bob"] == NOTHING


async def test_the_first_count_wins_and_no_claim_is_lost(stores: Stores) -> None:
    counts = stores.quota_counts
    marks = [await counts.begin_count(PROJECT) for _ in range(4)]
    await asyncio.gather(*(counts.finish_count(mark, {WHOLE: NOTHING}, True) for mark in marks))
    late = await counts.begin_count(PROJECT)
    assert await stores.quota_ledger.reserve([ONE], demands(), 60)
    await counts.finish_count(late, {WHOLE: NOTHING}, True)
    assert await used(stores) == {WHOLE: TAKEN}


async def test_a_first_count_that_ends_late_takes_nothing_back(stores: Stores) -> None:
    counts = stores.quota_counts
    late = await counts.begin_count(PROJECT)
    await count(stores, {WHOLE: NOTHING})
    assert await stores.quota_ledger.reserve([ONE], demands(), 60)
    await stores.quota_ledger.commit(ONE, SERVER)
    assert not await counts.finish_count(late, {WHOLE: NOTHING}, True)
    assert await used(stores) == {WHOLE: TAKEN}


async def test_projects_with_expired_claims_and_old_counts_are_due(stores: Stores) -> None:
    for holder in (PROJECT, OTHER):
        await count(stores, {WHOLE: NOTHING}, holder)
    assert await stores.quota_counts.list_due(60, 10) == []
    await stores.quota_ledger.reserve([ONE], demands(), -1)
    assert await stores.quota_counts.list_due(60, 10) == [PROJECT]
    due = await stores.quota_counts.list_due(-60, 10)
    assert (due[0], set(due)) == (PROJECT, {PROJECT, OTHER})
    assert len(await stores.quota_counts.list_due(-60, 1)) == 1


# At the exact edge.


async def test_fifty_at_once_get_exactly_what_is_left(stores: Stores) -> None:
    await count(stores, {WHOLE: {"instances": 3, "cores": 6, "ram": 0}})
    reserve = stores.quota_ledger.reserve
    granted = await asyncio.gather(
        *(reserve([named(str(number))], demands(), 60) for number in range(50))
    )
    assert sum(granted) == 7
    assert await used(stores) == {WHOLE: {"instances": 10, "cores": 20, "ram": 7 * 512}}


async def race(url: str) -> None:
    """Let processes, and a count beside them, race for seven servers."""
    database = open_database(url)
    await empty_tables(database)
    stores = SqlStores(database)
    shown = {WHOLE: {"instances": 3, "cores": 6, "ram": 0}}
    await count(stores, shown)
    root = Path(__file__).parents[2]
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.reserving", url, f"process-{number}",
            cwd=root, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = asyncio.gather(*(process.communicate(b"go\n") for process in started))
    while not answers.done():
        await count(stores, shown)
        await asyncio.sleep(0.01)
    assert sum(json.loads(out) for out, _ in await answers) == 7
    assert await used(stores) == {WHOLE: {"instances": 10, "cores": 20, "ram": 7 * 512}}
    await database.close()


async def test_processes_get_exactly_what_is_left(database_url: str) -> None:
    await race(database_url)


async def test_the_isolation_level_of_the_server_does_not_matter(
    reconfigured_url: str,
) -> None:
    await race(reconfigured_url)
