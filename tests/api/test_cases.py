"""Every case of the YAML files, one test each."""

from __future__ import annotations

import pytest

from tests.api.cases import Case, Outcome, list_cases
from tests.api.conftest import Suites
from tests.api.places import Place
from tests.api.schemas import list_breaches

CASES = list_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_top_answers_as_the_case_and_the_service_say(
    place: Place, suites: Suites, case: Case
) -> None:
    outcome = Outcome()
    suites.get(case.service, case.file)[case.number].run(outcome)
    if outcome.error is not None:
        raise outcome.error
    assert not outcome.skipped, "a case that is not sent proves nothing"
    breaches = [each for one in place.exchanges.take() for each in list_breaches(one)]
    assert not breaches, "\n".join(breaches)
