"""Metadata, tags, addresses, logs and the smaller things below a server."""

import re
from typing import TYPE_CHECKING, NoReturn

from tricircle.testing.cloud.compute.guards import empty, read, require_state
from tricircle.testing.cloud.compute.notices import ConsoleToken
from tricircle.testing.cloud.compute.records import Server, ServerAction
from tricircle.testing.cloud.compute.schemas import METADATA, TAG
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import find_error, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_GONE = "The resource could not be found."
_ITEM_GONE = "Metadata item was not found"


def _list_metadata(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"metadata": server.metadata})


def _add_metadata(compute: "Compute", request: Request, server: Server) -> Answer:
    given = read(request, object_of({"metadata": METADATA}, ("metadata",)))["metadata"]
    server.metadata = {**server.metadata, **given}
    compute.touch(server)
    return answer_json({"metadata": server.metadata})


def _replace_metadata(compute: "Compute", request: Request, server: Server) -> Answer:
    given = read(request, object_of({"metadata": METADATA}, ("metadata",)))["metadata"]
    server.metadata = dict(given)
    compute.touch(server)
    return answer_json({"metadata": server.metadata})


def _show_item(compute: "Compute", request: Request, server: Server) -> Answer:
    key = request.parameters["key"]
    if key not in server.metadata:
        refuse(404, _ITEM_GONE)
    return answer_json({"meta": {key: server.metadata[key]}})


def _set_item(compute: "Compute", request: Request, server: Server) -> Answer:
    key = request.parameters["key"]
    given = read(request, object_of({"meta": METADATA}, ("meta",)))["meta"]
    if key not in given:
        refuse(400, "Request body and URI mismatch")
    server.metadata = {**server.metadata, key: given[key]}
    compute.touch(server)
    return answer_json({"meta": {key: given[key]}})


def _delete_item(compute: "Compute", request: Request, server: Server) -> Answer:
    key = request.parameters["key"]
    if key not in server.metadata:
        refuse(404, _ITEM_GONE)
    server.metadata = {name: text for name, text in server.metadata.items() if name != key}
    compute.touch(server)
    return empty(204)


def _list_tags(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"tags": server.tags})


def _show_tag(compute: "Compute", request: Request, server: Server) -> Answer:
    _require_tag(server, request.parameters["tag"])
    return empty(204)


def _require_tag(server: Server, tag: str) -> None:
    if tag not in server.tags:
        refuse(404, f"Server {server.uuid} has no tag '{tag}'")


def _add_tag(compute: "Compute", request: Request, server: Server) -> Answer:
    tag = request.parameters["tag"]
    if find_error(TAG, tag) is not None:
        refuse(
            400,
            f"Tag '{tag}' is invalid. It must be a non empty string without characters "
            "'/' and ','. Validation error message: does not match",
        )
    if tag in server.tags:
        return empty(204)
    if len(server.tags) >= 50:
        refuse(400, "The number of tags exceeded the per-server limit 50")
    server.tags = sorted([*server.tags, tag])
    compute.touch(server)
    location = f"{compute.view_key(request).self_prefix}/servers/{server.uuid}/tags/{tag}"
    return Answer(201, b"", [("location", location)])


def _replace_tags(compute: "Compute", request: Request, server: Server) -> Answer:
    tags = {"type": "array", "items": TAG, "maxItems": 50}
    given = read(request, object_of({"tags": tags}, ("tags",)))["tags"]
    server.tags = sorted(set(given))
    compute.touch(server)
    return answer_json({"tags": server.tags})


def _delete_tag(compute: "Compute", request: Request, server: Server) -> Answer:
    _require_tag(server, request.parameters["tag"])
    server.tags = [tag for tag in server.tags if tag != request.parameters["tag"]]
    compute.touch(server)
    return empty(204)


def _delete_tags(compute: "Compute", request: Request, server: Server) -> Answer:
    server.tags = []
    compute.touch(server)
    return empty(204)


def _list_ips(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"addresses": _plain_addresses(compute, server)})


def _plain_addresses(compute: "Compute", server: Server) -> Document:
    return compute.views.addresses(server, extended=False)


def _show_ips(compute: "Compute", request: Request, server: Server) -> Answer:
    name = request.parameters["label"]
    addresses = _plain_addresses(compute, server)
    if name not in addresses:
        refuse(404, "Instance is not a member of specified network")
    return answer_json({name: addresses[name]})


