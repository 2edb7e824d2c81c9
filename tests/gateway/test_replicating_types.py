"""Changing encryption, QoS specs, group types and default types in all pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.replicating_world import GatewayWorld
from tests.usecases.networks_world import Died
from tests.usecases.replicas_world import EAST, WEST
from tricircle.core.errors import Conflict
from tricircle.core.model import Kind, TopId
from tricircle.core.wishes import Replica

PODS = ("east", "west")
LUKS = {"encryption": {"provider": "luks", "control_location": "front-end", "key_size": 256}}


@pytest.fixture
def world() -> GatewayWorld:
    return GatewayWorld()


def down(world: GatewayWorld, pod: str) -> None:
    world.sim.pod(pod).faults.down()


def up(world: GatewayWorld, pod: str) -> None:
    world.sim.pod(pod).faults.up()


def cinder(world: GatewayWorld, pod: str) -> Any:
    return world.sim.pod(pod).volume


async def make_type(world: GatewayWorld, name: str = "fast") -> str:
    status, answer = await world.ask("POST", "/types", {"volume_type": {"name": name}})
    assert status == 200, answer
    return str(answer["volume_type"]["id"])


async def make_qos(world: GatewayWorld, name: str = "slow", **specs: str) -> str:
    status, answer = await world.ask("POST", "/qos-specs", {"qos_specs": {"name": name, **specs}})
    assert status == 200, answer
    return str(answer["qos_specs"]["id"])


async def make_group_type(world: GatewayWorld, name: str = "together") -> str:
    body = {"group_type": {"name": name, "group_specs": {"a": "1"}}}
    status, answer = await world.ask("POST", "/group_types", body)
    assert status == 202, answer
    return str(answer["group_type"]["id"])


def qos(world: GatewayWorld, pod: str, name: str = "slow") -> Any:
    found = [one for one in cinder(world, pod).qos_specs.values() if one.name == name]
    return found[0] if found else None


def group_type(world: GatewayWorld, pod: str, name: str = "together") -> Any:
    found = [one for one in cinder(world, pod).group_types.values() if one.name == name]
    return found[0] if found else None


def association(world: GatewayWorld, pod: str, name: str = "fast") -> str | None:
    """Return the name of the QoS specs of a type of a pod."""
    specs_id = world.types(pod)[name].qos_specs_id
    return cinder(world, pod).qos_specs[specs_id].name if specs_id else None


def use(world: GatewayWorld, pod: str, name: str = "fast") -> Any:
    """Make a volume of a type in a pod, behind the top's back."""
    (volume,) = cinder(world, pod).add_volumes(1, "p1")
    volume.volume_type = world.types(pod)[name]
    return volume


# Ids.


async def test_one_id_of_the_default_type_whichever_pod_is_read(world: GatewayWorld) -> None:
    _, first = await world.ask("GET", "/types")
    down(world, "east")
    _, second = await world.ask("GET", "/types")
    assert [one["id"] for one in first["volume_types"]] == [cinder(world, "east").default_type.id]
    assert second == first


async def test_one_id_even_if_the_first_pod_was_down_at_first(world: GatewayWorld) -> None:
    down(world, "east")
    _, first = await world.ask("GET", "/types/default")
    up(world, "east")
    await world.clock.advance(60)
    _, second = await world.ask("GET", "/types/default")
    assert second["volume_type"]["id"] == first["volume_type"]["id"]
    _, third = await world.ask("GET", f"/types/{cinder(world, 'east').default_type.id}")
    assert third["volume_type"]["id"] == first["volume_type"]["id"]


@pytest.mark.parametrize("of", PODS)
async def test_any_pods_own_id_is_understood(world: GatewayWorld, of: str) -> None:
    made = await make_type(world)
    path = f"/types/{world.types(of)['fast'].id}"
    for pod in PODS:
        down(world, pod)
        status, answer = await world.ask("GET", path)
        assert (status, answer["volume_type"]["id"]) == (200, made)
        up(world, pod)


