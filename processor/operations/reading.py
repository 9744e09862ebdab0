"""Reads spans of Kafka topics outside every consumer group: looks, and never commits."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
)
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from processor.errors import Misconfigured, TryAgain
from processor.kafka.admission import Admission
from processor.kafka.clients import admin_properties, consumer_properties, error_of
from processor.kafka.records import partition_of, record_of
from processor.operations.time_order import TimeOrder
from processor.record import Record, TopicPartition
from processor.settings import Settings
from processor.telemetry.logs import redact

Spans = Mapping[TopicPartition, tuple[int, int]]
"""By partition, the first offset and the one after the last."""

Wanted = Callable[[TopicPartition, int], bool]
"""Whether the record at an offset of a partition is looked at."""

Item = TypeVar("Item")

ANSWER_S = 8.0
"""How long a broker may take to answer before it counts as away."""

STUCK_S = 30.0
"""How long reading may bring nothing before we give up."""

POLL_RECORDS = 200
"""Records of 1 MB exist; a batch of them has to fit into memory."""

POLL_S = 0.2
AHEAD = 2_000
SMALL_FETCHES = {
    "fetch.message.max.bytes": 262_144,
    "fetch.max.bytes": 2_097_152,
    "queued.max.messages.kbytes": 8_192,
    # By default a full queue rests for a second before it is filled again.
    "fetch.queue.backoff.ms": 10,
}
"""Letters compress ten to one; larger fetches of many partitions would be most of our memory."""

ONLY_EMERGENCIES = 0
"""Librdkafka's log level here: a command says one sentence, not one a second."""

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)

OF_NO_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED
"""Librdkafka looks up the coordinator of every consumer's group; readings are of none, so that we
have no right to it means nothing."""


def everything(_partition: TopicPartition, _offset: int) -> bool:
    """Every record is looked at."""
    return True


