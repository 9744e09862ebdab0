"""An Avro schema as a tree of types, written out in full, without recursion and within limits."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from processor.errors import Code, Refused
from processor.schemas import limits

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_WIDTHS = {"null": 0, "float": 4, "double": 8}
_SIMPLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_MAX = 512


@dataclass(frozen=True, slots=True, eq=False)
class Logical:
    """A logical type; values stay raw, so this only says what they mean.

    Attributes:
        precision: digits of a decimal, 0 for any other type; likewise ``scale``.
    """

    name: str
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """One of Avro's eight primitive types, by ``kind``."""

    kind: str
    logical: Logical | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A fixed number of bytes."""

    name: str
    size: int
    aliases: tuple[str, ...] = ()
    logical: Logical | None = None
    kind: str = "fixed"


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """One of some symbols."""

    name: str
    symbols: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    default: str | None = None
    kind: str = "enum"


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Items of one type."""

    items: "AvroType"
    kind: str = "array"


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Values of one type by text."""

    values: "AvroType"
    kind: str = "map"


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """One of several types."""

    branches: "tuple[AvroType, ...]"
    kind: str = "union"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a record; ``default`` is as the schema's JSON gives it, if ``has_default``."""

    name: str
    type: "AvroType"
    aliases: tuple[str, ...] = ()
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class RecordType:
    """Named fields in order."""

    name: str
    fields: tuple[Field, ...]
    aliases: tuple[str, ...] = ()
    kind: str = "record"


Named = Fixed | Enum | RecordType
AvroType = Primitive | Fixed | Enum | Array | Map | Union | RecordType


def refuse(why: str) -> NoReturn:
    """Refuse a schema; the sentence goes on after «The Avro schema is refused: »."""
    raise Refused(f"The Avro schema is refused: {why}.", code=Code.DECODE_SCHEMA_REFUSED)


def parse(schema: Any) -> AvroType:
    """Read a schema's JSON form into a tree of types.

    Named types are written out wherever they are used, so every later walk ends.

    Raises:
        Refused: ``decode.schema_refused``: not valid Avro, recursive, too deep, too large, or with
            array or map items that take no bytes (a 10-byte message of such a schema has no end).
    """
    return _Parser().type(schema, "", 0)


def min_width_bytes(avro_type: AvroType) -> int:
    """The fewest bytes that a value of this type takes in a payload."""
    match avro_type:
        case Primitive(kind=kind):
            return _WIDTHS.get(kind, 1)
        case Fixed(size=size):
            return size
        case RecordType(fields=fields):
            return sum(min_width_bytes(f.type) for f in fields)
        case _:
            return 1


def unqualified(name: str) -> str:
    """The last part of a full name."""
    return name.rpartition(".")[2]


