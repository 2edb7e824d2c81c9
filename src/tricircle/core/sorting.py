"""The order of a list: which keys, which directions, how two values compare.

Nova and Cinder complete what a client asks for in ways of their own; both are
written down here. A comparison here only decides which pod's next row goes first:
each pod's rows are taken in the pod's own order, so a database that collates
differently costs nothing but the looks of the order.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast

import msgspec

from tricircle.core.query import list_parameters, list_values

Value = str | int | float | bool | None
"""A sort value as it stands in an item."""

Values = tuple[Value, ...]
"""The sort values of one row, in the order of the keys; the row's id is the last."""

SortKey = tuple[object, ...]
"""What two rows are compared by: directions and nulls are in it already."""


class Compare(enum.Enum):
    """How two values of a field compare."""

    TEXT = "text"
    """Without regard to case, as the default collation of MySQL does."""
    EXACT = "exact"
    TIME = "time"
    NUMBER = "number"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class SortField:
    """Where the value of a sort key stands in a detailed item.

    ``path`` is empty for a column that the API does not show. ``blank`` is what an
    item shows instead of null. ``nullable`` tells that the column may hold null.
    """

    path: tuple[str, ...]
    compare: Compare = Compare.TEXT
    nullable: bool = False
    blank: Value = None


@dataclass(frozen=True, slots=True)
class SortTerm:
    """One key of an order."""

    key: str
    field: SortField
    descending: bool


class Dialect(enum.Enum):
    """Whose rules for sorting, paging and nulls a list follows."""

    NOVA = "nova"
    CINDER = "cinder"


HIDDEN = SortField((), nullable=True)
"""A key whose value is not in the item: rows keep their pod's order."""


class UnreadableRow(Exception):
    """A row is not the JSON object it must be."""


def list_sort_terms(
    dialect: Dialect, query: str, fields: Mapping[str, SortField], ignored: Collection[str] = ()
) -> tuple[SortTerm, ...]:
    """Return the keys a list is sorted by, the unique one last.

    ``ignored`` are keys that Nova drops without a word. A key or direction the
    service will refuse is kept: the pods refuse it themselves.
    """
    if dialect is Dialect.NOVA:
        keys, directions = _nova_order(query, ignored)
    else:
        keys, directions = _cinder_order(query)
    terms = [
        SortTerm(key, fields.get(key, HIDDEN), direction != "asc")
        for key, direction in zip(keys, directions, strict=False)
    ]
    unique = "uuid" if dialect is Dialect.NOVA else "id"
    end = next((at for at, term in enumerate(terms) if term.key == unique), len(terms) - 1)
    return tuple(terms[: end + 1])


def _nova_order(query: str, ignored: Collection[str]) -> tuple[list[str], list[str]]:
    """Return keys and directions as get_sort_params, remove_invalid_sort_keys,
    InstanceSortContext and process_sort_params of Nova 34 make them, one after the other.
    """
    keys = [value.strip() for value in list_values(query, "sort_key")] or ["created_at"]
    directions = [value.strip() for value in list_values(query, "sort_dir")] or ["desc"]
    for key in [key for key in keys if key in ignored]:
        at = keys.index(key)
        if len(directions) > at:
            del directions[at]
        del keys[at]
    if not keys:
        keys, directions = ["created_at", "id"], ["desc", "desc"]
    if "uuid" not in keys:
        # A direction too few, and this 'asc' goes to the key before: so does Nova's.
        keys, directions = [*keys, "uuid"], [*directions, "asc"]
    first = directions[0] if directions else "desc"
    return keys, directions + [first] * (len(keys) - len(directions))


def _cinder_order(query: str) -> tuple[list[str], list[str]]:
    """Return keys and directions as get_sort_params and process_sort_params of Cinder 29 do."""
    parameters = dict(reversed(list_parameters(query)))
    if "sort" in parameters:
        parts = [part.partition(":") for part in parameters["sort"].strip().split(",")]
        keys = [key.strip() for key, _, _ in parts]
        directions = [(direction or "desc").strip() for _, _, direction in parts]
    else:
        keys = [parameters.get("sort_key", "created_at").strip()]
        directions = [parameters.get("sort_dir", "desc").strip()]
    for key in ("created_at", "id"):
        if key not in keys:
            keys.append(key)
            directions.append(directions[0])
    return keys, directions


class _Head(msgspec.Struct, gc=False):
    """The decoded part of an item; ``f0`` is what it is named by."""

    f0: object = msgspec.UNSET


