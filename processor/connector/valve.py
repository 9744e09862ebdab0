"""Back-pressure: no more records than memory was promised for."""

from collections.abc import Callable, Iterable

from processor.connector.ledger import Ledger
from processor.record import TopicPartition
from processor.settings import DeliverySettings

IN_FLIGHT_BYTES = 64 * 1024 * 1024
"""Bytes of records in flight and of their messages at which no more are wanted, for one task."""

MADE_BYTES = IN_FLIGHT_BYTES // 2
"""Bytes of messages beyond which no more are made; one record may go over it."""

REQUESTS_AHEAD = 2
"""Records in flight are at most this many times what all requests in flight could hold."""


class Valve:
    """Closes when enough is in flight, and opens again when half of it has ended.

    Args:
        turn: called with whether more records are wanted, each time that changes.
        rest: called with the partitions of which no more are wanted, each time that changes.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        max_records: int,
        max_bytes: int,
        turn: Callable[[bool], None],
        rest: Callable[[Iterable[TopicPartition]], None],
        max_made_bytes: int = MADE_BYTES,
    ) -> None:
        self._ledger = ledger
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_made_bytes = max_made_bytes
        self._turn = turn
        self._rest = rest
        self._open = True
        self._resting: frozenset[TopicPartition] = frozenset()

    def has_room(self) -> bool:
        """Whether more messages may be made of the records in flight."""
        return self._ledger.made_bytes < self._max_made_bytes

    def check(self) -> None:
        """Look at what is in flight, and turn if need be."""
        count, size = self._ledger.in_flight_count, self._ledger.in_flight_bytes
        if self._open:
            if count >= self._max_records or size >= self._max_bytes:
                self._open = False
                self._turn(False)  # noqa: FBT003 - the valve's two positions
        elif 2 * count <= self._max_records and 2 * size <= self._max_bytes:
            self._open = True
            self._turn(True)  # noqa: FBT003
        if self._ledger.full != self._resting:
            self._resting = frozenset(self._ledger.full)
            self._rest(self._resting)


def most_in_flight(settings: DeliverySettings) -> int:
    """Records that one task holds at most: the formula of the documentation's memory bound."""
    return REQUESTS_AHEAD * settings.batch_max_records * settings.max_in_flight
