"""An answer is the same in whatever pieces it arrives, and never more than was asked for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricircle.adapters.cloud.connection import AnswerLimits, Closed, Connection, Unusable

LIMITS = AnswerLimits(body_bytes=2000, headers=20, head_bytes=1000)


class Line(asyncio.Transport):
    """A transport that keeps what is written and tells whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: object) -> None:
        """Keep what is written."""
        assert isinstance(data, bytes)
        self.written += data

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closed

    def abort(self) -> None:
        """Close."""
        self.closed = True

    def pause_reading(self) -> None:
        """Note that nothing more is to come."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note that more may come."""
        self.reading = True


@dataclass(frozen=True)
class Outcome:
    """What somebody who asked was given: an answer, or how it failed."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    failure: type[Exception] | None = None


def open_connection(limits: AnswerLimits = LIMITS) -> tuple[Connection, Line]:
    connection, line = Connection(limits), Line()
    connection.connection_made(line)
    return connection, line


def receive(pieces: Sequence[bytes], *, is_head_request: bool = False) -> Outcome:
    """Return the outcome of one request whose answer comes in these pieces, then the end."""

    async def ask() -> Outcome:
        connection, line = open_connection()
        connection.send(b"GET / HTTP/1.1\r\n\r\n", is_head_request=is_head_request)
        for piece in pieces:
            if not line.closed:
                connection.data_received(piece)
        connection.connection_lost(None)
        body = b""
        try:
            await connection.wait_for_head()
            while not connection.complete:
                await connection.wait_for_part()
                body += connection.take()
            body += connection.take()
        except (Closed, Unusable) as error:
            return Outcome(failure=type(error))
        return Outcome(connection.status, tuple(connection.headers), body)

    return asyncio.run(ask())


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return ``data`` in pieces that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def chunked(parts: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


NAMES = st.sampled_from([b"X-One", b"x-two", b"Content-Type", b"Link", b"Vary"])
VALUES = st.binary(max_size=30).map(lambda raw: bytes(byte % 94 + 33 for byte in raw))
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
INTERIM = st.sampled_from(
    [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n"]
)
PLACES = st.lists(st.integers(0, 5000), max_size=40)


@st.composite
def good_answers(draw: st.DrawFn) -> tuple[bytes, Outcome]:
    """Return an answer as bytes, and what is to be made of it."""
    status = draw(st.sampled_from([200, 202, 300, 404, 500]))
    headers = draw(HEADERS)
    parts = draw(st.lists(st.binary(max_size=200), max_size=5))
    body = b"".join(parts)
    framing, sent = draw(
        st.sampled_from(
            [
                (b"Content-Length: %d\r\n" % len(body), body),
                (b"Transfer-Encoding: chunked\r\n", chunked(parts)),
                (b"", body),
            ]
        )
    )
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    head = b"HTTP/1.1 %d Whatever\r\n%b%b\r\n" % (status, lines, framing)
    kept = tuple((name.lower(), value) for name, value in headers)
    return draw(INTERIM) + head + sent, Outcome(status, kept, body)


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 5000), st.sampled_from([b"", b"\r", b"\n", b"\x00", b":", b"9", b"z"])
    ),
    min_size=1,
    max_size=3,
)


def mutate(data: bytes, mutations: Sequence[tuple[int, bytes]]) -> bytes:
    """Return ``data`` with single bytes replaced, or taken out."""
    for place, byte in mutations:
        place %= len(data)
        data = data[:place] + byte + data[place + 1 :]
    return data


@given(good_answers(), PLACES)
@settings(max_examples=150, deadline=None)
def test_a_good_answer_is_understood_in_whatever_pieces_it_comes(
    answer: tuple[bytes, Outcome], places: list[int]
) -> None:
    data, outcome = answer
    assert receive(cut(data, places)) == outcome


@given(good_answers(), MUTATIONS, PLACES)
@settings(max_examples=300, deadline=None)
def test_a_broken_answer_means_the_same_in_whatever_pieces_it_comes(
    answer: tuple[bytes, Outcome], mutations: list[tuple[int, bytes]], places: list[int]
) -> None:
    data = mutate(answer[0], mutations)
    assert receive(cut(data, places)) == receive([data])


@given(st.binary(max_size=300), PLACES)
@settings(max_examples=100, deadline=None)
def test_noise_is_never_an_answer(noise: bytes, places: list[int]) -> None:
    assert receive(cut(noise, places)).failure in (Closed, Unusable)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * 3000,
        b"HTTP/1.1 200 " + b"x" * 3000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b" " * 3000 + b"x\r\nContent-Length: 0\r\n\r\n",
        b"\r\n" * 1500,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: " + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 104 Upload Resumption\r\n\r\n",
    ],
    ids=lambda data: repr(data[:40] + b".." + data[-10:]),
)
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_what_does_not_end_is_cut_off_and_nothing_of_it_is_kept(data: bytes, size: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert receive(pieces).failure is Unusable


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_byte_too_much_ends_the_connection_and_not_the_answer(
    extra: bytes, together: bool
) -> None:
    connection, line = open_connection()
    connection.send(b"GET / HTTP/1.1\r\n\r\n", is_head_request=False)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for piece in [answer + extra] if together else [answer, extra]:
        connection.data_received(piece)
    await connection.wait_for_head()
    assert connection.complete
    assert connection.take() == b"ok"
    assert not connection.usable
    assert line.closed


@pytest.mark.parametrize(
    ("head", "usable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
async def test_a_connection_is_used_again_when_the_pod_keeps_it(head: bytes, usable: bool) -> None:
    connection, _ = open_connection()
    connection.send(b"GET / HTTP/1.1\r\n\r\n", is_head_request=False)
    connection.data_received(head + b"Content-Length: 2\r\n\r\nok")
    await connection.wait_for_head()
    assert connection.take() == b"ok"
    assert connection.usable is usable


async def test_a_pod_is_not_read_faster_than_its_answer_is_taken() -> None:
    connection, line = open_connection(AnswerLimits())
    connection.send(b"GET / HTTP/1.1\r\n\r\n", is_head_request=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(5):
        connection.data_received(b"x" * 60_000)
    assert not line.reading
    assert len(connection.take()) == 300_000
    assert line.reading
    connection.abort()


async def test_a_body_is_written_no_faster_than_the_pod_takes_it() -> None:
    connection, line = open_connection()
    connection.send(b"head", is_head_request=False)
    connection.pause_writing()
    writing = asyncio.ensure_future(connection.send_more(b"body"))
    await asyncio.sleep(0)
    assert line.written == b"head"
    connection.resume_writing()
    await writing
    assert line.written == b"headbody"


async def test_a_body_is_not_written_to_a_connection_that_is_gone() -> None:
    connection, _ = open_connection()
    connection.send(b"head", is_head_request=False)
    connection.pause_writing()
    writing = asyncio.ensure_future(connection.send_more(b"body"))
    await asyncio.sleep(0)
    connection.connection_lost(ConnectionResetError())
    with pytest.raises(Closed):
        await writing
