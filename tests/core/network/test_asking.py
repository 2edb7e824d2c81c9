"""What a request asks for, and the same request with ports of the pod in it."""

import json
from typing import Any

import pytest

from tricircle.core.errors import BadInput
from tricircle.core.model import BottomId, TopId, Version
from tricircle.core.network.asking import (
    Asking,
    Mode,
    NetworkWish,
    PortWish,
    put_interface,
    put_ports,
    read_asking,
    read_interface,
)

OLD, LATEST = Version(2, 1), Version(2, 100)
NETWORK = "6a3bd1a3-4a6e-4a5b-8c0e-0f7c6f0d1b11"
PORT = "6a3bd1a3-4a6e-4a5b-8c0e-0f7c6f0d1b22"


def body_of(**server: Any) -> bytes:
    return json.dumps({"server": {"name": "vm", **server}}).encode()


def server_of(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body)["server"])


@pytest.mark.parametrize(
    ("networks", "version", "mode"),
    [
        ("auto", LATEST, Mode.AUTO),
        ("none", LATEST, Mode.NONE),
        ([], LATEST, Mode.UNSAID),
        (None, OLD, Mode.UNSAID),
        (None, LATEST, Mode.UNREADABLE),
        ("auto", Version(2, 36), Mode.UNREADABLE),
        ("any", LATEST, Mode.UNREADABLE),
        ({}, LATEST, Mode.UNREADABLE),
        ([{"uuid": "short"}], LATEST, Mode.UNREADABLE),
        ([{"uuid": NETWORK, "fixed_ip": "10.0.0"}], LATEST, Mode.UNREADABLE),
        ([{"port": 7}], LATEST, Mode.UNREADABLE),
        ([{"uuid": NETWORK}, "x"], LATEST, Mode.UNREADABLE),
        ([{"uuid": NETWORK}], LATEST, Mode.LISTED),
        ([{"port": PORT}], OLD, Mode.LISTED),
    ],
)
def test_each_form_of_networks_has_its_mode(networks: object, version: Version, mode: Mode) -> None:
    body = body_of() if networks is None else body_of(networks=networks)
    assert read_asking(body, version).mode is mode


def test_items_are_read_in_order() -> None:
    items = [
        {"uuid": NETWORK, "fixed_ip": "10.0.0.5"},
        {"port": PORT},
        {"uuid": NETWORK, "port": None},
    ]
    assert read_asking(body_of(networks=items), LATEST).wishes == (
        NetworkWish(TopId(NETWORK), "10.0.0.5"),
        PortWish(TopId(PORT)),
        NetworkWish(TopId(NETWORK)),
    )


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ([{"name": "default"}], ()),
        ([{"name": "web"}, {"name": "web"}, {"name": ""}, {}], ("web",)),
        ([{"name": "default"}, {"name": "web"}], ("default", "web")),
        ([], ()),
    ],
)
def test_group_names_are_each_read_once_and_default_alone_means_none(
    groups: object, names: tuple[str, ...]
) -> None:
    asking = read_asking(body_of(networks="auto", security_groups=groups), LATEST)
    assert asking.group_names == names


@pytest.mark.parametrize("body", [b"{}", b'{"server": []}', b'{"server": null}'])
def test_what_is_no_server_is_left_to_the_pod(body: bytes) -> None:
    assert read_asking(body, OLD).mode is Mode.UNREADABLE


@pytest.mark.parametrize("groups", ["web", [7], [{"name": 7}]])
def test_groups_that_novas_schema_refuses_are_left_to_the_pod(groups: object) -> None:
    asking = read_asking(body_of(networks="auto", security_groups=groups), LATEST)
    assert asking.mode is Mode.UNREADABLE


def test_a_port_with_an_address_is_refused_in_novas_words() -> None:
    items = [{"port": PORT, "fixed_ip": "10.0.0.5"}]
    with pytest.raises(BadInput, match="the two cannot be specified together"):
        read_asking(body_of(networks=items), LATEST)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"port": PORT}, "Please launch your instance one by one with different ports."),
        ({"uuid": NETWORK, "fixed_ip": "10.0.0.5"}, "max_count cannot be greater than 1"),
    ],
)
def test_what_several_servers_cannot_share_is_refused_in_novas_words(
    item: dict[str, str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read_asking(body_of(networks=[item], min_count=1, max_count="2"), LATEST)


def test_the_largest_count_is_read_from_numbers_and_digits() -> None:
    assert read_asking(body_of(networks="none"), LATEST).count == 1
    assert read_asking(body_of(networks="none", min_count="3"), LATEST).count == 3
    assert read_asking(body_of(networks="none", min_count=3, max_count=5), LATEST).count == 5


def test_ports_take_the_place_of_what_was_asked_and_the_rest_stays() -> None:
    items = [{"uuid": NETWORK, "fixed_ip": "10.0.0.5", "tag": "a"}, {"port": PORT}]
    body = body_of(networks=items, security_groups=[{"name": "web"}], x=1)
    put = put_ports(body, read_asking(body, LATEST), [BottomId("b1"), BottomId("b2")])
    assert server_of(put) == {
        "name": "vm",
        "networks": [{"tag": "a", "port": "b1"}, {"port": "b2"}],
        "x": 1,
    }


@pytest.mark.parametrize("networks", ["auto", [], None])
def test_a_body_that_names_no_network_gets_a_list_of_ports(networks: object) -> None:
    version = OLD if networks is None else LATEST
    body = body_of() if networks is None else body_of(networks=networks)
    put = put_ports(body, read_asking(body, version), [BottomId("b1")])
    assert server_of(put)["networks"] == [{"port": "b1"}]


def test_without_ports_the_networks_of_a_body_stay_as_they_are() -> None:
    body = body_of(networks="none", security_groups=[{"name": "web"}])
    assert server_of(put_ports(body, read_asking(body, LATEST), [])) == {
        "name": "vm",
        "networks": "none",
    }


def test_a_body_the_pod_must_refuse_stays_as_it_is() -> None:
    body = body_of(networks=7, security_groups=[{"name": "web"}])
    assert put_ports(body, read_asking(body, LATEST), []) == body


@pytest.mark.parametrize("body", [b"", b"{}", b'{"interfaceAttachment": {}}'])
def test_an_interface_request_may_be_empty(body: bytes) -> None:
    asking = read_interface(body)
    assert asking == Asking(Mode.UNSAID)
    put = json.loads(put_interface(body, asking, [BottomId("b1")]))
    assert put == {"interfaceAttachment": {"port_id": "b1"}}


def test_an_interface_on_a_network_becomes_one_on_a_port() -> None:
    fields = {"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0.5"}], "tag": "a"}
    body = json.dumps({"interfaceAttachment": fields}).encode()
    asking = read_interface(body)
    assert asking.wishes == (NetworkWish(TopId(NETWORK), "10.0.0.5"),)
    put = json.loads(put_interface(body, asking, [BottomId("b1")]))
    assert put == {"interfaceAttachment": {"tag": "a", "port_id": "b1"}}


def test_an_interface_request_that_novas_schema_refuses_is_left_to_the_pod() -> None:
    body = b'{"interfaceAttachment": {"net_id": 7}}'
    asking = read_interface(body)
    assert asking.mode is Mode.UNREADABLE
    assert put_interface(body, asking, []) == body
