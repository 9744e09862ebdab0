"""What functions do with texts, numbers, arrays and dates, as Adobe documents it.

What Adobe leaves open is said at the function; who may call it how, in `functions`.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, TypeVar

from processor.mapping import date_reading, java_dates
from processor.mapping.failures import ExpressionFailed, PatternError
from processor.mapping.values import elements, text

T = TypeVar("T")
INT_RANGE = range(-(2**31), 2**31)
TRIMMED = "".join(map(chr, range(33)))  # what Java's String.trim removes
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}\Z")
_DECIMAL = re.compile(
    r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?\Z"
)
_MAX_TEXT = 1_000_000
"""Characters that a function may give; what is larger is no field, and ten of it fill a task."""


def _bounded(characters: int, name: str) -> None:
    if characters > _MAX_TEXT:
        raise ExpressionFailed(f"{name} would give more than {_MAX_TEXT} characters")


def concat(*parts: Any) -> str:
    """Join texts; numbers, booleans and dates as text."""
    texts = [text(part) for part in parts]
    _bounded(sum(map(len, texts)), "concat")
    return "".join(texts)


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


def trim(value: str) -> str:
    """Without the characters at both ends that Java's ``trim`` removes."""
    return value.strip(TRIMMED)


def ltrim(value: str) -> str:
    """`trim` of the beginning."""
    return value.lstrip(TRIMMED)


def rtrim(value: str) -> str:
    """`trim` of the end."""
    return value.rstrip(TRIMMED)


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
    _bounded(len(value) // len(old) * len(new), "replacestr")
    return value.replace(old, new)


def instr(value: str, part: str, start: float = 0, occurrence: float = 1) -> int:
    """Where a part begins (from 0), or -1; occurrences do not overlap."""
    if occurrence < 1:
        raise ExpressionFailed("instr counts occurrences from 1")
    if not part:
        return min(max(0, int(start)), len(value)) if occurrence < 2 else -1  # noqa: PLR2004
    position = max(0, int(start)) - len(part)
    for _ in range(min(int(occurrence), len(value) + 1)):
        position = value.find(part, position + len(part))
        if position < 0:
            return -1
    return position


def _padding(value: Any, count: Any, padding: Any, name: str) -> str:
    _bounded(count, name)
    missing = int(count) - len(value or "")
    pattern = padding or " "
    return (pattern * (missing // len(pattern) + 1))[:missing] if missing > 0 else ""


def lpad(value: Any, count: Any, padding: Any) -> str | None:
    """The text with padding before it; one that is long enough stays as it is."""
    return None if count is None else _padding(value, count, padding, "lpad") + (value or "")


def rpad(value: Any, count: Any, padding: Any) -> str | None:
    """The text with padding behind it; one that is long enough stays as it is."""
    return None if count is None else (value or "") + _padding(value, count, padding, "rpad")


def split(value: str, separators: str) -> list[str]:
    """Split on any of the separator's characters; empty parts at the end go, as in Java."""
    expression = "|".join(re.escape(x) for x in separators.replace("\\", "") or "\\")
    parts = re.split(expression, value)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def equals(left: Any, right: Any) -> bool:
    """Whether two texts are the same; null equals null."""
    return bool(left == right)


def equals_ignoring_case(left: Any, right: Any) -> bool:
    """As Java compares: character by character, so that no text equals a longer one."""
    if left is None or right is None:
        return left is right
    if left == right or len(left) != len(right):
        return bool(left == right)
    return bool(left.lower() == right.lower() or left.upper() == right.upper())


def unchanged(array: Any, _: Any = None) -> Any:
    """The array itself."""
    return array


def size_of(value: Any) -> int:
    """Elements, fields or characters; of nothing 0."""
    return 0 if value is None else len(value)


def is_empty(value: Any) -> bool:
    """Whether nothing is there: null, or no elements, fields or characters."""
    return value is None or len(value) == 0


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
    texts = [text(element) for element in array if element is not None]
    _bounded(sum(map(len, texts)) + len(separator) * len(texts), "join")
    return separator.join(texts)


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


_CHARSETS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16-be",  # as Java's, behind a mark of the byte order
    "iso-8859-1": "latin-1",
    "us-ascii": "ascii",
}
_MARK = b"\xfe\xff"
_DIGESTS: dict[str, Callable[[bytes], str]] = {
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "sha512": lambda data: hashlib.sha512(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    # The least byte comes first, as in Adobe's example.
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "little").hex(),
}


def _codec(charset: str) -> str:
    codec = _CHARSETS.get(charset.lower())
    if codec is None:
        raise PatternError(f"there is no such character set; there are {', '.join(_CHARSETS)}")
    return codec


def _digest(digest: Callable[[bytes], str], codec: str, value: str) -> str:
    return digest((_MARK if codec == "utf-16-be" else b"") + value.encode(codec))


def hashed(algorithm: str) -> Callable[..., str]:
    """Make the function that hashes a text with an algorithm, in hexadecimal."""
    digest = _DIGESTS[algorithm]

    def of_text(value: str, charset: str = "UTF-8") -> str:
        return _digest(digest, _codec(charset), value)

    return of_text


def hasher(algorithm: str) -> Callable[[str, tzinfo], Callable[[str], str]]:
    """Make `hashed` for one character set."""
    return lambda charset, _: partial(_digest, _DIGESTS[algorithm], _codec(charset))


def _usable(make: Callable[[str], T], pattern: str) -> T:
    """What a pattern from the record gives; the failure must not quote it."""
    try:
        return make(pattern)
    except PatternError:
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
    return _moment(value, zone, _usable(date_reading.reader, pattern))


def _moment(value: Any, zone: tzinfo, read: Callable[[str, tzinfo], datetime] | None) -> datetime:
    if isinstance(value, datetime):
        return value
    return date_reading.guess(value, zone) if read is None else read(value, zone)


def date_reader(pattern: str, zone: tzinfo) -> Callable[..., datetime | None]:
    """Make `date` for one pattern."""
    read = date_reading.reader(pattern)

    def date(value: Any, default: datetime | None = None) -> datetime | None:
        return default if value is None else _moment(value, zone, read)

    return date


def contains(value: Any) -> bool:
    """Whether the field is there and not null."""
    return value is not None
