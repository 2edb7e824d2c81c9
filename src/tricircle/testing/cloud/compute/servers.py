"""GET, POST, PUT and DELETE of servers."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute import boot
from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.lists import (
    Filters,
    Order,
    check_query,
    parse_limit,
    parse_order,
    position_after,
    sort_servers,
)
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.compute.schemas import create_server, update_server
from tricircle.testing.cloud.compute.views import ViewKey
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Request,
    answer_bytes,
    answer_json,
    encode,
    refuse,
)

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute


class ServerIndex:
    """Servers in order, by project: made when asked for, forgotten on each change."""

    def __init__(self, compute: "Compute") -> None:
        self._compute = compute
        self._orders: dict[tuple[str | None, Order], tuple[list[Server], dict[str, int]]] = {}

    def forget(self) -> None:
        """Drop all orders."""
        self._orders.clear()

    def get(self, project_id: str | None, order: Order) -> tuple[list[Server], dict[str, int]]:
        """Return the servers of a project, or all, in order, and where each one is."""
        key = (project_id, order)
        if key not in self._orders:
            servers = [
                server
                for server in self._compute.servers.values()
                if project_id in (None, server.project_id)
            ]
            ordered = sort_servers(servers, order)
            positions = {server.uuid: place for place, server in enumerate(ordered)}
            self._orders[key] = (ordered, positions)
        return self._orders[key]


def list_basic(compute: "Compute", request: Request) -> Answer:
    """Answer GET /servers."""
    return _list(compute, request, "servers")


def list_detail(compute: "Compute", request: Request) -> Answer:
    """Answer GET /servers/detail."""
    return _list(compute, request, "servers/detail")


def _list(compute: "Compute", request: Request, collection: str) -> Answer:
    check_query(request, request.microversion)
    page = _page(compute, request)
    key = compute.view_key(request)
    show = compute.views.basic if collection == "servers" else compute.views.detail
    body = b'{"servers":[' + b",".join([show(server, key) for server in page]) + b"]"
    limit = parse_limit(request, compute.max_limit)
    if limit and len(page) == limit:
        body += b',"servers_links":' + encode(_next_link(request, key, collection, page[-1]))
    return answer_bytes(body + b"}")


def _page(compute: "Compute", request: Request) -> list[Server]:
    caller, minor = request.caller, request.microversion

    def addresses(server: Server) -> list[str]:
        return [address for _, address, _, _ in compute.list_addresses(server)]

    filters = Filters(request, caller, minor, compute.flavors, addresses)
    if filters.all_tenants and not caller.is_admin:
        rule = "detail" if request.path.endswith("detail") else "index"
        refuse(
            403,
            f"Policy doesn't allow os_compute_api:servers:{rule}:get_all_tenants to be performed.",
        )
    limit = parse_limit(request, compute.max_limit)
    order = parse_order(request, caller, minor)
    project_id = None if filters.all_tenants else caller.project_id
    servers, positions = compute.index.get(project_id, order)
    start = _start(compute, request, servers, positions, order)
    if filters.is_empty:
        return []
    tests = filters.tests
    page: list[Server] = []
    for place in range(start, len(servers)):
        if len(page) >= limit:
            break
        server = servers[place]
        if all(test(server) for test in tests):
            page.append(server)
    return page


def _start(
    compute: "Compute",
    request: Request,
    servers: list[Server],
    positions: dict[str, int],
    order: Order,
) -> int:
    marker = request.find("marker")
    if not marker:
        return 0
    if marker in positions:
        return positions[marker] + 1
    # Also deleted and foreign servers are good markers: Nova looks only at their values.
    known = compute.servers.get(marker)
    if known is None:
        refuse(400, f"marker [{marker}] not found")
    return position_after(servers, known, order)


def _next_link(request: Request, key: ViewKey, collection: str, last: Server) -> list[Document]:
    # As Nova does it: of several sort keys only one is left in the link.
    params = dict(sorted(request.pairs))
    params["marker"] = last.uuid
    return [{"rel": "next", "href": f"{key.self_prefix}/{collection}?{urlencode(params)}"}]


def show(compute: "Compute", request: Request, server: Server) -> Answer:
    """Answer GET /servers/{id}."""
    key = compute.view_key(request, whole=True)
    return answer_bytes(b'{"server":' + compute.views.detail(server, key) + b"}")


def create(compute: "Compute", request: Request) -> Answer:
    """Answer POST /servers."""
    body = read(request, create_server(request.microversion))
    given = body["server"]
    hints = body.get("os:scheduler_hints") or body.get("OS-SCH-HNT:scheduler_hints") or {}
    made = boot.boot(compute, request, given, hints)
    if str(given.get("return_reservation_id", False)).lower() in ("true", "1", "on", "yes"):
        return answer_json({"reservation_id": made[0].reservation_id}, 202)
    server = made[0]
    key = compute.view_key(request)
    self_link = f"{key.self_prefix}/servers/{server.uuid}"
    view = {
        "id": server.uuid,
        "links": [
            {"rel": "self", "href": self_link},
            {"rel": "bookmark", "href": f"{key.bookmark_prefix}/servers/{server.uuid}"},
        ],
        "OS-DCF:diskConfig": "AUTO" if server.auto_disk_config else "MANUAL",
        "security_groups": given.get("security_groups", [{"name": "default"}]),
        "adminPass": given.get("adminPass") or compute.ids().replace("-", "")[:12],
    }
    return answer_json({"server": view}, 202, {"location": self_link})


def update(compute: "Compute", request: Request, server: Server) -> Answer:
    """Answer PUT /servers/{id}."""
    given = read(request, update_server(request.microversion))["server"]
    if "pinned_availability_zone" in given:
        _pin(server, given["pinned_availability_zone"])
    names = {
        "name": "display_name",
        "description": "display_description",
        "hostname": "hostname",
        "accessIPv4": "access_ip_v4",
        "accessIPv6": "access_ip_v6",
    }
    for name, field in names.items():
        if name in given:
            setattr(server, field, given[name])
    if "OS-DCF:diskConfig" in given:
        server.auto_disk_config = given["OS-DCF:diskConfig"] == "AUTO"
    compute.touch(server)
    return answer_json({"server": shown_after_change(compute, request, server)})


def shown_after_change(compute: "Compute", request: Request, server: Server) -> Document:
    """Return a server as PUT and rebuild answer it: all of it from 2.75 on."""
    key = compute.view_key(request, whole=True)
    if request.microversion >= 75:
        return compute.views.show(server, key)
    return compute.views.short(server, key)


def _pin(server: Server, zone: str | None) -> None:
    if zone is not None and server.pinned_zone not in (None, zone):
        refuse(
            409,
            "Cannot change pinned availability zone directly. Unpin first by setting "
            "pinned_availability_zone to null.",
        )
    if zone is not None and server.pinned_zone is None and zone != server.availability_zone:
        refuse(
            409,
            "Server can only be pinned to its current availability zone "
            f"'{server.availability_zone}', but '{zone}' was requested.",
        )
    server.pinned_zone = zone


def delete(compute: "Compute", request: Request, server: Server) -> Answer:
    """Answer DELETE /servers/{id}; the server is gone after `delays.delete_s`."""
    if server.locked and not request.caller.is_admin:
        refuse(409, f"Instance {server.uuid} is locked")
    boot.destroy(compute, request, server)
    return empty(204)


ROUTES = (
    ("GET", "/servers", "read", "servers:index", list_basic),
    ("GET", "/servers/detail", "read", "servers:detail", list_detail),
    ("POST", "/servers", "write", "servers:create", create),
)
SERVER_ROUTES = (
    ("GET", "", "read", "servers:show", show),
    ("PUT", "", "write", "servers:update", update),
    ("DELETE", "", "write", "servers:delete", delete),
)
