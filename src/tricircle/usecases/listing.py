"""One list out of many pods: sorted, paged, and honest about who is missing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec

from tricircle.core.cursor import Position
from tricircle.core.errors import (
    PodError,
    ServiceUnavailable,
    TricircleError,
)
from tricircle.core.merge import summarize, take_rows
from tricircle.core.model import Pod, PodId, RoutingState
from tricircle.core.paging import (
    PageAsk,
    first_ask,
    hash_list,
    is_running_low,
    next_ask,
    read_page_ask,
    sorts_by_shown_fields,
)
from tricircle.core.partial import asks_all_projects, partial_row, shows_partial_rows
from tricircle.core.sorting import UnreadableRow
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.list_call import (
    ListCall,
    ListSource,
    ListWorld,
    MergedPage,
    PodAsk,
    PodRefusal,
)
from tricircle.usecases.list_positions import Positions, Resume
from tricircle.usecases.pod_rows import PodRows

__all__ = ["ListCall", "ListWorld", "MergedPage", "PodAsk", "PodRefusal", "list_merged"]

log = logging.getLogger(__name__)

_MISSING_IF_SOME = frozenset({401, 404})
"""Statuses that say only that this one pod cannot be asked, as long as others can."""

_TELLING = (400, 403, 413, 429, 406)
"""Which refusal is shown when pods give different ones: what the caller can act on first."""


async def list_merged(
    world: ListWorld, call: ListCall, asks: Sequence[PodAsk]
) -> MergedPage | PodRefusal:
    """Return one page of what the pods of ``asks`` hold, or the pods' refusal.

    Raises BadInput and NotFound in the service's own words for a bad limit or
    marker; ServiceUnavailable naming the pods when none answers, or when one does
    not and partial lists are not wanted.
    """
    page = read_page_ask(call.listing, call.query)
    source = _make_source(world, call, alone=len(asks) == 1)
    list_hash = hash_list(call.listing, call.query, source.plan, call.project_id)
    positions = Positions(world, call, source, list_hash)
    end_s = world.clock.now_s() + world.timeout_s
    resume = await positions.find_resume(page, asks)
    merge = _Merge(world, source, resume, asks, end_s)
    refusal = await merge.fill(page)
    if refusal is not None:
        return refusal
    return await _finish(world, call, merge, positions)


def _make_source(world: ListWorld, call: ListCall, *, alone: bool) -> ListSource:
    """Return what pods are asked: the short form itself where it is enough to sort by."""
    listing = call.listing
    plan = listing.sort_plan(call.query, call.version)
    short = alone or sorts_by_shown_fields(listing, plan)
    return ListSource(
        cloud=world.cloud,
        listing=listing,
        plan=plan,
        headers=call.headers,
        prefix=call.prefix,
        path=listing.path if short else listing.detail_path,
        shortens=bool(listing.summary) and not short,
    )


class _Merge:
    """The merge of one page: who is asked for how much, and who fell out."""

    def __init__(
        self,
        world: ListWorld,
        source: ListSource,
        resume: Resume,
        asks: Sequence[PodAsk],
        end_s: float,
    ) -> None:
        self._world, self._source, self._resume, self._end_s = world, source, resume, end_s
        self.pods = [
            PodRows(source, ask, resume.position_of(ask.pod.id), resume.values) for ask in asks
        ]
        self.rows: list[tuple[PodRows, msgspec.Raw]] = []
        self.missing: dict[PodId, Pod] = {}
        self._limit = 0

    async def fill(self, page: PageAsk) -> PodRefusal | None:
        """Collect the rows of one page; return a refusal that stands for the whole list."""
        self._limit = page.limit
        skip, size = page.offset, min(page.offset + page.limit, self._largest)
        first = first_ask(size, len(self.pods))
        refusal = await self._ask(dict.fromkeys(self.pods, first))
        while refusal is None and len(self.rows) < page.limit:
            need = min(skip + page.limit - len(self.rows), self._largest)
            taken = self._take(need)
            self.rows += taken[skip:]
            skip -= min(skip, len(taken))
            if len(taken) < need:
                hungry = self._choose_hungry(need - len(taken))
                if not hungry:
                    break
                refusal = await self._ask(hungry)
        return refusal

    def is_full(self) -> bool:
        """Tell whether the service would give a ``next`` link after this page."""
        return self._source.listing.is_full(len(self.rows), self._limit, self.count())

    def make_items(self, call: ListCall) -> list[bytes]:
        """Return the page's items as the client sees them."""
        source = self._source
        if not source.shortens:
            return [call.edit(pod.ask.pod, bytes(row)) for pod, row in self.rows]
        items = []
        for pod, row in self.rows:
            try:
                items.append(call.edit(pod.ask.pod, summarize(source.listing, row)))
            except UnreadableRow as error:
                self._leave_out(pod, str(error))
        return items

    def count(self) -> int | None:
        """Return the number of rows of all pages, when pods were asked to count."""
        counts = [pod.count for pod in self.pods if pod.count is not None]
        return sum(counts) if counts else None

    def positions(self) -> dict[PodId, Position]:
        """Return where each pod stands after the page, also those that did not take part."""
        known = {
            pod_id: replace(at, values=at.values or self._resume.values)
            for pod_id, at in self._resume.positions.items()
        }
        late = self._ends_late()
        for pod in self.pods:
            pod_id = pod.ask.pod.id
            position = pod.position(alone=late or pod_id in self.missing)
            known.pop(pod_id, None)
            if position is not None:
                known[pod_id] = position
        return known

    def _ends_late(self) -> bool:
        """Tell whether the page ends before a place that some pod has passed already.

        So it does while a pod that was missing is back and gives the rows it owes.
        Then the page's last row says nothing about where the other pods stand.
        """
        plan, resume = self._source.plan, self._resume
        last = plan.values_of(self.rows[-1][1])
        passed = [resume.values, *(at.values for at in resume.positions.values())]
        known = [values for values in passed if values is not None and plan.fits(values)]
        if last is None or not known:
            return False
        return bool(plan.key_of_values(last) < max(map(plan.key_of_values, known)))

    @property
    def _largest(self) -> int:
        return self._source.listing.max_limit

    def _take(self, need: int) -> list[tuple[PodRows, msgspec.Raw]]:
        taken = take_rows([pod.run for pod in self.pods], self._source.plan, need)
        for pod in self.pods:
            if pod.run.broken is not None:
                self._leave_out(pod, f"a row that cannot be read: {pod.run.broken}")
                pod.run.broken = None
        return [(self.pods[place], row) for place, row in taken]

    def _choose_hungry(self, need: int) -> dict[PodRows, int]:
        """Return whom to ask for how much: who ran out, and who is about to."""
        if not any(pod.run.starving for pod in self.pods):
            return {}
        live = [pod for pod in self.pods if pod.run.more]
        return {
            pod: next_ask(need, pod.last_ask)
            for pod in live
            if pod.run.starving or is_running_low(pod.run.left, need, len(live))
        }

    async def _ask(self, sizes: dict[PodRows, int]) -> PodRefusal | None:
        if not sizes:
            return None
        left_s = max(0.0, self._end_s - self._world.clock.now_s())
        outcomes = await fan_out(
            {pod: _fetch_call(pod, size, left_s) for pod, size in sizes.items()}, timeout_s=left_s
        )
        refusals: list[tuple[PodRows, PodRefusal]] = []
        for pod, outcome in outcomes.items():
            match outcome:
                case Done(None):
                    pass
                case Done(PodRefusal() as refusal):
                    refusals.append((pod, refusal))
                case Failed():
                    self._note_failure(pod, outcome)
        return self._judge(refusals)

    def _note_failure(self, pod: PodRows, failed: Failed) -> None:
        error = failed.error
        if isinstance(error, TricircleError) and not isinstance(error, PodError):
            raise error
        self._leave_out(pod, failed.reason)

    def _judge(self, refusals: Sequence[tuple[PodRows, PodRefusal]]) -> PodRefusal | None:
        """Return the refusal that stands for the list; others leave their pods out.

        A filter that one release does not know, or a policy that differs, must not
        turn into a list that is merely shorter: the refusal is the answer. That a pod
        does not take the token or has no such API concerns the pod alone, unless
        every pod that answers says so.
        """
        if not refusals:
            return None
        worst = min((refusal for _, refusal in refusals), key=_telling_rank)
        refused = {pod.ask.pod.id for pod, _ in refusals}
        answered = [pod for pod in self.pods if pod.ask.pod.id not in {*refused, *self.missing}]
        if worst.status not in _MISSING_IF_SOME or not answered:
            return worst
        for pod, refusal in refusals:
            self._leave_out(pod, f"status {refusal.status}")
        return None

    def _leave_out(self, pod: PodRows, reason: str) -> None:
        pod.run.stop()
        if pod.ask.pod.id not in self.missing:
            log.warning("pod left out of list", extra={"pod": pod.ask.pod.name, "reason": reason})
        self.missing[pod.ask.pod.id] = pod.ask.pod


