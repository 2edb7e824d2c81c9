"""Private MariaDB, PostgreSQL and RabbitMQ servers for tests.

A test that needs a real server starts one of its own: on a free loopback
port, in a temporary folder, with nothing read from ``/etc``, and tuned for
speed, not for safety. A server ends with the process that started it, even
when that is killed (``setpriv --pdeathsig``).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

ADDRESS = "127.0.0.1"
PREPARE_TIMEOUT_S = 120
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
START_ATTEMPTS = 3


class ServerError(Exception):
    """A private server cannot be run; the message says why and what to do."""


class Engine(Protocol):
    """What differs between the servers."""

    @property
    def name(self) -> str:
        """Return the server's name, for messages and folder names."""
        ...

    @property
    def user(self) -> str:
        """Return the unprivileged user of the distribution's package."""
        ...

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal that ends the server at once, as a crash would."""
        ...

    def prepare_command(self, folder: Path) -> Sequence[str]:
        """Return the command that makes an empty data folder."""
        ...

    def run_command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        ...

    def is_ready(self, port: int) -> bool:
        """Tell whether the server takes connections."""
        ...


class SqlEngine(Engine, Protocol):
    """What differs between the database servers."""

    def sql_command(self, port: int, statement: str, database: str | None) -> Sequence[str]:
        """Return the command that runs one SQL statement as the administrator."""
        ...

    def url(self, port: int, database: str) -> str:
        """Return the connection URL as an operator would write it."""
        ...


@dataclass(frozen=True, slots=True)
class MariaDb:
    """MariaDB as Debian packages it; the administrator is ``root`` without password."""

    name: str = "mariadb"
    user: str = "mysql"
    stop_signal: signal.Signals = signal.SIGKILL

    def prepare_command(self, folder: Path) -> Sequence[str]:
        """Return the command that makes an empty data folder."""
        return (
            find_binary("mariadb-install-db", "mariadb-server"),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
        )

    def run_command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        return (
            find_binary("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={folder / 'mariadb.sock'}",
            f"--pid-file={folder / 'mariadb.pid'}",
            f"--bind-address={ADDRESS}",
            f"--port={port}",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=64M",
            # written but not synchronised: kept when the server dies, not the machine
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--performance-schema=OFF",
            "--max-connections=200",
        )

    def sql_command(self, port: int, statement: str, database: str | None) -> Sequence[str]:
        """Return the command that runs one SQL statement as the administrator."""
        client = find_binary("mariadb", "mariadb-client")
        where = (f"--database={database}",) if database else ()
        address = (f"--host={ADDRESS}", f"--port={port}", "--user=root")
        return (client, "--no-defaults", *address, *where, f"--execute={statement}")

    def url(self, port: int, database: str) -> str:
        """Return the connection URL as an operator would write it."""
        return f"mysql+pymysql://root@{ADDRESS}:{port}/{database}"

    def is_ready(self, port: int) -> bool:
        """Tell whether the server greets, which it does only once it takes connections."""
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), 2) as client:
            return len(client.recv(5)) == 5
        return False


@dataclass(frozen=True, slots=True)
class PostgreSql:
    """PostgreSQL as Debian packages it; the administrator is ``postgres`` without password.

    An "immediate" shutdown is what a crash leaves behind, and unlike SIGKILL it
    ends the worker processes too.
    """

    name: str = "postgresql"
    user: str = "postgres"
    stop_signal: signal.Signals = signal.SIGQUIT

    def prepare_command(self, folder: Path) -> Sequence[str]:
        """Return the command that makes an empty data folder."""
        return (
            find_binary("initdb", "postgresql"),
            f"--pgdata={folder / 'data'}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )

    def run_command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        settings = {
            "port": str(port),
            "listen_addresses": ADDRESS,
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        return (find_binary("postgres", "postgresql"), "-D", str(folder / "data"), *flags)

    def sql_command(self, port: int, statement: str, database: str | None) -> Sequence[str]:
        """Return the command that runs one SQL statement as the administrator."""
        client = find_binary("psql", "postgresql-client")
        address = (f"--host={ADDRESS}", f"--port={port}", "--username=postgres")
        chosen = f"--dbname={database or 'postgres'}"
        return (client, "--no-psqlrc", "--quiet", *address, chosen, f"--command={statement}")

    def url(self, port: int, database: str) -> str:
        """Return the connection URL as an operator would write it."""
        return f"postgresql://postgres@{ADDRESS}:{port}/{database}"

    def is_ready(self, port: int) -> bool:
        """Tell whether the server takes connections; while it recovers it does not."""
        client = find_binary("pg_isready", "postgresql-client")
        asked = (client, "--quiet", f"--host={ADDRESS}", f"--port={port}", "--timeout=2")
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603


@dataclass(frozen=True, slots=True)
class RabbitMq:
    """RabbitMQ as Debian packages it; ``guest``, with that password, may do everything.

    Its one scheduler thread sleeps when idle. It wants to be found by name in an
    epmd, and gets one of its own, which ends with it. It is asked to end, for when
    release 3.10 is killed within half a second after a quorum queue was made, that
    queue has no leader ever after (seen 2026-11-27).
    """

    name: str = "rabbitmq"
    user: str = "rabbitmq"
    stop_signal: signal.Signals = signal.SIGTERM

    def prepare_command(self, folder: Path) -> Sequence[str]:
        """Return the command that makes an empty data folder."""
        return (find_binary("mkdir", "coreutils"), str(folder / "data"))

    def run_command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""
        settings = {
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": ADDRESS,
            "ERL_EPMD_PORT": str(_free_port()),
            "RABBITMQ_NODENAME": "tricircle@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": ADDRESS,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none"
            f" -kernel inet_dist_use_interface {{{ADDRESS.replace('.', ',')}}}",
            # its script then becomes the server instead of waiting for it
            "RUNNING_UNDER_SYSTEMD": "yes",
        }
        return (
            find_binary("env", "coreutils"),
            *(f"{name}={value}" for name, value in settings.items()),
            find_binary("sh", "dash"),
            "-c",
            'setpriv --pdeathsig=KILL epmd -port "$ERL_EPMD_PORT" & exec "$0"',
            find_binary("rabbitmq-server", "rabbitmq-server"),
        )

    def url(self, port: int) -> str:
        """Return the transport URL as an operator would write it."""
        return f"rabbit://guest:guest@{ADDRESS}:{port}/"

    def is_ready(self, port: int) -> bool:
        """Tell whether the server answers a greeting; its first frame is of type 1, a method."""
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), 2) as client:
            client.sendall(b"AMQP\x00\x00\x09\x01")
            return client.recv(1) == b"\x01"
        return False


AnyEngine = TypeVar("AnyEngine", bound=Engine)
AnySqlEngine = TypeVar("AnySqlEngine", bound=SqlEngine)


@dataclass(slots=True)
class Server(Generic[AnyEngine]):
    """One private server. It may be crashed and started again on the same port and data.

    ``holder`` is an open file whose lock says that somebody still wants ``folder``.
    """

    engine: AnyEngine
    folder: Path
    holder: int
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self: Server[AnySqlEngine], database: str) -> str:
        """Return the connection URL of a database, as an operator would write it."""
        return self.engine.url(self.port, database)

    def run_sql(self: Server[AnySqlEngine], statement: str, database: str | None = None) -> None:
        """Run one statement as the administrator. Raises ServerError."""
        _run(self.engine.sql_command(self.port, statement, database), self.engine.name, 30)

    def start(self) -> None:
        """Start the server and return once it takes connections. Raises ServerError."""
        ports = [self.port] if self.port else [_free_port() for _ in range(START_ATTEMPTS)]
        for port in ports:
            if self._start_on(port):
                self.port = port
                return
        raise ServerError(f"{self.engine.name} does not start; its log says:\n{self._log_end()}")

    def crash(self) -> None:
        """End the server at once, as a power cut would, and keep its data."""
        if self.process is None:
            return
        self.process.send_signal(self.engine.stop_signal)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
        self.process = None

    def remove(self) -> None:
        """End the server and delete its data; may be repeated."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.holder >= 0:
            os.close(self.holder)
            self.holder = -1

    def _start_on(self, port: int) -> bool:
        command = _as_user(
            self.engine.user,
            self.engine.run_command(self.folder, port),
            dies_by=self.engine.stop_signal,
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        return self._wait_until_ready(port)

    def _wait_until_ready(self, port: int) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                self.process = None
                return False
            if self.engine.is_ready(port):
                return True
            time.sleep(0.05)
        self.crash()
        return False

    def _log_end(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def running(engine: AnyEngine) -> Iterator[Server[AnyEngine]]:
    """Run a private server with an empty data folder; it is gone afterwards.

    Call it from the main thread: Linux ends the server with the thread that
    started it. Raises ServerError, naming the Debian package when a program is
    missing.
    """
    server = _prepare(engine)
    atexit.register(server.remove)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        atexit.unregister(server.remove)


def find_binary(name: str, package: str) -> str:
    """Return the path of a program. Raises ServerError naming the Debian package."""
    # RabbitMQ's first: what Debian has in /usr/sbin by that name wants to be root
    places = ["/usr/lib/rabbitmq/bin", os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"]
    places += [str(found) for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise ServerError(f"{name} is not installed; run 'apt-get install {package}'")
    return found


def _prepare(engine: AnyEngine) -> Server[AnyEngine]:
    prefix = f"tricircle-{engine.name}-"
    _remove_abandoned(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    server = Server(engine=engine, folder=folder, holder=_hold(folder))
    try:
        if os.geteuid() == 0:
            account = _account(engine)
            os.chown(folder, account.pw_uid, account.pw_gid)
        command = _as_user(engine.user, engine.prepare_command(folder))
        _run(command, engine.name, PREPARE_TIMEOUT_S)
    except ServerError:
        server.remove()
        raise
    return server


def _hold(folder: Path) -> int:
    # the kernel gives the lock back however this process ends
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return holder


def _remove_abandoned(prefix: str) -> None:
    """Delete the folders of servers whose process was killed before it could."""
    # those with a log: a newer one may not be held yet
    for log in Path(tempfile.gettempdir()).glob(f"{prefix}*/log"):
        with contextlib.suppress(OSError):
            holder = _hold(log.parent)
            shutil.rmtree(log.parent, ignore_errors=True)
            os.close(holder)


def _account(engine: Engine) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(engine.user)
    except KeyError:
        raise ServerError(
            f"there is no user '{engine.user}'; it comes with the Debian package of {engine.name}"
        ) from None


def _as_user(
    user: str, command: Sequence[str], dies_by: signal.Signals | None = None
) -> Sequence[str]:
    # the kernel forgets the death signal when the user changes, so one program
    # does both, in the right order
    changes = [f"--pdeathsig={dies_by.name.removeprefix('SIG')}"] if dies_by else []
    if os.geteuid() == 0:
        changes += [f"--reuid={user}", f"--regid={_group(user)}", "--clear-groups"]
    return [find_binary("setpriv", "util-linux"), *changes, *command] if changes else command


def _group(user: str) -> str:
    return str(pwd.getpwnam(user).pw_gid)


def _run(command: Sequence[str], name: str, timeout_s: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=timeout_s, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"{name}: '{command[0]}' did not end within {timeout_s} s") from None
    if done.returncode:
        raise ServerError(f"{name}: '{' '.join(command)}' failed:\n{done.stderr or done.stdout}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
