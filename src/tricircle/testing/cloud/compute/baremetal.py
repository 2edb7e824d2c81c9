"""Nodes of Ironic in a pod that has none (up to 2.35): every request ends in an error."""

from typing import TYPE_CHECKING, NoReturn

from tricircle.testing.cloud.compute.guards import body_of, require
from tricircle.testing.cloud.compute.proxying import check_version, unexpected
from tricircle.testing.cloud.http import Answer, Request, refuse

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute

_COMMANDS = {"add_interface": "port-create", "remove_interface": "port-delete"}


def _list(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "admin", "os-baremetal-nodes:list")
    unexpected(compute.max_minor, "keystoneauth1.exceptions.auth_plugins.MissingAuthPlugin")


def _show(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    require(request.caller, "admin", "os-baremetal-nodes:show")
    unexpected(compute.max_minor, "keystoneauth1.exceptions.auth_plugins.MissingAuthPlugin")


def _create(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    _refuse("node-create")


def _delete(compute: "Compute", request: Request) -> Answer:
    check_version(request)
    _refuse("node-delete")


def _act(compute: "Compute", request: Request) -> Answer:
    name = next(iter(body_of(request)), "")
    if name not in _COMMANDS:
        refuse(400, f"There is no such action: {name}")
    check_version(request)
    _refuse(_COMMANDS[name])


def _refuse(command: str) -> NoReturn:
    refuse(
        400,
        f"Command not supported. Please use Ironic command {command} to perform this action.",
    )


ROUTES = (
    ("GET", "/os-baremetal-nodes", "any", "", _list),
    ("POST", "/os-baremetal-nodes", "any", "", _create),
    ("GET", "/os-baremetal-nodes/{id}", "any", "", _show),
    ("DELETE", "/os-baremetal-nodes/{id}", "any", "", _delete),
    ("POST", "/os-baremetal-nodes/{id}/action", "any", "", _act),
)
