"""Users, projects, roles and tokens of the simulated Keystone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tricircle.testing.cloud.callers import AccessRule, Caller
from tricircle.testing.cloud.sources import Clock, Ids

DOMAIN_ID = "default"
DOMAIN_NAME = "Default"

# What a role brings with it, as keystone-manage bootstrap sets it up.
IMPLIED_ROLES = {"admin": ("manager",), "manager": ("member",), "member": ("reader",)}


@dataclass(slots=True)
class User:
    """Someone who can ask for tokens."""

    id: str
    name: str
    password: str
    default_project_id: str | None = None


@dataclass(slots=True)
class Project:
    """An owner of resources."""

    id: str
    name: str
    description: str = ""


@dataclass(slots=True)
class ApplicationCredential:
    """A secret that stands for a user in one project, with some of its roles."""

    id: str
    name: str
    secret: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    access_rules: tuple[AccessRule, ...] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """One token and what it allows."""

    id: str
    caller: Caller
    issued_at: datetime
    audit_id: str
    methods: tuple[str, ...]
    credential: ApplicationCredential | None = None


@dataclass(slots=True)
class Accounts:
    """Everything the simulated Keystone knows about people."""

    clock: Clock
    ids: Ids
    token_life_s: float = 3600.0
    users: dict[str, User] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    grants: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    credentials: dict[str, ApplicationCredential] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def hex_id(self) -> str:
        """Return a new id in Keystone's form."""
        return self.ids().replace("-", "")

    def add_role(self, name: str) -> str:
        """Ensure a role and return its id."""
        if name not in self.roles:
            self.roles[name] = self.hex_id()
        return self.roles[name]

    def add_project(self, name: str) -> Project:
        """Return a new project."""
        project = Project(self.hex_id(), name)
        self.projects[project.id] = project
        return project

    def add_user(self, name: str, password: str) -> User:
        """Return a new user."""
        user = User(self.hex_id(), name, password)
        self.users[user.id] = user
        return user

    def add_grant(self, user: User, project: Project, roles: Iterable[str]) -> None:
        """Give a user roles in a project, with those they imply."""
        held = self.grants.setdefault((user.id, project.id), set())
        waiting = list(roles)
        while waiting:
            role = waiting.pop()
            self.add_role(role)
            if role not in held:
                held.add(role)
                waiting.extend(IMPLIED_ROLES.get(role, ()))

    def find_user(self, key: str) -> User | None:
        """Return a user by id or name."""
        found = self.users.get(key)
        return found or next((user for user in self.users.values() if user.name == key), None)

    def find_project(self, key: str) -> Project | None:
        """Return a project by id or name."""
        found = self.projects.get(key)
        return found or next((item for item in self.projects.values() if item.name == key), None)

    def has_project(self, project_id: str) -> bool:
        """Tell whether there is a project of this id."""
        return project_id in self.projects

    def add_credential(
        self,
        user: User,
        project: Project,
        name: str,
        secret: str,
        access_rules: Iterable[tuple[str, str, str]] | None = None,
    ) -> ApplicationCredential:
        """Return a new application credential; rules are (service, method, path)."""
        rules = None
        if access_rules is not None:
            rules = tuple(AccessRule(self.hex_id(), *rule) for rule in access_rules)
        roles = tuple(sorted(self.grants.get((user.id, project.id), ())))
        credential = ApplicationCredential(
            self.hex_id(), name, secret, user.id, project.id, roles, rules
        )
        self.credentials[credential.id] = credential
        return credential

    def issue(
        self,
        user: User,
        project: Project | None,
        roles: Iterable[str],
        methods: tuple[str, ...] = ("password",),
        credential: ApplicationCredential | None = None,
        expires_at: datetime | None = None,
    ) -> Token:
        """Return a new token of a user, scoped to a project if there is one."""
        now = self.clock()
        caller = Caller(
            user_id=user.id,
            user_name=user.name,
            project_id=project.id if project else "",
            project_name=project.name if project else "",
            roles=frozenset(roles),
            expires_at=expires_at or now + timedelta(seconds=self.token_life_s),
            access_rules=credential.access_rules if credential else None,
        )
        # As long as a Fernet token, because what travels in each request counts.
        token_id = "gAAAAAB" + "".join(self.hex_id() for _ in range(5)) + "Z" * 16
        token = Token(token_id, caller, now, self.hex_id()[:22], methods, credential)
        self.tokens[token_id] = token
        return token

    def find_token(self, token_id: str) -> Token | None:
        """Return a token that is known and not expired."""
        token = self.tokens.get(token_id)
        if token is None or token.caller.expires_at <= self.clock():
            return None
        return token

    def find_caller(self, token: str) -> Caller | None:
        """Return the owner of a token that is valid now."""
        found = self.find_token(token)
        return found.caller if found else None
