"""What a client asks of a list, and what pods are asked because of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tricircle.compute.listings import SERVERS, SERVERS_DETAIL
from tricircle.core.errors import BadInput
from tricircle.core.merge import Listing
from tricircle.core.model import ProjectId
from tricircle.core.paging import (
    PageAsk,
    first_ask,
    hash_list,
    is_running_low,
    next_ask,
    next_query,
    pod_query,
    read_page_ask,
    sorts_by_shown_fields,
)
from tricircle.volume.groups import CGSNAPSHOTS
from tricircle.volume.listings import ALL_MESSAGES, SNAPSHOTS_DETAIL, VOLUMES, VOLUMES_DETAIL


@pytest.mark.parametrize(
    ("listing", "query", "expected"),
    [
        (SERVERS, "", PageAsk(1000, None, None, 0)),
        (SERVERS, "limit=5&marker=a", PageAsk(5, "a", None, 0)),
        # The last of several counts for Nova, the first for Cinder.
        (SERVERS, "limit=5&limit=6&marker=a&marker=b", PageAsk(6, "b", None, 0)),
        (VOLUMES, "limit=5&limit=6&marker=a&marker=b", PageAsk(5, "a", None, 0)),
        # An empty marker is none for Nova, and one that does not exist for Cinder.
        (SERVERS, "marker=", PageAsk(1000, None, None, 0)),
        (VOLUMES, "marker=", PageAsk(1000, "", None, 0)),
        (SERVERS, "limit=007", PageAsk(7, None, None, 0)),
        (VOLUMES, "limit=%20%2B7%20&offset=3", PageAsk(7, None, None, 3)),
        (SERVERS, "limit=" + "9" * 5000, PageAsk(1000, None, None, 0)),
        (VOLUMES, "limit=" + "9" * 5000, PageAsk(1000, None, None, 0)),
        (SERVERS, "offset=3", PageAsk(1000, None, None, 0)),
        (SERVERS, "marker=a&tricircle_cursor=c", PageAsk(1000, "a", "c", 0)),
    ],
)
def test_pages_are_read_as_each_service_reads_them(
    listing: Listing, query: str, expected: PageAsk
) -> None:
    assert read_page_ask(listing, query) == expected


def test_a_pod_gets_its_own_page() -> None:
    query = "name=a%2B&limit=5&marker=x&tricircle_cursor=c&offset=3"
    assert pod_query(VOLUMES, query, 7, "y z") == "name=a%2B&limit=7&marker=y%20z"
    assert pod_query(SERVERS, query, 7, None) == "name=a%2B&offset=3&limit=7"


def test_of_a_list_without_pages_a_pod_is_asked_as_the_client_asks() -> None:
    query = "limit=5&marker=x&offset=3"
    assert read_page_ask(ALL_MESSAGES, query) == PageAsk(1_000_000, None, None, 0)
    assert pod_query(ALL_MESSAGES, query, 7, None) == query


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", PageAsk(1000, None, None, 0)),
        ("limit=5&offset=3&marker=x", PageAsk(5, None, None, 3)),
        ("limit=0", PageAsk(1000, None, None, 0)),
        ("limit=5000&offset=1", PageAsk(1000, None, None, 1)),
    ],
)
def test_a_piece_is_cut_of_a_list_that_pods_give_whole(query: str, expected: PageAsk) -> None:
    assert read_page_ask(CGSNAPSHOTS, query) == expected
    assert pod_query(CGSNAPSHOTS, f"all=1&{query}", 7, None).strip("&") == "all=1"


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=x", "offset=-1"])
def test_a_piece_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(BadInput):
        read_page_ask(CGSNAPSHOTS, query)


def test_the_next_query_goes_on_after_the_page() -> None:
    query = "name=a&limit=5&marker=x&tricircle_cursor=c&offset=3"
    assert next_query(VOLUMES, query, "y", "d") == "name=a&limit=5&marker=y&tricircle_cursor=d"
    assert next_query(VOLUMES, query, "y", None) == "name=a&limit=5&marker=y"


def test_the_next_query_may_stand_in_a_link() -> None:
    assert next_query(SERVERS, "name=[a]", "y", None) == "name=%5Ba%5D&marker=y"


def fingerprint(query: str, listing: Listing = SERVERS, project: str = "p") -> str:
    return hash_list(listing, query, listing.sort_plan(query, None), ProjectId(project))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "limit=5&marker=a&tricircle_cursor=c", True),
        ("a=1&b=2", "b=2&a=1", True),
        ("name=%61", "name=a", True),
        ("", "sort_key=created_at&sort_dir=desc", True),
        ("", "sort_dir=asc", False),
        ("name=a", "name=b", False),
        ("name=a", "name=a&name=a", False),
        ("", "all_tenants=1", False),
    ],
)
def test_lists_are_told_apart_by_filters_and_order(one: str, other: str, same: bool) -> None:
    assert (fingerprint(one) == fingerprint(other)) == same


def test_lists_are_told_apart_by_project_and_collection_but_not_by_form() -> None:
    assert fingerprint("") != fingerprint("", project="q")
    assert fingerprint("", VOLUMES_DETAIL) != fingerprint("", SNAPSHOTS_DETAIL)
    assert fingerprint("", SERVERS) == fingerprint("", SERVERS_DETAIL)


@pytest.mark.parametrize(
    ("need", "pods", "rows"),
    [(1000, 1, 1000), (1000, 2, 1000), (1000, 3, 668), (1000, 100, 20), (1000, 1000, 10),
     (3, 100, 3), (0, 5, 0)],
)  # fmt: skip
def test_pods_are_first_asked_for_twice_their_share(need: int, pods: int, rows: int) -> None:
    assert first_ask(need, pods) == rows


def test_a_pod_that_ran_out_is_asked_for_twice_as_much() -> None:
    assert [next_ask(1000, last) for last in (0, 10, 20, 400, 900)] == [20, 20, 40, 800, 1000]
    assert next_ask(7, 20) == 7


def test_a_pod_with_less_than_its_share_left_is_running_low() -> None:
    assert is_running_low(4, 50, 10)
    assert not is_running_low(5, 50, 10)


def test_the_short_form_is_enough_for_orders_it_shows() -> None:
    for query, enough in (("sort_key=uuid", True), ("sort_key=host", False), ("", False)):
        assert sorts_by_shown_fields(SERVERS, SERVERS.sort_plan(query, None)) == enough
    hidden = SERVERS.sort_plan("sort_key=locked_by", None)
    assert not sorts_by_shown_fields(SERVERS, hidden)
    everything = replace(SERVERS_DETAIL, summary=())
    assert not sorts_by_shown_fields(everything, everything.sort_plan("", None))
