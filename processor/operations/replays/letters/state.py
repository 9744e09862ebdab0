"""What the state topic and the broker know of the dead letters that a command is about."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties
from processor.kafka.origins import look_up
from processor.kafka.state_entry import Entry
from processor.operations.chosen import Chosen
from processor.operations.letters.meant import ANY, DISCARDED, OPEN, RESOLUTIONS
from processor.operations.replays.letters.plan_file import Origin
from processor.operations.resolutions.claiming import State
from processor.operations.resolutions.resolutions import Resolution, Resolutions, Word
from processor.operations.resolutions.runs import of_any
from processor.record import Position, TopicPartition
from processor.settings import Settings
from processor.settings.masking import printable


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of dead letters.

    Attributes:
        origin: whose they are.
        entries: of the state topic.
        resolutions: what was done about each.
    """

    origin: Origin
    entries: Mapping[str, Entry]
    resolutions: Resolutions

    def is_open(self, letter: Position) -> bool:
        """Whether something is still to be done about a letter."""
        return self.resolutions.is_open(
            TopicPartition(letter.topic, letter.partition), letter.offset
        )

    def again(self, entries: Mapping[str, Entry]) -> "Known":
        """The same, by what the state topic holds now."""
        resolutions = Resolutions(entries.values(), self.origin.topic_ids)
        return Known(self.origin, entries, resolutions)


def known(settings: Settings, state: State, topics: Collection[str]) -> Known:
    """Ask the broker for the ids of dead-letter topics, and read the state topic.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    ids = look_up(admin_properties(settings.kafka, f"{settings.name}-look"), set(topics))
    clusters = {origin.cluster_id for origin in ids.values()}
    topic_ids = {topic: origin.topic_id for topic, origin in ids.items()}
    entries = state.read()
    origin = Origin(settings.name, next(iter(clusters), ""), topic_ids)
    return Known(origin, entries, Resolutions(entries.values(), topic_ids))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters ``--resolution`` means.

    Attributes:
        action: one of `RESOLUTIONS`.
        before: those about which something was done after this (RFC 3339) are not meant; empty:
            they are. So a plan of letters that had been discarded sends each once.
    """

    action: str = OPEN
    before: str = ""

    def takes(self, resolution: Resolution | None) -> bool:
        """Whether a letter about which this was done is meant."""
        if resolution is None:
            return self.action in (OPEN, ANY)
        if resolution.open:
            return self.action != DISCARDED
        if self.action == OPEN or (self.before and resolution.at > self.before):
            return False
        discarded = resolution.outcome.word is Word.DISCARDED
        return self.action == ANY or (self.action == DISCARDED) == discarded


def wanted(action: str, before: str = "") -> Wanted:
    """What ``--resolution`` means.

    Raises:
        Misconfigured: it is none of `RESOLUTIONS`.
    """
    if action not in RESOLUTIONS:
        raise Misconfigured(
            f"--resolution is one of {', '.join(RESOLUTIONS)}; «{printable(action[:60])}» is not."
        )
    return Wanted(action, before)


def left(letters: Chosen, resolutions: Resolutions, which: Wanted) -> Chosen:
    """Of these letters, those that are meant."""
    return Chosen(
        {
            partition: kept
            for partition, offsets in letters.by_partition.items()
            if len(
                kept := of_any(
                    offset
                    for start, end in offsets.runs()
                    for offset in range(start, end)
                    if which.takes(resolutions.of(partition, offset))
                )
            )
        }
    )


class Log(Protocol):
    """Tells where partitions begin."""

    def topics(self) -> Mapping[str, int]:
        """Every topic that we may see, with its number of partitions."""

    def starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset of the first record that is still there."""


def tidy(state: State, resolutions: Resolutions, log: Log) -> int:
    """Delete what was said of letters that Kafka has dropped; gives the number of entries.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    there = log.topics()
    places = [p for p in resolutions.partitions() if p.partition < there.get(p.topic, 0)]
    gone = [*resolutions.outdated, *resolutions.below(log.starts(places))]
    state.write_many(dict.fromkeys(gone))
    return len(gone)