async def test_an_error_of_another_pod_speaks_of_the_tops_id(world: GatewayWorld) -> None:
    made = await make_type(world)
    down(world, "east")
    status, answer = await world.ask("GET", f"/types/{made}/extra_specs/none")
    assert status == 404
    said = answer["itemNotFound"]["message"]
    assert said == f"Volume Type {made} has no extra specs with key none."


async def test_pages_go_on_in_another_pod(world: GatewayWorld) -> None:
    made = [await make_type(world, name) for name in ("one", "two", "three")]
    path = "/types?limit=2&sort=name:asc"
    _, first = await world.ask("GET", path)
    marker = first["volume_types"][-1]["id"]
    assert f"marker={marker}" in first["volume_type_links"][0]["href"]
    down(world, "east")
    _, second = await world.ask("GET", f"{path}&marker={marker}")
    ids = [one["id"] for one in (*first["volume_types"], *second["volume_types"])]
    assert sorted(ids) == sorted([*made, cinder(world, "east").default_type.id])


async def test_a_pod_that_lacks_what_is_named_is_asked_last(world: GatewayWorld) -> None:
    down(world, "east")
    made = await make_type(world)
    up(world, "east")
    status, answer = await world.ask("GET", f"/types/{made}")
    assert (status, answer["volume_type"]["name"]) == (200, "fast")


# Encryption.


async def test_encryption_is_the_same_in_all_pods(world: GatewayWorld) -> None:
    made = await make_type(world)
    status, answer = await world.ask("POST", f"/types/{made}/encryption", LUKS)
    assert status == 200
    for pod in PODS:
        found = world.types(pod)["fast"].encryption
        assert (found["provider"], found["key_size"]) == ("luks", 256)
        assert found["encryption_id"] == answer["encryption"]["encryption_id"]
    down(world, "east")
    _, shown = await world.ask("GET", f"/types/{made}/encryption")
    assert shown["volume_type_id"] == made
    assert shown["encryption_id"] == answer["encryption"]["encryption_id"]


async def test_encryption_is_changed_and_ended_in_all_pods(world: GatewayWorld) -> None:
    made = await make_type(world)
    await world.ask("POST", f"/types/{made}/encryption", LUKS)
    await world.ask("PUT", f"/types/{made}/encryption/x", {"encryption": {"cipher": "aes"}})
    assert [world.types(pod)["fast"].encryption["cipher"] for pod in PODS] == ["aes", "aes"]
    await world.ask("DELETE", f"/types/{made}/encryption/x")
    assert [world.types(pod)["fast"].encryption for pod in PODS] == [None, None]


async def test_an_encrypted_type_is_made_so_in_a_pod_that_was_down(world: GatewayWorld) -> None:
    down(world, "west")
    made = await make_type(world)
    await world.ask("POST", f"/types/{made}/encryption", LUKS)
    up(world, "west")
    await world.work()
    assert world.types("west")["fast"].encryption["provider"] == "luks"


@pytest.mark.parametrize(
    ("method", "rest", "body", "said"),
    [
        ("DELETE", "", None, "Target volume type is still in use."),
        ("POST", "/encryption", LUKS, "Cannot create encryption specs. Volume type in use."),
        ("POST", "/extra_specs", {"extra_specs": {"a": "1"}}, "Volume Type is currently in use."),
    ],
)
@pytest.mark.parametrize("pod", PODS)
async def test_what_is_in_use_in_one_pod_is_refused_and_nothing_changes(
    world: GatewayWorld, pod: str, method: str, rest: str, body: Any, said: str
) -> None:
    made = await make_type(world)
    await world.work()
    use(world, pod)
    status, answer = await world.ask(method, f"/types/{made}{rest}", body)
    assert (status, answer["badRequest"]["message"]) == (400, said)
    assert await world.jobs() == []
    for name in PODS:
        kind = world.types(name)["fast"]
        assert (kind.encryption, kind.extra_specs) == (None, {})


async def test_what_was_used_in_a_pod_that_was_down_goes_when_it_is_free(
    world: GatewayWorld,
) -> None:
    made = await make_type(world)
    volume = use(world, "west")
    down(world, "west")
    status, _ = await world.ask("DELETE", f"/types/{made}")
    assert status == 202
    up(world, "west")
    await world.work()
    assert list(world.types("west")) == ["fast"]
    del cinder(world, "west").volumes[volume.id]
    assert len(await world.sweep(WEST)) == 1
    await world.work()
    assert world.types("west") == {}


