"""Whose token it is, as keystonemiddleware says, asked of a simulated Keystone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tricircle.adapters.cloud.tokens import KeystoneTokens, TokenLimits, TokenMiddleware
from tricircle.adapters.config import ConfigError, Settings, load_settings
from tricircle.core.errors import ServiceUnavailable, Unauthorized
from tricircle.core.model import Caller
from tricircle.interfaces.cloud import Headers
from tricircle.testing.clock import FakeClock
from tricircle.testing.cloud import Delay, Reply, SimulatedCloud, serve

PATH = "/v2.1/servers/detail"

IDENTITY_CLAIMS: Headers = [
    (name, b"admin")
    for name in (
        b"x-roles",
        b"x-user-id",
        b"x-project-id",
        b"x-service-roles",
        b"x-is-admin-project",
        b"openstack-system-scope",
        b"x_roles",
    )
] + [(b"x-identity-status", b"Confirmed"), (b"x-service-identity-status", b"Confirmed")]


class Keystone:
    """A simulated Keystone on a real socket, and checkers that ask it."""

    def __init__(self, folder: Path, cloud: SimulatedCloud, url: str) -> None:
        self.cloud = cloud
        self.url = url
        self.clock = FakeClock(1000)
        self._folder = folder
        accounts = cloud.identity.accounts
        cloud.token("tricircle", "service", ("service", "admin"))
        user, project = accounts.find_user("tricircle"), accounts.find_project("service")
        assert user is not None
        assert project is not None
        self.service_user, self.service_project = user, project
        self._checkers: list[KeystoneTokens] = []

    def settings(self, extra: str = "") -> Settings:
        file = self._folder / "tricircle.conf"
        file.write_text(
            "[keystone_authtoken]\nauth_type = password\n"
            f"auth_url = {self.url}/identity/v3\nwww_authenticate_uri = {self.url}/identity\n"
            "username = tricircle\npassword = secret\nproject_name = service\n"
            "user_domain_id = default\nproject_domain_id = default\n"
            f"interface = public\nhttp_request_max_retries = 0\n{extra}\n"
        )
        return load_settings("test", files=[str(file)])

    def make_checker(
        self, limits: TokenLimits | None = None, service_type: str = "compute", extra: str = ""
    ) -> KeystoneTokens:
        limits = limits or TokenLimits(cache_s=60, bad_cache_s=5, timeout_s=5)
        middleware = TokenMiddleware(self.settings(extra).source, service_type, limits.timeout_s)
        checker = KeystoneTokens(middleware, limits, self.clock.now_s)
        self._checkers.append(checker)
        return checker

    def count_checks(self) -> int:
        return len(self.cloud.requests.list_for("identity", "GET", "/auth/tokens"))

    def issue(self, roles: tuple[str, ...] = ("member",), life_s: float = 3600) -> str:
        accounts = self.cloud.identity.accounts
        user = accounts.find_user("alice") or accounts.add_user("alice", "secret")
        project = accounts.find_project("shop") or accounts.add_project("shop")
        accounts.add_grant(user, project, roles)
        expires_at = datetime.now(UTC) + timedelta(seconds=life_s)
        return accounts.issue(user, project, roles, expires_at=expires_at).id

    def issue_restricted(self, *rules: tuple[str, str, str]) -> str:
        self.issue()
        accounts = self.cloud.identity.accounts
        user, project = accounts.find_user("alice"), accounts.find_project("shop")
        assert user is not None
        assert project is not None
        credential = accounts.add_credential(user, project, "app", "secret", rules)
        token = accounts.issue(user, project, ("member",), ("application_credential",), credential)
        return token.id

    def issue_service(self, roles: tuple[str, ...] = ("service",)) -> str:
        accounts = self.cloud.identity.accounts
        return accounts.issue(self.service_user, self.service_project, roles).id

    def close(self) -> None:
        for checker in self._checkers:
            checker.close()


@pytest.fixture
async def keystone(tmp_path: Path) -> AsyncIterator[Keystone]:
    cloud = SimulatedCloud()
    async with serve(cloud.app) as url:
        keystone = Keystone(tmp_path, cloud, url)
        yield keystone
        keystone.close()


def with_token(token: str, service_token: str | None = None) -> Headers:
    headers = [(b"accept", b"*/*"), (b"x-auth-token", token.encode())]
    if service_token is not None:
        headers.append((b"x-service-token", service_token.encode()))
    return headers


async def check(checker: KeystoneTokens, token: str, service_token: str | None = None) -> Caller:
    return await checker.check(with_token(token, service_token), "GET", PATH)


async def test_a_good_token_names_its_caller(keystone: Keystone) -> None:
    token = keystone.issue(("member", "reader"))
    caller = await check(keystone.make_checker(), token)
    assert caller.project_id == keystone.cloud.project_id("shop")
    assert caller.roles == {"member", "reader"}
    assert caller.token == token
    assert (caller.service_token, caller.service_roles) == (None, frozenset())
    assert (caller.domain_id, caller.system_scope) == (None, None)


async def test_keystone_is_asked_once_for_a_token(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    assert checker.find_cached(with_token(token), "GET", PATH) is None
    caller = await check(checker, token)
    assert checker.find_cached(with_token(token), "DELETE", "/v2.1/servers/1") is caller
    assert await check(checker, token) is caller
    assert keystone.count_checks() == 1


async def test_those_who_ask_at_the_same_time_share_one_check(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    callers = await asyncio.gather(*(check(checker, token) for _ in range(20)))
    assert len({id(caller) for caller in callers}) == 1
    assert keystone.count_checks() == 1


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(keystone: Keystone) -> None:
    keystone.cloud.faults.inject(Delay(0.2), service="identity", method="GET", times=1)
    checker = keystone.make_checker()
    token = keystone.issue()
    first = asyncio.create_task(check(checker, token))
    second = asyncio.create_task(check(checker, token))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).roles == {"member"}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-auth-token", b"")],
        [(b"x-auth-token", b"unknown")],
        [(b"x-auth-token", b"a b")],
        [(b"x-auth-token", b"a\r\nx-roles: admin")],
        [(b"x-auth-token", b"\xff")],
        [(b"x-service-token", b"unknown")],
        [(b"x-storage-token", b"unknown")],
        IDENTITY_CLAIMS,
    ],
    ids=repr,
)
async def test_without_a_good_token_nobody_passes(keystone: Keystone, headers: Headers) -> None:
    with pytest.raises(Unauthorized):
        await keystone.make_checker().check(headers, "GET", PATH)


async def test_claims_of_identity_have_no_influence(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    caller = await checker.check([*IDENTITY_CLAIMS, *with_token(token)], "GET", PATH)
    assert caller == await check(keystone.make_checker(), token)
    with pytest.raises(Unauthorized):
        await checker.check([*IDENTITY_CLAIMS, (b"x-auth-token", b"unknown")], "GET", PATH)


async def test_two_tokens_in_one_request_are_refused_though_both_are_good(
    keystone: Keystone,
) -> None:
    headers = [*with_token(keystone.issue()), *with_token(keystone.issue(("admin",)))]
    with pytest.raises(Unauthorized):
        await keystone.make_checker().check(headers, "GET", PATH)


async def test_a_bad_token_is_remembered_for_a_short_time(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await check(checker, "unknown")
    assert keystone.count_checks() == 1
    await keystone.clock.advance(5)
    with pytest.raises(Unauthorized):
        await check(checker, "unknown")
    assert keystone.count_checks() == 2


async def test_an_expired_token_is_refused(keystone: Keystone) -> None:
    with pytest.raises(Unauthorized):
        await check(keystone.make_checker(), keystone.issue(life_s=-1))


async def test_a_token_is_not_believed_beyond_its_own_end(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue(life_s=20)
    await check(checker, token)
    await keystone.clock.advance(19)
    assert checker.find_cached(with_token(token), "GET", PATH) is not None
    await keystone.clock.advance(1)
    assert checker.find_cached(with_token(token), "GET", PATH) is None


async def test_a_revoked_token_passes_no_longer_than_the_cache_lives(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    await check(checker, token)
    keystone.cloud.identity.revoke(token)
    await check(checker, token)
    await keystone.clock.advance(60)
    with pytest.raises(Unauthorized):
        await check(checker, token)


async def test_token_cache_time_bounds_our_cache_too(keystone: Keystone) -> None:
    checker = keystone.make_checker(extra="token_cache_time = 10")
    token = keystone.issue()
    await check(checker, token)
    await keystone.clock.advance(10)
    assert checker.find_cached(with_token(token), "GET", PATH) is None


async def test_token_cache_time_minus_one_asks_each_time(keystone: Keystone) -> None:
    checker = keystone.make_checker(extra="token_cache_time = -1")
    token = keystone.issue()
    await check(checker, token)
    await check(checker, token)
    assert keystone.count_checks() == 2


# Access rules of application credentials


async def test_an_access_rule_decides_for_each_method_and_path(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    headers = with_token(keystone.issue_restricted(("compute", "GET", "/v2.1/servers/*")))
    caller = await checker.check(headers, "GET", "/v2.1/servers/one")
    assert caller.roles == {"member"}
    for method, path in [("DELETE", "/v2.1/servers/one"), ("GET", "/v2.1/flavors")]:
        assert checker.find_cached(headers, method, path) is None
        with pytest.raises(Unauthorized):
            await checker.check(headers, method, path)
    assert checker.find_cached(headers, "GET", "/v2.1/servers/one") == caller
    assert await checker.check(headers, "GET", "/v2.1/servers/two") == caller


async def test_one_check_of_a_restricted_token_is_not_shared_with_another_path(
    keystone: Keystone,
) -> None:
    checker = keystone.make_checker()
    headers = with_token(keystone.issue_restricted(("compute", "GET", "/v2.1/servers/*")))
    outcomes = await asyncio.gather(
        checker.check(headers, "GET", "/v2.1/servers/one"),
        checker.check(headers, "GET", "/v2.1/flavors"),
        checker.check(headers, "DELETE", "/v2.1/servers/one"),
        checker.check(headers, "GET", "/v2.1/servers/two"),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Caller) for outcome in outcomes] == [True, False, False, True]


async def test_an_encoded_slash_does_not_slip_through_an_access_rule(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    headers = with_token(keystone.issue_restricted(("compute", "POST", "/v2.1/servers/*")))
    with pytest.raises(Unauthorized):
        await checker.check(headers, "POST", "/v2.1/servers/one%2Faction")


async def test_an_access_rule_of_another_service_does_not_count(keystone: Keystone) -> None:
    headers = with_token(keystone.issue_restricted(("volumev3", "GET", "/v2.1/servers/*")))
    with pytest.raises(Unauthorized):
        await keystone.make_checker().check(headers, "GET", "/v2.1/servers/one")
    caller = await keystone.make_checker(service_type="volumev3").check(
        headers, "GET", "/v2.1/servers/one"
    )
    assert caller.roles == {"member"}


async def test_without_the_catalogue_a_restricted_token_is_refused(keystone: Keystone) -> None:
    checker = keystone.make_checker(extra="include_service_catalog = false")
    token = keystone.issue_restricted(("compute", "GET", PATH))
    with pytest.raises(Unauthorized):
        await check(checker, token)
    assert (await check(checker, keystone.issue())).roles == {"member"}


# Service tokens


async def test_a_service_token_adds_its_roles_and_no_more(keystone: Keystone) -> None:
    service_token = keystone.issue_service()
    caller = await check(keystone.make_checker(), keystone.issue(), service_token)
    assert caller.service_roles == {"service"}
    assert caller.service_token == service_token
    assert caller.roles == {"member"}


async def test_a_service_token_lets_an_expired_token_pass_while_it_lives_itself(
    keystone: Keystone,
) -> None:
    checker = keystone.make_checker()
    expired = keystone.issue(life_s=-5)
    caller = await check(checker, expired, keystone.issue_service())
    assert caller.project_id == keystone.cloud.project_id("shop")
    with pytest.raises(Unauthorized):
        await check(checker, expired)


@pytest.mark.parametrize("roles", [("member",), ("admin",)])
async def test_a_users_token_is_no_service_token(
    keystone: Keystone, roles: tuple[str, ...]
) -> None:
    checker = keystone.make_checker()
    with pytest.raises(Unauthorized):
        await check(checker, keystone.issue(), keystone.issue_service(roles))
    with pytest.raises(Unauthorized):
        await check(checker, keystone.issue(life_s=-5), keystone.issue_service(roles))


async def test_a_bad_service_token_spoils_a_good_token(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    await check(checker, token)
    with pytest.raises(Unauthorized):
        await check(checker, token, "unknown")


# Keystone away


@pytest.mark.parametrize("status", [500, 503])
async def test_a_keystone_in_trouble_is_503_and_not_remembered(
    keystone: Keystone, status: int
) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    keystone.cloud.faults.inject(Reply(status), service="identity", method="GET")
    with pytest.raises(ServiceUnavailable):
        await check(checker, token)
    keystone.cloud.faults.clear()
    assert (await check(checker, token)).roles == {"member"}


async def test_a_token_that_is_known_passes_while_keystone_is_away(keystone: Keystone) -> None:
    checker = keystone.make_checker()
    token = keystone.issue()
    await check(checker, token)
    keystone.cloud.faults.inject(Reply(503), service="identity")
    assert (await check(checker, token)).roles == {"member"}


async def test_a_keystone_that_hangs_is_waited_for_no_longer_than_configured(
    keystone: Keystone,
) -> None:
    checker = keystone.make_checker(TokenLimits(timeout_s=0.2))
    keystone.cloud.faults.inject(Delay(1.0), service="identity", method="GET", times=1)
    with pytest.raises(ServiceUnavailable, match=r"0\.2 s"):
        await check(checker, keystone.issue())


# Configuration


async def test_the_challenge_names_where_tokens_are_given(keystone: Keystone) -> None:
    assert keystone.make_checker().challenge == f'Keystone uri="{keystone.url}/identity"'
    settings = keystone.settings("www_authenticate_uri =")
    middleware = TokenMiddleware(settings.source, "compute", 5)
    assert middleware.challenge == f'Keystone uri="{keystone.url}"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"option auth_type in group \[keystone_authtoken\] is not set; set it"),
        ("auth_type = nonsense", r"group \[keystone_authtoken\] cannot be used"),
        ("auth_type = password", r"group \[keystone_authtoken\] cannot be used.*auth_url"),
    ],
)
def test_a_configuration_without_credential_says_what_is_missing(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "t.conf"
    file.write_text(f"[keystone_authtoken]\n{text}\n")
    with pytest.raises(ConfigError, match=message):
        TokenMiddleware(load_settings("test", files=[str(file)]).source, "compute", 5)


async def test_no_token_or_password_is_logged(
    keystone: Keystone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    checker = keystone.make_checker()
    token = keystone.issue()
    await check(checker, token)
    keystone.cloud.faults.inject(Reply(503), service="identity", method="GET", times=1)
    with pytest.raises(ServiceUnavailable):
        await check(checker, keystone.issue())
    assert token not in caplog.text
    assert "gAAAA" not in caplog.text
