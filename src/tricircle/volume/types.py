"""What all pods have alike: types of volumes and groups, QoS specs, default types of projects.

Each is read from one pod, or changed in one and then in all others. Pods give most of them
ids of their own: ``NAMINGS`` says where requests and answers have such ids. Truth:
cinder/api/v3/{types,group_types,group_specs,default_types}.py and cinder/api/contrib/
{types_manage,types_extra_specs,volume_type_access,volume_type_encryption,qos_specs_manage}.py
of Cinder 29 and 26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tricircle.core.model import Kind
from tricircle.core.table import Alter, Make, Naming, Replicated, Row, rows_of
from tricircle.core.wishes import Replica

_READ = Replicated()


def _alter(change: Alter) -> Replicated:
    return Replicated(change=change)


_VOLUME_TYPES = [
    *rows_of(
        _READ,
        "GET /types",
        "GET /types/{id}",
        "GET /types/{type_id}/extra_specs",
        "GET /types/{type_id}/extra_specs/{id}",
        "GET /types/{type_id}/os-volume-type-access",
        "GET /types/{type_id}/encryption",
        "GET /types/{type_id}/encryption/{id}",
    ),
    Row("POST", "/types", Replicated(
        change=Make(Replica.VOLUME_TYPE, "volume_type.id", label="volume_type.name")
    )),
    *rows_of(
        _alter(Alter(Replica.VOLUME_TYPE)),
        "PUT /types/{id}",
        "POST /types/{id}/action",
    ),
    Row("DELETE", "/types/{id}", _alter(
        Alter(Replica.VOLUME_TYPE, removes=True, unless_used=True)
    )),
    *rows_of(
        _alter(Alter(Replica.VOLUME_TYPE, "type_id", unless_used=True)),
        "POST /types/{type_id}/extra_specs",
        "PUT /types/{type_id}/extra_specs/{id}",
        "DELETE /types/{type_id}/extra_specs/{id}",
        "POST /types/{type_id}/encryption",
        "PUT /types/{type_id}/encryption/{id}",
        "DELETE /types/{type_id}/encryption/{id}",
    ),
]  # fmt: skip

# To associate QoS specs, which is a GET, is to change a volume type.
_ASSOCIATE = _alter(Alter(Replica.VOLUME_TYPE, "vol_type_id", beside=(Replica.QOS_SPECS, "id")))
_QOS_SPECS = [
    *rows_of(
        _READ,
        "GET /qos-specs",
        "GET /qos-specs/{id}",
        "GET /qos-specs/{id}/associations",
    ),
    Row("POST", "/qos-specs", Replicated(
        change=Make(Replica.QOS_SPECS, "qos_specs.id", label="qos_specs.name")
    )),
    Row("PUT", "/qos-specs/{id}", _alter(Alter(Replica.QOS_SPECS))),
    # Cinder deletes keys until it meets one that is not there.
    Row("PUT", "/qos-specs/{id}/delete_keys", _alter(Alter(Replica.QOS_SPECS, halves=True))),
    Row("DELETE", "/qos-specs/{id}", _alter(
        Alter(Replica.QOS_SPECS, removes=True, unless_used=True, frees=True)
    )),
    *rows_of(
        _ASSOCIATE,
        "GET /qos-specs/{id}/associate",
        "GET /qos-specs/{id}/disassociate",
    ),
    Row("GET", "/qos-specs/{id}/disassociate_all", _alter(
        Alter(Replica.QOS_SPECS, frees=True)
    )),
]  # fmt: skip

_GROUP_TYPES = [
    *rows_of(
        _READ,
        "GET /group_types",
        "GET /group_types/{id}",
        "GET /group_types/{group_type_id}/group_specs",
        "GET /group_types/{group_type_id}/group_specs/{id}",
    ),
    Row("POST", "/group_types", Replicated(
        change=Make(Replica.GROUP_TYPE, "group_type.id", label="group_type.name")
    )),
    Row("PUT", "/group_types/{id}", _alter(Alter(Replica.GROUP_TYPE))),
    Row("DELETE", "/group_types/{id}", _alter(
        Alter(Replica.GROUP_TYPE, removes=True, unless_used=True)
    )),
    *rows_of(
        _alter(Alter(Replica.GROUP_TYPE, "group_type_id")),
        "POST /group_types/{group_type_id}/group_specs",
        "PUT /group_types/{group_type_id}/group_specs/{id}",
        "DELETE /group_types/{group_type_id}/group_specs/{id}",
    ),
]  # fmt: skip

_DEFAULT_TYPES = [
    *rows_of(_READ, "GET /default-types", "GET /default-types/{id}"),
    Row("PUT", "/default-types/{id}", _alter(Alter(Replica.DEFAULT_TYPE))),
    Row("DELETE", "/default-types/{id}", _alter(Alter(Replica.DEFAULT_TYPE, removes=True))),
]

ROWS = [*_VOLUME_TYPES, *_QOS_SPECS, *_GROUP_TYPES, *_DEFAULT_TYPES]


_TYPES, _GROUPS = (Kind.VOLUME_TYPE,), (Kind.GROUP_TYPE, Kind.VOLUME_TYPE)
_NAMING_OF_TYPES = Naming(
    (Kind.VOLUME_TYPE, Kind.QOS_SPECS),
    words=("types", "qos-specs"),
    query=("marker", "id", "vol_type_id"),
    body=("encryption.volume_type_id",),
    answer=(
        "volume_type.id",
        "volume_type.qos_specs_id",
        "volume_types[].id",
        "volume_types[].qos_specs_id",
        "volume_type_links[].href",
        "volume_type_access[].volume_type_id",
        "volume_type_id",
        "encryption.volume_type_id",
        "qos_specs.id",
        "qos_specs[].id",
        "qos_specs_links[].href",
        "qos_associations[].id",
        "links[].href",
    ),
)
_NAMING_OF_VOLUMES = Naming(
    _TYPES,
    query=("volume_type_id",),
    body=("volume.volume_type", "os-retype.new_type"),
    answer=("volume.volume_type_id", "volumes[].volume_type_id"),
)
NAMINGS: Mapping[str, Naming] = {
    "types": _NAMING_OF_TYPES,
    "qos-specs": _NAMING_OF_TYPES,
    "group_types": Naming(
        (Kind.GROUP_TYPE,),
        words=("group_types",),
        query=("marker",),
        answer=("group_type.id", "group_types[].id", "group_type_links[].href"),
    ),
    "default-types": Naming(
        _TYPES,
        body=("default_type.volume_type",),
        answer=("default_type.volume_type_id", "default_types[].volume_type_id"),
    ),
    "volumes": _NAMING_OF_VOLUMES,
    "os-volume-manage": _NAMING_OF_VOLUMES,
    "manageable_volumes": _NAMING_OF_VOLUMES,
    "groups": Naming(
        _GROUPS,
        query=("group_type_id",),
        body=("group.group_type", "group.volume_types[]"),
        answer=(
            "group.group_type",
            "group.volume_types[]",
            "groups[].group_type",
            "groups[].volume_types[]",
        ),
    ),
    "group_snapshots": Naming(
        (Kind.GROUP_TYPE,),
        query=("group_type_id",),
        answer=("group_snapshot.group_type_id", "group_snapshots[].group_type_id"),
    ),
    "consistencygroups": Naming(
        _TYPES,
        body=("consistencygroup.volume_types",),
        answer=("consistencygroup.volume_types[]", "consistencygroups[].volume_types[]"),
    ),
    "scheduler-stats": Naming(_TYPES, query=("volume_type",)),
}
"""Where ids of types and QoS specs are, by the first word of a path."""


def with_namings(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows that know where they have ids of what all pods have alike."""
    return tuple(replace(row, naming=NAMINGS.get(row.path.split("/")[1])) for row in rows)
