"""oslo.messaging's options come from our files, and its errors keep secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tricircle.adapters.bus import rpc
from tricircle.adapters.config import ConfigError, Settings, load_settings

RABBIT = "oslo_messaging_rabbit"


def load(folder: Path, text: str) -> Settings:
    file = folder / "tricircle.conf"
    file.write_text(text)
    return load_settings("tricircle-xjob", ["--config-file", str(file)])


def open_transport(settings: Settings) -> Any:
    return rpc.open_transport(rpc.read_options(settings.source), settings.transport_url)


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "canary@broker",
        "http://user:canary@broker/",
        "kafka://user:canary@broker/",
        "rabit://user:canary@broker/",
        "rabbit://user:can/ary@broker/",
        "rabbit://user:can#ary@broker/",
        "rabbit://user:can?ary@broker/",
        "rabbit://user:canary@broker:port/",
        "rabbit://user:canary@[broker/",
        "rabbit://user:canary@broker/?heartbeat_rate=canary",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, url: str
) -> None:
    settings = load(tmp_path, f"[DEFAULT]\ntransport_url = {url}\n")
    with pytest.raises(ConfigError) as caught:
        open_transport(settings)
    message = str(caught.value)
    assert "option transport_url in group [DEFAULT]" in message
    assert "rabbit://user:password@host:5672/vhost" in message
    assert "can" not in message.replace("cannot", "")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "rabbit://",
        "rabbit://user:p%23ss@broker:5672/vhost",
        "rabbit://user:pass@one:5672,user:pass@two:5672/",
        "rabbit://user:pass@[::1]:5672/?heartbeat_rate=2",
    ],
)
def test_a_url_as_other_openstack_services_have_it_is_understood(tmp_path: Path, url: str) -> None:
    open_transport(load(tmp_path, f"[DEFAULT]\ntransport_url = {url}\n"))


def test_the_operator_tunes_the_bus_in_the_same_file(tmp_path: Path) -> None:
    text = f"[DEFAULT]\ntransport_url = rabbit://\n[{RABBIT}]\nheartbeat_timeout_threshold = 7\n"
    transport = open_transport(load(tmp_path, text))
    assert transport.conf[RABBIT].heartbeat_timeout_threshold == 7


def test_an_option_of_the_bus_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    text = f"[DEFAULT]\ntransport_url = rabbit://\n[{RABBIT}]\nrpc_conn_pool_size = many\n"
    with pytest.raises(ConfigError, match="rpc_conn_pool_size"):
        open_transport(load(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "quorum"), [("", True), ("rabbit_quorum_queue = false", False)], ids=["", "not"]
)
def test_queues_are_quorum_queues_unless_the_operator_says_otherwise(
    tmp_path: Path, line: str, quorum: bool
) -> None:
    text = f"[DEFAULT]\ntransport_url = rabbit://\n[{RABBIT}]\n{line}\n"
    transport = open_transport(load(tmp_path, text))
    assert transport.conf[RABBIT].rabbit_quorum_queue is quorum


def test_the_sample_of_options_shows_our_defaults() -> None:
    (group, options), *others = rpc.list_opts()
    assert group == RABBIT
    assert not others
    defaults = {option.name: option.default for option in options}
    assert defaults["rabbit_quorum_queue"] is True
    assert defaults["heartbeat_timeout_threshold"] == 60
