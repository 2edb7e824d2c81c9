"""Pages of lists: limit, marker, order, and the link to the next page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from tricircle.admin.schemas import DEFAULT_LIMIT, Link, PodQuery
from tricircle.core.errors import BadInput
from tricircle.core.model import Kind, Pod, PodId, Routing, TopId

SORT_KEYS = frozenset({"name", "region", "enabled", "id", "created_at", "updated_at"})


def select_pods(pods: Sequence[Pod], query: PodQuery) -> tuple[Sequence[Pod], bool]:
    """Return one page of the pods asked for, and whether there are more.

    The id decides between equals, so that pages never overlap. Raises BadInput for
    a sort key or marker that is not known.
    """
    ordered = sort_pods(pods, query.sort)
    start = 0
    if query.marker is not None:
        places = (i for i, pod in enumerate(ordered) if query.marker in (pod.id, pod.name))
        place = next(places, None)
        if place is None:
            raise BadInput(f"marker '{query.marker}' is not the id or name of a pod")
        start = place + 1
    fit = [pod for pod in ordered[start:] if _matches(pod, query)]
    return fit[: query.limit], len(fit) > query.limit


def _matches(pod: Pod, query: PodQuery) -> bool:
    return (
        query.name in (None, pod.name)
        and query.region in (None, pod.region)
        and query.enabled in (None, pod.enabled)
    )


def sort_pods(pods: Sequence[Pod], sort: str) -> list[Pod]:
    """Return the pods ordered as ``key[:asc|desc],...`` says. Raises BadInput."""
    ordered = sorted(pods, key=lambda pod: pod.id)
    for part in reversed(sort.split(",")):
        key, _, direction = part.strip().partition(":")
        if key not in SORT_KEYS or direction not in ("", "asc", "desc"):
            raise BadInput(
                f"cannot sort by '{part.strip()}'; the keys are {', '.join(sorted(SORT_KEYS))}, "
                "each with :asc or :desc"
            )
        ordered.sort(key=lambda pod: _sort_value(pod, key), reverse=direction == "desc")
    return ordered


def _sort_value(pod: Pod, key: str) -> tuple[bool, str]:
    value = getattr(pod, key)
    return (value is not None, str(value))


def write_marker(routing: Routing) -> str:
    """Return the marker that stands for a routing."""
    return f"{routing.kind}/{routing.top_id}/{routing.pod_id}"


def read_marker(marker: str | None) -> tuple[Kind, TopId, PodId] | None:
    """Return the key a marker stands for. Raises BadInput."""
    if marker is None:
        return None
    parts = marker.split("/")
    if len(parts) != 3 or parts[0] not in {*map(str, Kind)} or not marker.isprintable():
        raise BadInput(f"marker '{marker}' is not one of a next link of this list")
    return Kind(parts[0]), TopId(parts[1]), PodId(parts[2])


def link_next(url: str, query: Mapping[str, object], marker: str) -> Link:
    """Return the link to the page after ``marker``, with the caller's filters kept."""
    kept = {key: _as_text(value) for key, value in query.items() if value is not None}
    if kept.get("limit") == str(DEFAULT_LIMIT):
        del kept["limit"]
    return Link(rel="next", href=f"{url}?{urlencode({**kept, 'marker': marker})}")


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
