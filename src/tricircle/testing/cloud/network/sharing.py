"""RBAC policies: who else may use a network, a group or an address group."""

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Document, Refused, refuse
from tricircle.testing.cloud.network.attributes import RBAC_POLICY
from tricircle.testing.cloud.network.resources import GONE, Resource, refuse_by_policy

_ACTIONS = {
    "network": ("access_as_shared", "access_as_external"),
    "security_group": ("access_as_shared",),
    "address_group": ("access_as_shared",),
    "qos_policy": ("access_as_shared",),
    "subnetpool": ("access_as_shared",),
    "address_scope": ("access_as_shared",),
}


class Policies(Resource):
    """RBAC policies of one Neutron."""

    collection = "rbac_policies"
    single = "rbac_policy"
    attributes = RBAC_POLICY

    def refuse_absent(self, item_id: str) -> Refused:
        """Return Neutron's error for an absent policy."""
        message = f"RBAC policy of type unknown with ID {item_id} not found"
        return Refused(404, message, "RbacPolicyNotFound")

    def create(self, caller: Caller, values: Document) -> Document:
        """Refuse a wrong type or action, an absent object, and an equal policy."""
        kind, action = values["object_type"], values["action"]
        if kind not in _ACTIONS:
            refuse(
                400,
                f"Invalid input for operation: '{kind}' is not a valid RBAC object type.",
                "InvalidInput",
            )
        if action not in _ACTIONS[kind]:
            refuse(
                400,
                f"Action '{action}' for RBAC policy is not valid. Valid actions: "
                f"{', '.join(_ACTIONS[kind])}.",
                "InvalidRbacAction",
            )
        owner = self._owner(kind, caller, values["object_id"])
        if not caller.is_admin and owner != caller.project_id:
            refuse(404, GONE, "HTTPNotFound")
        if values["target_tenant"] == "*" and not caller.is_admin:
            refuse_by_policy(
                [
                    "create_rbac_policy",
                    *(
                        f"create_rbac_policy:{name}"
                        for name in ("object_type", "object_id", "target_tenant", "action")
                    ),
                ]
            )
        same = ("object_type", "object_id", "target_tenant", "action")
        if any(all(item[k] == values[k] for k in same) for item in self.items.values()):
            refuse(409, "An RBAC policy already exists with those values.", "DuplicateRbacPolicy")
        return {}

    def _owner(self, kind: str, caller: Caller, object_id: str) -> str:
        known: dict[str, Resource] = {
            "network": self.network.networks,
            "security_group": self.network.groups,
            "address_group": self.network.address_groups,
        }
        if kind not in known:
            return caller.project_id
        owner: str = known[kind].get(caller, object_id)["project_id"]
        return owner

    def covers(self, kind: str, object_id: str, project_id: str) -> bool:
        """Return whether a policy shares an object with a project."""
        return any(
            item["object_id"] == object_id
            and item["object_type"] == kind
            and item["target_tenant"] in ("*", project_id)
            for item in self.items.values()
        )

    def forget(self, kind: str, object_id: str) -> None:
        """Remove the policies of an object that is gone."""
        gone = [
            key
            for key, item in self.items.items()
            if item["object_id"] == object_id and item["object_type"] == kind
        ]
        for key in gone:
            del self.items[key]
