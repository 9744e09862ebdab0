"""How far a replay is, from what its consumer group has committed: right whatever became of it."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from processor.errors import Misconfigured, TryAgain
from processor.kafka.clients import admin_properties, error_of
from processor.kafka.intake import Start
from processor.kafka.origins import look_up
from processor.kafka.progress import NOTHING, Ended, Ignored, Origin, read
from processor.operations.chosen import Chosen, Offsets
from processor.operations.reading import ANSWER_S, DENIED, ONLY_EMERGENCIES, Reader
from processor.operations.resolutions.runs import both, of_runs
from processor.record import TopicPartition
from processor.settings import Settings
from processor.telemetry.logs import redact

AGAIN_S = 0.2
MOVING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Who keeps a group's offsets is being settled; the client does not ask again by itself."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group has committed for a partition: the next offset, and what goes along."""

    offset: int
    metadata: str


def committed_by(settings: Settings, group: str) -> dict[TopicPartition, Committed]:
    """What a group has committed; nothing for one that never did, or was forgotten.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us the group.
    """
    quiet = {"log_level": ONLY_EMERGENCIES}
    admin = AdminClient({**admin_properties(settings.kafka, f"{settings.name}-look"), **quiet})
    asked = [ConsumerGroupTopicPartitions(group)]
    until_s = time.monotonic() + ANSWER_S
    while True:
        try:
            told = admin.list_consumer_group_offsets(asked, request_timeout=ANSWER_S)[group]
            return _committed(told.result())
        except KafkaException as raised:
            error = error_of(raised)
            if error is None or error.code() not in MOVING or time.monotonic() > until_s:
                return _refused(group, raised)
        time.sleep(AGAIN_S)


def _refused(group: str, raised: KafkaException) -> dict[TopicPartition, Committed]:
    """What it means that the broker does not tell."""
    error = error_of(raised)
    text = redact(error.str() if error is not None else str(raised)).rstrip(".")
    if error is not None and error.code() == KafkaError.GROUP_ID_NOT_FOUND:
        return {}
    if error is not None and error.code() in DENIED:
        raise Misconfigured(
            f"Kafka refuses to tell the offsets of group {group}: {text}.",
            mend="Grant this client Describe on the group.",
            reason="kafka",
        ) from raised
    raise TryAgain(
        f"Kafka does not tell the offsets of group {group}: {text}.", reason="kafka"
    ) from raised


def _committed(told: ConsumerGroupTopicPartitions) -> dict[TopicPartition, Committed]:
    return {
        TopicPartition(place.topic, place.partition): Committed(place.offset, place.metadata or "")
        for place in told.topic_partitions or ()
        if place.offset >= 0
    }


def origins_of(settings: Settings, topics: Collection[str]) -> dict[str, Origin]:
    """The ids of cluster and topics as the broker tells them; what it does not tell is left out."""
    properties = admin_properties(settings.kafka, f"{settings.name}-look")
    return look_up(properties, topics, within_s=ANSWER_S)


def starts_of(
    reader: Reader,
    partitions: Iterable[TopicPartition],
    origins: Mapping[str, Origin],
    committed: Mapping[TopicPartition, Committed],
    firsts: Mapping[TopicPartition, int],
) -> dict[TopicPartition, Start]:
    """Where each partition of a replay begins, and whose offsets it commits.

    Args:
        reader: of Kafka.
        partitions: those of the replay.
        origins: of their topics.
        committed: what was committed before; empty for a replay that begins.
        firsts: where a partition begins of which nothing was committed.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    partitions = list(partitions)
    ends = reader.ends([p for p in partitions if p in committed])
    starts = {}
    for partition in partitions:
        origin, found = origins.get(partition.topic), committed.get(partition)
        if found is None or found.offset < firsts[partition]:
            starts[partition] = Start(firsts[partition], origin=origin)
        else:
            end = ends.get(partition)
            starts[partition] = Start(found.offset, found.metadata, origin, end)
    return starts


def ended_before(chosen: Chosen, starts: Mapping[TopicPartition, Start]) -> int:
    """How many of the chosen records had ended, by offsets and metadata."""
    return sum(
        _ended(offsets, starts[partition])
        for partition, offsets in chosen.by_partition.items()
        if partition in starts
    )


def _ended(offsets: Offsets, start: Start) -> int:
    first, end = offsets.span
    place = start.offset or 0
    below = [(first, min(place, end))] if place > first else []
    beyond = [(run.start, min(run.stop, end)) for run in _beyond(start) if run.start < end]
    return len(both(offsets, of_runs([*below, *beyond])))


def _beyond(start: Start) -> Ended:
    try:
        return read(start.metadata, start.offset or 0, start.origin, start.end)
    except Ignored:
        return NOTHING
