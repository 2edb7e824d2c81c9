"""What all pods are to have alike: flavors, key pairs, volume types and what belongs to these.

The fields are those that pods can be given; all others are the pod's own business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_field
from typing import assert_never

from msgspec import UNSET, Struct, UnsetType, convert, field, to_builtins
from msgspec.structs import replace

from tricircle.core.wishes import Document, Replica, Wish, WishKey

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


class Encryption(Struct, frozen=True, kw_only=True):
    """How volumes of a type are encrypted; the pods that the top encrypts share the id."""

    provider: str
    control_location: str
    cipher: str | None = None
    key_size: int | None = None
    encryption_id: str | None = None

    @property
    def essence(self) -> Mapping[str, object]:
        """Return what makes a difference to volumes."""
        return {
            "provider": self.provider,
            "control_location": self.control_location,
            "cipher": self.cipher,
            "key_size": self.key_size,
        }


class VolumeType(Struct, frozen=True, kw_only=True):
    """A volume type; ``projects`` may use it when it is not public.

    ``qos_specs`` is the id at the top of its QoS specs. A wish of an earlier release says
    nothing of encryption and QoS specs: then they are the pod's own. ``formerly`` is what
    the type was like when the top first changed it: a pod may still have it so, made by an
    operator in each pod before.
    """

    name: str
    description: str | None = None
    is_public: bool = True
    extra_specs: Specs = {}
    projects: tuple[str, ...] = ()
    encryption: Encryption | UnsetType | None = UNSET
    qos_specs: str | UnsetType | None = UNSET
    formerly: VolumeType | None = None

    @property
    def essence(self) -> Mapping[str, object]:
        """Return what tells it from another type of the same name."""
        specs = dict(sorted(self.extra_specs.items()))
        essence = {"name": self.name, "is_public": self.is_public, "extra_specs": specs}
        if isinstance(self.encryption, UnsetType):
            return essence
        return {**essence, "encryption": self.encryption.essence if self.encryption else None}


class QosSpecs(Struct, frozen=True, kw_only=True):
    """QoS specs; ``formerly`` as for a volume type."""

    name: str
    consumer: str | None = None
    specs: Specs = {}
    formerly: QosSpecs | None = None

    @property
    def essence(self) -> Mapping[str, object]:
        """Return what tells them from others of the same name."""
        specs = dict(sorted(self.specs.items()))
        return {"name": self.name, "consumer": self.consumer, "specs": specs}


class GroupType(Struct, frozen=True, kw_only=True):
    """A type of groups of volumes; ``formerly`` as for a volume type."""

    name: str
    description: str | None = None
    is_public: bool = True
    group_specs: Specs = {}
    formerly: GroupType | None = None

    @property
    def essence(self) -> Mapping[str, object]:
        """Return what tells it from another type of the same name."""
        specs = dict(sorted(self.group_specs.items()))
        return {"name": self.name, "is_public": self.is_public, "group_specs": specs}


class DefaultType(Struct, frozen=True, kw_only=True):
    """The volume type of a project's volumes that name none, by its id at the top."""

    volume_type: str


Named = VolumeType | QosSpecs | GroupType
"""What has another id in each pod: by their names pods have the same."""
Thing = Flavor | KeyPair | Named | DefaultType


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


def read_qos_specs(document: Document) -> QosSpecs:
    """Return QoS specs of a wish, or of an answer of Cinder. Raises ValueError."""
    return convert(document, QosSpecs)


def read_group_type(document: Document) -> GroupType:
    """Return a group type of a wish, or of an answer of Cinder. Raises ValueError."""
    return convert(document, GroupType)


def read_default_type(document: Document) -> DefaultType:
    """Return the default type of a wish. Raises ValueError."""
    return convert(document, DefaultType)


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
        case Replica.QOS_SPECS:
            return read_qos_specs(document)
        case Replica.GROUP_TYPE:
            return read_group_type(document)
        case Replica.DEFAULT_TYPE:
            return read_default_type(document)
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
    former = old.formerly if isinstance(old, Named) else before
    if isinstance(shown, Named) and isinstance(former, Named):
        shown = replace(shown, formerly=replace(former, formerly=None))
    if wish is not None and wish.wanted and shown == old:
        return None
    return Wanted(write_document(shown), True)


def _decide_tombstone(wish: Wish | None, before: Thing | None) -> Wanted | None:
    if wish is not None:
        return Wanted(wish.document, False) if wish.wanted else None
    return Wanted(write_document(before), False) if before is not None else None


# What one wish needs another one for.


def list_needs(wish: Wish) -> Sequence[WishKey]:
    """Return the keys of the things that a pod must have before it can be as a wish says."""
    if not wish.wanted:
        return ()
    thing = read_thing(wish.resource, wish.document)
    match thing:
        case VolumeType(qos_specs=str(name)):
            return (WishKey(Replica.QOS_SPECS, "", name),)
        case DefaultType(volume_type=name):
            return (WishKey(Replica.VOLUME_TYPE, "", name),)
    return ()


def without_need(wish: Wish, need: WishKey) -> Wish:
    """Return a wish without what it needs that is wanted no more itself."""
    thing = read_thing(wish.resource, wish.document)
    if isinstance(thing, VolumeType) and need.resource is Replica.QOS_SPECS:
        return replace_field(wish, document=write_document(replace(thing, qos_specs=None)))
    return wish
