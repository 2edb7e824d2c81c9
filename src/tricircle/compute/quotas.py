"""How Nova speaks of quotas; see ``gateway.quota_sets``."""

from __future__ import annotations

from tricircle.core.query import list_values
from tricircle.core.quota_sets import require_within
from tricircle.core.server_quotas import SERVERS
from tricircle.gateway.quota_sets import QuotaForm
from tricircle.gateway.request import Inbound


def _other_project(inbound: Inbound) -> str | None:
    return next(iter(list_values(inbound.query, "tenant_id")), None)


QUOTAS = QuotaForm(
    SERVERS,
    {
        "maxTotalInstances": "instances",
        "maxTotalCores": "cores",
        "maxTotalRAMSize": "ram",
    },
    _other_project,
    require_within,
    user="user_id",
)
