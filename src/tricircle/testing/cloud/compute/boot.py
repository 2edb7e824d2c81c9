"""How a server comes to be: what Nova checks, takes from Neutron and Cinder, and gives back."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute.quotas import check_boot
from tricircle.testing.cloud.compute.records import (
    NO_STATE,
    RUNNING,
    Attachment,
    Flavor,
    Server,
)
from tricircle.testing.cloud.http import Document, Json, Refused, Request, refuse
from tricircle.testing.cloud.network.attributes import is_uuid
from tricircle.testing.cloud.sources import zulu

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute


@dataclass(slots=True)
class Wish:
    """What was asked for, with all names resolved."""

    flavor: Flavor
    image_id: str
    zone: str | None
    host: str
    ports: list[Document] = field(default_factory=list)
    networks: list[tuple[str, str | None]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    volumes: list[Document] = field(default_factory=list)


def boot(compute: "Compute", request: Request, given: Document, hints: Document) -> list[Server]:
    """Return the new servers of a POST; raises Refused as Nova does, in its order."""
    count = _count(given)
    wish = _resolve(compute, request.caller, request.microversion, given, count)
    check_boot(compute, request.caller, wish.flavor, count)
    reservation = f"r-{compute.ids().replace('-', '')[:8]}"
    made = []
    for index in range(count):
        server = _record(compute, request, given, wish, index if count > 1 else None)
        server.reservation_id = reservation
        server.launch_index = index
        server.scheduler_hints = hints
        if "group" in hints:
            compute.groups.join(request.caller, str(hints["group"]), server.uuid)
        compute.servers[server.uuid] = server
        _plug(compute, request.caller, server, wish)
        _attach(compute, request.caller, server, wish)
        compute.log_action(request, server, "create")
        compute.later(compute.delays.build_s, partial(_finish, compute, server))
        made.append(server)
    compute.index.forget()
    return made


def _count(given: Document) -> int:
    minimum = int(given.get("min_count", 1))
    maximum = int(given.get("max_count", minimum))
    if minimum > maximum:
        refuse(400, "min_count must be <= max_count")
    return maximum


def _resolve(compute: "Compute", caller: Caller, minor: int, given: Document, count: int) -> Wish:
    zone, host = _place(compute, caller, given)
    devices = given.get("block_device_mapping_v2") or []
    legacy = given.get("block_device_mapping") or []
    if devices and legacy:
        refuse(
            400, "Using different block_device_mapping syntaxes is not allowed in the same request."
        )
    image_id = given.get("imageRef") or ""
    if not image_id and not devices and not legacy:
        refuse(400, "Missing imageRef attribute")
    requested = given.get("networks")
    _check_networks(requested)
    flavor_id = str(given["flavorRef"]).rsplit("/", 1)[-1]
    flavor = compute.flavors.get(flavor_id)
    if flavor is None:
        refuse(400, f"Flavor {flavor_id} could not be found.")
    _check_count(requested, given.get("hostname"), count)
    if zone is not None and zone not in compute.zones:
        refuse(400, "The requested availability zone is not available")
    if image_id and image_id not in compute.images.items:
        refuse(400, "Can not find requested image")
    wish = Wish(flavor, image_id, zone, host or compute.first_host())
    wish.groups = _find_groups(compute, caller, given.get("security_groups"))
    _resolve_networks(compute, caller, requested, wish)
    key_name = given.get("key_name")
    if key_name is not None and (caller.user_id, key_name) not in compute.keypairs:
        refuse(400, "Invalid key_name provided.")
    wish.volumes = _resolve_devices(compute, caller, [*devices, *legacy], image_id)
    return wish


def _place(compute: "Compute", caller: Caller, given: Document) -> tuple[str | None, str | None]:
    zone: str | None = given.get("availability_zone")
    host: str | None = given.get("host") or given.get("hypervisor_hostname")
    if host and not caller.is_admin:
        refuse(
            403,
            "Policy doesn't allow compute:servers:create:requested_destination to be performed.",
        )
    if zone is not None and ":" in zone:
        parts = zone.split(":")
        if len(parts) > 3:
            refuse(400, "Invalid input received: Unable to parse availability_zone")
        if not caller.is_admin:
            refuse(
                403,
                "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.",
            )
        zone, host = parts[0] or None, parts[1] or (parts[2] if len(parts) > 2 else None)
    known = [name for hosts in compute.zones.values() for name in hosts]
    if host is not None and host not in known:
        refuse(400, f"Compute host {host} could not be found.")
    return zone, host


def _check_networks(requested: Json) -> None:
    if not isinstance(requested, list):
        return
    seen: set[str] = set()
    for network in requested:
        port_id = network.get("port")
        if port_id:
            if port_id in seen:
                refuse(
                    400,
                    f"Port ID '{port_id}' was specified twice: you cannot attach a port "
                    "multiple times.",
                )
            if network.get("fixed_ip") is not None:
                refuse(
                    400,
                    f"Specified Fixed IP '{network['fixed_ip']}' cannot be used with port "
                    f"'{port_id}': the two cannot be specified together.",
                )
            seen.add(port_id)
        elif "uuid" not in network:
            refuse(400, "Bad network format: missing 'uuid'")
        elif not is_uuid(network["uuid"]):
            refuse(
                400,
                f"Bad networks format: network uuid is not in proper format ({network['uuid']})",
            )


def _check_count(requested: Json, hostname: str | None, count: int) -> None:
    if count <= 1:
        return
    for network in requested if isinstance(requested, list) else ():
        if network.get("fixed_ip"):
            refuse(
                400,
                "Failed to launch instances: max_count cannot be greater than 1 if an "
                "fixed_ip is specified.",
            )
        if network.get("port"):
            refuse(
                400,
                "Failed to launch instances: Unable to launch multiple instances with a "
                "single configured port ID. Please launch your instance one by one with "
                "different ports.",
            )
    if hostname:
        refuse(400, "Unable to allocate a single hostname to multiple instances")


def _find_groups(compute: "Compute", caller: Caller, wanted: Json) -> list[str]:
    found = []
    for entry in wanted or ():
        name = entry.get("name")
        if name:
            found.append(find_group(compute, caller, name))
    return found


def find_group(compute: "Compute", caller: Caller, name: str) -> str:
    """Return the id of a security group by name or id; raises Refused."""
    groups = compute.network.groups
    compute.network.groups.ensure_default(caller.project_id)
    by_id = groups.items.get(name)
    if by_id is not None and groups.may_see(caller, by_id):
        return name
    matches = [
        item["id"]
        for item in groups.items.values()
        if item["name"] == name and item["project_id"] == caller.project_id
    ]
    if not matches:
        refuse(400, f"Unable to find security_group with name or id '{name}'")
    if len(matches) > 1:
        refuse(
            409, f"Multiple security groups found matching '{name}'. Use an ID to be more specific."
        )
    group_id: str = matches[0]
    return group_id


def _resolve_networks(compute: "Compute", caller: Caller, requested: Json, wish: Wish) -> None:
    if requested == "none":
        return
    if not isinstance(requested, list) or not requested:
        _resolve_default(compute, caller, requested, wish)
        return
    for network in requested:
        if network.get("port"):
            wish.ports.append(_find_port(compute, caller, network["port"]))
        else:
            _require_network(compute, caller, network["uuid"])
            wish.networks.append((network["uuid"], network.get("fixed_ip")))


def _resolve_default(compute: "Compute", caller: Caller, requested: Json, wish: Wish) -> None:
    networks = compute.network.networks
    own = [item for item in networks.items.values() if item["project_id"] == caller.project_id]
    shared = [item for item in networks.items.values() if item["shared"] and item not in own]
    usable = [item for item in own if not item["router:external"]] + shared
    if len(usable) > 1:
        refuse(409, "Multiple possible networks found, use a Network ID to be more specific.")
    if not usable and requested == "auto":
        refuse(400, f"Unable to automatically allocate a network for project {caller.project_id}")
    if usable and usable[0]["subnets"]:
        wish.networks.append((usable[0]["id"], None))


def _find_port(compute: "Compute", caller: Caller, port_id: str) -> Document:
    ports = compute.network.ports
    port = ports.items.get(port_id)
    if port is None or not ports.may_see(caller, port):
        refuse(400, f"Port id {port_id} could not be found.")
    if port["device_id"]:
        refuse(409, f"Port {port_id} is still in use.")
    if port["ip_allocation"] != "deferred" and not port["fixed_ips"]:
        refuse(400, f"Port {port_id} requires a FixedIP in order to be used.")
    return port


def _require_network(compute: "Compute", caller: Caller, network_id: str) -> None:
    networks = compute.network.networks
    network = networks.items.get(network_id)
    if network is None or not networks.may_see(caller, network):
        refuse(400, f"Network {network_id} could not be found.")
    if not network["subnets"]:
        refuse(400, f"Network {network_id} requires a subnet in order to boot instances on.")


def _resolve_devices(
    compute: "Compute", caller: Caller, devices: list[Document], image_id: str
) -> list[Document]:
    found = []
    for device in devices:
        source = device.get("source_type") or ("volume" if device.get("volume_id") else "image")
        source_id = device.get("uuid") or device.get("volume_id") or ""
        if source == "volume":
            volume = compute.volume.find_visible(caller, source_id)
            if volume is None:
                refuse(400, f"Block Device Mapping is Invalid: failed to get volume {source_id}.")
            if volume.status != "available":
                refuse(
                    400,
                    f"Invalid volume: volume '{volume.id}' status must be 'available'. "
                    f"Currently in '{volume.status}'",
                )
        if source == "snapshot" and compute.volume.find_snapshot(caller, source_id) is None:
            refuse(400, f"Block Device Mapping is Invalid: failed to get snapshot {source_id}.")
        if source == "image" and source_id not in compute.images.items:
            refuse(400, f"Block Device Mapping is Invalid: failed to get image {source_id}.")
        found.append({**device, "source": source, "source_id": source_id})
    if devices and not image_id and not any(_is_boot(device) for device in found):
        refuse(
            400,
            "Block Device Mapping is Invalid: Boot sequence for the instance and "
            "image/block device mapping combination is not valid.",
        )
    return found


def _is_boot(device: Document) -> bool:
    return str(device.get("boot_index", "")) == "0" or "volume_id" in device


def _record(
    compute: "Compute", request: Request, given: Document, wish: Wish, index: int | None
) -> Server:
    now = compute.now()
    name = given["name"] if index is None else f"{given['name']}-{index + 1}"
    zone = wish.zone or next(zone for zone, hosts in compute.zones.items() if wish.host in hosts)
    server = Server(
        compute.next_number(), compute.ids(), request.caller.project_id, request.caller.user_id,
        name, wish.flavor, wish.image_id, now, now, wish.host, zone,
    )  # fmt: skip
    server.power_state = NO_STATE
    server.display_description = given.get("description")
    if request.microversion < 19:
        server.display_description = name
    server.hostname = given.get("hostname") or sanitized(name) or f"server-{server.uuid}"
    server.key_name = given.get("key_name")
    server.user_data = given.get("user_data")
    drive = str(given.get("config_drive", "")).lower()
    server.config_drive = "True" if drive in ("true", "1", "on", "yes") else ""
    server.metadata = dict(given.get("metadata") or {})
    server.tags = sorted(set(given.get("tags") or ()))
    server.pinned_zone = wish.zone
    server.access_ip_v4 = given.get("accessIPv4")
    server.access_ip_v6 = given.get("accessIPv6")
    server.auto_disk_config = given.get("OS-DCF:diskConfig") == "AUTO"
    server.trusted_certs = given.get("trusted_image_certificates")
    return server


def sanitized(name: str) -> str:
    """Return a name as a host name: lower case, letters, digits and dashes."""
    kept = "".join(char for char in name.replace(" ", "-").replace("_", "-") if char.isascii())
    kept = "".join(char for char in kept.replace(".", "-") if char.isalnum() or char == "-")
    return kept.lower().strip("-")[:63]


def _plug(compute: "Compute", caller: Caller, server: Server, wish: Wish) -> None:
    try:
        for port in wish.ports:
            plug(compute, server, port)
        for network_id, address in wish.networks:
            make_port(compute, caller, server, network_id, address, wish.groups)
    except Refused as refused:
        server.vm_state, server.task_state, server.host = "error", None, None
        server.fault = {
            "code": 500,
            "created": zulu(compute.clock()),
            "message": f"Build of instance {server.uuid} aborted: {refused.message}",
        }


def plug(compute: "Compute", server: Server, port: Document) -> None:
    """Give a port that exists to a server."""
    compute.network.ports.bind(port, server)


def make_port(
    compute: "Compute",
    caller: Caller,
    server: Server,
    network_id: str,
    address: str | None,
    groups: list[str],
) -> Document:
    """Return a new port of a server, which will be deleted with it."""
    wanted = [{"ip_address": address}] if address else None
    port = compute.network.ports.make_for_server(caller, network_id, wanted)
    if groups:
        port["security_groups"] = list(groups)
    plug(compute, server, port)
    server.own_ports.add(port["id"])
    return port


def _attach(compute: "Compute", caller: Caller, server: Server, wish: Wish) -> None:
    for place, device in enumerate(wish.volumes):
        source, name = device["source"], device.get("device_name") or f"/dev/vd{'abcdefgh'[place]}"
        if source == "volume":
            volume_id = device["source_id"]
        elif device.get("destination_type") == "volume":
            volume_id = compute.volume.make_for_server(caller, server, device, name)
        else:
            continue
        attachment_id = compute.volume.attach_to_server(volume_id, server.uuid, name, server.host)
        server.attachments.append(
            Attachment(
                volume_id,
                attachment_id,
                compute.ids(),
                name,
                device.get("tag"),
                str(device.get("delete_on_termination", False)).lower() in ("true", "1"),
                0 if _is_boot(device) else None,
            )
        )


def _finish(compute: "Compute", server: Server) -> None:
    if server.vm_state != "building":
        return
    server.vm_state, server.task_state, server.power_state = "active", None, RUNNING
    server.launched_at = compute.clock()
    compute.touch(server)


def destroy(compute: "Compute", request: Request, server: Server) -> None:
    """Delete a server, after a while if Nova is slow; keep the ports it was given."""
    compute.log_action(request, server, "delete")
    server.task_state = "deleting"
    compute.touch(server)
    compute.later(compute.delays.delete_s, lambda: _finish_destroy(compute, server))


def _finish_destroy(compute: "Compute", server: Server) -> None:
    if server.deleted:
        return
    ports = compute.network.ports
    for port in ports.list_device(server.uuid):
        if port["id"] in server.own_ports:
            ports.discard(port)
        else:
            ports.unbind(port)
    for attachment in server.attachments:
        compute.volume.detach_from_server(
            attachment.volume_id, attachment.attachment_id, attachment.delete_on_termination
        )
    compute.groups.leave(server.uuid)
    server.attachments = []
    server.deleted, server.vm_state, server.task_state = True, "deleted", None
    server.power_state = NO_STATE
    server.terminated_at = compute.clock()
    compute.touch(server)
