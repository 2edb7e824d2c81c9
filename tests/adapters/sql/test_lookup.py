"""The hot read: by primary key, in every database."""

from __future__ import annotations

import pytest

from tricircle.adapters.sql import Database, SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.adapters.sql.statements import upkeep
from tricircle.adapters.sql.statements.routings import FIND_ROUTINGS
from tricircle.core.model import BottomId, Kind, Pod, PodId, ProjectId, Routing, TopId

EAST = PodId("east")
ROWS = 3000


@pytest.fixture
async def filled(empty_url: str) -> Database:
    """A database in which reading everything would be the wrong way."""
    await sync_schema(empty_url)
    database = open_database(empty_url)
    stores = SqlStores(database)
    await stores.pods.add_pod(Pod(EAST, "east", "RegionEast"))
    await stores.routings.keep_routings(
        [
            Routing(Kind.SERVER, TopId(f"s{n}"), EAST, BottomId(f"s{n}"), ProjectId(f"p{n % 9}"))
            for n in range(ROWS)
        ]
    )
    analyze = {"mysql": "ANALYZE TABLE routing"}.get(database.backend, "ANALYZE")
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(analyze)
    return database


async def explain(database: Database, sql: str) -> str:
    explaining = {"sqlite": "EXPLAIN QUERY PLAN "}.get(database.backend, "EXPLAIN ")
    async with database.engine.connect() as connection:
        rows = (await connection.exec_driver_sql(explaining + sql)).all()
    return "\n".join(str(tuple(row)) for row in rows)


def with_values(database: Database, statement: object) -> str:
    compiled = statement.compile(  # type: ignore[attr-defined]
        dialect=database.engine.dialect, compile_kwargs={"literal_binds": True}
    )
    return str(compiled).replace("%", "%%")


PRIMARY_KEY = {
    "sqlite": "sqlite_autoindex_routing_1 (kind=? AND top_id=?)",
    "mysql": "'PRIMARY'",
    "postgresql": "routing_pkey",
}
SORTING = ("filesort", "TEMP B-TREE", "Sort")


async def test_a_lookup_is_a_read_of_the_primary_key_without_sorting(filled: Database) -> None:
    statement = FIND_ROUTINGS.params(kind="server", top_id="s77")
    plan = await explain(filled, with_values(filled, statement))
    assert PRIMARY_KEY[filled.backend] in plan
    assert not any(word in plan for word in SORTING)
    await filled.close()


async def test_a_page_of_a_pod_is_read_in_order(filled: Database) -> None:
    # with values in another collation than the columns' MariaDB would sort all rows
    wanted = upkeep.Wanted(kind=Kind.SERVER, pod_id=EAST, limit=10)
    plan = await explain(filled, with_values(filled, upkeep.list_routings(filled.backend, wanted)))
    assert not any(word in plan for word in SORTING)
    await filled.close()


async def test_the_thin_read_and_the_plain_one_agree(filled: Database) -> None:
    (found,) = await SqlStores(filled).routings.find_routings(Kind.SERVER, TopId("s77"))
    listed = await SqlStores(filled).upkeep.list_routings(top_id=TopId("s77"))
    assert [found] == list(listed)
    await filled.close()
