"""The passwords of a lab: made once with its prepared data, kept in one private file."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from lab.configuration import write_private

SERVICE_USERS = ("nova", "neutron", "cinder", "glance", "placement", "tricircle")
PEOPLE = ("admin", "demo", "reader", "other")
ENGINES = ("mariadb", "rabbitmq", "postgresql", "cinder_key")


def make_secrets() -> dict[str, str]:
    """A new password for each user and engine."""
    names = (*SERVICE_USERS, *PEOPLE, *ENGINES)
    return {name: secrets.token_hex(16) for name in names}


def read_secrets(path: Path) -> dict[str, str]:
    """The passwords of the lab the file belongs to."""
    found: dict[str, str] = json.loads(path.read_text())
    return found


def write_secrets(path: Path, passwords: dict[str, str]) -> None:
    write_private(path, json.dumps(passwords, indent=1))
