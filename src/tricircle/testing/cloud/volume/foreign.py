"""What is in a backend and not in Cinder, pools, and what a backend can do."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Json, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of
from tricircle.testing.cloud.volume import snapshots, volumes
from tricircle.testing.cloud.volume.guards import (
    get_cluster_host,
    get_volume,
    is_true,
    read,
    require,
    require_minor,
)
from tricircle.testing.cloud.volume.lists import parse_limit, parse_offset
from tricircle.testing.cloud.volume.records import Snapshot
from tricircle.testing.cloud.volume.services import VOLUME, CinderService, get_backend

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_NAME: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
_METADATA: Document = {"type": ["object", "null"]}


# Pools and capabilities.


def _list_pools(cinder: "Cinder", request: Request) -> Answer:
    detailed = is_true(request.find("detail"))
    wanted = request.find("name") if request.microversion >= 28 else None
    pools = []
    for name, reported in cinder.pools.items():
        if wanted is not None and name != wanted:
            continue
        pool: Document = {"name": name}
        if detailed:
            pool["capabilities"] = _stats(cinder, name) | reported
        pools.append(pool)
    return answer_json({"pools": pools})


def _stats(cinder: "Cinder", pool: str) -> Document:
    """Return what the scheduler knows of a pool; the driver's part as the lab's says it."""
    size = sum(item.size for item in cinder.volumes.values() if item.host == pool)
    return {
        "volume_backend_name": pool.partition("#")[2],
        "vendor_name": "Tricircle",
        "driver_version": "1.0",
        "storage_protocol": "iSCSI",
        "total_capacity_gb": 100_000,
        "free_capacity_gb": 100_000 - size,
        "reserved_percentage": 0,
        "QoS_support": True,
        "multiattach": True,
        "thin_provisioning_support": True,
        "max_over_subscription_ratio": 20,
        "provisioned_capacity_gb": size,
        "allocated_capacity_gb": size,
        "filter_function": None,
        "goodness_function": None,
        "timestamp": cinder.clock().strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }


def _show_capabilities(cinder: "Cinder", request: Request) -> Answer:
    wanted = request.parameters["id"]
    found = [
        one
        for one in cinder.services
        if one.binary == VOLUME and wanted in (one.host, one.host.partition("@")[0], one.cluster)
    ]
    if not found:
        refuse(404, f"Can't find service: {wanted}")
    view: Document = {
        "namespace": f"OS::Storage::Capabilities::{found[0].cluster or found[0].host}",
        "vendor_name": "Tricircle",
        "volume_backend_name": found[0].host.partition("@")[2],
        "pool_name": None,
        "driver_version": "1.0",
        "storage_protocol": "iSCSI",
        "display_name": None,
        "description": None,
        "visibility": None,
        "replication_targets": [],
        "properties": {},
    }
    return answer_json(view)


# Lists of what could be managed.


def _find_backend(cinder: "Cinder", request: Request, given: Json, since: int) -> CinderService:
    """Return the backend that a query or a body names; clusters are known from `since` on."""
    cluster, host = get_cluster_host(given, request.microversion >= since)
    return get_backend(cinder, host, cluster)


def _list(kind: str, detailed: bool, since: int) -> Callable[["Cinder", Request], Answer]:
    def index(cinder: "Cinder", request: Request) -> Answer:
        require_minor(request, since)
        rule = f"{kind}_extension:list_manageable"
        require(request.caller, "admin", rule)
        backend = _find_backend(cinder, request, request.find, 17)
        offset, limit = parse_offset(request), parse_limit(request, cinder.max_limit)
        ways, _, way = (request.find("sort") or "reference:desc").partition(":")
        if ways not in ("reference", "size"):
            refuse(400, f"Invalid sort keys passed: {ways}")
        rows = list(_rows(cinder, kind, backend))
        rows.sort(key=lambda row: str(row["reference"]), reverse=way != "asc")
        page = [_view(row, detailed) for row in rows[offset : offset + limit]]
        return answer_json({f"manageable-{kind}s": page})

    return index


def _view(row: Document, detailed: bool) -> Document:
    hidden = () if detailed else ("reason_not_safe", "cinder_id", "extra_info")
    return {name: value for name, value in row.items() if name not in hidden}


def _rows(cinder: "Cinder", kind: str, backend: CinderService) -> Iterable[Document]:
    if kind == "volume":
        for name, size in cinder.unmanaged_volumes.items():
            yield _row(name, size, None)
        for volume in cinder.volumes.values():
            if volume.host.partition("#")[0] == backend.host:
                yield _row(f"volume-{volume.id}", volume.size, volume.id)
        return
    for name, (volume_id, size) in cinder.unmanaged_snapshots.items():
        yield _row(name, size, None) | _source(volume_id)
    for snapshot in cinder.snapshots.values():
        row = _row(f"snapshot-{snapshot.id}", snapshot.volume_size, snapshot.id)
        yield row | _source(snapshot.volume_id)


def _row(name: str, size: int, managed_id: str | None) -> Document:
    return {
        "reference": {"source-name": name},
        "size": size,
        "safe_to_manage": managed_id is None,
        "reason_not_safe": None if managed_id is None else "already managed",
        "cinder_id": managed_id,
        "extra_info": None,
    }


def _source(volume_id: str) -> Document:
    return {"source_reference": {"source-name": f"volume-{volume_id}"}}


# Managing.


def _volume_schema(minor: int) -> Schema:
    properties: Document = {
        "description": _NAME,
        "availability_zone": _NAME,
        "bootable": {"type": ["boolean", "string"]},
        "volume_type": _NAME,
        "name": _NAME,
        "host": _NAME,
        "ref": {"type": ["object", "string"]},
        "metadata": _METADATA,
    }
    if minor >= 16:
        properties["cluster"] = _NAME
    return object_of({"volume": dict(object_of(properties, ("ref",)))}, ("volume",))


def _manage_volume(since: int) -> Callable[["Cinder", Request], Answer]:
    def manage(cinder: "Cinder", request: Request) -> Answer:
        given = read(request, _volume_schema(request.microversion))["volume"]
        require_minor(request, since)
        require(request.caller, "admin", "volume_extension:volume_manage")
        backend = _find_to_manage(cinder, request, given)
        kind = volumes.find_type(cinder, request.caller, given.get("volume_type"))
        size = cinder.unmanaged_volumes.pop(_source_name(given["ref"]), None)
        caller = request.caller
        [made] = cinder.add_volumes(1, caller.project_id, given.get("name") or "", caller.user_id)
        made.host = f"{backend.host}#{cinder.host.partition('#')[2]}"
        made.display_description = given.get("description")
        made.metadata = dict(given.get("metadata") or {})
        made.bootable = is_true(given.get("bootable", False))
        made.volume_type = kind or cinder.default_type
        # What is not in the backend is seen by its driver only, after the answer.
        made.size, made.status = size or 0, "available" if size else "error_managing"
        # As at the first microversion, whatever is asked for.
        view = volumes.show_core(made, replace(volumes.view_key(request), step=0))
        view |= {"status": "creating", "size": 0, "updated_at": None}
        return answer_json({"volume": view}, 202)

    return manage


def _find_to_manage(cinder: "Cinder", request: Request, given: Document) -> CinderService:
    cluster, host = get_cluster_host(given.get, request.microversion >= 16)
    wanted = (host or cluster or "").partition("#")[0]
    for one in cinder.services:
        if one.binary == VOLUME and wanted == (one.host if host else one.cluster):
            return one
    refuse(400, f"{'Host' if host else 'Cluster'} '{host or cluster}' not found")


def _source_name(ref: Json) -> str:
    return str(ref.get("source-name", "")) if isinstance(ref, dict) else str(ref)


def _manage_snapshot(since: int) -> Callable[["Cinder", Request], Answer]:
    def manage(cinder: "Cinder", request: Request) -> Answer:
        properties: Document = {
            "description": _NAME,
            "metadata": _METADATA,
            "name": _NAME,
            "volume_id": {"type": "string", "format": "uuid"},
            "ref": {"type": ["object", "null", "string"]},
        }
        inner = dict(object_of(properties, ("ref", "volume_id")))
        given = read(request, object_of({"snapshot": inner}, ("snapshot",)))["snapshot"]
        require_minor(request, since)
        volume = get_volume(cinder, request.caller, given["volume_id"])
        require(request.caller, "admin", "snapshot_extension:snapshot_manage")
        known = cinder.unmanaged_snapshots.pop(_source_name(given["ref"]), None)
        now, caller = cinder.clock(), request.caller
        made = Snapshot(
            cinder.ids(), caller.project_id, caller.user_id, volume.id, volume.size, now, now,
            given.get("name"), given.get("description"), "available" if known else "error",
            dict(given.get("metadata") or {}),
        )  # fmt: skip
        cinder.snapshots[made.id] = made
        view = snapshots.show_detail(made, request)
        return answer_json({"snapshot": {**view, "status": "creating"}}, 202)

    return manage


def _routes() -> Iterable[tuple[str, str, str, str, Callable[["Cinder", Request], Answer]]]:
    manage = {"volume": _manage_volume, "snapshot": _manage_snapshot}
    for path, kind, since in (
        ("/manageable_volumes", "volume", 8),
        ("/os-volume-manage", "volume", 0),
        ("/manageable_snapshots", "snapshot", 8),
        ("/os-snapshot-manage", "snapshot", 0),
    ):
        rule = f"{kind}_extension:list_manageable"
        yield "GET", path, "write", rule, _list(kind, False, since)
        yield "GET", f"{path}/detail", "write", rule, _list(kind, True, since)
        yield "POST", path, "write", f"{kind}_extension:{kind}_manage", manage[kind](since)


_POOLS = "scheduler_extension:scheduler_stats:get_pools"
ROUTES = (
    ("GET", "/scheduler-stats/get_pools", "admin", _POOLS, _list_pools),
    ("GET", "/capabilities/{id}", "admin", "volume_extension:capabilities", _show_capabilities),
    *_routes(),
)
