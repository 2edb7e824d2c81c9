"""How flavors, key pairs and volume types are compared, and what makes a pod's like the top's.

The fields are those that pods can be given; all others are the pod's own business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from msgspec import Struct, convert, field, to_builtins
from msgspec.structs import replace

from tricircle.core.errors import Conflict
from tricircle.core.model import Version
from tricircle.core.wishes import Document, Replica, Wish

Specs = dict[str, str | None]


class Flavor(Struct, frozen=True, kw_only=True):
    """A flavor in Nova's own words; ``projects`` may use it when it is not public."""

    name: str
    ram: int
    vcpus: int
    disk: int
    ephemeral: int = field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    # '' before microversion 2.75
    swap: int | str = 0
    rxtx_factor: float = 1.0
    is_public: bool = field(name="os-flavor-access:is_public", default=True)
    description: str | None = None
    extra_specs: Specs = {}
    projects: tuple[str, ...] = ()

    @property
    def numbers(self) -> Mapping[str, object]:
        """Return what can never change in a flavor."""
        return {
            "name": self.name,
            "ram": self.ram,
            "vcpus": self.vcpus,
            "disk": self.disk,
            "ephemeral": self.ephemeral,
            "swap": self.swap or 0,
            "rxtx_factor": self.rxtx_factor,
            "is_public": self.is_public,
        }


class KeyPair(Struct, frozen=True, kw_only=True):
    """The public half of a key pair."""

    name: str
    public_key: str
    fingerprint: str
    type: str = "ssh"


class VolumeType(Struct, frozen=True, kw_only=True):
    """A volume type; ``projects`` may use it when it is not public.

    ``formerly`` is what it was like when the top first changed it: a pod may still have it
    so, made by an operator in each pod before.
    """

    name: str
    description: str | None = None
    is_public: bool = True
    extra_specs: Specs = {}
    projects: tuple[str, ...] = ()
    formerly: VolumeType | None = None

    @property
    def essence(self) -> Mapping[str, object]:
        """Return what tells it from another type of the same name."""
        specs = dict(sorted(self.extra_specs.items()))
        return {"name": self.name, "is_public": self.is_public, "extra_specs": specs}


Thing = Flavor | KeyPair | VolumeType


def read_flavor(document: Document) -> Flavor:
    """Return a flavor of a wish, or of an answer of Nova. Raises ValueError."""
    found = convert(document, Flavor)
    return replace(found, swap=found.swap or 0, projects=tuple(sorted(found.projects)))


def read_keypair(document: Document) -> KeyPair:
    """Return a key pair of a wish, or of an answer of Nova. Raises ValueError."""
    return convert(document, KeyPair)


def read_volume_type(document: Document) -> VolumeType:
    """Return a volume type of a wish, or of an answer of Cinder. Raises ValueError."""
    found = convert(document, VolumeType)
    return replace(found, projects=tuple(sorted(found.projects)))


def write_document(thing: Thing) -> Document:
    """Return what a wish keeps of a thing."""
    document: Document = to_builtins(thing)
    return document


