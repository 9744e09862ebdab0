"""The connector's parent process: starts the tasks, watches them, answers for them."""

import asyncio
import ipaddress
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.context import SpawnProcess
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest

from processor.connector import task_process
from processor.connector.assembly import shaping
from processor.connector.backoff import Backoff
from processor.connector.child import SILENT_S, Child
from processor.connector.control import Control
from processor.connector.control_entries import TaskReport
from processor.connector.heartbeat import Heartbeat
from processor.connector.holds import Holds
from processor.connector.judge import Kind
from processor.connector.last_words import Slate
from processor.connector.quarantine import Deaths
from processor.connector.status import (
    ConnectorState,
    ConnectorStatus,
    Server,
    TaskState,
    Worker,
)
from processor.connector.task import State
from processor.connector.vigil import Vigil
from processor.connector.worker_metrics import WorkerMetrics
from processor.kafka.property_check import check_properties
from processor.settings import Settings
from processor.telemetry import levels
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

EXIT_INTERRUPTED = 130
STOP_MARGIN_S = 20.0
HEALTHY_AFTER_S = 60.0
"""A task that lived this long starts its back-off anew when it dies."""

Serve = Callable[[Worker], Server]
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


def worker_id(host: str, port: int) -> str:
    """What a worker is called: ``host:port`` of its admin server, as Kafka Connect's workers are.

    An address that listens for others is its own name; of one that stands for all addresses, or
    that only this host can reach, it is the host's name.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        named = host != "localhost"
    else:
        named = not (address.is_unspecified or address.is_loopback)
    name = host if named else socket.gethostname()
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


class Supervisor:
    """Keeps ``tasks_max`` tasks as they are ordered to be; a :class:`..status.Worker`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = [Child(task_id) for task_id in range(settings.tasks_max)]
        self._stopping = asyncio.Event()
        self._context = multiprocessing.get_context("spawn")
        self._backoff = Backoff(settings.errors.retry_delay_max_s)
        self._state = ConnectorState.RUNNING
        self._sending = settings.tasks_max
        self._worker = worker_id(settings.admin.host, settings.admin.port)
        self._holds = Holds(settings, self._let_go)
        self._control = Control(settings, self)
        self._deaths = Deaths()
        self._levels: dict[str, task_process.LogAt] = {}
        self._server: Server | None = None

    async def run(self, serve: Serve) -> int:
        """Run until a signal; see :func:`run`."""
        admin = self._server = serve(self)
        await admin.start()
        self._worker = worker_id(self._settings.admin.host, admin.port)
        self._holds.start(self._worker)
        self._control.start(self._worker)
        self._obey_signals()
        log.info("The connector starts.", name=self._settings.name, tasks=len(self._children))
        try:
            await self._wait_for_orders()
            async with asyncio.TaskGroup() as lives:
                watches = [lives.create_task(self._live(child)) for child in self._children]
            statuses = [watch.result() for watch in watches]
        finally:
            await asyncio.gather(self._holds.close(), self._control.close())
            await admin.stop()
        clean = all(status == task_process.EXIT_DONE for status in statuses)
        log.info("The connector stopped.", drained=clean)
        return 0 if clean else 1

    def live(self) -> bool:
        """The process answers, so it lives; a pause or a failed task is not a reason to kill it."""
        return True

    def ready(self) -> tuple[bool, list[str]]:
        """Whether every task of this worker runs and none waits, and if not, why."""
        reasons: list[str] = []
        if self._state is not ConnectorState.RUNNING:
            reasons.append(f"{self._state.lower()}: as ordered; resume the connector to go on")
        if self._state is not ConnectorState.STOPPED:
            for child in self._children:
                reasons += [f"task {child.task_id}: {reason}" for reason in _why_not(child)]
        if self._stopping.is_set():
            reasons.append("stopping")
        return not reasons, reasons

    def metrics(self) -> bytes:
        """The tasks' metrics added up, in Prometheus' text form."""
        registry = CollectorRegistry()
        registry.register(WorkerMetrics(self._children, lambda: self._state))
        return generate_latest(registry)

    def status(self) -> ConnectorStatus:
        """See :class:`..status.Worker`; likewise the orders."""
        stopped = self._state is ConnectorState.STOPPED
        tasks = () if stopped else self._control.tasks()
        return ConnectorStatus(self._settings.name, self._state, self._worker, tasks)

    async def order(self, state: ConnectorState) -> None:
        """Pause, resume or stop the connector on all workers."""
        await self._control.order(state)

    async def restart(self, tasks: Sequence[int], *, only_failed: bool = False) -> None:
        """Drain and start anew these tasks, wherever they run."""
        await self._control.restart(tasks, only_failed=only_failed)

    async def log_at(self, level: int, logger: str, *, everywhere: bool = False) -> None:
        """Have this worker and its tasks log so, or those of all workers."""
        if everywhere:
            await self._control.log_at(level, logger)
        else:
            self.log(level, logger)

    # What the control tells; see :class:`..control.Steered`.

    def obey(self, state: ConnectorState) -> None:
        """Have all tasks run, pause or stop; of a stopped connector nothing stays, no failure."""
        if state is self._state:
            return
        log.info("The connector is told to be otherwise.", state=state, before=self._state)
        self._state = state
        for child in self._children:
            if state is ConnectorState.STOPPED:
                child.failed = child.restarting = False
                child.leave()
            else:
                child.order(self._steering())
                child.changed.set()

    def again(self, tasks: Sequence[int], *, only_failed: bool) -> None:
        """Have tasks of this worker start anew, once those that run have drained."""
        for child in self._children:
            failed = child.report().state is TaskState.FAILED
            if child.task_id not in tasks or (only_failed and not failed):
                continue
            if self._state is ConnectorState.STOPPED:
                continue  # there is none
            log.info("A task is restarted as ordered.", task=child.task_id)
            child.failed, child.restarting, child.deaths = False, True, 0
            child.leave()

    def log(self, level: int, logger: str) -> None:
        """Have this process and its tasks log so, those that start later too."""
        levels.set_level(logger, level)
        order = task_process.LogAt(level, logger)
        self._levels[logger] = order
        for child in self._children:
            child.order(order)

    def divide(self, sending: int) -> None:
        """Give each task its part of the rates."""
        if sending != self._sending:
            log.info("The rates are divided anew.", tasks=sending)
            self._sending = sending
            for child in self._children:
                child.order(self._steering())

    def reports(self) -> Sequence[TaskReport]:
        """The tasks of this worker as they are now."""
        return [child.report() for child in self._children]

    # Inside.

    def _steering(self) -> task_process.Steering:
        return task_process.Steering(
            paused=self._state is ConnectorState.PAUSED, share=1 / self._sending
        )

    async def _wait_for_orders(self) -> None:
        """Wait until it is heard what the connector is told to be, or until a signal."""
        known = asyncio.create_task(self._control.known())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({known, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (known, stopping):
            waiting.cancel()

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
        if self._server is not None:
            self._server.drain()
        for child in self._children:
            child.leave()

    def _let_go(self, kind: Kind) -> None:
        for child in self._children:
            child.order(task_process.Release(kind))

    async def _live(self, child: Child) -> int:
        """Keep one task as it is to be until this worker stops; gives its last exit status."""
        status = task_process.EXIT_DONE
        while await self._may_begin(child):
            started_s = asyncio.get_running_loop().time()
            status = await self._one_life(child)
            if child.beat is None and self._stopping.is_set() and status == -signal.SIGTERM:
                # Our signal reached it as well, before it could obey; it had taken nothing.
                status = task_process.EXIT_DONE
            child.close_books()
            if child.leaving.is_set() or self._stopping.is_set():
                if status != task_process.EXIT_DONE:
                    log.warning("A task had not drained when it ended.", task=child.task_id)
                continue
            child.restarting = False
            if status in (task_process.EXIT_FAILED, task_process.EXIT_SETTINGS):
                child.failed = True
                continue
            lived_s = asyncio.get_running_loop().time() - started_s
            self._note_crash(child, status)
            child.deaths = 1 if lived_s > HEALTHY_AFTER_S else child.deaths + 1
            log.error("A task died; it is started again.", task=child.task_id, status=status)
            await self._until(child, child.leaving.is_set, self._backoff.wait_s(child.deaths))
        return status

    async def _may_begin(self, child: Child) -> bool:
        """Wait until this task is to live; False when this worker stops first."""
        await self._until(
            child, lambda: not child.failed and self._state is not ConnectorState.STOPPED
        )
        return not self._stopping.is_set()

    async def _until(
        self, child: Child, condition: Callable[[], bool], limit_s: float | None = None
    ) -> None:
        """Wait until it comes true, or this worker stops, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not (condition() or self._stopping.is_set()):
                    child.changed.clear()
                    await child.changed.wait()

    def _note_crash(self, child: Child, status: int) -> None:
        """Count a crash at its record; what that quarantines, every task is told."""
        death = child.vigil.death(status) if child.vigil is not None else None
        quarantined = self._deaths.count(death) if death is not None else None
        if quarantined is not None:
            child.deaths = 0  # its cause is out of the way
            for one in self._children:
                one.order(quarantined)

    async def _one_life(self, child: Child) -> int:
        ours, theirs = self._context.Pipe()
        slate = Slate(self._context)
        begin = task_process.Beginning(self._deaths.quarantined, self._steering())
        process = self._context.Process(
            target=task_process.run,
            args=(self._settings, child.task_id, theirs, slate, begin),
            name=f"{self._settings.name}-{child.task_id}",
        )
        process.start()
        theirs.close()
        pid = cast("int", process.pid)  # it was started
        vigil = Vigil(slate, pid, lambda: child.heard_s)
        child.begin(process, ours, vigil)
        watching = asyncio.create_task(vigil.keep())
        ended = asyncio.Event()
        child.listen(process, ours, ended, partial(self._heard, child))
        for kind in self._holds.released:
            child.order(task_process.Release(kind))
        for level in self._levels.values():
            child.order(level)
        if self._stopping.is_set():
            child.leave()
        await self._wait_for(child, process, ended)
        watching.cancel()
        child.end()
        ours.close()
        self._holds.heard(child.task_id, ())
        status = process.exitcode
        return 1 if status is None else status

    def _heard(self, child: Child, beat: Heartbeat) -> None:
        self._holds.heard(child.task_id, beat.holdings)

    async def _wait_for(self, child: Child, process: SpawnProcess, ended: asyncio.Event) -> None:
        """Wait for a task to end; once it is told to, only as long as a drain may take."""
        leaving = asyncio.create_task(child.leaving.wait())
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({leaving, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            limit_s = self._settings.delivery.drain_timeout_s + STOP_MARGIN_S
            await asyncio.wait({ending}, timeout=limit_s)
            if not ending.done():
                log.error("A task did not stop in time and is killed.", task=process.name)
                process.kill()
                await ending
        leaving.cancel()


def _why_not(child: Child) -> list[str]:
    """Why a task is not ready; nothing when it is, or is paused as it should be."""
    report, beat = child.report(), child.beat
    if report.state is TaskState.FAILED:
        return [f"FAILED. {report.trace}".rstrip()]
    reasons: list[str] = []
    if child.restarting:
        reasons.append("restarting")
    elif beat is None or child.process is None:
        reasons.append("starting")
    elif child.silent_s > SILENT_S:
        reasons.append(f"no sign of life for {child.silent_s:.0f} s")
    elif beat.state not in (State.RUNNING, State.PAUSED):
        reasons.append(str(beat.state))
    if beat is not None:
        reasons += [f"{waiting.reason}: {waiting.message}" for waiting in beat.waiting]
    return reasons
