"""Metadata, tags, addresses and the logs of servers."""

from typing import Any

ROUTES: tuple[Any, ...] = ()
