"""Every API of Nova, one row each.

The order and the words of the paths are those of Nova's own router
(nova/api/openstack/compute/routes.py, Nova 34 and 31), so that the two can be
compared. ``docs/reference/api-coverage.md`` is generated from this table.
"""

from __future__ import annotations

from dataclasses import replace

from tricircle.compute import joints
from tricircle.compute.listings import SERVERS, SERVERS_DETAIL
from tricircle.compute.proxies import PROXIES
from tricircle.core.bodies import Beside
from tricircle.core.model import Kind, Version
from tricircle.core.table import (
    REMOVED,
    Alter,
    ById,
    Composed,
    Create,
    Local,
    Make,
    Merge,
    Naming,
    Owner,
    Receipt,
    Ref,
    Replicated,
    Row,
    Table,
    Twin,
    rows_of,
)
from tricircle.core.wishes import Replica

# The second one from microversion 2.96 on.
_ITEM_ZONES = ("OS-EXT-AZ:availability_zone", "pinned_availability_zone")
_SERVER_ZONES = tuple(f"server.{place}" for place in _ITEM_ZONES)

_BOOT_REFS = (
    Ref(
        "server.block_device_mapping_v2[].uuid",
        Kind.VOLUME,
        Beside("source_type", "volume"),
        "Block Device Mapping is Invalid: failed to get volume {id}.",
        400,
    ),
    Ref(
        "server.block_device_mapping_v2[].uuid",
        Kind.SNAPSHOT,
        Beside("source_type", "snapshot"),
        "Block Device Mapping is Invalid: failed to get snapshot {id}.",
        400,
    ),
    Ref(
        "server.block_device_mapping[].volume_id",
        Kind.VOLUME,
        None,
        "Block Device Mapping is Invalid: failed to get volume {id}.",
        400,
    ),
    Ref(
        "server.block_device_mapping[].snapshot_id",
        Kind.SNAPSHOT,
        None,
        "Block Device Mapping is Invalid: failed to get snapshot {id}.",
        400,
    ),
)
_SAME_HOST_REFS = tuple(
    Ref(place, Kind.SERVER, None, "Instance {id} could not be found.")
    for hints in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
    for place in (f"{hints}.same_host", f"{hints}.same_host[]")
)
_ATTACH_REFS = (
    Ref("volumeAttachment.volumeId", Kind.VOLUME, None, "Volume {id} could not be found."),
)
_INTERFACE = (
    Twin("interfaceAttachment.net_id", Kind.NETWORK),
    Twin("interfaceAttachment.port_id", Kind.PORT),
    Twin("interfaceAttachment.fixed_ips[].subnet_id", Kind.SUBNET),
)
_INTERFACES = (
    Twin("interfaceAttachments[].net_id", Kind.NETWORK),
    Twin("interfaceAttachments[].port_id", Kind.PORT),
    Twin("interfaceAttachments[].fixed_ips[].subnet_id", Kind.SUBNET),
)
_SECURITY_GROUPS = (
    Twin("security_groups[].id", Kind.SECURITY_GROUP),
    Twin("security_groups[].rules[].parent_group_id", Kind.SECURITY_GROUP),
)
_PORT = (Twin("id", Kind.PORT),)

_WHOLE = ById(Kind.SERVER, whole=True, zones=_SERVER_ZONES, hook="server")
_ACTION = ById(Kind.SERVER, zones=_SERVER_ZONES, hook="action")
_SERVER = ById(Kind.SERVER, "server_id")
_READ = Replicated()
_KEY_OWNER = Owner("keypair.user_id", "user_id", Version(2, 10))


_TYPES_OF_DISKS = Naming(
    (Kind.VOLUME_TYPE,), body=("server.block_device_mapping_v2[].volume_type",)
)

_SERVERS = [
    Row("GET", "/servers", Merge(SERVERS)),
    Row("GET", "/servers/detail", Merge(
        SERVERS_DETAIL, zones=_ITEM_ZONES, hook="groups_of_servers",
    )),
    Row("POST", "/servers", Create(
        Kind.SERVER, "server.id", _BOOT_REFS + _SAME_HOST_REFS, "server.availability_zone",
        zones=_SERVER_ZONES, hook="boot", rule="os_compute_api:servers:create",
        receipt=Receipt("reservation_id", "reservation_id", "servers[].id"),
    ), naming=_TYPES_OF_DISKS),
    Row("GET", "/servers/{id}", _WHOLE),
    Row("PUT", "/servers/{id}", _WHOLE),
    Row("DELETE", "/servers/{id}", _WHOLE),
    Row("POST", "/servers/{id}/action", _ACTION),
]  # fmt: skip

