"""QoS specs and the volume types that have them, as cinder/api/contrib/qos_specs_manage.py."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.volume.guards import is_true, read
from tricircle.testing.cloud.volume.lists import page_of_kinds
from tricircle.testing.cloud.volume.records import QosSpecs, VolumeType
from tricircle.testing.cloud.volume.volumes import links_of

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_SORT_KEYS = ("created_at", "id", "updated_at")
_CONSUMERS = ("front-end", "back-end", "both")
_BOOLEANS = ("1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no")
_SPECS: Document = {
    "type": "object",
    "patternProperties": {
        "^[a-zA-Z0-9-_:. /]{1,255}$": {"type": ["string", "null"], "maxLength": 255}
    },
    "additionalProperties": False,
}
_NAMED: Document = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": True,
}
_NO_CONSUMER = (
    "Invalid qos specs: Valid consumer of QoS specs are: QoSConsumerValues(default=<class "
    "'oslo_versionedobjects.fields.UnspecifiedDefault'>,nullable=False,valid_values="
    "('back-end', 'front-end', 'both'))"
)
_KEYS: Document = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 255},
    "uniqueItems": True,
}


def _get(cinder: "Cinder", request: Request) -> QosSpecs:
    wanted = request.parameters["id"]
    found = cinder.qos_specs.get(wanted)
    if found is None:
        refuse(404, f"No such QoS spec {wanted}.")
    return found


def _item(one: QosSpecs) -> Document:
    return {"id": one.id, "name": one.name, "consumer": one.consumer, "specs": one.specs}


def _view(one: QosSpecs, request: Request) -> Document:
    links = links_of(request.base, request.url_project, "qos-specs", one.id)
    return {"qos_specs": _item(one), "links": links}


def _types_with(cinder: "Cinder", one: QosSpecs) -> list[VolumeType]:
    return [kind for kind in cinder.types.values() if kind.qos_specs_id == one.id]


def _index(cinder: "Cinder", request: Request) -> Answer:
    found = list(cinder.qos_specs.values())
    wanted = request.find("id")
    if wanted is not None:
        found = [one for one in found if one.id == wanted]
    # Its table has neither a name nor a consumer: nothing fits such a filter.
    if request.find("name") is not None or request.find("consumer") is not None:
        found = []
    marker = request.find("marker")
    if marker and marker not in cinder.qos_specs:
        refuse(404, f"No such QoS spec {marker}.")
    page, links = page_of_kinds(request, found, "qos-specs", cinder.max_limit, _SORT_KEYS)
    body: Document = {"qos_specs": [_item(one) for one in page]}
    return answer_json(body | ({"qos_specs_links": links} if links else {}))


def _create(cinder: "Cinder", request: Request) -> Answer:
    given = dict(read(request, object_of({"qos_specs": _NAMED}, ("qos_specs",)))["qos_specs"])
    name = given.pop("name").strip()
    if not name or len(name) > 255:
        reason = "empty" if not name else "greater than 255 characters"
        refuse(400, f"An invalid 'name' value was provided. The 'name' can not be {reason}.")
    if any(one.name == name for one in cinder.qos_specs.values()):
        refuse(409, f"QoS Specs {name} already exists.")
    _check_specs(given)
    consumer = given.pop("consumer", None)
    made = QosSpecs(cinder.ids(), name, consumer or "back-end", given, cinder.clock())
    cinder.qos_specs[made.id] = made
    return answer_json(_view(made, request))


def _check_specs(given: Document) -> None:
    consumer = given.get("consumer")
    if consumer and consumer not in _CONSUMERS:
        refuse(400, _NO_CONSUMER)


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json(_view(_get(cinder, request), request))


def _update(cinder: "Cinder", request: Request) -> Answer:
    body = read(request, object_of({"qos_specs": _SPECS}, ("qos_specs",)))
    given, one = dict(body["qos_specs"]), _get(cinder, request)
    _check_specs(given)
    one.consumer = given.pop("consumer", one.consumer)
    one.specs |= {key: value for key, value in given.items() if value is not None}
    one.updated_at = cinder.clock()
    return answer_json(body)


def _delete_keys(cinder: "Cinder", request: Request) -> Answer:
    keys = read(request, object_of({"keys": _KEYS}, ("keys",)))["keys"]
    one = _get(cinder, request)
    for key in keys:
        if key not in one.specs:
            refuse(404, f"QoS spec {one.id} has no spec with key {key}.")
        del one.specs[key]
    return Answer(202)


def _delete(cinder: "Cinder", request: Request) -> Answer:
    one = _get(cinder, request)
    force = request.find("force") or "false"
    if force.lower() not in _BOOLEANS:
        refuse(400, f"Value '{force}' for 'force' is not a boolean.")
    if _types_with(cinder, one) and not is_true(force):
        refuse(400, "Qos specs still in use.")
    _free(cinder, one)
    del cinder.qos_specs[one.id]
    return Answer(202)


def _free(cinder: "Cinder", one: QosSpecs) -> None:
    for kind in _types_with(cinder, one):
        kind.qos_specs_id = None


def _associations(cinder: "Cinder", request: Request) -> Answer:
    rows = [
        {"association_type": "volume_type", "name": kind.name, "id": kind.id}
        for kind in _types_with(cinder, _get(cinder, request))
    ]
    return answer_json({"qos_associations": rows})


def _named_type(cinder: "Cinder", request: Request) -> VolumeType:
    type_id = request.find("vol_type_id")
    if not type_id:
        refuse(400, "Volume Type id must not be None.")
    _get(cinder, request)
    kind = cinder.types.get(type_id)
    if kind is None:
        refuse(404, f"Volume type {type_id} could not be found.")
    return kind


def _associate(cinder: "Cinder", request: Request) -> Answer:
    kind = _named_type(cinder, request)
    one = _get(cinder, request)
    if kind.qos_specs_id not in (None, one.id):
        refuse(
            400,
            f"Invalid volume type: Type {kind.id} is already associated with another qos "
            f"specs: {kind.qos_specs_id}",
        )
    kind.qos_specs_id = one.id
    return Answer(202)


def _disassociate(cinder: "Cinder", request: Request) -> Answer:
    kind = _named_type(cinder, request)
    if kind.qos_specs_id == _get(cinder, request).id:
        kind.qos_specs_id = None
    return Answer(202)


def _disassociate_all(cinder: "Cinder", request: Request) -> Answer:
    _free(cinder, _get(cinder, request))
    return Answer(202)


_RULE, _ONE = "volume_extension:qos_specs_manage", "/qos-specs/{id}"
ROUTES = (
    ("GET", "/qos-specs", "admin", f"{_RULE}:get_all", _index),
    ("POST", "/qos-specs", "admin", f"{_RULE}:create", _create),
    ("GET", _ONE, "admin", f"{_RULE}:get", _show),
    ("PUT", _ONE, "admin", f"{_RULE}:update", _update),
    ("DELETE", _ONE, "admin", f"{_RULE}:delete", _delete),
    ("PUT", f"{_ONE}/delete_keys", "admin", f"{_RULE}:delete", _delete_keys),
    ("GET", f"{_ONE}/associations", "admin", f"{_RULE}:get_all", _associations),
    ("GET", f"{_ONE}/associate", "admin", f"{_RULE}:update", _associate),
    ("GET", f"{_ONE}/disassociate", "admin", f"{_RULE}:update", _disassociate),
    ("GET", f"{_ONE}/disassociate_all", "admin", f"{_RULE}:update", _disassociate_all),
)
