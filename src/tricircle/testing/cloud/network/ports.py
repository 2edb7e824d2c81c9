"""Ports: addresses, security groups, bindings, and what Nova does to them."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    Refused,
    Request,
    answer_json,
    refuse,
)
from tricircle.testing.cloud.network.attributes import PORT
from tricircle.testing.cloud.network.resources import Resource

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.records import Server


class Ports(Resource):
    """Ports of one Neutron."""

    collection = "ports"
    single = "port"
    attributes = PORT

    def may_create_for(self, caller: Caller) -> bool:
        """Return whether the caller may create ports of other projects."""
        return caller.is_admin or caller.is_service

    def may_change(self, caller: Caller, item: Document) -> bool:
        """Return whether a port may be updated and deleted: Nova may, too."""
        return caller.is_service or super().may_change(caller, item)

    def create(self, caller: Caller, values: Document) -> Document:
        """Return addresses, groups and binding."""
        network = self.network.networks.get(caller, values["network_id"])
        self._require_owner(caller, network, values)
        secured = bool({**network, **values}["port_security_enabled"])
        if values["device_owner"].startswith("network:"):
            secured = False
        groups = self._groups(caller, values, secured)
        subnets = [self.network.subnets.items[found] for found in network["subnets"]]
        addresses = self.network.addresses
        mac = addresses.take_mac(network["id"], values.get("mac_address"), values["id"])
        wanted = values.get("fixed_ips")
        try:
            fixed_ips = addresses.take(network["id"], wanted, subnets)
        except Refused:
            addresses.release({"network_id": network["id"], "mac_address": mac, "fixed_ips": []})
            raise
        made = {
            "mac_address": mac,
            "fixed_ips": fixed_ips,
            "security_groups": groups,
            "port_security_enabled": secured,
            "qos_network_policy_id": network["qos_policy_id"],
            "ip_allocation": "immediate" if fixed_ips else "none",
            "resource_request": None,
            "binding:profile": values["binding:profile"] or {},
            "extra_dhcp_opts": values["extra_dhcp_opts"] or [],
        }
        return made | _binding({**values, **made})

    def _require_owner(self, caller: Caller, network: Document, values: Document) -> None:
        if caller.is_admin or caller.is_service or network["project_id"] == caller.project_id:
            return
        owned = ("mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs")
        touched = [name for name in owned if values.get(name)]
        if touched:
            rules = " and ".join(f"rule:create_port:{name}" for name in touched)
            refuse(
                403,
                f"(rule:create_port and {rules}) is disallowed by policy",
                "PolicyNotAuthorized",
            )

    def _groups(self, caller: Caller, values: Document, secured: bool) -> list[str]:
        given: list[str] | None = values.get("security_groups")
        if given is None:
            if not secured or values["device_owner"].startswith("network:"):
                return []
            return [self.network.groups.ensure_default(values["project_id"])["id"]]
        if given and not secured:
            refuse(
                409,
                "Port Security must be enabled in order to have security groups or "
                "allowed address pairs on a port.",
                "PortSecurityAndIPRequiredForSecurityGroups",
            )
        for group_id in given:
            self.network.groups.get(caller, group_id)
        return list(given)

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Move addresses, check groups, bind again."""
        network = self.network.networks.items[item["network_id"]]
        addresses = self.network.addresses
        if changes.get("security_groups") is not None:
            for group_id in changes["security_groups"]:
                self.network.groups.get(caller, group_id)
        if changes.get("fixed_ips") is not None:
            subnets = [self.network.subnets.items[found] for found in network["subnets"]]
            for fixed in item["fixed_ips"]:
                addresses.release_address(fixed)
            changes["fixed_ips"] = addresses.take(network["id"], changes["fixed_ips"], subnets)
        if changes.get("mac_address", item["mac_address"]) != item["mac_address"]:
            addresses.take_mac(network["id"], changes["mac_address"], item["id"])
        if "binding:profile" in changes:
            changes["binding:profile"] = changes["binding:profile"] or {}
        merged = {**item, **changes}
        changes |= _binding(merged)
        self.network.changed_device(item["device_id"])
        self.network.changed_device(merged["device_id"])

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse ports that belong to routers; give back the rest's addresses."""
        owner = item["device_owner"]
        if owner.startswith(("network:router", "network:floatingip")):
            refuse(
                409,
                f"Port {item['id']} cannot be deleted directly via the port API: has "
                f"device owner {owner}.",
                "ServicePortInUse",
            )
        self.network.addresses.release(item)
        self.network.floating_ips.release_port(item["id"])
        self.network.changed_device(item["device_id"], item["id"])

    def discard(self, port: Document) -> None:
        """Remove a port as Neutron itself does, whoever owns it."""
        self.network.addresses.release(port)
        self.network.floating_ips.release_port(port["id"])
        self.items.pop(port["id"], None)

    def derived(self, item: Document) -> Document:
        """Return the names Neutron's own DNS has for a port."""
        names = []
        for fixed in item["fixed_ips"]:
            address = fixed["ip_address"]
            host = item["dns_name"] or "host-" + re.sub(r"[.:]", "-", address)
            names.append(
                {"ip_address": address, "hostname": host, "fqdn": f"{host}.openstacklocal."}
            )
        return {"dns_assignment": names}

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether the port is on a network of the caller."""
        network = self.network.networks.items.get(item["network_id"])
        return network is not None and network["project_id"] == caller.project_id

    def is_filter(self, name: str) -> bool:
        """Return whether lists can be filtered by this name."""
        return name == "fixed_ips" or super().is_filter(name)

    def matches(self, item: Document, key: str, values: list[str]) -> bool:
        """Return whether a port passes one filter."""
        if key != "fixed_ips":
            return super().matches(item, key, values)
        wanted: dict[str, list[str]] = {}
        for value in values:
            for part in value.split(","):
                name, _, text = part.partition("=")
                wanted.setdefault(name, []).append(text)
        return any(_matches_address(fixed, wanted) for fixed in item["fixed_ips"])

    # What Nova does.

    def list_device(self, device_id: str) -> list[Document]:
        """Return the ports of a server, in the order they were made."""
        return [port for port in self.items.values() if port["device_id"] == device_id]

    def make_for_server(self, caller: Caller, network_id: str, wanted: Json) -> Document:
        """Return a new port for a server."""
        given = {"network_id": network_id}
        if wanted:
            given["fixed_ips"] = wanted
        return self.add(caller, given)

    def bind(self, port: Document, server: "Server") -> None:
        """Give a port to a server on its host, with its name for the DNS."""
        zone, host = server.availability_zone, server.host or ""
        port["device_id"] = server.uuid
        port["dns_name"] = server.hostname
        port["device_owner"] = f"compute:{zone}"
        port["binding:host_id"] = host
        port |= _binding(port)
        self.touch(port)

    def unbind(self, port: Document) -> None:
        """Take a port away from its server and keep it."""
        port |= {"device_id": "", "device_owner": "", "binding:host_id": "", "dns_name": ""}
        port |= _binding(port)
        self.touch(port)

    # Bindings and address pairs, as far as a job may call them.

    def list_bindings(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /ports/{id}/bindings."""
        port = self.get(caller, request.parameters["id"])
        if not (caller.is_admin or caller.is_service):
            refuse(403, "rule:get_port_binding is disallowed by policy", "PolicyNotAuthorized")
        active = {
            "host": port["binding:host_id"],
            "vif_type": port["binding:vif_type"],
            "vif_details": port["binding:vif_details"],
            "vnic_type": port["binding:vnic_type"],
            "profile": port["binding:profile"],
            "status": "ACTIVE",
            "project_id": port["project_id"],
        }
        return answer_json({"bindings": [active] if active["host"] else []})


def _matches_address(fixed: Document, wanted: dict[str, list[str]]) -> bool:
    checks: Iterable[bool] = (
        ("subnet_id" not in wanted or fixed["subnet_id"] in wanted["subnet_id"]),
        ("ip_address" not in wanted or fixed["ip_address"] in wanted["ip_address"]),
        (
            "ip_address_substr" not in wanted
            or any(part in fixed["ip_address"] for part in wanted["ip_address_substr"])
        ),
    )
    return all(checks)


def _binding(port: Document) -> Document:
    if not port.get("binding:host_id"):
        return {"binding:vif_type": "unbound", "binding:vif_details": {}, "status": "DOWN"}
    details = {"port_filter": True, "connectivity": "l2"}
    status = "ACTIVE" if port.get("device_id") and port["admin_state_up"] else "DOWN"
    return {"binding:vif_type": "ovs", "binding:vif_details": details, "status": status}
