"""Numbers, times and texts as the pages show them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from markupsafe import Markup

from processor.settings.masking import printable

MINUTE, HOUR, DAY = 60, 3600, 86_400
UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
THOUSAND = 1000
NOTHING = "\N{EN DASH}"
TEN = 10


def shown(value: Any) -> Any:
    """A value of a template: text without characters that steer or hide what is read."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return "" if value is None else value


def number(value: float | None) -> str:
    """A number with thin groups of digits; a dash for none."""
    if value is None:
        return NOTHING
    rounded = round(value)
    if abs(value) < TEN and abs(value - rounded) > 1 / THOUSAND:
        return f"{value:.1f}"
    return f"{rounded:,}".replace(",", "\u2009")


def span(seconds: float | None) -> str:
    """A duration in its two largest units."""
    if seconds is None:
        return NOTHING
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in UNITS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size}\u00a0{unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])


def moment(text: str | None) -> datetime | None:
    """A time in RFC 3339; `None` when it is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def utc(text: str | None) -> str:
    """A time in RFC 3339 as people write it, in UTC."""
    found = moment(text)
    return NOTHING if found is None else f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long ago a time in RFC 3339 was, in its largest unit."""
    found = moment(text)
    if found is None:
        return "at an unknown time"
    seconds = int(((now or datetime.now(UTC)) - found).total_seconds())
    if abs(seconds) < TEN:
        return "just now"
    size, unit = next(((s, u) for s, u in UNITS if abs(seconds) >= s), UNITS[-1])
    count = abs(seconds) // size
    return f"{count}\u00a0{unit} ago" if seconds > 0 else f"in {count}\u00a0{unit}"


def counted(count: float, one: str, more: str = "") -> str:
    """A number with its noun: ``1 letter``, ``2 letters``."""
    return f"{number(count)} {one if count == 1 else more or one + 's'}"


def path(*parts: Any) -> str:
    """A path of ours; whatever the parts hold, they stay parts."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def as_json(value: Any) -> str:
    """A document to be read: indented, lines kept, steering characters spelt out."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_plain).decode()
    # Its lines are ours; what a string holds of line breaks, JSON has escaped already.
    return Markup("\n").join(printable(line) for line in text.split("\n"))


def lines(text: str | None) -> str:
    """A text of several lines, such as a stack trace."""
    return Markup("\n").join(printable(line) for line in (text or "").splitlines())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    return str(value)
