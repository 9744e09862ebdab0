"""What a supervisor tells of its tasks' holds, and which orders it obeys."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import structlog

from processor.connector.hold import Hold
from processor.connector.hold_entries import (
    REFRESH_S,
    TaskHold,
    release_of,
    released_kind,
    task_hold_of,
)
from processor.connector.holds import SETTLED_S, Board, Holds
from processor.connector.judge import Kind
from processor.errors import Code, Misconfigured, TryAgain
from processor.kafka.state_entry import Document, Entry, Unreadable
from processor.record import Position
from processor.settings import Settings

WORKER = "host:8083"
KIND = Kind(Code.DELIVERY_REFUSED, "event")
HOLD = Hold(
    kind_id=KIND.id,
    code=KIND.code.value,
    target=KIND.target,
    since="2026-01-01T00:00:00.000Z",
    records=21,
    first=Position("events", 0, 9),
    message="10 of the last 10 records failed alike.",
    probes=3,
)
KEY = f"hold/{WORKER}/0/{KIND.id}"
ORDER = Entry(f"release/{KIND.id}", release_of(KIND.code, KIND.target), 7, 1)


def task_hold(records: int = 21, task: int = 0) -> TaskHold:
    hold = Hold(
        HOLD.kind_id, HOLD.code, HOLD.target, HOLD.since, records, HOLD.first, HOLD.message, 3
    )
    return TaskHold(WORKER, task, hold)


# Entries.


@pytest.mark.parametrize("first", [HOLD.first, None])
def test_a_hold_comes_back_as_it_was_told(first: Position | None) -> None:
    hold = Hold(HOLD.kind_id, HOLD.code, HOLD.target, HOLD.since, 0, first, HOLD.message, 3)
    told = TaskHold(WORKER, 1, hold)

    assert task_hold_of(Entry(told.key, told.document(), 0, 0)) == told


@pytest.mark.parametrize(
    "document",
    [None, {}, {**task_hold().document(), "task": "x"}, {**task_hold().document(), "first": 1}],
)
def test_what_is_no_hold_is_unreadable(document: Document | None) -> None:
    with pytest.raises(Unreadable):
        task_hold_of(Entry(KEY, document, 0, 0))


def test_an_order_names_its_kind() -> None:
    assert released_kind(ORDER) == KIND


@pytest.mark.parametrize(
    ("key", "document"),
    [
        (ORDER.key, {}),
        (ORDER.key, {"code": "no.such_code", "target": "event"}),
        (ORDER.key, release_of(KIND.code, "profile")),
        ("release/000000000000", ORDER.document),
    ],
)
def test_an_order_that_contradicts_itself_is_unreadable(
    key: str, document: Document | None
) -> None:
    with pytest.raises(Unreadable):
        released_kind(Entry(key, document, 0, 0))


# What is to be told.


def settled(board: Board, now_s: float = 0.0) -> dict[str, Document | None]:
    changes = board.due(now_s)
    board.written(changes, now_s)
    return changes


def test_a_hold_is_told_when_it_begins_when_it_changes_and_again_while_it_lasts() -> None:
    board = Board()
    board.wants(0, [task_hold(21)])
    begun = settled(board, 0.0)
    same = settled(board, 1.0)
    board.wants(0, [task_hold(22)])
    changed = settled(board, 2.0)
    unchanged = settled(board, 2.0 + REFRESH_S - 0.1)
    again = settled(board, 2.0 + REFRESH_S)

    assert begun == {KEY: task_hold(21).document()}
    assert (same, unchanged) == ({}, {})
    assert changed == again == {KEY: task_hold(22).document()}


def test_what_ends_is_deleted_once() -> None:
    board = Board()
    board.wants(0, [task_hold(task=0)])
    board.wants(1, [task_hold(task=1)])
    settled(board)
    board.wants(0, [])

    assert settled(board) == {KEY: None}
    assert settled(board) == {}
    assert not board.blank


def test_what_may_have_been_told_is_deleted_too() -> None:
    """A write that was not acknowledged may have arrived."""
    board = Board()
    board.wants(0, [task_hold()])
    board.due(0.0)
    board.wants(0, [])

    assert board.due(1.0) == {KEY: None}
    assert board.due(2.0) == {KEY: None}


def test_what_was_not_acknowledged_is_told_again_at_once() -> None:
    board = Board()
    board.wants(0, [task_hold()])

    assert board.due(0.0) == board.due(0.1) != {}


def test_what_an_earlier_life_left_is_deleted_unless_it_holds_again() -> None:
    board = Board()
    board.left([KEY, f"hold/{WORKER}/5/abc"])
    board.wants(0, [task_hold()])

    assert settled(board) == {KEY: task_hold().document(), f"hold/{WORKER}/5/abc": None}


def test_it_knows_what_is_news() -> None:
    board = Board()

    assert not board.wants(0, [])
    assert board.wants(0, [task_hold()])
    assert not board.wants(0, [task_hold()])
    assert board.wants(0, [])


# With the topic.


class Topic:
    """A state topic that takes what it is told, fails, or hangs; and its follower."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, Document | None]] = []
        self.errors: list[Exception] = []
        self.hang = threading.Event()
        self.hang.set()
        self.prefix: Sequence[str] = ()
        self.follows: Any = None
        self.post: Callable[..., object] = print
        self.closed = False
        self.begun = threading.Event()

    def write_many(self, documents: Mapping[str, Document | None]) -> None:
        self.begun.set()
        self.hang.wait(60)
        if self.errors:
            raise self.errors.pop(0)
        self.rounds.append(dict(documents))

    def follow(
        self, settings: Settings, client_id: str, prefix: Sequence[str], follows: Any, *, post: Any
    ) -> Any:
        del settings, client_id
        self.prefix, self.follows, self.post = prefix, follows, post
        return self

    def start(self) -> None:
        """It begins when the test says so."""

    def close(self) -> None:
        self.closed = True

    @property
    def entries(self) -> dict[str, Document]:
        """What the topic says now."""
        said: dict[str, Document | None] = {}
        for changes in self.rounds:
            said |= changes
        return {key: document for key, document in said.items() if document is not None}


