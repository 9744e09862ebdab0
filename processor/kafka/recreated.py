"""Notices that a topic was deleted and made anew while its partitions were ours.

A consumer that does not see it gone goes on at its old offset. While the new log is shorter, that
is out of range; once it is longer, the records below would be skipped, and nothing would say so.
The broker forgets a group's offsets when it deletes a topic, so the new one is read from its start.
"""

import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer

from processor.kafka.origins import Origins
from processor.kafka.ownership import Ownership
from processor.kafka.progress import Origin
from processor.record import TopicPartition

LOOK_EVERY_S = 30.0
"""Each look costs a connection. Until one sees it, records are read twice, at worst."""

Anew = Callable[[Consumer, TopicPartition, Origin], None]
"""Reads a partition from the beginning of its new log."""


class Recreations:
    """Compares the topics' ids with those at the assignment, now and then, on threads of its own.

    Args:
        order: hands work to the consumer's thread.
    """

    def __init__(
        self,
        ours: Ownership,
        origins: Origins,
        order: Callable[[Callable[[Consumer], None]], None],
        anew: Anew,
    ) -> None:
        self._ours = ours
        self._origins = origins
        self._order = order
        self._anew = anew
        self._due_s = time.monotonic() + LOOK_EVERY_S

    def turn(self) -> None:
        """Look, if it is time to; on the consumer's thread."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + LOOK_EVERY_S
        known = self._ours.origins()
        if known:
            threading.Thread(target=self.look, args=(known,), name="topics", daemon=True).start()

    def look(self, known: Mapping[TopicPartition, tuple[int, Origin]]) -> None:
        """Have those begin anew whose topic is another now; may take seconds."""
        found = self._origins({partition.topic for partition in known})
        others = {
            partition: (generation, found[partition.topic])
            for partition, (generation, origin) in known.items()
            if partition.topic in found and is_another(found[partition.topic], origin)
        }
        if others:
            self._order(lambda consumer: self._begin(consumer, others))

    def _begin(
        self, consumer: Consumer, others: Mapping[TopicPartition, tuple[int, Origin]]
    ) -> None:
        for partition, (generation, origin) in others.items():
            still = self._ours.origins().get(partition)
            if still is not None and still[0] == generation:  # else it was assigned anew meanwhile
                self._anew(consumer, partition, origin)


def is_another(found: Origin, known: Origin | None) -> bool:
    """Whether a topic of the same cluster has another id than before; of another nobody can say."""
    return known is not None and found.cluster_id == known.cluster_id and found != known
