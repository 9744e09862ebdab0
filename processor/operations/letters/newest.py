"""The newest dead letters first, page by page, without a look at all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from processor.operations.letters.find import Found, Look, found_by
from processor.operations.reading import Reader, Spans
from processor.record import Position, Record, TopicPartition

FIRST_WINDOW = 128
LARGEST_WINDOW = 4_096
"""Offsets of a partition that are read at a time; the first few are enough where most are meant."""

BUDGET = 200_000
"""Offsets that one page looks at; a page that found too little by then says so."""


@dataclass(frozen=True, slots=True)
class NewestPage:
    """Some dead letters, the newest first.

    Attributes:
        before: by partition, the offset before which the next ones stand; empty: this is all.
        looked_at: offsets.
        cut: whether the page ended because so much was looked at.
    """

    letters: tuple[Found, ...]
    before: tuple[Position, ...]
    looked_at: int
    cut: bool


@dataclass(slots=True)
class _Tail:
    """What is left of a partition, and what was found at its end.

    Attributes:
        found: in rising order; the last one is the newest.
        end: after what was not read yet.
        read_to_ms: the earliest time of what was read; `None`: nothing was.
    """

    start: int
    end: int
    window: int = FIRST_WINDOW
    found: list[Found] = field(default_factory=list)
    read_to_ms: int | None = None

    @property
    def bound(self) -> int:
        """The offset before which everything stands that was not given."""
        return self.found[-1].position.offset + 1 if self.found else self.end

    def take(self, record: Record, look: Look) -> None:
        """Look at a record of a window, whose records come in rising order."""
        if record.timestamp_ms is not None:
            earliest = record.timestamp_ms if self.read_to_ms is None else self.read_to_ms
            self.read_to_ms = min(earliest, record.timestamp_ms)
        found = found_by(look, record)
        if found is not None:
            self.found.append(found)

    def wanting(self, newest_ms: int | None) -> bool:
        """Whether more has to be read before a letter of this time can be the newest of all.

        Kafka gives dead letters their time when it appends them, so it only rises.
        """
        if self.found or self.end <= self.start:
            return False
        return newest_ms is None or self.read_to_ms is None or self.read_to_ms > newest_ms


def newest(
    reader: Reader,
    spans: Spans,
    look: Look,
    *,
    limit: int,
    before: Sequence[Position] = (),
    budget: int = BUDGET,
) -> NewestPage:
    """The newest letters that are meant, at most ``limit``.

    Args:
        reader: of Kafka.
        spans: where they stand.
        look: says which are meant.
        limit: how many.
        before: where the page before ended; a partition that it does not name has none left.
        budget: offsets to look at, at most and a window more.

    Raises:
        TryAgain: Kafka stopped answering.
        Misconfigured: Kafka refuses us.
    """
    tails = _tails(spans, before)
    given: list[Found] = []
    looked_at, cut = 0, False
    while len(given) < limit:
        full = [tail for tail in tails.values() if tail.found]
        best = max(full, key=_newest, default=None)
        best_ms = None if best is None else _newest(best)[0]
        wanting = [place for place, tail in tails.items() if tail.wanting(best_ms)]
        if wanting and not cut:
            looked_at += _read(reader, tails, wanting, look)
            cut = looked_at >= budget
        elif best is not None:
            given.append(best.found.pop())
        else:
            break
    left = [
        Position(*p, tail.bound) for p, tail in sorted(tails.items()) if tail.bound > tail.start
    ]
    return NewestPage(
        tuple(given), tuple(left), looked_at, cut and bool(left) and len(given) < limit
    )


def newest_of(spans: Spans, offsets: int) -> dict[TopicPartition, tuple[int, int]]:
    """The ends of spans, so that together they hold at most so many offsets."""
    cut: dict[TopicPartition, tuple[int, int]] = {}
    left, smallest_first = offsets, sorted(spans.items(), key=lambda s: s[1][1] - s[1][0])
    for number, (partition, (start, end)) in enumerate(smallest_first):
        share = min(end - start, left // (len(smallest_first) - number))
        left -= share
        if share:
            cut[partition] = (end - share, end)
    return cut


def _tails(spans: Spans, before: Sequence[Position]) -> dict[TopicPartition, _Tail]:
    if not before:
        return {p: _Tail(start, end) for p, (start, end) in spans.items()}
    bounds = {TopicPartition(place.topic, place.partition): place.offset for place in before}
    return {
        p: _Tail(start, min(end, bounds[p])) for p, (start, end) in spans.items() if p in bounds
    }


def _read(
    reader: Reader,
    tails: dict[TopicPartition, _Tail],
    wanting: Sequence[TopicPartition],
    look: Look,
) -> int:
    """Read one window of each partition that wants it; gives the number of offsets."""
    windows = {
        p: (max(tails[p].start, tails[p].end - tails[p].window), tails[p].end) for p in wanting
    }
    with reader.reading(windows) as reading:
        for records in reading:
            for record in records:
                tails[TopicPartition(record.topic, record.partition)].take(record, look)
    for partition, (start, _) in windows.items():
        tail = tails[partition]
        tail.end, tail.window = start, min(LARGEST_WINDOW, tail.window * 4)
    return sum(end - start for start, end in windows.values())


def _newest(tail: _Tail) -> tuple[int, Position]:
    last = tail.found[-1]
    return (-1 if last.timestamp_ms is None else last.timestamp_ms), last.position
