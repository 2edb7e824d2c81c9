"""What the lab in the run folder is, and who may work on it now."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from lab.configuration import write_private
from lab.progress import say
from lab.settings import LabError, Settings, settings_of

FILE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a lab was started as; its file exists only while the lab's data are whole."""

    pods: int
    network: str
    top_database: str
    with_top: bool

    def __str__(self) -> str:
        return f"PODS={self.pods} LAB_NET={self.network} TOP_DB={self.top_database}"


def state_of(settings: Settings) -> State:
    return State(len(settings.pods), settings.network, settings.top_database, settings.with_top)


def is_same_lab(one: State, other: State) -> bool:
    """Whether the data of one serve the other; the top's programs may come and go."""
    return replace(one, with_top=True) == replace(other, with_top=True)


def find_state(settings: Settings) -> State | None:
    """The state of the lab in the run folder; None when it has no whole data."""
    try:
        return State(**json.loads((settings.run / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_state(settings: Settings) -> None:
    """Say that the data in the run folder are whole, and whose they are."""
    write_private(settings.run / FILE, json.dumps(asdict(state_of(settings))))


def forget_state(settings: Settings) -> None:
    """Say that the data in the run folder are not whole."""
    (settings.run / FILE).unlink(missing_ok=True)


def settings_of_running(settings: Settings) -> Settings:
    """The settings the lab was started with; raises LabError when there is none."""
    state = find_state(settings)
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
