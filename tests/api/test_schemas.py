"""That an exchange which is not as the service's schemas say is found, and a good one is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.api.schemas import TOP, Ask, Exchange, list_breaches

PROJECT = "3f1d9c52b04c4a55a7b8c6f1d2e3a4b5"
KEY = {"name": "a", "fingerprint": "aa:bb", "type": "ssh"}
WHOLE_KEY = {**KEY, "public_key": "ssh-rsa x", "user_id": "u"}


def exchange(
    service: str,
    ask: tuple[str, str],
    asked: object,
    answered: object,
    status: int = 200,
    version: str = "",
    query: str = "",
    where: str = TOP,
) -> Exchange:
    method, path = ask
    headers = {"openstack-api-version": f"{service} {version}"} if version else {}
    bodies = [b"" if each is None else json.dumps(each).encode() for each in (asked, answered)]
    request = Ask(service, where, method, path, query, bodies[0])
    return Exchange(request, status, headers, bodies[1])


def keypairs(keys: object, **more: Any) -> Exchange:
    path = ("GET", "/v2.1/os-keypairs")
    return exchange("compute", path, None, {"keypairs": keys}, version="2.100", **more)


def made_keypair(version: str, body: Mapping[str, object], status: int = 201) -> Exchange:
    path = ("POST", "/v2.1/os-keypairs")
    return exchange("compute", path, {"keypair": body}, {"keypair": WHOLE_KEY}, status, version)


SENT = {"name": "a", "type": "ssh", "public_key": "ssh-rsa x"}
GOOD = [
    keypairs([]),
    keypairs([{"keypair": {**KEY, "public_key": "ssh-rsa x"}}]),
    keypairs([], query="limit=2&tricircle_cursor=x"),
    made_keypair("2.100", SENT),
    exchange("compute", ("GET", "/"), None, {"anything": 1}, 300),
    exchange("compute", ("GET", "/v2.1/servers/x"), None, {"itemNotFound": {}}, 404),
    exchange("compute", ("DELETE", f"/v2.1/{PROJECT}/os-keypairs/a"), None, None, 202),
    exchange("compute", ("POST", "/v2.1/servers/x/action"), {"lock": None}, None, 202),
    exchange(
        "compute",
        ("PUT", "/v2.1/os-services/force-down"),
        {"host": "pod1:host", "binary": "nova-compute", "forced_down": True},
        {"service": {"host": "pod1:host", "binary": "nova-compute", "forced_down": True}},
        version="2.52",
    ),
    exchange("volume", ("POST", f"/v3/{PROJECT}/volumes"), {"volume": {"size": 1}}, {}, 202),
]
BAD: list[tuple[Exchange, str]] = [
    (keypairs({}), "{} is not of type 'array'"),
    (keypairs([{"keypair": KEY}]), "'public_key' is a required property"),
    (keypairs([{"keypair": {**WHOLE_KEY, "pod": 1}}]), "Additional properties are not allowed"),
    (keypairs([], query="invented=1"), "Additional properties are not allowed"),
    (keypairs([], query="tricircle_cursor=x", where="pod1"), "Additional properties"),
    (made_keypair("2.100", {"name": "a"}), "'public_key' is a required property"),
    (made_keypair("2.100", SENT, 200), "the status is 200 and not 201"),
    (exchange("compute", ("GET", "/v2.1/inventions"), None, {}), "there is no such operation"),
    (
        exchange("compute", ("POST", "/v2.1/servers/x/action"), {"invent": None}, None, 202),
        "there is no such operation",
    ),
    (
        exchange("volume", ("POST", f"/v3/{PROJECT}/volumes"), {"volume": {"size": {}}}, {}, 202),
        "is not of type 'integer', 'string'",
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=lambda one: f"{one.ask.method} {one.ask.path}")
def test_a_good_exchange_has_no_breach(good: Exchange) -> None:
    assert list_breaches(good) == []


@pytest.mark.parametrize(("bad", "words"), BAD)
def test_a_bad_exchange_has_one(bad: Exchange, words: str) -> None:
    [breach] = list_breaches(bad)
    assert words in breach


@pytest.mark.parametrize(
    ("href", "good"),
    [
        ("http://top:8774/v2.1/servers?name=%5Ea&marker=x", True),
        ("https://top/compute/v2.1/servers", True),
        ("http://top/v2.1/servers?name=[a]", False),
        ("/v2.1/servers", False),
        ("top", False),
    ],
)
def test_a_link_is_a_uri(href: str, good: bool) -> None:
    page = keypairs([])
    body = {"keypairs": [], "keypairs_links": [{"rel": "next", "href": href}]}
    assert (list_breaches(replace(page, body=json.dumps(body).encode())) == []) is good
