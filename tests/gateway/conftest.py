"""A top in front of two simulated pods, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.simulated_top import Top, open_top
from tricircle.testing.cloud import SimulatedCloud


@pytest.fixture
async def top(tmp_path: Path) -> AsyncIterator[Top]:
    """A top of its own for each test: two pods, zones az1 and az2."""
    async with open_top(tmp_path, SimulatedCloud(("pod1", "pod2"))) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session
