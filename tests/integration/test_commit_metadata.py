"""What has ended beyond the committed offset is kept in the commit's metadata."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.origins import look_up
from processor.kafka.progress import Mark, Origin, Run, read, write
from processor.local.broker import Broker
from tests.integration.conftest import all_ended
from tests.integration.process_tree import alive, children

STUCK = {"scope": "batch", "inlet": "loyalty", "count": "until_reset", "status": 503}
SLOW = {"scope": "batch", "count": "until_reset", "latency_ms": 100}
END = 1 << 62


class Group:
    """What the connector's group has committed for partition 0, and a way to change it."""

    def __init__(self, broker: Broker, topic: str, name: str) -> None:
        self.place = (topic, 0)
        self._servers = {"bootstrap.servers": broker.direct_servers}
        self._consumer = Consumer({**self._servers, "group.id": name, "enable.auto.commit": False})

    def committed(self) -> Mark:
        (found,) = self._consumer.committed([TopicPartition(*self.place)], timeout=20)
        return Mark(found.offset, found.metadata or "")

    def commit(self, mark: Mark) -> None:
        place = TopicPartition(*self.place, mark.offset, metadata=mark.metadata)
        (answer,) = self._consumer.commit(offsets=[place], asynchronous=False)
        assert answer.error is None, answer.error

    def origin(self) -> Origin:
        return look_up(self._servers, [self.place[0]])[self.place[0]]

    def ended(self, mark: Mark) -> set[int]:
        """The offsets beyond the committed one that have ended."""
        runs = read(mark.metadata, mark.offset, self.origin(), END)
        return {offset for run in runs for offset in range(*run)}

    def close(self) -> None:
        self._consumer.close()


class Scene(NamedTuple):
    """Settings of a connector, records in partition 0, and the event id at each offset."""

    settings: dict[str, Any]
    expected: Mapping[str, set[str]]
    ids: list[str]
    group: Group

    def targets(self, *offsets: int) -> dict[str, set[str]]:
        """What should arrive of these records."""
        ids = {self.ids[offset] for offset in offsets}
        return {t: found & ids for t, found in self.expected.items() if found & ids}


@pytest.fixture
def scene(
    capillary: Any, topic: str, produce: Any, connector_settings: Any, broker: Broker, request: Any
) -> Callable[[int], Scene]:
    """``scene(count)``: produce so many records before a connector that is not started yet."""

    def make(count: int) -> Scene:
        settings = connector_settings(topic)
        settings["delivery"] |= {"batch_max_records": 20, "max_in_flight": 8}
        settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
        events = list(capillary.events.mixed(count))
        records, expected = capillary.of(events)
        produce(topic, records, partition=0)
        group = Group(broker, topic, f"connect-{settings['name']}")
        request.addfinalizer(group.close)
        return Scene(settings, expected, [event["eventId"] for event in events], group)

    return make


def repeated(simulator: Any) -> set[str]:
    """The ids of messages that an inlet accepted more than once."""
    seen: set[tuple[str, str]] = set()
    again: set[str] = set()
    for message in simulator.accepted():
        key = (message["inlet"], message["_id"])
        if key in seen:
            again.add(message["_id"])
        seen.add(key)
    return again


