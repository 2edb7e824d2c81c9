"""The table of the compute gateway lists every operation of Nova, each once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tricircle.compute.routes import ROWS, TABLE
from tricircle.core.table import Row, parameters

OPERATIONS = Path(__file__).parents[1] / "data" / "operations" / "nova.txt"


def listed_operations() -> list[str]:
    """Return each operation as ``METHOD /path``, in the order of the list."""
    return [" ".join(line.split()) for line in OPERATIONS.read_text().splitlines() if line]


def operation(row: Row) -> str:
    return f"{row.method} {row.path}"


def test_each_operation_has_exactly_one_row_and_no_row_is_invented() -> None:
    assert Counter(map(operation, ROWS)) == Counter(listed_operations())


def test_the_list_names_no_operation_twice() -> None:
    assert max(Counter(listed_operations()).values()) == 1


@pytest.mark.parametrize("row", ROWS, ids=operation)
def test_a_request_finds_its_row_and_the_values_of_its_path(row: Row) -> None:
    names = parameters(row.path)
    values = {name: f"{name}-of-a-request" for name in names}
    found = TABLE.find(row.method, row.path.format(**values))
    assert found is not None
    assert found.row is row
    assert dict(found.params) == values


@pytest.mark.parametrize(
    "path", ["/no-such-thing", "/servers/1/no-such-thing", "/servers/", "/servers//1"]
)
def test_a_path_that_nova_does_not_have_finds_no_row(path: str) -> None:
    assert TABLE.find("GET", path) is None
