"""POST /servers/{id}/action: which actions there are, when they may be done, what they change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricircle.testing.cloud.compute import boot
from tricircle.testing.cloud.compute.guards import empty, require, require_state
from tricircle.testing.cloud.compute.migrations import note_migration
from tricircle.testing.cloud.compute.records import (
    PAUSED,
    RUNNING,
    SHUTDOWN,
    SUSPENDED,
    Server,
)
from tricircle.testing.cloud.compute.schemas import METADATA, NAME, rebuild_server
from tricircle.testing.cloud.compute.servers import shown_after_change
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    Request,
    answer_json,
    parse_body,
    refuse,
)
from tricircle.testing.cloud.schemas import Schema, body_message, find_error, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

Doer = Callable[["Compute", Request, Server, Json], Answer]
_ANY_STATE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One action. Empty `states` means any state, also of a locked server.

    `label` is the name Nova uses in its refusal, `since` and `until` bound
    the microversions that know the action.
    """

    rule: str
    label: str
    do: Doer
    states: tuple[str, ...] = _ANY_STATE
    need: str = "write"
    schema: Callable[[int], Schema] | None = None
    since: int = 1
    until: int = 10_000


def act(compute: "Compute", request: Request) -> Answer:
    """Answer POST /servers/{id}/action, checking in Nova's order."""
    name, body = _peek(request)
    action = ACTIONS.get(name)
    if action is None:
        refuse(400, f"There is no such action: {name}")
    minor = request.microversion
    if not action.since <= minor <= action.until:
        refuse(404, "The resource could not be found.")
    if action.schema is not None:
        error = find_error(action.schema(minor), body)
        if error is not None:
            refuse(400, body_message(error))
    server_id = request.parameters["server_id"]
    if name in _BY_MAPPING and server_id not in compute.servers:
        # These three ask for the cell of a server before they ask for the server.
        refuse(404, f"Instance {server_id} has no mapping to a cell.")
    server = compute.get_server(request.caller, server_id)
    require(request.caller, action.need, action.rule)
    if action.states:
        require_state(request.caller, server, action.label, action.states)
    compute.log_action(request, server, name.removeprefix("os-"))
    return action.do(compute, request, server, body[name])


