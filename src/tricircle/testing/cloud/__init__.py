"""A simulated OpenStack: Keystone, Glance and any number of pods in one process.

For speed and for faults. It answers as the real services do and passes the
same contract tests; `docs` of each service's module say what it knows.

    cloud = SimulatedCloud(pods=("east", "west"))
    token = cloud.token("alice", "shop", ["member"])
    cloud.pod("east").compute.add_servers(1000, cloud.project_id("shop"))
    cloud.pod("west").faults.inject(Hang(), service="compute", method="GET")
    async with serve(cloud.app) as url:
        ...
"""

from tricircle.testing.cloud.faults import (
    AddHeaders,
    Delay,
    Endless,
    Fault,
    Faults,
    Garbage,
    Hang,
    Injection,
    LoseAnswer,
    Redirect,
    Refuse,
    Reply,
    Truncate,
)
from tricircle.testing.cloud.pod import Pod
from tricircle.testing.cloud.received import Received, RequestLog
from tricircle.testing.cloud.serving import serve, serve_in_thread, serve_pod
from tricircle.testing.cloud.simulation import SimulatedCloud
from tricircle.testing.cloud.sources import CountedIds, SetClock

__all__ = [
    "AddHeaders",
    "CountedIds",
    "Delay",
    "Endless",
    "Fault",
    "Faults",
    "Garbage",
    "Hang",
    "Injection",
    "LoseAnswer",
    "Pod",
    "Received",
    "Redirect",
    "Refuse",
    "Reply",
    "RequestLog",
    "SetClock",
    "SimulatedCloud",
    "Truncate",
    "serve",
    "serve_in_thread",
    "serve_pod",
]
