"""What a job worker tells a Prometheus that asks.

How many jobs wait, run and have failed is read from the database, so any worker
tells it for all of them; how long runs took is counted by the process that ran them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from tricircle.core.jobs import Job, pod_of
from tricircle.core.model import PodId
from tricircle.core.runs import JobState, Outcome
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.jobs import JobCount, JobRecords

FRESH_S = 5.0
"""For so long what was read from the database is told again."""

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that makes several processes share their counts, in files of this folder."""

_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LABELS = ("kind", "pod")
_STATES = {JobState.NEW: "waiting", JobState.RUNNING: "running", JobState.FAILED: "failed"}


class Metrics:
    """Counts runs, and gives everything in Prometheus' text form."""

    def __init__(self, records: JobRecords, name_pod: Callable[[PodId], str], clock: Clock) -> None:
        """``name_pod`` gives the name under which operators know a pod."""
        self._records, self._name_pod, self._clock = records, name_pod, clock
        self._own = CollectorRegistry()
        self._seconds = Histogram(
            "tricircle_job_run_seconds",
            "How long runs of jobs took, by how they ended.",
            (*_LABELS, "outcome"),
            buckets=_BUCKETS_S,
            registry=self._own,
        )
        self._counts: Sequence[JobCount] = ()
        self._read_s: float | None = None

    def end(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """Count a run that is over, and how long it took."""
        ending = type(outcome).__name__.lower()
        self._seconds.labels(job.kind, self._name(pod_of(job)), ending).observe(seconds)

    async def write(self) -> bytes:
        """Return all metrics. Raises ServiceUnavailable when the database is away."""
        if self._read_s is None or self._clock.now_s() - self._read_s >= FRESH_S:
            self._counts = await self._records.count_jobs()
            self._read_s = self._clock.now_s()
        registry = CollectorRegistry()
        registry.register(self)
        runs = self._own
        if os.environ.get(MULTIPROCESS):
            runs = CollectorRegistry()
            multiprocess.MultiProcessCollector(runs)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(runs)

    def collect(self) -> Iterable[Metric]:
        """Return what was read from the database, as prometheus_client asks for it."""
        for state, word in _STATES.items():
            jobs = GaugeMetricFamily(
                f"tricircle_jobs_{word}", f"Jobs that are {word} now.", labels=_LABELS
            )
            oldest = GaugeMetricFamily(
                f"tricircle_jobs_{word}_oldest_seconds",
                f"For how long the oldest of these jobs has been {word}.",
                labels=_LABELS,
            )
            for count in self._counts:
                if count.state is state:
                    labels = (count.kind, self._name(count.pod_id))
                    jobs.add_metric(labels, count.count)
                    oldest.add_metric(labels, count.oldest_s)
            yield jobs
            yield oldest

    def _name(self, pod_id: PodId | None) -> str:
        return "" if pod_id is None else self._name_pod(pod_id)
