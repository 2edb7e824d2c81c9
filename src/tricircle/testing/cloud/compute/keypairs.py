"""Key pairs."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
