"""How Cinder speaks of quotas; see ``gateway.quota_sets``."""

from __future__ import annotations

from tricircle.core.model import Version
from tricircle.core.query import list_values
from tricircle.core.volume_quotas import VOLUMES, require_within
from tricircle.gateway.quota_sets import QuotaForm
from tricircle.gateway.request import Inbound

_OF_OTHERS = Version(3, 39)
"""From here on administrators may ask for another project's limits."""


def _other_project(inbound: Inbound) -> str | None:
    if inbound.version < _OF_OTHERS or "admin" not in inbound.caller.roles:
        return None
    names = ("project_id", "tenant_id")
    return next((value for name in names for value in list_values(inbound.query, name)), None)


QUOTAS = QuotaForm(
    VOLUMES,
    {
        "maxTotalVolumes": "volumes",
        "maxTotalSnapshots": "snapshots",
        "maxTotalVolumeGigabytes": "gigabytes",
        "maxTotalBackups": "backups",
        "maxTotalBackupGigabytes": "backup_gigabytes",
    },
    _other_project,
    require_within,
    inherits=True,
    texts=False,
)
