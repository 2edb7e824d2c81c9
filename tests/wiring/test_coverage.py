"""The coverage page tells what the tables hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricircle.compute.routes import ROWS as COMPUTE_ROWS
from tricircle.volume.routes import ROWS as VOLUME_ROWS
from tricircle.wiring.coverage import coverage_page, main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api-coverage.md"


def test_the_page_in_the_documentation_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == coverage_page(), "run make coverage-page"


def test_every_operation_is_on_the_page() -> None:
    lines = coverage_page().splitlines()
    for row in (*COMPUTE_ROWS, *VOLUME_ROWS):
        assert any(line.startswith(f"| {row.method} | `{row.path}` |") for line in lines)


def test_the_counts_of_a_service_add_up() -> None:
    line = next(line for line in coverage_page().splitlines() if line.startswith("| Compute"))
    total, *parts = (int(cell) for cell in line.split("|")[2:-1])
    assert total == sum(parts) == len(COMPUTE_ROWS)


def test_the_page_is_written_to_the_file_named(tmp_path: Path) -> None:
    written = tmp_path / "page.md"
    assert main([str(written)]) == 0
    assert written.read_text(encoding="utf-8") == coverage_page()


def test_without_a_file_the_page_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == coverage_page()
