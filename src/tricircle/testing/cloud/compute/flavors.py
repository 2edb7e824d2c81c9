"""Flavors."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
