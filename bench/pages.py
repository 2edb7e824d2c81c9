"""Pages of 1,000 of a million servers in 100 simulated pods: the first one and later ones.

Run alone: ``python -m bench.pages``.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

from bench import stage

PODS, SERVERS, PAGE, PAGES, ROUNDS = 100, 10_000, 1000, 12, 5


@dataclass(frozen=True, slots=True)
class PagesFigure:
    """CPU of the gateway for the first page and the dearest later one, each the median."""

    servers: int
    first_cpu_ms: float
    later_cpu_ms: float
    rss_mib: float


def run() -> PagesFigure:
    """Return what the pages cost, following ``next`` links."""
    with (
        stage.clouds(PODS, SERVERS, "bench.large") as clouds,
        stage.gateway(clouds) as gateway,
    ):
        _walk(gateway, clouds.token)
        walks = [_walk(gateway, clouds.token) for _ in range(ROUNDS)]
        costs = [statistics.median(costs) for costs in zip(*walks, strict=True)]
        return PagesFigure(PODS * SERVERS, costs[0], max(costs[1:]), gateway.rss_mib())


def _walk(gateway: stage.Program, token: str) -> list[float]:
    """Return the CPU in ms of each page. Raises SystemExit for a page that is not whole."""
    url, costs = f"{gateway.url}/v2.1/servers/detail?limit={PAGE}", []
    for _ in range(PAGES):
        before = gateway.cpu_s()
        body = json.loads(stage.get(url, token))
        costs.append((gateway.cpu_s() - before) * 1000)
        if len({server["id"] for server in body["servers"]}) != PAGE:
            raise SystemExit(f"bench: {url} has {len(body['servers'])} servers, not {PAGE}")
        url = body["servers_links"][0]["href"]
    return costs


if __name__ == "__main__":
    print(run())
