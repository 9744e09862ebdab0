"""Messages to request-sized batches by bytes, count and linger; in order per key (pure)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from processor.connector.passage import Parcel


@dataclass(slots=True, eq=False)
class Batch:
    """Parcels that go in one request, and what their earlier requests came to.

    Attributes:
        size_bytes: of the request body, separators and frame included.
        not_before_s: monotonic time before which the batch is not sent again.
        attempts: requests made with these parcels, the ones before a split included.
        number: of its last request, among those of the inlet.
        origin: of the first request with these parcels, the ones before a split included.
        doubts: answers that gave no verdict (500, or unreadable), as far as they count; see
            :mod:`processor.connector.doubts`.
        doubted_at: how many requests the inlet had sent at the last of them.
        unanswered: all such answers that these parcels got together, as they are.
        unanswered_before: those that they got as parts of the batches this one was split from.
        suspects: of each doubtful batch that this one was split from, the outermost first.
        lasting: born from a split, so that the next doubt splits it again at once.
        token_refusals: answers 401 or 403, in a row.
    """

    parcels: Sequence[Parcel]
    size_bytes: int
    not_before_s: float = 0.0
    attempts: int = 0
    number: int = 0
    origin: int = 0
    doubts: int = 0
    doubted_at: int | None = None
    unanswered: int = 0
    unanswered_before: int = 0
    suspects: tuple["Suspects", ...] = ()
    lasting: bool = False
    token_refusals: int = 0

    def __len__(self) -> int:
        return len(self.parcels)

    def halves(self, *, in_doubt: bool) -> tuple["Batch", "Batch"]:
        """Two batches of about half the parcels each; they split further at their first doubt.

        Args:
            in_doubt: split because there was no verdict, so one of the parcels is suspected.

        Raises:
            ValueError: there is only one parcel.
        """
        middle = len(self.parcels) // 2
        if not middle:
            raise ValueError("one parcel cannot be split")
        among = (Suspects(len(self)),) if in_doubt else ()
        parts = (self.part(self.parcels[:middle]), self.part(self.parcels[middle:]))
        for part in parts:
            part.suspects += among
            part.lasting = True
        return parts

    def first_alone(self) -> tuple["Batch", "Batch"]:
        """The first parcel in a batch of its own, and this batch with the rest."""
        single = self.part(self.parcels[:1])
        self.parcels = self.parcels[1:]
        self.size_bytes = body_bytes(self.parcels)
        return single, self

    def drop(self, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Take out every parcel that is not wanted any more, and give them back."""
        dropped = [parcel for parcel in self.parcels if unwanted(parcel)]
        if dropped:
            self.parcels = [parcel for parcel in self.parcels if not unwanted(parcel)]
            self.size_bytes = body_bytes(self.parcels)
        return dropped

    def part(self, parcels: Sequence[Parcel]) -> "Batch":
        """A batch of some of these parcels, with what their earlier requests came to."""
        return Batch(
            parcels,
            body_bytes(parcels),
            attempts=self.attempts,
            origin=self.origin,
            unanswered_before=self.unanswered_before + self.unanswered,
            suspects=self.suspects,
        )


@dataclass(slots=True, eq=False)
class Suspects:
    """The parcels of a batch that got no verdict and was split.

    Attributes:
        uncleared: how many of them were not accepted since.
    """

    uncleared: int


FRAME_BYTES = len(b'{"messages":[]}')


def body_bytes(parcels: Sequence[Parcel]) -> int:
    """Bytes of the request body that holds these parcels."""
    return FRAME_BYTES + sum(len(p.message.body) for p in parcels) + max(0, len(parcels) - 1)


@dataclass(slots=True)
class Batcher:
    """Collects parcels of one target until a batch is due.

    Args:
        max_records: most parcels a batch.
        max_bytes: most bytes a request body; a parcel that alone is above goes alone.
        linger_s: longest that the first parcel waits for others, in seconds.
    """

    max_records: int
    max_bytes: int
    linger_s: float
    _full: deque[Batch] = field(default_factory=deque)
    _parcels: list[Parcel] = field(default_factory=list)
    _bytes: int = FRAME_BYTES
    _due_s: float = 0.0

    def __len__(self) -> int:
        return len(self._parcels) + sum(map(len, self._full))

    def add(self, parcel: Parcel, since_s: float) -> None:
        """Add a parcel that has waited since this monotonic time in seconds."""
        size = len(parcel.message.body) + 1
        if self._parcels and self._bytes + size - 1 > self.max_bytes:
            self._close()
        due_s = since_s + self.linger_s
        self._due_s = min(self._due_s, due_s) if self._parcels else due_s
        self._parcels.append(parcel)
        self._bytes += size
        if len(self._parcels) >= self.max_records or self._bytes > self.max_bytes:
            self._close()

    def take(self, now_s: float) -> Batch | None:
        """The next batch that is full or has lingered long enough, if there is one."""
        if not self._full and self._parcels and now_s >= self._due_s:
            self._close()
        return self._full.popleft() if self._full else None

    @property
    def due_s(self) -> float | None:
        """When the batch that is being filled falls due, in monotonic seconds."""
        return self._due_s if self._parcels else None

    @property
    def full(self) -> bool:
        """Whether a batch is ready, whatever the time."""
        return bool(self._full)

    def drop(self, unwanted: Callable[[Parcel], bool]) -> list[Parcel]:
        """Take out every parcel that is not wanted any more, and give them back."""
        parcels = [p for batch in self._full for p in batch.parcels] + self._parcels
        due_s = self._due_s
        self._full.clear()
        self._parcels, self._bytes = [], FRAME_BYTES
        for parcel in parcels:
            if not unwanted(parcel):
                self.add(parcel, due_s - self.linger_s)
        return [parcel for parcel in parcels if unwanted(parcel)]

    def hurry(self) -> None:
        """Make what was collected due at once: a drain waits for it."""
        if self._parcels:
            self._close()

    def _close(self) -> None:
        self._full.append(Batch(self._parcels, body_bytes(self._parcels)))
        self._parcels = []
        self._bytes = FRAME_BYTES


class Lanes:
    """Order per key: a parcel waits while an earlier one of its key is open.

    So two of one key never share a request, and a hot key holds back nobody else.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, deque[Parcel]] = {}

    def enter(self, parcel: Parcel) -> bool:
        """Whether the parcel may be sent now; if not, :meth:`leave` gives it back later."""
        key = parcel.message.order_key
        if key is None:
            return True
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = deque()
            return True
        waiting.append(parcel)
        return False

    def leave(self, parcel: Parcel) -> Parcel | None:
        """Say that a parcel has its outcome; gives the next of its key, which may be sent now."""
        key = parcel.message.order_key
        if key is None:
            return None
        waiting = self._waiting[key]
        if waiting:
            return waiting.popleft()
        del self._waiting[key]
        return None
