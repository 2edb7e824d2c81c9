"""What a list shows of a pod that does not answer: Nova's rows for down cells.

From microversion 2.69 on Nova puts ``status: UNKNOWN`` rows, made from what its API
database knows, before the real ones when cells do not answer; but only for a list
without paging, sorting and filters other than ``all_tenants``, because such rows
have nothing to filter or sort by (``_is_cell_down_supported`` in
nova/api/openstack/compute/servers.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tricircle.core.merge import Listing
from tricircle.core.model import Routing, Version
from tricircle.core.query import list_parameters

_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


@dataclass(frozen=True, slots=True)
class LinkRoots:
    """What links of the top start with, without a slash at the end.

    ``versioned`` is that of ``self`` links (``http://top/v2.1``, or with a project),
    ``plain`` that of ``bookmark`` links.
    """

    versioned: str
    plain: str


def shows_partial_rows(listing: Listing, query: str, version: Version | None) -> bool:
    """Tell whether a list has rows for what pods hold that do not answer."""
    if listing.partial_rows_from is None or version is None:
        return False
    names = {name for name, _ in list_parameters(query)}
    return version >= listing.partial_rows_from and names <= {"all_tenants"}


def asks_all_projects(query: str) -> bool:
    """Tell whether ``all_tenants`` is set, as is_all_tenants of nova/api/openstack/common.py."""
    values = [value for name, value in list_parameters(query) if name == "all_tenants"]
    return bool(values) and values[-1].strip().lower() not in _FALSE


def partial_row(listing: Listing, routing: Routing, roots: LinkRoots) -> bytes:
    """Return the row of a resource whose pod does not answer.

    As ``basic`` and ``_show_from_down_cell`` of nova/api/openstack/compute/views/servers.py.
    """
    tail = f"/{listing.collection}/{routing.top_id}"
    links = [
        {"rel": "self", "href": roots.versioned + tail},
        {"rel": "bookmark", "href": roots.plain + tail},
    ]
    row: dict[str, object] = {"id": routing.top_id, "status": "UNKNOWN"}
    if not listing.summary:
        row["tenant_id"] = routing.project_id
        if routing.created_at is not None:
            row["created"] = routing.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.json.encode({**row, "links": links})
