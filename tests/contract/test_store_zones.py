"""What every store promises about the zone map."""

from __future__ import annotations

import pytest

from tests.contract.samples import EAST, WEST, Stores, add_two_pods
from tricircle.core.errors import BadInput, Duplicate, NotFound
from tricircle.core.model import PodId, ZoneName, ZonePod


def entry(zone: str, pod_id: PodId = EAST, pod_az: str = "") -> ZonePod:
    return ZonePod(ZoneName(zone), pod_id, pod_az)


async def test_the_map_is_listed_by_zone_and_pod(stores: Stores) -> None:
    await add_two_pods(stores)
    entries = [entry("az2"), entry("az1", WEST, "nova"), entry("az1", EAST, "nova"), entry("AZ1")]
    for each in entries:
        assert await stores.zones.add_zone_pod(each) == each
    assert await stores.zones.list_zone_pods() == [entries[3], entries[2], entries[1], entries[0]]


async def test_a_pod_serves_a_zone_once(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1", EAST, "nova"))
    with pytest.raises(Duplicate, match="pod pod-east already serves zone 'az1'"):
        await stores.zones.add_zone_pod(entry("az1", EAST, "other"))


async def test_one_zone_of_a_pod_cannot_be_two_zones_of_the_top(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1", EAST, "nova"))
    with pytest.raises(Duplicate, match=r"zone 'nova' of pod pod-east .* 'az1'"):
        await stores.zones.add_zone_pod(entry("az2", EAST, "nova"))
    await stores.zones.add_zone_pod(entry("az2", WEST, "nova"))
    assert len(await stores.zones.list_zone_pods()) == 2


async def test_a_pod_that_is_told_no_zone_may_serve_several(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1"))
    await stores.zones.add_zone_pod(entry("az2"))
    assert await stores.zones.list_zone_pods() == [entry("az1"), entry("az2")]


async def test_an_unknown_pod_serves_nothing(stores: Stores) -> None:
    with pytest.raises(NotFound, match="there is no pod pod-east"):
        await stores.zones.add_zone_pod(entry("az1"))
    assert await stores.zones.list_zone_pods() == []


async def test_the_zone_of_the_pod_can_be_changed(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1", EAST, "nova"))
    for pod_az in ("other", "other", "", "nova"):
        changed = entry("az1", EAST, pod_az)
        assert await stores.zones.update_zone_pod(changed) == changed
        assert await stores.zones.list_zone_pods() == [changed]


async def test_a_change_to_a_taken_zone_of_the_pod_is_refused(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1", EAST, "nova"))
    await stores.zones.add_zone_pod(entry("az2"))
    with pytest.raises(Duplicate, match="already stands for zone 'az1'"):
        await stores.zones.update_zone_pod(entry("az2", EAST, "nova"))
    assert await stores.zones.list_zone_pods() == [entry("az1", EAST, "nova"), entry("az2")]


async def test_an_entry_that_is_not_there_is_neither_changed_nor_deleted(stores: Stores) -> None:
    await add_two_pods(stores)
    with pytest.raises(NotFound, match="pod pod-east does not serve zone 'az1'"):
        await stores.zones.update_zone_pod(entry("az1"))
    for zone in ("az1", "nul\0", "x" * 300):
        with pytest.raises(NotFound, match="pod pod-east does not serve zone"):
            await stores.zones.delete_zone_pod(ZoneName(zone), EAST)


async def test_a_deleted_entry_is_gone_and_the_others_stay(stores: Stores) -> None:
    await add_two_pods(stores)
    await stores.zones.add_zone_pod(entry("az1"))
    await stores.zones.add_zone_pod(entry("az1", WEST))
    await stores.zones.delete_zone_pod(ZoneName("az1"), EAST)
    assert await stores.zones.list_zone_pods() == [entry("az1", WEST)]


async def test_a_zone_that_cannot_be_kept_is_refused(stores: Stores) -> None:
    await add_two_pods(stores)
    with pytest.raises(BadInput, match="the zone is longer than 255 characters"):
        await stores.zones.add_zone_pod(entry("z" * 256))
    with pytest.raises(BadInput, match="the zone of the pod"):
        await stores.zones.add_zone_pod(entry("az1", EAST, "nul\0"))
