"""Connections are few, handed out in turn, and kept while they are used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tricircle.adapters.cloud.connection import AnswerLimits, Connection
from tricircle.adapters.cloud.pool import Origin, Pool, Route, connect, parse_origin
from tricircle.testing.raw_pod import OK, Answerer, RawPod

StartPod = Callable[[Answerer], Awaitable[RawPod]]
StartPodThatSays = Callable[..., Awaitable[RawPod]]


def route_to(pod: RawPod, host: str = "127.0.0.1") -> Route:
    return Route(host, pod.port, None, 2.0, AnswerLimits())


async def use(connection: Connection) -> bytes:
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", is_head_request=False)
    await connection.wait_for_head()
    while not connection.complete:
        await connection.wait_for_part()
    return connection.take()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://nova:8774/v2.1", Origin("nova", 8774, False, "nova:8774", "/v2.1")),
        ("http://Nova", Origin("nova", 80, False, "nova", "")),
        ("https://nova/compute/", Origin("nova", 443, True, "nova", "/compute/")),
        ("https://nova:443", Origin("nova", 443, True, "nova", "")),
        (
            "http://[2001:db8::1]:8774/a",
            Origin("2001:db8::1", 8774, False, "[2001:db8::1]:8774", "/a"),
        ),
        ("http://[::1]", Origin("::1", 80, False, "[::1]", "")),
        ("http://bücher/", Origin("xn--bcher-kva", 80, False, "xn--bcher-kva", "/")),
    ],
)
def test_an_endpoint_is_taken_apart(url: str, origin: Origin) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "", "nova", "//nova/", "ftp://nova/", "http:///v2.1", "http://nova:port/", "http://nova:99999/",
        "http://user:secret@nova/", "http://nova/a b", "http://nova/a?b=c", "http://nova/a#b",
        "http://no va/", "http://nova/\r\nX-Roles: admin", "http://nova\r\nX-Roles: admin/",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (urlsplit has words of its own)
        parse_origin(url)


async def test_a_host_is_reached_at_whichever_of_its_addresses_answers(
    start_pod_that_says: StartPodThatSays,
) -> None:
    pod = await start_pod_that_says(OK)  # on 127.0.0.1 only; localhost may be ::1 first
    connection = await connect(route_to(pod, "localhost"))
    assert await use(connection) == b"ok"
    connection.abort()


async def test_who_finds_no_connection_free_waits_in_turn(
    start_pod_that_says: StartPodThatSays,
) -> None:
    pod = await start_pod_that_says(OK)
    pool = Pool(route_to(pod), 1)
    first = await pool.take()
    served = []

    async def wait_for_turn(name: str) -> None:
        connection = await pool.take()
        served.append(name)
        await use(connection)
        pool.give_back(connection)

    waiting = []
    for name in "abcd":
        waiting.append(asyncio.create_task(wait_for_turn(name)))
        await asyncio.sleep(0)
    waiting[1].cancel()
    await use(first)
    pool.give_back(first)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == ["a", "c", "d"]
    assert pod.connections == 1
    pool.close()


async def test_a_turn_that_is_given_up_as_it_comes_goes_to_the_next(
    start_pod_that_says: StartPodThatSays,
) -> None:
    pod = await start_pod_that_says(OK)
    pool = Pool(route_to(pod), 1)
    connection = await pool.take()
    await use(connection)
    first, second = asyncio.create_task(pool.take()), asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    pool.give_back(connection)
    first.cancel()
    assert await second is connection
    pool.give_back(connection)
    pool.close()


async def test_a_connection_that_cannot_be_made_takes_no_place(
    start_pod_that_says: StartPodThatSays,
) -> None:
    pod = await start_pod_that_says(OK)
    await pod.stop()
    pool = Pool(route_to(pod), 1)
    for _ in range(3):
        with pytest.raises(OSError, match=r"cannot connect to 127\.0\.0\.1"):
            await pool.take()
    assert pool.is_unused


async def test_a_connection_nobody_uses_is_closed(start_pod: StartPod) -> None:
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(OK)
        await reader.read()
        gone.set()

    pod = await start_pod(answer)
    pool = Pool(route_to(pod), 2, keepalive_s=0.05)
    connection = await pool.take()
    await use(connection)
    pool.give_back(connection)
    async with asyncio.timeout(5):
        await gone.wait()
    assert pool.find_idle() is None
    assert pool.is_unused


async def test_a_connection_used_lately_is_taken_first(
    start_pod_that_says: StartPodThatSays,
) -> None:
    pool = Pool(route_to(await start_pod_that_says(OK)), 2)
    connections = [await pool.take(), await pool.take()]
    for connection in connections:
        await use(connection)
        pool.give_back(connection)
    assert pool.find_idle() is connections[1]
    pool.close()
