"""What the lab consists of: paths, addresses, releases and pods, as frozen values.

Everything here is decided once per command, from the command line and the
environment; no other module reads an environment variable of ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LAB_FOLDER = Path(__file__).resolve().parent
REPOSITORY = LAB_FOLDER.parent
TOP_REGION = "RegionOne"
TOP_RELEASE = "2026.2"
POD_RELEASES = ("2026.2", "2025.1")
TOP_DATABASES = ("mariadb", "postgresql", "sqlite")
MAX_PODS = 90
BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
LOOPBACK_NET = re.compile(rf"127\.{BYTE}\.{BYTE}")


class LabError(Exception):
    """A problem the user can act on; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address a process of the lab listens on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Pod:
    """One bottom OpenStack: a Keystone region of its own, of one release."""

    number: int
    release: str
    host: str

    @property
    def name(self) -> str:
        return f"pod{self.number}"

    @property
    def zone(self) -> str:
        return f"az{self.number}"

    @property
    def compute(self) -> Address:
        return Address(self.host, 8774)

    @property
    def placement(self) -> Address:
        return Address(self.host, 8778)

    @property
    def network(self) -> Address:
        return Address(self.host, 9696)

    @property
    def volume(self) -> Address:
        return Address(self.host, 8776)


@dataclass(frozen=True, slots=True)
class Settings:
    """The wanted lab. Two labs with equal settings hold the same processes."""

    pods: tuple[Pod, ...]
    network: str
    top_database: str
    with_top: bool
    run: Path
    prepared: Path

    @property
    def shared_host(self) -> str:
        return f"{self.network}.100"

    @property
    def top_host(self) -> str:
        return f"{self.network}.101"

    @property
    def keystone(self) -> Address:
        return Address(self.shared_host, 5000)

    @property
    def mariadb(self) -> Address:
        return Address(self.shared_host, 3306)

    @property
    def rabbitmq(self) -> Address:
        return Address(self.shared_host, 5672)

    @property
    def epmd(self) -> Address:
        """Erlang's port mapper; it also takes the port on 127.0.0.1, so each net has its own."""
        return Address(self.shared_host, 20_000 + self._net_number)

    @property
    def rabbitmq_distribution(self) -> Address:
        """RabbitMQ refuses a port for other nodes that is in use on any address."""
        return Address(self.shared_host, 30_000 + self._net_number)

    @property
    def _net_number(self) -> int:
        _loopback, second, third = map(int, self.network.split("."))
        return (second * 256 + third) % 2_000

    @property
    def glance(self) -> Address:
        return Address(self.shared_host, 9292)

    @property
    def postgresql(self) -> Address:
        return Address(self.shared_host, 5432)

    @property
    def top_admin(self) -> Address:
        return Address(self.top_host, 19999)

    @property
    def top_compute(self) -> Address:
        return Address(self.top_host, 8774)

    @property
    def top_volume(self) -> Address:
        return Address(self.top_host, 8776)

    @property
    def top_xjob(self) -> Address:
        return Address(self.top_host, 19996)

    @property
    def top_network(self) -> Address:
        return Address(self.top_host, 9696)

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def clouds_file(self) -> Path:
        return self.run / "clouds.yaml"

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases in use, each once; Keystone, Glance and the top run the first."""
        wanted = (TOP_RELEASE, *(pod.release for pod in self.pods))
        return tuple(dict.fromkeys(wanted))

    def venv(self, name: str) -> Path:
        """The virtualenv of a release, or of the command line client."""
        return self.prepared / "venvs" / name

    def pod(self, name: str) -> Pod:
        for pod in self.pods:
            if pod.name == name:
                return pod
        known = ", ".join(pod.name for pod in self.pods)
        raise LabError(f"no pod is called {name!r}; this lab has {known}")


def pods_of(count: int, network: str) -> tuple[Pod, ...]:
    """The first `count` pods; odd ones run the newest release, even ones the older."""
    if not 1 <= count <= MAX_PODS:
        raise LabError(f"the number of pods must be 1 to {MAX_PODS}, not {count}")
    return tuple(
        Pod(number, POD_RELEASES[(number - 1) % len(POD_RELEASES)], f"{network}.{number}")
        for number in range(1, count + 1)
    )


def settings_of(pods: int, with_top: bool, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this command; raises LabError for a value that cannot work."""
    network = environment.get("LAB_NET", "127.77.0")
    if not LOOPBACK_NET.fullmatch(network):
        raise LabError(f"LAB_NET must be like 127.77.0, part of the loopback net, not {network!r}")
    database = environment.get("TOP_DB", "mariadb")
    if database not in TOP_DATABASES:
        raise LabError(f"TOP_DB must be one of {', '.join(TOP_DATABASES)}, not {database!r}")
    return Settings(
        pods=pods_of(pods, network),
        network=network,
        top_database=database,
        with_top=with_top,
        run=LAB_FOLDER / "run",
        prepared=LAB_FOLDER / ".prepared",
    )
