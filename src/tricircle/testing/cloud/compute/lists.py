"""Lists of servers: filters, sorting and paging exactly as Nova's database does."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cmp_to_key, partial

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.compute.records import Flavor, Server, states_of
from tricircle.testing.cloud.compute.schemas import IGNORED_SORT_KEYS, list_servers
from tricircle.testing.cloud.http import Json, Request, refuse
from tricircle.testing.cloud.schemas import find_error, query_message

PAGING = ("sort_key", "sort_dir", "limit", "marker")
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
_EXACT = (
    "project_id",
    "user_id",
    "image_ref",
    "vm_state",
    "instance_type_id",
    "uuid",
    "host",
    "task_state",
    "locked",
    "tenant_id",
)
_RENAMED = {
    "image": "image_ref",
    "name": "display_name",
    "tenant_id": "project_id",
    "description": "display_description",
}
_TRUE = ("1", "t", "true", "on", "y", "yes")
_FALSE = ("0", "f", "false", "off", "n", "no")

Order = tuple[tuple[str, bool], ...]
Test = Callable[[Server], bool]


def check_query(request: Request, minor: int) -> None:
    """Raise Refused for a query Nova's schema does not allow."""
    values: dict[str, list[str]] = {}
    for key, value in request.pairs:
        values.setdefault(key, []).append(value)
    error = find_error(list_servers(minor), values)
    if error is not None:
        refuse(400, query_message(error))


def sort_value(server: Server, key: str) -> Json:
    """Return what a server is sorted by; MySQL's collation ignores case."""
    if key == "instance_type_id":
        return server.flavor.number
    value = getattr(server, key, None)
    return value.lower() if isinstance(value, str) else value


