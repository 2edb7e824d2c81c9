"""What all kinds of Neutron resources do alike: who sees them, lists, pages, bodies."""

from collections.abc import Callable, Iterable
from functools import cmp_to_key
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import (
    Answer,
    Document,
    Json,
    Refused,
    Request,
    answer_json,
    parse_body,
    refuse,
)
from tricircle.testing.cloud.network.attributes import (
    Attribute,
    check_boolean,
    check_changes,
    fill_in,
)
from tricircle.testing.cloud.sources import zulu

if TYPE_CHECKING:
    from tricircle.testing.cloud.network.service import Network

_NOT_FILTERS = ("fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse")
_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
GONE = "The resource could not be found."


class Resource:
    """One kind of resource: its items and the five things an API does with them."""

    collection = ""
    single = ""
    attributes: dict[str, Attribute] = {}
    admin_only = False

    def __init__(self, network: "Network") -> None:
        self.network = network
        self.items: dict[str, Document] = {}

    # What a kind decides for itself.

    def create(self, caller: Caller, values: Document) -> Document:
        """Return the attributes a new item has beyond the given ones."""
        return {}

    def update(self, caller: Caller, item: Document, changes: Document) -> None:
        """Carry out a change; the changes are put into the item afterwards."""

    def delete(self, caller: Caller, item: Document) -> None:
        """Refuse a deletion, or remove what goes with the item."""

    def is_shared_with(self, caller: Caller, item: Document) -> bool:
        """Return whether someone else's item may be seen."""
        return False

    def may_change(self, caller: Caller, item: Document) -> bool:
        """Return whether an item may be updated and deleted."""
        return caller.is_admin or (caller.may_write and item["project_id"] == caller.project_id)

    def refuse_absent(self, item_id: str) -> Refused:
        """Return the error for an item that is not there."""
        label = self.single.capitalize()
        return Refused(404, f"{label} {item_id} could not be found.", f"{label}NotFound")

    def derived(self, item: Document) -> Document:
        """Return attributes that are worked out when an item is read."""
        return {}

    # What all kinds do alike.

    def may_see(self, caller: Caller, item: Document) -> bool:
        """Return whether a caller sees an item at all."""
        if caller.is_admin or caller.is_service:
            return True
        if not caller.may_read:
            return False
        return item["project_id"] == caller.project_id or self.is_shared_with(caller, item)

    def get(self, caller: Caller, item_id: str) -> Document:
        """Return an item the caller sees; raises Refused as for an absent one."""
        item = self.items.get(item_id)
        if item is None or not self.may_see(caller, item):
            raise self.refuse_absent(item_id)
        return item

    def view(self, caller: Caller, item: Document, fields: Iterable[str] = ()) -> Document:
        """Return what a caller may see of an item."""
        whole = {**item, **self.derived(item)}
        if "project_id" in whole:
            whole["tenant_id"] = whole["project_id"]
        wanted = set(fields)
        return {
            name: value
            for name, value in whole.items()
            if (not wanted or name in wanted)
            and (name not in self.attributes or _allowed(self.attributes[name].read, caller))
        }

    def add(self, caller: Caller, given: Document) -> Document:
        """Create an item from what a client gave, and return it."""
        given = self._with_project(caller, given)
        values = fill_in(self.attributes, given)
        values["project_id"] = values.get("project_id") or caller.project_id
        values.pop("tenant_id", None)
        self._require_create(caller, given, values["project_id"])
        now = zulu(self.network.clock())
        item: Document = {"id": self.network.ids(), **values}
        if "created_at" in self.attributes:
            item |= {"created_at": now, "updated_at": now, "revision_number": 1}
        if "tags" in self.attributes:
            item["tags"] = []
        item |= self.create(caller, item)
        self.items[item["id"]] = item
        return item

    def _with_project(self, caller: Caller, given: Document) -> Document:
        given = dict(given)
        for name in ("project_id", "tenant_id"):
            if given.get(name) not in (None, caller.project_id) and not (
                caller.is_admin or caller.is_service
            ):
                refuse(
                    400,
                    f"Specifying '{name}' other than the authenticated project in request is not "
                    "allowed for the current user.",
                    "HTTPBadRequest",
                )
        if "tenant_id" in given:
            given.setdefault("project_id", given.pop("tenant_id"))
        return given

    def _require_create(self, caller: Caller, given: Document, project_id: str) -> None:
        rules = [f"create_{self.single}"]
        refused = not (caller.may_write or caller.is_service) or (
            self.admin_only and not caller.is_admin
        )
        if project_id != caller.project_id and not self.may_create_for(caller):
            refused = True
        for name in given:
            if not _allowed(self.attributes[name].write, caller):
                rules.append(f"create_{self.single}:{name}")
                refused = True
        if refused:
            refuse_by_policy(rules)

    def may_create_for(self, caller: Caller) -> bool:
        """Return whether the caller may create items of other projects."""
        return caller.is_admin

    def change(self, caller: Caller, item: Document, given: Document) -> None:
        """Update an item with what a client gave."""
        changes = check_changes(self.attributes, self._with_project(caller, given))
        rules = [f"update_{self.single}"]
        refused = not self.may_change(caller, item)
        for name in changes:
            if not _allowed(self.attributes[name].write, caller):
                rules.append(f"update_{self.single}:{name}")
                refused = True
        if refused:
            refuse_by_policy(rules)
        self.update(caller, item, changes)
        item |= changes
        self.touch(item)

    def touch(self, item: Document) -> None:
        """Give an item a new revision."""
        if "revision_number" in item:
            item["revision_number"] += 1
            item["updated_at"] = zulu(self.network.clock())

    def remove(self, caller: Caller, item: Document) -> None:
        """Delete an item for a caller."""
        if not self.may_change(caller, item):
            refuse_by_policy([f"delete_{self.single}"])
        self.delete(caller, item)
        self.items.pop(item["id"], None)

    # HTTP.

    def post(self, caller: Caller, request: Request) -> Answer:
        """Answer POST: one item, or several in one body."""
        body = body_of(request)
        if self.collection in body:
            made = [self.add(caller, given) for given in body[self.collection]]
            return answer_json({self.collection: [self.view(caller, item) for item in made]}, 201)
        item = self.add(caller, self._given(body))
        return answer_json({self.single: self.view(caller, item)}, 201)

    def put(self, caller: Caller, request: Request) -> Answer:
        """Answer PUT."""
        body = body_of(request)
        item = self.get(caller, request.parameters["id"])
        check_revision(request, item)
        self.change(caller, item, self._given(body))
        return answer_json({self.single: self.view(caller, item)})

    def show(self, caller: Caller, request: Request) -> Answer:
        """Answer GET of one item."""
        item = self.get(caller, request.parameters["id"])
        view = self.view(caller, item, request.list_values("fields"))
        return answer_json({self.single: view})

    def drop(self, caller: Caller, request: Request) -> Answer:
        """Answer DELETE."""
        item = self.get(caller, request.parameters["id"])
        check_revision(request, item)
        self.remove(caller, item)
        return Answer(204)

    def index(self, caller: Caller, request: Request) -> Answer:
        """Answer GET of the collection: filtered, sorted and paged."""
        found = [item for item in self.items.values() if self.may_see(caller, item)]
        found = self._filter(found, request)
        sorts = self._sorts(request)
        limit = _limit(request)
        if limit:
            found = self._page(found, sorts, limit, request)
        else:
            found.sort(key=cmp_to_key(_comparison(sorts)))
        fields = request.list_values("fields")
        body: Document = {self.collection: [self.view(caller, item, fields) for item in found]}
        links = _links(request, found, limit)
        if links:
            body[f"{self.collection}_links"] = links
        return answer_json(body)

    def _given(self, body: Document) -> Document:
        given = body.get(self.single)
        if not isinstance(given, dict):
            message = f"Unable to find '{self.single}' in request body"
            refuse(400, message, "HTTPBadRequest")
        return given

    def _filter(self, items: list[Document], request: Request) -> list[Document]:
        filters: dict[str, list[str]] = {}
        for key, value in request.pairs:
            if key not in _NOT_FILTERS:
                filters.setdefault("project_id" if key == "tenant_id" else key, []).append(value)
        invalid = [key for key in filters if not self.is_filter(key)]
        if invalid:
            refuse(400, f"{invalid} is invalid attribute for filtering", "HTTPBadRequest")
        for key, values in filters.items():
            items = [item for item in items if self.matches(item, key, values)]
        return items

    def is_filter(self, name: str) -> bool:
        """Return whether lists can be filtered by this name."""
        if name in _TAG_FILTERS:
            return "tags" in self.attributes
        return name in self.attributes and self.attributes[name].is_filter

    def matches(self, item: Document, key: str, values: list[str]) -> bool:
        """Return whether an item passes one filter."""
        if key in _TAG_FILTERS:
            return _matches_tags(item["tags"], key, values)
        value = item.get(key, self.derived(item).get(key))
        if isinstance(value, bool):
            return value in [check_boolean(wanted) for wanted in values]
        if isinstance(value, list):
            return any(wanted in value for wanted in values)
        return ("" if value is None else str(value)) in values

    def _sorts(self, request: Request) -> list[tuple[str, bool]]:
        keys = [key for key in request.list_values("sort_key") if key]
        directions = [way for way in request.list_values("sort_dir") if way]
        if len(keys) != len(directions):
            message = "The number of sort_keys and sort_dirs must be same"
            refuse(400, message, "HTTPBadRequest")
        absent = [
            key
            for key in keys
            if key not in self.attributes or not self.attributes[key].is_sort_key
        ]
        if absent:
            refuse(400, f"{absent} is invalid attribute for sort_keys", "HTTPBadRequest")
        invalid = [way for way in directions if way not in ("asc", "desc")]
        if invalid:
            refuse(
                400,
                f"{invalid} is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
                "HTTPBadRequest",
            )
        sorts = [(key, way == "asc") for key, way in zip(keys, directions, strict=True)]
        return sorts if "id" in keys else [*sorts, ("id", True)]

    def _page(
        self, items: list[Document], sorts: list[tuple[str, bool]], limit: int, request: Request
    ) -> list[Document]:
        backwards = (request.find("page_reverse") or "").lower() == "true"
        compare = _comparison(sorts)
        items.sort(key=cmp_to_key(compare))
        marker_id = request.find("marker")
        if not marker_id:
            return items[-limit:] if backwards else items[:limit]
        marker = self.items.get(marker_id)
        if marker is None:
            raise self.refuse_absent(marker_id)
        if backwards:
            before = [item for item in items if compare(item, marker) < 0]
            return before[-limit:]
        return [item for item in items if compare(item, marker) > 0][:limit]


