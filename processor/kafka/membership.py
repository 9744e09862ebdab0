"""The consumer's place in its group: what it is assigned, where it begins, what it gives back."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.intake import Intake, Start, Subscription, Teller
from processor.kafka.origins import Origins
from processor.kafka.ownership import Ownership, kafka_partitions
from processor.kafka.pausing import Pausing
from processor.kafka.progress import Mark, Origin
from processor.record import TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

LOOKUP_S = 10.0
ASK_AGAIN_S = 1.0
LATE_S = 5.0
"""What a revocation waits beyond the drain's own deadline, for a loop that is late."""


class Membership:
    """The callbacks of a subscription; librdkafka calls them inside a poll.

    Attributes:
        cooperative: whether the group gives and takes single partitions.

    Args:
        drain_timeout_s: how long a revocation waits for its partitions to drain.
        origins: whose offsets a topic's are.
        ending: set as soon as the source is to end.
        closing: set when the consumer is about to be closed.
    """

    def __init__(
        self,
        reads: Subscription,
        intake: Intake,
        tell: Teller,
        ours: Ownership,
        pausing: Pausing,
        *,
        cooperative: bool,
        drain_timeout_s: float,
        origins: Origins,
        ending: threading.Event,
        closing: threading.Event,
    ) -> None:
        self._reads = reads
        self._intake = intake
        self._tell = tell
        self._ours = ours
        self._pausing = pausing
        self.cooperative = cooperative
        self._drain_timeout_s = drain_timeout_s
        self._origins = origins
        self._ending = ending
        self._closing = closing

    def join(self, consumer: Consumer) -> None:
        """Subscribe."""
        consumer.subscribe(
            list(self._reads.topics),
            on_assign=self.on_assign,
            on_revoke=self.on_revoke,
            on_lost=self.on_lost,
        )

    def on_assign(self, consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        """These are ours from here."""
        starts = self._starts(consumer, partitions)
        starts = self._ours.gained(starts)
        self._tell(self._intake.assigned, starts)
        places = kafka_partitions(
            {p: OFFSET_BEGINNING if s.offset is None else s.offset for p, s in starts.items()}
        )
        if self.cooperative:
            consumer.incremental_assign(places)
        else:
            consumer.assign(places)
        self._pausing.assigned(consumer, places)

    def on_revoke(self, consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        """These go: wait until they are drained, and commit what ended."""
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        self._pausing.gone(gone)
        if self._closing.is_set() or not gone:
            return
        self.hand_over(consumer, gone)
        self._ours.gone(gone)

    def hand_over(self, consumer: Consumer, gone: Sequence[TopicPartition]) -> None:
        """Have these drained, within the time for it, and commit what ended."""
        marks: dict[TopicPartition, Mark] = {}
        done = threading.Event()

        def drained(ended: Mapping[TopicPartition, Mark]) -> None:
            marks.update(ended)
            done.set()

        self._tell(self._intake.revoking, gone, drained)
        if done.wait(self._drain_timeout_s + LATE_S):
            self._ours.commit(consumer, marks, wait=True)

    def on_lost(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        """These are someone else's already."""
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        self._pausing.gone(gone)
        self._ours.gone(gone)
        self._tell(self._intake.lost, gone)

    def _starts(
        self, consumer: Consumer, partitions: list[KafkaPartition]
    ) -> dict[TopicPartition, Start]:
        """The group's committed offsets; asks until it is answered, for a guess could skip.

        Whose they are is asked once, for this assignment: an answer of an earlier one may be about
        a topic that was recreated since.
        """
        origins: Mapping[str, Origin] | None = None
        while partitions and not self._ending.is_set():
            try:
                found = consumer.committed(partitions, timeout=LOOKUP_S)
                bad = next((p.error for p in found if p.error is not None), None)
                if bad is None:
                    if origins is None:
                        origins = self._origins({p.topic for p in found})
                    return {
                        TopicPartition(p.topic, p.partition): self._start(
                            consumer, p, origins.get(p.topic)
                        )
                        for p in found
                    }
                cause = bad.str()
            except KafkaException as raised:
                cause = str(raised)
            log.warning("Kafka did not tell the committed offsets; asking again.", error=cause)
            self._ending.wait(ASK_AGAIN_S)
        return {}

    def _start(self, consumer: Consumer, found: KafkaPartition, origin: Origin | None) -> Start:
        """Where to begin; without an offset at the first record that there is.

        The end of a partition is committed before anything is read: a restart before its first
        record would otherwise begin at another end, and skip what came between.

        Raises:
            KafkaException: the broker did not tell the end, or did not take the commit.
        """
        if found.offset >= 0:
            end = self._end(consumer, found) if found.metadata else None
            return Start(found.offset, found.metadata or "", origin, end)
        if self._reads.begin == "earliest":
            return Start(None, origin=origin)
        place = KafkaPartition(found.topic, found.partition)
        _, place.offset = consumer.get_watermark_offsets(place, timeout=LOOKUP_S)
        consumer.commit(offsets=[place], asynchronous=False)
        return Start(place.offset, origin=origin)

    @staticmethod
    def _end(consumer: Consumer, found: KafkaPartition) -> int | None:
        """The end of a log; `None` when the broker does not tell, which no start waits for."""
        place = KafkaPartition(found.topic, found.partition)
        try:
            return consumer.get_watermark_offsets(place, timeout=LOOKUP_S)[1]
        except KafkaException:
            return None


def is_cooperative(properties: Mapping[str, Any]) -> bool:
    """Whether a consumer with these properties gets and gives back single partitions."""
    if str(properties.get("group.protocol", "")).lower() == "consumer":
        return True
    return str(properties.get("partition.assignment.strategy", "")).startswith("cooperative")
