"""Parts of dates: read one, change one, make a date of all."""

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from processor.mapping.failures import ExpressionFailed, PatternError

_NAMES = {
    "year": ("year", "yyyy", "yy"),
    "quarter": ("quarter", "qq", "q"),
    "month": ("month", "mm", "m"),
    "dayofyear": ("dayofyear", "dy", "y"),
    "day": ("day", "dd", "d"),
    "week": ("week", "ww", "w"),  # Adobe lists `w` for the weekday, too
    "weekday": ("weekday", "dw"),
    "hour": ("hour", "hh", "hh24"),
    "hour12": ("hh12",),
    "minute": ("minute", "mi", "n"),
    "second": ("second", "ss", "s"),
    "millisecond": ("millisecond", "ms"),
}
_PARTS = {name: part for part, names in _NAMES.items() for name in names}
_READ: dict[str, Callable[[datetime], int]] = {
    "year": lambda moment: moment.year,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "month": lambda moment: moment.month,
    "dayofyear": lambda moment: moment.timetuple().tm_yday,
    "day": lambda moment: moment.day,
    "week": lambda moment: moment.isocalendar().week,
    "weekday": lambda moment: moment.isoweekday(),
    "hour": lambda moment: moment.hour,
    "hour12": lambda moment: moment.hour % 12 or 12,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
    "millisecond": lambda moment: moment.microsecond // 1000,
}
_SETTABLE = frozenset({"year", "month", "day", "hour", "minute", "second"})


def _part(name: str) -> str:
    part = _PARTS.get(name.lower())
    if part is None:
        raise PatternError(f"there is no such part of a date; there are {', '.join(_PARTS)}")
    return part


def _settable(name: str) -> str:
    part = _part(name)
    if part not in _SETTABLE:
        raise PatternError(f"this part of a date cannot be set; {', '.join(sorted(_SETTABLE))} can")
    return part


def zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database.

    Raises:
        PatternError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PatternError("there is no such time zone; name one such as Europe/Paris") from None


def date_part(name: str, moment: datetime) -> int:
    """One part of a date, in the date's own zone; Monday is weekday 1, weeks are ISO's."""
    return _READ[_part(name)](moment)


def part_reader(name: str, _: tzinfo) -> Callable[[datetime], int]:
    """Make `date_part` for one part."""
    return _READ[_part(name)]


def _set(part: str, value: float, moment: datetime) -> datetime:
    if value != value // 1:
        raise ExpressionFailed("a part of a date is a whole number")
    year, month, day = moment.year, moment.month, moment.day
    if part in {"year", "month"}:
        year, month = (int(value), month) if part == "year" else (year, int(value))
        if not 1 <= month <= 12 or not 1 <= year <= 9999:  # noqa: PLR2004  a year's months
            raise ExpressionFailed("there is no date with this part")
        return moment.replace(year=year, month=month, day=min(day, monthrange(year, month)[1]))
    change = {part: int(value)}
    try:
        return moment.replace(**change)  # type: ignore[arg-type]  # the key is one of datetime's
    except (ValueError, OverflowError):
        raise ExpressionFailed("there is no date with this part") from None


def set_date_part(name: str, value: float, moment: datetime) -> datetime:
    """The date with one part changed; a day that the month lacks becomes its last, as in Java."""
    return _set(_settable(name), value, moment)


def part_setter(name: str, _: tzinfo) -> Callable[[float, datetime], datetime]:
    """Make `set_date_part` for one part."""
    return partial(_set, _settable(name))


def _make(zone: tzinfo, *parts: float) -> datetime:
    if any(part != part // 1 for part in parts):
        raise ExpressionFailed("a part of a date is a whole number")
    year, month, day, hour, minute, second, nanosecond = map(int, parts)
    if not 0 <= nanosecond < 1_000_000_000:  # noqa: PLR2004  a second's
        raise ExpressionFailed("nanoseconds lie between 0 and 999999999")
    try:
        moment = datetime(year, month, day, hour, minute, second, nanosecond // 1000, tzinfo=zone)
        return moment.astimezone(UTC).astimezone(zone)  # out of the hour that clocks skip
    except (ValueError, OverflowError):
        raise ExpressionFailed("the parts make no date") from None


def make_date_time(*parts_and_zone: float | str) -> datetime:
    """A date of year, month, day, hour, minute, second, nanosecond and zone.

    Adobe's list of parameters leaves the second out, its syntax and its example have it. The
    nanoseconds are cut to microseconds.
    """
    *parts, name = parts_and_zone
    return _make(zone(str(name)), *map(float, parts))


def date_maker(name: str, _: tzinfo) -> Callable[..., datetime]:
    """Make `make_date_time` for one zone."""
    return partial(_make, zone(name))


def to_zone(moment: datetime, name: str) -> datetime:
    """The same moment in another zone."""
    return _in_zone(zone(name), moment)


def zone_mover(name: str, _: tzinfo) -> Callable[[datetime], datetime]:
    """Make `to_zone` for one zone."""
    return partial(_in_zone, zone(name))


def _in_zone(there: tzinfo, moment: datetime) -> datetime:
    try:
        return moment.astimezone(there)
    except OverflowError:
        raise ExpressionFailed("the date leaves the years 1 to 9999") from None


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC."""
    return _in_zone(UTC, moment)
