"""A database that dies, hangs or comes back: bounded, said plainly, and forgiven."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.contract.samples import (
    EAST,
    NETWORK,
    PROJECT,
    add_two_pods,
    make_pod,
    make_routing,
    make_spare,
)
from tests.databases import empty_tables, get_migrated_url, get_server
from tricircle.adapters.sql import Limits, SqlStores, open_database
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, ZoneName
from tricircle.core.network.spares import SparePort

pytestmark = pytest.mark.database

BOUND_S = 10.0
QUICK = Limits(max_pool_size=4, timeout_s=1.0, lock_timeout_s=0.5, connect_timeout_s=0.5)


@pytest.fixture(params=["mariadb", "postgresql"])
def server_name(request: pytest.FixtureRequest) -> str:
    """A database server that tests may kill."""
    return str(request.param)


@pytest.fixture
async def stores(server_name: str, server_url: str) -> AsyncIterator[SqlStores]:
    """Stores on a server, with two pods and one routing."""
    database = open_database(server_url, QUICK)
    await empty_tables(database)
    stores = SqlStores(database)
    await add_two_pods(stores)
    await stores.routings.keep_routings([make_routing(NETWORK, EAST, "b")])
    yield stores
    await database.close()


@pytest.fixture
def server_url(server_name: str) -> str:
    return get_migrated_url(server_name)


CALLS: list[Callable[[SqlStores], Awaitable[object]]] = [
    lambda stores: stores.pods.list_pods(),
    lambda stores: stores.pods.add_pod(make_pod(PodId("new"), "new", "new")),
    lambda stores: stores.zones.list_zone_pods(),
    lambda stores: stores.routings.find_routings(Kind.NETWORK, NETWORK),
    lambda stores: stores.routings.keep_routings([make_routing("n", EAST, "c")]),
    lambda stores: stores.routings.claim_routing(make_routing("m"), "me", 60),
    lambda stores: stores.routings.settle_routing(make_routing("m"), "me", BottomId("d")),
    lambda stores: stores.upkeep.list_routings(),
    lambda stores: stores.bindings.bind(ProjectId("p"), ZoneName(""), EAST),
    lambda stores: stores.positions.find_position("key"),
    lambda stores: stores.nodes.list_nodes(),
    lambda stores: stores.spares.keep_spare(make_spare()),
    lambda stores: stores.spares.list_ready(NETWORK, PROJECT),
    lambda stores: stores.spares.take_spare(make_spare(), "boot-1", []),
    lambda stores: stores.spares.find_spare(EAST, make_spare().port_id),
    lambda stores: stores.spares.list_old(60),
    lambda stores: stores.spares.forget_spare(EAST, make_spare().port_id),
]


async def test_while_the_server_is_down_every_call_says_so_soon(
    stores: SqlStores, server_name: str
) -> None:
    server = get_server(server_name)
    server.crash()
    try:
        for call in CALLS:
            begun_s = time.monotonic()
            with pytest.raises(ServiceUnavailable, match="the database does not answer"):
                await call(stores)
            assert time.monotonic() - begun_s < BOUND_S
    finally:
        server.start()


async def test_after_a_restart_the_same_stores_go_on(stores: SqlStores, server_name: str) -> None:
    server = get_server(server_name)
    # several connections stand, and each finds out for itself
    await asyncio.gather(*(stores.pods.list_pods() for _ in range(4)))
    server.crash()
    server.start()
    for call in CALLS:
        await call(stores)
    assert await stores.routings.find_routings(Kind.NETWORK, NETWORK)


async def test_a_server_that_dies_under_load_loses_no_claim_and_doubles_none(
    stores: SqlStores, server_name: str
) -> None:
    server = get_server(server_name)

    async def claim(number: int, owner: str) -> bool:
        while True:
            try:
                claim = await stores.routings.claim_routing(
                    make_routing(f"load-{number}"), owner, 600
                )
            except ServiceUnavailable:
                await asyncio.sleep(0.05)
            else:
                return claim.mine

    tasks = [
        asyncio.create_task(claim(number, f"owner-{number}-{rival}"))
        for number in range(30)
        for rival in range(2)
    ]
    await asyncio.sleep(0.02)
    server.crash()
    server.start()
    won = await asyncio.gather(*tasks)
    assert [sum(won[n : n + 2]) for n in range(0, 60, 2)] == [1] * 30


async def test_a_statement_that_waits_for_a_lock_is_given_up(
    stores: SqlStores, server_name: str, server_url: str
) -> None:
    locking = {
        "mariadb": "LOCK TABLES routing WRITE, pod WRITE",
        "postgresql": "LOCK TABLE routing, pod IN ACCESS EXCLUSIVE MODE",
    }[server_name]
    blocker = open_database(server_url)
    async with blocker.engine.connect() as connection:
        if server_name == "postgresql":
            await connection.execution_options(isolation_level="READ COMMITTED")
        await connection.exec_driver_sql(locking)
        for call in (CALLS[3], CALLS[5]):
            begun_s = time.monotonic()
            with pytest.raises(ServiceUnavailable):
                await call(stores)
            assert time.monotonic() - begun_s < BOUND_S
        await connection.invalidate()
    await blocker.close()
    assert await stores.routings.find_routings(Kind.NETWORK, NETWORK)


async def test_a_server_that_accepts_and_never_answers_is_given_up(server_name: str) -> None:
    visits: list[asyncio.Task[object] | None] = []

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(asyncio.current_task())
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    scheme = {"mariadb": "mysql", "postgresql": "postgresql"}[server_name]
    database = open_database(f"{scheme}://user:secret@127.0.0.1:{port}/x", QUICK)
    stores = SqlStores(database)
    for call in (CALLS[0], CALLS[3]):
        begun_s = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await call(stores)
        assert time.monotonic() - begun_s < BOUND_S
    await database.close()
    silent.close()
    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(*(visit for visit in visits if visit))


async def test_a_caller_that_goes_away_leaves_the_connection_usable_for_others(
    stores: SqlStores,
) -> None:
    for _ in range(20):
        lookups = [
            asyncio.create_task(stores.routings.find_routings(Kind.NETWORK, NETWORK))
            for _ in range(4)
        ]
        await asyncio.sleep(0.001)
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
    (found,) = await stores.routings.find_routings(Kind.NETWORK, NETWORK)
    assert found.bottom_id == "b"


async def test_more_callers_than_connections_take_turns(stores: SqlStores) -> None:
    found = await asyncio.gather(
        *(stores.routings.find_routings(Kind.NETWORK, NETWORK) for _ in range(100))
    )
    assert all(len(each) == 1 for each in found)


async def test_a_server_that_dies_under_load_gives_no_spare_to_two(
    stores: SqlStores, server_name: str
) -> None:
    server = get_server(server_name)
    spares = [make_spare(f"port-{number}") for number in range(30)]
    for spare in spares:
        await stores.spares.keep_spare(spare)

    async def take(spare: SparePort, boot_id: str) -> bool:
        while True:
            try:
                return await stores.spares.take_spare(spare, boot_id, [])
            except ServiceUnavailable:
                await asyncio.sleep(0.05)

    boots = [(spare, f"boot-{rival}") for spare in spares for rival in range(2)]
    tasks = [asyncio.create_task(take(spare, boot_id)) for spare, boot_id in boots]
    await asyncio.sleep(0.02)
    server.crash()
    server.start()
    won = await asyncio.gather(*tasks)
    # an answer that was lost leaves a spare whose boot does not know of it, for the sweep
    for (spare, boot_id), mine in zip(boots, won, strict=True):
        kept = await stores.spares.find_spare(EAST, spare.port_id)
        assert kept is not None
        assert kept.boot_id is not None
        assert not mine or kept.boot_id == boot_id
