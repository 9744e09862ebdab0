"""What dead letters tell of source records, and whether all of them can still be there."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Protocol

from processor.kafka.letter import OFFSET, PARTITION, TOPIC, read_letter
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.reconciling.books import Books, Finding, Told
from processor.operations.reconciling.kafka import BooksReader, Keeping
from processor.record import Position, Record, TopicPartition

CLOCKS_MS = 300_000
"""How far the brokers' clocks may differ from each other and still prove which came first."""

Asked = Mapping[TopicPartition, tuple[int, int | None]]
"""By source partition, first offset and the one after the last; `None`: no end."""


class Tales:
    """By source record, what its letters say; keeps only what lies in the spans.

    Args:
        connector: whose letters are ours.
        asked: the spans.
        counts: partitions of each topic, to know letters of one that does not exist.
    """

    def __init__(self, connector: str, asked: Asked, counts: Mapping[str, int]) -> None:
        self._connector = connector
        self._asked = asked
        self._counts = counts
        self._told: defaultdict[TopicPartition, dict[int, Told]] = defaultdict(dict)
        self.stray: Finding | None = None

    def hear(self, record: Record) -> None:
        """Take in one record of a dead-letter topic."""
        letter = read_letter(record)
        source = letter.source if letter is not None else named_source(record)
        if source is None:
            return  # no letter of anybody's names a record of ours here
        partition = TopicPartition(source.topic, source.partition)
        ours = letter is not None and letter.connector == self._connector
        if ours and source.partition >= self._counts.get(source.topic, source.partition + 1):
            self._note_stray()
        start, end = self._asked.get(partition, (0, 0))
        if source.offset < start or (end is not None and source.offset >= end):
            return
        told = self._told[partition].setdefault(source.offset, Told())
        if letter is None:
            told.unreadable = True
        elif ours:
            told.add(letter)
        else:
            told.foreign = True

    def take(self, partition: TopicPartition, offset: int) -> Told | None:
        """What is told of a record; afterwards it is forgotten."""
        told = self._told.get(partition)
        return None if told is None else told.pop(offset, None)

    def left(self, partition: TopicPartition) -> Mapping[int, Told]:
        """What nobody has taken."""
        return self._told.get(partition, {})

    def _note_stray(self) -> None:
        if self.stray is None:
            self.stray = Finding("contradiction", "letter_without_partition", STRAY)
        self.stray.count += 1


class LetterLogs:
    """The dead-letter topics as they were when they were read.

    Attributes:
        missing: names of topics that do not exist.
    """

    def __init__(
        self, reader: BooksReader, topics: Collection[str], known: Mapping[str, int]
    ) -> None:
        self.missing = frozenset(topics) - set(known)
        self._reader = reader
        choices = [TopicChoice(topic, None) for topic in topics if topic in known]
        self._partitions = partitions_of(choices, known)
        self._lows = reader.starts(self._partitions)
        self._ends = reader.ends(self._partitions)
        self._written = reader.written(self._partitions)
        self._later_lows: Mapping[TopicPartition, int] = self._lows
        self._first_ms: dict[TopicPartition, int | None] = {}

    async def read(self, tales: Tales) -> None:
        """Read every letter.

        Raises:
            TryAgain: Kafka stopped answering.
            Misconfigured: Kafka refuses us.
        """
        spans = {p: (self._lows[p], self._ends[p]) for p in self._partitions}
        with self._reader.reading(spans) as reading:
            for records in reading:
                for record in records:
                    partition = TopicPartition(record.topic, record.partition)
                    self._first_ms.setdefault(partition, record.timestamp_ms)
                    tales.hear(record)
                await asyncio.sleep(0)  # an interrupt is delivered here
        self._later_lows = self._reader.starts(self._partitions)

    def hidden(self, topic: str) -> bool:
        """Whether an unfinished transaction hides its end."""
        return any(self._ends[p] < self._written[p] for p in self._of(topic))

    def removed_before_ms(self, topic: str) -> tuple[bool, int | None]:
        """Whether letters were removed, and if so, before which time they were written.

        `None` for the time: nobody can tell.
        """
        cut = [p for p in self._of(topic) if self._later_lows[p] > 0]
        times = [self._first_ms.get(p) for p in cut if self._later_lows[p] == self._lows[p]]
        told = [time for time in times if time is not None]
        return bool(cut), max(told) if cut and len(told) == len(cut) else None

    def _of(self, topic: str) -> list[TopicPartition]:
        return [partition for partition in self._partitions if partition.topic == topic]


