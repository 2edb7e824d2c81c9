"""The command line of the lab: python3.11 -m lab COMMAND."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from lab import composition, demo, health, lifecycle, outage, state, tempest
from lab.api import ApiError
from lab.health import Health
from lab.progress import say
from lab.settings import LabError, Settings, settings_of

POD_COMMANDS = {
    "stop-pod": (outage.stop_pod, "kill all processes of a pod; its data stay"),
    "start-pod": (outage.start_pod, "start the processes of a stopped pod"),
    "pause-pod": (outage.pause_pod, "freeze a pod: it accepts connections, never answers"),
    "resume-pod": (outage.resume_pod, "let a frozen pod go on"),
}


def up_and_demo(settings: Settings) -> None:
    """Have the lab up, then show what it is for."""
    lifecycle.up(settings)
    demo.demo(settings)


BUILDING = {"up": lifecycle.up, "prepare": lifecycle.prepare, "demo": up_and_demo}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as values."""
    parser = argparse.ArgumentParser(prog="python3.11 -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start the lab, or what is missing of it"),
        ("prepare", "install and make all that 'up' needs"),
        ("demo", "start the lab and use it through the top"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--pods", type=int, default=2, help="how many pods (default 2)")
        command.add_argument(
            "--no-top", action="store_true", help="leave Tricircle's own programs out"
        )
    commands.add_parser("down", help="end every process and remove the data")
    status = commands.add_parser("status", help="show each process; 0 only when all is well")
    status.add_argument("--json", action="store_true", help="as JSON")
    for name, (_function, text) in POD_COMMANDS.items():
        commands.add_parser(name, help=text).add_argument("pod", help="for example pod1")
    compared = commands.add_parser("tempest", help="tempest at a pod and at the top, compared")
    compared.add_argument("area", choices=sorted(tempest.AREAS))
    compared.add_argument("--pod", default="pod1", help="where it runs straight (default pod1)")
    compared.add_argument("--regex", default="", help="only the tests that match")
    compared.add_argument("--workers", type=int, default=2, help="tests at a time (default 2)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Carry a command out; returns the exit status."""
    if options.command in BUILDING:
        settings = settings_of(options.pods, not options.no_top)
        with state.locked(settings):
            BUILDING[options.command](settings)
        return 0
    settings = settings_of(1, True)
    if options.command == "down":
        with state.locked(settings):
            lifecycle.down(settings)
        return 0
    settings = state.settings_of_running(settings)
    if options.command == "status":
        return show_status(settings, options.json)
    if options.command == "tempest":
        words = (options.area, options.pod, options.regex, options.workers)
        return tempest.compare(settings, *words)
    with state.locked(settings):
        POD_COMMANDS[options.command][0](settings, options.pod)
    return 0


def show_status(settings: Settings, as_json: bool) -> int:
    """Print the health of each process; returns 0 only when all is well."""
    admin = composition.admin_api(settings)
    found = health.check(settings, composition.all_processes(settings), admin)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        print(status_table(found))
    return 0 if all(one.is_well for one in found) else 1


def status_table(found: Sequence[Health]) -> str:
    """One line a process, and the memory of all."""
    lines = [f"{'PROCESS':24} {'PID':>8} {'ADDRESS':20} {'MEMORY':>8}  HEALTH"]
    for one in found:
        memory = f"{one.memory_kib // 1024} MB"
        lines.append(f"{one.name:24} {one.pid or '-':>8} {one.address:20} {memory:>8}  {one.state}")
    total = sum(one.memory_kib for one in found) // 1024
    well = sum(one.is_well for one in found)
    lines.append(f"{well} of {len(found)} well, {total} MB in all")
    return "\n".join(lines)


def main() -> int:
    """Run the command; returns its exit status."""
    try:
        return run(parse(sys.argv[1:]))
    except LabError as error:
        say(f"error: {error}")
        return 1
    except (ApiError, OSError) as error:
        say(f"error: {error}\n'make lab-status' shows what is not well; 'make lab-up' tries again")
        return 1
    except KeyboardInterrupt:
        say("interrupted; 'make lab-up' goes on from here, 'make lab-down' clears up")
        return 130


if __name__ == "__main__":
    sys.exit(main())
