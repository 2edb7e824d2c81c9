"""``tricircle-manage`` as an operator runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricircle.adapters.sql.schema import newest_revision
from tricircle.wiring.manage import run


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    """Arguments that name a configuration file with an SQLite database."""
    file = tmp_path / "tricircle.conf"
    file.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\n")
    return ["--config-file", str(file)]


def test_sync_says_what_it_did_and_may_be_repeated(
    config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "db", "sync"]) == 0
    assert f"the schema went from none to {newest_revision()}" in capsys.readouterr().out
    assert run([*config, "db", "sync"]) == 0
    assert f"the schema is at {newest_revision()}" in capsys.readouterr().out


def test_version_prints_the_revision_alone_for_scripts(
    config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "db", "version"]) == 0
    first = capsys.readouterr()
    assert first.out == "none\n"
    assert "run 'tricircle-manage db sync'" in first.err
    run([*config, "db", "sync"])
    capsys.readouterr()
    assert run([*config, "db", "version"]) == 0
    assert capsys.readouterr() == (f"{newest_revision()}\n", "")


def test_sync_stops_at_the_revision_asked_for(
    config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "db", "sync", "--revision", "0001"]) == 0
    assert "0001" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[database]\nconnection = oracle://u:secret@h/d\n", "'oracle' is not one of"),
        ("[database]\nconnection = mysql://u:secret@127.0.0.1:1/d\n", "127.0.0.1"),
        ("[database]\nconnection = sqlite:////nowhere/at/all.db\n", "/nowhere/at"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line_without_the_password(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tricircle.conf"
    file.write_text(text)
    assert run(["--config-file", str(file), "db", "sync"]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert "secret" not in said
    assert said.count("\n") == 1


def test_an_unknown_revision_is_an_error(
    config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "db", "sync", "--revision", "9999"]) == 1
    assert "'9999'" in capsys.readouterr().err


def test_a_missing_command_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["db"])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
