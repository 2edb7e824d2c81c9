"""A merged list over 2, 10 and 100 simulated pods: CPU and time of one page of 1,000."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass

from bench import stage

PODS = (2, 10, 100)
PAGE = 1000
REPEATS = 11


@dataclass(frozen=True, slots=True)
class ListFigure:
    """What one page costs the gateway; ``items`` proves that the page was full."""

    pods: int
    items: int
    cpu_ms: float
    wall_ms: float
    rss_mib: float


def run() -> list[ListFigure]:
    """Return the figures for each number of pods."""
    return [_measure(pods) for pods in PODS]


def _measure(pods: int) -> ListFigure:
    servers = max(2 * PAGE // pods, 20)
    with stage.clouds(pods, servers) as clouds, stage.gateway(clouds) as gateway:
        url = f"{gateway.url}/v2.1/servers/detail?limit={PAGE}"
        items = len(json.loads(stage.get(url, clouds.token))["servers"])
        if items != PAGE:
            raise SystemExit(f"bench: a page over {pods} pods has {items} servers, not {PAGE}")
        stage.get(url, clouds.token)
        walls = []
        before = gateway.cpu_s()
        for _ in range(REPEATS):
            started = time.perf_counter()
            stage.get(url, clouds.token)
            walls.append((time.perf_counter() - started) * 1000)
        cpu_ms = (gateway.cpu_s() - before) / REPEATS * 1000
        return ListFigure(pods, items, cpu_ms, statistics.median(walls), gateway.rss_mib())
