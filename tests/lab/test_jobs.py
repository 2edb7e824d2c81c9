"""Jobs in real clouds: done by themselves, done late, and seen by those who may."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import processes, state
from lab.settings import Settings, settings_of
from tests.lab.conftest import ROOT, WAIT_S, Site, lab_command
from tricircle.adapters.config import load_settings
from tricircle.adapters.sql import open_database
from tricircle.adapters.sql.tables import metadata

pytestmark = pytest.mark.lab

RUN = ROOT / "lab" / "run"
WORKER = "top-tricircle-xjob"
INTERNALS = {"pod", "pod_id", "worker", "lease_until", "error", "key", "request_id", "attempts"}


class Jobs:
    """The Admin API's jobs, asked as one person."""

    def __init__(self, cloud: Any) -> None:
        self.session = cloud.session
        self.url = self.session.get_endpoint(service_type="tricircle", interface="public")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return an answer of the Admin API, whatever its status."""
        return self.session.request(f"{self.url}{path}", method, json=body, raise_exc=False)

    def list(self, query: str = "") -> list[dict[str, Any]]:
        """Return the newest jobs, as this person sees them."""
        answer = self.ask("GET", f"/v1/jobs{query}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["jobs"]
        return found


def wait_until(check: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> Any:
    """Return the first true value of a check."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {wait_s:g} s: {what}")


def jobs_of_server(jobs: Jobs, server_id: str) -> list[dict[str, Any]]:
    return [
        job
        for job in jobs.list("?kind=release_server")
        if job["fields"].get("server_id") == server_id
    ]


@pytest.fixture(scope="module")
def operator(connect: Callable[[str], Any]) -> Jobs:
    return Jobs(connect("top-admin"))


@pytest.fixture(scope="module")
def deleted(shared_member: Site) -> str:
    """The id of a server of project demo that is gone."""
    network = shared_member.network("10.81.0.0/24")
    server = shared_member.server("az2", network)
    compute = shared_member.cloud.compute
    compute.delete_server(server)
    compute.wait_for_delete(server, wait=WAIT_S)
    return str(server.id)


def test_a_deleted_server_leaves_one_job_that_releases_its_port(
    deleted: str, operator: Jobs, shared_member: Site
) -> None:
    def done() -> bool:
        return [job["state"] for job in jobs_of_server(operator, deleted)] == ["done"]

    wait_until(done, "the job is done")
    ports = list(shared_member.cloud.network.ports(device_id=deleted))
    assert ports == []


def test_a_member_sees_the_jobs_of_the_own_project_without_internals(
    deleted: str, operator: Jobs, connect: Callable[[str], Any]
) -> None:
    for person in ("top-demo", "top-reader"):
        (seen,) = jobs_of_server(Jobs(connect(person)), deleted)
        assert not INTERNALS & seen.keys()
        assert "pod_id" not in seen["fields"]
    (shown,) = jobs_of_server(operator, deleted)
    assert shown.keys() >= {"worker", "key"}


def test_another_project_does_not_see_it_and_nobody_else_may_change_it(
    deleted: str, operator: Jobs, connect: Callable[[str], Any]
) -> None:
    (job,) = jobs_of_server(operator, deleted)
    stranger = Jobs(connect("top-other"))
    assert jobs_of_server(stranger, deleted) == []
    absent = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
    answers = [stranger.ask("GET", f"/v1/jobs/{job_id}") for job_id in (job["id"], absent)]
    assert [answer.status_code for answer in answers] == [404, 404]
    for person in ("top-demo", "top-reader", "top-other"):
        for verb in ("redo", "cancel"):
            answer = Jobs(connect(person)).ask("POST", f"/v1/jobs/{job['id']}/{verb}")
            assert answer.status_code in (403, 404)


def test_what_pods_hold_is_measured(operator: Jobs, shared_member: Site, deleted: str) -> None:
    network = shared_member.network("10.82.0.0/24")
    shared_member.server("az1", network)
    body = {"job": {"kind": "measure_node", "fields": {"pod_id": "pod1"}}}
    assert operator.ask("POST", "/v1/jobs", body).status_code == 202

    def used() -> bool:
        nodes = {node["name"]: node for node in operator.ask("GET", "/v1/nodes").json()["nodes"]}
        assert nodes.keys() == {"pod1", "pod2"}
        one = nodes["pod1"]
        return bool(0 < one["vcpus_used"] < one["vcpus"] and one["running_vms"] >= 1)

    wait_until(used, "the server is counted")