def _diagnostics(compute: "Compute", request: Request, server: Server) -> Answer:
    if server.vm_state not in ("active", "error", "paused", "rescued", "stopped", "suspended"):
        refuse(
            409,
            f"Cannot 'get_diagnostics' instance {server.uuid} while it is in vm_state "
            f"{server.vm_state}",
        )
    if request.microversion < 48:
        return answer_json(
            {
                "cpu0_time": 17300000000,
                "memory": 524288,
                "vda_errors": -1,
                "vda_read": 262144,
                "vda_read_req": 112,
                "vda_write": 5778432,
                "vda_write_req": 488,
            }
        )
    return answer_json(
        {
            "state": "running" if server.power_state == 1 else "shutdown",
            "driver": "libvirt",
            "hypervisor": "fake-hypervisor",
            "hypervisor_os": "linux",
            "uptime": 46664,
            "config_drive": bool(server.config_drive),
            "num_cpus": server.flavor.vcpus,
            "num_nics": len(compute.network.ports.list_device(server.uuid)),
            "num_disks": 1,
            "cpu_details": [{"id": 0, "time": 17300000000, "utilisation": 15}],
            "nic_details": [],
            "disk_details": [],
            "memory_details": {"maximum": server.flavor.memory_mb, "used": 0},
        }
    )


def _action_view(server: Server, action: ServerAction, minor: int) -> Document:
    view: Document = {
        "action": action.action,
        "instance_uuid": server.uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": action.start_time.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "message": action.message,
    }
    if minor >= 58:
        view["updated_at"] = view["start_time"]
    return view


def _list_actions(compute: "Compute", request: Request, server: Server) -> Answer:
    actions = list(reversed(server.actions))
    limit = int(request.find("limit") or compute.max_limit)
    marker = request.find("marker")
    if marker and request.microversion >= 58:
        places = [place for place, item in enumerate(actions) if item.request_id == marker]
        if not places:
            refuse(400, f"Marker {marker} could not be found.")
        actions = actions[places[0] + 1 :]
    if request.microversion >= 58:
        actions = actions[:limit]
    views = [_action_view(server, item, request.microversion) for item in actions]
    return answer_json({"instanceActions": views})


def _show_action(compute: "Compute", request: Request, server: Server) -> Answer:
    wanted = request.parameters["id"]
    found = next((item for item in server.actions if item.request_id == wanted), None)
    if found is None:
        refuse(404, f"Action {wanted} not found")
    view = _action_view(server, found, request.microversion)
    if request.microversion >= 51 or request.caller.is_admin:
        event: Document = {
            "event": f"compute_{found.action}_instance",
            "start_time": view["start_time"],
            "finish_time": view["start_time"],
            "result": "Success",
        }
        if request.caller.is_admin:
            event["traceback"] = None
        if request.microversion >= 62:
            event["hostId"] = ""
        view["events"] = [event]
    return answer_json({"instanceAction": view})


def _belongs(rule: Document, group: Document) -> bool:
    """Return whether Nova's old API shows a rule of a group: it knows no egress."""
    return bool(rule["security_group_id"] == group["id"] and rule["direction"] == "ingress")


def _rule_view(compute: "Compute", rule: Document) -> Document:
    remote = compute.network.groups.items.get(rule["remote_group_id"])
    prefix = rule["remote_ip_prefix"]
    if remote is None and prefix is None:
        prefix = "::/0" if rule["ethertype"] == "IPv6" else "0.0.0.0/0"
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": rule["port_range_min"],
        "to_port": rule["port_range_max"],
        "group": {"name": remote["name"], "tenant_id": remote["project_id"]} if remote else {},
        "ip_range": {} if remote else {"cidr": prefix},
    }


_CONSOLES = {
    ("vnc", "novnc"): "vnc_auto.html?path=%3Ftoken%3D",
    ("spice", "spice-html5"): "spice_auto.html?token=",
    ("serial", "serial"): "?token=",
}


_CONSOLE_TYPES = ("novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks")


def _remote_console(compute: "Compute", request: Request, server: Server) -> Answer:
    direct = ["spice-direct"] if request.microversion >= 99 else []
    protocols: Document = {"type": "string", "enum": ["vnc", "spice", "serial", "rdp", "mks"]}
    kinds: Document = {"type": "string", "enum": [*_CONSOLE_TYPES, *direct]}
    console = dict(object_of({"protocol": protocols, "type": kinds}, ("protocol", "type")))
    given = read(request, object_of({"remote_console": console}, ("remote_console",)))
    wanted = given["remote_console"]
    path = _CONSOLES.get((wanted["protocol"], wanted["type"]))
    if path is None:
        refuse(400, f"Invalid console type {wanted['type']}")
    if server.vm_state == "building":
        refuse(409, "Instance not yet ready")
    token = compute.ids()
    compute.console_tokens[token] = ConsoleToken(server.uuid, server.host or "")
    url = f"http://{server.host}:6080/{path}{token}"
    return answer_json({"remote_console": {**wanted, "url": url}})


def _password(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"password": ""})


def _clear_password(compute: "Compute", request: Request, server: Server) -> Answer:
    return empty(204)


def _topology(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"nodes": [], "pagesize_kb": None})


def _list_migrations(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"migrations": []})


def _show_migration(compute: "Compute", request: Request, server: Server) -> Answer:
    migration_id = request.parameters["id"]
    if not re.fullmatch(r"\d+", migration_id):
        refuse(404, _GONE)
    refuse(404, f"In-progress live migration {migration_id} is not found for server {server.uuid}.")


