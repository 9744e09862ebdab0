"""Back-pressure: no more records than memory was promised for, and room for every partition.

What is in flight is measured by three limits at once: records, bytes, and bytes of messages. The
valve closes when three quarters of any of them are in use, and opens when no more than half is.

What does not move would keep it closed for everybody, at its own pace: a partition full of one key
that is sent one message at a time, records for a target that is away or slow, dead letters that
nobody takes, a registry that does not answer. So when the valve has been closed for a second, what
is in flight is *stalled*: the last quarter is dealt out in equal shares, one for each partition.
Partitions that hold more than that rest, and the others go on. When one of those comes to hold more
as well, the valve closes for all, until it holds half of it, or rests too because that takes a
second. A partition rests until it holds half a share, and none does once half of all is enough.

A partition rests as well while what has ended of it would not fit into a commit's metadata, until
there is ample room again. But to rest throws away what was fetched ahead, and to fetch that again
takes about a second. So when no partition could go on meanwhile, the valve closes instead, and
opens as soon as one has room for a batch or two.

Nothing else rests under ordinary load, not even before a slow destination: a second is what the
source waits before it pauses everything, which costs what was fetched ahead. To let most of the
partitions rest instead, and the others go on, costs nothing more. Nor has anything to be known of
why a record waits, so it does not matter either for how many targets it does.
"""

import time
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

ENOUGH, HALF, KEPT = 0.75, 0.5, 0.25
"""Of the limits: where the valve closes, where it opens, and what is kept for a stall."""

STALLED_S = 1.0
"""So long the valve is closed before what is in flight counts as stalled."""


class Valve:
    """Closes when enough is in flight, and opens again when half of it has ended.

    Args:
        turn: called with whether more records are wanted, each time that changes.
        rest: called with the partitions of which no more are wanted, each time that changes.
        shut: whether nothing is wanted at all for now.
        clock: monotonic seconds.
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
        shut: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_made_bytes = max_made_bytes
        self._shut = shut
        self._turn = turn
        self._rest = rest
        self._clock = clock
        self._open = True
        self._blocked = False
        self._short: set[TopicPartition] = set()
        self._closed_at_s = 0.0
        self._most: float | None = None
        self._crowded: set[TopicPartition] = set()
        self._over: set[TopicPartition] = set()
        self._share = KEPT
        self._resting: frozenset[TopicPartition] = frozenset()

    def has_room(self) -> bool:
        """Whether more messages may be made of the records in flight."""
        return self._ledger.made_bytes < self._max_made_bytes

    def check(self, partition: TopicPartition | None = None) -> None:
        """Look at what is in flight, and turn if need be; at least once a second.

        Args:
            partition: the only one of which something ended since; without it, all are looked at.
        """
        level = self._level()
        if self._most is not None:
            self._look(level, partition)
        was_blocked, self._blocked = self._blocked, self._is_blocked()
        flows = self._wants_more(level, was_blocked=was_blocked)
        if self._crowded or self._resting or self._ledger.full:
            if not self._blocked:
                self._short |= self._ledger.full
            resting = self._crowded | self._short
            if resting != self._resting:
                self._resting = frozenset(resting)
                self._rest(self._resting)
        if flows != self._open:
            self._open = flows
            self._turn(flows)

    def _wants_more(self, level: float, *, was_blocked: bool) -> bool:
        if self._blocked or self._shut():
            self._closed_at_s = self._clock()
            return False
        if self._open or was_blocked:
            if not self._is_enough(level):
                return True
            self._closed_at_s = self._clock()
            return False
        if self._most is None and level <= HALF:
            return True
        if self._clock() - self._closed_at_s >= STALLED_S:
            self._stall(level)
        return self._most is not None and not self._is_enough(level)

    def _is_blocked(self) -> bool:
        """Whether there is no room in the metadata of any partition that could go on."""
        if self._short:
            self._short = {p for p in self._short if not self._ledger.is_roomy(p)}
        full = self._ledger.full
        if not full:
            return False
        unable = full | self._short | self._crowded
        return all(partition in unable for partition in self._ledger.partitions())

    def _is_enough(self, level: float) -> bool:
        if self._most is None:
            return level >= ENOUGH
        return bool(self._over) or level >= self._most

    def _stall(self, level: float) -> None:
        """Let rest what holds more than its share, so that the others can go on."""
        if self._most is None:
            self._most = max(1.0, level + KEPT)
        self._look(level, None)
        self._crowded |= self._over
        self._over.clear()
        self._closed_at_s = self._clock()

    def _look(self, level: float, only: TopicPartition | None) -> None:
        """While stalled: who holds more than its share, and who no longer does."""
        if level <= HALF:
            self._most = None
            self._crowded.clear()
            self._over.clear()
        elif only is not None:
            watched = only in self._crowded or only in self._over
            if watched and self._held(only) <= self._share / 2:
                self._crowded.discard(only)
                self._over.discard(only)
        else:
            held = {partition: self._held(partition) for partition in self._ledger.partitions()}
            self._share = KEPT / max(1, len(held))
            full = {partition for partition, share in held.items() if share > self._share}
            half = {partition for partition, share in held.items() if share > self._share / 2}
            self._crowded &= half
            self._over = (self._over & half | full) - self._crowded

    def _level(self) -> float:
        """What is in use of the limit that most is in use of."""
        ledger = self._ledger
        return max(
            ledger.in_flight_count / self._max_records,
            ledger.in_flight_bytes / self._max_bytes,
            ledger.made_bytes / self._max_made_bytes,
        )

    def _held(self, partition: TopicPartition) -> float:
        """The same of one partition."""
        held = self._ledger.held(partition)
        return max(
            held.records / self._max_records,
            held.size_bytes / self._max_bytes,
            held.made_bytes / self._max_made_bytes,
        )


def most_in_flight(settings: DeliverySettings) -> int:
    """Records that one task holds at most: the formula of the documentation's memory bound."""
    return REQUESTS_AHEAD * settings.batch_max_records * settings.max_in_flight
