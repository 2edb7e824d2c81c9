"""Groups of volumes and their snapshots, and consistency groups, which are groups of an older API.

Truth: cinder/api/v3/{groups,group_snapshots,consistencygroups}.py,
cinder/api/contrib/{consistencygroups,cgsnapshots}.py, their views, and cinder/group/api.py of
Cinder 29 and 26. Both APIs show the same groups: an id names one thing, whichever is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tricircle.core.merge import Listing
from tricircle.core.model import Kind, Version
from tricircle.core.sorting import Compare, Dialect, SortField, SortTerm
from tricircle.core.table import ById, ByVersion, Create, Merge, Ref, Row, rows_of
from tricircle.volume.listings import EVERYTHING

_NO_GROUP = "Group {id} could not be found."
_NO_SNAPSHOT = "GroupSnapshot {id} could not be found."
_CREATED = SortField(("created_at",), Compare.TIME)
_ID = SortField(("id",), Compare.EXACT)
_ITEM_ZONE = "availability_zone"

# Where a group shows its sort keys.
_GROUP_SORT_FIELDS: Mapping[str, SortField] = {
    "availability_zone": SortField(("availability_zone",), nullable=True),
    "created_at": _CREATED,
    "description": SortField(("description",), nullable=True),
    "group_snapshot_id": SortField(("group_snapshot_id",), Compare.EXACT, nullable=True),
    "id": _ID,
    "name": SortField(("name",), nullable=True),
    "project_id": SortField(("project_id",), Compare.EXACT, nullable=True),
    "replication_status": SortField(("replication_status",), nullable=True),
    "source_group_id": SortField(("source_group_id",), Compare.EXACT, nullable=True),
    "status": SortField(("status",)),
}
_SNAPSHOT_SORT_FIELDS: Mapping[str, SortField] = {
    "created_at": _CREATED,
    "description": SortField(("description",), nullable=True),
    "group_id": SortField(("group_id",), Compare.EXACT),
    "id": _ID,
    "name": SortField(("name",), nullable=True),
    "project_id": SortField(("project_id",), Compare.EXACT, nullable=True),
    "status": SortField(("status",)),
}
_NEWEST_FIRST = (SortTerm("created_at", _CREATED, True), SortTerm("id", _ID, True))
_SHORT = ("id", "name")

GROUPS_DETAIL = Listing(
    kind=Kind.GROUP,
    dialect=Dialect.CINDER,
    collection="groups",
    item="group",
    path="/groups/detail",
    detail_path="/groups/detail",
    sort_fields=_GROUP_SORT_FIELDS,
    links="group_links",
)
"""GET /groups/detail."""

GROUPS = replace(GROUPS_DETAIL, path="/groups", summary=_SHORT)
"""GET /groups."""

CONSISTENCY_GROUPS_DETAIL = replace(
    GROUPS_DETAIL,
    collection="consistencygroups",
    item="consistencygroup",
    path="/consistencygroups/detail",
    detail_path="/consistencygroups/detail",
    links="consistencygroup_links",
    marker_absent=_NO_GROUP,
)
"""GET /consistencygroups/detail."""

CONSISTENCY_GROUPS = replace(CONSISTENCY_GROUPS_DETAIL, path="/consistencygroups", summary=_SHORT)
"""GET /consistencygroups."""

GROUP_SNAPSHOTS_DETAIL = Listing(
    kind=Kind.GROUP_SNAPSHOT,
    dialect=Dialect.CINDER,
    collection="group_snapshots",
    item="group_snapshot",
    path="/group_snapshots/detail",
    detail_path="/group_snapshots/detail",
    sort_fields=_SNAPSHOT_SORT_FIELDS,
    marker_absent=_NO_SNAPSHOT,
    links="group_snapshot_links",
)
"""GET /group_snapshots/detail from microversion 3.29 on, where it has pages."""

GROUP_SNAPSHOTS = replace(GROUP_SNAPSHOTS_DETAIL, path="/group_snapshots", summary=_SHORT)
"""GET /group_snapshots from microversion 3.29 on."""

CGSNAPSHOTS_DETAIL = replace(
    GROUP_SNAPSHOTS_DETAIL,
    collection="cgsnapshots",
    item="cgsnapshot",
    path="/cgsnapshots/detail",
    detail_path="/cgsnapshots/detail",
    order=_NEWEST_FIRST,
    whole=True,
    cut=True,
    linked=False,
)
"""GET /cgsnapshots/detail."""

CGSNAPSHOTS = replace(CGSNAPSHOTS_DETAIL, path="/cgsnapshots", summary=_SHORT)
"""GET /cgsnapshots."""


def _snapshot_list(listing: Listing) -> ByVersion:
    """Return the list of group snapshots, which is whole before microversion 3.29."""
    before = replace(listing, order=_NEWEST_FIRST, whole=True, max_limit=EVERYTHING)
    return ByVersion(Merge(before), Version(3, 29), Merge(listing))


def _volumes_of(top: str) -> tuple[Ref, ...]:
    """Return the volumes that go into a group, or out of it; the pod says which it has not."""
    return tuple(
        Ref(f"{top}.{name}", Kind.VOLUME, absent=None, separator=",")
        for name in ("add_volumes", "remove_volumes")
    )


def _sources(top: str, group: str, snapshot: str) -> tuple[Ref, ...]:
    """Return the source of a new group; what is not there is the pod's to refuse, in its order."""
    return (
        Ref(f"{top}.{group}", Kind.GROUP, absent=None),
        Ref(f"{top}.{snapshot}", Kind.GROUP_SNAPSHOT, absent=None),
    )


