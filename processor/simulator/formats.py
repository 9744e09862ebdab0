"""The string formats of XDM, as strict as Experience Platform's validator describes them."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime

_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]*")
_URI_REFERENCE = re.compile(r"[^\s<>\"{}|\\^`]*")

DATE_TIME_EXPECTED = (
    "[yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,9}Z,"
    " yyyy-MM-dd'T'HH:mm:ss[+-]HH:mm, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,9}[+-]HH:mm]"
)
"""What a refused date-time is told. Source: ``retrieve-failed-batches.md`` of Experience League."""


def is_date_time(text: str) -> bool:
    """Whether this is RFC 3339 with a zone, at most nine fractional digits, and a real date."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match[1])
    except ValueError:
        return False
    return True


def is_date(text: str) -> bool:
    """Whether this is ``YYYY-MM-DD`` and a real date."""
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_email(text: str) -> bool:
    """Whether this looks like an address: something, one ``@``, a host."""
    return _EMAIL.fullmatch(text) is not None


def is_uri(text: str) -> bool:
    """Whether this is a URI with a scheme."""
    return _URI.fullmatch(text) is not None


def is_uri_reference(text: str) -> bool:
    """Whether this is a URI, or a part of one."""
    return _URI_REFERENCE.fullmatch(text) is not None


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": is_date_time,
    "date": is_date,
    "email": is_email,
    "uri": is_uri,
    "uri-reference": is_uri_reference,
}
