"""The bell rings for a real RabbitMQ, and never waits for it."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.adapters.bus.ears import Ears, wait_for_line
from tests.brokers import get_transport_url
from tricircle.adapters.bus import open_bell, open_listener
from tricircle.adapters.bus.rpc_bell import QUEUED_RINGS, RpcBell
from tricircle.adapters.config import Settings
from tricircle.interfaces.bus import Bell
from tricircle.testing.servers import RabbitMq, Server

AWAY, BACK = "broker takes no rings", "broker takes rings again"


@pytest.fixture
def deaf_url() -> Iterator[str]:
    """The URL of a broker that lets connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"rabbit://user:pass@127.0.0.1:{server.getsockname()[1]}/"


def ring_often(bell: Bell, prefix: str) -> float:
    """Ring 1,000 times; return how many seconds a ring took on average."""
    begin = time.monotonic()
    for n in range(1000):
        bell.ring(f"{prefix}-{n}", "req-1")
    return (time.monotonic() - begin) / 1000


@pytest.mark.database
async def test_a_ring_is_heard_with_its_job_even_if_the_program_ends_at_once(
    settings: Settings,
) -> None:
    ears = Ears()
    async with open_listener(settings, "worker", ears.on_ring):
        async with open_bell(settings) as bell:
            await ears.wait_for_any(bell)
            bell.ring("job", "req-1")
        await ears.wait_for("job")


@pytest.mark.database
async def test_bell_and_listener_outlive_an_outage_in_which_rings_are_lost_at_once(
    settings: Settings, broker: Server[RabbitMq], caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()
    caplog.set_level(logging.INFO)
    async with open_listener(settings, "worker", ears.on_ring), open_bell(settings) as bell:
        await ears.wait_for_any(bell)
        broker.crash()
        assert ring_often(bell, "lost") < 0.001
        broker.start()
        await ears.wait_for_any(bell, 60)
        bell.ring("job", "req-1")
        await ears.wait_for("job")
    assert ears.heard[-1] == "job"
    assert len(ears.heard) <= 1 + 1 + QUEUED_RINGS
    assert caplog.text.count(AWAY) == caplog.text.count(BACK) == 1


async def test_a_broker_that_never_answers_holds_up_neither_rings_nor_the_end(
    deaf_url: str, make_settings: Callable[[str], Settings]
) -> None:
    bell = RpcBell(make_settings(deaf_url))
    assert ring_often(bell, "lost") < 0.001
    begin = time.monotonic()
    bell.close()
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("make_url", "reason"),
    [
        (lambda: "rabbit://user:canary@127.0.0.1:9/", "Connection refused"),
        pytest.param(
            lambda: get_transport_url().replace("guest:guest", "guest:canary"),
            "ACCESS_REFUSED",
            marks=pytest.mark.database,
        ),
    ],
    ids=["no broker", "wrong password"],
)
async def test_a_connection_that_fails_is_logged_with_its_reason_but_not_the_password(
    make_url: Callable[[], str],
    reason: str,
    make_settings: Callable[[str], Settings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_bell(make_settings(make_url())) as bell:
        bell.ring("job", "req-1")
        line = await wait_for_line(caplog, AWAY)
    assert reason in line.__dict__["reason"]
    assert "canary" not in caplog.text
    assert "canary" not in str([line.__dict__ for line in caplog.records])
