"""One Neutron: its routes, and what Nova needs of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    NoSuchMethod,
    NoSuchPath,
    Refused,
    Request,
    Routes,
    answer_json,
    refuse,
)
from tricircle.testing.cloud.network.addresses import Addresses
from tricircle.testing.cloud.network.groups import AddressGroups, SecurityGroupRules, SecurityGroups
from tricircle.testing.cloud.network.information import (
    Agents,
    Quotas,
    Zones,
    list_extensions,
    show_extension,
)
from tricircle.testing.cloud.network.networks import Networks, Subnets
from tricircle.testing.cloud.network.ports import Ports
from tricircle.testing.cloud.network.resources import GONE, Resource, body_of
from tricircle.testing.cloud.network.routers import FloatingIps, Routers
from tricircle.testing.cloud.network.sharing import Policies
from tricircle.testing.cloud.service import Service, World, unauthorized
from tricircle.testing.cloud.sources import Clock

CallerHandler = Callable[[Caller, Request], Answer]


class DeviceListener(Protocol):
    """Whoever shows ports of a device elsewhere: Nova."""

    def ports_changed(self, device_id: str, gone_port_id: str | None) -> None:
        """Forget what was worked out of a device's ports."""

    def groups_changed(self) -> None:
        """Forget what was worked out of security groups."""


