"""The state topic: what the connector knows beyond one process, in one compacted topic.

One partition, so that everything in it has one order. Nothing in it is needed to carry records:
who cannot reach it says so and goes on.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processor.errors import Misconfigured, TryAgain
from processor.kafka.admission import Admission
from processor.kafka.clients import (
    admin_properties,
    consumer_properties,
    error_of,
    producer_properties,
)
from processor.kafka.records import record_of
from processor.kafka.state_entry import Document, Entry, Unreadable, encode, entry_of, key_of
from processor.kafka.topics import DENIED, LOOKUP_S, create, partitions_of
from processor.settings import Settings
from processor.telemetry.logs import get_logger, redact

log = get_logger(__name__)

PARTITION: Final = 0
STUCK_S = 30.0
"""How long reading may bring nothing before we give up."""

QUIET = {"log_level": 0}
"""Librdkafka's: we say ourselves what is wrong, in one sentence and not every second."""

POLL_S = 0.2
POLL_RECORDS = 500
WRITE_MS = 10_000
"""A write that no broker acknowledged for so long has failed; it may have been taken all the same,
which does no harm: an entry says what is, not what changed."""

TOPIC_CONFIG = {
    "cleanup.policy": "compact",
    # The brokers' time, so that ages mean the same whatever a host's clock says.
    "message.timestamp.type": "LogAppendTime",
    # Only closed segments are compacted, by default after a week; whoever reads, reads everything.
    "segment.ms": "3600000",
    "segment.bytes": "16777216",
}

REFUSED = DENIED | {KafkaError.MSG_SIZE_TOO_LARGE}
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's names for its errors
OF_THE_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED
"""Of no consequence: who only looks at the state topic needs no right to the group."""

FATAL = KafkaError._FATAL  # noqa: SLF001
GONE = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)


class StateTopic:
    """Reads and writes the state topic; every call blocks, and one thread makes them.

    Nothing is connected to before the first call. Each raises TryAgain when no broker answers, and
    Misconfigured when Kafka refuses us or the client properties are wrong.

    Args:
        open_consumer: makes the consumer of one reading. Likewise the others.
    """

    def __init__(
        self,
        settings: Settings,
        client_id: str,
        *,
        open_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
        open_producer: Callable[[dict[str, Any]], Producer] = Producer,
        open_admin: Callable[[dict[str, Any]], AdminClient] = AdminClient,
    ) -> None:
        self.name = settings.state_topic
        self._settings = settings
        self._client_id = f"{client_id}-state"
        self._open_consumer = open_consumer
        self._open_producer = open_producer
        self._open_admin = open_admin
        self._producer: Producer | None = None
        self._admission = Admission({})

    def read(self, prefix: str = "") -> dict[str, Entry]:
        """The latest entry of each key that begins so, as of now; nothing when there is no topic.

        Deleted keys are left out, and so are those whose latest entry cannot be read.
        """
        properties = reading_properties(self._settings, self._client_id)
        admission = Admission(properties)
        try:
            consumer = self._open_consumer({**properties, "error_cb": admission.error_cb})
        except KafkaException as raised:
            raise fault(raised, f"read {self.name}", self.name) from raised
        try:
            if partitions_of(consumer, self.name) is None:
                return {}
            found = Latest(prefix)
            read_to_end(consumer, self.name, found.take)
        except KafkaException as raised:
            kept_out = admission.kept_out(consumer, error_of(raised), f"read {self.name}")
            raise kept_out or fault(raised, f"read {self.name}", self.name) from raised
        finally:
            consumer.close()
        found.warn()
        return found.entries

    def write(self, key: str, document: Document | None) -> int:
        """Write one entry, or delete the key; gives the offset, which the broker has acknowledged.

        The topic is created when it is missing.
        """
        return self.write_many({key: document})[key]

    def write_many(self, documents: Mapping[str, Document | None]) -> dict[str, int]:
        """Write entries, or delete those that are `None`; their offsets by key.

        When it raises, some of them may have been written.
        """
        try:
            return self._write(documents)
        except KafkaException as raised:
            failure = self._failed(raised)
            error = error_of(raised)
            if error is None or error.code() not in GONE | {FATAL}:
                raise failure from raised
        # The topic was looked up first, so somebody deleted it meanwhile; or what happened before
        # had broken the producer.
        try:
            return self._write(documents)
        except KafkaException as raised:
            raise self._failed(raised) from raised

    def close(self) -> None:
        """End the connections. What was written has been acknowledged."""
        self._producer = None

    def _failed(self, raised: KafkaException) -> TryAgain | Misconfigured:
        """Why nothing was written.

        The producer is not used again: what it may still hold would arrive behind what is written
        later.
        """
        producer, self._producer = self._producer, None
        doing, kept_out = f"write to {self.name}", None
        if producer is not None:
            kept_out = self._admission.kept_out(producer, error_of(raised), doing)
            producer.purge()
        return kept_out or fault(raised, doing, self.name)

    def _write(self, documents: Mapping[str, Document | None]) -> dict[str, int]:
        if not documents:
            return {}
        producer = self._producer = self._producer or self._opened()
        if partitions_of(producer, self.name) is None:
            self._create()
        written: dict[str, int] = {}
        failed: list[KafkaError] = []

        def acknowledged(key: str, error: KafkaError | None, message: Message) -> None:
            if error is None:
                written[key] = message.offset() or 0
            else:
                failed.append(error)

        for key, document in documents.items():
            producer.produce(
                self.name,
                encode(document),
                key.encode(),
                PARTITION,
                on_delivery=partial(acknowledged, key),
            )
        producer.flush(2 * WRITE_MS / 1000)
        if failed or len(written) < len(documents):
            raise KafkaException(failed[0] if failed else KafkaError(KafkaError.REQUEST_TIMED_OUT))
        return written

    def _opened(self) -> Producer:
        properties = producer_properties(self._settings.kafka, self._client_id)
        self._admission = Admission(properties)
        ours = {"message.timeout.ms": WRITE_MS, "error_cb": self._admission.error_cb}
        return self._open_producer({**properties, **QUIET, **ours})

    def _create(self) -> None:
        admin = self._open_admin(
            {**admin_properties(self._settings.kafka, self._client_id), **QUIET}
        )
        new = NewTopic(
            self.name,
            num_partitions=1,
            replication_factor=self._settings.state.replication_factor,
            config=TOPIC_CONFIG,
        )
        create(admin, new)
        log.info("Created the state topic.", topic=self.name)


