"""Whether each process of the lab lives and does its work."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab import processes
from lab.api import Api, ApiError, send
from lab.processes import Process, Running
from lab.settings import Address, Pod, Settings

OK = "ok"
PAUSED = "paused"
DEAD = "not running"
COMPUTE = "nova-compute"
SCHEDULER = "cinder-scheduler"


@dataclass(frozen=True, slots=True)
class Health:
    """One line of `status`; `state` is "ok" when all is well."""

    name: str
    group: str
    pid: int | None
    address: str
    memory_kib: int
    state: str

    @property
    def is_well(self) -> bool:
        return self.state == OK


def check(settings: Settings, wanted: Sequence[Process], admin: Api) -> list[Health]:
    """The health of each wanted process, in the order given.

    An API is well when it answers; a service that only listens to messages is
    well when its pod's API says that it is up.
    """
    running = processes.find_running(settings)
    with ThreadPoolExecutor(16) as pool:
        services = dict(pool.map(lambda pod: (pod.name, service_states(pod, admin)), settings.pods))
        return list(
            pool.map(lambda process: check_one(settings, process, running, services), wanted)
        )


def check_one(
    settings: Settings,
    process: Process,
    running: Mapping[int, Running],
    services: Mapping[str, Mapping[str, str]],
) -> Health:
    """The health of one process."""
    pid = processes.find_pid(settings, process.name)
    members = processes.members_of(pid, running) if pid else []
    if pid is None or pid not in running:
        state = DEAD
    elif running[pid].is_paused:
        state = PAUSED
    elif process.address:
        state = answer_state(process, process.address)
    else:
        binary = process.name.partition("-")[2]
        state = services.get(process.group, {}).get(binary, "not known to its API")
    return Health(
        process.name,
        process.group,
        pid,
        str(process.address or ""),
        processes.proportional_memory_kib(members),
        state,
    )


def answer_state(process: Process, address: Address) -> str:
    """OK when the process answers: HTTP where it is spoken, else accepting a connection."""
    if not process.threads and process.group != "top":
        return OK if processes.is_listening(address) else "does not listen"
    try:
        status, _headers, _body = send("GET", f"{address.url}/", {}, timeout_s=10)
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"
    return OK if status < 500 else f"answers {status}"


def service_states(pod: Pod, admin: Api) -> dict[str, str]:
    """The state of the services Nova and Cinder of a pod list, by binary; empty if they do not."""
    found: dict[str, str] = {}
    for url in (f"{pod.compute.url}/v2.1", f"{pod.volume.url}/v3"):
        try:
            services = admin.get(f"{url}/os-services", timeout_s=10)["services"]
        except (OSError, ApiError, http.client.HTTPException):
            continue
        for service in services:
            up = service["state"] == "up"
            found[service["binary"]] = OK if up else "reported down by its API"
    if found.get(SCHEDULER) == OK and not knows_backends(pod, admin):
        found[SCHEDULER] = "knows of no backend"
    if found.get(COMPUTE) == OK and not has_inventory(pod, admin):
        found[COMPUTE] = "not known to Placement"
    return found


def has_inventory(pod: Pod, admin: Api) -> bool:
    """Whether Placement of a pod knows what its hosts have, without which no server is built.

    A compute service that is started before Placement tells it a minute later.
    """
    url = f"{pod.placement.url}/resource_providers"
    try:
        providers = admin.get(url, timeout_s=10)["resource_providers"]
        return any(
            admin.get(f"{url}/{one['uuid']}/inventories", timeout_s=10)["inventories"]
            for one in providers
        )
    except (OSError, ApiError, http.client.HTTPException):
        return False


def knows_backends(pod: Pod, admin: Api) -> bool:
    """Whether Cinder's scheduler of a pod has heard of a backend since it was started.

    The list of services does not tell: one that was killed a moment ago is up in it.
    """
    try:
        answer = admin.get(f"{pod.volume.url}/v3/scheduler-stats/get_pools", timeout_s=10)
    except (OSError, ApiError, http.client.HTTPException):
        return False
    return bool(answer["pools"])
