"""How far behind the consumer is, also in partitions that it does not read now.

Librdkafka knows the end of what it fetches. What is paused is not fetched, so its end would stand
still, and a lag of 0 all through an outage: there, the broker is asked.
"""

import contextlib
import time

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.ownership import Ownership
from processor.kafka.pausing import Pausing
from processor.record import TopicPartition

ASK_EVERY_S = 5.0
ASK_FOR_S = 0.1
"""Of each look: the thread has to poll. Whoever is not asked in this time is asked at the next."""

ANSWER_S = 1.0


class Lag:
    """Counts the records between the next one to read and the end, by partition.

    Args:
        ours: knows where each partition began: the consumer has no position before a record came.
        pausing: knows what is not read now.
    """

    def __init__(self, ours: Ownership, pausing: Pausing) -> None:
        self._ours = ours
        self._pausing = pausing
        self._ends: dict[TopicPartition, tuple[float, int]] = {}
        self._ask_again_s = 0.0

    def look(self, consumer: Consumer) -> dict[TopicPartition, int]:
        """Of each partition whose position and end are known; on the consumer's thread."""
        lags: dict[TopicPartition, int] = {}
        unfetched: list[TopicPartition] = []
        with contextlib.suppress(KafkaException):
            for place in consumer.position(consumer.assignment()):
                partition = TopicPartition(place.topic, place.partition)
                _, end = consumer.get_watermark_offsets(KafkaPartition(*partition), cached=True)
                if end < 0 or self._pausing.is_paused(partition):
                    unfetched.append(partition)
                    _, end = self._ends.get(partition, (0.0, end))
                start = self._ours.start(partition) if place.offset < 0 else place.offset
                if start is not None and end >= 0:
                    lags[partition] = max(0, end - start)
            self._ends = {p: asked for p, asked in self._ends.items() if p in unfetched}
            self._ask(consumer, unfetched)
        return lags

    def _ask(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Ask for ends, the oldest answer first, to be told at the next look."""
        began_s = time.monotonic()
        if began_s < self._ask_again_s:
            return
        self._ask_again_s = began_s + ASK_EVERY_S  # should the broker not answer
        for partition in sorted(partitions, key=self._asked_s):
            now_s = time.monotonic()
            if now_s < self._asked_s(partition) + ASK_EVERY_S or now_s > began_s + ASK_FOR_S:
                break
            _, end = consumer.get_watermark_offsets(KafkaPartition(*partition), timeout=ANSWER_S)
            self._ends[partition] = now_s, end
        self._ask_again_s = 0.0

    def _asked_s(self, partition: TopicPartition) -> float:
        asked_s, _ = self._ends.get(partition, (float("-inf"), -1))
        return asked_s
