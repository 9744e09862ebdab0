"""JSON values to the values that Avro decoding gives, by the same Avro types."""

import math
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any, NoReturn

from processor.errors import Code, Refused
from processor.schemas import limits
from processor.schemas.avro_types import (
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Logical,
    Map,
    Primitive,
    RecordType,
    Union,
    refuse,
)

Typed = Callable[[Any], Any]
_RANGES = {"int": 2**31, "long": 2**63}
_EXACT = 2**53
"""Beyond it a double skips whole numbers: the one that was written may not be the one read."""

_ABSENT = object()


def converter(avro_type: AvroType, pointer: str = "") -> Typed:
    """A function from a JSON value to the value that Avro decoding of the type would give.

    A whole number may be written ``1676.0``, up to 2^53; a number written as text is refused. A
    field that is not in the schema is ignored, a missing one gets its default, and null counts as
    missing where the type has no null; so does a null in a list or a
    map.

    The function raises:
        Refused: ``event.invalid`` with the pointer of the field, or ``decode.limit``.
    """
    match avro_type:
        case Primitive(kind=kind, logical=logical):
            return _primitive(kind, logical, pointer)
        case Fixed(size=size, logical=logical):
            return _fixed(size, logical, pointer)
        case Enum():
            return _enum(avro_type, pointer)
        case Array(items=items):
            return _array(converter(items, f"{pointer}/*"), pointer, takes_null=_takes_null(items))
        case Map(values=values):
            return _map(converter(values, f"{pointer}/*"), pointer, takes_null=_takes_null(values))
        case Union(branches=branches):
            return _union(branches, pointer)
        case RecordType():
            return _record(avro_type, pointer)


def typed_default(field: Field, convert: Typed | None = None) -> Any:
    """The value of a field's default.

    Args:
        field: a field that has a default.
        convert: the converter of the field's type, when there is one already.

    Raises:
        Refused: ``decode.schema_refused``: the default is not of the field's type.
    """
    try:
        return (convert or converter(field.type))(field.default)
    except Refused:
        refuse(f"the default of the field {field.name} is not of its type")


def _invalid(pointer: str, wanted: str, value: Any) -> NoReturn:
    raise Refused(
        f"The event has {_kind_of(value)} at {pointer or 'its root'}, where its schema has "
        f"{wanted}.",
        code=Code.EVENT_INVALID,
        pointer=pointer,
    )


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def _primitive(kind: str, logical: Logical | None, pointer: str) -> Typed:
    match kind:
        case "int" | "long":
            return _integer(_RANGES[kind], pointer)
        case "float" | "double":
            return _number(pointer)
        case "bytes":
            return _bytes(logical, pointer)
        case "null":
            return _exactly(type(None), "null", pointer)
        case "boolean":
            return _exactly(bool, "a boolean", pointer)
        case _:
            return _exactly(str, "text", pointer)


def _exactly(wanted: type, called: str, pointer: str) -> Typed:
    def typed(value: Any) -> Any:
        if value.__class__ is not wanted:
            _invalid(pointer, called, value)
        return value

    return typed


def _integer(limit: int, pointer: str) -> Typed:
    def typed(value: Any) -> int:
        if value.__class__ is float and value.is_integer() and abs(value) <= _EXACT:
            value = int(value)
        if value.__class__ is not int or not -limit <= value < limit:
            _invalid(pointer, f"a whole number of {limit.bit_length()} bits", value)
        return int(value)

    return typed


def _number(pointer: str) -> Typed:
    def typed(value: Any) -> float:
        if value.__class__ not in {int, float}:
            _invalid(pointer, "a number", value)
        try:
            made = float(value)
        except OverflowError:
            _invalid(pointer, "a number within a double's range", value)
        if not math.isfinite(made):
            _invalid(pointer, "a finite number", value)
        return made

    return typed


def _bytes(logical: Logical | None, pointer: str) -> Typed:
    decimal = logical if logical is not None and logical.name == "decimal" else None

    def typed(value: Any) -> bytes:
        if decimal is not None and value.__class__ in {int, float}:
            return _unscaled(value, decimal, None, pointer)
        return _latin_1(value, pointer)

    return typed


def _fixed(size: int, logical: Logical | None, pointer: str) -> Typed:
    decimal = logical if logical is not None and logical.name == "decimal" else None

    def typed(value: Any) -> bytes:
        if decimal is not None and value.__class__ in {int, float}:
            return _unscaled(value, decimal, size, pointer)
        made = _latin_1(value, pointer)
        if len(made) != size:
            _invalid(pointer, f"{size} bytes", value)
        return made

    return typed


