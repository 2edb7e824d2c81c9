"""Volume types."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
