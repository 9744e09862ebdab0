"""One task: records from the source through the machine, offsets back, until told to stop."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from processor.connector.assembly import Machine
from processor.connector.ended_before import ended_before
from processor.connector.ledger import ReleaseReason
from processor.connector.passage import Passage
from processor.errors import ProcessorError
from processor.kafka.intake import Start
from processor.kafka.progress import Mark
from processor.record import Record, TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

COMMIT_EVERY_S = 1.0
CLOSE_S = 15.0
DRAIN_LOOK_S = 0.02


class State(StrEnum):
    """Kafka Connect's task states, as far as a task can be in them by itself."""

    UNASSIGNED = "UNASSIGNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"


class TaskFailed(ProcessorError):
    """The settings say that the task fails here; its offsets stay until it is restarted."""


class Consuming(Protocol):
    """What the task needs of a source of records."""

    def start(self) -> None:
        """Begin to read."""

    def flow(self, *, on: bool) -> None:
        """Say whether more records are wanted."""

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        """Say of which partitions no more is wanted for now; of the others it is."""

    def taken(self) -> None:
        """Say that one batch of those that arrived has been taken."""

    def commit(self, marks: Mapping[TopicPartition, Mark]) -> None:
        """Commit this."""

    def close(self, marks: Mapping[TopicPartition, Mark], timeout_s: float) -> bool:
        """Commit this and end; whether that was acknowledged in time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times of a task, in seconds.

    Attributes:
        drain_s: how long records in flight may take to end at a stop or a revocation.
        give_up_s: how long a pause may last before the task fails; `None`: for ever.
    """

    drain_s: float
    give_up_s: float | None


