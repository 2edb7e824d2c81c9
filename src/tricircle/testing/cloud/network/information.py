"""What Neutron tells about itself: extensions, agents, zones, quotas."""

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.network.resources import body_of, refuse_by_policy

EXTENSIONS = (
    "address-group", "agent", "auto-allocated-topology", "availability_zone",
    "allowed-address-pairs", "binding", "binding-extended", "default-subnetpools",
    "dns-integration", "empty-string-filtering", "ext-gw-mode", "external-net",
    "extra_dhcp_opt", "extraroute", "extraroute-atomic", "filter-validation",
    "fip-port-details", "ip-substring-filtering", "multi-provider", "net-mtu",
    "net-mtu-writable", "network_availability_zone", "pagination", "port-security",
    "project-id", "provider", "quotas", "quota_details", "rbac-address-group", "rbac-policies",
    "rbac-security-groups", "revision-if-match", "router", "router_availability_zone",
    "security-group", "security-groups-normalized-cidr", "security-groups-remote-address-group",
    "security-groups-shared-filtering", "sorting", "standard-attr-description",
    "standard-attr-revisions", "standard-attr-tag", "standard-attr-timestamp",
    "stateful-security-group", "subnet-service-types", "subnet_allocation",
)  # fmt: skip
DEFAULT_QUOTA = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
    "router_route": 30,
    "trunk": -1,
}


def _extension_view(alias: str) -> Document:
    return {
        "alias": alias,
        "name": alias.replace("-", " ").replace("_", " ").capitalize(),
        "description": "",
        "updated": "2016-01-01T10:00:00-00:00",
        "links": [],
    }


def list_extensions(caller: Caller, request: Request) -> Answer:
    """Answer GET /extensions."""
    return answer_json({"extensions": [_extension_view(alias) for alias in EXTENSIONS]})


def show_extension(caller: Caller, request: Request) -> Answer:
    """Answer GET /extensions/{alias}."""
    alias = request.parameters["id"]
    if alias not in EXTENSIONS:
        text = f"The resource could not be found.<br /><br />\nExtension with alias {alias} does "
        message = f"{text}not exist\n\n"
        return answer_json({"message": message, "code": "404 Not Found", "title": "Not Found"}, 404)
    return answer_json({"extension": _extension_view(alias)})


class Agents:
    """The agents of one Neutron; none unless a test adds some."""

    def __init__(self) -> None:
        self.items: list[Document] = []

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /agents."""
        if not caller.is_admin:
            return answer_json({"agents": []})
        return answer_json({"agents": self.items})


class Zones:
    """The availability zones of one Neutron."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /availability_zones."""
        zones = [
            {"name": name, "resource": resource, "state": "available"}
            for name in self.names
            for resource in ("network", "router")
        ]
        return answer_json({"availability_zones": zones})


class Quotas:
    """Quotas by project: kept and shown, not enforced."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, int]] = {}

    def show(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /quotas/{project}."""
        project_id = request.parameters["id"]
        self._require(caller, project_id, "get_quota")
        return answer_json({"quota": {**DEFAULT_QUOTA, **self._own.get(project_id, {})}})

    def show_default(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /quotas/{project}/default."""
        return answer_json({"quota": DEFAULT_QUOTA})

    def show_details(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /quotas/{project}/details."""
        project_id = request.parameters["id"]
        self._require(caller, project_id, "get_quota")
        limits = {**DEFAULT_QUOTA, **self._own.get(project_id, {})}
        details = {
            name: {"limit": limit, "used": 0, "reserved": 0} for name, limit in limits.items()
        }
        return answer_json({"quota": details})

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET /quotas."""
        if not caller.is_admin:
            refuse_by_policy(["get_quota"])
        quotas = [
            {**DEFAULT_QUOTA, **own, "project_id": project_id, "tenant_id": project_id}
            for project_id, own in self._own.items()
        ]
        return answer_json({"quotas": quotas})

    def update(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT /quotas/{project}."""
        if not caller.is_admin:
            refuse_by_policy(["update_quota"])
        project_id = request.parameters["id"]
        given = body_of(request).get("quota", {})
        unknown = [name for name in given if name not in DEFAULT_QUOTA]
        if unknown:
            refuse(400, f"Unrecognized attribute(s) '{', '.join(unknown)}'", "HTTPBadRequest")
        self._own.setdefault(project_id, {}).update(given)
        return answer_json({"quota": {**DEFAULT_QUOTA, **self._own[project_id]}})

    def delete(self, caller: Caller, request: Request) -> Answer:
        """Answer DELETE /quotas/{project}."""
        if not caller.is_admin:
            refuse_by_policy(["delete_quota"])
        self._own.pop(request.parameters["id"], None)
        return Answer(204)

    def _require(self, caller: Caller, project_id: str, rule: str) -> None:
        if not caller.is_admin and caller.project_id != project_id:
            refuse_by_policy([rule])
