import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.intake import Start, Subscription, Teller
from processor.kafka.membership import Membership, is_cooperative
from processor.kafka.ownership import Ownership
from processor.kafka.pausing import Pausing
from processor.kafka.progress import Mark, Origin
from processor.record import TopicPartition

HERE = Origin("cluster", "topic")
ZERO, ONE = TopicPartition("events", 0), TopicPartition("events", 1)
NOT_NOW = KafkaException(KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))


def places(offsets: Mapping[TopicPartition, int]) -> list[KafkaPartition]:
    return [KafkaPartition(*partition, offset) for partition, offset in offsets.items()]


class Client:
    """A consumer that remembers what it was told, and fails as it is told."""

    def __init__(self, committed: Mapping[TopicPartition, int] | None = None) -> None:
        self.offsets = dict(committed or {})
        self.metadata = ""
        self.most_metadata_bytes = 4096
        self.log_end: int | None = 42
        self.committed_metadata: list[str] = []
        self.failures: deque[KafkaException] = deque()
        self.refusals: dict[TopicPartition, int] = {}
        self.commits: list[dict[TopicPartition, int]] = []
        self.assigned: dict[TopicPartition, int] = {}
        self.assigned_by = ""
        self.paused: list[tuple[str, int]] = []
        self.resumed: list[tuple[str, int]] = []
        self.unread: set[tuple[str, int]] = set()
        self.asked = 0

    def committed(self, partitions: Sequence[KafkaPartition], timeout: float) -> Any:
        self.asked += 1
        if self.failures:
            raise self.failures.popleft()
        found = places(
            {TopicPartition(p.topic, p.partition): -1001 for p in partitions} | self.offsets
        )
        return [
            KafkaPartition(p.topic, p.partition, p.offset, metadata=self.metadata) for p in found
        ]

    def get_watermark_offsets(self, partition: KafkaPartition, timeout: float) -> tuple[int, int]:
        if self.failures:
            raise self.failures.popleft()
        if self.log_end is None:
            raise NOT_NOW
        return 5, self.log_end

    def commit(self, *, offsets: Sequence[KafkaPartition], asynchronous: bool) -> Any:
        if self.failures:
            raise self.failures.popleft()
        self.commits.append({TopicPartition(p.topic, p.partition): p.offset for p in offsets})
        self.committed_metadata += [p.metadata or "" for p in offsets]
        answers = []
        for place in offsets:
            answer = Answered(place.topic, place.partition, place.offset, place.metadata)
            code = self.refusals.get(TopicPartition(place.topic, place.partition))
            if len(place.metadata or "") > self.most_metadata_bytes:
                code = KafkaError.OFFSET_METADATA_TOO_LARGE
            answer.error = None if code is None else KafkaError(code)
            answers.append(answer)
        return None if asynchronous else answers

    def incremental_assign(self, partitions: Sequence[KafkaPartition]) -> None:
        self.assigned_by = "incremental"
        self.assigned |= {TopicPartition(p.topic, p.partition): p.offset for p in partitions}

    def assign(self, partitions: Sequence[KafkaPartition]) -> None:
        self.assigned_by = "whole"
        self.assigned = {TopicPartition(p.topic, p.partition): p.offset for p in partitions}

    def assignment(self) -> list[KafkaPartition]:
        return places(self.assigned)

    def pause(self, partitions: Sequence[KafkaPartition]) -> None:
        self.paused += [(p.topic, p.partition) for p in partitions]
        self.unread |= {(p.topic, p.partition) for p in partitions}

    def resume(self, partitions: Sequence[KafkaPartition]) -> None:
        """As the library: a pause outlives the assignment, and what is not paused is left alone."""
        found = [(p.topic, p.partition) for p in partitions]
        self.resumed += [place for place in found if place in self.unread]
        self.unread -= set(found)


class Answered:
    """A partition in the answer to a commit."""

    def __init__(self, topic: str, partition: int, offset: int, metadata: str | None) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset
        self.metadata = metadata
        self.error: KafkaError | None = None


