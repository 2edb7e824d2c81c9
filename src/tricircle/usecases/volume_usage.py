"""What a project uses of Cinder in one pod, and how large volumes are that requests name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.errors import PodError, PodMisbehaved
from tricircle.core.model import Pod, ProjectId, Version
from tricircle.core.quotas import WHOLE, Amounts, Holder
from tricircle.core.volume_quotas import VOLUMES
from tricircle.core.wishes import Document
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.quotas import QuotaLedger
from tricircle.usecases.demands import MOST_REMEMBERED, REMEMBERED_S
from tricircle.usecases.locate import is_id
from tricircle.usecases.remembered import Remembered
from tricircle.usecases.replicas.pod_service import PodService, PodServices

_VERSION = Version(3, 10)
"""From here on volumes can be listed by their group."""
_DEFAULT_TYPES = Version(3, 62)
"""From here on a project may have a default type of its own."""
_WITHOUT_SNAPSHOTS = Version(3, 55)
"""From here on a volume may be given away without its snapshots."""
_PAGE = 500


class VolumeUsage:
    """``interfaces.quotas.PodUsage`` for what Cinder counts.

    What a project has of each volume type is told only where somebody limits it, or did: a
    cloud may have hundreds of types.
    """

    def __init__(self, cinders: PodServices, ledger: QuotaLedger) -> None:
        self._cinders, self._ledger = cinders, ledger

    async def count(self, pod: Pod, holder: Holder, request_id: str) -> Amounts:
        """Return what Cinder itself has counted, with what it has reserved."""
        standing = await self._ledger.find_standing(holder, 0.0)
        limited = {**standing.defaults, **standing.project, **standing.used.get(WHOLE, {})}
        cinder = self._cinders.of(pod, request_id)
        path = f"/os-quota-sets/{quote(holder.project_id, safe='')}"
        details = (await cinder.get(path, _VERSION, usage="true")).item("quota_set")
        used = {name: _read_use(detail) for name, detail in details.items() if VOLUMES.has(name)}
        if any(used.get(name) is None for name in VOLUMES.names):
            raise PodMisbehaved(
                pod.id, f"pod {pod.name} does not tell what project {holder.project_id} uses"
            )
        # a type that this pod does not have yet has no volumes there
        wanted = (*VOLUMES.names, *(name for name in limited if VOLUMES.is_in_family(name)))
        return {name: used.get(name) or 0 for name in wanted}


def _read_use(detail: object) -> int | None:
    if not isinstance(detail, dict):
        return None
    in_use, reserved = detail.get("in_use"), detail.get("reserved")
    if not isinstance(in_use, int) or not isinstance(reserved, int):
        return None
    return max(in_use + reserved, 0)


@dataclass(frozen=True, slots=True)
class HeldVolume:
    """A volume as its pod shows it; ``type_name`` is '' for one without."""

    project_id: ProjectId
    size_gib: int
    type_name: str
    status: str


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot as its pod shows it."""

    id: str
    volume_id: str
    size_gib: int


@dataclass(frozen=True, slots=True)
class OpenTransfer:
    """A volume that is offered, with its snapshots or without."""

    pod: Pod
    volume_id: str
    has_snapshots: bool