def settings() -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": "localhost:1", "topics": ["events"]},
            "ims": {"client_id": "client"},
            "experience_platform": {"org_id": f"{'A' * 24}@AdobeOrg", "tenant": "acme"},
        }
    )


def real_time(scenario: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(asyncio.wait_for(scenario(), 60))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def started(topic: Topic, let_go: Callable[[Kind], None] = print) -> Holds:
    holds = Holds(settings(), let_go, state=topic, follow=topic.follow)
    holds.start(WORKER)
    return holds


def test_nothing_is_told_before_the_topic_was_read() -> None:
    async def scenario() -> None:
        topic = Topic()
        holds = started(topic)
        holds.heard(0, [HOLD])
        await asyncio.sleep(0.2)
        before = list(topic.rounds)
        holds.history({})
        await until(lambda: topic.rounds)
        await holds.close()

        assert before == []
        assert topic.prefix == ("release/", f"hold/{WORKER}/")
        assert topic.rounds[0] == {KEY: task_hold().document()}

    real_time(scenario)


def test_what_an_earlier_life_left_is_deleted_at_the_start_and_all_at_the_stop() -> None:
    async def scenario() -> None:
        topic = Topic()
        topic.rounds.append({f"hold/{WORKER}/0/{n}": {} for n in range(2)})
        holds = started(topic)
        holds.history(
            {
                **{f"hold/{WORKER}/0/{n}": Entry(f"hold/{WORKER}/0/{n}", {}, n, 0) for n in (0, 1)},
                ORDER.key: ORDER,
            }
        )
        holds.heard(0, [HOLD])
        await until(lambda: set(topic.entries) == {KEY})
        holds.heard(0, ())
        await holds.close()

        assert topic.entries == {}
        assert topic.closed

    real_time(scenario)


def test_an_order_is_obeyed_when_it_is_news_and_remembered() -> None:
    async def scenario() -> None:
        topic, let_go = Topic(), list[Kind]()
        holds = started(topic, let_go.append)
        holds.history({ORDER.key: ORDER})
        after_history = list(let_go)
        holds.news(Entry(KEY, task_hold().document(), 1, 0))
        holds.news(Entry(ORDER.key, None, 2, 0))
        holds.news(Entry(ORDER.key, {"code": "no.such_code"}, 3, 0))
        nothing_yet = list(let_go)
        holds.news(ORDER)
        await holds.close()

        assert after_history == nothing_yet == []
        assert let_go == [KIND]
        assert holds.released == [KIND]

    real_time(scenario)


def test_what_is_held_anew_after_a_release_is_not_released_to_who_begins() -> None:
    async def scenario() -> None:
        topic, now_s = Topic(), [0.0]
        holds = Holds(settings(), print, state=topic, follow=topic.follow, clock=lambda: now_s[0])
        holds.start(WORKER)
        holds.history({})
        holds.heard(0, [HOLD])
        holds.news(ORDER)
        holds.heard(0, [HOLD])  # it has not obeyed yet
        holds.heard(1, [HOLD])  # and this one was about to hold
        now_s[0] = SETTLED_S
        holds.heard(0, [HOLD])
        at_first = holds.released
        holds.heard(0, ())
        holds.heard(0, [HOLD])
        await holds.close()

        assert at_first == [KIND]
        assert holds.released == []

    real_time(scenario)


@pytest.mark.parametrize(
    "error", [TryAgain("Away.", reason="kafka"), Misconfigured("Denied.", reason="kafka")]
)
def test_trouble_is_said_once_and_tried_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.connector.holds.AGAIN_S", 0.01)
    monkeypatch.setattr("processor.connector.holds.LOOK_S", 0.01)

    async def scenario() -> None:
        topic = Topic()
        topic.errors = [error] * 3
        holds = started(topic)
        holds.history({})
        holds.heard(0, [HOLD])
        await until(lambda: topic.rounds)
        await holds.close()

        assert topic.rounds[0] == {KEY: task_hold().document()}

    with structlog.testing.capture_logs() as logs:
        real_time(scenario)

    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        "What is held cannot be told for now; records flow all the same."
    ]


def test_a_topic_that_hangs_delays_neither_the_loop_nor_a_stop_for_long() -> None:
    async def scenario() -> None:
        topic = Topic()
        topic.hang.clear()
        holds = started(topic)
        holds.history({})
        holds.heard(0, [HOLD])
        await until(topic.begun.is_set)
        holds.heard(0, ())
        await asyncio.wait_for(holds.close(), 20)
        told = list(topic.rounds)
        topic.hang.set()  # its thread may write now

        assert told == []

    real_time(scenario)


def test_a_stop_before_the_topic_was_read_waits_for_nothing() -> None:
    async def scenario() -> None:
        topic = Topic()
        holds = started(topic)
        holds.heard(0, [HOLD])
        await holds.close()
        holds.history({})

        assert topic.rounds == []

    real_time(scenario)
