"""Lists of Cinder: sorting, paging and links, as its database and views do them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from tricircle.testing.cloud.http import Document, Json, Request, refuse
from tricircle.testing.cloud.volume.guards import is_true


class Listed(Protocol):
    """Something with an id that can be listed."""

    id: str


Item = TypeVar("Item", bound=Listed)
_ABSENT = object()
NOT_FILTERS = (
    "limit",
    "marker",
    "offset",
    "sort",
    "sort_key",
    "sort_dir",
    "all_tenants",
    "with_count",
)
Order = tuple[tuple[str, bool], ...]


def parse_limit(request: Request, maximum: int) -> int:
    """Return the page size; raises Refused."""
    given = request.find("limit")
    if given is None:
        return maximum
    try:
        limit = int(given)
    except ValueError:
        refuse(400, "limit param must be an integer")
    if limit < 0:
        refuse(400, "limit param must be positive")
    return min(limit, maximum)


def parse_offset(request: Request) -> int:
    """Return how many items to leave out; raises Refused."""
    given = request.find("offset") or "0"
    if not given.removeprefix("-").isdigit():
        refuse(400, "offset must be an integer")
    if given.startswith("-"):
        refuse(400, "offset must be >= 0")
    return int(given)


def parse_order(request: Request, valid: Iterable[str], named: str = "display_name") -> Order:
    """Return the sort keys and whether each ascends, with Cinder's own additions.

    `named` is what a name is called in the database, where requests may sort by it.
    """
    combined = request.find("sort")
    legacy_key, legacy_way = request.find("sort_key"), request.find("sort_dir")
    if combined is not None and (legacy_key is not None or legacy_way is not None):
        refuse(
            400,
            "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used "
            "with the 'sort' parameter.",
        )
    if combined is not None:
        parts = [part.partition(":") for part in combined.strip().split(",")]
        keys = [key.strip() for key, _, _ in parts]
        ways = [way.strip() or "desc" for _, _, way in parts]
    else:
        keys, ways = [(legacy_key or "created_at").strip()], [(legacy_way or "desc").strip()]
    keys = [named if key == "name" else key for key in keys]
    if any(way not in ("asc", "desc") for way in ways):
        refuse(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
    wrong = [key for key in keys if key not in valid]
    if wrong:
        refuse(400, "Invalid input received: Invalid sort key")
    for key in ("created_at", "id"):
        if key not in keys:
            keys, ways = [*keys, key], [*ways, ways[0]]
    return tuple((key, way == "asc") for key, way in zip(keys, ways, strict=True))


def keep_allowed(request: Request, allowed: Iterable[str]) -> dict[str, str]:
    """Return the filters of a list; raises Refused for one that members may not use."""
    filters = {key: value for key, value in request.pairs if key not in NOT_FILTERS}
    if request.caller.is_admin:
        return filters
    unknown = [key for key in filters if key not in allowed]
    if unknown and request.microversion >= 31:
        refuse(400, f"Invalid filters {','.join(unknown)} are found in query options.")
    return {key: value for key, value in filters.items() if key not in unknown}


def is_asked(item: Listed, filters: Mapping[str, str]) -> bool:
    """Tell whether an item has what each filter wants; none has what no column knows."""
    return all(_has(item, key, value) for key, value in filters.items())


def _has(item: Listed, key: str, value: str) -> bool:
    if key.endswith("~"):
        found = getattr(item, {"name~": "display_name"}.get(key, key[:-1]), None)
        return value.lower() in str(found or "").lower()
    found = getattr(item, {"name": "display_name"}.get(key, key), _ABSENT)
    if found is _ABSENT:
        return False
    if isinstance(found, dict):
        return all(found.get(name) == text for name, text in _pairs(value))
    if isinstance(found, bool):
        return found == is_true(value)
    return str(found if found is not None else "").lower() == value.lower()


def _pairs(value: str) -> list[tuple[str, str]]:
    """Return names and values of a dictionary as a query has it: `{'one': '1'}`."""
    pairs = [part.partition(":") for part in value.strip("{}").split(",") if part]
    return [(key.strip(" '\"u"), text.strip(" '\"")) for key, _, text in pairs]


def sort_items(items: Iterable[Item], order: Order) -> list[Item]:
    """Return items in order; what is not set comes first when ascending."""
    ordered = list(items)
    for key, ascending in reversed(order):
        ordered.sort(key=partial(_rank_of, key), reverse=not ascending)
    return ordered


def _rank_of(key: str, item: Listed) -> tuple[bool, Json]:
    return _rank(getattr(item, key))


def _rank(value: Json) -> tuple[bool, Json]:
    if isinstance(value, str):
        value = value.lower()
    return (value is not None, value if value is not None else 0)


def find_start(
    request: Request, items: Sequence[Item], positions: dict[str, int], label: str
) -> int:
    """Return where the page after the marker starts; raises Refused for an absent one."""
    marker = request.find("marker")
    if not marker:
        return 0
    if marker not in positions:
        refuse(404, f"{label} {marker} could not be found.")
    return positions[marker] + 1


def next_link(request: Request, collection: str, last_id: str) -> list[Document]:
    """Return the link to the next page."""
    params = [pair for pair in request.pairs if pair[0] != "marker"] + [("marker", last_id)]
    url = f"{request.base}/v3{request.url_project}/{collection}?{urlencode(params)}"
    return [{"rel": "next", "href": url}]


def is_counted(request: Request) -> bool:
    """Tell whether a list is to say how many there are (3.45)."""
    return request.microversion >= 45 and is_true(request.find("with_count"))


def slice_of(
    request: Request, items: list[Item], collection: str, label: str, maximum: int
) -> tuple[list[Item], list[Document]]:
    """Return the page of a list that is filtered and sorted already, and its links.

    With `with_count` there is a link as long as there are more in all than in a page.
    """
    positions = {item.id: place for place, item in enumerate(items)}
    limit = parse_limit(request, maximum)
    start = find_start(request, items, positions, label) + parse_offset(request)
    page = items[start : start + limit]
    counted = len(items) if is_counted(request) else 0
    links = []
    if page and limit <= (counted or len(page)):
        links = next_link(request, collection, page[-1].id)
    return page, links


class Kind(Listed, Protocol):
    """A type of volumes or groups."""

    is_public: bool
    projects: set[str]


OneKind = TypeVar("OneKind", bound=Kind)
_KIND_KEYS = ("created_at", "description", "id", "is_public", "name", "updated_at")


def keep_public(request: Request, kinds: Iterable[OneKind]) -> list[OneKind]:
    """Return the types a list shows: public ones, what a project may use, what is asked for."""
    caller, asked = request.caller, request.find("is_public")
    wanted: bool | None = True
    if caller.is_admin and asked is not None:
        wanted = None if asked.lower() == "none" else is_true(asked)
    return [
        kind
        for kind in kinds
        if wanted is None
        or kind.is_public == wanted
        or (wanted and caller.project_id in kind.projects)
    ]


def page_of_kinds(
    request: Request,
    items: Sequence[Item],
    collection: str,
    maximum: int,
    keys: Sequence[str] = _KIND_KEYS,
) -> tuple[list[Item], list[Document]]:
    """Return the page of a list of types, newest first, and its links.

    Their tables do without a marker that is not there: the list begins anew.
    """
    combined = request.find("sort") or ""
    renamed = parse_order(request, [*keys, "display_name"] if "name" in keys else keys)
    order = tuple(("name" if key == "display_name" else key, up) for key, up in renamed)
    if combined == "" and request.find("sort_key") is None:
        order = (("created_at", False), ("id", False))
    ordered = sort_items(items, order)
    limit = parse_limit(request, maximum)
    places = {item.id: place + 1 for place, item in enumerate(ordered)}
    start = places.get(request.find("marker") or "", 0) + parse_offset(request)
    page = ordered[start : start + limit]
    linked = page and limit <= len(page)
    return page, next_link(request, collection, page[-1].id) if linked else []
