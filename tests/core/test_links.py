"""Links of a pod become links of the top; the same text elsewhere does not."""

import json

import pytest

from tricircle.core.links import make_link_edit, strip_version

TOP = "https://cloud.example.org:8774"


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://pod:8774/v2.1", "http://pod:8774"),
        ("http://pod/compute/v2.1/", "http://pod/compute"),
        ("http://pod/volume/v3", "http://pod/volume"),
        ("http://[fd00::1]:9696", "http://[fd00::1]:9696"),
    ],
)
def test_the_root_of_an_endpoint_has_no_version(url: str, root: str) -> None:
    assert strip_version(url) == root


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_self_and_bookmark_links_point_at_the_top(separators: tuple[str, str]) -> None:
    links = [
        {"rel": "self", "href": "http://pod:8774/v2.1/servers/1"},
        {"rel": "bookmark", "href": "http://pod:8774/servers/1"},
    ]
    body = json.dumps({"server": {"links": links}}, separators=separators).encode()
    edited = json.loads(make_link_edit("http://pod:8774/v2.1", TOP).in_body(body))
    assert [link["href"] for link in edited["server"]["links"]] == [
        f"{TOP}/v2.1/servers/1",
        f"{TOP}/servers/1",
    ]


def test_the_pods_address_in_a_users_own_text_stays() -> None:
    text = 'see "href": "http://pod:8774/v2.1/x" or http://pod:8774/v2.1'
    body = json.dumps({"server": {"metadata": {"note": text}}}).encode()
    edited = make_link_edit("http://pod:8774/v2.1", TOP).in_body(body)
    assert json.loads(edited)["server"]["metadata"]["note"] == text


def test_another_host_with_the_same_beginning_is_not_the_pod() -> None:
    body = b'{"href": "http://pod:87741/v2.1/servers/1"}'
    assert make_link_edit("http://pod:8774/v2.1", TOP).in_body(body) == body


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"http://pod:8774/images/1", TOP.encode() + b"/images/1"),
        (b"http://pod:8774", TOP.encode()),
        (b"http://glance:9292/images/1", b"http://glance:9292/images/1"),
        (b"http://pod:87745/x", b"http://pod:87745/x"),
    ],
)
def test_a_location_below_the_pod_is_put_below_the_top(location: bytes, expected: bytes) -> None:
    assert make_link_edit("http://pod:8774/v2.1", TOP).in_location(location) == expected
