"""The lists of Cinder that are merged, as data.

Truth: cinder/api/common.py, cinder/api/v3/{volumes,snapshots}.py, their views, and
process_sort_params in cinder/db/api.py of Cinder 29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tricircle.core.merge import Listing
from tricircle.core.model import Kind
from tricircle.core.sorting import Compare, Dialect, SortField

_VOLUME_SORT_FIELDS: Mapping[str, SortField] = {
    "availability_zone": SortField(("availability_zone",), nullable=True),
    "bootable": SortField(("bootable",), Compare.FLAG),
    "consistencygroup_id": SortField(("consistencygroup_id",), Compare.EXACT, nullable=True),
    "created_at": SortField(("created_at",), Compare.TIME),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "group_id": SortField(("group_id",), Compare.EXACT, nullable=True),
    "host": SortField(("os-vol-host-attr:host",), nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "migration_status": SortField(("migration_status",), nullable=True),
    "multiattach": SortField(("multiattach",), Compare.FLAG),
    "name": SortField(("name",), nullable=True),
    "project_id": SortField(("os-vol-tenant-attr:tenant_id",), Compare.EXACT),
    "replication_status": SortField(("replication_status",), nullable=True),
    "size": SortField(("size",), Compare.NUMBER),
    "snapshot_id": SortField(("snapshot_id",), Compare.EXACT, nullable=True),
    "source_volid": SortField(("source_volid",), Compare.EXACT, nullable=True),
    "status": SortField(("status",)),
    "updated_at": SortField(("updated_at",), Compare.TIME, nullable=True),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "volume_type_id": SortField(("volume_type_id",), Compare.EXACT),
}
"""Where a volume shows its sort keys; any other column sorts, unseen."""

_SNAPSHOT_SORT_FIELDS: Mapping[str, SortField] = {
    "created_at": SortField(("created_at",), Compare.TIME),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "group_snapshot_id": SortField(("group_snapshot_id",), Compare.EXACT, nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "name": SortField(("name",), nullable=True),
    "progress": SortField(("os-extended-snapshot-attributes:progress",), nullable=True),
    "project_id": SortField(("os-extended-snapshot-attributes:project_id",), Compare.EXACT),
    "status": SortField(("status",)),
    "updated_at": SortField(("updated_at",), Compare.TIME, nullable=True),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "volume_id": SortField(("volume_id",), Compare.EXACT),
    "volume_size": SortField(("size",), Compare.NUMBER),
}
"""Where a snapshot shows its sort keys."""

VOLUMES_DETAIL = Listing(
    kind=Kind.VOLUME,
    dialect=Dialect.CINDER,
    collection="volumes",
    item="volume",
    path="/volumes/detail",
    detail_path="/volumes/detail",
    sort_fields=_VOLUME_SORT_FIELDS,
)
"""GET /volumes/detail."""

VOLUMES = replace(VOLUMES_DETAIL, path="/volumes", summary=("id", "name", "links"))
"""GET /volumes."""

SNAPSHOTS_DETAIL = Listing(
    kind=Kind.SNAPSHOT,
    dialect=Dialect.CINDER,
    collection="snapshots",
    item="snapshot",
    path="/snapshots/detail",
    detail_path="/snapshots/detail",
    sort_fields=_SNAPSHOT_SORT_FIELDS,
)
"""GET /snapshots/detail."""

SNAPSHOTS = replace(
    SNAPSHOTS_DETAIL,
    path="/snapshots",
    summary=(
        "id",
        "created_at",
        "updated_at",
        "name",
        "description",
        "volume_id",
        "status",
        "size",
        "metadata",
    ),
)
"""GET /snapshots: longer than other short forms, and without links."""
