"""Keeps what a pod speaks up to date, so that nobody has to tell us of its upgrade."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from tricircle.core.endpoints import (
    OPTIONAL_SERVICES,
    REQUIRED_SERVICES,
    parse_catalogue_url,
    renew_versions,
)
from tricircle.core.errors import (
    BadInput,
    NotFound,
    PodError,
    PodMisbehaved,
    PodTimeout,
    ServiceUnavailable,
)
from tricircle.core.jobs import ProbePod
from tricircle.core.model import Endpoint, Pod, Service
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.cloud import Cloud
from tricircle.interfaces.store import PodStore
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.version_documents import explain, read_endpoint

log = logging.getLogger(__name__)

Outcomes = Mapping[Service, Done[Endpoint] | Failed]

_WITH_DOCUMENTS = (*REQUIRED_SERVICES, *OPTIONAL_SERVICES)


class PodProbe:
    """Carries out ``ProbePod``."""

    def __init__(self, cloud: Cloud, pods: PodStore, timeout_s: float) -> None:
        """``timeout_s`` bounds the whole; all services are asked at once."""
        self._cloud, self._pods = cloud, pods
        self._timeout_s = timeout_s

    async def run(self, job: ProbePod, errand: Errand) -> Outcome:
        """Write down the version ranges that have changed since they were read last.

        Raises PodError when Nova does not answer, and then changes nothing;
        ServiceUnavailable when another service does not, after the change.
        """
        try:
            pod = await self._pods.get_pod(job.pod_id)
            outcomes = await self._ask(pod)
            _require_compute(pod, outcomes)
            note = await self._keep(pod, outcomes)
        except NotFound:
            return Succeeded("the pod is gone")
        _require_others(pod, outcomes)
        return Succeeded(note)

    async def _ask(self, pod: Pod) -> Outcomes:
        return await fan_out(
            {
                service: partial(self._read, pod, endpoint)
                for service, endpoint in pod.endpoints.items()
                if service in _WITH_DOCUMENTS
            },
            timeout_s=self._timeout_s,
        )

    async def _read(self, pod: Pod, endpoint: Endpoint) -> Endpoint:
        url = parse_catalogue_url(endpoint.service, endpoint.url)
        return await read_endpoint(self._cloud, pod.id, endpoint.service, url, self._timeout_s)

    async def _keep(self, pod: Pod, outcomes: Outcomes) -> str:
        """Keep what was found; return what is different now, '' when nothing is.

        Two probes at once write the same, and what an operator changes meanwhile stays.
        """
        found = {
            service: outcome.value
            for service, outcome in outcomes.items()
            if isinstance(outcome, Done)
        }
        if renew_versions(pod.endpoints, pod.endpoints, found) == pod.endpoints:
            return _list_moved(pod, found)
        current = await self._pods.get_pod(pod.id)
        renewed = renew_versions(current.endpoints, pod.endpoints, found)
        changes = _list_changes(current.endpoints, renewed)
        if changes:
            await self._pods.update_pod(pod.id, partial(_renew, pod, found))
            facts = {"pod": pod.name, "pod_id": pod.id, "changes": changes}
            log.info("pod speaks other versions", extra=facts)
        return "; ".join(filter(None, (changes, _list_moved(pod, found))))


def _renew(asked: Pod, found: Mapping[Service, Endpoint], current: Pod) -> Pod:
    renewed = renew_versions(current.endpoints, asked.endpoints, found)
    return dataclasses.replace(current, endpoints=renewed)


def _require_compute(pod: Pod, outcomes: Outcomes) -> None:
    """Raise PodError unless Nova has answered: nothing of the pod can be done without it."""
    outcome = outcomes.get(Service.COMPUTE)
    if not isinstance(outcome, Failed):
        return
    match outcome.error:
        case PodError():
            raise outcome.error
        case TimeoutError():
            raise PodTimeout(pod.id, f"the compute service of pod {pod.name} {outcome.reason}")
        case BadInput():
            raise PodMisbehaved(
                pod.id, f"the compute service of pod {pod.name} {outcome.reason}"
            ) from outcome.error
        case _:
            raise outcome.error


def _require_others(pod: Pod, outcomes: Outcomes) -> None:
    """Raise ServiceUnavailable naming the services that have not answered."""
    silent = [
        f"{service} {_reason(outcome)}"
        for service, outcome in outcomes.items()
        if isinstance(outcome, Failed)
    ]
    if silent:
        raise ServiceUnavailable(
            f"services of pod {pod.name} do not answer: {'; '.join(silent)}; "
            f"look at them in region '{pod.region}'"
        )


def _reason(outcome: Failed) -> str:
    return explain(outcome.error) if isinstance(outcome.error, PodError) else outcome.reason


def _list_changes(old: Mapping[Service, Endpoint], new: Mapping[Service, Endpoint]) -> str:
    return "; ".join(
        f"{service} speaks {_range(endpoint)}, before {_range(old[service])}"
        for service, endpoint in new.items()
        if endpoint != old[service]
    )


def _range(endpoint: Endpoint) -> str:
    versions = endpoint.versions
    return f"{versions.minimum} to {versions.maximum}" if versions else "no microversions"


def _list_moved(pod: Pod, found: Mapping[Service, Endpoint]) -> str:
    moved: Sequence[str] = [
        f"{service} is served at {endpoint.url} now: refresh the pod"
        for service, endpoint in found.items()
        if endpoint.url != pod.endpoints[service].url
    ]
    return "; ".join(moved)
