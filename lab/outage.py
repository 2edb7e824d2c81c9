"""Breaking a pod on purpose, and mending it: for tests of what the top does then."""

from __future__ import annotations

import signal

from lab import composition, lifecycle, pods, processes
from lab.progress import say, step
from lab.settings import Settings


def stop_pod(settings: Settings, name: str) -> None:
    """End all processes of a pod at once, as when its machines lose power; its data stay."""
    processes.kill(settings, pod_pids(settings, name))
    say(f"{name} is stopped")


def start_pod(settings: Settings, name: str) -> None:
    """Start what does not run of a pod; returns when it works."""
    wanted = pods.processes(settings, settings.pod(name))
    missing = lifecycle.missing_of(settings, wanted)
    if missing:
        with step(f"starting {len(missing)} processes of {name}"):
            processes.start(settings, missing)
            processes.wait_for(settings, missing)
    lifecycle.wait_until_well(settings, wanted, composition.admin_api(settings))
    say(f"{name} is up")


def pause_pod(settings: Settings, name: str) -> None:
    """Freeze a pod: it still accepts connections and never answers."""
    processes.signal_all(pod_pids(settings, name), signal.SIGSTOP)
    say(f"{name} is paused")


def resume_pod(settings: Settings, name: str) -> None:
    """Let a frozen pod go on."""
    processes.signal_all(pod_pids(settings, name), signal.SIGCONT)
    say(f"{name} is resumed")


def pod_pids(settings: Settings, name: str) -> list[int]:
    """The ids of all live processes of a pod."""
    running = processes.find_running(settings)
    found: list[int] = []
    for process in pods.processes(settings, settings.pod(name)):
        pid = processes.find_pid(settings, process.name)
        if pid:
            found += processes.members_of(pid, running)
    return found
