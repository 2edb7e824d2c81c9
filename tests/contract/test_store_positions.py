"""What every store promises about list positions."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.samples import Stores
from tricircle.core.errors import BadInput

EXPIRED_S = -1.0


async def test_a_position_is_found_as_kept(stores: Stores) -> None:
    position = bytes(range(256)) * 400  # more than 64 KiB, as 1,000 pods may need
    await stores.positions.keep_position("key", position, 60)
    assert await stores.positions.find_position("key") == position


async def test_an_unknown_key_finds_nothing(stores: Stores) -> None:
    await stores.positions.keep_position("key", b"x", 60)
    for key in ("KEY", "key ", "other", "nul\0", "x" * 300):
        assert await stores.positions.find_position(key) is None


async def test_a_newer_position_replaces_the_older_and_its_time(stores: Stores) -> None:
    await stores.positions.keep_position("key", b"old", EXPIRED_S)
    await stores.positions.keep_position("key", b"new", 60)
    assert await stores.positions.find_position("key") == b"new"


async def test_an_expired_position_is_not_found(stores: Stores) -> None:
    await stores.positions.keep_position("key", b"x", EXPIRED_S)
    assert await stores.positions.find_position("key") is None


async def test_a_purge_deletes_what_has_expired_and_nothing_else(stores: Stores) -> None:
    for number in range(3):
        await stores.positions.keep_position(f"old-{number}", b"x", EXPIRED_S)
    await stores.positions.keep_position("new", b"y", 60)
    assert await stores.positions.purge_positions() == 3
    assert await stores.positions.purge_positions() == 0
    assert await stores.positions.find_position("new") == b"y"


async def test_purges_at_the_same_time_delete_each_position_once(stores: Stores) -> None:
    for number in range(20):
        await stores.positions.keep_position(f"old-{number}", b"x", EXPIRED_S)
    purged = await asyncio.gather(*(stores.positions.purge_positions() for _ in range(4)))
    assert sum(purged) == 20


async def test_a_key_that_cannot_be_kept_is_refused(stores: Stores) -> None:
    with pytest.raises(BadInput, match="key of the list position"):
        await stores.positions.keep_position("k" * 256, b"x", 60)
