"""Golden data: the databases and keys of a new lab, copied instead of made at each start.

A golden folder holds MariaDB's data directory of a stopped server, Keystone's
keys and the passwords. Its name is a hash of all that shaped it, so that a
change of versions, of the number of pods or of the lab's own code makes a new one.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from string import Template

from lab import engines, keystone, machine, pods, processes, schema
from lab.configuration import write_private
from lab.passwords import make_secrets, read_secrets, write_secrets
from lab.progress import step
from lab.settings import LAB_FOLDER, TOP_RELEASE, LabError, Pod, Settings
from lab.top import NEUTRON_DATABASE

SHAPED_BY = ("engines.py", "golden.py", "keystone.py", "passwords.py", "settings.py")
PASSWORDS = "passwords.json"


def folder(settings: Settings) -> Path:
    """Where the golden data of this lab are, or will be."""
    shaped = [(LAB_FOLDER / name).read_bytes() for name in SHAPED_BY]
    keys = [schema.key(release) for release in settings.releases]
    shaped.append(f"{keys} {len(settings.pods)} {settings.network}".encode())
    digest = sha256(b"\0".join(shaped)).hexdigest()[:12]
    return settings.prepared / "golden" / f"{len(settings.pods)}-pods-{digest}"


def is_ready(settings: Settings) -> bool:
    return (folder(settings) / PASSWORDS).exists()


def make(settings: Settings) -> None:
    """Make the golden data, installing what that needs; uses the empty run folder.

    The virtualenvs are filled while Debian's packages are installed, and the
    migrations of a release start as soon as its virtualenv and MariaDB are there.
    """
    passwords = make_secrets()
    with ThreadPoolExecutor() as pool:
        database = pool.submit(start_new_mariadb, settings, passwords)
        works = [
            pool.submit(install_and_migrate, settings, release, database, passwords)
            for release in settings.releases
        ]
        works.append(pool.submit(machine.install_venv_if_needed, settings, machine.CLIENT))
        for work in (database, *works):
            work.result()
    with step("filling the databases (once)"):
        load_databases(settings)
        fill_keystone(settings, passwords)
    processes.stop(settings, processes.find_running(settings))
    keep(settings, passwords)


def start_new_mariadb(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Install MariaDB if needed and start it with no data."""
    machine.install_packages(settings)
    with step("creating MariaDB"):
        engines.create_mariadb(settings, passwords["mariadb"])
        engines.write_mariadb_client(settings, passwords["mariadb"])
        process = engines.mariadb_process(settings)
        accounts = engines.mariadb_folder(settings) / "accounts.sql"
        command = (*process.command, f"--init-file={accounts}")
        started = replace(process, command=command)
        processes.start(settings, [started])
        engines.wait_for_account(settings)
        accounts.unlink()


def install_and_migrate(
    settings: Settings, release: str, database: Future[None], passwords: Mapping[str, str]
) -> None:
    """Install a release, then migrate its databases as soon as MariaDB runs."""
    machine.install_venv_if_needed(settings, release)
    database.result()
    schema.make_dumps(settings, release, passwords["mariadb"])


def loads(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Each database of the lab and the dump that fills it; nova_cell0 is shaped like nova."""
    for name in ("keystone", "glance"):
        yield name, schema.dump_file(settings, TOP_RELEASE, name)
    yield NEUTRON_DATABASE, schema.dump_file(settings, TOP_RELEASE, "neutron")
    for pod in settings.pods:
        for one in schema.POD_SCHEMAS:
            dump = schema.dump_file(settings, pod.release, one.name)
            yield pods.database_name(pod, one.name), dump
        dump = schema.dump_file(settings, pod.release, "nova")
        yield pods.database_name(pod, "nova_cell0"), dump


REGISTER_CELLS = Template("""
SET @cell1 = '{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}';
SET @cell0 = '{scheme}://{username}:{password}@{hostname}:{port}/{path}_cell0?{query}';
INSERT INTO cell_mappings
    (created_at, uuid, name, transport_url, database_connection, disabled)
VALUES
    (NOW(), '$cell0', 'cell0', 'none:///', @cell0, 0),
    (NOW(), '$cell1', 'cell1', @cell1, @cell1, 0);
INSERT INTO host_mappings (created_at, cell_id, host)
    SELECT NOW(), id, '$host' FROM cell_mappings WHERE name = 'cell1';
""")


def load_databases(settings: Settings) -> None:
    """Load every database and write what a deployment tool would have registered."""
    schema.load(settings, loads(settings))
    for pod in settings.pods:
        engines.run_sql(settings, cell_statements(pod), pods.database_name(pod, "nova_api"))
        engines.run_sql(settings, OWN_VOLUME_TYPE, pods.database_name(pod, "cinder"))


# The default type is born in a migration; without this every pod of a release
# would give it the same id, which no two real clouds do.
OWN_VOLUME_TYPE = "UPDATE volume_types SET id = UUID() WHERE name = '__DEFAULT__';"


def cell_statements(pod: Pod) -> str:
    """SQL that registers cell0, the only cell and its only host.

    The same as `nova-manage cell_v2 map_cell0`, `create_cell` and
    `discover_hosts`, which take 5 s each. The URLs are templates that Nova
    fills from its own configuration, so that no password is stored.
    """
    return REGISTER_CELLS.substitute(
        cell0=uuid.UUID(int=0), cell1=uuid.uuid4(), host=pods.host_name(pod)
    )


def fill_keystone(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Bootstrap Keystone and create users and catalogue through its API."""
    keystone.write_configuration(settings, passwords)
    keystone.write_keys(settings)
    schema.run_migration(settings, "keystone", keystone.bootstrap_command(settings, passwords))
    process = keystone.process(settings)
    processes.start(settings, [process])
    processes.wait_for(settings, [process])
    keystone.fill(settings, passwords)


def keep(settings: Settings, passwords: dict[str, str]) -> None:
    """Copy the data of the stopped lab to its golden folder; the passwords come last."""
    target = folder(settings)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, mode=0o700)
    copy(engines.mariadb_folder(settings), target / "mariadb")
    copy(keystone.folder(settings), target / "keystone")
    write_secrets(target / PASSWORDS, passwords)


def restore(settings: Settings) -> dict[str, str]:
    """Copy the golden data into the empty run folder; returns the passwords."""
    source = folder(settings)
    copy(source / "mariadb", engines.mariadb_folder(settings))
    copy(source / "keystone", keystone.folder(settings))
    write_private(settings.run / PASSWORDS, (source / PASSWORDS).read_text())
    return read_secrets(settings.run / PASSWORDS)


def copy(source: Path, target: Path) -> None:
    """Copy a folder with owners, modes and holes."""
    command = ["cp", "-a", "--reflink=auto", "--sparse=always", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"cannot copy {source}: {done.stderr.strip()}")