class Seen(Protocol):
    """What is known of dead-letter topics; :class:`LetterLogs` is one."""

    @property
    def missing(self) -> frozenset[str]:
        """Names of topics that do not exist."""

    def hidden(self, topic: str) -> bool:
        """Whether an unfinished transaction hides its end."""

    def removed_before_ms(self, topic: str) -> tuple[bool, int | None]:
        """Whether letters were removed, and before which time they were written."""


def doubt_letters(
    books: Books, logs: Seen, topic: str, kept: Keeping | None, source: Keeping | None
) -> None:
    """Note why a record without a letter may have had one.

    Args:
        books: of a source partition, with its records counted.
        logs: the dead-letter topics.
        topic: the one of this source topic.
        kept: how it keeps letters; `None`: not known.
        source: likewise of the source topic.
    """
    if not books.without_letter:
        return
    if topic in logs.missing:
        books.find("doubt", "no_dead_letter_topic", MISSING.format(topic=topic))
        return
    if kept is None:
        books.find("doubt", "dead_letter_topic_not_described", NOT_DESCRIBED.format(topic=topic))
    elif kept.compacted:
        books.find("doubt", "dead_letter_topic_compacted", COMPACTED.format(topic=topic))
    if logs.hidden(topic):
        books.find("doubt", "dead_letter_topic_hidden", HIDDEN.format(topic=topic))
    removed, before_ms = logs.removed_before_ms(topic)
    if removed and not _younger(books.first_ms, source, before_ms, kept):
        books.find("doubt", "dead_letters_removed", CUT.format(topic=topic))


def _younger(
    first_ms: int | None, source: Keeping | None, before_ms: int | None, kept: Keeping | None
) -> bool:
    """Whether the span's records came after the last letter that was removed.

    The first record of the span came no earlier than its time allows: with the broker's stamp that
    is when it was written, with a producer's it may lie ahead by what the topic lets through.
    """
    if first_ms is None or before_ms is None or source is None or kept is None:
        return False
    if not kept.log_append_time:
        return False
    ahead_ms = 0 if source.log_append_time else source.ahead_ms
    return ahead_ms is not None and first_ms - ahead_ms > before_ms + CLOCKS_MS


def named_source(record: Record) -> Position | None:
    """The source record that Kafka Connect's headers name; `None` when they name none."""
    last = dict(record.headers)
    try:
        topic, partition, offset = (
            (last[name] or b"").decode() for name in (TOPIC, PARTITION, OFFSET)
        )
        return Position(topic, int(partition), int(offset))
    except (KeyError, ValueError):
        return None


MISSING = (
    "dead-letter topic {topic} does not exist: it is created with the first letter, so there was "
    "none, or the topic was deleted; create it beforehand to tell the two apart"
)
NOT_DESCRIBED = (
    "Kafka does not let us know how {topic} keeps letters: grant this client DescribeConfigs on it"
)
COMPACTED = "dead-letter topic {topic} is compacted, so letters may be missing from it"
HIDDEN = "an unfinished transaction hides the end of dead-letter topic {topic}"
CUT = (
    "the oldest letters were removed from {topic}, and records of this span may have been among "
    "them; a later span can be proven"
)
STRAY = "dead letters name a partition that the topic does not have"
