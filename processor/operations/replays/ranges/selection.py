"""A range of a source topic: which of its records are meant, and from when to when they are."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from processor.errors import Filtered, Misconfigured, Refused
from processor.operations.bounds import Bounds, TopicChoice, partitions_of, spans_of
from processor.operations.chosen import Chosen
from processor.operations.reading import Reader, Spans
from processor.operations.rehearsal import Rehearsal
from processor.operations.where import Where
from processor.record import Record, TopicPartition
from processor.settings import Settings

EDGE_OFFSETS = 20
"""A range may end in markers of transactions; so many offsets are looked at for a record."""


@dataclass(slots=True)
class Selection:
    """Records of source topics that a replay would send.

    Attributes:
        records: their coordinates.
        counts: how many in each partition; without conditions, the offsets of the range, so at
            most that many where a topic is compacted or transactional.
        first_ms: Kafka's earliest timestamp among them; likewise ``last_ms``. Without conditions
            those of the first and last record of each partition.
        undecodable: records that a condition could not be tried on, and so were left.
    """

    records: Chosen = field(default_factory=Chosen)
    counts: dict[TopicPartition, int] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int | None = None
    undecodable: int = 0

    def see(self, record: Record) -> None:
        """Widen the span of time by a record's."""
        time_ms = record.timestamp_ms
        if time_ms is not None:
            self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
            self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a record has to be like; all conditions hold at once.

    Attributes:
        keys: its key is one of these; empty: any.
        where: on the decoded event.
    """

    keys: frozenset[bytes] = field(default=frozenset(), repr=False)
    where: tuple[Where, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.where)


def source_spans(
    reader: Reader, settings: Settings, choices: Sequence[TopicChoice], bounds: Bounds
) -> dict[TopicPartition, tuple[int, int]]:
    """The offsets that are meant; their ends are pinned by this call.

    Raises:
        Misconfigured: a topic or partition does not exist, or is one that the connector writes.
        TryAgain: no broker answers.
    """
    for choice in choices:
        if settings.is_own_topic(choice.topic):
            raise Misconfigured(
                f"{choice.topic} is a topic of the connector's own.",
                mend="Dead letters are replayed by `processor dlq replay`.",
            )
    return spans_of(reader, partitions_of(choices, reader.topics()), bounds)


def whole(reader: Reader, spans: Spans) -> Selection:
    """Everything in the spans; only their edges are read, for the times.

    Raises:
        TryAgain: Kafka does not answer.
        Misconfigured: Kafka refuses us.
    """
    selection = Selection(Chosen.whole(spans))
    selection.counts = {partition: end - start for partition, (start, end) in spans.items()}
    edges = (
        {p: (start, min(end, start + EDGE_OFFSETS)) for p, (start, end) in spans.items()},
        {p: (max(start, end - EDGE_OFFSETS), end) for p, (start, end) in spans.items()},
    )
    for edge in edges:
        with reader.reading(edge) as reading:
            for records in reading:
                for record in records:
                    selection.see(record)
    return selection


async def matching(
    reader: Reader,
    spans: Spans,
    conditions: Conditions,
    rehearsal: Rehearsal,
    *,
    looked_at: Callable[[int], None] = lambda _count: None,
) -> Selection:
    """Look at every record in the spans and choose those that meet the conditions.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: one of them refuses us.
    """
    selection, done = Selection(), 0
    with reader.reading(spans) as reading:
        for records in reading:
            for record in records:
                if await _meets(record, conditions, rehearsal, selection):
                    selection.records.add(record.position)
                    selection.see(record)
            done += len(records)
            looked_at(done)
            await asyncio.sleep(0)  # an interrupt is delivered here
    selection.counts = {
        partition: len(offsets) for partition, offsets in selection.records.by_partition.items()
    }
    return selection


async def _meets(
    record: Record, conditions: Conditions, rehearsal: Rehearsal, selection: Selection
) -> bool:
    if conditions.keys and record.key not in conditions.keys:
        return False
    if not conditions.where:
        return True
    try:
        event = await rehearsal.decode(record)
    except Filtered:
        return False
    except Refused:
        selection.undecodable += 1
        return False
    return all(condition.holds(event) for condition in conditions.where)
