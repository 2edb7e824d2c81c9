"""Runs gateways as processes of their own, one after another, each ready in a moment.

    python -m tests.gateway.forking

imports the programs once. For each line on its standard input, a JSON list of a program and
its arguments, it forks a process that is the program, and answers with a line that has its
id. The one before is killed first, if that has not happened; so is the last one at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from tricircle.wiring import compute, volume

PROGRAMS: Mapping[str, Callable[[], None]] = {
    compute.PROGRAM: compute.main,
    volume.PROGRAM: volume.main,
}


def main() -> None:
    """Serve until the input ends."""
    running: int | None = None
    for line in sys.stdin:
        _end(running)
        program, *arguments = json.loads(line)
        running = _start(program, arguments)
        print(running, flush=True)
    _end(running)


def _start(program: str, arguments: Sequence[str]) -> int:
    process_id = os.fork()
    if process_id:
        return process_id
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    # standard output is for the ids alone
    os.dup2(2, 1)
    sys.argv = [program, *arguments]
    PROGRAMS[program]()
    sys.exit()


def _end(process_id: int | None) -> None:
    if process_id is None:
        return
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)
    os.waitpid(process_id, 0)


if __name__ == "__main__":
    main()
