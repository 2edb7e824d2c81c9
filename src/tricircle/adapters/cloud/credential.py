"""The service's own credential, and Keystone's catalogue read with it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1 import loading
from oslo_config import cfg

from tricircle.adapters.config import SERVICE_CREDENTIAL_GROUP, ConfigError, Settings
from tricircle.core.errors import NotFound, ServiceUnavailable
from tricircle.core.model import Service

_LOG = logging.getLogger(__name__)

# A token is asked for anew before it is this close to its end, and when it is this
# old: a pod that stopped believing it (rotated keys) does so again within minutes.
_RENEW_BEFORE_END_S = 120.0
_RENEW_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class _Access:
    token: str = field(repr=False)
    good_until_s: float
    catalogue: Mapping[str, Mapping[Service, str]] = field(repr=False)


class KeystoneCredential:
    """``interfaces.cloud.ServiceCredential`` and ``Catalogue`` from one login."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        timeout_s: float = 30.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read [service_credential]. Raises ConfigError when it is not usable."""
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._auth, self._session = _load(conf, timeout_s)
        self._access: _Access | None = None
        self._login: asyncio.Task[_Access] | None = None
        self._threads = ThreadPoolExecutor(2, "service-credential")

    def close(self) -> None:
        """Log in no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get_token(self) -> str:
        """Return a valid token of the service credential, renewed before it expires.

        Raises ServiceUnavailable when Keystone cannot be asked or refuses the credential.
        """
        access = self._access
        if access is None or access.good_until_s <= self._now_s():
            access = await self._log_in()
        return access.token

    async def get_endpoints(self, region: str) -> Mapping[Service, str]:
        """Return the public URLs of a region's services as the catalogue has them now.

        Raises NotFound for a region without endpoints, ServiceUnavailable as ``get_token``.
        """
        # The catalogue comes with each new token; an old one would lack a new region.
        access = await self._log_in()
        endpoints = access.catalogue.get(region)
        if not endpoints:
            raise NotFound(
                f"region '{region}' has no public endpoints in Keystone's catalogue; "
                f"see 'openstack endpoint list --region {region}'"
            )
        return endpoints

    async def _log_in(self) -> _Access:
        """Return a new token and catalogue; all who need one at the same time share it."""
        if self._login is None:
            self._login = asyncio.create_task(self._ask(), name="service-credential")
            self._login.add_done_callback(self._forget_login)
        return await asyncio.shield(self._login)

    def _forget_login(self, done: asyncio.Task[_Access]) -> None:
        self._login = None
        if not done.cancelled():
            done.exception()  # those who waited have seen it, or have gone

    async def _ask(self) -> _Access:
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, contextvars.copy_context().run, self._ask_keystone
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                self._access = await work
        except TimeoutError:
            raise ServiceUnavailable(
                f"Keystone did not answer in {self._timeout_s:g} s; retry later"
            ) from None
        return self._access

    def _ask_keystone(self) -> _Access:
        try:
            found = self._auth.get_auth_ref(self._session)
        except keystone_errors.ClientException as error:
            _LOG.error(
                "service credential has no token",
                extra={"group": SERVICE_CREDENTIAL_GROUP, "reason": f"{type(error).__name__}"},
            )
            raise ServiceUnavailable(
                f"Keystone gives no token for the credential in [{SERVICE_CREDENTIAL_GROUP}]; "
                "an operator must look at the log"
            ) from error
        life_s = (found.expires - datetime.now(UTC)).total_seconds()
        use_s = min(life_s - min(_RENEW_BEFORE_END_S, life_s / 4), _RENEW_AFTER_S)
        return _Access(
            token=found.auth_token,
            good_until_s=self._now_s() + use_s,
            catalogue=read_catalogue(found.service_catalog.catalog),
        )


def read_catalogue(catalogue: Any) -> dict[str, dict[Service, str]]:
    """Return the public URLs of a v3 catalogue by region and service; the first one counts.

    A service may be listed under any of its names (``volumev3``, ``block-storage``).
    """
    found: dict[str, dict[Service, str]] = {}
    for entry in catalogue:
        service = _SERVICES_BY_NAME.get(entry.get("type", ""))
        if service is None:
            continue
        for endpoint in entry.get("endpoints", ()):
            region = endpoint.get("region_id") or endpoint.get("region")
            if endpoint.get("interface") == "public" and region and endpoint.get("url"):
                found.setdefault(region, {}).setdefault(service, endpoint["url"])
    return found


# The official types and their aliases that mean the same API
# (https://service-types.openstack.org); `volumev2` and `volume` mean older ones.
_SERVICES_BY_NAME: Mapping[str, Service] = {
    **{service.value: service for service in Service},
    "block-storage": Service.VOLUME,
    "block-store": Service.VOLUME,
}


def make_credential(settings: Settings) -> KeystoneCredential:
    """Return the service credential of a program, as its options say."""
    return KeystoneCredential(settings.source, settings.gateway.token_check_timeout_s)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options of a password credential, for oslo-config-generator."""
    options = [
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options("password"),
        *loading.get_session_conf_options(),
    ]
    names = {option.name: option for option in options}
    return [(SERVICE_CREDENTIAL_GROUP, list(names.values()))]


def _load(conf: cfg.ConfigOpts, timeout_s: float) -> tuple[Any, Any]:
    """Return keystoneauth's plugin and session for [service_credential]."""
    group = SERVICE_CREDENTIAL_GROUP
    loading.register_auth_conf_options(conf, group)
    loading.register_session_conf_options(conf, group)
    try:
        auth = loading.load_auth_from_conf_options(conf, group)
    except (keystone_errors.ClientException, cfg.Error) as error:
        raise ConfigError(f"group [{group}] cannot be used: {error}") from error
    if auth is None:
        raise ConfigError(
            f"option auth_type in group [{group}] is not set; set it and the credential of a user "
            "with the roles admin and service, e.g. auth_type = password, auth_url, username, "
            "password, project_name, user_domain_id, project_domain_id"
        )
    timeout = conf[group].timeout or timeout_s
    return auth, loading.load_session_from_conf_options(conf, group, timeout=timeout)
