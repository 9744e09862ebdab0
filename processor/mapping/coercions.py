"""What becomes of a text whose destination is no text: Data Prep turns it into a boolean or a date.

Source: Data Prep, "Handling data formats". Nothing else is turned into anything by itself; numbers
have functions of their own.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any

from processor.mapping import date_reading, java_dates
from processor.mapping.expression import Call, Literal, Node
from processor.mapping.failures import ExpressionFailed
from processor.mapping.shapes import TEXT as TEXT_SHAPE
from processor.mapping.shapes import Kind, Shape
from processor.mapping.signature import A_BOOLEAN, A_TEXT, TEXT, TEXT_OR_DATE, Function

TRUE = frozenset({"y", "yes", "Y", "YES", "on", "ON", "true", "TRUE"})
FALSE = frozenset({"n", "N", "no", "NO", "off", "OFF", "false", "FALSE"})

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_AS_WRITTEN = frozenset({"format", "dformat"})
"""Who writes a date with a pattern wants it so."""


def to_boolean(value: str) -> bool:
    """A boolean from one of Data Prep's words."""
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ExpressionFailed("the text is no boolean; on, yes, y, true and their opposites are")


def to_date_time(zone: tzinfo, value: str) -> str:
    """A date-time of XDM; one that is so already stays as it is."""
    if _DATE_TIME.fullmatch(value):
        return value
    return java_dates.iso(date_reading.guess(value, zone))


def to_date(zone: tzinfo, value: str | datetime) -> str:
    """A date of XDM, ``yyyy-MM-dd``."""
    if isinstance(value, str) and (_DATE.fullmatch(value) or _DATE_TIME.fullmatch(value)):
        return value[:10]
    moment = value if isinstance(value, datetime) else date_reading.guess(value, zone)
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"


_BOOLEAN, _MOMENT, _DAY = "text to boolean", "text to date-time", "text to date"

COERCIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for function in (
            Function(_BOOLEAN, 1, 1, (TEXT,), A_BOOLEAN, to_boolean, ""),
            Function(_MOMENT, 1, 1, (TEXT,), A_TEXT, to_date_time, "", needs_zone=True),
            Function(_DAY, 1, 1, (TEXT_OR_DATE,), A_TEXT, to_date, "", needs_zone=True),
        )
    }
)
"""Functions that no expression can name; the checker puts them around a row's source."""


def fit(node: Node, shape: Shape, wanted: str | None) -> tuple[Node, Shape]:
    """A row's source as its destination wants it.

    Args:
        node: the source.
        shape: what it gives.
        wanted: ``boolean``, ``date``, ``date-time``, ``integer``, ``number``; `None`: unknown.

    Raises:
        ExpressionFailed: a constant that is none.
    """
    if isinstance(node, Literal):
        return _constant(node, shape, wanted)
    if isinstance(node, Call) and node.name in _AS_WRITTEN:
        return node, shape
    name = {
        ("boolean", Kind.TEXT): _BOOLEAN,
        ("date-time", Kind.TEXT): _MOMENT,
        ("date", Kind.TEXT): _DAY,
        ("date", Kind.DATE): _DAY,
    }.get((wanted or "", shape.kind))
    if name is None:
        return node, shape
    return Call(name, (node,), node.column, node.depth + 1), COERCIONS[name].gives([shape])


def _constant(node: Literal, shape: Shape, wanted: str | None) -> tuple[Node, Shape]:
    """Experience Platform exports every constant as text."""
    value = node.value
    if not isinstance(value, str):
        return node, shape
    if wanted == "boolean":
        return Literal(to_boolean(value), node.column), Shape(Kind.BOOLEAN)
    if wanted in {"integer", "number"}:
        if not _NUMBER.fullmatch(value) or (wanted == "integer" and "." in value):
            raise ExpressionFailed(f"the constant is no {wanted}, which the destination wants")
        made: dict[str, Callable[[str], Any]] = {"integer": int, "number": float}
        kind = {"integer": Kind.INTEGER, "number": Kind.NUMBER}[wanted]
        return Literal(made[wanted](value), node.column), Shape(kind)
    if wanted in {"date", "date-time"}:
        return _constant_date(node, value, wanted)
    return node, shape


def _constant_date(node: Literal, value: str, wanted: str) -> tuple[Node, Shape]:
    """A constant date; one without a zone is made when the zone is known."""
    name, turn = {"date": (_DAY, to_date), "date-time": (_MOMENT, to_date_time)}[wanted]
    try:
        turned = turn(UTC, value)
        datetime.fromisoformat(turned)
    except ValueError:
        raise ExpressionFailed(
            f"the constant is no {wanted}, which the destination wants"
        ) from None
    if turned == value:
        return node, TEXT_SHAPE
    return Call(name, (node,), node.column, node.depth + 1), TEXT_SHAPE
