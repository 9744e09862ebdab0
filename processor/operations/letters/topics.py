"""The dead-letter topics of this connector: whose letters they hold, since when, for how long."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processor.kafka.letter import glance
from processor.operations.bounds import Bounds, TopicChoice, partitions_of, spans_of
from processor.operations.letters.fields import rfc3339
from processor.operations.letters.find import source_topics
from processor.operations.reading import Reader
from processor.record import Record
from processor.settings import Settings

RETENTION = "retention.ms"


@dataclass(slots=True)
class LetterTopic:
    """A dead-letter topic.

    Attributes:
        source_topics: whose dead letters go there.
        partitions: 0: the topic does not exist; the first dead letter makes it.
        retention_ms: how long Kafka keeps a letter, -1 for ever; `None`: it does not say.
        letters: of this connector, or of all.
        of_others: letters of other connectors; where all are meant, they are among `letters`.
        not_letters: records that are no dead letters of this program.
        bytes: keys and values of all of them.
        first_ms: when the first record was written, `None` when there is none; likewise `last_ms`.
    """

    topic: str
    source_topics: tuple[str, ...]
    partitions: int = 0
    retention_ms: int | None = None
    letters: int = 0
    of_others: int = 0
    not_letters: int = 0
    bytes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def add(self, record: Record, connector: str, *, all_connectors: bool) -> None:
        """Count one record."""
        letter = glance(record)
        if letter is None:
            self.not_letters += 1
        else:
            other = letter.connector != connector
            self.of_others += other
            self.letters += all_connectors or not other
        self.bytes += record.size_bytes
        time_ms = record.timestamp_ms
        if time_ms is not None:
            self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
            self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)

    def fields(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "topic": self.topic,
            "exists": self.partitions > 0,
            "source_topics": list(self.source_topics),
            "partitions": self.partitions,
            "letters": self.letters,
            "of_other_connectors": self.of_others,
            "not_letters": self.not_letters,
            "first": rfc3339(self.first_ms),
            "last": rfc3339(self.last_ms),
            "retention_ms": self.retention_ms,
            "bytes": self.bytes,
        }


class LetterTopics:
    """The dead-letter topics of the settings' source topics.

    Args:
        settings: the connector's.
        all_connectors: count other connectors' letters as letters too.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka does not let us see one of them.
    """

    def __init__(self, settings: Settings, *, all_connectors: bool = False) -> None:
        self._all_connectors = all_connectors
        self._connector = settings.name
        self._reader = Reader(settings)
        known = self._reader.topics()
        self.topics = _topics(settings, known)
        self._reader.refuse_hidden([one.topic for one in self.topics if not one.partitions])
        there = [TopicChoice(topic.topic, None) for topic in self.topics if topic.partitions]
        self._spans = spans_of(self._reader, partitions_of(there, known), Bounds())

    @property
    def offsets(self) -> int:
        """How many offsets there are to look at."""
        return sum(end - start for start, end in self._spans.values())

    def count(self, looked_at: Callable[[int], None]) -> None:
        """Look at every record once.

        Args:
            looked_at: called now and then with how many are done.

        Raises:
            TryAgain: Kafka stopped answering.
            Misconfigured: Kafka refuses us.
        """
        by_name = {topic.topic: topic for topic in self.topics}
        for name, retention_ms in self._retention().items():
            by_name[name].retention_ms = retention_ms
        done = 0
        with self._reader.reading(self._spans) as reading:
            for records in reading:
                for record in records:
                    by_name[record.topic].add(
                        record, self._connector, all_connectors=self._all_connectors
                    )
                done += len(records)
                looked_at(done)

    def _retention(self) -> Mapping[str, int | None]:
        there: Collection[str] = [topic.topic for topic in self.topics if topic.partitions]
        found = self._reader.topic_configs(there, RETENTION)
        return {name: int(value) if value is not None else None for name, value in found.items()}


def _topics(settings: Settings, known: Mapping[str, int]) -> Sequence[LetterTopic]:
    sources: dict[str, list[str]] = {}
    for topic in source_topics(settings, known):
        sources.setdefault(settings.dead_letter_topic(topic), []).append(topic)
    return [
        LetterTopic(name, tuple(of), partitions=known.get(name, 0))
        for name, of in sorted(sources.items())
    ]
