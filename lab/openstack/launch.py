"""Starts a family of OpenStack services that share their imports.

Importing a service costs more than running it: 3 to 8 s of CPU each. Services
of one project and release are therefore forked from one process that has
imported what they have in common; it ends when the last is forked. Every
member is a process of its own, runs the entry point that a stock installation
runs, and can be started again alone.

Run as: python -m lab.openstack.launch FAMILY.json
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

# Collecting garbage rarely takes a tenth off the CPU of an import, which makes none.
RARE_COLLECTIONS = (50_000, 20, 50)


def main() -> None:
    """Fork each member described in the file named on the command line, then end."""
    family = json.loads(Path(sys.argv[1]).read_text())
    sys.argv = sys.argv[:1]
    gc.set_threshold(*RARE_COLLECTIONS)
    prepare_concurrency(family["concurrency"])
    if len(family["members"]) > 1:
        preload(family["preload"])
    gc.freeze()
    for member in family["members"]:
        pid = os.fork()
        if pid == 0:
            run_member(member)
        write_pid_file(Path(member["pid_file"]), pid)


def prepare_concurrency(kind: str) -> None:
    """Choose how threads work before anything else is imported; both projects insist on it.

    Nova and Cinder do this on import of each of their commands. Nova with
    threads raises when it is done twice, so that the second call is made a no-op.
    """
    match kind:
        case "none":
            return
        case "nova-threads":
            module = importlib.import_module("nova.monkey_patch")
            module.patch(backend="threading")
            module.patch = lambda *args, **kwargs: None
        case "nova-eventlet":
            importlib.import_module("nova.monkey_patch")
        case "cinder-eventlet":
            importlib.import_module("eventlet").monkey_patch()
        case "cinder-eventlet-by-cinder":
            importlib.import_module("cinder.monkey_patch").patch()
        case _:
            raise ValueError(f"unknown concurrency {kind!r}")


def preload(modules: list[str]) -> None:
    """Import what the members have in common; a module that is gone only costs time."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"preload of {name} left out: {error}", file=sys.stderr)


def run_member(member: dict[str, Any]) -> None:
    """Become one service. Never returns."""
    status = 1
    try:
        os.setsid()
        redirect_output(member["log"])
        os.environ.update(member["environment"])
        reset_temporary_folder()
        reset_green_threads()
        sys.argv = list(member["arguments"])
        run_entry(member)
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 (the log of the process must say why it ended)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def redirect_output(log: str) -> None:
    """Send what the process prints to its log file."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


def reset_temporary_folder() -> None:
    """Make tempfile look at TMPDIR again: it remembers the launcher's."""
    importlib.import_module("tempfile").tempdir = None


def reset_green_threads() -> None:
    """Give the process an event loop of its own.

    Importing creates eventlet's hub, and with it an epoll descriptor. Members
    that shared it woke each other and missed events: every message took 0.4 s.
    """
    hubs = sys.modules.get("eventlet.hubs")
    if hubs:
        hubs.use_hub()


def run_entry(member: dict[str, Any]) -> None:
    """Run what the member is: a WSGI application, or a function of a stock command."""
    module, _, function = member["entry"].partition(":")
    project = module.partition(".")[0]
    if project == "nova":
        offer_hypervisor()
    if project in ("nova", "cinder", "neutron"):
        importlib.import_module("lab.openstack.messaging").look_for_answers_often()
    if "listen" in member:
        # Imported late: a service may need the choice of threads to be made first.
        serve = importlib.import_module("lab.openstack.serve")
        serve.serve(module, member["listen"], member["threads"])
        return
    before = member.get("before")
    entry = getattr(importlib.import_module(module), function)
    if before:
        hook_module, _, hook = before.partition(":")
        getattr(importlib.import_module(hook_module), hook)()
    entry()


def offer_hypervisor() -> None:
    """Let Nova find our driver: it loads drivers from its own package `nova.virt` only."""
    package = importlib.import_module("nova.virt")
    folder = str(Path(__file__).parent / "nova_virt")
    if folder not in package.__path__:
        package.__path__.append(folder)


def write_pid_file(path: Path, pid: int) -> None:
    """Write the process id whole or not at all."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(f"{pid}\n")
    unfinished.replace(path)


if __name__ == "__main__":
    main()
