"""Networks, floating IPs and security groups as Nova shows them (up to 2.35): all is Neutron's.

Rules of security groups are checked by schema only: nobody makes them in a pod's Nova.
"""

from typing import TYPE_CHECKING, NoReturn

from tricircle.testing.cloud.compute.guards import empty, read, require
from tricircle.testing.cloud.compute.proxying import (
    Reply,
    ask,
    check_query,
    check_version,
    limited,
    unexpected,
)
from tricircle.testing.cloud.compute.schemas import NON_NEGATIVE, UUID
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    Request,
    answer_json,
    parse_body,
    refuse,
)
from tricircle.testing.cloud.schemas import Schema, body_message, find_error, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_NUMBERS: Document = {"type": "array", "items": NON_NEGATIVE}
_TEXTS: Document = {"type": "array", "items": {"type": "string"}}
_GROUPS_QUERY: Schema = object_of(
    {"limit": _NUMBERS, "offset": _NUMBERS, "all_tenants": _TEXTS}, (), True
)
_TEXT: Document = {"type": "string", "minLength": 0, "maxLength": 255}
_GROUP: Document = dict(
    object_of({"name": _TEXT, "description": _TEXT}, ("name", "description"), True)
)
_RULE: Document = dict(
    object_of(
        {"group_id": {"type": ["string", "null"], "format": "uuid"}, "parent_group_id": UUID},
        ("parent_group_id",),
        True,
    )
)
_FLOATING_IP: Schema = {
    "type": ["object", "null"],
    "properties": {"pool": {"type": ["string", "null"]}},
}
_EMPTY = ("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6")
_ADMIN = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan",
    "vpn_public_address", "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id",
    "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server",
    "enable_dhcp", "share_address",
)  # fmt: skip


def _neutron(
    compute: "Compute", request: Request, method: str, path: str, body: Json = None
) -> Reply:
    path, _, query = path.partition("?")
    return ask(compute.network, request, method, f"/v2.0{path}", query, body)


def _words(reply: Reply) -> str:
    return f"{reply.message}\nNeutron server returns request_ids: ['{reply.request_id}']"


def _unexpected(compute: "Compute", reply: Reply) -> NoReturn:
    names = {400: "BadRequest", 404: "NotFound", 409: "Conflict"}
    unexpected(compute.max_minor, f"neutronclient.common.exceptions.{names[reply.status]}")


def _network_view(network: Document, request: Request) -> Document:
    view: Document = {"id": network["id"], **dict.fromkeys(_EMPTY), "label": network["name"]}
    view["netmask_v6"] = None
    return view | dict.fromkeys(_ADMIN) if request.caller.is_admin else view


