"""Translating ids of what all pods have alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.usecases.networks_world import FixedCredential
from tests.usecases.replicas_world import World
from tricircle.compute.routes import TABLE
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Caller, Kind, PodId, ProjectId, TopId, UserId, Version
from tricircle.core.table import Naming
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.naming import Names
from tricircle.gateway.outbound import Outbound
from tricircle.gateway.request import Inbound, Target
from tricircle.usecases.twin_ids import TwinIds

NOWHERE = "00000000-0000-4000-8000-000000000000"
NAMING = Naming(
    (Kind.VOLUME_TYPE,),
    words=("types",),
    query=("marker",),
    body=("volume.volume_type",),
    answer=("volume.volume_type_id", "links[].href"),
)


class NamesWorld(World):
    """Two stock pods; their default types are twins."""

    @property
    def ids(self) -> tuple[str, str]:
        """Return the id at the top and that in west."""
        east, west = (self.sim.pod(pod).volume.default_type.id for pod in ("east", "west"))
        return east, west

    def outbound(self, path: str, query: str = "", body: bytes = b"") -> Outbound:
        """Return a request."""
        caller = Caller(UserId("u"), ProjectId("p"), frozenset(), "token")
        target = Target("v3", None, path)
        version = Version(3, 70)
        return Outbound.of(
            Inbound("GET", target, query, (), body, caller, version, "req-1", "http://top", NAMING)
        )


@pytest.fixture
def world() -> NamesWorld:
    return NamesWorld()


@pytest.fixture
def names(world: NamesWorld) -> Names:
    return Names(world.twins)


async def test_a_request_has_the_pods_ids_where_its_row_says(
    world: NamesWorld, names: Names
) -> None:
    top, west = world.ids
    body = f'{{"volume":{{"name":"{top}", "volume_type":"{top}"}}}}'.encode()
    asked = world.outbound(f"/types/{top}/specs/{top}", f"marker={top}&name={top}", body)
    sent = await names.for_pod(world.pods["west"], asked)
    assert sent.path == f"/types/{west}/specs/{top}"
    assert sent.query == f"marker={west}&name={top}"
    assert sent.body == f'{{"volume":{{"name":"{top}","volume_type":"{west}"}}}}'.encode()


async def test_a_request_that_names_nothing_of_them_is_sent_as_it_came(
    world: NamesWorld, names: Names
) -> None:
    asked = world.outbound("/volumes", "limit=1", b'{"volume": {"volume_type": "fast"}}')
    assert await names.for_pod(world.pods["west"], asked) is asked
    assert world.sent("GET") == []


async def test_an_answer_has_the_tops_ids_where_its_row_says(
    world: NamesWorld, names: Names
) -> None:
    top, west = world.ids
    text = '{"volume":{"name":"%s","volume_type_id":"%s"},"links":[{"href":"http://top/%s"}]}'
    answer = Answer(200, [JSON], (text % (west, west, west)).encode())
    given = await names.for_client(NAMING, answer, "req-1")
    assert given.body == (text % (west, top, top)).encode()


async def test_an_error_has_the_tops_ids_wherever_they_are(world: NamesWorld, names: Names) -> None:
    top, west = world.ids
    await world.twins.find_all(Kind.VOLUME_TYPE, top, "req-1")
    answer = Answer(404, [JSON], f'{{"message": "No {west} here."}}'.encode())
    given = await names.for_client(NAMING, answer, "req-1")
    assert given.body == f'{{"message": "No {top} here."}}'.encode()


@pytest.mark.parametrize("body", [b"", b"not JSON at all"])
async def test_what_is_no_json_stays(names: Names, body: bytes) -> None:
    answer = Answer(404, [(b"content-type", b"text/plain")], body)
    assert await names.for_client(NAMING, answer, "req-1") is answer


async def test_no_pod_harms_an_answer(world: NamesWorld, names: Names) -> None:
    _, west = world.ids
    for pod in world.pods:
        world.sim.pod(pod).faults.down()
    answer = Answer(200, [JSON], f'{{"volume":{{"volume_type_id":"{west}"}}}}'.encode())
    assert (await names.for_client(NAMING, answer, "req-1")).body == answer.body


class Reachable:
    """A store whose database may be away."""

    is_away = False
    calls = 0

    def __init__(self, store: object) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def call(*args: object, **kwargs: object) -> object:
            self.calls += 1
            if self.is_away:
                raise ServiceUnavailable("the database is away")
            found: object = await getattr(self._store, name)(*args, **kwargs)
            return found

        return call


@pytest.fixture
def upkeep(world: NamesWorld) -> Any:
    return Reachable(world.stores.upkeep)


@pytest.fixture
def twins(world: NamesWorld, upkeep: Any) -> TwinIds:
    stores, credential = world.stores, FixedCredential(world.service)
    return TwinIds(stores.routings, upkeep, stores.pods, world.cloud, credential, world.clock)


async def test_answers_are_given_while_the_database_is_away(
    world: NamesWorld, twins: TwinIds, upkeep: Any
) -> None:
    upkeep.is_away = True
    names, (top, west) = Names(twins), world.ids
    body = f'{{"volume":{{"volume_type_id":"{west}"}}}}'.encode()
    for status in (200, 404):
        answer = Answer(status, [JSON], body)
        assert (await names.for_client(NAMING, answer, "req-1")).body == body
    with pytest.raises(ServiceUnavailable):
        await names.for_pod(world.pods["west"], world.outbound(f"/types/{top}"))


async def test_what_is_known_is_used_while_the_database_is_away(
    world: NamesWorld, twins: TwinIds, upkeep: Any
) -> None:
    names, (top, west) = Names(twins), world.ids
    await twins.find_all(Kind.VOLUME_TYPE, west, "req-1")
    # what is new was written down, and is read again
    await twins.find_all(Kind.VOLUME_TYPE, west, "req-1")
    upkeep.is_away = True
    await world.clock.advance(600)
    sent = await names.for_pod(world.pods["west"], world.outbound(f"/types/{top}"))
    assert sent.path == f"/types/{west}"


async def test_a_new_disk_of_a_server_has_the_pods_type(world: NamesWorld, names: Names) -> None:
    top, west = world.ids
    match = TABLE.find("POST", "/servers")
    assert match is not None
    text = '{"server":{"block_device_mapping_v2":[{"volume_type":"%s"}],"name":"%s"}}'
    asked = world.outbound("/servers", "", (text % (top, top)).encode())
    asked = replace(asked, inbound=replace(asked.inbound, naming=match.row.naming))
    sent = await names.for_pod(world.pods["west"], asked)
    assert sent.body == (text % (west, top)).encode()


async def test_many_pods_are_looked_for_at_once(
    world: NamesWorld, twins: TwinIds, upkeep: Any
) -> None:
    names, pods = Names(twins), [*world.pods.values()] * 10
    asked = world.outbound(f"/types/{NOWHERE}", f"marker={NOWHERE}")
    assert await names.list_lacking(pods, asked) == []
    before = upkeep.calls
    assert await names.list_lacking(pods, asked) == []
    assert await names.for_pods([(pod, asked) for pod in pods]) == [asked] * 20
    assert upkeep.calls - before <= 4


async def test_pods_without_what_others_have_are_told_apart(
    world: NamesWorld, names: Names
) -> None:
    top, _ = world.ids
    await world.twins.find_all(Kind.VOLUME_TYPE, top, "req-1")
    await world.twins.keep(Kind.VOLUME_TYPE, TopId(top), PodId("west"), None)
    pods = [*world.pods.values()]
    lacking = await names.list_lacking(pods, world.outbound(f"/types/{top}"))
    assert [pod.name for pod in lacking] == ["west"]
