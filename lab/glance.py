"""The image service, shared by the top and all pods, with images in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.configuration import database, ini_text, token_validation, write_private
from lab.processes import Family, Process
from lab.settings import TOP_RELEASE, Settings


def folder(settings: Settings) -> Path:
    return settings.run / "glance"


def write_configuration(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Write glance-api.conf and make the folders of the store."""
    here = folder(settings)
    for name in ("images", "staging", "tasks"):
        (here / name).mkdir(parents=True, exist_ok=True)
    paste = settings.venv(TOP_RELEASE) / "etc" / "glance" / "glance-api-paste.ini"
    sections = {
        "DEFAULT": {
            "enabled_backends": "images:file",
            "enabled_import_methods": "[glance-direct,web-download,copy-image]",
            "worker_self_reference_url": settings.glance.url,
        },
        "database": database(settings, passwords["mariadb"], "glance"),
        "keystone_authtoken": token_validation(settings, "glance", passwords["glance"]),
        "paste_deploy": {"flavor": "keystone", "config_file": paste},
        "glance_store": {"default_backend": "images"},
        "images": {"filesystem_store_datadir": here / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": here / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": here / "tasks"},
        "oslo_concurrency": {"lock_path": here / "locks"},
        "oslo_messaging_notifications": {"driver": "noop"},
    }
    write_private(here / "glance-api.conf", ini_text(sections))


def process(settings: Settings) -> Process:
    return Process(
        name="glance",
        group="shared",
        address=settings.glance,
        family=Family("glance", settings.venv(TOP_RELEASE) / "bin" / "python", "none", ()),
        entry="glance.wsgi.api",
        arguments=("glance-api",),
        environment={"OS_GLANCE_CONFIG_DIR": str(folder(settings))},
        threads=8,
    )
