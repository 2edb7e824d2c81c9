"""Nova's request schemas (nova.api.openstack.compute.schemas of 34.0.0).

Built per microversion, as Nova does: each step adds to the one before it.
"""

from functools import cache

from tricircle.testing.cloud.http import Document, Json
from tricircle.testing.cloud.schemas import Schema, object_of

NAME: Document = {"type": "string", "format": "name", "minLength": 1, "maxLength": 255}
NAME_OR_NONE: Document = {
    "oneOf": [{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "null"}]
}
DESCRIPTION: Document = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
UUID: Document = {"type": "string", "format": "uuid"}
BOOLEAN: Document = {
    "type": ["boolean", "string"],
    "enum": [
        True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
        False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no",
    ],
}  # fmt: skip
POSITIVE: Document = {
    "type": ["integer", "string"],
    "pattern": "^[0-9]*$",
    "minimum": 1,
    "minLength": 1,
}
NON_NEGATIVE: Document = {**POSITIVE, "minimum": 0}
METADATA: Document = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
TAG: Document = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
HOSTNAME: Document = {
    "type": "string",
    "pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$",
    "minLength": 2,
    "maxLength": 63,
}
FQDN: Document = {
    "type": "string",
    "pattern": "^[a-zA-Z0-9-._]*$",
    "minLength": 1,
    "maxLength": 255,
}
_IP: Document = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_DISK_CONFIG: Document = {"type": "string", "enum": ["AUTO", "MANUAL"]}
_FLAVOR: Document = {"type": ["string", "integer"], "minLength": 1}
_IMAGE_OR_EMPTY: Document = {"oneOf": [UUID, {"type": "string", "maxLength": 0}]}
_PASSWORD: Document = {"type": "string"}
_USER_DATA: Document = {"type": "string", "format": "base64", "maxLength": 65535}
_CERTS: Document = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}
_OBJECTS: Document = {"type": "array", "items": {"type": "object"}}
_HINTS: Document = {"type": "object", "properties": {}, "additionalProperties": True}


def _networks(minor: int) -> Document:
    properties: Document = {
        "fixed_ip": _IP,
        "port": {"type": ["string", "null"], "format": "uuid"},
        "uuid": {"type": "string"} if minor < 37 else UUID,
    }
    if 32 <= minor <= 36 or minor >= 42:
        properties["tag"] = TAG
    items: Document = {"type": "array", "items": dict(object_of(properties))}
    if minor < 37:
        return items
    return {"oneOf": [items, {"type": "string", "enum": ["none", "auto"]}]}


def _block_devices(minor: int) -> Document:
    properties: Document = {
        "virtual_name": {"type": "string", "maxLength": 255},
        "volume_id": UUID,
        "snapshot_id": UUID,
        "volume_size": {
            "type": ["integer", "string"],
            "pattern": "^[0-9]+$",
            "minimum": 1,
            "minLength": 1,
        },
        "device_name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[a-zA-Z0-9._/-]*$",
        },
        "delete_on_termination": BOOLEAN,
        "no_device": {},
        "connection_info": {"type": "string", "maxLength": 16777215},
        "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
        "uuid": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[a-zA-Z0-9._-]*$",
        },
        "image_id": UUID,
        "destination_type": {"type": "string", "enum": ["local", "volume"]},
        "guest_format": {"type": "string", "maxLength": 255},
        "device_type": {"type": "string", "maxLength": 255},
        "disk_bus": {"type": "string", "maxLength": 255},
        "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"},
    }
    if minor == 32 or minor >= 42:
        properties["tag"] = TAG
    if minor >= 67:
        properties["volume_type"] = {"type": ["string", "null"], "minLength": 0, "maxLength": 255}
    return {"type": "array", "items": dict(object_of(properties))}


@cache
def create_server(minor: int) -> Schema:
    """Return the schema of POST /servers."""
    properties: Document = {
        "name": NAME,
        "imageRef": _IMAGE_OR_EMPTY,
        "flavorRef": _FLAVOR,
        "adminPass": _PASSWORD,
        "metadata": METADATA,
        "networks": _networks(minor),
        "OS-DCF:diskConfig": _DISK_CONFIG,
        "accessIPv4": {"type": "string", "format": "ipv4"},
        "accessIPv6": {"type": "string", "format": "ipv6"},
        "availability_zone": NAME,
        "block_device_mapping": _OBJECTS,
        "block_device_mapping_v2": _block_devices(minor),
        "config_drive": BOOLEAN,
        "key_name": NAME,
        "min_count": POSITIVE,
        "max_count": POSITIVE,
        "return_reservation_id": BOOLEAN,
        "security_groups": {"type": "array", "items": dict(object_of({"name": NAME}))},
        "user_data": _USER_DATA,
    }
    additions: tuple[tuple[int, str, Json], ...] = (
        (19, "description", DESCRIPTION),
        (52, "tags", {"type": "array", "items": TAG, "maxItems": 50}),
        (63, "trusted_image_certificates", _CERTS),
        (74, "host", FQDN),
        (74, "hypervisor_hostname", FQDN),
        (90, "hostname", HOSTNAME if minor < 94 else FQDN),
    )
    properties |= {name: schema for since, name, schema in additions if minor >= since}
    if minor < 57:
        properties["personality"] = _OBJECTS
    required = ("name", "flavorRef") if minor < 37 else ("name", "flavorRef", "networks")
    server = dict(object_of(properties, required))
    hints = {"os:scheduler_hints": _HINTS, "OS-SCH-HNT:scheduler_hints": _HINTS}
    return object_of({"server": server, **hints}, ("server",))