class VolumeFacts:
    """What Cinders tell of things that requests name. Each may raise PodError."""

    def __init__(
        self, cinders: PodServices, pods: Callable[[], Sequence[Pod]], clock: Clock
    ) -> None:
        self._cinders, self._pods = cinders, pods
        self._default_types: Remembered[ProjectId, str] = Remembered(
            clock, REMEMBERED_S, MOST_REMEMBERED
        )

    async def find_volume(self, pod: Pod, volume_id: str, request_id: str) -> HeldVolume | None:
        """Return a volume of a pod, None when it is not there."""
        volume = await self._find(pod, "volume", volume_id, request_id)
        if volume is None:
            return None
        return _read_volume(pod, volume)

    async def list_volumes_of(
        self, pod: Pod, group_id: str, request_id: str
    ) -> Sequence[HeldVolume]:
        """Return the volumes of a group."""
        query = {"all_tenants": "1", "group_id": group_id}
        found = await self._list(pod, "volumes/detail", query, request_id)
        return [_read_volume(pod, volume) for volume in found]

    async def find_snapshot(
        self, pod: Pod, snapshot_id: str, request_id: str
    ) -> HeldSnapshot | None:
        """Return a snapshot of a pod, None when it is not there."""
        snapshot = await self._find(pod, "snapshot", snapshot_id, request_id)
        return None if snapshot is None else _read_snapshot(pod, snapshot)

    async def find_transfer(
        self, pods: Sequence[Pod], transfer_id: str, request_id: str
    ) -> OpenTransfer | None:
        """Return an offer that one of these pods has, None when none has it."""
        path = f"/volume-transfers/{quote(transfer_id, safe='')}"
        for pod in pods:
            try:
                cinder = self._cinders.of(pod, request_id)
                reply = await cinder.find(path, _WITHOUT_SNAPSHOTS)
            except PodError:
                continue
            if reply is not None:
                shown = reply.item("transfer")
                has_snapshots = shown.get("no_snapshots") is not True
                return OpenTransfer(pod, str(shown.get("volume_id")), has_snapshots)
        return None

    async def find_backup_size(self, pod: Pod, backup_id: str, request_id: str) -> int | None:
        """Return a backup's size in GiB, None when it is not there."""
        backup = await self._find(pod, "backup", backup_id, request_id)
        return None if backup is None else _read_size(pod, backup)

    async def list_snapshots(
        self, pod: Pod, volume_id: str, request_id: str
    ) -> Sequence[HeldSnapshot]:
        """Return the snapshots of a volume."""
        query = {"all_tenants": "1", "volume_id": volume_id}
        found = await self._list(pod, "snapshots", query, request_id)
        return [_read_snapshot(pod, snapshot) for snapshot in found]

    async def find_type_name(self, reference: str, request_id: str) -> str:
        """Return the name of a volume type that is named by it, or by its id in some pod."""
        if not is_id(reference):
            return reference
        for pod in self._list_pods():
            try:
                found = await self._find(pod, "volume_type", reference, request_id)
            except PodError:
                continue
            if found is not None:
                return str(found.get("name"))
        return reference

    async def find_default_type(self, project_id: ProjectId, request_id: str) -> str:
        """Return the name of the type that a project's volumes have where none is named.

        Remembered for a while: Cinder asks Keystone about the project each time. What a
        volume takes is put right by a count if the type has just become another one.
        """
        known = self._default_types.find(project_id)
        if known is not None:
            return known
        for pod in self._list_pods():
            cinder = self._cinders.of(pod, request_id)
            try:
                path = f"/default-types/{quote(project_id, safe='')}"
                own = await cinder.find(path, _DEFAULT_TYPES) if _knows_own(pod) else None
                type_id = own.item("default_type").get("volume_type_id") if own else "default"
                found = await self._find(pod, "volume_type", str(type_id), request_id)
            except PodError:
                continue
            if found is not None:
                name = str(found.get("name"))
                self._default_types.keep(project_id, name)
                return name
        return ""

    def _list_pods(self) -> Sequence[Pod]:
        is_dead = self._cinders.cloud.is_dead
        return sorted(self._pods(), key=lambda pod: (is_dead(pod.id), pod.name))

    async def _list(
        self, pod: Pod, path: str, query: Mapping[str, str], request_id: str
    ) -> Sequence[Document]:
        cinder, found = self._cinders.of(pod, request_id), list[Document]()
        asked = {**query, "limit": str(_PAGE)}
        while True:
            reply = await cinder.get(f"/{path}", _VERSION, **asked)
            page = reply.items(path.partition("/")[0])
            found += page
            if len(page) < _PAGE:
                return found
            asked["marker"] = str(page[-1].get("id"))

    async def _find(self, pod: Pod, what: str, thing_id: str, request_id: str) -> Document | None:
        cinder: PodService = self._cinders.of(pod, request_id)
        reply = await cinder.find(f"/{_PATHS[what]}/{quote(thing_id, safe='')}", _VERSION)
        return None if reply is None else reply.item(what)


_PATHS = {
    "volume": "volumes",
    "snapshot": "snapshots",
    "backup": "backups",
    "volume_type": "types",
}


def _read_size(pod: Pod, shown: Document) -> int:
    size = shown.get("size")
    if not isinstance(size, int):
        raise PodMisbehaved(pod.id, f"pod {pod.name} does not tell the size of {shown.get('id')}")
    return size


def _read_volume(pod: Pod, shown: Document) -> HeldVolume:
    type_name = shown.get("volume_type")
    return HeldVolume(
        ProjectId(str(shown.get("os-vol-tenant-attr:tenant_id"))),
        _read_size(pod, shown),
        type_name if isinstance(type_name, str) else "",
        str(shown.get("status")),
    )


def _read_snapshot(pod: Pod, shown: Document) -> HeldSnapshot:
    return HeldSnapshot(str(shown.get("id")), str(shown.get("volume_id")), _read_size(pod, shown))


def _knows_own(pod: Pod) -> bool:
    versions = pod.endpoints[VOLUMES.service].versions
    return versions is not None and versions.maximum >= _DEFAULT_TYPES
