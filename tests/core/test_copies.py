"""A request for several servers is as many requests for one."""

import json

import pytest

from tricircle.core.copies import split_copies
from tricircle.core.errors import BadInput


def bodies(**fields: object) -> list[dict[str, object]]:
    body = json.dumps({"server": {"name": "s", **fields}}).encode()
    return [json.loads(one)["server"] for one in split_copies(body).bodies]


def test_a_request_for_one_server_keeps_its_bytes() -> None:
    body = b'{"server": {"name": "s",  "x": 1.10}}'
    assert split_copies(body).bodies == (body,)


@pytest.mark.parametrize("counts", [{"max_count": 1}, {"min_count": 1, "max_count": "1"}])
def test_a_count_of_one_stays_for_the_pod_to_see(counts: dict[str, object]) -> None:
    assert bodies(**counts) == [{"name": "s", **counts}]


def test_several_servers_are_numbered_as_nova_does() -> None:
    assert bodies(max_count="3", hostname="h", user_data="x") == [
        {"name": f"s-{number}", "hostname": f"h-{number}", "user_data": "x"} for number in (1, 2, 3)
    ]


def test_the_minimum_alone_is_also_the_maximum() -> None:
    copies = split_copies(b'{"server": {"name": "s", "min_count": 2}}')
    assert (len(copies.bodies), copies.needed) == (2, 2)


def test_the_minimum_may_be_less_than_what_is_wanted() -> None:
    copies = split_copies(b'{"server": {"name": "s", "min_count": 2, "max_count": 5}}')
    assert (len(copies.bodies), copies.needed) == (5, 2)


def test_a_minimum_above_the_maximum_is_refused_in_novas_words() -> None:
    with pytest.raises(BadInput, match="min_count must be <= max_count"):
        bodies(min_count=3, max_count=2)


@pytest.mark.parametrize("count", [0, -1, "x", True, None, 2.5])
def test_what_is_no_count_is_left_for_the_pod_to_refuse(count: object) -> None:
    assert bodies(max_count=count) == [{"name": "s", "max_count": count}]
