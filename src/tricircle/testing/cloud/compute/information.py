"""What Nova tells about itself: zones, limits, extensions, services."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.quotas import limits_of, used_by
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

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


def _limits(compute: "Compute", request: Request) -> Answer:
    asked = request.find("tenant_id")
    project_id = request.caller.project_id if asked is None else asked
    if asked is not None and not request.caller.is_admin:
        refuse(403, "Policy doesn't allow os_compute_api:limits:other_project to be performed.")
    used, limits = used_by(compute, project_id), limits_of(compute, project_id)
    minor = request.microversion
    absolute: Document = {
        "maxTotalRAMSize": limits["ram"],
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerMeta": limits["metadata_items"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": limits["server_group_members"],
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
        absolute["maxImageMeta"] = limits["metadata_items"]
    if minor < 57:
        absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240}
    return answer_json({"limits": {"rate": [], "absolute": absolute}})


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
)
