"""Prepare, up and down: what these commands do, in order.

Each may be interrupted at any point. While the data of a lab are whole there
is a state file, and `up` starts what is missing; without it, whatever runs is
a remnant, is ended, and the lab is made anew.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import (
    composition,
    content,
    engines,
    golden,
    health,
    keystone,
    machine,
    ports,
    processes,
    top,
)
from lab.api import Api
from lab.processes import Process, base_environment
from lab.progress import say, step
from lab.settings import LabError, Settings
from lab.state import find_state, forget_state, is_same_lab, state_of, write_state

READY_DEADLINE_S = 120


def prepare(settings: Settings) -> None:
    """Install and make all that `up` needs; leaves no process behind."""
    machine.require_python()
    if processes.find_running(settings):
        raise LabError("a lab is running here, so it is prepared; 'make lab-down' ends it")
    if not golden.is_ready(settings):
        ports.require_free(composition.wanted_addresses(settings))
    make_golden(settings)
    machine.prepare(settings)
    say(f"all is prepared in {settings.prepared}")


def make_golden(settings: Settings) -> None:
    """Make the golden data of this lab unless they are there."""
    if not golden.is_ready(settings):
        new_run_folder(settings)
        golden.make(settings)


def up(settings: Settings) -> None:
    """Start the lab, or what is missing of it; returns when every part of it works."""
    machine.require_python()
    if not can_continue(settings):
        processes.kill_all(settings)
        start_new(settings)
    write_state(settings)
    composition.write_configuration(settings, composition.passwords_of(settings))
    start_missing(settings)
    admin = composition.admin_api(settings)
    complete(settings, admin)
    say(f"the lab is up: {len(settings.pods)} pods, clouds in {settings.clouds_file}")


def complete(settings: Settings, admin: Api) -> None:
    """Create what the lab holds while its services get ready to report themselves."""
    admin.token()
    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(fill, settings, admin)
        wait_until_well(settings, composition.all_processes(settings), admin)
        filling.result()


def can_continue(settings: Settings) -> bool:
    """Whether a lab like this is running, be it only in part; raises LabError for another one."""
    running = processes.find_running(settings)
    state = find_state(settings)
    if not running:
        return False
    if state is None:
        say(f"ending {len(running)} processes that an interrupted command left behind")
        return False
    if not is_same_lab(state, state_of(settings)):
        raise LabError(f"a lab with {state} is running here; 'make lab-down' ends it")
    paused = [one.pid for one in running.values() if one.is_paused]
    processes.signal_all(paused, signal.SIGCONT)
    return True


def start_new(settings: Settings) -> None:
    """Make the data of a new lab in an empty run folder."""
    forget_state(settings)
    ports.require_free(composition.wanted_addresses(settings))
    make_golden(settings)
    machine.prepare(settings)
    new_run_folder(settings)
    with step("copying prepared data"):
        golden.restore(settings)


def new_run_folder(settings: Settings) -> None:
    """Empty the run folder and make the parts every process needs."""
    shutil.rmtree(settings.run, ignore_errors=True)
    settings.run.mkdir(parents=True)
    for name in ("logs", "pids", "tmp", "launch", "home", "schema"):
        (settings.run / name).mkdir()
    processes.prepare_python_path(settings)


def start_missing(settings: Settings) -> None:
    """Start what does not run, each process as soon as what it cannot start without is there.

    Waits for all, not only for the missing: one that an interrupted command
    started may not be ready yet.
    """
    if composition.uses_postgresql(settings):
        engines.create_postgresql(settings, composition.passwords_of(settings)["postgresql"])
    wanted = composition.all_processes(settings)
    missing = missing_of(settings, wanted)
    with step(f"starting {len(missing)} of {len(wanted)} processes"):
        start_engines(settings, missing)
        services = composition.openstack_processes(settings)
        back_ends = [p for p in services if composition.is_back_end(p, services)]
        processes.start(settings, [p for p in services if p in missing and p not in back_ends])
        start_tricircle(settings, missing)
        processes.wait_for(settings, composition.engine_processes(settings))
        processes.start(settings, [p for p in back_ends if p in missing])
        processes.wait_for(settings, wanted)


def missing_of(settings: Settings, wanted: Sequence[Process]) -> list[Process]:
    """Those of the wanted processes that do not run; raises LabError when another has the port.

    What such a process forked and left behind is ended: it may hold the port.
    """
    missing = [p for p in wanted if processes.find_pid(settings, p.name) is None]
    if missing:
        processes.kill(settings, processes.find_orphans(settings, [p.name for p in missing]))
        ports.require_free([(p.name, p.address) for p in missing if p.address])
    return missing


def start_engines(settings: Settings, missing: Sequence[Process]) -> None:
    """Start the missing databases and the broker; returns when the databases are ready."""
    wanted = composition.engine_processes(settings)
    processes.start(settings, [p for p in wanted if p in missing])
    processes.wait_for(settings, [p for p in wanted if p.name != engines.BROKER])


def start_tricircle(settings: Settings, missing: Sequence[Process]) -> None:
    """Bring Tricircle's database up to date and start its programs that do not run."""
    if settings.with_top and top.missing_programs():
        names = ", ".join(top.missing_programs())
        say(f"the top is left out: {names} not in {top.PROGRAMS}; 'make venv' installs them")
    programs = [p for p in composition.tricircle_processes(settings) if p in missing]
    if programs:
        create_top_database(settings)
        sync_schema(settings)
        # The gateways end when Keystone gives them no token.
        processes.wait_for(settings, [keystone.process(settings)])
        processes.start(settings, programs)


