"""Logs whose lines carry facts and the request id, and never a secret.

oslo.log brings the options, files, levels and JSON that operators know. Its
formatter for plain lines is replaced by a shorter one, because a line for each
request is on the hot path, and because it does not print the fields of ``extra``.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as oslo_log
from oslo_utils import strutils

from tricircle.adapters.config import PROJECT, Settings

_LINE_FORMAT = (
    "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request_id)s] %(message)s"
)
_NO_REQUEST = "-"

_request_id: ContextVar[str] = ContextVar("request_id", default=_NO_REQUEST)

# What a record has of its own, and what oslo.log's adapters and formats add to it.
_NOT_FACTS = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime", "context", "extra", "extra_keys", "message", "request_id", "taskName",
}  # fmt: skip
_OSLO_FACTS = frozenset({"project", "version"})

# Libraries that tell about each request what we tell in one line, or print bodies; an
# operator's default_log_levels replaces this.
_QUIET = [
    "aiosqlite=WARNING",
    "amqp=ERROR",
    "asyncio=WARNING",
    "keystoneauth=WARNING",
    "keystonemiddleware=ERROR",
    "kombu=WARNING",
    "oslo.messaging=INFO",
    "oslo_messaging=INFO",
    "oslo_service=WARNING",
    "sqlalchemy=WARNING",
    "stevedore=WARNING",
    "urllib3=WARNING",
    "uvicorn=WARNING",
]

# What every secret has near it, in lower case: most lines have none of these, and
# looking for them is all that happens to such a line.
_HINTS = ("gaaaa", "eyj", "token", "pass", "secret", "auth", "credential", "key", "://")
_TOKEN = re.compile(r"gAAAA[\w=%-]{16,}|eyJ[\w=-]{8,}\.[\w=-]{8,}\.[\w=-]{8,}")
_TOKEN_HEADER = re.compile(
    r"(x[-_](?:auth|service|subject|storage)[-_]token[\"']?\s*[:=,]\s*b?[\"']?)[^\s\"',)}\]]+", re.I
)
_AUTHORIZATION = re.compile(r"(\bauthorization[\"']?\s*[:=,]\s*b?[\"']?)[^\"',)}\]\r\n]+", re.I)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s]+(@)")
# A path of Nova's: whoever knows the token opens the console of a server.
_CONSOLE_TOKEN = re.compile(r"(/os-console-auth-tokens/)[^\s/?\"']+", re.I)
_MASK = "***"


def set_request_id(request_id: str) -> None:
    """Put ``request_id`` on every line of this task and of those it starts."""
    _request_id.set(request_id)


def get_request_id() -> str:
    """Return the id of the request this task serves, '-' for none."""
    return _request_id.get()


def setup_logging(settings: Settings, program: str) -> None:
    """Send the logs of this process where the options say, in our form."""
    conf = settings.source
    conf.set_default("default_log_levels", _QUIET)
    oslo_log.setup(conf, program, version=_find_version())
    formatter = make_formatter(conf)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def make_formatter(conf: cfg.ConfigOpts) -> logging.Formatter:
    """Return the formatter that the options ask for."""
    conf.set_default("logging_context_format_string", _LINE_FORMAT)
    return JsonFormatter(conf) if conf.use_json else LineFormatter(conf)


class LineFormatter(logging.Formatter):
    """Prints ``message key=value …`` on one line, tracebacks below it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf.logging_context_format_string, conf.log_date_format)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = find_facts(record)
        line = logging.LogRecord.__new__(logging.LogRecord)  # a copy; other handlers have theirs
        line.__dict__ = {**record.__dict__, **_EMPTY_FIELDS}
        line.request_id = record.__dict__.get("request_id") or _request_id.get()
        line.msg = " ".join(
            [
                record.getMessage().replace("\n", "\\n"),
                *(f"{name}={_show(value)}" for name, value in facts.items()),
            ]
        )
        line.args = None
        return scrub(super().format(line))


class JsonFormatter(logging.Formatter):
    """Prints oslo.log's JSON with the facts and the request id in ``extra``."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__()
        self._inner = formatters.JSONFormatter(datefmt=conf.log_date_format)

    def format(self, record: logging.LogRecord) -> str:
        """Return the document, on one line."""
        line = logging.makeLogRecord(record.__dict__)
        line.extra = {
            **{name: str(value) for name, value in find_facts(record).items()},
            "request_id": record.__dict__.get("request_id") or _request_id.get(),
        }
        line.extra_keys = []
        text = self._inner.format(line)
        # Word by word: in the document quotes are escaped, and secrets hide behind that.
        return json.dumps(_scrub_values(json.loads(text))) if _may_hold_secret(text) else text


class Seldom(logging.Filter):
    """Lets each warning and error through once a minute, for a library that repeats its own.

    The same are those with the same message before facts are put into it.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic, every_s: float = 60.0) -> None:
        super().__init__()
        self._now_s, self._every_s = now_s, every_s
        self._last_s: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be logged."""
        if record.levelno < logging.WARNING:
            return True
        now_s = self._now_s()
        if now_s - self._last_s.get(record.msg, -self._every_s) < self._every_s:
            return False
        self._last_s[record.msg] = now_s
        return True


def find_facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given in ``extra``, in order."""
    fields = record.__dict__
    not_facts = _NOT_FACTS | _OSLO_FACTS if "extra_keys" in fields else _NOT_FACTS
    return {name: value for name, value in fields.items() if name not in not_facts}


def scrub(text: str) -> str:
    """Return ``text`` without anything that looks like a token, a password or a key.

    The last line of defence: whoever logs a secret is wrong already.
    """
    if not _may_hold_secret(text):
        return text
    text = _TOKEN.sub(_MASK, text)
    text = _TOKEN_HEADER.sub(rf"\g<1>{_MASK}", text)
    text = _CONSOLE_TOKEN.sub(rf"\g<1>{_MASK}", text)
    text = _AUTHORIZATION.sub(rf"\g<1>{_MASK}", text)
    text = _URL_PASSWORD.sub(rf"\g<1>{_MASK}\g<2>", text)
    return str(strutils.mask_password(text, secret=_MASK))


def _may_hold_secret(text: str) -> bool:
    lowered = text.lower()
    return any(hint in lowered for hint in _HINTS)


def _scrub_values(value: object) -> object:
    match value:
        case str():
            return scrub(value)
        case dict():
            return {name: _scrub_values(item) for name, item in value.items()}
        case list():
            return [_scrub_values(item) for item in value]
        case _:
            return value


_EMPTY_FIELDS = dict.fromkeys(
    ("color", "global_request_id", "instance", "isotime", "project", "resource", "user_identity"),
    "",
)


def _show(value: object) -> str:
    """Return ``value`` as one word, quoted and escaped where it is not one."""
    text = str(value)
    if text and text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    # Behind escaped quotes a secret would not be found in the line.
    return json.dumps(scrub(text), ensure_ascii=False)


_NEEDS_QUOTES = re.compile(r'[\s"=]')


def _find_version() -> str:
    try:
        return version(PROJECT)
    except PackageNotFoundError:
        return "unknown"
