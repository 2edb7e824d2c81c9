"""Simulated pods with any number of servers each, which they make up as they are asked.

    python -m bench.large --pods 100 --servers 10000

serves like ``tricircle.testing.cloud``, and prints the same facts. Pods that held a million
servers would take seconds to sort them, and gigabytes: here a page costs what is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tricircle.core.query import list_values
from tricircle.testing.cloud import SimulatedCloud
from tricircle.testing.cloud.serving import listen, server_for

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LIST = ["compute", "v2.1", "servers", "detail"]
_NEWEST = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LargePods:
    """Pods whose servers were made in turn: the first one of each, then the second one.

    ``pattern`` is a server as the simulation shows it, with places for what differs.
    """

    cloud: SimulatedCloud
    servers: int
    pattern: str

    async def app(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer lists of servers; everything else is the simulation's."""
        parts = str(scope.get("path", "")).strip("/").split("/")
        if parts[1:] != _LIST:
            await self.cloud.app(scope, receive, send)
            return
        body = self.page(parts[0], scope["query_string"].decode()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def page(self, name: str, query: str) -> str:
        """Return a page of a pod's servers, the newest first, as Nova does by default."""
        pods = list(self.cloud.pods)
        pod = pods.index(name)
        markers, limits = list_values(query, "marker"), list_values(query, "limit")
        start = int(markers[-1][-12:], 16) + 1 if markers else 0
        end = min(start + int(limits[-1]) if limits else start + 1000, self.servers)
        items = ", ".join(self._item(pod, at, at * len(pods) + pod) for at in range(start, end))
        more = ', "servers_links": [{"rel": "next", "href": "http://pod/next"}]'
        return f'{{"servers": [{items}]{more if end < self.servers else ""}}}'

    def _item(self, pod: int, at: int, age_s: int) -> str:
        created = (_NEWEST - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        server_id = f"{pod:08x}-0000-4000-8000-{at:012x}"
        return self.pattern.replace("@ID@", server_id).replace("@CREATED@", created)


async def _read_pattern(cloud: SimulatedCloud, token: str) -> str:
    """Return a server as a pod shows it, with marks where servers differ."""
    name = next(iter(cloud.pods))
    cloud.pod(name).compute.add_servers(1, cloud.project_id("demo"))
    answer: list[Message] = []

    async def send(message: Message) -> None:
        answer.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    headers = [
        (b"host", b"pod"),
        (b"x-auth-token", token.encode()),
        (b"openstack-api-version", b"compute 2.90"),
    ]
    scope = {
        "type": "http", "method": "GET", "path": f"/{name}/{'/'.join(_LIST)}",
        "query_string": b"", "headers": headers,
    }  # fmt: skip
    await cloud.app(scope, receive, send)
    [item] = json.loads(answer[1]["body"])["servers"]
    text = json.dumps(item).replace(item["created"], "@CREATED@")
    return text.replace(item["id"], "@ID@")


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m bench.large")
    parser.add_argument("--pods", type=int, default=100, help="how many pods (default 100)")
    parser.add_argument("--servers", type=int, default=10_000, help="servers of each")
    asked = parser.parse_args()
    names = [f"pod{number + 1}" for number in range(asked.pods)]
    cloud = SimulatedCloud(pods=names, token_life_s=86_400)
    for pod in cloud.pods.values():
        pod.requests.enabled = False
    cloud.requests.enabled = False
    token = cloud.token("demo", "demo", ["member"])
    pods = LargePods(cloud, asked.servers, asyncio.run(_read_pattern(cloud, token)))
    listening = listen()
    facts = {
        "url": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "pods": names,
        "project_id": cloud.project_id("demo"),
        "token": token,
    }
    print(json.dumps(facts), flush=True)
    asyncio.run(server_for(pods.app).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
