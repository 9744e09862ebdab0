import asyncio
import logging
import pickle
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from processor.connector.books import BooksCollector
from processor.connector.child import Child, released
from processor.connector.control_entries import TaskReport
from processor.connector.heartbeat import Heartbeat, Waiting
from processor.connector.hold import Hold
from processor.connector.judge import Kind
from processor.connector.ledger import DELIVERED, DeadLettered, Ledger, LeftOut, ReleaseReason
from processor.connector.status import ConnectorState, TaskState
from processor.connector.supervisor import Supervisor, worker_id
from processor.connector.task import State
from processor.connector.task_process import (
    EXIT_FAILED,
    EXIT_SETTINGS,
    STOP,
    LogAt,
    Release,
    Steering,
    frames_of,
)
from processor.errors import Code, FilterReason
from processor.record import Record, TopicPartition
from processor.settings import Settings
from processor.telemetry.metrics import TaskMetrics, added_up

ZERO, ONE = TopicPartition("events", 0), TopicPartition("events", 1)
ENDED = ("delivered", "dead_lettered", "filtered", "released")


class Life:
    """One life of a task: its ledger and instruments."""

    def __init__(self) -> None:
        self.ledger, self.metrics = Ledger(), TaskMetrics()
        self.metrics.registry.register(BooksCollector(self.ledger))

    def take(self, partition: TopicPartition, count: int, *, ended: int) -> None:
        epoch = self.ledger.assign(partition, committed=0)
        topic, number = partition
        self.ledger.take(partition, [Record(topic, number, n) for n in range(count)])
        endings = (DELIVERED, DeadLettered(Code.GATE_VIOLATION), LeftOut(FilterReason.TOMBSTONE))
        for offset in range(ended):
            self.ledger.end(partition, epoch, offset, endings[offset % 3])

    def snapshot(self) -> list[Metric]:
        """As it comes through the pipe."""
        return cast("list[Metric]", pickle.loads(pickle.dumps(self.metrics.snapshot())))  # noqa: S301


def total(metrics: list[Metric], name: str, **labels: str) -> float:
    return sum(
        sample.value
        for metric in metrics
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def balanced(metrics: list[Metric], **labels: str) -> bool:
    ended = sum(total(metrics, f"processor_records_{way}_total", **labels) for way in ENDED)
    in_flight = total(metrics, "processor_records_in_flight", **labels)
    return total(metrics, "processor_records_consumed_total", **labels) == ended + in_flight


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5))
def test_the_books_balance_after_any_number_of_crashes(lives: list[tuple[int, int]]) -> None:
    ended: list[Metric] = []
    consumed = 0

    for count, done in lives:
        life = Life()
        life.take(ZERO, count, ended=min(count, done))
        snapshot = life.snapshot()
        assert balanced(added_up([ended, snapshot]))
        ended = added_up([ended, released(snapshot)])
        consumed += count

    assert balanced(ended)
    assert balanced(ended, partition="0")
    assert total(ended, "processor_records_consumed_total") == consumed
    assert total(ended, "processor_records_in_flight") == 0


def test_what_a_crash_left_in_flight_is_released_as_stopped() -> None:
    life = Life()
    life.take(ZERO, 10, ended=4)
    life.ledger.release(ZERO, ReleaseReason.REVOKED)
    life.take(ONE, 5, ended=0)

    gone = released(life.snapshot())

    name = "processor_records_released_total"
    assert total(gone, name, partition="0", reason="revoked") == 6
    assert total(gone, name, partition="1", reason="stopped") == 5


