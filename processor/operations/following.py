"""Goes on reading topics as they grow, until somebody stops it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPartition

from processor.errors import TryAgain
from processor.kafka.records import partition_of, record_of
from processor.operations.reading import DENIED, OF_NO_GROUP, POLL_RECORDS, POLL_S, denied
from processor.record import Record, TopicPartition

LOOK_S = 5.0
"""Topics and partitions that are made meanwhile are found within this time."""

BACK = "Kafka answers again."


class Following:
    """New records as they come; partitions come mixed, each in its own order.

    An outage is waited for; what is missed meanwhile comes afterwards. Topics and partitions that
    are made later are read from their beginning. Iterating never ends by itself, and gives an
    empty list when nothing has come for a moment; it raises Misconfigured when Kafka refuses us,
    or a topic that was named is gone.

    Args:
        properties: of the consumer.
        partitions: looks up what is to be read; raises TryAgain when no broker answers.
        begin: the offset to begin with, of the partitions that are there already.
        say: told when Kafka stops answering, and when it answers again.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        partitions: Callable[[], Collection[TopicPartition]],
        begin: Mapping[TopicPartition, int],
        *,
        say: Callable[[str], None],
    ) -> None:
        self._partitions = partitions
        self._next = dict(begin)
        self._say = say
        self._away = False
        self._consumer = Consumer({**properties, "enable.partition.eof": False})

    def __enter__(self) -> Self:
        self._assign()
        return self

    def __exit__(self, *_error: object) -> None:
        self._consumer.close()

    def __iter__(self) -> Iterator[list[Record]]:
        looked_s = time.monotonic()
        while True:
            messages = self._consumer.consume(POLL_RECORDS, POLL_S)
            yield [record for message in messages if (record := self._record(message)) is not None]
            if time.monotonic() - looked_s > LOOK_S:
                self._look()
                looked_s = time.monotonic()

    def _record(self, message: Message) -> Record | None:
        error, partition = message.error(), partition_of(message)
        if error is not None:
            if error.code() in DENIED - {OF_NO_GROUP}:
                raise denied(error, partition.topic)
            if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._next.pop(partition, None)  # found anew if it is made again
            return None
        record = record_of(message)
        self._next[partition] = record.offset + 1
        return record

    def _look(self) -> None:
        try:
            found = set(self._partitions())
        except TryAgain as error:
            if not self._away:
                self._say(f"{error} Waiting for it.")
            self._away = True
            return
        if self._away:
            self._say(BACK)
        self._away = False
        if found != set(self._next):
            self._next = {p: self._next.get(p, OFFSET_BEGINNING) for p in found}
            self._assign()

    def _assign(self) -> None:
        self._consumer.assign([KafkaPartition(*p, offset) for p, offset in self._next.items()])
