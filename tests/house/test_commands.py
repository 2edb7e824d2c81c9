"""Make and continuous integration run what the pages say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from house import machine
from house.__main__ import parse
from house.checks import Outcome, quick_parts, show, tell, type_parts, venv_command

REPOSITORY = Path(__file__).parents[2]


def make(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True)


def test_make_alone_lists_the_commands() -> None:
    printed = make().stdout
    for command in ("check", "test", "demo", "lab-up", "lab-status", "lab-down", "bench"):
        assert f"make {command} " in printed


def test_make_works_from_any_directory(tmp_path: Path) -> None:
    assert "make demo" in make("-C", str(REPOSITORY), "help", cwd=tmp_path).stdout
    assert "make demo" in make("-f", str(REPOSITORY / "Makefile"), cwd=tmp_path).stdout


def test_a_missing_python_is_named_with_what_to_install() -> None:
    done = make("check", "PYTHON=python3.11-that-is-not-here")
    assert done.returncode != 0
    assert "apt-get install python3.11" in done.stderr


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()


def test_every_static_check_is_a_program_of_the_virtual_environment() -> None:
    for part in [*quick_parts(), *type_parts()]:
        assert Path(venv_command(part.command)[0]).exists(), part.name


def test_one_failed_check_fails_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert not show([Outcome("layers", True, 0.5), Outcome("types", False, 2.0)], 2.5)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["in", "all", "2.5", "s", "FAILED"]
    assert show([Outcome("layers", True, 0.5)], 0.5)


def test_what_a_failed_check_printed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    tell([Outcome("layers", True, 0.5, "all is well"), Outcome("types", False, 2.0, "bad type")])
    printed = capsys.readouterr().out
    assert "bad type" in printed
    assert "all is well" not in printed


@pytest.mark.parametrize("purpose", ["tests", "bench"])
def test_packages_can_be_asked_for_by_purpose(purpose: str) -> None:
    assert parse(["machine", purpose]).purpose in machine.PURPOSES


def test_a_package_whose_command_is_there_is_not_missing() -> None:
    wanted = {"shell": ("/bin/sh",), "not-here": ("no-such-command-of-ours",)}
    assert machine.missing(wanted) == ["not-here"]