def _fetch_call(
    pod: PodRows, size: int, timeout_s: float
) -> Callable[[], Awaitable[PodRefusal | None]]:
    return lambda: pod.fetch(size, timeout_s)


def _telling_rank(refusal: PodRefusal) -> tuple[int, int, str]:
    status = refusal.status
    if status in _MISSING_IF_SOME:
        return (len(_TELLING) + 1, -status, refusal.pod.name)
    rank = _TELLING.index(status) if status in _TELLING else len(_TELLING)
    return (rank, status, refusal.pod.name)


async def _finish(
    world: ListWorld, call: ListCall, merge: _Merge, positions: Positions
) -> MergedPage:
    items = merge.make_items(call)
    missing = sorted(merge.missing.values(), key=lambda pod: pod.name)
    nobody = len(missing) == len(merge.pods)
    # Whether the caller may see every project's rows is for a pod to say.
    allowed = not (nobody and asks_all_projects(call.query))
    room = call.listing.max_limit - len(items)
    rows = await _partial_rows(world, call, missing, room) if allowed else []
    if missing and (not world.partial or (nobody and not rows)):
        names = ", ".join(pod.name for pod in missing)
        raise ServiceUnavailable(
            f"the list of {call.listing.collection} is incomplete because these pods do not "
            f"answer: {names}; please retry later"
        )
    next_query = None
    if merge.is_full():
        next_query = await positions.keep(merge.rows[-1][1], merge.positions())
    return MergedPage([*rows, *items], next_query, missing, merge.count())


async def _partial_rows(
    world: ListWorld, call: ListCall, missing: Sequence[Pod], room: int
) -> list[bytes]:
    """Return rows for what the missing pods hold, where the service would show such."""
    if not missing or not shows_partial_rows(call.listing, call.query, call.version):
        return []
    everyone = asks_all_projects(call.query)
    if not everyone and call.project_id is None:
        return []
    rows: list[bytes] = []
    for pod in missing:
        if len(rows) >= room:
            break
        routings = await world.routings.list_routings(
            kind=call.listing.kind,
            pod_id=pod.id,
            project_id=None if everyone else call.project_id,
            state=RoutingState.ACTIVE,
            limit=room - len(rows),
        )
        rows += [partial_row(call.listing, routing, call.roots) for routing in routings]
    return rows
