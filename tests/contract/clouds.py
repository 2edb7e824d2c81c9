"""A cloud to ask, simulated or real, and people who have tokens of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tricircle.adapters.cloud.credential import KeystoneCredential, make_credential
from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud
from tricircle.adapters.cloud.tokens import KeystoneTokens, make_tokens
from tricircle.adapters.config import Settings, load_settings
from tricircle.core.endpoints import parse_catalogue_url
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.interfaces.cloud import Headers, PodRequest
from tricircle.testing.cloud import SimulatedCloud, serve

LAB_RUN = Path(__file__).resolve().parents[2] / "lab" / "run"
TIMEOUT_S = 60.0
JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read whole."""

    status: int
    headers: Headers
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        """The body as the JSON object it must be."""
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document

    def find_header(self, name: bytes) -> bytes | None:
        """Return a header's first value."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Person:
    """How somebody logs in."""

    username: str
    password: str
    project_name: str


class Place:
    """Keystone and one pod, reached by the adapters of a real program."""

    def __init__(
        self, settings: Settings, auth_url: str, region: str, people: Mapping[str, Person]
    ) -> None:
        self.settings = settings
        self.region = region
        self.http = HttpCloud(Service.COMPUTE, Rhythm())
        self.credential: KeystoneCredential = make_credential(settings)
        self.pod = Pod(PodId("a-pod"), region, region)
        self._identity = Endpoint(Service.IDENTITY, auth_url)
        self._people = people
        self._checkers: list[KeystoneTokens] = []

    def make_checker(self, service: Service = Service.COMPUTE) -> KeystoneTokens:
        """Return a token checker with an empty cache."""
        self._checkers.append(make_tokens(self.settings, service.value))
        return self._checkers[-1]

    async def find_pod(self) -> None:
        """Take the pod's endpoints from the catalogue."""
        urls = await self.credential.get_endpoints(self.region)
        endpoints = {}
        for service in (Service.COMPUTE, Service.VOLUME, Service.PLACEMENT):
            url = parse_catalogue_url(service, urls[service]).versioned
            endpoints[service] = Endpoint(service, url)
        self.pod = Pod(self.pod.id, self.region, self.region, endpoints=endpoints)
        self.http.update_pods([self.pod])

    async def ask(self, service: Service, request: PodRequest) -> Answer:
        """Send a request to the pod."""
        return await self._send(self.pod.endpoints[service], request)

    async def ask_keystone(
        self, method: str, path: str, headers: Headers = (), document: object = None
    ) -> Answer:
        """Send a request to Keystone."""
        body = None if document is None else json.dumps(document).encode()
        headers = [*headers, *([JSON] if body else [])]
        return await self._send(self._identity, PodRequest(method, path, "", headers, body))

    async def log_in(self, name: str = "demo") -> str:
        """Return a new token of somebody."""
        person = self._people[name]
        user = {"name": person.username, "domain": {"id": "default"}, "password": person.password}
        project = {"name": person.project_name, "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return await self.get_token({"identity": identity, "scope": {"project": project}})

    async def get_token(self, auth: Mapping[str, object]) -> str:
        """Return the token for a body of ``POST /auth/tokens``."""
        answer = await self.ask_keystone("POST", "/auth/tokens", (), {"auth": auth})
        assert answer.status == 201, answer.body
        token = answer.find_header(b"x-subject-token")
        assert token is not None
        return token.decode()

    async def close(self) -> None:
        """End connections and threads."""
        await self.http.close()
        self.credential.close()
        for checker in self._checkers:
            checker.close()

    async def _send(self, endpoint: Endpoint, request: PodRequest) -> Answer:
        async with self.http.send(self.pod.id, endpoint, request, TIMEOUT_S) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def open_simulated(folder: Path) -> AsyncIterator[Place]:
    """Yield a place in the simulated cloud."""
    cloud = SimulatedCloud()
    cloud.token("tricircle", "service", ("admin", "service"))
    cloud.token("demo", "demo", ("member",))
    people = {
        "demo": Person("demo", "secret", "demo"),
        "service": Person("tricircle", "secret", "service"),
    }
    async with serve(cloud.app) as url:
        file = folder / "tricircle.conf"
        file.write_text(_make_options(f"{url}/identity/v3", people["service"]))
        settings = load_settings("test", files=[str(file)])
        place = Place(settings, f"{url}/identity/v3", "pod1", people)
        await place.find_pod()
        yield place
        await place.close()


@asynccontextmanager
async def open_lab(region: str = "pod1") -> AsyncIterator[Place]:
    """Yield a place in the lab, which must be up; its pods are of two releases."""
    clouds_file = LAB_RUN / "clouds.yaml"
    assert clouds_file.exists(), "the lab is not up; run 'make lab-up'"
    auth = yaml.safe_load(clouds_file.read_text())["clouds"]["top-demo"]["auth"]
    settings = load_settings("test", files=[str(LAB_RUN / "top" / "tricircle.conf")])
    make_credential(settings).close()  # registers the options of the login
    service = settings.source.service_credential
    people = {
        "demo": Person(auth["username"], auth["password"], auth["project_name"]),
        "service": Person(service.username, service.password, service.project_name),
    }
    place = Place(settings, auth["auth_url"], region, people)
    await place.find_pod()
    yield place
    await place.close()


def _make_options(auth_url: str, person: Person) -> str:
    login = (
        f"auth_type = password\nauth_url = {auth_url}\nusername = {person.username}\n"
        f"password = {person.password}\nproject_name = {person.project_name}\n"
        "user_domain_id = default\nproject_domain_id = default\n"
    )
    return (
        f"[keystone_authtoken]\nwww_authenticate_uri = {auth_url}\n{login}"
        f"[service_credential]\n{login}"
    )
