"""Lists of servers and volumes: sorting, paging and filters as the databases do them."""

from typing import Any

import pytest

from tests.testing.cloud.conftest import Client, Clients
from tricircle.testing.cloud import SimulatedCloud

LATEST = {"OpenStack_API_Version": "compute 2.100"}


async def all_pages(client: Client, path: str, collection: str) -> list[list[Any]]:
    """Follow `next` links to the end."""
    pages = []
    while True:
        answer = await client.get(path)
        assert answer.status == 200, answer.body
        pages.append(answer.json[collection])
        links = answer.json.get(f"{collection}_links")
        if not links:
            return pages
        assert links[0]["href"].startswith(client.root)
        path = links[0]["href"].removeprefix(client.root)


@pytest.fixture
def servers(cloud: SimulatedCloud) -> list[Any]:
    project_id = cloud.project_id("demo")
    made = cloud.pod("pod1").compute.add_servers(7, project_id, spread_s=0.5)
    made[0].display_name, made[1].display_name = "Alpha", "alpha"
    made[2].key_name, made[3].key_name = "k1", "k2"
    cloud.pod("pod1").compute.add_servers(2, cloud.project_id("other"))
    return made


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "order",
    ["", "&sort_key=display_name&sort_dir=asc", "&sort_key=key_name&sort_dir=desc"],
)
async def test_pages_add_up_to_the_sorted_whole(
    clients: Clients, servers: list[Any], limit: int, order: str
) -> None:
    nova = clients.compute()
    whole = (await nova.get(f"/servers/detail?limit=100{order}")).json["servers"]
    assert len(whole) == len(servers)
    pages = await all_pages(nova, f"/servers/detail?limit={limit}{order}", "servers")
    assert [server for page in pages for server in page] == whole


async def test_markers_work_with_several_sort_keys(clients: Clients, servers: list[Any]) -> None:
    nova = clients.compute()
    order = "sort_key=created_at&sort_dir=asc&sort_key=uuid&sort_dir=desc"
    whole = [server["id"] for server in (await nova.get(f"/servers?{order}")).json["servers"]]
    found: list[str] = []
    while len(found) < len(whole):
        marker = f"&marker={found[-1]}" if found else ""
        page = (await nova.get(f"/servers?{order}&limit=2{marker}")).json["servers"]
        found += [server["id"] for server in page]
    assert found == whole


async def test_the_next_link_forgets_all_sort_keys_but_one(
    clients: Clients, servers: list[Any]
) -> None:
    order = "sort_key=created_at&sort_dir=asc&sort_key=uuid&sort_dir=desc"
    answer = await clients.compute().get(f"/servers?{order}&limit=2")
    query = answer.json["servers_links"][0]["href"].partition("?")[2]
    assert query.startswith("limit=2&sort_dir=desc&sort_key=uuid&marker=") or (
        query.endswith("&sort_dir=desc&sort_key=uuid")
    )


async def test_the_newest_comes_first_and_equal_times_are_told_apart_by_id(
    clients: Clients, servers: list[Any]
) -> None:
    found = (await clients.compute().get("/servers")).json["servers"]
    expected = sorted(servers, key=lambda item: item.uuid)
    expected.sort(key=lambda item: item.created_at, reverse=True)
    assert [server["id"] for server in found] == [item.uuid for item in expected]


async def test_names_are_sorted_without_regard_to_case(
    clients: Clients, servers: list[Any]
) -> None:
    path = "/servers?sort_key=display_name&sort_dir=asc&limit=2"
    found = (await clients.compute().get(path)).json["servers"]
    assert [server["id"] for server in found] == sorted([servers[0].uuid, servers[1].uuid])


async def test_what_is_not_set_comes_first_when_ascending(
    clients: Clients, servers: list[Any]
) -> None:
    path = "/servers?sort_key=key_name&sort_dir="
    rising = (await clients.compute().get(path + "asc")).json["servers"]
    falling = (await clients.compute().get(path + "desc")).json["servers"]
    assert [server["id"] for server in rising[-2:]] == [servers[2].uuid, servers[3].uuid]
    assert [server["id"] for server in falling[:2]] == [servers[3].uuid, servers[2].uuid]


async def test_a_deleted_server_is_still_a_good_marker(
    clients: Clients, servers: list[Any]
) -> None:
    nova = clients.compute()
    before = [server["id"] for server in (await nova.get("/servers")).json["servers"]]
    await nova.delete(f"/servers/{before[2]}")
    after = (await nova.get(f"/servers?marker={before[2]}")).json["servers"]
    assert [server["id"] for server in after] == before[3:]


async def test_an_unknown_marker_is_400(clients: Clients) -> None:
    answer = await clients.compute().get("/servers?marker=nope")
    assert answer.status == 400
    assert answer.json["badRequest"]["message"] == "marker [nope] not found"


FILTERS = [
    ("name=server-[56]", ["server-5", "server-6"]),
    ("key_name=k1", ["server-2"]),
    ("status=SHUTOFF", ["server-4"]),
    ("ip=nothing", []),
    ("flavor=2", ["server-5"]),
    ("flavor=nope", []),
    ("tags=blue", ["server-6"]),
    ("not-tags=blue&limit=1", ["server-5"]),
    ("locked=true", ["server-3"]),
]


@pytest.mark.parametrize(("query", "names"), FILTERS)
async def test_filters_choose(
    cloud: SimulatedCloud, clients: Clients, servers: list[Any], query: str, names: list[str]
) -> None:
    servers[4].vm_state = "stopped"
    servers[5].flavor = cloud.pod("pod1").compute.flavors["2"]
    servers[6].tags = ["blue"]
    servers[3].locked_by = "owner"
    answer = await clients.compute().get(f"/servers?{query}", **LATEST)
    assert sorted(server["name"] for server in answer.json["servers"]) == names


async def test_only_an_admin_sees_all_projects(clients: Clients, servers: list[Any]) -> None:
    assert (await clients.compute().get("/servers?all_tenants=1")).status == 403
    everything = await clients.compute("admin", "admin").get("/servers?all_tenants=1")
    assert len(everything.json["servers"]) == 9


QUERIES = [
    ("limit=-1", "Invalid input for query parameters limit. Value: -1. '-1' does not match "
                 "'^[0-9]*$'"),
    ("foo=1", "'foo' does not match any of the regexes: '^_'"),
    ("status=odd", "Invalid status value"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "message"), QUERIES)
async def test_a_wrong_query_is_refused_in_novas_words(
    clients: Clients, query: str, message: str
) -> None:
    answer = await clients.compute().get(f"/servers?{query}", **LATEST)
    assert answer.status == 400
    assert answer.json["badRequest"]["message"] == message


@pytest.mark.parametrize("order", ["", "&sort=name:asc", "&sort=size:desc,name:asc"])
async def test_pages_of_volumes_add_up(cloud: SimulatedCloud, clients: Clients, order: str) -> None:
    cloud.pod("pod1").volume.add_volumes(5, cloud.project_id("demo"))
    cinder = clients.volume()
    whole = (await cinder.get(f"/volumes/detail?limit=9{order}")).json["volumes"]
    pages = await all_pages(cinder, f"/volumes/detail?limit=2{order}", "volumes")
    assert [volume for page in pages for volume in page] == whole
    assert len(whole) == 5


async def test_a_volume_that_is_gone_is_no_marker(cloud: SimulatedCloud, clients: Clients) -> None:
    answer = await clients.volume().get("/volumes?marker=gone")
    assert answer.status == 404
    assert answer.json["itemNotFound"]["message"] == "Volume gone could not be found."
