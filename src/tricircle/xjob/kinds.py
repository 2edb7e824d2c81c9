"""Every kind of job and who carries it out: one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from tricircle.core.jobs import (
    CarryLimits,
    CarryQuota,
    CarryQuotaClass,
    CountUsage,
    DeleteServerGroup,
    DeleteStrayPort,
    J,
    Job,
    KeepSparePorts,
    MeasureNode,
    ProbePod,
    Purge,
    ReleasePort,
    ReleaseServer,
    RepairPort,
    RepairSparePort,
    RepairTwin,
    Replicate,
    SweepPod,
    SweepTwins,
    SweepUsage,
)
from tricircle.core.runs import Errand, Outcome
from tricircle.usecases.counting import CountJobs
from tricircle.usecases.nodes import NodeSurvey
from tricircle.usecases.pod_sweep import PodSweep
from tricircle.usecases.probing import PodProbe
from tricircle.usecases.purging import Purging
from tricircle.usecases.quota_carrying import LimitsOfPods, QuotaCarrying
from tricircle.usecases.release import ReleaseJobs
from tricircle.usecases.repair import Repair
from tricircle.usecases.replication import Replication
from tricircle.usecases.server_group_removal import ServerGroupRemoval
from tricircle.usecases.spare_ports import SpareKeeper
from tricircle.usecases.sweep import Sweep

SEARCH_TIMEOUT_S = 6 * 3600.0
"""Seconds for a search through everything; a million ports take some hours."""

Run = Callable[[Job, Errand], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Who carries out jobs of a class; with ``every_s`` they are repeated for ever.

    ``timeout_s`` is how long a run may take where that is not [xjob] job_timeout_s.
    """

    job_class: type[Job]
    run: Run
    every_s: float | None = None
    timeout_s: float | None = None


def kind(
    job_class: type[J],
    run: Callable[[J, Errand], Awaitable[Outcome]],
    every_s: float | None = None,
    timeout_s: float | None = None,
) -> Kind:
    """Return the kind; ``run`` takes jobs of that class and no others."""
    return Kind(job_class, cast(Run, run), every_s, timeout_s)


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who carries out jobs."""

    releases: ReleaseJobs
    repair: Repair
    sweep: Sweep
    spares: SpareKeeper
    group_removal: ServerGroupRemoval
    replication: Replication
    pod_sweep: PodSweep
    counting: CountJobs
    carrying: QuotaCarrying
    limits: LimitsOfPods
    survey: NodeSurvey
    probe: PodProbe
    purging: Purging


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between runs of the kinds that are repeated for ever."""

    sweep_s: float
    measure_s: float
    probe_s: float
    purge_s: float
    usage_s: float


def make_kinds(handlers: Handlers, intervals: Intervals) -> Mapping[str, Kind]:
    """Return all kinds by the name under which their jobs are kept."""
    return by_name(
        kind(ReleaseServer, handlers.releases.release_server),
        kind(ReleasePort, handlers.releases.release_port),
        kind(RepairPort, handlers.repair.run),
        kind(RepairTwin, handlers.repair.run),
        kind(DeleteStrayPort, handlers.repair.run),
        kind(RepairSparePort, handlers.repair.run),
        kind(KeepSparePorts, handlers.spares.run),
        kind(DeleteServerGroup, handlers.group_removal.run),
        kind(Replicate, handlers.replication.run),
        kind(SweepPod, handlers.pod_sweep.run, intervals.sweep_s, SEARCH_TIMEOUT_S),
        kind(SweepTwins, handlers.sweep.run, intervals.sweep_s, SEARCH_TIMEOUT_S),
        kind(CountUsage, handlers.counting.count),
        kind(CarryQuota, handlers.carrying.carry),
        kind(CarryQuotaClass, handlers.carrying.carry_class),
        kind(CarryLimits, handlers.limits.fill),
        kind(SweepUsage, handlers.counting.sweep, intervals.usage_s),
        kind(MeasureNode, handlers.survey.run, intervals.measure_s),
        kind(ProbePod, handlers.probe.run, intervals.probe_s),
        kind(Purge, handlers.purging.run, intervals.purge_s),
    )


def by_name(*kinds: Kind) -> Mapping[str, Kind]:
    """Return kinds by the name under which jobs are kept."""
    return {each.job_class.kind: each for each in kinds}
