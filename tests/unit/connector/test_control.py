"""What a worker hears from the state topic, and what it tells there."""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from processor.connector import control as module
from processor.connector.control import Control
from processor.connector.control_entries import (
    LEVEL,
    RESTART,
    STATE,
    RestartOrder,
    TaskReport,
    WorkerReport,
    level_document,
    report_of,
    state_document,
)
from processor.connector.status import ConnectorState, TaskState
from processor.errors import Misconfigured, TryAgain
from processor.kafka.state_entry import Document, Entry
from processor.settings import Settings

PAUSED, RUNNING, STOPPED = ConnectorState.PAUSED, ConnectorState.RUNNING, ConnectorState.STOPPED
AWAY = TryAgain("Could not write.", reason="kafka")


class Topic:
    """The state topic: takes what is written, unless it is away, and tells its follower."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Document | None]] = []
        self.away: Exception | None = None
        self.follows: list[Any] = []
        self.closed = False
        self.hangs = self.hung = False

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        if self.hangs:
            self.hung = True
            threading.Event().wait()
        if self.away is not None:
            raise self.away
        offsets = {}
        for key, document in documents.items():
            offsets[key] = len(self.written)
            self.written.append((key, document))
            for follows, post in self.follows:
                post(follows.news, Entry(key, document, offsets[key], 0))
        return offsets

    def follower(self, *_: Any, post: Any) -> Any:
        self.follows.append((_[-1], post))
        return self

    def start(self) -> None:
        """A test says what was there before."""

    def close(self) -> None:
        self.closed = True

    def latest(self, key: str) -> Document | None:
        return dict(self.written)[key]

    def count(self, key: str) -> int:
        return [written for written, _ in self.written].count(key)


class Tasks:
    """Who obeys, and what it was told."""

    def __init__(self) -> None:
        self.obeyed: list[Any] = []
        self.divided: list[int] = []
        self.now: list[TaskReport] = [TaskReport(TaskState.RUNNING)] * 2

    def obey(self, state: ConnectorState) -> None:
        self.obeyed.append(state)

    def again(self, tasks: Sequence[int], *, only_failed: bool) -> None:
        self.obeyed.append((list(tasks), only_failed))

    def log(self, level: int, logger: str) -> None:
        self.obeyed.append((level, logger))

    def divide(self, sending: int) -> None:
        self.divided.append(sending)

    def reports(self) -> Sequence[TaskReport]:
        return self.now


class Worker:
    """A control, its tasks, and the topic."""

    def __init__(self, topic: Topic, name: str = "host:1", **kafka: Any) -> None:
        self.topic, self.tasks = topic, Tasks()
        self.name = name
        self.control = Control(
            Settings(
                kafka={"bootstrap_servers": "localhost:1", "topics": ["events"], **kafka},  # type: ignore[arg-type] # as TOML
                ims={"client_id": "client"},  # type: ignore[arg-type]
                experience_platform={"org_id": f"{'A' * 24}@AdobeOrg", "tenant": "acme"},  # type: ignore[arg-type]
                tasks_max=2,
            ),
            self.tasks,
            state=topic,
            orders=topic,
            follow=cast("Any", topic.follower),
        )

    def begins(self, **entries: Document) -> "Worker":
        self.control.start(self.name)
        held = {
            key: Entry(key, document, number, 0)
            for number, (key, document) in enumerate(entries.items())
        }
        self.control.history(held)
        return self


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "AGAIN_S"):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(module, "KNOWN_S", 0.05)


@pytest.fixture
def topic() -> Topic:
    return Topic()


async def comes(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def told_by(topic: Topic, name: str) -> WorkerReport:
    return report_of(Entry(f"worker/{name}", topic.latest(f"worker/{name}"), 0, 0))


async def test_an_order_reaches_every_worker_and_is_not_obeyed_before(topic: Topic) -> None:
    first, second = Worker(topic).begins(), Worker(topic, "host:2").begins()

    await first.control.order(PAUSED)
    await comes(lambda: first.tasks.obeyed and second.tasks.obeyed)

    assert first.tasks.obeyed == second.tasks.obeyed == [PAUSED]
    assert topic.latest(STATE) == state_document(PAUSED)
    await first.control.close()
    await second.control.close()


async def test_an_order_that_cannot_be_written_is_refused_and_not_obeyed(topic: Topic) -> None:
    worker = Worker(topic).begins()
    topic.away = AWAY

    with pytest.raises(TryAgain):
        await worker.control.order(PAUSED)
    topic.away = Misconfigured("We may not.", mend="Grant it.", reason="kafka")
    with pytest.raises(Misconfigured):
        await worker.control.restart([0], only_failed=False)

    assert worker.tasks.obeyed == []
    await worker.control.close()


async def test_what_was_ordered_before_it_began_is_obeyed_but_no_restart(topic: Topic) -> None:
    restart = RestartOrder([("host:1", 0)], only_failed=False).document()

    worker = Worker(topic).begins(**{STATE: state_document(STOPPED), RESTART: restart})

    assert worker.tasks.obeyed == [STOPPED]
    await worker.control.close()


async def test_a_restart_is_obeyed_by_those_whose_tasks_are_meant(topic: Topic) -> None:
    first, second = Worker(topic).begins(), Worker(topic, "host:2").begins()
    await comes(lambda: len(first.control.tasks()) == 4)

    await first.control.restart([0, 2, 3, 9], only_failed=True)
    await comes(lambda: second.tasks.obeyed)

    first_of_all = first if first.control.tasks()[0].worker_id == first.name else second
    other = second if first_of_all is first else first
    assert first_of_all.tasks.obeyed == [([0], True)]
    assert other.tasks.obeyed == [([0, 1], True)]
    await first.control.close()
    await second.control.close()


async def test_what_to_log_is_obeyed_by_all_that_hear_it(topic: Topic) -> None:
    first = Worker(topic).begins()
    await first.control.log_at(logging.DEBUG, "processor.kafka")
    late = Worker(topic, "host:2").begins(**{LEVEL: level_document("processor.kafka", 10)})
    await comes(lambda: first.tasks.obeyed)

    assert first.tasks.obeyed == [(logging.DEBUG, "processor.kafka")]
    assert late.tasks.obeyed == []
    await first.control.close()
    await late.control.close()


async def test_a_restart_of_nobody_is_no_order(topic: Topic) -> None:
    worker = Worker(topic).begins()

    await worker.control.restart([7], only_failed=False)

    assert topic.count(RESTART) == 0
    await worker.control.close()


async def test_workers_hear_of_each_other_and_divide_the_rates(topic: Topic) -> None:
    first, second = Worker(topic).begins(), Worker(topic, "host:2").begins()
    await comes(lambda: first.tasks.divided[-1] == second.tasks.divided[-1] == 4)
    assert first.control.tasks() == second.control.tasks()

    await second.control.close()
    await comes(lambda: first.tasks.divided[-1] == 2)

    assert topic.latest("worker/host:2") is None
    assert [task.worker_id for task in first.control.tasks()] == ["host:1"] * 2
    await first.control.close()


async def test_a_change_is_told_at_once_and_what_stays_is_told_now_and_then(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_S", 3600.0)
    worker = Worker(topic).begins()
    await comes(lambda: told_by(topic, worker.name).joined == 0 if topic.written else False)
    count = topic.count("worker/host:1")
    await asyncio.sleep(0.1)
    assert topic.count("worker/host:1") == count

    worker.tasks.now = [TaskReport(TaskState.FAILED, "Why.")] * 2
    await comes(lambda: told_by(topic, worker.name).tasks[0].trace == "Why.")
    count = topic.count("worker/host:1")
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    await comes(lambda: topic.count("worker/host:1") >= count + 3)
    await worker.control.close()


async def test_nothing_is_told_before_the_topic_was_read(topic: Topic) -> None:
    worker = Worker(topic)
    worker.control.start(worker.name)
    await asyncio.sleep(0.1)

    assert topic.written == []
    await worker.control.close()
    assert topic.written == []


async def test_a_topic_that_is_away_is_said_once_and_tried_again(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    topic.away = AWAY
    worker = Worker(topic).begins()
    await comes(lambda: "cannot tell of itself" in caplog.text)
    await asyncio.sleep(0.2)
    topic.away = None
    await comes(lambda: topic.count("worker/host:1"))
    await comes(lambda: "tells of itself again" in caplog.text)

    assert caplog.text.count("cannot tell of itself") == 1
    await worker.control.close()


async def test_a_stop_does_not_wait_for_a_topic_that_is_away(
    topic: Topic, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(topic).begins()
    await comes(lambda: topic.written)
    caplog.set_level("WARNING")
    monkeypatch.setattr(module, "AGAIN_S", 3600.0)
    topic.away = AWAY
    worker.tasks.now = []
    await comes(lambda: "cannot tell of itself" in caplog.text)
    topic.away, topic.hangs = None, True
    monkeypatch.setattr(module, "LAST_S", 3600.0)

    await asyncio.wait_for(worker.control.close(), 30)

    assert topic.closed
    assert not topic.hung


@pytest.mark.parametrize("by", ["history", "trouble", "time"])
async def test_a_start_waits_until_the_order_is_known_or_cannot_be(topic: Topic, by: str) -> None:
    worker = Worker(topic)
    worker.control.start(worker.name)
    waiting = asyncio.create_task(worker.control.known())
    await asyncio.sleep(0)
    assert not waiting.done()

    if by == "history":
        worker.control.history({})
    elif by == "trouble":
        worker.control.trouble("Away.")
    await asyncio.wait_for(waiting, 30)
    worker.control.trouble_over()
    await worker.control.close()


async def test_a_topic_that_is_made_anew_is_told_the_last_order(topic: Topic) -> None:
    worker = Worker(topic).begins(**{STATE: state_document(PAUSED)})
    assert topic.count(STATE) == 0

    worker.control.history({})
    await comes(lambda: topic.count(STATE) == 1)
    await asyncio.sleep(0.1)

    assert topic.latest(STATE) == state_document(PAUSED)
    assert topic.count(STATE) == 1
    assert worker.tasks.obeyed[0] is PAUSED
    assert RUNNING not in worker.tasks.obeyed
    await worker.control.close()


async def test_an_order_in_the_new_topic_is_not_overwritten(topic: Topic) -> None:
    topic.away = AWAY
    worker = Worker(topic).begins(**{STATE: state_document(PAUSED)})
    worker.control.history({})
    worker.control.news(Entry(STATE, state_document(RUNNING), 0, 0))
    topic.away = None
    await comes(lambda: topic.written)
    await asyncio.sleep(0.1)

    assert topic.count(STATE) == 0
    assert worker.tasks.obeyed == [PAUSED, RUNNING]
    await worker.control.close()


async def test_what_cannot_be_read_is_left_alone(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(topic).begins(**{STATE: {"state": "ASLEEP"}, "worker/x": {"no": "report"}})

    worker.control.news(Entry(RESTART, {"tasks": 7}, 1, 0))
    worker.control.news(Entry("worker/y", {}, 2, 0))
    worker.control.news(Entry(LEVEL, {"logger": "root", "level": "loud"}, 2, 0))
    worker.control.news(Entry("control/of-a-later-version", {}, 3, 0))

    assert worker.tasks.obeyed == []
    assert caplog.text.count("left alone") == 5
    assert [task.worker_id for task in worker.control.tasks()] == ["host:1"] * 2
    await worker.control.close()


async def test_another_process_with_our_name_is_said_once(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(topic).begins()
    other = WorkerReport("another life", "1", None, 1, ()).document()

    for offset in range(3):
        worker.control.news(Entry("worker/host:1", other, offset, 0))

    assert caplog.text.count("calls itself host:1 too") == 1
    await worker.control.close()


async def test_one_with_our_instance_id_is_said_once(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(topic, consumer={"group.instance.id": "pod"}).begins()
    other = WorkerReport("another life", "1", None, 1, (), "pod").document()

    for offset in range(3):
        worker.control.news(Entry("worker/host:2", other, offset, 0))

    assert caplog.text.count("has our group.instance.id too") == 1
    await comes(lambda: told_by(topic, worker.name).instance == "pod" if topic.written else False)
    await worker.control.close()


async def test_who_was_silent_for_minutes_is_deleted(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = WorkerReport("gone", "1", 0, 1, (TaskReport(TaskState.RUNNING),)).document()
    worker = Worker(topic).begins(**{"worker/gone:1": gone})
    assert len(worker.control.tasks()) == 3

    monkeypatch.setattr("processor.connector.fleet.FORGOTTEN_S", 0.05)
    await comes(lambda: topic.count("worker/gone:1"))
    await comes(lambda: len(worker.control.tasks()) == 2)

    assert topic.latest("worker/gone:1") is None
    await worker.control.close()
