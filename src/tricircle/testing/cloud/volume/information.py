"""What Cinder tells about itself: zones, extensions, services, pools."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.volume.guards import get_volume
from tricircle.testing.cloud.volume.metadata import Metadata
from tricircle.testing.cloud.volume.records import Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_EXTENSIONS = (
    "os-admin-actions", "os-availability-zone", "os-extended-snapshot-attributes", "os-hosts",
    "os-quota-sets", "os-services", "os-snapshot-actions", "os-types-extra-specs",
    "os-types-manage", "os-volume-actions", "os-volume-transfer", "os-volume-type-access",
)  # fmt: skip


def _list_zones(cinder: "Cinder", request: Request) -> Answer:
    zone = {"zoneName": cinder.zone, "zoneState": {"available": True}}
    return answer_json({"availabilityZoneInfo": [zone]})


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
    *Metadata(
        "volume:volume_metadata", "Volume {owner} has no metadata with key {key}.", _volume
    ).routes("/volumes/{id}/metadata"),
)
