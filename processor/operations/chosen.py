"""Which records were chosen, as runs of offsets: a million fit into a few megabytes (pure)."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import ge

from processor.record import Position, TopicPartition


class Offsets:
    """A set of offsets of one partition, added in rising order."""

    __slots__ = ("_count", "_ends", "_starts")

    def __init__(self) -> None:
        self._starts = array("q")
        self._ends = array("q")
        self._count = 0

    @classmethod
    def of(cls, start: int, end: int) -> "Offsets":
        """Every offset from ``start`` to before ``end``."""
        offsets = cls()
        offsets.add_run(start, end)
        return offsets

    @classmethod
    def of_bounds(cls, bounds: "array[int]") -> "Offsets":
        """The runs of which these are, in turn, the first offsets and those after the last.

        Raises:
            ValueError: the bounds do not rise, or their number is odd.
        """
        if len(bounds) % 2 or any(map(ge, bounds, bounds[1:])) or (bounds and bounds[0] < 0):
            raise ValueError("bounds are pairs, and rise")
        offsets = cls()
        offsets._starts, offsets._ends = bounds[0::2], bounds[1::2]
        offsets._count = sum(offsets._ends) - sum(offsets._starts)
        return offsets

    def add(self, offset: int) -> None:
        """Add an offset above all that are in.

        Raises:
            ValueError: it is not.
        """
        self.add_run(offset, offset + 1)

    def add_run(self, start: int, end: int) -> None:
        """Add every offset from ``start`` to before ``end``, above all that are in.

        Raises:
            ValueError: they are not, or the run is empty.
        """
        last = self._ends[-1] if self._ends else 0
        if start < last or end <= start:
            raise ValueError("offsets are added in rising order")
        if self._ends and start == last:
            self._ends[-1] = end
        else:
            self._starts.append(start)
            self._ends.append(end)
        self._count += end - start

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offsets) and (self._starts, self._ends) == (
            other._starts,
            other._ends,
        )

    __hash__ = None  # type: ignore[assignment] # it changes

    def __contains__(self, offset: int) -> bool:
        run = bisect_right(self._starts, offset) - 1
        return run >= 0 and offset < self._ends[run]

    def first_left(self, offset: int) -> int:
        """The first offset from this one on that is not in."""
        run = bisect_right(self._starts, offset) - 1
        return self._ends[run] if run >= 0 and offset < self._ends[run] else offset

    def runs(self) -> Iterator[tuple[int, int]]:
        """Each run as its first offset and the one after its last."""
        return zip(self._starts, self._ends, strict=True)

    @property
    def span(self) -> tuple[int, int]:
        """From the first to after the last; ``(0, 0)`` when none is in."""
        return (self._starts[0], self._ends[-1]) if self._starts else (0, 0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Records chosen by coordinates; nothing else about them is kept."""

    by_partition: dict[TopicPartition, Offsets] = field(default_factory=dict)

    @classmethod
    def whole(cls, spans: Mapping[TopicPartition, tuple[int, int]]) -> "Chosen":
        """Everything in these spans."""
        return cls({partition: Offsets.of(*span) for partition, span in spans.items()})

    def add(self, position: Position) -> None:
        """Choose a record; within a partition in rising order of the offsets.

        Raises:
            ValueError: out of order.
        """
        partition = TopicPartition(position.topic, position.partition)
        self.by_partition.setdefault(partition, Offsets()).add(position.offset)

    def has(self, partition: TopicPartition, offset: int) -> bool:
        """Whether a record was chosen."""
        offsets = self.by_partition.get(partition)
        return offsets is not None and offset in offsets

    def first_left(self, partition: TopicPartition, offset: int) -> int:
        """The first offset of a partition, from this one on, that was not chosen."""
        offsets = self.by_partition.get(partition)
        return offset if offsets is None else offsets.first_left(offset)

    @property
    def spans(self) -> dict[TopicPartition, tuple[int, int]]:
        """By partition, from the first to after the last."""
        return {partition: offsets.span for partition, offsets in self.by_partition.items()}

    @property
    def count(self) -> int:
        """How many offsets were chosen."""
        return sum(map(len, self.by_partition.values()))
