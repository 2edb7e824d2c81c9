"""What servers have used of a Nova, by project, and what audits of it say."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute.lists import parse_limit
from tricircle.testing.cloud.compute.records import Server
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
_PATH = "/os-simple-tenant-usage"


def _list(compute: "Compute", request: Request) -> Answer:
    detailed = (request.list_values("detailed") or ["0"])[0] == "1"
    period = _read_period(compute, request)
    page = _read_page(compute, request, period, None)
    usages = _usages(compute, page, period, detailed)
    body: Document = {"tenant_usages": usages}
    _add_links(compute, request, page, body, "tenant_usages_links")
    return answer_json(body)


def _show(compute: "Compute", request: Request) -> Answer:
    project_id = request.parameters["id"]
    if project_id != request.caller.project_id and not request.caller.is_admin:
        refuse(
            403,
            "Policy doesn't allow os_compute_api:os-simple-tenant-usage:show to be performed.",
        )
    period = _read_period(compute, request)
    page = _read_page(compute, request, period, project_id)
    usages = _usages(compute, page, period, detailed=True)
    body: Document = {"tenant_usage": usages[0] if usages else {}}
    _add_links(compute, request, page, body, "tenant_usage_links")
    return answer_json(body)


def _read_period(compute: "Compute", request: Request) -> tuple[datetime, datetime]:
    now = compute.clock()
    start = _read_moment(request.find("start"), now)
    stop = _read_moment(request.find("end"), now)
    if not start < stop and (request.find("start") or request.find("end")):
        refuse(400, "Invalid start time. The start time cannot occur after the end time.")
    return start, min(stop, now)


def _read_moment(text: str | None, now: datetime) -> datetime:
    if not text:
        return now
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    refuse(400, "Invalid datetime string: Datetime is in invalid format")


def _read_page(
    compute: "Compute",
    request: Request,
    period: tuple[datetime, datetime],
    project_id: str | None,
) -> list[Server]:
    found = [
        server
        for server in compute.servers.values()
        if server.launched_at is not None
        and server.launched_at < period[1]
        and (server.terminated_at is None or server.terminated_at > period[0])
        and project_id in (None, server.project_id)
    ]
    found.sort(key=lambda server: (server.project_id, server.uuid))
    if request.microversion < 40:
        return found
    marker, start = request.find("marker"), 0
    if marker is not None:
        ids = [server.uuid for server in found]
        if marker not in ids:
            refuse(400, f"Marker {marker} could not be found.")
        start = ids.index(marker) + 1
    return found[start : start + parse_limit(request, compute.max_limit)]


def _usages(
    compute: "Compute",
    page: Sequence[Server],
    period: tuple[datetime, datetime],
    detailed: bool,
) -> list[Document]:
    usages: dict[str, Document] = {}
    for server in page:
        usage = usages.setdefault(server.project_id, _empty_usage(server, period, detailed))
        row = _row(compute, server, period)
        for name in ("local_gb", "vcpus", "memory_mb"):
            usage[f"total_{name}_usage"] += row[name] * row["hours"]
        usage["total_hours"] += row["hours"]
        if detailed:
            usage["server_usages"].append(row)
    return list(usages.values())


def _empty_usage(server: Server, period: tuple[datetime, datetime], detailed: bool) -> Document:
    usage: Document = {"tenant_id": server.project_id}
    if detailed:
        usage["server_usages"] = []
    for name in ("local_gb_usage", "vcpus_usage", "memory_mb_usage", "hours"):
        usage[f"total_{name}"] = 0
    return usage | {"start": _naive(period[0]), "stop": _naive(period[1])}


def _row(compute: "Compute", server: Server, period: tuple[datetime, datetime]) -> Document:
    launched = server.launched_at or period[1]
    stop = min(period[1], server.terminated_at or period[1])
    until = server.terminated_at or compute.clock()
    return {
        "hours": (stop - max(launched, period[0])).total_seconds() / 3600,
        "flavor": server.flavor.name,
        "instance_id": server.uuid,
        "name": server.display_name,
        "tenant_id": server.project_id,
        "memory_mb": server.flavor.memory_mb,
        "local_gb": server.flavor.root_gb + server.flavor.ephemeral_gb,
        "vcpus": server.flavor.vcpus,
        "started_at": _naive(launched),
        "ended_at": _naive(server.terminated_at) if server.terminated_at else None,
        "state": "terminated" if server.terminated_at else server.vm_state,
        "uptime": int((until - launched).total_seconds()),
    }


def _naive(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _add_links(
    compute: "Compute", request: Request, page: Sequence[Server], body: Document, key: str
) -> None:
    limit = parse_limit(request, compute.max_limit)
    if request.microversion < 40 or not page or len(page) != limit:
        return
    pairs = {**dict(sorted(request.pairs)), "marker": page[-1].uuid}
    body[key] = [{"rel": "next", "href": f"{request.url}?{urlencode(pairs)}"}]


def _audit(compute: "Compute") -> Document:
    """Return the log of audits: none was ever made, as without instance_usage_audit."""
    month = compute.clock().replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    hosts = sorted({one.host for one in compute.services if one.binary == "nova-compute"})
    before = month.replace(
        year=month.year - (month.month == 1), month=12 if month.month == 1 else month.month - 1
    )
    return {
        "period_beginning": str(before),
        "period_ending": str(month),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.",
        "log": {},
    }


def _list_audits(compute: "Compute", request: Request) -> Answer:
    return answer_json({"instance_usage_audit_logs": _audit(compute)})


def _show_audit(compute: "Compute", request: Request) -> Answer:
    text = request.parameters["id"].replace("%20", " ")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return answer_json({"instance_usage_audit_log": _audit(compute)})
    refuse(400, f"Invalid timestamp for date {text}")


_LOG = "/os-instance_usage_audit_log"
ROUTES = (
    ("GET", _PATH, "admin", "os-simple-tenant-usage:list", _list),
    ("GET", f"{_PATH}/{{id}}", "read", "os-simple-tenant-usage:show", _show),
    ("GET", _LOG, "admin", "os-instance-usage-audit-log:list", _list_audits),
    ("GET", f"{_LOG}/{{id}}", "admin", "os-instance-usage-audit-log:show", _show_audit),
)
