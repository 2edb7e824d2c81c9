"""What the computes and storage pools of a pod hold, summed from what its services say.

Capacity is what can be sold, as the pod's own schedulers count it: without what is
reserved, times what is oversold. docs/explanation/nodes.md says why for each number.
The answers of a pod are not trusted: what has the wrong type is refused, and every
number ends between nothing and what the database holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import Struct

from tricircle.core.model import Node, Pod

LARGEST = 2**63 - 1
"""The largest number that a column of the database holds."""

Number = int | float | None
T = TypeVar("T")

# Cinder's INITIAL_AUTO_MOSR.
_FIRST_AUTO_RATIO = 20.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much there is in all, and how much of it is used; that may be more."""

    total: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What one compute holds, or several."""

    vcpus: Quantity = Quantity()
    memory_mib: Quantity = Quantity()
    disk_gib: Quantity = Quantity()


class Hypervisor(Struct, frozen=True, kw_only=True):
    """A compute as Nova shows it from 2.53 to 2.87: raw numbers, ``id`` also Placement's."""

    id: str
    state: str = ""
    status: str = ""
    hypervisor_type: str | None = None
    vcpus: Number = None
    vcpus_used: Number = None
    memory_mb: Number = None
    memory_mb_used: Number = None
    local_gb: Number = None
    local_gb_used: Number = None
    running_vms: Number = None

    @property
    def takes_servers(self) -> bool:
        """Whether its service is up and enabled."""
        return self.state == "up" and self.status == "enabled"

    @property
    def is_bare_metal(self) -> bool:
        """Whether it is a machine that is sold whole, of which vCPUs and RAM say nothing."""
        return self.hypervisor_type == "ironic"

    @property
    def raw_room(self) -> Room:
        """What the machine has: nothing reserved, nothing oversold."""
        return Room(
            Quantity(_whole(self.vcpus), _whole(self.vcpus_used)),
            Quantity(_whole(self.memory_mb), _whole(self.memory_mb_used)),
            Quantity(_whole(self.local_gb), _whole(self.local_gb_used)),
        )


class Pool(Struct, frozen=True, kw_only=True):
    """What Cinder's scheduler knows of a storage pool. All sizes are GiB.

    Drivers say ``infinite`` and ``unknown`` for a size, and ``auto`` or a number in
    text for the ratio.
    """

    total_capacity_gb: Number | str = None
    free_capacity_gb: Number | str = None
    allocated_capacity_gb: Number | str = None
    provisioned_capacity_gb: Number | str = None
    reserved_percentage: Number | str = None
    max_over_subscription_ratio: Number | str = None
    thin_provisioning_support: bool | int | str | None = None


class _Page(Struct):
    hypervisors: list[Hypervisor]


class _Amount(Struct):
    capacity: Number = None
    used: Number = None


class _Summary(Struct):
    resources: dict[str, _Amount] = {}
    root_provider_uuid: str | None = None


class _Candidates(Struct):
    provider_summaries: dict[str, _Summary]


class _Inventory(Struct):
    total: Number = None
    reserved: Number = None
    allocation_ratio: Number = 1.0


class _Inventories(Struct):
    inventories: dict[str, _Inventory]


class _Usages(Struct):
    usages: dict[str, Number]


class _ListedPool(Struct):
    # null while the scheduler has not heard from the pool
    capabilities: Pool | None = None


class _Pools(Struct):
    pools: list[_ListedPool]


def read_hypervisors(body: bytes) -> Sequence[Hypervisor]:
    """Return a page of Nova's ``/os-hypervisors/detail``. Raises ValueError."""
    return _decode(body, _Page).hypervisors


def read_candidates(body: bytes) -> Mapping[str, Room]:
    """Return the rooms in an answer of Placement's ``/allocation_candidates``.

    By the id of the root provider, which is the compute's. Raises ValueError.
    """
    amounts: dict[str, dict[str, list[Quantity]]] = {}
    for provider_id, summary in _decode(body, _Candidates).provider_summaries.items():
        of_compute = amounts.setdefault(summary.root_provider_uuid or provider_id, {})
        for name, amount in summary.resources.items():
            quantity = Quantity(_whole(amount.capacity), _whole(amount.used))
            of_compute.setdefault(name, []).append(quantity)
    return {compute_id: _make_room(of_compute) for compute_id, of_compute in amounts.items()}


def read_provider(inventories: bytes, usages: bytes) -> Room:
    """Return the room of one resource provider of Placement. Raises ValueError."""
    used = _decode(usages, _Usages).usages
    return _make_room(
        {
            name: [Quantity(_sellable(inventory), _whole(used.get(name)))]
            for name, inventory in _decode(inventories, _Inventories).inventories.items()
        }
    )


