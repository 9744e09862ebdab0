"""What books are kept by in Kafka: committed offsets, both ends of logs, how topics forget."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType

from processor.kafka.clients import error_of
from processor.operations.offsets.group import NO_GROUP, GroupReader
from processor.operations.reading import ANSWER_S, DENIED
from processor.record import TopicPartition


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a topic keeps its records.

    Attributes:
        compacted: single records may vanish, not only the oldest.
        log_append_time: the broker stamps them when they are written.
        ahead_ms: how far a producer's own time may lie ahead of the broker's; `None`: any.
    """

    compacted: bool
    log_append_time: bool
    ahead_ms: int | None


class BooksReader(GroupReader):
    """As :class:`GroupReader`, and looks up what only books need; it commits nothing."""

    def committed(
        self, group: str, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """The group's committed offsets; `None` where it has none.

        Raises:
            TryAgain: no broker answers.
            Misconfigured: Kafka refuses us.
        """
        marks = self.marks(group, partitions)
        return {p: marks[p].offset if p in marks else None for p in partitions}

    def keeping(self, topics: Collection[str]) -> Mapping[str, Keeping | None]:
        """How topics keep their records; `None` where we may not know.

        Raises:
            TryAgain: no broker answers.
        """
        asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        if not asked:
            return {}
        answers = self._admin.describe_configs(asked, request_timeout=ANSWER_S)
        found: dict[str, Keeping | None] = {}
        for resource, future in answers.items():
            try:
                entries = future.result()
            except KafkaException as raised:
                error = error_of(raised)
                if error is not None and error.code() in DENIED | NO_GROUP:
                    found[resource.name] = None
                    continue
                raise self._away(raised) from raised
            found[resource.name] = keeping_of({k: e.value or "" for k, e in entries.items()})
        return found


def keeping_of(config: Mapping[str, str]) -> Keeping:
    """How a topic with this configuration keeps its records.

    Source: ``message.timestamp.after.max.ms`` is an hour by default since Kafka 4.0, and has no
    limit before.
    """
    ahead = config.get("message.timestamp.after.max.ms", "")
    return Keeping(
        compacted="compact" in config.get("cleanup.policy", "compact"),
        log_append_time=config.get("message.timestamp.type") == "LogAppendTime",
        ahead_ms=int(ahead) if ahead.isdigit() and int(ahead) < 2**62 else None,
    )