# While a pod is away, and a worker is killed.


@pytest.fixture(scope="module")
def missed(connect: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    """Things that were made at the top while pod2 was stopped, which is back by now.

    The worker was killed meanwhile, as by a lack of memory, and started again.
    """
    admin, demo = connect("top-admin"), connect("top-demo")
    mark = f"missed-{os.getpid()}"
    lab_command("stop-pod", "pod2")
    try:
        flavor = admin.compute.create_flavor(name=mark, ram=64, vcpus=1, disk=1)
        admin.compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "shared"})
        demo.compute.create_keypair(name=mark)
        kind = admin.block_storage.create_type(name=mark, extra_specs={"a": "b"})
        kill_worker()
        waiting = Jobs(admin).list("?kind=replicate&state=new&pod=pod2")
        made = {"mark": mark, "flavor": str(flavor.id), "type": str(kind.id)}
        made["waiting"] = str(len(waiting))
    finally:
        lab_command("start-pod", "pod2")
        lab_command("up", "--pods", str(len(running_lab().pods)))
    yield made
    admin.compute.delete_flavor(flavor)
    demo.compute.delete_keypair(mark)
    admin.block_storage.delete_type(kind)


def running_lab() -> Settings:
    """Return the settings of the lab that is up."""
    return state.settings_of_running(settings_of(1, True))


def kill_worker() -> None:
    """End the job worker at once."""
    pid = processes.find_pid(running_lab(), WORKER)
    assert pid, "the lab has no job worker"
    os.kill(pid, signal.SIGKILL)


def test_what_a_pod_missed_is_made_when_it_is_back(
    missed: dict[str, str], connect: Callable[[str], Any]
) -> None:
    assert int(missed["waiting"]) >= 3
    pod, mark = connect("pod2-admin"), missed["mark"]

    def flavor() -> Any:
        return pod.compute.find_flavor(missed["flavor"], get_extra_specs=True)

    found = wait_until(flavor, "the flavor is in pod2")
    wait_until(
        lambda: flavor().extra_specs == {"hw:cpu_policy": "shared"}, "its extra specs are, too"
    )
    assert (found.name, found.ram) == (mark, 64)
    wait_until(lambda: connect("pod2-demo").compute.find_keypair(mark), "the key pair is in pod2")
    kind = wait_until(lambda: pod.block_storage.find_type(mark), "the volume type is in pod2")
    assert kind.extra_specs == {"a": "b"}


def test_the_jobs_of_a_pod_that_was_away_are_all_done(
    missed: dict[str, str], operator: Jobs
) -> None:
    def left() -> list[dict[str, Any]]:
        jobs = operator.list("?kind=replicate&pod=pod2")
        return [job for job in jobs if job["state"] not in ("done", "cancelled")]

    wait_until(lambda: not left(), "no job waits", wait_s=120)


def test_no_secret_is_in_the_database_or_a_log(
    missed: dict[str, str], connect: Callable[[str], Any]
) -> None:
    people = ("top-admin", "top-demo", "top-reader", "top-other")
    secrets = {connect(person).session.get_token() for person in people}
    secrets |= set(json.loads((RUN / "passwords.json").read_text()).values())
    texts = {path.name: path.read_text() for path in (RUN / "logs").glob("top-tricircle-*.log")}
    assert "job done" in texts[f"{WORKER}.log"]
    texts["database"] = dump_database(RUN / "top" / "tricircle.conf")
    assert "release_server" in texts["database"]
    found = [name for name, text in texts.items() for secret in secrets if secret in text]
    assert not found


def dump_database(configuration: Path) -> str:
    """Return every value of every table as text."""

    async def read() -> str:
        settings = load_settings("test", files=[str(configuration)])
        database = open_database(settings.database.connection)
        tables = metadata.sorted_tables
        rows = [row for table in tables for row in await database.read(table.select())]
        await database.close()
        return "\n".join(str(tuple(row)) for row in rows)

    return asyncio.run(read())
