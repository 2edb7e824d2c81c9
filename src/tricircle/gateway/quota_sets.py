"""``/os-quota-sets`` and ``/os-quota-class-sets``: limits that the top holds, shown and set.

A pod is asked as the client asks: it judges the caller, the project and the form of the
request, and shows every limit that it checks by itself. What the top counts over all
pods is put in its place, and every pod is given what was set; see ``usecases.quota_carrying``.
What differs between Nova and Cinder is in a ``QuotaForm``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

import msgspec

from tricircle.core.bodies import check_object
from tricircle.core.errors import MalformedBody, PodDead, ServiceUnavailable
from tricircle.core.jobs import CarryQuota, CarryQuotaClass, Job
from tricircle.core.joining import How, Joint, Rule
from tricircle.core.model import ProjectId
from tricircle.core.query import list_values
from tricircle.core.quota_sets import Bounds, leave_out, lift, read_setting, show
from tricircle.core.quotas import (
    DEFAULT_CLASS,
    UNLIMITED,
    WHOLE,
    Amounts,
    Counting,
    Holder,
    Standing,
)
from tricircle.core.table import Aggregate, Match
from tricircle.gateway.aggregating import Aggregator
from tricircle.gateway.answers import Answer
from tricircle.gateway.asking import Asker, Heard
from tricircle.gateway.engine import ComposedAnswer
from tricircle.gateway.forward import Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.request import Inbound
from tricircle.interfaces.quotas import QuotaLimits
from tricircle.usecases.counting import UsageCount
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.quotas import Quotas

_SET = "quota_set"
_CLASS = "quota_class_set"
_LIMITS = Aggregate(
    Joint((
        Rule("limits.absolute.total*", How.SUM),
        Rule("limits.absolute.max*", How.LARGEST),
    ))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuotaForm:
    """How a service speaks of its quotas.

    ``maxima`` says which keys of ``GET /limits`` show which limit, ``other_project`` which
    project it is asked for where that is not the caller's.
    ``require_within`` raises BadInput for limits that may not be set. ``user`` is the
    parameter that names a user with limits of its own, '' where users have none. A class has
    what it does not say of the default class, where ``inherits``. ``texts`` tells whether a
    limit of a project may be given as a text.
    """

    counting: Counting
    maxima: Mapping[str, str]
    other_project: Callable[[Inbound], str | None]
    require_within: Callable[[Amounts, Bounds, bool], None]
    user: str = ""
    inherits: bool = False
    texts: bool = True


@dataclass(frozen=True, slots=True)
class QuotaTools:
    """What the answers are made with."""

    limits: QuotaLimits
    quotas: Quotas
    counting: UsageCount
    requests: JobRequests


class QuotaSetAnswers:
    """Answers the requests of quota sets and classes. One for each gateway."""

    def __init__(
        self, form: QuotaForm, asker: Asker, aggregator: Aggregator, tools: QuotaTools
    ) -> None:
        self._form, self._service = form, form.counting.service
        self._asker, self._aggregator, self._tools = asker, aggregator, tools

    def answers(self) -> dict[str, ComposedAnswer]:
        """Return the answers by the names that tables use."""
        return {
            "show_limits": self.show_limits,
            "show_quotas": self.show,
            "show_quota_details": self.show_detail,
            "show_quota_defaults": self.show_defaults,
            "update_quotas": self.update,
            "delete_quotas": self.delete,
            "show_quota_class": self.show_class,
            "update_quota_class": self.update_class,
        }

    async def show_limits(self, inbound: Inbound, match: Match) -> Answer:
        """Return the limits of a project with what it uses in all pods (``GET /limits``)."""
        answer = await self._aggregator.aggregate(inbound, _LIMITS)
        project_id = self._form.other_project(inbound) or inbound.caller.project_id
        if answer.status >= 300 or project_id is None:
            return answer
        limits = await self._limits(Holder(self._service, ProjectId(project_id)))
        maxima = {key: limits[name] for key, name in self._form.maxima.items()}
        return replace(answer, body=show(answer.body, "limits.absolute", maxima.get, ""))

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's quota set with the limits of the top.

        Cinder shows what is used, too, when it is asked so.
        """
        if list_values(inbound.query, "usage"):
            return await self.show_detail(inbound, match)
        answer = await self._asker.ask_first(Outbound.of(inbound))
        if answer.status >= 300:
            return answer
        return self._shown(answer, await self._limits(self._holder(inbound, match)))

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
        limits = await self._limits(self._holder(inbound, match))
        body = self._shown(first, limits).body
        for part in ("in_use", "reserved"):
            body = show(body, _SET, self._sum_used(heard, part).get, part)
        return replace(first, headers=[*first.headers, *missing_header(heard.silent)], body=body)

    async def show_defaults(self, inbound: Inbound, match: Match) -> Answer:
        """Return a pod's default quota set with the limits of the top."""
        answer = await self._asker.ask_first(Outbound.of(inbound))
        if answer.status >= 300:
            return answer
        standing = await self._tools.quotas.find_standing(self._holder(inbound, match))
        defaults = Standing(defaults=standing.defaults)
        return self._shown(answer, self._tools.quotas.limits_of(defaults).project)

    async def update(self, inbound: Inbound, match: Match) -> Answer:
        """Set limits of a project, or of a user in it, here and in every pod.

        Raises BadInput in the service's words for a limit that is out of bounds.
        """
        holder = self._holder(inbound, match)
        setting = read_setting(inbound.body, _SET, texts=self._form.texts)
        counted = self._form.counting.of(setting.amounts)
        if counted and setting.is_sound and not setting.forces and _is_admin(inbound):
            await self._require_within(holder, counted, inbound.request_id)
        body = inbound.body
        if counted and holder.user_id:
            body = leave_out(body, _SET, counted)
        elif counted:
            body = lift(body, _SET, _limiting(counted))
        answer = await self._ask_one(inbound, body)
        if answer.status >= 300:
            return answer
        await self._tools.limits.put_limits(holder, setting.amounts)
        await self._carry(inbound, holder)
        return self._shown(answer, await self._limits(holder))

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Forget limits of a project, or of a user in it, here and in every pod."""
        answer = await self._ask_one(inbound, inbound.body)
        if answer.status < 300:
            holder = self._holder(inbound, match)
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
        counted = _limiting(self._form.counting.of(setting.amounts))
        body = lift(inbound.body, _CLASS, counted) if counted else inbound.body
        answer = await self._ask_one(inbound, body)
        if answer.status >= 300:
            return answer
        service, name = self._service, _named(match)
        await self._tools.limits.put_class(service, name, setting.amounts)
        await self._submit(
            [CarryQuotaClass(pod.id, service.value, name) for pod in self._asker.pods()],
            inbound,
        )
        return await self._class_shown(answer, match)

    async def _class_shown(self, answer: Answer, match: Match) -> Answer:
        find_class = self._tools.limits.find_class
        limits = await find_class(self._service, _named(match))
        if self._form.inherits:
            limits = {**await find_class(self._service, DEFAULT_CLASS), **limits}
        in_class = self._tools.quotas.limits_of(Standing(defaults=limits)).project
        return replace(answer, body=show(answer.body, _CLASS, self._value_of(in_class), ""))

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
            standing.project,
            shared,
            standing.user,
            standing.used.get(holder.user_id, {}),
        )
        self._form.require_within(counted, bounds, holder.user_id != WHOLE)

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

    def _holder(self, inbound: Inbound, match: Match) -> Holder:
        """Return whose quota set the path and the query name."""
        users = list_values(inbound.query, self._form.user) if self._form.user else []
        return Holder(self._service, ProjectId(_named(match)), (*users, WHOLE)[0])

    def _shown(self, answer: Answer, limits: Amounts) -> Answer:
        return replace(answer, body=show(answer.body, _SET, self._value_of(limits), "limit"))

    def _value_of(self, limits: Amounts) -> Callable[[str], int | None]:
        def value_of(name: str) -> int | None:
            return limits.get(name, UNLIMITED) if self._form.counting.has(name) else None

        return value_of

    def _sum_used(self, heard: Heard, part: str) -> Amounts:
        """Return what pods show as used, added up."""
        used: dict[str, int] = {}
        for one in heard.good:
            details = _read_details(one.answer.body)
            for name, detail in details.items():
                value = detail.get(part) if isinstance(detail, dict) else None
                if isinstance(value, int) and self._form.counting.has(name):
                    used[name] = used.get(name, 0) + value
        return used


def _read_details(body: bytes) -> dict[str, object]:
    try:
        details = msgspec.json.decode(check_object(body)[_SET])
    except (MalformedBody, KeyError):
        return {}
    return details if isinstance(details, dict) else {}


def _named(match: Match) -> str:
    """Return the project or class that a path is about: its last parameter."""
    return unquote([*match.params.values()][-1])


def _limiting(amounts: Amounts) -> Sequence[str]:
    """Return what is not unlimited already."""
    return [name for name, limit in amounts.items() if limit != UNLIMITED]


def _is_admin(inbound: Inbound) -> bool:
    return "admin" in inbound.caller.roles