@dataclass(slots=True)
class Task:
    """Feeds the machine and commits what has ended; everything here is on the event loop.

    Its methods named as in :class:`processor.kafka.source.Intake` are called by the source.
    """

    machine: Machine
    limits: Limits
    stop_when_exhausted: bool = False
    state: State = State.UNASSIGNED
    trace: str = ""
    paused: bool = False
    _wanted: bool = True
    _source: Consuming | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: asyncio.Future[None] | None = None
    _at_fault: int = 0
    _end_by_s: float = math.inf
    _leaving: set[TopicPartition] = field(default_factory=set)
    _drains: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, source: Consuming) -> bool:
        """Run until :meth:`stop`, or until the ranges are read, or until the task fails.

        Returns:
            Whether everything in flight ended and was committed in time.

        Raises:
            TaskFailed: the settings say so (tolerance, retry time-out), or the consumer cannot go
                on. What had ended is committed.
            Exception: a defect, ours or a library's; likewise.
        """
        self._source = source
        failure = self._failure = asyncio.get_running_loop().create_future()
        turning = asyncio.create_task(self.machine.run())
        stopping = asyncio.create_task(self._stopping.wait())
        keeping = asyncio.create_task(self._keep())
        if self.paused:
            self._pass_on_flow()
        source.start()
        try:
            await asyncio.wait(
                {turning, stopping, keeping, failure}, return_when=asyncio.FIRST_COMPLETED
            )
            drained = False
            if (stopping.done() or self._at_fault) and not turning.done():
                drained = await self._drain()
            # What the drain left of its time: a rebalance under way has to end before a commit can.
            left_s = self._end_by_s - self._now_s() if drained else 0.0
            self._end_by_s = min(self._end_by_s, self._now_s())
            committed = await asyncio.to_thread(
                source.close, self.machine.ledger.committable(), CLOSE_S + max(0.0, left_s)
            )
            self._raise_what_failed(turning, keeping, failure)
            return drained and committed
        finally:
            await self._finish(turning, stopping, keeping)

    def stop(self) -> None:
        """Drain what is in flight, commit, and end."""
        self._stopping.set()

    def flow(self, on: bool) -> None:  # noqa: FBT001 - the valve's callback
        """Pass the valve's wish on to the source."""
        self._wanted = on
        self._pass_on_flow()

    def pause(self, *, on: bool) -> None:
        """Take no more records, or go on; what is in flight ends and is committed all the same."""
        if on != self.paused:
            log.info("Paused as ordered." if on else "Resumed as ordered.")
        self.paused = on
        self._pass_on_flow()

    @property
    def shown(self) -> State:
        """The state that is told."""
        return State.PAUSED if self.paused and self.state is not State.FAILED else self.state

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        """Pass on of which partitions no more is wanted."""
        if self._source is not None:
            self._source.rest(partitions)

    def fail_at(self, passage: Passage) -> None:
        """Fail because the settings tolerate no record at fault.

        What else is in flight may end first: it would be sent again after the restart.
        """
        self._at_fault += 1
        error = passage.failures[0].error
        self._fail(
            TaskFailed(
                f"Record {passage.record.position} is at fault ({error.code}: {error}) and "
                "errors.tolerance is none. Its offset is kept: mend the cause or set "
                "errors.tolerance to all, then restart the task."
            )
        )

    # What the source tells.

    def assigned(self, starts: Mapping[TopicPartition, Start]) -> None:
        """These partitions are ours from here."""
        self.state = State.RUNNING
        self.machine.metrics.rebalances.inc()
        self._leaving.difference_update(starts)  # what comes now is of this assignment
        for partition, start in starts.items():
            self.machine.ledger.assign(
                partition,
                committed=start.offset,
                metadata=start.metadata,
                ended=ended_before(partition, start),
                origin=start.origin,
                generation=start.generation,
            )
        self._kafka_works(starts)
        if starts:  # a cooperative rebalance assigns nothing to those that keep what they have
            log.info("Assigned.", partitions=[str(partition) for partition in starts])

    def revoking(
        self,
        partitions: Sequence[TopicPartition],
        drained: Callable[[Mapping[TopicPartition, Mark]], None],
    ) -> None:
        """These partitions go: let what is in flight end, then tell what may be committed."""
        self._leaving.update(partitions)
        epochs = {partition: self.machine.ledger.epoch_of(partition) for partition in partitions}
        self._in_background(self._hand_over(epochs, drained))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are someone else's already."""
        self._release(partitions, ReleaseReason.LOST)

    def arrived(self, records: Sequence[Record]) -> None:
        """Take polled records, unless we are on our way out."""
        if self._source is not None:
            self._source.taken()
        if self._stopping.is_set() or (self._failure is not None and self._failure.done()):
            return
        if self._leaving:
            records = [
                r for r in records if TopicPartition(r.topic, r.partition) not in self._leaving
            ]
        if self.machine.pauses.holds("kafka"):
            self._kafka_works({TopicPartition(r.topic, r.partition) for r in records})
        self.machine.pipeline.carry(records)

    def committed(self, marks: Mapping[TopicPartition, Mark], error: str | None) -> None:
        """Note what came of a commit; one that failed is made again with the next."""
        self.machine.metrics.commits.labels("ok" if error is None else "failed").inc()
        if error is not None:
            log.warning("A commit was not acknowledged; the next one covers it.", error=error)
            return
        for partition, mark in marks.items():
            self.machine.ledger.committed(partition, mark)

    def lagging(self, lags: Mapping[TopicPartition, int]) -> None:
        """Publish how far behind we are."""
        for (topic, partition), lag in lags.items():
            self.machine.metrics.consumer_lag.labels(topic, partition).set(lag)

    def trouble(self, reason: str, message: str, *, who: str, of_setup: bool) -> None:
        """Something keeps the source from reading."""
        self.machine.pauses.begin(reason, message, who=who, of_setup=of_setup)

    def trouble_over(self, reason: str, *, who: str) -> None:
        """That no longer holds."""
        self.machine.pauses.end(reason, who=who)

    def exhausted(self) -> None:
        """Every range has been read; a bounded run ends once that has ended."""
        if self.stop_when_exhausted:
            self._in_background(self._finish_ranges())

    def failed(self, error: Exception) -> None:
        """The source has ended: for good, or by a defect that a restart may get past."""
        if isinstance(error, ProcessorError):
            error = TaskFailed(f"The Kafka consumer cannot go on: {error}.")
        self._fail(error)

    # Inside.

    def _pass_on_flow(self) -> None:
        if self._source is not None:
            on = self._wanted and not self.paused and not self._stopping.is_set()
            self._source.flow(on=on)

    async def _keep(self) -> None:
        """Commit and look at intervals, and give up where the settings set a limit."""
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            self.machine.pipeline.look()
            marks = self.machine.ledger.committable()
            if marks and self._source is not None:
                self._source.commit(marks)
            give_up_s = self.limits.give_up_s
            if give_up_s is not None and self.machine.pauses.longest_s() > give_up_s:
                pause = self.machine.pauses.active()[0]
                self._fail(
                    TaskFailed(
                        f"errors.retry_timeout_s ({give_up_s:g}) has passed: {pause.message} "
                        "The offsets are kept; restart the task when that is mended."
                    )
                )

    async def _drain(self) -> bool:
        """Whether everything in flight ended within the time for it."""
        if self._source is not None:
            self._source.flow(on=False)
        self.machine.drain()
        if self.stop_when_exhausted:  # at a replay's rate they could take minutes
            self.machine.pipeline.halt()
        self._end_by_s = self._now_s() + self.limits.drain_s
        return await self._ended(
            lambda: self.machine.ledger.in_flight_count <= self._at_fault + self._resting().total()
        )

    def _resting(self) -> Counter[TopicPartition]:
        """What a drain does not wait for: no time given would end it."""
        return self.machine.pipeline.resting()

    async def _ended(self, condition: Callable[[], bool]) -> bool:
        """Whether it comes true within the time for a drain, and before the task ends."""
        deadline_s = self._now_s() + self.limits.drain_s
        while True:
            if condition():
                return True
            if self._now_s() >= min(deadline_s, self._end_by_s):
                return False
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _hand_over(
        self,
        epochs: Mapping[TopicPartition, int | None],
        drained: Callable[[Mapping[TopicPartition, Mark]], None],
    ) -> None:
        ledger = self.machine.ledger
        marks: dict[TopicPartition, Mark] = {}
        try:
            self.machine.drain()

            def nothing_ends_any_more() -> bool:
                resting = self._resting()
                return all(ledger.open_in(p) <= resting[p] for p in epochs)

            await self._ended(nothing_ends_any_more)
            marks = {
                p: m for p, m in ledger.committable().items() if epochs.get(p) == ledger.epoch_of(p)
            }
        finally:
            # Whatever happened, the consumer's thread waits for this.
            drained(marks)
            self.machine.drain(draining=self._stopping.is_set())
            self.machine.metrics.rebalances.inc()
            # If we are so late that one of them was assigned again, that is not what was revoked.
            still = [p for p in epochs if ledger.epoch_of(p) == epochs[p]]
            self._leaving.difference_update(still)
            self._release(still, ReleaseReason.REVOKED)

    async def _finish_ranges(self) -> None:
        """Wait, without a deadline, until what the ranges held has ended."""
        self.machine.drain()
        while True:
            if not self.machine.ledger.in_flight_count:
                self.stop()
                return
            await asyncio.sleep(DRAIN_LOOK_S)

    def _release(self, partitions: Sequence[TopicPartition], reason: ReleaseReason) -> None:
        for partition in partitions:
            count = self.machine.ledger.release(partition, reason)
            self.machine.pauses.end_all_of(str(partition))
            with contextlib.suppress(KeyError):
                self.machine.metrics.consumer_lag.remove(partition.topic, str(partition.partition))
            log.info("Gave a partition back.", partition=str(partition), why=reason, open=count)
        self.machine.pipeline.given_back()

    def _kafka_works(self, partitions: Collection[TopicPartition]) -> None:
        """End what Kafka had been in trouble with, as far as this shows."""
        for who in ("", *(str(p) for p in partitions), *(p.topic for p in partitions)):
            self.machine.pauses.end("kafka", who=who)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._drains.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[None]) -> None:
        self._drains.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._failure is not None and not self._failure.done():
            if isinstance(error, TaskFailed):
                self.state = State.FAILED
                self.trace = str(error)
            self._failure.set_exception(error)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    def _raise_what_failed(
        self,
        turning: asyncio.Task[None],
        keeping: asyncio.Task[None],
        failure: asyncio.Future[None],
    ) -> None:
        for done in (failure, turning, keeping):
            if done.done() and (error := done.exception()) is not None:
                raise error

    async def _finish(self, *tasks: asyncio.Task[object]) -> None:
        for task in (*tasks, *self._drains):
            task.cancel()
        await asyncio.gather(*tasks, *self._drains, return_exceptions=True)
        for partition in self.machine.ledger.partitions():
            self.machine.ledger.release(partition, ReleaseReason.STOPPED)
        await self.machine.aclose()
