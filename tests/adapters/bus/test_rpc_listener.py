"""The listener hears what is rung on a real RabbitMQ, whatever becomes of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import amqp
import pytest

from tests.adapters.bus.ears import Ears, wait_for_line
from tests.brokers import get_transport_url
from tricircle.adapters.bus import open_bell, open_listener
from tricircle.adapters.bus.rpc_listener import RpcListener
from tricircle.adapters.config import Settings
from tricircle.adapters.log import get_request_id
from tricircle.testing.servers import ADDRESS, RabbitMq, Server

pytestmark = pytest.mark.database


async def test_of_two_listeners_exactly_one_hears_a_ring(settings: Settings) -> None:
    one, two = Ears(), Ears()
    rung = [f"job-{n}" for n in range(50)]
    news: asyncio.Queue[str] = asyncio.Queue()

    def tell(ears: Ears) -> Callable[[str], None]:
        def on_ring(job_id: str) -> None:
            ears.on_ring(job_id)
            news.put_nowait(job_id)

        return on_ring

    async with (
        open_listener(settings, "one", tell(one)),
        open_listener(settings, "two", tell(two)),
        open_bell(settings) as bell,
    ):
        await one.wait_for_any(bell)
        await two.wait_for_any(bell)
        for job_id in rung:
            bell.ring(job_id, "req-1")
        async with asyncio.timeout(10):
            while len(one.heard + two.heard) < len(rung):
                await news.get()
    assert sorted(one.heard + two.heard) == sorted(rung)
    assert one.heard
    assert two.heard


async def test_what_a_ring_starts_carries_the_id_of_the_request(settings: Settings) -> None:
    request_ids: dict[str, str] = {}
    ears = Ears()

    def on_ring(job_id: str) -> None:
        request_ids[job_id] = get_request_id()
        ears.on_ring(job_id)

    async with open_listener(settings, "worker", on_ring), open_bell(settings) as bell:
        await ears.wait_for_any(bell)
        bell.ring("job", "req-1")
        await ears.wait_for("job")
    assert request_ids["job"] == "req-1"
    assert get_request_id() == "-"


async def test_a_listener_that_starts_before_its_broker_hears_it_later(
    broker: Server[RabbitMq], settings: Settings
) -> None:
    ears = Ears()
    broker.crash()
    begin = time.monotonic()
    async with open_listener(settings, "worker", ears.on_ring), open_bell(settings) as bell:
        assert time.monotonic() - begin < 2
        broker.start()
        await ears.wait_for_any(bell, 60)


async def test_closing_is_bounded_when_the_broker_has_gone(
    broker: Server[RabbitMq], settings: Settings
) -> None:
    ears = Ears()
    listener = RpcListener(settings, "worker", ears.on_ring)
    async with open_bell(settings) as bell:
        await ears.wait_for_any(bell)
        broker.crash()
        begin = time.monotonic()
        listener.close()
        assert time.monotonic() - begin < 5


async def test_of_two_listeners_of_a_host_one_is_closed_soon_and_hears_no_more(
    settings: Settings,
) -> None:
    first, second = Ears(), Ears()
    listener = RpcListener(settings, "host", first.on_ring)
    async with open_bell(settings) as bell, open_listener(settings, "host", second.on_ring):
        await first.wait_for_any(bell)
        await second.wait_for_any(bell)
        begin = time.monotonic()
        listener.close()
        assert time.monotonic() - begin < 3
        rung = [f"job-{n}" for n in range(10)]
        for job_id in rung:
            bell.ring(job_id, "req-1")
        await second.wait_for(rung[-1])
    assert not first.heard
    assert second.heard == rung


@pytest.mark.parametrize("queue", ["xjob", "xjob.worker"])
async def test_the_queues_are_quorum_queues(
    broker: Server[RabbitMq], settings: Settings, queue: str
) -> None:
    ears = Ears()
    async with open_listener(settings, "worker", ears.on_ring), open_bell(settings) as bell:
        await ears.wait_for_any(bell)
    with amqp.Connection(f"{ADDRESS}:{broker.port}") as client:
        classic = {"x-queue-type": "classic"}
        with pytest.raises(amqp.PreconditionFailed, match="'quorum'"):
            client.channel().queue_declare(
                queue, durable=True, auto_delete=False, arguments=classic
            )


async def test_a_refused_listener_is_logged_without_the_password(
    broker: Server[RabbitMq],
    make_settings: Callable[[str], Settings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = make_settings(get_transport_url().replace("guest:guest", "guest:canary"))
    async with open_listener(settings, "worker", print):
        line = await wait_for_line(caplog, "broker refuses a listener")
    assert "ACCESS_REFUSED" in line.__dict__["reason"]
    assert "canary" not in caplog.text
