"""Several processes on one database: constraints and conditional updates decide."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from tests.contract.claiming import THINGS
from tests.contract.samples import NETWORK, PROJECT, add_two_pods, make_spare
from tests.databases import empty_tables
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import RoutingState

PROCESSES = 2
ROOT = Path(__file__).parents[2]


async def run_competitors(url: str) -> list[dict[str, list[str]]]:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.contract.claiming",
            url,
            f"process-{number}",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in started))
    return [json.loads(out) for out, _ in answers]


async def assert_each_thing_is_won_once(url: str, stores: SqlStores) -> None:
    await add_two_pods(stores)
    for number in range(THINGS):
        await stores.spares.keep_spare(make_spare(f"port-{number}"))
    answers = await run_competitors(url)
    won = Counter(top_id for answer in answers for top_id in answer["won"])
    assert won == {f"n{number}": 1 for number in range(THINGS)}
    taken = Counter(port_id for answer in answers for port_id in answer["taken"])
    assert taken == {f"port-{number}": 1 for number in range(THINGS)}
    assert list(await stores.spares.list_ready(NETWORK, PROJECT)) == []
    assert len({tuple(answer["bound"]) for answer in answers}) == 1
    listed = await stores.upkeep.list_routings(state=RoutingState.ACTIVE)
    assert len(listed) == THINGS


async def test_each_claim_and_spare_is_won_by_one_and_all_see_the_same_bindings(
    database_url: str, sql_stores: SqlStores
) -> None:
    await assert_each_thing_is_won_once(database_url, sql_stores)


async def test_the_isolation_level_of_the_server_does_not_matter(reconfigured_url: str) -> None:
    database = open_database(reconfigured_url)
    await empty_tables(database)
    await assert_each_thing_is_won_once(reconfigured_url, SqlStores(database))
    await database.close()
