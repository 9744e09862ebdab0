"""What the checker knows of a value before it sees one: its kind, and what is inside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Kinds of values in a mapping, named as messages name them."""

    TEXT = "text"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    DATE = "a date"
    OBJECT = "an object"
    MAP = "a map"
    ARRAY = "an array"
    BYTES = "bytes"
    NULL = "null"
    ANY = "any value"


@dataclass(frozen=True, slots=True)
class Shape:
    """The kind of a value and what it holds.

    Attributes:
        fields: shapes of an object's fields by name.
        item: shape of an array's elements or a map's values.
    """

    kind: Kind
    fields: Mapping[str, "Shape"] = field(default_factory=dict)
    item: "Shape | None" = None


TEXT = Shape(Kind.TEXT)
INTEGER = Shape(Kind.INTEGER)
NUMBER = Shape(Kind.NUMBER)
BOOLEAN = Shape(Kind.BOOLEAN)
DATE = Shape(Kind.DATE)
NULL = Shape(Kind.NULL)
ANY = Shape(Kind.ANY)
OBJECT = Shape(Kind.OBJECT)

NUMERIC = frozenset({Kind.INTEGER, Kind.NUMBER})
SCALARS = frozenset({Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})

_PRIMITIVES = {
    "null": NULL,
    "string": TEXT,
    "int": INTEGER,
    "long": INTEGER,
    "float": NUMBER,
    "double": NUMBER,
    "boolean": BOOLEAN,
    "bytes": Shape(Kind.BYTES),
    "fixed": Shape(Kind.BYTES),
    "enum": TEXT,
}


def array_of(item: Shape) -> Shape:
    """The shape of an array of such elements."""
    return Shape(Kind.ARRAY, item=item)


def common(shapes: Iterable[Shape]) -> Shape:
    """The one shape that fits all of these; `ANY` when they differ, `NULL` when all are null."""
    known = [shape for shape in shapes if shape.kind is not Kind.NULL]
    if not known:
        return NULL
    first = known[0]
    if all(shape == first for shape in known):
        return first
    if all(shape.kind in NUMERIC for shape in known):
        return NUMBER
    return ANY


def of_avro(schema: Any) -> Shape:
    """The shape of values decoded with a self-contained Avro schema, logical types raw.

    A union of more than one non-null branch, and a type that contains itself, are `ANY`.
    """
    return _shape(schema, "", {})


def _shape(schema: Any, namespace: str, named: dict[str, Shape]) -> Shape:
    if isinstance(schema, list):
        return common(_shape(branch, namespace, named) for branch in schema)
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return _PRIMITIVES[schema]
        return named.get(_full_name(schema, namespace), ANY)
    kind = schema["type"]
    if not isinstance(kind, str):
        return _shape(kind, namespace, named)
    if kind == "array":
        return array_of(_shape(schema["items"], namespace, named))
    if kind == "map":
        return Shape(Kind.MAP, item=_shape(schema["values"], namespace, named))
    if kind in {"record", "error", "enum", "fixed"}:
        return _named(schema, namespace, named)
    return _shape(kind, namespace, named)


def _named(schema: Mapping[str, Any], namespace: str, named: dict[str, Shape]) -> Shape:
    name = _full_name(schema["name"], schema.get("namespace", namespace))
    inside = name.rpartition(".")[0]
    if schema["type"] in {"enum", "fixed"}:
        shape = _PRIMITIVES[schema["type"]]
    else:
        fields = {f["name"]: _shape(f["type"], inside, named) for f in schema["fields"]}
        shape = Shape(Kind.OBJECT, fields)
    named[name] = shape
    return shape


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
