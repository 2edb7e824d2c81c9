"""``/os-quota-sets`` and ``/os-quota-class-sets``: limits that the top holds, shown and set.

A pod is asked as the client asks: it judges the caller, the project and the form of the
request, and shows every limit that it checks by itself. What the top counts over all
pods is put in its place, and every pod is given what was set; see ``usecases.quota_carrying``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, unquote

from tricircle.compute.joints import LIMITS
from tricircle.core.bodies import read_value
from tricircle.core.errors import PodDead, ServiceUnavailable
from tricircle.core.jobs import CarryQuota, CarryQuotaClass, Job
from tricircle.core.model import ProjectId, Service
from tricircle.core.quota_sets import (
    Bounds,
    leave_out,
    lift,
    read_setting,
    require_within,
    show,
)
from tricircle.core.quotas import WHOLE, Amounts, Holder, Standing
from tricircle.core.server_quotas import COUNTED
from tricircle.core.table import Match
from tricircle.gateway.aggregating import Aggregator
from tricircle.gateway.answers import Answer
from tricircle.gateway.asking import Asker, Heard
from tricircle.gateway.forward import Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.request import Inbound
from tricircle.interfaces.quotas import QuotaLimits
from tricircle.usecases.counting import UsageCount
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.quotas import Quotas

_MAXIMA = {
    "instances": "maxTotalInstances",
    "cores": "maxTotalCores",
    "ram": "maxTotalRAMSize",
}
_SET = "quota_set"
_CLASS = "quota_class_set"


@dataclass(frozen=True, slots=True)
class QuotaTools:
    """What the answers are made with."""

    limits: QuotaLimits
    quotas: Quotas
    counting: UsageCount
    requests: JobRequests


class QuotaSetAnswers:
    """Answers the requests of quota sets and classes. One for each gateway."""

    def __init__(self, asker: Asker, aggregator: Aggregator, tools: QuotaTools) -> None:
        self._asker, self._aggregator, self._tools = asker, aggregator, tools

    async def show_limits(self, inbound: Inbound, match: Match) -> Answer:
        """Return the limits of a project with what it uses in all pods (``GET /limits``)."""
        answer = await self._aggregator.aggregate(inbound, LIMITS)
        project_id = _first(inbound, "tenant_id") or inbound.caller.project_id
        if answer.status >= 300 or project_id is None:
            return answer
        limits = await self._limits(Holder(Service.COMPUTE, ProjectId(project_id)))
        body = show(answer.body, "limits.absolute", _counted(limits), lambda name: _MAXIMA[name])
        return replace(answer, body=body)

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's quota set with the limits of the top."""
        answer = await self._asker.ask_first(Outbound.of(inbound))
        if answer.status >= 300:
            return answer
        return _shown(answer, await self._limits(_holder(inbound, match)))

    async def show_detail(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's quota set with the limits of the top and the use in all pods."""
        asks = [(pod, Outbound.of(inbound)) for pod in self._asker.pods()]
        heard = await self._asker.ask(asks)
        if heard.silent and not self._asker.partial:
            names = ", ".join(pod.name for pod in heard.silent)
            raise ServiceUnavailable(f"these pods do not answer: {names}; please retry later")
        if not heard.good:
            return heard.find_refusal() or await self._asker.ask_first(Outbound.of(inbound))
        first = heard.good[0].answer
        limits = await self._limits(_holder(inbound, match))
        body = show(first.body, _SET, _counted(limits), lambda name: f"{name}.limit")
        body = show(body, _SET, _sum_used(heard), lambda name: f"{name}.in_use")
        return replace(first, headers=[*first.headers, *missing_header(heard.silent)], body=body)

    async def show_defaults(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's default quota set with the limits of the top."""
        answer = await self._asker.ask_first(Outbound.of(inbound))
        if answer.status >= 300:
            return answer
        standing = await self._tools.quotas.find_standing(_holder(inbound, match))
        defaults = Standing(defaults=standing.defaults)
        return _shown(answer, self._tools.quotas.limits_of(defaults).project)

    async def update(self, inbound: Inbound, match: Match) -> Answer:
        """Set limits of a project, or of a user in it, here and in every pod.

        Raises BadInput in Nova's words for a limit that is out of bounds.
        """
        holder, setting = _holder(inbound, match), read_setting(inbound.body, _SET)
        counted = {name: setting.amounts[name] for name in COUNTED if name in setting.amounts}
        if counted and setting.is_sound and not setting.forces and _is_admin(inbound):
            await self._require_within(holder, counted, inbound.request_id)
        for_pod = leave_out if holder.user_id else lift
        answer = await self._ask_one(inbound, for_pod(inbound.body, _SET, counted))
        if answer.status >= 300:
            return answer
        await self._tools.limits.put_limits(holder, setting.amounts)
        await self._carry(inbound, holder)
        return _shown(answer, await self._limits(holder))

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Forget limits of a project, or of a user in it, here and in every pod."""
        answer = await self._ask_one(inbound, inbound.body)
        if answer.status < 300:
            holder = _holder(inbound, match)
            await self._tools.limits.forget_limits(holder)
            await self._carry(inbound, holder)
        return answer

    async def show_class(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's quota class with the limits of the top."""
        answer = await self._asker.ask_first(Outbound.of(inbound))
        return answer if answer.status >= 300 else await self._class_shown(answer, match)

    async def update_class(self, inbound: Inbound, match: Match) -> Answer:
        """Set limits of a class, here and in every pod."""
        setting = read_setting(inbound.body, _CLASS)
        counted = [name for name in COUNTED if name in setting.amounts]
        answer = await self._ask_one(inbound, lift(inbound.body, _CLASS, counted))
        if answer.status >= 300:
            return answer
        name = unquote(match.params["id"])
        await self._tools.limits.put_class(Service.COMPUTE, name, setting.amounts)
        await self._submit(
            [CarryQuotaClass(pod.id, Service.COMPUTE.value, name) for pod in self._asker.pods()],
            inbound,
        )
        return await self._class_shown(answer, match)

    async def _class_shown(self, answer: Answer, match: Match) -> Answer:
        name = unquote(match.params["id"])
        limits = await self._tools.limits.find_class(Service.COMPUTE, name)
        in_class = self._tools.quotas.limits_of(Standing(defaults=limits)).project
        return replace(answer, body=show(answer.body, _CLASS, _counted(in_class), str))

    async def _limits(self, holder: Holder) -> Amounts:
        standing = await self._tools.quotas.find_standing(holder)
        limits = self._tools.quotas.limits_of(standing)
        return limits.user if holder.user_id else limits.project

    async def _require_within(self, holder: Holder, counted: Amounts, request_id: str) -> None:
        tools = self._tools
        await tools.counting.count(holder, request_id)
        standing = await tools.quotas.find_standing(holder)
        shared = await tools.limits.sum_user_limits(holder.service, holder.project_id)
        bounds = Bounds(
            tools.quotas.limits_of(standing).project,
            shared,
            standing.user,
            standing.used.get(holder.user_id, {}),
        )
        require_within(counted, bounds, holder.user_id != WHOLE)

    async def _ask_one(self, inbound: Inbound, body: bytes) -> Answer:
        """Return what the first pod says that can be asked; one that may have acted is the last."""
        error: PodDead | None = None
        cloud = self._asker.forwarder.cloud
        outbound = replace(Outbound.of(inbound), body=body)
        for pod in sorted(self._asker.pods(), key=lambda pod: cloud.is_dead(pod.id)):
            try:
                return await self._asker.forwarder.send(pod, outbound)
            except PodDead as dead:
                error = dead
        if error is not None:
            raise error
        return await self._asker.ask_first(outbound)  # says that there is no pod

    async def _carry(self, inbound: Inbound, holder: Holder) -> None:
        service, project_id, user_id = holder.service.value, holder.project_id, holder.user_id
        await self._submit(
            [CarryQuota(pod.id, service, project_id, user_id) for pod in self._asker.pods()],
            inbound,
        )

    async def _submit(self, jobs: Sequence[Job], inbound: Inbound) -> None:
        await self._tools.requests.submit(jobs, inbound.request_id)


def _holder(inbound: Inbound, match: Match) -> Holder:
    """Return whose quota set the path and the query name."""
    project_id = ProjectId(unquote(match.params["id"]))
    return Holder(Service.COMPUTE, project_id, _first(inbound, "user_id") or WHOLE)


def _first(inbound: Inbound, parameter: str) -> str | None:
    return next(iter(parse_qs(inbound.query).get(parameter, ())), None)


def _is_admin(inbound: Inbound) -> bool:
    return "admin" in inbound.caller.roles


def _shown(answer: Answer, limits: Amounts) -> Answer:
    return replace(answer, body=show(answer.body, _SET, _counted(limits), str))


def _counted(limits: Amounts) -> Amounts:
    return {name: limits[name] for name in COUNTED}


def _sum_used(heard: Heard) -> Amounts:
    """Return what pods show as used, added up."""
    used = dict.fromkeys(COUNTED, 0)
    for one in heard.good:
        for name in COUNTED:
            value = read_value(one.answer.body, f"{_SET}.{name}.in_use")
            used[name] += value if isinstance(value, int) else 0
    return used
