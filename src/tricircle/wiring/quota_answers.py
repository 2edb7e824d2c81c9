"""The answers about quotas, joined for a gateway."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.gateway.aggregating import Aggregator
from tricircle.gateway.engine import ComposedAnswer
from tricircle.gateway.quota_sets import QuotaForm, QuotaSetAnswers, QuotaTools
from tricircle.wiring.gateway import Base
from tricircle.wiring.quotas import CountedQuotas


def make_quota_answers(
    base: Base, form: QuotaForm, counted: CountedQuotas
) -> Mapping[str, ComposedAnswer]:
    """Return them by the names that the tables use."""
    tools = QuotaTools(base.stores.quota_limits, counted.quotas, counted.counting, base.requests)
    aggregator = Aggregator(base.asker, base.profile)
    return QuotaSetAnswers(form, base.asker, aggregator, tools).answers()
