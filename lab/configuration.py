"""Configuration files of the lab's OpenStack services, written as plain values.

Sections that every service needs in the same form (database, messages, tokens)
are made here; each service adds its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lab.settings import Settings

Section = Mapping[str, object]
Sections = Mapping[str, Section]
CONNECTION_LIMITS = {"max_pool_size": 10, "max_overflow": 30}


def ini_text(sections: Sections) -> str:
    """The sections in the form oslo.config reads; booleans in lower case."""
    lines = []
    for name, options in sections.items():
        lines.append(f"[{name}]")
        for option, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            lines.append(f"{option} = {text}")
        lines.append("")
    return "\n".join(lines)


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read: it holds passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def database_url(settings: Settings, password: str, name: str) -> str:
    """The SQLAlchemy URL of a MariaDB database of the lab."""
    return f"mysql+pymysql://lab:{password}@{settings.mariadb}/{name}?charset=utf8mb4"


def database(settings: Settings, password: str, name: str) -> Section:
    return {"connection": database_url(settings, password, name), **CONNECTION_LIMITS}


def messages(settings: Settings, password: str, vhost: str) -> str:
    """The transport URL of a pod; each has a virtual host of its own."""
    return f"rabbit://lab:{password}@{settings.rabbitmq}/{vhost}"


def rabbitmq_options() -> Section:
    """One broker node needs no quorum queues, which cost it much."""
    return {"rabbit_quorum_queue": False, "rabbit_transient_quorum_queue": False}


def credential(settings: Settings, user: str, password: str) -> dict[str, object]:
    """keystoneauth options of a service user."""
    return {
        "auth_type": "password",
        "auth_url": f"{settings.keystone.url}/v3",
        "username": user,
        "password": password,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def token_validation(settings: Settings, user: str, password: str) -> dict[str, object]:
    """The [keystone_authtoken] section of a service."""
    return credential(settings, user, password) | {
        "www_authenticate_uri": f"{settings.keystone.url}/v3",
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }
