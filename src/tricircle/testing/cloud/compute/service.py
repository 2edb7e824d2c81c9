"""One Nova: its records, its clockwork and the way from a request to a handler."""

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute import (
    actions,
    aggregates,
    attached,
    baremetal,
    details,
    flavors,
    hypervisors,
    images,
    information,
    keypairs,
    migrations,
    networking,
    notices,
    quotas,
    server_groups,
    servers,
    services,
    storage,
    usage,
)
from tricircle.testing.cloud.compute.guards import check_content_type, require
from tricircle.testing.cloud.compute.proxying import check_version
from tricircle.testing.cloud.compute.records import Flavor, KeyPair, Server, ServerAction
from tricircle.testing.cloud.compute.versions import (
    APIS,
    LEGACY,
    list_choices,
    list_documents,
    requested_minor,
    show_document,
    show_legacy,
    version_headers,
)
from tricircle.testing.cloud.compute.views import ServerViews, ViewKey, step_of
from tricircle.testing.cloud.http import (
    Answer,
    Json,
    NoSuchMethod,
    NoSuchPath,
    Refused,
    Request,
    Routes,
    answer_json,
    page_not_found,
    refuse,
)
from tricircle.testing.cloud.image import Images
from tricircle.testing.cloud.network import Network
from tricircle.testing.cloud.service import Service, World, unauthorized
from tricircle.testing.cloud.volume import Volume

_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "computeFault",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_FLAVORS = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
)
CallHandler = Callable[["Compute", Request], Answer]
ServerHandler = Callable[["Compute", Request, Server], Answer]


@dataclass(frozen=True, slots=True)
class Placement:
    """The zone and host of a Nova, and N of the highest microversion 2.N it knows."""

    zone: str
    host: str
    max_minor: int


@dataclass(slots=True)
class Delays:
    """How long Nova works on things, in seconds of the simulation's clock."""

    build_s: float = 0.0
    delete_s: float = 0.0
    action_s: float = 0.0


