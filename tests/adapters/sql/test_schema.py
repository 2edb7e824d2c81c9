"""The migrations, on each database."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tricircle.adapters.config import ConfigError
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import newest_revision, read_schema_version, sync_schema
from tricircle.adapters.sql.statements import upkeep
from tricircle.adapters.sql.tables import metadata
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import (
    BottomId,
    Kind,
    Node,
    Pod,
    PodId,
    ProjectId,
    Routing,
    TopId,
    ZoneName,
    ZonePod,
)
from tricircle.core.network.spares import SparePort

POD = Pod(PodId("east"), "east", "RegionEast")
SPARE = SparePort(POD.id, BottomId("b"), TopId("n"), ProjectId("p"), "fa:16:3e:00:00:01", ())
ROUTING = Routing(Kind.SERVER, TopId("s"), POD.id, BottomId("s"), ProjectId("p"))


async def test_an_empty_database_has_no_version_until_it_is_brought_up_to_date(
    empty_url: str,
) -> None:
    assert await read_schema_version(empty_url) is None
    assert await sync_schema(empty_url) == newest_revision()
    assert await read_schema_version(empty_url) == newest_revision()


async def test_the_migrated_schema_is_what_the_statements_are_written_for(empty_url: str) -> None:
    await sync_schema(empty_url)
    database = open_database(empty_url)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_compare) == []
    await database.close()


def _compare(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": False}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


async def test_a_filled_database_keeps_what_it_holds(empty_url: str) -> None:
    await sync_schema(empty_url)
    database = open_database(empty_url)
    stores = SqlStores(database)
    await stores.pods.add_pod(POD)
    await stores.zones.add_zone_pod(ZonePod(ZoneName("az"), POD.id, ""))
    await stores.nodes.put_node(Node(POD.id, "east"))
    await stores.bindings.bind(ProjectId("p"), ZoneName("az"), POD.id)
    await stores.routings.keep_routings([ROUTING])
    await stores.spares.keep_spare(SPARE)
    await stores.positions.keep_position("key", b"x", 60)
    assert await sync_schema(empty_url) == newest_revision()
    assert len(await stores.zones.list_zone_pods()) == 1
    assert len(await stores.nodes.list_nodes()) == 1
    assert await stores.bindings.find_binding(ProjectId("p"), ZoneName("az")) == POD.id
    assert len(await stores.routings.find_routings(Kind.SERVER, TopId("s"))) == 1
    assert await stores.spares.find_spare(POD.id, SPARE.port_id) is not None
    assert await stores.positions.find_position("key") == b"x"
    await database.close()


async def test_pods_of_an_earlier_release_have_no_tags(empty_url: str) -> None:
    await sync_schema(empty_url, "0003")
    database = open_database(empty_url)
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO pod (id, name, region, enabled, description)"
            " VALUES ('east', 'east', 'RegionEast', true, '')"
        )
    assert await sync_schema(empty_url) == newest_revision()
    pods = SqlStores(database).pods
    assert (await pods.get_pod(PodId("east"))).tags == {}
    await pods.update_pod(PodId("east"), lambda pod: replace(pod, tags={"disk": "ssd"}))
    assert [pod.tags for pod in await pods.list_pods()] == [{"disk": "ssd"}]
    await database.close()


async def test_several_that_migrate_at_once_all_succeed(empty_url: str) -> None:
    versions = await asyncio.gather(*(sync_schema(empty_url) for _ in range(3)))
    assert versions == [newest_revision()] * 3


async def test_several_processes_that_migrate_at_once_all_succeed(
    empty_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "tricircle.conf"
    config.write_text(f"[database]\nconnection = {empty_url}\n")
    program = "from tricircle.wiring.manage import main; main()"
    arguments = ("--config-file", str(config), "db", "sync")
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *arguments, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    answers = await asyncio.gather(*(process.communicate() for process in running))
    assert [process.returncode for process in running] == [0, 0]
    assert all(newest_revision().encode() in out for out, _ in answers)


async def test_a_migration_that_was_cut_short_is_carried_on(empty_url: str) -> None:
    def create_some(connection: Connection) -> None:
        tables = [metadata.tables[name] for name in ("pod", "pod_endpoint", "binding")]
        metadata.create_all(connection, tables=tables)

    database = open_database(empty_url)
    async with database.engine.connect() as connection:
        await connection.run_sync(create_some)
    await database.close()
    assert await sync_schema(empty_url) == newest_revision()


async def test_a_table_that_lacks_its_last_index_is_completed(empty_url: str) -> None:
    def create_most(connection: Connection) -> None:
        table = metadata.tables["spare_port"]
        table.create(connection)
        (last,) = (index for index in table.indexes if "updated_at" in index.columns)
        last.drop(connection)

    await sync_schema(empty_url, "0005")
    database = open_database(empty_url)
    async with database.engine.connect() as connection:
        await connection.run_sync(create_most)
    assert await sync_schema(empty_url) == newest_revision()
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_compare) == []
    await database.close()


async def test_an_unknown_revision_is_named(empty_url: str) -> None:
    with pytest.raises(ConfigError, match="'nowhere'"):
        await sync_schema(empty_url, "nowhere")


async def test_stores_without_a_schema_say_which_command_makes_it(empty_url: str) -> None:
    database = open_database(empty_url)
    stores = SqlStores(database)
    for call in (
        stores.pods.list_pods(),
        stores.routings.find_routings(Kind.SERVER, TopId("s")),
        stores.routings.keep_routings([ROUTING]),
    ):
        with pytest.raises(ServiceUnavailable, match="run 'tricircle-manage db sync'"):
            await call
    await database.close()


async def test_rows_of_a_newer_release_do_not_disturb_this_one(empty_url: str) -> None:
    await sync_schema(empty_url)
    database = open_database(empty_url)
    stores = SqlStores(database)
    await stores.pods.add_pod(POD)
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO routing (kind, top_id, pod_id, project_id, state, origin, owner_id)"
            " VALUES ('hologram', 's', 'east', 'p', 'active', 'user', 'owner')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO pod_endpoint (pod_id, service, url) VALUES ('east', 'dns', 'http://x')"
        )
    assert await stores.upkeep.list_routings() == []
    assert await stores.upkeep.list_routings(top_id=TopId("s")) == []
    assert await stores.routings.list_owned(TopId("owner")) == []
    assert (await stores.pods.get_pod(POD.id)).endpoints == {}
    await database.close()


async def test_no_file_is_made_when_only_the_version_is_asked(tmp_path: Path) -> None:
    assert await read_schema_version(f"sqlite:///{tmp_path}/new.sqlite") is None
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="nowhere"):
        await sync_schema(f"sqlite:///{tmp_path}/nowhere/new.sqlite")


async def test_a_refused_connection_is_reported_without_the_password() -> None:
    for scheme in ("mysql", "postgresql"):
        with pytest.raises(ServiceUnavailable) as refused:
            await sync_schema(f"{scheme}://user:secret@127.0.0.1:1/x")
        assert "127.0.0.1" in str(refused.value)
        assert "secret" not in str(refused.value)


def test_pages_are_read_as_ranges_of_the_primary_key_in_each_database() -> None:
    wanted = upkeep.Wanted(after=(Kind.PORT, TopId("t"), POD.id))
    assert "(routing.kind, routing.top_id, routing.pod_id) >" in str(
        upkeep.list_routings("postgresql", wanted)
    )
    assert "routing.kind > " in str(upkeep.list_routings("mysql", wanted))
