"""The top: a stock Neutron, and Tricircle's own programs when they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.configuration import (
    credential,
    database_url,
    ini_text,
    messages,
    token_validation,
    write_private,
)
from lab.pods import API_THREADS, CINDER_QUOTAS, neutron_family, stock_neutron_sections
from lab.processes import Process
from lab.settings import REPOSITORY, TOP_REGION, TOP_RELEASE, Settings

PROGRAMS = REPOSITORY / ".venv" / "bin"
NEUTRON_DATABASE = "top_neutron"
DATABASE = "tricircle"
VHOST = "top"


def folder(settings: Settings) -> Path:
    return settings.run / "top"


def configuration_file(settings: Settings) -> Path:
    return folder(settings) / "tricircle.conf"


def program(name: str) -> Path:
    return PROGRAMS / f"tricircle-{name}"


def missing_programs() -> list[str]:
    """Tricircle's programs that are not installed in the project's own virtualenv."""
    return [
        f"tricircle-{name}"
        for name in ("api", "compute", "volume", "xjob", "manage")
        if not program(name).exists()
    ]


def write_configuration(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Write the configuration of the top's Neutron and of Tricircle."""
    write_private(
        folder(settings) / "neutron.conf", ini_text(neutron_sections(settings, passwords))
    )
    write_private(configuration_file(settings), ini_text(tricircle_sections(settings, passwords)))


def neutron_sections(
    settings: Settings, passwords: Mapping[str, str]
) -> dict[str, Mapping[str, object]]:
    state = folder(settings) / "neutron"
    state.mkdir(parents=True, exist_ok=True)
    shared = stock_neutron_sections(
        settings,
        passwords,
        TOP_RELEASE,
        messages(settings, passwords["rabbitmq"], VHOST),
        NEUTRON_DATABASE,
        state,
    )
    default = dict(shared["DEFAULT"]) | {
        "host": "top",
        # No Nova stands behind the top's ports.
        "notify_nova_on_port_status_changes": False,
        "notify_nova_on_port_data_changes": False,
    }
    ml2 = dict(shared["ml2"]) | {"mechanism_drivers": "lab_top"}
    return shared | {"DEFAULT": default, "ml2": ml2}


def tricircle_database_url(settings: Settings, passwords: Mapping[str, str]) -> str:
    """The SQLAlchemy URL of Tricircle's own database, on the engine TOP_DB names."""
    match settings.top_database:
        case "postgresql":
            password = passwords["postgresql"]
            return f"postgresql+psycopg://lab:{password}@{settings.postgresql}/{DATABASE}"
        case "sqlite":
            return f"sqlite:///{folder(settings) / 'tricircle.sqlite'}"
        case _:
            return database_url(settings, passwords["mariadb"], DATABASE)


def tricircle_sections(
    settings: Settings, passwords: Mapping[str, str]
) -> dict[str, Mapping[str, object]]:
    def listen(address: object, port: int) -> dict[str, object]:
        return {"bind_host": address, "bind_port": port, "workers": 1}

    return {
        "DEFAULT": {
            "debug": False,
            "transport_url": messages(settings, passwords["rabbitmq"], VHOST),
        },
        "database": {"connection": tricircle_database_url(settings, passwords)},
        "keystone_authtoken": token_validation(settings, "tricircle", passwords["tricircle"]),
        "service_credential": credential(settings, "tricircle", passwords["tricircle"]),
        "top": {"region_name": TOP_REGION},
        # On a small machine that runs two whole clouds, busy is not dead.
        "gateway": {"probe_deadline_s": 10, "connect_timeout_s": 5},
        # Whoever tries a quota sets one; all else is to be as free as in the pods.
        "quota": {"instances": -1, "cores": -1, "ram": -1},
        "volume_quota": dict.fromkeys(CINDER_QUOTAS, -1),
        "api": listen(settings.top_host, settings.top_admin.port),
        "compute": listen(settings.top_host, settings.top_compute.port),
        "volume": listen(settings.top_host, settings.top_volume.port),
        "xjob": listen(settings.top_host, settings.top_xjob.port),
    }


def neutron_process(settings: Settings) -> Process:
    return Process(
        name="top-neutron",
        group="top",
        address=settings.top_network,
        family=neutron_family(settings, TOP_RELEASE),
        entry="neutron.wsgi.api",
        arguments=("neutron-api",),
        environment={"OS_NEUTRON_CONFIG_FILES": str(folder(settings) / "neutron.conf")},
        threads=API_THREADS,
    )


def tricircle_processes(settings: Settings) -> list[Process]:
    """The Admin API, both gateways and a job worker."""
    configuration = str(configuration_file(settings))
    addresses = {
        "api": settings.top_admin,
        "compute": settings.top_compute,
        "volume": settings.top_volume,
        "xjob": settings.top_xjob,
    }
    return [
        Process(
            name=f"top-tricircle-{name}",
            group="top",
            address=address,
            command=(str(program(name)), "--config-file", configuration),
            start_deadline_s=60,
        )
        for name, address in addresses.items()
    ]


def schema_command(settings: Settings) -> list[str]:
    """The command that brings Tricircle's database to the newest schema."""
    return [
        str(program("manage")),
        "--config-file",
        str(configuration_file(settings)),
        "db",
        "sync",
    ]
