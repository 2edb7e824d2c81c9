"""What is said on the bus, and all that knows oslo.messaging.

Importing this module is what costs (see docs/decisions/0009-bell.md): import it
only where a bus is configured.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from oslo_config import cfg

from tricircle.adapters.config import PROJECT, ConfigError, Settings
from tricircle.adapters.log import Seldom

# oslo.messaging brings oslo.service, and that loads eventlet, which nothing here
# uses. Without its name resolver it takes 9 MiB less (measured 2026-11-27).
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import oslo_messaging
    from oslo_messaging import opts as messaging_opts

EXCHANGE = "tricircle"
TOPIC = "xjob"
VERSION = "1.0"

_RABBIT = "oslo_messaging_rabbit"
_OUR_DEFAULTS = {"rabbit_quorum_queue": True}

# While a broker is away its driver says so every second or two.
logging.getLogger("oslo.messaging._drivers.impl_rabbit").addFilter(Seldom())


class BrokerAway(Exception):
    """The broker could not be reached, or refused what was asked; the message says why."""


class Endpoint(Protocol):
    """Version 1.0 of what a job worker can be told. ``context`` is {"request_id": …}."""

    def work_arrived(self, context: dict[str, str], job_id: str) -> None:
        """Take note that there is a job."""
        ...

    def wake(self, context: dict[str, str]) -> None:
        """Take note that a message came through."""
        ...


class Caller:
    """Tells job workers something, on connections that are made when they are needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when ``transport_url`` cannot be used."""
        self._url, self._conf = settings.transport_url, read_options(settings.source)
        self._transport = open_transport(self._conf, self._url)

    def cast(self, method: str, request_id: str, **arguments: str) -> None:
        """Call a method of some worker's endpoint.

        Takes seconds when the broker does not answer. Raises BrokerAway.
        """
        self._cast(method, request_id, arguments)

    def cast_to_all(self, method: str, request_id: str, **arguments: str) -> None:
        """Call a method of the endpoints of all workers; else like ``cast``."""
        self._cast(method, request_id, arguments, fanout=True)

    def hang_up(self) -> None:
        """Close the connections; the next cast makes new ones.

        oslo.messaging waits for a lost connection in ways that nobody can end.
        """
        self.close()
        self._transport = open_transport(self._conf, self._url)

    def close(self) -> None:
        """Close the connections for good."""
        with suppress(BrokerAway), _translated_errors():
            self._transport.cleanup()

    def _cast(
        self, method: str, request_id: str, arguments: Mapping[str, str], **options: Any
    ) -> None:
        target = oslo_messaging.Target(exchange=EXCHANGE, topic=TOPIC, version=VERSION, **options)
        with _translated_errors():
            client = oslo_messaging.get_rpc_client(self._transport, target, retry=0)
            client.cast({"request_id": request_id}, method, **arguments)


class Hearer:
    """Gives an endpoint what job workers are told, in a thread of its own."""

    def __init__(self, settings: Settings, server_name: str, endpoint: Endpoint) -> None:
        """Raises ConfigError when ``transport_url`` cannot be used."""
        self._transport = open_transport(read_options(settings.source), settings.transport_url)
        self._target = oslo_messaging.Target(exchange=EXCHANGE, topic=TOPIC, server=server_name)
        self._endpoint = _Versioned(endpoint)
        self._server: Any = None

    def start(self) -> None:
        """Return once the broker has all that is needed. Raises BrokerAway if it refuses.

        Waits without end for a broker that is away; once started, finds it again by itself.
        """
        server = oslo_messaging.get_rpc_server(self._transport, self._target, [self._endpoint])
        with _translated_errors():
            server.start(override_pool_size=1)
        self._server = server

    def stop(self) -> None:
        """Return once the broker knows. Waits for it as ``start`` does. Raises BrokerAway."""
        with _translated_errors():
            if self._server is not None:
                self._server.stop()
                self._server.wait()
            self._transport.cleanup()


class _Versioned:
    """An endpoint as oslo.messaging wants it: the methods it may call, and their version."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, endpoint: Endpoint) -> None:
        self.work_arrived = endpoint.work_arrived
        self.wake = endpoint.wake


def read_options(source: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return options for oslo.messaging, from the files that ours came from.

    Ours cannot hold its options too: it declares ``transport_url`` with a default
    of its own, with which nobody could be without a bus.
    """
    conf = cfg.ConfigOpts()
    conf(
        [],
        project=PROJECT,
        default_config_files=source.config_file,
        default_config_dirs=source.config_dir,
    )
    # declared in the global options only (release 18.3), but looked for in these
    for group, option in (("metrics", "metrics_enabled"), ("tracing", "tracing_enabled")):
        conf.register_opt(cfg.BoolOpt(option), f"oslo_messaging_{group}")
        conf.set_override(option, False, f"oslo_messaging_{group}")
    return conf


def open_transport(conf: cfg.ConfigOpts, url: str | None) -> Any:
    """Return oslo.messaging's transport, not yet connected. Raises ConfigError."""
    try:
        if not (url or "").startswith("rabbit://"):
            raise ValueError
        transport = oslo_messaging.get_rpc_transport(conf, url)
    except cfg.Error as error:
        raise ConfigError(f"group [{_RABBIT}] cannot be used: {error}; correct it") from error
    except (ValueError, oslo_messaging.MessagingException):
        # not with their words: they may quote a piece of the password
        raise ConfigError(
            "option transport_url in group [DEFAULT] cannot be used; write "
            "rabbit://user:password@host:5672/vhost, with %nn for characters of user and password "
            "that are not letters, digits, '-', '.' or '_'"
        ) from None
    for option, value in _OUR_DEFAULTS.items():
        conf.set_default(option, value, _RABBIT)
    return transport


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return what an operator may tune, for oslo-config-generator."""
    groups: dict[str | None, list[cfg.Opt]] = dict(messaging_opts.list_opts())
    cfg.set_defaults(groups[_RABBIT], **_OUR_DEFAULTS)
    return [(_RABBIT, groups[_RABBIT])]


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise BrokerAway for whatever kombu, amqp and sockets raise through oslo.messaging."""
    try:
        yield
    except Exception as error:
        raise BrokerAway(f"{type(error).__name__}: {error}") from error