def test_what_tasks_measure_is_added_up_and_what_they_say_is_not() -> None:
    first, second = Life(), Life()
    for life, expires_s, lag in ((first, 100.0, 3), (second, 40.0, 4)):
        life.metrics.token_expires_in_seconds.set(expires_s)
        life.metrics.consumer_lag.labels("events", str(lag)).set(lag)
        life.metrics.requests.labels("event", "207").inc(5)
        life.metrics.request_seconds.labels("event").observe(0.3)
        life.metrics.end_to_end.observe(0.3)
        life.metrics.concurrency_limit.set(16)
    first.metrics.paused.labels("ims").set(0)
    second.metrics.paused.labels("ims").set(1)

    metrics = added_up([first.snapshot(), second.snapshot()])

    assert total(metrics, "processor_token_expires_in_seconds") == 40
    assert total(metrics, "processor_consumer_lag") == 7
    assert total(metrics, "processor_requests_total") == 10
    assert total(metrics, "processor_request_seconds_count") == 2
    assert total(metrics, "processor_end_to_end_seconds_bucket", le="0.3") == 2
    assert total(metrics, "processor_end_to_end_seconds_bucket", le="0.2") == 0
    assert total(metrics, "processor_end_to_end_seconds_count") == 2
    assert total(metrics, "processor_concurrency_limit") == 32
    assert total(metrics, "processor_paused", reason="ims") == 1


def test_adding_up_changes_no_snapshot() -> None:
    life = Life()
    life.take(ZERO, 3, ended=0)
    snapshot = life.snapshot()

    added_up([snapshot, snapshot])

    assert total(snapshot, "processor_records_consumed_total") == 3


