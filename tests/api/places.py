"""The two clouds that the cases are run against: a simulated one, and the lab.

Both are reached as any client reaches a cloud: through Keystone and its catalogue. In both the
cases have projects of their own, so that nobody else's resources are in a list.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from tests.api.exchanges import Exchanges, WatchedCloud
from tests.simulated_top import run_top

LAB_RUN = Path(__file__).resolve().parents[2] / "lab" / "run"
DOMAIN = "default"
PASSWORD = "secret"
TIMEOUT_S = 60
Json = dict[str, Any]


class Refused(Exception):
    """An answer other than success to a request that the cases stand on."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        super().__init__(f"{method} {url} answers {status}: {text[:1000]}")
        self.status = status


class Person:
    """Somebody with a token, a project and the URLs of the catalogue."""

    def __init__(self, auth_url: str, name: str, password: str, project: str) -> None:
        self._session = Session(
            Password(
                auth_url,
                username=name,
                password=password,
                project_name=project,
                user_domain_id=DOMAIN,
                project_domain_id=DOMAIN,
            )
        )

    @property
    def token(self) -> str:
        """Return a token that is valid now."""
        return str(self._session.get_token())

    @property
    def project_id(self) -> str:
        """Return the id of the project the token is for."""
        return str(self._session.get_project_id())

    @property
    def user_id(self) -> str:
        """Return the id of the user."""
        return str(self._session.get_user_id())

    def close(self) -> None:
        """Close the connections."""
        self._session.session.close()

    def url(self, service: str, region: str | None) -> str:
        """Return the root of a service in a region: no version, no project."""
        found = self._session.get_endpoint(
            service_type=service, region_name=region, interface="public", skip_discovery=True
        )
        assert found, f"the catalogue has no {service} in region {region}"
        return str(found).split("/v2.1")[0].split("/v3")[0].split("/v2.0")[0].rstrip("/")

    def ask(
        self, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Json]:
        """Return status and body of any answer; a body that is no JSON is an empty one."""
        answer = self._session.request(
            url,
            method,
            json=body,
            headers=dict(headers or {}),
            raise_exc=False,
            redirect=False,
            timeout=TIMEOUT_S,
        )
        try:
            document = answer.json() if answer.content else {}
        except ValueError:
            document = {}
        return int(answer.status_code), document

    def call(
        self, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Json:
        """Return the body of a good answer. Raises Refused for any other."""
        status, document = self.ask(method, url, body, headers)
        if status >= 300:
            raise Refused(method, url, status, str(document))
        return document


@dataclass(frozen=True, slots=True)
class Place:
    """A cloud made of pods: where its top is, where the pods are, and who may ask.

    ``people`` are ``member`` and ``reader`` of one project, ``other``, a member of another
    one, and ``admin`` with a third. What simulated pods are asked is in ``exchanges``; nobody sees
    what those of the lab are asked.
    """

    name: str
    auth_url: str
    region: str
    pods: tuple[str, ...]
    people: Mapping[str, Person] = field(default_factory=dict)
    exchanges: Exchanges = field(default_factory=Exchanges)

    @property
    def member(self) -> Person:
        """Return the person most cases are sent by."""
        return self.people["member"]

    def top(self, service: str) -> str:
        """Return the root of a service of the top."""
        return self.member.url(service, self.region)

    def pod(self, service: str, number: int) -> str:
        """Return the root of a service of a pod, counted from 1 as the zones are."""
        return self.member.url(service, self.pods[number - 1])


@contextmanager
def open_simulated(folder: Path) -> Iterator[Place]:
    """Yield a top in front of two simulated pods."""
    exchanges = Exchanges()
    cloud = WatchedCloud(exchanges, ("pod1", "pod2"))
    people = {"member": "demo", "reader": "demo", "other": "other", "admin": "admin"}
    for name, project in people.items():
        cloud.token(name, project, (name if name != "other" else "member",))
    with run_top(folder, cloud) as top:
        cloud.catalogue.set_endpoint("RegionOne", "compute", f"{top.compute}/v2.1")
        cloud.catalogue.set_endpoint("RegionOne", "volumev3", f"{top.volume}/v3/$(project_id)s")
        auth_url = f"{top.network.removesuffix('/top/network')}/identity/v3"
        pods = tuple(cloud.pods)
        place = Place("simulated", auth_url, cloud.top_region, pods, exchanges=exchanges)
        persons = {
            name: Person(auth_url, name, PASSWORD, project) for name, project in people.items()
        }
        yield replace(place, people=persons)
        for person in persons.values():
            person.close()


@contextmanager
def open_lab() -> Iterator[Place]:
    """Yield the lab, which must be up, with new projects and users that are deleted at the end."""
    file = LAB_RUN / "clouds.yaml"
    assert file.exists(), "the lab is not up; run 'make lab-up'"
    clouds = yaml.safe_load(file.read_text())["clouds"]
    auth, region = clouds["top-admin"]["auth"], clouds["top-admin"]["region_name"]
    admin = Person(auth["auth_url"], auth["username"], auth["password"], auth["project_name"])
    pods = sorted(name.removesuffix("-admin") for name in clouds if re.match(r"pod\d+-admin", name))
    keystone = Accounts(admin, auth["auth_url"])
    try:
        people = keystone.make_people() | {"admin": admin}
        yield Place("lab", auth["auth_url"], region, tuple(pods), people)
    finally:
        keystone.delete_all()


class Accounts:
    """Projects and users in a real Keystone that live as long as the cases run."""

    def __init__(self, admin: Person, auth_url: str) -> None:
        self._admin, self._url = admin, auth_url
        self._mark = f"api-{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []

    def make_people(self) -> dict[str, Person]:
        """Return a member and a reader of one new project and a member of another."""
        own, other = self._make_project("own"), self._make_project("other")
        return {
            "member": self._make_person("member", own, ("member",)),
            "reader": self._make_person("reader", own, ("reader",)),
            "other": self._make_person("other", other, ("member",)),
        }

    def delete_all(self) -> None:
        """Delete what was made, users before their projects."""
        for url in reversed(self._made):
            self._admin.ask("DELETE", url)

    def _make_project(self, name: str) -> str:
        project = {"name": f"{self._mark}-{name}", "domain_id": DOMAIN}
        return self._make("projects", "project", project)

    def _make_person(self, name: str, project_id: str, roles: tuple[str, ...]) -> Person:
        password = uuid.uuid4().hex
        user = {"name": f"{self._mark}-{name}", "domain_id": DOMAIN, "password": password}
        user_id = self._make("users", "user", user)
        for role in roles:
            found = self._admin.call("GET", f"{self._url}/roles?name={role}")["roles"][0]["id"]
            grant = f"projects/{project_id}/users/{user_id}/roles/{found}"
            self._admin.call("PUT", f"{self._url}/{grant}")
        project = self._admin.call("GET", f"{self._url}/projects/{project_id}")["project"]["name"]
        return Person(self._url, user["name"], password, project)

    def _make(self, collection: str, name: str, document: Json) -> str:
        made = self._admin.call("POST", f"{self._url}/{collection}", {name: document})[name]["id"]
        self._made.append(f"{self._url}/{collection}/{made}")
        return str(made)
