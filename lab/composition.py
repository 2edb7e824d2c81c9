"""Which processes a lab consists of, and the configuration of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab import engines, glance, golden, keystone, pods, top
from lab.api import Api
from lab.configuration import write_private
from lab.passwords import read_secrets
from lab.processes import Process
from lab.settings import Address, Settings


def engine_processes(settings: Settings) -> list[Process]:
    """The processes all others need."""
    found = [engines.mariadb_process(settings), engines.rabbitmq_process(settings)]
    if uses_postgresql(settings):
        found.append(engines.postgresql_process(settings))
    return found


def uses_postgresql(settings: Settings) -> bool:
    return settings.with_top and settings.top_database == "postgresql"


def openstack_processes(settings: Settings) -> list[Process]:
    """Keystone, Glance, the pods and the top's Neutron."""
    found = [keystone.process(settings), glance.process(settings)]
    for pod in settings.pods:
        found += pods.processes(settings, pod)
    return [*found, top.neutron_process(settings)]


def tricircle_processes(settings: Settings) -> list[Process]:
    """Tricircle's own programs, when they are wanted and installed."""
    if not settings.with_top or top.missing_programs():
        return []
    return top.tricircle_processes(settings)


def all_processes(settings: Settings) -> list[Process]:
    """Every process of the lab, those others need first."""
    return [
        *engine_processes(settings),
        *openstack_processes(settings),
        *tricircle_processes(settings),
    ]


def is_back_end(process: Process, services: Sequence[Process]) -> bool:
    """Whether the process needs the broker to start: it, or one of its family, has no API."""
    waiting = {one.family for one in services if one.address is None}
    return process.family in waiting


def wanted_addresses(settings: Settings) -> list[tuple[str, Address]]:
    """Every address the lab listens on, with what will listen there."""
    services = [*openstack_processes(settings), *tricircle_processes(settings)]
    engines_too = [
        ("mariadb", settings.mariadb),
        ("rabbitmq", settings.rabbitmq),
        ("rabbitmq", settings.rabbitmq_distribution),
        ("epmd", settings.epmd),
        ("epmd", Address("127.0.0.1", settings.epmd.port)),
    ]
    if uses_postgresql(settings):
        engines_too.append(("postgresql", settings.postgresql))
    return [*engines_too, *((p.name, p.address) for p in services if p.address)]


def passwords_of(settings: Settings) -> dict[str, str]:
    """The passwords of the lab in the run folder."""
    return read_secrets(settings.run / golden.PASSWORDS)


def admin_api(settings: Settings) -> Api:
    """The APIs of the lab, called as its administrator."""
    return Api(settings, "admin", "admin", passwords_of(settings)["admin"])


def write_configuration(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Write every configuration file of the lab; may be repeated while it runs."""
    engines.write_mariadb_client(settings, passwords["mariadb"])
    vhosts = [top.VHOST, *(pod.name for pod in settings.pods)]
    engines.write_rabbitmq(settings, passwords["rabbitmq"], vhosts)
    keystone.write_configuration(settings, passwords)
    glance.write_configuration(settings, passwords)
    for pod in settings.pods:
        pods.write_configuration(settings, passwords, pod)
    top.write_configuration(settings, passwords)
    write_private(settings.clouds_file, keystone.clouds_text(settings, passwords))
