"""How Nova shows servers, by microversion and caller."""

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.http import Document, encode
from tricircle.testing.cloud.sources import zulu

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

# Where the shape of a server changes (rest_api_version_history.rst).
_STEPS = (1, 3, 9, 16, 19, 26, 47, 63, 71, 73, 75, 90, 96, 98, 100)
_PROGRESS = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING")


def step_of(minor: int) -> int:
    """Return the highest shape-changing microversion not above this one."""
    return _STEPS[bisect_right(_STEPS, minor) - 1]


@dataclass(frozen=True, slots=True)
class ViewKey:
    """All that decides how a server looks, beside the server."""

    self_prefix: str
    bookmark_prefix: str
    step: int
    is_admin: bool
    whole: bool


def links_of(key: ViewKey, collection: str, item_id: str) -> list[Document]:
    """Return the self and bookmark links of an item."""
    return [
        {"rel": "self", "href": f"{key.self_prefix}/{collection}/{item_id}"},
        {"rel": "bookmark", "href": f"{key.bookmark_prefix}/{collection}/{item_id}"},
    ]


class ServerViews:
    """Views of the servers of one Nova."""

    def __init__(self, compute: "Compute") -> None:
        self._compute = compute

    def basic(self, server: Server, key: ViewKey) -> bytes:
        """Return a server as in GET /servers."""
        links = links_of(key, "servers", server.uuid)
        return encode({"id": server.uuid, "name": server.display_name, "links": links})

    def detail(self, server: Server, key: ViewKey) -> bytes:
        """Return a server as in GET /servers/detail, or /servers/{id} if `key.whole`."""
        known = server.encoded
        if known is not None and known[0] == key:
            return known[1]
        made = encode(self.show(server, key))
        server.encoded = (key, made)
        return made

    def show(self, server: Server, key: ViewKey) -> Document:
        """Return all of a server a caller may see."""
        view = self._core(server, key)
        self._add_extended(view, server, key)
        self._add_versioned(view, server, key)
        return view

    def short(self, server: Server, key: ViewKey) -> Document:
        """Return what PUT and rebuild answered before 2.75."""
        view = self._core(server, key, extended_addresses=False)
        if key.step >= 9:
            view["locked"] = server.locked
        self._add_own_words(view, server, key)
        return view

    def _core(self, server: Server, key: ViewKey, extended_addresses: bool = True) -> Document:
        status = server.status
        view: Document = {
            "accessIPv4": server.access_ip_v4 or "",
            "accessIPv6": server.access_ip_v6 or "",
            "addresses": self.addresses(server, extended_addresses),
            "created": zulu(server.created_at),
            "flavor": self._flavor(server, key),
            "hostId": _host_id(server),
            "id": server.uuid,
            "image": self._image(server, key),
            "links": links_of(key, "servers", server.uuid),
            "metadata": server.metadata,
            "name": server.display_name,
            "status": status,
            "tenant_id": server.project_id,
            "user_id": server.user_id,
            "updated": zulu(server.updated_at),
            "OS-DCF:diskConfig": "AUTO" if server.auto_disk_config else "MANUAL",
        }
        if status in ("ERROR", "DELETED") and server.fault:
            view["fault"] = server.fault
        if status in _PROGRESS:
            view["progress"] = server.progress
        return view

    def _add_extended(self, view: Document, server: Server, key: ViewKey) -> None:
        view["OS-EXT-AZ:availability_zone"] = server.availability_zone if server.host else ""
        view["config_drive"] = server.config_drive
        view["key_name"] = server.key_name
        for name, moment in (
            ("launched", server.launched_at),
            ("terminated", server.terminated_at),
        ):
            text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else None
            view[f"OS-SRV-USG:{name}_at"] = text
        groups = self._compute.list_group_names(server)
        if groups:
            view["security_groups"] = [{"name": name} for name in groups]
        if key.is_admin:
            self._add_admin(view, server, key)
        view["OS-EXT-STS:task_state"] = server.task_state
        view["OS-EXT-STS:vm_state"] = server.vm_state
        view["OS-EXT-STS:power_state"] = server.power_state
        view["os-extended-volumes:volumes_attached"] = [
            {"id": found.volume_id}
            | ({"delete_on_termination": found.delete_on_termination} if key.step >= 3 else {})
            for found in server.attachments
        ]

    def _add_admin(self, view: Document, server: Server, key: ViewKey) -> None:
        view["OS-EXT-SRV-ATTR:host"] = server.host
        view["OS-EXT-SRV-ATTR:instance_name"] = server.instance_name
        view["OS-EXT-SRV-ATTR:hypervisor_hostname"] = server.node
        if key.step < 3:
            return
        view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
        view["OS-EXT-SRV-ATTR:kernel_id"] = ""
        view["OS-EXT-SRV-ATTR:launch_index"] = server.launch_index
        view["OS-EXT-SRV-ATTR:ramdisk_id"] = ""
        view["OS-EXT-SRV-ATTR:reservation_id"] = server.reservation_id
        view["OS-EXT-SRV-ATTR:root_device_name"] = server.root_device_name
        view["OS-EXT-SRV-ATTR:user_data"] = server.user_data

    def _add_versioned(self, view: Document, server: Server, key: ViewKey) -> None:
        if key.step >= 9:
            view["locked"] = server.locked
        if key.step >= 16 and key.is_admin:
            view["host_status"] = "UP" if server.host else ""
        self._add_own_words(view, server, key)
        if key.step >= 90 and not key.is_admin:
            view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
        if key.step >= 96:
            view["pinned_availability_zone"] = server.pinned_zone
        if key.step >= 100:
            view["scheduler_hints"] = server.scheduler_hints

    def _add_own_words(self, view: Document, server: Server, key: ViewKey) -> None:
        if key.step >= 19:
            view["description"] = server.display_description
        if key.step >= 26:
            view["tags"] = server.tags
        if key.step >= 63:
            view["trusted_image_certificates"] = server.trusted_certs
        if key.step >= 71 and key.whole:
            view["server_groups"] = self._compute.groups.list_of(server.uuid)
        if key.step >= 73:
            view["locked_reason"] = server.locked_reason

    def _flavor(self, server: Server, key: ViewKey) -> Document:
        flavor = server.flavor
        if key.step < 47:
            href = f"{key.bookmark_prefix}/flavors/{flavor.flavorid}"
            return {"id": flavor.flavorid, "links": [{"rel": "bookmark", "href": href}]}
        return {
            "vcpus": flavor.vcpus,
            "ram": flavor.memory_mb,
            "disk": flavor.root_gb,
            "ephemeral": flavor.ephemeral_gb,
            "swap": flavor.swap,
            "original_name": flavor.name,
            "extra_specs": flavor.extra_specs,
        }

    def _image(self, server: Server, key: ViewKey) -> Document | str:
        if not server.image_ref:
            return ""
        href = f"{key.bookmark_prefix}/images/{server.image_ref}"
        image: Document = {"id": server.image_ref, "links": [{"rel": "bookmark", "href": href}]}
        if key.step >= 98:
            image["properties"] = {}
        return image

    def addresses(self, server: Server, extended: bool = True) -> Document:
        """Return the addresses of a server by network name; none while it is built."""
        if server.vm_state == "building":
            return {}
        found: dict[str, list[Document]] = {}
        for name, address, mac, kind in self._compute.list_addresses(server):
            entry: Document = {"version": 6 if ":" in address else 4, "addr": address}
            if extended:
                entry |= {"OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}
            found.setdefault(name, []).append(entry)
        return found


def _host_id(server: Server) -> str:
    if not server.host:
        return ""
    return hashlib.sha224((server.project_id + server.host).encode()).hexdigest()
