"""Tokens, the service credential and the catalogue, of a simulated or a real Keystone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.clouds import Place, open_lab, open_simulated
from tricircle.core.errors import NotFound, Unauthorized
from tricircle.core.model import Caller, Service
from tricircle.interfaces.cloud import Headers


@pytest.fixture(params=["simulated", pytest.param("lab", marks=pytest.mark.lab)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with open_lab() if request.param == "lab" else open_simulated(tmp_path) as place:
        yield place


def with_token(token: str, service_token: str | None = None) -> Headers:
    headers = [(b"x-auth-token", token.encode())]
    return [*headers, (b"x-service-token", service_token.encode())] if service_token else headers


async def check(place: Place, token: str, service_token: str | None = None) -> Caller:
    headers = with_token(token, service_token)
    return await place.make_checker().check(headers, "GET", "/v2.1/servers")


async def test_a_members_token_names_project_and_roles(place: Place) -> None:
    caller = await check(place, await place.log_in())
    assert caller.project_id
    assert {"member", "reader"} <= caller.roles
    assert "admin" not in caller.roles
    assert caller.system_scope is None


async def test_a_token_keystone_never_gave_is_refused(place: Place) -> None:
    with pytest.raises(Unauthorized):
        await check(place, "gAAAAABinvented")


async def test_a_revoked_token_is_refused(place: Place) -> None:
    token = await place.log_in()
    await check(place, token)
    headers = [(b"x-auth-token", token.encode()), (b"x-subject-token", token.encode())]
    assert (await place.ask_keystone("DELETE", "/auth/tokens", headers)).status == 204
    with pytest.raises(Unauthorized):
        await check(place, token)


async def test_a_service_token_shows_its_roles(place: Place) -> None:
    caller = await check(place, await place.log_in(), await place.log_in("service"))
    assert "service" in caller.service_roles
    assert "service" not in caller.roles


async def test_a_users_token_is_no_service_token(place: Place) -> None:
    with pytest.raises(Unauthorized):
        await check(place, await place.log_in(), await place.log_in())


async def test_access_rules_allow_what_they_name_and_nothing_else(place: Place) -> None:
    token = await place.log_in()
    user_id = (await check(place, token)).user_id
    path = f"/users/{user_id}/application_credentials"
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    wanted = {"name": "contract", "secret": "contract-secret", "access_rules": rules}
    headers = [(b"x-auth-token", token.encode())]
    made = await place.ask_keystone("POST", path, headers, {"application_credential": wanted})
    assert made.status == 201, made.body
    credential = made.document["application_credential"]
    assert isinstance(credential, dict)
    try:
        proof = {"id": credential["id"], "secret": "contract-secret"}
        identity = {"methods": ["application_credential"], "application_credential": proof}
        restricted = with_token(await place.get_token({"identity": identity}))
        checker = place.make_checker()
        caller = await checker.check(restricted, "GET", "/v2.1/servers")
        assert caller.user_id == user_id
        for method, other in [("POST", "/v2.1/servers"), ("GET", "/v2.1/servers/detail")]:
            with pytest.raises(Unauthorized):
                await checker.check(restricted, method, other)
        with pytest.raises(Unauthorized):
            await place.make_checker(Service.VOLUME).check(restricted, "GET", "/v2.1/servers")
    finally:
        await place.ask_keystone("DELETE", f"{path}/{credential['id']}", headers)


async def test_the_service_credential_is_an_admins_and_a_services(place: Place) -> None:
    caller = await check(place, await place.credential.get_token())
    assert {"admin", "service"} <= caller.roles


async def test_the_catalogue_has_the_services_of_a_region(place: Place) -> None:
    endpoints = await place.credential.get_endpoints(place.region)
    assert {Service.COMPUTE, Service.VOLUME, Service.NETWORK} <= set(endpoints)
    assert all(url.startswith("http") for url in endpoints.values())
    with pytest.raises(NotFound):
        await place.credential.get_endpoints("no-such-region")
