"""Zones, limits and extensions."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
