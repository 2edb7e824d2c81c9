"""The Admin API over HTTP: who may, what is refused, and that it does what it says."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.admin.conftest import Answer, Api
from tricircle.core.model import (
    BottomId,
    Kind,
    Node,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
    ZoneName,
)
from tricircle.testing.cloud import Hang, Refuse

JSON = {"Content-Type": "application/json"}
REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
PUBLIC = {"/", "/v1", "/healthcheck"}
FOR_PROJECTS = {("GET", "/v1/jobs"), ("GET", "/v1/jobs/job1")}


def _operations(api: Api) -> list[tuple[str, str]]:
    """Return all operations that take a token, with names put into their paths."""
    names = {
        "{pod}": "pod1",
        "{zone}": "az1",
        "{kind}": "server",
        "{top_id}": "id1",
        "{job}": "job1",
    }
    found = []
    for template, operations in api.document["paths"].items():
        path = template
        for name, value in names.items():
            path = path.replace(name, value)
        found += [(method.upper(), path) for method in operations if template not in PUBLIC]
    return found


def _names(answer: Answer) -> list[str]:
    return [pod["name"] for pod in answer.body["pods"]]


# The document.


async def test_the_document_is_openapi_3_1_and_valid(api: Api) -> None:
    assert api.document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(api.document).iter_errors()) == []


async def test_the_document_never_speaks_of_422(api: Api) -> None:
    statuses = {
        status
        for operations in api.document["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }

    assert "422" not in statuses
    assert "HTTPValidationError" not in api.document["components"]["schemas"]


async def test_the_document_names_the_token_where_one_is_needed(api: Api) -> None:
    needs = {
        path: "security" in operation
        for path, operations in api.document["paths"].items()
        for operation in operations.values()
    }

    assert {path for path, needed in needs.items() if not needed} == PUBLIC


# Who may.


async def test_nothing_is_told_without_a_token(api: Api) -> None:
    operations = _operations(api)
    assert len(operations) > 12

    for method, path in operations:
        answer = await api.call(method, path, token="")
        assert answer.status == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{api.cloud_url}/identity"'


@pytest.mark.parametrize("roles", [("member",), ("reader",), ("manager",), ("service",)])
async def test_nobody_but_an_administrator_gets_anywhere(api: Api, roles: tuple[str, ...]) -> None:
    token = api.token(*roles)
    bodies: dict[str, object] = {"POST": {}, "PATCH": {}}

    for method, path in _operations(api):
        if (method, path) in FOR_PROJECTS:
            continue
        answer = await api.call(method, path, bodies.get(method), token=token)
        assert answer.status == 403, (method, path)
        assert "tricircle:" in answer.message


async def test_a_domain_token_gets_nowhere_whatever_its_role(api: Api) -> None:
    token = await api.scoped_token({"domain": {"id": "default", "name": "Default"}}, "admin")
    bodies: dict[str, object] = {"POST": {}, "PATCH": {}}

    for method, path in _operations(api):
        answer = await api.call(method, path, bodies.get(method), token=token)
        assert answer.status == 403, (method, path)


async def test_a_reader_of_the_system_reads_everything_and_changes_nothing(api: Api) -> None:
    token = await api.scoped_token({"system": {"all": True}}, "reader")

    for method, path in _operations(api):
        answer = await api.call(method, path, {} if method != "GET" else None, token=token)
        assert (answer.status == 403) == (method != "GET"), (method, path)


async def test_an_administrator_of_another_project_may(api: Api) -> None:
    token = api.token("admin", user="other", project="elsewhere")

    assert (await api.call("GET", "/v1/pods", token=token)).status == 200


@pytest.mark.parametrize("token", ["gAAAAnonsense", "x", "gAAAA" * 500, "%00", "ä"])
async def test_a_bad_token_is_refused(api: Api, token: str) -> None:
    assert (await api.call("GET", "/v1/pods", token=token)).status == 401


async def test_an_expired_token_is_refused(api: Api) -> None:
    accounts = api.cloud.identity.accounts
    admin, project = accounts.find_user("admin"), accounts.find_project("admin")
    assert admin is not None
    past = datetime(2020, 1, 1, tzinfo=UTC)
    token = accounts.issue(admin, project, ["admin"], expires_at=past).id

    assert (await api.call("GET", "/v1/pods", token=token)).status == 401


async def test_identity_headers_of_the_client_mean_nothing(api: Api) -> None:
    spoofed = {
        "X-Roles": "admin",
        "X-Role": "admin",
        "X-User-Id": "root",
        "X-Project-Id": "admin",
        "X-Identity-Status": "Confirmed",
        "X-Is-Admin-Project": "True",
        "X-Service-Roles": "admin",
        "OpenStack-System-Scope": "all",
    }

    nobody = await api.call("GET", "/v1/pods", token="", headers=spoofed)
    member = await api.call("GET", "/v1/pods", token=api.token("member"), headers=spoofed)

    assert (nobody.status, member.status) == (401, 403)


async def test_an_access_rule_bounds_an_application_credential(api: Api) -> None:
    accounts = api.cloud.identity.accounts
    admin, project = accounts.find_user("admin"), accounts.find_project("admin")
    assert admin is not None
    assert project is not None
    api.cloud.catalogue.set_endpoint("RegionOne", "tricircle", api.url)
    rules = [("tricircle", "GET", "/v1/pods")]
    credential = accounts.add_credential(admin, project, "read", "secret", rules)
    token = accounts.issue(
        admin, project, credential.roles, ("application_credential",), credential
    ).id

    assert (await api.call("GET", "/v1/pods", token=token)).status == 200
    assert (await api.call("GET", "/v1/pods/", token=token)).status == 200
    assert (await api.call("GET", "/v1/zones", token=token)).status in (401, 403)


async def test_a_policy_file_lets_others_in(api: Api, tmp_path: Path) -> None:
    token = api.token("reader")
    assert (await api.call("GET", "/v1/zones", token=token)).status == 403

    (tmp_path / "policy.yaml").write_text('"tricircle:zones:list": "role:reader"\n')

    assert (await api.call("GET", "/v1/zones", token=token)).status == 200
    assert (await api.call("GET", "/v1/pods", token=token)).status == 403


async def test_keystone_away_is_503_and_not_401(api: Api) -> None:
    token = api.admin
    api.cloud.faults.inject(Refuse(), service="identity")

    assert (await api.call("GET", "/v1/pods", token=token)).status == 503


# What everybody gets.


async def test_versions_are_told_to_everyone(api: Api) -> None:
    root = await api.call("GET", "/", token="")
    version = await api.call("GET", "/v1/", token="")

    assert root.status == version.status == 200
    assert root.body["versions"] == [version.body["version"]]
    assert version.body["version"]["links"][0] == {"rel": "self", "href": f"{api.url}/v1/"}


async def test_a_load_balancer_is_told_ok(api: Api) -> None:
    answer = await api.call("GET", "/healthcheck", token="")

    assert (answer.status, answer.body) == (200, "OK")


async def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    sent = {"X-OpenStack-Request-ID": "req-11111111-2222-3333-4444-555555555555"}
    answers = [
        await api.call("GET", "/v1/pods", headers=sent),
        await api.call("GET", "/v1/pods", token=""),
        await api.call("GET", "/v1/nothing"),
        await api.call("GET", "/"),
    ]

    ids = [answer.headers["X-OpenStack-Request-ID"] for answer in answers]
    assert all(REQUEST_ID.match(found) for found in ids)
    assert len({*ids, *sent.values()}) == 5


# Pods.


async def test_a_pod_lives_and_dies(api: Api) -> None:
    added = await api.add_pod("pod1")
    assert added.status == 201
    pod = added.body["pod"]
    assert pod["enabled"]
    assert pod["endpoints"]["compute"] == {
        "url": f"{api.cloud_url}/pod1/compute/v2.1",
        "versions": {"minimum": "2.1", "maximum": "2.104"},
    }
    assert pod["endpoints"]["network"]["versions"] is None

    for key in ("pod1", pod["id"]):
        assert (await api.call("GET", f"/v1/pods/{key}")).body["pod"] == pod
    assert (await api.call("GET", "/v1/pods")).body == {"pods": [pod], "pods_links": []}

    change = {"pod": {"name": "east", "description": "in the east", "enabled": False}}
    changed = (await api.call("PATCH", "/v1/pods/pod1", change)).body["pod"]
    assert {**pod, **change["pod"], "updated_at": changed["updated_at"]} == changed

    gone = await api.call("DELETE", "/v1/pods/east")
    assert (gone.status, gone.body) == (204, "")
    assert (await api.call("GET", "/v1/pods/east")).status == 404


async def test_a_pod_is_enabled_and_disabled_any_number_of_times(api: Api) -> None:
    await api.add_pod("pod1")

    states = []
    for action in ("disable", "disable", "enable", "enable"):
        answer = await api.call("POST", f"/v1/pods/pod1/{action}")
        assert answer.status == 200
        states.append(answer.body["pod"]["enabled"])

    assert states == [False, False, True, True]


async def test_a_change_without_a_field_changes_nothing(api: Api) -> None:
    pod = (await api.add_pod("pod1")).body["pod"]

    assert (await api.call("PATCH", "/v1/pods/pod1", {"pod": {}})).body["pod"] == pod


async def test_changes_made_at_once_are_all_kept(api: Api) -> None:
    await api.add_pod("pod1")
    changes = {"name": "east", "description": "in the east", "enabled": False}

    answers = await asyncio.gather(
        *(
            api.call("PATCH", "/v1/pods/" + found["id"], {"pod": {field: value}})
            for found in (await api.call("GET", "/v1/pods")).body["pods"]
            for field, value in changes.items()
        )
    )

    assert [answer.status for answer in answers] == [200, 200, 200]
    pod = (await api.call("GET", "/v1/pods/east")).body["pod"]
    assert {field: pod[field] for field in changes} == changes


async def test_the_tags_of_a_pod_are_changed_one_by_one(api: Api) -> None:
    body = {"pod": {"name": "pod1", "region": "pod1", "tags": {"disk": "ssd", "rack": "7 b"}}}
    added = await api.call("POST", "/v1/pods", body)
    assert added.body["pod"]["tags"] == {"disk": "ssd", "rack": "7 b"}

    async def change(tags: object) -> Answer:
        return await api.call("PATCH", "/v1/pods/pod1", {"pod": {"tags": tags}})

    await asyncio.gather(
        *(change({name: "yes"}) for name in ("gpu", "tpm", "hsm")), change({"rack": None})
    )

    shown = (await api.call("GET", "/v1/pods/pod1")).body["pod"]
    assert shown["tags"] == {"disk": "ssd", "gpu": "yes", "hsm": "yes", "tpm": "yes"}
    assert (await change({})).body["pod"] == shown
    assert (await change(None)).body["pod"] == shown


@pytest.mark.parametrize(
    "tags",
    [
        {"": "x"},
        {"a:b": "x"},
        {"a": ""},
        {"a": 1},
        {"a": "\n"},
        {"a" * 65: "x"},
        {f"tag{number}": "x" for number in range(51)},
        ["a"],
    ],
    ids=str,
)
async def test_tags_that_no_extra_spec_could_name_are_refused(api: Api, tags: object) -> None:
    pod = (await api.add_pod("pod1")).body["pod"]
    assert (await api.call("PATCH", "/v1/pods/pod1", {"pod": {"tags": tags}})).status == 400
    new = {"pod": {"name": "pod2", "region": "pod2", "tags": tags}}
    assert (await api.call("POST", "/v1/pods", new)).status == 400
    assert (await api.call("GET", "/v1/pods")).body["pods"] == [pod]


async def test_a_pod_never_has_more_tags_than_it_may(api: Api) -> None:
    await api.add_pod("pod1")
    full = {"pod": {"tags": {f"tag{number}": "x" for number in range(50)}}}
    assert (await api.call("PATCH", "/v1/pods/pod1", full)).status == 200
    more = await api.call("PATCH", "/v1/pods/pod1", {"pod": {"tags": {"more": "x"}}})
    assert more.status == 400
    assert more.message == "a pod has at most 50 tags; 51 would be too many"


async def test_the_region_of_a_pod_cannot_be_changed(api: Api) -> None:
    await api.add_pod("pod1")

    answer = await api.call("PATCH", "/v1/pods/pod1", {"pod": {"region": "pod2"}})

    assert answer.status == 400
    assert "field 'pod.region' is not known" in answer.message


async def test_a_pod_added_twice_at_once_is_added_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.add_pod("pod1") for _ in range(4)))

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert _names(await api.call("GET", "/v1/pods")) == ["pod1"]


async def test_a_pod_is_refused_for_its_region_or_an_endpoint_with_the_reason(api: Api) -> None:
    unknown = await api.call("POST", "/v1/pods", {"pod": {"name": "x", "region": "nowhere"}})
    assert (unknown.status, "region 'nowhere'" in unknown.message) == (400, True)

    api.cloud.pod("pod2").faults.inject(Refuse(), service="volume")
    dead = await api.add_pod("pod2")
    assert dead.status == 409
    assert f"volumev3 endpoint {api.cloud_url}/pod2/volume/v3" in dead.message
    assert _names(await api.call("GET", "/v1/pods")) == []


async def test_a_pod_that_hangs_holds_up_nobody_else(api: Api) -> None:
    hanging = api.cloud.pod("pod2").faults.inject(Hang())
    adding = asyncio.create_task(api.add_pod("pod2"))

    assert (await api.add_pod("pod1")).status == 201

    hanging.release()
    assert (await adding).status == 201


async def test_a_refresh_tells_what_has_changed(api: Api) -> None:
    await api.add_pod("pod1")
    api.cloud.catalogue.set_endpoint("pod1", "compute", "{root}/pod2/compute/v2.1")

    answer = await api.call("POST", "/v1/pods/pod1/refresh")

    assert answer.status == 200
    assert answer.body["pod"]["endpoints"]["compute"]["versions"]["maximum"] == "2.100"


async def test_pods_are_filtered_sorted_and_paged(api: Api) -> None:
    await api.add_pod("pod1")
    await api.add_pod("pod2")
    await api.call("POST", "/v1/pods/pod2/disable")

    assert _names(await api.call("GET", "/v1/pods?enabled=true")) == ["pod1"]
    assert _names(await api.call("GET", "/v1/pods?region=pod2")) == ["pod2"]
    first = await api.call("GET", "/v1/pods?sort=name:desc&limit=1")
    assert _names(first) == ["pod2"]
    link = first.body["pods_links"][0]["href"].removeprefix(api.url)
    second = await api.call("GET", link)
    assert _names(second) == ["pod1"]
    assert second.body["pods_links"] == []


# Zones.


async def test_a_zone_comes_with_its_first_pod_and_goes_with_its_last(api: Api) -> None:
    await api.add_pod("pod1")
    await api.add_pod("pod2")

    assert (await api.add_zone("az1", "pod2")).status == 201
    zone = (await api.add_zone("az1", "pod1", "west")).body["zone"]
    assert zone["name"] == "az1"
    assert [(pod["pod_name"], pod["pod_az"]) for pod in zone["pods"]] == [
        ("pod1", "west"),
        ("pod2", "nova"),
    ]
    assert (await api.call("GET", "/v1/zones")).body == {"zones": [zone]}
    assert (await api.call("GET", "/v1/zones/az1")).body == {"zone": zone}

    for pod in ("pod1", "pod2"):
        assert (await api.call("DELETE", f"/v1/zones/az1/pods/{pod}")).status == 204
    assert (await api.call("GET", "/v1/zones/az1")).status == 404


async def test_what_a_zone_sends_to_a_pod_can_be_changed(api: Api) -> None:
    await api.add_pod("pod1")
    await api.add_zone("az1", "pod1")

    changed = await api.call("PATCH", "/v1/zones/az1/pods/pod1", {"zone_pod": {"pod_az": ""}})

    assert changed.body["zone_pod"]["pod_az"] == ""
    assert (await api.call("GET", "/v1/zones/az1/pods/pod1")).body == changed.body


async def test_a_pod_serves_a_zone_once_and_tells_its_zones_apart(api: Api) -> None:
    await api.add_pod("pod1")
    await api.add_zone("az1", "pod1", "nova")

    again = await api.add_zone("az1", "pod1", "other")
    same = await api.add_zone("az2", "pod1", "nova")

    assert (again.status, same.status) == (409, 409)
    assert "az1" in again.message


async def test_a_zone_needs_a_pod_that_is_there(api: Api) -> None:
    answer = await api.add_zone("az1", "pod9")

    assert answer.status == 400
    assert "pod 'pod9' could not be found" in answer.message


# What holds a pod, and what is where.


async def _put_servers(api: Api, pod_id: str, count: int) -> list[Routing]:
    routings = [
        Routing(
            Kind.SERVER,
            TopId(f"server-{number}"),
            PodId(pod_id),
            BottomId(f"server-{number}"),
            ProjectId("shop"),
        )
        for number in range(count)
    ]
    await api.stores.routings.keep_routings(routings)
    return routings


async def test_a_pod_that_holds_something_is_not_deleted_and_says_what(api: Api) -> None:
    pod_id = (await api.add_pod("pod1")).body["pod"]["id"]
    await api.add_zone("az1", "pod1")
    await _put_servers(api, pod_id, 3)

    answer = await api.call("DELETE", "/v1/pods/pod1")

    assert answer.status == 409
    assert "az1" in answer.message
    assert "3 server" in answer.message
    assert (await api.call("GET", "/v1/pods/pod1")).status == 200


async def test_routings_are_listed_by_pages_and_filters(api: Api) -> None:
    pod_id = (await api.add_pod("pod1")).body["pod"]["id"]
    await _put_servers(api, pod_id, 5)

    path = "/v1/routings?kind=server&pod=pod1&project_id=shop&state=active&limit=2"
    seen = []
    while path:
        page = (await api.call("GET", path)).body
        seen += [routing["top_id"] for routing in page["routings"]]
        links = page["routings_links"]
        path = links[0]["href"].removeprefix(api.url) if links else ""

    assert seen == [f"server-{number}" for number in range(5)]
    assert (await api.call("GET", "/v1/routings?kind=volume")).body["routings"] == []
    assert (await api.call("GET", "/v1/routings?state=creating")).body["routings"] == []


async def test_a_resource_is_found_by_kind_and_id(api: Api) -> None:
    pod_id = (await api.add_pod("pod1")).body["pod"]["id"]
    await _put_servers(api, pod_id, 1)

    found = (await api.call("GET", "/v1/routings/server/server-0")).body["routings"]

    assert [(routing["pod_id"], routing["state"]) for routing in found] == [
        (pod_id, RoutingState.ACTIVE)
    ]


async def test_nodes_are_listed(api: Api) -> None:
    pod_id = PodId((await api.add_pod("pod1")).body["pod"]["id"])
    await api.stores.nodes.put_node(Node(pod_id, "pod1", vcpus=8, vcpus_used=3))

    nodes = (await api.call("GET", "/v1/nodes")).body["nodes"]

    assert [(node["name"], node["vcpus"], node["vcpus_used"]) for node in nodes] == [("pod1", 8, 3)]


async def test_where_a_resource_would_go_is_told_with_reasons(api: Api) -> None:
    for name in ("pod1", "pod2"):
        pod_id = PodId((await api.add_pod(name)).body["pod"]["id"])
        used = 999 if name == "pod1" else 0
        node = Node(pod_id, name, 1000, used, 10**6, 0, 10**6, 0, 100, 95 if name == "pod2" else 0)
        await api.stores.nodes.put_node(node)
        for zone in ("az1", f"only-{name}"):
            pod_az = "nova" if zone == "az1" else ""
            body = {"zone": {"name": zone, "pod": name, "pod_az": pod_az}}
            assert (await api.call("POST", "/v1/zones", body)).status == 201

    async def order(query: str) -> list[tuple[str, bool]]:
        found = (await api.call("GET", f"/v1/placement{query}")).body["placement"]
        return [(one["pod"], one["candidate"]) for one in found]

    assert await order("?zone=az1&flavor=1&count=2") == [("pod2", True), ("pod1", True)]
    assert await order("?zone=az1&size=10") == [("pod1", True), ("pod2", True)]
    assert await order("?zone=only-pod1&size=10") == [("pod1", True), ("pod2", False)]
    assert await order("") == [("pod2", True), ("pod1", True)]
    first, second = (await api.call("GET", "/v1/placement?zone=az1&size=10")).body["placement"]
    assert (first["pod_az"], first["reason"]) == ("nova", "")
    assert second["weights"][0] == {
        "weigher": "room",
        "value": -2000.0,
        "reason": "has no room: 5 of 100 GiB for volumes free, 10 needed",
    }


async def test_a_pod_without_a_tag_is_told_which(api: Api) -> None:
    for name in ("pod1", "pod2"):
        tags = {"disk": "ssd"} if name == "pod2" else {}
        await api.call("POST", "/v1/pods", {"pod": {"name": name, "region": name, "tags": tags}})
        body = {"zone": {"name": "az1", "pod": name, "pod_az": "nova"}}
        await api.call("POST", "/v1/zones", body)
        cloud = api.cloud.pod(name)
        cloud.volume.add_type("fast", "").extra_specs["pod_tag:disk"] = "ssd"
        cloud.compute.flavors["2"].extra_specs["pod_tag:gpu"] = "yes"
    await api.call("PATCH", "/v1/pods/pod1", {"pod": {"tags": {"gpu": "yes"}}})

    async def reasons(query: str) -> dict[str, str]:
        found = (await api.call("GET", f"/v1/placement?zone=az1&{query}")).body["placement"]
        return {one["pod"]: one["reason"] for one in found}

    lacks = "lacks the tags that are demanded: "
    assert await reasons("volume_type=fast&size=1") == {"pod1": f"{lacks}disk=ssd", "pod2": ""}
    assert await reasons("flavor=2") == {"pod1": "", "pod2": f"{lacks}gpu=yes"}
    assert await reasons("flavor=2&volume_type=fast") == {
        "pod1": f"{lacks}disk=ssd",
        "pod2": f"{lacks}gpu=yes",
    }
    assert set((await reasons("flavor=1&size=2")).values()) == {""}


async def test_the_binding_of_a_project_is_heeded(api: Api) -> None:
    for name in ("pod1", "pod2"):
        pod_id = PodId((await api.add_pod(name)).body["pod"]["id"])
        body = {"zone": {"name": "az1", "pod": name, "pod_az": "nova"}}
        await api.call("POST", "/v1/zones", body)
    await api.stores.bindings.bind(ProjectId("p"), ZoneName("az1"), pod_id)
    found = (await api.call("GET", "/v1/placement?zone=az1&project_id=p")).body["placement"]
    assert [one["pod"] for one in found] == ["pod2", "pod1"]
    await api.call("POST", "/v1/pods/pod2/disable")
    found = (await api.call("GET", "/v1/placement?zone=az1&project_id=p")).body["placement"]
    assert [one["pod"] for one in found] == ["pod1", "pod2"]
    assert found[1]["reason"] == "is disabled: it gets nothing new"


@pytest.mark.parametrize(
    "query",
    ["?zone=nowhere", "?flavor=none", "?volume_type=none", "?count=0", "?size=-1", "?none=1"],
)
async def test_a_placement_of_what_cannot_be_is_refused(api: Api, query: str) -> None:
    await api.add_pod("pod1")
    assert (await api.call("GET", f"/v1/placement{query}")).status == 400