class Latest:
    """The latest entry of each key that begins so; keeps nothing else."""

    def __init__(self, prefix: str | tuple[str, ...]) -> None:
        self.entries: dict[str, Entry] = {}
        self._prefix = prefix
        self._unreadable: dict[str, int] = {}

    def take(self, message: Message) -> Entry | None:
        """Note what a message says; the entry, if it is one that is asked for."""
        record = record_of(message)
        key = key_of(record)
        if key is not None and not key.startswith(self._prefix):
            return None
        try:
            entry = entry_of(record)
        except Unreadable as why:
            # Whatever it says, what was before it holds no more.
            self.entries.pop(key or "", None)
            self._unreadable[str(why)] = self._unreadable.get(str(why), 0) + 1
            return None
        if entry.document is None:
            self.entries.pop(entry.key, None)
        else:
            self.entries[entry.key] = entry
        return entry

    def warn(self) -> None:
        """Say once what could not be read since the last time."""
        for why, count in self._unreadable.items():
            log.warning("Entries of the state topic are left alone.", why=why, entries=count)
        self._unreadable.clear()


def reading_properties(settings: Settings, client_id: str) -> dict[str, Any]:
    """Properties of a consumer of the state topic, which joins no group and commits nothing.

    The client looks its group's coordinator up all the same, so it is one that we have a right to;
    but never as one of its static members, which would fence the task of that name.
    """
    theirs = consumer_properties(settings.kafka, settings.group_id, client_id)
    theirs.pop("group.instance.id", None)
    return {**theirs, **QUIET, "isolation.level": "read_committed", "enable.partition.eof": True}


def read_to_end(
    consumer: Consumer,
    topic: str,
    take: Callable[[Message], object],
    ended: Callable[[], bool] = bool,
) -> int:
    """Hand on every message up to the end as it is now; gives that end.

    Messages beyond it are left out: assign from there to go on.

    Args:
        consumer: of :func:`reading_properties`; it is assigned the topic's one partition.
        topic: exists.
        take: is handed the messages, none of which is an error.
        ended: whether to leave off before the end.

    Raises:
        KafkaException: it is refused, or nothing came for `STUCK_S`.
    """
    partition = KafkaPartition(topic, PARTITION)
    position, end = consumer.get_watermark_offsets(partition, timeout=LOOKUP_S)
    consumer.assign([KafkaPartition(topic, PARTITION, position)])
    heard_s = time.monotonic()
    while position < end and not ended():
        messages = consumer.consume(POLL_RECORDS, POLL_S)
        if messages:
            heard_s = time.monotonic()
        elif time.monotonic() - heard_s > STUCK_S:
            raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
        for message in messages:
            offset = message.offset() or 0
            if (error := message.error()) is None:
                if offset < end:
                    take(message)
                position = offset + 1
            elif error.code() == END_OF_PARTITION:
                position = end
            elif error.code() != OF_THE_GROUP:
                raise KafkaException(error)
    return end


def fault(raised: KafkaException, doing: str, topic: str) -> TryAgain | Misconfigured:
    """What an error of the client means for us, and what would mend it."""
    error = error_of(raised)
    text = redact(error.str() if error is not None else str(raised)).rstrip(".")
    code = error.code() if error is not None else None
    if code == KafkaError._INVALID_ARG:  # noqa: SLF001 - librdkafka's name for it
        return Misconfigured(f"{text}.", mend="Correct [kafka.properties].", reason="kafka")
    if code in REFUSED:
        return Misconfigured(
            f"Kafka refused to {doing}: {text}.",
            mend=f"Grant this client Describe, Read, Write and Create on topic {topic}, create it "
            "by hand with one partition and cleanup.policy=compact, or correct "
            "state.replication_factor.",
            reason="kafka",
        )
    return TryAgain(
        f"Could not {doing}: {text}. Check kafka.bootstrap_servers, the network, and the "
        "credentials in [kafka.properties].",
        reason="kafka",
    )
