"""The pods: configuration and processes of Nova, Placement, Neutron and Cinder in each.

A pod is what an operator would install, with three drivers that need no
hardware (lab/openstack/). The services are the stock ones, one process each,
as in a deployment; they are only started differently (see lab/openstack/launch.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.configuration import (
    Section,
    credential,
    database,
    ini_text,
    messages,
    rabbitmq_options,
    token_validation,
    write_private,
)
from lab.processes import Family, Process
from lab.settings import Pod, Settings

API_THREADS = 8
SERVICE_PLUGINS = "router,qos,trunk,segments,port_forwarding,metering"
# Nothing is limited in a pod: the limits tests ask about are the top's.
NOVA_QUOTAS = ("instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members")
NEUTRON_QUOTAS = (
    "network",
    "subnet",
    "port",
    "router",
    "floatingip",
    "security_group",
    "security_group_rule",
    "rbac_policy",
    "trunk",
)
CINDER_QUOTAS = ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups")
NOVA_PRELOAD = (
    "sqlalchemy.orm",
    "oslo_messaging",
    "nova.conf",
    "nova.objects",
    "nova.rpc",
    "nova.service",
    "nova.conductor.manager",
)
CINDER_PRELOAD = ("sqlalchemy.orm", "oslo_messaging", "cinder.objects", "cinder.service")
NEUTRON_PRELOAD = ("sqlalchemy.orm", "oslo_messaging", "neutron.server", "neutron.manager")


def folder(settings: Settings, pod: Pod) -> Path:
    return settings.run / pod.name


def database_name(pod: Pod, service: str) -> str:
    return f"{pod.name}_{service}"


def host_name(pod: Pod) -> str:
    """The name of the pod's only host, as Nova, Neutron and Cinder know it."""
    return f"{pod.name}-host"


def write_configuration(settings: Settings, passwords: Mapping[str, str], pod: Pod) -> None:
    """Write the configuration of all services of a pod."""
    here = folder(settings, pod)
    etc = settings.venv(pod.release) / "etc"
    for name, sections in (
        ("nova/nova.conf", nova_sections(settings, passwords, pod)),
        ("placement/placement.conf", placement_sections(settings, passwords, pod)),
        ("neutron/neutron.conf", neutron_sections(settings, passwords, pod)),
        ("cinder/cinder.conf", cinder_sections(settings, passwords, pod)),
    ):
        write_private(here / name, ini_text(sections))
    for name in ("nova/state", "neutron/state", "cinder/state", "cinder/volumes", "cinder/backups"):
        (here / name).mkdir(parents=True, exist_ok=True)
    # Nova looks for it beside nova.conf only.
    shutil.copyfile(etc / "nova" / "api-paste.ini", here / "nova" / "api-paste.ini")


def broker(settings: Settings, passwords: Mapping[str, str], pod: Pod) -> str:
    return messages(settings, passwords["rabbitmq"], pod.name)


def user(
    settings: Settings, passwords: Mapping[str, str], pod: Pod, name: str
) -> dict[str, object]:
    """The credential by which one service of a pod calls another, in the pod's own region."""
    return credential(settings, name, passwords[name]) | {"region_name": pod.name}


def service_user(settings: Settings, passwords: Mapping[str, str], name: str) -> Section:
    """The token a service sends beside the user's own."""
    return credential(settings, name, passwords[name]) | {"send_service_user_token": True}


def nova_sections(settings: Settings, passwords: Mapping[str, str], pod: Pod) -> dict[str, Section]:
    state = folder(settings, pod) / "nova" / "state"
    password = passwords["mariadb"]
    return {
        "DEFAULT": {
            "host": host_name(pod),
            "my_ip": pod.host,
            "state_path": state,
            "transport_url": broker(settings, passwords, pod),
            "compute_driver": "lab_hypervisor.LabDriver",
            "default_green_pool_size": 1000,
            "allow_resize_to_same_host": True,
            # Fake servers change state only when told to.
            "sync_power_state_interval": -1,
            "heal_instance_info_cache_interval": 0,
            "running_deleted_instance_action": "noop",
            "vif_plugging_timeout": 0,
            "vif_plugging_is_fatal": False,
        },
        "api": {"auth_strategy": "keystone"},
        "api_database": database(settings, password, database_name(pod, "nova_api")),
        "database": database(settings, password, database_name(pod, "nova")),
        "keystone_authtoken": token_validation(settings, "nova", passwords["nova"]),
        "service_user": service_user(settings, passwords, "nova"),
        "placement": user(settings, passwords, pod, "placement"),
        "neutron": user(settings, passwords, pod, "neutron") | {"default_floating_pool": "public"},
        "glance": {"region_name": pod.name},
        "cinder": user(settings, passwords, pod, "cinder")
        | {"catalog_info": "volumev3::publicURL", "os_region_name": pod.name},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "quota": dict.fromkeys(NOVA_QUOTAS, -1),
        "key_manager": {
            "backend": "nova.keymgr.conf_key_mgr.ConfKeyManager",
            "fixed_key": passwords["cinder_key"] * 2,
        },
        "oslo_concurrency": {"lock_path": state / "locks"},
        "oslo_messaging_rabbit": rabbitmq_options(),
        "oslo_messaging_notifications": {"driver": "noop"},
        "vnc": {"novncproxy_base_url": f"http://{pod.host}:6080/vnc_auto.html"},
    }


