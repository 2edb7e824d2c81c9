"""What travels to a pod and back, and what a pod that misbehaves cannot do."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud, HttpLimits
from tricircle.core.errors import (
    BadInput,
    BodyTooLarge,
    PodDead,
    PodError,
    PodMisbehaved,
    PodTimeout,
)
from tricircle.core.model import Endpoint, Service
from tricircle.interfaces.cloud import Headers, PodRequest
from tricircle.testing.raw_pod import OK, POD, Answerer, RawPod

StartPod = Callable[[Answerer], Awaitable[RawPod]]
StartPodThatSays = Callable[..., Awaitable[RawPod]]

GET = PodRequest("GET", "/servers")
POST = PodRequest("POST", "/servers", body=b"{}")


async def ask(
    cloud: HttpCloud, pod: RawPod, request: PodRequest = GET, timeout_s: float = 2.0
) -> tuple[int, Headers, bytes]:
    async with cloud.send(POD, pod.endpoint, request, timeout_s) as answer:
        return answer.status, answer.headers, await answer.read()


def lines(head: bytes) -> list[bytes]:
    return head.removesuffix(b"\r\n\r\n").split(b"\r\n")


# What is sent


async def test_a_pod_gets_the_headers_it_is_meant_to_and_nothing_added(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK)
    headers = [(b"x-auth-token", b"secret"), (b"x-one", b"1"), (b"x-one", b"2")]
    await ask(cloud, pod, PodRequest("GET", "/servers", "limit=2", headers))
    assert lines(pod.heads[0]) == [
        b"GET /v2.1/servers?limit=2 HTTP/1.1",
        b"Host: 127.0.0.1:%d" % pod.port,
        b"x-auth-token: secret",
        b"x-one: 1",
        b"x-one: 2",
    ]


async def test_a_body_of_known_length_is_framed_by_its_length(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK, close=True)
    await ask(cloud, pod, POST)
    assert lines(pod.heads[0])[2:] == [b"Content-Length: 2"]


async def test_a_streamed_body_arrives_whole(cloud: HttpCloud, start_pod: StartPod) -> None:
    received = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await pod.read_head(reader)
        received = await reader.readuntil(b"0\r\n\r\n")
        writer.write(OK)

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    pod = await start_pod(answer)
    await ask(cloud, pod, PodRequest("POST", "/images", body=body()))
    assert b"Transfer-Encoding: chunked" in pod.heads[0]
    assert b"Content-Length" not in pod.heads[0]
    assert received == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


async def test_an_error_of_the_body_itself_is_not_blamed_on_the_pod(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        raise BodyTooLarge("the body is too large; send less")

    pod = await start_pod(answer)
    with pytest.raises(BodyTooLarge):
        await ask(cloud, pod, PodRequest("POST", "/images", body=body()))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/os-keypairs/a%2Fb%20c", ""),
        ("/os-keypairs/%C3%A9%e9", "marker=a%26b&name=%25"),
        ("/servers/../flavors//x/.", "a=/?:@&b=c+d&c=%7E~"),
        ("/servers/a:b@c;d,e=f!$'()*\"<>[]{}|\\^`", 'q="<>[]{}|\\^`'),
        ("/", "x"),
    ],
)
async def test_path_and_query_travel_exactly_as_the_client_wrote_them(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays, path: str, query: str
) -> None:
    pod = await start_pod_that_says(OK)
    await ask(cloud, pod, PodRequest("GET", path, query))
    wanted = f"GET /v2.1{path}{'?' if query else ''}{query} HTTP/1.1"
    assert lines(pod.heads[0])[0] == wanted.encode()


@pytest.mark.parametrize(
    "request_",
    [
        PodRequest("GET", "/a b"),
        PodRequest("GET", "/a\r\nX-Roles: admin"),
        PodRequest("GET", "/a", "b\r\nX-Roles: admin"),
        PodRequest("GET", "/a?b"),
        PodRequest("GET", "/a#b"),
        PodRequest("GET", "/a", "b#c"),
        PodRequest("GET", "/é"),
        PodRequest("GET", "no-slash"),
        PodRequest("GET\r\n", "/a"),
        PodRequest("GET /x HTTP/1.1", "/a"),
        PodRequest("GET", "/a", headers=[(b"x-one", b"1\r\nX-Roles: admin")]),
        PodRequest("GET", "/a", headers=[(b"x-one", b"1\nX-Roles: admin")]),
        PodRequest("GET", "/a", headers=[(b"x-one", b"1\x00")]),
        PodRequest("GET", "/a", headers=[(b"x-one: 1\r\nx-roles", b"admin")]),
        PodRequest("GET", "/a", headers=[(b"x-roles:", b"admin")]),
        PodRequest("GET", "/a", headers=[(b"x roles", b"admin")]),
        PodRequest("GET", "/a", headers=[(b"", b"admin")]),
        PodRequest("GET", "/a", headers=[(b"x-one", b"\xff")]),
    ],
    ids=repr,
)
async def test_a_request_that_could_inject_anything_is_not_sent(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays, request_: PodRequest
) -> None:
    pod = await start_pod_that_says(OK)
    with pytest.raises(BadInput):
        await ask(cloud, pod, request_)
    assert pod.heads == []


async def test_framing_and_hop_by_hop_headers_of_a_request_are_ours(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK)
    theirs = [
        (b"host", b"evil.example.org"),
        (b"content-length", b"7"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"upgrade", b"h2c"),
        (b"expect", b"100-continue"),
        (b"x-one", b"1"),
    ]
    await ask(cloud, pod, PodRequest("GET", "/a", headers=theirs))
    assert lines(pod.heads[0])[1:] == [b"Host: 127.0.0.1:%d" % pod.port, b"x-one: 1"]


# What comes back


async def test_an_answer_comes_back_as_it_is_without_hop_by_hop_headers(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(
        b"HTTP/1.1 404 Nicht da\r\nContent-Type: application/json\r\nX-One: a\r\nX-One: b\r\n"
        b"Keep-Alive: timeout=5\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    )
    status, headers, body = await ask(cloud, pod)
    assert status == 404
    assert list(headers) == [
        (b"content-type", b"application/json"),
        (b"x-one", b"a"),
        (b"x-one", b"b"),
        (b"content-encoding", b"gzip"),
    ]
    assert body == b"abcdefg"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_is_complete(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays, status: int
) -> None:
    pod = await start_pod_that_says(b"HTTP/1.1 %d X\r\nX-One: 1\r\n\r\n" % status)
    assert await ask(cloud, pod) == (status, [(b"x-one", b"1")], b"")
    assert await ask(cloud, pod) == (status, [(b"x-one", b"1")], b"")
    assert pod.connections == 1


async def test_the_answer_to_head_has_no_body_whatever_length_it_names(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
    assert await ask(cloud, pod, PodRequest("HEAD", "/")) == (200, [], b"")


async def test_a_body_that_ends_with_the_connection_is_complete(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", close=True)
    assert (await ask(cloud, pod))[2] == b"until the end"


async def test_informational_answers_are_passed_over(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK)
    assert (await ask(cloud, pod))[0] == 200


async def test_a_body_can_be_read_as_it_arrives(cloud: HttpCloud, start_pod: StartPod) -> None:
    more = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        await more.wait()
        writer.write(b"two")

    pod = await start_pod(answer)
    async with cloud.send(POD, pod.endpoint, GET, 2) as response:
        parts = response.chunks()
        assert await anext(parts) == b"one"
        more.set()
        assert await anext(parts) == b"two"
        with pytest.raises(StopAsyncIteration):
            await anext(parts)


async def test_a_redirect_is_shown_and_never_followed(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    elsewhere = await start_pod_that_says(OK)
    pod = await start_pod_that_says(
        b"HTTP/1.1 307 Over there\r\nContent-Length: 0\r\nLocation: %s/servers\r\n\r\n"
        % elsewhere.url.encode()
    )
    request = PodRequest("GET", "/servers", headers=[(b"x-auth-token", b"secret")])
    status, headers, _ = await ask(cloud, pod, request)
    assert status == 307
    assert headers[0][0] == b"location"
    assert elsewhere.connections == 0


async def test_a_cookie_of_a_pod_is_not_sent_back_to_it(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n"
    )
    await ask(cloud, pod)
    await ask(cloud, pod)
    assert b"ookie" not in pod.heads[1]


# A pod that misbehaves


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX One: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-One: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-One: a\x01b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 Hm\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 60 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
    ],
    ids=lambda answer: repr(answer[:60]),
)
async def test_an_answer_that_is_not_usable_http_is_a_misbehaving_pod(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays, answer: bytes
) -> None:
    pod = await start_pod_that_says(answer, close=True)
    with pytest.raises(PodMisbehaved, match="pod-west-id"):
        await ask(cloud, pod)


async def test_a_folded_header_cannot_become_a_header_of_its_own(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(
        b"HTTP/1.1 200 OK\r\nX-One: a\r\n X-Roles: admin\r\nContent-Length: 2\r\n\r\nok", close=True
    )
    try:
        _, headers, _ = await ask(cloud, pod)
    except PodMisbehaved:
        return
    assert [name for name, _ in headers] == [b"x-one"]
    assert b"\n" not in headers[0][1]


async def test_an_endless_body_is_cut_off(cloud: HttpCloud, start_pod: StartPod) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    pod = await start_pod(answer)
    with pytest.raises(PodMisbehaved, match="more than 100000 bytes"):
        await ask(cloud, pod)


async def test_what_follows_a_complete_answer_is_not_taken_for_the_next(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    pod = await start_pod_that_says(OK + extra)
    for _ in range(3):
        try:
            assert (await ask(cloud, pod))[2] == b"ok"
        except PodMisbehaved:
            continue


async def test_an_answer_left_unread_does_not_reach_the_next_request(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000
    pod = await start_pod_that_says(big)
    async with cloud.send(POD, pod.endpoint, GET, 2) as answer:
        assert answer.status == 200
    assert len((await ask(cloud, pod))[2]) == 90_000


# A pod that does not answer


async def test_a_refused_connection_is_a_dead_pod_and_nothing_was_sent(cloud: HttpCloud) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(PodDead, match="'pod-west-id' does not accept connections") as caught:
        async with cloud.send(POD, Endpoint(Service.COMPUTE, url), POST, 2):
            pass
    assert caught.value.pod_id == POD
    assert url not in str(caught.value)


async def test_a_pod_that_takes_no_connection_in_time_is_dead_for_the_request(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    pod = await start_pod(answer)
    endpoint = Endpoint(Service.COMPUTE, pod.url.replace("http:", "https:"))
    with pytest.raises(PodDead):
        async with cloud.send(POD, endpoint, POST, 0.2):
            pass


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_silence_is_a_timeout_and_the_outcome_unknown(
    cloud: HttpCloud, start_pod: StartPod, said: bytes
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(said)
        await reader.read()

    pod = await start_pod(answer)
    started = time.monotonic()
    with pytest.raises(PodTimeout, match=r"did not answer in 0\.2 s; whether it carried"):
        await ask(cloud, pod, POST, 0.2)
    assert time.monotonic() - started < 1


async def test_a_body_that_does_not_go_on_is_a_timeout(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()

    pod = await start_pod(answer)
    with pytest.raises(PodTimeout):
        await ask(cloud, pod, timeout_s=0.2)


async def test_a_slow_reader_is_not_a_slow_pod(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    body = b"x" * 90_000
    pod = await start_pod_that_says(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + body)
    received = b""
    async with cloud.send(POD, pod.endpoint, GET, 0.2) as answer:
        async for part in answer.chunks():
            received += part
            await asyncio.sleep(0.15)
    assert received == body


async def test_a_post_whose_connection_closes_without_answer_is_never_sent_again(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        if len(pod.heads) == 1:
            await reader.readexactly(2)
            writer.write(OK)
            await pod.read_head(reader)

    pod = await start_pod(answer)
    await ask(cloud, pod, POST)
    with pytest.raises(PodTimeout, match="closed the connection; whether it carried"):
        await ask(cloud, pod, POST)
    assert len(pod.heads) == 2


async def test_a_get_on_a_connection_the_pod_gave_up_is_sent_once_more(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(OK)
        await pod.read_head(reader)  # and closes, without an answer

    pod = await start_pod(answer)
    assert (await ask(cloud, pod))[2] == b"ok"
    assert (await ask(cloud, pod))[2] == b"ok"
    assert (pod.connections, len(pod.heads)) == (2, 3)


async def test_a_streamed_body_is_never_sent_again(cloud: HttpCloud, start_pod: StartPod) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        writer.write(OK)
        await pod.read_head(reader)  # and closes, without an answer

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    pod = await start_pod(answer)
    await ask(cloud, pod)
    with pytest.raises(PodTimeout):
        await ask(cloud, pod, PodRequest("PUT", "/images", body=body()))
    assert len(pod.heads) == 2


async def test_a_get_is_sent_no_more_than_twice(cloud: HttpCloud, start_pod: StartPod) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)

    pod = await start_pod(answer)
    with pytest.raises(PodError):
        await ask(cloud, pod)
    assert len(pod.heads) == 2


async def test_connections_are_used_again(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK)
    for _ in range(5):
        await ask(cloud, pod)
    assert pod.connections == 1


async def test_a_request_given_up_leaves_no_connection_in_a_strange_state(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await pod.read_head(reader)
        await asyncio.sleep(0.1)
        writer.write(OK.replace(b"ok", b"/a" if b"/a " in head else b"/b"))

    pod = await start_pod(answer)
    first = asyncio.create_task(ask(cloud, pod, PodRequest("GET", "/a")))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await ask(cloud, pod, PodRequest("GET", "/b")))[2] == b"/b"


async def test_the_number_of_connections_to_a_pod_is_bounded(start_pod: StartPod) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await pod.read_head(reader)
            await asyncio.sleep(0.02)
            writer.write(OK)

    pod = await start_pod(answer)
    cloud = HttpCloud(Service.COMPUTE, Rhythm(), HttpLimits(connections_per_pod=2))
    try:
        answers = await asyncio.gather(*(ask(cloud, pod) for _ in range(8)))
    finally:
        await cloud.close()
    assert [body for _, _, body in answers] == [b"ok"] * 8
    assert pod.connections == 2


async def test_what_happened_is_counted(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(b"garbage\r\n\r\n", close=True)
    cloud.update_pods([pod.pod])
    with pytest.raises(PodMisbehaved, match="'west'"):
        await ask(cloud, pod)
    counters = cloud.get_counters()[POD, Service.COMPUTE]
    assert (counters.requests, counters.misbehaved) == (1, 1)
