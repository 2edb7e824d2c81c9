"""What a pod tells about its capacity, simulated or real, of either release of the lab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clouds import Answer, Place, open_lab, open_simulated
from tricircle.core.model import Service
from tricircle.interfaces.cloud import PodRequest

NUMBERS = {
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used",
    "free_ram_mb", "free_disk_gb", "current_workload", "running_vms", "disk_available_least",
}  # fmt: skip
ABSENT = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(
    params=[
        "simulated",
        pytest.param("pod1", marks=pytest.mark.lab),
        pytest.param("pod2", marks=pytest.mark.lab),
    ]
)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    name = str(request.param)
    opened = open_simulated(tmp_path) if name == "simulated" else open_lab(name)
    async with opened as place:
        yield place


async def ask(place: Place, service: Service, target: str, version: str = "") -> Answer:
    """Return what a service answers to the service credential."""
    headers = [(b"x-auth-token", (await place.log_in("service")).encode())]
    headers.append((b"accept", b"application/json"))
    if version:
        headers.append((b"openstack-api-version", version.encode()))
    path, _, query = target.partition("?")
    return await place.ask(service, PodRequest("GET", path, query, headers))


async def list_hypervisors(place: Place, query: str = "", version: str = "2.53") -> Any:
    answer = await ask(
        place, Service.COMPUTE, f"/os-hypervisors/detail{query}", f"compute {version}"
    )
    assert answer.status == 200
    return answer.document


@pytest.mark.parametrize("version", ["2.53", "2.87"])
async def test_a_hypervisor_has_a_uuid_and_numbers(place: Place, version: str) -> None:
    first = (await list_hypervisors(place, version=version))["hypervisors"][0]
    assert len(first["id"]) == 36
    assert (first["state"], first["status"], first["hypervisor_type"]) == ("up", "enabled", "fake")
    assert {name: type(first[name]) for name in NUMBERS} == dict.fromkeys(NUMBERS, int)


async def test_the_numbers_vanish_with_2_88(place: Place) -> None:
    first = (await list_hypervisors(place, version="2.88"))["hypervisors"][0]
    assert not NUMBERS & set(first)
    assert "uptime" in first


async def test_after_the_last_hypervisor_comes_an_empty_page(place: Place) -> None:
    page = await list_hypervisors(place, "?limit=1")
    marker = page["hypervisors"][0]["id"]
    (link,) = page["hypervisors_links"]
    assert link["rel"] == "next"
    assert link["href"].endswith(f"/os-hypervisors/detail?limit=1&marker={marker}")
    assert await list_hypervisors(place, f"?limit=1&marker={marker}") == {"hypervisors": []}


async def test_an_unknown_marker_is_400(place: Place) -> None:
    target = f"/os-hypervisors/detail?limit=1&marker={ABSENT}"
    answer = await ask(place, Service.COMPUTE, target, "compute 2.53")
    assert answer.status == 400
    message = f"marker [{ABSENT}] not found"
    assert answer.document == {"badRequest": {"code": 400, "message": message}}


async def test_candidates_show_capacity_and_use_by_the_hypervisors_id(place: Place) -> None:
    hypervisor = (await list_hypervisors(place))["hypervisors"][0]
    target = "/allocation_candidates?resources=MEMORY_MB:1"
    answer = await ask(place, Service.PLACEMENT, target, "placement 1.29")
    assert answer.status == 200
    summaries: Any = answer.document["provider_summaries"]
    summary = summaries[hypervisor["id"]]
    assert summary["root_provider_uuid"] == hypervisor["id"]
    assert set(summary["resources"]) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    vcpus, memory = summary["resources"]["VCPU"], summary["resources"]["MEMORY_MB"]
    assert vcpus["capacity"] == hypervisor["vcpus"] * 4
    assert memory["capacity"] == hypervisor["memory_mb"] - 512
    assert all(type(each["used"]) is int for each in summary["resources"].values())


async def test_nobody_is_a_candidate_for_more_than_there_is(place: Place) -> None:
    target = "/allocation_candidates?resources=MEMORY_MB:999999999"
    answer = await ask(place, Service.PLACEMENT, target, "placement 1.29")
    assert answer.document == {"allocation_requests": [], "provider_summaries": {}}


async def test_a_provider_shows_inventories_and_usages(place: Place) -> None:
    hypervisor = (await list_hypervisors(place))["hypervisors"][0]
    path = f"/resource_providers/{hypervisor['id']}"
    inventories = await ask(place, Service.PLACEMENT, f"{path}/inventories", "placement 1.29")
    usages = await ask(place, Service.PLACEMENT, f"{path}/usages", "placement 1.29")
    listed: Any = inventories.document["inventories"]
    assert listed["MEMORY_MB"] == {
        "total": hypervisor["memory_mb"],
        "reserved": 512,
        "min_unit": 1,
        "max_unit": hypervisor["memory_mb"],
        "step_size": 1,
        "allocation_ratio": 1.0,
    }
    used: Any = usages.document["usages"]
    assert set(used) == set(listed) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    assert all(type(amount) is int for amount in used.values())


@pytest.mark.parametrize("what", ["inventories", "usages"])
async def test_an_unknown_provider_is_404(place: Place, what: str) -> None:
    path = f"/resource_providers/{ABSENT}/{what}"
    answer = await ask(place, Service.PLACEMENT, path, "placement 1.29")
    assert answer.status == 404
    errors: Any = answer.document["errors"]
    assert (errors[0]["status"], errors[0]["title"]) == (404, "Not Found")


async def test_placement_tells_its_versions_to_anybody(place: Place) -> None:
    answer = await place.ask(Service.PLACEMENT, PodRequest("GET", "/"))
    assert answer.status == 200
    versions: Any = answer.document["versions"]
    assert [(each["id"], each["max_version"]) for each in versions] == [("v1.0", "1.39")]


async def test_a_user_learns_nothing_of_the_capacity(place: Place) -> None:
    headers = [(b"x-auth-token", (await place.log_in()).encode())]
    for service, path in (
        (Service.COMPUTE, "/os-hypervisors/detail"),
        (Service.PLACEMENT, "/resource_providers"),
        (Service.VOLUME, "/scheduler-stats/get_pools"),
    ):
        answer = await place.ask(service, PodRequest("GET", path, "", headers))
        assert answer.status == 403


async def test_a_pool_shows_its_sizes_only_in_detail(place: Place) -> None:
    short = await ask(place, Service.VOLUME, "/scheduler-stats/get_pools")
    detailed = await ask(place, Service.VOLUME, "/scheduler-stats/get_pools?detail=true")
    names: Any = short.document["pools"]
    pools: Any = detailed.document["pools"]
    assert [set(pool) for pool in names] == [{"name"}]
    capabilities = pools[0]["capabilities"]
    sizes = ("total_capacity_gb", "free_capacity_gb", "allocated_capacity_gb",
             "provisioned_capacity_gb", "reserved_percentage")  # fmt: skip
    assert all(type(capabilities[name]) is int for name in sizes)
    assert capabilities["thin_provisioning_support"] is True
    assert capabilities["max_over_subscription_ratio"] == 20
