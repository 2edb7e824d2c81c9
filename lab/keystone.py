"""The shared identity service: its configuration, first contents and catalogue."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.api import Api
from lab.configuration import credential, database, ini_text, write_private
from lab.passwords import SERVICE_USERS
from lab.processes import Family, Process
from lab.settings import TOP_REGION, TOP_RELEASE, Settings

PERSONS = (  # user, project, roles
    ("admin", "admin", ("admin",)),
    ("demo", "demo", ("member",)),
    ("reader", "demo", ("reader",)),
    ("other", "other", ("member",)),
)
TOKEN_LIFETIME_S = 86_400


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the catalogue."""

    region: str
    service_type: str
    url: str


SERVICES = {
    "identity": "keystone",
    "image": "glance",
    "compute": "nova",
    "volumev3": "cinderv3",
    "block-storage": "cinder",
    "network": "neutron",
    "placement": "placement",
    "tricircle": "tricircle",
}


def endpoints(settings: Settings) -> Iterator[Endpoint]:
    """The whole catalogue: the top's region, then each pod's."""
    volume = "/v3/$(project_id)s"
    for region in (TOP_REGION, *(pod.name for pod in settings.pods)):
        yield Endpoint(region, "identity", f"{settings.keystone.url}/v3")
        yield Endpoint(region, "image", settings.glance.url)
    yield Endpoint(TOP_REGION, "compute", f"{settings.top_compute.url}/v2.1")
    yield Endpoint(TOP_REGION, "volumev3", settings.top_volume.url + volume)
    yield Endpoint(TOP_REGION, "block-storage", settings.top_volume.url + volume)
    yield Endpoint(TOP_REGION, "network", settings.top_network.url)
    yield Endpoint(TOP_REGION, "tricircle", settings.top_admin.url)
    for pod in settings.pods:
        yield Endpoint(pod.name, "compute", f"{pod.compute.url}/v2.1")
        yield Endpoint(pod.name, "volumev3", pod.volume.url + volume)
        yield Endpoint(pod.name, "block-storage", pod.volume.url + volume)
        yield Endpoint(pod.name, "network", pod.network.url)
        yield Endpoint(pod.name, "placement", pod.placement.url)


def folder(settings: Settings) -> Path:
    return settings.run / "keystone"


def write_configuration(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Write keystone.conf. Hashing is made cheap: the passwords are random anyway."""
    keys = folder(settings)
    write_private(
        keys / "keystone.conf",
        ini_text(
            {
                "DEFAULT": {"public_endpoint": settings.keystone.url},
                "database": database(settings, passwords["mariadb"], "keystone"),
                "token": {"expiration": TOKEN_LIFETIME_S},
                "fernet_tokens": {"key_repository": keys / "fernet-keys"},
                "fernet_receipts": {"key_repository": keys / "fernet-keys"},
                "credential": {"key_repository": keys / "credential-keys"},
                "identity": {"password_hash_rounds": 4},
                "oslo_messaging_notifications": {"driver": "noop"},
            }
        ),
    )


def process(settings: Settings) -> Process:
    python = settings.venv(TOP_RELEASE) / "bin" / "python"
    return Process(
        name="keystone",
        group="shared",
        address=settings.keystone,
        family=Family("keystone", python, "none", ()),
        entry="keystone.wsgi.api",
        arguments=("keystone",),
        environment={"OS_KEYSTONE_CONFIG_DIR": str(folder(settings))},
        threads=8,
    )


def write_keys(settings: Settings) -> None:
    """Write new Fernet keys: 0 is the next, 1 the present one; nothing is ever rotated here."""
    for name in ("fernet-keys/0", "fernet-keys/1", "credential-keys/0", "credential-keys/1"):
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        write_private(folder(settings) / name, key)


def bootstrap_command(settings: Settings, passwords: Mapping[str, str]) -> list[str]:
    """The command that creates the first user, roles and the identity service."""
    url = f"{settings.keystone.url}/v3"
    return [
        str(settings.venv(TOP_RELEASE) / "bin" / "keystone-manage"),
        "--config-file",
        str(folder(settings) / "keystone.conf"),
        "bootstrap",
        f"--bootstrap-password={passwords['admin']}",
        f"--bootstrap-region-id={TOP_REGION}",
        *(f"--bootstrap-{kind}-url={url}" for kind in ("public", "internal", "admin")),
    ]


def fill(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Create projects, users, roles of users and the catalogue in a bootstrapped keystone."""
    api = Api(settings, "admin", "admin", passwords["admin"])
    create_users(settings, api, passwords)
    create_catalogue(settings, api)


def create_users(settings: Settings, api: Api, passwords: Mapping[str, str]) -> None:
    """Create every project and user, and give the users their roles."""
    url = f"{settings.keystone.url}/v3"
    roles = {role["name"]: role["id"] for role in api.get(f"{url}/roles")["roles"]}
    projects = {found["name"]: found["id"] for found in api.get(f"{url}/projects")["projects"]}
    for name in ("demo", "other", "service"):
        body = {"project": {"name": name, "domain_id": "default"}}
        projects[name] = api.post(f"{url}/projects", body)["project"]["id"]
    services = [(name, "service", ("admin", "service")) for name in SERVICE_USERS]
    for name, project, granted in (*PERSONS[1:], *services):
        user = {"name": name, "domain_id": "default", "password": passwords[name]}
        user["default_project_id"] = projects[project]
        created = api.post(f"{url}/users", {"user": user})["user"]["id"]
        for role in granted:
            api.put(f"{url}/projects/{projects[project]}/users/{created}/roles/{roles[role]}")


def create_catalogue(settings: Settings, api: Api) -> None:
    """Create regions, services and endpoints. Identity at the top exists since bootstrap."""
    url = f"{settings.keystone.url}/v3"
    for pod in settings.pods:
        region = {"id": pod.name, "description": f"OpenStack {pod.release}"}
        api.post(f"{url}/regions", {"region": region})
    services = {found["type"]: found["id"] for found in api.get(f"{url}/services")["services"]}
    for service_type, name in SERVICES.items():
        if service_type not in services:
            body = {"service": {"type": service_type, "name": name}}
            services[service_type] = api.post(f"{url}/services", body)["service"]["id"]
    for endpoint in endpoints(settings):
        if (endpoint.region, endpoint.service_type) == (TOP_REGION, "identity"):
            continue
        for interface in ("public", "internal", "admin"):
            body = {
                "endpoint": {
                    "region_id": endpoint.region,
                    "service_id": services[endpoint.service_type],
                    "interface": interface,
                    "url": endpoint.url,
                }
            }
            api.post(f"{url}/endpoints", body)


def clouds_text(settings: Settings, passwords: Mapping[str, str]) -> str:
    """clouds.yaml: for the top and each pod, one cloud for each person."""
    lines = ["clouds:"]
    regions = {"top": TOP_REGION} | {pod.name: pod.name for pod in settings.pods}
    for place, region in regions.items():
        for user, project, _roles in PERSONS:
            lines += [
                f"  {place}-{user}:",
                "    auth:",
                f"      auth_url: {settings.keystone.url}/v3",
                f"      username: {user}",
                f"      password: {passwords[user]}",
                f"      project_name: {project}",
                "      user_domain_name: Default",
                "      project_domain_name: Default",
                f"    region_name: {region}",
                "    identity_api_version: 3",
            ]
    return "\n".join(lines) + "\n"


def service_credential(
    settings: Settings, passwords: Mapping[str, str], user: str
) -> dict[str, object]:
    """keystoneauth options of one of the service users."""
    return credential(settings, user, passwords[user])
