"""The source before librdkafka's mock cluster; several members are integration tests."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import pytest
from confluent_kafka import Consumer, KafkaError, Message

from processor.kafka.clients import consumer_properties
from processor.kafka.intake import ConsumerEnded, Ranges, Start, Subscription
from processor.kafka.progress import Mark
from processor.kafka.source import BATCHES_AHEAD, Source
from processor.record import TopicPartition

Eventually = Callable[..., Any]
END = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's name for it


class Begin(Protocol):
    """``begin(listener, reads, **properties)``: a source that runs until the test ends."""

    def __call__(self, listener: Any, reads: Subscription | Ranges, **named: Any) -> Source: ...


@pytest.fixture
def begin(cluster: Any, group: str) -> Iterator[Begin]:
    running: list[Source] = []

    def start(
        listener: Any,
        reads: Subscription | Ranges,
        *,
        open_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
        **properties: Any,
    ) -> Source:
        source = Source(
            consumer_properties(cluster.settings(**properties), group, "client"),
            reads,
            listener,
            post=lambda call: call(),
            drain_timeout_s=5.0,
            open_consumer=open_consumer,
        )
        listener.source = source
        running.append(source)
        source.start()
        return source

    yield start

    for source in running:
        source.close({}, 20.0)


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    return f"group of {request.node.name}"


@pytest.fixture
def topic(cluster: Any, request: pytest.FixtureRequest) -> str:
    """A topic of its own with ten records, 0 to 9, in partition 0."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    cluster.produce(name, 0, *(b"%d" % n for n in range(10)))
    return name


def members_of(
    topic: str,
    begin: Literal["earliest", "latest"] = "earliest",
    out_of_range: Literal["pause", "earliest", "latest"] = "pause",
) -> Subscription:
    return Subscription((topic,), begin, out_of_range)


