"""The parts of ``make check``: what each runs, and how they are told to the user."""

from __future__ import annotations

import os
import subprocess
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
    """How one check ended, how long it took, and what it printed."""

    name: str
    passed: bool
    took_s: float
    output: str = ""


def quick_parts() -> list[Part]:
    """Return the checks that read the source and take a few seconds together."""
    return [
        Part("format", ("ruff", "format", "--check", ".")),
        Part("lint", ("ruff", "check", ".")),
        Part("layers", ("lint-imports", "--no-logo")),
        Part("release notes", ("reno", "--quiet", "lint")),
    ]


def type_parts() -> list[Part]:
    """Return the checks of types: long, and on one core only."""
    trees = [tree for tree in TREES if (REPOSITORY / tree).is_dir()]
    return [
        Part("types", ("mypy", "-p", "tricircle")),
        Part("types of the tools", ("mypy", "--explicit-package-bases", *trees)),
    ]


def run_parts(parts: Sequence[Part]) -> list[Outcome]:
    """Return how each part ended; a failure stops none of the others."""
    return [_run_part(part) for part in parts]


def tell(outcomes: Sequence[Outcome]) -> None:
    """Print how each check ended, and what a failing one printed."""
    for outcome in outcomes:
        print(f"{outcome.name}: {_word(outcome.passed)}, {outcome.took_s:.1f} s", flush=True)
        if not outcome.passed:
            print(outcome.output, flush=True)


def _run_part(part: Part) -> Outcome:
    begin = time.monotonic()
    done = subprocess.run(
        venv_command(part.command),
        cwd=REPOSITORY,
        env=venv_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Outcome(part.name, done.returncode == 0, time.monotonic() - begin, done.stdout)


def venv_command(command: Sequence[str]) -> list[str]:
    """Return a command with its program taken from .venv."""
    return [str(VENV / "bin" / command[0]), *command[1:]]


def venv_environment() -> Mapping[str, str]:
    """Return the environment for programs of .venv: its commands are found first."""
    return os.environ | {
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }


def show(outcomes: Sequence[Outcome], took_s: float) -> bool:
    """Print a table of how each check went and the time of all; returns whether all passed."""
    for outcome in outcomes:
        print(f"  {outcome.name:20} {outcome.took_s:7.1f} s  {_word(outcome.passed)}")
    passed = all(outcome.passed for outcome in outcomes)
    print(f"  {'in all':20} {took_s:7.1f} s  {_word(passed)}", flush=True)
    return passed


def _word(passed: bool) -> str:
    return "ok" if passed else "FAILED"
