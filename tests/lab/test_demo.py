"""The first thing a newcomer runs."""

from __future__ import annotations

import pytest

from tests.lab.conftest import lab_command

pytestmark = pytest.mark.lab


def test_the_demo_runs_through_and_says_where_each_thing_landed() -> None:
    told = lab_command("demo")
    assert "pod1" in told
    assert "pod2" in told
    assert "openstack server list" in told