def _comparison(sorts: list[tuple[str, bool]]) -> Callable[[Document, Document], int]:
    def compare(one: Document, other: Document) -> int:
        for key, ascending in sorts:
            first, second = one.get(key), other.get(key)
            if first == second:
                continue
            if first is None or second is None:
                order = -1 if first is None else 1
            else:
                order = -1 if first < second else 1
            return order if ascending else -order
        return 0

    return compare


def _limit(request: Request) -> int:
    given = request.find("limit") or "0"
    if not given.isdigit():
        message = f"Bad limit request: Limit must be an integer 0 or greater and not '{given}'."
        refuse(400, message, "BadRequest")
    return int(given)


def _links(request: Request, items: list[Document], limit: int) -> list[Document]:
    if not limit:
        return []
    backwards = (request.find("page_reverse") or "").lower() == "true"
    kept = [pair for pair in request.pairs if pair[0] not in ("marker", "page_reverse")]
    links = []
    if not (len(items) < limit and not backwards):
        marker = [("marker", items[-1]["id"])] if items else []
        links.append({"rel": "next", "href": f"{request.url}?{urlencode(kept + marker)}"})
    if not (len(items) < limit and backwards):
        marker = [("marker", items[0]["id"])] if items else []
        query = urlencode([*kept, *marker, ("page_reverse", "True")])
        links.append({"rel": "previous", "href": f"{request.url}?{query}"})
    return links


