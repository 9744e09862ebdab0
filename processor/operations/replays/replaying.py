"""Sends chosen records through the connector's own pipeline once more, in a group of its own."""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from processor.connector.assembly import Wiring, build
from processor.connector.graveyard import Names
from processor.connector.ledger import DeadLettered, Delivered, Ending, LeftOut
from processor.connector.passage import Passage, Story
from processor.connector.task import Limits, Task, TaskFailed
from processor.connector.transform import Newer
from processor.connector.valve import MADE_BYTES
from processor.errors import Code, FilterReason, Misconfigured
from processor.kafka.clients import consumer_properties
from processor.kafka.credentials import Credentials
from processor.kafka.intake import Start
from processor.kafka.source import Ranges, Source
from processor.operations.chosen import Chosen
from processor.record import Record, TopicPartition
from processor.settings import DeliverySettings, Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

SHARE = 0.2
"""Of the connector's rates: live traffic comes first."""

LOOK_EVERY_S = 0.2
AHEAD_S = 1.0
MESSAGE_BYTES = 1_500
"""What a message takes; ours are from one to two thousand bytes."""

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
        stale: left alone, for their source topic holds later records of the key, or cannot tell.
        partly: of the delivered, those of which only some was sent, for the same reason.
        interrupted: whether somebody stopped it.
        finished: whether every record that is still there has ended and that was committed.
        failure: why the replay gave up; empty when it did not.
        exact: whether a record was seen at each chosen offset; else some may hold none.
        before: records that had ended before, in an attempt that this one goes on with.
    """

    replay_id: str
    group_id: str
    chosen: int
    delivered: int = 0
    failed: Counter[Code] = field(default_factory=Counter)
    filtered: Counter[FilterReason] = field(default_factory=Counter)
    stale: int = 0
    partly: int = 0
    interrupted: bool = False
    finished: bool = False
    failure: str = ""
    exact: bool = True
    before: int = 0

    @property
    def ended(self) -> int:
        """Records that have ended, in any way."""
        return self.delivered + self.failed.total() + self.filtered.total() + self.stale

    @property
    def left(self) -> int:
        """Records that were not sent: not reached, or no longer there."""
        return max(0, self.chosen - self.before - self.ended)

    @property
    def status(self) -> int:
        """The exit status of the command that ran it."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.failure or not self.finished:
            return EXIT_FAILED
        some = self.failed or self.stale or self.partly or (self.left and self.exact)
        return EXIT_SOME_FAILED if some else 0

    def count(self, passage: Passage, ending: Ending) -> None:
        """Count a record that has ended."""
        match ending:
            case Delivered():
                self.delivered += 1
                self.partly += bool(passage.stale)
            case DeadLettered(code):
                self.failed[code] += 1
            case LeftOut(reason) if not passage.stale:
                self.filtered[reason] += 1
            case LeftOut():
                self.stale += 1

    def counts(self) -> dict[str, Any]:
        """What became of the records, for programs."""
        return {
            "delivered": self.delivered,
            "failed": {code.value: count for code, count in self.failed.most_common()},
            "filtered": {reason.value: count for reason, count in self.filtered.most_common()},
            "stale": self.stale,
            "partly_stale": self.partly,
        }


class Companion(Protocol):
    """Goes along with a replay, and notes what becomes of it."""

    def ended(self, passage: Passage, ending: Ending) -> None:
        """A record has ended."""

    async def run(self, outcome: Outcome, end: Callable[[str], None]) -> None:
        """Work beside the replay, until cancelled.

        Args:
            outcome: how far it is.
            end: ends the replay, because of what is given.
        """


class Alone:
    """No company."""

    def ended(self, passage: Passage, ending: Ending) -> None:
        """Nothing is noted."""

    async def run(self, outcome: Outcome, end: Callable[[str], None]) -> None:
        """There is nothing to do."""


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


def with_rate(settings: Settings, rate: float) -> Settings:
    """The settings of which a replay's share is this many messages a second.

    Raises:
        Misconfigured: it is more than the whole connector may send.
    """
    most = settings.delivery.messages_per_second
    if most and rate > most:
        raise Misconfigured(
            f"--rate {rate:g} is above the connector's own delivery.messages_per_second, {most:g}."
        )
    delivery = settings.delivery.model_copy(update={"messages_per_second": rate / SHARE})
    return settings.model_copy(update={"delivery": delivery})


def group_of(settings: Settings, replay_id: str) -> str:
    """The consumer group whose offsets show how far a replay is."""
    return f"{settings.group_id}-replay-{replay_id}"


@dataclass(frozen=True, slots=True)
class Way:
    """How records are sent that are replayed otherwise than the connector would send them.

    Attributes:
        names: who writes the dead letters, and where to; `None`: the connector, to its own topic.
        starts: where to begin, by partition, and what had ended beyond that.
        newer: for records of a source topic, whether it holds a later one.
        id_label: of fresh ``_id``s; empty: the usual ones.
        before: records that had ended before these starts.
        read_story: for records of a dead-letter topic, what they say of their first life.
    """

    names: Names | None = None
    starts: Mapping[TopicPartition, Start] = field(default_factory=dict)
    newer: Newer | None = None
    id_label: str = ""
    before: int = 0
    read_story: Callable[[Record], Story | None] = lambda _record: None


CONNECTOR_S_OWN = Way()


