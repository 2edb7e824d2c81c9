"""Runs of pytest: the fast one of ``make check`` and all of them of ``make test``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from house import machine
from house.checks import (
    Outcome,
    quick_parts,
    run_parts,
    show,
    tell,
    type_parts,
    venv_command,
    venv_environment,
)
from house.environment import REPOSITORY
from lab.progress import say

FAST = "not database and not lab and not faults"
BEFORE_THE_LAB = "not lab and not faults"
IN_THE_LAB = "lab"
FAULTS = "faults"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)\b")
_SUMMARY = re.compile(r"^=* ?(no tests ran|\d+ \w+.*) in [\d.]+s.*$")
# A test that does not run proves nothing.
_BAD = ("failed", "error", "skipped", "xfailed", "xpassed")


PUTTING_AWAY_S = 60


class Terminated(KeyboardInterrupt):
    """Somebody asked this process, and it alone, to end."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pytest: its own last line and how it ended."""

    name: str
    summary: str
    status: int
    took_s: float

    @property
    def passed(self) -> bool:
        """Whether tests ran, all of them, and none failed."""
        return self.status == 0 and not any(counts_of(self.summary)[word] for word in _BAD)

    @property
    def outcome(self) -> Outcome:
        """The run as one line of the table of checks."""
        return Outcome(self.name, self.passed, self.took_s)


def counts_of(summary: str) -> Counter[str]:
    """Return the numbers of a summary line of pytest by word, e.g. ``{"passed": 12}``."""
    found = Counter[str]()
    for number, word in _COUNT.findall(summary):
        found[word.removesuffix("s") if word.startswith("error") else word] += int(number)
    return found


def summary_of(lines: Sequence[str]) -> str:
    """Return pytest's last summary line without colours and rules; empty when there is none."""
    for line in reversed(lines):
        plain = _COLOURS.sub("", line).strip()
        if _SUMMARY.match(plain):
            return plain.strip("= ")
    return ""


def check() -> int:
    """Run the static checks and the fast tests; returns the exit status."""
    begin = time.monotonic()
    outcomes, fast = _checks_and_tests("fast tests", FAST)
    return 0 if show([*outcomes, fast.outcome], time.monotonic() - begin) else 1


def test(pods: int) -> int:
    """Run everything, the lab included; returns the exit status."""
    begin = time.monotonic()
    machine.ensure(machine.TESTS)
    outcomes, first = _checks_and_tests("tests", BEFORE_THE_LAB)
    with _lab(pods) as is_up:
        name = "tests in the lab"
        second = run_tests(name, IN_THE_LAB) if is_up else Run(name, "", 1, 0.0)
    all_of_them = [*outcomes, first.outcome, second.outcome]
    passed = show(all_of_them, time.monotonic() - begin)
    show_totals([first, second])
    return 0 if passed else 1


def test_faults() -> int:
    """Run the long fault runs; returns the exit status."""
    machine.ensure(machine.TESTS)
    run = run_tests("fault runs", FAULTS, "-s")
    show_totals([run])
    return 0 if run.passed else 1


def _checks_and_tests(name: str, markers: str) -> tuple[list[Outcome], Run]:
    """Run the static checks and one run of tests; types are checked beside the tests."""
    quick = run_parts(quick_parts())
    tell(quick)
    with ThreadPoolExecutor(1) as pool:
        types = pool.submit(run_parts, type_parts())
        run = run_tests(name, markers)
        tell(types.result())
    return [*quick, *types.result()], run


def run_tests(name: str, markers: str, *more: str) -> Run:
    """Run the tests that fit the markers, showing them as they run; ``more`` goes to pytest."""
    begin = time.monotonic()
    lines: list[str] = []
    colour = "yes" if sys.stdout.isatty() else "no"
    command = ("python", "-m", "pytest", "-m", markers, f"--color={colour}", *more)
    print(f"{name} ...", flush=True)
    with subprocess.Popen(
        venv_command(command),
        cwd=REPOSITORY,
        env=venv_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 (it is piped)
        with _ending_with_us(process):
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                lines = [*lines[-50:], line]
    return Run(name, summary_of(lines), process.returncode, time.monotonic() - begin)


def show_totals(runs: Sequence[Run]) -> None:
    """Print pytest's own line of each run, and last their sum in the same words."""
    total = Counter[str]()
    for run in runs:
        print(f"{run.name}: {run.summary or 'pytest gave no result'}")
        total += counts_of(run.summary)
    del total["deselected"]
    seconds = sum(run.took_s for run in runs)
    words = ", ".join(
        f"{total[word]} {word}" for word in ("failed", "error", "passed") if total[word]
    )
    rest = "".join(f", {total[word]} {word}" for word in _BAD[2:] if total[word])
    print(f"== {words or 'no tests ran'}{rest} in {seconds:.2f}s ==", flush=True)


@contextmanager
def _ending_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a run of pytest put away what its fixtures started, when this process is to end."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt, Terminated):
            process.send_signal(signal.SIGINT)  # a Ctrl-C has reached it by itself
        try:
            process.wait(PUTTING_AWAY_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


@contextmanager
def _lab(pods: int) -> Iterator[bool]:
    """Have the lab up inside, if it can be, and down afterwards whatever happens."""
    try:
        yield _run_lab("up", "--pods", str(pods)) == 0
    finally:
        _run_lab("down")


def _run_lab(*arguments: str) -> int:
    """Return the exit status of a command of the lab. Nothing interrupts a ``down``."""
    say(f"lab {' '.join(arguments)}")
    command = [sys.executable, "-m", "lab", *arguments]
    alone = arguments[0] == "down"
    return subprocess.run(command, cwd=REPOSITORY, start_new_session=alone).returncode


def end_as_if_interrupted() -> None:
    """Make a request to end this process raise Terminated, so that what was started is ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
