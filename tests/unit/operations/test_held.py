"""What is held, chosen and let go, with a state topic in memory."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from processor.connector.hold import Hold
from processor.connector.hold_entries import STALE_S, TaskHold
from processor.connector.judge import Kind
from processor.errors import Code, Misconfigured
from processor.kafka.state_entry import Document, Entry
from processor.operations.held import chosen, held_now, release
from processor.record import Position

NOW_S = 1_800_000_000.0
KEEPS_STILL = 2
REFUSED = Kind(Code.DELIVERY_REFUSED, "event")
UNKNOWN = Kind(Code.DECODE_UNKNOWN_SCHEMA_ID, "")


class Topic:
    """A state topic; ``then`` happens at each reading, after the first."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.written: list[dict[str, Document | None]] = []
        self.then: Callable[[], None] = lambda: None
        self.readings = 0

    def hold(
        self, kind: Kind = REFUSED, *, worker: str = "a:1", task: int = 0, age_s: float = 1.0
    ) -> str:
        hold = Hold(
            kind.id, kind.code.value, kind.target, "2026", 21, Position("e", 0, 9), "Why.", 3
        )
        said = TaskHold(worker, task, hold)
        at_ms = int((NOW_S - age_s) * 1000)
        self.entries[said.key] = Entry(said.key, said.document(), 0, at_ms)
        return said.key

    def read(self, prefix: str) -> Mapping[str, Entry]:
        self.readings += 1
        if self.readings > 1:
            self.then()
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefix)}

    def write_many(self, documents: Mapping[str, Document | None]) -> None:
        if documents:
            self.written.append(dict(documents))
        for key, document in documents.items():
            if document is None:
                self.entries.pop(key, None)


class Clock:
    """Passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def topic() -> Topic:
    return Topic()


def now(topic: Topic) -> list[Any]:
    return held_now(topic, clock=lambda: NOW_S)


def test_a_hold_shows_all_that_it_says_and_its_age(topic: Topic) -> None:
    topic.hold(age_s=2.0)

    (held,) = now(topic)

    assert held.fields() == {
        "worker": "a:1",
        "task": 0,
        "kind": REFUSED.id,
        "code": "delivery.refused",
        "target": "event",
        "since": "2026",
        "records": 21,
        "first": {"topic": "e", "partition": 0, "offset": 9},
        "probes": 3,
        "heard_s": 2.0,
        "stale": False,
        "message": "Why.",
    }


def test_who_has_not_been_heard_of_for_long_is_stale(topic: Topic) -> None:
    topic.hold(task=0, age_s=STALE_S - 1)
    topic.hold(task=1, age_s=STALE_S + 1)

    assert [held.stale for held in now(topic)] == [False, True]


def test_a_clock_behind_the_brokers_hides_no_age(topic: Topic) -> None:
    topic.hold(task=0, age_s=0.0)
    topic.hold(task=1, age_s=100.0)

    held = held_now(topic, clock=lambda: NOW_S - 500)

    assert [one.heard_s for one in held] == [0.0, 100.0]


def test_what_is_no_hold_is_left_out(topic: Topic) -> None:
    topic.entries["hold/x"] = Entry("hold/x", {"worker": "x"}, 0, 0)
    topic.hold()

    assert len(now(topic)) == 1


def test_a_kind_is_chosen_wherever_it_holds(topic: Topic) -> None:
    keys = {topic.hold(task=0), topic.hold(task=1)}
    topic.hold(UNKNOWN)

    some = chosen(now(topic), [REFUSED.id], everything=False)

    assert {one.what.key for one in some} == keys
    assert len(chosen(now(topic), [], everything=True)) == 3


def test_an_unknown_kind_is_refused_and_those_that_hold_are_named(topic: Topic) -> None:
    topic.hold()

    with pytest.raises(Misconfigured, match=rf"0000 does not hold\. .*{REFUSED.id} \(delivery"):
        chosen(now(topic), ["0000", REFUSED.id], everything=False)
    with pytest.raises(Misconfigured, match="--all"):
        chosen(now(topic), [], everything=False)
    with pytest.raises(Misconfigured, match="Nothing holds now"):
        chosen([], ["0000"], everything=False)


def let_go(topic: Topic, clock: Clock) -> tuple[Any, list[str]]:
    said: list[str] = []
    targets = chosen(now(topic), [REFUSED.id], everything=False)
    released = release(
        topic,
        targets,
        say=said.append,
        clock=clock,
        sleep=clock.sleep,
        wall_clock=lambda: NOW_S,
    )
    return released, said


def test_a_release_is_written_and_waits_for_every_task(topic: Topic) -> None:
    keys = [topic.hold(task=task) for task in (0, 1, 2)]
    other = topic.hold(UNKNOWN)
    left = list(keys)

    def one_more() -> None:
        if topic.readings > 1 + KEEPS_STILL and left:
            del topic.entries[left.pop(0)]

    topic.then = one_more

    released, said = let_go(topic, Clock())

    assert topic.written == [
        {f"release/{REFUSED.id}": {"code": "delivery.refused", "target": "event"}}
    ]
    assert [one.what.key for one in released.ended] == keys
    assert (released.gone, released.left) == ((), ())
    assert len(said) == 3
    assert other in topic.entries


def test_who_does_not_let_go_in_time_is_named(topic: Topic) -> None:
    key = topic.hold()
    clock = Clock()

    released, _ = let_go(topic, clock)

    assert [one.what.key for one in released.left] == [key]
    assert released.ended == ()
    assert clock.now_s >= 30.0


def test_who_begins_to_hold_meanwhile_is_waited_for(topic: Topic) -> None:
    topic.hold(task=0)

    def meanwhile() -> None:
        topic.then = lambda: None
        topic.entries.clear()
        topic.hold(task=1)

    topic.then = meanwhile

    released, _ = let_go(topic, Clock())

    assert [one.what.task for one in released.ended] == [0]
    assert [one.what.task for one in released.left] == [1]


def test_what_a_worker_held_that_is_gone_is_deleted_and_not_waited_for(topic: Topic) -> None:
    key = topic.hold(age_s=STALE_S + 5)
    clock = Clock()

    released, _ = let_go(topic, clock)

    assert [one.what.key for one in released.gone] == [key]
    assert topic.entries == {}
    assert topic.written[0].keys() == {f"release/{REFUSED.id}"}
    assert clock.now_s == 0.0
