"""Slices of lists without markers are read, sent to pods and cut as Nova does it."""

from __future__ import annotations

import json

import msgspec
import pytest

from tricircle.core.slices import Slice, merge_newest_first, read_rows, read_slice, slice_query


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Slice(0, 1000)),
        ("limit=5&offset=2", Slice(2, 5)),
        ("limit=0", Slice(0, 1000)),
        ("limit=2000", Slice(0, 1000)),
        ("limit=1&limit=3", Slice(0, 3)),
        ("all_tenants=1&x=y", Slice(0, 1000)),
        ("limit=-1", None),
        ("limit=", None),
        ("offset=a", None),
        ("limit=a&limit=1", None),
    ],
)
def test_a_query_is_read_as_nova_reads_it(query: str, expected: Slice | None) -> None:
    assert read_slice(query) == expected


def test_a_pod_gets_a_slice_of_its_own_and_the_rest_as_it_was() -> None:
    assert slice_query("a=%7e&limit=1;offset=9", 4, 10) == "a=%7e&limit=10&offset=4"


def rows(*items: tuple[str, str | None]) -> list[msgspec.Raw]:
    made = [{"id": row_id, "createdAt": created} for row_id, created in items]
    return read_rows(json.dumps({"volumes": made}).encode(), "volumes")


def ids(merged: list[msgspec.Raw]) -> list[str]:
    return [json.loads(bytes(row))["id"] for row in merged]


def test_the_newest_comes_first_and_the_larger_id_among_equals() -> None:
    one = rows(("d", "2026-01-02"), ("a", "2026-01-01"))
    other = rows(("c", "2026-01-02"), ("b", "2026-01-01"))
    assert ids(merge_newest_first([one, other])) == ["d", "c", "b", "a"]


def test_a_pods_rows_stay_in_its_own_order() -> None:
    one = rows(("a", "2026-01-01"), ("b", "2026-01-03"))
    assert ids(merge_newest_first([one, rows(("c", "2026-01-02"))])) == ["c", "a", "b"]


def test_a_row_without_a_time_comes_last() -> None:
    assert ids(merge_newest_first([rows(("a", None)), rows(("b", "2026"))])) == ["b", "a"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"volumes": 1}', b'{"volumes": [1]}'])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_rows(body, "volumes")