def read_thing(resource: Replica, document: Document) -> Thing:
    """Return the thing that a wish keeps. Raises ValueError."""
    match resource:
        case Replica.FLAVOR:
            return read_flavor(document)
        case Replica.KEYPAIR:
            return read_keypair(document)
        case Replica.VOLUME_TYPE:
            return read_volume_type(document)
        case _:
            assert_never(resource)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a wish is to say: how the thing is to be or, not ``wanted``, what is to go."""

    document: Document
    wanted: bool


def decide_wish(wish: Wish | None, shown: Thing | None, before: Thing | None) -> Wanted | None:
    """Return what a wish is to say after a thing was changed in one pod, None if it says so.

    ``shown`` is the thing there now. Where there is no wish yet, ``before`` is what it was
    before the change: pods that have it so have the same thing.
    """
    if shown is None:
        return _decide_tombstone(wish, before)
    old = read_thing(wish.resource, wish.document) if wish is not None else None
    former = old.formerly if isinstance(old, VolumeType) else before
    if isinstance(shown, VolumeType) and isinstance(former, VolumeType):
        shown = replace(shown, formerly=replace(former, formerly=None))
    if wish is not None and wish.wanted and shown == old:
        return None
    return Wanted(write_document(shown), True)


def _decide_tombstone(wish: Wish | None, before: Thing | None) -> Wanted | None:
    if wish is not None:
        return Wanted(wish.document, False) if wish.wanted else None
    return Wanted(write_document(before), False) if before is not None else None


# Steps.


@dataclass(frozen=True, slots=True)
class Create:
    """Make it."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Set these fields."""

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SetSpecs:
    """Set these extra specs; others stay."""

    specs: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class UnsetSpec:
    """Delete an extra spec."""

    name: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Let a project use it."""

    project: str


@dataclass(frozen=True, slots=True)
class Expel:
    """Let a project use it no longer."""

    project: str


Step = Create | Remove | Change | SetSpecs | UnsetSpec | Admit | Expel
Steps = Sequence[Step]


def plan_flavor(subject: str, wished: Flavor, shown: Flavor | None, made: bool) -> Steps:
    """Return what makes the flavor a pod shows like the wished one, in order.

    After a creation the pod is to be looked at anew. ``made`` tells that the top has made
    this flavor there; only then one with other numbers is replaced. ``subject`` names flavor
    and pod. Raises Conflict for an operator's own flavor of the same id.
    """
    if shown is None:
        return [Create()]
    if shown.numbers != wished.numbers:
        if made:
            return [Remove(), Create()]
        raise _foreign(subject, shown.numbers, wished.numbers)
    steps: list[Step] = []
    if shown.description != wished.description:
        steps.append(Change({"description": wished.description}))
    steps += _plan_specs(wished.extra_specs, shown.extra_specs)
    if not wished.is_public:
        steps += _plan_access(wished.projects, shown.projects)
    return steps


def plan_keypair(subject: str, wished: KeyPair, shown: KeyPair | None, made: bool) -> Steps:
    """Return what makes the key pair a pod shows like the wished one; as ``plan_flavor``."""
    if shown is None:
        return [Create()]
    is_same = (shown.type, shown.fingerprint) == (wished.type, wished.fingerprint)
    if is_same:
        return []
    if made:
        return [Remove(), Create()]
    raise _foreign(
        subject,
        {"type": shown.type, "fingerprint": shown.fingerprint},
        {"type": wished.type, "fingerprint": wished.fingerprint},
    )


def plan_volume_type(
    subject: str, wished: VolumeType, shown: VolumeType | None, made: bool
) -> Steps:
    """Return what makes the type a pod shows like the wished one; as ``plan_flavor``."""
    if shown is None:
        return [Create()]
    if not made and not _is_same_type(wished, shown):
        raise _foreign(subject, shown.essence, wished.essence)
    steps: list[Step] = []
    values: dict[str, object] = {}
    if shown.name != wished.name:
        values["name"] = wished.name
    # Cinder cannot set a description to null
    if (shown.description or "") != (wished.description or ""):
        values["description"] = wished.description or ""
    if shown.is_public != wished.is_public:
        values["is_public"] = wished.is_public
    if values:
        steps.append(Change(values))
    steps += _plan_specs(wished.extra_specs, shown.extra_specs)
    if not wished.is_public:
        known = () if shown.is_public else shown.projects
        steps += _plan_access(wished.projects, known)
    return steps


def plan_removal(wished: Thing, shown: Thing | None, made: bool) -> Steps:
    """Return what removes a thing that is not wanted: nothing for what the top never made.

    What was in several pods before the top came, and is the same there, goes too.
    """
    if shown is None or not (made or _is_same(wished, shown)):
        return []
    return [Remove()]


def _is_same(wished: Thing, shown: Thing) -> bool:
    match wished, shown:
        case Flavor(), Flavor():
            return wished.numbers == shown.numbers
        case KeyPair(), KeyPair():
            return wished.fingerprint == shown.fingerprint
        case VolumeType(), VolumeType():
            return _is_same_type(wished, shown)
    return False


def _is_same_type(wished: VolumeType, shown: VolumeType) -> bool:
    known = [wished.essence]
    if wished.formerly is not None:
        known.append(wished.formerly.essence)
    return shown.essence in known


def _plan_specs(wished: Specs, shown: Specs) -> Steps:
    missing = {
        name: text for name, text in wished.items() if name not in shown or shown[name] != text
    }
    steps: list[Step] = [SetSpecs(missing)] if missing else []
    return steps + [UnsetSpec(name) for name in sorted(set(shown) - set(wished))]


def _plan_access(wished: Collection[str], shown: Collection[str]) -> Steps:
    steps: list[Step] = [Admit(project) for project in sorted(set(wished) - set(shown))]
    return steps + [Expel(project) for project in sorted(set(shown) - set(wished))]


def _foreign(subject: str, shown: Mapping[str, object], wished: Mapping[str, object]) -> Conflict:
    different = ", ".join(
        f"{name} {shown[name]!r} and not {wished[name]!r}"
        for name in wished
        if shown[name] != wished[name]
    )
    return Conflict(
        f"{subject} was not made by the top and is another one than the top's: it has "
        f"{different}; delete it in the pod, or make it like the top's, and have the job done again"
    )


# What is sent.

DESCRIBED = Version(2, 55)
"""Since when a flavor has a description."""
SPECS_SHOWN = Version(2, 61)
"""Since when a flavor is shown with its extra specs."""
OF_OTHERS = Version(2, 10)
"""Since when an administrator may name the user of a key pair."""
KEYPAIR_PAGES = Version(2, 35)
"""Since when key pairs are listed in pages."""
DOTTED_NAMES = Version(2, 92)
"""Since when the name of a key pair may hold '@' and '.'."""
_OLD_NAME = re.compile(r"[_\- a-zA-Z0-9]+")


def flavor_body(flavor_id: str, wished: Flavor, version: Version) -> Document:
    """Return the body that makes a flavor with Nova's microversion ``version``."""
    values: dict[str, object] = {
        "id": flavor_id,
        "name": wished.name,
        "ram": wished.ram,
        "vcpus": wished.vcpus,
        "disk": wished.disk,
        "OS-FLV-EXT-DATA:ephemeral": wished.ephemeral,
        "swap": wished.swap or 0,
        "rxtx_factor": wished.rxtx_factor,
        "os-flavor-access:is_public": wished.is_public,
    }
    if version >= DESCRIBED and wished.description is not None:
        values["description"] = wished.description
    return {"flavor": values}


def keypair_body(owner: str, wished: KeyPair) -> Document:
    """Return the body that makes a key pair of a user."""
    values = {
        "name": wished.name,
        "public_key": wished.public_key,
        "type": wished.type,
        "user_id": owner,
    }
    return {"keypair": values}


def keypair_versions(name: str) -> Sequence[Version]:
    """Return the microversions that a key pair of this name can be made with, best first."""
    return (OF_OTHERS,) if _OLD_NAME.fullmatch(name) else (DOTTED_NAMES,)


def volume_type_body(wished: VolumeType) -> Document:
    """Return the body that makes a volume type with its extra specs."""
    values = {
        "name": wished.name,
        "description": wished.description or "",
        "os-volume-type-access:is_public": wished.is_public,
        "extra_specs": wished.extra_specs,
    }
    return {"volume_type": values}
