"""Rows of Nova's proxies to Glance, Cinder, Neutron and Ironic.

Deprecated in microversion 2.36 and gone from there on (MAX_PROXY_API_SUPPORT_VERSION of
nova/api/openstack/api_version_request.py); the metadata of images are gone from 2.39 on.
"""

from __future__ import annotations

from tricircle.core.model import Kind, Version
from tricircle.core.table import (
    ById,
    Composed,
    Create,
    Local,
    Naming,
    Ref,
    Replicated,
    Row,
    Shared,
    rows_of,
)

_LAST = Version(2, 35)
_LAST_IMAGE_METADATA = Version(2, 38)
_ZONE = ("volume.availabilityZone",)
_ABSENT_ZONE = (
    "Invalid input received: Availability zone '{zone}' is invalid. (HTTP 400) "
    "(Request-ID: {request_id})"
)
"""What Nova makes of Cinder's words."""

_IMAGES = [
    *rows_of(
        Shared(),
        "GET /images",
        "GET /images/detail",
        "DELETE /images/{id}",
        "GET /images/{id}",
        until=_LAST,
    ),
    *rows_of(
        Shared(),
        "GET /images/{image_id}/metadata",
        "POST /images/{image_id}/metadata",
        "PUT /images/{image_id}/metadata",
        "DELETE /images/{image_id}/metadata/{id}",
        "GET /images/{image_id}/metadata/{id}",
        "PUT /images/{image_id}/metadata/{id}",
        until=_LAST_IMAGE_METADATA,
    ),
]

_STORAGE = [
    *rows_of(
        Composed("list_volumes"), "GET /os-volumes", "GET /os-volumes/detail", until=_LAST
    ),
    Row("POST", "/os-volumes", Create(
        Kind.VOLUME, "volume.id", (Ref("volume.snapshot_id", Kind.SNAPSHOT, absent=None),),
        "volume.availability_zone", zones=_ZONE, absent_zone=_ABSENT_ZONE,
        hook="create_volume", rule="os_compute_api:os-volumes:create",
    ), _LAST, Naming((Kind.VOLUME_TYPE,), body=("volume.volume_type",))),
    *rows_of(
        ById(Kind.VOLUME, whole=True, zones=_ZONE, hook="counted_storage"),
        "GET /os-volumes/{id}",
        "DELETE /os-volumes/{id}",
        until=_LAST,
    ),
    *rows_of(
        Composed("list_snapshots"), "GET /os-snapshots", "GET /os-snapshots/detail", until=_LAST
    ),
    Row("POST", "/os-snapshots", Create(
        Kind.SNAPSHOT, "snapshot.id", (Ref("snapshot.volume_id", Kind.VOLUME, absent=None),),
        hook="create_snapshot",
    ), _LAST),
    *rows_of(
        ById(Kind.SNAPSHOT, whole=True, hook="counted_storage"),
        "GET /os-snapshots/{id}",
        "DELETE /os-snapshots/{id}",
        until=_LAST,
    ),
]  # fmt: skip

_IRONIC = [
    Row("GET", "/os-baremetal-nodes", Composed("list_baremetal_nodes"), _LAST),
    Row("GET", "/os-baremetal-nodes/{id}", Composed("show_baremetal_node"), _LAST),
    # Nova refuses these whatever they say.
    *rows_of(
        Replicated(),
        "POST /os-baremetal-nodes",
        "DELETE /os-baremetal-nodes/{id}",
        "POST /os-baremetal-nodes/{id}/action",
        until=_LAST,
    ),
]

# What users have of these is in the top's own Neutron; pods hold twins.
_NETWORK = [
    Row("GET", "/os-networks", Local("list_networks"), _LAST),
    Row("GET", "/os-networks/{id}", Local("show_network"), _LAST),
    Row("GET", "/os-tenant-networks", Local("list_tenant_networks"), _LAST),
    Row("GET", "/os-tenant-networks/{id}", Local("show_tenant_network"), _LAST),
    Row("GET", "/os-floating-ip-pools", Local("list_floating_ip_pools"), _LAST),
    Row("GET", "/os-floating-ips", Local("list_floating_ips"), _LAST),
    Row("POST", "/os-floating-ips", Local("create_floating_ip"), _LAST),
    Row("GET", "/os-floating-ips/{id}", Local("show_floating_ip"), _LAST),
    Row("DELETE", "/os-floating-ips/{id}", Local("delete_floating_ip"), _LAST),
    Row("GET", "/os-security-groups", Local("list_security_groups"), _LAST),
    Row("POST", "/os-security-groups", Local("create_security_group"), _LAST),
    Row("GET", "/os-security-groups/{id}", Local("show_security_group"), _LAST),
    Row("PUT", "/os-security-groups/{id}", Local("update_security_group"), _LAST),
    Row("DELETE", "/os-security-groups/{id}", Local("delete_security_group"), _LAST),
    Row("POST", "/os-security-group-rules", Local("create_security_group_rule"), _LAST),
    Row("DELETE", "/os-security-group-rules/{id}", Local("delete_security_group_rule"), _LAST),
]

PROXIES = (*_IMAGES, *_STORAGE, *_IRONIC, *_NETWORK)