class Showing(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def test_what_was_added_up_is_text_that_prometheus_reads() -> None:
    life = Life()
    life.take(ZERO, 3, ended=2)
    life.metrics.end_to_end.observe(100_000)
    registry = CollectorRegistry()
    registry.register(Showing(added_up([life.snapshot(), released(life.snapshot())])))

    text = generate_latest(registry).decode()

    assert 'processor_records_consumed_total{partition="0",topic="events"} 6.0' in text
    assert "# TYPE processor_records_consumed_total counter" in text
    assert "# TYPE processor_end_to_end_seconds histogram" in text
    assert 'processor_end_to_end_seconds_bucket{le="+Inf"} 2.0' in text
    assert "_created" not in text


# The parent.


def settings(**tables: Any) -> Settings:
    required: Mapping[str, Any] = {
        "kafka": {"bootstrap_servers": "localhost:1", "topics": ["events"]},
        "ims": {"client_id": "client"},
        "experience_platform": {"org_id": f"{'A' * 24}@AdobeOrg", "tenant": "acme"},
    }
    return Settings(**{**required, **tables})


def beat(state: State = State.RUNNING, trace: str = "", *waiting: Waiting) -> Heartbeat:
    return Heartbeat(0, state, trace, waiting, [])


def children(supervisor: Supervisor) -> list[Child]:
    return supervisor._children  # noqa: SLF001 - what a task says comes through a pipe


async def not_ready(*beats: Heartbeat | None) -> list[str]:
    supervisor = Supervisor(settings(tasks_max=len(beats)))
    for child, said in zip(children(supervisor), beats, strict=True):
        child.beat = said
        child.process = get_context("spawn").Process()
        child.failed = said is not None and said.state is State.FAILED
    ready, reasons = supervisor.ready()
    assert ready == (not reasons)
    assert supervisor.live()
    return reasons


async def test_it_is_ready_when_every_task_runs_and_none_waits() -> None:
    assert await not_ready(beat(), beat()) == []


async def test_it_says_of_each_task_why_it_is_not_ready() -> None:
    waiting = Waiting("ims", "IMS is away.", of_setup=False)

    reasons = await not_ready(
        None, beat(State.UNASSIGNED), beat(State.RUNNING, "", waiting), beat(State.FAILED, "Why.")
    )

    assert reasons == [
        "task 0: starting",
        "task 1: UNASSIGNED",
        "task 2: ims: IMS is away.",
        "task 3: FAILED. Why.",
    ]


async def test_a_task_that_has_not_been_heard_of_for_long_is_not_ready() -> None:
    supervisor = Supervisor(settings())
    (child,) = children(supervisor)
    child.beat, child.process = beat(), get_context("spawn").Process()
    child.heard_s -= 60.0

    ready, reasons = supervisor.ready()

    assert not ready
    assert reasons == ["task 0: no sign of life for 60 s"]


async def test_the_counts_of_a_task_that_died_stay_in_the_metrics() -> None:
    life = Life()
    life.take(ZERO, 10, ended=4)
    supervisor = Supervisor(settings())
    (child,) = children(supervisor)
    child.beat = Heartbeat(0, State.RUNNING, "", (), life.snapshot())
    before = supervisor.metrics().decode()

    child.close_books()
    child.close_books()
    after = supervisor.metrics().decode()

    place = '{partition="0",topic="events"'
    assert f"processor_records_in_flight{place}}} 6.0" in before
    assert f"processor_records_consumed_total{place}}} 10.0" in after
    assert (
        'processor_records_released_total{partition="0",reason="stopped",topic="events"}' in after
    )
    assert "processor_records_in_flight" not in after
    assert "processor_build_info" in after


class Terminated(Supervisor):
    """Its task ends by the signal that stops the connector; so does everything in its group."""

    def __init__(self, last: Heartbeat | None) -> None:
        super().__init__(settings())
        self.last = last

    async def _one_life(self, child: Child) -> int:
        child.beat = self.last
        self._stopping.set()
        return -signal.SIGTERM


@pytest.mark.parametrize(("last", "status"), [(None, 0), (beat(), -signal.SIGTERM)])
async def test_a_task_that_a_signal_ends_before_its_first_sign_of_life_had_taken_nothing(
    last: Heartbeat | None, status: int
) -> None:
    supervisor = Terminated(last)
    (child,) = children(supervisor)

    assert await supervisor._live(child) == status  # noqa: SLF001


class Ends:
    """A process that is over when the pipe is, or when it is killed."""

    def __init__(self) -> None:
        self.killed = False

    def join(self) -> None:
        """It is over."""

    def kill(self) -> None:
        self.killed = True


async def test_a_heartbeat_that_cannot_be_read_ends_the_task_and_is_not_waited_for() -> None:
    supervisor = Supervisor(settings())
    (child,) = children(supervisor)
    ours, theirs = get_context("spawn").Pipe()
    process, ended = Ends(), asyncio.Event()

    child.listen(cast("Any", process), ours, ended, lambda _: None)
    theirs.send_bytes(b"no pickle")
    await asyncio.wait_for(ended.wait(), 10)

    assert process.killed
    theirs.close()
    ours.close()


async def test_a_pipe_that_ends_is_the_end_of_the_task() -> None:
    supervisor = Supervisor(settings())
    (child,) = children(supervisor)
    ours, theirs = get_context("spawn").Pipe()
    process, ended = Ends(), asyncio.Event()
    child.connection = ours

    child.listen(cast("Any", process), ours, ended, lambda _: None)
    theirs.send(beat())
    theirs.close()
    await asyncio.wait_for(ended.wait(), 10)

    assert not process.killed
    assert child.beat == beat()
    ours.close()


class Shown:
    """The supervisor's end of the state topic, without a topic."""

    def __init__(self) -> None:
        self.released: list[Kind] = []
        self.heard_of: list[tuple[int, tuple[Hold, ...]]] = []

    def heard(self, task: int, holdings: Sequence[Hold]) -> None:
        self.heard_of.append((task, tuple(holdings)))


KIND = Kind(Code.DELIVERY_REFUSED, "event")
HOLD = Hold(KIND.id, KIND.code, KIND.target, "2026", 1, None, "Why.", 0)


async def test_what_a_task_says_that_it_holds_is_shown() -> None:
    supervisor, shown = Supervisor(settings()), Shown()
    supervisor._holds = cast("Any", shown)  # noqa: SLF001 - the topic is in tests/integration
    (child,) = children(supervisor)
    ours, theirs = get_context("spawn").Pipe()
    ended = asyncio.Event()
    child.connection = ours

    child.listen(cast("Any", Ends()), ours, ended, partial(supervisor._heard, child))  # noqa: SLF001
    theirs.send(replace(beat(), holdings=(HOLD,)))
    theirs.close()
    await asyncio.wait_for(ended.wait(), 10)

    assert shown.heard_of == [(0, (HOLD,))]
    ours.close()


async def test_what_is_released_is_ordered_of_every_task_that_lives() -> None:
    supervisor = Supervisor(settings(tasks_max=3))
    pipes = [get_context("spawn").Pipe() for _ in range(2)]
    for child, (ours, _) in zip(children(supervisor), pipes, strict=False):
        child.connection = ours
    pipes[1][1].close()  # this one has just died

    supervisor._let_go(KIND)  # noqa: SLF001 - the topic is in tests/integration

    assert pipes[0][1].recv() == Release(KIND)


class Began:
    """A process that ends when it has begun."""

    def __init__(self, *, target: Any, args: tuple[Any, ...], name: str) -> None:
        del target, name
        del args
        self.pid = 0
        self.exitcode = 0

    def start(self) -> None:
        """It begins, and ends."""

    def join(self) -> None:
        """It is over."""


class Spawns:
    """A context of multiprocessing, without processes; keeps what they are ordered."""

    def __init__(self) -> None:
        self.orders: list[Any] = []

    def Pipe(self) -> tuple[Any, Any]:  # noqa: N802 - multiprocessing's name for it
        return Told(self.orders), Told(self.orders)

    def Process(self, **named: Any) -> Began:  # noqa: N802
        return Began(**named)

    def RawArray(self, kind: Any, size: int) -> Any:  # noqa: N802
        return get_context("spawn").RawArray(kind, size)


class Told:
    """One end of a pipe; nothing comes from the other end."""

    def __init__(self, orders: list[Any]) -> None:
        self.orders = orders

    def send(self, order: Any) -> None:
        self.orders.append(order)

    def recv(self) -> Any:
        raise EOFError

    def close(self) -> None:
        """It is closed."""


async def test_a_task_that_begins_hears_what_was_released_and_holds_nothing_when_it_ended() -> None:
    supervisor, shown, spawns = Supervisor(settings()), Shown(), Spawns()
    supervisor._holds = cast("Any", shown)  # noqa: SLF001
    supervisor._context = cast("Any", spawns)  # noqa: SLF001
    shown.released = [KIND]
    (child,) = children(supervisor)

    await supervisor._one_life(child)  # noqa: SLF001
    supervisor._stopping.set()  # noqa: SLF001
    await supervisor._one_life(child)  # noqa: SLF001

    assert spawns.orders == [Release(KIND), Release(KIND), STOP]
    assert shown.heard_of == [(0, ()), (0, ())]


class Lives(Supervisor):
    """Its tasks live until a test ends them; what they are ordered is kept.

    Attributes:
        given: for each life, how it began.
    """

    def __init__(self, tasks: int = 1) -> None:
        super().__init__(settings(tasks_max=tasks))
        self.orders: list[Any] = []
        self.given: list[Steering] = []
        self.ends: asyncio.Queue[int] = asyncio.Queue()
        self.living = 0

    async def _one_life(self, child: Child) -> int:
        self.given.append(self._steering())
        child.begin(cast("Any", object()), cast("Any", Told(self.orders)), cast("Any", Unharmed()))
        child.beat, child.restarting = beat(), False
        self.living += 1
        status = await self.ends.get()
        self.living -= 1
        child.end()
        return status

    def state(self) -> TaskState:
        (report,) = self.reports()
        return report.state


class Unharmed:
    """A vigil over a life that does not crash."""

    def death(self, _status: int) -> None:
        """It died of nothing."""


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def living(supervisor: Lives) -> AsyncIterator[Child]:
    (child,) = children(supervisor)
    life = asyncio.create_task(supervisor._live(child))  # noqa: SLF001 - without processes
    await settled()
    yield child
    supervisor._stopping.set()  # noqa: SLF001
    child.changed.set()
    supervisor.ends.put_nowait(0)
    await asyncio.wait_for(life, 10)


async def test_a_pause_is_ordered_of_those_that_live_and_told_to_those_that_begin() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.obey(ConnectorState.PAUSED)
        supervisor.obey(ConnectorState.PAUSED)
        supervisor.again([0], only_failed=False)
        supervisor.ends.put_nowait(0)
        await settled()
        supervisor.obey(ConnectorState.RUNNING)

        assert supervisor.orders == [Steering(True, 1.0), STOP, Steering(False, 1.0)]
        assert supervisor.given == [Steering(False, 1.0), Steering(True, 1.0)]


async def test_a_stopped_connector_has_no_tasks_until_it_is_resumed() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.obey(ConnectorState.STOPPED)
        assert supervisor.orders == [STOP]
        supervisor.ends.put_nowait(0)
        await settled()
        assert supervisor.living == 0
        assert supervisor.status().tasks == ()
        assert supervisor.status().state == "STOPPED"
        assert supervisor.ready()[1] == ["stopped: as ordered; resume the connector to go on"]
        supervisor.again([0], only_failed=False)  # there is none
        await settled()
        assert supervisor.living == 0
        assert supervisor.state() is TaskState.UNASSIGNED

        supervisor.obey(ConnectorState.RUNNING)
        await settled()

        assert supervisor.living == 1
        assert [task.state for task in supervisor.status().tasks] == ["RUNNING"]


async def test_a_stop_and_a_resume_while_it_drains_begin_a_new_life() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.obey(ConnectorState.STOPPED)
        supervisor.obey(ConnectorState.RUNNING)
        supervisor.ends.put_nowait(0)
        await settled()

        assert supervisor.living == 1
        assert len(supervisor.given) == 2


@pytest.mark.parametrize("status", [EXIT_FAILED, EXIT_SETTINGS])
async def test_a_failed_task_stays_so_until_it_is_restarted(status: int) -> None:
    supervisor = Lives()
    async with living(supervisor) as child:
        child.beat = beat(State.FAILED, "Why.")
        supervisor.ends.put_nowait(status)
        await settled()
        assert supervisor.reports() == [TaskReport(TaskState.FAILED, "Why.")]
        supervisor.obey(ConnectorState.PAUSED)
        supervisor.obey(ConnectorState.RUNNING)
        await settled()
        assert supervisor.living == 0

        supervisor.again([0], only_failed=True)
        assert supervisor.state() is TaskState.RESTARTING
        await settled()

        assert supervisor.living == 1
        assert supervisor.state() is TaskState.RUNNING


async def test_a_stop_forgets_a_failure() -> None:
    supervisor = Lives()
    async with living(supervisor) as child:
        child.beat = beat(State.FAILED, "Why.")
        supervisor.ends.put_nowait(EXIT_FAILED)
        await settled()

        supervisor.obey(ConnectorState.STOPPED)
        supervisor.obey(ConnectorState.RUNNING)
        await settled()

        assert supervisor.living == 1


async def test_one_that_fails_while_it_is_restarted_begins_anew() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.again([0], only_failed=False)
        supervisor.again([0], only_failed=False)
        supervisor.ends.put_nowait(EXIT_FAILED)
        await settled()

        assert supervisor.living == 1
        assert supervisor.state() is TaskState.RUNNING


async def test_only_those_that_failed_are_restarted_when_only_they_are_meant() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.again([0], only_failed=True)
        supervisor.again([1, 5], only_failed=False)

        assert supervisor.orders == []
        assert supervisor.state() is TaskState.RUNNING


async def test_a_restart_does_not_wait_for_the_back_off_nor_does_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("processor.connector.backoff.Backoff.wait_s", lambda *_: 3600.0)
    supervisor = Lives()
    async with living(supervisor):
        supervisor.ends.put_nowait(-signal.SIGKILL)
        await settled()
        assert supervisor.state() is TaskState.UNASSIGNED
        supervisor.obey(ConnectorState.PAUSED)
        await settled()
        assert supervisor.living == 0, "a pause is no reason to begin earlier"

        supervisor.again([0], only_failed=False)
        await settled()
        assert supervisor.living == 1

        supervisor.ends.put_nowait(-signal.SIGKILL)
        await settled()
        supervisor.obey(ConnectorState.STOPPED)
        supervisor.obey(ConnectorState.RUNNING)
        await settled()
        assert supervisor.living == 1


async def test_the_tasks_are_told_when_their_part_of_the_rates_changes() -> None:
    supervisor = Lives()
    async with living(supervisor):
        supervisor.divide(1)
        supervisor.divide(4)
        supervisor.divide(4)

        assert supervisor.orders == [Steering(False, 0.25)]


async def test_what_to_log_is_ordered_of_tasks_that_live_and_of_those_that_begin() -> None:
    supervisor, spawns = Supervisor(settings()), Spawns()
    supervisor._context = cast("Any", spawns)  # noqa: SLF001
    (child,) = children(supervisor)
    logger = "processor.tests.of_the_supervisor"

    await supervisor.log_at(logging.DEBUG, logger)
    await supervisor.log_at(logging.ERROR, logger)
    await supervisor._one_life(child)  # noqa: SLF001

    assert spawns.orders == [LogAt(logging.ERROR, logger)]
    assert logging.getLogger(logger).level == logging.ERROR
    async with living(lives := Lives()):
        await lives.log_at(logging.DEBUG, logger)
        assert lives.orders == [LogAt(logging.DEBUG, logger)]


async def test_a_silent_task_is_not_known_to_run() -> None:
    supervisor = Lives()
    async with living(supervisor) as child:
        child.heard_s -= 11.0

        assert supervisor.state() is TaskState.UNASSIGNED


async def test_a_pause_is_a_reason_and_a_metric() -> None:
    supervisor = Lives()
    async with living(supervisor) as child:
        before = supervisor.metrics().decode()
        supervisor.obey(ConnectorState.PAUSED)
        child.beat = beat(State.PAUSED)

        assert supervisor.ready() == (
            False,
            ["paused: as ordered; resume the connector to go on"],
        )
        assert supervisor.live()
        assert 'processor_paused{reason="paused"} 0.0' in before
        assert 'processor_paused{reason="paused"} 1.0' in supervisor.metrics().decode()
        supervisor.obey(ConnectorState.RUNNING)
        child.beat = beat()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1", "this-host:8083"),
        ("::1", "this-host:8083"),
        ("localhost", "this-host:8083"),
        ("0.0.0.0", "this-host:8083"),  # noqa: S104 - nothing listens there
        ("::", "this-host:8083"),
        ("10.1.2.3", "10.1.2.3:8083"),
        ("fd00::7", "[fd00::7]:8083"),
        ("worker-1.example.com", "worker-1.example.com:8083"),
    ],
)
def test_a_worker_is_called_by_what_others_reach_it_at(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "this-host")

    assert worker_id(host, 8083) == name


def test_a_defect_is_told_by_its_places_and_not_by_its_text() -> None:
    address = "customer" + "@example.com"

    def broken() -> None:
        raise KeyError(address)

    def parts() -> None:
        try:
            broken()
        except KeyError as error:
            raise ExceptionGroup("parts", [error]) from None

    with pytest.raises(ExceptionGroup) as caught:
        parts()

    where = "\n".join(frames_of(caught.value))
    assert "KeyError" in where
    assert "in broken" in where
    assert address not in where
