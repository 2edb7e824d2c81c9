"""``GET /os-volumes`` and ``/os-snapshots``: what all pods' Cinders have, as Nova shows it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from tricircle.core.bodies import encode
from tricircle.core.errors import PodMisbehaved, ServiceUnavailable
from tricircle.core.model import Pod
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
from tricircle.gateway.merging import MISSING_PODS
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
        asking = {
            pod.name: _Asking(self._forwarder, inbound, pod, collection, zones) for pod in pods
        }
        outcomes = await fan_out(
            {name: _fetch_call(one, wanted) for name, one in asking.items()},
            timeout_s=self._options.timeout_s,
        )
        runs = [one.value for one in outcomes.values() if isinstance(one, Done)]
        found = [run for run in runs if not isinstance(run, Answer)]
        refusal = _find_refusal([run for run in runs if isinstance(run, Answer)], bool(found))
        if refusal is not None:
            return refusal
        missing = [name for name, one in outcomes.items() if _is_missing(name, one)]
        self._check(missing, found, collection)
        rows = wanted.cut(merge_newest_first(found))
        headers = [JSON, *self._profile.version_headers(inbound.version)]
        if missing:
            headers.append((MISSING_PODS, ",".join(sorted(missing)).encode()))
        return Answer(200, headers, encode({collection: rows}))

    def _check(self, missing: Sequence[str], found: Sequence[Rows], collection: str) -> None:
        if found and (self._options.partial or not missing):
            return
        if not missing:
            raise ServiceUnavailable("no pod can be asked; an operator adds one with the Admin API")
        raise ServiceUnavailable(
            f"the list of {collection} is incomplete because these pods do not answer: "
            f"{', '.join(sorted(missing))}; please retry later"
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


def _fetch_call(asking: _Asking, wanted: Slice) -> Callable[[], Awaitable[Rows | Answer]]:
    return lambda: asking.fetch(wanted)


def _find_refusal(refusals: Sequence[Answer], others_answer: bool) -> Answer | None:
    """Return the refusal that stands for the list.

    A pod without this API or with a broken Cinder is only missing while others give rows.
    """
    told = [one for one in refusals if one.status < 500 and one.status not in _OF_THIS_POD_ONLY]
    if told or others_answer:
        return told[0] if told else None
    return refusals[0] if refusals else None


def _is_missing(name: str, outcome: Done[Rows | Answer] | Failed) -> bool:
    reason = ""
    match outcome:
        case Failed():
            reason = outcome.reason
        case Done(Answer() as answer):
            reason = f"status {answer.status}"
    if reason:
        log.warning("pod left out of list", extra={"pod": name, "reason": reason})
    return bool(reason)
