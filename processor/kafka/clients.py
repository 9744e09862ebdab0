"""How our Kafka clients are set up: the user's librdkafka properties, and what we insist on."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from processor.kafka.client_log import CLIENT_LOG
from processor.settings import KafkaSettings
from processor.settings.kafka_properties import client_properties

LARGEST_RECORD_BYTES = 64 * 1024 * 1024
"""Ours, so that whatever the broker let in can be written to a dead-letter topic as well."""


FETCH_BYTES = 262_144
"""Compressed bytes that a broker is asked for at once. All of them are decompressed on arrival, so
this, times how far the batches shrink, is memory. A larger batch still comes, alone."""

QUEUE_KBYTES = 8_192
"""Decompressed bytes fetched ahead before the client asks for no more."""


def consumer_properties(settings: KafkaSettings, group_id: str, client_id: str) -> dict[str, Any]:
    """Properties of a consumer that commits only what we tell it to.

    ``auto.offset.reset=error``: an offset out of range is ours to report, never skipped silently.
    With ``group.protocol=consumer`` (KIP-848) the broker decides on assignor and time-out, and
    librdkafka refuses ours.
    ``check.crcs``: Avro does not notice a flipped bit (four of five decode to another record).
    ``message.max.bytes`` limits nothing that is read; but librdkafka refuses a ``fetch.max.bytes``
    below it, so ours is the lowest it takes, and a fetch grows to what the settings have.
    """
    ours: dict[str, Any] = {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 45_000,
    }
    theirs = client_properties(settings, "consumer")
    if str(theirs.get("group.protocol", "")).lower() == "consumer":
        ours = {}
    fetch_bytes = max(FETCH_BYTES, _number(theirs.get("message.max.bytes")))
    return {
        **ours,
        "queued.max.messages.kbytes": QUEUE_KBYTES,
        # After its queue was full the client rests so long before it fetches again: 1 s by default.
        "fetch.queue.backoff.ms": 10,
        "message.max.bytes": 1_000,
        "fetch.max.bytes": fetch_bytes,
        "max.partition.fetch.bytes": FETCH_BYTES,
        **_common(settings, client_id),
        **theirs,
        "group.id": group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "check.crcs": True,
    }


def producer_properties(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Properties of a producer whose acknowledgement means that the record is safe.

    Compressed, because a broker's limit counts compressed bytes: a record that its producer had
    compressed would otherwise be too large for the dead-letter topic.
    """
    return {
        "linger.ms": 5,
        "message.max.bytes": LARGEST_RECORD_BYTES,
        "compression.type": "lz4",
        **_common(settings, client_id),
        **client_properties(settings, "producer"),
        "acks": "all",
        "enable.idempotence": True,
    }


def admin_properties(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Properties of an admin client."""
    return {**_common(settings, client_id), **client_properties(settings, "admin")}


def _number(value: Any) -> int:
    """A property as a number; 0 when it is none, which librdkafka then says."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _common(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": client_id,
        "logger": CLIENT_LOG,
        "reconnect.backoff.max.ms": 5_000,
        "allow.auto.create.topics": False,
    }


def error_of(raised: BaseException) -> KafkaError | None:
    """The Kafka error inside an exception of confluent-kafka, if it is one."""
    if (
        isinstance(raised, KafkaException)
        and raised.args
        and isinstance(raised.args[0], KafkaError)
    ):
        return raised.args[0]
    return None
