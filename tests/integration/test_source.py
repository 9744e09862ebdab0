"""The source as a member of a real consumer group."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties, consumer_properties
from processor.kafka.intake import Ranges, Start, Subscription
from processor.kafka.progress import Mark
from processor.kafka.source import Source
from processor.kafka.topics import Topics
from processor.local.broker import Broker
from processor.record import Record, TopicPartition
from processor.settings.models import ErrorsSettings, KafkaSettings

Eventually = Callable[..., Any]
Produce = Callable[..., None]
Policy = Literal["pause", "earliest", "latest"]
PROTOCOLS: dict[str, dict[str, Any]] = {
    "cooperative": {},
    "eager": {"partition.assignment.strategy": "range"},
    "KIP-848": {"group.protocol": "consumer"},
}


class Listener:
    """A task that takes records, ends them when it is told, and drains before it gives back."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self.ends = True
        self.records: list[Record] = []
        self.owned: dict[TopicPartition, int | None] = {}
        self.next: dict[TopicPartition, int] = {}
        self.generations: dict[TopicPartition, int] = {}
        self.revoked: list[TopicPartition] = []
        self.lost_ones: list[TopicPartition] = []
        self.commits: list[tuple[dict[TopicPartition, Mark], str | None]] = []
        self.troubles: list[tuple[str, str, bool]] = []
        self.over: list[str] = []
        self.failures: list[Exception] = []
        self.exhaustions = 0
        self.lags: dict[TopicPartition, int] = {}
        self.draining: list[Callable[[], None]] = []

    def assigned(self, starts: Mapping[TopicPartition, Start]) -> None:
        self.owned |= {p: start.offset for p, start in starts.items()}
        self.generations |= {p: start.generation for p, start in starts.items()}

    def mark(self, partition: TopicPartition, offset: int) -> Mark:
        """What is to be committed for the assignment that was told last."""
        return Mark(offset, generation=self.generations[partition])

    def revoking(
        self,
        partitions: Sequence[TopicPartition],
        drained: Callable[[Mapping[TopicPartition, Mark]], None],
    ) -> None:
        def drain() -> None:
            for partition in partitions:
                self.owned.pop(partition, None)
                self.revoked.append(partition)
            drained({p: self.mark(p, o) for p, o in self.next.items() if p in partitions})

        if self.ends:
            drain()
        else:
            self.draining.append(drain)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.owned.pop(partition, None)
            self.lost_ones.append(partition)

    def arrived(self, records: Sequence[Record]) -> None:
        self.records += records
        for record in records:
            self.next[TopicPartition(record.topic, record.partition)] = record.offset + 1
        assert self.source is not None
        self.source.taken()

    def committed(self, marks: Mapping[TopicPartition, Mark], error: str | None) -> None:
        self.commits.append((dict(marks), error))

    def lagging(self, lags: Mapping[TopicPartition, int]) -> None:
        self.lags = dict(lags)

    def trouble(self, reason: str, message: str, *, who: str, of_setup: bool) -> None:
        self.troubles.append((reason, who, of_setup))

    def trouble_over(self, reason: str, *, who: str) -> None:
        self.over.append(reason)

    def exhausted(self) -> None:
        self.exhaustions += 1

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def offsets(self, partition: int = 0) -> list[int]:
        return [r.offset for r in self.records if r.partition == partition]


class Begin(Protocol):
    """A source that runs until the test ends, before a new listener."""

    def __call__(self, reads: Subscription | Ranges, **properties: Any) -> Listener: ...


@pytest.fixture
def begin(broker: Broker, group: str) -> Iterator[Begin]:
    running: list[Source] = []

    def start(reads: Subscription | Ranges, **properties: Any) -> Listener:
        heard = Listener()
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, topics=["events"], consumer=properties
        )
        heard.source = Source(
            consumer_properties(settings, group, "client"),
            reads,
            heard,
            post=lambda call: call(),
            drain_timeout_s=20.0,
        )
        running.append(heard.source)
        heard.source.start()
        return heard

    yield start

    for source in running:
        source.close({}, 20.0)


def members_of(
    topic: str, begin: Literal["earliest", "latest"] = "earliest", out_of_range: Policy = "pause"
) -> Subscription:
    return Subscription((topic,), begin, out_of_range)


