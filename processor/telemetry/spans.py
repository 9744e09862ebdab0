"""What is told of each request to whoever collects traces: nothing, unless somebody asks for it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from processor.record import Record
from processor.telemetry.logs import get_logger
from processor.telemetry.traces import agreed

log = get_logger(__name__)

WANTED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Sent(Protocol):
    """A request that is under way."""

    @property
    def traceparent(self) -> str:
        """The header that the request goes out with; empty: none."""
        ...

    def answered(self, label: str) -> None:
        """Say what it came to: an HTTP status, or the kind of failure."""
        ...


class Spans(Protocol):
    """Where requests are told of."""

    def request(self, target: str, records: Sequence[Record]) -> AbstractContextManager[Sent]:
        """A request with messages of these records, from its beginning to its answer."""
        ...

    def close(self) -> None:
        """Hand on what was not yet, for two seconds at most."""
        ...


class _Carried:
    """A request that carries on what its records agree on, and is told of nowhere."""

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def answered(self, label: str) -> None:
        pass


class NoSpans:
    """Nobody collects traces; those of the records are carried on all the same."""

    @contextmanager
    def request(self, target: str, records: Sequence[Record]) -> Iterator[Sent]:
        """The trace that all records agree on goes out with the request."""
        del target
        yield _Carried(str(agreed(records) or ""))

    def close(self) -> None:
        """There is nothing to hand on."""


def open_spans(name: str, environ: Mapping[str, str] = os.environ) -> Spans:
    """Spans for OpenTelemetry where its own variables say where to, else none.

    Args:
        name: of the connector; the service's, unless ``OTEL_SERVICE_NAME`` gives another.
        environ: `WANTED_BY` switch it on, ``OTEL_SDK_DISABLED=true`` off. What else OpenTelemetry
            reads from the environment, it reads itself.
    """
    if not any(environ.get(variable) for variable in WANTED_BY):
        return NoSpans()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NoSpans()
    try:
        from processor.telemetry.otel import exported  # noqa: PLC0415 - an optional extra
    except ImportError:
        log.warning(
            "Traces are asked for, but the extra otel is not installed; none are exported.",
            variables=[variable for variable in WANTED_BY if environ.get(variable)],
        )
        return NoSpans()
    return exported(name, environ)
