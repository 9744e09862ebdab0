"""Finds dead letters: which topics hold them, which are meant, in the order of their time."""

import re
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from processor.connector.passage import Story
from processor.errors import Code, Misconfigured, Stage
from processor.kafka.letter import Glance, Letter, read_letter
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.reading import Reader, Spans, in_time_order
from processor.record import Position, Record, TopicPartition
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter where it stands; its value stays in Kafka.

    Attributes:
        timestamp_ms: when it was written, which is the time of failure.
        letter: without value and stack trace.
    """

    position: Position
    timestamp_ms: int | None
    letter: Letter


@dataclass(frozen=True, slots=True)
class Source:
    """Part of a source topic; `None` stands for any."""

    topic: str
    partition: int | None = None
    offset: int | None = None

    def holds(self, position: Position) -> bool:
        """Whether a record of the source topic lies in it."""
        return (
            position.topic == self.topic
            and self.partition in (None, position.partition)
            and self.offset in (None, position.offset)
        )


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a dead letter has to be like; an empty set lets everything through.

    Attributes:
        connector: only letters of the connector with this name; `None`: of any.
        positions: coordinates in the dead-letter topic.
        sources: coordinates of the original record.
        keys: of the record, as bytes.
    """

    connector: str | None
    codes: frozenset[Code] = frozenset()
    stages: frozenset[Stage] = frozenset()
    fingerprints: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    keys: frozenset[bytes] = field(default=frozenset(), repr=False)
    sources: tuple[Source, ...] = ()
    positions: frozenset[Position] = frozenset()

    def ours(self, letter: Letter | Glance) -> bool:
        """Whether a letter is of the connector that is meant."""
        return self.connector in (None, letter.connector)

    def take(self, position: Position, letter: Letter | Glance) -> bool:
        """Whether a letter is meant."""
        return (
            self.ours(letter)
            and (not self.codes or letter.code in self.codes)
            and (not self.stages or letter.stage in self.stages)
            and (not self.fingerprints or letter.fingerprint in self.fingerprints)
            and (not self.events or letter.event_name in self.events)
            and (not self.keys or letter.key in self.keys)
            and (not self.sources or any(s.holds(letter.source) for s in self.sources))
            and (not self.positions or position in self.positions)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some dead letters, and where the next ones begin.

    Attributes:
        after: the last letter shown of each partition, on this page or one before, to go on
            after; empty when this is all.
    """

    letters: tuple[Found, ...]
    after: tuple[Position, ...]


Look = Callable[[Record], Glance | None]
"""What a letter says of itself; `None` when it is not meant, or none."""


class Cluster(Protocol):
    """Tells which topics exist."""

    def topics(self) -> dict[str, int]:
        """Every topic that we may see, with its number of partitions."""

    def refuse_hidden(self, topics: Collection[str]) -> None:
        """Raise Misconfigured when one of these is not missing but hidden from us."""


def letter_partitions(
    cluster: Cluster, settings: Settings, choices: Sequence[TopicChoice]
) -> list[TopicPartition]:
    """The partitions of dead-letter topics that are meant.

    Args:
        cluster: tells which topics exist.
        settings: name the source topics and their dead-letter topics.
        choices: dead-letter topics, or source topics whose dead letters are meant; empty: those
            of every source topic that the settings name.

    Raises:
        Misconfigured: a topic or partition that was named does not exist, or holds no dead letters;
            or Kafka does not let us see one.
        TryAgain: no broker answers.
    """
    known = cluster.topics()
    if choices:
        return partitions_of([_as_letters(settings, choice) for choice in choices], known)
    names = {settings.dead_letter_topic(topic) for topic in source_topics(settings, known)}
    cluster.refuse_hidden(names - set(known))
    return partitions_of([TopicChoice(name, None) for name in sorted(names & set(known))], known)


def source_topics(settings: Settings, known: Mapping[str, int]) -> list[str]:
    """The topics that the connector consumes, of those that exist or are named."""
    if settings.kafka.topics:
        return list(settings.kafka.topics)
    pattern = re.compile(settings.kafka.topics_regex)
    return [name for name in known if pattern.match(name) and not settings.is_own_topic(name)]


def is_letter_topic(settings: Settings, topic: str) -> bool:
    """Whether this is a dead-letter topic of ours; only there our headers can be believed."""
    return settings.is_own_topic(topic) and topic != settings.state_topic


def find(reader: Reader, spans: Spans, look: Look) -> Generator[Found, None, None]:
    """The letters that are meant, over all partitions in the order of their time.

    Memory stays bounded: values are dropped on arrival, and a partition that is ahead waits.

    Raises:
        TryAgain: Kafka stopped answering.
        Misconfigured: Kafka refuses us.
    """
    with reader.reading(spans) as reading:
        yield from in_time_order(reading, lambda record: found_by(look, record))


def found_by(look: Look, record: Record) -> Found | None:
    """The letter that a record holds, without what is large; `None` when it is not meant."""
    if look(record) is None:
        return None
    letter = read_letter(record)
    return None if letter is None else slim(record, letter)


def scan(reader: Reader, spans: Spans, connector: str | None) -> Generator[Found, None, None]:
    """Every letter of a connector, in each partition in its order; quicker than :func:`find`.

    The letters are whole, so keep none of them.

    Raises:
        TryAgain: Kafka stopped answering.
        Misconfigured: Kafka refuses us.
    """
    criteria = Criteria(connector)
    with reader.reading(spans) as reading:
        for records in reading:
            for record in records:
                letter = read_letter(record)
                if letter is not None and criteria.ours(letter):
                    yield Found(record.position, record.timestamp_ms, letter)


def page(
    reader: Reader, spans: Spans, look: Look, *, limit: int, after: Sequence[Position] = ()
) -> Page:
    """The first letters that are meant, at most ``limit``.

    Args:
        reader: of Kafka.
        spans: where they stand.
        look: says which are meant.
        limit: how many.
        after: where the page before ended; what was shown there does not come again, whatever
            has been written since.

    Raises:
        TryAgain: Kafka stopped answering.
        Misconfigured: Kafka refuses us.
    """
    with closing(find(reader, left_after(spans, after), look)) as letters:
        shown = tuple(islice(letters, limit + 1))
    if len(shown) <= limit:
        return Page(shown, ())
    last = {TopicPartition(place.topic, place.partition): place for place in after}
    for found in shown[:limit]:
        last[TopicPartition(found.position.topic, found.position.partition)] = found.position
    return Page(shown[:limit], tuple(last[partition] for partition in sorted(last)))


def left_after(
    spans: Spans, positions: Sequence[Position]
) -> dict[TopicPartition, tuple[int, int]]:
    """What is left of spans after these letters."""
    left = dict(spans)
    for position in positions:
        partition = TopicPartition(position.topic, position.partition)
        if partition in left:
            start, end = left[partition]
            left[partition] = (max(start, position.offset + 1), end)
    return {partition: span for partition, span in left.items() if span[0] < span[1]}


def around(spans: Spans, positions: frozenset[Position]) -> dict[TopicPartition, tuple[int, int]]:
    """What has to be read of spans to find these letters; everything when none is named."""
    if not positions:
        return dict(spans)
    narrow: dict[TopicPartition, tuple[int, int]] = {}
    for partition, (start, end) in spans.items():
        offsets = [p.offset for p in positions if (p.topic, p.partition) == partition]
        if offsets:
            span = (max(start, min(offsets)), min(end, max(offsets) + 1))
            if span[0] < span[1]:
                narrow[partition] = span
    return narrow


def slim(record: Record, letter: Letter) -> Found:
    """A letter without what is large."""
    small = replace(letter, value=None, stacktrace="", headers=())
    return Found(record.position, record.timestamp_ms, small)


def read_story(record: Record) -> Story | None:
    """What a record of a dead-letter topic says of its first life; `None`: it is no letter."""
    letter = read_letter(record)
    return None if letter is None else story_of(letter)


def story_of(letter: Letter) -> Story:
    """What a dead letter says of its record's first life."""
    return Story(
        letter.source.topic,
        letter.source.partition,
        letter.source.offset,
        letter.source_timestamp_ms,
        frozenset(letter.targets),
        letter.replay_count,
        letter.headers,
    )


def one(reader: Reader, position: Position) -> Record | None:
    """The record at these coordinates; `None` when nothing stands there.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    partition = TopicPartition(position.topic, position.partition)
    low, high = reader.starts([partition])[partition], reader.ends([partition])[partition]
    if not low <= position.offset < high:
        return None
    with reader.reading({partition: (position.offset, position.offset + 1)}) as reading:
        return next((record for records in reading for record in records), None)


def _as_letters(settings: Settings, choice: TopicChoice) -> TopicChoice:
    if choice.topic == settings.state_topic:
        raise Misconfigured(f"{choice.topic} is the state topic; it holds no dead letters.")
    if is_letter_topic(settings, choice.topic):
        return choice
    return TopicChoice(settings.dead_letter_topic(choice.topic), choice.partitions)
