"""Transfers: a volume offered by one project and taken by another that knows the key."""

from typing import TYPE_CHECKING

from tricircle.testing.cloud.http import Answer, Document, Refused, Request, answer_json, refuse
from tricircle.testing.cloud.schemas import object_of
from tricircle.testing.cloud.sources import micro
from tricircle.testing.cloud.volume import quotas, volumes
from tricircle.testing.cloud.volume.guards import get_volume, is_true, read, require
from tricircle.testing.cloud.volume.lists import is_asked, parse_order, slice_of, sort_items
from tricircle.testing.cloud.volume.records import Transfer, Volume

if TYPE_CHECKING:
    from tricircle.testing.cloud.volume.service import Volume as Cinder

_OLD, _NEW = "/os-volume-transfer", "/volume-transfers"
_SORT_KEYS = ("id", "created_at", "display_name", "volume_id", "no_snapshots")
_PAGES_FROM = 59
_PAGING = ("limit", "marker", "offset", "sort", "sort_key", "sort_dir")


def _links(transfer: Transfer, request: Request) -> list[Document]:
    key = volumes.view_key(request)
    # Cinder calls them by their old name, whatever the request calls them.
    links: list[Document] = volumes.links_of(key.base, key.project, _OLD.strip("/"), transfer.id)
    return links


def _summary(transfer: Transfer, request: Request) -> Document:
    return {
        "id": transfer.id,
        "volume_id": transfer.volume_id,
        "name": transfer.display_name,
        "links": _links(transfer, request),
    }


def _detail(transfer: Transfer, request: Request) -> Document:
    view: Document = {
        "id": transfer.id,
        "created_at": micro(transfer.created_at),
        "name": transfer.display_name,
        "volume_id": transfer.volume_id,
        "links": _links(transfer, request),
    }
    if request.microversion >= 55:
        view["no_snapshots"] = transfer.no_snapshots
    if request.microversion >= 57:
        view["destination_project_id"] = transfer.destination_project_id
        view["source_project_id"] = transfer.source_project_id
        view["accepted"] = transfer.accepted
    return view


def _get(cinder: "Cinder", request: Request) -> tuple[Transfer, Volume]:
    """Return the transfer of a path, which only its giver sees, and its volume."""
    transfer_id = request.parameters["id"]
    transfer = cinder.transfers.get(transfer_id)
    volume = cinder.find_visible(request.caller, transfer.volume_id) if transfer else None
    if transfer is None or volume is None:
        refuse(404, f"Transfer {transfer_id} could not be found.")
    return transfer, volume


def _list(cinder: "Cinder", request: Request) -> tuple[list[Transfer], Document]:
    paged = request.path.endswith((_NEW, f"{_NEW}/detail")) and request.microversion >= _PAGES_FROM
    kept = ("all_tenants", *_PAGING) if paged else ("all_tenants",)
    filters = {key: value for key, value in request.pairs if key not in kept}
    caller = request.caller
    everyone = caller.is_admin and is_true(request.find("all_tenants"))
    found = [
        transfer
        for transfer in cinder.transfers.values()
        if (everyone or cinder.volumes[transfer.volume_id].project_id == caller.project_id)
        and is_asked(transfer, filters)
    ]
    if not paged:
        return sort_items(found, (("created_at", True), ("id", True))), {}
    ordered = sort_items(found, parse_order(request, _SORT_KEYS, named="name"))
    page, links = slice_of(request, ordered, _OLD.strip("/"), "Transfer", cinder.max_limit)
    return page, {"transfers_links": links} if links else {}


def _list_summary(cinder: "Cinder", request: Request) -> Answer:
    page, more = _list(cinder, request)
    return answer_json({"transfers": [_summary(one, request) for one in page]} | more)


def _list_detail(cinder: "Cinder", request: Request) -> Answer:
    page, more = _list(cinder, request)
    return answer_json({"transfers": [_detail(one, request) for one in page]} | more)