class Network(Service):
    """Neutron: networks, subnets, ports, groups, routers, floating IPs."""

    def __init__(self, world: World, zone: str = "nova") -> None:
        super().__init__("network", "network", world)
        self.clock = world.clock
        self.physical_networks = ["physnet1"]
        self.listener: DeviceListener | None = None
        self.addresses = Addresses()
        self.networks = Networks(self)
        self.subnets = Subnets(self)
        self.ports = Ports(self)
        self.groups = SecurityGroups(self)
        self.rules = SecurityGroupRules(self)
        self.address_groups = AddressGroups(self)
        self.sharing = Policies(self)
        self.routers = Routers(self)
        self.floating_ips = FloatingIps(self)
        self.agents = Agents()
        self.zones = Zones([zone])
        self.quotas = Quotas()

    # For tests.

    def add_network(self, project_id: str, name: str, cidr: str = "", **more: Json) -> Document:
        """Return a new network of a project, with a subnet if there is a CIDR."""
        admin = _system_caller(self.clock, project_id)
        item = self.networks.add(admin, {"name": name, "project_id": project_id, **more})
        if cidr:
            version = 6 if ":" in cidr else 4
            given = {"network_id": item["id"], "cidr": cidr, "ip_version": version}
            self.subnets.add(admin, {**given, "name": f"{name}-subnet", "project_id": project_id})
        return item

    # For Nova and for Neutron itself.

    def make_port(
        self, network: Document, project_id: str, device_id: str, owner: str, fixed: Json
    ) -> Document:
        """Return a new port Neutron makes for itself."""
        caller = _system_caller(self.clock, project_id)
        given = {"network_id": network["id"], "device_id": device_id, "device_owner": owner}
        if fixed:
            given["fixed_ips"] = fixed
        port = self.ports.add(caller, {**given, "security_groups": []})
        port["project_id"] = project_id
        port["status"] = "ACTIVE" if owner == "network:router_interface" else "DOWN"
        return port

    def changed_device(self, device_id: str, gone_port_id: str | None = None) -> None:
        """Tell Nova that ports of a device changed."""
        if device_id and self.listener is not None:
            self.listener.ports_changed(device_id, gone_port_id)

    def changed_groups(self) -> None:
        """Tell Nova that names of groups changed."""
        if self.listener is not None:
            self.listener.groups_changed()

    # HTTP.

    def answer(self, request: Request) -> Answer:
        """Return Neutron's answer."""
        try:
            answer = self._serve(request)
        except Refused as refused:
            answer = _error(refused.status, refused.message, refused.kind)
        except NoSuchPath:
            answer = _error(404, GONE, "HTTPNotFound")
        except NoSuchMethod:
            message = (
                "The server could not comply with the request since it is either malformed or "
                "otherwise incorrect."
            )
            answer = _error(405, message, "HTTPMethodNotAllowed")
        if request.path not in ("", "/"):
            answer.headers.append(("x-openstack-request-id", self.request_id()))
        return answer

    def _serve(self, request: Request) -> Answer:
        if request.path in ("", "/"):
            return answer_json({"versions": [_version_view(request)]})
        caller = self.authenticate(request)
        if caller is None:
            return unauthorized(request.base.rsplit("/", 2)[0] + "/identity")
        path = request.path.removesuffix(".json")
        handler, request.parameters = self._routes.get(request.method, path)
        request.caller = caller
        return handler(request)

    @cached_property
    def _routes(self) -> Routes:
        routes = Routes()
        resources: tuple[tuple[str, Resource], ...] = (
            ("networks", self.networks),
            ("subnets", self.subnets),
            ("ports", self.ports),
            ("security-groups", self.groups),
            ("security-group-rules", self.rules),
            ("address-groups", self.address_groups),
            ("rbac-policies", self.sharing),
            ("routers", self.routers),
            ("floatingips", self.floating_ips),
        )
        for path, resource in resources:
            base = f"/v2.0/{path}"
            self._add(routes, "GET", base, resource.index)
            self._add(routes, "POST", base, resource.post)
            self._add(routes, "GET", base + "/{id}", resource.show)
            self._add(routes, "PUT", base + "/{id}", resource.put)
            self._add(routes, "DELETE", base + "/{id}", resource.drop)
            if "tags" in resource.attributes:
                self._add_tags(routes, base, resource)
        self._add_actions(routes)
        self._add_information(routes)
        return routes

    def _add(self, routes: Routes, method: str, path: str, handler: CallerHandler) -> None:
        def handle(request: Request) -> Answer:
            return handler(request.caller, request)

        routes.add(method, path, handle)

    def _add_actions(self, routes: Routes) -> None:
        actions: tuple[tuple[str, str, CallerHandler], ...] = (
            ("PUT", "routers/{id}/add_router_interface", self.routers.add_interface),
            ("PUT", "routers/{id}/remove_router_interface", self.routers.remove_interface),
            ("PUT", "routers/{id}/add_extraroutes", self.routers.add_routes),
            ("PUT", "routers/{id}/remove_extraroutes", self.routers.remove_routes),
            ("PUT", "address-groups/{id}/add_addresses", self.address_groups.add_addresses),
            ("PUT", "address-groups/{id}/remove_addresses", self.address_groups.remove_addresses),
            ("GET", "ports/{id}/bindings", self.ports.list_bindings),
            ("GET", "auto-allocated-topology/{id}", self._topology),
            ("DELETE", "auto-allocated-topology/{id}", self._topology),
        )
        for method, path, handler in actions:
            self._add(routes, method, f"/v2.0/{path}", handler)

    def _add_information(self, routes: Routes) -> None:
        self._add(routes, "GET", "/v2.0", self._layout)
        self._add(routes, "GET", "/v2.0/extensions", list_extensions)
        self._add(routes, "GET", "/v2.0/extensions/{id}", show_extension)
        self._add(routes, "GET", "/v2.0/agents", self.agents.index)
        self._add(routes, "GET", "/v2.0/availability_zones", self.zones.index)
        self._add(routes, "GET", "/v2.0/quotas", self.quotas.index)
        self._add(routes, "GET", "/v2.0/quotas/{id}", self.quotas.show)
        self._add(routes, "PUT", "/v2.0/quotas/{id}", self.quotas.update)
        self._add(routes, "DELETE", "/v2.0/quotas/{id}", self.quotas.delete)
        self._add(routes, "GET", "/v2.0/quotas/{id}/default", self.quotas.show_default)
        self._add(routes, "GET", "/v2.0/quotas/{id}/details", self.quotas.show_details)

    def _add_tags(self, routes: Routes, base: str, resource: Resource) -> None:
        def owned(caller: Caller, request: Request) -> Document:
            item = resource.get(caller, request.parameters["id"])
            if not resource.may_change(caller, item):
                refuse(
                    403,
                    f"rule:update_{resource.single}:tags is disallowed by policy",
                    "PolicyNotAuthorized",
                )
            return item

        def index(caller: Caller, request: Request) -> Answer:
            return answer_json({"tags": resource.get(caller, request.parameters["id"])["tags"]})

        def replace(caller: Caller, request: Request) -> Answer:
            item = owned(caller, request)
            item["tags"] = sorted(set(body_of(request).get("tags", ())))
            return answer_json({"tags": item["tags"]})

        def add(caller: Caller, request: Request) -> Answer:
            item = owned(caller, request)
            item["tags"] = sorted({*item["tags"], request.parameters["tag"]})
            return answer_json(None, 201)

        def drop(caller: Caller, request: Request) -> Answer:
            item, tag = owned(caller, request), request.parameters["tag"]
            if tag not in item["tags"]:
                refuse(404, f"Tag {tag} could not be found.", "TagNotFound")
            item["tags"] = [kept for kept in item["tags"] if kept != tag]
            return Answer(204)

        def show(caller: Caller, request: Request) -> Answer:
            item, tag = resource.get(caller, request.parameters["id"]), request.parameters["tag"]
            if tag not in item["tags"]:
                refuse(404, f"Tag {tag} could not be found.", "TagNotFound")
            return Answer(204)

        self._add(routes, "GET", base + "/{id}/tags", index)
        self._add(routes, "PUT", base + "/{id}/tags", replace)
        self._add(routes, "GET", base + "/{id}/tags/{tag}", show)
        self._add(routes, "PUT", base + "/{id}/tags/{tag}", add)
        self._add(routes, "DELETE", base + "/{id}/tags/{tag}", drop)

    def _layout(self, caller: Caller, request: Request) -> Answer:
        names = ("network", "subnet", "subnetpool", "port")
        resources = [
            {
                "name": name,
                "collection": f"{name}s",
                "links": [{"rel": "self", "href": f"{request.base}/v2.0/{name}s"}],
            }
            for name in names
        ]
        return answer_json({"resources": resources})

    def _topology(self, caller: Caller, request: Request) -> Answer:
        reason = "Unable to provide project private network."
        if "dry-run" in request.list_values("fields"):
            reason = "No default subnetpools defined."
        refuse(409, f"Deployment error: {reason}", "AutoAllocationFailure")


def _system_caller(clock: Clock, project_id: str) -> Caller:
    roles = frozenset({"admin", "service"})
    return Caller("neutron", "neutron", project_id, "service", roles, clock())


def _version_view(request: Request) -> Document:
    return {
        "id": "v2.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{request.base}/v2.0/"}],
    }


def _error(status: int, message: str, kind: str) -> Answer:
    error = {"type": kind, "message": message, "detail": ""}
    return answer_json({"NeutronError": error}, status)
