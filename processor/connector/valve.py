"""Back-pressure: no more records than memory was promised for."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from processor.connector.ledger import Ledger
from processor.record import TopicPartition
from processor.settings import DeliverySettings

IN_FLIGHT_BYTES = 64 * 1024 * 1024
"""Bytes of records in flight and of their messages at which no more are wanted, for one task."""

MADE_BYTES = IN_FLIGHT_BYTES // 2
"""Bytes of messages beyond which no more are made; one record may go over it."""

REQUESTS_AHEAD = 2
"""Records in flight are at most this many times what all requests in flight could hold."""


class Parking(Protocol):
    """Records in flight that wait for something before they can be sent."""

    @property
    def parked(self) -> Mapping[TopicPartition, int]:
        """How many, by partition."""

    def parked_bytes(self, partition: TopicPartition) -> int:
        """Their bytes, of one partition."""


class Valve:
    """Closes when enough is in flight, and opens again when half of it has ended.

    All that is parked takes half of that at most, each partition its share, so that there is always
    room for the others: a partition rests while more than its share is parked.

    Args:
        turn: called with whether more records are wanted, each time that changes.
        rest: called with the partitions of which no more are wanted, each time that changes.
        shut: whether nothing is wanted at all for now.
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
        parked: Parking | None = None,
        shut: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger = ledger
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_made_bytes = max_made_bytes
        self._parked = parked
        self._shut = shut
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
        shut = self._shut()
        if self._open:
            if shut or count >= self._max_records or size >= self._max_bytes:
                self._open = False
                self._turn(False)  # noqa: FBT003 - the valve's two positions
        elif not shut and 2 * count <= self._max_records and 2 * size <= self._max_bytes:
            self._open = True
            self._turn(True)  # noqa: FBT003
        resting = self._ledger.full
        if self._parked is not None and self._parked.parked:
            resting = resting | self._crowded(self._parked)
        if resting != self._resting:
            self._resting = frozenset(resting)
            self._rest(self._resting)

    def _crowded(self, parking: Parking) -> AbstractSet[TopicPartition]:
        """Partitions that hold more than their share, or did and still hold half of it."""
        shares = 2 * len(self._ledger.partitions())
        found = set()
        for partition, count in parking.parked.items():
            held = max(count / self._max_records, parking.parked_bytes(partition) / self._max_bytes)
            if held * shares >= (0.5 if partition in self._resting else 1.0):
                found.add(partition)
        return found


def most_in_flight(settings: DeliverySettings) -> int:
    """Records that one task holds at most: the formula of the documentation's memory bound."""
    return REQUESTS_AHEAD * settings.batch_max_records * settings.max_in_flight
