"""The service's own token and the catalogue, from a simulated Keystone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tricircle.adapters.cloud.credential import KeystoneCredential, read_catalogue
from tricircle.adapters.config import ConfigError, load_settings
from tricircle.core.errors import NotFound, ServiceUnavailable
from tricircle.core.model import Service
from tricircle.testing.clock import FakeClock
from tricircle.testing.cloud import Delay, Reply, SimulatedCloud, serve

GROUP = """[service_credential]
auth_type = password
auth_url = {url}/identity/v3
username = tricircle
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
"""


class Place:
    """A simulated Keystone, and credentials for it."""

    def __init__(self, cloud: SimulatedCloud, url: str, folder: Path) -> None:
        self.cloud = cloud
        self.url = url
        self.clock = FakeClock(1000)
        self._folder = folder
        cloud.token("tricircle", "service", ("admin", "service"))
        self.made: list[KeystoneCredential] = []

    def make(self, *, timeout_s: float = 5, wrong: str = "") -> KeystoneCredential:
        file = self._folder / "t.conf"
        file.write_text(GROUP.format(url=self.url, password=wrong or "secret"))
        conf = load_settings("test", files=[str(file)]).source
        self.made.append(KeystoneCredential(conf, timeout_s, self.clock.now_s))
        return self.made[-1]

    def count_logins(self) -> int:
        return len(self.cloud.requests.list_for("identity", "POST", "/auth/tokens"))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    cloud = SimulatedCloud()
    async with serve(cloud.app) as url:
        place = Place(cloud, url, tmp_path)
        yield place
        for credential in place.made:
            credential.close()


async def test_the_token_is_good_and_used_again(place: Place) -> None:
    credential = place.make()
    token = await credential.get_token()
    found = place.cloud.identity.accounts.find_token(token)
    assert found is not None
    assert found.caller.is_admin
    assert await credential.get_token() == token
    assert place.count_logins() == 1


async def test_those_who_ask_at_the_same_time_share_one_login(place: Place) -> None:
    credential = place.make()
    tokens = await asyncio.gather(*(credential.get_token() for _ in range(10)))
    assert len(set(tokens)) == 1
    assert place.count_logins() == 1


async def test_the_token_is_renewed_within_minutes(place: Place) -> None:
    credential = place.make()
    token = await credential.get_token()
    await place.clock.advance(599)
    assert await credential.get_token() == token
    await place.clock.advance(1)
    assert await credential.get_token() != token


async def test_the_token_is_renewed_before_it_expires(place: Place) -> None:
    place.cloud.identity.accounts.token_life_s = 300
    credential = place.make()
    token = await credential.get_token()
    await place.clock.advance(240)
    assert await credential.get_token() != token


async def test_a_wrong_credential_is_503_and_names_the_group(place: Place) -> None:
    credential = place.make(wrong="canary")
    with pytest.raises(ServiceUnavailable, match="service_credential") as caught:
        await credential.get_token()
    assert "canary" not in str(caught.value)


async def test_a_keystone_in_trouble_is_503_and_asked_again_next_time(place: Place) -> None:
    credential = place.make()
    place.cloud.faults.inject(Reply(503), service="identity", method="POST", times=1)
    with pytest.raises(ServiceUnavailable):
        await credential.get_token()
    assert await credential.get_token()


async def test_a_keystone_that_hangs_is_waited_for_no_longer_than_configured(
    place: Place,
) -> None:
    place.cloud.faults.inject(Delay(1.0), service="identity", method="POST", times=1)
    with pytest.raises(ServiceUnavailable, match=r"0\.2 s"):
        await place.make(timeout_s=0.2).get_token()


async def test_the_catalogue_gives_the_urls_of_a_region_as_they_are(place: Place) -> None:
    endpoints = await place.make().get_endpoints("pod1")
    assert endpoints[Service.COMPUTE].startswith(f"{place.url}/pod1/compute")
    assert {Service.COMPUTE, Service.VOLUME, Service.NETWORK} <= set(endpoints)


async def test_a_region_is_found_as_soon_as_it_is_in_the_catalogue(place: Place) -> None:
    credential = place.make()
    with pytest.raises(NotFound, match="'pod9'"):
        await credential.get_endpoints("pod9")
    place.cloud.catalogue.set_endpoint("pod9", "compute", "http://pod9:8774/v2.1")
    assert await credential.get_endpoints("pod9") == {Service.COMPUTE: "http://pod9:8774/v2.1"}


def test_a_catalogue_is_read_by_public_interface_and_by_any_name_of_a_service() -> None:
    def endpoint(interface: str, url: str, region: str = "east") -> dict[str, str]:
        return {"interface": interface, "region_id": region, "region": region, "url": url}

    catalogue = [
        {"type": "block-storage", "endpoints": [endpoint("public", "http://a/v3")]},
        {"type": "volumev2", "endpoints": [endpoint("public", "http://a/v2")]},
        {
            "type": "compute",
            "endpoints": [
                endpoint("internal", "http://internal"),
                endpoint("public", "http://first"),
                endpoint("public", "http://second"),
                endpoint("public", "http://west", "west"),
            ],
        },
        {"type": "network"},
        {},
    ]
    assert read_catalogue(catalogue) == {
        "east": {Service.VOLUME: "http://a/v3", Service.COMPUTE: "http://first"},
        "west": {Service.COMPUTE: "http://west"},
    }


def test_a_configuration_without_credential_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auth_type in group \[service_credential\] is not set"):
        KeystoneCredential(load_settings("test", files=[]).source)
    file = tmp_path / "t.conf"
    file.write_text("[service_credential]\nauth_type = password\n")
    with pytest.raises(ConfigError, match="auth_url"):
        KeystoneCredential(load_settings("test", files=[str(file)]).source)
