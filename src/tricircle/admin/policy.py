"""Who may do what: oslo.policy rules with their defaults.

Pods tell where an operator's endpoints are, so reading them is for operators
too: an administrator, or a reader whose role is on the system and not on some
project. A project's own users see its jobs, and nothing of the cloud in them. An
operator may say otherwise in a policy file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from oslo_policy import policy

from tricircle.adapters.config import ConfigError
from tricircle.core.errors import Forbidden, ServiceUnavailable
from tricircle.core.model import Caller

log = logging.getLogger(__name__)

ADMIN = "tricircle:admin"
READER = "tricircle:admin_or_system_reader"
PROJECT = "tricircle:project_member_or_reader"
ANY_READER = "tricircle:any_reader"
SHOW_ALL_JOBS = "tricircle:jobs:show_all"

# A domain's administrator is refused by scope: the pods belong to no domain.
_SCOPES = ["system", "project"]

# What oslo.policy raises for a file that is not YAML, or YAML of another shape.
_BAD_FILE = (ValueError, AttributeError)

_BASE_RULES = (
    policy.RuleDefault(
        ADMIN,
        "role:admin and is_admin_project:True",
        "May change everything: pods, the zone map, jobs. is_admin_project is always true "
        "unless Keystone has an admin project configured.",
    ),
    policy.RuleDefault(
        READER,
        f"rule:{ADMIN} or (role:reader and system_scope:all)",
        "May read everything. The reader role of a project is not enough: its holder is a "
        "user of the cloud and has no business with the endpoints of pods.",
    ),
    policy.RuleDefault(
        PROJECT,
        "(role:member or role:reader) and project_id:%(project_id)s",
        "May see what belongs to the project of the token.",
    ),
    policy.RuleDefault(
        ANY_READER,
        f"rule:{READER} or rule:{PROJECT}",
        "May read what is shown to each as far as it is its own.",
    ),
)


def _rule(name: str, who: str, does: str, *operations: tuple[str, str]) -> policy.RuleDefault:
    return policy.DocumentedRuleDefault(
        name=f"tricircle:{name}",
        check_str=f"rule:{who}",
        description=does,
        operations=[{"method": method, "path": path} for method, path in operations],
        scope_types=_SCOPES,
    )


_RULES = (
    _rule("pods:list", READER, "List pods.", ("GET", "/v1/pods")),
    _rule("pods:show", READER, "Show a pod.", ("GET", "/v1/pods/{pod}")),
    _rule("pods:create", ADMIN, "Add a pod.", ("POST", "/v1/pods")),
    _rule(
        "pods:update",
        ADMIN,
        "Change, enable or disable a pod.",
        ("PATCH", "/v1/pods/{pod}"),
        ("POST", "/v1/pods/{pod}/enable"),
        ("POST", "/v1/pods/{pod}/disable"),
    ),
    _rule("pods:refresh", ADMIN, "Check a pod again.", ("POST", "/v1/pods/{pod}/refresh")),
    _rule("pods:delete", ADMIN, "Delete a pod.", ("DELETE", "/v1/pods/{pod}")),
    _rule("zones:list", READER, "List zones with their pods.", ("GET", "/v1/zones")),
    _rule(
        "zones:show",
        READER,
        "Show a zone, or one of its pods.",
        ("GET", "/v1/zones/{zone}"),
        ("GET", "/v1/zones/{zone}/pods/{pod}"),
    ),
    _rule("zones:create", ADMIN, "Let a pod serve a zone.", ("POST", "/v1/zones")),
    _rule(
        "zones:update",
        ADMIN,
        "Change what zone is sent to a pod.",
        ("PATCH", "/v1/zones/{zone}/pods/{pod}"),
    ),
    _rule(
        "zones:delete",
        ADMIN,
        "Take a pod out of a zone.",
        ("DELETE", "/v1/zones/{zone}/pods/{pod}"),
    ),
    _rule("routings:list", READER, "List routings.", ("GET", "/v1/routings")),
    _rule(
        "routings:show",
        READER,
        "Show the routings of a resource.",
        ("GET", "/v1/routings/{kind}/{top_id}"),
    ),
    _rule(
        "placement:show",
        READER,
        "Ask where a new resource would go, and why.",
        ("GET", "/v1/placement"),
    ),
    _rule("nodes:list", READER, "List pods as nodes.", ("GET", "/v1/nodes")),
    _rule("jobs:list", ANY_READER, "List jobs: those of the own project.", ("GET", "/v1/jobs")),
    _rule("jobs:show", ANY_READER, "Show a job of the own project.", ("GET", "/v1/jobs/{job}")),
    _rule(
        "jobs:show_all",
        READER,
        "See the jobs of all projects, and with them pods, workers, errors and who did what. "
        "Filters by pod, key and another project take it too.",
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/{job}"),
    ),
    _rule("jobs:create", ADMIN, "Ask for a job, of any project.", ("POST", "/v1/jobs")),
    _rule("jobs:redo", ADMIN, "Have a job done again.", ("POST", "/v1/jobs/{job}/redo")),
    _rule("jobs:cancel", ADMIN, "Give a job up.", ("POST", "/v1/jobs/{job}/cancel")),
    _rule("job_kinds:list", READER, "List the kinds of jobs.", ("GET", "/v1/job-kinds")),
)


class Policy(Protocol):
    """Decides whether a caller may do something."""

    def allows(self, rule: str, caller: Caller) -> bool:
        """Tell whether ``rule`` allows the caller. Raises ServiceUnavailable."""
        ...

    def require(self, rule: str, caller: Caller) -> None:
        """Return when ``rule`` allows the caller. Raises Forbidden."""
        ...


class EnforcedPolicy:
    """The rules of an oslo.policy enforcer."""

    def __init__(self, enforcer: policy.Enforcer) -> None:
        """Register the defaults with ``enforcer``, which reads the operator's file."""
        enforcer.register_defaults(list_rules())
        self._enforcer = enforcer

    def check_file(self) -> None:
        """Return when the policy file is there and good, or not there. Raises ConfigError."""
        try:
            self._enforcer.load_rules()
            self._enforcer.check_rules(raise_on_violation=True)
        except (*_BAD_FILE, policy.InvalidDefinitionError) as error:
            raise ConfigError(
                f"the policy file cannot be used: {error}; see etc/policy.yaml.sample"
            ) from error

    def allows(self, rule: str, caller: Caller) -> bool:
        """Tell whether ``rule`` allows the caller. Raises ServiceUnavailable."""
        try:
            return bool(self._enforcer.authorize(rule, _target_of(caller), _credentials_of(caller)))
        except _BAD_FILE as error:
            # It was changed since the program started; nobody gets in until it is good.
            log.error("policy file cannot be used", extra={"reason": str(error)})
            raise ServiceUnavailable(
                "the policy file cannot be used; an operator must look at the log"
            ) from error

    def require(self, rule: str, caller: Caller) -> None:
        """Return when ``rule`` allows the caller. Raises Forbidden, ServiceUnavailable."""
        if not self.allows(rule, caller):
            raise Forbidden(
                f"policy does not allow {rule} with this token; unless the policy file says "
                "otherwise it takes the role admin, or to read the role reader on the system, "
                "or for a project's own jobs a role in the project"
            )


def list_rules() -> Sequence[policy.RuleDefault]:
    """Return all rules, for the enforcer and oslopolicy-sample-generator."""
    return (*_BASE_RULES, *_RULES)


def _target_of(caller: Caller) -> dict[str, object]:
    """Return what rules compare with: the caller's own project, for it sees no other one's.

    Without a project nothing is there, lest None be equal to None.
    """
    return {} if caller.project_id is None else {"project_id": caller.project_id}


def _credentials_of(caller: Caller) -> dict[str, object]:
    """Return what rules can speak of, by the names of oslo.context."""
    return {
        "user_id": caller.user_id,
        "project_id": caller.project_id,
        "domain_id": caller.domain_id,
        "system_scope": caller.system_scope,
        "roles": sorted(caller.roles),
        "service_roles": sorted(caller.service_roles),
        "is_admin_project": caller.is_admin_project,
    }