def close(heard: Listener, offsets: Mapping[TopicPartition, int]) -> bool:
    assert heard.source is not None
    return heard.source.close({p: heard.mark(p, o) for p, o in offsets.items()}, 30.0)


def paused(heard: Listener) -> bool:
    assert heard.source is not None
    return heard.source._pausing.everything  # noqa: SLF001 - seen only from inside


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_restart_goes_on_after_what_was_committed(
    protocol: str, topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    partition = TopicPartition(topic, 0)
    produce(topic, numbers(10), partition=0)
    first = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: first.offsets() == list(range(10)))

    closed = close(first, {partition: 7})
    second = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: second.offsets() == [7, 8, 9])

    assert closed
    assert first.commits == [({partition: first.mark(partition, 7)}, None)]
    assert first.owned == {partition: None, TopicPartition(topic, 1): None}
    assert second.owned[partition] == 7
    eventually(lambda: second.lags.get(partition) == 0)
    assert first.failures == second.failures == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_partition_that_goes_is_drained_and_committed_before_it_is_someone_else_s(
    protocol: str, topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    produce(topic, numbers(10), partition=0)
    produce(topic, numbers(10), partition=1)
    first = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: len(first.records) == 20)
    first.ends = False

    second = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: first.draining, what="the first is asked to give partitions back")
    before = list(second.records)
    first.ends = True
    for drain in first.draining:
        drain()
    eventually(lambda: len(first.owned) == len(second.owned) == 1)
    produce(topic, numbers(3, 10), partition=0)
    produce(topic, numbers(3, 10), partition=1)
    eventually(lambda: len(first.records) + len(second.records) == 26)

    assert before == []
    (moved,) = second.owned
    assert second.owned[moved] == 10, "it begins at what the first committed"
    assert second.offsets(moved.partition) == [10, 11, 12]
    assert first.failures == second.failures == []
    assert all(error is None for _, error in first.commits)


