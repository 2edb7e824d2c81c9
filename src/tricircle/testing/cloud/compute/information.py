"""What Nova tells about itself: zones, limits, quotas, extensions, services."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.guards import body_of, empty
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_OTHER_LIMITS = {
    "key_pairs": 100,
    "metadata_items": 128,
    "server_groups": 10,
    "server_group_members": 10,
}
_OLD_LIMITS = {
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}
_EXTENSIONS = (
    "os-availability-zone", "os-flavor-access", "os-flavor-extra-specs", "os-keypairs",
    "os-limits", "os-server-groups", "os-volumes", "os-interface", "os-instance-actions",
    "OS-EXT-AZ", "OS-EXT-STS", "OS-DCF", "os-quota-sets",
)  # fmt: skip
_GONE = "The resource could not be found."


def _list_zones(compute: "Compute", request: Request) -> Answer:
    zones = [
        {"zoneName": name, "zoneState": {"available": True}, "hosts": None}
        for name in compute.zones
    ]
    return answer_json({"availabilityZoneInfo": zones})


def _list_zone_details(compute: "Compute", request: Request) -> Answer:
    now = compute.now().strftime("%Y-%m-%dT%H:%M:%S.%f")
    alive = {"active": True, "available": True, "updated_at": now}
    inner = {
        "zoneName": "internal",
        "zoneState": {"available": True},
        "hosts": {compute.first_host(): {"nova-scheduler": alive, "nova-conductor": alive}},
    }
    zones = [
        {
            "zoneName": name,
            "zoneState": {"available": True},
            "hosts": {host: {"nova-compute": alive} for host in hosts},
        }
        for name, hosts in compute.zones.items()
    ]
    return answer_json({"availabilityZoneInfo": [inner, *zones]})


def _used(compute: "Compute", project_id: str) -> dict[str, int]:
    held: list[Server] = [
        server
        for server in compute.servers.values()
        if server.project_id == project_id and not server.deleted
    ]
    return {
        "instances": len(held),
        "cores": sum(server.flavor.vcpus for server in held),
        "ram": sum(server.flavor.memory_mb for server in held),
        "server_groups": sum(
            group.project_id == project_id for group in compute.groups.items.values()
        ),
    }


def _limits(compute: "Compute", request: Request) -> Answer:
    asked = request.find("tenant_id")
    project_id = request.caller.project_id if asked is None else asked
    if asked is not None and not request.caller.is_admin:
        refuse(403, "Policy doesn't allow os_compute_api:limits:other_project to be performed.")
    used, limits, minor = _used(compute, project_id), compute.quotas, request.microversion
    absolute: Document = {
        "maxTotalRAMSize": limits["ram"],
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalKeypairs": _OTHER_LIMITS["key_pairs"],
        "maxServerMeta": _OTHER_LIMITS["metadata_items"],
        "maxServerGroups": _OTHER_LIMITS["server_groups"],
        "maxServerGroupMembers": _OTHER_LIMITS["server_group_members"],
        "totalRAMUsed": used["ram"],
        "totalCoresUsed": used["cores"],
        "totalInstancesUsed": used["instances"],
        "totalServerGroupsUsed": used["server_groups"],
    }
    if minor < 36:
        absolute |= {
            "maxTotalFloatingIps": -1,
            "maxSecurityGroups": -1,
            "maxSecurityGroupRules": -1,
            "totalFloatingIpsUsed": 0,
            "totalSecurityGroupsUsed": 0,
        }
    if minor < 39:
        absolute["maxImageMeta"] = _OTHER_LIMITS["metadata_items"]
    if minor < 57:
        absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240}
    return answer_json({"limits": {"rate": [], "absolute": absolute}})


def _quota_limits(compute: "Compute", minor: int) -> dict[str, int]:
    limits = {**compute.quotas, **_OTHER_LIMITS}
    if minor < 57:
        limits |= _OLD_LIMITS
    return limits


def _show_quota(compute: "Compute", request: Request) -> Answer:
    project_id = request.parameters["id"]
    if project_id != request.caller.project_id and not request.caller.is_admin:
        refuse(403, "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
    return answer_json(
        {"quota_set": {"id": project_id, **_quota_limits(compute, request.microversion)}}
    )


def _show_quota_detail(compute: "Compute", request: Request) -> Answer:
    project_id = request.parameters["id"]
    used = _used(compute, project_id)
    details = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _quota_limits(compute, request.microversion).items()
    }
    return answer_json({"quota_set": {"id": project_id, **details}})


def _update_quota(compute: "Compute", request: Request) -> Answer:
    given = body_of(request).get("quota_set", {})
    for name in compute.quotas:
        if name in given:
            compute.quotas[name] = int(given[name])
    return answer_json({"quota_set": _quota_limits(compute, request.microversion)})


def _reset_quota(compute: "Compute", request: Request) -> Answer:
    compute.quotas = dict.fromkeys(compute.quotas, -1)
    return empty(202)


def _list_extensions(compute: "Compute", request: Request) -> Answer:
    return answer_json({"extensions": [_extension_view(alias) for alias in _EXTENSIONS]})


def _show_extension(compute: "Compute", request: Request) -> Answer:
    alias = request.parameters["id"]
    if alias not in _EXTENSIONS:
        refuse(404, _GONE)
    return answer_json({"extension": _extension_view(alias)})


def _extension_view(alias: str) -> Document:
    return {
        "alias": alias,
        "name": alias.removeprefix("os-").title().replace("-", ""),
        "description": "",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }


_QUOTA = "/os-quota-sets/{id}"
ROUTES = (
    ("GET", "/os-availability-zone", "read", "os-availability-zone:list", _list_zones),
    (
        "GET",
        "/os-availability-zone/detail",
        "admin",
        "os-availability-zone:detail",
        _list_zone_details,
    ),
    ("GET", "/limits", "read", "limits", _limits),
    ("GET", "/extensions", "read", "extensions", _list_extensions),
    ("GET", "/extensions/{id}", "read", "extensions", _show_extension),
    ("GET", _QUOTA, "read", "os-quota-sets:show", _show_quota),
    ("GET", _QUOTA + "/defaults", "read", "os-quota-sets:defaults", _show_quota),
    ("GET", _QUOTA + "/detail", "read", "os-quota-sets:detail", _show_quota_detail),
    ("PUT", _QUOTA, "admin", "os-quota-sets:update", _update_quota),
    ("DELETE", _QUOTA, "admin", "os-quota-sets:delete", _reset_quota),
)
