"""Texts to moments: by one of Java's date patterns, or by the first of the known ones that fits."""

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from processor.mapping.failures import PatternError
from processor.mapping.java_dates import ABBREVIATED, DAYS, FULL, MONTHS, DateError, Letter, tokens

_FROM_GMT = re.compile(r"(?:GMT|UTC|Z)?(?:([+-])([0-9]{1,2})(?::?([0-9]{2}))?)?", re.IGNORECASE)
_NUMBERS = {"d", "D", "H", "k", "K", "h", "m", "s"}
_READS = {"y", "M", "L", "E", "a", "S", "Z", "X", "O", "V", "z", *(_NUMBERS - {"D"})}


def _read_pattern(token: str | Letter) -> str:
    if isinstance(token, str):
        return re.escape(token)
    letter, count = token.letter, token.count
    if letter not in _READS:
        raise PatternError(f"dates cannot be read with the letter {letter!r} of date patterns")
    letter = "M" if letter == "L" else letter
    if letter == "y":
        digits = r"[0-9]{2}" if count == 2 else r"[0-9]{4}"  # noqa: PLR2004  yy
        return f"(?P<{'Y' if '2' in digits else 'y'}>{digits})"
    if letter == "M" and count >= ABBREVIATED:
        names = (name[:3] if count == ABBREVIATED else name for name in MONTHS)
        return f"(?P<N>{'|'.join(names)})"
    if letter == "E":
        return "(?:" + "|".join(name[:3] if count < FULL else name for name in DAYS) + ")"
    if letter == "a":
        return "(?P<a>AM|PM)"
    if letter == "S":
        return f"(?P<S>[0-9]{{{count}}})"
    if letter in "OVz":
        return r"(?P<place>[A-Z][A-Z0-9_/+:-]{1,40}|Z|[+-][0-9]{2}:[0-9]{2})"
    if letter in "ZX":
        utc = "Z|" if letter == "X" else ""
        minutes = {1: "(?:[0-5][0-9])?", 2: "[0-5][0-9]"}.get(count, ":[0-5][0-9]")
        rest = "[0-5][0-9]" if letter == "Z" and count < FULL else minutes
        return f"(?P<zone>{utc}[+-][0-9]{{2}}{rest})"
    return f"(?P<{letter}>[0-9]{{{count if count > 1 else '1,2'}}})"


def _expression(pattern: str) -> re.Pattern[str]:
    source = "".join(_read_pattern(token) for token in tokens(pattern))
    try:
        return re.compile(source, re.IGNORECASE | re.ASCII)
    except re.error:
        raise PatternError("the date pattern names one part twice") from None


@lru_cache(maxsize=256)
def reader(pattern: str) -> Callable[[str, tzinfo], datetime]:
    """Make a function from a text and the zone it is in (unless it says so itself) to a moment.

    Raises:
        PatternError: dates cannot be read with this pattern.
    """
    expression = _expression(pattern)

    def read(text: str, zone: tzinfo) -> datetime:
        match = expression.fullmatch(text)
        if match is None:
            raise DateError("the text is no date of the pattern")
        return _moment(match.groupdict(), zone)

    return read


def _from_24(hour: int) -> int:
    """Java's ``k`` counts from 1; its 24 is midnight."""
    return 0 if hour == 24 else hour  # noqa: PLR2004


def _moment(parts: dict[str, str | None], zone: tzinfo) -> datetime:
    def part(*letters: str, default: int) -> int:
        return next((int(value) for x in letters if (value := parts.get(x))), default)

    year = part("y", default=2000 + part("Y", default=-30))
    name = parts.get("N")
    names = [month[:3].lower() for month in MONTHS]
    month = names.index(name[:3].lower()) + 1 if name else part("M", default=1)
    hour = part("H", "K", "h", default=_from_24(part("k", default=24)))
    if parts.get("a"):
        hour = hour % 12 + (12 if (parts["a"] or "").upper() == "PM" else 0)
    microsecond = int((parts.get("S") or "0")[:6].ljust(6, "0"))
    try:
        return datetime(
            year,
            month,
            part("d", default=1),
            hour,
            part("m", default=0),
            part("s", default=0),
            microsecond,
            tzinfo=_place(parts.get("place"), _zone(parts.get("zone"), zone)),
        )
    except ValueError:
        raise DateError("the text has the form of a date but is none") from None


def _zone(text: str | None, default: tzinfo) -> tzinfo:
    if text is None:
        return default
    if text in {"Z", "z"}:
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _place(text: str | None, default: tzinfo) -> tzinfo:
    """A zone by its name, or by an offset from GMT; names such as PST stand for several."""
    if text is None:
        return default
    match = _FROM_GMT.fullmatch(text)
    if match is not None:
        offset = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DateError("there is no such time zone") from None


KNOWN_FORMATS = (
    "yyyy-MM-dd HH:mm:ssZ",
    "yyyy-MM-dd HH:mm:ss.SSSZ",
    "yyyy-MM-dd HH:mm:ss.SSS",
    "yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "yyyy-MM-dd",
    "yyyy/MM/dd",
    "yyyy.MM.dd",
    "yyyy-MMM-dd",
    "yyyyMMdd",
    "MM-dd-yyyy",
    "MMddyyyy",
    "M/dd/yyyy",
    "dd.M.yyyy",
    "M/dd/yyyy hh:mm:ss a",
    "dd.M.yyyy hh:mm:ss a",
    "dd.MMM.yyyy",
    "dd-MMM-yyyy",
    # Not on Adobe's list, but in the examples of its functions:
    "yyyy-MM-dd HH:mm:ss",
    "yyyy-MM-dd HH:mm",
    "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",  # X, XX and XXX: Java's letters for an offset
    "yyyy-MM-dd'T'HH:mm:ssXXX",  # likewise
    # In neither; ISO 8601 as Java writes a time without a zone, or with an offset without a colon:
    "yyyy-MM-dd'T'HH:mm:ss",
    "yyyy-MM-dd'T'HH:mm:ssZ",
)
"""Tried in this order when `date` has no format; the first that fits wins.

Source: Data Prep, "Date function conversions".
"""


_GUESSES = [
    (_expression(pattern), UTC if pattern.endswith("'Z'") else None) for pattern in KNOWN_FORMATS
]


def guess(text: str, zone: tzinfo) -> datetime:
    """Read a date by the first known format that fits.

    Raises:
        DateError: none fits.
    """
    for expression, own_zone in _GUESSES:
        match = expression.fullmatch(text)
        if match is not None:
            with contextlib.suppress(DateError):
                return _moment(match.groupdict(), own_zone or zone)
    raise DateError("the text fits none of Data Prep's date formats; say the format in date()")
