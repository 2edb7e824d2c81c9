"""What a project uses of Nova in one pod, and how large flavors are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.errors import PodError, PodMisbehaved
from tricircle.core.model import Pod, ProjectId, Service, TopId, Version
from tricircle.core.quotas import MAX_USER, WHOLE, Amounts, Holder
from tricircle.core.server_quotas import COUNTED
from tricircle.core.wishes import Document
from tricircle.interfaces.clock import Clock
from tricircle.usecases.replicas.pod_service import PodServices

_VERSION = Version(2, 57)
"""From here on quota sets hold no numbers of Neutron's."""

_WITH_FLAVOR = Version(2, 47)
"""From here on a server shows what its flavor has."""

_REMEMBERED_S = 60.0
_MOST_KNOWN = 1000


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
    """How many cores and how much memory flavors have, remembered for a minute.

    Nova lets nobody change them; a flavor can only be deleted and made anew.
    """

    def __init__(self, novas: PodServices, pods: Callable[[], Sequence[Pod]], clock: Clock) -> None:
        self._novas, self._pods, self._clock = novas, pods, clock
        self._known: dict[str, tuple[float, Amounts]] = {}

    async def find(self, flavor_id: str, request_id: str) -> Amounts | None:
        """Return cores and ram (MiB) of a flavor, None when it is in no pod that answers."""
        now_s = self._clock.now_s()
        known = self._known.get(flavor_id)
        if known is not None and now_s < known[0] + _REMEMBERED_S:
            return known[1]
        found = await self._ask(flavor_id, request_id)
        if found is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[flavor_id] = (now_s, found)
        return found

    async def _ask(self, flavor_id: str, request_id: str) -> Amounts | None:
        is_dead = self._novas.cloud.is_dead
        for pod in sorted(self._pods(), key=lambda pod: (is_dead(pod.id), pod.name)):
            nova = self._novas.of(pod, request_id)
            try:
                reply = await nova.find(f"/flavors/{quote(flavor_id, safe='')}", _VERSION)
            except PodError:
                continue
            if reply is None:
                continue
            cores, ram = _read_size(reply.item("flavor"))
            if cores is not None and ram is not None:
                return {"cores": cores, "ram": ram}
        return None
