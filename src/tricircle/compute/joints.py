"""The answers of Nova that are made of all pods', as data: what is summed, what put together.

Truth: nova/api/openstack/compute/{limits,hypervisors,services,hosts,migrations,
simple_tenant_usage,instance_usage_audit_log}.py of Nova 34 and 31.
"""

from __future__ import annotations

from tricircle.compute import listings
from tricircle.core.bodies import read_value, set_value
from tricircle.core.joining import How, Joint, Rule
from tricircle.core.model import Version
from tricircle.core.table import (
    Aggregate,
    Ask,
    ByNumber,
    ByVersion,
    Composed,
    Finder,
    Merge,
    Pages,
    Row,
)

_UUIDS_FROM = Version(2, 53)
"""From here on hypervisors and services are named by UUIDs, which no two pods share."""

# Hypervisors.

_HYPERVISOR_NUMBERS = ("id", "service.id")
_HYPERVISORS = Joint((Rule("hypervisors", How.APPEND),))
_HYPERVISOR_PAGES = Pages(
    "hypervisors[].id", "hypervisors_links", whole=("hypervisor_hostname_pattern",)
)
_NUMBERED = Aggregate(
    _HYPERVISORS, numbers=tuple(f"hypervisors[].{place}" for place in _HYPERVISOR_NUMBERS)
)
HYPERVISORS = ByVersion(
    _NUMBERED,
    Version(2, 33),
    ByVersion(
        Aggregate(_HYPERVISORS, numbers=_NUMBERED.numbers, pages=_HYPERVISOR_PAGES),
        _UUIDS_FROM,
        Aggregate(_HYPERVISORS, pages=_HYPERVISOR_PAGES),
    ),
)
"""GET /os-hypervisors and /os-hypervisors/detail."""

HYPERVISOR_SEARCH = _NUMBERED
"""GET /os-hypervisors/{pattern}/search and /servers, which are gone from 2.53 on."""

HYPERVISOR = ByVersion(
    ByNumber(
        "Hypervisor with ID '{id}' could not be found.",
        numbers=tuple(f"hypervisor.{place}" for place in _HYPERVISOR_NUMBERS),
    ),
    _UUIDS_FROM,
    Ask(),
)
"""GET /os-hypervisors/{id} and /os-hypervisors/{id}/uptime."""

STATISTICS = Aggregate(Joint((Rule("hypervisor_statistics.*", How.SUM),)))
"""GET /os-hypervisors/statistics."""

# Services and hosts.

_SEVERAL_HOSTS = (
    "Host {name} refers to multiple hosts, in these pods: {pods}. Name one of them as pod:{name}."
)
_HOST = Finder("/os-services", "services[].host", _SEVERAL_HOSTS, filter="host")
_SERVICE = Finder(
    "/os-services",
    "services[].id",
    "Service id {name} refers to multiple services, in pods {pods}.",
)
_SERVICES = Joint((Rule("services", How.APPEND),))
_SERVICE_ZONES = ("services[].zone",)

SERVICES = ByVersion(
    Aggregate(_SERVICES, _SERVICE_ZONES, numbers=("services[].id",), host_filter="host"),
    _UUIDS_FROM,
    Aggregate(_SERVICES, _SERVICE_ZONES, host_filter="host"),
)
"""GET /os-services."""

SERVICE_CHANGE = ByVersion(
    Ask(_HOST, place="host", is_host=True),
    _UUIDS_FROM,
    Ask(_SERVICE, zones=("service.zone",)),
)
"""PUT /os-services/{id}: the id is what to do before 2.53, and the body names the host."""

SERVICE_DELETION = ByVersion(ByNumber("Service {id} not found."), _UUIDS_FROM, Ask(_SERVICE))
"""DELETE /os-services/{id}."""

HOSTS = Aggregate(Joint((Rule("hosts", How.APPEND),)), ("hosts[].zone",), zone_filter="zone")
"""GET /os-hosts, which is gone from 2.43 on, as all of it is."""

HOST = Ask(_HOST, is_host=True)
"""GET and PUT /os-hosts/{id}, and GET of what is below."""

MIGRATIONS = ByVersion(
    Aggregate(Joint((Rule("migrations", How.APPEND),)), host_filter="host"),
    Version(2, 59),
    Merge(listings.MIGRATIONS),
)
"""GET /os-migrations."""

# Usage.

