"""What is told of each request to whoever collects traces; here to nobody."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from processor.record import Record
from processor.telemetry.traces import agreed


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
