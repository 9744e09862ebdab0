"""Passages that failed to acknowledged dead letters, however long that takes."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import processor
from processor.connector.backoff import Backoff
from processor.connector.passage import Failure, Passage
from processor.connector.pauses import Pauses
from processor.errors import Misconfigured, Refused, Stage, TryAgain, fingerprint
from processor.kafka.dead_letters import DeadLetterWriter, LetterTooLarge
from processor.kafka.letter import STACKTRACE_BYTES, Letter, now_rfc3339
from processor.kafka.topics import Topics
from processor.record import Position
from processor.schemas.wire import schema_id_of
from processor.telemetry.metrics import TaskMetrics

CLASS_OF_STAGE = {
    Stage.VALUE_CONVERTER: "processor.schemas.decoder.Decoder",
    Stage.TRANSFORMATION: "processor.connector.transform.Transform",
    Stage.TASK_PUT: "processor.connector.delivery.Inlet",
}
VIOLATIONS_A_LETTER = 20
SILENT_S = 10.0
"""A broker that is well acknowledges within milliseconds; the producer itself gives up later."""

Acknowledged = Callable[[Passage], None]


@dataclass(frozen=True, slots=True)
class Names:
    """Who writes the letters, and where to.

    Attributes:
        dead_letter_topic: gives the dead-letter topic of a source topic.
        replay_id: set when the records are replayed.
        targets: what a letter names that failed before any target; empty: every target is meant.
    """

    connector: str
    task_id: str
    dead_letter_topic: Callable[[str], str]
    replay_id: str | None = None
    targets: tuple[str, ...] = ()


class DeadLetters:
    """Writes the letters of one task and waits for each acknowledgement.

    A topic that is missing, full, denied or away keeps the letter, and so the offset, waiting; the
    record is never given up.

    Args:
        wanted: whether a record is still ours; a letter for another is its next owner's to write.
    """

    def __init__(
        self,
        writer: DeadLetterWriter,
        topics: Topics,
        names: Names,
        *,
        wanted: Callable[[Passage], bool],
        backoff: Backoff,
        pauses: Pauses,
        metrics: TaskMetrics,
    ) -> None:
        self._writer = writer
        self._topics = topics
        self._names = names
        self._wanted = wanted
        self._backoff = backoff
        self._pauses = pauses
        self._metrics = metrics
        self._asked: asyncio.Queue[tuple[Passage, Acknowledged]] = asyncio.Queue()
        self._looking = asyncio.Lock()
        self._held: defaultdict[str, set[Passage]] = defaultdict(set)

    def bury(self, passage: Passage, acknowledged: Acknowledged) -> None:
        """Write the dead letter, for as long as it takes; then call ``acknowledged`` once."""
        self._asked.put_nowait((passage, acknowledged))

    async def run(self) -> None:
        """Write what is wanted until cancelled."""
        async with asyncio.TaskGroup() as letters:
            while True:
                passage, acknowledged = await self._asked.get()
                letters.create_task(self._write(passage, acknowledged))

    async def _write(self, passage: Passage, acknowledged: Acknowledged) -> None:
        letter = letter_of(passage, self._names)
        topic = self._names.dead_letter_topic(letter.source.topic)
        try:
            if await self._written(passage, letter, topic):
                acknowledged(passage)
        finally:
            held = self._held[topic]
            held.discard(passage)
            if not held:
                self._pauses.end("dead_letter_topic", who=topic)

    async def _written(self, passage: Passage, letter: Letter, topic: str) -> bool:
        """Try until the letter is acknowledged; False when it is not ours to write any more."""
        attempts, trimmed = 0, False
        while self._wanted(passage):
            attempts += 1
            try:
                await self._send(topic, letter, passage)
            except LetterTooLarge as error:
                if not trimmed:
                    letter, trimmed = letter.trimmed(), True
                    continue
                self._wait(error, topic, passage)
            except Misconfigured as error:
                self._wait(error, topic, passage)
            except TryAgain as error:
                self._topics.forget(topic)
                self._wait(error, topic, passage)
            else:
                return True
            await asyncio.sleep(self._backoff.wait_s(attempts))
        return False

    def _wait(self, error: TryAgain | Misconfigured, topic: str, passage: Passage) -> None:
        self._metrics.dlq_produce_failures.inc()
        self._hold(topic, passage, str(error), of_setup=isinstance(error, Misconfigured))

    def _hold(self, topic: str, passage: Passage, why: str, *, of_setup: bool) -> None:
        """Say that a letter waits; it is over when none of those of its topic does."""
        self._held[topic].add(passage)
        self._pauses.begin("dead_letter_topic", why, who=topic, of_setup=of_setup)

    async def _send(self, topic: str, letter: Letter, passage: Passage) -> None:
        count = self._topics.known_partitions(topic)
        if count is None:
            count = await self._look_up(topic, letter.source.topic)
        partition = letter.source.partition if letter.source.partition < count else None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[TryAgain | Misconfigured | None] = loop.create_future()

        def tell(error: TryAgain | Misconfigured | None) -> None:
            if not answer.done():
                answer.set_result(error)

        def acknowledged(error: TryAgain | Misconfigured | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who asked
                loop.call_soon_threadsafe(tell, error)

        self._writer.write(topic, letter, partition=partition, acknowledged=acknowledged)
        if not (await asyncio.wait({answer}, timeout=SILENT_S))[0]:
            why = f"Topic {topic} has not acknowledged a dead letter for {SILENT_S:g} s."
            self._hold(topic, passage, why, of_setup=False)
        error = await answer
        if error is not None:
            raise error

    async def _look_up(self, topic: str, source_topic: str) -> int:
        """Ask for a topic's partitions; one thread at a time, however many letters wait.

        The threads are few and shared: a heartbeat must not wait behind a broker that is away.
        """
        async with self._looking:
            known = self._topics.known_partitions(topic)
            if known is not None:
                return known
            return await asyncio.to_thread(self._topics.dead_letter_partitions, topic, source_topic)


def letter_of(passage: Passage, names: Names) -> Letter:
    """The dead letter of a passage that failed; its first failure names it."""
    record, story, failures = passage.record, passage.story, passage.failures
    first = failures[0].error
    targets = tuple(failure.target for failure in failures if failure.target)
    if targets:
        targets += passage.stale  # not sent either, and nothing else would tell
    if not targets:
        targets = names.targets if story is None else tuple(sorted(story.targets))
    source = (
        record.position if story is None else Position(story.topic, story.partition, story.offset)
    )
    event = passage.event
    return Letter(
        source=source,
        source_timestamp_ms=passage.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers if story is None else story.headers,
        connector=names.connector,
        task_id=names.task_id,
        code=first.code,
        class_name=CLASS_OF_STAGE[first.code.stage],
        exception_class_name="processor.errors.Refused",
        message=str(first),
        stacktrace=stacktrace(failures[0]),
        fingerprint=fingerprint_of(first, passage, targets[0] if targets else ""),
        targets=targets,
        event_id=event.event_id if event is not None else None,
        event_name=event.name if event is not None else None,
        schema_id=schema_id(passage) or None,
        attempts=max(failure.attempts for failure in failures),
        http_status=first.http_status,
        xaction_id=first.xaction_id,
        errors=tuple(v for f in failures for v in f.error.violations)[:VIOLATIONS_A_LETTER],
        failed_at=now_rfc3339(),
        replay_id=names.replay_id,
        replay_count=0 if story is None else story.replay_count + 1,
        version=processor.__version__,
    )


def fingerprint_of(error: Refused, passage: Passage, target: str) -> str:
    """The fingerprint of a failure; a message's index says nothing about the kind."""
    target = target.partition("#")[0]
    return fingerprint(error.code, pointer=error.pointer, schema=schema_id(passage), target=target)


def schema_id(passage: Passage) -> str:
    """How the record names its writer's schema, decodable or not; empty when it names none."""
    if passage.event is not None:
        return passage.event.schema_id
    return schema_id_of(passage.record.value, passage.record.headers)


def stacktrace(failure: Failure) -> str:
    """Where a failure's error was raised, at most 4 KiB.

    Frames and our own message only: the text of a foreign error may quote the record.
    """
    error = failure.error
    text = f"Traceback (most recent call last):\n{failure.frames}{type(error).__name__}: {error}"
    return text.encode()[-STACKTRACE_BYTES:].decode(errors="ignore")
