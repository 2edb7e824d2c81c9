"""What belongs to the operators of pods: services, hosts, clusters, pools, and foreign volumes.

Truth: cinder/api/v3/{services,clusters,workers,volume_manage,snapshot_manage}.py and
cinder/api/contrib/{services,hosts,scheduler_stats,capabilities}.py of Cinder 29 and 26. None
of it is recorded at the top, and a host, a cluster or a pool may have one name in several pods.
"""

from __future__ import annotations

from tricircle.core.bodies import replace
from tricircle.core.joining import How, Joint, Rule
from tricircle.core.model import Kind
from tricircle.core.table import (
    Aggregate,
    Ask,
    Create,
    Finder,
    HostRef,
    Ref,
    Replicated,
    Row,
    rows_of,
)

_SEVERAL = "{name} is in several pods: {pods}. Name one of them as pod:{name}."
_HOST = Finder(
    "/os-services", "services[].host", f"Host {_SEVERAL}", filter="host", part="#", loose=True
)
"""A host without its backend stands for all backends of it, and a pool for its backend."""

_CLUSTER = Finder("/clusters", "clusters[].name", f"Cluster {_SEVERAL}", filter="name", part="#")


def host_refs(top: str) -> tuple[HostRef, ...]:
    """Return the host or cluster that a body names below ``top``."""
    return (HostRef(f"{top}.host", _HOST), HostRef(f"{top}.cluster", _CLUSTER))


_TO_HOST = Ask(
    _HOST,
    place="host",
    is_host=True,
    otherwise=Ask(_CLUSTER, place="cluster", is_host=True),
)
"""A change of what the body names."""

_SERVICES = [
    Row("GET", "/os-services", Aggregate(
        Joint((Rule("services", How.APPEND),)), ("services[].zone",), host_filter="host",
    )),
    *rows_of(
        Ask(_HOST, place="host", is_host=True),
        "PUT /os-services/enable",
        "PUT /os-services/disable",
        "PUT /os-services/disable-log-reason",
    ),
    *rows_of(
        _TO_HOST,
        "PUT /os-services/freeze",
        "PUT /os-services/thaw",
        "PUT /os-services/failover_host",
        # Gone from Cinder 29; for clusters, of microversion 3.26 and later.
        "PUT /os-services/failover",
    ),
    *rows_of(
        Aggregate(Joint((Rule("log_levels", How.APPEND),)), host_places=("server",)),
        "PUT /os-services/get-log",
        "PUT /os-services/set-log",
    ),
]  # fmt: skip

_LIST_OF_HOSTS = Aggregate(
    Joint((Rule("hosts", How.APPEND),)), ("hosts[].zone",), zone_filter="zone"
)
_ONE_HOST = Ask(_HOST, param="host_name", is_host=True)
_HOSTS = [
    Row(method, f"{below}{path}", strategy)
    for below in ("", "/{admin_project_id}")
    for method, path, strategy in (
        ("GET", "/os-hosts", _LIST_OF_HOSTS),
        # Cinder refuses it always, as it names no host.
        ("PUT", "/os-hosts", Replicated()),
        ("GET", "/os-hosts/{host_name}", _ONE_HOST),
        ("PUT", "/os-hosts/{host_name}", _ONE_HOST),
    )
]

_LIST_OF_CLUSTERS = Aggregate(Joint((Rule("clusters", How.APPEND),)), host_filter="name")
_CLUSTERS = [
    *rows_of(_LIST_OF_CLUSTERS, "GET /clusters", "GET /clusters/detail"),
    Row("GET", "/clusters/{id}", Ask(is_host=True, several=_CLUSTER.several)),
    *rows_of(
        Ask(_CLUSTER, place="name", is_host=True),
        "PUT /clusters/enable",
        "PUT /clusters/disable",
    ),
]

_CLEANUP = Aggregate(
    Joint((Rule("cleaning", How.APPEND), Rule("unavailable", How.APPEND))),
    numbers=("cleaning[].id", "unavailable[].id"),
    host_places=("host", "cluster_name"),
    number_place="service_id",
    lenient=True,
)
"""POST /workers/cleanup; a resource is in one pod, and the others refuse to clean it."""


def _sort_pools(body: bytes) -> bytes:
    """Return the body with pools by name, which Cinder gives in no order."""

    def by_name(pools: object) -> object:
        rows = pools if isinstance(pools, list) else []
        return sorted(rows, key=lambda row: str(row.get("name") if isinstance(row, dict) else ""))

    return replace(body, "pools", by_name)


_POOLS = [
    Row("GET", "/scheduler-stats/get_pools", Aggregate(
        Joint((Rule("pools", How.NAMED, key="name"),), _sort_pools), host_filter="name",
    )),
    Row("GET", "/capabilities/{id}", Ask(is_host=True, several=_HOST.several)),
]  # fmt: skip

_MANAGEABLE = Ask(
    _HOST,
    query="host",
    is_host=True,
    otherwise=Ask(_CLUSTER, query="cluster", is_host=True),
)
_VOLUME_ZONE = "volume.availability_zone"
_MANAGED_VOLUME = Create(
    Kind.VOLUME,
    "volume.id",
    zone=_VOLUME_ZONE,
    zones=(_VOLUME_ZONE,),
    hosts=host_refs("volume"),
    hook="manage_volume",
)
_MANAGED_SNAPSHOT = Create(
    Kind.SNAPSHOT,
    "snapshot.id",
    (Ref("snapshot.volume_id", Kind.VOLUME, absent=None),),
    hook="create_snapshot",
)
_FOREIGN = [
    *rows_of(
        _MANAGEABLE,
        "GET /manageable_volumes",
        "GET /manageable_volumes/detail",
        "GET /os-volume-manage",
        "GET /os-volume-manage/detail",
        "GET /manageable_snapshots",
        "GET /manageable_snapshots/detail",
        "GET /os-snapshot-manage",
        "GET /os-snapshot-manage/detail",
    ),
    *rows_of(_MANAGED_VOLUME, "POST /manageable_volumes", "POST /os-volume-manage"),
    *rows_of(_MANAGED_SNAPSHOT, "POST /manageable_snapshots", "POST /os-snapshot-manage"),
]

ROWS = [
    *_SERVICES,
    *_HOSTS,
    *_CLUSTERS,
    Row("POST", "/workers/cleanup", _CLEANUP),
    *_POOLS,
    *_FOREIGN,
]
