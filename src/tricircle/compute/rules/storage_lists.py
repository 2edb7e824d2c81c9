"""``GET /os-volumes`` and ``/os-snapshots``: what all pods' Cinders have, as Nova shows it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from tricircle.core.bodies import encode
from tricircle.core.errors import PodMisbehaved, ServiceUnavailable
from tricircle.core.model import Pod, PodId
from tricircle.core.slices import (
    LARGEST,
    Slice,
    merge_newest_first,
    read_rows,
    read_slice,
    slice_query,
)
from tricircle.core.table import Match
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.usecases.fanout import Done, Failed, fan_out

log = logging.getLogger(__name__)

_OF_THIS_POD_ONLY = frozenset({401, 404})
Rows = Sequence[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How long a list may take, and whether it may lack pods."""

    timeout_s: float
    partial: bool


class StorageLists:
    """Merges the slices of lists that have no sort keys and no markers."""

    def __init__(
        self, forwarder: Forwarder, any_pod: AnyPod, profile: Profile, options: ListOptions
    ) -> None:
        self._forwarder, self._any_pod = forwarder, any_pod
        self._profile, self._options = profile, options

    async def volumes(self, inbound: Inbound, match: Match) -> Answer:
        """Return the volumes of all pods, the newest first."""
        return await self._list(inbound, "volumes", ("volumes[].availabilityZone",))

    async def snapshots(self, inbound: Inbound, match: Match) -> Answer:
        """Return the snapshots of all pods, the newest first."""
        return await self._list(inbound, "snapshots", ())

    async def _list(self, inbound: Inbound, collection: str, zones: tuple[str, ...]) -> Answer:
        wanted = read_slice(inbound.query)
        if wanted is None:
            return await self._any_pod.ask(inbound)
        pods = self._any_pod.list_pods()
        asking = {pod.id: _Asking(self._forwarder, inbound, pod, collection, zones) for pod in pods}
        outcomes = await fan_out(
            {pod_id: _fetch_call(one, wanted) for pod_id, one in asking.items()},
            timeout_s=self._options.timeout_s,
        )
        refusal = _find_refusal(list(outcomes.values()))
        if refusal is not None:
            return refusal
        found = [run for run in map(_rows_of, outcomes.values()) if run is not None]
        missing = [pod for pod in pods if _rows_of(outcomes[pod.id]) is None]
        _log_missing(missing, outcomes)
        self._check(missing, found, collection)
        rows = wanted.cut(merge_newest_first(found))
        headers = [JSON, *self._profile.version_headers(inbound.version), *missing_header(missing)]
        return Answer(200, headers, encode({collection: rows}))

    def _check(self, missing: Sequence[Pod], found: Sequence[Rows], collection: str) -> None:
        if found and (self._options.partial or not missing):
            return
        if not missing:
            raise ServiceUnavailable("no pod can be asked; an operator adds one with the Admin API")
        names = ", ".join(sorted(pod.name for pod in missing))
        raise ServiceUnavailable(
            f"the list of {collection} is incomplete because these pods do not answer: "
            f"{names}; please retry later"
        )


@dataclass(frozen=True, slots=True)
class _Asking:
    """One pod asked for its part of one list."""

    forwarder: Forwarder
    inbound: Inbound
    pod: Pod
    collection: str
    zones: tuple[str, ...]

    async def fetch(self, wanted: Slice) -> Rows | Answer:
        """Return the pod's rows up to the end of the slice, or its refusal. Raises PodError."""
        rows: list[msgspec.Raw] = []
        while len(rows) < wanted.end:
            size = min(LARGEST, wanted.end - len(rows))
            query = slice_query(self.inbound.query, len(rows), size)
            outbound = replace(Outbound.of(self.inbound), query=query)
            answer = await self.forwarder.send(self.pod, outbound, self.zones)
            if answer.status != 200:
                return answer
            try:
                page = read_rows(answer.body, self.collection)
            except ValueError as error:
                raise PodMisbehaved(
                    self.pod.id, f"pod {self.pod.name} gave no usable list: {error}"
                ) from None
            rows += page
            if len(page) < size:
                break
        return rows


Outcome = Done[Rows | Answer] | Failed


def _fetch_call(asking: _Asking, wanted: Slice) -> Callable[[], Awaitable[Rows | Answer]]:
    return lambda: asking.fetch(wanted)


def _rows_of(outcome: Outcome) -> Rows | None:
    if isinstance(outcome, Failed) or isinstance(outcome.value, Answer):
        return None
    return outcome.value


def _find_refusal(outcomes: Sequence[Outcome]) -> Answer | None:
    """Return the refusal that stands for the list.

    A pod without this API or with a broken Cinder is only missing while others give rows.
    """
    refusals = [
        one.value for one in outcomes if isinstance(one, Done) and isinstance(one.value, Answer)
    ]
    told = [one for one in refusals if one.status < 500 and one.status not in _OF_THIS_POD_ONLY]
    if told:
        return told[0]
    if any(_rows_of(one) is not None for one in outcomes):
        return None
    return refusals[0] if refusals else None


def _log_missing(missing: Sequence[Pod], outcomes: Mapping[PodId, Outcome]) -> None:
    for pod in missing:
        reason = _reason_of(outcomes[pod.id])
        log.warning("pod left out of list", extra={"pod": pod.name, "reason": reason})


def _reason_of(outcome: Outcome) -> str:
    """Return why a pod gave no rows."""
    if isinstance(outcome, Failed):
        return outcome.reason
    return f"status {outcome.value.status}" if isinstance(outcome.value, Answer) else ""
