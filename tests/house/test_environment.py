"""The virtual environment is made with tools that can make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from house.environment import LEAST_UV, HouseError, require_python, run_quietly, uv_version


def program(folder: Path, script: str) -> str:
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_version_of_uv_is_read_as_numbers(tmp_path: Path) -> None:
    assert uv_version(program(tmp_path, "echo 'uv 0.13.9 (x86_64)'")) == (0, 13, 9)


@pytest.mark.parametrize("script", ["exit 3", "echo unknown"])
def test_a_uv_that_does_not_tell_its_version_is_too_old(tmp_path: Path, script: str) -> None:
    assert uv_version(program(tmp_path, script)) < LEAST_UV


def test_the_python_of_the_tests_is_the_one_that_is_wanted() -> None:
    require_python()


def test_an_installer_that_fails_is_told_with_its_own_words(tmp_path: Path) -> None:
    failing = program(tmp_path, "echo no such version >&2; exit 1")
    with pytest.raises(HouseError, match="no such version"):
        run_quietly([failing, "pip", "sync"])


def test_installers_are_let_write_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run_quietly([program(tmp_path, 'test -z "$PYTHONDONTWRITEBYTECODE"')])
