"""Key pairs; a key belongs to a user, not to a project."""

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tricircle.testing.cloud.compute.guards import empty, read
from tricircle.testing.cloud.compute.records import KeyPair
from tricircle.testing.cloud.compute.schemas import NAME
from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import Schema, object_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.service import Compute


def _owner(request: Request, rule: str) -> str:
    """Return whose keys a request is about: an admin may name someone else."""
    wanted = request.find("user_id") if request.microversion >= 10 else None
    if wanted in (None, request.caller.user_id):
        return request.caller.user_id
    if not request.caller.is_admin:
        refuse(403, f"Policy doesn't allow os_compute_api:os-keypairs:{rule} to be performed.")
    return str(wanted)


def _view(key: KeyPair, names: tuple[str, ...]) -> Document:
    values: Document = {
        "name": key.name,
        "public_key": key.public_key,
        "fingerprint": key.fingerprint,
        "user_id": key.user_id,
        "created_at": key.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "deleted": False,
        "deleted_at": None,
        "id": key.number,
        "updated_at": None,
        "type": key.kind,
    }
    return {name: values[name] for name in names}


_LISTED = ("name", "public_key", "fingerprint")
_CREATED = (*_LISTED, "user_id")
_SHOWN = (*_CREATED, "created_at", "deleted", "deleted_at", "id", "updated_at")


def _with_type(request: Request, names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names, "type") if request.microversion >= 2 else names


def _index(compute: "Compute", request: Request) -> Answer:
    owner = _owner(request, "index")
    found = [key for (user, _), key in compute.keypairs.items() if user == owner]
    found.sort(key=lambda key: key.name)
    links: Document = {}
    if request.microversion >= 35:
        found, links = _page(compute, request, found)
    names = _with_type(request, _LISTED)
    return answer_json({"keypairs": [{"keypair": _view(key, names)} for key in found]} | links)


def _page(
    compute: "Compute", request: Request, keys: list[KeyPair]
) -> tuple[list[KeyPair], Document]:
    marker = request.find("marker")
    if marker:
        places = [place for place, key in enumerate(keys) if key.name == marker]
        if not places:
            refuse(400, f"Marker {marker} could not be found.")
        keys = keys[places[0] + 1 :]
    limit = min(int(request.find("limit") or compute.max_limit), compute.max_limit)
    keys = keys[:limit]
    if not limit or len(keys) != limit:
        return keys, {}
    params = dict(sorted(request.pairs)) | {"marker": keys[-1].name}
    href = f"{compute.view_key(request).self_prefix}/os-keypairs?{urlencode(params)}"
    return keys, {"keypairs_links": [{"rel": "next", "href": href}]}


def _schema(minor: int) -> Schema:
    pattern = r"^[_\-\@\. a-zA-Z0-9]+$" if minor >= 92 else r"^[_\- a-zA-Z0-9]+$"
    properties: Document = {"name": {**NAME, "pattern": pattern}, "public_key": {"type": "string"}}
    if minor >= 2:
        properties["type"] = {"type": "string", "enum": ["ssh", "x509"]}
    if minor >= 10:
        properties["user_id"] = {"type": "string", "minLength": 1, "maxLength": 255}
    required = ("name", "public_key") if minor >= 92 else ("name",)
    return object_of({"keypair": dict(object_of(properties, required))}, ("keypair",))


def _create(compute: "Compute", request: Request) -> Answer:
    given = read(request, _schema(request.microversion))["keypair"]
    owner = given.get("user_id", request.caller.user_id)
    if owner != request.caller.user_id and not request.caller.is_admin:
        refuse(403, "Policy doesn't allow os_compute_api:os-keypairs:create to be performed.")
    name = given["name"]
    if (owner, name) in compute.keypairs:
        refuse(409, f"Key pair '{name}' already exists.")
    generated = "public_key" not in given
    public = given.get("public_key") or _generate(compute.ids())
    key = KeyPair(
        compute.next_number(),
        owner,
        name,
        given.get("type", "ssh"),
        public,
        _fingerprint(public),
        compute.now(),
    )
    compute.keypairs[(owner, name)] = key
    view = _view(key, _with_type(request, _CREATED))
    if generated:
        view["private_key"] = (
            "-----BEGIN RSA PRIVATE KEY-----\nsimulated\n-----END RSA PRIVATE KEY-----\n"
        )
    return answer_json({"keypair": view}, 201 if request.microversion >= 2 else 200)


def _generate(seed: str) -> str:
    blob = b"\x00\x00\x00\x07ssh-rsa" + hashlib.sha512(seed.encode()).digest()
    return f"ssh-rsa {base64.b64encode(blob).decode()} Generated-by-Nova"


def _fingerprint(public: str) -> str:
    try:
        blob = base64.b64decode(public.split()[1], validate=True)
    except (IndexError, binascii.Error):
        refuse(400, "Keypair data is invalid: failed to generate fingerprint")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, 32, 2))


def _get(compute: "Compute", request: Request, rule: str) -> KeyPair:
    owner, name = _owner(request, rule), request.parameters["name"]
    key = compute.keypairs.get((owner, name))
    if key is None:
        refuse(404, f"Keypair {name} not found for user {owner}")
    return key


def _show(compute: "Compute", request: Request) -> Answer:
    names = _with_type(request, _SHOWN)
    return answer_json({"keypair": _view(_get(compute, request, "show"), names)})


def _delete(compute: "Compute", request: Request) -> Answer:
    key = _get(compute, request, "delete")
    del compute.keypairs[(key.user_id, key.name)]
    return empty(204 if request.microversion >= 2 else 202)


ROUTES = (
    ("GET", "/os-keypairs", "read", "os-keypairs:index", _index),
    ("POST", "/os-keypairs", "read", "os-keypairs:create", _create),
    ("GET", "/os-keypairs/{name}", "read", "os-keypairs:show", _show),
    ("DELETE", "/os-keypairs/{name}", "read", "os-keypairs:delete", _delete),
)
