"""What is measured, started in processes of its own: simulated pods, gateway, nginx, HAProxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.core.model import (
    Endpoint,
    Pod,
    PodId,
    Service,
    Version,
    VersionRange,
    ZoneName,
    ZonePod,
)

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
START_S = 60.0
RUNTIME_LOCK = Path(__file__).resolve().parents[1] / "requirements" / "runtime.txt"


@dataclass(frozen=True, slots=True)
class Program:
    """A running program: where it is reached and which processes it consists of."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far by the process and its children."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def rss_mib(self) -> float:
        """Return the resident memory of its largest process."""
        return max(_rss_mib(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return the process and its direct children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]


@dataclass(frozen=True, slots=True)
class Clouds:
    """The simulated pods and a token of a member who owns everything in them."""

    program: Program
    pods: tuple[str, ...]
    project_id: str
    token: str


@contextlib.contextmanager
def clouds(pods: int, servers: int, module: str = "tricircle.testing.cloud") -> Iterator[Clouds]:
    """Run simulated pods with so many servers each."""
    command = [
        sys.executable, "-m", module,
        "--pods", str(pods), "--servers", str(servers),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            facts = json.loads(process.stdout.readline() if process.stdout else b"")
            program = Program("pod", facts["url"], process)
            yield Clouds(program, tuple(facts["pods"]), facts["project_id"], facts["token"])
        finally:
            process.terminate()


@contextlib.contextmanager
def gateway(clouds: Clouds) -> Iterator[Program]:
    """Run the real Nova gateway, one worker, in front of the simulated pods."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/bench.sqlite"
        asyncio.run(_fill(database, clouds))
        port = _free_port()
        config = Path(folder, "tricircle.conf")
        config.write_text(_CONFIG.format(database=database, port=port, url=clouds.program.url))
        log = Path(folder, "gateway.log")
        command = [sys.executable, "-c", _as_deployed(), "--config-file", str(config)]
        with _running("gateway", command, f"http://127.0.0.1:{port}", log) as running:
            yield running


@contextlib.contextmanager
def worker(clouds: Clouds, database: str, transport: str) -> Iterator[Program]:
    """Run the real job worker, one process, on a database and a broker."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_fill(database, clouds))
        port = _free_port()
        config = Path(folder, "tricircle.conf")
        text = _CONFIG.format(database=database, port=port, url=clouds.program.url)
        config.write_text(
            f"[DEFAULT]\ntransport_url = {transport}\n[xjob]\nbind_port = {port}\n{text}"
        )
        program = str(Path(sys.executable).with_name("tricircle-xjob"))
        log = Path(folder, "worker.log")
        command = [program, "--config-file", str(config)]
        with _running("worker", command, f"http://127.0.0.1:{port}", log) as running:
            yield running


@contextlib.contextmanager
def nginx(pod: Program) -> Iterator[Program]:
    """Run nginx, one worker, with kept connections to the pod."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        Path(folder, "nginx.conf").write_text(
            _NGINX.format(folder=folder, port=port, pod=pod.url.removeprefix("http://"))
        )
        command = ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf", "-g", "daemon off;"]
        log = Path(folder, "out.log")
        with _running("nginx", command, f"http://127.0.0.1:{port}", log) as running:
            yield running


@contextlib.contextmanager
def haproxy(pod: Program) -> Iterator[Program]:
    """Run HAProxy, one thread, with kept connections to the pod."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        config = Path(folder, "haproxy.cfg")
        config.write_text(_HAPROXY.format(port=port, pod=pod.url.removeprefix("http://")))
        command = ["haproxy", "-db", "-f", str(config)]
        log = Path(folder, "out.log")
        with _running("haproxy", command, f"http://127.0.0.1:{port}", log) as running:
            yield running


@contextlib.contextmanager
def _running(name: str, command: list[str], url: str, log: Path) -> Iterator[Program]:
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=_environment()) as proc,
    ):
        try:
            _wait_until_open(url, proc, log)
            yield Program(name, url, proc)
        finally:
            proc.terminate()


def _as_deployed() -> str:
    """Return a program that is the gateway without the libraries that only development has.

    keystonemiddleware takes what it finds: with ``cryptography``, which the lock for
    operators does not have, each worker is 8 MiB larger.
    """
    locked = re.findall(r"^([a-z0-9.-]+)==", RUNTIME_LOCK.read_text(), re.MULTILINE)
    deployed = {"tricircle", *locked}
    absent = [
        module
        for module, owners in packages_distributions().items()
        if deployed.isdisjoint(re.sub("[-_.]+", "-", owner).lower() for owner in owners)
    ]
    return (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from tricircle.wiring.compute import main; main()"
    )


def _environment() -> dict[str, str]:
    """Return an environment in which bytecode is kept, as in any installation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _wait_until_open(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, port = url.removeprefix("http://").split(":")
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"bench: {process.args!r} did not start:\n{log.read_text()[-2000:]}")


async def _fill(database: str, clouds: Clouds) -> None:
    """Register the simulated pods, as the Admin API would after having checked them."""
    await sync_schema(database)
    opened = open_database(database)
    stores = SqlStores(opened)
    compute = VersionRange(Version(2, 1), Version(2, 100))
    volume = VersionRange(Version(3, 0), Version(3, 71))
    for name in clouds.pods:
        root = f"{clouds.program.url}/{name}"
        endpoints = {
            Service.COMPUTE: Endpoint(Service.COMPUTE, f"{root}/compute/v2.1", compute),
            Service.VOLUME: Endpoint(Service.VOLUME, f"{root}/volume/v3", volume),
            Service.NETWORK: Endpoint(Service.NETWORK, f"{root}/network"),
        }
        pod_id = PodId(str(uuid.uuid4()))
        await stores.pods.add_pod(Pod(pod_id, name, name, endpoints=endpoints))
        await stores.zones.add_zone_pod(ZonePod(ZoneName(f"az-{name}"), pod_id, "nova"))
    await opened.close()


def get(url: str, token: str) -> bytes:
    """Return the body of one GET as a member who wants a recent microversion."""
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.90"}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise SystemExit(f"bench: GET {url} answers {error.code}: {text}") from error


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


_CONFIG = """\
[database]
connection = {database}
[compute]
bind_host = 127.0.0.1
bind_port = {port}
[keystone_authtoken]
interface = public
auth_type = password
auth_url = {url}/identity/v3
www_authenticate_uri = {url}/identity/v3
username = tricircle
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
[service_credential]
auth_type = password
auth_url = {url}/identity/v3
username = tricircle
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
"""

_NGINX = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream pod {{ server {pod}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://pod;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

_HAPROXY = """\
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend pod
backend pod
    http-reuse always
    server pod {pod}
"""
