"""One routed GET: straight, through nginx, HAProxy and the gateway, in one interleaved run."""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench import stage

ROUNDS = 9
SERIAL_REQUESTS = 300
LOADED_S = 2
CONNECTIONS = 8


@dataclass(slots=True)
class Way:
    """One way to the pod, and what was measured on it."""

    program: stage.Program
    url: str
    times_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        """Return the median time of one request on one connection."""
        return statistics.median(self.times_ms)

    @property
    def p99_ms(self) -> float:
        """Return the 99th percentile of the same."""
        return statistics.quantiles(self.times_ms, n=100)[98]


@dataclass(frozen=True, slots=True)
class Figure:
    """What the run says of one way, relative to nginx and to the bare pod."""

    name: str
    cpu_us: float
    cpu_ratio: float
    p50_ms: float
    added_p50_ms: float
    p99_ms: float
    per_second: float
    rss_mib: float


def run() -> list[Figure]:
    """Return the figures of all ways."""
    with contextlib.ExitStack() as stack:
        clouds = stack.enter_context(stage.clouds(pods=2, servers=50))
        pod = clouds.program
        programs = [
            pod,
            stack.enter_context(stage.nginx(pod)),
            stack.enter_context(stage.haproxy(pod)),
            stack.enter_context(stage.gateway(clouds)),
        ]
        straight = f"/{clouds.pods[0]}/compute/v2.1/servers/{_find_server(clouds)}"
        top = straight.removeprefix(f"/{clouds.pods[0]}/compute")
        ways = [
            Way(program, program.url + (top if program.name == "gateway" else straight))
            for program in programs
        ]
        for round_number in range(ROUNDS):
            for way in ways:
                _measure(way, clouds.token, warm_up=round_number == 0)
        return _figures(ways)


def _find_server(clouds: stage.Clouds) -> str:
    url = f"{clouds.program.url}/{clouds.pods[0]}/compute/v2.1/servers?limit=1"
    server_id: str = json.loads(stage.get(url, clouds.token))["servers"][0]["id"]
    return server_id


def _measure(way: Way, token: str, *, warm_up: bool) -> None:
    times = _serial(way.url, token, SERIAL_REQUESTS)
    before = way.program.cpu_s()
    requests, seconds = _loaded(way.url, token)
    cpu_s = way.program.cpu_s() - before
    if warm_up:
        return
    way.times_ms += times
    way.cpu_us.append(cpu_s / requests * 1e6)
    way.rate.append(requests / seconds)


def _serial(url: str, token: str, count: int) -> list[float]:
    """Return the times in ms of requests sent one after another on one connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.90"}
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("GET", parts.path, headers=headers)
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - started) * 1000)
        if response.status != 200:
            raise SystemExit(f"bench: {url} answers {response.status}")
    connection.close()
    return times


def _loaded(url: str, token: str) -> tuple[int, float]:
    """Return how many requests wrk got answered, and in how many seconds."""
    command = [
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LOADED_S}s",
        "-H", f"X-Auth-Token: {token}", "-H", "OpenStack-API-Version: compute 2.90", url,
    ]  # fmt: skip
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"bench: {url} failed under load:\n{output}")
    line = next(line for line in output.splitlines() if "requests in" in line)
    return int(line.split()[0]), float(line.split()[3].rstrip("s,"))


def _figures(ways: Sequence[Way]) -> list[Figure]:
    cpu = {way.program.name: statistics.median(way.cpu_us) for way in ways}
    straight = ways[0].p50_ms
    return [
        Figure(
            name=way.program.name,
            cpu_us=cpu[way.program.name],
            cpu_ratio=cpu[way.program.name] / cpu["nginx"],
            p50_ms=way.p50_ms,
            added_p50_ms=way.p50_ms - straight,
            p99_ms=way.p99_ms,
            per_second=statistics.median(way.rate),
            rss_mib=way.program.rss_mib(),
        )
        for way in ways
    ]
