"""A Glance shared by all pods: enough to name images."""

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    NoSuchMethod,
    NoSuchPath,
    Refused,
    Request,
    Routes,
    answer_json,
    parse_body,
    refuse,
)
from tricircle.testing.cloud.service import Service, World, unauthorized
from tricircle.testing.cloud.sources import zulu


class Images(Service):
    """Glance v2: list, show, create and delete; what is in an image is not kept."""

    def __init__(self, world: World) -> None:
        super().__init__("image", "image", world)
        self._clock = world.clock
        self.items: dict[str, Document] = {}
        self._routes = Routes()
        self._routes.add("GET", "/v2/images", self._index)
        self._routes.add("POST", "/v2/images", self._create)
        self._routes.add("GET", "/v2/images/{id}", self._show)
        self._routes.add("DELETE", "/v2/images/{id}", self._delete)

    def add(self, name: str, owner: str = "", visibility: str = "public") -> Document:
        """Return a new active image."""
        now = zulu(self._clock())
        image_id = self.ids()
        image: Document = {
            "id": image_id,
            "name": name,
            "status": "active",
            "visibility": visibility,
            "protected": False,
            "owner": owner,
            "container_format": "bare",
            "disk_format": "qcow2",
            "size": 1024,
            "virtual_size": None,
            "min_disk": 0,
            "min_ram": 0,
            "checksum": "d41d8cd98f00b204e9800998ecf8427e",
            "os_hash_algo": "sha512",
            "os_hash_value": "cf83e1357eefb8bd" * 8,
            "os_hidden": False,
            "tags": [],
            "created_at": now,
            "updated_at": now,
            "self": f"/v2/images/{image_id}",
            "file": f"/v2/images/{image_id}/file",
            "schema": "/v2/schemas/image",
        }
        self.items[image_id] = image
        return image

    def list_visible(self, caller: Caller) -> list[Document]:
        """Return the images a caller sees, the newest first."""
        visible = [
            image
            for image in self.items.values()
            if caller.is_admin or image["visibility"] == "public"
            or image["owner"] == caller.project_id
        ]  # fmt: skip
        return sorted(visible, key=lambda image: (image["created_at"], image["id"]), reverse=True)

    def may_write(self, caller: Caller, image: Document) -> bool:
        """Return whether a caller may change and delete an image."""
        return caller.is_admin or (caller.may_write and image["owner"] == caller.project_id)

    def properties_of(self, image: Document) -> Document:
        """Return the properties of an image that Glance itself gives no meaning."""
        properties: Document = image.get("properties", {})
        return properties

    def set_properties(self, image: Document, properties: Document) -> None:
        """Give an image these properties and no others."""
        image["properties"] = dict(properties)
        image["updated_at"] = zulu(self._clock())

    def answer(self, request: Request) -> Answer:
        """Return Glance's answer."""
        try:
            answer = self._serve(request)
        except Refused as refused:
            answer = _page(refused.status, refused.message)
        except NoSuchPath:
            answer = _page(404, "The resource could not be found.")
        except NoSuchMethod as error:
            answer = _page(405, "The method specified is not allowed for this resource.")
            answer.headers.append(("allow", str(error)))
        answer.headers.append(("x-openstack-request-id", self.request_id()))
        return answer

    def _serve(self, request: Request) -> Answer:
        if request.path in ("", "/", "/versions"):
            status = 200 if request.path == "/versions" else 300
            return answer_json({"versions": [_version_view(request)]}, status)
        caller = self.authenticate(request)
        if caller is None:
            return unauthorized(request.base.rsplit("/", 1)[0] + "/identity")
        request.caller = caller
        handler, request.parameters = self._routes.get(request.method, request.path)
        return handler(request)

    def _create(self, request: Request) -> Answer:
        caller, given = request.caller, parse_body(request.body)
        if not caller.may_write:
            refuse(403, "You are not authorized to complete add_image action.")
        image = self.add(given["name"], caller.project_id, given.get("visibility", "shared"))
        image |= {"status": "queued", "size": None}
        return answer_json(_shown(image), 201)

    def _index(self, request: Request) -> Answer:
        images = self.list_visible(request.caller)
        for key in ("name", "status", "visibility", "owner", "id"):
            wanted = request.find(key)
            if wanted is not None:
                wanted = wanted.removeprefix("in:")
                images = [image for image in images if image[key] == wanted]
        marker = request.find("marker")
        if marker is not None:
            places = [place for place, image in enumerate(images) if image["id"] == marker]
            images = images[places[0] + 1 :] if places else []
        limit = int(request.find("limit") or 25)
        body: Document = {
            "images": [_shown(image) for image in images[:limit]],
            "first": "/v2/images",
            "schema": "/v2/schemas/images",
        }
        if len(images) > limit:
            body["next"] = f"/v2/images?marker={images[limit - 1]['id']}&limit={limit}"
        return answer_json(body)

    def _get(self, request: Request) -> Document:
        wanted = request.parameters["id"]
        visible = self.list_visible(request.caller)
        found = next((image for image in visible if image["id"] == wanted), None)
        if found is None:
            refuse(404, f"No image found with ID {wanted}")
        return found

    def _show(self, request: Request) -> Answer:
        return answer_json(_shown(self._get(request)))

    def _delete(self, request: Request) -> Answer:
        image = self._get(request)
        if not self.may_write(request.caller, image):
            refuse(403, "You are not authorized to complete delete_image action.")
        del self.items[image["id"]]
        return Answer(204)


def _shown(image: Document) -> Document:
    """Return an image as Glance shows it: its properties are beside its own fields."""
    plain = {key: value for key, value in image.items() if key != "properties"}
    return {**plain, **image.get("properties", {})}


def _version_view(request: Request) -> Document:
    return {
        "id": "v2.16",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{request.base}/v2/"}],
    }


def _page(status: int, message: str) -> Answer:
    titles = {403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
    text = (
        f"<html>\n <head>\n  <title>{status} {titles[status]}</title>\n </head>\n <body>\n"
        f"  <h1>{status} {titles[status]}</h1>\n  {message}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return Answer(status, text.encode(), [("content-type", "text/html; charset=UTF-8")])
