"""Writes records as they are, and tells how many the brokers have for certain."""

from collections.abc import Callable
from typing import Any, Self, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.errors import Misconfigured, TryAgain
from processor.kafka.clients import error_of, producer_properties
from processor.kafka.dead_letters import fault
from processor.record import Headers
from processor.settings import KafkaSettings

WAITING = 1_000
WAITING_BYTES = 16 * 1024 * 1024
"""What may wait for its acknowledgement before no more is taken."""

POLL_S = 0.1
LEAVE_S = 10.0
GIVE_UP_MS = 60_000
"""A person waits at the terminal; librdkafka's default is five minutes."""


class RecordWriter:
    """An idempotent producer that waits for every in-sync replica; use it in a ``with`` statement.

    Attributes:
        written: records that were acknowledged.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        client_id: str,
        *,
        open_producer: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        properties = {"message.timeout.ms": GIVE_UP_MS, **producer_properties(kafka, client_id)}
        self._producer = open_producer(properties)
        self._failure: TryAgain | Misconfigured | None = None
        self._bytes = 0
        self._waiting = 0
        self.written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._producer.flush(LEAVE_S)

    def write(
        self,
        topic: str,
        partition: int | None,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int | None,
    ) -> None:
        """Write one record; waits while too many are on their way.

        Args:
            topic: where to.
            partition: of the topic; `None` lets the key decide.
            key: as it is.
            value: as it is.
            headers: as they are.
            timestamp_ms: its time, where the topic keeps the producer's; `None`: now.

        Raises:
            TryAgain: this one or one before was not acknowledged.
            Misconfigured: the topic refuses it.
        """
        size = len(key or b"") + len(value or b"")
        while self._waiting >= WAITING or self._bytes > WAITING_BYTES:
            self._producer.poll(POLL_S)
        self._look()
        place: dict[str, Any] = {} if partition is None else {"partition": partition}
        if timestamp_ms is not None:
            place["timestamp"] = timestamp_ms

        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._waiting -= 1
            self._bytes -= size
            if error is None:
                self.written += 1
            elif self._failure is None:
                self._failure = fault(error, topic)

        try:
            self._producer.produce(
                topic,
                key=key,
                value=value,
                headers=cast("list[tuple[str, str | bytes | None]]", list(headers)),
                on_delivery=delivered,
                **place,
            )
        except KafkaException as raised:
            error = error_of(raised)
            raise fault(error, topic) if error is not None else raised from raised
        self._waiting += 1
        self._bytes += size
        self._producer.poll(0)

    def finish(self) -> None:
        """Wait until everything is acknowledged.

        Raises:
            TryAgain: something was not.
            Misconfigured: the topic refuses something.
        """
        while self._waiting:
            self._producer.poll(POLL_S)
        self._look()

    def _look(self) -> None:
        if self._failure is not None:
            raise self._failure
