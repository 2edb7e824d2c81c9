"""What make says of its runs is what pytest said."""

from __future__ import annotations

import pytest

from house.runs import Run, counts_of, show_totals, summary_of


def run(summary: str, status: int = 0) -> Run:
    return Run("tests", summary, status, 1.5)


def test_the_last_summary_line_is_found_without_colours_and_rules() -> None:
    lines = [
        "======== 3 passed in 0.10s ========\n",
        "\x1b[32m==== \x1b[1m12 passed\x1b[0m, \x1b[33m1 warning\x1b[0m in 61.20s (0:01:01) ====\n",
        "leaked: a word after the end\n",
    ]
    assert summary_of(lines) == "12 passed, 1 warning in 61.20s (0:01:01)"


@pytest.mark.parametrize("line", ["= no tests ran in 0.01s =", "5 deselected in 0.02s"])
def test_a_run_without_tests_has_a_summary_too(line: str) -> None:
    assert summary_of([line]) == line.strip("= ")


def test_output_without_a_summary_has_none() -> None:
    assert summary_of(["collecting ...", "Killed"]) == ""


def test_counts_are_kept_by_word() -> None:
    counts = counts_of("1 failed, 20 passed, 3 skipped, 2 errors in 3.20s")
    assert counts == {"failed": 1, "passed": 20, "skipped": 3, "error": 2}


def test_a_run_that_pytest_calls_good_is_good() -> None:
    assert run("20 passed, 4 deselected in 3.2s").passed


@pytest.mark.parametrize("word", ["skipped", "xfailed", "xpassed"])
def test_a_test_that_did_not_prove_anything_fails_the_run(word: str) -> None:
    assert not run(f"20 passed, 1 {word} in 3.2s").passed


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, -9])
def test_no_exit_status_but_zero_is_good(status: int) -> None:
    assert not run("20 passed in 3.2s", status).passed


def test_the_last_line_is_the_sum_in_the_words_of_pytest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_totals([run("2 failed, 20 passed, 7 deselected in 3.2s", 1), run("7 passed in 1.0s")])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "== 2 failed, 27 passed in 3.00s =="


def test_a_run_that_was_killed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show_totals([run("", -9)])
    first, last = capsys.readouterr().out.splitlines()
    assert first == "tests: pytest gave no result"
    assert last.startswith("== no tests ran")
