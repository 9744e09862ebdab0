"""The connector's committed offsets, read and set partition by partition, as Connect's API does."""

import time
from collections.abc import Mapping

from processor.errors import Misconfigured, TryAgain
from processor.operations.bounds import TopicChoice
from processor.operations.letters.find import source_topics
from processor.operations.offsets.group import GroupReader, GroupWriter
from processor.operations.offsets.reset import Aim, prepare_aim
from processor.record import TopicPartition
from processor.settings import Settings

WAIT_S = 10.0
"""For the last task to leave the group: a stop is acknowledged before it is done."""

LOOK_S = 0.25


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
    aim = Aim("file", wanted=dict(wanted))
    prepare_aim(settings, aim, choices)  # what is wrong with it is said at once
    _wait_until_empty(GroupReader(settings), settings.group_id)
    prepare_aim(settings, aim, choices).write()


def forget(settings: Settings) -> None:
    """Forget everything that the connector's group has committed.

    Raises:
        TryAgain: no broker answers, or somebody is in the group: a task may still be stopping.
        Misconfigured: Kafka refuses us.
    """
    writer = GroupWriter(settings)
    _wait_until_empty(writer, settings.group_id)
    writer.forget(settings.group_id)


def _wait_until_empty(reader: GroupReader, group: str) -> None:
    until_s = time.monotonic() + WAIT_S
    while reader.group(group).active:
        if time.monotonic() > until_s:
            raise TryAgain(
                f"Somebody is in group {group}: a task may still be stopping. Nothing was changed; "
                "try again.",
                reason="kafka",
            )
        time.sleep(LOOK_S)
