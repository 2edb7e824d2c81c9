"""Whose token is this? ``interfaces.identity.TokenChecker`` by keystonemiddleware.

keystonemiddleware itself decides, as in every OpenStack service: it knows expiry,
revocation, service tokens, token binding and the access rules of application
credentials. It is run as the WSGI middleware it is, around nothing, on a request
that holds the tokens, the method and the path and not one header more; so nothing
else a client sends can have an influence.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from keystoneauth1 import exceptions as keystone_errors
from keystonemiddleware import auth_token
from oslo_config import cfg

from tricircle.adapters.cloud.token_cache import (
    Key,
    TokenCache,
    Tokens,
    Verdict,
    find_tokens,
    make_scoped_key,
)
from tricircle.adapters.config import KEYSTONE_GROUP, ConfigError, Settings
from tricircle.core.errors import ServiceUnavailable, Unauthorized
from tricircle.core.model import Caller, ProjectId, UserId
from tricircle.interfaces.cloud import Headers

_LOG = logging.getLogger(__name__)

_NO_CACHE = "tricircle.no_cache"
_RESTRICTED = "tricircle.restricted"
_TOKEN_AUTH = "keystone.token_auth"  # noqa: S105 (a name)
_REFUSED = "The request you have made requires authentication."


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """How long verdicts are believed, how many are kept, how many checks run at once."""

    cache_s: float = 60.0
    bad_cache_s: float = 5.0
    cache_size: int = 20000
    threads: int = 8
    timeout_s: float = 30.0


class KeystoneTokens:
    """Checks tokens with Keystone in threads, behind a short cache in this process."""

    def __init__(
        self,
        middleware: TokenMiddleware,
        limits: TokenLimits,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._middleware = middleware
        self._limits = limits
        self._cache = TokenCache(limits.cache_size, now_s)
        self._checks: dict[Key, asyncio.Task[Verdict]] = {}
        self._threads = ThreadPoolExecutor(limits.threads, "token-check")

    @property
    def challenge(self) -> str:
        """Return the value of WWW-Authenticate that goes with every 401."""
        return self._middleware.challenge

    def close(self) -> None:
        """Take no more work; checks that run end by their own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def find_cached(self, headers: Headers, method: str, path: str) -> Caller | None:
        """Return the caller when it is known without asking anyone."""
        tokens = find_tokens(headers)
        return None if tokens is None else self._cache.find_caller(tokens, method, path)

    async def check(self, headers: Headers, method: str, path: str) -> Caller:
        """Return who the token in ``headers`` belongs to; see ``interfaces.identity``.

        ``path`` is percent-encoded as the client sent it, without query.
        """
        tokens = find_tokens(headers)
        if tokens is None or not tokens.are_printable:
            raise Unauthorized(_REFUSED)
        caller = self._cache.find_caller(tokens, method, path)
        if caller is not None:
            return caller
        if self._cache.is_refused(tokens, method, path):
            raise Unauthorized(_REFUSED)
        verdict = await self._ask_once(tokens, method, path)
        if verdict.caller is None:
            raise Unauthorized(_REFUSED)
        return verdict.caller

    async def _ask_once(self, tokens: Tokens, method: str, path: str) -> Verdict:
        """Return the verdict; all who ask the same at the same time share one check."""
        scoped_key = make_scoped_key(tokens.key, method, path)
        running = self._checks.get(tokens.key)
        if running is not None:
            verdict = await asyncio.shield(running)
            if not verdict.restricted:
                return verdict
            # The verdict was about another method and path.
            running = self._checks.get(scoped_key)
            if running is not None:
                return await asyncio.shield(running)
            return await asyncio.shield(self._start(scoped_key, tokens, method, path))
        return await asyncio.shield(self._start(tokens.key, tokens, method, path))

    def _start(self, key: Key, tokens: Tokens, method: str, path: str) -> Awaitable[Verdict]:
        task = asyncio.create_task(self._ask(tokens, method, path), name="token-check")
        self._checks[key] = task

        def forget(done: asyncio.Task[Verdict]) -> None:
            self._checks.pop(key, None)
            if not done.cancelled():
                done.exception()  # those who waited have seen it, or have gone

        task.add_done_callback(forget)
        return task

    async def _ask(self, tokens: Tokens, method: str, path: str) -> Verdict:
        judge = contextvars.copy_context().run
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, judge, self._middleware.judge, tokens, method, path
        )
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                judgement = await work
        except TimeoutError:
            raise ServiceUnavailable(
                f"Keystone did not answer in {self._limits.timeout_s:g} s; retry later"
            ) from None
        verdict = self._limit(judgement)
        self._cache.keep(tokens, method, path, verdict)
        return verdict

    def _limit(self, verdict: Verdict) -> Verdict:
        longest_s = self._limits.bad_cache_s if verdict.caller is None else self._limits.cache_s
        return Verdict(verdict.caller, verdict.restricted, min(verdict.life_s, longest_s))


class _AuthProtocol(auth_token.AuthProtocol):  # type: ignore[misc]  # not typed
    """keystonemiddleware, that also tells whether a token has access rules."""

    def validate_allowed_request(self, request: Any, token: dict[str, Any]) -> None:
        credential = token.get("application_credential") or {}
        restricted = credential.get("access_rules") is not None
        request.environ[_RESTRICTED] = restricted
        if restricted and "catalog" not in token:
            _LOG.warning(
                "token with access rules refused: they cannot be checked without the "
                "catalogue, set include_service_catalog in [keystone_authtoken] to true"
            )
            raise auth_token.InvalidToken(_REFUSED)
        super().validate_allowed_request(request, token)


