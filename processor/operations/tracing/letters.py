"""Finds the dead letters that name one record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processor.kafka.letter import read_letter
from processor.operations.letters.find import Found
from processor.operations.reading import Spans
from processor.operations.reconciling.books import content_of
from processor.operations.reconciling.kafka import BooksReader
from processor.operations.reconciling.letters import CLOCKS_MS, named_source
from processor.record import Position, Record, TopicPartition
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Told:
    """A dead letter that names the record.

    Attributes:
        record: the letter as it stands in its topic.
        found: the same, read.
        same: whether it holds the very record, by key, value and time; `None`: the record is gone.
    """

    record: Record
    found: Found
    same: bool | None


class LetterSearch:
    """Looks through a dead-letter topic for the letters of one record, its own partition first.

    A letter is written to the partition with the record's number; only where the topic did not have
    it then, or somebody copied letters, does it stand in another.

    Args:
        place: the record's coordinates.
        record: the record; `None`: it is gone.

    Attributes:
        topic: the dead-letter topic.
        missing: whether it does not exist.
        letters: those of this connector that were found, in the order of each partition.
        foreign: how many letters of other connectors name the record.
        unreadable: how many records there name it, and are no letters that we can read.
        removed: whether letters of that time may have been removed from the topic.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """

    def __init__(
        self,
        reader: BooksReader,
        settings: Settings,
        known: Mapping[str, int],
        place: Position,
        record: Record | None,
    ) -> None:
        self.topic = settings.dead_letter_topic(place.topic)
        self.missing = self.topic not in known
        self.letters: list[Told] = []
        self.foreign = 0
        self.unreadable = 0
        self.removed = False
        self._reader = reader
        self._connector = settings.name
        self._place = place
        self._record = record
        partitions = [TopicPartition(self.topic, n) for n in range(known.get(self.topic, 0))]
        spans = self._spans(partitions)
        near = TopicPartition(self.topic, place.partition)
        self._rounds: list[Spans] = [
            {p: span for p, span in spans.items() if p == near},
            {p: span for p, span in spans.items() if p != near},
        ]

    @property
    def offsets(self) -> int:
        """How many offsets the next round looks at; 0: there is none."""
        while self._rounds and not self._size(self._rounds[0]):
            self._rounds.pop(0)
        return self._size(self._rounds[0]) if self._rounds else 0

    def look(self, looked_at: Callable[[int], None]) -> None:
        """One round; what is found makes further ones needless.

        Args:
            looked_at: called now and then with how many records were looked at.

        Raises:
            TryAgain: Kafka stopped answering.
            Misconfigured: Kafka refuses us.
        """
        if not self.offsets:
            return
        done = 0
        with self._reader.reading(self._rounds.pop(0)) as reading:
            for records in reading:
                for record in records:
                    if named_source(record) == self._place:
                        self._take(record)
                done += len(records)
                looked_at(done)
        if self.letters:
            self._rounds = []

    def _take(self, record: Record) -> None:
        letter = read_letter(record)
        if letter is None:
            self.unreadable += 1
        elif letter.connector != self._connector:
            self.foreign += 1
        else:
            same = None
            if self._record is not None:
                ours, its = self._record, letter
                same = content_of(ours.key, ours.value, ours.timestamp_ms) == content_of(
                    its.key, its.value, its.source_timestamp_ms
                )
            found = Found(record.position, record.timestamp_ms, letter)
            self.letters.append(Told(record, found, same))

    def _spans(self, partitions: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Where the letters can be: they are no older than the record."""
        lows, ends = self._reader.starts(partitions), self._reader.ends(partitions)
        since_ms = self._since_ms() if partitions else None
        firsts = {} if since_ms is None else self._reader.at(partitions, since_ms)
        spans = {}
        for partition in partitions:
            first = lows[partition] if since_ms is None else firsts[partition]
            spans[partition] = (ends[partition] if first is None else first, ends[partition])
        # Were the first letter left older than the record, none of the record's could be gone.
        cut = {p for p, (start, _) in spans.items() if start == lows[p] > 0}
        near = TopicPartition(self.topic, self._place.partition)
        self.removed = near in cut if near in spans else bool(cut)
        return spans

    def _since_ms(self) -> int | None:
        """When the record came at the earliest; `None`: nobody can tell.

        With the broker's stamp that is when it was written; with a producer's it may lie ahead by
        what the topic lets through.
        """
        if self._record is None or self._record.timestamp_ms is None:
            return None
        keeping = self._reader.keeping([self._place.topic, self.topic])
        source, letters = keeping.get(self._place.topic), keeping.get(self.topic)
        if source is None or letters is None or not letters.log_append_time:
            return None
        ahead_ms = 0 if source.log_append_time else source.ahead_ms
        if ahead_ms is None:
            return None
        return max(self._record.timestamp_ms - ahead_ms - CLOCKS_MS, 0)

    @staticmethod
    def _size(spans: Spans) -> int:
        return sum(max(end - start, 0) for start, end in spans.values())
