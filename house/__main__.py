"""The command line behind make: python3.11 -m house COMMAND."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from house import environment, machine, runs
from house.environment import REPOSITORY, HouseError
from lab.settings import LabError

BUILT = (
    ".venv",
    ".venv-tools",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
    "build",
    "dist",
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line as values."""
    parser = argparse.ArgumentParser(prog="python3.11 -m house", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("venv", help="make .venv from the lock")
    commands.add_parser("check", help="static checks and fast tests")
    test = commands.add_parser("test", help="everything, the lab included")
    test.add_argument("--pods", type=int, default=2, help="how many pods the lab has (default 2)")
    commands.add_parser("test-faults", help="the long fault runs")
    lock = commands.add_parser("lock", help="resolve the locks again")
    lock.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    packages = commands.add_parser("machine", help="install missing Debian packages")
    packages.add_argument("purpose", choices=sorted(machine.PURPOSES))
    commands.add_parser("clean", help="remove what was built")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Carry a command out; returns the exit status."""
    match options.command:
        case "venv":
            environment.ensure_venv()
        case "check":
            environment.ensure_venv()
            return runs.check()
        case "test":
            environment.ensure_venv()
            return runs.test(options.pods)
        case "test-faults":
            environment.ensure_venv()
            return runs.test_faults()
        case "lock":
            environment.resolve(options.upgrade)
        case "machine":
            machine.ensure(machine.PURPOSES[options.purpose])
        case "clean":
            clean()
    return 0


def clean() -> None:
    """Remove what was built here; the lab and what it prepared stay."""
    for name in BUILT:
        shutil.rmtree(REPOSITORY / name, ignore_errors=True)
    for name in (".coverage", ".venv.lock"):
        (REPOSITORY / name).unlink(missing_ok=True)


def main() -> int:
    """Run the command; returns its exit status."""
    runs.end_as_if_interrupted()
    try:
        return run(parse(sys.argv[1:]))
    except (HouseError, LabError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
