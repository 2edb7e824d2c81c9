"""Orders as Nova and Cinder complete them, and how values compare in them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.compute.listings import SERVERS_DETAIL
from tricircle.core.merge import Listing
from tricircle.core.model import Version
from tricircle.core.sorting import (
    Compare,
    Dialect,
    SortField,
    SortTerm,
    UnreadableRow,
    Value,
    make_sort_plan,
)
from tricircle.volume.listings import VOLUMES_DETAIL


def order(listing: Listing, query: str, version: Version | None = None) -> str:
    terms = listing.sort_plan(query, version).terms
    return " ".join(f"{term.key}{'-' if term.descending else '+'}" for term in terms)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "created_at- uuid+"),
        ("sort_dir=asc", "created_at+ uuid+"),
        ("sort_key=display_name", "display_name- uuid+"),
        ("sort_key=display_name&sort_dir=asc", "display_name+ uuid+"),
        ("sort_key=uuid&sort_dir=desc", "uuid-"),
        ("sort_key=uuid&sort_dir=desc&sort_key=host&sort_dir=asc", "uuid-"),
        ("sort_key=%20host%20&sort_dir=asc", "host+ uuid+"),
        # The direction of the unique key lands on the key that has none.
        ("sort_key=host&sort_key=node&sort_dir=desc", "host- node+ uuid-"),
        ("sort_key=host&sort_key=node&sort_key=uuid&sort_dir=asc", "host+ node+ uuid+"),
        # Ignored keys go with their directions.
        ("sort_key=id&sort_dir=asc", "created_at- id- uuid+"),
        ("sort_key=id&sort_dir=desc&sort_key=host&sort_dir=asc", "host+ uuid+"),
        ("sort_key=locked&sort_dir=asc", "created_at- id- uuid+"),
        ("sort_key=nonsense", "nonsense- uuid+"),
    ],
)
def test_novas_order(query: str, expected: str) -> None:
    assert order(SERVERS_DETAIL, query) == expected


def test_locked_is_a_sort_key_from_its_microversion_on() -> None:
    query = "sort_key=locked&sort_dir=asc"
    assert order(SERVERS_DETAIL, query, Version(2, 72)) == "created_at- id- uuid+"
    assert order(SERVERS_DETAIL, query, Version(2, 73)) == "locked+ uuid+"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "created_at- id-"),
        ("sort=name", "name- created_at- id-"),
        ("sort=name:asc", "name+ created_at+ id+"),
        ("sort=name:asc,size:desc", "name+ size- created_at+ id+"),
        ("sort=size,%20name%20:%20asc", "size- name+ created_at- id-"),
        ("sort=id:asc,name", "id+"),
        ("sort=created_at:asc", "created_at+ id+"),
        ("sort_key=size&sort_dir=asc", "size+ created_at+ id+"),
        ("sort_key=size", "size- created_at- id-"),
        ("sort_dir=asc", "created_at+ id+"),
        ("sort_key=size&sort_key=name", "size- created_at- id-"),
    ],
)
def test_cinders_order(query: str, expected: str) -> None:
    assert order(VOLUMES_DETAIL, query) == expected


SORTED: dict[Compare, list[Any]] = {
    Compare.TEXT: [None, "", "a", "B", "c", "z", "\u00e4"],
    Compare.EXACT: [None, "", "A", "B", "a", "ab", "b", "\u00e4", "\u20ac", "\U0001f600"],
    Compare.TIME: [
        None,
        "1999-01-01T00:00:00.000000",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000001",
        "2026-01-01T00:00:01+00:00",
    ],
    Compare.NUMBER: [None, -1, 0, 0.5, 1, 10, 2**70],
    Compare.FLAG: [None, False, True],
}
PAIRS = [
    (compare, values[at], values[at + 1]) for compare, values in SORTED.items()
    for at in range(len(values) - 1)
]  # fmt: skip


@pytest.mark.parametrize(("compare", "less", "more"), PAIRS)
def test_values_sort_as_the_database_sorts_them(compare: Compare, less: Value, more: Value) -> None:
    for descending in (False, True):
        terms = (
            SortTerm("k", SortField(("v",), compare), descending),
            SortTerm("id", SortField(("id",), Compare.EXACT), False),
        )
        plan = make_sort_plan(Dialect.NOVA, terms)
        rows = [json.dumps({"id": "a", "v": value}) for value in (less, more)]
        low, high = (plan.key_of(msgspec.Raw(row)) for row in rows)
        assert (high < low) if descending else (low < high)


@given(one=st.text(), other=st.text())
def test_descending_text_is_ascending_text_backwards(one: str, other: str) -> None:
    def key(value: str, descending: bool) -> object:
        field = SortField(("v",), Compare.EXACT)
        plan = make_sort_plan(Dialect.NOVA, (SortTerm("v", field, descending),))
        return plan.key_of_values((value,))

    if "\0" not in one + other:
        assert (key(one, False) < key(other, False)) == (key(other, True) < key(one, True))  # type: ignore[operator]


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(value=st.none() | st.booleans() | FLOATS | st.text() | st.just("nan") | st.just([None]))
def test_values_of_a_wrong_type_still_compare(value: object) -> None:
    for compare in Compare:
        for descending in (False, True):
            terms = (SortTerm("k", SortField(("v",), compare), descending),)
            plan = make_sort_plan(Dialect.CINDER, terms)
            good = plan.key_of(msgspec.Raw(json.dumps({"id": "a", "v": SORTED[compare][1]})))
            odd = plan.key_of(msgspec.Raw(json.dumps({"id": "a", "v": value})))
            assert good < odd or odd < good or good == odd


@pytest.mark.parametrize("row", ["", "1", '"a"', "[]", "{", "{}", '{"id": 1}', '{"id": ""}'])
def test_a_row_that_is_no_object_with_an_id_is_unreadable(row: str) -> None:
    plan = SERVERS_DETAIL.sort_plan("", None)
    for read in (plan.key_of, plan.id_of, plan.values_of):
        with pytest.raises(UnreadableRow):
            read(msgspec.Raw(row))


def test_values_of_a_row_describe_its_place() -> None:
    plan = SERVERS_DETAIL.sort_plan("sort_key=image_ref&sort_key=key_name", None)
    row = msgspec.Raw('{"id": "a", "image": {"id": "i"}, "key_name": null, "x": 1}')
    assert plan.values_of(row) == ("i", None, "a")
    assert plan.key_of_values(("i", None, "a")) == plan.key_of(row)


def test_a_row_that_hides_a_key_has_no_values() -> None:
    row = msgspec.Raw('{"id": "a", "name": "n"}')
    assert SERVERS_DETAIL.sort_plan("sort_key=host", None).values_of(row) is None
    assert SERVERS_DETAIL.sort_plan("sort_key=instance_type_id", None).values_of(row) is None


@pytest.mark.parametrize(
    ("query", "row", "safe"),
    [
        ("", {"created": "2026-01-01T00:00:00Z"}, True),
        ("sort_key=key_name&sort_dir=asc", {"key_name": "k"}, True),
        ("sort_key=key_name&sort_dir=asc", {"key_name": None}, False),
        ("sort_key=key_name&sort_dir=desc", {"key_name": "k"}, False),
        ("sort_key=access_ip_v4&sort_dir=asc", {"accessIPv4": ""}, False),
        ("sort_key=instance_type_id", {}, False),
    ],
)
def test_novas_paging_is_trusted_only_where_null_cannot_spoil_it(
    query: str, row: dict[str, object], safe: bool
) -> None:
    plan = SERVERS_DETAIL.sort_plan(query, None)
    values = plan.values_of(msgspec.Raw(json.dumps({"id": "a", **row})))
    assert plan.is_safe_marker(values) == safe


@pytest.mark.parametrize(
    ("query", "name", "safe"),
    [
        ("sort=name:asc", "n", True),
        ("sort=name:desc", "n", True),
        ("sort=name:asc", "", False),
        ("sort=name:desc", None, False),
        ("", None, True),
    ],
)
def test_cinders_paging_is_trusted_only_where_null_cannot_spoil_it(
    query: str, name: str | None, safe: bool
) -> None:
    plan = VOLUMES_DETAIL.sort_plan(query, None)
    row = {"id": "a", "name": name, "created_at": "2026-01-01T00:00:00.000000"}
    values = plan.values_of(msgspec.Raw(json.dumps(row)))
    assert plan.is_safe_marker(values) == safe
