"""CPU of one merged page of 1,000 servers from 100 pods, items of 2 KB.

Everything between the pods' bytes and the answer's bytes is in it: fan-out, page
decoding, the merge, the edit of links, positions and the body; no network.
Run: ``python -m bench.merge``.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from tricircle.compute.listings import SERVERS_DETAIL
from tricircle.core.bodies import encode
from tricircle.core.links import make_link_edit
from tricircle.core.merge import Run, read_pod_page, take_rows
from tricircle.core.model import Endpoint, Pod, PodId, ProjectId, Service, Version
from tricircle.core.partial import LinkRoots
from tricircle.core.query import list_values
from tricircle.interfaces.cloud import Headers, PodRequest
from tricircle.interfaces.store import RoutingUpkeep
from tricircle.usecases.listing import ListCall, ListWorld, MergedPage, PodAsk, list_merged

PODS, ROWS, PAGE, ITEM_BYTES, ROUNDS = 100, 1000, 1000, 2048, 30
POD_URL = "http://10.0.0.1:8774/v2.1"


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    status: int = 200
    headers: Headers = ()

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body


class _Pods:
    """Pods whose answers are made beforehand: only the top's work is measured."""

    def __init__(self) -> None:
        self._items = {PodId(f"pod{at:03}"): _make_items(at) for at in range(PODS)}
        self._answers: dict[tuple[PodId, str], bytes] = {}

    def asks(self) -> list[PodAsk]:
        """Return all pods, to be asked."""
        endpoint = Endpoint(Service.COMPUTE, POD_URL)
        return [PodAsk(Pod(pod, pod, pod), endpoint, "") for pod in self._items]

    @asynccontextmanager
    async def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> AsyncIterator[_Answer]:
        key = (pod_id, request.query)
        if key not in self._answers:
            self._answers[key] = self.make_answer(pod_id, request.query)
        yield _Answer(self._answers[key])

    def is_dead(self, pod_id: PodId) -> bool:
        return False

    def make_answer(self, pod_id: PodId, query: str) -> bytes:
        """Return a pod's answer to a list."""
        items = self._items[pod_id]
        limit = int(list_values(query, "limit")[0])
        start = 0
        for marker in list_values(query, "marker"):
            start = 1 + next(at for at, (item_id, _) in enumerate(items) if item_id == marker)
        page = [item for _, item in items[start : start + limit]]
        return b'{"servers": [' + b", ".join(page) + b"]}"


class _NoPositions:
    async def keep_position(self, key: str, position: bytes, ttl_s: float) -> None:
        return None

    async def find_position(self, key: str) -> bytes | None:
        return None

    async def purge_positions(self) -> int:
        return 0


class _Clock:
    def now_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _make_items(pod: int) -> list[tuple[str, bytes]]:
    """Return the items of one pod, newest first, interleaved with those of the others."""
    items = []
    for row in range(ROWS):
        seconds = (ROWS - row) * PODS - pod
        item_id = f"{pod:08x}-0000-4000-8000-{row:012x}"
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + seconds))
        links = [
            {"rel": "self", "href": f"{POD_URL}/servers/{item_id}"},
            {"rel": "bookmark", "href": f"{POD_URL[:-5]}/servers/{item_id}"},
        ]
        item: dict[str, object] = {
            "id": item_id,
            "name": f"server-{row}",
            "status": "ACTIVE",
            "links": links,
        }
        item |= {"created": created, "updated": created, "metadata": {}}
        item["metadata"] = {"padding": "x" * (ITEM_BYTES - len(json.dumps(item)) - 15)}
        items.append((item_id, json.dumps(item).encode()))
    return items


async def _measure_page(pods: _Pods, routings: RoutingUpkeep) -> float:
    edit = make_link_edit(POD_URL, "https://top.example/compute")
    world = ListWorld(pods, _NoPositions(), routings, _Clock())
    call = ListCall(
        listing=SERVERS_DETAIL,
        query=f"limit={PAGE}",
        project_id=ProjectId("p"),
        version=Version(2, 90),
        headers=[],
        prefix="",
        roots=LinkRoots("https://top.example/compute/v2.1", "https://top.example/compute"),
        edit=lambda pod, item: edit.in_body(item),
        locate=_locate_nothing,
    )
    asks = pods.asks()
    start_s = time.process_time()
    page = await list_merged(world, call, asks)
    if not isinstance(page, MergedPage) or len(page.items) != PAGE:
        raise RuntimeError("the page is not whole: the figure would mean nothing")
    body = encode({"servers": [msgspec.Raw(item) for item in page.items]})
    cpu_s = time.process_time() - start_s
    if len(body) < PAGE * ITEM_BYTES * 0.9:
        raise RuntimeError("items are smaller than they should be")
    return cpu_s


async def _locate_nothing(row_id: str) -> PodAsk | None:
    return None


def _measure_merge(bodies: Sequence[bytes]) -> float:
    """Return the CPU of decoding the pods' pages and merging them, and nothing else."""
    plan = SERVERS_DETAIL.sort_plan("", None)
    start_s = time.process_time()
    runs = [Run() for _ in bodies]
    for run, body in zip(runs, bodies, strict=True):
        run.add(read_pod_page(SERVERS_DETAIL, body, 20))
    taken = take_rows(runs, plan, PAGE)
    cpu_s = time.process_time() - start_s
    if len(taken) != PAGE:
        raise RuntimeError("the merge stopped before the page was full")
    return cpu_s


async def run() -> dict[str, float]:
    """Return medians in milliseconds of CPU: the whole page, and the merge alone."""
    pods = _Pods()
    nothing: RoutingUpkeep = None  # type: ignore[assignment]  # only asked when a pod is missing
    whole = [await _measure_page(pods, nothing) for _ in range(ROUNDS)]
    bodies = [pods.make_answer(ask.pod.id, "limit=20") for ask in pods.asks()]
    merge = [_measure_merge(bodies) for _ in range(ROUNDS)]
    return {
        "page_ms": statistics.median(whole[3:]) * 1000,
        "merge_ms": statistics.median(merge[3:]) * 1000,
    }


def main() -> None:
    """Print the figures."""
    figures = asyncio.run(run())
    print(f"pods {PODS}, page {PAGE}, items {ITEM_BYTES} bytes: median of {ROUNDS - 3} rounds")
    print(f"whole page   {figures['page_ms']:6.1f} ms CPU")
    print(f"merge alone  {figures['merge_ms']:6.1f} ms CPU")


if __name__ == "__main__":
    main()
