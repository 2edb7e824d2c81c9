"""Log lines show facts and the request id, and no secret."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

import pytest

from tricircle.adapters.config import Settings, load_settings
from tricircle.adapters.log import (
    Seldom,
    make_formatter,
    scrub,
    set_request_id,
    setup_logging,
)

CANARY = "gAAAAABcanary0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def plain() -> logging.Formatter:
    return make_formatter(load_settings("test", files=[]).source)


@pytest.fixture
def as_json(tmp_path: Path) -> logging.Formatter:
    file = tmp_path / "t.conf"
    file.write_text("[DEFAULT]\nuse_json = true\n")
    return make_formatter(load_settings("test", files=[str(file)]).source)


def make_record(message: str = "pod is dead", **facts: object) -> logging.LogRecord:
    logger = logging.getLogger("tricircle.test")
    return logger.makeRecord(
        logger.name, logging.WARNING, __file__, 1, message, (), None, extra=facts
    )


def test_facts_follow_the_message_as_key_and_value(plain: logging.Formatter) -> None:
    line = plain.format(make_record(pod="west", reason="no answer", took_ms=3))
    assert line.endswith('tricircle.test [-] pod is dead pod=west reason="no answer" took_ms=3')


def test_facts_are_fields_of_the_json_form(as_json: logging.Formatter) -> None:
    document = json.loads(as_json.format(make_record(pod="west", status=404)))
    assert document["message"] == "pod is dead"
    assert document["extra"] == {"pod": "west", "status": "404", "request_id": "-"}


async def test_the_request_id_is_on_every_line_of_its_task(plain: logging.Formatter) -> None:
    async def serve(request_id: str) -> str:
        set_request_id(request_id)
        await asyncio.sleep(0)
        return await asyncio.create_task(asyncio.to_thread(plain.format, make_record()))

    lines = await asyncio.gather(serve("req-1"), serve("req-2"))
    assert ["[req-1]" in lines[0], "[req-2]" in lines[1]] == [True, True]
    assert "[-]" in plain.format(make_record())


async def test_the_request_id_is_in_the_json_form(as_json: logging.Formatter) -> None:
    set_request_id("req-1")
    assert json.loads(as_json.format(make_record()))["extra"]["request_id"] == "req-1"


def test_a_line_break_in_a_fact_or_message_cannot_forge_a_line(plain: logging.Formatter) -> None:
    assert "\n" not in plain.format(make_record("a\nb", path="/x\n2026 ERROR forged", user="a\rb"))


def test_a_traceback_is_printed(plain: logging.Formatter) -> None:
    record = make_record()
    try:
        raise ValueError("wrong")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: wrong" in plain.format(record)


@pytest.mark.parametrize(
    "text",
    [
        "/v2.1/os-console-auth-tokens/canary-41d4-a716",
        f"token {CANARY} was refused",
        f"X-Auth-Token: {CANARY[5:]}",
        f"{{'X-Auth-Token': '{CANARY[5:]}', 'Accept': '*/*'}}",
        f"(b'x-service-token', b'{CANARY[5:]}')",
        f"HTTP_X_AUTH_TOKEN={CANARY[5:]}",
        f"x-subject-token={CANARY[5:]}",
        f"Authorization: Bearer {CANARY[5:]}",
        f"eyJ0eXAiOiJKV1Q.{CANARY[5:]}.{CANARY[5:]}",
        f'{{"auth": {{"password": {{"user": {{"password": "{CANARY[5:]}"}}}}}}}}',
        f'{{"server": {{"adminPass": "{CANARY[5:]}"}}}}',
        f"mysql+pymysql://tricircle:{CANARY[5:]}@db/tricircle",
        f"password = {CANARY[5:]}",
        f"'secret': '{CANARY[5:]}'",
    ],
)
def test_a_secret_that_was_logged_by_mistake_is_not_shown(
    text: str, plain: logging.Formatter, as_json: logging.Formatter
) -> None:
    assert "canary" not in scrub(text)
    for formatter in (plain, as_json):
        assert "canary" not in formatter.format(make_record(text.replace("%", "%%")))
        assert "canary" not in formatter.format(make_record(detail=text))


def test_a_secret_in_a_traceback_is_not_shown(
    plain: logging.Formatter, as_json: logging.Formatter
) -> None:
    record = make_record()
    try:
        raise ValueError(f"X-Auth-Token: {CANARY}")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "canary" not in plain.format(record)
    assert "canary" not in as_json.format(record)


@pytest.mark.parametrize(
    "text", ["GET /v2.1/servers/detail?limit=2", "token was refused", "see the pod's own log"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


def test_logs_go_to_the_file_that_is_configured(tmp_path: Path) -> None:
    file = tmp_path / "t.conf"
    file.write_text(f"[DEFAULT]\nlog_file = {tmp_path / 't.log'}\nuse_stderr = false\n")
    settings: Settings = load_settings("tricircle-test", files=[str(file)])
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        setup_logging(settings, "tricircle-test")
        logging.getLogger("tricircle.test").warning("pod is dead", extra={"pod": "west"})
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
    assert "[-] pod is dead pod=west" in (tmp_path / "t.log").read_text()


def test_what_a_library_repeats_is_logged_once_a_minute() -> None:
    now_s = 0.0
    seldom = Seldom(lambda: now_s)

    def passes(message: str, level: int = logging.ERROR, *facts: object) -> bool:
        record = logging.LogRecord("library", level, __file__, 1, message, facts, None)
        return bool(seldom.filter(record))

    assert passes("unreachable for %d s", logging.ERROR, 1)
    assert not passes("unreachable for %d s", logging.ERROR, 2)
    assert passes("refused")
    assert passes("back again", logging.INFO)
    assert passes("back again", logging.INFO)
    now_s += 60
    assert passes("unreachable for %d s", logging.ERROR, 61)
