"""The parts of ``make check``: what each runs, and how they are told to the user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from house.environment import REPOSITORY, VENV

TREES = ("house", "lab", "bench", "tests")


@dataclass(frozen=True, slots=True)
class Part:
    """One check: its name and the command of .venv that makes it."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended and how long it took."""

    name: str
    passed: bool
    took_s: float


def static_parts() -> list[Part]:
    """Return every check that reads the source and runs none of it."""
    trees = [tree for tree in TREES if (REPOSITORY / tree).is_dir()]
    return [
        Part("format", ("ruff", "format", "--check", ".")),
        Part("lint", ("ruff", "check", ".")),
        Part("types", ("mypy", "-p", "tricircle")),
        Part("types of the tools", ("mypy", "--explicit-package-bases", *trees)),
        Part("layers", ("lint-imports", "--no-logo")),
        Part("release notes", ("reno", "--quiet", "lint")),
    ]


def run_parts(parts: Sequence[Part]) -> list[Outcome]:
    """Run each part and show what a failing one printed; a failure stops none of the others."""
    return [_run_part(part) for part in parts]


def _run_part(part: Part) -> Outcome:
    print(f"{part.name:20} ...", end=" ", flush=True)
    begin = time.monotonic()
    done = subprocess.run(
        venv_command(part.command),
        cwd=REPOSITORY,
        env=venv_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    took_s = time.monotonic() - begin
    passed = done.returncode == 0
    print(f"{'ok' if passed else 'FAILED'}, {took_s:.1f} s", flush=True)
    if not passed:
        print(done.stdout, flush=True)
    return Outcome(part.name, passed, took_s)


def venv_command(command: Sequence[str]) -> list[str]:
    """Return a command with its program taken from .venv."""
    return [str(VENV / "bin" / command[0]), *command[1:]]


def venv_environment() -> Mapping[str, str]:
    """Return the environment for programs of .venv: its commands are found first."""
    return os.environ | {
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }


def show(outcomes: Sequence[Outcome]) -> bool:
    """Print how each check went; returns whether all passed."""
    for outcome in outcomes:
        print(
            f"  {outcome.name:20} {outcome.took_s:7.1f} s  {'ok' if outcome.passed else 'FAILED'}"
        )
    passed = all(outcome.passed for outcome in outcomes)
    total = sum(outcome.took_s for outcome in outcomes)
    print(f"  {'in all':20} {total:7.1f} s  {'ok' if passed else 'FAILED'}")
    sys.stdout.flush()
    return passed
