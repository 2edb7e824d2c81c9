"""What is sent again, and what becomes of a connection on which something was left undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tricircle.adapters.cloud.http import HttpCloud
from tricircle.core.errors import PodTimeout
from tricircle.interfaces.cloud import PodRequest
from tricircle.testing.raw_pod import OK, POD, Answerer, RawPod

StartPod = Callable[[Answerer], Awaitable[RawPod]]


async def ask(cloud: HttpCloud, pod: RawPod, request: PodRequest) -> bytes:
    async with cloud.send(POD, pod.endpoint, request, 2) as answer:
        return await answer.read()


async def test_an_answer_before_the_body_is_whole_is_the_answer(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    pod = await start_pod(answer)
    request = PodRequest("POST", "/images", body=body())
    assert await ask(cloud, pod, request) == b"no"
    async with asyncio.timeout(2):
        await stopped.wait()
    assert await ask(cloud, pod, PodRequest("GET", "/")) == b"no"
    assert pod.connections == 2  # half a request was on the first


@pytest.mark.parametrize(("method", "sent"), [("DELETE", 1), ("PUT", 1), ("POST", 1), ("GET", 2)])
async def test_what_changes_something_is_not_repeated_when_a_new_connection_ends(
    cloud: HttpCloud, start_pod: StartPod, method: str, sent: int
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)  # and closes, without an answer

    pod = await start_pod(answer)
    with pytest.raises(PodTimeout):
        await ask(cloud, pod, PodRequest(method, "/servers/1"))
    assert len(pod.heads) == sent


async def test_a_delete_on_a_connection_the_pod_gave_up_is_sent_once_more(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(OK)
        await pod.read_head(reader)  # and closes, without an answer

    pod = await start_pod(answer)
    assert await ask(cloud, pod, PodRequest("GET", "/")) == b"ok"
    assert await ask(cloud, pod, PodRequest("DELETE", "/servers/1")) == b"ok"
    assert (pod.connections, len(pod.heads)) == (2, 3)


async def test_a_get_is_not_repeated_when_a_part_of_its_answer_came(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")

    pod = await start_pod(answer)
    with pytest.raises(PodTimeout, match="closed the connection"):
        await ask(cloud, pod, PodRequest("GET", "/"))
    assert len(pod.heads) == 1


async def test_what_is_left_of_an_answer_closes_its_connection(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\nsome")
        await reader.read()
        closed.set()

    pod = await start_pod(answer)
    async with cloud.send(POD, pod.endpoint, PodRequest("GET", "/"), 2) as response:
        assert response.status == 200
    async with asyncio.timeout(2):
        await closed.wait()
