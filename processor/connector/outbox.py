"""What one inlet has to send: fresh parcels, and batches that are to be sent again (pure)."""

import math
from collections import deque
from collections.abc import Callable, Iterable

from processor.connector.batching import Batch, Batcher
from processor.connector.passage import Parcel
from processor.settings import DeliverySettings


class Outbox:
    """Fresh parcels in a batcher, and before them what failed and is to come again."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self._again: deque[Batch] = deque()

    @classmethod
    def of(cls, settings: DeliverySettings) -> "Outbox":
        """An empty one with these limits."""
        linger_s = settings.linger_ms / 1000
        return cls(Batcher(settings.batch_max_records, settings.batch_max_bytes, linger_s))

    def __bool__(self) -> bool:
        return bool(self._again or self._batcher)

    def add(self, parcel: Parcel, since_s: float) -> None:
        """Add a fresh parcel that has waited since this monotonic time in seconds."""
        self._batcher.add(parcel, since_s)

    def follow(self, parcel: Parcel, now_s: float) -> None:
        """Add one that has waited for its turn.

        To wait for others as well would halve the rate of its key.
        """
        self._batcher.add(parcel, now_s - self._batcher.linger_s)

    def first(self, batches: Iterable[Batch]) -> None:
        """Have these batches sent again before all others, in this order."""
        self._again.extendleft(reversed(list(batches)))

    def last(self, batches: Iterable[Batch]) -> None:
        """Have these batches sent again after the others that failed."""
        self._again.extend(batches)

    def hurry(self) -> None:
        """Make what was collected due at once."""
        self._batcher.hurry()

    def drop(self, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Take out every parcel that is not wanted any more, and give them back."""
        dropped = [parcel for batch in self._again for parcel in batch.drop(unwanted)]
        self._again = deque(batch for batch in self._again if batch.parcels)
        return dropped + self._batcher.drop(unwanted)

    def take(self, now_s: float) -> Batch | None:
        """The next batch that is due, if there is one."""
        for index, batch in enumerate(self._again):
            if batch.not_before_s <= now_s:
                del self._again[index]
                return batch
        return self._batcher.take(now_s)

    def probe(self, now_s: float, *, alone: bool) -> Batch | None:
        """A batch to try an inlet in trouble with, due or not.

        A fresh one first, for the one that failed may be at fault itself.

        Args:
            now_s: monotonic seconds.
            alone: one parcel only, of those that were tried least. Where answers bring no
                verdict, every batch may hold a parcel at fault; but few parcels are.
        """
        batch = self._batcher.take(now_s)
        if batch is None and self._again:
            index = self._least_tried() if alone else 0
            batch = self._again[index]
            del self._again[index]
        if batch is None or not alone or len(batch) == 1:
            return batch
        single, rest = batch.first_alone()
        self._again.append(rest)
        return single

    def _least_tried(self) -> int:
        return min(range(len(self._again)), key=lambda index: self._again[index].attempts)

    @property
    def due_s(self) -> float | None:
        """When something may fall due without anybody adding to it, in monotonic seconds."""
        times = [batch.not_before_s for batch in self._again]
        if self._batcher.due_s is not None:
            times.append(self._batcher.due_s)
        return min(times, default=None)

    @property
    def probe_due_s(self) -> float | None:
        """When there may be something to probe with; `None`: not before somebody adds to it."""
        return -math.inf if self._again or self._batcher.full else self._batcher.due_s