def _latin_1(value: Any, pointer: str) -> bytes:
    """Bytes written as text, one character a byte, as Avro's JSON form has them."""
    if value.__class__ is not str:
        _invalid(pointer, "text that stands for bytes", value)
    try:
        return bytes(value, "latin-1")
    except UnicodeEncodeError:
        _invalid(pointer, "text that stands for bytes", value)


def _unscaled(value: float, decimal: Logical, size: int | None, pointer: str) -> bytes:
    """A JSON number as a decimal's bytes; digits beyond the scale are refused, not rounded."""
    scaled = Decimal(repr(value)).scaleb(decimal.scale)
    if scaled != scaled.to_integral_value() or abs(scaled) >= 10**decimal.precision:
        _invalid(pointer, f"a decimal ({decimal.precision}, {decimal.scale})", value)
    number = int(scaled)
    return number.to_bytes(size or number.bit_length() // 8 + 1, "big", signed=True)


def _enum(avro_type: Enum, pointer: str) -> Typed:
    symbols, default = frozenset(avro_type.symbols), avro_type.default

    def typed(value: Any) -> str:
        if value.__class__ is not str:
            _invalid(pointer, "a symbol", value)
        if value in symbols:
            return str(value)
        if default is None:
            _invalid(pointer, "one of a few symbols, and not this", value)
        return default

    return typed


def _array(item: Typed, pointer: str, *, takes_null: bool) -> Typed:
    def typed(value: Any) -> list[Any]:
        if value.__class__ is not list:
            _invalid(pointer, "a list", value)
        _within_items(len(value), pointer)
        return [item(each) for each in value if each is not None or takes_null]

    return typed


def _map(item: Typed, pointer: str, *, takes_null: bool) -> Typed:
    def typed(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            _invalid(pointer, "an object", value)
        _within_items(len(value), pointer)
        return {key: item(each) for key, each in value.items() if each is not None or takes_null}

    return typed


def _within_items(count: int, pointer: str) -> None:
    if count > limits.ITEMS_MAX:
        raise Refused(
            f"The event has {count} items at {pointer}; {limits.ITEMS_MAX} are the limit.",
            code=Code.DECODE_LIMIT,
            pointer=pointer,
        )


def _union(branches: tuple[AvroType, ...], pointer: str) -> Typed:
    takes_null = any(branch.kind == "null" for branch in branches)
    others = [converter(branch, pointer) for branch in branches if branch.kind != "null"]
    only = others[0] if len(others) == 1 else None

    def typed(value: Any) -> Any:
        if value is None and takes_null:
            return None
        if only is not None:
            return only(value)
        for other in others:
            try:
                return other(value)
            except Refused:
                continue
        _invalid(pointer, "one of several types, and not this", value)

    return typed


def _takes_null(avro_type: AvroType) -> bool:
    if isinstance(avro_type, Union):
        return any(branch.kind == "null" for branch in avro_type.branches)
    return avro_type.kind == "null"


def _record(avro_type: RecordType, pointer: str) -> Typed:
    plan = [_FieldPlan(field, f"{pointer}/{field.name}") for field in avro_type.fields]

    def typed(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            _invalid(pointer, "an object", value)
        return {field.name: field.of(value) for field in plan}

    return typed


class _FieldPlan:
    """How one field of a record is taken from a JSON object."""

    __slots__ = ("_aliases", "_convert", "_default", "_has_default", "_null", "_pointer", "name")

    def __init__(self, field: Field, pointer: str) -> None:
        self.name = field.name
        self._aliases = field.aliases
        self._convert = converter(field.type, pointer)
        self._has_default = field.has_default
        self._default = typed_default(field, self._convert) if field.has_default else None
        self._null = _takes_null(field.type)
        self._pointer = pointer

    def of(self, value: dict[str, Any]) -> Any:
        """The typed value of this field."""
        given = value.get(self.name, _ABSENT)
        for alias in self._aliases:
            if given is _ABSENT:
                given = value.get(alias, _ABSENT)
        if given is _ABSENT or (given is None and not self._null):
            return self._absent()
        return self._convert(given)

    def _absent(self) -> Any:
        if not self._has_default:
            raise Refused(
                f"The event has no {self._pointer}, which its schema wants and gives no default "
                "for.",
                code=Code.EVENT_INVALID,
                pointer=self._pointer,
            )
        default = self._default
        return deepcopy(default) if isinstance(default, (list, dict)) else default
