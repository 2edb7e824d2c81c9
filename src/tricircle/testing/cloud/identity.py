"""The simulated Keystone v3: enough for keystoneauth, keystonemiddleware and SDKs."""

from collections.abc import Callable, Iterable
from datetime import datetime

from tricircle.testing.cloud.accounts import (
    DOMAIN_ID,
    DOMAIN_NAME,
    Accounts,
    ApplicationCredential,
    Project,
    Token,
    User,
)
from tricircle.testing.cloud.catalogue import SERVICE_NAMES, Catalogue, Endpoint
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
    parse_body,
    refuse,
)
from tricircle.testing.cloud.service import Service, World
from tricircle.testing.cloud.sources import Clock, Ids, micro

_TITLES = {
    300: "Multiple Choices",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
}
_DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
_UNAUTHORIZED = "The request you have made requires authentication."


class Identity(Service):
    """Keystone: accounts, tokens and the catalogue."""

    def __init__(self, catalogue: Catalogue, clock: Clock, ids: Ids, token_life_s: float) -> None:
        self.accounts = Accounts(clock, ids, token_life_s)
        super().__init__("identity", "identity", World(self.accounts, clock, ids))
        self.catalogue = catalogue
        self._routes = self._build_routes()
        for role in ("admin", "manager", "member", "reader", "service"):
            self.accounts.add_role(role)

    def add_project(self, name: str) -> Project:
        """Return a new project."""
        return self.accounts.add_project(name)

    def add_user(self, name: str, password: str) -> User:
        """Return a new user."""
        return self.accounts.add_user(name, password)

    def add_role(self, user: User, project: Project, *roles: str) -> None:
        """Give a user roles in a project."""
        self.accounts.add_grant(user, project, roles)

    def revoke(self, token_id: str) -> None:
        """Make a token worthless at once."""
        self.accounts.tokens.pop(token_id, None)

    def answer(self, request: Request) -> Answer:
        """Return Keystone's answer."""
        try:
            handler, request.parameters = self._routes.get(request.method, request.path)
            answer = handler(request)
        except Refused as refused:
            answer = _error(refused.status, refused.message)
        except NoSuchPath:
            answer = _error(404, "(None) The requested URL was not found on the server.")
        except NoSuchMethod:
            answer = _error(405, "The method is not allowed for the requested URL.")
        answer.headers += [
            ("vary", "X-Auth-Token"),
            ("x-openstack-request-id", self.request_id()),
        ]
        return answer

    def _build_routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/", self._versions)
        routes.add("GET", "/v3", self._version)
        routes.add("POST", "/v3/auth/tokens", self._issue)
        routes.add("GET", "/v3/auth/tokens", self._validate)
        routes.add("HEAD", "/v3/auth/tokens", self._validate)
        routes.add("DELETE", "/v3/auth/tokens", self._revoke)
        routes.add("GET", "/v3/auth/catalog", self._own_catalogue)
        routes.add("GET", "/v3/auth/projects", self._own_projects)
        routes.add("GET", "/v3/users/{user_id}/projects", self._own_projects)
        self._add_lists(routes)
        credentials = "/v3/users/{user_id}/application_credentials"
        routes.add("POST", credentials, self._create_credential)
        routes.add("GET", credentials, self._list_credentials)
        routes.add("GET", credentials + "/{id}", self._show_credential)
        routes.add("DELETE", credentials + "/{id}", self._delete_credential)
        return routes

    def _add_lists(self, routes: Routes) -> None:
        listers: dict[str, tuple[str, Callable[[str], Iterable[Document]]]] = {
            "services": ("service", self._services),
            "endpoints": ("endpoint", self._endpoints),
            "regions": ("region", self._regions),
            "projects": ("project", self._projects),
            "users": ("user", self._users),
            "roles": ("role", self._roles),
            "domains": ("domain", self._domains),
        }
        for name, (single, lister) in listers.items():
            routes.add("GET", f"/v3/{name}", self._list_handler(name, lister))
            routes.add("GET", f"/v3/{name}/{{id}}", self._show_handler(single, lister))

    def _versions(self, request: Request) -> Answer:
        return answer_json({"versions": {"values": [_version_view(request)]}}, 300)

    def _version(self, request: Request) -> Answer:
        return answer_json({"version": _version_view(request)})

    def _caller_token(self, request: Request) -> Token:
        token = self.accounts.find_token(request.headers.get("x-auth-token", ""))
        if token is None:
            refuse(401, _UNAUTHORIZED)
        return token

    def _require_admin(self, request: Request, action: str) -> Token:
        token = self._caller_token(request)
        if not token.caller.is_admin:
            refuse(403, f"You are not authorized to perform the requested action: {action}.")
        return token

    def _issue(self, request: Request) -> Answer:
        try:
            auth = parse_body(request.body)["auth"]
            methods = auth["identity"]["methods"]
        except (ValueError, KeyError, TypeError):
            refuse(
                400,
                "Expecting to find auth in request body. The server could not comply with "
                "the request since it is either malformed or otherwise incorrect. The "
                "client is assumed to be in error.",
            )
        if methods == ["application_credential"]:
            token = self._issue_for_credential(auth["identity"]["application_credential"])
        elif methods == ["token"]:
            known = self.accounts.find_token(auth["identity"]["token"].get("id", ""))
            if known is None:
                refuse(401, _UNAUTHORIZED)
            token = self._issue_scoped(auth, known.caller.user_id, "token", known)
        elif methods == ["password"]:
            token = self._issue_scoped(auth, self._check_password(auth), "password", None)
        else:
            refuse(401, _UNAUTHORIZED)
        answer = answer_json({"token": self._token_view(request, token, True)}, 201)
        answer.headers.append(("x-subject-token", token.id))
        return answer

    def _check_password(self, auth: Json) -> str:
        given = auth["identity"]["password"]["user"]
        user = self.accounts.find_user(given.get("id") or given.get("name", ""))
        if user is None or user.password != given.get("password"):
            refuse(401, _UNAUTHORIZED)
        return user.id

    def _issue_scoped(self, auth: Json, user_id: str, method: str, known: Token | None) -> Token:
        user = self.accounts.users[user_id]
        scope = auth.get("scope", "unscoped" if user.default_project_id is None else None)
        expires_at: datetime | None = known.caller.expires_at if known else None
        methods = (method,) if known is None else tuple(dict.fromkeys((method, *known.methods)))
        if not isinstance(scope, dict) or "project" not in scope:
            return self.accounts.issue(user, None, (), methods, expires_at=expires_at)
        wanted = scope["project"]
        project = self.accounts.find_project(wanted.get("id") or wanted.get("name", ""))
        roles = self.accounts.grants.get((user_id, project.id)) if project else None
        if project is None or not roles:
            refuse(401, _UNAUTHORIZED)
        return self.accounts.issue(user, project, roles, methods, expires_at=expires_at)

    def _issue_for_credential(self, given: Json) -> Token:
        credential = self.accounts.credentials.get(given.get("id", ""))
        if credential is None and "name" in given:
            credential = next(
                (item for item in self.accounts.credentials.values() if item.name == given["name"]),
                None,
            )
        if credential is None or credential.secret != given.get("secret"):
            refuse(401, _UNAUTHORIZED)
        return self.accounts.issue(
            self.accounts.users[credential.user_id],
            self.accounts.projects[credential.project_id],
            credential.roles,
            ("application_credential",),
            credential,
        )

    def _token_view(self, request: Request, token: Token, catalogue: bool) -> Document:
        caller = token.caller
        view: Document = {
            "methods": list(token.methods),
            "user": {
                "domain": _DOMAIN,
                "id": caller.user_id,
                "name": caller.user_name,
                "password_expires_at": None,
            },
            "audit_ids": [token.audit_id],
            "expires_at": f"{micro(caller.expires_at)}Z",
            "issued_at": f"{micro(token.issued_at)}Z",
        }
        if caller.project_id:
            project = {"id": caller.project_id, "name": caller.project_name}
            view["project"] = {"domain": _DOMAIN, **project}
            view["is_domain"] = False
            view["roles"] = [
                {"id": self.accounts.add_role(role), "name": role} for role in sorted(caller.roles)
            ]
            if catalogue:
                root = request.base.removesuffix("/identity")
                view["catalog"] = self.catalogue.view(root, caller.project_id)
        if token.credential is not None:
            view["application_credential"] = _credential_in_token(token.credential)
        return view

    def _validate(self, request: Request) -> Answer:
        asking = self._caller_token(request)
        subject_id = request.headers.get("x-subject-token", "")
        subject = self.accounts.tokens.get(subject_id)
        if request.find("allow_expired") not in ("1", "true", "True"):
            subject = self.accounts.find_token(subject_id)
        own = asking.id == subject_id
        if not own and not asking.caller.is_admin and not asking.caller.is_service:
            refuse(
                403,
                "You are not authorized to perform the requested action: identity:validate_token.",
            )
        if subject is None:
            refuse(404, f"Could not find token: {subject_id}.")
        with_catalogue = not any(key == "nocatalog" for key, _ in request.pairs)
        if request.method == "HEAD":
            answer = Answer(200)
        else:
            answer = answer_json({"token": self._token_view(request, subject, with_catalogue)})
        answer.headers.append(("x-subject-token", subject.id))
        return answer

    def _revoke(self, request: Request) -> Answer:
        self._caller_token(request)
        subject_id = request.headers.get("x-subject-token", "")
        if self.accounts.find_token(subject_id) is None:
            refuse(404, f"Could not find token: {subject_id}.")
        self.revoke(subject_id)
        return Answer(204)

    def _own_catalogue(self, request: Request) -> Answer:
        token = self._caller_token(request)
        if not token.caller.project_id:
            refuse(
                403,
                "You are not authorized to perform the requested action: "
                "identity:get_auth_catalog.",
            )
        root = request.base.removesuffix("/identity")
        view = self.catalogue.view(root, token.caller.project_id)
        return answer_json({"catalog": view, "links": {"self": request.url}})

    def _own_projects(self, request: Request) -> Answer:
        user_id = self._caller_token(request).caller.user_id
        mine = [
            self._project_view(self.accounts.projects[project_id])
            for holder, project_id in self.accounts.grants
            if holder == user_id
        ]
        return answer_json(_collection(request, "projects", mine))

    def _list_handler(
        self, name: str, lister: Callable[[str], Iterable[Document]]
    ) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            root = request.base.removesuffix("/identity")
            self._require_admin(request, f"identity:list_{name}")
            items = [item for item in lister(root) if _matches(item, request.pairs)]
            return answer_json(_collection(request, name, items))

        return handle

    def _show_handler(
        self, single: str, lister: Callable[[str], Iterable[Document]]
    ) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            root = request.base.removesuffix("/identity")
            token = self._caller_token(request)
            wanted = request.parameters["id"]
            if not token.caller.is_admin and wanted not in (
                token.caller.user_id,
                token.caller.project_id,
            ):
                action = f"identity:get_{single}"
                refuse(403, f"You are not authorized to perform the requested action: {action}.")
            found = next((item for item in lister(root) if item["id"] == wanted), None)
            if found is None:
                refuse(404, f"Could not find {single}: {wanted}.")
            return answer_json({single: {**found, "links": {"self": request.url}}})

        return handle

    def _services(self, root: str) -> Iterable[Document]:
        for kind, service_id in self.catalogue.service_ids.items():
            name = SERVICE_NAMES.get(kind, kind)
            yield {"id": service_id, "type": kind, "name": name, "enabled": True}

    def _endpoints(self, root: str) -> Iterable[Document]:
        return [self._endpoint_view(root, item) for item in self.catalogue.endpoints.values()]

    def _endpoint_view(self, root: str, endpoint: Endpoint) -> Document:
        return {
            "id": endpoint.id,
            "interface": endpoint.interface,
            "region_id": endpoint.region,
            "service_id": self.catalogue.service_ids[endpoint.service_type],
            "url": endpoint.url.replace("{root}", root),
            "region": endpoint.region,
            "enabled": True,
        }

    def _regions(self, root: str) -> Iterable[Document]:
        for region in self.catalogue.regions:
            yield {"id": region, "description": "", "parent_region_id": None}

    def _projects(self, root: str) -> Iterable[Document]:
        return [self._project_view(project) for project in self.accounts.projects.values()]

    def _project_view(self, project: Project) -> Document:
        return {
            "id": project.id,
            "name": project.name,
            "domain_id": DOMAIN_ID,
            "description": project.description,
            "enabled": True,
            "parent_id": DOMAIN_ID,
            "is_domain": False,
            "tags": [],
            "options": {},
        }

    def _users(self, root: str) -> Iterable[Document]:
        for user in self.accounts.users.values():
            yield {
                "id": user.id,
                "name": user.name,
                "domain_id": DOMAIN_ID,
                "enabled": True,
                "default_project_id": user.default_project_id,
                "password_expires_at": None,
                "options": {},
            }

    def _roles(self, root: str) -> Iterable[Document]:
        for name, role_id in self.accounts.roles.items():
            yield {"id": role_id, "name": name, "domain_id": None, "description": None}

    def _domains(self, root: str) -> Iterable[Document]:
        yield {**_DOMAIN, "description": "The default domain", "enabled": True}

    def _create_credential(self, request: Request) -> Answer:
        caller = self._caller_token(request).caller
        if caller.user_id != request.parameters["user_id"]:
            refuse(
                403,
                "You are not authorized to perform the requested action: "
                "identity:create_application_credential.",
            )
        given = parse_body(request.body)["application_credential"]
        rules = given.get("access_rules")
        created = self.accounts.add_credential(
            self.accounts.users[caller.user_id],
            self.accounts.projects[caller.project_id],
            given["name"],
            given.get("secret") or self.accounts.hex_id(),
            None if rules is None else [(r["service"], r["method"], r["path"]) for r in rules],
        )
        view = {**self._credential_view(created), "secret": created.secret}
        return answer_json({"application_credential": view}, 201)

    def _credential_view(self, credential: ApplicationCredential) -> Document:
        view: Document = {
            "id": credential.id,
            "name": credential.name,
            "description": None,
            "project_id": credential.project_id,
            "expires_at": None,
            "unrestricted": False,
            "system": None,
            "roles": [
                {"id": self.accounts.roles[role], "name": role, "domain_id": None}
                for role in credential.roles
            ],
        }
        if credential.access_rules:
            view["access_rules"] = _rules_view(credential)
        return view

    def _list_credentials(self, request: Request) -> Answer:
        caller = self._caller_token(request).caller
        mine = [
            self._credential_view(item)
            for item in self.accounts.credentials.values()
            if item.user_id == caller.user_id
        ]
        return answer_json(_collection(request, "application_credentials", mine))

    def _get_credential(self, request: Request) -> ApplicationCredential:
        self._caller_token(request)
        wanted = request.parameters["id"]
        found = self.accounts.credentials.get(wanted)
        if found is None:
            refuse(404, f"Could not find Application Credential: {wanted}.")
        return found

    def _show_credential(self, request: Request) -> Answer:
        view = self._credential_view(self._get_credential(request))
        return answer_json({"application_credential": view})

    def _delete_credential(self, request: Request) -> Answer:
        del self.accounts.credentials[self._get_credential(request).id]
        return Answer(204)


def _error(status: int, message: str) -> Answer:
    error = {"code": status, "message": message, "title": _TITLES[status]}
    return answer_json({"error": error}, status)


def _version_view(request: Request) -> Document:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{request.base}/v3/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }
        ],
    }


def _rules_view(credential: ApplicationCredential) -> list[Document]:
    return [
        {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}
        for rule in credential.access_rules or ()
    ]


def _credential_in_token(credential: ApplicationCredential) -> Document:
    view: Document = {"id": credential.id, "name": credential.name, "restricted": True}
    if credential.access_rules:
        view["access_rules"] = _rules_view(credential)
    return view


def _matches(item: Document, filters: list[tuple[str, str]]) -> bool:
    return all(str(item[key]).lower() == value.lower() for key, value in filters if key in item)


def _collection(request: Request, name: str, items: list[Document]) -> Document:
    links = {"next": None, "self": request.url, "previous": None}
    return {name: items, "links": links}
