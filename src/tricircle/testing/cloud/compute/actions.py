"""Actions on servers."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
