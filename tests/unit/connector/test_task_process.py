import asyncio
import logging
import multiprocessing
import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from processor.connector import task_process
from processor.connector.courier import Share
from processor.connector.last_words import Slate
from processor.connector.task_process import (
    Beginning,
    LogAt,
    Steering,
    _beat,
    _listen,
    _own_instance_id,
    _subscription,
    _without_own_topics,
    run,
)
from processor.connector.turns import IdleLoop
from processor.settings import Settings


def settings(*, errors: dict[str, Any] | None = None, **kafka: Any) -> Settings:
    return Settings(
        name="a.b",
        kafka={"bootstrap_servers": "localhost:1", **kafka},  # type: ignore[arg-type] # as TOML
        ims={"client_id": "client"},  # type: ignore[arg-type]
        experience_platform={"org_id": f"{'A' * 24}@AdobeOrg", "tenant": "acme"},  # type: ignore[arg-type]
        errors=errors or {},  # type: ignore[arg-type]
    )


def kept_out(topic: str, properties: dict[str, str]) -> bool:
    patterns = properties["topic.blacklist"].split(",")
    return any(re.search(pattern, topic) is not None for pattern in patterns)


@pytest.mark.parametrize("topic", ["events.dlq", "capillary.x.dlq", "a.b.state"])
def test_a_pattern_of_topics_never_matches_our_own(topic: str) -> None:
    properties = _without_own_topics(settings(topics_regex=".*"))

    assert kept_out(topic, properties)
    assert settings(topics_regex=".*").is_own_topic(topic)


@pytest.mark.parametrize("topic", ["events", "events.dlq.more", "eventsXdlq", "aXb.state", ".dlq"])
def test_topics_that_only_look_like_ours_are_read(topic: str) -> None:
    properties = _without_own_topics(settings(topics_regex=".*"))

    assert not kept_out(topic, properties)
    assert not settings(topics_regex=".*").is_own_topic(topic)


def test_one_dead_letter_topic_for_all_is_our_own_too() -> None:
    chosen = settings(topics_regex=".*", errors={"deadletterqueue_topic_name": "dlq-{name}"})

    assert kept_out("dlq-a.b", _without_own_topics(chosen))


def test_topics_that_are_named_need_no_exception() -> None:
    assert _without_own_topics(settings(topics=["events"])) == {}


@pytest.mark.parametrize("pattern", ["capillary[.].*", "^capillary[.].*"])
def test_a_pattern_begins_as_librdkafka_wants_it(pattern: str) -> None:
    assert _subscription(settings(topics_regex=pattern)).topics == ("^capillary[.].*",)


@pytest.mark.parametrize("table", ["consumer", "properties"])
def test_each_task_is_an_instance_of_its_own(table: str) -> None:
    chosen = settings(topics=["events"], **{table: {"group.instance.id": "host-1"}})

    ids = [_own_instance_id(chosen, task)["group.instance.id"] for task in range(2)]

    assert ids == ["host-1-0", "host-1-1"]
    assert _own_instance_id(settings(topics=["events"]), 0) == {}


class _Slow:
    """A connection whose first heartbeat takes its time."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.sent: list[str] = []

    def send(self, beat: str) -> None:
        self.begun.set()
        self.go_on.wait(30)
        self.sent.append(beat)


def test_the_last_heartbeat_is_not_overtaken_by_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_process, "_heartbeat", lambda _task, _task_id: "before")
    connection = _Slow()

    async def stop_while_one_is_sent() -> None:
        beating = asyncio.create_task(_beat(None, 0, connection))  # type: ignore[arg-type] # a fake
        await asyncio.to_thread(connection.begun.wait, 30)
        beating.cancel()
        await asyncio.wait({beating}, timeout=0.05)
        assert not beating.done()
        connection.go_on.set()
        await asyncio.gather(beating, return_exceptions=True)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as real_time:
        real_time.run(stop_while_one_is_sent())

    assert connection.sent == ["before"]


class _Steered:
    """A task, as far as it can be steered."""

    def __init__(self) -> None:
        self.machine = SimpleNamespace(share=Share(1.0), brake=None)
        self.pauses: list[bool] = []

    def pause(self, *, on: bool) -> None:
        self.pauses.append(on)


class _Orders:
    """A supervisor that orders this, and then nothing for ever."""

    def __init__(self, *orders: object) -> None:
        self._orders = list(orders)

    def recv(self) -> object:
        while not self._orders:
            threading.Event().wait()
        return self._orders.pop(0)


async def test_a_running_task_obeys_how_it_is_steered() -> None:
    task, orders = _Steered(), _Orders(Steering(paused=True, share=0.25))

    _listen(orders, asyncio.get_running_loop(), task, None)  # type: ignore[arg-type] # fakes
    async with asyncio.timeout(30):
        while not task.pauses:
            await asyncio.sleep(0.01)

    assert task.pauses == [True]
    assert task.machine.share.part == 0.25


def test_a_task_turns_on_a_loop_that_decodes_while_nothing_else_is_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def task(*_arguments: Any) -> int:
        return 7 if isinstance(asyncio.get_running_loop(), IdleLoop) else 0

    monkeypatch.setattr(task_process, "_task", task)
    monkeypatch.setattr(task_process, "die_with_parent", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("processor.telemetry.logs.configure", lambda *_, **__: None)

    ours, theirs = multiprocessing.Pipe()
    begin = Beginning({}, Steering(paused=False, share=1.0))
    with ours, theirs, pytest.raises(SystemExit) as ended:
        run(
            settings(topics=["events"]), 0, ours, Slate(multiprocessing.get_context("spawn")), begin
        )

    assert ended.value.code == 7


async def test_a_running_task_logs_as_it_is_ordered() -> None:
    logger = logging.getLogger("processor.tests.of_a_task")
    library = logging.getLogger("httpx")
    before, kept = library.level, (LogAt(logging.DEBUG, "httpx"), LogAt(logging.DEBUG, logger.name))

    _listen(_Orders(*kept), asyncio.get_running_loop(), None, None)  # type: ignore[arg-type] # fakes
    async with asyncio.timeout(30):
        while logger.level != logging.DEBUG:
            await asyncio.sleep(0.01)

    assert library.level == before
