"""Run the simulation in a process of its own.

    python -m tricircle.testing.cloud --pods 100 --servers 1000

prints one line of JSON with the URL, the token of an admin and of the owner
of the servers, and serves until it is stopped.
"""

import argparse
import asyncio
import json
import sys

from tricircle.testing.cloud.serving import listen, server_for
from tricircle.testing.cloud.simulation import SimulatedCloud


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tricircle.testing.cloud")
    parser.add_argument("--pods", type=int, default=2, help="how many pods (default 2)")
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes any free one")
    parser.add_argument("--project", default="demo", help="whose servers and volumes")
    parser.add_argument("--servers", type=int, default=0, help="servers per pod")
    parser.add_argument("--volumes", type=int, default=0, help="volumes per pod")
    parser.add_argument("--log-requests", action="store_true", help="keep what pods receive")
    return parser.parse_args()


def _build(arguments: argparse.Namespace) -> SimulatedCloud:
    names = [f"pod{number + 1}" for number in range(arguments.pods)]
    cloud = SimulatedCloud(pods=names, token_life_s=86_400)
    project_id = cloud.project_id(arguments.project)
    for pod in cloud.pods.values():
        pod.requests.enabled = arguments.log_requests
        if arguments.servers:
            pod.compute.add_servers(arguments.servers, project_id, f"{pod.name}-server-{{n}}")
        if arguments.volumes:
            pod.volume.add_volumes(arguments.volumes, project_id, f"{pod.name}-volume-{{n}}")
    cloud.requests.enabled = arguments.log_requests
    return cloud


def main() -> None:
    """Serve until stopped."""
    arguments = _parse()
    cloud = _build(arguments)
    listening = listen(arguments.port)
    facts = {
        "url": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "pods": list(cloud.pods),
        "project_id": cloud.project_id(arguments.project),
        "token": cloud.token("demo", arguments.project, ["member"]),
        "admin_token": cloud.token("admin", "admin"),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    asyncio.run(server_for(cloud.app).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
