"""What a command may conclude from the run folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import state
from lab.settings import LabError, Settings, settings_of


def settings(folder: Path, pods: int = 2, with_top: bool = True) -> Settings:
    return replace(settings_of(pods, with_top, {}), run=folder)


def test_a_lab_whose_data_are_whole_is_remembered(tmp_path: Path) -> None:
    state.write_state(settings(tmp_path, pods=3))
    assert len(state.settings_of_running(settings(tmp_path, pods=1)).pods) == 3


def test_without_whole_data_there_is_no_lab(tmp_path: Path) -> None:
    state.write_state(settings(tmp_path))
    state.forget_state(settings(tmp_path))
    with pytest.raises(LabError, match="make lab-up"):
        state.settings_of_running(settings(tmp_path))


def test_a_damaged_state_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_text('{"pods": 2')
    assert state.find_state(settings(tmp_path)) is None


def test_the_top_may_come_and_go_in_the_same_lab(tmp_path: Path) -> None:
    one = state.state_of(settings(tmp_path, with_top=True))
    assert state.is_same_lab(one, state.state_of(settings(tmp_path, with_top=False)))
    assert not state.is_same_lab(one, state.state_of(settings(tmp_path, pods=3)))
