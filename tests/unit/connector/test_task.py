import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from processor.connector.assembly import Machine
from processor.connector.ledger import DELIVERED, Ledger, ReleaseReason
from processor.connector.passage import Failure, Passage
from processor.connector.pauses import Pauses
from processor.connector.task import Limits, State, Task, TaskFailed
from processor.errors import Code, Refused
from processor.kafka.intake import ConsumerEnded, Start
from processor.kafka.progress import Mark, Origin, Run, read, write
from processor.record import Record, TopicPartition
from processor.telemetry.metrics import TaskMetrics

ZERO, ONE = TopicPartition("events", 0), TopicPartition("events", 1)
HERE = Origin("cluster", "topic")
BEYOND_3 = write(3, [Run(4, 6)], HERE)
REFUSED = Refused("It breaks a rule.", code=Code.GATE_VIOLATION)


class Engine:
    """A machine whose records end when the test says so."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.pauses = Pauses(asyncio.get_running_loop().time)
        self.metrics = TaskMetrics()
        self.pipeline = self
        self.draining: list[bool] = []
        self.carried: list[Record] = []
        self.made_room = self.looked = self.halted = 0
        self.rests: Counter[TopicPartition] = Counter()
        self.broken: Exception | None = None
        self.defect: Exception | None = None
        self.closed = False
        self._break = asyncio.Event()

    async def run(self) -> None:
        await self._break.wait()
        assert self.broken is not None
        raise self.broken

    def halt(self) -> None:
        self.halted += 1

    def breaks(self, error: Exception) -> None:
        self.broken = error
        self._break.set()

    def carry(self, records: Sequence[Record]) -> None:
        for record in records:
            self.ledger.take(TopicPartition(record.topic, record.partition), [record])
            if self.defect is not None:
                raise self.defect
        self.carried += records

    def look(self) -> None:
        self.looked += 1

    def given_back(self) -> None:
        self.made_room += 1

    def resting(self) -> Counter[TopicPartition]:
        return self.rests

    def drain(self, *, draining: bool = True) -> None:
        self.draining.append(draining)

    async def aclose(self) -> None:
        self.closed = True

    def end(self, partition: TopicPartition, *offsets: int) -> None:
        epoch = self.ledger.epoch_of(partition)
        assert epoch is not None
        for offset in offsets:
            self.ledger.end(partition, epoch, offset, DELIVERED)


class Tap:
    """A source that does what it is told, and remembers."""

    def __init__(self) -> None:
        self.started = False
        self.flows: list[bool] = []
        self.taken_count = 0
        self.rests: list[set[TopicPartition]] = []
        self.commits: list[dict[TopicPartition, Mark]] = []
        self.closed_with: dict[TopicPartition, Mark] | None = None
        self.acknowledges = True

    def start(self) -> None:
        self.started = True

    def flow(self, *, on: bool) -> None:
        self.flows.append(on)

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        self.rests.append(set(partitions))

    def taken(self) -> None:
        self.taken_count += 1

    def commit(self, marks: Mapping[TopicPartition, Mark]) -> None:
        self.commits.append(dict(marks))

    def close(self, marks: Mapping[TopicPartition, Mark], timeout_s: float) -> bool:
        self.closed_with = dict(marks)
        return self.acknowledges


class Job:
    """A task that runs between an engine and a tap."""

    def __init__(
        self,
        *,
        drain_s: float = 25.0,
        give_up_s: float | None = None,
        bounded: bool = False,
        paused: bool = False,
    ) -> None:
        self.engine, self.tap = Engine(), Tap()
        self.task = Task(
            cast("Machine", self.engine),
            Limits(drain_s, give_up_s),
            stop_when_exhausted=bounded,
            paused=paused,
        )
        self.running = asyncio.create_task(self.task.run(self.tap))

    async def assigned(self, *partitions: TopicPartition, count: int = 3) -> None:
        """Get partitions, and so many records of each."""
        await asyncio.sleep(0)
        self.task.assigned(dict.fromkeys(partitions, Start(0)))
        for partition in partitions:
            self.task.arrived(records(partition, range(count)))

    async def revoke(self, *partitions: TopicPartition) -> list[dict[TopicPartition, Mark]]:
        drained: list[dict[TopicPartition, Mark]] = []
        self.task.revoking(partitions, lambda offsets: drained.append(dict(offsets)))
        await asyncio.sleep(0)
        return drained

    @property
    def released(self) -> dict[ReleaseReason, int]:
        total: dict[ReleaseReason, int] = {}
        for books in self.engine.ledger.books().values():
            assert books.balance
            for reason, count in books.released.items():
                total[reason] = total.get(reason, 0) + count
        return total


def records(partition: TopicPartition, offsets: Sequence[int]) -> list[Record]:
    return [Record(partition.topic, partition.partition, offset) for offset in offsets]


def elapsed_s() -> Callable[[], float]:
    begun_s = asyncio.get_running_loop().time()
    return lambda: asyncio.get_running_loop().time() - begun_s


# Stop.


def test_a_stop_drains_commits_and_ends_well(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.task.stop()
        await asyncio.sleep(1.0)
        assert not job.running.done()
        job.engine.end(ZERO, 0, 1, 2)

        assert await job.running is True
        assert job.tap.closed_with == {ZERO: Mark(3)}
        assert job.tap.flows == [False]
        assert job.engine.draining == [True]
        assert job.engine.closed
        assert job.released == {}

    run(scenario())


def test_it_is_looked_at_what_does_not_move_though_nothing_arrives_or_ends(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)

        await asyncio.sleep(10.5)

        assert job.engine.looked == 10

    run(scenario())


def test_a_stop_that_does_not_drain_in_time_commits_what_ended_and_says_so(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=25.0)
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0, 2)
        since_s = elapsed_s()
        job.task.stop()

        assert await job.running is False
        assert since_s() == pytest.approx(25.0, abs=0.1)
        assert job.tap.closed_with == {ZERO: Mark(1)}
        assert job.released == {ReleaseReason.STOPPED: 1}

    run(scenario())


def test_a_stop_does_not_wait_for_what_only_a_mend_can_end(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=25.0)
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0)
        job.engine.rests[ZERO] = 2
        since_s = elapsed_s()
        job.task.stop()

        assert await job.running is True
        assert since_s() < 1.0
        assert job.tap.closed_with == {ZERO: Mark(1)}
        assert job.released == {ReleaseReason.STOPPED: 2}

    run(scenario())


def test_a_stop_whose_commit_is_not_acknowledged_is_not_well_ended(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        job.tap.acknowledges = False
        await asyncio.sleep(0)
        job.task.stop()

        assert await job.running is False

    run(scenario())


def test_records_that_arrive_after_the_stop_are_not_taken(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO, count=0)
        job.task.stop()
        job.task.arrived(records(ZERO, [0, 1]))

        assert await job.running is True
        assert job.engine.carried == []
        assert job.tap.taken_count == 2
        assert job.engine.ledger.books()[ZERO].consumed == 0

    run(scenario())


def test_the_valve_cannot_open_the_source_once_we_stop(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.task.flow(False)
        job.task.flow(True)
        job.task.stop()
        job.task.flow(True)
        job.engine.end(ZERO, 0, 1, 2)
        await job.running

        assert job.tap.flows[:3] == [False, True, False]
        assert True not in job.tap.flows[2:]

    run(scenario())


# Commits.


def test_what_has_ended_is_committed_every_second_until_it_is_acknowledged(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0)
        await asyncio.sleep(1.5)
        job.task.committed({}, "Broker: not coordinator")
        await asyncio.sleep(1.0)
        job.task.committed({ZERO: Mark(1)}, None)
        await asyncio.sleep(2.0)

        assert job.tap.commits == [{ZERO: Mark(1)}, {ZERO: Mark(1)}]

    run(scenario())


def test_a_commit_carries_the_generation_of_the_assignment_that_it_was_decided_for(
    run: Any,
) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.assigned({ZERO: Start(0, generation=7)})
        job.task.arrived(records(ZERO, [0]))
        job.engine.end(ZERO, 0)
        await asyncio.sleep(1.5)

        assert job.tap.commits == [{ZERO: Mark(1, generation=7)}]

    run(scenario())


def test_what_ended_out_of_order_is_committed_once_a_second_at_most(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.assigned({ZERO: Start(0, "", HERE)})
        job.task.arrived(records(ZERO, range(100)))
        for offset in range(99, 49, -1):
            job.engine.end(ZERO, offset)
            await asyncio.sleep(0.1)

        assert 4 <= len(job.tap.commits) <= 5
        assert {marks[ZERO].offset for marks in job.tap.commits} == {0}
        assert len({marks[ZERO].metadata for marks in job.tap.commits}) == len(job.tap.commits)

    run(scenario())


def test_after_a_crash_only_what_was_in_flight_is_taken_again(run: Any) -> None:
    async def scenario() -> None:
        before, after = Job(), Job()
        await asyncio.sleep(0)
        before.task.assigned({ZERO: Start(0, "", HERE)})
        before.task.arrived(records(ZERO, range(6)))
        before.engine.end(ZERO, 0, 2, 3)
        await asyncio.sleep(1.5)
        offset, metadata, _ = before.tap.commits[-1][ZERO]

        after.task.assigned({ZERO: Start(offset, metadata, HERE, 6)})
        after.task.arrived(records(ZERO, range(1, 6)))

        assert after.engine.ledger.open_in(ZERO) == 3
        assert after.engine.ledger.books()[ZERO].consumed == 3
        after.engine.end(ZERO, 1, 4, 5)
        assert after.engine.ledger.committable() == {ZERO: Mark(6)}

    run(scenario())


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (Start(4, BEYOND_3, HERE, 9), "another offset"),
        (Start(3, BEYOND_3, Origin("other", "topic"), 9), "another cluster"),
        (Start(3, BEYOND_3, Origin("cluster", "new"), 9), "another topic"),
        (Start(3, f"2{BEYOND_3[1:]}", HERE, 9), "format is not known"),
        (Start(3, BEYOND_3, None, 9), "does not tell"),
        (Start(3, "{somebody: else}", HERE, 9), "format is not known"),
        (Start(3, BEYOND_3, HERE, 5), "than the log holds"),
    ],
)
def test_metadata_about_other_records_is_ignored_with_one_warning(
    run: Any, caplog: Any, start: Start, reason: str
) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.assigned({ZERO: start, ONE: Start(None)})
        job.task.arrived(records(ZERO, range(start.offset or 0, 9)))

        assert job.engine.ledger.open_in(ZERO) == 9 - (start.offset or 0)

    run(scenario())

    warnings = [text for text in map(str, caplog.messages) if "is ignored" in text]
    assert len(warnings) == 1
    assert reason in warnings[0]


def test_a_revocation_hands_over_what_ended_beyond_what_did_not(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=5.0)
        await asyncio.sleep(0)
        job.task.assigned({ZERO: Start(0, "", HERE)})
        job.task.arrived(records(ZERO, range(6)))
        job.engine.end(ZERO, 0, 2, 3)
        drained = await job.revoke(ZERO)
        await asyncio.sleep(6.0)

        (marks,) = drained
        assert list(read(marks[ZERO].metadata, 1, HERE, 9)) == [Run(2, 4)]
        assert job.engine.ledger.committable() == {}

    run(scenario())


def test_a_clean_stop_leaves_no_metadata(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.assigned({ZERO: Start(0, "", HERE)})
        job.task.arrived(records(ZERO, range(6)))
        job.engine.end(ZERO, 5, 3)
        job.task.stop()
        await asyncio.sleep(2.0)
        job.engine.end(ZERO, 0, 1, 2, 4)
        await job.running

        assert job.tap.closed_with == {ZERO: Mark(6)}

    run(scenario())


def test_the_source_hears_which_partitions_rest(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        job.task.rest([ZERO])
        await asyncio.sleep(0)
        job.task.rest([ONE])

        assert job.tap.rests == [{ONE}], "before there is a source nobody listens"

    run(scenario())


# Revocation and loss.


def test_a_revocation_waits_for_what_is_in_flight_and_only_there(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO, ONE)
        drained = await job.revoke(ZERO)
        await asyncio.sleep(5.0)
        before = list(drained)
        job.engine.end(ZERO, 0, 1, 2)
        await asyncio.sleep(0.1)

        assert before == []
        assert drained == [{ZERO: Mark(3)}]
        assert job.engine.ledger.partitions() == (ONE,)
        assert job.engine.ledger.open_in(ONE) == 3
        assert job.engine.draining == [True, False]
        assert job.engine.made_room == 1

    run(scenario())


def test_a_revocation_that_does_not_drain_gives_the_rest_back(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=10.0)
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0)
        since_s = elapsed_s()
        drained = await job.revoke(ZERO)
        while not drained:
            await asyncio.sleep(0.1)

        assert since_s() == pytest.approx(10.0, abs=0.2)
        assert drained == [{ZERO: Mark(1)}]
        assert job.released == {ReleaseReason.REVOKED: 2}

    run(scenario())


def test_records_of_a_partition_that_leaves_are_not_taken(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO, ONE)
        await job.revoke(ZERO)
        job.task.arrived([*records(ZERO, [3]), *records(ONE, [3])])

        assert [r.partition for r in job.engine.carried if r.offset == 3] == [1]

    run(scenario())


def test_a_partition_that_comes_back_is_taken_again(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0, 1, 2)
        await job.revoke(ZERO)
        await asyncio.sleep(0.1)
        job.task.assigned({ZERO: Start(3)})
        job.task.arrived(records(ZERO, [3]))

        assert job.engine.ledger.open_in(ZERO) == 1

    run(scenario())


def test_a_drain_that_is_so_late_that_the_partition_is_back_does_not_release_it(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=10.0)
        await job.assigned(ZERO)
        drained = await job.revoke(ZERO)
        job.task.assigned({ZERO: Start(0)})
        await asyncio.sleep(11.0)
        job.task.arrived(records(ZERO, [0]))

        assert drained == [{}]
        assert job.engine.ledger.open_in(ZERO) == 1

    run(scenario())


def test_of_a_partition_that_is_back_before_its_drain_is_over_no_record_is_left_out(
    run: Any,
) -> None:
    """A gap where nothing was left out by Kafka would be committed over."""

    async def scenario() -> None:
        job = Job(drain_s=10.0)
        await job.assigned(ZERO)
        await job.revoke(ZERO)
        job.task.assigned({ZERO: Start(0)})
        job.task.arrived(records(ZERO, [0, 1]))
        await asyncio.sleep(11.0)
        job.task.arrived(records(ZERO, [2]))
        job.engine.end(ZERO, 2)

        assert job.engine.ledger.open_in(ZERO) == 2
        assert job.engine.ledger.committable().get(ZERO, Mark(0)).offset == 0

    run(scenario())


def test_a_loop_that_hears_of_a_revocation_when_the_partition_is_back_keeps_it(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=10.0)
        await job.assigned(ZERO)
        job.task.revoking([ZERO], lambda _marks: None)
        job.task.assigned({ZERO: Start(0)})
        job.task.arrived(records(ZERO, [0]))
        await asyncio.sleep(11.0)
        job.task.arrived(records(ZERO, [1]))

        assert job.engine.ledger.open_in(ZERO) == 2
        assert job.released == {ReleaseReason.LOST: 3}

    run(scenario())


def test_a_stop_ends_a_revocation_s_drain_at_its_own_deadline(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=10.0)
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0)
        job.task.stop()
        await asyncio.sleep(9.0)
        drained = await job.revoke(ZERO)
        since_s = elapsed_s()
        await job.running

        assert drained == [{ZERO: Mark(1)}], "while the source is being closed, not after"
        assert since_s() < 2.0

    run(scenario())


def test_a_lost_partition_is_forgotten_at_once(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO, ONE)
        job.task.lagging({ZERO: 7, ONE: 8})
        job.task.trouble("offset_out_of_range", "Gone.", who=str(ZERO), of_setup=True)
        job.task.lost([ZERO])

        assert job.released == {ReleaseReason.LOST: 3}
        assert job.engine.pauses.active() == ()
        assert job.engine.made_room == 1
        lag = job.engine.metrics.registry.get_sample_value
        labels = {"topic": "events", "partition": "0"}
        assert lag("processor_consumer_lag", labels) is None
        assert lag("processor_consumer_lag", labels | {"partition": "1"}) == 8

    run(scenario())


# Trouble and its end.


def test_trouble_with_kafka_ends_when_records_show_it(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO, ONE)
        job.task.trouble("kafka", "No broker.", who="", of_setup=False)
        job.task.trouble("kafka", "Denied.", who=str(ZERO), of_setup=True)
        job.task.trouble("kafka", "Denied.", who=str(ONE), of_setup=True)
        job.task.arrived(records(ZERO, [3]))

        assert [pause.message for pause in job.engine.pauses.active()] == ["Denied."]

    run(scenario())


def test_a_topic_that_did_not_exist_is_no_trouble_any_more_once_it_is_assigned(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.trouble("kafka", "No such topic.", who="events", of_setup=True)
        before = job.engine.pauses.active()
        await job.assigned(ZERO, count=0)

        assert len(before) == 1
        assert job.engine.pauses.active() == ()

    run(scenario())


def test_trouble_that_is_over_is_over(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.trouble("kafka", "No broker.", who="", of_setup=False)
        job.task.trouble_over("kafka", who="")

        assert job.engine.pauses.active() == ()

    run(scenario())


# Failing.


def test_without_tolerance_the_first_fault_fails_the_task_and_keeps_its_offset(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0, 2)
        job.task.fail_at(Passage(Record("events", 0, 1), 1, failures=[Failure("event", REFUSED)]))
        job.task.arrived(records(ZERO, [3]))

        with pytest.raises(TaskFailed, match=r"events-0@1 is at fault \(gate\.violation"):
            await job.running
        assert job.task.state is State.FAILED
        assert job.task.trace.startswith("Record events-0@1")
        assert job.tap.closed_with == {ZERO: Mark(1)}
        assert len(job.engine.carried) == 3

    run(scenario())


def test_without_tolerance_what_else_is_in_flight_ends_first_and_is_committed(run: Any) -> None:
    async def scenario() -> None:
        job = Job(drain_s=25.0)
        await job.assigned(ZERO, ONE)
        since_s = elapsed_s()
        for offset in (1, 2):
            record = Record("events", 0, offset)
            job.task.fail_at(Passage(record, 1, failures=[Failure("event", REFUSED)]))
        await asyncio.sleep(1.0)
        assert not job.running.done()
        job.engine.end(ZERO, 0)
        job.engine.end(ONE, 0, 1, 2)

        with pytest.raises(TaskFailed, match="events-0@1 is at fault"):
            await job.running
        assert since_s() < 2.0
        assert job.tap.flows == [False]
        assert job.tap.closed_with == {ZERO: Mark(1), ONE: Mark(3)}

    run(scenario())


# As ordered.


def test_a_paused_task_takes_no_more_and_commits_what_ends(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.task.pause(on=True)
        assert job.tap.flows == [False]
        assert job.task.shown is State.PAUSED

        job.task.flow(True)
        assert job.tap.flows == [False, False], "the valve cannot open it"
        job.engine.end(ZERO, 0, 1)
        await asyncio.sleep(1.5)
        assert job.tap.commits[-1] == {ZERO: Mark(2)}

        job.task.pause(on=False)
        assert job.tap.flows[-1] is True
        assert str(job.task.shown) == "RUNNING"
        job.engine.end(ZERO, 2)
        job.task.stop()
        assert await job.running is True

    run(scenario())


def test_a_resumed_task_waits_for_the_valve(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.flow(False)
        job.task.pause(on=True)
        job.task.pause(on=False)

        assert True not in job.tap.flows
        job.task.stop()
        await job.running

    run(scenario())


def test_one_that_begins_paused_reads_nothing_before_it_is_resumed(run: Any) -> None:
    async def scenario() -> None:
        job = Job(paused=True)
        await asyncio.sleep(0)

        assert job.tap.flows == [False]
        assert job.tap.started
        assert job.task.shown is State.PAUSED
        job.task.stop()
        await job.running

    run(scenario())


def test_a_paused_task_that_fails_has_failed(run: Any) -> None:
    async def scenario() -> None:
        job = Job(paused=True)
        await asyncio.sleep(0)
        job.task.failed(ConsumerEnded("fenced"))

        with pytest.raises(TaskFailed):
            await job.running
        assert job.task.shown is State.FAILED

    run(scenario())


def test_a_pause_that_lasts_too_long_fails_the_task_where_the_settings_say_so(run: Any) -> None:
    async def scenario() -> None:
        job = Job(give_up_s=60.0)
        since_s = elapsed_s()
        await asyncio.sleep(10.0)
        job.engine.pauses.begin("ims", "IMS is away.")

        with pytest.raises(TaskFailed, match=r"retry_timeout_s \(60\) has passed: IMS is away\."):
            await job.running
        assert since_s() == pytest.approx(71.0, abs=1.5)

    run(scenario())


def test_for_ever_is_for_ever(run: Any) -> None:
    async def scenario() -> None:
        job = Job(give_up_s=None)
        job.engine.pauses.begin("ims", "IMS is away.")
        await asyncio.sleep(50_000.0)

        assert not job.running.done()

    run(scenario())


def test_a_consumer_that_cannot_go_on_fails_the_task(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await asyncio.sleep(0)
        job.task.failed(ConsumerEnded("fenced"))

        with pytest.raises(TaskFailed, match=r"cannot go on: fenced\."):
            await job.running

    run(scenario())


def test_a_defect_ends_the_task_so_that_it_is_started_again(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.engine.end(ZERO, 0)
        job.task.failed(KeyError("defect"))

        with pytest.raises(KeyError):
            await job.running
        assert job.task.state is not State.FAILED
        assert job.tap.closed_with == {ZERO: Mark(1)}
        assert job.released == {ReleaseReason.STOPPED: 2}

    run(scenario())


def test_a_machine_that_breaks_ends_the_task(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)
        job.engine.breaks(RuntimeError("defect"))

        with pytest.raises(RuntimeError):
            await job.running
        assert job.engine.closed

    run(scenario())


def test_a_defect_in_a_hand_over_lets_the_consumer_go_on_and_ends_the_task(run: Any) -> None:
    async def scenario() -> None:
        job = Job()
        await job.assigned(ZERO)

        def broken(*, draining: bool = True) -> None:
            raise RuntimeError("defect")

        job.engine.drain = broken  # type: ignore[method-assign] # a part that breaks
        drained = await job.revoke(ZERO)

        with pytest.raises(RuntimeError):
            await job.running
        assert drained == [{}]

    run(scenario())


# Ranges.


def test_a_bounded_run_ends_when_what_it_read_has_ended(run: Any) -> None:
    async def scenario() -> None:
        job = Job(bounded=True, drain_s=1.0)
        await job.assigned(ZERO)
        job.task.exhausted()
        await asyncio.sleep(600.0)
        before = job.running.done()
        job.engine.end(ZERO, 0, 1, 2)

        assert not before
        assert await job.running is True
        assert job.tap.closed_with == {ZERO: Mark(3)}

    run(scenario())


@pytest.mark.parametrize("bounded", [True, False])
def test_only_a_bounded_run_starts_no_more_of_what_it_has_read_when_it_stops(
    run: Any, *, bounded: bool
) -> None:
    async def scenario() -> None:
        job = Job(bounded=bounded)
        await job.assigned(ZERO)
        job.task.stop()
        await job.running

        assert job.engine.halted == bounded

    run(scenario())


def test_an_unbounded_run_goes_on(run: Any) -> None:
    async def scenario() -> None:
        job = Job(bounded=False)
        await asyncio.sleep(0)
        job.task.exhausted()
        await asyncio.sleep(60.0)

        assert not job.running.done()

    run(scenario())
