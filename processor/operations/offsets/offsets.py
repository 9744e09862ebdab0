"""Where the connector stands in each partition: committed, ended beyond it, and what is left."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties
from processor.kafka.origins import look_up
from processor.kafka.progress import NOTHING, Ended, Mark
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.letters.find import source_topics
from processor.operations.offsets.group import GroupNow, GroupReader, Member, ended_beyond
from processor.record import TopicPartition
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands in one partition.

    Attributes:
        committed: the next offset to read; `None`: nothing was committed.
        metadata: what was committed along with it.
        start: the offset of the first record that is still there.
        end: the offset after the last.
        ended: what has ended beyond the committed offset, by the metadata.
        ignored: why the metadata says nothing; empty: it does not say nothing, or there is none.
        consumed: whether the settings name the topic.
    """

    partition: TopicPartition
    committed: int | None
    start: int
    end: int
    metadata: str = ""
    ended: Ended = NOTHING
    ignored: str = ""
    consumed: bool = True

    @property
    def ended_beyond(self) -> int:
        """How many offsets beyond the committed one have ended."""
        return sum(run.stop - run.start for run in self.ended)

    @property
    def lag(self) -> int | None:
        """From the committed offset to the end, as Kafka's own tools count it."""
        return None if self.committed is None else max(self.end - self.committed, 0)


@dataclass(frozen=True, slots=True)
class Offsets:
    """A group and where it stands."""

    group: GroupNow
    standings: tuple[Standing, ...]

    def documents(self) -> list[dict[str, Any]]:
        """One object a partition."""
        return [
            {
                "group": self.group.name,
                "group_state": self.group.state,
                "topic": s.partition.topic,
                "partition": s.partition.partition,
                "committed_offset": s.committed,
                "ended_beyond": s.ended_beyond,
                "metadata_ignored": s.ignored or None,
                "log_start": s.start,
                "log_end": s.end,
                "lag": s.lag,
                "consumed": s.consumed,
                "member": _member(self.group.holder(s.partition)),
            }
            for s in self.standings
        ]


def standings(
    reader: GroupReader,
    settings: Settings,
    group: str,
    partitions: Sequence[TopicPartition],
) -> dict[TopicPartition, Standing]:
    """Where a group stands in these partitions, in their order.

    Committed offsets are looked up before the ends of the logs, so no lag is below what it was.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    marks = reader.marks(group, partitions)
    starts, ends = reader.starts(partitions), reader.written(partitions)
    telling = {partition.topic for partition, mark in marks.items() if mark.metadata}
    origins = look_up(admin_properties(settings.kafka, f"{settings.name}-look"), telling)
    consumed = set(source_topics(settings, {p.topic: 1 for p in partitions}))
    found = {}
    for partition in partitions:
        mark = marks.get(partition, Mark(-1))
        ended, ignored = ended_beyond(mark, origins.get(partition.topic), ends[partition])
        found[partition] = Standing(
            partition,
            mark.offset if partition in marks else None,
            starts[partition],
            ends[partition],
            mark.metadata,
            ended,
            ignored,
            partition.topic in consumed,
        )
    return found


def show(settings: Settings, choices: Sequence[TopicChoice], group: str | None) -> Offsets:
    """Where the connector's group stands, or another one.

    Args:
        settings: name the topics and the group.
        choices: topics and partitions; empty: all that the connector consumes, and all that the
            group has committed something for.
        group: another group's id, such as that of a replay.

    Raises:
        Misconfigured: a topic or partition does not exist, or Kafka refuses us.
        TryAgain: no broker answers.
    """
    reader = GroupReader(settings)
    known = reader.topics()
    name = group or settings.group_id
    state = reader.group(name)
    partitions = (
        partitions_of(choices, known)
        if choices
        else all_of(settings, known, reader.marks(name), own=group is None)
    )
    return Offsets(state, tuple(standings(reader, settings, name, partitions).values()))


def all_of(
    settings: Settings,
    known: Mapping[str, int],
    committed: Collection[TopicPartition],
    *,
    own: bool,
) -> list[TopicPartition]:
    """All partitions that a group has to do with and that exist.

    Args:
        settings: name the connector's topics.
        known: partitions of each topic that exists.
        committed: partitions that the group has committed an offset for.
        own: whether it is the connector's group, which has to do with all of its topics.

    Raises:
        Misconfigured: none of the topics exists.
    """
    topics = [name for name in source_topics(settings, known) if name in known] if own else []
    found = set(partitions_of([TopicChoice(name, None) for name in topics], known))
    found |= {p for p in committed if p.partition < known.get(p.topic, 0)}
    if own and not found:
        raise Misconfigured("None of the connector's topics exists.", mend="Check [kafka] topics.")
    return sorted(found)


def _member(member: Member | None) -> dict[str, str] | None:
    if member is None:
        return None
    return {"id": member.id, "client_id": member.client_id, "host": member.host}
