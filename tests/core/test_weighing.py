"""The pod of a new resource, and why it is that one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tricircle.core.errors import NoPodInZone, TagsLacking
from tricircle.core.model import Node, Pod, PodId, ZoneName, ZonePod
from tricircle.core.placing import Topology
from tricircle.core.replicas import Flavor
from tricircle.core.weighing import Asked, Facts, Needs, flavor_needs, judge, list_candidates

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
    bindings = {ZoneName(zone or ""): bound} if bound else {}
    found = list_candidates(Asked(zone, must), Facts(TOPOLOGY, bindings=bindings))
    return [one.pod.name for one in found]


def test_enabled_pods_of_the_zone_are_tried_by_name() -> None:
    assert names("az1") == ["east", "west"]


def test_the_pod_a_project_is_bound_to_comes_first() -> None:
    assert names("az1", bound=WEST.id) == ["west", "east"]


def test_each_pod_gets_its_own_zone_name() -> None:
    found = {one.pod.name: one.pod_az for one in list_candidates(Asked("az1"), Facts(TOPOLOGY))}
    assert found == {"east": "nova", "west": "gold"}


def test_without_a_zone_any_serving_pod_will_do_and_none_is_sent() -> None:
    assert [
        (one.pod.name, one.pod_az) for one in list_candidates(Asked(None), Facts(TOPOLOGY))
    ] == [
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


# Figures.


def node(pod: Pod, vcpus: int, used: int, vms: int = 0) -> Node:
    return Node(pod.id, pod.name, vcpus, used, 1000, 0, 1000, 0, 100, 90, vms)


def order(asked: Asked, *nodes: Node, **bindings: Pod) -> list[str]:
    bound = {ZoneName(zone): pod.id for zone, pod in bindings.items()}
    facts = Facts(TOPOLOGY, {one.pod_id: one for one in nodes}, bound)
    return [one.pod.name for one in list_candidates(asked, facts)]


def test_the_pod_with_more_left_comes_first() -> None:
    assert order(Asked("az1"), node(EAST, 10, 9), node(WEST, 10, 2)) == ["west", "east"]
    small = Asked("az1", needs=Needs(vcpus=1, memory_mib=900))
    assert order(small, node(EAST, 10, 2), node(WEST, 100, 50)) == ["east", "west"]


def test_a_pod_that_was_never_measured_has_plenty() -> None:
    assert order(Asked("az1", needs=Needs(vcpus=1000)), node(EAST, 10, 0)) == ["west", "east"]


def test_a_full_pod_comes_last_even_if_the_project_is_bound_to_it() -> None:
    asked = Asked("az1", needs=Needs(vcpus=4))
    nodes = node(EAST, 10, 8), node(WEST, 10, 5)
    assert order(asked, *nodes, az1=EAST) == ["west", "east"]
    assert order(Asked("az1", needs=Needs(vcpus=2)), *nodes, az1=EAST) == ["east", "west"]


def test_what_is_asked_for_several_servers_must_fit_at_once() -> None:
    asked = Asked("az1", needs=Needs(vcpus=2).times(3))
    assert order(asked, node(EAST, 10, 5), node(WEST, 100, 90)) == ["west", "east"]


def test_candidates_tell_whether_they_have_room() -> None:
    facts = Facts(TOPOLOGY, {EAST.id: node(EAST, 10, 12)})
    found = list_candidates(Asked("az1", needs=Needs(vcpus=1)), facts)
    assert [(one.pod.name, one.has_room) for one in found] == [("west", True), ("east", False)]


def test_a_volume_is_weighed_by_space_for_volumes() -> None:
    asked = Asked("az1", needs=Needs(volume_gib=11))
    assert order(asked, node(EAST, 10, 0)) == ["west", "east"]


def test_a_wish_outweighs_the_binding_and_history_all_figures() -> None:
    wish = Asked("az1", prefers=WEST.id)
    assert order(wish, az1=EAST) == ["west", "east"]
    nodes = node(EAST, 100, 0), node(WEST, 100, 90)
    assert order(Asked("az1"), *nodes, az2=WEST) == ["west", "east"]
    assert order(Asked("az1"), *nodes, az1=EAST, az2=WEST) == ["east", "west"]


def test_what_must_be_apart_outweighs_the_binding_but_not_a_wish() -> None:
    apart = frozenset([EAST.id])
    assert order(Asked("az1", apart=apart), az1=EAST) == ["west", "east"]
    assert order(Asked("az1", prefers=EAST.id, apart=apart)) == ["east", "west"]
    assert order(Asked("az1", apart=apart | {WEST.id}), az1=WEST) == ["west", "east"]


def test_a_pod_of_the_past_comes_before_one_with_more_left() -> None:
    nodes = {one.pod_id: one for one in (node(EAST, 100, 0), node(WEST, 100, 90))}
    facts = Facts(TOPOLOGY, nodes, past_pods=frozenset([WEST.id]))
    assert [one.pod.name for one in list_candidates(Asked("az1"), facts)] == ["west", "east"]
    facts = replace(facts, bindings={ZoneName("az9"): EAST.id})
    assert [one.pod.name for one in list_candidates(Asked("az1"), facts)] == ["east", "west"]


def test_of_equals_the_pod_with_fewer_servers_comes_first() -> None:
    assert order(Asked("az1"), node(EAST, 10, 5, 9), node(WEST, 10, 5, 3)) == ["west", "east"]


# Tags.

TAGGED = Topology(
    (replace(EAST, tags={"disk": "ssd"}), replace(WEST, tags={"disk": "ssd", "gpu": "yes"}), SPARE),
    TOPOLOGY.zone_pods,
)
SSD, GPU = ("disk", "ssd"), ("gpu", "yes")


def with_tags(zone: str | None, *tags: tuple[str, str], must: PodId | None = None) -> list[str]:
    asked = Asked(zone, must, needs=Needs(tags=frozenset(tags)))
    return [one.pod.name for one in list_candidates(asked, Facts(TAGGED))]


def test_only_pods_with_all_tags_that_are_demanded_are_tried() -> None:
    assert with_tags("az1", SSD) == ["east", "west"]
    assert with_tags("az1", SSD, GPU) == ["west"]
    assert with_tags(None, GPU) == ["west"]


def test_when_no_pod_has_the_tags_they_are_named() -> None:
    said = r"no enabled pod of availability zone 'az1' has the tags .* \(disk=hdd, gpu=yes\)"
    with pytest.raises(TagsLacking, match=said):
        with_tags("az1", GPU, ("disk", "hdd"))
    with pytest.raises(TagsLacking, match="no enabled pod has the tags"):
        with_tags(None, ("gpu", "no"), GPU)
    with pytest.raises(TagsLacking):
        with_tags(None, GPU, must=EAST.id)


def test_a_zone_that_takes_nothing_is_said_before_tags_are() -> None:
    with pytest.raises(NoPodInZone):
        with_tags("az3", GPU)


def test_a_pod_without_a_tag_is_told_which() -> None:
    found = judge(Asked("az1", needs=Needs(tags=frozenset([GPU, SSD]))), Facts(TAGGED))
    assert [(one.pod.name, one.refusal) for one in found] == [
        ("west", ""),
        ("east", "lacks the tags that are demanded: gpu=yes"),
        ("spare", "is disabled: it gets nothing new"),
    ]


def test_a_flavor_takes_disk_for_root_ephemeral_and_swap_and_demands_tags() -> None:
    flavor = Flavor(
        name="f", ram=512, vcpus=2, disk=10, ephemeral=5, swap=1025,
        extra_specs={"pod_tag:disk": "ssd", "hw:cpu_policy": "shared"},
    )  # fmt: skip
    assert flavor_needs(flavor) == Needs(2, 512, 17, tags=frozenset([SSD]))
    assert flavor_needs(flavor).times(3) == Needs(6, 1536, 51, tags=frozenset([SSD]))
    old = Flavor(name="f", ram=1, vcpus=1, disk=0, swap="")
    assert flavor_needs(old) == Needs(1, 1)


def test_every_pod_is_told_why() -> None:
    asked = Asked("az2", needs=Needs(vcpus=4))
    facts = Facts(TOPOLOGY, {WEST.id: node(WEST, 10, 8)})
    west, east, spare = judge(asked, facts)
    assert (west.pod.name, west.refusal, west.has_room) == ("west", "", False)
    assert west.weights[0].reason == "has no room: 2 of 10 vCPUs free, 4 needed"
    assert [one.weigher for one in west.weights] == [
        "room",
        "wish",
        "apart",
        "binding",
        "history",
        "capacity",
        "spread",
    ]
    assert (east.pod.name, east.refusal) == ("east", "does not serve availability zone 'az2'")
    assert spare.refusal == "does not serve availability zone 'az2'"
    reasons = {one.pod.name: one.refusal for one in judge(Asked("az1", EAST.id), facts)}
    assert reasons == {
        "east": "",
        "spare": "does not hold what the request names",
        "west": "does not hold what the request names",
    }
    reasons = {one.pod.name: one.refusal for one in judge(Asked("az1"), facts)}
    assert reasons["spare"] == "is disabled: it gets nothing new"