def test_after_kill_9_only_what_was_in_flight_is_sent_again(
    scene: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    made = scene(600)
    simulator.faults([STUCK, SLOW])
    first = connector(made.settings, start=False)
    first.launch()
    before = eventually(
        lambda: len(made.group.ended(mark := made.group.committed())) > 100 and mark,
        what="many records have ended beyond one that has not",
    )

    below = children(first.pid)
    first.kill()

    eventually(lambda: not any(alive(pid) for pid in below), what="the task dies with it")
    simulator.faults_over()
    committed = made.group.committed()
    ended = made.group.ended(committed)
    again = connector(made.settings)
    arrives(made.expected, once=False)
    left = 600 - committed.offset - len(ended)
    eventually(lambda: all_ended(again, left))
    assert before.offset <= committed.offset < 100
    assert len(ended) > 100
    repeats = repeated(simulator)
    assert repeats, "the stuck records had been accepted for the event target"
    assert not repeats & {made.ids[offset] for offset in ended}
    assert not repeats & set(made.ids[: committed.offset])
    assert again.metric("processor_records_consumed_total") == left
    assert eventually(lambda: made.group.committed() == Mark(600)), "nothing is left to remember"


def test_a_clean_stop_leaves_no_metadata(
    scene: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    made = scene(300)
    simulator.faults([{**SLOW, "inlet": "loyalty", "latency_ms": 1_500}])
    first = connector(made.settings)
    eventually(lambda: made.group.committed().metadata)

    status = first.stop()

    assert status == 0
    assert made.group.committed().metadata == ""
    simulator.faults_over()
    connector(made.settings)
    arrives(made.expected, once=True)


def test_metadata_that_fits_is_honoured(
    scene: Any, connector: Any, arrives: Any, eventually: Any
) -> None:
    made = scene(30)
    metadata = write(5, [Run(6, 9), Run(20, 30)], made.group.origin())
    made.group.commit(Mark(5, metadata))

    running = connector(made.settings)

    arrives(made.targets(5, *range(9, 20)))
    assert eventually(lambda: made.group.committed() == Mark(30))
    assert eventually(lambda: running.metric("processor_records_consumed_total") == 12)
    assert "is ignored" not in running.log.read_text()


def test_a_topic_that_the_broker_does_not_know_has_no_ids(broker: Broker, topic: str) -> None:
    found = look_up({"bootstrap.servers": broker.direct_servers}, [topic, "no-such-topic"])

    assert list(found) == [topic]


@pytest.mark.parametrize(
    ("shift", "change", "reason"),
    [
        (1, lambda text: text, "another offset"),
        (0, lambda text: "2" + text[1:], "format is not known"),
        (0, lambda text: text[:-1], "damaged"),
        (0, lambda _: "by-somebody-else", "format is not known"),
    ],
    ids=["shifted", "version", "damaged", "foreign"],
)
def test_metadata_that_does_not_fit_is_ignored_with_one_warning_and_nothing_is_lost(
    scene: Any, connector: Any, arrives: Any, eventually: Any,
    shift: int, change: Callable[[str], str], reason: str,
) -> None:  # fmt: skip
    made = scene(30)
    metadata = write(5, [Run(6, 9), Run(20, 30)], made.group.origin())
    made.group.commit(Mark(5 + shift, change(metadata)))

    running = connector(made.settings)

    arrives(made.targets(*range(5 + shift, 30)))
    log = running.log.read_text()
    assert log.count("metadata of the committed offset is ignored") == 1
    assert reason in log
    assert eventually(lambda: made.group.committed() == Mark(30))


def test_metadata_of_another_cluster_is_ignored(
    scene: Any, connector: Any, arrives: Any, make_broker: Any, fresh_name: Any
) -> None:
    made = scene(30)
    other = make_broker()
    name = other.create_topic(fresh_name("events"))
    elsewhere = look_up({"bootstrap.servers": other.direct_servers}, [name])[name]
    ours = made.group.origin()
    mirrored = Origin(elsewhere.cluster_id, ours.topic_id)
    made.group.commit(Mark(5, write(5, [Run(6, 30)], mirrored)))

    running = connector(made.settings)

    arrives(made.targets(*range(5, 30)))
    assert elsewhere.cluster_id != ours.cluster_id
    assert "another cluster" in running.log.read_text()


def test_metadata_of_a_topic_that_was_recreated_is_ignored(
    scene: Any, capillary: Any, connector: Any, produce: Any, broker: Broker, topic: str,
    arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    made = scene(30)
    before = made.group.origin()
    recreate(broker.admin(), broker, topic, eventually)
    events = list(capillary.events.mixed(30))
    records, expected = capillary.of(events)
    produce(topic, records, partition=0)
    made.group.commit(Mark(0, write(0, [Run(1, 30)], before)))

    running = connector(made.settings)

    arrives(expected)
    assert made.group.origin() != before
    assert "another topic, which had this name before" in running.log.read_text()


def recreate(admin: AdminClient, broker: Broker, topic: str, eventually: Any) -> None:
    for future in admin.delete_topics([topic]).values():
        future.result(30)
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics)
    broker.create_topic(topic, partitions=2)


def test_a_broker_that_takes_no_metadata_gets_none_and_the_offsets_are_committed(
    make_broker: Any, fresh_name: Any, capillary: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Any, topic: str,
) -> None:  # fmt: skip
    own = make_broker(offset_metadata_max_bytes="20")
    name = own.create_topic(topic, partitions=1)
    settings = connector_settings(name)
    settings["kafka"]["bootstrap_servers"] = own.bootstrap_servers
    simulator.faults([STUCK])
    records, _ = capillary.records(60)
    send(own, name, records)
    running = connector(settings, start=False)
    group = Group(own, name, f"connect-{settings['name']}")

    running.launch()

    try:
        eventually(lambda: "takes less than 4,096 bytes" in running.log.read_text())
        simulator.faults_over()
        assert eventually(lambda: group.committed() == Mark(60))
    finally:
        group.close()


def send(broker: Broker, topic: str, records: list[dict[str, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": broker.direct_servers})
    for record in records:
        producer.produce(topic, record["value"], record["key"])
    assert producer.flush(20) == 0
