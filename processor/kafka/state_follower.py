"""Follows the state topic on a thread of its own: what it holds first, then what is new."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from processor.errors import ProcessorError
from processor.kafka.admission import Admission
from processor.kafka.state import (
    END_OF_PARTITION,
    GONE,
    OF_THE_GROUP,
    PARTITION,
    POLL_RECORDS,
    POLL_S,
    Latest,
    fault,
    read_to_end,
    reading_properties,
)
from processor.kafka.state_entry import Entry
from processor.kafka.topics import partitions_of
from processor.settings import Settings

AGAIN_S = 1.0
OUT_OF_RANGE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's name for it
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)


class Follows(Protocol):
    """Who follows; called on the loop, in the topic's order."""

    def history(self, entries: Mapping[str, Entry]) -> None:
        """What the topic holds, where following begins: everything after this is news.

        Told again, and instead of news, when the topic was cut or made anew in between: then
        nobody can say what of it is new.
        """

    def news(self, entry: Entry) -> None:
        """An entry was written, or deleted: then its document is `None`."""

    def trouble(self, message: str) -> None:
        """The topic cannot be read; told again only after :meth:`trouble_over`."""

    def trouble_over(self) -> None:
        """It can be read again; nothing was missed."""


class Follower:
    """Hands on the entries whose keys begin so, from when it begins until it is closed.

    A topic that does not exist is empty: everything in it is news when it comes into being.
    Brokers that go away are waited for.

    Args:
        post: hands a call to the loop, as ``loop.call_soon_threadsafe`` does.
        open_consumer: makes the consumer, on the thread; another one after an error.
    """

    def __init__(
        self,
        settings: Settings,
        client_id: str,
        prefix: str | tuple[str, ...],
        follows: Follows,
        *,
        post: Callable[..., object],
        open_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        self._settings = settings
        self._topic = settings.state_topic
        self._client_id = f"{client_id}-state"
        self._prefix = prefix
        self._follows = follows
        self._post = post
        self._open = open_consumer
        self._admission = Admission({})
        self._next: int | None = None
        self._troubled = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self, timeout_s: float = 0.0) -> None:
        """Leave off; waits so long for the thread to end, which no process has to."""
        self._ended.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                consumer = self._open(self._properties())
                try:
                    self._follow(consumer)
                finally:
                    consumer.close()
            except KafkaException as raised:
                self._say_trouble(str(fault(raised, f"read {self._topic}", self._topic)))
            except ProcessorError as error:
                self._say_trouble(str(error))
            self._ended.wait(AGAIN_S)

    def _properties(self) -> dict[str, Any]:
        """Read anew for each consumer: a password may have changed in its file."""
        theirs = reading_properties(self._settings, self._client_id)
        self._admission = Admission(theirs, lambda heard: self._say_trouble(str(heard)))
        return {**theirs, "error_cb": self._admission.error_cb}

    def _follow(self, consumer: Consumer) -> None:
        """Hand on until closed; returns when the offsets that it knew mean nothing any more."""
        latest = Latest(self._prefix)
        if self._next is None:
            self._begin(consumer, latest)
        while not self._ended.is_set() and partitions_of(consumer, self._topic) is None:
            self._works()
            self._ended.wait(AGAIN_S)
        consumer.assign([KafkaPartition(self._topic, PARTITION, self._next or 0)])
        looked_s = time.monotonic()
        while not self._ended.is_set():
            for message in consumer.consume(POLL_RECORDS, POLL_S):
                if (error := message.error()) is None:
                    self._arrived(message, latest)
                elif error.code() in OUT_OF_RANGE | GONE:
                    self._next = None if error.code() in OUT_OF_RANGE else self._next
                    return
                elif error.code() not in {END_OF_PARTITION, OF_THE_GROUP}:
                    raise KafkaException(error)
            latest.warn()
            if self._troubled and time.monotonic() - looked_s >= AGAIN_S:
                # Librdkafka tells when the last broker goes, not when one is back.
                looked_s = time.monotonic()
                partitions_of(consumer, self._topic)
                self._works()

    def _arrived(self, message: Message, latest: Latest) -> None:
        self._next = (message.offset() or 0) + 1
        entry = latest.take(message)
        self._works()
        if entry is not None:
            self._tell(self._follows.news, entry)

    def _begin(self, consumer: Consumer, latest: Latest) -> None:
        if partitions_of(consumer, self._topic) is None:
            self._next = 0
        else:
            end = read_to_end(consumer, self._topic, latest.take, self._ended.is_set)
            if self._ended.is_set():
                return
            self._next = end
        self._works()
        latest.warn()
        self._tell(self._follows.history, dict(latest.entries))

    def _works(self) -> None:
        if self._troubled:
            self._troubled = False
            self._admission.forget()
            self._tell(self._follows.trouble_over)

    def _say_trouble(self, text: str) -> None:
        if not self._troubled:
            self._troubled = True
            self._tell(self._follows.trouble, text)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._post(call, *args)
        except RuntimeError:
            self._ended.set()  # the loop is gone