# QoS specs.


async def test_qos_specs_are_made_changed_and_deleted_in_all_pods(world: GatewayWorld) -> None:
    made = await make_qos(world, read="1", consumer="both")
    body = {"qos_specs": {"write": "2", "consumer": "front-end"}}
    assert (await world.ask("PUT", f"/qos-specs/{made}", body))[0] == 200
    assert (await world.ask("PUT", f"/qos-specs/{made}/delete_keys", {"keys": ["read"]}))[0] == 202
    for pod in PODS:
        assert (qos(world, pod).consumer, qos(world, pod).specs) == ("front-end", {"write": "2"})
    assert qos(world, "east").id != qos(world, "west").id
    assert (await world.ask("DELETE", f"/qos-specs/{made}"))[0] == 202
    assert [qos(world, pod) for pod in PODS] == [None, None]
    assert not await world.stores.routings.find_routings(Kind.QOS_SPECS, TopId(made))


async def test_keys_that_went_before_one_that_was_not_there_are_no_ones(
    world: GatewayWorld,
) -> None:
    made = await make_qos(world, read="1")
    body = {"keys": ["read", "none"]}
    assert (await world.ask("PUT", f"/qos-specs/{made}/delete_keys", body))[0] == 404
    # Cinder has deleted the first one nevertheless
    assert qos(world, "east").specs == {}
    assert qos(world, "west").specs == {}


async def test_a_type_has_qos_specs_in_all_pods(world: GatewayWorld) -> None:
    specs, kind = await make_qos(world), await make_type(world)
    path = f"/qos-specs/{specs}/associate?vol_type_id={kind}"
    assert (await world.ask("GET", path))[0] == 202
    assert [association(world, pod) for pod in PODS] == ["slow", "slow"]
    down(world, "east")
    _, shown = await world.ask("GET", f"/types/{kind}")
    assert shown["volume_type"]["qos_specs_id"] == specs
    _, listed = await world.ask("GET", f"/qos-specs/{specs}/associations")
    assert [one["id"] for one in listed["qos_associations"]] == [kind]
    up(world, "east")
    assert (await world.ask("GET", path.replace("associate", "disassociate")))[0] == 202
    assert [association(world, pod) for pod in PODS] == [None, None]


async def test_a_pod_that_was_down_gets_the_specs_before_the_type(world: GatewayWorld) -> None:
    down(world, "west")
    specs, kind = await make_qos(world), await make_type(world)
    await world.ask("GET", f"/qos-specs/{specs}/associate?vol_type_id={kind}")
    up(world, "west")
    jobs = sorted(await world.jobs(), key=lambda job: job.resource, reverse=True)
    assert [job.resource for job in jobs] == ["volume_type", "qos_specs"]
    await world.replicate_job(jobs[0])
    assert association(world, "west") == "slow"


async def test_what_operators_made_is_adopted_when_it_is_associated(world: GatewayWorld) -> None:
    await world.call("east", "POST", "/qos-specs", {"qos_specs": {"name": "slow", "a": "1"}})
    kind = await make_type(world)
    own = qos(world, "east").id
    assert (await world.ask("GET", f"/qos-specs/{own}/associate?vol_type_id={kind}"))[0] == 202
    assert [association(world, pod) for pod in PODS] == ["slow", "slow"]
    assert qos(world, "west").specs == {"a": "1"}
    assert set(await world.wishes(Replica.QOS_SPECS)) == {own}


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", "/disassociate_all"), ("DELETE", "?force=true")]
)
async def test_types_lose_their_specs_in_all_pods(
    world: GatewayWorld, method: str, rest: str
) -> None:
    specs = await make_qos(world)
    for name in ("one", "two"):
        kind = await make_type(world, name)
        await world.ask("GET", f"/qos-specs/{specs}/associate?vol_type_id={kind}")
    assert (await world.ask(method, f"/qos-specs/{specs}{rest}"))[0] == 202
    for pod in PODS:
        assert [association(world, pod, name) for name in ("one", "two")] == [None, None]
    for wish in (await world.wishes(Replica.VOLUME_TYPE)).values():
        assert wish.document["qos_specs"] is None
    await world.work()
    assert await world.sweep(WEST) == []
    assert await world.sweep(EAST) == []


