"""Up, down, and single pods: what the commands do, in order."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from lab import content, engines, glance, golden, health, keystone, machine, pods, processes, top
from lab.api import Api
from lab.configuration import write_private
from lab.passwords import read_secrets
from lab.processes import Process, base_environment
from lab.progress import say, step
from lab.settings import Address, LabError, Settings, settings_of

READY_DEADLINE_S = 120
STATE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """What the lab in the run folder was started as. Written once its data are whole."""

    pods: int
    network: str
    top_database: str
    with_top: bool


def state_of(settings: Settings) -> State:
    return State(
        len(settings.pods), settings.network, settings.top_database, settings.with_top
    )


def is_same_lab(one: State, other: State) -> bool:
    """Whether the data of one serve the other; the top's programs may come and go."""
    return replace(one, with_top=True) == replace(other, with_top=True)


def read_state(settings: Settings) -> State | None:
    """The state of the lab in the run folder; None when it has no whole data."""
    try:
        return State(**json.loads((settings.run / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def settings_of_running(settings: Settings) -> Settings:
    """The settings the lab was started with; raises LabError when there is none."""
    state = read_state(settings)
    if state is None:
        raise LabError("there is no lab here; start one with 'make lab-up'")
    environment = {"LAB_NET": state.network, "TOP_DB": state.top_database}
    return settings_of(state.pods, state.with_top, environment)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the lab's lock, so that two commands never work on it at once."""
    settings.prepared.mkdir(parents=True, exist_ok=True)
    with (settings.prepared / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab command is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def shared_processes(settings: Settings) -> list[Process]:
    """The engines, Keystone and Glance."""
    found = [engines.mariadb_process(settings), engines.rabbitmq_process(settings)]
    if settings.with_top and settings.top_database == "postgresql":
        found.append(engines.postgresql_process(settings))
    return [*found, keystone.process(settings), glance.process(settings)]


def top_processes(settings: Settings) -> list[Process]:
    """The top's Neutron, and Tricircle's programs when they are wanted and installed."""
    found = [top.neutron_process(settings)]
    if settings.with_top and not top.missing_programs():
        found += top.tricircle_processes(settings)
    return found


def all_processes(settings: Settings) -> list[Process]:
    """Every process of the lab, those others need first."""
    found = shared_processes(settings)
    for pod in settings.pods:
        found += pods.processes(settings, pod)
    return found + top_processes(settings)


def extra_addresses(settings: Settings) -> list[tuple[str, Address]]:
    """Ports that belong to a process beside the one it is known by."""
    return [("epmd", settings.epmd), ("rabbitmq", settings.rabbitmq_distribution)]


def prepare(settings: Settings) -> None:
    """Install and make all that `up` needs; leaves no process behind."""
    machine.require_python()
    if processes.find_running(settings):
        raise LabError("a lab is running here, so it is prepared; 'make lab-down' ends it")
    if not golden.is_ready(settings):
        new_run_folder(settings)
        golden.make(settings)
    machine.prepare(settings)


def up(settings: Settings) -> None:
    """Start the lab, or what is missing of it; returns when every part of it works."""
    machine.require_python()
    running = processes.find_running(settings)
    state = read_state(settings)
    if running and state and not is_same_lab(state, state_of(settings)):
        raise LabError(f"a lab with other settings is running ({state}); 'make lab-down' ends it")
    if running and state is None:
        say("ending what an interrupted command left behind")
        processes.kill_all(settings)
        running = {}
    if not running:
        start_new(settings)
    write_private(settings.run / STATE, json.dumps(asdict(state_of(settings))))
    passwords = read_secrets(settings.run / golden.PASSWORDS)
    write_configuration(settings, passwords)
    start_missing(settings, passwords)
    fill(settings, passwords)
    wait_until_well(settings, admin_api(settings, passwords))
    say(f"the lab is up: {len(settings.pods)} pods, clouds in {settings.clouds_file}")


def start_new(settings: Settings) -> None:
    """Make the data of a new lab in an empty run folder."""
    processes.require_free(settings, wanted_addresses(settings))
    new_run_folder(settings)
    if not golden.is_ready(settings):
        golden.make(settings)
        new_run_folder(settings)
    machine.prepare(settings)
    with step("copying prepared data"):
        golden.restore(settings)


def wanted_addresses(settings: Settings) -> list[tuple[str, Address]]:
    """Every address the lab listens on, with what will listen there."""
    named = [(p.name, p.address) for p in all_processes(settings) if p.address]
    return [*named, *extra_addresses(settings)]


def new_run_folder(settings: Settings) -> None:
    """Empty the run folder and make the parts every process needs."""
    shutil.rmtree(settings.run, ignore_errors=True)
    settings.run.mkdir(parents=True)
    for name in ("logs", "pids", "tmp", "launch", "home", "schema"):
        (settings.run / name).mkdir()
    processes.prepare_python_path(settings)


def write_configuration(settings: Settings, passwords: dict[str, str]) -> None:
    """Write every configuration file of the lab."""
    engines.write_mariadb_client(settings, passwords["mariadb"])
    vhosts = [top.VHOST, *(pod.name for pod in settings.pods)]
    engines.write_rabbitmq(settings, passwords["rabbitmq"], vhosts)
    keystone.write_configuration(settings, passwords)
    glance.write_configuration(settings, passwords)
    for pod in settings.pods:
        pods.write_configuration(settings, passwords, pod)
    top.write_configuration(settings, passwords)
    write_private(settings.clouds_file, keystone.clouds_text(settings, passwords))


def start_missing(settings: Settings, passwords: dict[str, str]) -> None:
    """Start what does not run: the engines first, then all services at once."""
    if settings.with_top and settings.top_database == "postgresql":
        engines.create_postgresql(settings, passwords["postgresql"])
    missing = missing_processes(settings, all_processes(settings))
    if not missing:
        return
    taken = [(p.name, p.address) for p in missing if p.address]
    processes.require_free(settings, taken)
    first = [p for p in missing if p.name in ("mariadb", "rabbitmq", "postgresql")]
    with step(f"starting {len(missing)} processes"):
        processes.start(settings, first)
        processes.wait_for(settings, first)
        rest = [p for p in missing if p not in first and not is_tricircle(p)]
        processes.start(settings, rest)
        processes.wait_for(settings, rest)
    start_tricircle(settings, [p for p in missing if is_tricircle(p)])


def is_tricircle(process: Process) -> bool:
    return process.name.startswith("top-tricircle")


def missing_processes(settings: Settings, wanted: Sequence[Process]) -> list[Process]:
    """Those of the wanted processes that do not run."""
    return [p for p in wanted if processes.find_pid(settings, p.name) is None]


def start_tricircle(settings: Settings, missing: Sequence[Process]) -> None:
    """Bring Tricircle's database up to date and start its programs."""
    if settings.with_top and top.missing_programs():
        say(f"the top is left out: {', '.join(top.missing_programs())} not installed in .venv")
    if not missing:
        return
    with step("starting Tricircle"):
        create_top_database(settings)
        environment = base_environment(settings, "manage")
        done = subprocess.run(
            top.schema_command(settings), env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise LabError(f"tricircle-manage db sync failed:\n{done.stderr[-3000:]}")
        processes.start(settings, missing)
        processes.wait_for(settings, missing)


def create_top_database(settings: Settings) -> None:
    """Create Tricircle's empty database on the engine TOP_DB names, if it is not there."""
    match settings.top_database:
        case "mariadb":
            engines.create_databases(settings, [top.DATABASE])
        case "postgresql":
            engines.ensure_postgresql_database(settings, top.DATABASE)
        case _:
            return


def admin_api(settings: Settings, passwords: dict[str, str]) -> Api:
    return Api(settings, "admin", "admin", passwords["admin"])


def fill(settings: Settings, passwords: dict[str, str]) -> None:
    """Create what every lab holds, in all pods at once."""
    admin = admin_api(settings, passwords)
    admin.token()
    with step("creating image, flavors and networks"), ThreadPoolExecutor() as pool:
        works = [pool.submit(content.ensure_pod, pod, admin) for pod in settings.pods]
        works.append(pool.submit(content.ensure_image, settings, admin))
        works.append(pool.submit(content.ensure_top_network, settings, admin))
        if len(top_processes(settings)) > 1:
            works.append(pool.submit(content.ensure_registered, settings, admin))
        for work in works:
            work.result()


def wait_until_well(settings: Settings, admin: Api) -> None:
    """Wait until all is well; raises LabError naming what is not."""
    with step("waiting for every service to report itself"):
        give_up = time.monotonic() + READY_DEADLINE_S
        wanted = all_processes(settings)
        while bad := [h for h in health.check(settings, wanted, admin) if not h.is_well]:
            if time.monotonic() > give_up or any(h.state == health.DEAD for h in bad):
                name = bad[0].name
                listed = "\n".join(f"  {h.name}: {h.state}" for h in bad)
                log = processes.tail(processes.log_path(settings, name))
                raise LabError(f"not well:\n{listed}\nThe end of the log of {name}:\n{log}")
            time.sleep(0.5)


def down(settings: Settings) -> None:
    """End every process of the lab; logs stay, data are removed."""
    ended = processes.kill_all(settings)
    (settings.run / STATE).unlink(missing_ok=True)
    for name in ("mariadb", "rabbitmq", "postgresql", "keystone", "glance", "tmp", "pids"):
        shutil.rmtree(settings.run / name, ignore_errors=True)
    for pod in settings.run.glob("pod*"):
        shutil.rmtree(pod, ignore_errors=True)
    say(f"the lab is down: {ended} processes ended")


def pod_pids(settings: Settings, name: str) -> list[int]:
    """The ids of all live processes of a pod."""
    running = processes.find_running(settings)
    found: list[int] = []
    for process in pods.processes(settings, settings.pod(name)):
        pid = processes.find_pid(settings, process.name)
        if pid:
            found += processes.members_of(pid, running)
    return found


def stop_pod(settings: Settings, name: str) -> None:
    """End all processes of a pod at once, as when its machines lose power; its data stay."""
    processes.kill(settings, pod_pids(settings, name))
    say(f"{name} is stopped")


def start_pod(settings: Settings, name: str) -> None:
    """Start what does not run of a pod; returns when it works."""
    wanted = pods.processes(settings, settings.pod(name))
    missing = missing_processes(settings, wanted)
    if missing:
        with step(f"starting {len(missing)} processes of {name}"):
            processes.start(settings, missing)
            processes.wait_for(settings, missing)
    wait_until_well(settings, admin_api(settings, read_secrets(settings.run / golden.PASSWORDS)))


def pause_pod(settings: Settings, name: str) -> None:
    """Freeze a pod: it still accepts connections and never answers."""
    processes.signal_all(pod_pids(settings, name), signal.SIGSTOP)
    say(f"{name} is paused")


def resume_pod(settings: Settings, name: str) -> None:
    """Let a frozen pod go on."""
    processes.signal_all(pod_pids(settings, name), signal.SIGCONT)
    say(f"{name} is resumed")


def status(settings: Settings) -> list[health.Health]:
    """The health of each process of the lab."""
    passwords = read_secrets(settings.run / golden.PASSWORDS)
    admin: Api | None = admin_api(settings, passwords)
    try:
        assert admin is not None
        admin.token()
    except Exception:
        admin = None
    return health.check(settings, all_processes(settings), admin)
