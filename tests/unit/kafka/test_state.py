"""Entries, and what becomes of errors; the topic itself is in tests/integration/test_state.py."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from processor.errors import Misconfigured, TryAgain
from processor.kafka.state import TOPIC_CONFIG, StateTopic, read_to_end, reading_properties
from processor.kafka.state_entry import Unreadable, encode, entry_of
from processor.record import Record
from processor.settings import Settings

NAME = "capillary-aep.state"


def record(key: bytes | None, value: bytes | None) -> Record:
    return Record(NAME, 0, 7, 1234, key, value, ())


def test_an_entry_comes_back_as_it_was_written() -> None:
    document = {"code": "gate.violation", "records": 3}

    entry = entry_of(record(b"hold/w/0/k", encode(document)))

    assert (entry.key, entry.document, entry.offset, entry.timestamp_ms) == (
        "hold/w/0/k",
        document,
        7,
        1234,
    )


def test_nothing_deletes_the_key() -> None:
    assert entry_of(record(b"hold/w", encode(None))).document is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b'{"format":1}'),
        (b"no-kind", b'{"format":1}'),
        (b"\xff/x", b'{"format":1}'),
        (b"a/b", b"\x00\x01"),
        (b"a/b", b"[1]"),
        (b"a/b", b"{}"),
        (b"a/b", b'{"format":2}'),
        (b"a/b", b'{"format":0}'),
        (b"a/b", b'{"format":true}'),
        (b"a/b", b'{"format":[1]}'),
    ],
)
def test_what_is_not_ours_is_unreadable(key: bytes | None, value: bytes) -> None:
    with pytest.raises(Unreadable):
        entry_of(record(key, value))


class ScriptedProducer:
    """Answers each round of writes with the next error of its script; then with success."""

    def __init__(self, script: list[int | None], *, exists: bool = True) -> None:
        self.script = script
        self.exists = exists
        self.opened = 0
        self.written: list[tuple[str, bytes | None, bytes, int]] = []
        self.purged = 0
        self._callbacks: list[Callable[..., None]] = []

    def open(self, properties: dict[str, Any]) -> Any:
        assert properties["acks"] == "all"
        assert properties["enable.idempotence"] is True
        self.opened += 1
        return self

    def list_topics(self, topic: str, timeout: float) -> Any:
        del timeout
        known = SimpleNamespace(error=None, partitions={0: None})
        return SimpleNamespace(topics={topic: known} if self.exists else {})

    def produce(
        self, topic: str, value: bytes | None, key: bytes, partition: int, *, on_delivery: Any
    ) -> None:
        self.written.append((topic, value, key, partition))
        self._callbacks.append(on_delivery)

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        code = self.script.pop(0) if self.script else None
        for number, callback in enumerate(self._callbacks):
            error = None if code is None else KafkaError(code)
            callback(error, SimpleNamespace(offset=lambda number=number: 40 + number))
        self._callbacks.clear()
        return 0

    def purge(self) -> None:
        self.purged += 1


class Admin:
    """Creates topics, or refuses to."""

    def __init__(self, producer: ScriptedProducer, refusal: int | None = None) -> None:
        self.producer = producer
        self.refusal = refusal
        self.created: list[NewTopic] = []

    def create_topics(self, topics: list[NewTopic]) -> Any:
        self.created += topics

        def result(timeout: float) -> None:
            assert timeout > 0
            if self.refusal is not None:
                raise KafkaException(KafkaError(self.refusal))
            self.producer.exists = True

        return {topics[0].topic: SimpleNamespace(result=result)}

    def list_topics(self, topic: str, timeout: float) -> Any:
        return self.producer.list_topics(topic, timeout)


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": "localhost:1", "topics": ["events"]},
            "ims": {"client_id": "id", "client_secret": "unused"},
            "experience_platform": {"org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg", "tenant": "a"},
        }
    )


def state_of(settings: Settings, producer: ScriptedProducer, admin: Admin) -> StateTopic:
    return StateTopic(
        settings,
        "client",
        open_producer=producer.open,
        open_admin=lambda _properties: cast("AdminClient", admin),
    )


def test_a_write_tells_the_offset_and_goes_to_the_one_partition(settings: Settings) -> None:
    producer = ScriptedProducer([])
    state = state_of(settings, producer, Admin(producer))

    offsets = state.write_many({"a/1": {"x": 1}, "a/2": None})

    assert offsets == {"a/1": 40, "a/2": 41}
    assert producer.written == [
        (NAME, b'{"format":1,"x":1}', b"a/1", 0),
        (NAME, None, b"a/2", 0),
    ]


def test_a_missing_topic_is_created_compacted_with_the_brokers_time(settings: Settings) -> None:
    producer = ScriptedProducer([], exists=False)
    admin = Admin(producer)

    state_of(settings, producer, admin).write("a/1", {})

    (new,) = admin.created
    assert (new.topic, new.num_partitions, new.replication_factor) == (NAME, 1, 3)
    assert new.config == TOPIC_CONFIG
    assert TOPIC_CONFIG["cleanup.policy"] == "compact"
    assert TOPIC_CONFIG["message.timestamp.type"] == "LogAppendTime"


def test_a_topic_deleted_meanwhile_is_written_to_again(settings: Settings) -> None:
    producer = ScriptedProducer([KafkaError.UNKNOWN_TOPIC_OR_PART])

    assert state_of(settings, producer, Admin(producer)).write("a/1", {}) == 40
    assert len(producer.written) == 2


def test_a_write_without_answer_is_the_moments_fault_and_never_arrives_late(
    settings: Settings,
) -> None:
    producer = ScriptedProducer([KafkaError.REQUEST_TIMED_OUT])
    state = state_of(settings, producer, Admin(producer))

    with pytest.raises(TryAgain, match=r"Could not write to capillary-aep\.state"):
        state.write("a/1", {})

    assert producer.purged == 1
    assert state.write("a/1", {}) == 40
    assert producer.opened == 2


def test_a_producer_that_is_broken_is_made_anew(settings: Settings) -> None:
    producer = ScriptedProducer([KafkaError._FATAL])  # noqa: SLF001 - librdkafka's name for it

    assert state_of(settings, producer, Admin(producer)).write("a/1", {}) == 40
    assert producer.opened == 2


@pytest.mark.parametrize(
    "refusal", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.POLICY_VIOLATION]
)
def test_a_refusal_says_what_to_mend(settings: Settings, refusal: int) -> None:
    producer = ScriptedProducer([], exists=False)

    with pytest.raises(Misconfigured, match=r"cleanup\.policy=compact.*state\.replication_factor"):
        state_of(settings, producer, Admin(producer, refusal)).write("a/1", {})


def test_a_denied_write_says_what_to_mend(settings: Settings) -> None:
    producer = ScriptedProducer([KafkaError.TOPIC_AUTHORIZATION_FAILED])

    with pytest.raises(Misconfigured, match=r"Grant .*Write .*capillary-aep\.state"):
        state_of(settings, producer, Admin(producer)).write("a/1", {})


# Reading.


class ScriptedConsumer:
    """A topic whose end is known; hands out the polls of its script, then nothing."""

    def __init__(self, end: int, *polls: list[Any]) -> None:
        self.end = end
        self.polls = list(polls)
        self.assigned: list[int] = []

    def get_watermark_offsets(self, _partition: Any, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return 2, self.end

    def assign(self, partitions: list[Any]) -> None:
        self.assigned += [partition.offset for partition in partitions]

    def consume(self, _count: int, timeout: float) -> list[Any]:
        assert timeout > 0
        return self.polls.pop(0) if self.polls else []


def message(offset: int, code: int | None = None) -> Any:
    error = None if code is None else KafkaError(code)
    return SimpleNamespace(offset=lambda: offset, error=lambda: error)


END = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's name for it


@pytest.mark.parametrize(
    "polls",
    [
        ([message(2), message(4)], [message(6), message(7), message(9)]),
        ([message(2), message(4), message(6)], [message(0, END)]),  # 7 ends a transaction
        (
            [message(0, KafkaError.GROUP_AUTHORIZATION_FAILED)],
            [message(2), message(4), message(6), message(7)],
        ),
    ],
)
def test_reading_goes_to_the_end_as_it_was_and_not_beyond(polls: tuple[list[Any], ...]) -> None:
    consumer, taken = ScriptedConsumer(8, *polls), list[int]()

    end = read_to_end(cast("Any", consumer), NAME, lambda m: taken.append(m.offset() or 0))

    assert end == 8
    assert [offset for offset in taken if offset != 7] == [2, 4, 6]
    assert max(taken) < 8
    assert consumer.assigned == [2]


def test_reading_that_is_refused_or_brings_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.kafka.state.STUCK_S", 0.0)
    refused = ScriptedConsumer(8, [message(0, KafkaError.TOPIC_AUTHORIZATION_FAILED)])

    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        read_to_end(cast("Any", refused), NAME, print)
    with pytest.raises(KafkaException, match="REQUEST_TIMED_OUT"):
        read_to_end(cast("Any", ScriptedConsumer(8)), NAME, print)


def test_reading_is_no_static_member_and_commits_nothing(settings: Settings) -> None:
    theirs = {"group.instance.id": "one", "isolation.level": "read_uncommitted"}
    kafka = settings.kafka.model_copy(update={"consumer": theirs})

    properties = reading_properties(settings.model_copy(update={"kafka": kafka}), "client")

    assert "group.instance.id" not in properties
    assert properties["isolation.level"] == "read_committed"
    assert properties["enable.auto.commit"] is False


def test_an_empty_topic_is_read_at_once() -> None:
    assert read_to_end(cast("Any", ScriptedConsumer(2)), NAME, print) == 2