class SortPlan:
    """An order, ready to be applied to raw items: only the fields it needs are decoded.

    ``id_field`` is what an item is named by.
    """

    __slots__ = ("_decode", "_makers", "dialect", "terms")

    def __init__(self, dialect: Dialect, terms: tuple[SortTerm, ...], id_field: str = "id") -> None:
        self.dialect, self.terms = dialect, terms
        shown = [term for term in terms if term.field.path]
        names = dict.fromkeys([id_field, *(term.field.path[0] for term in shown)])
        spots = {name: f"f{at}" for at, name in enumerate(names)}
        head = msgspec.defstruct(
            "Head",
            [(spot, object, msgspec.UNSET) for spot in spots.values()],
            bases=(_Head,),
            rename={spot: name for name, spot in spots.items()},
            gc=False,
        )
        decoder = msgspec.json.Decoder(cast(type[_Head], head))
        self._decode = decoder.decode
        self._makers = tuple(_Maker(spots[term.field.path[0]], term) for term in shown)

    def key_of(self, row: msgspec.Raw) -> SortKey:
        """Return what a row is compared by. Raises UnreadableRow."""
        head = self._read(row)
        return self._key([maker.value(head) for maker in self._makers])

    def id_of(self, row: msgspec.Raw) -> str:
        """Return a row's id. Raises UnreadableRow."""
        return str(self._read(row).f0)

    def values_of(self, row: msgspec.Raw) -> Values | None:
        """Return a row's sort values; None when the row does not show one of them.

        Without all of them a place in this order cannot be described by value.
        """
        if len(self._makers) < len(self.terms):
            return None
        head = self._read(row)
        values = tuple(maker.value(head) for maker in self._makers)
        return None if msgspec.UNSET in values else values  # type: ignore[return-value]

    def key_of_values(self, values: Values) -> SortKey:
        """Return what a row with these values is compared by."""
        return self._key(list(values))

    def fits(self, values: Values) -> bool:
        """Tell whether ``values`` can be values of this order."""
        return len(values) == len(self.terms) == len(self._makers)

    def is_safe_marker(self, values: Values | None) -> bool:
        """Tell whether a pod that is given a row with these values as marker loses none.

        Databases compare nothing with null. Nova (oslo.db's paginate_query) asks for
        rows below or above the marker's value, so null never follows a value, and a
        marker with null jumps into the rest; Cinder takes null for an empty value, but
        sorts the two apart. Such a position is found by reading from the start instead.
        """
        if values is None:
            return not any(term.field.nullable for term in self.terms)
        return all(
            self._is_safe_value(term, value)
            for term, value in zip(self.terms, values, strict=True)
            if term.field.nullable
        )

    def _is_safe_value(self, term: SortTerm, value: Value) -> bool:
        if value is None or value == term.field.blank:
            return False
        if self.dialect is Dialect.CINDER:
            return bool(value)
        return not term.descending

    def _read(self, row: msgspec.Raw) -> _Head:
        try:
            head = self._decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableRow(str(error)) from None
        if not isinstance(head.f0, str) or not head.f0:
            raise UnreadableRow("a row without an id")
        return head

    def _key(self, values: Sequence[object]) -> SortKey:
        key: list[object] = []
        for maker, value in zip(self._makers, values, strict=True):
            maker.add_to(key, value)
        return tuple(key)


@lru_cache(maxsize=512)
def make_sort_plan(dialect: Dialect, terms: tuple[SortTerm, ...], id_field: str = "id") -> SortPlan:
    """Return the plan for an order; making one costs more than using it."""
    return SortPlan(dialect, terms, id_field)


class _Maker:
    """Turns the value of one sort term into something that compares in its direction."""

    __slots__ = ("_blank", "_convert", "_deeper", "_null", "_spot", "_value")

    def __init__(self, spot: str, term: SortTerm) -> None:
        self._spot = spot
        self._deeper = term.field.path[1:]
        self._blank = term.field.blank
        self._convert = _CONVERTERS[term.field.compare, term.descending]
        # MySQL and SQLite: null before everything, hence last in descending order.
        self._null, self._value = (1, 0) if term.descending else (0, 1)

    def value(self, head: _Head) -> object:
        """Return the value in an item: UNSET when it is not there, None when it is null."""
        value: object = getattr(head, self._spot)
        for step in self._deeper:
            value = value.get(step, msgspec.UNSET) if isinstance(value, dict) else value
        if value is self._blank or (self._blank is not None and value == self._blank):
            return None
        return value if isinstance(value, str | int | float) else _plain(value)

    def add_to(self, key: list[object], value: object) -> None:
        """Append the parts of ``value`` to a sort key."""
        converted = None if value is None or value is msgspec.UNSET else self._convert(value)
        if converted is None:
            key += (self._null, None)
        else:
            key += (self._value, converted)


def _plain(value: object) -> object:
    return value if value is None or value is msgspec.UNSET else str(value)


_INVERTED = bytes(255 - byte for byte in range(256))


def _exact(value: object) -> object:
    return value if isinstance(value, str) else str(value)


def _text(value: object) -> object:
    return str(value).casefold()


def _exact_down(value: object) -> object:
    # UTF-8 sorts as its text does; inverted and closed by the greatest byte, backwards.
    return str(value).encode("utf-8", "surrogatepass").translate(_INVERTED) + b"\xff"


def _text_down(value: object) -> object:
    return _exact_down(str(value).casefold())


def _time(value: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(value: object) -> float | int | None:
    if isinstance(value, int | float):
        return value
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _flag(value: object) -> int:
    return 1 if str(value).lower() in ("true", "1", "auto") else 0


def _down(convert: Callable[[object], float | int | None]) -> Callable[[object], object]:
    def negative(value: object) -> object:
        number = convert(value)
        return None if number is None else -number

    return negative


_CONVERTERS: Mapping[tuple[Compare, bool], Callable[[object], object]] = {
    (Compare.TEXT, False): _text,
    (Compare.TEXT, True): _text_down,
    (Compare.EXACT, False): _exact,
    (Compare.EXACT, True): _exact_down,
    (Compare.TIME, False): _time,
    (Compare.TIME, True): _down(_time),
    (Compare.NUMBER, False): _number,
    (Compare.NUMBER, True): _down(_number),
    (Compare.FLAG, False): _flag,
    (Compare.FLAG, True): _down(_flag),
}
