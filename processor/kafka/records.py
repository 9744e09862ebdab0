"""Messages of the Kafka client as our records."""

from functools import lru_cache
from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from processor.record import Headers, Record, TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)


def partition_of(message: Message) -> TopicPartition:
    """Where a message, or an error in the form of one, belongs."""
    return TopicPartition(message.topic() or "", message.partition() or 0)


def record_of(message: Message) -> Record:
    """The record of a message that is no error."""
    kind, timestamp_ms = message.timestamp()
    return Record(
        message.topic(),  # type: ignore[arg-type] # a message without an error has coordinates
        message.partition(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        timestamp_ms if kind != TIMESTAMP_NOT_AVAILABLE and timestamp_ms >= 0 else None,
        message.key(),
        message.value(),
        _headers(message),
    )


def _headers(message: Message) -> Headers:
    """The headers; none when a name is not UTF-8, for which the client has no form."""
    try:
        return cast("Headers", message.headers() or ())
    except (SystemError, UnicodeDecodeError):
        _say(partition_of(message))
        return ()


@lru_cache(maxsize=1024)
def _say(partition: TopicPartition) -> None:
    """Once a partition and process: a producer that does it does it with every record."""
    log.warning(
        "A header's name is not UTF-8; such records of this partition go on without their headers.",
        partition=str(partition),
    )