def _create(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {
        "volume_id": {"type": "string", "format": "uuid"},
        "name": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    }
    if request.path.endswith(_NEW) and request.microversion >= 55:
        properties["no_snapshots"] = {"type": ["boolean", "string"]}
    inner = dict(object_of(properties, ("volume_id",)))
    given = read(request, object_of({"transfer": inner}, ("transfer",)))["transfer"]
    volume = get_volume(cinder, request.caller, given["volume_id"])
    require(request.caller, "write", "volume:create_transfer")
    if volume.status != "available":
        refuse(400, "Invalid volume: status must be available")
    made = Transfer(
        cinder.ids(),
        volume.id,
        given["name"].strip() if given.get("name") else given.get("name"),
        cinder.ids().replace("-", "")[-16:],
        cinder.clock(),
        is_true(given.get("no_snapshots", False)),
        volume.project_id,
    )
    cinder.transfers[made.id] = made
    volume.status = "awaiting-transfer"
    cinder.touch(volume)
    return answer_json({"transfer": {**_detail(made, request), "auth_key": made.auth_key}}, 202)


def _show(cinder: "Cinder", request: Request) -> Answer:
    return answer_json({"transfer": _detail(_get(cinder, request)[0], request)})


def _delete(cinder: "Cinder", request: Request) -> Answer:
    transfer, volume = _get(cinder, request)
    require(request.caller, "write", "volume:delete_transfer")
    del cinder.transfers[transfer.id]
    volume.status = "available"
    cinder.touch(volume)
    return Answer(202)


def _accept(cinder: "Cinder", request: Request) -> Answer:
    properties: Document = {"auth_key": {"type": ["string", "integer"]}}
    inner = dict(object_of(properties, ("auth_key",)))
    given = read(request, object_of({"accept": inner}, ("accept",)))["accept"]
    caller, transfer_id = request.caller, request.parameters["id"]
    require(caller, "write", "volume:accept_transfer")
    transfer = cinder.transfers.get(transfer_id)
    if transfer is None:
        refuse(404, f"Transfer {transfer_id} could not be found.")
    if str(given["auth_key"]) != transfer.auth_key:
        refuse(
            400,
            f"Invalid auth key: Attempt to transfer {transfer_id} with invalid auth key.",
        )
    volume = cinder.volumes[transfer.volume_id]
    _take(cinder, caller.project_id, transfer, volume)
    _hand_over(cinder, request, transfer, volume)
    return answer_json({"transfer": _summary(transfer, request)}, 202)


def _take(cinder: "Cinder", project_id: str, transfer: Transfer, volume: Volume) -> None:
    """Raise Refused unless a project may have a volume, and its snapshots if they come too."""
    found = [] if transfer.no_snapshots else cinder.snapshots.values()
    sizes = [item.volume_size for item in found if item.volume_id == volume.id]
    kind = volume.volume_type
    own = quotas.typed({"volumes": 1, "gigabytes": volume.size}, kind)
    try:
        quotas.reserve_volume(cinder, project_id, volume.size, kind)
        if sizes:
            weight = quotas.typed({"snapshots": len(sizes), "gigabytes": sum(sizes)}, kind)
            quotas.reserve(cinder, project_id, weight, "snapshots", sum(sizes), held=own)
    except Refused as refused:
        # the controller tells this one by itself, without its name
        raise Refused(
            refused.status, refused.message.removeprefix("VolumeSizeExceedsAvailableQuota: ")
        ) from None


def _hand_over(cinder: "Cinder", request: Request, transfer: Transfer, volume: Volume) -> None:
    caller = request.caller
    volume.project_id, volume.user_id, volume.status = (
        caller.project_id,
        caller.user_id,
        "available",
    )
    for snapshot in cinder.snapshots.values():
        if snapshot.volume_id == volume.id and not transfer.no_snapshots:
            snapshot.project_id, snapshot.user_id = caller.project_id, caller.user_id
    del cinder.transfers[transfer.id]
    cinder.touch(volume)


def _routes(path: str) -> tuple[tuple[str, str, str, str, volumes.Handler], ...]:
    return (
        ("GET", path, "read", "volume:get_all_transfers", _list_summary),
        ("GET", f"{path}/detail", "read", "volume:get_all_transfers", _list_detail),
        ("POST", path, "write", "volume:create_transfer", _create),
        ("GET", f"{path}/{{id}}", "read", "volume:get_transfer", _show),
        ("DELETE", f"{path}/{{id}}", "write", "volume:delete_transfer", _delete),
        ("POST", f"{path}/{{id}}/accept", "write", "volume:accept_transfer", _accept),
    )


ROUTES = (*_routes(_OLD), *_routes(_NEW))
