"""What requests for quota sets set, and within which bounds."""

from __future__ import annotations

import json

import pytest

from tricircle.core.errors import BadInput
from tricircle.core.quota_sets import (
    Bounds,
    Setting,
    leave_out,
    lift,
    read_setting,
    require_within,
    show,
)


def body(**values: object) -> bytes:
    return json.dumps({"quota_set": values}).encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (body(cores=5, ram="6", force="True"), Setting({"cores": 5, "ram": 6}, True, True)),
        (body(cores=" +5", id="p", tenant_id=1), Setting({"cores": 5}, False, True)),
        (body(cores=-1, force=False), Setting({"cores": -1}, False, True)),
        (body(cores=-2, ram="x"), Setting({}, False, False)),
        (body(cores=True, ram=1.5), Setting({}, False, False)),
        (body(cores=0x80000000), Setting({}, False, False)),
        (b'{"quota_set": 5}', Setting({}, False, False)),
        (b"{", Setting({}, False, False)),
    ],
)
def test_what_a_body_sets(given: bytes, expected: Setting) -> None:
    assert read_setting(given, "quota_set") == expected


def test_pods_get_what_is_counted_as_unlimited_and_the_rest_as_it_came() -> None:
    given = body(cores=5, key_pairs="7", unknown=[1])
    assert json.loads(lift(given, "quota_set", ["cores"])) == {
        "quota_set": {"cores": -1, "key_pairs": "7", "unknown": [1]}
    }
    assert json.loads(leave_out(given, "quota_set", ["cores"])) == {
        "quota_set": {"key_pairs": "7", "unknown": [1]}
    }


def test_only_what_a_pod_shows_is_replaced() -> None:
    top = {"cores": 9, "ram": 9, "volumes_a.b": 9}
    shown = show(body(cores=1, other=2, **{"volumes_a.b": 1}), "quota_set", top.get, "limit")
    assert json.loads(shown) == {"quota_set": {"cores": 9, "other": 2, "volumes_a.b": 9}}
    shown = show(body(cores={"limit": 1, "in_use": 2}), "quota_set", top.get, "limit")
    assert json.loads(shown) == {"quota_set": {"cores": {"limit": 9, "in_use": 2}}}


BOUNDS = Bounds({"cores": 20}, {}, {"cores": 8}, {"cores": 3}, {"cores": 2})


@pytest.mark.parametrize(
    ("limit", "is_user", "refused"),
    [
        (8, False, ""),
        (7, False, "greater than or equal to already used and reserved 8"),
        (-1, False, ""),
        (15, True, ""),
        (16, True, "less than or equal to 15"),
        (-1, True, "less than or equal to 15"),
        (1, True, "greater than or equal to already used and reserved 2"),
    ],
)
def test_limits_have_novas_bounds(limit: int, is_user: bool, refused: str) -> None:
    if not refused:
        require_within({"cores": limit}, BOUNDS, is_user)
        return
    with pytest.raises(BadInput, match=refused):
        require_within({"cores": limit}, BOUNDS, is_user)


def test_without_a_limit_of_the_project_users_have_no_upper_bound() -> None:
    bounds = Bounds({"cores": -1}, {}, {}, {}, {"cores": 2})
    require_within({"cores": -1}, bounds, True)
    require_within({"cores": 2}, bounds, False)
