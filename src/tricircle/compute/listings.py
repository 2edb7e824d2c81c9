"""The lists of Nova that are merged, as data.

Truth: nova/compute/instance_list.py, nova/api/openstack/common.py,
nova/api/openstack/compute/{servers,views/servers,schemas/servers}.py of Nova 34;
nova/compute/migration_list.py and nova/api/openstack/compute/migrations.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tricircle.core.merge import Listing, MarkerFilter
from tricircle.core.model import Kind, Version
from tricircle.core.sorting import Compare, Dialect, SortField, SortTerm

_IGNORED_SORT_KEYS = frozenset(
    {
        "architecture",
        "cell_name",
        "cleaned",
        "default_ephemeral_device",
        "default_swap_device",
        "deleted",
        "deleted_at",
        "disable_terminate",
        "ephemeral_gb",
        "ephemeral_key_uuid",
        "id",
        "key_data",
        "launched_on",
        "locked",
        "memory_mb",
        "os_type",
        "reservation_id",
        "root_gb",
        "shutdown_terminate",
        "user_data",
        "vcpus",
        "vm_mode",
    }
)
"""SERVER_LIST_IGNORE_SORT_KEY: valid to the schema, dropped before sorting."""

_LOCKED_FROM = Version(2, 73)
"""The microversion that made ``locked`` a real sort key."""


def _ignored_sort_keys(version: Version | None) -> Collection[str]:
    if version is not None and version >= _LOCKED_FROM:
        return _IGNORED_SORT_KEYS - {"locked"}
    return _IGNORED_SORT_KEYS


def _attribute(name: str, compare: Compare = Compare.TEXT, *, nullable: bool = True) -> SortField:
    return SortField((f"OS-EXT-SRV-ATTR:{name}",), compare, nullable)


_SERVER_SORT_FIELDS: Mapping[str, SortField] = {
    "access_ip_v4": SortField(("accessIPv4",), Compare.EXACT, nullable=True, blank=""),
    "access_ip_v6": SortField(("accessIPv6",), Compare.EXACT, nullable=True, blank=""),
    "auto_disk_config": SortField(("OS-DCF:diskConfig",), Compare.FLAG, nullable=True),
    "availability_zone": SortField(("OS-EXT-AZ:availability_zone",), nullable=True, blank=""),
    "config_drive": SortField(("config_drive",), nullable=True, blank=""),
    "created_at": SortField(("created",), Compare.TIME),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",)),
    "host": _attribute("host"),
    "hostname": _attribute("hostname", nullable=False),
    "image_ref": SortField(("image", "id"), Compare.EXACT),
    "kernel_id": _attribute("kernel_id", Compare.EXACT),
    "key_name": SortField(("key_name",), nullable=True),
    "launch_index": _attribute("launch_index", Compare.NUMBER, nullable=False),
    "launched_at": SortField(("OS-SRV-USG:launched_at",), Compare.TIME, nullable=True),
    "locked": SortField(("locked",), Compare.FLAG),
    "node": _attribute("hypervisor_hostname"),
    "power_state": SortField(("OS-EXT-STS:power_state",), Compare.NUMBER),
    "progress": SortField(("progress",), Compare.NUMBER, nullable=True),
    "project_id": SortField(("tenant_id",), Compare.EXACT),
    "ramdisk_id": _attribute("ramdisk_id", Compare.EXACT),
    "root_device_name": _attribute("root_device_name"),
    "task_state": SortField(("OS-EXT-STS:task_state",), nullable=True),
    "terminated_at": SortField(("OS-SRV-USG:terminated_at",), Compare.TIME, nullable=True),
    "updated_at": SortField(("updated",), Compare.TIME),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "uuid": SortField(("id",), Compare.EXACT),
    "vm_state": SortField(("OS-EXT-STS:vm_state",)),
}
"""Where a server shows its sort keys; ``instance_type_id`` and ``locked_by`` are shown nowhere."""

SERVERS_DETAIL = Listing(
    kind=Kind.SERVER,
    dialect=Dialect.NOVA,
    collection="servers",
    item="server",
    path="/servers/detail",
    detail_path="/servers/detail",
    sort_fields=_SERVER_SORT_FIELDS,
    ignored_keys=_ignored_sort_keys,
    partial_rows_from=Version(2, 69),
)
"""GET /servers/detail."""

SERVERS = replace(SERVERS_DETAIL, path="/servers", summary=("id", "name", "links"))
"""GET /servers."""

MIGRATIONS = Listing(
    kind=None,
    dialect=Dialect.NOVA,
    collection="migrations",
    item="migration",
    path="/os-migrations",
    detail_path="/os-migrations",
    sort_fields={},
    order=(
        SortTerm("created_at", SortField(("created_at",), Compare.TIME), descending=True),
        SortTerm("id", SortField(("id",), Compare.NUMBER), descending=True),
        SortTerm("uuid", SortField(("uuid",), Compare.EXACT), descending=False),
    ),
    id_field="uuid",
    # Nova's own paging over cells needs it, and up to 2.58 the API lets any filter pass.
    marker_filter=MarkerFilter("uuid", Version(2, 58), along=("project_id",)),
    marker_absent="Marker {id} could not be found.",
)
"""GET /os-migrations from microversion 2.59 on, where it has pages."""
