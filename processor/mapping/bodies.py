"""What each function does, exactly as Adobe documents it; `functions` says who may call it how.

What Adobe leaves open is said at the function.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from processor.mapping import java_dates
from processor.mapping.failures import ExpressionFailed
from processor.mapping.values import elements, text

T = TypeVar("T")
INT_RANGE = range(-(2**31), 2**31)
TRIMMED = "".join(map(chr, range(33)))  # what Java's String.trim removes
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}\Z")
_DECIMAL = re.compile(
    r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?\Z"
)
_MAX_TEXT = 1_000_000


def concat(*parts: Any) -> str:
    """Join texts; numbers, booleans and dates as text."""
    return "".join(map(text, parts))


def _several(arguments: tuple[Any, ...]) -> Sequence[Any]:
    """The arguments, or the elements when one array is given instead."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else arguments


def first(*arguments: Any) -> Any:
    """The first argument, or element of the one array."""
    return next(iter(_several(arguments)), None)


def last(*arguments: Any) -> Any:
    """The last argument, or element of the one array."""
    several = _several(arguments)
    return several[-1] if several else None


def smallest(*arguments: Any) -> Any:
    """The least of the arguments, or of the elements of the one array."""
    return min((value for value in _several(arguments) if value is not None), default=None)


def largest(*arguments: Any) -> Any:
    """The greatest of the arguments, or of the elements of the one array."""
    return max((value for value in _several(arguments) if value is not None), default=None)


def substr(value: str, start: float, length: float) -> str:
    """Characters from `start` (from 0); what lies behind the end is left out."""
    if start < 0 or length < 0:
        raise ExpressionFailed("substr has a negative start or length")
    return value[int(start) : int(start) + int(length)]


def left(value: str, count: float) -> str:
    """The first characters."""
    return substr(value, 0, count)


def right(value: str, count: float) -> str:
    """The last characters."""
    return substr(value, max(0, len(value) - int(count)), count)


def replacestr(value: str, old: str, new: str) -> str:
    """Replace every occurrence; an empty search text replaces nothing, as in Java."""
    if not old:
        return value
    if len(value) // len(old) * len(new) > _MAX_TEXT:
        raise ExpressionFailed(f"replacestr would give more than {_MAX_TEXT} characters")
    return value.replace(old, new)


def split(value: str, separators: str) -> list[str]:
    """Split on any of the separator's characters; empty parts at the end go, as in Java."""
    expression = "|".join(re.escape(x) for x in separators.replace("\\", "") or "\\")
    parts = re.split(expression, value)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def equals_ignoring_case(left: Any, right: Any) -> bool:
    """As Java compares: character by character, so that no text equals a longer one."""
    if left is None or right is None:
        return left is right
    if left == right or len(left) != len(right):
        return bool(left == right)
    return bool(left.lower() == right.lower() or left.upper() == right.upper())


def size_of(value: Any) -> int:
    """Elements, fields or characters; of nothing 0."""
    return 0 if value is None else len(value)


def is_empty(value: Any) -> bool:
    """Whether nothing is there: null, or no elements, fields or characters."""
    return value is None or len(value) == 0


def to_object(*pairs: Any) -> dict[str, Any]:
    """An object from keys and values in turn."""
    keys, values = pairs[::2], pairs[1::2]
    if not all(isinstance(key, str) for key in keys):
        raise ExpressionFailed("a key of to_object is no text")
    return dict(zip(keys, values, strict=True))


def to_array(nulls: Any, *values: Any) -> list[Any]:
    """An array of the arguments, with or without the nulls."""
    return list(values) if nulls is True else [value for value in values if value is not None]


def add_to_array(array: Any, *values: Any) -> list[Any]:
    """The array with the values at its end."""
    return [*(array or ()), *(value for value in values if value is not None)]


def join_arrays(*arrays: Any) -> list[Any]:
    """One array of all elements."""
    return [element for array in arrays for element in elements(array)]


