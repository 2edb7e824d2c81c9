"""No job is lost and none is done twice, whoever dies: a telling part of it for every run.

The whole of it, with 10,000 effects and half a minute without broker, is ``make
test-faults``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.databases import make_database
from tests.xjob.disaster import OTHERS, PASSWORD, Disaster, Figures, Plan
from tricircle.adapters.sql.schema import sync_schema

SHORT = Plan(flavors=250)
WHOLE = Plan(
    flavors=5000,
    kill_every_s=5.0,
    broker_away=(20.0, 30.0),
    pod_away=(10.0, 60.0),
    deadline_s=1500.0,
)

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.database),
    pytest.param("postgresql", marks=pytest.mark.database),
]


@pytest.mark.parametrize("server", SERVERS)
async def test_every_effect_is_there_once_whoever_dies(server: str, tmp_path: Path) -> None:
    check(await run(SHORT, server, tmp_path), tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
async def test_ten_thousand_effects_are_there_once(server: str, tmp_path: Path) -> None:
    figures = await run(WHOLE, server, tmp_path)
    print(f"\n{server}: {figures}")
    check(figures, tmp_path)


async def run(plan: Plan, server: str, folder: Path) -> Figures:
    """Let a plan happen on a database of its own."""
    url = await asyncio.to_thread(make_database, server)
    await sync_schema(url)
    return await Disaster(plan, url, folder).run()


def check(figures: Figures, folder: Path) -> None:
    """Every wish has had its effect once, no job is left, and no secret is in a log."""
    assert figures.kills > 0
    for pod in OTHERS:
        assert figures.present[pod] == figures.wished
        assert set(figures.created[pod].values()) == {1}
        assert len(figures.created[pod]) == figures.plan.flavors
    assert figures.states == {"done": 3 * figures.plan.flavors}
    logs = b"".join(path.read_bytes() for path in folder.glob("*.log"))
    assert b"job done" in logs
    assert PASSWORD.encode() not in logs
