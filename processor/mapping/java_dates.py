"""Java's date patterns, English and without a locale: epoch times to text, text to times.

Source of the letters: Data Prep, "Date/time format strings" (SimpleDateFormat's, where the two
differ), and ``java.time.format.DateTimeFormatter`` for the widths.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from processor.mapping.failures import ExpressionFailed, PatternError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLIS = "yyyy-MM-dd'T'HH:mm:ss.SSSX"
"""RFC 3339 in UTC with milliseconds, what XDM timestamps want."""

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])")
_ABBREVIATED, _FULL = 3, 4
_DAY_MS = 86_400_000

Formatter = Callable[[datetime], str]


class DateError(ExpressionFailed):
    """A text that is no date of the pattern, or a time that no date can hold."""


@dataclass(frozen=True, slots=True)
class _Letter:
    letter: str
    count: int


@lru_cache(maxsize=256)
def _tokens(pattern: str) -> tuple[str | _Letter, ...]:
    tokens: list[str | _Letter] = []
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise PatternError("the date pattern has a quote without an end")
        if match["letters"]:
            tokens.append(_Letter(match["letters"][0], len(match["letters"])))
        elif match["quoted"] is not None:
            tokens.append(match["quoted"].replace("''", "'") or "'")
        else:
            tokens.append(match["other"])
        position = match.end()
    return tuple(tokens)


def _padded(pick: Callable[[datetime], int]) -> Callable[[int], Formatter]:
    return lambda count: lambda moment: f"{pick(moment):0{count}d}"


def _year(count: int) -> Formatter:
    two = 2
    if count == two:
        return lambda moment: f"{moment.year % 100:02d}"
    return lambda moment: f"{moment.year:0{count}d}"


def _month(count: int) -> Formatter:
    if count < _ABBREVIATED:
        return lambda moment: f"{moment.month:0{count}d}"
    if count == _ABBREVIATED:
        return lambda moment: _MONTHS[moment.month - 1][:3]
    return lambda moment: _MONTHS[moment.month - 1]


def _weekday(count: int) -> Formatter:
    if count < _FULL:
        return lambda moment: _DAYS[moment.weekday()][:3]
    return lambda moment: _DAYS[moment.weekday()]


def _fraction(count: int) -> Formatter:
    return lambda moment: f"{moment.microsecond:06d}".ljust(count, "0")[:count]


def _offset(moment: datetime, *, colon: bool, short: bool = False) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    if short and not rest:
        return f"{sign}{hours:02d}"
    return f"{sign}{hours:02d}{':' if colon else ''}{rest:02d}"


def _iso_zone(count: int) -> Formatter:
    def zone(moment: datetime) -> str:
        if not moment.utcoffset():
            return "Z"
        return _offset(moment, colon=count >= _ABBREVIATED, short=count == 1)

    return zone


def _rfc822_zone(count: int) -> Formatter:
    return lambda moment: _offset(moment, colon=count > _FULL)


def _quarter(count: int) -> Formatter:
    if count < _ABBREVIATED:
        return lambda moment: f"{(moment.month + 2) // 3:0{count}d}"
    return lambda moment: f"Q{(moment.month + 2) // 3}"


_LETTERS: dict[str, Callable[[int], Formatter]] = {
    "y": _year,
    "M": _month,
    "L": _month,
    "d": _padded(lambda m: m.day),
    "D": _padded(lambda m: m.timetuple().tm_yday),
    "E": _weekday,
    "u": _padded(lambda m: m.isoweekday()),
    "a": lambda _: lambda m: "AM" if m.hour < 12 else "PM",  # noqa: PLR2004  noon
    "H": _padded(lambda m: m.hour),
    "k": _padded(lambda m: m.hour or 24),
    "K": _padded(lambda m: m.hour % 12),
    "h": _padded(lambda m: m.hour % 12 or 12),
    "m": _padded(lambda m: m.minute),
    "s": _padded(lambda m: m.second),
    "S": _fraction,
    "Z": _rfc822_zone,
    "X": _iso_zone,
    "Q": _quarter,
    "q": _quarter,
}


@lru_cache(maxsize=256)
def formatter(pattern: str) -> Formatter:
    """Make a function from a moment with a zone to its text.

    Raises:
        PatternError: the pattern holds a letter that is not supported.
    """
    pieces = [
        (lambda _, text=token: text) if isinstance(token, str) else _of_letter(token)
        for token in _tokens(pattern)
    ]
    return lambda moment: "".join([piece(moment) for piece in pieces])


def _of_letter(token: _Letter) -> Formatter:
    make = _LETTERS.get(token.letter)
    if make is None:
        raise PatternError(
            f"the letter {token.letter!r} of date patterns is not supported here; "
            f"supported are {''.join(_LETTERS)}"
        )
    return make(token.count)


def from_millis(milliseconds: float) -> datetime:
    """The moment in UTC of milliseconds since the epoch, exactly.

    Raises:
        DateError: it lies outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        raise DateError("the time lies outside the years 1 to 9999") from None


