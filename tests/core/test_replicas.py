"""Comparing what pods have with what the top wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_field

import pytest
from msgspec.structs import replace

from tricircle.core.errors import Conflict
from tricircle.core.model import Version, VersionRange
from tricircle.core.replica_plans import (
    DESCRIBED,
    SPECS_SHOWN,
    Admit,
    Associate,
    Change,
    Create,
    Decrypt,
    Disassociate,
    Encrypt,
    Expel,
    Reencrypt,
    Remove,
    SetSpecs,
    Step,
    UnsetSpec,
    flavor_body,
    keypair_versions,
    plan_default_type,
    plan_flavor,
    plan_group_type,
    plan_keypair,
    plan_qos_specs,
    plan_removal,
    plan_volume_type,
)
from tricircle.core.replicas import (
    DefaultType,
    Encryption,
    Flavor,
    GroupType,
    KeyPair,
    QosSpecs,
    Thing,
    VolumeType,
    Wanted,
    decide_wish,
    list_needs,
    read_flavor,
    read_thing,
    read_volume_type,
    without_need,
    write_document,
)
from tricircle.core.versions import pick_version
from tricircle.core.wishes import Replica, Wish, WishId, WishKey

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


# Encryption, QoS specs, group types, default types.

LUKS = Encryption(provider="luks", control_location="front-end", key_size=256)
QOS = QosSpecs(name="slow", consumer="both", specs={"a": "1"})
GROUPED = GroupType(name="together", group_specs={"a": "1"})


@pytest.mark.parametrize(
    ("resource", "thing"),
    [
        (Replica.VOLUME_TYPE, replace(TYPE, encryption=LUKS, qos_specs="q")),
        (Replica.VOLUME_TYPE, replace(TYPE, encryption=None, qos_specs=None)),
        (Replica.QOS_SPECS, replace(QOS, formerly=QosSpecs(name="slow"))),
        (Replica.GROUP_TYPE, replace(GROUPED, description="x")),
        (Replica.DEFAULT_TYPE, DefaultType(volume_type="t")),
    ],
)
def test_a_document_gives_the_same_thing_again(resource: Replica, thing: Thing) -> None:
    assert read_thing(resource, write_document(thing)) == thing


def test_a_wish_of_an_earlier_release_leaves_encryption_and_qos_specs_alone() -> None:
    old = read_volume_type({"name": "fast", "extra_specs": {"a": "1"}})
    shown = replace(TYPE, encryption=LUKS, qos_specs="q")
    assert plan_volume_type("it", old, shown, made=True) == []
    assert plan_volume_type("it", old, shown, made=False) == []


@pytest.mark.parametrize(
    ("wished", "shown", "steps"),
    [
        (None, None, []),
        (LUKS, None, [Encrypt(LUKS)]),
        (LUKS, replace(LUKS, key_size=512), [Reencrypt(LUKS)]),
        (LUKS, replace(LUKS, encryption_id="own"), []),
        (None, LUKS, [Decrypt()]),
    ],
)
def test_encryption_is_made_like_the_wish(
    wished: Encryption | None, shown: Encryption | None, steps: list[Step]
) -> None:
    wanted, found = replace(TYPE, encryption=wished), replace(TYPE, encryption=shown)
    assert plan_volume_type("it", wanted, found, made=True) == steps


@pytest.mark.parametrize(
    ("wished", "shown", "steps"),
    [
        (None, None, []),
        ("q", None, [Associate("q")]),
        ("q", "r", [Disassociate("r"), Associate("q")]),
        (None, "r", [Disassociate("r")]),
    ],
)
def test_a_type_gets_the_wished_qos_specs(
    wished: str | None, shown: str | None, steps: list[Step]
) -> None:
    wanted, found = replace(TYPE, qos_specs=wished), replace(TYPE, qos_specs=shown)
    assert plan_volume_type("it", wanted, found, made=True) == steps


def test_another_encryption_makes_an_operators_type_another_one() -> None:
    shown = replace(TYPE, encryption=LUKS)
    with pytest.raises(Conflict, match="encryption"):
        plan_volume_type("it", replace(TYPE, encryption=None), shown, made=False)


def test_qos_specs_are_made_like_the_wish() -> None:
    shown = replace(QOS, consumer="back-end", specs={"b": "2"})
    assert plan_qos_specs("it", QOS, None, made=False) == [Create()]
    assert plan_qos_specs("it", QOS, shown, made=True) == [
        Change({"consumer": "both"}),
        SetSpecs({"a": "1"}),
        UnsetSpec("b"),
    ]
    with pytest.raises(Conflict, match="consumer"):
        plan_qos_specs("it", QOS, shown, made=False)
    assert plan_qos_specs("it", replace(QOS, formerly=shown), shown, made=False) != []


def test_a_group_type_is_made_like_the_wish() -> None:
    shown = GroupType(name="before", is_public=False, description="x", group_specs={"a": "2"})
    assert plan_group_type("it", GROUPED, None, made=False) == [Create()]
    assert plan_group_type("it", GROUPED, shown, made=True) == [
        Change({"name": "together", "description": "", "is_public": True}),
        SetSpecs({"a": "1"}),
    ]
    with pytest.raises(Conflict, match="name 'before'"):
        plan_group_type("it", GROUPED, shown, made=False)


def test_a_default_type_is_whatever_the_top_says() -> None:
    wished = DefaultType(volume_type="t")
    assert plan_default_type(wished, wished) == []
    assert plan_default_type(wished, DefaultType(volume_type="u")) == [Create()]
    assert plan_default_type(wished, None) == [Create()]
    assert plan_removal(wished, DefaultType(volume_type="u"), made=False) == []


def kept_wish(resource: Replica, thing: Thing, *, wanted: bool = True) -> Wish:
    return Wish(WishId("w"), resource, "", "n", write_document(thing), wanted, 1)


def test_wishes_say_what_they_need() -> None:
    kind = kept_wish(Replica.VOLUME_TYPE, replace(TYPE, qos_specs="q"))
    specs = WishKey(Replica.QOS_SPECS, "", "q")
    assert list_needs(kind) == (specs,)
    assert list_needs(without_need(kind, specs)) == ()
    assert list_needs(kept_wish(Replica.VOLUME_TYPE, TYPE)) == ()
    assert list_needs(kept_wish(Replica.QOS_SPECS, QOS)) == ()
    default = kept_wish(Replica.DEFAULT_TYPE, DefaultType(volume_type="t"))
    assert list_needs(default) == (WishKey(Replica.VOLUME_TYPE, "", "t"),)
    assert list_needs(replace_field(default, wanted=False)) == ()


def test_what_was_there_before_is_known_of_qos_specs_and_group_types() -> None:
    for before, after in (
        (QOS, replace(QOS, specs={})),
        (GROUPED, replace(GROUPED, name="other")),
    ):
        decided = decide_wish(None, after, before)
        assert decided is not None
        assert decided.document["formerly"] == {**write_document(before), "formerly": None}
