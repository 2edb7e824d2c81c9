"""What makes a pod's replicas like the top's: steps, and what is sent for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType, to_builtins

from tricircle.core.errors import Conflict
from tricircle.core.model import Version
from tricircle.core.replicas import (
    DefaultType,
    Encryption,
    Flavor,
    GroupType,
    KeyPair,
    Named,
    QosSpecs,
    Specs,
    Thing,
    VolumeType,
)
from tricircle.core.wishes import Document


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


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Encrypt what is not encrypted yet."""

    encryption: Encryption


@dataclass(frozen=True, slots=True)
class Reencrypt:
    """Encrypt new volumes in another way."""

    encryption: Encryption


@dataclass(frozen=True, slots=True)
class Decrypt:
    """Encrypt new volumes no longer."""


@dataclass(frozen=True, slots=True)
class Associate:
    """Give it the QoS specs with this id at the top."""

    qos_specs: str


@dataclass(frozen=True, slots=True)
class Disassociate:
    """Take the QoS specs with this id at the top away from it."""

    qos_specs: str


Step = (
    Create
    | Remove
    | Change
    | SetSpecs
    | UnsetSpec
    | Admit
    | Expel
    | Encrypt
    | Reencrypt
    | Decrypt
    | Associate
    | Disassociate
)
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
    _require_like(subject, wished, shown, made)
    steps = _plan_values(wished, shown)
    steps += _plan_specs(wished.extra_specs, shown.extra_specs)
    if not wished.is_public:
        known = () if shown.is_public else shown.projects
        steps += _plan_access(wished.projects, known)
    return [*steps, *_plan_encryption(wished, shown), *_plan_association(wished, shown)]


def plan_group_type(subject: str, wished: GroupType, shown: GroupType | None, made: bool) -> Steps:
    """Return what makes the group type a pod shows like the wished one; as ``plan_flavor``."""
    if shown is None:
        return [Create()]
    _require_like(subject, wished, shown, made)
    return [*_plan_values(wished, shown), *_plan_specs(wished.group_specs, shown.group_specs)]


def plan_qos_specs(subject: str, wished: QosSpecs, shown: QosSpecs | None, made: bool) -> Steps:
    """Return what makes the QoS specs a pod shows like the wished ones; as ``plan_flavor``."""
    if shown is None:
        return [Create()]
    _require_like(subject, wished, shown, made)
    is_same = shown.consumer == wished.consumer
    steps: list[Step] = [] if is_same else [Change({"consumer": wished.consumer})]
    return [*steps, *_plan_specs(wished.specs, shown.specs)]


def plan_named(subject: str, wished: Thing, shown: Thing | None, made: bool) -> Steps:
    """Return what makes a thing with an id of the pod's own like the wished one."""
    match wished, shown:
        case VolumeType(), VolumeType() | None:
            return plan_volume_type(subject, wished, shown, made)
        case QosSpecs(), QosSpecs() | None:
            return plan_qos_specs(subject, wished, shown, made)
        case GroupType(), GroupType() | None:
            return plan_group_type(subject, wished, shown, made)
    raise TypeError(f"{subject} is of another form")


def plan_default_type(wished: DefaultType, shown: DefaultType | None) -> Steps:
    """Return what makes the default type of a project in a pod the wished one."""
    return [] if shown == wished else [Create()]


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
        case DefaultType(), DefaultType():
            return wished == shown
        case ((VolumeType() | QosSpecs() | GroupType()), (VolumeType() | QosSpecs() | GroupType())):
            return _is_like(wished, shown)
    return False


def _is_like(wished: Named, shown: Named) -> bool:
    """Tell whether what a pod shows is the same thing, as it is to be or as it once was."""
    known = [wished.essence]
    if wished.formerly is not None:
        known.append(wished.formerly.essence)
    return any({name: shown.essence.get(name) for name in one} == one for one in known)


def _require_like(subject: str, wished: Named, shown: Named, made: bool) -> None:
    """Raise Conflict for an operator's own thing of the same name."""
    if not made and not _is_like(wished, shown):
        raise _foreign(subject, shown.essence, wished.essence)


def _plan_values(wished: VolumeType | GroupType, shown: VolumeType | GroupType) -> list[Step]:
    values: dict[str, object] = {}
    if shown.name != wished.name:
        values["name"] = wished.name
    # Cinder cannot set a description to null
    if (shown.description or "") != (wished.description or ""):
        values["description"] = wished.description or ""
    if shown.is_public != wished.is_public:
        values["is_public"] = wished.is_public
    return [Change(values)] if values else []


def _plan_encryption(wished: VolumeType, shown: VolumeType) -> Steps:
    wanted, found = wished.encryption, shown.encryption
    if isinstance(wanted, UnsetType):
        return []
    if wanted is None:
        return [Decrypt()] if found else []
    if not found:
        return [Encrypt(wanted)]
    # the id of what an operator has encrypted stays
    return [] if found.essence == wanted.essence else [Reencrypt(wanted)]


def _plan_association(wished: VolumeType, shown: VolumeType) -> Steps:
    if wished.qos_specs is UNSET or wished.qos_specs == shown.qos_specs:
        return []
    steps: list[Step] = [Disassociate(shown.qos_specs)] if shown.qos_specs else []
    return [*steps, Associate(wished.qos_specs)] if wished.qos_specs else steps


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


def group_type_body(wished: GroupType) -> Document:
    """Return the body that makes a group type with its specs."""
    values = {
        "name": wished.name,
        "description": wished.description or "",
        "is_public": wished.is_public,
        "group_specs": wished.group_specs,
    }
    return {"group_type": values}


def qos_specs_body(wished: QosSpecs) -> Document:
    """Return the body that makes QoS specs."""
    values = {"name": wished.name, **wished.specs}
    if wished.consumer is not None:
        values["consumer"] = wished.consumer
    return {"qos_specs": values}


def encryption_body(encryption: Encryption) -> Document:
    """Return the body that encrypts the volumes of a type in another way."""
    return {"encryption": encryption.essence}


def new_encryption_body(encryption: Encryption) -> Document:
    """Return the body that encrypts the volumes of a type; it may choose the id."""
    return {"encryption": to_builtins(encryption)}
