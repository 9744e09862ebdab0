"""Which partitions the consumer does not read now: all, for back-pressure, or single ones."""

from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from processor.record import TopicPartition


class Pausing:
    """Keeps back-pressure apart from what is held for a reason of its own.

    Attributes:
        everything: nothing is read now.
        held: not to be read, whatever the back-pressure says.
        resting: not to be read further for now; what was polled already counts.
    """

    def __init__(self) -> None:
        self.everything = False
        self.held: set[TopicPartition] = set()
        self.resting: set[TopicPartition] = set()

    def pause(self, consumer: Consumer) -> None:
        """Read nothing."""
        self.everything = True
        consumer.pause(consumer.assignment())

    def resume(self, consumer: Consumer) -> None:
        """Read again what is not held."""
        self.everything = False
        assigned = consumer.assignment()
        consumer.resume([p for p in assigned if not self._single(p)])

    def hold(self, consumer: Consumer, partition: TopicPartition) -> None:
        """Read no more of this one, even of what was polled already."""
        self.held.add(partition)
        consumer.pause([KafkaPartition(*partition)])

    def assigned(self, consumer: Consumer, places: Sequence[KafkaPartition]) -> None:
        """Pause what was just assigned, as far as it must not be read, and read the rest.

        Librdkafka keeps a pause when a partition goes and comes back.
        """
        stop = [p for p in places if self.everything or self._single(p)]
        go = [p for p in places if p not in stop]
        if stop:
            consumer.pause(stop)
        if go:
            consumer.resume(go)

    def gone(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions that are not ours any more."""
        gone = set(partitions)
        self.held -= gone
        self.resting -= gone

    def rest(self, consumer: Consumer, partitions: Iterable[TopicPartition]) -> None:
        """Read no more of these for now, and go on with those that rested before."""
        before, self.resting = self.resting, set(partitions)
        assigned = consumer.assignment()
        stop = [p for p in assigned if (p.topic, p.partition) in self.resting - before]
        go = [p for p in assigned if (p.topic, p.partition) in before and not self._single(p)]
        if stop:
            consumer.pause(stop)
        if go and not self.everything:
            consumer.resume(go)

    def is_paused(self, partition: TopicPartition) -> bool:
        """Whether this one is not read now."""
        return self.everything or partition in self.held or partition in self.resting

    def _single(self, place: KafkaPartition) -> bool:
        partition = TopicPartition(place.topic, place.partition)
        return partition in self.held or partition in self.resting
