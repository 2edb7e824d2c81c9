"""Who may read and change pods, by the defaults and by an operator's file."""

from pathlib import Path

import pytest
from oslo_config import cfg
from oslo_policy import policy

from tricircle.adapters.config import ConfigError
from tricircle.admin.policy import EnforcedPolicy, list_rules
from tricircle.core.errors import Forbidden, ServiceUnavailable
from tricircle.core.model import Caller, ProjectId, UserId

READS = (
    "tricircle:pods:list",
    "tricircle:pods:show",
    "tricircle:zones:list",
    "tricircle:zones:show",
    "tricircle:routings:list",
    "tricircle:routings:show",
    "tricircle:placement:show",
    "tricircle:nodes:list",
    "tricircle:jobs:show_all",
    "tricircle:job_kinds:list",
)
PROJECT_READS = (
    "tricircle:jobs:list",
    "tricircle:jobs:show",
)
WRITES = (
    "tricircle:pods:create",
    "tricircle:pods:update",
    "tricircle:pods:refresh",
    "tricircle:pods:delete",
    "tricircle:zones:create",
    "tricircle:zones:update",
    "tricircle:zones:delete",
    "tricircle:jobs:create",
    "tricircle:jobs:redo",
    "tricircle:jobs:cancel",
)


def caller(
    *roles: str,
    project: str | None = "p1",
    domain: str | None = None,
    system: str | None = None,
    admin_project: bool = True,
) -> Caller:
    return Caller(
        user_id=UserId("u1"),
        project_id=ProjectId(project) if project else None,
        roles=frozenset(roles),
        token="t",
        is_admin_project=admin_project,
        domain_id=domain,
        system_scope=system,
    )


def enforced(folder: Path, file: str | None = None) -> EnforcedPolicy:
    source = cfg.ConfigOpts()
    source([], project="tricircle", default_config_files=[])
    path = folder / "policy.yaml"
    if file is not None:
        path.write_text(file)
    return EnforcedPolicy(policy.Enforcer(source, policy_file=str(path)))


ADMIN = caller("admin", "member", "reader")
SYSTEM_READER = caller("reader", project=None, system="all")


@pytest.mark.parametrize("rule", [*READS, *PROJECT_READS, *WRITES])
def test_an_administrator_may_do_everything(tmp_path: Path, rule: str) -> None:
    enforced(tmp_path).require(rule, ADMIN)


@pytest.mark.parametrize("rule", [*READS, *PROJECT_READS])
def test_a_reader_of_the_system_may_read(tmp_path: Path, rule: str) -> None:
    enforced(tmp_path).require(rule, SYSTEM_READER)


@pytest.mark.parametrize("rule", WRITES)
def test_a_reader_of_the_system_may_not_write(tmp_path: Path, rule: str) -> None:
    with pytest.raises(Forbidden, match=rule):
        enforced(tmp_path).require(rule, SYSTEM_READER)


@pytest.mark.parametrize(
    "who",
    [
        caller("reader"),
        caller("member", "reader"),
        caller("manager", "member", "reader"),
        caller("service"),
        caller(),
        caller("admin", project=None, domain="default"),
        caller("admin", admin_project=False),
        caller("administrator"),
    ],
    ids=[
        "reader",
        "member",
        "manager",
        "service",
        "no role",
        "domain admin",
        "not the admin project",
        "a role that begins alike",
    ],
)
@pytest.mark.parametrize("rule", [*READS, *WRITES])
def test_nobody_else_may_do_anything(tmp_path: Path, rule: str, who: Caller) -> None:
    with pytest.raises(Forbidden):
        enforced(tmp_path).require(rule, who)


@pytest.mark.parametrize("rule", PROJECT_READS)
@pytest.mark.parametrize("role", ["member", "reader"])
def test_who_has_a_role_in_a_project_may_see_its_jobs(tmp_path: Path, rule: str, role: str) -> None:
    enforced(tmp_path).require(rule, caller(role))


@pytest.mark.parametrize("rule", PROJECT_READS)
@pytest.mark.parametrize(
    "who",
    [
        caller("service"),
        caller("manager"),
        caller(),
        caller("member", "reader", project=None),
        caller("admin", "member", "reader", project=None, domain="default"),
        caller("member", project=None, system="all"),
    ],
    ids=[
        "service",
        "manager",
        "no role",
        "no project",
        "domain admin",
        "member of the system",
    ],
)
def test_who_has_no_such_role_or_no_project_sees_no_jobs(
    tmp_path: Path, rule: str, who: Caller
) -> None:
    rules = enforced(tmp_path)

    assert not rules.allows(rule, who)
    with pytest.raises(Forbidden, match=rule):
        rules.require(rule, who)


def test_a_policy_file_changes_a_rule(tmp_path: Path) -> None:
    changed = enforced(tmp_path, '"tricircle:pods:list": "role:operator"\n')

    changed.require("tricircle:pods:list", caller("operator"))
    with pytest.raises(Forbidden):
        changed.require("tricircle:pods:show", caller("operator"))


def test_a_policy_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    rules = enforced(tmp_path, '"tricircle:pods:list": "!"\n')
    with pytest.raises(Forbidden):
        rules.require("tricircle:pods:list", ADMIN)

    (tmp_path / "policy.yaml").write_text('"tricircle:pods:list": "rule:tricircle:admin"\n')

    rules.require("tricircle:pods:list", ADMIN)


@pytest.mark.parametrize(
    "file",
    [
        '"tricircle:pods:list": "rule:nothing"',
        '"tricircle:admin": "rule:tricircle:admin"',
        "a: [",
        "- x",
    ],
    ids=["unknown rule", "rule of itself", "no YAML", "no mapping"],
)
def test_a_policy_file_that_cannot_be_used_is_found_at_start(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)policy file cannot be used: .*policy.yaml.sample"):
        enforced(tmp_path, file).check_file()


def test_no_policy_file_is_as_good_as_a_good_one(tmp_path: Path) -> None:
    enforced(tmp_path).check_file()
    enforced(tmp_path, '"tricircle:pods:list": "role:operator"').check_file()


def test_nobody_gets_in_while_the_policy_file_is_broken(tmp_path: Path) -> None:
    rules = enforced(tmp_path)
    rules.require("tricircle:pods:list", ADMIN)

    (tmp_path / "policy.yaml").write_text("a: [")
    with pytest.raises(ServiceUnavailable, match="policy file"):
        rules.require("tricircle:pods:list", ADMIN)

    (tmp_path / "policy.yaml").write_text("{}")
    rules.require("tricircle:pods:list", ADMIN)


def test_every_rule_says_which_requests_it_is_for() -> None:
    documented = [rule for rule in list_rules() if isinstance(rule, policy.DocumentedRuleDefault)]

    assert {rule.name for rule in documented} == {*READS, *PROJECT_READS, *WRITES}
    assert all(rule.operations and rule.description for rule in documented)


def test_the_sample_in_the_tree_is_what_the_rules_say() -> None:
    sample = (Path(__file__).parents[2] / "etc" / "policy.yaml.sample").read_text()

    for rule in list_rules():
        assert f'#"{rule.name}": "{rule.check_str}"' in sample
