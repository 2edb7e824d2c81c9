"""What Cinder tells about itself: zones, limits, quotas, extensions, services, pools."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.volume.guards import body_of, get_volume
from tricircle.testing.cloud.volume.metadata import Metadata
from tricircle.testing.cloud.volume.records import Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_EXTENSIONS = (
    "os-admin-actions", "os-availability-zone", "os-extended-snapshot-attributes", "os-hosts",
    "os-quota-sets", "os-services", "os-snapshot-actions", "os-types-extra-specs",
    "os-types-manage", "os-volume-actions", "os-volume-transfer", "os-volume-type-access",
)  # fmt: skip
_LIMITS = {
    "volumes": -1,
    "snapshots": -1,
    "gigabytes": -1,
    "backups": -1,
    "backup_gigabytes": -1,
    "per_volume_gigabytes": -1,
    "groups": 10,
}


def _list_zones(cinder: "Cinder", request: Request) -> Answer:
    zone = {"zoneName": cinder.zone, "zoneState": {"available": True}}
    return answer_json({"availabilityZoneInfo": [zone]})


def _used(cinder: "Cinder", project_id: str) -> dict[str, int]:
    volumes = [item for item in cinder.volumes.values() if item.project_id == project_id]
    snapshots = [item for item in cinder.snapshots.values() if item.project_id == project_id]
    backups = [item for item in cinder.backups.values() if item.project_id == project_id]
    return {
        "backups": len(backups),
        "backup_gigabytes": sum(item.size for item in backups),
        "volumes": len(volumes),
        "snapshots": len(snapshots),
        "gigabytes": sum(item.size for item in volumes)
        + sum(item.volume_size for item in snapshots),
    }


def _limits(cinder: "Cinder", request: Request) -> Answer:
    used = _used(cinder, request.caller.project_id)
    absolute = {
        "maxTotalVolumes": _LIMITS["volumes"],
        "maxTotalSnapshots": _LIMITS["snapshots"],
        "maxTotalVolumeGigabytes": _LIMITS["gigabytes"],
        "maxTotalBackups": _LIMITS["backups"],
        "maxTotalBackupGigabytes": _LIMITS["backup_gigabytes"],
        "totalVolumesUsed": used["volumes"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalBackupsUsed": used["backups"],
        "totalBackupGigabytesUsed": used["backup_gigabytes"],
    }
    return answer_json({"limits": {"rate": [], "absolute": absolute}})


def _quota(cinder: "Cinder", request: Request) -> Answer:
    project_id = request.parameters["id"]
    if project_id != request.caller.project_id and not request.caller.is_admin:
        refuse(403, "Policy doesn't allow volume_extension:quotas:show to be performed.")
    view: Document = {"id": project_id}
    used = _used(cinder, project_id)
    with_usage = request.find("usage") in ("True", "true", "1")
    by_type = {
        f"{name}_{kind.name}": -1
        for kind in cinder.types.values()
        for name in ("gigabytes", "snapshots", "volumes")
    }
    for name, limit in (_LIMITS | cinder.quotas | by_type).items():
        view[name] = limit
        if with_usage:
            view[name] = {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
    return answer_json({"quota_set": view})


def _update_quota(cinder: "Cinder", request: Request) -> Answer:
    given = body_of(request).get("quota_set", {})
    for name in cinder.quotas:
        cinder.quotas[name] = int(given.get(name, cinder.quotas[name]))
    return answer_json({"quota_set": {**_LIMITS, **cinder.quotas, **given}})


_EXTENSION_NAMES = {"os-availability-zone": "AvailabilityZones"}


def _extension_view(alias: str) -> Document:
    return {
        "alias": alias,
        "name": _EXTENSION_NAMES.get(alias, alias.removeprefix("os-").title().replace("-", "")),
        "description": "",
        "links": [],
        "updated": "2012-05-31T00:00:00+00:00",
    }


def _list_extensions(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"extensions": [_extension_view(alias) for alias in _EXTENSIONS]})


def _list_services(cinder: "Cinder", request: Request) -> Answer:
    now = cinder.clock().strftime("%Y-%m-%dT%H:%M:%S.%f")
    host = cinder.host.partition("@")[0]
    rows = (
        ("cinder-backup", host),
        ("cinder-scheduler", host),
        ("cinder-volume", cinder.host.partition("#")[0]),
    )
    services = []
    for binary, name in rows:
        view: Document = {
            "binary": binary,
            "host": name,
            "zone": cinder.zone,
            "status": "enabled",
            "state": "up",
            "updated_at": now,
        }
        if request.caller.is_admin:
            view["disabled_reason"] = None
        services.append(view)
    return answer_json({"services": services})


def _list_pools(cinder: "Cinder", request: Request) -> Answer:
    detailed = request.find("detail") in ("True", "true", "1")
    pools = []
    for name, reported in cinder.pools.items():
        pool: Document = {"name": name}
        if detailed:
            pool["capabilities"] = _capabilities(cinder, name) | reported
        pools.append(pool)
    return answer_json({"pools": pools})


def _capabilities(cinder: "Cinder", pool: str) -> Document:
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


def _empty_list(name: str, since: int) -> Callable[["Cinder", Request], Answer]:
    """Return what lists resources the simulation never has."""

    def index(cinder: "Cinder", request: Request) -> Answer:
        if request.microversion < since:
            refuse(404, "The resource could not be found.")
        return answer_json({name: []})

    return index


def _list_filters(cinder: "Cinder", request: Request) -> Answer:
    if request.microversion < 33:
        refuse(404, "The resource could not be found.")
    wanted = request.find("resource")
    filters = [
        {"resource": resource, "filters": names}
        for resource, names in _RESOURCE_FILTERS.items()
        if wanted in (None, resource)
    ]
    return answer_json({"resource_filters": filters})


def _show_encryption(cinder: "Cinder", request: Request) -> Answer:
    _volume(cinder, request)
    facts: Document = {"encryption_key_id": None}
    key = request.parameters.get("key")
    if key is None:
        return answer_json(facts)
    if key not in facts:
        refuse(404, "The resource could not be found.")
    return answer_json(facts[key])


# As etc/cinder/resource_filters.json of Cinder 29 for what is simulated.
_RESOURCE_FILTERS = {
    "volume": [
        "name",
        "status",
        "metadata",
        "bootable",
        "migration_status",
        "availability_zone",
        "group_id",
        "size",
        "created_at",
        "updated_at",
        "consumes_quota",
    ],
    "snapshot": [
        "name",
        "status",
        "volume_id",
        "metadata",
        "availability_zone",
        "consumes_quota",
    ],
    "backup": ["name", "status", "volume_id"],
    "group": ["name"],
    "group_snapshot": ["name", "status", "group_id"],
    "attachment": ["volume_id", "status", "instance_id", "attach_status"],
    "message": ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
    "pool": ["name", "volume_type"],
    "volume_type": ["is_public", "extra_specs"],
}


def _volume(cinder: "Cinder", request: Request) -> Volume:
    return get_volume(cinder, request.caller, request.parameters["id"])


_ENCRYPTION = "/volumes/{id}/encryption"
ROUTES = (
    ("GET", "/os-availability-zone", "read", "volume:availability_zone_list", _list_zones),
    ("GET", "/limits", "read", "limits_extension:used_limits", _limits),
    ("GET", "/extensions", "read", "volume:extensions", _list_extensions),
    ("GET", "/resource_filters", "read", "volume:resource_filters", _list_filters),
    ("GET", _ENCRYPTION, "read", "volume_extension:volume_encryption_metadata", _show_encryption),
    (
        "GET",
        _ENCRYPTION + "/{key}",
        "read",
        "volume_extension:volume_encryption_metadata",
        _show_encryption,
    ),
    ("GET", "/os-quota-sets/{id}", "read", "volume_extension:quotas:show", _quota),
    ("GET", "/os-quota-sets/{id}/defaults", "read", "volume_extension:quotas:show", _quota),
    ("PUT", "/os-quota-sets/{id}", "admin", "volume_extension:quotas:update", _update_quota),
    ("GET", "/os-services", "admin", "volume_extension:services:index", _list_services),
    (
        "GET",
        "/scheduler-stats/get_pools",
        "admin",
        "scheduler_extension:scheduler_stats:get_pools",
        _list_pools,
    ),
    ("GET", "/groups", "read", "group:get_all", _empty_list("groups", 13)),
    ("GET", "/groups/detail", "read", "group:get_all", _empty_list("groups", 13)),
    ("GET", "/group_types", "read", "group:group_types:get_all", _empty_list("group_types", 11)),
    (
        "GET",
        "/qos-specs",
        "admin",
        "volume_extension:qos_specs_manage:get_all",
        _empty_list("qos_specs", 0),
    ),
    *Metadata(
        "volume:volume_metadata", "Volume {owner} has no metadata with key {key}.", _volume
    ).routes("/volumes/{id}/metadata"),
)
