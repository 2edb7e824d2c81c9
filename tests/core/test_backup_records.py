"""What the record of a backup says."""

from __future__ import annotations

import base64
import json

import pytest

from tricircle.core.backup_records import read_backup_record


def encode(record: object) -> str:
    return base64.b64encode(json.dumps(record).encode()).decode()


def test_a_record_names_its_backup_and_the_host_that_made_it() -> None:
    record = read_backup_record(encode({"id": "a", "host": "east", "size": 1, "service": "x"}))
    assert record is not None
    assert (record.backup_id, record.host) == ("a", "east")


@pytest.mark.parametrize("host", [None, 1, ""])
def test_a_record_without_a_host_names_none(host: object) -> None:
    record = read_backup_record(encode({"id": "a", "host": host}))
    assert record is not None
    assert record.host == ""


@pytest.mark.parametrize(
    "url",
    [
        None,
        1,
        "",
        "none",
        "a",
        "\ud800",
        "é",
        encode([]),
        encode({"host": "east"}),
        encode({"id": 1}),
        base64.b64encode(b"\xff").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_is_no_record_says_nothing(url: object) -> None:
    assert read_backup_record(url) is None
