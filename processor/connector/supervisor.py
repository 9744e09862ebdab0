"""The connector's parent process: starts the tasks, watches them, answers for them."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import processor
from processor.connector import task_process
from processor.connector.assembly import shaping
from processor.connector.backoff import Backoff
from processor.connector.heartbeat import Heartbeat
from processor.connector.holds import Holds
from processor.connector.judge import Kind
from processor.connector.last_words import Slate
from processor.connector.ledger import ReleaseReason
from processor.connector.quarantine import Deaths
from processor.connector.status import Health, Server, TaskState
from processor.connector.task import State
from processor.connector.vigil import Vigil
from processor.kafka.property_check import check_properties
from processor.settings import Settings
from processor.telemetry.logs import get_logger
from processor.telemetry.metrics import added_up, of_worker

log = get_logger(__name__)

EXIT_INTERRUPTED = 130
STOP_MARGIN_S = 20.0
SILENT_S = 10.0
"""A task that has not beaten for so long hangs, whatever it said last."""

HEALTHY_AFTER_S = 60.0
"""A task that lived this long starts its back-off anew when it dies."""


@dataclass(slots=True)
class Child:
    """One task's process and what it told last.

    Attributes:
        heard_s: monotonic seconds of that, or of its start.
        ended: metrics of its earlier lives, closed so that the books still balance.
        deaths: crashes in a row, for the back-off.
        vigil: over its life now, or over the last one.
    """

    task_id: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    beat: Heartbeat | None = None
    heard_s: float = field(default_factory=time.monotonic)
    ended: list[Metric] = field(default_factory=list)
    deaths: int = 0
    failed: bool = False
    vigil: Vigil | None = None


Serve = Callable[[Health], Server]
"""Makes what answers for a worker over HTTP."""


def run(settings: Settings, serve: Serve) -> int:
    """Run the connector until SIGTERM or SIGINT; the exit status of ``processor run``.

    0: drained and committed. 1: the drain deadline passed, or a task had failed. 130: a second
    signal ended it at once.

    Raises:
        Misconfigured: settings, schemas or mapping sets are wrong, or the port is taken; nothing
            was connected to.
    """
    shaping(settings)
    check_properties(settings.kafka)
    return asyncio.run(Supervisor(settings).run(serve))


class Supervisor:
    """Keeps ``tasks_max`` tasks alive; a :class:`processor.connector.status.Health`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = [Child(task_id) for task_id in range(settings.tasks_max)]
        self._stopping = asyncio.Event()
        self._context = multiprocessing.get_context("spawn")
        self._backoff = Backoff(settings.errors.retry_delay_max_s)
        self._holds = Holds(settings, self._let_go)
        self._deaths = Deaths()

    async def run(self, serve: Serve) -> int:
        """Run until a signal; see :func:`run`."""
        admin = serve(self)
        await admin.start()
        self._holds.start(f"{socket.gethostname()}:{admin.port}")
        self._obey_signals()
        log.info("The connector starts.", name=self._settings.name, tasks=len(self._children))
        try:
            async with asyncio.TaskGroup() as lives:
                watches = [lives.create_task(self._live(child)) for child in self._children]
            statuses = [watch.result() for watch in watches]
        finally:
            await self._holds.close()
            await admin.stop()
        clean = all(status == task_process.EXIT_DONE for status in statuses)
        log.info("The connector stopped.", drained=clean)
        return 0 if clean else 1

    def live(self) -> bool:
        """The process answers, so it lives; a pause or a failed task is not a reason to kill it."""
        return True

    def ready(self) -> tuple[bool, list[str]]:
        """Whether every task runs and none waits, and if not, why."""
        reasons: list[str] = []
        for child in self._children:
            who = f"task {child.task_id}"
            if child.failed:
                trace = child.beat.trace if child.beat is not None else ""
                reasons.append(f"{who}: FAILED. {trace}".rstrip())
            elif child.beat is None or child.process is None:
                reasons.append(f"{who}: starting")
            elif (silent_s := time.monotonic() - child.heard_s) > SILENT_S:
                reasons.append(f"{who}: no sign of life for {silent_s:.0f} s")
            elif child.beat.state is not State.RUNNING:
                reasons.append(f"{who}: {child.beat.state}")
            if child.beat is not None and not child.failed:
                reasons += [f"{who}: {w.reason}: {w.message}" for w in child.beat.waiting]
        if self._stopping.is_set():
            reasons.append("stopping")
        return not reasons, reasons

    def metrics(self) -> bytes:
        """The tasks' metrics added up, in Prometheus' text form."""
        registry = CollectorRegistry()
        registry.register(_Tasks(self._children))
        return generate_latest(registry)

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        if self._stopping.is_set():
            for child in self._children:
                if child.process is not None and child.process.is_alive():
                    child.process.kill()
            os._exit(EXIT_INTERRUPTED)
        log.info("Draining; a second signal ends at once.")
        self._stopping.set()
        for child in self._children:
            self._order(child, task_process.STOP)

    def _let_go(self, kind: Kind) -> None:
        for child in self._children:
            self._order(child, task_process.Release(kind))

    @staticmethod
    def _order(child: Child, order: object) -> None:
        if child.connection is not None:
            with contextlib.suppress(OSError):
                child.connection.send(order)

    async def _live(self, child: Child) -> int:
        """Keep one task alive until the connector stops; gives its last exit status."""
        while True:
            started_s = asyncio.get_running_loop().time()
            status = await self._one_life(child)
            if child.beat is None and self._stopping.is_set() and status == -signal.SIGTERM:
                # Our signal reached it as well, before it could obey; it had taken nothing.
                status = task_process.EXIT_DONE
            self._close_books(child)
            if self._stopping.is_set():
                return task_process.EXIT_FAILED if child.failed else status
            if status in (task_process.EXIT_FAILED, task_process.EXIT_SETTINGS):
                child.failed = True
                await self._stopping.wait()
                return status
            lived_s = asyncio.get_running_loop().time() - started_s
            self._note_crash(child, status)
            child.deaths = 1 if lived_s > HEALTHY_AFTER_S else child.deaths + 1
            wait_s = self._backoff.wait_s(child.deaths)
            log.error("A task died; it is started again.", task=child.task_id, status=status)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)
                return status

    def _note_crash(self, child: Child, status: int) -> None:
        """Count a crash at its record; what that quarantines, every task is told."""
        death = child.vigil.death(status) if child.vigil is not None else None
        quarantined = self._deaths.count(death) if death is not None else None
        if quarantined is not None:
            child.deaths = 0  # its cause is out of the way
            for one in self._children:
                self._order(one, quarantined)

    async def _one_life(self, child: Child) -> int:
        ours, theirs = self._context.Pipe()
        slate = Slate(self._context)
        process = self._context.Process(
            target=task_process.run,
            args=(self._settings, child.task_id, theirs, slate, self._deaths.quarantined),
            name=f"{self._settings.name}-{child.task_id}",
        )
        process.start()
        theirs.close()
        pid = cast("int", process.pid)  # it was started
        child.process, child.connection, child.beat = process, ours, None
        child.vigil = Vigil(slate, pid, lambda: child.heard_s)
        watching = asyncio.create_task(child.vigil.keep())
        ended = asyncio.Event()
        self._listen(child, process, ours, ended)
        for kind in self._holds.released:
            self._order(child, task_process.Release(kind))
        if self._stopping.is_set():
            self._order(child, task_process.STOP)
        await self._wait_for(process, ended)
        watching.cancel()
        child.process, child.connection = None, None
        ours.close()
        self._holds.heard(child.task_id, ())
        status = process.exitcode
        return 1 if status is None else status

    async def _wait_for(self, process: SpawnProcess, ended: asyncio.Event) -> None:
        """Wait for a task to end; once we stop, only as long as a drain may take."""
        stopping = asyncio.create_task(self._stopping.wait())
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            limit_s = self._settings.delivery.drain_timeout_s + STOP_MARGIN_S
            await asyncio.wait({ending}, timeout=limit_s)
            if not ending.done():
                log.error("A task did not stop in time and is killed.", task=process.name)
                process.kill()
                await ending
        stopping.cancel()

    def _listen(
        self, child: Child, process: SpawnProcess, connection: Connection, ended: asyncio.Event
    ) -> None:
        """Read a task's heartbeats on a thread, until it ends."""
        loop = asyncio.get_running_loop()

        def heard(beat: Heartbeat) -> None:
            if child.connection is connection:
                child.beat, child.heard_s = beat, time.monotonic()
                self._holds.heard(child.task_id, beat.holdings)

        def listen() -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(heard, connection.recv())
            except (EOFError, OSError):
                pass
            except Exception as error:  # noqa: BLE001 - or nobody would ever see the task end
                kind = type(error).__name__
                log.error("A heartbeat cannot be read.", task=child.task_id, kind=kind)  # noqa: TRY400
                process.kill()
            process.join()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=listen, name=f"task-{child.task_id}", daemon=True).start()

    @staticmethod
    def _close_books(child: Child) -> None:
        """Keep a dead task's counts; what it had in flight was given back."""
        if child.beat is not None:
            child.ended = added_up([child.ended, released(child.beat.metrics)])
            child.beat = replace(child.beat, metrics=()) if child.beat.trace else None


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


class _Tasks(Collector):
    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def collect(self) -> list[Metric]:
        lives = [child.beat.metrics for child in self._children if child.beat is not None]
        states = Counter(_state_of(child) for child in self._children)
        return [
            *added_up([*(child.ended for child in self._children), *lives]),
            *of_worker(processor.__version__, {state: states[state] for state in TaskState}),
        ]


def _state_of(child: Child) -> TaskState:
    if child.failed:
        return TaskState.FAILED
    if child.beat is None or child.process is None:
        return TaskState.RESTARTING
    return TaskState(child.beat.state)
