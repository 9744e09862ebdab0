"""This worker's end of what steers the connector on all hosts: hears orders, tells of itself.

An order is written to the state topic and obeyed when it is read back from there, by whoever gave
it as by all others: so all obey the same orders in the same order. What the connector is told to be
outlives every worker; an order to restart is obeyed by those that hear it when it is given.

Records never wait for the state topic. While it is away the last order holds, and orders are not
taken.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import processor
from processor.connector.control_entries import (
    CONTROL,
    LEVEL,
    RESTART,
    STATE,
    WORKERS,
    RestartOrder,
    TaskReport,
    WorkerReport,
    key_of_worker,
    level_document,
    level_of,
    report_of,
    restart_of,
    state_document,
    state_of,
    worker_of,
)
from processor.connector.fleet import Fleet
from processor.connector.scribe import Scribe, Writes
from processor.connector.status import ConnectorState, TaskStatus
from processor.errors import ProcessorError
from processor.kafka.state import StateTopic
from processor.kafka.state_entry import Document, Entry, Unreadable
from processor.kafka.state_follower import Follower, Follows
from processor.settings import Settings
from processor.settings.kafka_properties import client_properties
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

INSTANCE_ID = "group.instance.id"
EVERY_S = 3.0
"""A worker tells of itself so often, and at once when its tasks change."""

LOOK_S = 1.0
AGAIN_S = 5.0
LAST_S = 2.0
"""A stop waits so long for its last entry, and not at all while the topic is in trouble."""

KNOWN_S = 10.0
"""A start waits so long to hear what the connector is told to be; a paused one must not begin."""


class Steered(Protocol):
    """Who obeys; called on the loop."""

    def obey(self, state: ConnectorState) -> None:
        """The connector is told to be so; often what it is already."""

    def again(self, tasks: Sequence[int], *, only_failed: bool) -> None:
        """Drain and start anew these tasks of this worker."""

    def log(self, level: int, logger: str) -> None:
        """Have this worker and its tasks log so."""

    def divide(self, sending: int) -> None:
        """The rates are divided among so many tasks of all workers."""

    def reports(self) -> Sequence[TaskReport]:
        """The tasks of this worker as they are now."""


class Control:
    """Follows orders and workers, and tells of this one; every method is called on the loop.

    Args:
        state: writes what this worker tells; called on a thread of ours. Likewise `orders`.
        orders: writes orders; apart, so that they do not wait behind what is told.
        follow: makes the follower of what begins so.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        steered: Steered,
        *,
        state: Writes | None = None,
        orders: Writes | None = None,
        follow: Callable[..., Any] = Follower,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        client_id = f"{settings.name}-control"
        self._settings = settings
        self._client_id = client_id
        self._steered = steered
        self._clock = clock
        self._life = uuid.uuid4().hex
        self._instance = str(client_properties(settings.kafka, "consumer").get(INSTANCE_ID, ""))
        self._state: ConnectorState | None = None
        self._fleet = Fleet("", self._life, clock=clock)
        self._tells = Scribe(state or StateTopic(settings, client_id))
        self._orders = Scribe(orders or StateTopic(settings, f"{client_id}-orders"))
        self._make_follower = follow
        self._follower: Any = None
        self._read, self._heard = asyncio.Event(), asyncio.Event()
        self._lost_state = False
        self._told: tuple[Document, float] | None = None
        self._troubled = False
        self._warned: set[str] = set()
        self._work: list[asyncio.Task[None]] = []

    def start(self, worker: str) -> None:
        """Begin to follow, and to tell as soon as the topic was read.

        Args:
            worker: this process, ``host:port``.
        """
        self._fleet = Fleet(worker, self._life, clock=self._clock)
        follows: Follows = self
        self._follower = self._make_follower(
            self._settings,
            self._client_id,
            (CONTROL, WORKERS),
            follows,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        self._follower.start()
        self._work = [asyncio.create_task(self._look()), asyncio.create_task(self._tell())]

    async def known(self) -> None:
        """Wait until it is heard what the connector is told to be, or not to be heard for now."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), KNOWN_S)

    async def close(self) -> None:
        """Leave off; the entry of this worker has `LAST_S` to be deleted."""
        for work in self._work:
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._follower is not None:
            self._follower.close()
        if self._told is not None and not self._troubled:
            written = self._tells.write({self._key: None})
            with contextlib.suppress(TimeoutError, ProcessorError):
                await asyncio.wait_for(written, LAST_S)
        self._tells.close()
        self._orders.close()

    def tasks(self) -> list[TaskStatus]:
        """The tasks of all workers, as far as they were heard of."""
        return self._fleet.tasks(self._steered.reports())

    async def order(self, state: ConnectorState) -> None:
        """Tell all workers what the connector is to be; see :class:`..status.Worker`."""
        await self._orders.write({STATE: state_document(state)})
        log.info("Ordered.", state=state)

    async def restart(self, tasks: Sequence[int], *, only_failed: bool) -> None:
        """Have tasks restarted, wherever they are; likewise."""
        places = self._fleet.places(tasks, self._steered.reports())
        if places:
            order = RestartOrder(places, only_failed)
            await self._orders.write({RESTART: order.document()})
            log.info("Ordered a restart.", tasks=list(tasks), only_failed=only_failed)

    async def log_at(self, level: int, logger: str) -> None:
        """Have all workers log so."""
        await self._orders.write({LEVEL: level_document(logger, level)})

    # What the follower tells.

    def history(self, entries: Mapping[str, Entry]) -> None:
        """Take what the topic holds; where it does not hold an order any more, ours holds on."""
        reports: dict[str, tuple[WorkerReport, int]] = {}
        for key, entry in entries.items():
            if key.startswith(WORKERS):
                with _left_alone():
                    reports[worker_of(entry)] = report_of(entry), entry.offset
        self._fleet.history(reports)
        if STATE in entries:
            self._obey_state(entries[STATE])
        else:
            self._lost_state = self._state not in (None, ConnectorState.RUNNING)
        self._read.set()
        self._heard.set()
        self._divide()

    def news(self, entry: Entry) -> None:
        """Obey an order, or take what a worker tells."""
        if entry.key == STATE:
            self._lost_state = False
            self._obey_state(entry)
        elif entry.key == RESTART:
            self._obey_restart(entry)
        elif entry.key == LEVEL:
            with _left_alone():
                logger, level = level_of(entry)
                self._steered.log(level, logger)
        elif entry.key.startswith(WORKERS):
            self._take(entry)
            self._divide()

    def trouble(self, message: str) -> None:
        """Say that nothing is heard."""
        self._heard.set()
        log.warning(
            "Orders and other workers are not heard of for now; records flow all the same.",
            cause=message,
        )

    def trouble_over(self) -> None:
        """Say that they are heard again."""
        log.info("Orders and other workers are heard of again.")

    # Inside.

    @property
    def _key(self) -> str:
        return key_of_worker(self._fleet.worker)

    def _obey_state(self, entry: Entry) -> None:
        with _left_alone():
            self._state = state_of(entry)
            self._steered.obey(self._state)

    def _obey_restart(self, entry: Entry) -> None:
        with _left_alone():
            order = restart_of(entry)
            tasks = [task for worker, task in order.tasks if worker == self._fleet.worker]
            self._steered.again(tasks, only_failed=order.only_failed)

    def _take(self, entry: Entry) -> None:
        worker = worker_of(entry)
        if entry.document is None:
            self._fleet.left(worker)
            return
        with _left_alone():
            if not self._fleet.heard(worker, report_of(entry), entry.offset):
                self._warn(
                    f"Another process of this connector calls itself {worker} too, so the two are "
                    "taken for one: give each host its own name, or each worker its own admin.port."
                )
        for other in self._fleet.same_instance(self._instance):
            self._warn(
                f"Worker {other} has our {INSTANCE_ID} too, so the tasks of the two fence each "
                "other: set another one on each host, or none."
            )

    def _divide(self) -> None:
        self._steered.divide(self._fleet.sending(self._report().sending))

    def _report(self) -> WorkerReport:
        return WorkerReport(
            life=self._life,
            version=processor.__version__,
            joined=self._fleet.joined,
            size=self._settings.tasks_max,
            tasks=tuple(self._steered.reports()),
            instance=self._instance,
        )

    async def _look(self) -> None:
        """See who has fallen silent."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._divide()

    async def _tell(self) -> None:
        """Tell of this worker, and delete who was silent for long."""
        await self._read.wait()
        while True:
            changes = self._due()
            if changes:
                try:
                    await self._tells.write(changes)
                except ProcessorError as error:
                    self._say_trouble(error)
                    await asyncio.sleep(AGAIN_S)
                    continue
                self._written(changes)
            await asyncio.sleep(LOOK_S)

    def _due(self) -> dict[str, Document | None]:
        report: Document = self._report().document()
        changes: dict[str, Document | None] = dict.fromkeys(
            key_of_worker(worker) for worker in self._fleet.forgotten()
        )
        told, at_s = self._told or (None, 0.0)
        if told != report or self._clock() - at_s >= EVERY_S:
            changes[self._key] = report
        if self._lost_state and self._state is not None:
            changes[STATE] = state_document(self._state)
        return changes

    def _written(self, changes: Mapping[str, Document | None]) -> None:
        report = changes.get(self._key)
        if report is not None:
            self._told = report, self._clock()
        self._lost_state = self._lost_state and STATE not in changes
        if self._troubled:
            self._troubled = False
            log.info("This worker tells of itself again.")

    def _say_trouble(self, error: ProcessorError) -> None:
        if not self._troubled:
            self._troubled = True
            log.warning(
                "This worker cannot tell of itself for now; records flow all the same.",
                cause=str(error),
            )

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.error(text)


@contextlib.contextmanager
def _left_alone() -> Iterator[None]:
    """What another version may have written is left alone."""
    try:
        yield
    except Unreadable as why:
        log.warning("An entry of the state topic is left alone.", why=str(why))
