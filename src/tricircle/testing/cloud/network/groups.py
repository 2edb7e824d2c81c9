"""Security groups, their rules and address groups."""

import ipaddress

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Refused,
    Request,
    answer_json,
    refuse,
)
from tricircle.testing.cloud.network.attributes import (
    ADDRESS_GROUP,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
)
from tricircle.testing.cloud.network.resources import Resource, body_of, refuse_by_policy
from tricircle.testing.cloud.sources import zulu

_PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58,
    "igmp": 2, "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132,
    "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
_WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite", "6", "17", "132", "33", "136")
_KEY = (
    "direction",
    "ethertype",
    "port_range_max",
    "port_range_min",
    "remote_group_id",
    "remote_address_group_id",
    "security_group_id",
)


class SecurityGroups(Resource):
    """Security groups; each project gets its default group when it first matters."""

    collection = "security_groups"
    single = "security_group"
    attributes = SECURITY_GROUP

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent group."""
        message = f"Security group {item_id} does not exist"
        return Refused(404, message, "SecurityGroupNotFound")

    def ensure_default(self, project_id: str) -> Document:
        """Return the default group of a project, with its four rules when it is new."""
        for group in self.items.values():
            if group["project_id"] == project_id and group["name"] == "default":
                return group
        group = self._make(project_id, "default", "Default security group")
        self.items[group["id"]] = group
        rules = self.network.rules
        for ethertype in ("IPv4", "IPv6"):
            rules.make(group, "egress", ethertype)
        for ethertype in ("IPv4", "IPv6"):
            rules.make(group, "ingress", ethertype, group["id"])
        return group

    def _make(self, project_id: str, name: str, description: str) -> Document:
        now = zulu(self.network.clock())
        return {
            "id": self.network.ids(),
            "name": name,
            "description": description,
            "project_id": project_id,
            "stateful": True,
            "shared": False,
            "tags": [],
            "created_at": now,
            "updated_at": now,
            "revision_number": 1,
        }

    def create(self, caller: Caller, values: Document) -> Document:
        """Return a group with its two egress rules."""
        self.ensure_default(values["project_id"])
        if values["name"] == "default":
            message = "Default security group already exists."
            refuse(409, message, "SecurityGroupDefaultAlreadyExists")
        for ethertype in ("IPv4", "IPv6"):
            self.network.rules.make(values, "egress", ethertype)
        return {"shared": False}

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Refuse to rename the default group."""
        if item["name"] == "default" and "name" in changes:
            refuse(
                409,
                "Updating default security group not allowed.",
                "SecurityGroupCannotUpdateDefault",
            )
        self.network.changed_groups()

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse while ports use a group, and a member's default group."""
        if item["name"] == "default" and not caller.is_admin:
            refuse(
                409,
                "Insufficient rights for removing default security group.",
                "SecurityGroupCannotRemoveDefault",
            )
        if any(item["id"] in port["security_groups"] for port in self.network.ports.items.values()):
            refuse(409, f"Security Group {item['id']} in use.", "SecurityGroupInUse")
        rules = self.network.rules.items
        for rule_id in [
            key
            for key, rule in rules.items()
            if item["id"] in (rule["security_group_id"], rule["remote_group_id"])
        ]:
            del rules[rule_id]
        self.network.sharing.forget("security_group", item["id"])

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether a policy shares a group."""
        return self.network.sharing.covers("security_group", item["id"], caller.project_id)

    def derived(self, item: Document) -> Document:
        """Return the rules of a group."""
        rules = [
            {
                **rule,
                "tenant_id": rule["project_id"],
                "belongs_to_default_sg": None if item["name"] == "default" else False,
                "standard_attr_id": 1,
                "tags": [],
            }
            for rule in self.network.rules.items.values()
            if rule["security_group_id"] == item["id"]
        ]
        return {"security_group_rules": rules}

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET of the collection, after the default group of its project is there."""
        asked = request.find("project_id") or request.find("tenant_id")
        self.ensure_default(asked or caller.project_id)
        return super().index(caller, request)