def create_top_database(settings: Settings) -> None:
    """Create Tricircle's empty database on the engine TOP_DB names, if it is not there."""
    match settings.top_database:
        case "mariadb":
            engines.create_databases(settings, [top.DATABASE])
        case "postgresql":
            password = composition.passwords_of(settings)["postgresql"]
            engines.ensure_postgresql_database(settings, top.DATABASE, password)
        case _:
            return


def sync_schema(settings: Settings) -> None:
    """Bring Tricircle's database to the newest schema."""
    done = subprocess.run(
        top.schema_command(settings),
        env=base_environment(settings, "manage"),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise LabError(f"tricircle-manage db sync failed:\n{done.stderr[-3000:]}")


def fill(settings: Settings, admin: Api) -> None:
    """Create what every lab holds, in all pods at once."""
    admin.token()
    with step("creating image, flavors and networks"), ThreadPoolExecutor() as pool:
        works = [pool.submit(content.ensure_pod, pod, admin) for pod in settings.pods]
        works.append(pool.submit(content.ensure_image, settings, admin))
        works.append(pool.submit(content.ensure_top_network, settings, admin))
        if composition.tricircle_processes(settings):
            works.append(pool.submit(content.ensure_registered, settings, admin))
        for work in works:
            work.result()


def wait_until_well(settings: Settings, wanted: Sequence[Process], admin: Api) -> None:
    """Wait until these processes do their work; raises LabError naming what does not."""
    with step("waiting for every service to report itself"):
        give_up = time.monotonic() + READY_DEADLINE_S
        while bad := [h for h in health.check(settings, wanted, admin) if not h.is_well]:
            if time.monotonic() > give_up or any(h.state == health.DEAD for h in bad):
                raise_unwell(settings, bad)
            time.sleep(0.5)


def raise_unwell(settings: Settings, bad: Sequence[health.Health]) -> None:
    """Raise LabError with what is not well, and the end of the first one's log."""
    listed = "\n".join(f"  {one.name}: {one.state}" for one in bad)
    log = processes.tail(processes.log_path(settings, bad[0].name))
    raise LabError(
        f"not well:\n{listed}\nThe end of the log of {bad[0].name}:\n{log}\n"
        "'make lab-up' tries again, 'make lab-down' clears up."
    )


def down(settings: Settings) -> None:
    """End every process of the lab and remove its data; the logs stay until the next `up`."""
    forget_state(settings)
    ended = processes.kill_all(settings)
    for path in settings.run.glob("*"):
        if path != settings.logs and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    settings.clouds_file.unlink(missing_ok=True)
    say(f"the lab is down: {ended} processes ended")
