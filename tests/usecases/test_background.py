"""Work that goes on after an answer was given."""

from __future__ import annotations

import asyncio

import pytest

from tricircle.usecases.background import Background


async def test_work_goes_on_and_its_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    background, done = Background(), asyncio.Event()

    async def fine() -> None:
        done.set()

    async def broken() -> None:
        raise ValueError("defect")

    background.start(broken())
    background.start(fine())
    await asyncio.wait_for(done.wait(), 5)
    await background.close()
    assert "background work failed" in caplog.text


async def test_what_is_too_much_is_left_to_the_sweep(caplog: pytest.LogCaptureFixture) -> None:
    background, begun = Background(limit=1), []

    async def work(name: str) -> None:
        begun.append(name)
        await asyncio.Event().wait()

    background.start(work("first"))
    background.start(work("second"))
    await asyncio.sleep(0)
    await background.close()
    assert begun == ["first"]
    assert "left to the sweep" in caplog.text
