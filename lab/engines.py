"""The engines below OpenStack: MariaDB, RabbitMQ and, when asked for, PostgreSQL."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lab.configuration import write_private
from lab.machine import RABBITMQ_SERVER, SYSTEM_PATH
from lab.processes import Process
from lab.settings import LabError, Settings

SHARED = "shared"
BROKER = "rabbitmq"
POSTGRESQL_PROGRAMS = "usr/lib/postgresql/*/bin"
POSTGRESQL_DEADLINE_S = 30
MARIADB_DEADLINE_S = 60


def system_command(name: str) -> str:
    """The path of a system program; raises LabError when it is not installed."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if not found:
        raise LabError(f"{name} is not installed; run 'python3.11 -m lab prepare'")
    return found


def mariadb_folder(settings: Settings) -> Path:
    return settings.run / "mariadb"


def mariadb_process(settings: Settings) -> Process:
    """MariaDB with little memory.

    A commit reaches the kernel (2), not the disk: it outlives a killed server,
    not a power cut. The doublewrite buffer guards against the latter only.
    """
    folder = mariadb_folder(settings)
    command = (
        system_command("mariadbd"),
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        f"--bind-address={settings.mariadb.host}",
        f"--port={settings.mariadb.port}",
        "--socket=mariadb.sock",
        f"--pid-file={folder / 'mariadbd.pid'}",
        f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
        "--skip-name-resolve",
        "--max-connections=4000",
        "--performance-schema=OFF",
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-doublewrite=OFF",
        "--innodb-buffer-pool-size=192M",
        "--innodb-log-file-size=32M",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
    )
    return Process("mariadb", SHARED, settings.mariadb, command, start_deadline_s=60)


def create_mariadb(settings: Settings, password: str) -> None:
    """Make an empty MariaDB whose only usable account is `lab`."""
    folder = mariadb_folder(settings)
    (folder / "data").mkdir(parents=True)
    init = subprocess.run(
        [
            system_command("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
            "--innodb-log-file-size=32M",
        ],
        capture_output=True,
        text=True,
    )
    if init.returncode:
        raise LabError(f"mariadb-install-db failed:\n{(init.stdout + init.stderr)[-1500:]}")
    accounts = (
        f"CREATE USER lab@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO lab@'%' WITH GRANT OPTION;\n"
    )
    write_private(folder / "accounts.sql", accounts)


def write_mariadb_client(settings: Settings, password: str) -> None:
    """Write the file from which the MariaDB command line tools take address and password."""
    address = settings.mariadb
    write_private(
        mariadb_folder(settings) / "client.cnf",
        f"[client]\nhost={address.host}\nport={address.port}\nuser=lab\npassword={password}\n"
        "protocol=tcp\n",
    )


def mariadb_tool(settings: Settings, tool: str, *arguments: str) -> list[str]:
    """The command line of a MariaDB tool that acts on the lab's server."""
    client = mariadb_folder(settings) / "client.cnf"
    return [system_command(tool), f"--defaults-file={client}", *arguments]


def run_sql(settings: Settings, statements: str, database: str = "") -> str:
    """Run SQL statements as the lab's account; returns what they print, tabs between columns."""
    command = mariadb_tool(settings, "mariadb", "--batch", "--skip-column-names")
    done = subprocess.run(
        [*command, *([database] if database else [])],
        input=statements,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise LabError(f"MariaDB refused: {done.stderr.strip()}")
    return done.stdout


def wait_for_account(settings: Settings) -> None:
    """Wait until the lab's account may log in: a new server makes it after it listens."""
    give_up = time.monotonic() + MARIADB_DEADLINE_S
    while True:
        try:
            run_sql(settings, "SELECT 1;")
            return
        except LabError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.2)


def create_databases(settings: Settings, names: Iterable[str]) -> None:
    """Create the databases that are not there."""
    run_sql(settings, "".join(f"CREATE DATABASE IF NOT EXISTS `{name}`;\n" for name in names))


def rabbitmq_folder(settings: Settings) -> Path:
    return settings.run / "rabbitmq"


def rabbitmq_process(settings: Settings) -> Process:
    """RabbitMQ on one scheduler thread that sleeps when idle, and its epmd on our own address."""
    folder = rabbitmq_folder(settings)
    interface = ",".join(settings.rabbitmq.host.split("."))
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": "tricircle-lab@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": settings.rabbitmq.host,
        "RABBITMQ_NODE_PORT": str(settings.rabbitmq.port),
        "RABBITMQ_DIST_PORT": str(settings.rabbitmq_distribution.port),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(settings.logs),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +A 8 "
        f"-kernel inet_dist_use_interface {{{interface}}}",
        "ERL_EPMD_PORT": str(settings.epmd.port),
        "ERL_EPMD_ADDRESS": settings.epmd.host,
    }
    return Process(
        BROKER, SHARED, settings.rabbitmq, (str(RABBITMQ_SERVER),), environment=environment
    )