def placement_sections(
    settings: Settings, passwords: Mapping[str, str], pod: Pod
) -> dict[str, Section]:
    return {
        "placement_database": database(
            settings, passwords["mariadb"], database_name(pod, "placement")
        ),
        "keystone_authtoken": token_validation(settings, "placement", passwords["placement"]),
    }


def neutron_sections(
    settings: Settings, passwords: Mapping[str, str], pod: Pod
) -> dict[str, Section]:
    """A pod's Neutron; its `[nova]` section is how Nova hears of ports that became active."""
    state = folder(settings, pod) / "neutron" / "state"
    shared = stock_neutron_sections(
        settings,
        passwords,
        pod.release,
        broker(settings, passwords, pod),
        database_name(pod, "neutron"),
        state,
    )
    ml2 = dict(shared["ml2"]) | {"mechanism_drivers": "lab"}
    default = dict(shared["DEFAULT"]) | {"host": host_name(pod)}
    return shared | {
        "DEFAULT": default,
        "ml2": ml2,
        "nova": user(settings, passwords, pod, "nova"),
        "placement": user(settings, passwords, pod, "placement"),
    }


def stock_neutron_sections(
    settings: Settings,
    passwords: Mapping[str, str],
    release: str,
    transport_url: str,
    database_name: str,
    state: Path,
) -> dict[str, Section]:
    """What the Neutrons of the pods and of the top have in common: plain ML2, many plugins."""
    paste = settings.venv(release) / "etc" / "neutron" / "api-paste.ini"
    return {
        "DEFAULT": {
            "core_plugin": "ml2",
            "service_plugins": SERVICE_PLUGINS,
            "transport_url": transport_url,
            "state_path": state,
            "api_paste_config": paste,
            "rpc_workers": 0,
            "dns_domain": "lab.example.org.",
            "allow_overlapping_ips": True,
        },
        "ml2": {
            "type_drivers": "local,flat,vlan,vxlan,geneve",
            "tenant_network_types": "vxlan",
            "extension_drivers": "port_security,qos,dns",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:999,physnet2:1000:1999"},
        "ml2_type_vxlan": {"vni_ranges": "1:100000"},
        "ml2_type_geneve": {"vni_ranges": "1:100000", "max_header_size": 38},
        "database": database(settings, passwords["mariadb"], database_name),
        "keystone_authtoken": token_validation(settings, "neutron", passwords["neutron"]),
        "quotas": {f"quota_{name}": -1 for name in NEUTRON_QUOTAS},
        "oslo_concurrency": {"lock_path": state / "locks"},
        "oslo_messaging_rabbit": rabbitmq_options(),
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def cinder_sections(
    settings: Settings, passwords: Mapping[str, str], pod: Pod
) -> dict[str, Section]:
    here = folder(settings, pod) / "cinder"
    etc = settings.venv(pod.release) / "etc" / "cinder"
    return {
        "DEFAULT": {
            "host": host_name(pod),
            "my_ip": pod.host,
            "state_path": here / "state",
            "transport_url": broker(settings, passwords, pod),
            "api_paste_config": etc / "api-paste.ini",
            "resource_query_filters_file": etc / "resource_filters.json",
            "auth_strategy": "keystone",
            "enabled_backends": "files",
            "glance_api_servers": settings.glance.url,
            "enable_force_upload": True,
            "allow_availability_zone_fallback": True,
            "backup_driver": "cinder.backup.drivers.posix.PosixBackupDriver",
            "backup_posix_path": here / "backups",
            "backup_compression_algorithm": "zstd",
            "image_conversion_dir": here / "state" / "conversion",
            "periodic_fuzzy_delay": 1,
            "backend_stats_polling_interval": 10,
        }
        | {f"quota_{name}": -1 for name in CINDER_QUOTAS},
        "files": {
            "volume_driver": "lab.openstack.volumes.FileDriver",
            "volume_backend_name": "files",
            "lab_volume_folder": here / "volumes",
        },
        "database": database(settings, passwords["mariadb"], database_name(pod, "cinder")),
        "keystone_authtoken": token_validation(settings, "cinder", passwords["cinder"]),
        "service_user": service_user(settings, passwords, "cinder"),
        "nova": user(settings, passwords, pod, "nova"),
        # Needed from 2026.1 on: Cinder asks Glance where an image lies as itself.
        "glance": user(settings, passwords, pod, "cinder"),
        "coordination": {"backend_url": f"file://{here / 'state' / 'coordination'}"},
        "key_manager": {
            "backend": "cinder.keymgr.conf_key_mgr.ConfKeyManager",
            "fixed_key": passwords["cinder_key"] * 2,
        },
        "oslo_concurrency": {"lock_path": here / "state" / "locks"},
        "oslo_messaging_rabbit": rabbitmq_options(),
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def processes(settings: Settings, pod: Pod) -> list[Process]:
    """All processes of a pod, those others need first."""
    return [
        *placement_processes(settings, pod),
        *neutron_processes(settings, pod),
        *nova_processes(settings, pod),
        *cinder_processes(settings, pod),
    ]


def python(settings: Settings, pod: Pod) -> Path:
    return settings.venv(pod.release) / "bin" / "python"


def is_eventlet(pod: Pod) -> bool:
    """Whether the back ends of this release still run on green threads."""
    return pod.release < "2025.2"


def placement_processes(settings: Settings, pod: Pod) -> list[Process]:
    family = Family(f"placement-{pod.release}", python(settings, pod), "none", ())
    configuration = folder(settings, pod) / "placement"
    return [
        Process(
            name=f"{pod.name}-placement",
            group=pod.name,
            address=pod.placement,
            family=family,
            entry="placement.wsgi.api",
            arguments=("placement-api",),
            environment={"OS_PLACEMENT_CONFIG_DIR": str(configuration)},
            threads=API_THREADS,
        )
    ]


def neutron_family(settings: Settings, release: str) -> Family:
    python = settings.venv(release) / "bin" / "python"
    return Family(f"neutron-{release}", python, "none", NEUTRON_PRELOAD)


def neutron_processes(settings: Settings, pod: Pod) -> list[Process]:
    configuration = folder(settings, pod) / "neutron" / "neutron.conf"
    return [
        Process(
            name=f"{pod.name}-neutron",
            group=pod.name,
            address=pod.network,
            family=neutron_family(settings, pod.release),
            entry="neutron.wsgi.api",
            arguments=("neutron-api",),
            environment={"OS_NEUTRON_CONFIG_FILES": str(configuration)},
            threads=API_THREADS,
        )
    ]


def nova_processes(settings: Settings, pod: Pod) -> list[Process]:
    """nova-api under cheroot, and the three back ends by their stock commands."""
    kind = "nova-eventlet" if is_eventlet(pod) else "nova-threads"
    back = Family(f"nova-{pod.release}", python(settings, pod), kind, NOVA_PRELOAD)
    front = back
    environment = {"OS_NOVA_CONFIG_DIR": str(folder(settings, pod) / "nova")}
    if is_eventlet(pod):
        front = Family(f"nova-api-{pod.release}", back.python, "none", NOVA_PRELOAD)
        environment |= {"OS_NOVA_DISABLE_EVENTLET_PATCHING": "true"}
    api = Process(
        name=f"{pod.name}-nova-api",
        group=pod.name,
        address=pod.compute,
        family=front,
        entry="nova.wsgi.osapi_compute",
        arguments=("nova-api",),
        environment=environment,
        threads=API_THREADS,
    )
    configuration = str(folder(settings, pod) / "nova" / "nova.conf")
    return [api] + [
        Process(
            name=f"{pod.name}-nova-{name}",
            group=pod.name,
            family=back,
            entry=f"nova.cmd.{name}:main",
            arguments=(f"nova-{name}", "--config-file", configuration),
        )
        for name in ("conductor", "scheduler", "compute")
    ]


def cinder_processes(settings: Settings, pod: Pod) -> list[Process]:
    """cinder-api under cheroot, and the three back ends by their stock commands.

    The back ends run on green threads in all releases, as is Cinder's default:
    with native threads, which 29.0 offers as an experiment, the first volume
    made from an image hangs for ever (eventlet's tpool without its hub).
    """
    kind = "cinder-eventlet" if is_eventlet(pod) else "cinder-eventlet-by-cinder"
    back = Family(f"cinder-{pod.release}", python(settings, pod), kind, CINDER_PRELOAD)
    front = Family(f"cinder-api-{pod.release}", back.python, "none", CINDER_PRELOAD)
    configuration = str(folder(settings, pod) / "cinder" / "cinder.conf")
    api = Process(
        name=f"{pod.name}-cinder-api",
        group=pod.name,
        address=pod.volume,
        family=front,
        entry="cinder.wsgi.api",
        arguments=("cinder-api", "--config-file", configuration),
        threads=API_THREADS,
    )
    return [api] + [
        Process(
            name=f"{pod.name}-cinder-{name}",
            group=pod.name,
            family=back,
            entry=f"cinder.cmd.{name}:main",
            before="lab.openstack.volumes:run_privileged_calls_in_process",
            arguments=(f"cinder-{name}", "--config-file", configuration),
        )
        for name in ("scheduler", "volume", "backup")
    ]