def join(separator: str, array: list[Any]) -> str:
    """One text of all elements that are not null."""
    return separator.join(text(element) for element in array if element is not None)


def _whole(value: Any) -> int:
    """The integer that a text or a number is; one with a fraction is refused, not cut."""
    if isinstance(value, str):
        if _WHOLE.match(value.strip()):
            return int(value)
        raise ExpressionFailed("the text is no whole number")
    if value != value // 1:
        raise ExpressionFailed("the number has a fraction")
    return int(value)


def to_integer(value: Any) -> int:
    """A whole number of 32 bits."""
    whole = _whole(value)
    if whole not in INT_RANGE:
        raise ExpressionFailed("the number does not fit into 32 bits; to_bigint takes larger ones")
    return whole


def to_decimal(value: Any) -> float:
    """A finite number."""
    if isinstance(value, str):
        if not _DECIMAL.match(value.strip()):
            raise ExpressionFailed("the text is no number")
        value = float(value)
    if value - value != 0.0:
        raise ExpressionFailed("the number is not finite")
    return float(value)


def to_bigint(value: Any) -> int | float:
    """A whole number of any size; a fraction stays, as in Adobe's own example."""
    if isinstance(value, str) and not _WHOLE.match(value.strip()):
        return to_decimal(value)
    return int(value) if isinstance(value, str) or value == value // 1 else float(value)


_CHARSETS = {"utf-8": "utf-8", "utf-16": "utf-16", "iso-8859-1": "latin-1", "us-ascii": "ascii"}


def hashed(algorithm: str) -> Callable[..., str]:
    """Make the function that hashes a text with an algorithm, in hexadecimal."""

    def digest(value: str, charset: str = "UTF-8") -> str:
        codec = _CHARSETS.get(charset.lower())
        if codec is None:
            raise ExpressionFailed(f"{algorithm} knows no such character set")
        return hashlib.new(algorithm, value.encode(codec), usedforsecurity=False).hexdigest()

    return digest


def _usable(make: Callable[[str], T], pattern: str) -> T:
    """What a pattern from the record gives; the failure must not quote it."""
    try:
        return make(pattern)
    except java_dates.PatternError:
        raise ExpressionFailed("the date pattern cannot be used") from None


def dformat(milliseconds: float, pattern: str) -> str:
    """Milliseconds since the epoch as text, in UTC."""
    return _usable(java_dates.millis_formatter, pattern)(milliseconds)


def format_date(moment: datetime, pattern: str) -> str:
    """A date as text, in its own zone."""
    return _usable(java_dates.formatter, pattern)(moment)


def date(
    zone: tzinfo, value: Any, pattern: str | None = None, default: datetime | None = None
) -> datetime | None:
    """A text as a date; the default only when the text is null."""
    if value is None or pattern is None:
        return default if value is None else _moment(value, zone, None)
    return _moment(value, zone, _usable(java_dates.reader, pattern))


def _moment(value: Any, zone: tzinfo, read: Callable[[str, tzinfo], datetime] | None) -> datetime:
    if isinstance(value, datetime):
        return value
    return java_dates.guess(value, zone) if read is None else read(value, zone)


def date_reader(pattern: str, zone: tzinfo) -> Callable[..., datetime | None]:
    """Make `date` for one pattern."""
    read = java_dates.reader(pattern)

    def date(value: Any, default: datetime | None = None) -> datetime | None:
        return default if value is None else _moment(value, zone, read)

    return date


def to_zone(moment: datetime, name: str) -> datetime:
    """The same moment in another zone."""
    try:
        return moment.astimezone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OverflowError):
        raise ExpressionFailed("there is no such time zone, or the date leaves its range") from None


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return moment.astimezone(java_dates.EPOCH.tzinfo)


def contains(value: Any) -> bool:
    """Whether the field is there and not null."""
    return value is not None
