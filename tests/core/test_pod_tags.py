"""Tags of pods, and what demands them."""

from __future__ import annotations

import pytest

from tricircle.core.errors import BadInput
from tricircle.core.pod_tags import MAX_TAGS, change_tags, demanded_tags, list_lacking


def test_a_change_sets_and_removes_what_it_names() -> None:
    tags = {"disk": "ssd", "rack": "7"}
    assert change_tags(tags, {"gpu": "yes", "rack": None}) == {"disk": "ssd", "gpu": "yes"}
    assert change_tags(tags, {"absent": None}) == tags
    assert change_tags(tags, {}) == tags


def test_a_pod_has_a_bounded_number_of_tags() -> None:
    most = {f"tag{number}": "" for number in range(MAX_TAGS)}
    assert change_tags({}, most) == most
    with pytest.raises(BadInput, match="at most 50 tags; 51 would be too many"):
        change_tags(most, {"more": "1"})
    assert change_tags(most, {"more": "1", "tag0": None}).keys() == {*most, "more"} - {"tag0"}


@pytest.mark.parametrize(
    ("specs", "demanded"),
    [
        ({}, set()),
        ({"hw:cpu_policy": "dedicated", "disk": "ssd", "pod_tags:x": "y"}, set()),
        ({"pod_tag:disk": "ssd", "capabilities:x": "1"}, {("disk", "ssd")}),
        ({"pod_tag:a:b": "c"}, {("a:b", "c")}),
    ],
)
def test_extra_specs_of_one_scope_demand_tags(
    specs: dict[str, object], demanded: set[tuple[str, str]]
) -> None:
    assert demanded_tags(specs) == demanded


def test_values_are_compared_exactly_and_what_lacks_is_named() -> None:
    demanded = [("disk", "ssd"), ("gpu", "yes")]
    assert list_lacking(demanded, {"disk": "ssd", "gpu": "yes", "more": ""}) == []
    assert list_lacking(demanded, {"disk": "SSD"}) == ["disk=ssd", "gpu=yes"]
    assert list_lacking([("a", "1"), ("a", "2")], {"a": "1"}) == ["a=2"]
    assert list_lacking([], {}) == []