def parse_order(request: Request, caller: Caller, minor: int) -> Order:
    """Return the sort keys and whether each ascends, with Nova's own additions."""
    keys = [key.strip() for key in request.list_values("sort_key")] or ["created_at"]
    ways = [way.strip() for way in request.list_values("sort_dir")] or ["desc"]
    for key in list(keys):
        if key in IGNORED_SORT_KEYS and not (key == "locked" and minor >= 73):
            index = keys.index(key)
            if len(ways) > index:
                ways.pop(index)
            keys.pop(index)
        elif key in ("host", "node") and not caller.is_admin:
            refuse(403, f"Only administrators can sort servers by {key}")
    if not keys:
        keys, ways = ["created_at", "number"], ["desc", "desc"]
    if "uuid" not in keys:
        keys, ways = [*keys, "uuid"], [*ways, "asc"]
    if any(way not in ("asc", "desc") for way in ways):
        refuse(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
    ways += [ways[0]] * (len(keys) - len(ways))
    if len(ways) > len(keys):
        refuse(400, "Invalid input received: Sort direction size exceeds sort key size")
    return tuple((key, way == "asc") for key, way in zip(keys, ways, strict=True))


def sort_servers(servers: Iterable[Server], order: Order) -> list[Server]:
    """Return servers in order; what is not set comes first when ascending."""
    ordered = list(servers)
    for key, ascending in reversed(order):
        ordered.sort(key=partial(_rank_of, key), reverse=not ascending)
    return ordered


def _rank_of(key: str, server: Server) -> tuple[bool, Json]:
    return _rank(sort_value(server, key))


def _rank(value: Json) -> tuple[bool, Json]:
    return (value is not None, value if value is not None else 0)


def compare(one: Server, other: Server, order: Order) -> int:
    """Return -1, 0 or 1 as `one` comes before, with or after `other`."""
    for key, ascending in order:
        first, second = _rank(sort_value(one, key)), _rank(sort_value(other, key))
        if first != second:
            return -1 if (first < second) == ascending else 1
    return 0


def position_after(servers: list[Server], marker: Server, order: Order) -> int:
    """Return where the page after a marker starts, also if it is not in the list."""

    def compare_servers(one: Server, other: Server) -> int:
        return compare(one, other, order)

    key = cmp_to_key(compare_servers)
    low, high, wanted = 0, len(servers), key(marker)
    while low < high:
        middle = (low + high) // 2
        if key(servers[middle]) > wanted:
            high = middle
        else:
            low = middle + 1
    return low


def parse_limit(request: Request, maximum: int) -> int:
    """Return the page size; 0 is an empty page."""
    given = request.find("limit")
    return maximum if given in (None, "") else min(int(str(given)), maximum)


def allowed_options(minor: int) -> set[str]:
    """Return the filters anyone may use."""
    options = {
        "reservation_id",
        "name",
        "status",
        "image",
        "flavor",
        "ip",
        "changes-since",
        "all_tenants",
    }
    added: tuple[tuple[int, tuple[str, ...]], ...] = (
        (5, ("ip6",)),
        (26, _TAGS),
        (66, ("changes-before",)),
        (73, ("locked",)),
        (83, ("availability_zone", "config_drive", "key_name", "created_at", "launched_at",
              "terminated_at", "power_state", "task_state", "vm_state", "progress", "user_id")),
        (90, ("hostname",)),
    )  # fmt: skip
    for since, names in added:
        if minor >= since:
            options.update(names)
    return options


class Filters:
    """The filters of one request, as tests on servers."""

    def __init__(
        self,
        request: Request,
        caller: Caller,
        minor: int,
        flavors: dict[str, Flavor],
        addresses: Callable[[Server], list[str]],
    ) -> None:
        self._caller = caller
        self._flavors = flavors
        self._addresses = addresses
        self._options = self._collect(request, minor)
        self.all_tenants = self._take_all_tenants()
        self.tests: list[Test] = []
        self.is_empty = False
        self._add_states(request, minor)
        self._add_changes()
        self._add_deleted()
        for key, value in self._options.items():
            self._add(key, value)

    def _collect(self, request: Request, minor: int) -> dict[str, str]:
        options = {key: value for key, value in request.pairs if key not in PAGING}
        if not self._caller.is_admin:
            allowed = allowed_options(minor)
            options = {key: value for key, value in options.items() if key in allowed}
        for key in options:
            if key.startswith("_") or key in (
                "metadata",
                "services",
                "info_cache",
                "security_groups",
                "system_metadata",
                "pci_devices",
                "block_device_mapping",
            ):
                refuse(400, f"Invalid filter field: {key}.")
        return options

    def _take_all_tenants(self) -> bool:
        given = self._options.pop("all_tenants", None)
        if given is None:
            self._options.pop("tenant_id", None)
            return False
        if given == "":
            return True
        wanted = _boolean(given)
        if not wanted:
            self._options.pop("tenant_id", None)
        return wanted

    def _add_states(self, request: Request, minor: int) -> None:
        self._options.pop("status", None)
        statuses = request.list_values("status")
        if not statuses:
            return
        vm_states, task_states = states_of(statuses)
        if not vm_states:
            if minor >= 38:
                refuse(400, "Invalid status value")
            self.is_empty = True
        if vm_states == {"deleted"}:
            if not self._caller.is_admin:
                refuse(403, "Only administrators may list deleted instances")
            self._options["deleted"] = "true"
        self.tests.append(lambda server: server.vm_state in vm_states)
        if None not in task_states:
            self.tests.append(lambda server: server.task_state in task_states)

    def _add_changes(self) -> None:
        since, before = self._options.pop("changes-since", None), None
        if "changes-before" in self._options:
            before = _moment(self._options.pop("changes-before"))
        first = _moment(since) if since is not None else None
        if first is not None and before is not None and before < first:
            refuse(400, "The value of changes-since must be less than or equal to changes-before.")
        if first is not None:
            self.tests.append(lambda server: server.updated_at >= first)
        if before is not None:
            self.tests.append(lambda server: server.updated_at <= before)
        self._with_deleted = first is not None or before is not None

    def _add_deleted(self) -> None:
        given = self._options.pop("deleted", None)
        if given is not None:
            wanted = given.lower() in _TRUE
            self.tests.append(lambda server: server.deleted == wanted)
        elif not self._with_deleted:
            self.tests.append(lambda server: not server.deleted)

    def _add(self, key: str, value: str) -> None:
        if key in _TAGS:
            self.tests.append(_tag_test(key, set(value.split(","))))
        elif key in ("ip", "ip6"):
            self._add_address(value)
        elif key == "flavor":
            self._add_flavor(value)
        elif key == "locked":
            wanted = _boolean(value)
            self.tests.append(lambda server: server.locked == wanted)
        else:
            self._add_column(_RENAMED.get(key, key), value)

    def _add_address(self, value: str) -> None:
        addresses = self._addresses
        self.tests.append(lambda server: any(value in found for found in addresses(server)))

    def _add_flavor(self, value: str) -> None:
        flavor = self._flavors.get(value)
        if flavor is None:
            self.is_empty = True
        self.tests.append(lambda server: server.flavor is flavor)

    def _add_column(self, name: str, value: str) -> None:
        if name not in Server.__slots__ and name not in ("node", "instance_type_id"):
            return
        if name in _EXACT:
            self.tests.append(lambda server: str(sort_value(server, name)) == value.lower())
            return
        # As _safe_regex_mysql in nova/db/main/api.py: there are no alternatives.
        pattern = re.compile(value.replace("|", "\\|"), re.IGNORECASE)
        self.tests.append(
            lambda server: pattern.search(_column_text(getattr(server, name))) is not None
        )


def _column_text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else str(value)


def _tag_test(key: str, wanted: set[str]) -> Test:
    if key == "tags":
        return lambda server: wanted <= set(server.tags)
    if key == "tags-any":
        return lambda server: bool(wanted & set(server.tags))
    if key == "not-tags":
        return lambda server: not wanted <= set(server.tags)
    return lambda server: not wanted & set(server.tags)


def _moment(value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value.strip().replace(" ", "+"))
    except ValueError:
        refuse(400, "Invalid filter field: changes-since.")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _boolean(value: str) -> bool:
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    accepted = ", ".join(f"'{word}'" for word in sorted(_FALSE + _TRUE))
    refuse(
        400,
        f"Unrecognized value '{value}', acceptable values are: {accepted}",
    )