class Compute(Service):
    """Nova: servers and all that belongs to them."""

    def __init__(
        self, world: World, placement: Placement, network: Network, volume: Volume, images: Images
    ) -> None:
        super().__init__("compute", "compute", world)
        self.clock = world.clock
        self.network = network
        self.volume = volume
        self.images = images
        self.zones = {placement.zone: [placement.host]}
        self.max_minor = placement.max_minor
        self.max_limit = 1000
        self.delays = Delays()
        self.quotas = {"instances": -1, "cores": -1, "ram": -1}
        self.quota_book = quotas.QuotaBook()
        self.servers: dict[str, Server] = {}
        self.flavors: dict[str, Flavor] = {}
        self.keypairs: dict[tuple[str, str], KeyPair] = {}
        self.views = ServerViews(self)
        self.groups = server_groups.ServerGroups()
        self.aggregates = aggregates.Aggregates()
        self.index = servers.ServerIndex(self)
        self._numbers = 0
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        network.listener = self
        volume.images = images
        for flavorid, name, vcpus, memory_mb, root_gb in _FLAVORS:
            self.add_flavor(flavorid, name, vcpus, memory_mb, root_gb)
        self.hypervisors: list[hypervisors.Hypervisor] = []
        self.services = [
            services.NovaService(1, self.ids(), "nova-conductor", placement.host, "conductor"),
            services.NovaService(2, self.ids(), "nova-scheduler", placement.host, "scheduler"),
        ]
        self.migrations: list[migrations.Migration] = []
        self.console_tokens: dict[str, notices.ConsoleToken] = {}
        self.events: list[Json] = []
        self.add_hypervisor(placement.host)

    # For tests.

    def add_hypervisor(self, host: str, **more: Json) -> hypervisors.Hypervisor:
        """Return a new host that is not offered in any zone. `more` sets any other field."""
        number = len(self.hypervisors) + 1
        made = hypervisors.Hypervisor(number, self.ids(), self.ids(), host)
        for field_name, value in more.items():
            setattr(made, field_name, value)
        self.hypervisors.append(made)
        self.services.append(
            services.NovaService(number + 2, made.service_uuid, "nova-compute", host, "compute")
        )
        return made

    def add_flavor(
        self, flavorid: str, name: str, vcpus: int = 1, memory_mb: int = 512, root_gb: int = 1
    ) -> Flavor:
        """Return a new public flavor."""
        flavor = Flavor(self.next_number(), flavorid, name, vcpus, memory_mb, root_gb)
        self.flavors[flavorid] = flavor
        return flavor

    def add_servers(
        self,
        count: int,
        project_id: str,
        name: str = "server-{n}",
        user_id: str = "someone",
        spread_s: float = 1.0,
        **more: Json,
    ) -> list[Server]:
        """Return new ACTIVE servers without ports, the first one the oldest.

        They were made `spread_s` apart, the last one now. `more` sets any
        other field of Server. They cost little: a million fit into memory.
        """
        now = self.clock().replace(microsecond=0)
        flavor = next(iter(self.flavors.values()))
        image = next(iter(self.images.items), "")
        host = self.first_host()
        zone = next(iter(self.zones))
        made = []
        for n in range(count):
            born = now - timedelta(seconds=int(spread_s * (count - 1 - n)))
            number = self.next_number()
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            mac = f"fa:16:3e:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
            server = Server(
                number, self.ids(), project_id, user_id, name.format(n=n), flavor, image, born,
                born, host, zone, "active", None, 1,
            )  # fmt: skip
            server.launched_at = born
            server.hostname = server.display_name.lower()
            server.portless_address = ("private", address, mac)
            for field_name, value in more.items():
                setattr(server, field_name, value)
            self.servers[server.uuid] = server
            made.append(server)
        self.index.forget()
        return made

    # Clockwork.

    def now(self) -> datetime:
        """Return the time as Nova's database keeps it: in whole seconds."""
        return self.clock().replace(microsecond=0)

    def next_number(self) -> int:
        """Return the next database id."""
        self._numbers += 1
        return self._numbers

    def later(self, delay_s: float, change: Callable[[], None]) -> None:
        """Carry out a change once the clock has moved on, at once without a delay."""
        if delay_s <= 0:
            change()
            return
        due = self.clock() + timedelta(seconds=delay_s)
        heapq.heappush(self._due, (due, self.next_number(), change))

    def settle(self) -> None:
        """Carry out the changes that are due."""
        while self._due and self._due[0][0] <= self.clock():
            heapq.heappop(self._due)[2]()

    def touch(self, server: Server) -> None:
        """Note that a server changed."""
        server.updated_at = self.now()
        server.encoded = None
        self.index.forget()

    def log_action(self, request: Request, server: Server, action: str) -> None:
        """Note an action of a user in the server's log."""
        caller = request.caller
        server.actions.append(
            ServerAction(self.request_id(), action, caller.user_id, caller.project_id, self.now())
        )

    # What views and lists need of Neutron.

    def list_addresses(self, server: Server) -> Iterator[tuple[str, str, str, str]]:
        """Yield network name, address, MAC and kind, fixed ones of a port first."""
        if server.portless_address is not None:
            name, address, mac = server.portless_address
            yield name, address, mac, "fixed"
        for port in self.network.ports.list_device(server.uuid):
            network = self.network.networks.items[port["network_id"]]
            for fixed in port["fixed_ips"]:
                yield network["name"], fixed["ip_address"], port["mac_address"], "fixed"
            for floating in self.network.floating_ips.list_for_port(port["id"]):
                address = floating["floating_ip_address"]
                yield network["name"], address, port["mac_address"], "floating"

    def list_group_names(self, server: Server) -> list[str]:
        """Return the names of the security groups of a server's ports."""
        if server.portless_address is not None:
            return ["default"]
        names: dict[str, None] = {}
        for port in self.network.ports.list_device(server.uuid):
            for group_id in port["security_groups"]:
                group = self.network.groups.items.get(group_id)
                if group is not None:
                    names[group["name"]] = None
        return list(names)

    def ports_changed(self, device_id: str, gone_port_id: str | None) -> None:
        """Forget views that show a device's ports."""
        server = self.servers.get(device_id)
        if server is not None:
            server.encoded = None
            server.own_ports.discard(gone_port_id or "")

    def groups_changed(self) -> None:
        """Forget views that show names of groups."""
        for server in self.servers.values():
            server.encoded = None

    # HTTP.

    def answer(self, request: Request) -> Answer:
        """Return Nova's answer."""
        self.settle()
        if request.path in ("", "/"):
            return answer_json(list_documents(request.base, self.max_minor))
        request.api = request.path.split("/", 2)[1]
        if request.api not in APIS:
            return answer_json(list_choices(request.base, request.path), 300)
        version = ""
        try:
            answer = self._serve(request)
            version = f"2.{request.microversion}" if request.microversion else ""
        except Refused as refused:
            answer = _error(refused.status, refused.message)
            version = f"2.{request.microversion}" if request.microversion else ""
            version = refused.microversion or version
        except (NoSuchPath, NoSuchMethod):
            answer = page_not_found(request)
        if version and request.api != LEGACY:
            answer.headers += version_headers(version)
        request_id = self.request_id()
        answer.headers += [
            ("x-openstack-request-id", request_id),
            ("x-compute-request-id", request_id),
        ]
        return answer

    def _serve(self, request: Request) -> Answer:
        is_legacy = request.api == LEGACY
        if request.path.rstrip("/") == f"/{request.api}":
            request.microversion = 1 if is_legacy else requested_minor(request, self.max_minor)
            show = show_legacy if is_legacy else show_document
            return answer_json(show(request.base, self.max_minor))
        caller = self.authenticate(request)
        if caller is None:
            return unauthorized(request.base.rsplit("/", 2)[0] + "/identity")
        request.caller = caller
        handler = self._find(request)
        request.microversion = 1 if is_legacy else requested_minor(request, self.max_minor)
        check_content_type(request)
        project_id = request.url_project.strip("/")
        if project_id and project_id != caller.project_id:
            refuse(
                400,
                f"Malformed request URL: URL's project_id '{project_id}' doesn't match "
                f"Context's project_id '{caller.project_id}'",
            )
        return handler(request)

    def _find(self, request: Request) -> Callable[[Request], Answer]:
        path = request.path.removeprefix(f"/{request.api}")
        try:
            handler, request.parameters = self._routes.get(request.method, path)
        except NoSuchPath:
            first, _, rest = path.strip("/").partition("/")
            if not re.fullmatch(r"[0-9a-f-]+", first):
                raise
            handler, request.parameters = self._routes.get(request.method, rest)
            request.url_project = f"/{first}"
        return handler

    def view_key(self, request: Request, whole: bool = False) -> ViewKey:
        """Return what decides how servers look in the answer to a request."""
        project = request.url_project
        return ViewKey(
            f"{request.base}/{request.api}{project}",
            f"{request.base}{project}",
            step_of(request.microversion),
            request.caller.is_admin,
            whole,
        )

    def get_server(self, caller: Caller, server_id: str) -> Server:
        """Return a server the caller sees; raises Refused as for an absent one."""
        server = self.servers.get(server_id)
        if (
            server is None
            or server.deleted
            or not (caller.is_admin or server.project_id == caller.project_id)
        ):
            refuse(404, f"Instance {server_id} could not be found.")
        return server

    def first_host(self) -> str:
        """Return the host new servers go to."""
        return next(host for hosts in self.zones.values() for host in hosts)

    @cached_property
    def _routes(self) -> Routes:
        routes = Routes()
        for method, path, need, rule, handler in (
            *servers.ROUTES,
            *_boot_routes(servers.ROUTES),
            *_boot_routes(actions.ROUTES),
            *flavors.ROUTES,
            *keypairs.ROUTES,
            *information.ROUTES,
            *quotas.ROUTES,
            *hypervisors.ROUTES,
            *aggregates.ROUTES,
            *services.ROUTES,
            *usage.ROUTES,
            *migrations.ROUTES,
            *notices.ROUTES,
            *server_groups.ROUTES,
            *images.ROUTES,
            *storage.ROUTES,
            *baremetal.ROUTES,
            *networking.ROUTES,
            *actions.ROUTES,
        ):
            routes.add(method, path, self._guarded(need, rule, handler))
        for method, path, need, rule, serve in (
            *servers.SERVER_ROUTES,
            *details.ROUTES,
            *attached.ROUTES,
        ):
            routes.add(
                method, f"/servers/{{server_id}}{path}", self._for_server(path, need, rule, serve)
            )
        for method, path, need, rule, serve in servers.SERVER_ROUTES:
            clone = _until_102(self._for_server(path, need, rule, serve))
            routes.add(method, f"/os-volumes_boot/{{server_id}}{path}", clone)
        return routes

    def _guarded(self, need: str, rule: str, handler: CallHandler) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            require(request.caller, need, rule)
            return handler(self, request)

        return handle

    def _for_server(
        self, path: str, need: str, rule: str, handler: ServerHandler
    ) -> Callable[[Request], Answer]:
        since = next((n for part, n in details.SINCE.items() if path.startswith(part)), 1)

        def handle(request: Request) -> Answer:
            if request.microversion < since:
                refuse(404, "The resource could not be found.")
            server_id = request.parameters["server_id"]
            if path.startswith("/tags") and server_id not in self.servers:
                # Tags ask for the cell of a server before they ask for the server.
                refuse(404, f"Instance {server_id} has no mapping to a cell.")
            server = self.get_server(request.caller, server_id)
            require(request.caller, need, rule)
            return handler(self, request, server)

        return handle


def _boot_routes(
    routes: Iterable[tuple[str, str, str, str, CallHandler]],
) -> Iterator[tuple[str, str, str, str, CallHandler]]:
    """Yield the same routes below /os-volumes_boot, which is a clone of /servers up to 2.102."""
    for method, path, need, rule, handler in routes:
        clone = path.replace("/servers", "/os-volumes_boot")
        yield method, clone, need, rule, _cloned(handler)


def _cloned(handler: CallHandler) -> CallHandler:
    def handle(compute: "Compute", request: Request) -> Answer:
        return _until_102(lambda asked: handler(compute, asked))(request)

    return handle


def _until_102(handler: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def handle(request: Request) -> Answer:
        check_version(request, 102)
        return handler(request)

    return handle


def _error(status: int, message: str) -> Answer:
    name = _FAULTS.get(status, "computeFault")
    answer = answer_json({name: {"code": status, "message": message}}, status)
    answer.headers[0] = ("content-type", "application/json; charset=UTF-8")
    return answer