class TokenMiddleware:
    """keystonemiddleware as a function. Blocking: to be called in threads."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        service_type: str,
        timeout_s: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``service_type`` is what access rules call us, e.g. ``compute``.

        Raises ConfigError when [keystone_authtoken] is not usable.
        """
        self._now = now
        for group, options in auth_token.list_opts():
            conf.register_opts(options, group=group)
        options = conf[KEYSTONE_GROUP]
        if not (options.auth_type or options.auth_section):
            raise ConfigError(
                f"option auth_type in group [{KEYSTONE_GROUP}] is not set; set it and the "
                "credential of the service user, e.g. auth_type = password, auth_url, username, "
                "password, project_name, user_domain_id, project_domain_id"
            )
        overrides = _make_overrides(options, service_type, timeout_s)
        try:
            self._wsgi = _AuthProtocol(_accept, {"oslo_config_config": conf, **overrides})
        except (keystone_errors.ClientException, auth_token.ConfigurationError) as error:
            raise ConfigError(f"group [{KEYSTONE_GROUP}] cannot be used: {error}") from error
        self._longest_s = _find_longest_life(options)
        self.challenge = f'Keystone uri="{_find_identity_url(conf)}"'

    def judge(self, tokens: Tokens, method: str, path: str) -> Verdict:
        """Return what keystonemiddleware says. Raises ServiceUnavailable without Keystone."""
        environ = _make_environ(tokens, method, path)
        statuses: list[str] = []
        try:
            self._wsgi(environ, lambda status, *_: statuses.append(status))
        except (keystone_errors.ClientException, auth_token.ServiceError) as error:
            _LOG.error("token check failed", extra={"reason": f"{type(error).__name__}: {error}"})
            raise ServiceUnavailable("Keystone cannot be asked; retry later") from error
        restricted = bool(environ.get(_RESTRICTED))
        if statuses[0].startswith("200"):
            caller = _make_caller(tokens, environ[_TOKEN_AUTH])
            return Verdict(caller, restricted, self._find_life_s(environ[_TOKEN_AUTH]))
        if statuses[0].startswith("401"):
            return Verdict(None, restricted, math.inf)
        raise ServiceUnavailable("Keystone cannot be asked; retry later")

    def _find_life_s(self, token_auth: Any) -> float:
        """Return how long the tokens are good, and no longer than may be believed unasked.

        An expired token that came with a service token lives as long as that one.
        """
        ends = [auth.expires for auth in (token_auth.user, token_auth.service) if auth is not None]
        lives: list[float] = [(end - self._now()).total_seconds() for end in ends]
        if token_auth.service is not None and lives[0] <= 0:
            lives = lives[1:]
        return min([*lives, self._longest_s])


def make_tokens(settings: Settings, service_type: str) -> KeystoneTokens:
    """Return the token checker of a program, as its options say."""
    gateway = settings.gateway
    return KeystoneTokens(
        TokenMiddleware(settings.source, service_type, gateway.token_check_timeout_s),
        TokenLimits(
            cache_s=gateway.token_cache_s,
            bad_cache_s=gateway.bad_token_cache_s,
            cache_size=gateway.token_cache_size,
            threads=gateway.token_check_threads,
            timeout_s=gateway.token_check_timeout_s,
        ),
    )


def _make_overrides(
    options: cfg.ConfigOpts.GroupAttr, service_type: str, timeout_s: float
) -> dict[str, Any]:
    """Return what keystonemiddleware must do here whatever the file says."""
    overrides: dict[str, Any] = {"service_type": service_type, "delay_auth_decision": False}
    if options.http_connect_timeout is None:
        overrides["http_connect_timeout"] = math.ceil(timeout_s)
    if not options.memcached_servers:
        # Its own cache in the process is deprecated and walks through all entries on each
        # look. Ours stands in front of it, so it is given one that keeps nothing.
        overrides["cache"] = _NO_CACHE
    return overrides


def _find_longest_life(options: cfg.ConfigOpts.GroupAttr) -> float:
    """Return how long a verdict may be believed at most; token_cache_time -1 means not at all."""
    return float(max(options.token_cache_time, 0))


def _find_identity_url(conf: cfg.ConfigOpts) -> str:
    """Return where clients get tokens: www_authenticate_uri, or the host of auth_url."""
    options = conf[KEYSTONE_GROUP]
    if options.www_authenticate_uri:
        return str(options.www_authenticate_uri)
    section = conf[options.auth_section] if options.auth_section else options
    parts = urlsplit(section.get("auth_url") or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


class _NoCache:
    """The cache keystonemiddleware is given when there is no memcached: always empty."""

    def get(self, key: str) -> None:
        """Return nothing."""

    def set(self, key: str, value: object, time: int = 0) -> None:
        """Keep nothing."""


def _accept(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer 200: the application that keystonemiddleware protects."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ()


def _make_environ(tokens: Tokens, method: str, path: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        _NO_CACHE: _NoCache(),
        "HTTP_X_AUTH_TOKEN": tokens.user.decode("latin-1"),
    }
    if tokens.service:
        environ["HTTP_X_SERVICE_TOKEN"] = tokens.service.decode("latin-1")
    return environ


def _make_caller(tokens: Tokens, token_auth: Any) -> Caller:
    user, service = token_auth.user, token_auth.service
    return Caller(
        user_id=UserId(user.user_id),
        project_id=ProjectId(user.project_id) if user.project_id else None,
        roles=frozenset(user.role_names),
        token=tokens.user.decode("latin-1"),
        is_admin_project=bool(user.is_admin_project),
        domain_id=user.domain_id,
        system_scope="all" if user.system_scoped and user.system.get("all") else None,
        service_roles=frozenset(service.role_names if service is not None else ()),
        service_token=tokens.service.decode("latin-1") or None,
    )