_GROUP = ById(
    Kind.GROUP,
    refs=_volumes_of("group"),
    zones=("group.availability_zone",),
    whole=True,
    hook="counted",
)
_GROUPS = [
    Row("GET", "/groups", Merge(GROUPS)),
    Row("GET", "/groups/detail", Merge(GROUPS_DETAIL, zones=(_ITEM_ZONE,))),
    Row("POST", "/groups", Create(
        Kind.GROUP, "group.id", zone="group.availability_zone", hook="create_group",
    )),
    Row("POST", "/groups/action", Create(
        Kind.GROUP, "group.id",
        _sources("create-from-src", "source_group_id", "group_snapshot_id"),
        hook="fill_group",
    )),
    *rows_of(_GROUP, "GET /groups/{id}", "PUT /groups/{id}", "DELETE /groups/{id}"),
    *rows_of(ById(Kind.GROUP), "POST /groups/{id}/action"),
]  # fmt: skip

_GROUP_SNAPSHOTS = [
    Row("GET", "/group_snapshots", _snapshot_list(GROUP_SNAPSHOTS)),
    Row("GET", "/group_snapshots/detail", _snapshot_list(GROUP_SNAPSHOTS_DETAIL)),
    Row("POST", "/group_snapshots", Create(
        Kind.GROUP_SNAPSHOT, "group_snapshot.id",
        (Ref("group_snapshot.group_id", Kind.GROUP, absent=None),),
        hook="create_group_snapshot",
    )),
    *rows_of(
        ById(Kind.GROUP_SNAPSHOT, whole=True),
        "GET /group_snapshots/{id}",
        "DELETE /group_snapshots/{id}",
    ),
    *rows_of(ById(Kind.GROUP_SNAPSHOT), "POST /group_snapshots/{id}/action"),
]  # fmt: skip

_CONSISTENCY_GROUP = ById(
    Kind.GROUP,
    refs=_volumes_of("consistencygroup"),
    zones=("consistencygroup.availability_zone",),
    whole=True,
    hook="counted",
)
_CONSISTENCY_GROUPS = [
    Row("GET", "/consistencygroups", Merge(CONSISTENCY_GROUPS)),
    Row("GET", "/consistencygroups/detail", Merge(
        CONSISTENCY_GROUPS_DETAIL, zones=(_ITEM_ZONE,),
    )),
    Row("POST", "/consistencygroups", Create(
        Kind.GROUP, "consistencygroup.id", zone="consistencygroup.availability_zone",
        hook="create_group",
    )),
    Row("POST", "/consistencygroups/create_from_src", Create(
        Kind.GROUP, "consistencygroup.id",
        _sources("consistencygroup-from-src", "source_cgid", "cgsnapshot_id"),
        hook="fill_group",
    )),
    *rows_of(
        _CONSISTENCY_GROUP,
        "GET /consistencygroups/{id}",
        "PUT /consistencygroups/{id}",
        "DELETE /consistencygroups/{id}",
        "POST /consistencygroups/{id}/delete",
        "PUT /consistencygroups/{id}/update",
    ),
]  # fmt: skip

_CGSNAPSHOTS = [
    Row("GET", "/cgsnapshots", Merge(CGSNAPSHOTS)),
    Row("GET", "/cgsnapshots/detail", Merge(CGSNAPSHOTS_DETAIL)),
    Row("POST", "/cgsnapshots", Create(
        Kind.GROUP_SNAPSHOT, "cgsnapshot.id",
        (Ref("cgsnapshot.consistencygroup_id", Kind.GROUP, absent=None),),
        hook="create_group_snapshot",
    )),
    *rows_of(
        ById(Kind.GROUP_SNAPSHOT, whole=True),
        "GET /cgsnapshots/{id}",
        "DELETE /cgsnapshots/{id}",
    ),
]  # fmt: skip

ROWS = [*_GROUPS, *_GROUP_SNAPSHOTS, *_CONSISTENCY_GROUPS, *_CGSNAPSHOTS]
