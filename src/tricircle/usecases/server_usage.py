"""What a project uses of Nova in one pod, and how large flavors are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.errors import PodMisbehaved
from tricircle.core.model import Pod, ProjectId, Service, TopId, Version
from tricircle.core.quotas import MAX_USER, WHOLE, Amounts, Holder
from tricircle.core.server_quotas import COUNTED
from tricircle.core.wishes import Document
from tricircle.usecases.demands import Demands
from tricircle.usecases.replicas.pod_service import PodServices

_VERSION = Version(2, 57)
"""From here on quota sets hold no numbers of Neutron's."""

_WITH_FLAVOR = Version(2, 47)
"""From here on a server shows what its flavor has."""


class ServerUsage:
    """``interfaces.quotas.PodUsage`` for servers."""

    def __init__(self, novas: PodServices) -> None:
        self._novas = novas

    async def count(self, pod: Pod, holder: Holder, request_id: str) -> Amounts:
        """Return instances, cores and ram as Nova itself counts them."""
        nova = self._novas.of(pod, request_id)
        query = {"user_id": holder.user_id} if holder.user_id else {}
        path = f"/os-quota-sets/{quote(holder.project_id, safe='')}/detail"
        reply = await nova.get(path, _VERSION, **query)
        details = reply.item("quota_set")
        try:
            return {name: _read_use(details[name]) for name in COUNTED}
        except (KeyError, ValueError):
            raise PodMisbehaved(
                pod.id, f"pod {pod.name} does not tell what project {holder.project_id} uses"
            ) from None


def _read_use(detail: object) -> int:
    used = detail.get("in_use") if isinstance(detail, dict) else None
    if not isinstance(used, int) or used < 0:
        raise ValueError(detail)
    return used


@dataclass(frozen=True, slots=True)
class HeldServer:
    """Whose quota a server falls under, and what it takes of it."""

    holder: Holder
    size: Amounts


class ServerSizes:
    """What servers have now, as their pod shows them."""

    def __init__(self, novas: PodServices) -> None:
        self._novas = novas

    async def find(self, pod: Pod, server_id: TopId, request_id: str) -> HeldServer | None:
        """Return a server of a pod, None when it is not there. Raises PodError."""
        nova = self._novas.of(pod, request_id)
        reply = await nova.find(f"/servers/{quote(server_id, safe='')}", _WITH_FLAVOR)
        if reply is None:
            return None
        server = reply.item("server")
        flavor = server.get("flavor")
        project_id, user_id = server.get("tenant_id"), server.get("user_id")
        cores, ram = _read_size(flavor if isinstance(flavor, dict) else {})
        if not isinstance(project_id, str) or not isinstance(user_id, str) or cores is None:
            raise PodMisbehaved(
                pod.id, f"pod {pod.name} does not tell how large server {server_id} is"
            )
        user_id = user_id if len(user_id) <= MAX_USER else WHOLE
        holder = Holder(Service.COMPUTE, ProjectId(project_id), user_id)
        return HeldServer(holder, {"cores": cores, "ram": ram or 0})


def _read_size(flavor: Document) -> tuple[int | None, int | None]:
    cores, ram = flavor.get("vcpus"), flavor.get("ram")
    return cores if isinstance(cores, int) else None, ram if isinstance(ram, int) else None


class FlavorSizes:
    """How many cores and how much memory flavors have."""

    def __init__(self, demands: Demands) -> None:
        self._demands = demands

    async def find(self, flavor_id: str, request_id: str) -> Amounts | None:
        """Return cores and ram (MiB) of a flavor, None when it is in no pod that answers."""
        needs = await self._demands.find_flavor(flavor_id, request_id)
        return None if needs is None else {"cores": needs.vcpus, "ram": needs.memory_mib}
