"""What trace a request belongs to, by the ``traceparent`` of the records in it (pure).

A request carries messages of up to 500 records, and one header. So it carries a trace on only where
all of its records agree on it. `tracestate` is not carried on: it belongs to whoever wrote it.

Source: W3C Trace Context, 3.2 (https://www.w3.org/TR/trace-context/#traceparent-header).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from processor.record import Headers, Record

HEADER = "traceparent"
MOST_LINKS = 128
"""Of a span's links OpenTelemetry keeps as many."""

# A later version may add to the end; what stands before keeps its meaning.
_FORM = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})"
    rb"-(?!0{16})(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


class Context(NamedTuple):
    """Where in a trace a record was produced.

    Attributes:
        trace: 32 hexadecimal digits.
        parent: the producer's span, 16 hexadecimal digits.
        sampled: whether the producer records the trace.
    """

    trace: str
    parent: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.parent}-{'01' if self.sampled else '00'}"


def context_of(headers: Headers) -> Context | None:
    """The trace that a record's headers name; `None` when they name none, or not in its form.

    Named twice it is not valid: nobody knows whose it is.
    """
    value = _value(headers)
    return None if value is None else _read(value)


def agreed(records: Iterable[Record]) -> Context | None:
    """The one trace that all of these records belong to; `None` where there is none.

    Where their spans differ it is the first one's. Looks no further than the first record that
    disagrees: of the records of a topic, most have a trace of their own, or none.
    """
    first: Context | None = None
    seen: set[bytes] = set()
    for record in records:
        value = _value(record.headers) if record.headers else None
        if value is None:
            return None
        if value in seen:
            continue
        seen.add(value)
        context = _read(value)
        if context is None or (first is not None and context.trace != first.trace):
            return None
        sampled = context.sampled or (first is not None and first.sampled)
        first = (first or context)._replace(sampled=sampled)
    return first


def linked(records: Iterable[Record]) -> tuple[Context, ...]:
    """The spans that produced these records, each once, in order; at most `MOST_LINKS`."""
    contexts: dict[Context, None] = {}
    for record in records:
        context = context_of(record.headers)
        if context is not None:
            contexts[context] = None
            if len(contexts) == MOST_LINKS:
                break
    return tuple(contexts)


def _value(headers: Headers) -> bytes | None:
    found: bytes | None = None
    for name, value in headers:
        if name == HEADER:
            if found is not None or value is None:
                return None
            found = value
    return found


def _read(value: bytes) -> Context | None:
    form = _FORM.fullmatch(value)
    if form is None or (form["version"] == b"00" and form["more"] is not None):
        return None
    sampled = bool(int(form["flags"], 16) & 1)
    return Context(form["trace"].decode(), form["parent"].decode(), sampled)
