"""A task as its supervisor sees it: its process, what it told last, and what it is to do."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from prometheus_client.core import Metric

from processor.connector import task_process
from processor.connector.control_entries import TaskReport
from processor.connector.heartbeat import Heartbeat
from processor.connector.ledger import ReleaseReason
from processor.connector.status import TaskState
from processor.connector.vigil import Vigil
from processor.telemetry.logs import get_logger
from processor.telemetry.metrics import added_up

log = get_logger(__name__)

SILENT_S = 10.0
"""A task that has not beaten for so long hangs, whatever it said last."""


@dataclass(slots=True)
class Child:
    """One task's process and what it told last.

    Attributes:
        heard_s: monotonic seconds of that, or of its start.
        ended: metrics of its earlier lives, closed so that the books still balance.
        deaths: crashes in a row, for the back-off.
        vigil: over its life now, or over the last one.
        failed: it is not started again before somebody says so.
        restarting: somebody has, and the next life has not been heard of yet.
        leaving: this life is told to end.
        changed: something was ordered that whoever waits for this task has to look at.
    """

    task_id: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    beat: Heartbeat | None = None
    heard_s: float = field(default_factory=time.monotonic)
    ended: list[Metric] = field(default_factory=list)
    deaths: int = 0
    failed: bool = False
    restarting: bool = False
    vigil: Vigil | None = None
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def silent_s(self) -> float:
        """Seconds since it was heard of."""
        return time.monotonic() - self.heard_s

    def report(self) -> TaskReport:
        """How it is now."""
        beat = self.beat
        trace = beat.trace if beat is not None else ""
        if self.restarting:
            return TaskReport(TaskState.RESTARTING)
        if self.failed:
            return TaskReport(TaskState.FAILED, trace)
        if beat is None or self.process is None or self.silent_s > SILENT_S:
            return TaskReport(TaskState.UNASSIGNED)
        return TaskReport(TaskState(beat.state.value), trace, tuple(beat.waiting))

    def order(self, order: object) -> None:
        """Tell its process; nothing happens when there is none."""
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.send(order)

    def leave(self) -> None:
        """Have this life end: drain, commit, exit."""
        self.leaving.set()
        self.order(task_process.STOP)
        self.changed.set()

    def begin(self, process: SpawnProcess, connection: Connection, vigil: Vigil) -> None:
        """Take a new life."""
        self.process, self.connection, self.vigil = process, connection, vigil
        self.beat, self.heard_s = None, time.monotonic()
        self.leaving.clear()

    def end(self) -> None:
        """Note that this life is over."""
        self.process, self.connection = None, None

    def listen(
        self,
        process: SpawnProcess,
        connection: Connection,
        ended: asyncio.Event,
        heard: Callable[[Heartbeat], None],
    ) -> None:
        """Read its heartbeats on a thread, until it ends; ``ended`` is set then."""
        loop = asyncio.get_running_loop()

        def take(beat: Heartbeat) -> None:
            if self.connection is connection:
                self.beat, self.heard_s = beat, time.monotonic()
                self.restarting = self.restarting and self.leaving.is_set()
                heard(beat)

        def listen() -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(take, connection.recv())
            except (EOFError, OSError):
                pass
            except Exception as error:  # noqa: BLE001 - or nobody would ever see the task end
                kind = type(error).__name__
                log.error("A heartbeat cannot be read.", task=self.task_id, kind=kind)  # noqa: TRY400
                process.kill()
            process.join()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=listen, name=f"task-{self.task_id}", daemon=True).start()

    def close_books(self) -> None:
        """Keep the counts of a life that is over; what it had in flight was given back."""
        if self.beat is not None:
            self.ended = added_up([self.ended, released(self.beat.metrics)])
            self.beat = replace(self.beat, metrics=()) if self.beat.trace else None


def released(metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics of a task that is gone: counters stay, gauges go, in flight becomes released."""
    kept = [metric for metric in metrics if metric.type in {"counter", "histogram"}]
    by_name = {metric.name: metric for metric in metrics}
    in_flight = by_name.get("processor_records_in_flight")
    if in_flight is not None:
        extra = Metric("processor_records_released", "", "counter")
        for sample in in_flight.samples:
            if sample.value:
                labels = {**sample.labels, "reason": ReleaseReason.STOPPED}
                extra.add_sample("processor_records_released_total", labels, sample.value)
        kept = added_up([kept, [extra]])
    return kept
