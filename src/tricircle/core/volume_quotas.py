"""Quotas of volumes as Cinder checks them, in its own words.

After ``process_reserve_over_quota`` in cinder/quota_utils.py and ``QuotaError`` and what is
below it in cinder/exception.py (Cinder 29 and 26).
"""

from __future__ import annotations

from tricircle.core.errors import BadInput
from tricircle.core.model import Service
from tricircle.core.quota_sets import Bounds
from tricircle.core.quotas import UNLIMITED, Amounts, Counting, Excess

PER_VOLUME = "per_volume_gigabytes"
"""How large one volume may be: nothing is counted, each pod checks it."""

VOLUMES = Counting(
    Service.VOLUME,
    ("volumes", "gigabytes", "snapshots", "backups", "backup_gigabytes", "groups"),
    ("volumes_", "gigabytes_", "snapshots_"),
)

_LIMIT_EXCEEDED = {
    "snapshots": "SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded",
    "backups": "BackupLimitExceeded: Maximum number of backups allowed ({limit}) exceeded",
    "volumes": "VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for "
    "quota '{name}'.",
    "groups": "GroupLimitExceeded: Maximum number of groups allowed ({limit}) exceeded",
}
_TOO_LARGE = (
    "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. "
    "Requested {size}G, quota is {limit}G and {used}G has been consumed."
)
_BACKUP_TOO_LARGE = (
    "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes "
    "quota. Requested {size}G, quota is {limit}G and {used}G has been consumed."
)


def exceeded(excess: Excess, resource: str, size_gib: int) -> str:
    """Return why one more ``resource`` (``volumes``, ``backups``) of a size is refused."""
    for name in excess.resources:
        limit, used = excess.limits[name], excess.used.get(name, 0)
        if "gigabytes" in name:
            words = _BACKUP_TOO_LARGE if resource == "backups" else _TOO_LARGE
            return words.format(name=name, size=size_gib, limit=limit, used=used)
        if resource in name:
            return _LIMIT_EXCEEDED[resource].format(name=name, limit=limit)
    return f"UnexpectedOverQuota: Unexpected over quota on {', '.join(excess.resources)}."


def exceeded_by_growth(excess: Excess, growth_gib: int) -> str:
    """Return why a volume may not become larger; Cinder always tells the project's gigabytes."""
    limit, used = excess.limits["gigabytes"], excess.used.get("gigabytes", 0)
    return _TOO_LARGE.format(name="gigabytes", size=growth_gib, limit=limit, used=used)


def exceeds_volume(size_gib: int, limits: Amounts) -> str | None:
    """Return why no volume may be so large, None when it may be."""
    limit = limits.get(PER_VOLUME, UNLIMITED)
    if not 0 <= limit < size_gib:
        return None
    return (
        f"VolumeSizeExceedsLimit: Requested volume size {size_gib}G is larger than maximum "
        f"allowed limit {limit}G."
    )


def of_type(amounts: Amounts, type_name: str, kept: frozenset[str]) -> dict[str, int]:
    """Return amounts with those of a volume type; ``kept`` are those that anybody counts.

    As ``add_volume_type_opts`` in cinder/quota.py.
    """
    typed = {f"{name}_{type_name}": amount for name, amount in amounts.items()}
    return {**amounts, **{name: amount for name, amount in typed.items() if name in kept}}


def require_within(amounts: Amounts, bounds: Bounds, is_user: bool) -> None:
    """Return when all limits may be set. Raises BadInput in Cinder's words.

    Only where the project has a limit of its own already does Cinder look at its usage.
    """
    for name, limit in amounts.items():
        used = bounds.used.get(name, 0) if name in bounds.project else 0
        if limit != UNLIMITED and limit < used:
            raise BadInput(
                f"Quota {name} limit must be equal or greater than existing resources. Current "
                f"usage is {used} and the requested limit is {limit}."
            )