def write_rabbitmq(settings: Settings, password: str, vhosts: Sequence[str]) -> None:
    """Write RabbitMQ's configuration.

    Accounts and virtual hosts are loaded at start: each call of rabbitmqctl
    would start an Erlang machine of its own.
    """
    folder = rabbitmq_folder(settings)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    anyone = {"user": "lab", "configure": ".*", "write": ".*", "read": ".*"}
    definitions = {
        "users": [{"name": "lab", "tags": "administrator", **rabbitmq_password(password)}],
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "permissions": [{"vhost": vhost, **anyone} for vhost in vhosts],
    }
    write_private(folder / "definitions.json", json.dumps(definitions))
    write_private(folder / "rabbitmq-env.conf", "")
    write_private(folder / "enabled_plugins", "[].\n")
    write_private(
        folder / "rabbitmq.conf",
        f"load_definitions = {folder / 'definitions.json'}\n"
        "log.console = true\nlog.console.level = warning\n"
        "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 1GB\n",
    )


def rabbitmq_password(password: str) -> dict[str, str]:
    """The password as RabbitMQ stores it: base64(salt + SHA-256(salt + password))."""
    salt = os.urandom(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
    }


def postgresql_program(name: str) -> str:
    """The newest installed version of a PostgreSQL server program."""
    found = sorted(Path("/").glob(f"{POSTGRESQL_PROGRAMS}/{name}"))
    if not found:
        raise LabError(f"PostgreSQL's {name} is not installed; run 'python3.11 -m lab prepare'")
    return str(found[-1])


def postgresql_user() -> str:
    """The account PostgreSQL runs as: it refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else ""


def postgresql_process(settings: Settings) -> Process:
    """PostgreSQL for Tricircle's own database."""
    folder = settings.run / "postgresql"
    command = (
        postgresql_program("postgres"),
        "-D",
        str(folder / "data"),
        "-c",
        f"listen_addresses={settings.postgresql.host}",
        "-p",
        str(settings.postgresql.port),
        "-c",
        "unix_socket_directories=",
        "-c",
        "max_connections=300",
        "-c",
        # Else the server overwrites its environment, and with it the lab's mark.
        "update_process_title=off",
    )
    return Process("postgresql", SHARED, settings.postgresql, command, user=postgresql_user())


def create_postgresql(settings: Settings, password: str) -> None:
    """Make an empty PostgreSQL whose superuser is `lab`, unless it is there."""
    folder = settings.run / "postgresql"
    if (folder / "data" / "PG_VERSION").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    user = postgresql_user()
    secret = folder / "password"
    write_private(secret, password)
    if user:
        shutil.chown(folder, user, user)
        shutil.chown(secret, user, user)
    options = ["--username=lab", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
    done = subprocess.run(
        [postgresql_program("initdb"), "-D", str(folder / "data"), "--encoding=UTF8", *options],
        user=user or None,
        group=user or None,
        cwd="/",
        capture_output=True,
        text=True,
    )
    secret.unlink()
    if done.returncode:
        raise LabError(
            f"initdb failed:\n{done.stderr[-1500:]}\n"
            f"The account {user or 'you'} must be able to enter {folder}."
        )


def ensure_postgresql_database(settings: Settings, name: str, password: str) -> None:
    """Create a database on the lab's PostgreSQL, if it is not there."""
    address = settings.postgresql
    environment = {"PGPASSWORD": password, "PATH": SYSTEM_PATH}
    command = [postgresql_program("psql"), "--no-psqlrc", "--host", address.host]
    command += ["--port", str(address.port), "--username", "lab", "--dbname", "postgres"]
    command += ["--tuples-only", "--command"]
    known = run_psql([*command, "SELECT datname FROM pg_database"], environment).split()
    if name not in known:
        run_psql([*command, f'CREATE DATABASE "{name}"'], environment)


def run_psql(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run psql; returns what it prints. It waits for a server that is still starting."""
    give_up = time.monotonic() + POSTGRESQL_DEADLINE_S
    while True:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not done.returncode:
            return done.stdout
        if time.monotonic() > give_up:
            raise LabError(f"PostgreSQL refused: {done.stderr.strip()}")
        time.sleep(0.2)
