"""Jobs over HTTP: who sees what of them, and what an operator can do about them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.admin.conftest import Answer, Api
from tricircle.core.jobs import KINDS, Job, JobRequest, Purge, ReleaseServer, RepairPort, SweepTwins
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.runs import (
    Ending,
    JobId,
    LeaseToken,
    Outcome,
    RetryRules,
    Succeeded,
    Unsuccessful,
)
from tricircle.interfaces.jobs import ClaimAsk

REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
WORKER = "controller-7"
ERROR = "pod1 at 10.0.0.7 answered 500"
FOR_PROJECTS = {
    "id", "kind", "state", "project_id", "fields", "created_at", "updated_at", "finished_at",
}  # fmt: skip
ABSENT = "4a5b1c1e-0000-4000-8000-000000000000"
_numbers = itertools.count()


@dataclass
class World:
    """An API with one pod and jobs of two projects."""

    api: Api
    pod_id: PodId

    def project(self, name: str) -> ProjectId:
        """Return the id of a project."""
        return ProjectId(self.api.cloud.project_id(name))

    def release(self, server: str, project: str = "shop") -> ReleaseServer:
        """Return a job of a project."""
        return ReleaseServer(self.pod_id, TopId(server), self.project(project))

    async def submit(self, *jobs: Job) -> list[JobId]:
        """Ask for jobs one after the other, so that their order is known."""
        desk = self.api.stores.desk
        asked = [await desk.submit_jobs([JobRequest(job, REQUEST_ID)]) for job in jobs]
        return [job_id for (job_id,) in asked]

    async def begin(self, kind: str) -> LeaseToken:
        """Let a worker take all jobs of a kind."""
        token = LeaseToken(f"{WORKER}/{next(_numbers)}")
        await self._claim(kind, token)
        return token

    async def run(self, kind: str, outcome: Outcome) -> None:
        """Let a worker run all jobs of a kind; what fails is not tried again."""
        token = LeaseToken(f"{WORKER}/{next(_numbers)}")
        runs = await self._claim(kind, token)
        rules = RetryRules(max_attempts=1)
        endings = [Ending(run, outcome, rules, 1.0) for run in runs]
        assert len(await self.api.stores.queue.finish_runs(endings)) == len(runs) > 0

    async def _claim(self, kind: str, token: LeaseToken) -> Any:
        ask = ClaimAsk(WORKER, token, 100, 60, {kind}, 100, {})
        return (await self.api.stores.queue.claim_jobs(ask)).runs

    async def show(self, job_id: str, token: str | None = None) -> Any:
        """Return a job as the administrator, or another one, sees it."""
        answer = await self.api.call("GET", f"/v1/jobs/{job_id}", token=token)
        assert answer.status == 200
        return answer.body["job"]

    async def list_ids(self, query: str = "", token: str | None = None) -> list[str]:
        """Return the ids of all pages of a list, in order."""
        found: list[str] = []
        path = f"/v1/jobs{query}"
        while path:
            answer = await self.api.call("GET", path, token=token)
            assert answer.status == 200, answer.body
            found += [job["id"] for job in answer.body["jobs"]]
            links = answer.body["jobs_links"]
            path = links[0]["href"].removeprefix(self.api.url) if links else ""
        return found

    async def create(self, kind: object, fields: object = None, token: str | None = None) -> Answer:
        """Return the answer to asking for a job."""
        job = {"kind": kind} if fields is None else {"kind": kind, "fields": fields}
        return await self.api.call("POST", "/v1/jobs", {"job": job}, token=token)


@pytest.fixture
async def world(api: Api) -> World:
    """An API with a pod that is filled already."""
    return await _fill(api)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(shared_api: Api) -> World:
    """The same for tests that leave nothing behind."""
    return await _fill(shared_api)


async def _fill(api: Api) -> World:
    world = World(api, PodId((await api.add_pod("pod1")).body["pod"]["id"]))
    for kind in ("sweep_pod", "carry_limits", "measure_node", "probe_pod"):
        await world.run(kind, Succeeded())
    return world


# Lists.


async def test_jobs_are_listed_newest_first_in_pages(world: World) -> None:
    ids = await world.submit(*(world.release(f"s{n}") for n in range(5)))
    wanted = [*reversed(ids)]

    assert await world.list_ids("?kind=release_server") == wanted
    assert await world.list_ids("?kind=release_server&limit=2") == wanted
    assert await world.list_ids(f"?kind=release_server&marker={ids[2]}") == [ids[1], ids[0]]
    assert len(await world.list_ids("?limit=3")) == 9


async def test_the_next_link_keeps_the_filters(world: World) -> None:
    await world.submit(*(world.release(f"s{n}") for n in range(2)))

    page = await world.api.call("GET", "/v1/jobs?state=new&pod=pod1&limit=1")

    (link,) = page.body["jobs_links"]
    assert link["rel"] == "next"
    url = urlsplit(link["href"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{world.api.url}/v1/jobs"
    assert parse_qs(url.query) == {
        "state": ["new"],
        "pod": ["pod1"],
        "limit": ["1"],
        "marker": [page.body["jobs"][0]["id"]],
    }


async def test_jobs_are_found_by_each_filter(world: World) -> None:
    mine, other, sweep = await world.submit(
        world.release("s1"), world.release("s2", "bank"), SweepTwins()
    )
    await world.run("sweep_twins", Unsuccessful(ERROR))
    key = (await world.show(other))["key"]

    assert await world.list_ids("?kind=sweep_twins") == [sweep]
    assert await world.list_ids("?state=failed") == [sweep]
    assert await world.list_ids("?state=new") == [other, mine]
    assert await world.list_ids(f"?pod={world.pod_id}&state=new") == [other, mine]
    assert await world.list_ids("?pod=pod1&kind=release_server") == [other, mine]
    assert await world.list_ids(f"?project_id={world.project('bank')}") == [other]
    assert await world.list_ids(f"?key={key}") == [other]
    assert await world.list_ids("?project_id=nobody") == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("kind=paint", "parameter 'kind': there is no kind of job 'paint'; there are carry_limits"),
        ("state=lost", "parameter 'state'"),
        ("pod=pod9", "pod 'pod9' could not be found; see GET /v1/pods"),
        ("key=abc", "parameter 'key'"),
        ("limit=0", "parameter 'limit'"),
        ("limit=1001", "parameter 'limit'"),
        (f"marker={ABSENT}", f"marker '{ABSENT}' is not the id of a job"),
        ("marker=%00", "marker"),
        ("colour=red", "parameter 'colour' is not known"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(
    shared_world: World, query: str, reason: str
) -> None:
    answer = await shared_world.api.call("GET", f"/v1/jobs?{query}")

    assert answer.status == 400
    assert reason in answer.message


# One job.


async def test_a_job_that_failed_tells_why_and_what_became_of_it(world: World) -> None:
    (job_id,) = await world.submit(world.release("s1"))
    await world.run("release_server", Unsuccessful(ERROR))

    job = await world.show(job_id)

    assert (job["state"], job["error"], job["attempts"]) == ("failed", ERROR, 1)
    assert (job["kind"], job["asked"], job["request_id"]) == ("release_server", 1, REQUEST_ID)
    assert (job["pod_id"], job["project_id"]) == (world.pod_id, world.project("shop"))
    assert job["fields"] == {
        "pod_id": world.pod_id, "server_id": "s1", "project_id": world.project("shop"),
    }  # fmt: skip
    assert job["started_at"] <= job["finished_at"]
    assert job["lease_until"] is None
    moves = [(event["state"], event["who"], event["why"]) for event in job["events"]]
    assert moves == [
        ("new", "", f"asked for by {REQUEST_ID}"),
        ("running", WORKER, ""),
        ("failed", WORKER, ERROR),
    ]


async def test_a_job_that_runs_tells_who_has_it_until_when(world: World) -> None:
    (job_id,) = await world.submit(world.release("s1"))
    await world.begin("release_server")

    job = await world.show(job_id)

    assert (job["state"], job["worker"]) == ("running", WORKER)
    assert job["lease_until"] > job["started_at"]


async def test_a_list_shows_the_same_without_the_moves(world: World) -> None:
    (job_id,) = await world.submit(world.release("s1"))
    shown = await world.show(job_id)

    (listed,) = (await world.api.call("GET", "/v1/jobs?kind=release_server")).body["jobs"]

    del shown["events"]
    assert listed == shown


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("job_id", [ABSENT, "x", "%00", "s" * 300])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/redo"), ("POST", "/cancel")])
async def test_a_job_that_is_not_there_is_404(
    shared_world: World, job_id: str, method: str, end: str
) -> None:
    answer = await shared_world.api.call(method, f"/v1/jobs/{job_id}{end}")

    assert answer.status == 404
    assert "could not be found; see GET /v1/jobs" in answer.message


# What an operator does.


async def test_what_failed_is_done_again(world: World) -> None:
    (job_id,) = await world.submit(world.release("s1"))
    await world.run("release_server", Unsuccessful(ERROR))

    answer = await world.api.call("POST", f"/v1/jobs/{job_id}/redo")

    assert answer.status == 202
    job = answer.body["job"]
    assert (job["id"], job["state"], job["attempts"]) == (job_id, "new", 0)
    admin = world.api.cloud.identity.accounts.find_user("admin")
    assert admin is not None
    assert job["events"][-1]["who"] == admin.id
    assert job["request_id"] == answer.headers["X-OpenStack-Request-ID"]
    await world.run("release_server", Succeeded())
    assert (await world.show(job_id))["state"] == "done"


async def test_what_runs_is_done_once_more_and_what_is_done_is_asked_for_anew(
    world: World,
) -> None:
    running, done = await world.submit(world.release("s1"), Purge())
    await world.begin("release_server")
    await world.run("purge", Succeeded())

    once_more = await world.api.call("POST", f"/v1/jobs/{running}/redo")
    anew = await world.api.call("POST", f"/v1/jobs/{done}/redo")

    assert (once_more.status, anew.status) == (202, 202)
    assert (once_more.body["job"]["id"], once_more.body["job"]["state"]) == (running, "running")
    assert once_more.body["job"]["asked"] == 2
    assert (anew.body["job"]["id"] != done, anew.body["job"]["state"]) == (True, "new")
    assert (await world.show(done))["state"] == "done"


async def test_a_job_is_cancelled_once(world: World) -> None:
    (job_id,) = await world.submit(world.release("s1"))

    first = await world.api.call("POST", f"/v1/jobs/{job_id}/cancel")
    second = await world.api.call("POST", f"/v1/jobs/{job_id}/cancel")

    assert (first.status, first.body["job"]["state"]) == (200, "cancelled")
    assert second.status == 409
    assert f"job '{job_id}' is cancelled already" in second.message


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_job_is_asked_for_with_its_pod_by_name_or_id(world: World, by_name: bool) -> None:
    answer = await world.create("sweep_pod", {"pod_id": "pod1" if by_name else world.pod_id})

    assert answer.status == 202
    job = answer.body["job"]
    assert (job["kind"], job["state"], job["pod_id"]) == ("sweep_pod", "new", world.pod_id)
    assert job["request_id"] == answer.headers["X-OpenStack-Request-ID"]
    again = await world.create("sweep_pod", {"pod_id": world.pod_id})
    assert (again.body["job"]["id"], again.body["job"]["asked"]) == (job["id"], 2)


async def test_a_job_without_fields_is_asked_for_by_its_kind(world: World) -> None:
    assert (await world.create("purge")).status == 202
    assert (await world.create("purge", {})).status == 202


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("paint", {}, "field 'job.kind': there is no kind of job 'paint'; there are carry_limits"),
        ("release_port", {}, "'release_port' are made by Tricircle alone; GET /v1/job-kinds"),
        ("", {}, "field 'job.kind'"),
        (7, {}, "field 'job.kind'"),
        ("sweep_pod", {}, "fields of sweep_pod are pod_id: pod_id is missing"),
        ("sweep_pod", {"pod_id": ""}, "field pod_id of sweep_pod is empty"),
        (
            "replicate",
            {"pod_id": "pod1", "resource": "image", "owner": "", "name": "x"},
            "field resource of replicate is 'image'; it must be one of default_type, flavor",
        ),
        ("purge", {"pod_id": "pod1"}, "fields of purge are none: pod_id is not one of them"),
        ("sweep_pod", {"pod_id": "pod1", "x": "y"}, "x is not one of them"),
        ("sweep_pod", {"pod_id": 7}, "field 'job.fields.pod_id'"),
        ("sweep_pod", {"pod_id": None}, "field 'job.fields.pod_id'"),
        ("sweep_pod", [], "field 'job.fields'"),
        ("sweep_pod", {"pod_id": "pod9"}, "field 'job.fields.pod_id': pod 'pod9' could not be"),
        ("sweep_pod", {"pod_id": "p" * 300}, "field pod_id of sweep_pod must be text"),
        ("sweep_pod", {"pod_id": "\0"}, "field pod_id of sweep_pod must be text"),
        ("sweep_pod", {"pod_id": "\ud800"}, "field pod_id of sweep_pod must be text"),
        ("sweep_pod", {"\ud800": "x"}, "\\ud800 is not one of them"),
    ],
)
async def test_a_wrong_job_is_refused_by_the_field(
    shared_world: World, kind: object, fields: object, reason: str
) -> None:
    before = await shared_world.list_ids()

    answer = await shared_world.create(kind, fields)

    assert answer.status == 400
    assert reason in answer.message
    assert await shared_world.list_ids() == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "field 'job' is required"),
        ({"job": {}}, "field 'job.kind' is required"),
        ({"job": {"kind": "purge", "who": "me"}}, "field 'job.who' is not known"),
        ({"job": {"kind": "purge"}, "wait_s": 5}, "field 'wait_s' is not known"),
    ],
)
async def test_a_body_with_too_much_or_too_little_is_refused(
    shared_world: World, body: object, reason: str
) -> None:
    answer = await shared_world.api.call("POST", "/v1/jobs", body)

    assert (answer.status, reason in answer.message) == (400, True)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_kinds_are_listed_with_their_fields(shared_world: World) -> None:
    kinds = (await shared_world.api.call("GET", "/v1/job-kinds")).body["job_kinds"]

    assert [kind["name"] for kind in kinds] == sorted(KINDS)
    by_name = {kind["name"]: kind for kind in kinds}
    assert by_name["release_server"] == {
        "name": "release_server",
        "description": "Release the ports of a server that is gone from its pod.",
        "fields": ["pod_id", "server_id", "project_id"],
        "for_operators": True,
    }
    assert not by_name["release_port"]["for_operators"]
    assert all(kind["description"] and "``" not in kind["description"] for kind in kinds)


# Who sees what.


@dataclass
class Shop:
    """Two jobs of the project ``shop`` and one of another; all that failed say too much."""

    world: World
    repair: JobId
    release: JobId
    foreign: JobId

    @property
    def secrets(self) -> list[str]:
        """Return what no user of a project may read."""
        return [self.world.pod_id, "pod1", WORKER, ERROR, REQUEST_ID, self.foreign, "10.0.0.7"]


@pytest.fixture
async def shop(world: World) -> Shop:
    """A project with a job that failed and one that runs."""
    repair = RepairPort(world.pod_id, TopId("port-1"), world.project("shop"))
    ids = await world.submit(repair, world.release("s1"), world.release("s2", "bank"))
    await world.run("repair_port", Unsuccessful(ERROR))
    await world.begin("release_server")
    return Shop(world, *ids)


@pytest.mark.parametrize("role", ["member", "reader"])
async def test_a_user_sees_the_jobs_of_its_project_and_nothing_of_the_cloud(
    shop: Shop, role: str
) -> None:
    api, token = shop.world.api, shop.world.api.token(role)

    listed = await api.call("GET", "/v1/jobs", token=token)
    shown = await api.call("GET", f"/v1/jobs/{shop.repair}", token=token)

    assert [job["id"] for job in listed.body["jobs"]] == [shop.release, shop.repair]
    assert all(set(job) == FOR_PROJECTS for job in listed.body["jobs"])
    job = shown.body["job"]
    assert set(job) == {*FOR_PROJECTS, "events"}
    assert (job["kind"], job["state"]) == ("repair_port", "failed")
    assert job["fields"] == {"port_id": "port-1", "project_id": shop.world.project("shop")}
    assert [event["state"] for event in job["events"]] == ["new", "running", "failed"]
    assert all(set(event) == {"state", "at"} for event in job["events"])
    for secret in (*shop.secrets, (await shop.world.show(shop.repair))["key"]):
        assert secret not in json.dumps([listed.body, shown.body])


async def test_pages_of_a_user_are_of_its_own_jobs(shop: Shop) -> None:
    token = shop.world.api.token("member")

    assert await shop.world.list_ids("?limit=1", token) == [shop.release, shop.repair]
    assert await shop.world.list_ids("?state=failed", token) == [shop.repair]
    assert await shop.world.list_ids("?kind=release_server", token) == [shop.release]
    own = shop.world.project("shop")
    assert await shop.world.list_ids(f"?project_id={own}&limit=1", token) == [
        shop.release,
        shop.repair,
    ]


async def test_a_job_of_another_project_is_as_good_as_absent(shop: Shop) -> None:
    api, token = shop.world.api, shop.world.api.token("member")
    (sweep,) = await shop.world.submit(SweepTwins())

    def told(answer: Answer, job_id: str) -> tuple[int, Mapping[str, str], str]:
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in ("x-openstack-request-id", "date")
        }
        return answer.status, kept, json.dumps(answer.body).replace(job_id, "ID")

    for path in ("/v1/jobs/{}", "/v1/jobs?marker={}"):
        absent = told(await api.call("GET", path.format(ABSENT), token=token), ABSENT)
        assert absent[0] == (404 if "marker" not in path else 400)
        for job_id in (shop.foreign, sweep):
            assert told(await api.call("GET", path.format(job_id), token=token), job_id) == absent


@pytest.mark.parametrize(
    "query",
    ["pod=pod1", "pod=pod9", "key=" + 64 * "0", "project_id=bank", f"project_id={ABSENT}"],
)
async def test_filters_that_would_tell_of_the_cloud_are_refused_whatever_is_there(
    shop: Shop, query: str
) -> None:
    query = query.replace("bank", shop.world.project("bank"))

    answer = await shop.world.api.call(
        "GET", f"/v1/jobs?{query}", token=shop.world.api.token("member")
    )

    name = query.partition("=")[0]
    assert answer.status == 403
    assert answer.message == (
        "policy does not allow tricircle:jobs:show_all with this token, which parameter "
        f"'{name}' takes; leave it out to list the jobs of the token's project"
    )


async def test_a_user_changes_no_job_not_even_its_own(shop: Shop) -> None:
    token = shop.world.api.token("member")

    for job_id in (shop.repair, shop.foreign, ABSENT):
        for action in ("redo", "cancel"):
            path = f"/v1/jobs/{job_id}/{action}"
            assert (await shop.world.api.call("POST", path, token=token)).status == 403
    assert (await shop.world.create("purge", token=token)).status == 403
    assert (await shop.world.api.call("GET", "/v1/job-kinds", token=token)).status == 403
    assert (await shop.world.show(shop.repair))["state"] == "failed"


async def test_a_user_of_a_project_without_jobs_sees_none(shop: Shop) -> None:
    token = shop.world.api.token("member", user="other", project="elsewhere")

    assert await shop.world.list_ids(token=token) == []
    answer = await shop.world.api.call("GET", f"/v1/jobs/{shop.repair}", token=token)
    assert answer.status == 404


async def test_administrators_and_readers_of_the_system_see_all_of_every_job(shop: Shop) -> None:
    api = shop.world.api
    for token in (
        api.token("admin", user="other", project="elsewhere"),
        await api.scoped_token({"system": {"all": True}}, "reader"),
    ):
        assert await shop.world.list_ids("?pod=pod1&limit=1", token) == (
            await shop.world.list_ids("?pod=pod1")
        )
        assert await shop.world.show(shop.foreign, token) == await shop.world.show(shop.foreign)


async def test_a_reader_of_the_system_changes_no_job(shop: Shop) -> None:
    token = await shop.world.api.scoped_token({"system": {"all": True}}, "reader")

    for action in ("redo", "cancel"):
        path = f"/v1/jobs/{shop.repair}/{action}"
        assert (await shop.world.api.call("POST", path, token=token)).status == 403
    assert (await shop.world.create("purge", token=token)).status == 403


async def test_whom_a_policy_file_lets_redo_gets_at_its_own_jobs_and_no_others(
    shop: Shop, tmp_path: Path
) -> None:
    rules = {f"tricircle:jobs:{name}": "role:member" for name in ("redo", "cancel", "create")}
    (tmp_path / "policy.yaml").write_text(json.dumps(rules))
    api, token = shop.world.api, shop.world.api.token("member")

    redone = await api.call("POST", f"/v1/jobs/{shop.repair}/redo", token=token)
    cancelled = await api.call("POST", f"/v1/jobs/{shop.repair}/cancel", token=token)
    created = await shop.world.create("sweep_pod", {"pod_id": "pod1"}, token)

    assert (redone.status, cancelled.status, created.status) == (202, 200, 202)
    for answer in (redone, cancelled, created):
        assert set(answer.body["job"]) == {*FOR_PROJECTS, "events"}
    for action in ("redo", "cancel"):
        path = f"/v1/jobs/{shop.foreign}/{action}"
        assert (await api.call("POST", path, token=token)).status == 404
    assert (await shop.world.show(shop.foreign))["state"] == "running"


async def test_who_may_list_but_has_no_project_does_not_see_all(shop: Shop, tmp_path: Path) -> None:
    rules = {f"tricircle:jobs:{name}": "role:member" for name in ("list", "show")}
    (tmp_path / "policy.yaml").write_text(json.dumps(rules))
    token = await shop.world.api.scoped_token({"system": {"all": True}}, "member")

    for path in ("/v1/jobs", f"/v1/jobs/{shop.repair}"):
        answer = await shop.world.api.call("GET", path, token=token)
        assert answer.status == 403
        assert "tricircle:jobs:show_all" in answer.message


# Jobs of pods.


async def _waiting(api: Api) -> list[str]:
    jobs = (await api.call("GET", "/v1/jobs?state=new")).body["jobs"]
    return sorted(job["kind"] for job in jobs)


async def test_a_pod_that_is_added_is_filled_measured_and_probed(api: Api) -> None:
    added = await api.add_pod("pod1")

    jobs = (await api.call("GET", "/v1/jobs?state=new")).body["jobs"]

    kinds = ["carry_limits", "measure_node", "probe_pod", "sweep_pod"]
    assert sorted(job["kind"] for job in jobs) == kinds
    assert {job["pod_id"] for job in jobs} == {added.body["pod"]["id"]}
    assert {job["request_id"] for job in jobs} == {added.headers["X-OpenStack-Request-ID"]}


async def test_a_pod_that_is_refused_has_no_jobs(api: Api) -> None:
    assert (
        await api.call("POST", "/v1/pods", {"pod": {"name": "x", "region": "no"}})
    ).status == 400

    assert await _waiting(api) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/pods/pod1/refresh", None),
        ("POST", "/v1/pods/pod1/enable", None),
        ("PATCH", "/v1/pods/pod1", {"pod": {"enabled": True}}),
    ],
)
async def test_a_pod_is_filled_when_it_is_refreshed_or_enabled(
    world: World, method: str, path: str, body: object
) -> None:
    assert (await world.api.call(method, path, body)).status == 200

    assert await _waiting(world.api) == ["carry_limits", "sweep_pod"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/pods/pod1/disable", None),
        ("PATCH", "/v1/pods/pod1", {"pod": {"description": "old"}}),
    ],
)
async def test_other_changes_of_a_pod_ask_for_nothing(
    world: World, method: str, path: str, body: object
) -> None:
    assert (await world.api.call(method, path, body)).status == 200

    assert await _waiting(world.api) == []


async def test_jobs_of_a_pod_go_with_it(world: World) -> None:
    await world.submit(world.release("s1"), Purge())
    await world.begin("release_server")

    assert (await world.api.call("DELETE", "/v1/pods/pod1")).status == 204

    jobs = (await world.api.call("GET", "/v1/jobs")).body["jobs"]
    assert [job["kind"] for job in jobs] == ["purge"]