class Impatient(threading.Event):
    """An event on which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits > 100:
            self.set()
        return self.is_set()


class Member:
    """A membership between a client and a listening task."""

    def __init__(
        self,
        client: Client,
        listener: Any,
        *,
        begin: Literal["earliest", "latest"] = "earliest",
        cooperative: bool = True,
        drain_timeout_s: float = 1.0,
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        self.client, self.listener = cast("Consumer", client), listener
        self.origins, self.look_ups = origins or {}, 0
        tell = Teller(lambda call: call(), failed=listener.failed, gone=lambda: None)
        self.ours = Ownership(listener.committed)
        self.pausing = Pausing()
        self.ending, self.closing = Impatient(), threading.Event()
        self.membership = Membership(
            Subscription(("events",), begin, "pause"),
            listener,
            tell,
            self.ours,
            self.pausing,
            cooperative=cooperative,
            drain_timeout_s=drain_timeout_s,
            origins=self._look_up,
            ending=self.ending,
            closing=self.closing,
        )

    def _look_up(self, _topics: object) -> Mapping[str, Origin]:
        self.look_ups += 1
        return self.origins

    def mark(self, partition: TopicPartition, offset: int, metadata: str = "") -> Mark:
        """What the loop would commit for the assignment that it heard of last."""
        return Mark(offset, metadata, self.listener.starts[partition].generation)

    def gain(self, *partitions: TopicPartition) -> None:
        self.membership.on_assign(self.client, places(dict.fromkeys(partitions, -1001)))

    def give(self, *partitions: TopicPartition) -> None:
        self.membership.on_revoke(self.client, places(dict.fromkeys(partitions, -1001)))

    def lose(self, *partitions: TopicPartition) -> None:
        self.membership.on_lost(self.client, places(dict.fromkeys(partitions, -1001)))


@pytest.mark.parametrize(("cooperative", "by"), [(True, "incremental"), (False, "whole")])
def test_partitions_begin_where_the_group_stands_else_at_the_first_record(
    listener: Any, cooperative: bool, by: str
) -> None:
    client, heard = Client({ZERO: 7}), listener()

    Member(client, heard, cooperative=cooperative).gain(ZERO, ONE)

    assert client.assigned == {ZERO: 7, ONE: OFFSET_BEGINNING}
    assert client.assigned_by == by
    assert heard.assignments == [{ZERO: 7, ONE: None}]
    assert client.commits == []


def test_a_new_partition_from_its_end_has_that_end_committed_at_once(listener: Any) -> None:
    client, heard = Client({ZERO: 7}), listener()

    Member(client, heard, begin="latest").gain(ZERO, ONE)

    assert client.assigned == {ZERO: 7, ONE: 42}
    assert client.commits == [{ONE: 42}]
    assert heard.assignments == [{ZERO: 7, ONE: 42}]


@pytest.mark.parametrize("begin", ["earliest", "latest"])
def test_committed_offsets_are_asked_for_until_they_are_told(
    listener: Any, begin: Literal["earliest", "latest"]
) -> None:
    client = Client({ZERO: 7})
    client.failures.extend([NOT_NOW] * 5)
    member = Member(client, listener(), begin=begin)

    member.gain(ZERO, ONE)

    assert client.assigned[ZERO] == 7
    assert member.ending.waits == 5, "each time it waits a moment before it asks again"


def test_whose_offsets_they_are_is_asked_once_for_each_assignment(listener: Any) -> None:
    client, heard = Client(), listener()
    member = Member(client, heard, begin="latest", origins={"events": HERE})
    ask_end, ends = client.get_watermark_offsets, iter([False, False, True])

    def not_yet(partition: KafkaPartition, timeout: float) -> tuple[int, int]:
        if not next(ends):
            raise NOT_NOW
        return ask_end(partition, timeout)

    client.get_watermark_offsets = not_yet  # type: ignore[method-assign]
    member.gain(ZERO)
    once = member.look_ups
    member.lose(ZERO)
    client.offsets = {ZERO: 42}
    member.origins = {"events": Origin("cluster", "recreated")}
    member.gain(ZERO)

    assert (once, member.look_ups) == (1, 2)
    assert heard.starts[ZERO].origin == Origin("cluster", "recreated")


def test_a_source_that_ends_does_not_ask_on(listener: Any) -> None:
    client, heard = Client(), listener()
    client.failures.extend([NOT_NOW] * 1000)

    Member(client, heard).gain(ZERO)

    assert client.asked <= 101
    assert client.assigned == {}


def test_what_is_assigned_under_back_pressure_is_paused(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())

    member.gain(ZERO)
    member.pausing.pause(member.client)
    member.gain(ONE)
    member.pausing.resume(member.client)

    assert client.paused == [ZERO, ONE]
    assert client.resumed == [ZERO, ONE]


def test_what_went_under_back_pressure_is_read_when_it_comes_back(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO, ONE)
    member.pausing.pause(member.client)
    member.lose(ONE)
    del client.assigned[ONE]
    member.pausing.resume(member.client)
    still = set(client.unread)

    member.gain(ONE)

    assert still == {ONE}
    assert client.unread == set()


def test_what_is_held_stays_held_when_the_rest_goes_on_and_not_after_it_went(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO, ONE)

    member.pausing.hold(member.client, ZERO)
    member.pausing.pause(member.client)
    member.pausing.resume(member.client)
    held = list(client.resumed)
    member.lose(ZERO)
    member.gain(ZERO)

    assert held == [ONE]
    assert client.resumed == [ONE, ZERO]


def test_a_revocation_commits_what_the_task_drained(listener: Any) -> None:
    client, heard = Client({ZERO: 3, ONE: 3}), listener()
    member = Member(client, heard)
    member.gain(ZERO, ONE)
    heard.watermarks = {p: member.mark(p, 9) for p in (ZERO, ONE)}

    member.give(ZERO)

    assert heard.revocations == [[ZERO]]
    assert client.commits == [{ZERO: 9}]
    assert heard.commits == [({ZERO: member.mark(ZERO, 9)}, None)]


def test_a_task_that_never_drains_does_not_keep_the_consumer(listener: Any) -> None:
    client, heard = Client(), listener()
    member = Member(client, heard, drain_timeout_s=-5.0)
    heard.revoking = lambda _partitions, _drained: None
    member.gain(ZERO)

    member.give(ZERO)

    assert client.commits == []


def test_at_the_end_nothing_is_drained_any_more(listener: Any) -> None:
    client, heard = Client(), listener()
    member = Member(client, heard)
    member.gain(ZERO)
    member.closing.set()

    member.give(ZERO)

    assert heard.revocations == []


def test_nothing_is_committed_for_a_partition_that_went(listener: Any) -> None:
    client, heard = Client({ZERO: 3, ONE: 3}), listener()
    member = Member(client, heard)
    member.gain(ZERO, ONE)
    member.lose(ZERO)

    went, stays = member.mark(ZERO, 9), member.mark(ONE, 5)
    done = member.ours.commit(member.client, {ZERO: went, ONE: stays}, wait=False)
    nothing = member.ours.commit(member.client, {ZERO: went}, wait=True)

    assert (done, nothing) == (True, True)
    assert client.commits == [{ONE: 5}]
    assert heard.losses == [[ZERO]]


def test_a_commit_decided_before_the_partition_came_back_does_not_set_it_back(
    listener: Any,
) -> None:
    client = Client({ZERO: 3})
    member = Member(client, listener())
    member.gain(ZERO)
    old = member.mark(ZERO, 12)
    member.give(ZERO)
    client.offsets = {ZERO: 20}
    member.gain(ZERO)

    member.ours.commit(member.client, {ZERO: old}, wait=False)
    member.ours.commit(member.client, {ZERO: member.mark(ZERO, 20)}, wait=False)

    assert client.commits == [{ZERO: 20}]


@pytest.mark.parametrize("back_by", [0, 3])
def test_a_commit_decided_before_a_loss_does_not_pass_what_the_topic_holds_now(
    listener: Any, back_by: int
) -> None:
    client = Client({ZERO: 3})
    member = Member(client, listener())
    member.gain(ZERO)
    old = member.mark(ZERO, 12)
    member.lose(ZERO)
    client.offsets = {ZERO: 3 - back_by}
    member.gain(ZERO)

    ordered = member.ours.commit(member.client, {ZERO: old}, wait=False)
    waited = member.ours.commit(member.client, {ZERO: old}, wait=True)

    assert (ordered, waited) == (True, True)
    assert client.commits == [], "above where it begins now, and still not to be committed"


def test_a_late_answer_of_an_earlier_assignment_is_not_told(listener: Any) -> None:
    client, heard = Client({ZERO: 3}), listener()
    member = Member(client, heard)
    member.gain(ZERO)
    member.ours.commit(member.client, {ZERO: member.mark(ZERO, 12)}, wait=False)
    member.lose(ZERO)
    member.gain(ZERO)
    member.ours.commit(member.client, {ZERO: member.mark(ZERO, 4)}, wait=False)

    member.ours.answered(None, places({ZERO: 12}))
    member.ours.answered(None, places({ZERO: 4}))

    assert heard.commits == [({}, None), ({ZERO: member.mark(ZERO, 4)}, None)]


def test_a_commit_that_the_broker_refuses_is_told_and_is_no_success(listener: Any) -> None:
    client, heard = Client(), listener()
    member = Member(client, heard)
    member.gain(ZERO, ONE)
    client.failures.append(NOT_NOW)

    marks = {p: member.mark(p, 1) for p in (ZERO, ONE)}
    raised = member.ours.commit(member.client, {ZERO: marks[ZERO]}, wait=True)
    client.refusals = {ZERO: KafkaError.NOT_COORDINATOR}
    partly = member.ours.commit(member.client, marks, wait=True)

    assert (raised, partly) == (False, False)
    assert [offsets for offsets, _ in heard.commits] == [{}, {ONE: marks[ONE]}]
    assert all(error for _, error in heard.commits)


def test_partitions_begin_with_what_the_broker_knows_of_their_metadata(listener: Any) -> None:
    client, heard = Client({ZERO: 7}), listener()
    client.metadata = "metadata"

    Member(client, heard, origins={"events": HERE}).gain(ZERO, ONE)

    assert heard.starts == {
        ZERO: Start(7, "metadata", HERE, 42, generation=1),
        ONE: Start(None, "", HERE, generation=1),
    }


def test_a_log_end_that_nobody_tells_keeps_no_partition_waiting(listener: Any) -> None:
    client, heard = Client({ZERO: 7}), listener()
    client.metadata, client.log_end = "metadata", None

    Member(client, heard).gain(ZERO)

    assert heard.starts == {ZERO: Start(7, "metadata", None, None, generation=1)}


def test_metadata_goes_along_with_a_commit_and_is_told_back(listener: Any) -> None:
    client, heard = Client({ZERO: 3}), listener()
    member = Member(client, heard)
    member.gain(ZERO)

    first, second = member.mark(ZERO, 3, "first"), member.mark(ZERO, 4)
    member.ours.commit(member.client, {ZERO: first, ONE: Mark(9, "lost")}, wait=True)
    member.ours.commit(member.client, {ZERO: second}, wait=True)

    assert client.committed_metadata == ["first", ""]
    assert heard.commits == [({ZERO: first}, None), ({ZERO: second}, None)]


@pytest.mark.parametrize("alone", [True, False])
def test_a_broker_that_takes_less_metadata_gets_none(listener: Any, alone: bool) -> None:
    client, heard = Client({ZERO: 3, ONE: 3}), listener()
    client.most_metadata_bytes = 10
    member = Member(client, heard)
    member.gain(ZERO, ONE)
    marks = {ZERO: member.mark(ZERO, 4, "x" * 11)}
    if not alone:
        marks[ONE] = member.mark(ONE, 5)
    if alone:
        client.failures.append(KafkaException(KafkaError(KafkaError.OFFSET_METADATA_TOO_LARGE)))

    done = member.ours.commit(member.client, marks, wait=True)
    member.ours.commit(member.client, {ZERO: member.mark(ZERO, 6, "y")}, wait=True)

    assert done
    assert client.committed_metadata[-2:] == ["", ""]
    assert heard.commits[0] == ({p: m._replace(metadata="") for p, m in marks.items()}, None)


@pytest.mark.parametrize("of_all", [True, False])
def test_after_an_answer_that_metadata_is_too_large_the_next_commit_has_none(
    listener: Any, of_all: bool
) -> None:
    client = Client({ZERO: 3})
    member = Member(client, listener())
    member.gain(ZERO)
    error = KafkaError(KafkaError.OFFSET_METADATA_TOO_LARGE)
    place = Answered(*ZERO, 3, "x")
    place.error = None if of_all else error

    member.ours.answered(error if of_all else None, [place])  # type: ignore[list-item] # a double
    member.ours.commit(member.client, {ZERO: member.mark(ZERO, 4, "x")}, wait=False)

    assert client.committed_metadata == [""]


def test_a_partition_that_rests_is_paused_until_it_rests_no_more(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO, ONE)

    member.pausing.rest(member.client, [ZERO])
    member.pausing.rest(member.client, [ZERO])
    member.pausing.pause(member.client)
    member.pausing.resume(member.client)
    while_resting = list(client.resumed)
    member.pausing.rest(member.client, [])

    assert client.paused == [ZERO, ZERO, ONE]
    assert while_resting == [ONE]
    assert client.resumed == [ONE, ZERO]


def test_a_rest_that_ends_under_back_pressure_resumes_nothing(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO, ONE)

    member.pausing.rest(member.client, [ZERO])
    member.pausing.pause(member.client)
    member.pausing.rest(member.client, [])
    before = list(client.resumed)
    member.pausing.resume(member.client)

    assert before == []
    assert client.resumed == [ZERO, ONE]


def test_a_held_partition_stays_held_when_its_rest_ends(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO)

    member.pausing.hold(member.client, ZERO)
    member.pausing.rest(member.client, [ZERO])
    member.pausing.rest(member.client, [])

    assert client.resumed == []


def test_a_partition_that_comes_back_rests_no_more(listener: Any) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO)

    member.pausing.rest(member.client, [ZERO])
    member.lose(ZERO)
    member.gain(ZERO)

    assert client.paused == [ZERO]


def test_a_rest_that_is_ordered_after_the_partition_went_ends_with_the_next_order(
    listener: Any,
) -> None:
    client = Client()
    member = Member(client, listener())
    member.gain(ZERO)
    member.lose(ZERO)
    client.assigned = {}

    member.pausing.rest(member.client, [ZERO])
    member.gain(ZERO)
    member.pausing.rest(member.client, [])

    assert client.paused == client.resumed == [ZERO]


def test_a_late_answer_for_a_partition_that_went_is_not_told(listener: Any) -> None:
    heard = listener()
    member = Member(Client(), heard)
    member.gain(ZERO, ONE)
    marks = {ZERO: member.mark(ZERO, 5), ONE: member.mark(ONE, 6)}
    member.ours.commit(member.client, marks, wait=False)
    member.lose(ZERO)

    member.ours.answered(None, places({ZERO: 5, ONE: 6}))

    assert heard.commits == [({ONE: marks[ONE]}, None)]


@pytest.mark.parametrize(
    ("properties", "cooperative"),
    [
        ({"partition.assignment.strategy": "cooperative-sticky"}, True),
        ({"partition.assignment.strategy": "range,roundrobin"}, False),
        ({"group.protocol": "consumer"}, True),
        ({"group.protocol": "Consumer", "partition.assignment.strategy": "range"}, True),
        ({}, False),
    ],
)
def test_who_gives_and_takes_single_partitions(
    properties: dict[str, str], cooperative: bool
) -> None:
    assert is_cooperative(properties) is cooperative


def test_a_loop_that_is_gone_is_no_error() -> None:
    gone: list[bool] = []

    def closed(_call: object) -> None:
        raise RuntimeError("Event loop is closed")

    Teller(closed, failed=lambda _: None, gone=lambda: gone.append(True))(lambda: None)

    assert gone == [True]


def test_a_call_that_fails_on_the_loop_is_told_and_leaves_the_loop_alone() -> None:
    waiting: list[Any] = []
    failures: list[Exception] = []

    def broken(_number: int) -> None:
        raise KeyError("defect")

    Teller(waiting.append, failed=failures.append, gone=lambda: None)(broken, 1)
    (call,) = waiting
    call()

    assert [type(error) for error in failures] == [KeyError]