def test_back_pressure_pauses_and_polling_goes_on(
    topic: str, cluster: Any, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    cluster.produce(topic, 0, *(b"%d" % n for n in range(10, 3000)))
    heard = listener()
    take = heard.arrived

    def take_and_have_enough(records: Any) -> None:
        take(records)
        if heard.batches == 1:
            heard.source.flow(on=False)

    heard.arrived = take_and_have_enough
    source = begin(heard, Ranges(spans(topic, (0, 3000))))
    eventually(lambda: source._pausing.everything)  # noqa: SLF001 - seen only from inside
    before = len(heard.records)
    polls = threading.Event()
    source._orders.put(lambda _: polls.set())  # noqa: SLF001
    assert polls.wait(60.0), "the thread still takes orders, so it polls"
    during = len(heard.records)
    source.flow(on=True)
    eventually(lambda: heard.exhaustions)

    assert before == during < 3000
    assert heard.offsets() == list(range(3000))


def test_the_lag_of_what_is_paused_grows_with_its_log(
    topic: str, cluster: Any, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard, partition = listener(), TopicPartition(topic, 0)
    source = begin(heard, members_of(topic))
    eventually(lambda: heard.lags.get(partition) == 0)
    source.flow(on=False)
    eventually(lambda: source._pausing.everything)  # noqa: SLF001

    cluster.produce(topic, 0, b"10", b"11", b"12")

    eventually(lambda: heard.lags.get(partition) == 3)
    cluster.produce(topic, 0, b"13")
    eventually(lambda: heard.lags.get(partition) == 4)
    source.flow(on=True)
    eventually(lambda: heard.lags.get(partition) == 0)
    assert heard.offsets() == list(range(14))


def test_a_partition_of_which_nothing_was_read_yet_has_a_lag_too(
    topic: str, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    first, second, partition = listener(), listener(), TopicPartition(topic, 0)
    # The mock cluster lets nobody go before the session ends: 45 s by default.
    source = begin(first, members_of(topic), **{"session.timeout.ms": 6_000})
    eventually(lambda: len(first.records) == 10)
    source.close({partition: Mark(9, generation=first.starts[partition].generation)}, 20.0)

    def wanting_nothing(properties: dict[str, Any]) -> Consumer:
        second.source.flow(on=False)
        return Consumer(properties)

    begin(second, members_of(topic), open_consumer=wanting_nothing)

    eventually(lambda: second.lags.get(partition) == 1)

    assert second.records == []


def test_a_loop_that_takes_nothing_is_handed_only_so_much(
    topic: str, cluster: Any, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    cluster.produce(topic, 0, *(b"%d" % n for n in range(10, 3000)))
    heard = listener()
    heard.takes = False
    source = begin(heard, Ranges(spans(topic, (0, 3000))))

    eventually(lambda: source._pausing.everything)  # noqa: SLF001
    ahead = heard.batches
    heard.takes = True
    for _ in range(ahead):
        source.taken()
    eventually(lambda: heard.exhaustions)

    assert ahead == BATCHES_AHEAD
    assert heard.offsets() == list(range(3000))


# Ranges.


def spans(topic: str, *spans: tuple[int, int]) -> dict[TopicPartition, tuple[int, int]]:
    return {TopicPartition(topic, number): span for number, span in enumerate(spans)}


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ((0, 10), list(range(10))),
        ((3, 7), [3, 4, 5, 6]),
        ((9, 10), [9]),
        ((0, 1), [0]),
        ((5, 5), []),
        ((7, 3), []),
        ((8, 1000), [8, 9]),
    ],
)
def test_a_range_ends_exactly(
    span: tuple[int, int], found: list[int],
    topic: str, begin: Begin, listener: Any, eventually: Eventually,
) -> None:  # fmt: skip
    heard = listener()

    begin(heard, Ranges(spans(topic, span)))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets() == found
    assert heard.exhaustions == 1
    assert heard.story[-1] == "exhausted"


def test_of_several_ranges_none_reads_past_its_end_while_others_go_on(
    topic: str, cluster: Any, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    cluster.produce(topic, 1, *(b"%d" % n for n in range(2000)))
    heard = listener()

    begin(heard, Ranges(spans(topic, (2, 4), (0, 1500), (0, 0))))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets(0) == [2, 3]
    assert heard.offsets(1) == list(range(1500))


def test_of_a_range_only_what_is_wanted_is_handed_on(
    topic: str, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()
    wanted = {1, 5, 9}

    begin(heard, Ranges(spans(topic, (0, 10)), lambda _, offset: offset in wanted))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets() == [1, 5, 9]


def test_a_range_goes_on_where_it_is_told_to_start(
    topic: str, cluster: Any, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    cluster.produce(topic, 1, *(b"%d" % n for n in range(10)))
    heard = listener()
    told = {}
    assigned = heard.assigned
    heard.assigned = lambda starts: (told.update(starts), assigned(starts))
    starts = {TopicPartition(topic, 0): Start(4, "ended"), TopicPartition(topic, 1): Start(8)}

    begin(heard, Ranges(spans(topic, (2, 7), (0, 8)), starts=starts))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets(0) == [4, 5, 6]
    assert heard.offsets(1) == []
    (start,) = told.values()
    assert (start.offset, start.metadata) == (4, "ended")


def test_no_ranges_at_all_are_read_at_once(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()

    begin(heard, Ranges({}))
    eventually(lambda: heard.exhaustions)

    assert heard.story == ["assigned", "exhausted"]


def test_a_range_that_lies_beyond_the_log_brings_nothing_that_was_not_asked_for(
    topic: str, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()

    begin(heard, Ranges(spans(topic, (500, 600))))
    eventually(lambda: heard.exhaustions)

    assert heard.records == []
    assert heard.failures == []


def test_what_comes_while_everything_is_paused_counts_as_handed_on(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()
    heard.takes = False
    polls = Polls(*([Said(n)] for n in range(BATCHES_AHEAD)))
    source = begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: source._pausing.everything)  # noqa: SLF001
    polls.polls += [[Said(BATCHES_AHEAD)]]
    eventually(lambda: heard.batches == BATCHES_AHEAD + 1)

    source.taken()
    turned = threading.Event()
    source._orders.put(lambda _: turned.set())  # noqa: SLF001
    assert turned.wait(60.0)

    assert not source._room(0.0)  # noqa: SLF001
    source.taken()
    eventually(lambda: not source._pausing.everything)  # noqa: SLF001
    assert heard.offsets() == list(range(BATCHES_AHEAD + 1))


# What ends a source, and what must not.


def test_properties_that_librdkafka_refuses_end_the_source_for_good(
    topic: str, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()

    begin(heard, members_of(topic), **{"no.such.property": 1})
    eventually(lambda: heard.failures)

    (error,) = heard.failures
    assert isinstance(error, ConsumerEnded)
    assert "no.such.property" in str(error)


def test_a_call_of_the_task_that_fails_is_told_and_not_swallowed(
    topic: str, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()

    def broken(_records: object) -> None:
        raise KeyError("defect")

    heard.arrived = broken
    begin(heard, Ranges(spans(topic, (0, 10))))
    eventually(lambda: heard.failures)

    assert isinstance(heard.failures[0], KeyError)


class Polls:
    """A consumer whose polls are scripted; everything else does nothing."""

    def __init__(self, *polls: list[Any]) -> None:
        self.polls = list(polls)
        self.paused: list[Any] = []

    def consume(self, _count: int, _timeout: float) -> list[Any]:
        return self.polls.pop(0) if self.polls else []

    def assignment(self) -> list[Any]:
        from confluent_kafka import TopicPartition as KafkaPartition

        return [KafkaPartition("events", 0), KafkaPartition("events", 1)]

    def pause(self, partitions: list[Any]) -> None:
        self.paused += [(p.topic, p.partition) for p in partitions]

    def resume(self, partitions: list[Any]) -> None:
        """Read again."""

    def position(self, _partitions: list[Any]) -> list[Any]:
        return []

    def subscribe(self, *_args: Any, **_named: Any) -> None:
        """Nothing comes of it."""

    def assign(self, _partitions: list[Any]) -> None:
        """It is read."""

    def incremental_unassign(self, _partitions: list[Any]) -> None:
        """It goes."""

    def incremental_assign(self, _partitions: list[Any]) -> None:
        """It is back."""

    def get_watermark_offsets(self, _partition: Any, **_named: Any) -> tuple[int, int]:
        return 0, 1

    def commit(self, **_named: Any) -> None:
        """Somebody may hear of it."""

    def close(self) -> None:
        """Nothing is open."""


class Said:
    """A message, or an error in the form of one."""

    def __init__(self, offset: int, code: int | None = None, *, partition: int = 0) -> None:
        self._offset, self._partition = offset, partition
        self._error = None if code is None else KafkaError(code)
        self.odd_header = False

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return "events"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 0, -1

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"value"

    def headers(self) -> Any:
        if self.odd_header:
            raise SystemError("returned a result with an exception set")
        return None


def test_a_batch_that_fails_its_checksum_is_not_skipped(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard, bad = listener(), KafkaError._BAD_MSG  # noqa: SLF001
    polls = Polls([Said(0), Said(1, bad), Said(2), Said(5, partition=1)], [Said(3)])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: not polls.polls and heard.records)

    assert heard.offsets(0) == [0]
    assert heard.offsets(1) == [5]
    assert polls.paused == [("events", 0)]
    ((reason, text, who, of_setup),) = heard.troubles
    assert (reason, who, of_setup) == ("corrupt", "events-0", True)
    assert "offset 1" in text


@pytest.mark.parametrize("after", [Said(9), Said(3, END)], ids=["its last record", "its end"])
def test_of_a_range_no_batch_that_fails_its_checksum_is_skipped(
    after: Said, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    """Else the range would count as read."""
    heard, bad = listener(), KafkaError._BAD_MSG  # noqa: SLF001
    polls = Polls([Said(0), Said(1, bad), Said(2), after, Said(5, partition=1)], [])

    begin(heard, Ranges(spans("events", (0, 10), (0, 6))), open_consumer=lambda _: polls)
    eventually(lambda: not polls.polls and heard.offsets(1))

    assert heard.offsets(0) == [0]
    assert [who for _, _, who, _ in heard.troubles] == ["events-0"]
    assert not heard.exhaustions


def test_a_header_whose_name_is_not_utf_8_does_not_end_the_source(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard, odd = listener(), Said(1)
    odd.odd_header = True
    polls = Polls([Said(0), odd, Said(2)])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: heard.records)

    assert heard.offsets() == [0, 1, 2]
    assert heard.records[1].headers == ()
    assert heard.failures == []


@pytest.mark.parametrize("code", [
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED,
])  # fmt: skip
def test_what_kafka_denies_is_the_set_up_s_fault(
    code: int, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()
    polls = Polls([Said(0, code)])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: heard.troubles)

    assert heard.troubles[0][0] == "kafka"
    assert heard.troubles[0][3]


def test_an_error_that_passes_does_not_end_the_source(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard = listener()
    transport = KafkaError._TRANSPORT  # noqa: SLF001
    polls = Polls([Said(0, transport)], [Said(0)])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: heard.records)

    assert heard.failures == []


def test_an_error_for_a_partition_that_went_in_the_same_poll_is_left_alone(
    begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard, reset = listener(), KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
    polls = Polls([Said(0, reset, partition=9), Said(4)])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: heard.records)

    assert heard.troubles == []
    assert polls.paused == []


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_what_was_read_before_a_gap_that_is_skipped_is_drained_before_the_new_assignment(
    policy: Literal["earliest", "latest"], begin: Begin, listener: Any, eventually: Eventually
) -> None:
    """Nobody could read it once more; and for the new assignment the old records do not count."""
    heard, reset = listener(), KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001
    polls = Polls([Said(7), Said(8, reset), Said(9)])

    begin(heard, members_of("events", out_of_range=policy), open_consumer=lambda _: polls)
    eventually(lambda: len(heard.records) == 2)

    assert heard.story == ["arrived", "revoking", "lost", "assigned", "arrived"]
    assert heard.revocations == heard.losses == [[TopicPartition("events", 0)]]


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", True),
        KafkaError(KafkaError._FATAL, "Fatal error: fenced"),  # noqa: SLF001
    ],
    ids=["marked as fatal", "as a poll gives it"],
)
def test_a_fatal_error_ends_the_source_for_good(
    error: KafkaError, begin: Begin, listener: Any, eventually: Eventually
) -> None:
    heard, fenced = listener(), Said(0)
    fenced._error = error  # noqa: SLF001
    polls = Polls([fenced])

    begin(heard, members_of("events"), open_consumer=lambda _: polls)
    eventually(lambda: heard.failures)

    assert isinstance(heard.failures[0], ConsumerEnded)
    assert "fenced" in str(heard.failures[0])


def test_the_double_has_what_a_message_has() -> None:
    assert all(hasattr(Message, name) for name in vars(Said) if not name.startswith("_"))
