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


class Traces(NamedTuple):
    """The traces of a request's records.

    Attributes:
        agreed: the one that the request carries on; `None` where they differ, or some have none.
        linked: those that there are, each once, in order; at most `MOST_LINKS`.
    """

    agreed: Context | None = None
    linked: tuple[Context, ...] = ()


NO_TRACES = Traces()


def context_of(headers: Headers) -> Context | None:
    """The trace that a record's headers name; `None` when they name none, or not in its form.

    Named twice it is not valid: nobody knows whose it is.
    """
    found = [value for name, value in headers if name == HEADER]
    if len(found) != 1 or found[0] is None:
        return None
    form = _FORM.fullmatch(found[0])
    if form is None or (form["version"] == b"00" and form["more"] is not None):
        return None
    sampled = bool(int(form["flags"], 16) & 1)
    return Context(form["trace"].decode(), form["parent"].decode(), sampled)


def traces_of(records: Iterable[Record]) -> Traces:
    """The traces of these records; a record may come several times."""
    contexts: dict[Context, None] = {}
    all_have_one = True
    for record in records:
        context = context_of(record.headers) if record.headers else None
        if context is None:
            all_have_one = False
        else:
            contexts[context] = None
    if not contexts:
        return NO_TRACES
    linked = tuple(contexts)
    first = linked[0]
    if not all_have_one or any(context.trace != first.trace for context in linked):
        return Traces(None, linked[:MOST_LINKS])
    sampled = any(context.sampled for context in linked)
    return Traces(first._replace(sampled=sampled), linked[:MOST_LINKS])
