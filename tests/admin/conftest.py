"""The whole Admin API as the program runs it: real HTTP, a real database, a simulated cloud."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jsonschema
import pytest
import pytest_asyncio

from tricircle.adapters.config import load_settings
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.testing.cloud import Reply, SimulatedCloud, serve
from tricircle.testing.cloud.serving import Application
from tricircle.wiring.admin import open_admin

_CONFIG = """
[DEFAULT]
state_path = {folder}
[keystone_authtoken]
www_authenticate_uri = {url}/identity
{login}
[service_credential]
{login}
[oslo_policy]
policy_file = {folder}/policy.yaml
"""
_LOGIN = """auth_type = password
auth_url = {url}/identity
username = tricircle
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""
_DOMAIN = {"id": "default", "name": "Default"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def message(self) -> str:
        """Return the message of an error."""
        return str(self.body["error"]["message"])


@dataclass
class Api:
    """A running Admin API and the cloud it looks at.

    Each answer is compared with the served OpenAPI document.
    """

    cloud: SimulatedCloud
    cloud_url: str
    url: str
    stores: SqlStores
    session: aiohttp.ClientSession
    document: dict[str, Any] = field(default_factory=dict)

    def token(self, *roles: str, user: str = "someone", project: str = "shop") -> str:
        """Return a token of a user with these roles in a project."""
        return self.cloud.token(user, project, roles)

    async def scoped_token(self, scope: Mapping[str, object], *roles: str) -> str:
        """Return a token with roles on ``scope``: ``{"system": {"all": True}}``, or a domain.

        The simulated Keystone knows projects only. So this token is one that Keystone is
        asked about once: then the answer is remembered.
        """
        token = f"gAAAAAB{uuid.uuid4().hex * 4}"
        now = datetime.now(UTC)
        body = {
            "methods": ["password"],
            "user": {"domain": _DOMAIN, "id": "auditor", "name": "auditor"},
            "audit_ids": [uuid.uuid4().hex[:22]],
            "issued_at": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z",
            "expires_at": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.000000Z",
            "roles": [{"id": f"id-of-{role}", "name": role} for role in roles],
            **scope,
        }
        known = Reply(200, json.dumps({"token": body}).encode())
        asked = self.cloud.faults.inject(known, "identity", "GET", "/auth/tokens", times=1)
        assert (await self.call("GET", "/v1/nothing", token=token)).status == 404
        assert asked.hits == 1
        return token

    @property
    def admin(self) -> str:
        """Return an administrator's token."""
        return self.cloud.token("admin", "admin")

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Return the answer to a request, as the administrator unless a token is given."""
        sent = {"X-Auth-Token": self.admin if token is None else token, **(headers or {})}
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        sent = {name: value for name, value in sent.items() if value}
        async with self.session.request(
            method, self.url + path, data=data, headers=sent, allow_redirects=False
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            parsed = json.loads(text) if is_json else text
            answer = Answer(response.status, response.headers, parsed)
        if self.document:
            self._compare(method, path, answer)
        return answer

    async def add_pod(self, name: str) -> Answer:
        """Return the answer to adding the pod of the region with its name."""
        return await self.call("POST", "/v1/pods", {"pod": {"name": name, "region": name}})

    async def add_zone(self, zone: str, pod: str, pod_az: str = "nova") -> Answer:
        """Return the answer to letting a pod serve a zone."""
        wanted = {"name": zone, "pod": pod, "pod_az": pod_az}
        return await self.call("POST", "/v1/zones", {"zone": wanted})

    def _compare(self, method: str, path: str, answer: Answer) -> None:
        """Fail when the document does not promise this answer."""
        operation = self._find_operation(method, urlsplit(path).path.rstrip("/") or "/")
        error = {"$ref": "#/components/schemas/ErrorBody"}
        if operation is None:
            assert answer.status >= 400
            schema: Any = error
        else:
            responses = operation["responses"]
            promised = responses.get(str(answer.status), responses.get("default", {}))
            contents = promised.get("content", {}).values()
            schema = next((content["schema"] for content in contents), None)
            if schema is None and answer.status >= 400:
                schema = error
        if schema is None:
            assert answer.body == ""
            return
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(answer.body)

    def _find_operation(self, method: str, path: str) -> Any:
        parts = path.split("/")
        for template, operations in self.document["paths"].items():
            names = template.split("/")
            if len(names) == len(parts) and all(
                name.startswith("{") or name == part
                for name, part in zip(names, parts, strict=True)
            ):
                return operations.get(method.lower())
        return None


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema and nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "tricircle.sqlite"
    asyncio.run(sync_schema(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def api(tmp_path: Path, empty_database: Path) -> AsyncIterator[Api]:
    """An Admin API in front of a cloud of two pods, none of them added."""
    async with _running(tmp_path, empty_database) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> AsyncIterator[Api]:
    """An Admin API for all tests of a module that leave nothing behind."""
    async with _running(tmp_path_factory.mktemp("shared"), empty_database) as running:
        yield running


@contextlib.asynccontextmanager
async def _running(folder: Path, empty_database: Path) -> AsyncIterator[Api]:
    shutil.copy(empty_database, folder / "tricircle.sqlite")
    cloud = SimulatedCloud()
    async with serve(cloud.app) as cloud_url:
        config = folder / "tricircle.conf"
        login = _LOGIN.format(url=cloud_url)
        config.write_text(_CONFIG.format(folder=folder, url=cloud_url, login=login))
        settings = load_settings("tricircle-api", files=[str(config)])
        database = open_database(settings.database.connection)
        async with (
            open_admin(settings) as application,
            serve(_as_served(application)) as url,
            aiohttp.ClientSession() as session,
        ):
            running = Api(cloud, cloud_url, url, SqlStores(database), session)
            running.document = (await running.call("GET", "/openapi.json")).body
            yield running
            for pod in cloud.pods.values():
                pod.faults.clear()
        await database.close()


def _as_served(application: Any) -> Application:
    return application  # type: ignore[no-any-return]  # one protocol, two spellings