class SecurityGroupRules(Resource):
    """Rules of security groups."""

    collection = "security_group_rules"
    single = "security_group_rule"
    attributes = SECURITY_GROUP_RULE

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent rule."""
        message = f"Security group rule {item_id} does not exist"
        return Refused(404, message, "SecurityGroupRuleNotFound")

    def make(
        self, group: Document, direction: str, ethertype: str, remote_group_id: str | None = None
    ) -> None:
        """Add a rule Neutron makes by itself."""
        now = zulu(self.network.clock())
        rule = {
            "id": self.network.ids(),
            "project_id": group["project_id"],
            "security_group_id": group["id"],
            "direction": direction,
            "ethertype": ethertype,
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_group_id": remote_group_id,
            "remote_ip_prefix": None,
            "remote_address_group_id": None,
            "normalized_cidr": None,
            "description": None,
            "belongs_to_default_sg": group["name"] == "default",
            "created_at": now,
            "updated_at": now,
            "revision_number": 0,
        }
        self.items[rule["id"]] = rule

    def create(self, caller: Caller, values: Document) -> Document:
        """Return a checked rule; 409 with the id of an equal one."""
        group = self.network.groups.get(caller, values["security_group_id"])
        if values["remote_group_id"] is not None:
            self.network.groups.get(caller, values["remote_group_id"])
        if values["remote_address_group_id"] is not None:
            self.network.address_groups.get(caller, values["remote_address_group_id"])
        remotes = ("remote_group_id", "remote_ip_prefix", "remote_address_group_id")
        if sum(values[name] is not None for name in remotes) > 1:
            refuse(
                400,
                "Only one of remote_ip_prefix or remote_group_id or "
                "remote_address_group_id may be provided.",
                "SecurityGroupMultipleRemoteEntites",
            )
        made = _canonical(values)
        key = _key_of({**values, **made})
        for rule in self.items.values():
            if rule["security_group_id"] == group["id"] and _key_of(rule) == key:
                refuse(
                    409,
                    f"Security group rule already exists. Rule id is {rule['id']}.",
                    "SecurityGroupRuleExists",
                )
        self.network.groups.touch(group)
        default = group["name"] == "default"
        prefix = values["remote_ip_prefix"]
        cidr = None if prefix is None else str(ipaddress.ip_network(prefix, strict=False))
        return {
            **made,
            "normalized_cidr": cidr,
            "belongs_to_default_sg": default,
            "revision_number": 0,
        }

    def delete(self, caller: Caller, item: Document) -> None:
        """Give the group a new revision."""
        group = self.network.groups.items.get(item["security_group_id"])
        if group is not None:
            self.network.groups.touch(group)

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether the rule's group is the caller's."""
        group = self.network.groups.items.get(item["security_group_id"])
        return group is not None and group["project_id"] == caller.project_id

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET of the collection, after the default group is there."""
        self.network.groups.ensure_default(caller.project_id)
        return super().index(caller, request)


class AddressGroups(Resource):
    """Address groups; their addresses change by actions."""

    collection = "address_groups"
    single = "address_group"
    attributes = ADDRESS_GROUP

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent group."""
        return Refused(404, f"Address group {item_id} could not be found.", "AddressGroupNotFound")

    def create(self, caller: Caller, values: Document) -> Document:
        """Return the addresses in order, once each."""
        return {"addresses": sorted(set(values["addresses"]))}

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse while a rule uses a group."""
        rules = self.network.rules.items.values()
        if any(rule["remote_address_group_id"] == item["id"] for rule in rules):
            refuse(
                409,
                f"Address group {item['id']} is in use on one or more security group rules.",
                "AddressGroupInUse",
            )

    def add_addresses(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT add_addresses; 400 for addresses that are there already."""
        group, given = self._given_addresses(caller, request)
        known = [address for address in given if address in group["addresses"]]
        if known:
            message = f"Addresses {known} already exist in the address group {group['id']}."
            refuse(400, message, "AddressesAlreadyExist")
        return self._set_addresses(caller, group, [*group["addresses"], *given])

    def remove_addresses(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT remove_addresses; 404 for addresses that are not there."""
        group, given = self._given_addresses(caller, request)
        absent = [address for address in given if address not in group["addresses"]]
        if absent:
            message = f"Addresses {absent} not found in the address group {group['id']}."
            refuse(404, message, "AddressesNotFound")
        kept = [address for address in group["addresses"] if address not in given]
        return self._set_addresses(caller, group, kept)

    def _given_addresses(self, caller: Caller, request: Request) -> tuple[Document, list[str]]:
        group = self.get(caller, request.parameters["id"])
        if not self.may_change(caller, group):
            refuse_by_policy(["update_address_group"])
        return group, list(body_of(request).get("addresses", ()))

    def _set_addresses(self, caller: Caller, group: Document, addresses: list[str]) -> Answer:
        group["addresses"] = sorted(set(addresses))
        self.touch(group)
        return answer_json({self.single: self.view(caller, group)})


def _canonical(values: Document) -> Document:
    protocol = values["protocol"]
    if protocol is not None:
        protocol = str(protocol).lower()
        protocol = None if protocol == "any" else protocol
    if (
        protocol is not None
        and protocol not in _PROTOCOLS
        and not (protocol.isdigit() and int(protocol) <= 255)
    ):
        names = (None, "any", *_PROTOCOLS)
        refuse(
            400,
            f"Security group rule protocol {protocol} not supported. Only protocol values "
            f"{names} and integer representations [0 to 255] are supported.",
            "SecurityGroupRuleInvalidProtocol",
        )
    ethertype = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(values["ethertype"]).lower())
    if ethertype is None:
        refuse(
            400,
            f"Security group rule for ethertype '{values['ethertype']}' not supported. Allowed "
            "values are ['IPv4', 'IPv6'].",
            "SecurityGroupRuleInvalidEtherType",
        )
    prefix = values["remote_ip_prefix"]
    if prefix is not None and not _is_cidr(prefix):
        refuse(400, f"Invalid CIDR {prefix} given as IP prefix.", "InvalidCIDR")
    if prefix is not None and (":" in prefix) != (ethertype == "IPv6"):
        refuse(
            400,
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}",
            "SecurityGroupRuleParameterConflict",
        )
    low, high = _port(values["port_range_min"]), _port(values["port_range_max"])
    _check_ports(protocol, low, high)
    return {
        "protocol": protocol,
        "ethertype": ethertype,
        "port_range_min": low,
        "port_range_max": high,
    }


def _is_cidr(prefix: str) -> bool:
    try:
        ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        return False
    return True


def _port(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int | str) and str(value).isdigit() and int(value) <= 65_535:
        return int(value)
    refuse(400, f"Invalid value for port {value}", "SecurityGroupInvalidPortValue")


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if protocol is None:
        refuse(
            400,
            "Must also specify protocol if port range is given.",
            "SecurityGroupProtocolRequiredWithPorts",
        )
    if protocol in _WITH_PORTS and (low is None or high is None or low > high):
        refuse(
            400,
            "For TCP/UDP protocols, port_range_min must be <= port_range_max",
            "SecurityGroupInvalidPortRange",
        )


def _key_of(rule: Document) -> tuple[str, ...]:
    protocol = rule["protocol"]
    number = _PROTOCOLS.get(protocol, protocol)
    prefix = rule["remote_ip_prefix"]
    prefix = None if prefix in ("0.0.0.0/0", "::/0") else prefix
    return (*(str(rule[name]) for name in _KEY), str(number), str(prefix))
