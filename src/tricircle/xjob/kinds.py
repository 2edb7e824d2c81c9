"""Every kind of job and who carries it out: one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from tricircle.core.jobs import (
    Errand,
    J,
    Job,
    Outcome,
)

Run = Callable[[Job, Errand], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Who carries out jobs of a class; with ``every_s`` they are repeated for ever."""

    job_class: type[Job]
    run: Run
    every_s: float | None = None


def kind(
    job_class: type[J],
    run: Callable[[J, Errand], Awaitable[Outcome]],
    every_s: float | None = None,
) -> Kind:
    """Return the kind; ``run`` takes jobs of that class and no others."""
    return Kind(job_class, cast(Run, run), every_s)


def by_name(*kinds: Kind) -> Mapping[str, Kind]:
    """Return kinds by the name under which jobs are kept."""
    return {each.job_class.kind: each for each in kinds}
