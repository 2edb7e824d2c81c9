"""Gateways that die by SIGKILL at a chosen step of a request.

A step is what a gateway asks of the world: a request to a pod, to the top's Neutron or to
Keystone, or a packet to the database. Between two of them it can do no harm. It dies either
before the step is carried out, or after that and before it hears so.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.simulated_top import Application, Message, Top, open_top_without_worker
from tests.xjob.stage import free_port
from tricircle.testing.cloud import SimulatedCloud

ROOT = Path(__file__).resolve().parents[2]
QUIET_S = 0.25
"""So long nothing is asked for any more when a gateway is through with a request."""

# Nothing but the request is going on: what a gateway does by itself would shift the steps.
OPTIONS = """
[gateway]
probe_interval_s = 600
directory_refresh_s = 3600
[quota]
instances = 10
"""


@dataclass(slots=True)
class Fuse:
    """Kills a process at a step; None counts without killing."""

    process_id: int | None = None
    step: int | None = None
    carried_out: bool = False
    steps: int = 0
    is_dead: bool = False

    def arm(self, process_id: int, step: int, *, carried_out: bool) -> None:
        """Have a process killed at its step of this number, the first being 1."""
        self.process_id, self.step, self.carried_out = process_id, step, carried_out
        self.steps, self.is_dead = 0, False

    def disarm(self) -> None:
        """Count nothing more; let whoever comes next live."""
        self.process_id, self.is_dead = None, False

    @property
    def is_last(self) -> bool:
        """Tell whether the step under way is the one to die at."""
        return self.process_id is not None and self.steps == self.step

    async def watch(self, carry_out: Callable[[], Awaitable[None]]) -> bool:
        """Carry out a step; return whether the process lives to hear of it."""
        if self.process_id is None:
            await carry_out()
            return True
        self.steps += 1
        dies = self.is_last
        if dies and not self.carried_out:
            self._kill(self.process_id)
        if self.is_dead:
            return False
        await carry_out()
        if dies:
            self._kill(self.process_id)
        return not self.is_dead

    def _kill(self, process_id: int) -> None:
        os.kill(process_id, signal.SIGKILL)
        self.is_dead = True

    def over_cloud(self, application: Application) -> Application:
        """Return an application whose requests are steps."""

        async def watched(
            scope: Message,
            receive: Callable[[], Awaitable[Message]],
            send: Callable[[Message], Awaitable[None]],
        ) -> None:
            answer: list[Message] = []

            async def hold(message: Message) -> None:
                answer.append(message)

            if await self.watch(lambda: application(scope, receive, hold)):
                for message in answer:
                    await send(message)
                return
            while (await receive())["type"] != "http.disconnect":
                pass

        return watched

    @asynccontextmanager
    async def over_database(self, port: int) -> AsyncIterator[int]:
        """Yield a port that leads to a database server on ``port``; each packet is a step."""

        async def visit(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
            server, question = await asyncio.open_connection("127.0.0.1", port)
            heard = asyncio.Event()

            async def bring_back() -> None:
                while data := await server.read(65536):
                    heard.set()
                    if not self.is_dead:
                        answer.write(data)
                answer.close()

            returning = asyncio.create_task(bring_back())
            with suppress(ConnectionError):
                while data := await client.read(65536):

                    async def carry_out(packet: bytes = data) -> None:
                        heard.clear()
                        question.write(packet)
                        if self.is_last:
                            await heard.wait()

                    if not await self.watch(carry_out):
                        break
            question.close()
            await returning

        tap = await asyncio.start_server(visit, "127.0.0.1", 0)
        async with tap:
            yield tap.sockets[0].getsockname()[1]


@dataclass
class Stage:
    """A top whose own gateways live on, and a further one that can be killed."""

    top: Top
    fuse: Fuse
    forking: asyncio.subprocess.Process
    config: Path
    ports: dict[str, int]

    async def start(self, program: str) -> int:
        """Start a gateway, the one before being dead; return the id of its process."""
        files = [str(self.config.with_name("tricircle.conf")), str(self.config)]
        arguments = [text for file in files for text in ("--config-file", file)]
        assert self.forking.stdin is not None
        assert self.forking.stdout is not None
        self.forking.stdin.write(json.dumps([program, *arguments]).encode() + b"\n")
        process_id = int(await self.forking.stdout.readline())
        async with asyncio.timeout(60):
            while not await _listens(self.ports[program]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        return process_id

    async def ask(
        self, http: aiohttp.ClientSession, program: str, path: str, headers: object, body: object
    ) -> int | None:
        """Send a POST; return its status once nothing more comes of it, None if that never came."""
        url = f"http://127.0.0.1:{self.ports[program]}{path}"
        try:
            async with http.post(url, json=body, headers=headers) as response:  # type: ignore[arg-type]
                status = response.status
        except aiohttp.ClientError:
            return None
        seen = -1
        while seen != self.fuse.steps:
            seen = self.fuse.steps
            await asyncio.sleep(QUIET_S)
        return status


@asynccontextmanager
async def open_stage(folder: Path, database_url: str, database_port: int) -> AsyncIterator[Stage]:
    """Yield a stage in front of two pods of one zone, on a database with the schema in place."""
    fuse, cloud = Fuse(), SimulatedCloud(("pod1", "pod2"), token_life_s=86_400)
    zones = {"pod1": "az1", "pod2": "az1"}
    ports = {"tricircle-compute": free_port(), "tricircle-volume": free_port()}
    async with (
        open_top_without_worker(
            folder, cloud, OPTIONS, zones, database_url, fuse.over_cloud
        ) as top,
        fuse.over_database(database_port) as tap,
    ):
        config = folder / "killed.conf"
        config.write_text(
            f"[database]\nconnection = {database_url.replace(str(database_port), str(tap))}\n"
            f"[compute]\nbind_port = {ports['tricircle-compute']}\n"
            f"[volume]\nbind_port = {ports['tricircle-volume']}\n"
        )
        with (folder / "killed.log").open("ab") as log:
            forking = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.gateway.forking",
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        try:
            yield Stage(top, fuse, forking, config, ports)
        finally:
            assert forking.stdin is not None
            forking.stdin.close()
            await asyncio.wait_for(forking.wait(), 20)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
