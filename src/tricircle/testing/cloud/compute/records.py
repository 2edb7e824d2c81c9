"""Servers, flavors and key pairs as Nova's database has them."""

from dataclasses import dataclass, field
from datetime import datetime

from tricircle.testing.cloud.http import Document

# nova.compute.power_state
NO_STATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7

_STATUSES: dict[str, dict[str | None, str]] = {
    "active": {
        None: "ACTIVE",
        "rebooting": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD",
        "rebuilding": "REBUILD",
        "migrating": "MIGRATING",
        "resize_prep": "RESIZE",
        "resize_finish": "RESIZE",
    },
    "building": {None: "BUILD"},
    "stopped": {None: "SHUTOFF", "resize_prep": "RESIZE", "rebuilding": "REBUILD"},
    "resized": {None: "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
    "paused": {None: "PAUSED", "migrating": "MIGRATING"},
    "suspended": {None: "SUSPENDED"},
    "rescued": {None: "RESCUE"},
    "error": {None: "ERROR", "rebuilding": "REBUILD"},
    "deleted": {None: "DELETED"},
    "soft-delete": {None: "SOFT_DELETED"},
    "shelved": {None: "SHELVED"},
    "shelved_offloaded": {None: "SHELVED_OFFLOADED"},
}


def status_of(vm_state: str, task_state: str | None) -> str:
    """Return the API's status of a server's two states."""
    tasks = _STATUSES[vm_state]
    return tasks.get(task_state, tasks[None])


def states_of(statuses: list[str]) -> tuple[set[str], set[str | None]]:
    """Return the vm and task states that some statuses, in any case, stand for."""
    wanted = {status.upper() for status in statuses}
    vm_states: set[str] = set()
    task_states: set[str | None] = set()
    for vm_state, tasks in _STATUSES.items():
        for task_state, status in tasks.items():
            if status in wanted:
                vm_states.add(vm_state)
                task_states.add(task_state)
    return vm_states, task_states


@dataclass(slots=True, eq=False)
class Flavor:
    """A size of servers."""

    number: int
    flavorid: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int = 0
    swap: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    description: str | None = None
    extra_specs: dict[str, str] = field(default_factory=dict)
    projects: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class KeyPair:
    """A user's SSH key."""

    number: int
    user_id: str
    name: str
    kind: str
    public_key: str
    fingerprint: str
    created_at: datetime


@dataclass(slots=True, eq=False)
class Attachment:
    """A volume attached to a server."""

    volume_id: str
    attachment_id: str
    bdm_id: str
    device: str
    tag: str | None = None
    delete_on_termination: bool = False
    boot_index: int | None = None


@dataclass(slots=True, eq=False)
class ServerAction:
    """One entry of a server's action log."""

    request_id: str
    action: str
    user_id: str
    project_id: str
    start_time: datetime
    message: str | None = None


@dataclass(slots=True, eq=False)
class Server:
    """A server. `encoded` holds its view for the last kind of request.

    `portless_address` (network, IP, MAC) is for servers made in bulk, which
    have no ports.
    """

    number: int
    uuid: str
    project_id: str
    user_id: str
    display_name: str
    flavor: Flavor
    image_ref: str
    created_at: datetime
    updated_at: datetime
    host: str | None
    availability_zone: str
    vm_state: str = "building"
    task_state: str | None = "scheduling"
    power_state: int = NO_STATE
    display_description: str | None = None
    hostname: str = ""
    key_name: str | None = None
    user_data: str | None = None
    config_drive: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    deleted: bool = False
    progress: int = 0
    pinned_zone: str | None = None
    scheduler_hints: Document = field(default_factory=dict)
    locked_by: str | None = None
    locked_reason: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    auto_disk_config: bool = False
    root_device_name: str | None = "/dev/vda"
    reservation_id: str = ""
    launch_index: int = 0
    trusted_certs: list[str] | None = None
    fault: Document | None = None
    old_flavor: Flavor | None = None
    old_vm_state: str = "active"
    portless_address: tuple[str, str, str] | None = None
    own_ports: set[str] = field(default_factory=set)
    attachments: list[Attachment] = field(default_factory=list)
    actions: list[ServerAction] = field(default_factory=list)
    encoded: tuple[object, bytes] | None = None

    @property
    def locked(self) -> bool:
        """Whether only its locker or an admin may change it."""
        return self.locked_by is not None

    @property
    def node(self) -> str | None:
        """The hypervisor, here always the host itself."""
        return self.host

    @property
    def status(self) -> str:
        """The API's status."""
        return "DELETED" if self.deleted else status_of(self.vm_state, self.task_state)

    @property
    def instance_name(self) -> str:
        """The hypervisor's name for it."""
        return f"instance-{self.number:08x}"