def _matches_tags(tags: list[str], key: str, values: list[str]) -> bool:
    wanted = [tag for value in values for tag in value.split(",")]
    found = [tag in tags for tag in wanted]
    if key == "tags":
        return all(found)
    if key == "tags-any":
        return any(found)
    if key == "not-tags":
        return not all(found)
    return not any(found)


def _allowed(who: str, caller: Caller) -> bool:
    if who == "member":
        return True
    if who == "admin":
        return caller.is_admin
    if who == "service":
        return caller.is_service
    return caller.is_admin or caller.is_service


def refuse_by_policy(rules: list[str]) -> NoReturn:
    """Raise Refused in the words of oslo.policy."""
    text, *others = [f"rule:{rule}" for rule in rules]
    for other in others:
        text = f"({text} and {other})"
    refuse(403, f"{text} is disallowed by policy", "PolicyNotAuthorized")


def body_of(request: Request) -> Document:
    """Return the JSON object of a body; raises Refused."""
    try:
        body: Json = parse_body(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        refuse(400, "Body contains invalid data", "HTTPBadRequest")
    return body


def check_revision(request: Request, item: Document) -> None:
    """Raise Refused if the request was made for another revision."""
    wanted = request.headers.get("if-match", "")
    if not wanted.startswith("revision_number="):
        return
    number = wanted.removeprefix("revision_number=").strip('"')
    if number != str(item["revision_number"]):
        message = f"Constrained to {number}, but current revision is {item['revision_number']}"
        refuse(412, message, "RevisionNumberConstraintFailed")
