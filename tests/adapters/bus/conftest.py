"""Settings with a bus, and a real broker that may go away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers import get_broker, get_transport_url
from tricircle.adapters.config import Settings, load_settings
from tricircle.testing.servers import RabbitMq, Server


@pytest.fixture
def broker() -> Iterator[Server[RabbitMq]]:
    """The real broker; it runs again after a test that stopped it."""
    server = get_broker()
    yield server
    if server.process is None:
        server.start()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[[str], Settings]:
    """Make settings with a transport_url; they look every second whether a broker is back."""

    def make(url: str) -> Settings:
        file = tmp_path / "tricircle.conf"
        tuning = "[oslo_messaging_rabbit]\nrabbit_interval_max = 1\n"
        file.write_text(f"[DEFAULT]\ntransport_url = {url}\n{tuning}")
        return load_settings("tricircle-xjob", files=[str(file)])

    return make


@pytest.fixture
def settings(broker: Server[RabbitMq], make_settings: Callable[[str], Settings]) -> Settings:
    """Settings whose bus is the real broker."""
    return make_settings(get_transport_url())
