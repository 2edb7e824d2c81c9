"""The Debian packages that tests and bench need beside those of the lab."""

from __future__ import annotations

import os
from collections.abc import Mapping

from house.environment import HouseError
from lab.machine import (
    PACKAGES,
    POSTGRESQL_PACKAGES,
    has_command,
    no_service_starts,
    run_apt,
)
from lab.progress import step

Commands = Mapping[str, tuple[str, ...]]
TESTS: Commands = PACKAGES | POSTGRESQL_PACKAGES
BENCH: Commands = PACKAGES | {
    "nginx-light": ("nginx",),
    "haproxy": ("haproxy",),
    "wrk": ("wrk",),
}
PURPOSES: Mapping[str, Commands] = {"tests": TESTS, "bench": BENCH}


def missing(wanted: Commands) -> list[str]:
    """Return the packages of which a command is not on this machine, in the order given."""
    return [name for name, commands in wanted.items() if not all(map(has_command, commands))]


def ensure(wanted: Commands) -> None:
    """Install the packages that are missing, without starting their services."""
    absent = missing(wanted)
    if not absent:
        return
    if os.geteuid() != 0:
        raise HouseError(
            f"missing Debian packages: {' '.join(absent)}. Install them "
            "(apt-get install --no-install-recommends ...), or run this command once as root."
        )
    with step(f"installing Debian packages: {' '.join(absent)}"), no_service_starts():
        run_apt(["update"])
        run_apt(["install", "--yes", "--no-install-recommends", *absent])
    still = missing(wanted)
    if still:
        raise HouseError(f"still missing after apt-get install: {', '.join(still)}")