def _networks(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-networks:list")
    found = _neutron(compute, request, "GET", "/networks").body["networks"]
    return answer_json({"networks": [_network_view(one, request) for one in found]})


def _network(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-networks:show")
    return answer_json({"network": _network_view(_get_network(compute, request), request)})


def _tenant_networks(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-tenant-networks:list")
    found = _neutron(compute, request, "GET", "/networks").body["networks"]
    return answer_json({"networks": [_tenant_view(one) for one in found]})


def _tenant_network(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-tenant-networks:show")
    return answer_json({"network": _tenant_view(_get_network(compute, request))})


def _tenant_view(network: Document) -> Document:
    return {"id": network["id"], "cidr": "None", "label": network["name"]}


def _get_network(compute: "Compute", request: Request) -> Document:
    reply = _neutron(compute, request, "GET", f"/networks/{request.parameters['id']}")
    if reply.status == 404:
        refuse(404, "Network not found")
    found: Document = reply.body["network"]
    return found


def _external(compute: "Compute", request: Request) -> list[Document]:
    reply = _neutron(compute, request, "GET", "/networks?router:external=True")
    found: list[Document] = reply.body["networks"]
    return found


def _pools(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    names = [one["name"] or one["id"] for one in _external(compute, request)]
    return answer_json({"floating_ip_pools": [{"name": name} for name in names]})


def _floating_ip_view(compute: "Compute", request: Request, floating_ip: Document) -> Document:
    network = _neutron(
        compute, request, "GET", f"/networks/{floating_ip['floating_network_id']}"
    ).body["network"]
    details = floating_ip["port_details"]
    return {
        "fixed_ip": floating_ip["fixed_ip_address"],
        "id": floating_ip["id"],
        "instance_id": details["device_id"] if details else None,
        "ip": floating_ip["floating_ip_address"],
        "pool": network["name"] or network["id"],
    }


def _floating_ips(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-floating-ips:list")
    path = f"/floatingips?tenant_id={request.caller.project_id}"
    found = _neutron(compute, request, "GET", path).body["floatingips"]
    views = [_floating_ip_view(compute, request, one) for one in found]
    return answer_json({"floating_ips": views})


def _get_floating_ip(compute: "Compute", request: Request) -> Document:
    floating_ip_id = request.parameters["id"]
    reply = _neutron(compute, request, "GET", f"/floatingips/{floating_ip_id}")
    if reply.status == 404:
        refuse(404, f"Floating IP not found for ID {floating_ip_id}")
    found: Document = reply.body["floatingip"]
    return found


def _floating_ip(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-floating-ips:show")
    found = _get_floating_ip(compute, request)
    return answer_json({"floating_ip": _floating_ip_view(compute, request, found)})


def _create_floating_ip(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = _read_or_none(request)
    require(request.caller, "write", "os-floating-ips:create")
    name = (given or {}).get("pool") or "nova"
    pools = [one for one in _external(compute, request) if name in (one["id"], one["name"])]
    if not pools:
        refuse(404, "Floating IP pool not found.")
    wanted = {"floatingip": {"floating_network_id": pools[0]["id"]}}
    reply = _neutron(compute, request, "POST", "/floatingips", wanted)
    if reply.status >= 400:
        _unexpected(compute, reply)
    view = _floating_ip_view(compute, request, reply.body["floatingip"])
    return answer_json({"floating_ip": view})


def _read_or_none(request: Request) -> Document | None:
    try:
        given: Json = parse_body(request.body) if request.body else None
    except ValueError:
        refuse(400, "Malformed request body")
    error = find_error(_FLOATING_IP, given)
    if error is not None:
        refuse(400, body_message(error))
    found: Document | None = given
    return found


def _delete_floating_ip(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "write", "os-floating-ips:delete")
    found = _get_floating_ip(compute, request)
    _neutron(compute, request, "DELETE", f"/floatingips/{found['id']}")
    return empty(202)


def _group_view(compute: "Compute", request: Request, group: Document) -> Document:
    rules = [
        _rule_view(compute, request, rule)
        for rule in group["security_group_rules"]
        if rule["direction"] == "ingress"
    ]
    return {
        "id": group["id"],
        "description": group["description"],
        "name": group["name"],
        "tenant_id": group["project_id"],
        "rules": [rule for rule in rules if rule],
    }


def _rule_view(compute: "Compute", request: Request, rule: Document) -> Document:
    named: Document = {}
    if rule["remote_group_id"] is not None:
        reply = _neutron(compute, request, "GET", f"/security-groups/{rule['remote_group_id']}")
        if reply.status == 404:
            return {}
        remote = reply.body["security_group"]
        named = {"name": remote["name"], "tenant_id": remote["project_id"]}
    first, last = rule["port_range_min"], rule["port_range_max"]
    if rule["protocol"] and first is None and last is None:
        first, last = (1, 65535) if rule["protocol"] in ("tcp", "udp") else (-1, -1)
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": first,
        "to_port": last,
        "group": named,
        "ip_range": {} if named else {"cidr": rule["remote_ip_prefix"] or "0.0.0.0/0"},
    }


def _groups(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    check_query(request, _GROUPS_QUERY)
    require(request.caller, "read", "os-security-groups:get")
    everyones = request.caller.is_admin and request.find("all_tenants") is not None
    query = "" if everyones else f"?tenant_id={request.caller.project_id}"
    reply = _neutron(compute, request, "GET", f"/security-groups{query}")
    found = limited(request, reply.body["security_groups"], compute.max_limit)
    views = [_group_view(compute, request, one) for one in found]
    views.sort(key=lambda one: (one["tenant_id"], one["name"]))
    return answer_json({"security_groups": views})


def _get_group(compute: "Compute", request: Request, group_id: str) -> Document:
    reply = _neutron(compute, request, "GET", f"/security-groups/{group_id}")
    if reply.status == 404:
        refuse(404, _words(reply))
    found: Document = reply.body["security_group"]
    return found


def _named_group(compute: "Compute", request: Request) -> Document:
    group_id = request.parameters["id"]
    _check_id(group_id)
    return _get_group(compute, request, group_id)


def _check_id(group_id: str) -> None:
    if find_error(UUID, group_id) is not None:
        refuse(400, "Security group id should be uuid")


def _show_group(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "read", "os-security-groups:show")
    found = _named_group(compute, request)
    return answer_json({"security_group": _group_view(compute, request, found)})


def _create_group(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = read(request, _body_of("security_group", _GROUP))["security_group"]
    require(request.caller, "write", "os-security-groups:create")
    wanted = {"security_group": {key: given[key] for key in ("name", "description")}}
    reply = _neutron(compute, request, "POST", "/security-groups", wanted)
    if reply.status in (400, 409):
        refuse({400: 400, 409: 403}[reply.status], _words(reply))
    view = _group_view(compute, request, reply.body["security_group"])
    return answer_json({"security_group": view})


def _update_group(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = read(request, _body_of("security_group", _GROUP))["security_group"]
    require(request.caller, "write", "os-security-groups:update")
    found = _named_group(compute, request)
    wanted = {"security_group": {key: given[key] for key in ("name", "description")}}
    reply = _neutron(compute, request, "PUT", f"/security-groups/{found['id']}", wanted)
    if reply.status >= 400:
        _unexpected(compute, reply)
    view = _group_view(compute, request, reply.body["security_group"])
    return answer_json({"security_group": view})


def _delete_group(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "write", "os-security-groups:delete")
    found = _named_group(compute, request)
    reply = _neutron(compute, request, "DELETE", f"/security-groups/{found['id']}")
    if reply.status == 409:
        refuse(400, _words(reply))
    return empty(202)


def _create_rule(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    given = read(request, _body_of("security_group_rule", _RULE))["security_group_rule"]
    require(request.caller, "write", "os-security-groups:rule:create")
    _get_group(compute, request, given["parent_group_id"])
    refuse(501, "the simulated Nova makes no rules of security groups")


def _delete_rule(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "write", "os-security-groups:rule:delete")
    rule_id = request.parameters["id"]
    _check_id(rule_id)
    reply = _neutron(compute, request, "GET", f"/security-group-rules/{rule_id}")
    if reply.status == 404:
        refuse(404, _words(reply))
    _neutron(compute, request, "DELETE", f"/security-group-rules/{rule_id}")
    return empty(202)


def _body_of(name: str, inner: Document) -> Schema:
    return object_of({name: inner}, (name,), True)


ROUTES = (
    ("GET", "/os-networks", "any", "", _networks),
    ("GET", "/os-networks/{id}", "any", "", _network),
    ("GET", "/os-tenant-networks", "any", "", _tenant_networks),
    ("GET", "/os-tenant-networks/{id}", "any", "", _tenant_network),
    ("GET", "/os-floating-ip-pools", "any", "", _pools),
    ("GET", "/os-floating-ips", "any", "", _floating_ips),
    ("POST", "/os-floating-ips", "any", "", _create_floating_ip),
    ("GET", "/os-floating-ips/{id}", "any", "", _floating_ip),
    ("DELETE", "/os-floating-ips/{id}", "any", "", _delete_floating_ip),
    ("GET", "/os-security-groups", "any", "", _groups),
    ("POST", "/os-security-groups", "any", "", _create_group),
    ("GET", "/os-security-groups/{id}", "any", "", _show_group),
    ("PUT", "/os-security-groups/{id}", "any", "", _update_group),
    ("DELETE", "/os-security-groups/{id}", "any", "", _delete_group),
    ("POST", "/os-security-group-rules", "any", "", _create_rule),
    ("DELETE", "/os-security-group-rules/{id}", "any", "", _delete_rule),
)
