"""The pod of a new resource, and zones as users see them."""

import pytest

from tricircle.core.errors import NoPodInZone
from tricircle.core.model import Pod, PodId, ZoneName, ZonePod
from tricircle.core.placing import Topology, list_candidates, zone_states

EAST, WEST, SPARE = (
    Pod(PodId("1"), "east", "region-east"),
    Pod(PodId("2"), "west", "region-west"),
    Pod(PodId("3"), "spare", "region-spare", enabled=False),
)
TOPOLOGY = Topology(
    (EAST, WEST, SPARE),
    (
        ZonePod(ZoneName("az1"), EAST.id, "nova"),
        ZonePod(ZoneName("az1"), SPARE.id, "nova"),
        ZonePod(ZoneName("az1"), WEST.id, "gold"),
        ZonePod(ZoneName("az2"), WEST.id, "nova"),
        ZonePod(ZoneName("az3"), SPARE.id, "other"),
    ),
)


def names(zone: str | None, must: PodId | None = None, bound: PodId | None = None) -> list[str]:
    return [one.pod.name for one in list_candidates(TOPOLOGY, zone, must, bound)]


def test_enabled_pods_of_the_zone_are_tried_by_name() -> None:
    assert names("az1") == ["east", "west"]


def test_the_pod_a_project_is_bound_to_comes_first() -> None:
    assert names("az1", bound=WEST.id) == ["west", "east"]


def test_each_pod_gets_its_own_zone_name() -> None:
    found = {one.pod.name: one.pod_az for one in list_candidates(TOPOLOGY, "az1", None, None)}
    assert found == {"east": "nova", "west": "gold"}


def test_without_a_zone_any_serving_pod_will_do_and_none_is_sent() -> None:
    assert [(one.pod.name, one.pod_az) for one in list_candidates(TOPOLOGY, None, None, None)] == [
        ("east", ""),
        ("west", ""),
    ]


def test_a_pod_that_refs_demand_is_the_only_one_even_when_disabled() -> None:
    assert names("az1", must=SPARE.id) == ["spare"]
    assert names(None, must=SPARE.id) == ["spare"]


def test_a_demanded_pod_must_serve_the_zone() -> None:
    with pytest.raises(NoPodInZone):
        names("az2", must=EAST.id)


def test_a_zone_with_disabled_pods_only_takes_nothing() -> None:
    with pytest.raises(NoPodInZone, match="no enabled pod serves availability zone 'az3'"):
        names("az3")


def test_a_pods_zone_is_shown_by_the_tops_name() -> None:
    assert TOPOLOGY.top_zone(WEST.id, "gold") == "az1"
    assert TOPOLOGY.top_zone(WEST.id, "unmapped") == "unmapped"


def test_a_zone_is_available_while_an_enabled_pod_answers() -> None:
    states = {one.name: one.available for one in zone_states(TOPOLOGY, lambda pod: pod == EAST.id)}
    assert states == {"az1": True, "az2": True, "az3": False}
    states = {one.name: one.available for one in zone_states(TOPOLOGY, lambda pod: pod == WEST.id)}
    assert states == {"az1": True, "az2": False, "az3": False}
