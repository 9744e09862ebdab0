import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from processor.errors import Code, Misconfigured, TryAgain
from processor.kafka.dead_letters import DeadLetterWriter, LetterTooLarge
from processor.kafka.letter import Letter, read_letter
from processor.kafka.records import record_of
from processor.record import Position
from processor.settings.models import KafkaSettings

Answer = TryAgain | Misconfigured | None
NOWHERE = KafkaSettings(bootstrap_servers="localhost:1", topics=["events"])
LETTER = Letter(
    source=Position("events", 3, 77),
    source_timestamp_ms=123,
    key=b"key",
    value=b"\x00value",
    headers=[("own", None), ("own", b"\xff")],
    connector="name",
    task_id="0",
    code=Code.GATE_VIOLATION,
    class_name="",
    exception_class_name="",
    message="",
    stacktrace="",
    fingerprint="0123456789ab",
    targets=("event",),
    event_id=None,
    event_name=None,
    schema_id=None,
    attempts=1,
    http_status=None,
    xaction_id=None,
    errors=(),
    failed_at="",
    replay_id=None,
    replay_count=0,
    version="",
)


class Answers:
    """What became of letters; ``wait`` blocks for the next."""

    def __init__(self) -> None:
        self.got: list[Answer] = []
        self._any = threading.Semaphore(0)

    def __call__(self, answer: Answer) -> None:
        self.got.append(answer)
        self._any.release()

    def wait(self) -> Answer:
        assert self._any.acquire(timeout=20)
        return self.got[-1]


def test_a_letter_arrives_as_it_was_written(cluster: Any) -> None:
    from confluent_kafka import Consumer

    writer, answers = DeadLetterWriter(cluster.settings(), "client"), Answers()
    cluster.produce("letters.dlq", 2, b"first")
    writer.write("letters.dlq", LETTER, partition=2, acknowledged=answers)
    answer = answers.wait()
    writer.close(5.0)
    consumer = Consumer({"bootstrap.servers": cluster.address, "group.id": "g", "log_level": 0})
    consumer.assign([KafkaPartition("letters.dlq", 2, 1)])
    message = consumer.poll(20)
    consumer.close()

    assert answer is None
    assert message is not None
    record = record_of(message)
    assert (record.key, record.value) == (LETTER.key, LETTER.value)
    assert read_letter(record) == LETTER


class Scripted:
    """A producer that refuses or fails as it is told; the rest is acknowledged at once."""

    def __init__(self, *outcomes: KafkaError | Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.written = 0
        self.purged = False

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **named: Any) -> None:
        self.written += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        on_delivery(outcome, None)

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        return 0

    def purge(self) -> None:
        self.purged = True


def written(*outcomes: KafkaError | Exception | None) -> list[Answer]:
    """What writing one letter after the other comes to."""
    answers, scripted = Answers(), Scripted(*outcomes)
    writer = DeadLetterWriter(NOWHERE, "client", open_producer=lambda _: cast("Producer", scripted))
    for _ in outcomes:
        writer.write("events.dlq", LETTER, partition=None, acknowledged=answers)
    writer.close(1.0)
    return answers.got


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), LetterTooLarge),
        (KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), LetterTooLarge),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), Misconfigured),
        (KafkaError(KafkaError._MSG_TIMED_OUT), TryAgain),  # noqa: SLF001
        (KafkaError(KafkaError._UNKNOWN_TOPIC), TryAgain),  # noqa: SLF001
        (BufferError("Local: Queue full"), TryAgain),
        (KafkaException("odd"), TryAgain),
    ],
)
def test_what_the_broker_does_not_have_is_told_by_whose_fault_it_is(
    outcome: KafkaError | Exception, kind: type[Exception]
) -> None:
    (answer,) = written(outcome)

    assert type(answer) is kind
    assert "events.dlq" in str(answer) or "full" in str(answer)


def test_a_letter_is_answered_once() -> None:
    assert written(None, None) == [None, None]


@pytest.mark.parametrize("raised", [True, False])
def test_after_a_fatal_error_another_producer_writes(raised: bool) -> None:
    fatal = KafkaError(KafkaError._FATAL, "lost the sequence", True)  # noqa: SLF001
    first = Scripted(KafkaException(fatal) if raised else fatal)
    producers, answers = [first, Scripted()], Answers()
    left = list(producers)
    writer = DeadLetterWriter(
        NOWHERE, "client", open_producer=lambda _: cast("Producer", left.pop(0))
    )

    for _ in range(3):
        writer.write("events.dlq", LETTER, partition=0, acknowledged=answers)
    writer.close(2.0)

    assert [type(answer) for answer in answers.got] == [TryAgain, type(None), type(None)]
    assert [producer.written for producer in producers] == [1, 2]


class Late(Scripted):
    """A producer that tells of its deliveries when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[KafkaError | None], None]] = []

    def produce(self, topic: str, **letter: Any) -> None:
        tell = letter["on_delivery"]
        self.waiting.append(lambda error: tell(error, None))


def test_what_an_earlier_producer_had_on_its_way_does_not_end_the_one_after_it() -> None:
    fatal = KafkaError(KafkaError._FATAL, "lost the sequence", True)  # noqa: SLF001
    first, second, answers = Late(), Scripted(), Answers()
    left: list[Scripted] = [first, second]
    writer = DeadLetterWriter(
        NOWHERE, "client", open_producer=lambda _: cast("Producer", left.pop(0))
    )

    for _ in range(2):
        writer.write("events.dlq", LETTER, partition=None, acknowledged=answers)
    first.waiting[0](fatal)
    writer.write("events.dlq", LETTER, partition=None, acknowledged=answers)
    first.waiting[1](fatal)
    writer.write("events.dlq", LETTER, partition=None, acknowledged=answers)
    writer.close(1.0)

    assert [type(answer) for answer in answers.got] == [TryAgain, type(None), TryAgain, type(None)]
    assert left == []
