"""Database schemas of a release, made once by the projects' own migrations and kept as dumps.

Migrating is the slowest part of a new lab (about 40 s of CPU a release);
loading a dump takes a second or two.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lab.configuration import database_url, ini_text, write_private
from lab.engines import create_databases, mariadb_tool, run_sql
from lab.machine import lock_file
from lab.processes import base_environment
from lab.progress import step
from lab.settings import TOP_RELEASE, LabError, Settings

WORKERS = 3


@dataclass(frozen=True, slots=True)
class Schema:
    """One database: the option that names it and the command that fills it."""

    name: str
    section: str
    command: tuple[str, ...]


POD_SCHEMAS = (
    Schema("nova", "database", ("nova-manage", "db", "sync", "--local_cell")),
    Schema("neutron", "database", ("neutron-db-manage", "upgrade", "heads")),
    Schema("nova_api", "api_database", ("nova-manage", "api_db", "sync")),
    Schema("cinder", "database", ("cinder-manage", "db", "sync")),
    Schema("placement", "placement_database", ("placement-manage", "db", "sync")),
)
SHARED_SCHEMAS = (
    Schema("keystone", "database", ("keystone-manage", "db_sync")),
    Schema("glance", "database", ("glance-manage", "db_sync")),
)


def schemas_of(release: str) -> tuple[Schema, ...]:
    """What is migrated with the programs of a release."""
    return POD_SCHEMAS + (SHARED_SCHEMAS if release == TOP_RELEASE else ())


def key(release: str) -> str:
    """What identifies the dumps of a release: its exact versions, and how they are made."""
    made_by = lock_file(release).read_bytes() + Path(__file__).read_bytes()
    return f"{release}-{sha256(made_by).hexdigest()[:12]}"


def dump_file(settings: Settings, release: str, name: str) -> Path:
    return settings.prepared / "schemas" / key(release) / f"{name}.sql"


def missing_schemas(settings: Settings, release: str) -> list[Schema]:
    """The schemas of a release of which there is no dump."""
    return [
        schema
        for schema in schemas_of(release)
        if not dump_file(settings, release, schema.name).exists()
    ]


def make_dumps(settings: Settings, release: str, password: str) -> None:
    """Migrate and dump what is missing of a release; needs a running MariaDB."""
    missing = missing_schemas(settings, release)
    if not missing:
        return
    with (
        step(f"migrating {len(missing)} databases of {release} (once)"),
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        works = [pool.submit(make_dump, settings, release, s, password) for s in missing]
        for work in works:
            work.result()


def make_dump(settings: Settings, release: str, schema: Schema, password: str) -> None:
    """Run one project's migrations in a database of their own, keep the dump, drop the database."""
    database = f"new_{release.replace('.', '_')}_{schema.name}"
    create_databases(settings, [database])
    configuration = settings.run / "schema" / f"{database}.conf"
    url = database_url(settings, password, database)
    write_private(configuration, ini_text({schema.section: {"connection": url}}))
    program, *arguments = schema.command
    command = [str(settings.venv(release) / "bin" / program), "--config-file", str(configuration)]
    run_migration(settings, database, [*command, *arguments])
    target = dump_file(settings, release, schema.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    dump = mariadb_tool(settings, "mariadb-dump", "--skip-comments", "--skip-add-drop-table")
    unfinished = target.with_suffix(".new")
    with unfinished.open("wb") as file:
        subprocess.run([*dump, database], stdout=file, check=True)
    unfinished.replace(target)
    run_sql(settings, f"DROP DATABASE `{database}`;")


def run_migration(settings: Settings, name: str, command: list[str]) -> None:
    """Run a migration command; raises LabError with the end of its output."""
    environment = base_environment(settings, name) | {
        "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true",
        "OS_CINDER_DISABLE_EVENTLET_PATCHING": "true",
    }
    os.makedirs(environment["TMPDIR"], exist_ok=True)
    log = settings.logs / f"migrate-{name}.log"
    with log.open("wb") as output:
        done = subprocess.run(command, env=environment, stdout=output, stderr=output)
    if done.returncode:
        ending = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"{' '.join(command)} failed:\n{ending}\nThe whole output is in {log}.")


def load(settings: Settings, loads: Iterable[tuple[str, Path]]) -> None:
    """Create databases and fill them from dumps, several at a time."""
    wanted = list(loads)
    create_databases(settings, [database for database, _ in wanted])
    with ThreadPoolExecutor(WORKERS) as pool:
        for work in [pool.submit(load_one, settings, *each) for each in wanted]:
            work.result()


def load_one(settings: Settings, database: str, dump: Path) -> None:
    """Fill one empty database from a dump."""
    with dump.open("rb") as file:
        done = subprocess.run(
            mariadb_tool(settings, "mariadb", database),
            stdin=file,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise LabError(f"cannot load {dump} into {database}: {done.stderr.strip()}")
