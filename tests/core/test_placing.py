"""Zones as users see them."""

from tricircle.core.model import Pod, PodId, ZoneName, ZonePod
from tricircle.core.placing import Topology, zone_states

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


def test_a_pods_zone_is_shown_by_the_tops_name() -> None:
    assert TOPOLOGY.top_zone(WEST.id, "gold") == "az1"
    assert TOPOLOGY.top_zone(WEST.id, "unmapped") == "unmapped"


def test_a_zone_is_available_while_an_enabled_pod_answers() -> None:
    states = {one.name: one.available for one in zone_states(TOPOLOGY, lambda pod: pod == EAST.id)}
    assert states == {"az1": True, "az2": True, "az3": False}
    states = {one.name: one.available for one in zone_states(TOPOLOGY, lambda pod: pod == WEST.id)}
    assert states == {"az1": True, "az2": False, "az3": False}
