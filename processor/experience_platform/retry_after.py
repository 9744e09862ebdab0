"""How long the other side asked us to wait: the header ``Retry-After``."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CAP_S = 3600.0
"""Longest wait that is honoured. A longer one is a mistake or an attack; asking once an hour
costs nothing."""

_MAX_DIGITS = 18


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by ``Retry-After``, at most an hour.

    Args:
        headers: of the answer; names in any case.
        now: aware; compared with an HTTP date.

    Returns:
        Seconds, 0 for a date that has passed; `None` when the header is missing or is neither
        digits nor an HTTP date (negative, fractional, text).

    Source: RFC 9110, 10.2.3.
    """
    text = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return min(CAP_S, float(text[:_MAX_DIGITS]))
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(CAP_S, max(0.0, (when - now).total_seconds()))
