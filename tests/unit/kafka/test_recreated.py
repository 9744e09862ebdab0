"""A topic that was deleted and made anew while its partitions were ours."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import pytest
from confluent_kafka import Consumer

from processor.kafka.intake import Start
from processor.kafka.ownership import Ownership
from processor.kafka.progress import Origin
from processor.kafka.recreated import Recreations
from processor.record import TopicPartition

ZERO, ONE, OTHER = (
    TopicPartition("events", 0),
    TopicPartition("events", 1),
    TopicPartition("others", 0),
)
OLD, NEW = Origin("cluster", "old"), Origin("cluster", "new")
ELSEWHERE = Origin("another cluster", "new")


class Look:
    """A look at topics; orders are carried out when the test says so."""

    def __init__(self, **now: Origin) -> None:
        self.now: Mapping[str, Origin] = now
        self.ours = Ownership(lambda _marks, _error: None)
        self.orders: list[Callable[[Consumer], None]] = []
        self.anew: list[tuple[TopicPartition, Origin]] = []
        self.asked: list[set[str]] = []
        self.recreations = Recreations(self.ours, self._origins, self.orders.append, self._begin)

    def _origins(self, topics: Collection[str]) -> Mapping[str, Origin]:
        self.asked.append(set(topics))
        return self.now

    def _begin(self, _consumer: Consumer, partition: TopicPartition, origin: Origin) -> None:
        self.anew.append((partition, origin))

    def own(self, **origins: Origin | None) -> None:
        places = {"zero": ZERO, "one": ONE, "other": OTHER}
        self.ours.gained({places[n]: Start(7, origin=origin) for n, origin in origins.items()})

    def look(self) -> None:
        self.recreations.look(self.ours.origins())

    def obey(self) -> list[tuple[TopicPartition, Origin]]:
        for order in self.orders:
            order(cast("Consumer", None))
        return self.anew


def test_each_partition_of_a_topic_that_is_another_now_begins_anew() -> None:
    look = Look(events=NEW, others=OLD)
    look.own(zero=OLD, one=OLD, other=OLD)

    look.look()

    assert look.obey() == [(ZERO, NEW), (ONE, NEW)]


@pytest.mark.parametrize(
    ("before", "now"),
    [(OLD, {"events": OLD}), (OLD, {}), (OLD, {"events": ELSEWHERE}), (None, {"events": NEW})],
    ids=["the same", "nobody tells", "another cluster", "nobody told before"],
)
def test_what_is_not_known_to_be_another_topic_goes_on(
    before: Origin | None, now: dict[str, Origin]
) -> None:
    look = Look(**now)
    look.own(zero=before)

    look.look()

    assert look.obey() == []


def test_what_was_assigned_again_since_the_look_is_left_alone() -> None:
    look = Look(events=NEW)
    look.own(zero=OLD, one=OLD)
    look.look()

    look.own(zero=NEW)
    look.ours.gone([ONE])

    assert look.obey() == []


def test_it_looks_at_intervals_and_at_nothing_when_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [0.0]

    class Thread:
        def __init__(self, *, target: Any, args: Any, **_named: Any) -> None:
            self.start = lambda: target(*args)

    monkeypatch.setattr("processor.kafka.recreated.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("processor.kafka.recreated.threading.Thread", Thread)
    look = Look(events=NEW)

    for second in range(100):
        now_s[0] = float(second)
        if second == 40:
            look.own(zero=OLD)
        look.recreations.turn()

    assert look.asked == [{"events"}, {"events"}]  # at 60 and 90 s
