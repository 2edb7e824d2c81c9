"""Interfaces, volumes and security groups of servers."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