@cache
def update_server(minor: int) -> Schema:
    """Return the schema of PUT /servers/{id}."""
    properties: Document = {
        "name": NAME,
        "OS-DCF:diskConfig": _DISK_CONFIG,
        "accessIPv4": {"type": "string", "format": "ipv4"},
        "accessIPv6": {"type": "string", "format": "ipv6"},
    }
    if minor >= 19:
        properties["description"] = DESCRIPTION
    if minor >= 90:
        properties["hostname"] = HOSTNAME if minor < 94 else FQDN
    if minor >= 104:
        properties["pinned_availability_zone"] = NAME_OR_NONE
    return object_of({"server": dict(object_of(properties))}, ("server",))


@cache
def rebuild_server(minor: int) -> Schema:
    """Return the schema of the rebuild action."""
    properties: Document = {
        "name": NAME,
        "imageRef": UUID,
        "adminPass": _PASSWORD,
        "metadata": METADATA,
        "preserve_ephemeral": BOOLEAN,
        "OS-DCF:diskConfig": _DISK_CONFIG,
        "accessIPv4": {"type": "string", "format": "ipv4"},
        "accessIPv6": {"type": "string", "format": "ipv6"},
    }
    additions: tuple[tuple[int, str, Json], ...] = (
        (19, "description", DESCRIPTION),
        (54, "key_name", NAME_OR_NONE),
        (57, "user_data", {**_USER_DATA, "type": ["string", "null"]}),
        (63, "trusted_image_certificates", _CERTS),
        (90, "hostname", HOSTNAME if minor < 94 else FQDN),
    )
    properties |= {name: schema for since, name, schema in additions if minor >= since}
    if minor < 57:
        properties["personality"] = _OBJECTS
    return object_of({"rebuild": dict(object_of(properties, ("imageRef",)))}, ("rebuild",))


_JOINED_TABLES = (
    "block_device_mapping", "services", "metadata", "system_metadata", "info_cache",
    "security_groups", "pci_devices",
)  # fmt: skip
IGNORED_SORT_KEYS = (
    "architecture", "cell_name", "cleaned", "default_ephemeral_device",
    "default_swap_device", "deleted", "deleted_at", "disable_terminate",
    "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on",
    "locked", "memory_mb", "os_type", "reservation_id", "root_gb",
    "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)  # fmt: skip
SORT_KEYS = (
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive",
    "created_at", "display_description", "display_name", "host", "hostname", "image_ref",
    "instance_type_id", "kernel_id", "key_name", "launch_index", "launched_at", "locked_by",
    "node", "power_state", "progress", "project_id", "ramdisk_id", "root_device_name",
    "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state",
)  # fmt: skip
_PLAIN_FILTERS = (
    "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "vm_state",
    "task_state", "host", "uuid", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status",
)  # fmt: skip
_REGEX_FILTERS = (
    "kernel_id", "ramdisk_id", "hostname", "key_name", "power_state", "node", "flavor",
    "reservation_id", "launched_at", "terminated_at", "availability_zone", "name",
    "display_name", "description", "display_description", "locked_by", "root_device_name",
    "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress", "ip", "ip6",
    "created_at",
)  # fmt: skip


def _many(schema: Document) -> Document:
    return {"type": "array", "items": schema}


@cache
def list_servers(minor: int) -> Schema:
    """Return the schema of the query of GET /servers."""
    plain, regex = _many({"type": "string"}), _many({"type": "string", "format": "regex"})
    moment = _many({"type": "string", "format": "date-time"})
    properties: Document = dict.fromkeys((*_PLAIN_FILTERS, *_JOINED_TABLES), plain)
    properties |= dict.fromkeys(_REGEX_FILTERS, regex)
    properties |= {
        "changes-since": moment,
        "limit": _many(NON_NEGATIVE),
        "marker": plain,
        "sort_key": _many({"type": "string", "enum": _sort_keys(minor)}),
    }
    if minor >= 26:
        properties |= dict.fromkeys(("tags", "tags-any", "not-tags", "not-tags-any"), regex)
    if minor >= 66:
        properties["changes-before"] = moment
    if minor >= 73:
        properties["locked"] = plain
    schema = dict(object_of(properties, extra=minor < 75))
    schema["patternProperties"] = {"^_": plain}
    return schema


def _sort_keys(minor: int) -> list[str]:
    if minor < 73:
        return [*SORT_KEYS, *IGNORED_SORT_KEYS]
    if minor < 75:
        return ["locked", *SORT_KEYS, *(key for key in IGNORED_SORT_KEYS if key != "locked")]
    return ["locked", *SORT_KEYS]