class Reader:
    """Looks things up in Kafka and reads spans of topics; every call blocks.

    Each raises TryAgain when no broker answers within `ANSWER_S`, and Misconfigured when Kafka
    refuses us or the client properties are wrong.

    Attributes:
        properties: of its consumers.
    """

    def __init__(self, settings: Settings) -> None:
        client_id = f"{settings.name}-look"
        admin = admin_properties(settings.kafka, client_id)
        self._admission = Admission(admin)
        quiet: dict[str, Any] = {
            "log_level": ONLY_EMERGENCIES,
            "error_cb": self._admission.error_cb,
        }
        self.properties: Mapping[str, Any] = {
            **consumer_properties(settings.kafka, f"{settings.group_id}-look", client_id),
            **quiet,
            **SMALL_FETCHES,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        try:
            self._admin = AdminClient({**admin, **quiet})
        except KafkaException as raised:
            raise _wrong_properties(raised) from raised

    def topics(self) -> dict[str, int]:
        """Every topic that we may see, with its number of partitions."""
        try:
            found = self._admin.list_topics(timeout=ANSWER_S).topics
        except KafkaException as raised:
            raise self._away(raised) from raised
        return {name: len(topic.partitions) for name, topic in found.items() if not topic.error}

    def refuse_hidden(self, topics: Collection[str]) -> None:
        """Complain of a topic that is not missing but hidden from us: we may not describe it.

        Of those that are left out of :meth:`topics` nobody can tell which they are.
        """
        for topic in topics:
            try:
                found = self._admin.list_topics(topic, timeout=ANSWER_S).topics.get(topic)
            except KafkaException as raised:
                raise self._away(raised) from raised
            if found is not None and found.error is not None and found.error.code() in DENIED:
                raise denied(found.error, topic)

    def starts(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the first record that is still there."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call] # its stub has no annotation

    def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record that a reader can see."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call] # its stub has no annotation

    def at(
        self, partitions: Collection[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int | None]:
        """The first offset at or after a time; `None` where there is none."""
        found = self._offsets(partitions, OffsetSpec.for_timestamp(timestamp_ms))
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def topic_configs(self, topics: Collection[str], name: str) -> dict[str, str | None]:
        """A property of each topic; `None` where Kafka does not let us see it."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        if not resources:
            return {}
        found: dict[str, str | None] = {}
        for resource, future in self._admin.describe_configs(
            resources, request_timeout=ANSWER_S
        ).items():
            try:
                entry = future.result().get(name)
            except KafkaException:
                entry = None
            found[resource.name] = None if entry is None else entry.value
        return found

    def reading(self, spans: Spans, wanted: Wanted = everything) -> "Reading":
        """Begin one pass over spans; use it in a ``with`` statement."""
        return Reading(self.properties, spans, wanted)

    def _offsets(
        self,
        partitions: Collection[TopicPartition],
        spec: OffsetSpec,
        *,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        asked = {KafkaPartition(p.topic, p.partition): spec for p in partitions}
        try:
            answers = self._admin.list_offsets(
                asked, isolation_level=isolation, request_timeout=ANSWER_S
            )
            return {
                TopicPartition(p.topic, p.partition): future.result().offset
                for p, future in answers.items()
            }
        except KafkaException as raised:
            error = error_of(raised)
            if error is not None and error.code() in DENIED:
                raise denied(error) from raised
            raise self._away(raised) from raised

    def _away(self, raised: KafkaException) -> TryAgain | Misconfigured:
        self._admin.poll(0)  # hands over what `error_cb` is to hear
        return self._admission.away(_words(raised))


class Reading:
    """One pass over spans, batch by batch; partitions come mixed, each in its own order.

    Iterating raises TryAgain when nothing arrives for `STUCK_S`, Misconfigured when Kafka refuses
    us a topic.
    """

    def __init__(self, properties: Mapping[str, Any], spans: Spans, wanted: Wanted) -> None:
        self.spans = {p: (start, end) for p, (start, end) in spans.items() if start < end}
        self.unread = set(self.spans)
        self._properties = dict(properties)
        self._wanted = wanted
        self._held: set[TopicPartition] = set()
        self._consumer: Consumer | None = None

    def __enter__(self) -> Self:
        if self.spans:
            try:
                self._consumer = Consumer(self._properties)
            except KafkaException as raised:
                raise _wrong_properties(raised) from raised
            self._consumer.assign(
                [KafkaPartition(*partition, start) for partition, (start, _) in self.spans.items()]
            )
        return self

    def __exit__(self, *_error: object) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def hold(self, partitions: set[TopicPartition]) -> None:
        """Read no more of these for now, and of all others again."""
        if self._consumer is None or partitions == self._held:
            return
        self._consumer.pause([KafkaPartition(*p) for p in partitions - self._held])
        freed = (self._held - partitions) & self.unread
        self._consumer.resume([KafkaPartition(*p) for p in freed])
        self._held = set(partitions)

    def __iter__(self) -> Iterator[list[Record]]:
        if self._consumer is None:
            return
        heard_s = time.monotonic()
        while self.unread:
            messages = self._consumer.consume(POLL_RECORDS, POLL_S)
            if any(map(_is_news, messages)):
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > STUCK_S:
                raise TryAgain(
                    f"Kafka stopped answering while {_named(self.unread)} was being read.",
                    reason="kafka",
                )
            yield [record for message in messages if (record := self._record(message)) is not None]

    def _record(self, message: Message) -> Record | None:
        partition = partition_of(message)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name for it
                self._read_to_end(partition)
            elif error.code() in DENIED - {OF_NO_GROUP}:
                raise denied(error, partition.topic)
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART or error.fatal():
                raise TryAgain(
                    f"Kafka cannot read {partition}: {redact(error.str())}.", reason="kafka"
                )
            return None
        offset, end = message.offset() or 0, self.spans[partition][1]
        if offset >= end - 1:
            self._read_to_end(partition)
        return record_of(message) if offset < end and self._wanted(partition, offset) else None

    def _read_to_end(self, partition: TopicPartition) -> None:
        if partition in self.unread and self._consumer is not None:
            self.unread.discard(partition)
            self._consumer.pause([KafkaPartition(*partition)])


def in_time_order(reading: Reading, take: Callable[[Record], Item | None]) -> Iterator[Item]:
    """What ``take`` makes of each record, all partitions in the order of Kafka's timestamps.

    Args:
        reading: entered, and not iterated yet.
        take: gives `None` for a record that is not wanted; keeps what it needs and no more, for
            up to `AHEAD` and a batch of them wait in each partition.
    """
    order: TimeOrder[Item] = TimeOrder(reading.spans, ahead=AHEAD)
    left = set(reading.spans)
    for records in reading:
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            order.add(partition, record.timestamp_ms, take(record))
        for partition in left - reading.unread:
            order.end(partition)
        left &= reading.unread
        yield from order.ready()
        reading.hold(order.full())


def _is_news(message: Message) -> bool:
    error = message.error()
    return error is None or error.code() != OF_NO_GROUP


def _wrong_properties(raised: KafkaException) -> Misconfigured:
    return Misconfigured(
        f"{_words(raised)}.", mend="Correct [kafka.properties] and [kafka.consumer]."
    )


def denied(error: KafkaError, topic: str | None = None) -> Misconfigured:
    """Kafka lets us not read."""
    where = f"topic {topic}" if topic else "the topic"
    return Misconfigured(
        f"Kafka refuses to let us read: {redact(error.str()).rstrip('.')}.",
        mend=f"Grant this client Read and Describe on {where}.",
        reason="kafka",
    )


def _named(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(sorted(map(str, partitions)))


def _words(raised: KafkaException) -> str:
    known = error_of(raised)
    return redact(known.str() if known is not None else str(raised)).rstrip(".")
