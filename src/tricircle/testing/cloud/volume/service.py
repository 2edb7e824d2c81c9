"""One Cinder: its records, what Nova needs of it, and the way to a handler."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    NoSuchMethod,
    NoSuchPath,
    Refused,
    Request,
    Routes,
    answer_json,
    page_not_found,
    refuse,
)
from tricircle.testing.cloud.service import Service, World, unauthorized
from tricircle.testing.cloud.volume import (
    attachments,
    backups,
    default_types,
    foreign,
    group_snapshots,
    group_types,
    groups,
    information,
    messages,
    qos_specs,
    quotas,
    records,
    services,
    snapshots,
    transfers,
    type_encryption,
    types,
    volumes,
)
from tricircle.testing.cloud.volume.guards import require

if TYPE_CHECKING:
    from tricircle.testing.cloud.compute.records import Server
    from tricircle.testing.cloud.image import Images

_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "computeFault",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_NO_VERSION = -1
_MESSAGE_LIFE = timedelta(days=30)
CallHandler = Callable[["Volume", Request], Answer]


class Volume(Service):
    """Cinder: volumes, snapshots, types, attachments."""

    def __init__(self, world: World, zone: str, host: str, max_minor: int) -> None:
        super().__init__("volume", "volumev3", world)
        self._clock = world.clock
        self.zone = zone
        self.host = f"{host}@lvm#lvm"
        self.max_minor = max_minor
        self.max_limit = 1000
        self.quotas = dict(quotas.CONFIGURED)
        self.quota_book = quotas.QuotaBook()
        self.service_id = self.ids()
        # Cinder 26 shows an attachment to whoever knows its id.
        self.shows_attachments = False
        # What the drivers report of each pool, instead of what the simulation knows.
        self.pools: dict[str, Document] = {self.host: {}}
        self.images: Images | None = None
        self.volumes: dict[str, records.Volume] = {}
        self.snapshots: dict[str, records.Snapshot] = {}
        self.types: dict[str, records.VolumeType] = {}
        self.attachments: dict[str, records.VolumeAttachment] = {}
        self.backups: dict[str, records.Backup] = {}
        self.transfers: dict[str, records.Transfer] = {}
        self.messages: dict[str, records.Message] = {}
        self.group_types: dict[str, records.GroupType] = {}
        self.groups: dict[str, groups.Group] = {}
        self.group_snapshots: dict[str, group_snapshots.GroupSnapshot] = {}
        self.services = [
            services.CinderService(number, binary, name)
            for number, (binary, name) in enumerate(
                (
                    (services.BACKUP, host),
                    (services.SCHEDULER, host),
                    (services.VOLUME, f"{host}@lvm"),
                ),
                start=1,
            )
        ]
        self.clusters: list[services.Cluster] = []
        # What the API itself logs.
        self.levels = {"cinder.volume.api": "INFO"}
        # What is in the backend and not in Cinder: names with sizes, and snapshots' volumes.
        self.unmanaged_volumes: dict[str, int] = {}
        self.unmanaged_snapshots: dict[str, tuple[str, int]] = {}
        # What a service was busy with when it died: the number of the service.
        self.interrupted: dict[str, int] = {}
        self.qos_specs: dict[str, records.QosSpecs] = {}
        # The volume types of projects' volumes that name none.
        self.default_types: dict[str, records.VolumeType] = {}
        self.index = volumes.VolumeIndex(self)
        self.default_type = self.add_type("__DEFAULT__", "Default Volume Type")
        # What Cinder's migrations make, for consistency groups only.
        self.consistent_type = self.add_group_type("default_cgsnapshot_type")
        self.consistent_type.description = "Default group type for migrating cgsnapshot"
        self.consistent_type.group_specs = {"consistent_group_snapshot_enabled": "<is> True"}

    def clock(self) -> datetime:
        """Return the time as Cinder's database keeps it: in whole seconds."""
        return self._clock().replace(microsecond=0)

    # For tests.

    def add_type(self, name: str, description: str | None = None) -> records.VolumeType:
        """Return a new public volume type."""
        made = records.VolumeType(self.ids(), name, description, created_at=self.clock())
        self.types[made.id] = made
        return made

    def add_group_type(self, name: str) -> records.GroupType:
        """Return a new public group type."""
        made = records.GroupType(self.ids(), name, created_at=self.clock())
        self.group_types[made.id] = made
        return made

    def add_volumes(
        self,
        count: int,
        project_id: str,
        name: str = "volume-{n}",
        user_id: str = "someone",
        spread_s: float = 1.0,
        **more: Json,
    ) -> list[records.Volume]:
        """Return new available volumes of 1 GiB, the first one the oldest."""
        now = self.clock()
        made = []
        for n in range(count):
            born = now - timedelta(seconds=int(spread_s * (count - 1 - n)))
            volume = records.Volume(
                self.ids(), project_id, user_id, 1, born, born, self.zone, self.default_type,
                self.host, name.format(n=n),
            )  # fmt: skip
            for field_name, value in more.items():
                setattr(volume, field_name, value)
            self.volumes[volume.id] = volume
            made.append(volume)
        self.index.forget()
        return made

    def tell_of_no_backend(self, volume: records.Volume, request_id: str) -> None:
        """Tell the owner of a volume that the scheduler found no place for it."""
        now = self.clock()
        made = records.Message(
            self.ids(),
            volume.project_id,
            "VOLUME_VOLUME_001_003",
            "schedule allocate volume:Could not find any available weighted backend.",
            now,
            now + _MESSAGE_LIFE,
            request_id,
            "VOLUME",
            volume.id,
        )
        self.messages[made.id] = made

    def get_image(self, image_id: str) -> Document:
        """Return an image of Glance; raises Refused when there is no such image."""
        image = self.images.items.get(image_id) if self.images else None
        if image is None:
            refuse(400, "Invalid image identifier or unable to access requested image.")
        return image

    def copy_image(self, volume: records.Volume, image_id: str) -> None:
        """Put an image on a volume; raises Refused when there is no such image."""
        image = self.get_image(image_id)
        volume.bootable = True
        volume.image_metadata = {
            "image_id": image_id,
            "image_name": image["name"],
            "disk_format": image["disk_format"],
            "container_format": image["container_format"],
            "min_disk": str(image["min_disk"]),
            "min_ram": str(image["min_ram"]),
            "size": str(image["size"]),
            "checksum": image["checksum"],
        }

    # For Nova.

    def find_visible(self, caller: Caller, volume_id: str) -> records.Volume | None:
        """Return a volume the caller sees."""
        volume = self.volumes.get(volume_id)
        if volume is None or not (caller.is_admin or volume.project_id == caller.project_id):
            return None
        return volume

    def find_snapshot(self, caller: Caller, snapshot_id: str) -> records.Snapshot | None:
        """Return a snapshot the caller sees."""
        found = self.snapshots.get(snapshot_id)
        if found is None or not (caller.is_admin or found.project_id == caller.project_id):
            return None
        return found

    def get_group_snapshot(self, caller: Caller, snapshot_id: str) -> group_snapshots.GroupSnapshot:
        """Return a snapshot of a group the caller sees; raises Refused."""
        return group_snapshots.get_snapshot(self, caller, snapshot_id)

    def make_for_server(self, caller: Caller, server: "Server", device: Document, name: str) -> str:
        """Return the id of a new volume a server boots from."""
        size = int(device.get("volume_size") or server.flavor.root_gb or 1)
        now = self.clock()
        volume = records.Volume(
            self.ids(), caller.project_id, caller.user_id, size, now, now, self.zone,
            self.default_type, self.host, "",
        )  # fmt: skip
        volume.bootable = device["source"] in ("image", "snapshot")
        if device["source"] == "snapshot":
            volume.snapshot_id = device["source_id"]
        self.volumes[volume.id] = volume
        self.index.forget()
        return volume.id

    def attach_to_server(
        self, volume_id: str, server_id: str, device: str, host: str | None
    ) -> str:
        """Attach a volume and return the attachment's id."""
        volume = self.volumes[volume_id]
        made = records.VolumeAttachment(
            self.ids(), volume_id, server_id, "attached", device, host, "rw", self.clock()
        )
        made.created_at, made.is_in_server = self.clock(), True
        made.connector = attachments.connection_of(made)
        self.attachments[made.id] = made
        volume.attachments.append(made)
        volume.status = "in-use"
        self.touch(volume)
        return made.id

    def detach_from_server(self, volume_id: str, attachment_id: str, delete: bool) -> None:
        """Undo `attach_to_server`; a server's own volume goes with it."""
        volume = self.volumes.get(volume_id)
        self.attachments.pop(attachment_id, None)
        if volume is None:
            return
        volume.attachments = [item for item in volume.attachments if item.id != attachment_id]
        volume.status = "in-use" if volume.attachments else "available"
        if delete and not volume.attachments:
            del self.volumes[volume_id]
        self.touch(volume)

    def is_from_service(self, request: Request) -> bool:
        """Tell whether a service vouches for a request with a token of its own."""
        token = request.headers.get("x-service-token")
        service = self.tokens.find_caller(token) if token else None
        return service is not None and service.is_service

    def touch(self, volume: records.Volume) -> None:
        """Note that a volume changed."""
        volume.updated_at = self.clock()
        volume.encoded = None
        self.index.forget()

    # HTTP.

    def answer(self, request: Request) -> Answer:
        """Return Cinder's answer."""
        request.microversion = _NO_VERSION
        version = ""
        try:
            answer = self._serve(request)
        except Refused as refused:
            answer = _error(refused.status, refused.message)
            version = refused.microversion
            answer.headers.append(("x-compute-request-id", self.request_id()))
        except (NoSuchPath, NoSuchMethod):
            answer = page_not_found(request)
        if not version and request.microversion != _NO_VERSION:
            version = f"3.{request.microversion}"
        if version:
            answer.headers += [
                ("openstack-api-version", f"volume {version}"),
                ("vary", "OpenStack-API-Version"),
            ]
        answer.headers.append(("x-openstack-request-id", self.request_id()))
        return answer

    def _serve(self, request: Request) -> Answer:
        if request.path in ("", "/"):
            request.microversion = requested_minor(request, self.max_minor)
            return self._with_id(answer_json({"versions": [self._version_view(request)]}, 300))
        caller = self.authenticate(request)
        if caller is None:
            return unauthorized(request.base.rsplit("/", 2)[0] + "/identity")
        request.caller = caller
        if request.path in ("/v3", "/v3/"):
            request.microversion = requested_minor(request, self.max_minor)
            return self._with_id(answer_json({"versions": [self._version_view(request)]}))
        handler = self._find(request)
        request.microversion = requested_minor(request, self.max_minor)
        self._check_project(request)
        if request.method in ("POST", "PUT") and not request.body:
            refuse(
                500,
                "The server has either erred or is incapable of performing the requested "
                "operation.",
            )
        answer = handler(request)
        if answer.body or answer.find_header("content-type") == "application/json":
            return self._with_id(answer)
        # What a handler answers by itself, without Cinder's serializer.
        answer.headers.append(("content-type", "text/html; charset=UTF-8"))
        return answer

    def _with_id(self, answer: Answer) -> Answer:
        answer.headers.append(("x-compute-request-id", self.request_id()))
        return answer

    def _find(self, request: Request) -> Callable[[Request], Answer]:
        path = request.path.removeprefix("/v3")
        if path == request.path:
            raise NoSuchPath(path)
        first, _, rest = path.strip("/").partition("/")
        if re.fullmatch(r"[0-9a-f-]+", first):
            request.url_project = f"/{first}"
            path = rest
        handler, request.parameters = self._routes.get(request.method, path)
        return handler

    def _check_project(self, request: Request) -> None:
        given = request.url_project.strip("/")
        if given and given != request.caller.project_id:
            refuse(400, "Malformed request url")

    def _version_view(self, request: Request) -> Document:
        return {
            "id": "v3.0",
            "status": "CURRENT",
            "version": f"3.{self.max_minor}",
            "min_version": "3.0",
            "updated": "2023-08-31T00:00:00Z",
            "links": [
                {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
                {"rel": "self", "href": f"{request.base}/v3/"},
            ],
            "media-types": [
                {
                    "base": "application/json",
                    "type": "application/vnd.openstack.volume+json;version=3",
                }
            ],
        }

    @cached_property
    def _routes(self) -> Routes:
        routes = Routes()
        for method, path, need, rule, handler in (
            *volumes.ROUTES,
            *snapshots.ROUTES,
            *types.ROUTES,
            *type_encryption.ROUTES,
            *qos_specs.ROUTES,
            *group_types.ROUTES,
            *default_types.ROUTES,
            *attachments.ROUTES,
            *backups.ROUTES,
            *transfers.ROUTES,
            *messages.ROUTES,
            *groups.ROUTES,
            *group_snapshots.ROUTES,
            *services.ROUTES,
            *foreign.ROUTES,
            *information.ROUTES,
            *quotas.ROUTES,
        ):
            routes.add(method, path, self._guarded(need, rule, handler))
        return routes

    def _guarded(self, need: str, rule: str, handler: CallHandler) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            if need in ("read", "admin"):
                require(request.caller, need, rule)
            return handler(self, request)

        return handle


def requested_minor(request: Request, maximum: int) -> int:
    """Return N of the 3.N a request is served with; raises Refused."""
    header = request.headers.get("openstack-api-version")
    if header is None:
        return 0
    wanted = next((part.split() for part in header.split(",") if "volume" in part), None)
    if wanted is None or len(wanted) != 2:
        # What no service asked for: the handler of that version is not found.
        refuse(404, "The resource could not be found.")
    version = wanted[1]
    if version == "latest":
        return maximum
    match = re.fullmatch(r"([1-9]\d*)\.([1-9]\d*|0)", version)
    if match is None:
        refuse(
            400,
            f"API Version String {version} is of invalid format. Must be of format "
            "MajorNum.MinorNum.",
        )
    if match[1] != "3" or int(match[2]) > maximum:
        raise Refused(
            406,
            f"Version {version} is not supported by the API. Minimum is 3.0 and maximum "
            f"is 3.{maximum}.",
            microversion=version,
        )
    return int(match[2])


def _error(status: int, message: str) -> Answer:
    name = _FAULTS.get(status, "computeFault")
    fault: Document = {"code": status, "message": message}
    if status != 413:
        return answer_json({name: fault}, status)
    return answer_json({name: {**fault, "retryAfter": "0"}}, status, {"retry-after": "0"})
