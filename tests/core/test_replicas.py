"""Comparing what pods have with what the top wants."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tricircle.core.errors import Conflict
from tricircle.core.model import Version, VersionRange
from tricircle.core.replica_plans import (
    DESCRIBED,
    SPECS_SHOWN,
    Admit,
    Change,
    Create,
    Expel,
    Remove,
    SetSpecs,
    Step,
    UnsetSpec,
    flavor_body,
    keypair_versions,
    plan_flavor,
    plan_keypair,
    plan_removal,
    plan_volume_type,
)
from tricircle.core.replicas import (
    Flavor,
    KeyPair,
    Thing,
    VolumeType,
    Wanted,
    decide_wish,
    read_flavor,
    read_volume_type,
    write_document,
)
from tricircle.core.versions import pick_version
from tricircle.core.wishes import Replica, Wish, WishId

FLAVOR = Flavor(name="m1", ram=512, vcpus=1, disk=1, extra_specs={"a": "1"})
HIDDEN = replace(FLAVOR, is_public=False, projects=("p1", "p2"))
KEY = KeyPair(name="k", public_key="ssh-rsa AAAA", fingerprint="aa:bb")
TYPE = VolumeType(name="fast", extra_specs={"a": "1"})


def test_a_flavor_is_read_as_every_microversion_shows_it() -> None:
    old = {"name": "m1", "ram": 1, "vcpus": 1, "disk": 0, "swap": "", "links": [], "id": "x"}
    new = {**old, "swap": 0, "rxtx_factor": 1, "description": None, "extra_specs": {}}
    assert read_flavor(old) == read_flavor(new) == Flavor(name="m1", ram=1, vcpus=1, disk=0)


@pytest.mark.parametrize("thing", [FLAVOR, HIDDEN])
def test_a_document_gives_the_same_flavor_again(thing: Flavor) -> None:
    assert read_flavor(write_document(thing)) == thing


def test_a_document_gives_the_same_type_again() -> None:
    thing = replace(TYPE, formerly=VolumeType(name="slow"))
    assert read_volume_type(write_document(thing)) == thing


@pytest.mark.parametrize(
    ("wished", "shown", "steps"),
    [
        (FLAVOR, None, [Create()]),
        (FLAVOR, FLAVOR, []),
        (FLAVOR, replace(FLAVOR, description="x"), [Change({"description": None})]),
        (FLAVOR, replace(FLAVOR, extra_specs={}), [SetSpecs({"a": "1"})]),
        (FLAVOR, replace(FLAVOR, extra_specs={"a": "2"}), [SetSpecs({"a": "1"})]),
        (FLAVOR, replace(FLAVOR, extra_specs={"a": "1", "b": ""}), [UnsetSpec("b")]),
        (replace(FLAVOR, extra_specs={"a": ""}), FLAVOR, [SetSpecs({"a": ""})]),
        (HIDDEN, replace(HIDDEN, projects=("p2", "p3")), [Admit("p1"), Expel("p3")]),
        (FLAVOR, replace(FLAVOR, projects=("p9",)), []),
    ],
)
def test_what_makes_a_flavor_like_the_wish(
    wished: Flavor, shown: Flavor | None, steps: Sequence[Step]
) -> None:
    for made in (False, True):
        assert list(plan_flavor("flavor", wished, shown, made)) == steps


@pytest.mark.parametrize(
    "other",
    [
        replace(FLAVOR, name="m2"),
        replace(FLAVOR, ram=1),
        replace(FLAVOR, vcpus=2),
        replace(FLAVOR, disk=2),
        replace(FLAVOR, ephemeral=1),
        replace(FLAVOR, swap=1),
        replace(FLAVOR, rxtx_factor=2.0),
        replace(FLAVOR, is_public=False),
    ],
)
def test_other_numbers_need_another_flavor_where_the_top_made_it(other: Flavor) -> None:
    assert plan_flavor("flavor", FLAVOR, other, True) == [Remove(), Create()]
    with pytest.raises(Conflict, match=r"flavor f1 of pod east was not made by the top"):
        plan_flavor("flavor f1 of pod east", FLAVOR, other, False)


def test_a_key_pair_is_known_by_type_and_fingerprint() -> None:
    assert plan_keypair("key", KEY, None, False) == [Create()]
    assert plan_keypair("key", KEY, replace(KEY, public_key="ssh-rsa AAAA me"), False) == []
    for other in (replace(KEY, fingerprint="x"), replace(KEY, type="x509")):
        assert plan_keypair("key", KEY, other, True) == [Remove(), Create()]
        with pytest.raises(Conflict, match="and not"):
            plan_keypair("key", KEY, other, False)


@pytest.mark.parametrize(
    ("wished", "shown", "steps"),
    [
        (TYPE, None, [Create()]),
        (TYPE, TYPE, []),
        (TYPE, replace(TYPE, description=""), []),
        (replace(TYPE, description="x"), TYPE, [Change({"description": "x"})]),
        (TYPE, replace(TYPE, name="old", is_public=False, projects=("p",)),
         [Change({"name": "fast", "is_public": True})]),
        (replace(TYPE, is_public=False, projects=("p",)), TYPE,
         [Change({"is_public": False}), Admit("p")]),
        (TYPE, replace(TYPE, extra_specs={"b": None}), [SetSpecs({"a": "1"}), UnsetSpec("b")]),
    ],
)  # fmt: skip
def test_what_makes_a_volume_type_like_the_wish(
    wished: VolumeType, shown: VolumeType | None, steps: Sequence[Step]
) -> None:
    assert list(plan_volume_type("type", wished, shown, True)) == steps


def test_a_type_that_the_top_did_not_make_must_be_the_same_or_what_it_was_before() -> None:
    own = replace(TYPE, extra_specs={"backend": "x"})
    with pytest.raises(Conflict, match="extra_specs"):
        plan_volume_type("type", TYPE, own, False)
    known = replace(TYPE, formerly=own)
    assert plan_volume_type("type", known, own, False) == [
        SetSpecs({"a": "1"}),
        UnsetSpec("backend"),
    ]


def wish_of(thing: Thing, *, wanted: bool = True) -> Wish:
    resource = {Flavor: Replica.FLAVOR, KeyPair: Replica.KEYPAIR, VolumeType: Replica.VOLUME_TYPE}
    document = write_document(thing)
    return Wish(WishId("w"), resource[type(thing)], "", "n", document, wanted, 1)


@pytest.mark.parametrize("thing", [FLAVOR, KEY, TYPE])
def test_what_one_pod_shows_becomes_the_wish(thing: Thing) -> None:
    wanted = Wanted(write_document(thing), True)
    assert decide_wish(None, thing, None) == wanted
    assert decide_wish(wish_of(thing), thing, None) is None
    assert decide_wish(wish_of(replace(thing, name="other")), thing, None) == wanted
    assert decide_wish(wish_of(thing, wanted=False), thing, None) == wanted


@pytest.mark.parametrize("thing", [FLAVOR, KEY, TYPE])
def test_what_is_gone_from_one_pod_is_to_go_from_all(thing: Thing) -> None:
    gone = Wanted(write_document(thing), False)
    assert decide_wish(wish_of(thing), None, None) == gone
    assert decide_wish(None, None, thing) == gone
    assert decide_wish(wish_of(thing, wanted=False), None, thing) is None
    assert decide_wish(None, None, None) is None


def test_the_first_former_type_is_remembered() -> None:
    first, second, third = (VolumeType(name=name) for name in "123")
    known = decide_wish(None, second, first)
    assert known == Wanted(write_document(replace(second, formerly=first)), True)
    wish = wish_of(replace(second, formerly=first))
    assert decide_wish(wish, second, None) is None
    now = Wanted(write_document(replace(third, formerly=first)), True)
    assert decide_wish(wish, third, second) == now


@pytest.mark.parametrize(
    ("thing", "other"),
    [
        (FLAVOR, replace(FLAVOR, ram=1)),
        (KEY, replace(KEY, fingerprint="x")),
        (TYPE, replace(TYPE, extra_specs={})),
    ],
)
def test_only_what_is_the_tops_or_the_same_is_removed(thing: Thing, other: Thing) -> None:
    assert plan_removal(thing, None, True) == []
    assert plan_removal(thing, thing, False) == [Remove()]
    assert plan_removal(thing, other, True) == [Remove()]
    assert plan_removal(thing, other, False) == []


def test_a_description_is_sent_only_to_those_who_know_it() -> None:
    described = replace(FLAVOR, description="x")
    assert "description" not in str(flavor_body("f", described, Version(2, 1)))
    assert "description" in str(flavor_body("f", described, DESCRIBED))
    assert "description" not in str(flavor_body("f", FLAVOR, SPECS_SHOWN))


def test_names_of_key_pairs_decide_the_microversion() -> None:
    assert keypair_versions("my-key_1 x") == (Version(2, 10),)
    assert keypair_versions("me@host.org") == (Version(2, 92),)


@pytest.mark.parametrize(
    ("maximum", "picked"),
    [(Version(2, 12), Version(2, 1)), (Version(2, 60), DESCRIBED), (Version(2, 61), SPECS_SHOWN)],
)
def test_the_first_version_that_a_pod_serves_is_picked(maximum: Version, picked: Version) -> None:
    served = VersionRange(Version(2, 1), maximum)
    assert pick_version(served, (SPECS_SHOWN, DESCRIBED)) == picked
    assert pick_version(None, (SPECS_SHOWN,)) == Version(2, 1)
