"""The connector's committed offsets, read and set partition by partition, as Connect's API does."""

from collections.abc import Mapping

from processor.errors import Misconfigured, TryAgain
from processor.operations.bounds import TopicChoice
from processor.operations.letters.find import source_topics
from processor.operations.offsets.group import GroupReader, GroupWriter
from processor.operations.offsets.reset import Aim, prepare_aim
from processor.record import TopicPartition
from processor.settings import Settings


def committed(settings: Settings) -> dict[TopicPartition, int]:
    """What the connector's group has committed, in the order of topics and partitions.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    marks = GroupReader(settings).marks(settings.group_id)
    return {partition: mark.offset for partition, mark in sorted(marks.items())}


def alter(settings: Settings, wanted: Mapping[TopicPartition, int | None]) -> None:
    """Commit these offsets, without metadata; `None` forgets what a partition has.

    An offset outside the log becomes the log's start or end. Other partitions keep what they have.

    Raises:
        TryAgain: no broker answers, or somebody is in the group: a task may still be stopping.
        Misconfigured: a partition does not exist or is not the connector's, or Kafka refuses us.
    """
    topics = {partition.topic for partition in wanted}
    foreign = topics - set(source_topics(settings, dict.fromkeys(topics, 1)))
    if foreign:
        raise Misconfigured(f"{', '.join(sorted(foreign))}: no topic of the connector.")
    choices = [TopicChoice(p.topic, (p.partition,)) for p in wanted]
    reset = prepare_aim(settings, Aim("file", wanted=dict(wanted)), choices)
    reset.allow(skip_records=True)
    reset.write()


def forget(settings: Settings) -> None:
    """Forget everything that the connector's group has committed.

    Raises:
        TryAgain: no broker answers, or somebody is in the group: a task may still be stopping.
        Misconfigured: Kafka refuses us.
    """
    writer = GroupWriter(settings)
    if writer.group(settings.group_id).active:
        raise TryAgain(
            f"Somebody is in group {settings.group_id}: a task may still be stopping.",
            reason="kafka",
        )
    writer.forget(settings.group_id)