def test_a_commit_that_was_decided_before_a_rebalance_does_not_touch_what_went(
    topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    produce(topic, numbers(10), partition=0)
    produce(topic, numbers(10), partition=1)
    first = begin(members_of(topic))
    eventually(lambda: len(first.records) == 20)
    second = begin(members_of(topic))
    eventually(lambda: len(first.owned) == len(second.owned) == 1)
    (kept,), (gone,) = first.owned, second.owned

    assert first.source is not None
    marks = {gone: first.mark(gone, 2), kept: first.mark(kept, 4)}
    first.source.commit(marks)
    eventually(lambda: first.commits[-1] == ({kept: marks[kept]}, None))
    close(second, {})
    third = begin(members_of(topic))
    eventually(lambda: gone in third.owned or gone in first.owned)

    begins = third.owned.get(gone, first.owned.get(gone))
    assert begins == 10


def test_a_stop_in_the_middle_of_a_rebalance_commits_what_ended(
    broker: Broker, fresh_name: Callable[[str], str], produce: Produce, begin: Begin,
    eventually: Eventually, group: str,
) -> None:  # fmt: skip
    topic = broker.create_topic(fresh_name("events"), partitions=4)
    for number in range(4):
        produce(topic, numbers(10), partition=number)
    lively = {"heartbeat.interval.ms": 300}
    members = [begin(members_of(topic), **lively) for _ in range(2)]
    eventually(lambda: all(len(one.owned) == 2 for one in members))
    # The first may have had them all before the second came.
    eventually(lambda: sum(len(one.records) for one in members) >= 40)
    for one in members:
        one.ends = False
    begin(members_of(topic), **lively)
    eventually(lambda: members[0].draining or members[1].draining)
    slow, leaver = members if members[0].draining else reversed(members)
    begin(members_of(topic), **lively)
    eventually(lambda: group_state(broker, group) is ConsumerGroupState.PREPARING_REBALANCING)
    time.sleep(1.0)  # the leaver has heard of it by its heartbeat, and its JoinGroup waits

    offsets = dict.fromkeys(leaver.owned, 10)
    with ThreadPoolExecutor() as pool:
        leaver.ends = True
        closing = pool.submit(close, leaver, offsets)
        time.sleep(1.0)
        for drain in slow.draining:
            drain()
        closed = closing.result(40.0)

    assert closed
    assert any(error is not None for _, error in leaver.commits), "the first came too late"
    assert committed_of(broker, group, offsets) == offsets


def group_state(broker: Broker, group: str) -> ConsumerGroupState:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    state: ConsumerGroupState = admin.describe_consumer_groups([group])[group].result(10.0).state
    return state


def committed_of(
    broker: Broker, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    asked = ConsumerGroupTopicPartitions(group, [KafkaPartition(*p) for p in partitions])
    found = admin.list_consumer_group_offsets([asked])[group].result(10.0)
    return {TopicPartition(p.topic, p.partition): p.offset for p in found.topic_partitions}


@pytest.mark.parametrize("protocol", ["cooperative", "KIP-848"])
def test_what_is_kept_in_a_rebalance_goes_on_being_read(
    protocol: str, topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    first = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: len(first.owned) == 2)

    second = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: len(second.owned) == 1)

    assert len(first.revoked) == 1
    assert first.lost_ones == []
    assert len(first.owned) == 1


def test_back_pressure_pauses_and_keeps_the_membership(
    topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    # So long without a poll costs the membership.
    quick = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}
    produce(topic, numbers(10), partition=0)
    heard = begin(members_of(topic), **quick)
    eventually(lambda: len(heard.records) == 10)
    assert heard.source is not None

    heard.source.flow(on=False)
    eventually(lambda: paused(heard))
    produce(topic, numbers(5, 10), partition=0)
    threading.Event().wait(8.0)
    before = len(heard.records)
    heard.source.flow(on=True)
    eventually(lambda: len(heard.records) == 15)

    assert before == 10
    assert heard.offsets() == list(range(15))
    assert heard.revoked == heard.lost_ones == []


def test_partitions_that_come_under_back_pressure_wait_as_well(
    topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    produce(topic, numbers(10), partition=0)
    produce(topic, numbers(10), partition=1)
    first = begin(members_of(topic))
    eventually(lambda: len(first.records) == 20)
    second = begin(members_of(topic))
    eventually(lambda: len(second.owned) == 1)
    assert second.source is not None

    second.source.flow(on=False)
    eventually(lambda: paused(second))
    close(first, {})
    eventually(lambda: len(second.owned) == 2)
    produce(topic, numbers(5, 10), partition=0)
    produce(topic, numbers(5, 10), partition=1)
    threading.Event().wait(1.5)
    before = len(second.records)
    second.source.flow(on=True)
    eventually(lambda: len(second.records) >= 10)

    assert before == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_partition_that_went_under_back_pressure_is_read_when_it_comes_back(
    protocol: str, topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    first = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: len(first.owned) == 2)
    assert first.source is not None
    first.source.flow(on=False)
    eventually(lambda: paused(first))
    second = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: (len(first.owned), len(second.owned)) == (1, 1))
    first.source.flow(on=True)
    eventually(lambda: not paused(first))

    close(second, {})
    eventually(lambda: len(first.owned) == 2)
    produce(topic, numbers(5), partition=0)
    produce(topic, numbers(5), partition=1)

    eventually(lambda: len(first.records) == 10, what="both partitions are read")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("policy", ["pause", "earliest", "latest"])
def test_an_offset_out_of_range_is_skipped_only_where_the_settings_say_so(
    policy: Policy, protocol: str, topic: str, broker: Broker, produce: Produce, begin: Begin,
    eventually: Eventually, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    partition, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    produce(topic, numbers(10), partition=0)
    produce(topic, numbers(10), partition=1)
    first = begin(members_of(topic), **PROTOCOLS[protocol])
    eventually(lambda: len(first.records) == 20)
    close(first, {partition: 2, other: 9})
    admin = broker.admin()
    (gone,) = admin.delete_records([KafkaPartition(topic, 0, 6)]).values()
    gone.result()

    heard = begin(members_of(topic, out_of_range=policy), **PROTOCOLS[protocol])
    eventually(lambda: heard.troubles or heard.lost_ones)
    produce(topic, numbers(2, 10), partition=0)
    produce(topic, numbers(2, 10), partition=1)
    eventually(lambda: heard.offsets(1) == [9, 10, 11])
    found = {"pause": [], "earliest": [6, 7, 8, 9, 10, 11], "latest": [10, 11]}[policy]
    eventually(lambda: heard.offsets(0) == found, what=f"{found}")

    assert heard.failures == []
    (said,) = (line.msg for line in caplog.records if "out of range" in str(line.msg))
    assert isinstance(said, dict)
    assert said["gap"] == {"pause": 4, "earliest": 4, "latest": 8}[policy]
    if policy == "pause":
        assert heard.troubles == [("offset_out_of_range", str(partition), True)]
    else:
        assert heard.lost_ones == [partition]
        eventually(lambda: ({partition: heard.mark(partition, found[0])}, None) in heard.commits)


def test_a_commit_that_was_decided_before_the_offsets_were_reset_is_never_made(
    topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    partition = TopicPartition(topic, 0)
    produce(topic, numbers(10), partition=0)
    first = begin(members_of(topic, out_of_range="earliest"))
    eventually(lambda: len(first.records) == 10)
    source, old = first.source, first.mark(partition, 8)
    assert source is not None

    # On the consumer's thread, one after the other: the loop's order comes after the reset.
    source._orders.put(lambda consumer: source._gaps.met(consumer, partition, 8))  # noqa: SLF001
    source.commit({partition: old})
    eventually(lambda: len(first.records) == 20)
    eventually(lambda: ({partition: first.mark(partition, 0)}, None) in first.commits)
    close(first, {})
    second = begin(members_of(topic))
    eventually(lambda: len(second.owned) == 2)

    assert second.owned[partition] == 0
    assert first.lost_ones == [partition]
    assert first.failures == second.failures == []


def test_from_the_end_means_the_end_of_then_also_after_a_restart(
    topic: str, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    produce(topic, numbers(10), partition=0)
    first = begin(members_of(topic, "latest"))
    eventually(lambda: first.owned)
    close(first, {})
    produce(topic, numbers(3, 10), partition=0)

    second = begin(members_of(topic, "latest"))
    eventually(lambda: second.offsets() == [10, 11, 12])

    assert first.records == []


def test_a_pattern_does_not_match_what_is_left_out(
    topic: str, broker: Broker, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    broker.create_topic(f"{topic}.dlq")
    broker.create_topic(f"{topic}.more")
    produce(topic, numbers(1), partition=0)
    produce(f"{topic}.dlq", numbers(1))
    produce(f"{topic}.more", numbers(1))

    heard = begin(members_of(f"^{topic}.*"), **{"topic.blacklist": "^.+[.]dlq$,^none$"})
    eventually(lambda: len(heard.records) == 2)

    assert {partition.topic for partition in heard.owned} == {topic, f"{topic}.more"}


def test_a_topic_that_does_not_exist_is_waited_for(
    broker: Broker, fresh_name: Callable[[str], str], produce: Produce, begin: Begin,
    eventually: Eventually,
) -> None:  # fmt: skip
    topic = fresh_name("later")

    heard = begin(members_of(topic), **{"topic.metadata.refresh.interval.ms": 500})
    eventually(lambda: heard.troubles)
    broker.create_topic(topic)
    produce(topic, numbers(1))
    eventually(lambda: heard.records)

    assert heard.troubles[0] == ("kafka", topic, True)
    assert heard.failures == []


def test_an_open_transaction_is_waited_for_and_an_aborted_one_left_out(
    topic: str, broker: Broker, begin: Begin, produce: Produce, eventually: Eventually,
    fresh_name: Callable[[str], str],
) -> None:  # fmt: skip
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": fresh_name("tx")}
    )
    producer.init_transactions()
    for commits in (False, True):
        producer.begin_transaction()
        producer.produce(topic, b"aborted" if not commits else b"committed", partition=0)
        producer.flush()
        (producer.commit_transaction if commits else producer.abort_transaction)()
    produce(topic, numbers(1), partition=0)

    heard = begin(members_of(topic))
    eventually(lambda: len(heard.records) == 2)

    assert [record.value for record in heard.records] == [b"committed", b"0"]
    assert heard.offsets() == [2, 4], "markers and what was aborted leave gaps"


@pytest.mark.parametrize(
    ("span", "found"),
    [((0, 10), list(range(10))), ((3, 7), [3, 4, 5, 6]), ((9, 10), [9]), ((5, 5), [])],
)
def test_a_range_ends_exactly_and_joins_no_group(
    span: tuple[int, int], found: list[int], topic: str, broker: Broker, group: str,
    produce: Produce, begin: Begin, eventually: Eventually,
) -> None:  # fmt: skip
    produce(topic, numbers(12), partition=0)

    heard = begin(Ranges({TopicPartition(topic, 0): span}))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets() == found
    admin = broker.admin()
    listed = admin.list_consumer_groups().result()
    assert group not in {known.group_id for known in listed.valid or []}


def test_of_a_range_whose_begin_is_gone_the_rest_is_read(
    topic: str, broker: Broker, produce: Produce, begin: Begin, eventually: Eventually
) -> None:
    produce(topic, numbers(12), partition=0)
    admin = broker.admin()
    (gone,) = admin.delete_records([KafkaPartition(topic, 0, 6)]).values()
    gone.result()

    heard = begin(Ranges({TopicPartition(topic, 0): (2, 9)}))
    eventually(lambda: heard.exhaustions)

    assert heard.offsets() == [6, 7, 8]
    assert heard.failures == []


# The topics of dead letters.


def topics(broker: Broker, **errors: Any) -> Topics:
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topics=["events"])
    factor = {"deadletterqueue_topic_replication_factor": 1}
    return Topics(settings, ErrorsSettings(**{**factor, **errors}), "client")


def test_a_dead_letter_topic_that_is_missing_is_created_like_its_source(
    topic: str, broker: Broker
) -> None:
    from confluent_kafka.admin import ConfigResource, ResourceType

    known = topics(broker, deadletterqueue_topic_retention_ms=86_400_000)
    dead = f"{topic}.dlq"

    before = known.partitions(dead)
    count = known.dead_letter_partitions(dead, topic)
    admin = AdminClient(
        admin_properties(
            KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topics=["events"]), "client"
        )
    )
    resource = ConfigResource(ResourceType.TOPIC, dead)
    config = admin.describe_configs([resource])[resource].result()

    assert (before, count) == (None, 2)
    assert known.known_partitions(dead) == 2
    assert config["message.timestamp.type"].value == "LogAppendTime"
    assert config["retention.ms"].value == "86400000"
    assert int(config["max.message.bytes"].value) == 1_048_588 + 65_536
    assert config["cleanup.policy"].value == "delete"


def test_two_that_create_a_topic_at_once_both_find_it(topic: str, broker: Broker) -> None:
    first, second = topics(broker), topics(broker)

    counts = [known.dead_letter_partitions(f"{topic}.dlq", topic) for known in (first, second)]

    assert counts == [2, 2]


def test_a_topic_that_cannot_be_created_is_the_set_up_s_fault(topic: str, broker: Broker) -> None:
    known = topics(broker, deadletterqueue_topic_replication_factor=3)

    with pytest.raises(Misconfigured, match="replication factor"):
        known.dead_letter_partitions(f"{topic}.dlq", topic)


def test_asking_for_a_topic_does_not_create_it(topic: str, broker: Broker) -> None:
    known = topics(broker)

    asked = [known.partitions(f"{topic}.never") for _ in range(3)]

    assert asked == [None, None, None]
    admin = broker.admin()
    assert f"{topic}.never" not in admin.list_topics(timeout=10).topics


def test_a_partition_that_rests_is_not_read_while_the_others_are(
    topic: str, produce: Callable[..., None], begin: Begin, eventually: Callable[..., Any]
) -> None:
    for partition in (0, 1):
        produce(topic, numbers(10), partition=partition)
    heard = begin(members_of(topic))
    eventually(lambda: len(heard.records) == 20)
    source = heard.source
    assert source is not None

    source.rest([TopicPartition(topic, 0)])
    eventually(lambda: source._pausing.resting)  # noqa: SLF001 - seen only from inside
    for partition in (0, 1):
        produce(topic, numbers(10, 10), partition=partition)
    eventually(lambda: len(heard.offsets(1)) == 20)
    while_resting = heard.offsets(0)
    source.rest([])
    eventually(lambda: len(heard.offsets(0)) == 20)

    assert while_resting == list(range(10))
    assert heard.offsets(0) == heard.offsets(1) == list(range(20)), "none twice, none left out"