_USAGE_PAGES = Pages("tenant_usage.server_usages[].instance_id", "tenant_usage_links")
_USAGES_PAGES = Pages(
    "tenant_usages[].server_usages[].instance_id",
    "tenant_usages_links",
    shown_by="detailed",
    hidden="tenant_usages[].server_usages",
)
_USAGE = Joint((
    Rule("tenant_usage.total_*", How.SUM),
    Rule("tenant_usage.server_usages", How.APPEND),
))  # fmt: skip
_USAGES = Joint((
    Rule("tenant_usages", How.GROUP, key="tenant_id"),
    Rule("tenant_usages[].total_*", How.SUM),
    Rule("tenant_usages[].server_usages", How.APPEND),
))  # fmt: skip
_USAGE_PAGES_FROM = Version(2, 40)

USAGE = ByVersion(Aggregate(_USAGE), _USAGE_PAGES_FROM, Aggregate(_USAGE, pages=_USAGE_PAGES))
"""GET /os-simple-tenant-usage/{id}."""

USAGES = ByVersion(Aggregate(_USAGES), _USAGE_PAGES_FROM, Aggregate(_USAGES, pages=_USAGES_PAGES))
"""GET /os-simple-tenant-usage."""


def _audit(top: str) -> Aggregate:
    def finish(body: bytes) -> bytes:
        """Put the words about all hosts right, as _get_audit_task_logs makes them."""
        done = read_value(body, f"{top}.num_hosts_done")
        hosts = read_value(body, f"{top}.num_hosts")
        errors = read_value(body, f"{top}.total_errors")
        which = "ALL" if done == hosts else f"{done} of {hosts}"
        return set_value(body, f"{top}.overall_status", f"{which} hosts done. {errors} errors.")

    rules = (
        Rule(f"{top}.num_*", How.SUM),
        Rule(f"{top}.total_*", How.SUM),
        Rule(f"{top}.hosts_not_run", How.APPEND),
        Rule(f"{top}.log", How.NAMED),
    )
    return Aggregate(Joint(rules, finish))


AUDIT_LOGS = _audit("instance_usage_audit_logs")
"""GET /os-instance_usage_audit_log."""

AUDIT_LOG = _audit("instance_usage_audit_log")
"""GET /os-instance_usage_audit_log/{id}."""

CONSOLE_TOKEN = Ask()
"""GET /os-console-auth-tokens/{id}."""

ROWS = [
    Row("GET", "/os-hypervisors", HYPERVISORS),
    Row("GET", "/os-hypervisors/detail", HYPERVISORS),
    Row("GET", "/os-hypervisors/statistics", STATISTICS),
    Row("GET", "/os-hypervisors/{id}", HYPERVISOR),
    Row("GET", "/os-hypervisors/{id}/uptime", HYPERVISOR),
    Row("GET", "/os-hypervisors/{id}/search", HYPERVISOR_SEARCH),
    Row("GET", "/os-hypervisors/{id}/servers", HYPERVISOR_SEARCH),
    Row("GET", "/os-services", SERVICES),
    Row("PUT", "/os-services/{id}", SERVICE_CHANGE),
    Row("DELETE", "/os-services/{id}", SERVICE_DELETION),
    Row("GET", "/os-hosts", HOSTS),
    Row("GET", "/os-hosts/{id}", HOST),
    Row("PUT", "/os-hosts/{id}", HOST),
    Row("GET", "/os-hosts/{id}/reboot", HOST),
    Row("GET", "/os-hosts/{id}/shutdown", HOST),
    Row("GET", "/os-hosts/{id}/startup", HOST),
    Row("GET", "/os-migrations", MIGRATIONS),
    Row("GET", "/os-simple-tenant-usage", USAGES),
    Row("GET", "/os-simple-tenant-usage/{id}", USAGE),
    Row("GET", "/os-instance_usage_audit_log", AUDIT_LOGS),
    Row("GET", "/os-instance_usage_audit_log/{id}", AUDIT_LOG),
    Row("GET", "/os-console-auth-tokens/{id}", CONSOLE_TOKEN),
    Row("POST", "/os-server-external-events", Composed("events")),
    Row("POST", "/os-assisted-volume-snapshots", Composed("assisted_snapshots")),
    Row("DELETE", "/os-assisted-volume-snapshots/{id}", Composed("assisted_snapshots")),
]
