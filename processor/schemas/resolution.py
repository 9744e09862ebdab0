"""What Avro's rules of schema resolution say about two types: which fits, and what it takes."""

import re
from collections.abc import Callable
from typing import Any

from processor.errors import Code, Refused
from processor.schemas.avro_types import (
    AvroType,
    Fixed,
    Logical,
    Named,
    Primitive,
    Union,
    unqualified,
)

Finish = Callable[[Any], Any]

_PROMOTIONS: dict[tuple[str, str], Finish] = {
    ("int", "long"): int,
    ("int", "float"): float,
    ("int", "double"): float,
    ("long", "float"): float,
    ("long", "double"): float,
    ("float", "double"): float,
    ("string", "bytes"): str.encode,
    ("bytes", "string"): bytes.decode,
}
"""Source: Avro specification 1.11, "Schema Resolution"."""

_FREE = frozenset({("int", "long"), ("float", "double")})
_THOUSANDS = {"millis": 0, "micros": 1, "nanos": 2}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL_SPARE_BYTES = 8
"""Sign bytes that a writer may put before a decimal's digits."""


def promotion(writer: str, reader: str) -> bool:
    """Whether a value of the writer's primitive kind may become one of the reader's kind."""
    return (writer, reader) in _PROMOTIONS


def answers_to(reader: Named, name: str) -> bool:
    """Whether a reader's named type has this name or alias, whole or without its namespace."""
    known = {reader.name, *reader.aliases}
    return name in known or unqualified(name) in {unqualified(k) for k in known}


def branch_for(writer: AvroType, reader: Union, pointer: str) -> AvroType:
    """The reader's branch for a value: the same type before one that it can be promoted to.

    Of several records the one of the same name; a record of another name only when no other fits,
    because whoever generates a writer's schema names inner records as they please.

    Raises:
        Refused: ``decode.resolution``: no branch fits.
    """
    for fits in (_same_full_name, _same_name, _same_kind, _promotes):
        for branch in reader.branches:
            if fits(writer, branch):
                return branch
    raise mismatch(writer, reader, pointer)


def _same_full_name(writer: AvroType, reader: AvroType) -> bool:
    if isinstance(writer, Named) and isinstance(reader, Named):
        return writer.kind == reader.kind and writer.name == reader.name
    return writer.kind == reader.kind


def _same_name(writer: AvroType, reader: AvroType) -> bool:
    if isinstance(writer, Named) and isinstance(reader, Named):
        return writer.kind == reader.kind and answers_to(reader, writer.name)
    return writer.kind == reader.kind


def _same_kind(writer: AvroType, reader: AvroType) -> bool:
    return writer.kind == reader.kind


def _promotes(writer: AvroType, reader: AvroType) -> bool:
    return promotion(writer.kind, reader.kind)


def mismatch(writer: AvroType, reader: AvroType, pointer: str) -> Refused:
    """The refusal of two types that do not fit."""
    wants = reader.kind
    if isinstance(reader, Union):
        wants = " or ".join(branch.kind for branch in reader.branches)
    place = pointer or "its root"
    return Refused(
        f"The writer's schema has {writer.kind} at {place}, where ours has {wants}.",
        code=Code.DECODE_RESOLUTION,
        pointer=pointer,
    )


def finish_of(writer: AvroType, reader: AvroType, pointer: str) -> Finish | None:
    """What has to be done to a raw value of two types that fit; `None`: nothing.

    Logical types stay raw, but a decimal has to keep to its precision, a UUID has to be one, and
    two units of time are changed into each other.

    Raises:
        Refused: ``decode.resolution``: two decimals of different scale.
    """
    if writer.kind != reader.kind and (writer.kind, reader.kind) not in _FREE:
        return _PROMOTIONS.get((writer.kind, reader.kind))
    if not isinstance(writer, (Primitive, Fixed)) or not isinstance(reader, (Primitive, Fixed)):
        return None
    return None if reader.logical is None else _logical(writer.logical, reader.logical, pointer)


def _logical(writer: Logical | None, reader: Logical, pointer: str) -> Finish | None:
    if reader.name == "decimal":
        if writer is not None and writer.name == "decimal" and writer.scale != reader.scale:
            raise Refused(
                f"The writer's decimal {pointer} has another scale than ours.",
                code=Code.DECODE_RESOLUTION,
                pointer=pointer,
            )
        return _Decimal(reader.precision, pointer)
    if reader.name == "uuid":
        return _Uuid(pointer)
    return None if writer is None else _unit_change(writer.name, reader.name)


def _unit_change(writer: str, reader: str) -> Finish | None:
    """Milliseconds, microseconds and nanoseconds into each other; `None`: the same unit."""
    wrote, _, wrote_unit = writer.rpartition("-")
    wants, _, wants_unit = reader.rpartition("-")
    if wrote != wants or wrote_unit not in _THOUSANDS or wants_unit not in _THOUSANDS:
        return None
    steps = _THOUSANDS[wants_unit] - _THOUSANDS[wrote_unit]
    factor = 1000 ** abs(steps)
    if steps > 0:
        return lambda value: value * factor
    return None if steps == 0 else lambda value: value // factor


class _Decimal:
    """Keeps a decimal raw, but within its precision; converting many bytes takes minutes."""

    def __init__(self, precision: int, pointer: str) -> None:
        self._limit = 10**precision
        self._max_bytes = self._limit.bit_length() // 8 + 1 + _DECIMAL_SPARE_BYTES
        self._pointer = pointer

    def __call__(self, value: bytes) -> bytes:
        if len(value) > self._max_bytes:
            raise Refused(
                f"A decimal of the event has {len(value)} bytes; its precision needs "
                f"{self._max_bytes} at most.",
                code=Code.DECODE_LIMIT,
                pointer=self._pointer,
            )
        if abs(int.from_bytes(value, "big", signed=True)) >= self._limit:
            raise Refused(
                "A decimal of the event has more digits than its precision.",
                code=Code.DECODE_VALUE,
                pointer=self._pointer,
            )
        return value


class _Uuid:
    """Takes only the text of a UUID."""

    def __init__(self, pointer: str) -> None:
        self._pointer = pointer

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str) and not _UUID.fullmatch(value):
            raise Refused(
                "A UUID of the event is not the text of one.",
                code=Code.DECODE_VALUE,
                pointer=self._pointer,
            )
        return value
