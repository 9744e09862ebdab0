"""Java's date patterns, English and without a locale: epoch times and moments to text.

Source of the letters: Data Prep, "Date/time format strings" (SimpleDateFormat's, where the two
differ), and ``java.time.format.DateTimeFormatter`` for the widths.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from processor.mapping.failures import ExpressionFailed, PatternError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLIS = "yyyy-MM-dd'T'HH:mm:ss.SSSX"
"""RFC 3339 in UTC with milliseconds, what XDM timestamps want."""

MONTHS = [
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
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])")
ABBREVIATED, FULL = 3, 4
_DAY_MS = 86_400_000

Formatter = Callable[[datetime], str]


class DateError(ExpressionFailed):
    """A text that is no date of the pattern, or a time that no date can hold."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of a pattern, and how often it stands there."""

    letter: str
    count: int


@lru_cache(maxsize=256)
def tokens(pattern: str) -> tuple[str | Letter, ...]:
    """The letters and the texts of a pattern.

    Raises:
        PatternError: a quote has no end.
    """
    found: list[str | Letter] = []
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise PatternError("the date pattern has a quote without an end")
        if match["letters"]:
            found.append(Letter(match["letters"][0], len(match["letters"])))
        elif match["quoted"] is not None:
            found.append(match["quoted"].replace("''", "'") or "'")
        else:
            found.append(match["other"])
        position = match.end()
    return tuple(found)


def _padded(pick: Callable[[datetime], int]) -> Callable[[int], Formatter]:
    return lambda count: lambda moment: f"{pick(moment):0{count}d}"


def _year(count: int) -> Formatter:
    two = 2
    if count == two:
        return lambda moment: f"{moment.year % 100:02d}"
    return lambda moment: f"{moment.year:0{count}d}"


def _month(count: int) -> Formatter:
    if count < ABBREVIATED:
        return lambda moment: f"{moment.month:0{count}d}"
    if count == ABBREVIATED:
        return lambda moment: MONTHS[moment.month - 1][:3]
    return lambda moment: MONTHS[moment.month - 1]


def _weekday(count: int) -> Formatter:
    if count < FULL:
        return lambda moment: DAYS[moment.weekday()][:3]
    return lambda moment: DAYS[moment.weekday()]


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
        return _offset(moment, colon=count >= ABBREVIATED, short=count == 1)

    return zone


def _rfc822_zone(count: int) -> Formatter:
    return lambda moment: _offset(moment, colon=count > FULL)


def _quarter(count: int) -> Formatter:
    if count < ABBREVIATED:
        return lambda moment: f"{(moment.month + 2) // 3:0{count}d}"
    return lambda moment: f"Q{(moment.month + 2) // 3}"


def _gmt_offset(count: int) -> Formatter:
    def zone(moment: datetime) -> str:
        if not moment.utcoffset():
            return "GMT"
        if count >= FULL:
            return "GMT" + _offset(moment, colon=True)
        text = _offset(moment, colon=True, short=True)
        return f"GMT{text[0]}{text[1:].removeprefix('0')}"

    return zone


def _zone_id(moment: datetime) -> str:
    key = getattr(moment.tzinfo, "key", None)
    return key if isinstance(key, str) else _iso_zone(ABBREVIATED)(moment)


def _zone_name(moment: datetime) -> str:
    name = moment.tzname() or ""
    return name if name.isalpha() else _gmt_offset(FULL)(moment)


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
    "F": _padded(lambda m: (m.day + 6) // 7),
    "G": lambda count: lambda _: "Anno Domini" if count == FULL else "AD",
    "O": _gmt_offset,
    "V": lambda _: _zone_id,
    "z": lambda _: _zone_name,
}


@lru_cache(maxsize=256)
def formatter(pattern: str) -> Formatter:
    """Make a function from a moment with a zone to its text.

    Raises:
        PatternError: the pattern holds a letter that is not supported.
    """
    pieces = [
        (lambda _, text=token: text) if isinstance(token, str) else _of_letter(token)
        for token in tokens(pattern)
    ]
    return lambda moment: "".join([piece(moment) for piece in pieces])


def _of_letter(token: Letter) -> Formatter:
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
    zone = _iso_zone(ABBREVIATED)(moment)
    day = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    return f"{day}T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}{fraction}{zone}"
