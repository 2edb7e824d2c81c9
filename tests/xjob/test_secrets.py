"""No token, password or key gets into the database, a message or a log."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.brokers import get_broker, get_transport_url
from tests.simulated_top import Top, open_top_without_worker
from tricircle.adapters.bus import open_bell, open_listener
from tricircle.adapters.config import load_settings
from tricircle.adapters.log import make_formatter
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.runs import JobState
from tricircle.interfaces.jobs import JobFilter
from tricircle.testing.cloud import SimulatedCloud
from tricircle.wiring.xjob import open_xjob

pytestmark = pytest.mark.database

PASSWORD = "canary-password-4d1c"
USER_DATA = "Y2FuYXJ5LXVzZXItZGF0YS03YjJl"
PATIENCE_S = 60.0
ASKED_FOR = {"release_server", "replicate"}


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """All that we log at any level, and libraries from INFO on, as operators see it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(make_formatter(load_settings("test", files=[]).source))
    root, ours = logging.getLogger(), logging.getLogger("tricircle")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


async def test_a_search_for_canaries_finds_none(tmp_path: Path, log_text: io.StringIO) -> None:
    cloud = SimulatedCloud()
    user = cloud.identity.accounts.find_user("tricircle")
    assert user is not None
    user.password = PASSWORD
    options = f"[DEFAULT]\ntransport_url = {get_transport_url()}\n"
    async with open_top_without_worker(tmp_path, cloud, options) as top:
        await make_queue(top)
        # nobody listens: the messages stay with the broker and can be searched
        secrets = await do_something_of_everything(top)
        messages = await asyncio.to_thread(read_messages, await find_job_ids(top))
        async with open_xjob(top.settings):
            await wait_until_done(top)
    secrets |= {PASSWORD, USER_DATA, *cloud.identity.accounts.tokens}
    assert len(secrets) > 5
    kept = {
        "the database": read_files(tmp_path, "top.sqlite*"),
        "a message": messages,
        "a log": log_text.getvalue().encode(),
    }
    assert b"release_server" in kept["the database"]
    assert b"job done" in kept["a log"]
    found = [
        f"{secret[:12]}... in {place}"
        for place, text in kept.items()
        for secret in secrets
        if secret.encode() in text
    ]
    assert not found


async def make_queue(top: Top) -> None:
    """Listen until a ring is heard, so that the queue is there."""
    heard = asyncio.Event()
    async with (
        open_bell(top.settings) as bell,
        open_listener(top.settings, "test", lambda _job_id: heard.set()),
        asyncio.timeout(PATIENCE_S),
    ):
        while not heard.is_set():
            bell.ring("nothing", "req-nothing")
            await asyncio.sleep(0.2)


async def do_something_of_everything(top: Top) -> set[str]:
    """Cause jobs of several kinds as users do; return what must not be seen again."""
    member, admin = top.member(), top.headers("admin", "admin")
    async with aiohttp.ClientSession() as session:

        async def send(method: str, path: str, headers: dict[str, str], body: object) -> object:
            url = f"{top.compute}/v2.1{path}"
            async with session.request(method, url, json=body, headers=headers) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json() if await answer.read() else None

        pair = await send("POST", "/os-keypairs", member, {"keypair": {"name": "mine"}})
        assert isinstance(pair, dict)
        flavor = {"name": "huge", "vcpus": 1, "ram": 64, "disk": 1}
        await send("POST", "/flavors", admin, {"flavor": flavor})
        server = {
            "name": "s", "flavorRef": "1", "networks": "none", "user_data": USER_DATA,
            "imageRef": next(iter(top.cloud.images.items)), "key_name": "mine",
        }  # fmt: skip
        headers = {**member, "OpenStack-API-Version": "compute 2.60"}
        made = await send("POST", "/servers", headers, {"server": server})
        assert isinstance(made, dict)
        await send("DELETE", f"/servers/{made['server']['id']}", member, None)
    return {
        pair["keypair"]["private_key"],
        member["X-Auth-Token"],
        admin["X-Auth-Token"],
        made["server"]["adminPass"],
    }


async def wait_until_done(top: Top) -> None:
    """Wait until every job that was asked for has been done."""
    database = open_database(top.settings.database.connection)
    stores = SqlStores(database)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            jobs = await stores.records.list_jobs(JobFilter(), 1000)
            kinds = {job.job.kind for job in jobs if job.state is JobState.DONE}
            if kinds >= ASKED_FOR:
                break
            await asyncio.sleep(0.1)
    await database.close()


async def find_job_ids(top: Top) -> list[str]:
    """Return the jobs that only a worker does, so that one was told."""
    database = open_database(top.settings.database.connection)
    jobs = await SqlStores(database).records.list_jobs(JobFilter(), 1000)
    await database.close()
    return [job.id for job in jobs if job.job.kind == "release_server"]


def read_messages(job_ids: list[str]) -> bytes:
    """Return what the broker has in its files, once every job's message is there."""
    assert job_ids
    end = time.monotonic() + PATIENCE_S
    while True:
        messages = read_files(get_broker().folder)
        if all(job_id.encode() in messages for job_id in job_ids):
            return messages
        assert time.monotonic() < end, "not all messages have reached the broker"
        time.sleep(0.2)


def read_files(folder: Path, pattern: str = "**/*") -> bytes:
    """Return all that is in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.glob(pattern) if path.is_file())