async def test_specs_that_a_type_has_in_one_pod_only_do_not_go(world: GatewayWorld) -> None:
    specs = await make_qos(world)
    own = cinder(world, "west").add_type("own")
    own.qos_specs_id = qos(world, "west").id
    status, answer = await world.ask("DELETE", f"/qos-specs/{specs}")
    assert (status, answer["badRequest"]["message"]) == (400, "Qos specs still in use.")
    assert qos(world, "east") is not None


# Group types.


async def test_group_types_are_made_changed_and_deleted_in_all_pods(world: GatewayWorld) -> None:
    made = await make_group_type(world)
    path = f"/group_types/{made}"
    await world.ask("PUT", path, {"group_type": {"description": "x", "is_public": False}})
    await world.ask("POST", f"{path}/group_specs", {"group_specs": {"b": "2"}})
    await world.ask("PUT", f"{path}/group_specs/b", {"b": "3"})
    await world.ask("DELETE", f"{path}/group_specs/a")
    for pod in PODS:
        found = group_type(world, pod)
        assert (found.description, found.is_public) == ("x", False)
        assert found.group_specs == {"b": "3"}
    down(world, "east")
    _, shown = await world.ask("GET", path)
    assert shown["group_type"]["id"] == made
    up(world, "east")
    assert (await world.ask("DELETE", path))[0] == 202
    assert [group_type(world, pod) for pod in PODS] == [None, None]


async def test_a_stock_group_type_has_one_id(world: GatewayWorld) -> None:
    _, first = await world.ask("GET", "/group_types")
    down(world, "east")
    assert (await world.ask("GET", "/group_types"))[1] == first


# Default types of projects.


async def test_a_default_type_is_set_and_taken_back_in_all_pods(world: GatewayWorld) -> None:
    kind, project = await make_type(world), world.sim.project_id("demo")
    body = {"default_type": {"volume_type": kind}}
    status, answer = await world.ask("PUT", f"/default-types/{project}", body)
    assert (status, answer["default_type"]["volume_type_id"]) == (200, kind)
    for pod in PODS:
        assert cinder(world, pod).default_types[project] is world.types(pod)["fast"]
    down(world, "east")
    for path in (f"/default-types/{project}", "/default-types"):
        _, shown = await world.ask("GET", path)
        (one,) = [shown["default_type"]] if "default_type" in shown else shown["default_types"]
        assert one == {"project_id": project, "volume_type_id": kind}
    up(world, "east")
    assert (await world.ask("DELETE", f"/default-types/{project}"))[0] == 204
    assert [cinder(world, pod).default_types for pod in PODS] == [{}, {}]


async def test_a_default_type_is_set_by_another_pods_id_or_name(world: GatewayWorld) -> None:
    kind, project = await make_type(world), world.sim.project_id("demo")
    for named in (world.types("west")["fast"].id, "fast"):
        body = {"default_type": {"volume_type": named}}
        _, answer = await world.ask("PUT", f"/default-types/{project}", body)
        assert answer["default_type"]["volume_type_id"] == kind


async def test_the_stock_default_type_can_be_a_projects_own(world: GatewayWorld) -> None:
    project = world.sim.project_id("demo")
    body = {"default_type": {"volume_type": "__DEFAULT__"}}
    assert (await world.ask("PUT", f"/default-types/{project}", body))[0] == 200
    for pod in PODS:
        assert cinder(world, pod).default_types[project] is cinder(world, pod).default_type
    assert set(await world.wishes(Replica.VOLUME_TYPE)) == {cinder(world, "east").default_type.id}


async def test_a_pod_that_was_down_gets_type_and_default(world: GatewayWorld) -> None:
    down(world, "west")
    kind, project = await make_type(world), world.sim.project_id("demo")
    await world.ask("PUT", f"/default-types/{project}", {"default_type": {"volume_type": kind}})
    up(world, "west")
    default = [job for job in await world.jobs() if job.resource == "default_type"]
    await world.replicate_job(default[0])
    assert cinder(world, "west").default_types[project].name == "fast"


