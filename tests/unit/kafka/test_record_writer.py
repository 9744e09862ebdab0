"""Records written as they are."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from processor.errors import Misconfigured, TryAgain
from processor.kafka import record_writer
from processor.kafka.record_writer import RecordWriter
from processor.settings.models import KafkaSettings

NOWHERE = KafkaSettings(bootstrap_servers="localhost:1", topics=["events"])


class Broker:
    """A producer whose broker answers one message at each poll; `None`: it has it."""

    def __init__(self, *answers: KafkaError | None) -> None:
        self.properties: dict[str, Any] = {}
        self.produced: list[dict[str, Any]] = []
        self.most_waiting = 0
        self._answers = list(answers)
        self._waiting: list[Callable[..., None]] = []

    def open(self, properties: dict[str, Any]) -> Producer:
        self.properties = properties
        return cast("Producer", self)

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **what: Any) -> None:
        self.produced.append({"topic": topic, **what})
        self._waiting.append(on_delivery)
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def poll(self, wait_s: float) -> int:
        if self._waiting and wait_s:
            answer = self._answers.pop(0) if self._answers else None
            self._waiting.pop(0)(answer, None)
        return 0

    def flush(self, _timeout_s: float) -> int:
        while self._waiting:
            self.poll(1)
        return 0


def write(writer: RecordWriter, **changes: Any) -> None:
    record: dict[str, Any] = {
        "key": b"k",
        "value": b"v",
        "headers": [("a", None)],
        "timestamp_ms": None,
    }
    writer.write("t.dlq", 1, **(record | changes))


def test_a_record_goes_out_as_it_is_and_counts_when_it_is_acknowledged() -> None:
    broker = Broker()

    with RecordWriter(NOWHERE, "c", open_producer=broker.open) as writer:
        write(writer)
        write(writer, timestamp_ms=7)
        writer.write("t.dlq", None, key=None, value=None, headers=(), timestamp_ms=None)
        assert writer.written == 0
        writer.finish()

    assert writer.written == 3
    first = {
        "topic": "t.dlq",
        "partition": 1,
        "key": b"k",
        "value": b"v",
        "headers": [("a", None)],
    }
    assert broker.produced == [
        first,
        {**first, "timestamp": 7},
        {"topic": "t.dlq", "key": None, "value": None, "headers": []},
    ]
    assert (broker.properties["acks"], broker.properties["enable.idempotence"]) == ("all", True)


@pytest.mark.parametrize(
    ("code", "fault"),
    [(KafkaError._MSG_TIMED_OUT, TryAgain), (KafkaError.MSG_SIZE_TOO_LARGE, Misconfigured)],  # noqa: SLF001 - librdkafka's name
)
def test_what_is_not_acknowledged_ends_it(code: int, fault: type[Exception]) -> None:
    broker = Broker(None, KafkaError(code))

    with RecordWriter(NOWHERE, "c", open_producer=broker.open) as writer:
        for _ in range(3):
            write(writer)
        with pytest.raises(fault):
            writer.finish()
        with pytest.raises(fault):
            write(writer)

    assert writer.written == 2
    assert len(broker.produced) == 3


def test_a_record_that_is_refused_at_once_is_the_topic_s_or_the_moment_s_fault() -> None:
    class Refusing(Broker):
        def produce(self, topic: str, **_what: Any) -> None:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))

    with (
        RecordWriter(NOWHERE, "c", open_producer=Refusing().open) as writer,
        pytest.raises(Misconfigured),
    ):
        write(writer)


@pytest.mark.parametrize(("limit", "to"), [("WAITING", 2), ("WAITING_BYTES", 25)])
def test_only_so_many_wait_for_their_acknowledgement(
    limit: str, to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, limit, to)
    broker = Broker()

    with RecordWriter(NOWHERE, "c", open_producer=broker.open) as writer:
        for _ in range(20):
            write(writer, value=b"123456789")
        writer.finish()

    assert broker.most_waiting <= 3
    assert writer.written == 20
