"""Nobody sees or touches what is another project's, and a reader changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack import exceptions

from tests.lab.conftest import Site

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def owned(shared_member: Site) -> dict[str, Any]:
    """A network, a server and a volume of project demo."""
    network = shared_member.network("10.79.0.0/24")
    return {
        "network": network,
        "server": shared_member.server("az2", network),
        "volume": shared_member.volume("az1"),
    }


def test_another_project_sees_none_of_it(
    owned: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    other = connect("top-other")
    assert owned["server"].id not in {one.id for one in other.compute.servers()}
    assert owned["volume"].id not in {one.id for one in other.block_storage.volumes()}


def test_a_foreign_server_looks_like_one_that_never_was(
    owned: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    other = connect("top-other")
    answers = []
    for server_id in (owned["server"].id, "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"):
        answer = other.compute.get(f"/servers/{server_id}")
        answers.append((answer.status_code, answer.text.replace(server_id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/servers/{server}", None),
        ("PUT", "/servers/{server}", {"server": {"name": "mine"}}),
        ("POST", "/servers/{server}/action", {"os-stop": None}),
        ("POST", "/servers/{server}/metadata", {"metadata": {"a": "b"}}),
        ("GET", "/servers/{server}/os-interface", None),
    ],
)
def test_a_foreign_server_cannot_be_touched(
    owned: dict[str, Any],
    connect: Callable[[str], Any],
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    compute = connect("top-other").compute
    answer = compute.request(path.format(server=owned["server"].id), method, json=body)
    assert answer.status_code == 404
    assert connect("top-demo").compute.get_server(owned["server"]).status == "ACTIVE"


def test_a_foreign_volume_cannot_be_touched(
    owned: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    storage = connect("top-other").block_storage
    for method in ("GET", "DELETE"):
        answer = storage.request(f"/volumes/{owned['volume'].id}", method)
        assert answer.status_code == 404


def test_nobody_boots_on_a_foreign_network(
    owned: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    stranger = Site(connect("top-other"))
    with stranger.undo, pytest.raises(exceptions.BadRequestException, match="could not be found"):
        stranger.server("az1", owned["network"])


def test_a_reader_sees_and_changes_nothing(
    owned: dict[str, Any], connect: Callable[[str], Any]
) -> None:
    reader = connect("top-reader")
    assert owned["server"].id in {one.id for one in reader.compute.servers()}
    answer = reader.compute.request(f"/servers/{owned['server'].id}", "DELETE")
    assert answer.status_code == 403
    assert "forbidden" in answer.json()
    answer = reader.block_storage.request(f"/volumes/{owned['volume'].id}", "DELETE")
    assert answer.status_code == 403


def test_the_admin_api_is_closed_to_members(connect: Callable[[str], Any]) -> None:
    member = connect("top-demo")
    url = member.session.get_endpoint(service_type="tricircle", interface="public")
    answer = member.session.get(f"{url}/v1/pods", raise_exc=False)
    assert answer.status_code == 403