def read_pools(body: bytes) -> Sequence[Pool]:
    """Return the pools in Cinder's ``/scheduler-stats/get_pools?detail=true``.

    Raises ValueError.
    """
    listed = _decode(body, _Pools).pools
    return [each.capabilities for each in listed if each.capabilities is not None]


def measure_pools(pools: Iterable[Pool]) -> Quantity:
    """Return what pools hold together, in GiB."""
    return _add(_measure_pool(pool) for pool in pools)


def make_node(
    pod: Pod, hypervisors: Sequence[Hypervisor], rooms: Mapping[str, Room], volumes: Quantity
) -> Node:
    """Return a pod as a node; ``rooms`` are of its computes, by their id.

    A compute that takes no servers has no more than is used on it.
    """
    counted = [each for each in hypervisors if not each.is_bare_metal]
    held = [
        room if each.takes_servers else _closed(room)
        for each in counted
        if (room := rooms.get(each.id)) is not None
    ]
    vcpus = _add(room.vcpus for room in held)
    memory = _add(room.memory_mib for room in held)
    disk = _add(room.disk_gib for room in held)
    return Node(
        pod.id,
        pod.name,
        vcpus=vcpus.total,
        vcpus_used=vcpus.used,
        memory_mib=memory.total,
        memory_mib_used=memory.used,
        disk_gib=disk.total,
        disk_gib_used=disk.used,
        volume_gib=volumes.total,
        volume_gib_used=volumes.used,
        running_vms=_whole(sum(_whole(each.running_vms) for each in counted)),
    )


def _closed(room: Room) -> Room:
    return Room(
        Quantity(room.vcpus.used, room.vcpus.used),
        Quantity(room.memory_mib.used, room.memory_mib.used),
        Quantity(room.disk_gib.used, room.disk_gib.used),
    )


def _make_room(by_class: Mapping[str, Sequence[Quantity]]) -> Room:
    """Return the room for quantities by resource class; a pinned CPU is a vCPU too."""
    return Room(
        _add([*by_class.get("VCPU", ()), *by_class.get("PCPU", ())]),
        _add(by_class.get("MEMORY_MB", ())),
        _add(by_class.get("DISK_GB", ())),
    )


def _add(quantities: Iterable[Quantity]) -> Quantity:
    listed = list(quantities)
    return Quantity(
        _whole(sum(each.total for each in listed)), _whole(sum(each.used for each in listed))
    )


def _sellable(inventory: _Inventory) -> int:
    """Return the capacity as Placement itself counts it."""
    ratio = 1.0 if inventory.allocation_ratio is None else inventory.allocation_ratio
    return _whole((_whole(inventory.total) - _whole(inventory.reserved)) * _bounded(ratio))


def _measure_pool(pool: Pool) -> Quantity:
    """Return the sizes as Cinder's capacity filter and weigher count them.

    See its calculate_virtual_free_capacity (utils.py in 2025.1, later sched_utils.py).
    A pool whose size nobody knows offers nothing: Cinder's weigher, too, puts it
    behind all others.
    """
    allocated = _whole(_find_number(pool.allocated_capacity_gb))
    total, free = _find_number(pool.total_capacity_gb), _find_number(pool.free_capacity_gb)
    if total is None or free is None:
        return Quantity(allocated, allocated)
    size = _whole(total)
    percentage = _bounded(_find_number(pool.reserved_percentage) or 0)
    open_to_all = size - math.floor(size * percentage / 100)
    if not _is_true(pool.thin_provisioning_support):
        return Quantity(_whole(open_to_all), max(size - _whole(free), 0))
    # Includes what is allocated, so a driver that says less does not count at all.
    used = max(_whole(_find_number(pool.provisioned_capacity_gb)), allocated)
    ratio = _find_ratio(pool, used, max(size - _whole(free), 0))
    return Quantity(_whole(open_to_all * ratio), used)


def _find_ratio(pool: Pool, provisioned: int, written: int) -> float:
    """Return how often the pool may be sold, once when it does not say."""
    if pool.max_over_subscription_ratio == "auto":
        return 1 + provisioned / (written + 1) if provisioned else _FIRST_AUTO_RATIO
    ratio = _find_number(pool.max_over_subscription_ratio)
    return 1.0 if ratio is None else _bounded(ratio)


def _find_number(value: Number | str) -> float | int | None:
    """Return a number, also one in text; None for "infinite", "unknown" and no number."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_true(value: bool | int | str | None) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _bounded(number: float) -> float:
    return float(min(max(number, 0), LARGEST))


def _whole(number: Number) -> int:
    """Return a number as the database can hold it: whole, not negative, not too large."""
    return 0 if number is None else int(min(max(number, 0), LARGEST))


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
