"""Which partitions are ours on the consumer's thread, and commits for these and no others."""

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.clients import error_of
from processor.kafka.intake import Start
from processor.kafka.progress import Mark, Origin
from processor.record import TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

Committed = Callable[[Mapping[TopicPartition, Mark], str | None], None]
"""Told what the broker acknowledged, or why it did not."""

TOO_LARGE = KafkaError.OFFSET_METADATA_TOO_LARGE
UNANSWERED_S = 60.0
"""After so long an order is given up: librdkafka's ``socket.timeout.ms``, by default."""

SENT_AGAIN_S = 1.5
"""Within this, what a broken connection left unanswered has been sent again: librdkafka waits for
``retry.backoff.max.ms``, one second."""


BETWEEN = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
"""The group has a generation of which the client will hear at once. What is ours stays ours in it:
partitions are given away in a callback only, and nobody polls meanwhile."""

REJOIN_S, REJOINS = 0.5, 6
"""A commit that is waited for, and fell between two generations, is made so often again."""


class Ownership:
    """Lets through commits of partitions that are ours, decided since they are.

    The loop decides what to commit before the consumer's thread does it, and hears of the answer
    later still. A rebalance or a reset may lie between: the old decision would set back the offset
    that the next owner committed (the broker takes any offset from a member of the group), or pass
    records of a topic that was recreated. So each assignment has a generation, numbered here where
    assignments begin; orders and answers of any other are dropped.

    Args:
        told: called with what came of each commit.
    """

    def __init__(self, told: Committed) -> None:
        self._told = told
        self._generation = 0
        self._generations: dict[TopicPartition, int] = {}
        self._origins: dict[TopicPartition, Origin] = {}
        self._starts: dict[TopicPartition, int | None] = {}
        self._asked: dict[TopicPartition, dict[tuple[int, str], float]] = {}
        self._plain = False
        self._between = False

    def gained(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, Start]:
        """These are ours from here; gives them back with the generation of this assignment."""
        self._generation += 1
        for partition, start in starts.items():
            self._generations[partition] = self._generation
            self._starts[partition] = start.offset
            self._asked[partition] = {}
            self._origins.pop(partition, None)
            if start.origin is not None:
                self._origins[partition] = start.origin
        return {p: start._replace(generation=self._generation) for p, start in starts.items()}

    def gone(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self._generations.pop(partition, None)
            self._starts.pop(partition, None)
            self._asked.pop(partition, None)
            self._origins.pop(partition, None)

    def start(self, partition: TopicPartition) -> int | None:
        """Where what is ours began; `None`: at no committed offset, or it is not ours."""
        return self._starts.get(partition)

    def origins(self) -> dict[TopicPartition, tuple[int, Origin]]:
        """Generation and origin of what is ours, as far as the broker told an origin."""
        return {p: (self._generations[p], origin) for p, origin in self._origins.items()}

    def commit(
        self, consumer: Consumer, marks: Mapping[TopicPartition, Mark], *, wait: bool
    ) -> bool:
        """Commit what is ours of this.

        A broker that takes less metadata than the protocol's usual 4,096 bytes gets none from then
        on: a commit without it only means that a crash repeats more.

        Of a partition only one order is on its way. When a connection breaks, librdkafka sends what
        was not answered once more, after what was ordered since: an older order would set the
        offset back. So later ones are left for the next time. With ``wait`` there may be none: the
        newest then waits until the older one has been sent again, and is ordered once more after
        as long again, in case the connection broke a second time.

        Args:
            consumer: whose group commits.
            marks: by partition, the next record to read and the metadata.
            wait: until the broker has answered; else :meth:`answered` hears of it.

        Returns:
            False when the broker refused, or did not answer; nothing to commit is no failure.
        """
        ours = {p: m for p, m in marks.items() if m.generation == self._generations.get(p)}
        unanswered = {p: m for p, m in ours.items() if self._is_on_its_way(p)}
        if not wait:
            free = {p: m for p, m in ours.items() if p not in unanswered}
            return self._commit(consumer, free, wait=False)
        if unanswered:
            time.sleep(SENT_AGAIN_S)
        acknowledged = self._insist(consumer, ours)
        if acknowledged and unanswered:
            time.sleep(SENT_AGAIN_S)
            self._insist(consumer, unanswered)
        return acknowledged

    def _insist(self, consumer: Consumer, ours: Mapping[TopicPartition, Mark]) -> bool:
        """Commit, again while the group is between two generations."""
        for _ in range(REJOINS):
            if self._commit(consumer, ours, wait=True):
                return True
            if not self._between:
                return False
            time.sleep(REJOIN_S)
        return self._commit(consumer, ours, wait=True)

    def _is_on_its_way(self, partition: TopicPartition) -> bool:
        since_s = max(self._asked[partition].values(), default=None)
        return since_s is not None and time.monotonic() < since_s + UNANSWERED_S

    def _commit(
        self, consumer: Consumer, ours: Mapping[TopicPartition, Mark], *, wait: bool
    ) -> bool:
        places = [
            KafkaPartition(*p, m.offset, metadata="" if self._plain else m.metadata)
            for p, m in ours.items()
        ]
        if not places:
            return True
        try:
            if not wait:
                consumer.commit(offsets=places, asynchronous=True)
                self._expect(places)
                return True
            answers = consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as raised:
            error = error_of(raised)
            if self._is_too_large(error):
                return self._commit(consumer, ours, wait=wait)
            self._between = error is not None and error.code() in BETWEEN
            self._told({}, str(error or raised))
            return False
        if any(self._is_too_large(answer.error) for answer in answers):
            return self._commit(consumer, ours, wait=wait)
        self._expect(places)
        self.answered(None, answers)
        errors = [answer.error for answer in answers if answer.error is not None]
        self._between = all(error.code() in BETWEEN for error in errors)
        return not errors

    def _expect(self, places: list[KafkaPartition]) -> None:
        for place in places:
            asked = self._asked[TopicPartition(place.topic, place.partition)]
            asked[place.offset, place.metadata or ""] = time.monotonic()

    def answered(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        """The consumer's ``on_commit``: tell what the broker took of this generation's orders."""
        good: dict[TopicPartition, Mark] = {}
        bad = error
        self._is_too_large(error)
        for place in partitions:
            partition = TopicPartition(place.topic, place.partition)
            told = (place.offset, place.metadata or "")
            ours = self._asked.get(partition, {}).pop(told, None) is not None
            if place.error is not None:
                bad = bad or place.error
                self._is_too_large(place.error)
            elif error is None and ours:
                good[partition] = Mark(*told, self._generations[partition])
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
