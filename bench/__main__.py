"""``python -m bench``: run everything, print the tables, compare with the goals."""

from __future__ import annotations

import sys
import time

from bench import jobs, lists, pages, routed, stage

GOAL_CPU_RATIO, GOAL_ADDED_MS = 12.0, 0.6
GOAL_JOBS_S, GOAL_START_MS, GOAL_IDLE_PERCENT = 300.0, 20.0, 1.0
GOAL_LIST_CPU_MS, GOAL_RSS_MIB, GOAL_START_S = 80.0, 90.0, 2.0
GOAL_FIRST_PAGE_MS, GOAL_LATER_RATIO, GOAL_MILLION_MIB = 150.0, 1.2, 250.0


def main() -> int:
    """Print the figures; return 1 when a goal is missed."""
    met = [_start_up(), _routed(), _lists(), _pages(), _jobs()]
    return 0 if all(met) else 1


def _start_up() -> bool:
    print("start-up and memory at idle of one gateway worker")
    with stage.clouds(pods=2, servers=1) as clouds:
        with stage.gateway(clouds):
            pass  # bytecode is there from now on
        started = time.monotonic()
        with stage.gateway(clouds) as gateway:
            seconds = time.monotonic() - started
            stage.get(f"{gateway.url}/v2.1/servers", clouds.token)
            rss = gateway.rss_mib()
    print(f"  ready after {seconds:.2f} s (goal {GOAL_START_S}), the schema included")
    print(f"  {rss:.0f} MiB after one request (goal {GOAL_RSS_MIB:.0f})\n")
    return seconds <= GOAL_START_S and rss <= GOAL_RSS_MIB


def _routed() -> bool:
    print("one routed GET of a server, all ways in one interleaved run")
    figures = routed.run()
    print(
        f"  {'way':9}{'CPU us':>8}{'x nginx':>9}{'p50 ms':>8}{'added':>8}"
        f"{'p99 ms':>8}{'req/s':>8}{'MiB':>6}"
    )
    for one in figures:
        print(
            f"  {one.name:9}{one.cpu_us:8.0f}{one.cpu_ratio:9.1f}{one.p50_ms:8.2f}"
            f"{one.added_p50_ms:8.2f}{one.p99_ms:8.2f}{one.per_second:8.0f}{one.rss_mib:6.0f}"
        )
    gateway = next(one for one in figures if one.name == "gateway")
    print(f"  goals: CPU <= {GOAL_CPU_RATIO:.0f} x nginx, added p50 <= {GOAL_ADDED_MS} ms\n")
    return gateway.cpu_ratio <= GOAL_CPU_RATIO and gateway.added_p50_ms <= GOAL_ADDED_MS


def _lists() -> bool:
    print(f"one merged page of {lists.PAGE} servers with details")
    print(f"  {'pods':>5}{'items':>7}{'CPU ms':>8}{'wall ms':>9}{'MiB':>6}")
    figures = lists.run()
    for one in figures:
        print(f"  {one.pods:5}{one.items:7}{one.cpu_ms:8.0f}{one.wall_ms:9.0f}{one.rss_mib:6.0f}")
    print(f"  goal: CPU <= {GOAL_LIST_CPU_MS:.0f} ms over 100 pods")
    return figures[-1].cpu_ms <= GOAL_LIST_CPU_MS


def _pages() -> bool:
    found = pages.run()
    print(f"\npages of {pages.PAGE} of {found.servers} servers in {pages.PODS} pods")
    print(
        f"  first {found.first_cpu_ms:.0f} ms of CPU, the dearest of {pages.PAGES - 1} later ones "
        f"{found.later_cpu_ms:.0f} ms, {found.rss_mib:.0f} MiB"
    )
    print(
        f"  goals: {GOAL_FIRST_PAGE_MS:.0f} ms, later ones <= {GOAL_LATER_RATIO} x the first, "
        f"{GOAL_MILLION_MIB:.0f} MiB"
    )
    return (
        found.first_cpu_ms <= GOAL_FIRST_PAGE_MS
        and found.later_cpu_ms <= GOAL_LATER_RATIO * found.first_cpu_ms
        and found.rss_mib <= GOAL_MILLION_MIB
    )


def _jobs() -> bool:
    print("\njobs that do nothing, MariaDB and RabbitMQ")
    found = jobs.run()
    rate, rung, polled, idle = found.throughput, found.with_broker, found.by_polling, found.idle
    print(f"  {rate.per_second:.0f} a second and process, {rate.cpu_ms:.2f} ms of its CPU each")
    print(f"  from submit to start {rung.p50_ms:.1f} ms p50, {rung.p99_ms:.1f} ms p99")
    print(
        f"  without broker {polled.p50_ms:.0f} ms p50, {polled.p99_ms:.0f} ms p99, "
        f"polling every {found.poll_s * 1000:.0f} ms"
    )
    print(f"  an idle worker of two pods: {idle.cpu_percent:.2f} % CPU, {idle.rss_mib:.0f} MiB")
    print(
        f"  goals: {GOAL_JOBS_S:.0f} a second, {GOAL_START_MS:.0f} ms p50, one poll without "
        f"broker, {GOAL_IDLE_PERCENT:.0f} % CPU"
    )
    return (
        rate.per_second >= GOAL_JOBS_S
        and rung.p50_ms <= GOAL_START_MS
        and polled.p50_ms <= found.poll_s * 1000
        and idle.cpu_percent <= GOAL_IDLE_PERCENT
    )


if __name__ == "__main__":
    sys.exit(main())