_BELOW_A_SERVER = [
    *rows_of(
        _SERVER,
        "GET /servers/{server_id}/diagnostics",
        "GET /servers/{server_id}/ips",
        "GET /servers/{server_id}/ips/{id}",
        "GET /servers/{server_id}/metadata",
        "PUT /servers/{server_id}/metadata",
        "POST /servers/{server_id}/metadata",
        "GET /servers/{server_id}/metadata/{id}",
        "PUT /servers/{server_id}/metadata/{id}",
        "DELETE /servers/{server_id}/metadata/{id}",
        "GET /servers/{server_id}/migrations",
        "GET /servers/{server_id}/migrations/{id}",
        "DELETE /servers/{server_id}/migrations/{id}",
        "POST /servers/{server_id}/migrations/{id}/action",
        "GET /servers/{server_id}/os-instance-actions",
        "GET /servers/{server_id}/os-instance-actions/{id}",
        "GET /servers/{server_id}/os-server-password",
        "DELETE /servers/{server_id}/os-server-password",
        "GET /servers/{server_id}/os-volume_attachments",
        "GET /servers/{server_id}/os-volume_attachments/{id}",
        "DELETE /servers/{server_id}/os-volume_attachments/{id}",
        "POST /servers/{server_id}/remote-consoles",
        "GET /servers/{server_id}/shares",
        "GET /servers/{server_id}/shares/{id}",
        "POST /servers/{server_id}/shares",
        "DELETE /servers/{server_id}/shares/{id}",
        "GET /servers/{server_id}/tags",
        "PUT /servers/{server_id}/tags",
        "DELETE /servers/{server_id}/tags",
        "GET /servers/{server_id}/tags/{id}",
        "PUT /servers/{server_id}/tags/{id}",
        "DELETE /servers/{server_id}/tags/{id}",
        "GET /servers/{server_id}/topology",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", refs=_ATTACH_REFS),
        "POST /servers/{server_id}/os-volume_attachments",
        "PUT /servers/{server_id}/os-volume_attachments/{id}",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", answer_twins=_SECURITY_GROUPS, hook="groups"),
        "GET /servers/{server_id}/os-security-groups",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", answer_twins=_INTERFACES, hook="twins"),
        "GET /servers/{server_id}/os-interface",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", path_twins=_PORT, answer_twins=_INTERFACE, hook="twins"),
        "GET /servers/{server_id}/os-interface/{id}",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", answer_twins=_INTERFACE, hook="attach_interface"),
        "POST /servers/{server_id}/os-interface",
    ),
    *rows_of(
        ById(Kind.SERVER, "server_id", path_twins=_PORT, hook="detach_interface"),
        "DELETE /servers/{server_id}/os-interface/{id}",
    ),
]

_ZONES_AND_VERSIONS = [
    Row("GET", "/", Local("version")),
    Row("GET", "/versions/{id}", Local("version")),
    Row("GET", "/os-availability-zone", Local("zones")),
    Row("GET", "/os-availability-zone/detail", Local("zones_detail")),
]

# Equal in every pod: read from one of them, changed in one and then in all others.
_REPLICATED = [
    *rows_of(
        _READ,
        "GET /extensions",
        "GET /extensions/{id}",
        "GET /flavors",
        "GET /flavors/detail",
        "GET /flavors/{id}",
        "GET /flavors/{flavor_id}/os-extra_specs",
        "GET /flavors/{flavor_id}/os-extra_specs/{id}",
        "GET /flavors/{flavor_id}/os-flavor-access",
        "GET /os-keypairs",
        "GET /os-keypairs/{id}",
    ),
    Row("POST", "/flavors", Replicated(
        change=Make(Replica.FLAVOR, "flavor.id", label="flavor.name", new_id=True)
    )),
    *rows_of(
        Replicated(change=Alter(Replica.FLAVOR)),
        "PUT /flavors/{id}",
        "POST /flavors/{id}/action",
    ),
    Row("DELETE", "/flavors/{id}", Replicated(change=Alter(Replica.FLAVOR, removes=True))),
    *rows_of(
        Replicated(change=Alter(Replica.FLAVOR, "flavor_id")),
        "POST /flavors/{flavor_id}/os-extra_specs",
        "PUT /flavors/{flavor_id}/os-extra_specs/{id}",
        "DELETE /flavors/{flavor_id}/os-extra_specs/{id}",
    ),
    Row("POST", "/os-keypairs", Replicated(
        change=Make(Replica.KEYPAIR, "keypair.name", owner=_KEY_OWNER)
    )),
    Row("DELETE", "/os-keypairs/{id}", Replicated(
        change=Alter(Replica.KEYPAIR, removes=True, owner=_KEY_OWNER)
    )),
]  # fmt: skip

