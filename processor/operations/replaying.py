"""Sends chosen records through the connector's own pipeline once more, in a group of its own."""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from processor.connector.assembly import Machine, Wiring, build
from processor.connector.graveyard import Names
from processor.connector.passage import Story
from processor.connector.task import Limits, Task, TaskFailed
from processor.errors import Code, FilterReason
from processor.kafka.clients import consumer_properties
from processor.kafka.source import Ranges, Source
from processor.operations.chosen import Chosen
from processor.record import Record, TopicPartition
from processor.settings import Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

SHARE = 0.2
"""Of the connector's rates: live traffic comes first."""

LOOK_EVERY_S = 0.2
TASK_ID = "0"
EXIT_FAILED, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 3, 130


@dataclass(slots=True)
class Outcome:
    """What became of a replay's records, so far or in the end.

    Attributes:
        chosen: how many were to be sent.
        delivered: accepted for each target that had failed, or for all of a source record.
        failed: in the dead-letter topic again, by code.
        filtered: left out, by reason.
        interrupted: whether somebody stopped it.
        finished: whether every record that is still there has ended and that was committed.
        failure: why the replay gave up; empty when it did not.
        exact: whether a record was seen at each chosen offset; else some may hold none.
    """

    replay_id: str
    group_id: str
    chosen: int
    delivered: int = 0
    failed: Counter[Code] = field(default_factory=Counter)
    filtered: Counter[FilterReason] = field(default_factory=Counter)
    interrupted: bool = False
    finished: bool = False
    failure: str = ""
    exact: bool = True

    @property
    def ended(self) -> int:
        """Records that have ended, in any way."""
        return self.delivered + self.failed.total() + self.filtered.total()

    @property
    def left(self) -> int:
        """Records that were not sent: not reached, or no longer there."""
        return max(0, self.chosen - self.ended)

    @property
    def status(self) -> int:
        """The exit status of the command that ran it."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.failure or not self.finished:
            return EXIT_FAILED
        return EXIT_SOME_FAILED if self.failed or (self.left and self.exact) else 0


def new_replay_id(now: datetime | None = None) -> str:
    """An id that sorts by time, such as ``20260131t120000-9f3a``."""
    moment = datetime.now(UTC) if now is None else now
    return f"{moment:%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"


def state_targets(settings: Settings, targets: Iterable[str | None] = (None,)) -> list[str]:
    """The targets among these that hold a state, so that an older record can undo a newer one.

    Args:
        settings: a target that keeps an order holds a state.
        targets: names; with `None` among them, every target is meant.
    """
    meant = set(targets)
    return [
        name
        for name, target in settings.experience_platform.targets.items()
        if target.ordering != "none" and (None in meant or name in meant)
    ]


def group_of(settings: Settings, replay_id: str) -> str:
    """The consumer group whose offsets show how far a replay is."""
    return f"{settings.group_id}-replay-{replay_id}"


async def replay(
    settings: Settings,
    chosen: Chosen,
    *,
    replay_id: str,
    exact: bool = True,
    read_story: Callable[[Record], Story | None] = lambda _record: None,
    report: Callable[[Outcome], None] = lambda _outcome: None,
    aborted: Callable[[], None] = lambda: None,
) -> Outcome:
    """Replay records until all have ended, or until SIGINT or SIGTERM.

    The first signal drains and commits; a second ends the process at once with 130. What fails
    again goes to the dead-letter topic, whatever ``errors.tolerance`` says: it came from there, or
    nobody waits for it.

    Args:
        settings: the connector's; a replay takes `SHARE` of its rates.
        chosen: which records; offsets at which nothing stands any more are left.
        replay_id: names the group and stands in the headers of what fails again.
        exact: as in :class:`Outcome`.
        read_story: for records of a dead-letter topic, what they say of their first life.
        report: called a few times a second with how far it is.
        aborted: called just before a second signal ends the process.

    Raises:
        Misconfigured: a schema or mapping set is wrong, before anything is read.
    """
    running = _Replay(settings, chosen, replay_id, read_story)
    running.outcome.exact = exact
    with _stopped_by_signals(running, aborted):
        return await running.run(report)


class _Replay:
    """One run: a machine like a task's, fed from pinned ranges."""

    def __init__(
        self,
        settings: Settings,
        chosen: Chosen,
        replay_id: str,
        read_story: Callable[[Record], Story | None],
    ) -> None:
        self.outcome = Outcome(replay_id, group_of(settings, replay_id), chosen.count)
        self._settings = settings
        self._chosen = chosen
        client_id = f"{settings.name}-replay-{replay_id}"
        wiring = Wiring(
            Names(settings.name, TASK_ID, settings.dead_letter_topic, replay_id),
            client_id=client_id,
            share=SHARE,
            turn=self._turn,
            rest=self._rest,
            brakes=False,
            read_story=read_story,
        )
        give_up_s = settings.errors.retry_timeout_s
        self._machine: Machine = build(settings, wiring)
        self._task = Task(
            self._machine,
            Limits(settings.delivery.drain_timeout_s, give_up_s if give_up_s >= 0 else None),
            stop_when_exhausted=True,
        )
        self._source = Source(
            consumer_properties(settings.kafka, self.outcome.group_id, client_id),
            Ranges(chosen.spans, chosen.has),
            self._task,
            post=asyncio.get_running_loop().call_soon_threadsafe,
            drain_timeout_s=settings.delivery.drain_timeout_s,
        )

    def stop(self) -> bool:
        """Drain and end; whether this was asked for before."""
        before = self.outcome.interrupted
        self.outcome.interrupted = True
        self._task.stop()
        return before

    def _turn(self, on: bool) -> None:  # noqa: FBT001 - the valve's callback
        self._task.flow(on)

    def _rest(self, partitions: Iterable[TopicPartition]) -> None:
        self._task.rest(partitions)

    async def run(self, report: Callable[[Outcome], None]) -> Outcome:
        outcome = self.outcome
        log.info("The replay begins.", replay=outcome.replay_id, group=outcome.group_id)
        watching = asyncio.create_task(self._watch(report))
        try:
            outcome.finished = await self._task.run(self._source)
        except TaskFailed as error:
            outcome.failure = str(error)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self._count()
            report(outcome)
        return outcome

    async def _watch(self, report: Callable[[Outcome], None]) -> None:
        while True:
            self._count()
            report(self.outcome)
            await asyncio.sleep(LOOK_EVERY_S)

    def _count(self) -> None:
        books = self._machine.ledger.books().values()
        self.outcome.delivered = sum(book.delivered for book in books)
        self.outcome.failed = sum((Counter(b.dead_lettered) for b in books), Counter[Code]())
        self.outcome.filtered = sum((Counter(b.filtered) for b in books), Counter[FilterReason]())


@contextmanager
def _stopped_by_signals(running: _Replay, aborted: Callable[[], None]) -> Iterator[None]:
    """Let the first signal stop a replay, and the second end the process."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if running.stop():
            aborted()
            os._exit(EXIT_INTERRUPTED)
        log.warning("Stopping: what is on its way may end; once more to stop at once.")

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
