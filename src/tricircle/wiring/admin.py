"""``tricircle-api``: the Admin API."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import cast

from oslo_config import cfg
from oslo_policy import policy

from tricircle.adapters.bus import open_bell
from tricircle.adapters.cloud.credential import make_credential
from tricircle.adapters.cloud.http import make_cloud
from tricircle.adapters.cloud.tokens import make_tokens
from tricircle.adapters.config import PROJECT, ConfigError, Settings, load_settings
from tricircle.adapters.log import setup_logging
from tricircle.adapters.sql import SqlStores
from tricircle.adapters.sql.schema import newest_revision, read_schema_version
from tricircle.admin.app import build_app
from tricircle.admin.backend import Backend
from tricircle.admin.policy import EnforcedPolicy, list_rules
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Pod
from tricircle.core.model import Service as PodService
from tricircle.interfaces.cloud import Cloud
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.placement import PlacementAdvice
from tricircle.usecases.pods import RegionCheck
from tricircle.wiring.serving import Application, Service, read_arguments, serve
from tricircle.wiring.storage import open_storage

PROGRAM = "tricircle-api"
SERVICE_TYPE = "tricircle"
"""What access rules of application credentials call this API."""

CHECK_TIMEOUT_S = 10.0
"""Seconds each endpoint of a pod has to answer when the pod is added or refreshed."""


def main() -> None:
    """Run the program."""
    arguments = sys.argv[1:]
    try:
        settings = load_settings(PROGRAM, arguments)
        asyncio.run(require_schema(settings.database.connection))
        load_policy(settings).check_file()
    except (ConfigError, ServiceUnavailable) as error:
        sys.exit(f"{PROGRAM}: {error}")
    serve(PROGRAM, f"{__name__}:make_service", lambda settings: settings.api, arguments)


def make_service() -> Service:
    """Return the service of one worker."""
    settings = read_arguments(PROGRAM)
    setup_logging(settings, PROGRAM)
    return Service(lambda: open_admin(settings))


@contextlib.asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[Application]:
    """Yield the Admin API, open while it serves."""
    async with AsyncExitStack() as stack:
        database = open_storage(settings)
        stack.push_async_callback(database.close)
        credential = make_credential(settings)
        stack.callback(credential.close)
        tokens = make_tokens(settings, SERVICE_TYPE)
        stack.callback(tokens.close)
        stores = SqlStores(database)
        bell = await stack.enter_async_context(open_bell(settings))
        backend = Backend(
            pods=stores.pods,
            zones=stores.zones,
            routings=stores.routings,
            upkeep=stores.upkeep,
            nodes=stores.nodes,
            records=stores.records,
            requests=JobRequests(stores.desk, bell),
            check=RegionCheck(
                credential,
                partial(_open_cloud, settings),
                settings.top.region_name,
                CHECK_TIMEOUT_S,
            ),
            placement=PlacementAdvice(
                stores.pods,
                stores.zones,
                stores.nodes,
                stores.bindings,
                stores.routings,
                credential,
                partial(_open_cloud, settings),
                CHECK_TIMEOUT_S,
            ),
            policy=load_policy(settings),
            new_id=lambda: str(uuid.uuid4()),
            public_url=settings.api.public_url,
        )
        # The same protocol in two spellings: the framework's and uvicorn's.
        yield cast("Application", build_app(backend, tokens, tokens.challenge))


@contextlib.asynccontextmanager
async def _open_cloud(settings: Settings, pod: Pod) -> AsyncIterator[Cloud]:
    """Yield a cloud of one pod, for one check.

    It knows the pod's region, for its CA file, but no endpoint, so that nothing is
    taken for dead without having been asked.
    """
    cloud = make_cloud(settings.gateway, PodService.COMPUTE)
    cloud.update_pods((dataclasses.replace(pod, endpoints={}),))
    try:
        yield cloud
    finally:
        await cloud.close()


def load_policy(settings: Settings) -> EnforcedPolicy:
    """Return the rules with the operator's policy file, if there is one."""
    return EnforcedPolicy(policy.Enforcer(settings.source))


async def require_schema(connection: str) -> None:
    """Return when the database has the schema of this release, or of a later one.

    A later one is normal while an upgrade is under way. Raises ConfigError,
    ServiceUnavailable.
    """
    found, wanted = await read_schema_version(connection), newest_revision()
    if found is None or found < wanted:
        raise ConfigError(
            f"the database is at schema {found or '(none)'} and this release needs {wanted}; "
            "run 'tricircle-manage db sync'"
        )


def get_enforcer() -> policy.Enforcer:
    """Return an enforcer with our rules, for the tools of oslo.policy."""
    source = cfg.ConfigOpts()
    # The command line is the tool's own; ours is read from the usual places.
    source([], project=PROJECT, prog=PROGRAM)
    enforcer = policy.Enforcer(source)
    enforcer.register_defaults(list_rules())
    return enforcer
