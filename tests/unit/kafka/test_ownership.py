"""One commit of a partition is on its way at a time, so that none is set back by an older one."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka import ownership
from processor.kafka.intake import Start
from processor.kafka.ownership import SENT_AGAIN_S, UNANSWERED_S, Ownership
from processor.kafka.progress import Mark
from processor.record import TopicPartition

ONE, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)


class Broken:
    """A consumer whose connection broke: what it ordered is sent again, later than the next.

    Attributes:
        taken: offsets of partition 0, as the broker took them one after the other.
        breaks: how often the connection breaks before what is sent again arrives.
    """

    def __init__(self) -> None:
        self.committed: dict[int, int] = {}
        self.taken: list[int] = []
        self.breaks = 1
        self.ordered: list[tuple[int, int]] = []
        self.unanswered: list[KafkaPartition] = []
        self.broken = False
        self.now_s = 0.0

    def commit(self, *, offsets: Sequence[KafkaPartition], asynchronous: bool) -> Any:
        self.ordered += [(place.partition, place.offset) for place in offsets]
        if self.broken and asynchronous:
            self.unanswered += offsets
        else:
            self._take(offsets)
        return None if asynchronous else offsets

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.breaks -= 1
        if self.breaks <= 0:
            self._take(self.unanswered)
            self.unanswered = []

    def _take(self, offsets: Sequence[KafkaPartition]) -> None:
        for place in offsets:
            self.committed[place.partition] = place.offset
            self.taken += [place.offset] if place.partition == 0 else []


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Broken:
    double = Broken()
    clock = SimpleNamespace(monotonic=lambda: double.now_s, sleep=double.sleep)
    monkeypatch.setattr(ownership, "time", clock)
    return double


Commit = Callable[..., bool]


@pytest.fixture
def ours() -> Ownership:
    made = Ownership(lambda _marks, _error: None)
    made.gained({ONE: Start(0), OTHER: Start(0)})
    return made


@pytest.fixture
def commit(ours: Ownership, consumer: Broken) -> Commit:
    def order(offsets: dict[TopicPartition, int], *, wait: bool = False) -> bool:
        marks = {partition: Mark(offset, generation=1) for partition, offset in offsets.items()}
        return ours.commit(cast("Consumer", consumer), marks, wait=wait)

    return order


def test_a_partition_whose_commit_is_not_answered_is_left_for_the_next_time(
    ours: Ownership, consumer: Broken, commit: Commit
) -> None:
    consumer.broken = True
    commit({ONE: 5})
    commit({ONE: 8, OTHER: 3})

    assert consumer.ordered == [(0, 5), (1, 3)]
    ours.answered(None, [KafkaPartition("t", 0, 5, metadata="")])
    commit({ONE: 8})
    assert consumer.ordered[-1] == (0, 8)


def test_the_last_commit_waits_until_an_older_one_has_been_sent_again(
    consumer: Broken, commit: Commit
) -> None:
    consumer.broken = True
    commit({ONE: 5})

    assert commit({ONE: 8, OTHER: 4}, wait=True)

    assert consumer.committed == {0: 8, 1: 4}
    assert consumer.taken == sorted(consumer.taken) == [5, 8, 8]


def test_the_last_commit_stands_though_the_connection_breaks_twice(
    consumer: Broken, commit: Commit
) -> None:
    consumer.broken, consumer.breaks = True, 2
    commit({ONE: 5})

    assert commit({ONE: 8, OTHER: 4}, wait=True)

    assert consumer.committed == {0: 8, 1: 4}
    assert consumer.ordered == [(0, 5), (0, 8), (1, 4), (0, 8)]
    assert consumer.now_s == 2 * SENT_AGAIN_S


def test_when_all_is_answered_the_last_commit_is_made_once(
    ours: Ownership, consumer: Broken, commit: Commit
) -> None:
    commit({ONE: 5})
    ours.answered(None, [KafkaPartition("t", 0, 5, metadata="")])

    assert commit({ONE: 8}, wait=True)

    assert consumer.ordered == [(0, 5), (0, 8)]
    assert consumer.now_s == 0


def test_an_order_that_is_never_answered_is_given_up(consumer: Broken, commit: Commit) -> None:
    consumer.broken = True
    commit({ONE: 5})
    consumer.now_s = UNANSWERED_S
    commit({ONE: 8})

    assert consumer.ordered == [(0, 5), (0, 8)]


def test_another_assignment_begins_with_nothing_on_its_way(
    ours: Ownership, consumer: Broken, commit: Commit
) -> None:
    consumer.broken = True
    commit({ONE: 5})
    ours.gone([ONE])
    ours.gained({ONE: Start(5)})

    ours.commit(cast("Consumer", consumer), {ONE: Mark(9, generation=2)}, wait=False)

    assert consumer.ordered == [(0, 5), (0, 9)]


class Rejoining(Broken):
    """A consumer whose group moved on: its commits are refused until it has heard of that.

    Args:
        refusals: of the next commits.
        raised: as an error of the call, else of each partition.
    """

    def __init__(self, *refusals: int, raised: bool) -> None:
        super().__init__()
        self.refusals, self.raised = list(refusals), raised

    def commit(self, *, offsets: Sequence[KafkaPartition], asynchronous: bool) -> Any:
        if not self.refusals:
            return super().commit(offsets=offsets, asynchronous=asynchronous)
        error = KafkaError(self.refusals.pop(0))
        if self.raised:
            raise KafkaException(error)
        return [
            SimpleNamespace(
                topic=p.topic, partition=p.partition, offset=p.offset, metadata="", error=error
            )
            for p in offsets
        ]


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize(
    ("refusals", "acknowledged"),
    [
        ([], True),
        ([KafkaError.ILLEGAL_GENERATION], True),
        ([KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS] * 2, True),
        ([KafkaError.STALE_MEMBER_EPOCH], True),
        ([KafkaError.UNKNOWN_MEMBER_ID], False),
        ([KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID], False),
        ([KafkaError.ILLEGAL_GENERATION] * 50, False),
    ],
)
def test_the_last_commit_is_made_again_while_the_group_is_between_two_generations(
    refusals: list[int], acknowledged: bool, raised: bool, ours: Ownership,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    consumer = Rejoining(*refusals, raised=raised)
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=consumer.sleep)
    monkeypatch.setattr(ownership, "time", clock)
    marks = {ONE: Mark(7, generation=1)}

    assert ours.commit(cast("Consumer", consumer), marks, wait=True) is acknowledged
    assert consumer.taken == ([7] if acknowledged else [])
    assert consumer.now_s < 5.0
