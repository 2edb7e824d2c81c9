"""Every kind is carried out by somebody, and written down for operators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tricircle.core.jobs import JOB_CLASSES, Job, field_names
from tricircle.xjob import kinds

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "jobs.md"


@pytest.mark.parametrize("job_class", JOB_CLASSES, ids=lambda each: each.kind)
def test_a_kind_has_its_line_in_the_reference_with_its_fields(job_class: type[Job]) -> None:
    line = re.search(rf"^\| `{job_class.kind}` \| (.*?) \|", PAGE.read_text(), re.M)
    assert line is not None
    assert tuple(re.findall(r"`(\w+)`", line[1])) == field_names(job_class)


def test_the_reference_says_of_which_kinds_operators_may_ask() -> None:
    text = PAGE.read_text()
    sentence = re.search(r"Operators may ask for all of them but (.*?);", text, re.S)
    assert sentence is not None
    refused = {job_class.kind for job_class in JOB_CLASSES if not job_class.for_operators}
    assert set(re.findall(r"`(\w+)`", sentence[1])) == refused


def test_every_kind_is_carried_out_by_somebody() -> None:
    source = Path(kinds.__file__).read_text()
    carried_out = re.findall(r"^        kind\((\w+), handlers\.", source, re.M)
    assert sorted(carried_out) == sorted(job_class.__name__ for job_class in JOB_CLASSES)