# A clone of /servers.
_VOLUMES_BOOT = [
    replace(row, path=row.path.replace("/servers", "/os-volumes_boot"), until=Version(2, 102))
    for row in _SERVERS
]

_SERVER_GROUPS = [
    Row("GET", "/os-server-groups", Composed("list_groups")),
    Row("POST", "/os-server-groups", Composed("create_group")),
    Row("GET", "/os-server-groups/{id}", Composed("show_group")),
    Row("DELETE", "/os-server-groups/{id}", Composed("delete_group")),
]

_AGGREGATES = [
    Row("GET", "/os-aggregates", Composed("list_aggregates")),
    Row("POST", "/os-aggregates", Composed("create_aggregate")),
    Row("GET", "/os-aggregates/{id}", Composed("show_aggregate")),
    Row("PUT", "/os-aggregates/{id}", Composed("update_aggregate")),
    Row("DELETE", "/os-aggregates/{id}", Composed("delete_aggregate")),
    Row("POST", "/os-aggregates/{id}/action", Composed("act_on_aggregate")),
    Row("POST", "/os-aggregates/{id}/images", Composed("cache_images")),
]

# Held at the top where pods are counted together, else by pods alike.
_QUOTAS = [
    Row("GET", "/limits", Composed("show_limits")),
    Row("GET", "/os-quota-sets/{id}", Composed("show_quotas")),
    Row("PUT", "/os-quota-sets/{id}", Composed("update_quotas")),
    Row("DELETE", "/os-quota-sets/{id}", Composed("delete_quotas")),
    Row("GET", "/os-quota-sets/{id}/defaults", Composed("show_quota_defaults")),
    Row("GET", "/os-quota-sets/{id}/detail", Composed("show_quota_details")),
    Row("GET", "/os-quota-class-sets/{id}", Composed("show_quota_class")),
    Row("PUT", "/os-quota-class-sets/{id}", Composed("update_quota_class")),
]

_REMOVED = rows_of(
    REMOVED,
    "GET /os-agents",
    "POST /os-agents",
    "DELETE /os-agents/{id}",
    "PUT /os-agents/{id}",
    "GET /os-cells",
    "POST /os-cells",
    "GET /os-cells/capacities",
    "GET /os-cells/detail",
    "GET /os-cells/info",
    "POST /os-cells/sync_instances",
    "DELETE /os-cells/{id}",
    "GET /os-cells/{id}",
    "PUT /os-cells/{id}",
    "GET /os-cells/{id}/capacities",
    "POST /os-certificates",
    "GET /os-certificates/{id}",
    "GET /os-cloudpipe",
    "POST /os-cloudpipe",
    "PUT /os-cloudpipe/{id}",
    "GET /os-fixed-ips/{id}",
    "POST /os-fixed-ips/{id}/action",
    "GET /os-floating-ip-dns",
    "DELETE /os-floating-ip-dns/{domain_id}/entries/{id}",
    "GET /os-floating-ip-dns/{domain_id}/entries/{id}",
    "PUT /os-floating-ip-dns/{domain_id}/entries/{id}",
    "DELETE /os-floating-ip-dns/{id}",
    "PUT /os-floating-ip-dns/{id}",
    "GET /os-floating-ips-bulk",
    "POST /os-floating-ips-bulk",
    "GET /os-floating-ips-bulk/{id}",
    "PUT /os-floating-ips-bulk/{id}",
    "GET /os-fping",
    "GET /os-fping/{id}",
    "POST /os-networks",
    "POST /os-networks/add",
    "DELETE /os-networks/{id}",
    "POST /os-networks/{id}/action",
    "GET /os-security-group-default-rules",
    "POST /os-security-group-default-rules",
    "DELETE /os-security-group-default-rules/{id}",
    "GET /os-security-group-default-rules/{id}",
    "POST /os-tenant-networks",
    "DELETE /os-tenant-networks/{id}",
    "GET /servers/{server_id}/consoles",
    "POST /servers/{server_id}/consoles",
    "DELETE /servers/{server_id}/consoles/{id}",
    "GET /servers/{server_id}/consoles/{id}",
    "GET /servers/{server_id}/os-virtual-interfaces",
)

ROWS = (
    *_SERVERS,
    *_BELOW_A_SERVER,
    *_ZONES_AND_VERSIONS,
    *_REPLICATED,
    *_SERVER_GROUPS,
    *_AGGREGATES,
    *joints.ROWS,
    *_VOLUMES_BOOT,
    *PROXIES,
    *_QUOTAS,
    *_REMOVED,
)
TABLE = Table(ROWS)
