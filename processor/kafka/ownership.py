"""Which partitions are ours on the consumer's thread, and commits for these and no others."""

from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.clients import error_of
from processor.kafka.intake import Start
from processor.kafka.progress import Mark
from processor.record import TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

Committed = Callable[[Mapping[TopicPartition, Mark], str | None], None]
"""Told what the broker acknowledged, or why it did not."""

TOO_LARGE = KafkaError.OFFSET_METADATA_TOO_LARGE


class Ownership:
    """Lets through commits of partitions that are ours, at or after where we got them.

    The loop decides what to commit before the consumer's thread does it. A rebalance may lie
    between: without this, the old decision would set back the offset that the next owner committed
    (the broker takes any offset from a member of the group).

    Args:
        told: called with what came of each commit.
    """

    def __init__(self, told: Committed) -> None:
        self._told = told
        self._floors: dict[TopicPartition, int] = {}
        self._plain = False

    def gained(self, starts: Mapping[TopicPartition, Start]) -> None:
        """These are ours from here, and begin there."""
        self._floors.update({p: start.offset or 0 for p, start in starts.items()})

    def gone(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self._floors.pop(partition, None)

    def commit(
        self, consumer: Consumer, marks: Mapping[TopicPartition, Mark], *, wait: bool
    ) -> bool:
        """Commit what is ours of this.

        A broker that takes less metadata than the protocol's usual 4,096 bytes gets none from then
        on: a commit without it only means that a crash repeats more.

        Args:
            consumer: whose group commits.
            marks: by partition, the next record to read and the metadata.
            wait: until the broker has answered; else :meth:`answered` hears of it.

        Returns:
            False when the broker refused, or did not answer; nothing to commit is no failure.
        """
        ours = {p: m for p, m in marks.items() if m.offset >= self._floors.get(p, m.offset + 1)}
        places = [
            KafkaPartition(*p, m.offset, metadata="" if self._plain else m.metadata)
            for p, m in ours.items()
        ]
        if not places:
            return True
        try:
            if not wait:
                consumer.commit(offsets=places, asynchronous=True)
                return True
            answers = consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as raised:
            error = error_of(raised)
            if self._is_too_large(error):
                return self.commit(consumer, ours, wait=wait)
            self._told({}, str(error or raised))
            return False
        if any(self._is_too_large(answer.error) for answer in answers):
            return self.commit(consumer, ours, wait=wait)
        self.answered(None, answers)
        return all(answer.error is None for answer in answers)

    def answered(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        """The consumer's ``on_commit``: tell what the broker took, of what is still ours."""
        good: dict[TopicPartition, Mark] = {}
        bad = error
        self._is_too_large(error)
        for place in partitions:
            partition = TopicPartition(place.topic, place.partition)
            if place.error is not None:
                bad = bad or place.error
                self._is_too_large(place.error)
            elif error is None and place.offset >= 0 and partition in self._floors:
                good[partition] = Mark(place.offset, place.metadata or "")
        self._told(good, bad.str() if bad is not None else None)

    def _is_too_large(self, error: KafkaError | None) -> bool:
        """Whether the broker refused metadata that we need not send any more."""
        if error is None or error.code() != TOO_LARGE or self._plain:
            return False
        log.warning(
            "The broker takes less than 4,096 bytes of commit metadata (its "
            "offset.metadata.max.bytes): none is sent any more, so a crash repeats more records."
        )
        self._plain = True
        return True


def kafka_partitions(offsets: Mapping[TopicPartition, int]) -> list[KafkaPartition]:
    """In the client's own form."""
    return [KafkaPartition(p.topic, p.partition, offset) for p, offset in offsets.items()]
