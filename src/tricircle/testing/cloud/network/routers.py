"""Routers with their interfaces and extra routes, and floating IPs."""

import ipaddress

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
from tricircle.testing.cloud.network.attributes import FLOATING_IP, ROUTER
from tricircle.testing.cloud.network.resources import Resource, body_of, refuse_by_policy

_INTERFACE = "network:router_interface"
_GATEWAY = "network:router_gateway"


class Routers(Resource):
    """Routers of one Neutron."""

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent router."""
        return Refused(404, f"Router {item_id} could not be found", "RouterNotFound")

    collection = "routers"
    single = "router"
    attributes = ROUTER

    def create(self, caller: Caller, values: Document) -> Document:
        """Return state and gateway."""
        made: Document = {"status": "ACTIVE", "availability_zones": [], "routes": []}
        gateway = values.get("external_gateway_info")
        if gateway:
            made["external_gateway_info"] = self._gateway(values, gateway)
        return made

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Move the gateway, check the routes."""
        if "external_gateway_info" in changes:
            self._drop_gateway(item)
            if changes["external_gateway_info"]:
                made = self._gateway(item, changes["external_gateway_info"])
                changes["external_gateway_info"] = made
        if "routes" in changes:
            self._check_routes(item, changes["routes"])

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse while the router has interfaces."""
        attached = ", ".join(port["id"] for port in self._ports(item, _INTERFACE))
        if attached:
            refuse(409, f"Router {item['id']} has ports still attached: {attached}", "RouterInUse")
        self._drop_gateway(item)

    def _ports(self, router: Document, owner: str) -> list[Document]:
        ports = self.network.ports.list_device(router["id"])
        return [port for port in ports if port["device_owner"] == owner]

    def _gateway(self, router: Document, wanted: Document) -> Document:
        network = self.network.networks.items.get(wanted["network_id"])
        if network is None:
            raise self.network.networks.refuse_absent(wanted["network_id"])
        if not network["router:external"]:
            refuse(
                400,
                f"Bad router request: Network {network['id']} is not an external network.",
                "BadRequest",
            )
        fixed = wanted.get("external_fixed_ips")
        port = self.network.make_port(network, "", router["id"], _GATEWAY, fixed)
        return {
            "network_id": network["id"],
            "external_fixed_ips": port["fixed_ips"],
            "enable_snat": wanted.get("enable_snat", True),
        }

    def _drop_gateway(self, router: Document) -> None:
        for port in self._ports(router, _GATEWAY):
            self.network.ports.discard(port)

    def _check_routes(self, router: Document, routes: list[Document]) -> None:
        cidrs = [
            ipaddress.ip_network(self.network.subnets.items[fixed["subnet_id"]]["cidr"])
            for port in self.network.ports.list_device(router["id"])
            for fixed in port["fixed_ips"]
        ]
        for route in routes:
            hop = ipaddress.ip_address(route["nexthop"])
            if not any(hop in cidr for cidr in cidrs):
                reason = "the nexthop is not connected with router"
                refuse(400, f"Invalid format for routes: {routes}, {reason}", "InvalidRoutes")

    def add_interface(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT add_router_interface, by subnet or by port."""
        router = self._get_own(caller, request, "add_router_interface")
        body = body_of(request)
        if "port_id" in body:
            port = self.network.ports.get(caller, body["port_id"])
            if port["device_id"]:
                refuse(
                    409,
                    f"Unable to complete operation on port {port['id']} for network "
                    f"{port['network_id']}. Port already has an attached device "
                    f"{port['device_id']}.",
                    "PortInUse",
                )
            self._refuse_known_subnets(router, [f["subnet_id"] for f in port["fixed_ips"]])
            port |= {"device_id": router["id"], "device_owner": _INTERFACE, "status": "ACTIVE"}
        else:
            port = self._port_on_gateway(caller, router, self._subnet(caller, body))
        return answer_json(_interface_view(router, port))

    def _subnet(self, caller: Caller, body: Document) -> Document:
        if "subnet_id" not in body:
            refuse(
                400,
                "Bad router request: Either subnet_id or port_id must be specified.",
                "BadRequest",
            )
        return self.network.subnets.get(caller, body["subnet_id"])

    def _port_on_gateway(self, caller: Caller, router: Document, subnet: Document) -> Document:
        self._refuse_known_subnets(router, [subnet["id"]])
        if not subnet["gateway_ip"]:
            refuse(
                400,
                "Bad router request: Subnet for router interface must have a gateway IP.",
                "BadRequest",
            )
        network = self.network.networks.items[subnet["network_id"]]
        fixed = [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}]
        return self.network.make_port(
            network, router["project_id"], router["id"], _INTERFACE, fixed
        )

    def _refuse_known_subnets(self, router: Document, subnet_ids: list[str]) -> None:
        for port in self._ports(router, _INTERFACE):
            for fixed in port["fixed_ips"]:
                if fixed["subnet_id"] in subnet_ids:
                    refuse(
                        400,
                        "Bad router request: Router already has a port on "
                        f"subnet {fixed['subnet_id']}.",
                        "BadRequest",
                    )

    def remove_interface(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT remove_router_interface."""
        router = self._get_own(caller, request, "remove_router_interface")
        body = body_of(request)
        for port in self._ports(router, _INTERFACE):
            subnets = [fixed["subnet_id"] for fixed in port["fixed_ips"]]
            if body.get("port_id") == port["id"] or body.get("subnet_id") in subnets:
                view = _interface_view(router, port)
                self.network.ports.discard(port)
                return answer_json(view)
        if "port_id" in body:
            refuse(
                404,
                f"Router {router['id']} does not have an interface with id {body['port_id']}",
                "RouterInterfaceNotFound",
            )
        refuse(
            404,
            f"Router {router['id']} has no interface on subnet {body.get('subnet_id')}",
            "RouterInterfaceNotFoundForSubnet",
        )

    def add_routes(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT add_extraroutes; routes already there are fine."""
        router = self._get_own(caller, request, "update_router")
        given: list[Json] = body_of(request)["router"]["routes"]
        self._check_routes(router, given + [r for r in router["routes"] if r not in given])
        router["routes"] = router["routes"] + [r for r in given if r not in router["routes"]]
        self.touch(router)
        return answer_json({"router": self.view(caller, router)})

    def remove_routes(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT remove_extraroutes; absent routes are fine."""
        router = self._get_own(caller, request, "update_router")
        given: list[Json] = body_of(request)["router"]["routes"]
        router["routes"] = [route for route in router["routes"] if route not in given]
        self.touch(router)
        return answer_json({"router": self.view(caller, router)})

    def _get_own(self, caller: Caller, request: Request, rule: str) -> Document:
        router = self.get(caller, request.parameters["id"])
        if not self.may_change(caller, router):
            refuse_by_policy([rule])
        return router


class FloatingIps(Resource):
    """Floating IPs of one Neutron."""

    collection = "floatingips"
    single = "floatingip"
    attributes = FLOATING_IP

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent floating IP."""
        message = f"Floating IP {item_id} could not be found"
        return Refused(404, message, "FloatingIPNotFound")

    def create(self, caller: Caller, values: Document) -> Document:
        """Return an address of the external network, perhaps for a port already."""
        network = self.network.networks.get(caller, values["floating_network_id"])
        if not network["router:external"]:
            refuse(
                400,
                f"Bad floatingip request: Network {network['id']} is not a valid external network.",
                "BadRequest",
            )
        wanted = values.get("floating_ip_address")
        fixed = [{"ip_address": wanted}] if wanted else None
        port = self.network.make_port(network, "", values["id"], "network:floatingip", fixed)
        made = {
            "floating_ip_address": port["fixed_ips"][0]["ip_address"],
            "status": "DOWN",
            "router_id": None,
            "port_details": None,
            "port_forwardings": [],
        }
        if values.get("port_id"):
            made |= self._associate(caller, {**values, **made}, values)
        return made

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Associate with a port, or with none."""
        before = item["port_id"]
        if "port_id" not in changes:
            return
        if changes["port_id"] is None:
            changes |= {"fixed_ip_address": None, "router_id": None, "status": "DOWN"}
        else:
            changes |= self._associate(caller, item, changes)
        for port_id in (before, changes["port_id"]):
            port = self.network.ports.items.get(port_id)
            if port is not None:
                self.network.changed_device(port["device_id"])

    def _associate(self, caller: Caller, item: Document, wanted: Document) -> Document:
        port = self.network.ports.get(caller, wanted["port_id"])
        for other in self.items.values():
            if other["port_id"] == port["id"] and other["id"] != item["id"]:
                refuse(
                    409,
                    f"Cannot associate floating IP {item['floating_ip_address']} "
                    f"({item['id']}) with port {port['id']} using fixed IP "
                    f"{other['fixed_ip_address']}, as that fixed IP already has a "
                    f"floating IP on external network {item['floating_network_id']}.",
                    "FloatingIPPortAlreadyAssociated",
                )
        address = wanted.get("fixed_ip_address") or port["fixed_ips"][0]["ip_address"]
        router_id = self._router_between(item["floating_network_id"], port)
        self.network.changed_device(port["device_id"])
        return {
            "port_id": port["id"],
            "fixed_ip_address": address,
            "router_id": router_id,
            "status": "ACTIVE",
        }

    def _router_between(self, external_id: str, port: Document) -> str:
        subnets = {fixed["subnet_id"] for fixed in port["fixed_ips"]}
        for router in self.network.routers.items.values():
            gateway = router["external_gateway_info"]
            if not gateway or gateway["network_id"] != external_id:
                continue
            for owned in self.network.ports.list_device(router["id"]):
                if subnets & {fixed["subnet_id"] for fixed in owned["fixed_ips"]}:
                    found: str = router["id"]
                    return found
        subnet_id = port["fixed_ips"][0]["subnet_id"] if port["fixed_ips"] else None
        refuse(
            404,
            f"External network {external_id} is not reachable from subnet {subnet_id}.  "
            f"Therefore, cannot associate Port {port['id']} with a Floating IP.",
            "ExternalGatewayForFloatingIPNotFound",
        )

    def delete(self, caller: Caller, item: Document) -> None:
        """Give the address back."""
        for port in self.network.ports.list_device(item["id"]):
            self.network.ports.discard(port)
        bound = self.network.ports.items.get(item["port_id"])
        if bound is not None:
            self.network.changed_device(bound["device_id"])

    def release_port(self, port_id: str) -> None:
        """Let go of a port that is deleted."""
        for item in self.items.values():
            if item["port_id"] == port_id:
                item |= {
                    "port_id": None,
                    "fixed_ip_address": None,
                    "router_id": None,
                    "status": "DOWN",
                }

    def list_for_port(self, port_id: str) -> list[Document]:
        """Return the floating IPs of a port."""
        return [item for item in self.items.values() if item["port_id"] == port_id]


def _interface_view(router: Document, port: Document) -> Document:
    subnets = [fixed["subnet_id"] for fixed in port["fixed_ips"]]
    return {
        "id": router["id"],
        "project_id": router["project_id"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "subnet_id": subnets[0] if subnets else None,
        "subnet_ids": subnets,
    }
