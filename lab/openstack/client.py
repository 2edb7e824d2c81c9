"""Runs commands of the openstack client, many in one process; runs in the client's own virtualenv.

A start of the client takes two seconds of CPU, which is most of what a command costs.
"""

import contextlib
import io
import json
import logging
import sys
from multiprocessing import get_context
from typing import Any

from openstackclient.shell import OpenStackShell


class Said(logging.Handler):
    """What the client would have printed for its user beside the result."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def run(options: list[str], commands: list[list[str]]) -> list[dict[str, Any]]:
    """Return for each command its exit code, what it printed and what it said of errors.

    ``options`` are those before a command, e.g. ``--os-cloud``; all commands share one token. The
    client keeps its connections in its classes, so each session needs a process of its own.
    """
    said = Said()
    with contextlib.redirect_stderr(io.StringIO()):
        shell = OpenStackShell()
        shell.options, _ = shell.parser.parse_known_args(options)
        shell.configure_logging()
        shell.initialize_app([])
    logging.getLogger("").handlers[:] = [said]
    return [_run_one(shell, said, command) for command in commands]


def _run_one(shell: OpenStackShell, said: Said, command: list[str]) -> dict[str, Any]:
    printed, errors = io.StringIO(), io.StringIO()
    said.lines.clear()
    shell.stdout = printed
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            code = shell.run_subcommand(command)
    except SystemExit as end:
        code = int(end.code or 0)
    lines = [*said.lines, errors.getvalue().strip()]
    text = "\n".join(line for line in lines if line)
    return {"code": code, "out": printed.getvalue(), "error": text}


def _run_session(session: dict[str, Any]) -> list[dict[str, Any]]:
    return run(session["options"], session["commands"])


if __name__ == "__main__":
    with get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        json.dump(pool.map(_run_session, json.load(sys.stdin), chunksize=1), sys.stdout)
