"""Runs commands of the openstack client, many in one process; runs in the client's own virtualenv.

A start of the client takes two seconds of CPU, which is most of what a command costs.
"""

import contextlib
import io
import json
import logging
import sys
import time
from multiprocessing import get_context
from typing import Any

from openstackclient.shell import OpenStackShell

PATIENCE_S = 60
PAUSE_S = 0.5


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
    word ``@id`` is what the last JSON has under ``id``, for what cannot be named otherwise. The
    client keeps its connections in its classes, so each session needs a process of its own.
    """
    said = Said()
    with contextlib.redirect_stderr(io.StringIO()):
        shell = OpenStackShell()
        shell.options, _ = shell.parser.parse_known_args(options)
        shell.configure_logging()
        shell.initialize_app([])
    logging.getLogger("").handlers[:] = [said]
    shown: dict[str, str] = {}
    done = []
    for command in commands:
        words = [shown.get(word, word) for word in command]
        done.append(_run_until(shell, said, words))
        if command[-1] == "json" and not done[-1]["code"]:
            shown = _words(json.loads(done[-1]["out"]))
    return done


def _words(shown: dict[str, Any] | list[dict[str, Any]]) -> dict[str, str]:
    """Return what a later command may name of what was shown, of a list what is first there."""
    first = shown[0] if isinstance(shown, list) else shown
    return {f"@{key}": str(value) for key, value in first.items()}


def _run_until(shell: OpenStackShell, said: Said, command: list[str]) -> dict[str, Any]:
    """Run a command, or one after ``until STATUS``, again and again until that is what it shows.

    It then says its status, which is ``gone`` when nothing can be shown. An end that is another
    one, or too late, is told as it is.
    """
    if command[0] != "until":
        return _run_one(shell, said, command)
    ends = time.monotonic() + PATIENCE_S
    while True:
        told = _run_one(shell, said, command[2:])
        status = _status(told)
        if status in (command[1], "gone", "error") or time.monotonic() > ends:
            return {**told, "error": f"{status} {told['error']}"}
        time.sleep(PAUSE_S)


def _status(told: dict[str, Any]) -> str:
    if told["code"]:
        return "gone"
    shown = {key.lower(): value for key, value in json.loads(told["out"]).items()}
    return str(shown["status"])


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