@dataclass(slots=True, eq=False)
class _Parser:
    """One reading of a schema: the names it has met and what it has counted so far."""

    named: dict[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    nodes: int = 0
    empty_fields: int = 0

    def type(self, schema: Any, namespace: str, depth: int) -> AvroType:
        self.nodes += 1
        if depth > limits.SCHEMA_DEPTH_MAX:
            refuse(f"its types are nested more than {limits.SCHEMA_DEPTH_MAX} deep")
        if self.nodes > limits.SCHEMA_NODES_MAX:
            refuse(f"it has more than {limits.SCHEMA_NODES_MAX} fields and branches")
        if isinstance(schema, str):
            return self._by_name(schema, namespace, depth)
        if isinstance(schema, list):
            return self._union(schema, namespace, depth)
        if not isinstance(schema, dict):
            refuse("a type is neither a name, an object nor a list")
        kind = schema.get("type")
        if isinstance(kind, (dict, list)):
            return self.type(kind, namespace, depth + 1)
        match kind:
            case "array":
                return Array(self._items(schema, "items", namespace, depth))
            case "map":
                return Map(self._items(schema, "values", namespace, depth))
            case "record" | "error" | "enum" | "fixed":
                return self._define(schema, namespace, depth)
            case str() if kind in PRIMITIVES:
                return Primitive(kind, _logical(schema, kind, None))
            case str():
                return self._by_name(kind, namespace, depth)
            case _:
                refuse("a type has no «type»")

    def _by_name(self, name: str, namespace: str, depth: int) -> AvroType:
        if name in PRIMITIVES:
            return Primitive(name)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        definition = self.named.get(full) or self.named.get(name)
        if definition is None:
            refuse("it uses a named type that it does not define")
        return self._define(*definition, depth)

    def _union(self, schema: list[Any], namespace: str, depth: int) -> AvroType:
        if not 0 < len(schema) <= limits.UNION_BRANCHES_MAX:
            refuse(f"a union has no branches, or more than {limits.UNION_BRANCHES_MAX}")
        branches = tuple(self.type(branch, namespace, depth + 1) for branch in schema)
        seen = set[str]()
        for branch in branches:
            if isinstance(branch, Union):
                refuse("a union stands directly in a union")
            name = branch.name if isinstance(branch, Named) else branch.kind
            if name in seen:
                refuse("a union has the same type twice")
            seen.add(name)
        return Union(branches)

    def _items(self, schema: dict[str, Any], key: str, namespace: str, depth: int) -> AvroType:
        if key not in schema:
            refuse(f"an array or map has no «{key}»")
        items = self.type(schema[key], namespace, depth + 1)
        if min_width_bytes(items) == 0:
            refuse("the items of an array or map take no bytes")
        return items

    def _define(self, schema: Mapping[str, Any], namespace: str, depth: int) -> Named:
        full, inner = _full_name(schema, namespace)
        known = self.named.setdefault(full, (schema, namespace))
        if known[0] is not schema:
            refuse("it defines a named type twice")
        if full in self.open:
            refuse("it is recursive")
        aliases = _aliases(schema, inner)
        match schema["type"]:
            case "enum":
                return _enum(schema, full, aliases)
            case "fixed":
                return _fixed(schema, full, aliases)
        self.open.add(full)
        fields = schema.get("fields")
        if not isinstance(fields, list):
            refuse("a record has no list of fields")
        parsed = tuple(self._field(f, inner, depth) for f in fields)
        self.open.discard(full)
        if len({f.name for f in parsed}) != len(parsed):
            refuse("a record has two fields of one name")
        return RecordType(full, parsed, aliases)

    def _field(self, schema: Any, namespace: str, depth: int) -> Field:
        if not isinstance(schema, dict) or "type" not in schema:
            refuse("a field is not an object with a name and a type")
        name = _simple_name(schema.get("name"))
        avro_type = self.type(schema["type"], namespace, depth + 1)
        if min_width_bytes(avro_type) == 0:
            self.empty_fields += 1
            if self.empty_fields > limits.SCHEMA_EMPTY_FIELDS_MAX:
                refuse(f"more than {limits.SCHEMA_EMPTY_FIELDS_MAX} fields take no bytes")
        return Field(
            name,
            avro_type,
            tuple(_simple_name(alias) for alias in _strings(schema, "aliases")),
            has_default="default" in schema,
            default=schema.get("default"),
        )


def _simple_name(name: Any) -> str:
    if not isinstance(name, str) or len(name) > _NAME_MAX or not _SIMPLE_NAME.fullmatch(name):
        refuse("a name is not made of letters, digits and underscores")
    return name


def _full_name(schema: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """The full name of a named type, and the namespace of what stands inside it."""
    name = schema.get("name")
    if not isinstance(name, str) or len(name) > _NAME_MAX:
        refuse("a named type has no name")
    _simple_name(unqualified(name))
    if "." in name:
        return name, name.rpartition(".")[0]
    own = schema.get("namespace", namespace)
    if not isinstance(own, str) or len(own) > _NAME_MAX:
        refuse("a namespace is not text")
    return (f"{own}.{name}" if own else name), own


def _aliases(schema: Mapping[str, Any], namespace: str) -> tuple[str, ...]:
    return tuple(
        alias if "." in alias or not namespace else f"{namespace}.{alias}"
        for alias in _strings(schema, "aliases")
    )


def _strings(schema: Mapping[str, Any], key: str) -> list[str]:
    values = schema.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        refuse(f"«{key}» is not a list of texts")
    return values


def _enum(schema: Mapping[str, Any], name: str, aliases: tuple[str, ...]) -> Enum:
    symbols = tuple(_simple_name(symbol) for symbol in _strings(schema, "symbols"))
    if not symbols or len(set(symbols)) != len(symbols):
        refuse("an enum has no symbols, or one of them twice")
    default = schema.get("default")
    if default is not None and default not in symbols:
        refuse("the default of an enum is none of its symbols")
    return Enum(name, symbols, aliases, default)


def _fixed(schema: Mapping[str, Any], name: str, aliases: tuple[str, ...]) -> Fixed:
    size = schema.get("size")
    if type(size) is not int or not 0 <= size <= limits.PAYLOAD_MAX_BYTES:
        refuse("the size of a fixed type is no number of bytes within the limit")
    return Fixed(name, size, aliases, _logical(schema, "fixed", size))


def _logical(schema: Mapping[str, Any], kind: str, size: int | None) -> Logical | None:
    """The logical type; one that makes no sense is left out, as the Avro specification asks."""
    name = schema.get("logicalType")
    if not isinstance(name, str):
        return None
    if name != "decimal":
        return Logical(name)
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if kind not in {"bytes", "fixed"} or type(precision) is not int or type(scale) is not int:
        return None
    if precision > limits.DECIMAL_PRECISION_MAX:
        refuse(f"a decimal has more than {limits.DECIMAL_PRECISION_MAX} digits")
    if not 0 <= scale <= precision or precision == 0:
        return None
    if size is not None and 10**precision > 1 << max(8 * size - 1, 0):
        return None
    return Logical(name, precision, scale)


def canonical_form(avro_type: AvroType) -> str:
    """Avro's Parsing Canonical Form, the text that schema fingerprints are made of.

    Source: Avro specification 1.11, "Transforming into Parsing Canonical Form".
    """
    return "".join(_canonical(avro_type, set()))


def _canonical(avro_type: AvroType, seen: set[str]) -> Iterator[str]:
    match avro_type:
        case Primitive(kind=kind):
            yield f'"{kind}"'
        case Array(items=inner):
            yield '{"type":"array","items":'
            yield from _canonical(inner, seen)
            yield "}"
        case Map(values=inner):
            yield '{"type":"map","values":'
            yield from _canonical(inner, seen)
            yield "}"
        case Union(branches=branches):
            yield "["
            yield ",".join("".join(_canonical(branch, seen)) for branch in branches)
            yield "]"
        case _ if avro_type.name in seen:
            yield f'"{avro_type.name}"'
        case Enum(name=name, symbols=symbols):
            seen.add(name)
            listed = ",".join(f'"{symbol}"' for symbol in symbols)
            yield f'{{"name":"{name}","type":"enum","symbols":[{listed}]}}'
        case Fixed(name=name, size=size):
            seen.add(name)
            yield f'{{"name":"{name}","type":"fixed","size":{size}}}'
        case RecordType(name=name, fields=fields):
            seen.add(name)
            listed = ",".join(
                f'{{"name":"{f.name}","type":{"".join(_canonical(f.type, seen))}}}' for f in fields
            )
            yield f'{{"name":"{name}","type":"record","fields":[{listed}]}}'
