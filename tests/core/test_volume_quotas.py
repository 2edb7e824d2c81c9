"""Quotas of volumes, in Cinder's words."""

from __future__ import annotations

import pytest

from tricircle.core.errors import BadInput
from tricircle.core.quota_sets import Bounds
from tricircle.core.quotas import Excess, Limits, Standing
from tricircle.core.volume_quotas import (
    VOLUMES,
    exceeded,
    exceeded_by_growth,
    exceeds_volume,
    of_type,
    require_within,
)

LIMITS = {
    "volumes": 2, "gigabytes": 10, "volumes_fast": 1, "gigabytes_fast": 5, "snapshots": 1,
    "backups": 1, "backup_gigabytes": 5, "groups": 0, "snapshots_fast": 0,
}  # fmt: skip
USED = {"volumes": 2, "gigabytes": 9, "gigabytes_fast": 4, "backup_gigabytes": 3}
TOO_LARGE = (
    "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {0} quota."
)


@pytest.mark.parametrize(
    ("overs", "resource", "told"),
    [
        (
            ("gigabytes", "volumes"),
            "volumes",
            TOO_LARGE.format("gigabytes") + " Requested 3G, quota is 10G and 9G has been consumed.",
        ),
        (
            ("gigabytes_fast", "volumes"),
            "volumes",
            TOO_LARGE.format("gigabytes_fast")
            + " Requested 3G, quota is 5G and 4G has been consumed.",
        ),
        (
            ("volumes", "volumes_fast"),
            "volumes",
            "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded for quota "
            "'volumes'.",
        ),
        (
            ("volumes_fast",),
            "volumes",
            "VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota "
            "'volumes_fast'.",
        ),
        (
            ("snapshots",),
            "snapshots",
            "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded",
        ),
        (
            ("backup_gigabytes", "backups"),
            "backups",
            "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup "
            "gigabytes quota. Requested 3G, quota is 5G and 3G has been consumed.",
        ),
        (
            ("backups",),
            "backups",
            "BackupLimitExceeded: Maximum number of backups allowed (1) exceeded",
        ),
        (
            ("groups",),
            "groups",
            "GroupLimitExceeded: Maximum number of groups allowed (0) exceeded",
        ),
        (
            ("snapshots_fast",),
            "volumes",
            "UnexpectedOverQuota: Unexpected over quota on snapshots_fast.",
        ),
    ],
)
def test_what_is_too_much_is_told_as_cinder_does(
    overs: tuple[str, ...], resource: str, told: str
) -> None:
    assert exceeded(Excess(overs, LIMITS, USED), resource, 3) == told


def test_growth_is_told_by_the_gigabytes_of_the_project() -> None:
    told = " Requested 4G, quota is 10G and 9G has been consumed."
    excess = Excess(["gigabytes_fast"], LIMITS, USED)
    assert exceeded_by_growth(excess, 4) == TOO_LARGE.format("gigabytes") + told


def test_a_volume_may_be_as_large_as_the_limit_of_one() -> None:
    limits = {"per_volume_gigabytes": 3}
    assert exceeds_volume(3, limits) is None
    assert exceeds_volume(99, {"per_volume_gigabytes": -1}) is None
    assert exceeds_volume(99, {}) is None
    assert exceeds_volume(4, limits) == (
        "VolumeSizeExceedsLimit: Requested volume size 4G is larger than maximum allowed limit 3G."
    )


def test_types_are_counted_where_somebody_limits_them() -> None:
    standing = Standing(used={"": {"volumes": 1, "gigabytes_old": 1}})
    limits = Limits({"volumes": -1, "volumes_fast": 2, "gigabytes_fast": -1}, {})
    kept = VOLUMES.families_of(standing, limits)
    assert kept == {"volumes_fast", "gigabytes_old"}
    plain = {"volumes": 1, "gigabytes": 2}
    assert of_type(plain, "fast", kept) == {**plain, "volumes_fast": 1}
    assert of_type(plain, "old", kept) == {**plain, "gigabytes_old": 2}


def test_a_limit_that_is_set_already_must_not_fall_below_what_is_used() -> None:
    bounds = Bounds({"volumes": 5, "gigabytes": 9}, {"volumes": 5}, {}, {}, {"volumes": 3})
    require_within({"volumes": 3, "gigabytes": 0}, bounds, False)
    require_within({"volumes": -1}, bounds, False)
    with pytest.raises(BadInput, match=r"Current usage is 3 and the requested limit is 2\."):
        require_within({"volumes": 2}, bounds, False)
