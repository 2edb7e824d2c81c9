"""Raw pods and a cloud that end with the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
import uvloop

from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud, HttpLimits
from tricircle.core.model import Service
from tricircle.testing.raw_pod import Answerer, RawPod

StartPod = Callable[[Answerer], Awaitable[RawPod]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


_ON_BOTH_LOOPS = frozenset({"test_connection.py", "test_http.py", "test_tls.py"})


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Run tests on the loop that programs have, some on the one that defines what is right too."""
    if item.path.name in _ON_BOTH_LOOPS:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def start_pod() -> AsyncIterator[StartPod]:
    """Start raw pods that end with the test."""
    started = []

    async def start(answer: Answerer) -> RawPod:
        pod = await RawPod(answer).start()
        started.append(pod)
        return pod

    yield start
    for pod in started:
        await pod.stop()


@pytest.fixture
async def start_pod_that_says(start_pod: StartPod) -> Callable[..., Awaitable[RawPod]]:
    """Start a pod that answers each request with these bytes, and closes if told to."""

    async def start(answer: bytes, *, close: bool = False) -> RawPod:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await pod.read_head(reader)
                writer.write(answer)
                await writer.drain()
                if close:
                    return

        pod = await start_pod(say)
        return pod

    return start


@pytest.fixture
async def cloud() -> AsyncIterator[HttpCloud]:
    """A cloud with small limits that knows no pod and does not probe."""
    cloud = HttpCloud(
        Service.COMPUTE,
        Rhythm(deadline_s=0.4, interval_s=0.5),
        HttpLimits(max_answer_bytes=100_000, max_headers=40, max_header_bytes=8192),
    )
    yield cloud
    await cloud.close()
