"""Interfaces and volumes that are attached to and detached from servers."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute import boot
from tricircle.testing.cloud.compute.guards import empty, read, require_state
from tricircle.testing.cloud.compute.records import Attachment, Server
from tricircle.testing.cloud.compute.schemas import BOOLEAN, TAG, UUID
from tricircle.testing.cloud.http import Answer, Document, Refused, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_LETTERS = "bcdefghijklmnopqrstuvwxyz"


_PLUGGABLE = ("active", "paused", "stopped")


def _interface_view(port: Document, request: Request) -> Document:
    view: Document = {
        "net_id": port["network_id"],
        "port_id": port["id"],
        "mac_addr": port["mac_address"],
        "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }
    if request.microversion >= 70:
        view["tag"] = None
    return view


def _list_interfaces(compute: "Compute", request: Request, server: Server) -> Answer:
    ports = compute.network.ports.list_device(server.uuid)
    return answer_json({"interfaceAttachments": [_interface_view(p, request) for p in ports]})


def _show_interface(compute: "Compute", request: Request, server: Server) -> Answer:
    port = _find_port(compute, request, request.parameters["port_id"])
    if port["device_id"] != server.uuid:
        refuse(404, f"Instance {server.uuid} does not have a port with id {port['id']}")
    return answer_json({"interfaceAttachment": _interface_view(port, request)})


def _find_port(compute: "Compute", request: Request, port_id: str) -> Document:
    ports = compute.network.ports
    port = ports.items.get(port_id)
    if port is None or not ports.may_see(request.caller, port):
        refuse(404, f"Port id {port_id} could not be found.")
    return port


def _interface_schema(minor: int) -> Schema:
    fixed = {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": dict(object_of({"ip_address": {"type": "string"}}, ("ip_address",))),
    }
    properties: Document = {"net_id": UUID, "port_id": UUID, "fixed_ips": fixed}
    if minor >= 49:
        properties["tag"] = TAG
    return object_of({"interfaceAttachment": dict(object_of(properties))})


def _attach_interface(compute: "Compute", request: Request, server: Server) -> Answer:
    body = read(request, _interface_schema(request.microversion)) if request.body else {}
    given = body.get("interfaceAttachment", {})
    network_id, port_id = given.get("net_id"), given.get("port_id")
    address = given["fixed_ips"][0]["ip_address"] if given.get("fixed_ips") else None
    if network_id and port_id:
        refuse(400, "Must not input both network_id and port_id")
    if address and not network_id:
        refuse(400, "Must input network_id when request IP address")
    require_state(request.caller, server, "attach_interface", _PLUGGABLE)
    if port_id:
        port = _find_port(compute, request, port_id)
        if port["device_id"]:
            refuse(409, f"Port {port_id} is still in use.")
        boot.plug(compute, server, port)
    else:
        port = _make_port(compute, request, server, network_id, address)
    compute.log_action(request, server, "attach_interface")
    compute.touch(server)
    return answer_json({"interfaceAttachment": _interface_view(port, request)})


def _make_port(
    compute: "Compute",
    request: Request,
    server: Server,
    network_id: str | None,
    address: str | None,
) -> Document:
    networks = compute.network.networks
    caller = request.caller
    if network_id is None:
        own = [item for item in networks.items.values() if item["project_id"] == caller.project_id]
        if len(own) != 1:
            refuse(
                400,
                "No specific network was requested and none are available for project "
                f"'{caller.project_id}'.",
            )
        network_id = own[0]["id"]
    network = networks.items.get(network_id)
    if network is None or not networks.may_see(caller, network):
        refuse(404, f"Network {network_id} could not be found.")
    try:
        return boot.make_port(compute, caller, server, network["id"], address, [])
    except Refused as refused:
        if refused.kind == "IpAddressAlreadyAllocated":
            refuse(409, f"Fixed IP address {address} is already in use on instance {server.uuid}.")
        refuse(400, f"Failed to attach network adapter device to {server.uuid}")


def _detach_interface(compute: "Compute", request: Request, server: Server) -> Answer:
    require_state(request.caller, server, "detach_interface", _PLUGGABLE)
    port_id = request.parameters["port_id"]
    ports = compute.network.ports
    port = next((item for item in ports.list_device(server.uuid) if item["id"] == port_id), None)
    compute.log_action(request, server, "detach_interface")
    if port is None:
        return empty(202)  # Nova finds out later and tells nobody
    if port_id in server.own_ports:
        ports.discard(port)
        server.own_ports.discard(port_id)
    else:
        ports.unbind(port)
    compute.touch(server)
    return empty(202)


def _attachment_view(server: Server, attachment: Attachment, minor: int) -> Document:
    view: Document = {}
    if minor < 89:
        view["id"] = attachment.volume_id
    view |= {
        "serverId": server.uuid,
        "volumeId": attachment.volume_id,
        "device": attachment.device,
    }
    if minor >= 70:
        view["tag"] = attachment.tag
    if minor >= 79:
        view["delete_on_termination"] = attachment.delete_on_termination
    if minor >= 89:
        view |= {"attachment_id": attachment.attachment_id, "bdm_uuid": attachment.bdm_id}
    return view


def _list_volumes(compute: "Compute", request: Request, server: Server) -> Answer:
    start = int(request.find("offset") or 0)
    limit = int(request.find("limit") or 0) or compute.max_limit
    found = server.attachments[start : start + limit]
    views = [_attachment_view(server, item, request.microversion) for item in found]
    return answer_json({"volumeAttachments": views})


def _get_attachment(request: Request, server: Server) -> Attachment:
    volume_id = request.parameters["volume_id"]
    found = next((item for item in server.attachments if item.volume_id == volume_id), None)
    if found is None:
        refuse(404, f"Instance {server.uuid} is not attached to volume {volume_id}")
    return found


def _show_volume(compute: "Compute", request: Request, server: Server) -> Answer:
    view = _attachment_view(server, _get_attachment(request, server), request.microversion)
    return answer_json({"volumeAttachment": view})


def _volume_schema(minor: int) -> Schema:
    device = {
        "type": ["string", "null"],
        "pattern": "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$",
    }
    properties: Document = {"volumeId": UUID, "device": device}
    if minor >= 49:
        properties["tag"] = TAG
    if minor >= 79:
        properties["delete_on_termination"] = BOOLEAN
    attachment = dict(object_of(properties, ("volumeId",)))
    return object_of({"volumeAttachment": attachment}, ("volumeAttachment",))


def _attach_volume(compute: "Compute", request: Request, server: Server) -> Answer:
    given = read(request, _volume_schema(request.microversion))["volumeAttachment"]
    volume_id = given["volumeId"]
    allowed = (
        "active",
        "paused",
        "stopped",
        "resized",
        "soft-delete",
        "shelved",
        "shelved_offloaded",
    )
    require_state(request.caller, server, "attach_volume", allowed)
    volume = compute.volume.find_visible(request.caller, volume_id)
    if volume is None:
        refuse(404, f"Volume {volume_id} could not be found.")
    if any(item.volume_id == volume_id for item in server.attachments):
        refuse(
            400,
            f"Invalid volume: volume {volume_id} is already attached to instances: {server.uuid}",
        )
    if volume.status != "available" and not (volume.multiattach and volume.status == "in-use"):
        refuse(400, _not_available(volume_id, volume))
    device = given.get("device") or _next_device(server)
    wanted = str(given.get("delete_on_termination", False)).lower()
    attachment_id = compute.volume.attach_to_server(volume_id, server.uuid, device, server.host)
    attachment = Attachment(
        volume_id,
        attachment_id,
        compute.ids(),
        device,
        given.get("tag"),
        wanted in ("true", "1", "on", "yes"),
    )
    server.attachments.append(attachment)
    compute.log_action(request, server, "attach_volume")
    compute.touch(server)
    if request.microversion >= 101:
        return Answer(202)
    view = _attachment_view(server, attachment, min(request.microversion, 88))
    return answer_json({"volumeAttachment": view})


def _not_available(volume_id: str, volume: object) -> str:
    status = getattr(volume, "status", "")
    return (
        f"Invalid volume: volume '{volume_id}' status must be 'available'. Currently in '{status}'"
    )


def _next_device(server: Server) -> str:
    used = {item.device for item in server.attachments}
    return next(f"/dev/vd{letter}" for letter in _LETTERS if f"/dev/vd{letter}" not in used)


def _update_volume(compute: "Compute", request: Request, server: Server) -> Answer:
    anything: Document = {}
    properties = dict.fromkeys(
        ("volumeId", "device", "tag", "delete_on_termination", "serverId", "id"), anything
    )
    if request.microversion < 85:
        properties = {"volumeId": UUID}
    attachment = dict(object_of(properties, ("volumeId",)))
    schema = object_of({"volumeAttachment": attachment}, ("volumeAttachment",))
    given = read(request, schema)["volumeAttachment"]
    found = _get_attachment(request, server)
    if request.microversion < 85 or given["volumeId"] != found.volume_id:
        if not request.caller.is_admin:
            refuse(
                403,
                "Policy doesn't allow os_compute_api:os-volumes-attachments:swap to be performed.",
            )
        refuse(
            409,
            f"volume {found.volume_id} is not migrating; this API should only be called by Cinder",
        )
    for name, value in (("device", found.device), ("tag", found.tag), ("serverId", server.uuid)):
        if name in given and given[name] != value:
            refuse(400, f"The {name} property is not mutable")
    if "delete_on_termination" in given:
        wanted = str(given["delete_on_termination"]).lower()
        found.delete_on_termination = wanted in ("true", "1", "on", "yes")
    compute.touch(server)
    return empty(202)


def _detach_volume(compute: "Compute", request: Request, server: Server) -> Answer:
    volume_id = request.parameters["volume_id"]
    if compute.volume.find_visible(request.caller, volume_id) is None:
        refuse(404, f"Volume {volume_id} could not be found.")
    found = _get_attachment(request, server)
    if found.boot_index == 0:
        refuse(403, "Cannot detach a root device volume")
    allowed = (
        "active",
        "paused",
        "stopped",
        "resized",
        "suspended",
        "soft-delete",
        "shelved",
        "shelved_offloaded",
    )
    require_state(request.caller, server, "detach_volume", allowed)
    server.attachments.remove(found)
    compute.volume.detach_from_server(volume_id, found.attachment_id, False)
    compute.log_action(request, server, "detach_volume")
    compute.touch(server)
    return empty(202)


_INTERFACES, _VOLUMES = "/os-interface", "/os-volume_attachments"
ROUTES = (
    ("GET", _INTERFACES, "read", "os-attach-interfaces:list", _list_interfaces),
    ("POST", _INTERFACES, "write", "os-attach-interfaces:create", _attach_interface),
    ("GET", _INTERFACES + "/{port_id}", "read", "os-attach-interfaces:show", _show_interface),
    (
        "DELETE",
        _INTERFACES + "/{port_id}",
        "write",
        "os-attach-interfaces:delete",
        _detach_interface,
    ),
    ("GET", _VOLUMES, "read", "os-volumes-attachments:index", _list_volumes),
    ("POST", _VOLUMES, "write", "os-volumes-attachments:create", _attach_volume),
    ("GET", _VOLUMES + "/{volume_id}", "read", "os-volumes-attachments:show", _show_volume),
    ("PUT", _VOLUMES + "/{volume_id}", "write", "os-volumes-attachments:update", _update_volume),
    ("DELETE", _VOLUMES + "/{volume_id}", "write", "os-volumes-attachments:delete", _detach_volume),
)
