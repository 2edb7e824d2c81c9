"""Which text the databases take, and what becomes of text that they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.errors import BadInput
from tricircle.core.texts import (
    MAX_LENGTH,
    is_encodable,
    is_storable,
    make_storable,
    require_storable,
)


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 50))
def test_any_text_is_made_one_that_can_be_kept(text: str, length: int) -> None:
    made = make_storable(text, length)
    assert is_encodable(made)
    assert len(made) <= length
    if is_encodable(text[:length]):
        assert made == text[:length]


@pytest.mark.parametrize("text", ["a\0b", "\ud83e", "x" * (MAX_LENGTH + 1)])
def test_what_cannot_be_an_id_is_refused_by_name(text: str) -> None:
    assert not is_storable(text)
    with pytest.raises(BadInput, match="the id of the pod"):
        require_storable("the id of the pod", text)


@pytest.mark.parametrize("text", ["", "a", "ß漢🦀", "x" * MAX_LENGTH])
def test_what_can_be_an_id_passes(text: str) -> None:
    assert is_storable(text)
    require_storable("the id", text)
