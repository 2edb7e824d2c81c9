"""Every case of the YAML files, one test each."""

from __future__ import annotations

import pytest

from tests.api.cases import Case, Outcome, list_cases
from tests.api.conftest import Suites

CASES = list_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_top_answers_as_the_case_says(suites: Suites, case: Case) -> None:
    outcome = Outcome()
    suites.get(case.service, case.file)[case.number].run(outcome)
    if outcome.error is not None:
        raise outcome.error
    assert not outcome.skipped, "a case that is not sent proves nothing"