def _peek(request: Request) -> tuple[str, Document]:
    try:
        body: Json = parse_body(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or len(body) != 1:
        refuse(400, "Malformed request body")
    return next(iter(body)), body


def _change(vm_state: str, power_state: int, task_state: str, status: int = 202) -> Doer:
    """Return what carries out an action that only moves a server to another state."""

    def do(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
        _begin(compute, server, task_state, vm_state, power_state)
        return empty(status)

    return do


def _begin(
    compute: "Compute", server: Server, task_state: str, vm_state: str, power_state: int
) -> None:
    def finish() -> None:
        if not server.deleted and server.task_state == task_state:
            server.vm_state, server.power_state = vm_state, power_state
            server.task_state = None
            compute.touch(server)

    server.task_state = task_state
    compute.touch(server)
    compute.later(compute.delays.action_s, finish)


def _reboot(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    hard = given["type"].upper() == "HARD"
    states = ("active", "stopped", "paused", "suspended", "error") if hard else ("active",)
    require_state(request.caller, server, "reboot", states)
    task_state = "rebooting_hard" if hard else "rebooting"
    _begin(compute, server, task_state, "active", RUNNING)
    return empty(202)


def _resize(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    flavor_id = str(given["flavorRef"])
    flavor = compute.flavors.get(flavor_id)
    if flavor is None:
        refuse(400, f"Flavor {flavor_id} could not be found.")
    if flavor is server.flavor:
        refuse(400, "When resizing, instances must change flavor!")
    server.old_flavor, server.old_vm_state = server.flavor, server.vm_state
    server.flavor = flavor
    note_migration(compute, server, "resize", server.old_flavor.number)
    _begin(compute, server, "resize_prep", "resized", server.power_state)
    return empty(202)


def _confirm(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    server.old_flavor = None
    server.vm_state = server.old_vm_state
    compute.touch(server)
    return empty(204)


def _revert(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    server.flavor = server.old_flavor or server.flavor
    server.old_flavor = None
    _begin(compute, server, "resize_reverting", server.old_vm_state, server.power_state)
    return empty(202)


def _rebuild(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    if given["imageRef"] not in compute.images.items:
        refuse(400, "Cannot find image for rebuild")
    key_name = given.get("key_name")
    if key_name is not None and (request.caller.user_id, key_name) not in compute.keypairs:
        refuse(400, "Invalid key_name provided.")
    fields = {
        "imageRef": "image_ref",
        "name": "display_name",
        "description": "display_description",
        "metadata": "metadata",
        "key_name": "key_name",
        "user_data": "user_data",
        "hostname": "hostname",
        "trusted_image_certificates": "trusted_certs",
        "accessIPv4": "access_ip_v4",
        "accessIPv6": "access_ip_v6",
    }
    for name, field in fields.items():
        if name in given:
            setattr(server, field, given[name])
    vm_state = "stopped" if server.vm_state == "stopped" else "active"
    power_state = SHUTDOWN if vm_state == "stopped" else RUNNING
    # Nova answers before the compute host begins: the status is always REBUILD.
    server.task_state = "rebuilding"
    view = shown_after_change(compute, request, server)
    _begin(compute, server, "rebuilding", vm_state, power_state)
    view["adminPass"] = given.get("adminPass") or compute.ids().replace("-", "")[:12]
    if request.microversion >= 57:
        view["user_data"] = server.user_data
    self_link = view["links"][0]["href"]
    return answer_json({"server": view}, 202, {"location": self_link})


def _rescue(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    wanted = given if isinstance(given, dict) else {}
    image_id = wanted.get("rescue_image_ref")
    if image_id is not None and image_id not in compute.images.items:
        refuse(400, f"Image {image_id} could not be found.")
    server.old_vm_state = server.vm_state
    _begin(compute, server, "rescuing", "rescued", RUNNING)
    password = wanted.get("adminPass") or compute.ids().replace("-", "")[:12]
    return answer_json({"adminPass": password})


def _create_image(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    image = compute.images.add(given["name"], server.project_id, "private")
    image |= given.get("metadata") or {}
    if request.microversion >= 45:
        return answer_json({"image_id": image["id"]}, 202)
    root = request.base.rsplit("/", 2)[0]
    # Nova puts a slash behind the address of Glance that may be there already.
    location = ("location", f"{root}/image//images/{image['id']}")
    return Answer(202, b"", [("content-type", "text/html; charset=UTF-8"), location])


def _lock(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    owner = server.project_id == request.caller.project_id and not request.caller.is_admin
    server.locked_by = "owner" if owner else "admin"
    server.locked_reason = given.get("locked_reason") if isinstance(given, dict) else None
    compute.touch(server)
    return empty(202)


def _unlock(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    if server.locked_by == "admin" and not request.caller.is_admin:
        refuse(
            403,
            "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override "
            "to be performed.",
        )
    server.locked_by = server.locked_reason = None
    compute.touch(server)
    return empty(202)


def _unshelve(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    wanted = given if isinstance(given, dict) else {}
    zone = wanted.get("availability_zone")
    if zone is not None and server.vm_state != "shelved_offloaded":
        refuse(409, f"Invalid state for unshelve: server {server.uuid} is {server.vm_state}")
    if zone is not None and zone not in compute.zones:
        refuse(400, "The requested availability zone is not available")
    if server.host is None:
        server.host = compute.first_host()
    _begin(compute, server, "unshelving", "active", RUNNING)
    return empty(202)


def _offload(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    _begin(compute, server, "shelving_offloading", "shelved_offloaded", SHUTDOWN)
    server.host = None
    compute.touch(server)
    return empty(202)


def _shelve(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    # shelved_offload_time is 0 by default: a shelved server leaves its host at once.
    return _offload(compute, request, server, given)


def _reset_state(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    server.vm_state, server.task_state = given["state"], None
    compute.touch(server)
    return empty(202)


def _console_output(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    lines = ["FAKE CONSOLE OUTPUT", "ANOTHER", "LAST LINE"]
    length = given.get("length") if isinstance(given, dict) else None
    if length not in (None, -1, "-1"):
        lines = lines[len(lines) - min(int(str(length)), len(lines)) :]
    return answer_json({"output": "\n".join(lines)})


def _vnc_console(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    url = f"http://{server.host}:6080/vnc_auto.html?path=%3Ftoken%3D{compute.ids()}"
    return answer_json({"console": {"type": given["type"], "url": url}})


def _add_group(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    group_id = _group_id(compute, request, given)
    for port in compute.network.ports.list_device(server.uuid):
        if group_id not in port["security_groups"]:
            port["security_groups"] = [*port["security_groups"], group_id]
    compute.touch(server)
    return empty(202)


def _remove_group(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    group_id = _group_id(compute, request, given)
    ports = compute.network.ports.list_device(server.uuid)
    if not any(group_id in port["security_groups"] for port in ports):
        refuse(
            404, f"Security group {given['name']} not associated with the instance {server.uuid}"
        )
    for port in ports:
        port["security_groups"] = [kept for kept in port["security_groups"] if kept != group_id]
    compute.touch(server)
    return empty(202)


def _group_id(compute: "Compute", request: Request, given: Json) -> str:
    name = given["name"]
    groups = compute.network.groups.items.values()
    if not any(name in (group["id"], group["name"]) for group in groups):
        refuse(404, f"Security group {name} is not found for project {request.caller.project_id}")
    return boot.find_group(compute, request.caller, name)


def _force_delete(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    boot.destroy(compute, request, server)
    return empty(202)


def _evacuate(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    refuse(400, f"Compute service of {server.host} is still in use.")


def _accept(compute: "Compute", request: Request, server: Server, given: Json) -> Answer:
    return empty(202)


def _one(name: str, inner: Document) -> Callable[[int], Schema]:
    schema = object_of({name: inner}, (name,))
    return lambda minor: schema


_REBOOT_TYPES = ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]
_TEXT: Document = {"type": "string"}
_FLAVOR: Document = {"type": ["string", "integer"], "minLength": 1}
_REBOOT = dict(object_of({"type": {"type": "string", "enum": _REBOOT_TYPES}}, ("type",)))
_RESIZE = dict(
    object_of(
        {"flavorRef": _FLAVOR, "OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]}},
        ("flavorRef",),
    )
)
_IMAGE = dict(object_of({"name": NAME, "metadata": METADATA}, ("name",)))
_BACKUP = dict(
    object_of(
        {
            "name": NAME,
            "backup_type": _TEXT,
            "rotation": {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0},
            "metadata": METADATA,
        },
        ("name", "backup_type", "rotation"),
    )
)
_STATE = dict(object_of({"state": {"type": "string", "enum": ["active", "error"]}}, ("state",)))
_GROUP = dict(object_of({"name": NAME}, ("name",)))
_PASSWORD = dict(object_of({"adminPass": _TEXT}, ("adminPass",)))
_VNC = dict(object_of({"type": {"type": "string", "enum": ["novnc", "xvpvnc"]}}, ("type",)))
_LENGTH: Document = {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"}
_CONSOLE = dict(object_of({"length": _LENGTH}))
_ADDRESS = dict(object_of({"networkId": _TEXT, "address": _TEXT, "fixed_address": _TEXT}))
_SNAPSHOT_STATES = ("active", "stopped", "paused", "suspended")

_BY_MAPPING = ("os-start", "os-stop", "trigger_crash_dump")

ACTIONS: dict[str, Action] = {
    "addFixedIp": Action(
        "os-multinic:add", "addFixedIp", _accept, schema=_one("addFixedIp", _ADDRESS), until=43
    ),
    "removeFixedIp": Action(
        "os-multinic:remove",
        "removeFixedIp",
        _accept,
        schema=_one("removeFixedIp", _ADDRESS),
        until=43,
    ),
    "addFloatingIp": Action(
        "os-floating-ips:add",
        "addFloatingIp",
        _accept,
        schema=_one("addFloatingIp", _ADDRESS),
        until=43,
    ),
    "removeFloatingIp": Action(
        "os-floating-ips:remove",
        "removeFloatingIp",
        _accept,
        schema=_one("removeFloatingIp", _ADDRESS),
        until=43,
    ),
    "os-start": Action(
        "servers:start", "start", _change("active", RUNNING, "powering-on"), ("stopped",)
    ),
    "os-stop": Action(
        "servers:stop", "stop", _change("stopped", SHUTDOWN, "powering-off"), ("active", "error")
    ),
    "reboot": Action("servers:reboot", "reboot", _reboot, schema=_one("reboot", _REBOOT)),
    "pause": Action(
        "os-pause-server:pause", "pause", _change("paused", PAUSED, "pausing"), ("active",)
    ),
    "unpause": Action(
        "os-pause-server:unpause", "unpause", _change("active", RUNNING, "unpausing"), ("paused",)
    ),
    "suspend": Action(
        "os-suspend-server:suspend",
        "suspend",
        _change("suspended", SUSPENDED, "suspending"),
        ("active",),
    ),
    "resume": Action(
        "os-suspend-server:resume", "resume", _change("active", RUNNING, "resuming"), ("suspended",)
    ),
    "resize": Action(
        "servers:resize", "resize", _resize, ("active", "stopped"), schema=_one("resize", _RESIZE)
    ),
    "confirmResize": Action("servers:confirm_resize", "confirmResize", _confirm, ("resized",)),
    "revertResize": Action("servers:revert_resize", "revertResize", _revert, ("resized",)),
    "rebuild": Action(
        "servers:rebuild",
        "rebuild",
        _rebuild,
        ("active", "stopped", "error"),
        schema=rebuild_server,
    ),
    "rescue": Action("os-rescue", "rescue", _rescue, ("active", "stopped", "error")),
    "unrescue": Action(
        "os-unrescue", "unrescue", _change("active", RUNNING, "unrescuing"), ("rescued",)
    ),
    "shelve": Action("os-shelve:shelve", "shelve", _shelve, _SNAPSHOT_STATES),
    "shelveOffload": Action(
        "os-shelve:shelve_offload", "shelveOffload", _offload, ("shelved",), need="admin"
    ),
    "unshelve": Action(
        "os-shelve:unshelve", "unshelve", _unshelve, ("shelved", "shelved_offloaded")
    ),
    "lock": Action("os-lock-server:lock", "lock", _lock),
    "unlock": Action("os-lock-server:unlock", "unlock", _unlock),
    "createImage": Action(
        "servers:create_image",
        "createImage",
        _create_image,
        _SNAPSHOT_STATES,
        schema=_one("createImage", _IMAGE),
    ),
    "createBackup": Action(
        "os-create-backup",
        "createBackup",
        _create_image,
        _SNAPSHOT_STATES,
        schema=_one("createBackup", _BACKUP),
    ),
    "changePassword": Action(
        "os-admin-password",
        "changePassword",
        _change("active", RUNNING, "updating_password"),
        ("active",),
        schema=_one("changePassword", _PASSWORD),
    ),
    "os-getConsoleOutput": Action(
        "os-console-output",
        "get_console_output",
        _console_output,
        schema=_one("os-getConsoleOutput", _CONSOLE),
    ),
    "os-getVNCConsole": Action(
        "os-remote-consoles",
        "get_vnc_console",
        _vnc_console,
        schema=_one("os-getVNCConsole", _VNC),
        until=5,
    ),
    "os-resetState": Action(
        "os-admin-actions:reset_state",
        "reset_state",
        _reset_state,
        need="admin",
        schema=_one("os-resetState", _STATE),
    ),
    "addSecurityGroup": Action(
        "os-security-groups:add",
        "add_security_group",
        _add_group,
        schema=_one("addSecurityGroup", _GROUP),
    ),
    "removeSecurityGroup": Action(
        "os-security-groups:remove",
        "remove_security_group",
        _remove_group,
        schema=_one("removeSecurityGroup", _GROUP),
    ),
    "forceDelete": Action("os-deferred-delete:force", "forceDelete", _force_delete),
    "restore": Action(
        "os-deferred-delete:restore",
        "restore",
        _change("active", RUNNING, "restoring"),
        ("soft-delete",),
    ),
    "migrate": Action(
        "os-migrate-server:migrate",
        "migrate",
        _change("resized", RUNNING, "resize_prep"),
        ("active", "stopped"),
        need="admin",
    ),
    "os-migrateLive": Action(
        "os-migrate-server:migrate_live",
        "os-migrateLive",
        _change("active", RUNNING, "migrating"),
        ("active", "paused"),
        need="admin",
    ),
    "evacuate": Action(
        "os-evacuate", "evacuate", _evacuate, ("active", "stopped", "error"), need="admin"
    ),
    "trigger_crash_dump": Action(
        "servers:trigger_crash_dump",
        "trigger_crash_dump",
        _accept,
        ("active", "paused", "rescued", "resized", "error"),
        since=17,
    ),
}
ROUTES = (("POST", "/servers/{server_id}/action", "read", "servers:show", act),)