@lru_cache(maxsize=1024)
def _day(days: int) -> str:
    try:
        return (EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        raise DateError("the time lies outside the years 1 to 9999") from None


def _format_millis_utc(milliseconds: float) -> str:
    """`MILLIS` without a detour over `datetime`: every event has a time."""
    days, rest = divmod(int(milliseconds), _DAY_MS)
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day(days)}T{hour:02d}:{minute:02d}:{second:02d}.{millis:03d}Z"


@lru_cache(maxsize=256)
def millis_formatter(pattern: str) -> Callable[[float], str]:
    """Make a function from milliseconds since the epoch to text, in UTC (Data Prep's `dformat`).

    Raises:
        PatternError: the pattern holds a letter that is not supported.
    """
    if pattern in {MILLIS, f"{MILLIS}X", f"{MILLIS}XX"}:  # one, two or three X: in UTC all are Z
        return _format_millis_utc
    of_moment = formatter(pattern)
    return lambda milliseconds: of_moment(from_millis(milliseconds))


def iso(moment: datetime) -> str:
    """RFC 3339 as Java writes a ZonedDateTime: no fraction when it is zero, ``Z`` for UTC."""
    if not moment.microsecond:
        fraction = ""
    elif moment.microsecond % 1000:
        fraction = f".{moment.microsecond:06d}"
    else:
        fraction = f".{moment.microsecond // 1000:03d}"
    zone = _iso_zone(_ABBREVIATED)(moment)
    day = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    return f"{day}T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}{fraction}{zone}"


_NUMBERS = {"d", "D", "H", "k", "K", "h", "m", "s"}
_READS = {"y", "M", "L", "E", "a", "S", "Z", "X", *(_NUMBERS - {"D"})}


def _read_pattern(token: str | _Letter) -> str:
    if isinstance(token, str):
        return re.escape(token)
    letter, count = token.letter, token.count
    if letter not in _READS:
        raise PatternError(f"dates cannot be read with the letter {letter!r} of date patterns")
    letter = "M" if letter == "L" else letter
    if letter == "y":
        digits = r"[0-9]{2}" if count == 2 else r"[0-9]{4}"  # noqa: PLR2004  yy
        return f"(?P<{'Y' if '2' in digits else 'y'}>{digits})"
    if letter == "M" and count >= _ABBREVIATED:
        names = (name[:3] if count == _ABBREVIATED else name for name in _MONTHS)
        return f"(?P<N>{'|'.join(names)})"
    if letter == "E":
        return "(?:" + "|".join(name[:3] if count < _FULL else name for name in _DAYS) + ")"
    if letter == "a":
        return "(?P<a>AM|PM)"
    if letter == "S":
        return f"(?P<S>[0-9]{{{count}}})"
    if letter in "ZX":
        utc = "Z|" if letter == "X" else ""
        minutes = {1: "(?:[0-5][0-9])?", 2: "[0-5][0-9]"}.get(count, ":[0-5][0-9]")
        rest = "[0-5][0-9]" if letter == "Z" and count < _FULL else minutes
        return f"(?P<zone>{utc}[+-][0-9]{{2}}{rest})"
    return f"(?P<{letter}>[0-9]{{{count if count > 1 else '1,2'}}})"


def _expression(pattern: str) -> re.Pattern[str]:
    source = "".join(_read_pattern(token) for token in _tokens(pattern))
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
    names = [month[:3].lower() for month in _MONTHS]
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
            tzinfo=_zone(parts.get("zone"), zone),
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