# Pods that are added later.


async def test_a_pod_that_is_added_later_gets_all_of_it(world: GatewayWorld) -> None:
    west = world.leave("west")
    kind, specs = await make_type(world), await make_qos(world, read="1")
    project = world.sim.project_id("demo")
    await world.ask("POST", f"/types/{kind}/encryption", LUKS)
    await world.ask("GET", f"/qos-specs/{specs}/associate?vol_type_id={kind}")
    await world.ask("PUT", f"/default-types/{project}", {"default_type": {"volume_type": kind}})
    await make_group_type(world)
    world.join(west)
    jobs = await world.sweep(WEST)
    found = {job.resource for job in jobs}
    assert found == {"qos_specs", "volume_type", "group_type", "default_type"}
    await world.work()
    assert association(world, "west") == "slow"
    assert world.types("west")["fast"].encryption["provider"] == "luks"
    assert group_type(world, "west").group_specs == {"a": "1"}
    assert cinder(world, "west").default_types[project].name == "fast"
    assert await world.sweep(WEST) == []


async def test_the_stock_types_of_a_pod_that_is_added_later_are_known(world: GatewayWorld) -> None:
    west = world.leave("west")
    _, before = await world.ask("GET", "/types/default")
    world.join(west)
    await world.sweep(WEST)
    down(world, "east")
    assert (await world.ask("GET", "/types/default"))[1] == before


async def test_what_was_changed_in_a_pod_behind_the_tops_back_is_set_right(
    world: GatewayWorld,
) -> None:
    kind, specs = await make_type(world), await make_qos(world, read="1")
    await world.ask("GET", f"/qos-specs/{specs}/associate?vol_type_id={kind}")
    await make_group_type(world)
    world.types("west")["fast"].qos_specs_id = None
    world.types("west")["fast"].encryption = {"provider": "own", "control_location": "back-end"}
    qos(world, "west").specs = {"read": "2", "own": "3"}
    group_type(world, "west").group_specs = {}
    assert len(await world.sweep(WEST)) == 3
    await world.work()
    assert association(world, "west") == "slow"
    assert world.types("west")["fast"].encryption is None
    assert qos(world, "west").specs == {"read": "1"}
    assert group_type(world, "west").group_specs == {"a": "1"}


async def test_what_an_operator_made_otherwise_is_left_alone(world: GatewayWorld) -> None:
    await world.call("west", "POST", "/qos-specs", {"qos_specs": {"name": "slow", "own": "1"}})
    body = {"group_type": {"name": "together"}}
    await world.call("west", "POST", "/group_types", body, "3.11")
    await make_qos(world, read="1")
    await make_group_type(world)
    for job in await world.jobs():
        with pytest.raises(Conflict, match="was not made by the top"):
            await world.replicate_job(job)
    assert qos(world, "west").specs == {"own": "1"}
    assert group_type(world, "west").group_specs == {}


# Whatever dies.


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("step", range(0, 120, 4))
async def test_a_gateway_that_dies_leaves_pods_that_become_alike(
    world: GatewayWorld, step: int, carried_out: bool
) -> None:
    specs, kind = await make_qos(world), await make_type(world)
    requests = (
        ("POST", f"/types/{kind}/encryption", LUKS),
        ("GET", f"/qos-specs/{specs}/associate?vol_type_id={kind}", None),
        ("DELETE", f"/qos-specs/{specs}?force=true", None),
    )
    world.life.end_at(step, carried_out=carried_out)
    for method, path, body in requests:
        try:
            await world.ask(method, path, body)
        except Died:
            world.restart()
            await world.ask(method, path, body)
    world.restart()
    for pod_id in (EAST, WEST):
        await world.sweep(pod_id)
        await world.work()
    for pod in PODS:
        assert world.types(pod)["fast"].encryption["provider"] == "luks"
        assert world.types(pod)["fast"].qos_specs_id is None
        assert qos(world, pod) is None
