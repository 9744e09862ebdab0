"""Writes dead letters and tells when the broker has acknowledged them."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.errors import Misconfigured, TryAgain
from processor.kafka.clients import error_of, producer_properties
from processor.kafka.credentials import Credentials
from processor.kafka.letter import Letter
from processor.settings import KafkaSettings

Acknowledged = Callable[[TryAgain | Misconfigured | None], None]
"""Called once, from the producer's thread: `None` when every in-sync replica has the letter."""

POLL_S = 0.1
FATAL = KafkaError._FATAL  # noqa: SLF001 - librdkafka's name for it
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE})
REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_REQUIRED_ACKS,
    }
)


class LetterTooLarge(Misconfigured):
    """The dead-letter topic does not take a record of this size."""


class DeadLetterWriter:
    """An idempotent producer whose callbacks run on a thread of its own.

    Args:
        open_producer: makes the producer, and another one when that has come to a fatal error.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        client_id: str,
        *,
        open_producer: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        self._properties = partial(producer_properties, kafka, f"{client_id}-dead-letters")
        self._open = open_producer
        self._producer = self._open(self._properties())
        self._credentials = Credentials(kafka, "producer")
        self._ended = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="dead-letters", daemon=True)
        self._thread.start()

    def write(
        self, topic: str, letter: Letter, *, partition: int | None, acknowledged: Acknowledged
    ) -> None:
        """Write one letter.

        Args:
            topic: where to.
            letter: what to.
            partition: of the topic; `None` lets the key decide.
            acknowledged: called once with `None`, or with why the broker does not have the letter.
        """
        producer = self._living()

        def delivered(error: KafkaError | None, _message: Message) -> None:
            # Not by what an earlier producer had still on its way.
            if _is_fatal(error) and producer is self._producer:
                self._ended.set()
            acknowledged(None if error is None else fault(error, topic))

        place: dict[str, Any] = {} if partition is None else {"partition": partition}
        try:
            producer.produce(
                topic,
                key=letter.key,
                value=letter.value,
                headers=cast("list[tuple[str, str | bytes | None]]", letter.all_headers()),
                on_delivery=delivered,
                **place,
            )
        except BufferError:
            acknowledged(TryAgain("The queue of dead letters is full.", reason="dead_letter_topic"))
        except KafkaException as raised:
            error = error_of(raised)
            if _is_fatal(error):
                self._ended.set()
            acknowledged(fault(error, topic) if error is not None else _unknown(raised, topic))

    def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, then stop."""
        self._producer.flush(timeout_s)
        self._closed.set()
        self._thread.join(timeout_s)

    def _living(self) -> Producer:
        """The producer; a new one in place of one that takes no more letters after a fatal error.

        Kafka asks for this where the broker has lost what the producer's sequence numbers stand
        on. What the old one still had on its way is told as failed, and written again.
        """
        if self._ended.is_set():
            self._producer = self._open(self._properties())
            self._ended.clear()
        return self._producer

    def _serve(self) -> None:
        polled = self._producer
        while not self._closed.is_set():
            if polled is not self._producer:
                polled.purge()
                polled.poll(0)
                polled = self._producer
            self._credentials.renew(polled)
            polled.poll(POLL_S)


def _is_fatal(error: KafkaError | None) -> bool:
    return error is not None and (error.fatal() or error.code() == FATAL)


def fault(error: KafkaError, topic: str) -> TryAgain | Misconfigured:
    """Why a dead-letter topic does not have a letter, and whose fault that is."""
    if error.code() in TOO_LARGE:
        return LetterTooLarge(
            f"Topic {topic} refuses a dead letter of this size.",
            mend=f"Raise max.message.bytes of {topic} above that of the source topic.",
            reason="dead_letter_topic",
        )
    if error.code() in REFUSED:
        return Misconfigured(
            f"Kafka refused a dead letter for {topic}: {error.str()}.",
            mend=f"Allow this client to write to {topic}.",
            reason="dead_letter_topic",
        )
    return TryAgain(
        f"Topic {topic} did not acknowledge a dead letter: {error.str()}.",
        reason="dead_letter_topic",
    )


def _unknown(raised: KafkaException, topic: str) -> TryAgain:
    return TryAgain(
        f"Topic {topic} did not take a dead letter ({type(raised).__name__}).",
        reason="dead_letter_topic",
    )