async def replay(
    settings: Settings,
    chosen: Chosen,
    *,
    replay_id: str,
    exact: bool = True,
    rate: float | None = None,
    companion: Companion | None = None,
    way: Way = CONNECTOR_S_OWN,
    report: Callable[[Outcome], None] = lambda _outcome: None,
    aborted: Callable[[], None] = lambda: None,
) -> Outcome:
    """Replay records until all have ended, or until SIGINT or SIGTERM.

    The first signal drains and commits; a second ends the process at once with 130. What fails
    again goes to the dead-letter topic, whatever ``errors.tolerance`` says: it came from there, or
    nobody waits for it.

    Args:
        settings: the connector's; a replay takes `SHARE` of its rates.
        rate: messages a second, instead of its share of them.
        companion: goes along.
        chosen: which records; offsets at which nothing stands any more are left.
        replay_id: names the group and stands in the headers of what fails again.
        exact: as in :class:`Outcome`.
        way: how they are sent.
        report: called a few times a second with how far it is.
        aborted: called just before a second signal ends the process.

    Raises:
        Misconfigured: a schema or mapping set is wrong, before anything is read.
    """
    with _stopped_by_signals(lambda: running, aborted):
        running = _Replay(
            settings if rate is None else with_rate(settings, rate),
            chosen,
            replay_id,
            way,
            companion or Alone(),
        )
        running.outcome.exact = exact
        running.outcome.before = way.before
        return await running.run(report)


class _Replay:
    """One run: a machine like a task's, fed from pinned ranges."""

    def __init__(
        self,
        settings: Settings,
        chosen: Chosen,
        replay_id: str,
        way: Way,
        companion: Companion,
    ) -> None:
        self.outcome = Outcome(replay_id, group_of(settings, replay_id), chosen.count)
        self._settings = settings
        self._chosen = chosen
        self._companion = companion
        client_id = f"{settings.name}-replay-{replay_id}"
        wiring = Wiring(
            way.names or Names(settings.name, TASK_ID, settings.dead_letter_topic, replay_id),
            client_id=client_id,
            share=SHARE,
            turn=self._turn,
            rest=self._rest,
            brakes=False,
            read_story=way.read_story,
            ended=self._ended,
            newer=way.newer,
            id_label=way.id_label,
            max_made_bytes=_ahead_bytes(settings.delivery),
        )
        give_up_s = settings.errors.retry_timeout_s
        machine = build(settings, wiring)
        self._task = Task(
            machine,
            Limits(settings.delivery.drain_timeout_s, give_up_s if give_up_s >= 0 else None),
            stop_when_exhausted=True,
        )
        self._source = Source(
            consumer_properties(settings.kafka, self.outcome.group_id, client_id),
            Ranges(chosen.spans, chosen.has, way.starts),
            self._task,
            post=asyncio.get_running_loop().call_soon_threadsafe,
            drain_timeout_s=settings.delivery.drain_timeout_s,
            credentials=Credentials(settings.kafka, "consumer"),
        )

    def stop(self) -> bool:
        """Drain and end; whether this was asked for before."""
        before = self.outcome.interrupted
        self.outcome.interrupted = True
        self._task.stop()
        return before

    def end(self, why: str) -> None:
        """Drain and end, because of this."""
        if not self.outcome.failure:
            self.outcome.failure = why
            log.warning("The replay ends.", replay=self.outcome.replay_id, why=why)
        self._task.stop()

    def _ended(self, passage: Passage, ending: Ending) -> None:
        self.outcome.count(passage, ending)
        self._companion.ended(passage, ending)

    def _turn(self, on: bool) -> None:  # noqa: FBT001 - the valve's callback
        self._task.flow(on)

    def _rest(self, partitions: Iterable[TopicPartition]) -> None:
        self._task.rest(partitions)

    async def run(self, report: Callable[[Outcome], None]) -> Outcome:
        outcome = self.outcome
        log.info("The replay begins.", replay=outcome.replay_id, group=outcome.group_id)
        company = asyncio.create_task(self._companion.run(outcome, self.end))
        company.add_done_callback(self._left_alone)
        beside = {asyncio.create_task(self._watch(report)), company}
        try:
            outcome.finished = await self._task.run(self._source)
        except TaskFailed as error:
            outcome.failure = str(error)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            report(outcome)
        if not company.cancelled() and (defect := company.exception()) is not None:
            raise defect
        return outcome

    def _left_alone(self, company: asyncio.Task[None]) -> None:
        """Send no more when nobody notes what becomes of it: a defect."""
        if not company.cancelled() and company.exception() is not None:
            self._task.stop()

    async def _watch(self, report: Callable[[Outcome], None]) -> None:
        while True:
            report(self.outcome)
            await asyncio.sleep(LOOK_EVERY_S)


def _ahead_bytes(delivery: DeliverySettings) -> int:
    """How much may be made ahead: what a second takes.

    Whether a record is old news is asked when its messages are made, so that has to be shortly
    before they are sent.
    """
    rate = delivery.messages_per_second * SHARE
    return min(MADE_BYTES, max(1, int(rate * AHEAD_S * MESSAGE_BYTES))) if rate else MADE_BYTES


@contextmanager
def _stopped_by_signals(
    running: Callable[[], _Replay], aborted: Callable[[], None]
) -> Iterator[None]:
    """Let the first signal stop a replay, and the second end the process.

    Args:
        running: the replay. The loop asks for it when it next has its turn, so a signal that comes
            while the replay is built stops it as soon as it begins.
        aborted: called just before the process ends.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if running().stop():
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
