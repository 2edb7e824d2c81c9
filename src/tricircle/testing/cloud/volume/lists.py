"""Lists of Cinder: sorting, paging and links, as its database and views do them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from tricircle.testing.cloud.http import Document, Json, Request, refuse


class Listed(Protocol):
    """Something with an id that can be listed."""

    id: str


Item = TypeVar("Item", bound=Listed)
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
    if not given.isdigit():
        refuse(400, "offset must be an integer")
    return int(given)


def parse_order(request: Request, valid: Iterable[str]) -> Order:
    """Return the sort keys and whether each ascends, with Cinder's own additions."""
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
    keys = ["display_name" if key == "name" else key for key in keys]
    if any(way not in ("asc", "desc") for way in ways):
        refuse(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
    wrong = [key for key in keys if key not in valid]
    if wrong:
        refuse(400, "Invalid input received: Invalid sort key")
    for key in ("created_at", "id"):
        if key not in keys:
            keys, ways = [*keys, key], [*ways, ways[0]]
    return tuple((key, way == "asc") for key, way in zip(keys, ways, strict=True))


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


def slice_of(
    request: Request, items: list[Item], collection: str, label: str, maximum: int
) -> tuple[list[Item], list[Document]]:
    """Return the page of a list that is filtered and sorted already, and its links."""
    positions = {item.id: place for place, item in enumerate(items)}
    limit = parse_limit(request, maximum)
    start = find_start(request, items, positions, label) + parse_offset(request)
    page = items[start : start + limit]
    links = []
    if page and limit <= len(page):
        links = next_link(request, collection, page[-1].id)
    return page, links
