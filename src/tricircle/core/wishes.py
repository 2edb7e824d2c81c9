"""What the top wants every pod to have: flavors, key pairs, volume types and what is about them.

A wish says how such a thing is to be, not what to do. One that is not wanted any more
stays as a tombstone until every pod is known not to have the thing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

from tricircle.core.jobs import Replicate
from tricircle.core.model import BottomId, Kind, Service

WishId = NewType("WishId", str)
Document = Mapping[str, object]
"""Parsed JSON; ``core.replicas`` says of what form."""


class Replica(enum.StrEnum):
    """What is kept alike in all pods. The text is kept in the database: never rename one."""

    FLAVOR = "flavor"
    KEYPAIR = "keypair"
    QOS_SPECS = "qos_specs"
    VOLUME_TYPE = "volume_type"
    GROUP_TYPE = "group_type"
    DEFAULT_TYPE = "default_type"


SERVICES: Mapping[Replica, Service] = {
    Replica.FLAVOR: Service.COMPUTE,
    Replica.KEYPAIR: Service.COMPUTE,
    Replica.QOS_SPECS: Service.VOLUME,
    Replica.VOLUME_TYPE: Service.VOLUME,
    Replica.GROUP_TYPE: Service.VOLUME,
    Replica.DEFAULT_TYPE: Service.VOLUME,
}
"""The service that has them."""

WORDS: Mapping[Replica, str] = {
    Replica.FLAVOR: "flavor",
    Replica.KEYPAIR: "key pair",
    Replica.QOS_SPECS: "QoS specs",
    Replica.VOLUME_TYPE: "volume type",
    Replica.GROUP_TYPE: "group type",
    Replica.DEFAULT_TYPE: "default volume type of project",
}
"""What they are called in messages."""

ROUTED: Mapping[Replica, Kind] = {
    Replica.QOS_SPECS: Kind.QOS_SPECS,
    Replica.VOLUME_TYPE: Kind.VOLUME_TYPE,
    Replica.GROUP_TYPE: Kind.GROUP_TYPE,
}
"""What has another id in each pod, kept as routings."""


@dataclass(frozen=True, slots=True)
class WishKey:
    """What tells a wish from others.

    ``owner`` is the user of a key pair, else ''. ``name`` is the id of a flavor, the name of
    a key pair, the project of a default type; of the others it is the id at the top.
    """

    resource: Replica
    owner: str
    name: str

    def __str__(self) -> str:
        of = f" of user {self.owner}" if self.owner else ""
        return f"{WORDS[self.resource]} {self.name}{of}"


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish as it is kept; its ``generation`` rises by one with every change."""

    id: WishId
    resource: Replica
    owner: str
    name: str
    document: Document
    wanted: bool
    generation: int

    @property
    def key(self) -> WishKey:
        """Return what tells it from others."""
        return WishKey(self.resource, self.owner, self.name)


@dataclass(frozen=True, slots=True)
class WishPod:
    """That a pod was made to be as a generation of a wish says, and its own id of the thing.

    The id is None when the pod is known not to have it. It is '' from before the pod is
    first asked to make it, at generation 0: whatever is found there later is ours.
    """

    generation: int
    bottom_id: BottomId | None = None


def key_of(job: Replicate) -> WishKey | None:
    """Return the wish that a job is about; None for a resource this release does not know."""
    if job.resource not in set(Replica):
        return None
    return WishKey(Replica(job.resource), job.owner, job.name)


def is_made(known: WishPod | None) -> bool:
    """Tell whether what a pod has is the top's: made by it, or taken over."""
    return known is not None and known.bottom_id is not None


def is_behind(wish: Wish, known: WishPod | None) -> bool:
    """Tell whether a pod is not known to be as the wish says."""
    return known is None or known.generation < wish.generation