def _list_groups(compute: "Compute", request: Request, server: Server) -> Answer:
    groups = compute.network.groups
    found: dict[str, Document] = {}
    for port in compute.network.ports.list_device(server.uuid):
        for group_id in port["security_groups"]:
            found[group_id] = groups.items[group_id]
    rules = compute.network.rules.items.values()
    views = [
        {
            "id": item["id"],
            "name": item["name"],
            "description": item["description"],
            "tenant_id": item["project_id"],
            "rules": [_rule_view(compute, rule) for rule in rules if _belongs(rule, item)],
        }
        for item in found.values()
    ]
    return answer_json({"security_groups": views})


def _end_migration(compute: "Compute", request: Request, server: Server) -> Answer:
    _refuse_without_migration(server, "abort live migration")


def _hurry_migration(compute: "Compute", request: Request, server: Server) -> Answer:
    read(request, object_of({"force_complete": {"type": "null"}}, ("force_complete",)))
    _refuse_without_migration(server, "force_complete")


def _refuse_without_migration(server: Server, what: str) -> NoReturn:
    refuse(409, f"Instance {server.uuid} is in an invalid state for '{what}'")


def _list_shares(compute: "Compute", request: Request, server: Server) -> Answer:
    return answer_json({"shares": []})


def _show_share(compute: "Compute", request: Request, server: Server) -> Answer:
    refuse(404, f"Share {request.parameters['id']} could not be found.")


def _add_share(compute: "Compute", request: Request, server: Server) -> Answer:
    text: Document = {"type": "string"}
    share = dict(object_of({"share_id": text, "tag": text}, ("share_id",)))
    wanted = read(request, object_of({"share": share}, ("share",)))["share"]
    require_state(request.caller, server, "create share", ("stopped",))
    refuse(404, f"Share {wanted['share_id']} could not be found.")


def _delete_share(compute: "Compute", request: Request, server: Server) -> Answer:
    require_state(request.caller, server, "delete share", ("stopped", "error"))
    refuse(404, f"Share {request.parameters['id']} could not be found.")


# The microversion from which on the things below a server are there at all.
SINCE = {"/tags": 26, "/topology": 78, "/migrations": 23, "/remote-consoles": 6, "/shares": 97}
_HURRY = "/migrations/{id}/action"
_META, _TAGS, _ACTIONS = "/metadata", "/tags", "/os-instance-actions"
ROUTES = (
    ("GET", _META, "read", "server-metadata:index", _list_metadata),
    ("POST", _META, "write", "server-metadata:create", _add_metadata),
    ("PUT", _META, "write", "server-metadata:update_all", _replace_metadata),
    ("GET", _META + "/{key}", "read", "server-metadata:show", _show_item),
    ("PUT", _META + "/{key}", "write", "server-metadata:update", _set_item),
    ("DELETE", _META + "/{key}", "write", "server-metadata:delete", _delete_item),
    ("GET", _TAGS, "read", "os-server-tags:index", _list_tags),
    ("PUT", _TAGS, "write", "os-server-tags:update_all", _replace_tags),
    ("DELETE", _TAGS, "write", "os-server-tags:delete_all", _delete_tags),
    ("GET", _TAGS + "/{tag}", "read", "os-server-tags:show", _show_tag),
    ("PUT", _TAGS + "/{tag}", "write", "os-server-tags:update", _add_tag),
    ("DELETE", _TAGS + "/{tag}", "write", "os-server-tags:delete", _delete_tag),
    ("GET", "/ips", "read", "ips:index", _list_ips),
    ("GET", "/ips/{label}", "read", "ips:show", _show_ips),
    ("GET", "/diagnostics", "admin", "os-server-diagnostics", _diagnostics),
    ("GET", _ACTIONS, "read", "os-instance-actions:list", _list_actions),
    ("GET", _ACTIONS + "/{id}", "read", "os-instance-actions:show", _show_action),
    ("POST", "/remote-consoles", "write", "os-remote-consoles", _remote_console),
    ("GET", "/os-server-password", "read", "os-server-password:show", _password),
    ("DELETE", "/os-server-password", "write", "os-server-password:clear", _clear_password),
    ("GET", "/topology", "read", "compute:server:topology:index", _topology),
    ("GET", "/migrations", "admin", "servers:migrations:index", _list_migrations),
    ("GET", "/migrations/{id}", "admin", "servers:migrations:show", _show_migration),
    ("DELETE", "/migrations/{id}", "admin", "servers:migrations:delete", _end_migration),
    ("POST", _HURRY, "admin", "servers:migrations:force_complete", _hurry_migration),
    ("GET", "/shares", "read", "os-server-shares:index", _list_shares),
    ("GET", "/shares/{id}", "read", "os-server-shares:show", _show_share),
    ("POST", "/shares", "write", "os-server-shares:create", _add_share),
    ("DELETE", "/shares/{id}", "write", "os-server-shares:delete", _delete_share),
    ("GET", "/os-security-groups", "read", "os-security-groups:list", _list_groups),
)
