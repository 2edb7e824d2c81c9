"""What every store promises about ports that are ready in pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tests.contract.samples import EAST, NETWORK, PROJECT, WEST, Stores, add_two_pods, make_spare
from tricircle.adapters.sql import open_database
from tricircle.adapters.sql.columns import from_now
from tricircle.adapters.sql.tables import spare_port
from tricircle.core.errors import BadInput, NotFound
from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.objects import FixedIp
from tricircle.core.network.spares import SparePort
from tricircle.interfaces.store import MAX_READY
from tricircle.testing.store import MemoryStores

Age = Callable[[SparePort, float], Awaitable[None]]
UNSTORABLE = ("nul\0", "half\ud800", "x" * 256)


@pytest.fixture(autouse=True)
async def pods(stores: Stores) -> None:
    await add_two_pods(stores)


@pytest.fixture
async def age(stores: Stores, store_url: str | None) -> AsyncIterator[Age]:
    """Makes a kept spare as old as if it had been kept some seconds ago and left alone."""
    if store_url is None:
        yield _age_in_memory(stores)
        return
    database = open_database(store_url)

    async def age_in_database(spare: SparePort, age_s: float) -> None:
        is_it = (spare_port.c.pod_id == spare.pod_id) & (spare_port.c.port_id == spare.port_id)
        ago = from_now(-age_s)
        await database.write(update(spare_port).where(is_it).values(created_at=ago, updated_at=ago))

    yield age_in_database
    await database.close()


def _age_in_memory(stores: Stores) -> Age:
    assert isinstance(stores, MemoryStores)
    kept = stores.tables.spares.spares

    async def age_in_memory(spare: SparePort, age_s: float) -> None:
        ago = datetime.now(UTC) - timedelta(seconds=age_s)
        key = (spare.pod_id, spare.port_id)
        kept[key] = replace(kept[key], created_at=ago, updated_at=ago)

    return age_in_memory


async def keep(stores: Stores, *spares: SparePort) -> None:
    for spare in spares:
        await stores.spares.keep_spare(spare)


async def list_ready(stores: Stores) -> list[tuple[PodId, BottomId]]:
    return keys(await stores.spares.list_ready(NETWORK, PROJECT))


def keys(spares: object) -> list[tuple[PodId, BottomId]]:
    assert isinstance(spares, list)
    return [(spare.pod_id, spare.port_id) for spare in spares]


def timeless(spare: SparePort | None) -> SparePort:
    assert spare is not None
    return replace(spare, created_at=None, updated_at=None)


async def test_a_spare_is_found_as_kept_with_the_times_of_the_database(stores: Stores) -> None:
    addresses = (
        FixedIp(subnet_id="subnet-4", ip_address="10.0.0.7"),
        FixedIp(subnet_id="subnet-6", ip_address="2001:db8::7"),
    )
    spare = replace(make_spare(), addresses=addresses)
    past = datetime(2000, 1, 1, tzinfo=UTC)
    await keep(stores, replace(spare, created_at=past, updated_at=past))
    found = await stores.spares.find_spare(EAST, spare.port_id)
    assert found is not None
    assert timeless(found) == spare
    for time in (found.created_at, found.updated_at):
        assert time is not None
        assert abs(datetime.now(UTC) - time) < timedelta(minutes=5)
    assert await stores.spares.list_ready(NETWORK, PROJECT) == [found]


async def test_a_spare_without_addresses_can_be_kept(stores: Stores) -> None:
    spare = replace(make_spare(), addresses=())
    await keep(stores, spare)
    assert timeless(await stores.spares.find_spare(EAST, spare.port_id)) == spare


async def test_a_spare_is_kept_as_one_that_nobody_has(stores: Stores) -> None:
    await keep(stores, replace(make_spare(), boot_id="boot-1", group_ids=("group-1",)))
    (ready,) = await stores.spares.list_ready(NETWORK, PROJECT)
    assert timeless(ready) == make_spare()


async def test_one_that_is_known_is_left_as_it_is(stores: Stores) -> None:
    spare = make_spare()
    await keep(stores, spare)
    assert await stores.spares.take_spare(spare, "boot-1", ["group-1"])
    taken = await stores.spares.find_spare(EAST, spare.port_id)
    await keep(stores, replace(spare, mac_address="fa:16:3e:00:00:99", network_id=TopId("other")))
    assert await stores.spares.find_spare(EAST, spare.port_id) == taken
    assert await list_ready(stores) == []


async def test_the_same_port_id_in_two_pods_is_two_spares(stores: Stores) -> None:
    await keep(stores, make_spare("port", EAST), make_spare("port", WEST))
    assert sorted(await list_ready(stores)) == [(EAST, "port"), (WEST, "port")]
    await stores.spares.take_spare(make_spare("port", WEST), "boot-1", [])
    assert await list_ready(stores) == [(EAST, "port")]


async def test_what_is_kept_of_the_same_spare_at_the_same_time_is_one(stores: Stores) -> None:
    await asyncio.gather(*(stores.spares.keep_spare(make_spare()) for _ in range(10)))
    assert await list_ready(stores) == [(EAST, "port-1")]


async def test_the_oldest_is_listed_first(stores: Stores, age: Age) -> None:
    ages = {("c", EAST): 10.0, ("a", EAST): 20.0, ("b", WEST): 30.0, ("d", WEST): 5.0}
    for (port_id, pod_id), age_s in ages.items():
        spare = make_spare(port_id, pod_id)
        await keep(stores, spare)
        await age(spare, age_s)
    assert [port_id for _, port_id in await list_ready(stores)] == ["b", "a", "c", "d"]


async def test_no_more_are_listed_than_a_boot_can_need(stores: Stores, age: Age) -> None:
    spares = [make_spare(f"port-{number:03}") for number in range(MAX_READY + 2)]
    await asyncio.gather(*(stores.spares.keep_spare(spare) for spare in spares))
    await age(spares[-1], 60)
    listed = await list_ready(stores)
    assert len(listed) == MAX_READY
    assert listed[0] == (EAST, spares[-1].port_id)


async def test_spares_of_another_project_or_network_are_not_listed(stores: Stores) -> None:
    other = ProjectId("project-2")
    await keep(
        stores,
        make_spare("mine"),
        replace(make_spare("theirs"), project_id=other),
        replace(make_spare("elsewhere"), network_id=TopId("network-2")),
    )
    assert await list_ready(stores) == [(EAST, "mine")]
    assert keys(await stores.spares.list_ready(NETWORK, other)) == [(EAST, "theirs")]
    assert list(await stores.spares.list_ready(TopId("network-2"), other)) == []
    # exactly: neither case nor a space at the end is overlooked
    assert list(await stores.spares.list_ready(TopId("Network-1"), PROJECT)) == []
    assert list(await stores.spares.list_ready(NETWORK, ProjectId(f"{PROJECT} "))) == []


async def test_a_spare_that_is_taken_is_told_who_has_it(stores: Stores, age: Age) -> None:
    spare = make_spare()
    await keep(stores, spare, make_spare("port-2"))
    await age(spare, 60)
    assert await stores.spares.take_spare(spare, "boot-1", ["group-2", "group-1"])
    found = await stores.spares.find_spare(EAST, spare.port_id)
    assert found is not None
    assert (found.boot_id, found.group_ids) == ("boot-1", ("group-2", "group-1"))
    assert timeless(found) == replace(spare, boot_id="boot-1", group_ids=("group-2", "group-1"))
    assert found.created_at is not None
    assert found.updated_at is not None
    assert found.updated_at - found.created_at > timedelta(seconds=50)
    assert await list_ready(stores) == [(EAST, "port-2")]


async def test_a_spare_is_taken_once_even_by_one_boot(stores: Stores) -> None:
    spare = make_spare()
    await keep(stores, spare)
    assert await stores.spares.take_spare(spare, "boot-1", ["group-1"])
    for boot_id in ("boot-2", "boot-1"):
        assert not await stores.spares.take_spare(spare, boot_id, [])
    found = await stores.spares.find_spare(EAST, spare.port_id)
    assert found is not None
    assert (found.boot_id, found.group_ids) == ("boot-1", ("group-1",))


async def test_of_many_that_want_a_spare_at_once_one_gets_it(stores: Stores) -> None:
    spares = [make_spare(f"port-{number}") for number in range(5)]
    await keep(stores, *spares)
    takers = [
        (spare, f"boot-{number}", stores.spares.take_spare(spare, f"boot-{number}", []))
        for number in range(20)
        for spare in spares
    ]
    answers = await asyncio.gather(*(taking for *_, taking in takers))
    won = {
        (spare.port_id, boot_id)
        for (spare, boot_id, _), mine in zip(takers, answers, strict=True)
        if mine
    }
    assert sum(answers) == len(spares)
    found = [await stores.spares.find_spare(EAST, spare.port_id) for spare in spares]
    assert {(spare.port_id, spare.boot_id) for spare in found if spare} == won


async def test_a_spare_that_is_gone_is_not_taken(stores: Stores) -> None:
    assert not await stores.spares.take_spare(make_spare(), "boot-1", [])
    assert await stores.spares.find_spare(EAST, make_spare().port_id) is None


async def test_a_spare_can_be_forgotten_ready_or_taken(stores: Stores) -> None:
    ready, taken, other = make_spare("ready"), make_spare("taken"), make_spare("ready", WEST)
    await keep(stores, ready, taken, other)
    await stores.spares.take_spare(taken, "boot-1", [])
    for spare in (ready, taken, ready):
        await stores.spares.forget_spare(spare.pod_id, spare.port_id)
        assert await stores.spares.find_spare(spare.pod_id, spare.port_id) is None
    assert await list_ready(stores) == [(WEST, "ready")]
    await keep(stores, taken)
    assert timeless(await stores.spares.find_spare(EAST, taken.port_id)) == taken


async def test_a_spare_that_is_taken_is_found_by_its_mac(stores: Stores) -> None:
    mac = make_spare().mac_address
    await keep(stores, make_spare(), replace(make_spare("other"), mac_address="fa:16:3e:00:00:02"))
    assert await stores.spares.find_taken(NETWORK, PROJECT, mac) is None
    assert await stores.spares.take_spare(make_spare(), "boot-1", [])
    found = await stores.spares.find_taken(NETWORK, PROJECT, mac)
    assert timeless(found) == replace(make_spare(), boot_id="boot-1")
    for network, project, other in (
        (TopId("network-2"), PROJECT, mac),
        (NETWORK, ProjectId("project-2"), mac),
        (NETWORK, PROJECT, "fa:16:3e:00:00:02"),
    ):
        assert await stores.spares.find_taken(network, project, other) is None


async def test_what_has_not_changed_for_a_while_is_listed(stores: Stores, age: Age) -> None:
    spares = [make_spare(port_id) for port_id in ("ready", "touched", "used")]
    await keep(stores, *spares, make_spare("young"))
    await stores.spares.take_spare(spares[2], "boot-1", [])
    for spare in spares:
        await age(spare, 120)
    old = await stores.spares.list_old(60)
    assert keys(old) == [(EAST, "ready"), (EAST, "touched"), (EAST, "used")]
    assert [spare.boot_id for spare in old] == [None, None, "boot-1"]
    # to be taken is a change
    await stores.spares.take_spare(spares[1], "boot-2", [])
    assert keys(await stores.spares.list_old(60)) == [(EAST, "ready"), (EAST, "used")]
    assert list(await stores.spares.list_old(180)) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_pages_put_together_are_the_whole_list(stores: Stores, limit: int) -> None:
    places = [("b", WEST), ("a", WEST), ("c", EAST), ("a", EAST)]
    await keep(stores, *(make_spare(*place) for place in places))
    listed: list[SparePort] = []
    after = None
    while page := await stores.spares.list_old(-60, limit=limit, after=after):
        assert len(page) <= limit
        listed += page
        assert len(listed) <= len(places)
        after = (page[-1].pod_id, page[-1].port_id)
    assert keys(listed) == [(EAST, "a"), (EAST, "c"), (WEST, "a"), (WEST, "b")]


async def test_spares_go_with_their_pod(stores: Stores) -> None:
    taken = make_spare("taken")
    await keep(stores, taken, make_spare("ready"), make_spare("ready", WEST))
    await stores.spares.take_spare(taken, "boot-1", [])
    await stores.pods.delete_pod(EAST)
    assert await stores.spares.find_spare(EAST, taken.port_id) is None
    assert keys(await stores.spares.list_old(-60)) == [(WEST, "ready")]


async def test_nothing_is_kept_for_an_unknown_pod(stores: Stores) -> None:
    with pytest.raises(NotFound, match="there is no pod nowhere"):
        await stores.spares.keep_spare(make_spare(pod_id=PodId("nowhere")))
    assert await list_ready(stores) == []


@pytest.mark.parametrize("text", UNSTORABLE)
async def test_what_cannot_be_kept_is_refused(stores: Stores, text: str) -> None:
    refused = {
        "id of the pod": replace(make_spare(), pod_id=PodId(text)),
        "id of the port": replace(make_spare(), port_id=BottomId(text)),
        "id of the network": replace(make_spare(), network_id=TopId(text)),
        "id of the project": replace(make_spare(), project_id=ProjectId(text)),
        "MAC address": replace(make_spare(), mac_address=text),
    }
    for what, spare in refused.items():
        with pytest.raises(BadInput, match=what):
            await stores.spares.keep_spare(spare)
    await keep(stores, make_spare())
    with pytest.raises(BadInput, match="id of the boot"):
        await stores.spares.take_spare(make_spare(), text, [])
    assert await list_ready(stores) == [(EAST, "port-1")]


@pytest.mark.parametrize("text", UNSTORABLE)
async def test_what_cannot_have_been_kept_is_not_there(stores: Stores, text: str) -> None:
    await keep(stores, make_spare())
    port_id = make_spare().port_id
    for pod, port in ((PodId(text), port_id), (EAST, BottomId(text))):
        assert await stores.spares.find_spare(pod, port) is None
        assert not await stores.spares.take_spare(make_spare(port, pod), "boot-1", [])
        await stores.spares.forget_spare(pod, port)
    assert list(await stores.spares.list_ready(TopId(text), PROJECT)) == []
    assert list(await stores.spares.list_ready(NETWORK, ProjectId(text))) == []
    assert await list_ready(stores) == [(EAST, port_id)]
    assert await stores.spares.find_taken(TopId(text), PROJECT, make_spare().mac_address) is None
    assert await stores.spares.find_taken(NETWORK, ProjectId(text), text) is None


async def test_the_longest_ids_and_any_groups_can_be_kept(stores: Stores) -> None:
    longest = "ß漢🦀" * 85  # 255 characters, one of them outside the basic plane
    spare = replace(make_spare(longest), network_id=TopId(longest), project_id=ProjectId(longest))
    await keep(stores, spare)
    assert await stores.spares.take_spare(spare, longest, UNSTORABLE)
    found = await stores.spares.find_spare(EAST, spare.port_id)
    assert timeless(found) == replace(spare, boot_id=longest, group_ids=UNSTORABLE)
