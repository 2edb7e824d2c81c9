"""The head of a request says what the client said, and the framing is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tricircle.adapters.cloud.outgoing import make_head
from tricircle.adapters.cloud.pool import Origin
from tricircle.interfaces.cloud import PodRequest

ORIGIN = Origin("2001:db8::1", 8774, False, "[2001:db8::1]:8774", "/v2.1")


async def stream() -> AsyncIterator[bytes]:
    yield b"part"


@pytest.mark.parametrize(
    ("request_", "framing"),
    [
        (PodRequest("GET", "/a"), b""),
        (PodRequest("HEAD", "/a"), b""),
        (PodRequest("POST", "/a"), b"Content-Length: 0\r\n"),
        (PodRequest("DELETE", "/a", body=b""), b"Content-Length: 0\r\n"),
        (PodRequest("PUT", "/a", body=b"abc"), b"Content-Length: 3\r\n"),
        (PodRequest("POST", "/a", body=stream()), b"Transfer-Encoding: chunked\r\n"),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_a_body_is_framed_once(request_: PodRequest, framing: bytes) -> None:
    line = b"%b /v2.1/a HTTP/1.1\r\n" % request_.method.encode()
    assert make_head(ORIGIN, request_) == line + b"Host: [2001:db8::1]:8774\r\n" + framing + b"\r\n"


@pytest.mark.parametrize("name", [b"Host", b"CONTENT-LENGTH", b"Transfer-Encoding", b"Connection"])
def test_framing_of_a_client_is_left_out_however_it_is_written(name: bytes) -> None:
    request = PodRequest("GET", "/a", headers=[(name, b"chunked"), (b"X-One", b"1")])
    assert make_head(ORIGIN, request).split(b"\r\n")[2:] == [b"X-One: 1", b"", b""]
