"""The private RabbitMQ of the tests, started when the first test asks for it."""

from __future__ import annotations

import atexit
import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor

from tricircle.testing.servers import RabbitMq, Server, running

STARTER = ThreadPoolExecutor(1, "broker")
"""Where a test starts the broker again while its event loop goes on.

A server ends with the thread that started it, so this thread stays.
"""


@functools.cache
def get_broker() -> Server[RabbitMq]:
    """Return the running broker of this test run."""
    life = contextlib.ExitStack()
    atexit.register(life.close)
    return life.enter_context(running(RabbitMq()))


def get_transport_url() -> str:
    """Return the broker's URL, which stays the same when it is started again."""
    broker = get_broker()
    return broker.engine.url(broker.port)
