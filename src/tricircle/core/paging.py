"""What a client asks of a list besides its filters, as Nova and Cinder each read it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tricircle.core.cursor import CURSOR_PARAMETER
from tricircle.core.errors import BadInput
from tricircle.core.merge import Listing
from tricircle.core.model import ProjectId
from tricircle.core.query import (
    escape_query,
    list_parameters,
    list_values,
    with_parameter,
    without_parameters,
)
from tricircle.core.sorting import Dialect, SortPlan

_DB_MAX_INT = 0x7FFFFFFF
_NOVA_LIMIT = re.compile(r"^[0-9]*$")
_COUNT = re.compile(r"[0-9]{1,4000}")
_NOVA_LARGEST_PAGE = 1000
"""Nova's own default of ``max_limit``."""
_SORT_PARAMETERS = ("sort", "sort_key", "sort_dir")
_SMALLEST_ASK = 10


@dataclass(frozen=True, slots=True)
class PageAsk:
    """The page a client wants: ``limit`` rows after ``marker``, ``offset`` rows skipped."""

    limit: int
    marker: str | None
    cursor: str | None
    offset: int


def read_page_ask(listing: Listing, query: str) -> PageAsk:
    """Return the page that a query asks for. Raises BadInput in the service's own words."""
    if listing.whole:
        return _read_piece(listing, query)
    cursors = list_values(query, CURSOR_PARAMETER)
    cursor = cursors[-1] if cursors else None
    if listing.dialect is Dialect.NOVA:
        markers = list_values(query, "marker")
        marker = markers[-1] if markers else None
        return PageAsk(_nova_limit(listing, query), marker or None, cursor, 0)
    first = dict(reversed(list_parameters(query)))
    offset = _cinder_offset(first.get("offset"))
    return PageAsk(_cinder_limit(listing, first.get("limit")), first.get("marker"), cursor, offset)


def _read_piece(listing: Listing, query: str) -> PageAsk:
    """Return what is wanted of a list that comes whole; as ``limited`` of Cinder cuts it."""
    if not listing.cut:
        return PageAsk(listing.max_limit, None, None, 0)
    first = dict(reversed(list_parameters(query)))
    limit = _cinder_limit(listing, first.get("limit")) or listing.max_limit
    return PageAsk(limit, None, None, _cinder_offset(first.get("offset")))


def _nova_limit(listing: Listing, query: str) -> int:
    """As the query schema of GET /servers (non_negative_integer) and get_limit_and_marker."""
    limits = list_values(query, "limit")
    for text in limits:
        if not _NOVA_LIMIT.search(text):
            raise _nova_bad_limit(text, "does not match '^[0-9]*$'")
        if not text:
            raise _nova_bad_limit(text, "should be non-empty")
    return min(_read_int(limits[-1]), listing.max_limit) if limits else listing.max_limit


def read_plain_limit(query: str) -> int | None:
    """Return how many rows a page of Nova has that has no ``Listing``.

    None when nothing bounds it here: a limit of 0, or one that the pods will refuse.
    """
    limits = list_values(query, "limit")
    if not limits:
        return _NOVA_LARGEST_PAGE
    text = limits[-1]
    return min(int(text), _NOVA_LARGEST_PAGE) or None if _COUNT.fullmatch(text) else None


def _nova_bad_limit(text: str, complaint: str) -> BadInput:
    return BadInput(
        f"Invalid input for query parameters limit. Value: {text}. {text!r} {complaint}"
    )


def _cinder_limit(listing: Listing, text: str | None) -> int:
    """As _get_limit_param of cinder/api/common.py."""
    if text is None:
        return listing.max_limit
    try:
        limit = _read_int(text)
    except ValueError:
        raise BadInput("limit param must be an integer") from None
    if limit < 0:
        raise BadInput("limit param must be positive")
    return min(limit, listing.max_limit)


def _cinder_offset(text: str | None) -> int:
    """As _get_offset_param of cinder/api/common.py."""
    if text is None:
        return 0
    try:
        offset = _read_int(text)
    except ValueError:
        raise BadInput("offset must be an integer") from None
    if offset < 0:
        raise BadInput("offset must be >= 0")
    if offset > _DB_MAX_INT:
        raise BadInput(f"offset must be <= {_DB_MAX_INT}")
    return offset


def _read_int(text: str) -> int:
    # Python refuses to read numbers of more than 4300 digits.
    return int(text) if len(text) <= 4000 else int(text[:4000])


def paging_parameters(listing: Listing) -> frozenset[str]:
    """Return the parameters that say which page is wanted: they differ for each pod."""
    names = {"limit", "marker", CURSOR_PARAMETER}
    return frozenset(names if listing.dialect is Dialect.NOVA else {*names, "offset"})


def pod_query(listing: Listing, query: str, limit: int, marker: str | None) -> str:
    """Return what a pod is asked: the filters of ``query``, and a page of the pod's own."""
    if listing.whole and not listing.cut:
        return query
    query = without_parameters(query, paging_parameters(listing))
    if listing.whole:
        return query
    query = with_parameter(query, "limit", str(limit))
    return query if marker is None else with_parameter(query, "marker", marker)


def next_query(listing: Listing, query: str, last_id: str, cursor: str | None) -> str:
    """Return the query of the ``next`` link: the client's own, with where to go on.

    Cinder leaves ``offset`` in it and so skips rows on every page; here it is used up.
    """
    names = {"marker", CURSOR_PARAMETER, *(paging_parameters(listing) & {"offset"})}
    query = escape_query(without_parameters(query, names))
    query = with_parameter(query, "marker", last_id)
    return query if cursor is None else with_parameter(query, CURSOR_PARAMETER, cursor)


def hash_list(listing: Listing, query: str, plan: SortPlan, project_id: ProjectId | None) -> str:
    """Return what tells this list from others: project, collection, filters and order.

    Neither page size nor form is in it, so a client may change both between pages.
    """
    hidden = {*paging_parameters(listing), *_SORT_PARAMETERS}
    filters = sorted(pair for pair in list_parameters(query) if pair[0] not in hidden)
    order = [(term.key, term.descending) for term in plan.terms]
    text = repr((project_id, listing.collection, filters, order))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def first_ask(need: int, pods: int) -> int:
    """Return how many rows each pod is asked for at first: twice its share of the page.

    Measured (design.md, section 4): half the cost of a whole page from everyone.
    """
    if pods <= 1:
        return need
    share = -(-need // pods)
    return min(need, max(2 * share, _SMALLEST_ASK))


def next_ask(need: int, last_ask: int) -> int:
    """Return how many rows a pod that ran out is asked for: twice as many as before.

    Doubling finds a pod that holds most of the page in few requests.
    """
    return max(1, min(need, 2 * max(last_ask, _SMALLEST_ASK)))


def is_running_low(left: int, need: int, pods: int) -> bool:
    """Tell whether a pod that has ``left`` rows here should be asked along with others.

    One that holds less than its share of what the page still needs would run out
    next; asking now saves a round.
    """
    return left < -(-need // max(pods, 1))


def sorts_by_shown_fields(listing: Listing, plan: SortPlan) -> bool:
    """Tell whether the short form of the list shows everything its order needs."""
    shown: Sequence[str] = listing.summary
    return all(term.field.path and term.field.path[0] in shown for term in plan.terms)
