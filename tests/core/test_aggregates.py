"""Aggregates of several pods that are one at the top."""

from __future__ import annotations

import json

import pytest

from tricircle.core.aggregates import (
    PodAggregate,
    group_aggregates,
    show_aggregate,
    with_number,
    with_zone,
)
from tricircle.core.model import PodId


def part(pod: str, name: str = "fast", zone: str | None = None, **values: object) -> PodAggregate:
    item = {"id": 1, "name": name, "availability_zone": zone, "hosts": [], "metadata": {}, **values}
    return PodAggregate(PodId(pod), 1, json.dumps(item).encode())


def test_parts_of_one_name_and_zone_are_one_aggregate() -> None:
    east, west = part("east"), part("west")
    zoned, other = part("west", zone="az1"), part("west", "slow")
    assert group_aggregates([east, other, west, zoned]) == [[east, west], [other], [zoned]]
    assert east.is_one_with(west)
    assert not east.is_one_with(zoned)


def test_an_aggregate_has_the_hosts_and_metadata_of_all_parts() -> None:
    east = part("east", hosts=["a"], metadata={"disk": "fast"}, uuid="u")
    west = part("west", hosts=["a", "b"], metadata={"disk": "slow", "net": "10"})
    shown = json.loads(show_aggregate([east, west]))
    assert shown["hosts"] == ["a", "a", "b"]
    assert shown["metadata"] == {"net": "10", "disk": "fast"}
    assert shown["uuid"] == "u"


def test_what_one_pod_has_keeps_its_bytes() -> None:
    one = PodAggregate(PodId("east"), 1, b'{ "new": 1.50, "hosts": ["a"], "metadata": {"a": "b"}}')
    assert show_aggregate([one]) == one.item
    assert show_aggregate([one, part("west")]) == one.item


def test_unusable_fields_are_none() -> None:
    one = PodAggregate(PodId("east"), 1, b'{"hosts": null, "metadata": [], "availability_zone": 1}')
    assert (one.hosts, one.metadata, one.zone) == ([], {}, None)


def test_a_zone_is_put_in_the_place_of_another() -> None:
    body = b'{"aggregate": {"name": "n", "availability_zone": "az1"}}'
    changed = with_zone(body, "aggregate.availability_zone", "nova")
    assert json.loads(changed) == {"aggregate": {"name": "n", "availability_zone": "nova"}}
    bare = b'{"aggregate": {"availability_zone": null}}'
    assert with_zone(bare, "aggregate.availability_zone", "nova") == bare


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"Aggregate 1 already has host h1.", b"Aggregate 77 already has host h1."),
        (b"Cannot remove host h in aggregate 1", b"Cannot remove host h in aggregate 77"),
        (b"Aggregate 12 could not be found.", b"Aggregate 12 could not be found."),
        (b"Compute host 1 could not be found.", b"Compute host 1 could not be found."),
    ],
)
def test_refusals_name_the_id_that_the_caller_knows(message: bytes, expected: bytes) -> None:
    assert with_number(message, 1, "77") == expected
