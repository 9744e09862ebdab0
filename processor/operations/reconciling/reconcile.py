"""Do the books balance? Read from Kafka alone: records, dead letters and committed offsets."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from processor.errors import Code, Misconfigured
from processor.operations.bounds import Bounds, TopicChoice, partitions_of, spans_of
from processor.operations.reading import Spans
from processor.operations.reconciling.books import (
    SENT_BEFORE,
    Books,
    Finding,
    Told,
    Verdict,
    accounts,
    shown,
    verdict_of,
)
from processor.operations.reconciling.kafka import BooksReader, Keeping
from processor.operations.reconciling.letters import LetterLogs, Tales, doubt_letters
from processor.operations.rehearsal import Rehearsal, rehearsing
from processor.record import Record, TopicPartition
from processor.settings import Settings

RESTS_ON = (
    """Delivered is inferred: the connector commits an offset only when every record below it has
    ended. Kafka holds no receipt of Experience Platform.""",
    """Kafka does not tell whether somebody moved the committed offset forward, or let the group
    begin at the end of the topic: what was skipped would count as delivered here.""",
    """Filtered is what today's settings, schemas and registry leave out. That they were the same
    then is known only as far as no record contradicts it.""",
    """Dead letters are looked for in today's dead-letter topic under today's connector name; only
    one that holds the record itself (key, value and time) makes it a dead letter here.""",
)
"""What a balance is worth, said with each one."""


def sentences() -> list[str]:
    """What a balance rests on, one line each."""
    return [" ".join(text.split()) for text in RESTS_ON]


@dataclass(frozen=True, slots=True)
class Report:
    """The books of every partition that was asked for.

    Attributes:
        findings: about no partition in particular.
    """

    books: tuple[Books, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What can be said of all of them together."""
        return verdict_of([*self.findings, *(f for books in self.books for f in books.findings)])

    @property
    def total(self) -> Books:
        """The sums; its partition and span mean nothing."""
        total = Books(TopicPartition("total", 0), 0, 0, None)
        for books in self.books:
            total.consumed += books.consumed
            total.delivered += books.delivered
            total.dead_lettered += books.dead_lettered
            total.filtered += books.filtered
            total.open += books.open
            total.unexplained += books.unexplained
        return total

    def documents(self) -> list[dict[str, Any]]:
        """One object a partition, then one of all."""
        total = {
            "total": True,
            **accounts(self.total),
            "verdict": self.verdict,
            "findings": [shown(finding) for finding in self.findings],
            "rests_on": sentences(),
        }
        return [*(books.document() for books in self.books), total]


@dataclass(slots=True)
class Reconciliation:
    """What is to be looked at, pinned by :func:`prepare`.

    Attributes:
        books: one of each partition, empty so far.
        upto: where it was asked to end; `None`: with the log.
    """

    books: dict[TopicPartition, Books]
    upto: Mapping[TopicPartition, int | None]
    lows: Mapping[TopicPartition, int]
    known: Mapping[str, int]
    _settings: Settings
    _reader: BooksReader
    _findings: list[Finding] = field(default_factory=list)

    @property
    def spans(self) -> Spans:
        """The offsets to read."""
        return {p: (b.start, b.end) for p, b in self.books.items() if b.start < b.end}

    @property
    def offsets(self) -> int:
        """How many offsets that are."""
        return sum(end - start for start, end in self.spans.values())

    async def run(self, looked_at: Callable[[int], None] = lambda _count: None) -> Report:
        """Read letters and records; blocks between records, commits nothing, sends nothing.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        topics = {partition.topic for partition in self.books}
        dead_letters = {topic: self._settings.dead_letter_topic(topic) for topic in topics}
        keeping = self._reader.keeping(
            [*topics, *(name for name in set(dead_letters.values()) if name in self.known)]
        )
        async with rehearsing(self._settings) as rehearsal:
            # Ends of the dead-letter topics are looked up after the committed offsets: a letter is
            # acknowledged before its record's offset is committed, so it is within them.
            logs = LetterLogs(self._reader, set(dead_letters.values()), self.known)
            tales = Tales(
                self._settings.name,
                {p: (b.start, self.upto[p]) for p, b in self.books.items()},
                {topic: self.known[topic] for topic in topics},
            )
            await logs.read(tales)
            await self._read(rehearsal, tales, looked_at)
        self._look_again(tales, keeping)
        for partition, books in self.books.items():
            name = dead_letters[partition.topic]
            doubt_letters(books, logs, name, keeping.get(name), keeping[partition.topic])
        if tales.stray is not None:
            self._findings.append(tales.stray)
        return Report(tuple(self.books.values()), tuple(self._findings))

    async def _read(
        self, rehearsal: Rehearsal, tales: Tales, looked_at: Callable[[int], None]
    ) -> None:
        done = 0
        with self._reader.reading(self.spans) as reading:
            for records in reading:
                for record in records:
                    await self._meet(record, rehearsal, tales)
                done += len(records)
                looked_at(done)
                await asyncio.sleep(0)  # an interrupt is delivered here

    async def _meet(self, record: Record, rehearsal: Rehearsal, tales: Tales) -> None:
        partition = TopicPartition(record.topic, record.partition)
        books, told = self.books[partition], tales.take(partition, record.offset)
        if books.has_ended(record):
            today = await rehearsal.rehearse(record) if _matters(told) else None
            books.meet_ended(record, told, today)
        else:
            books.meet_open(record, told)

    def _look_again(self, tales: Tales, keeping: Mapping[str, Keeping | None]) -> None:
        """Judge what is left over, with the logs as they are now."""
        lows, ends = self._reader.starts(list(self.books)), self._reader.written(list(self.books))
        for partition, books in self.books.items():
            kept = keeping[partition.topic]
            books.meet_letters_left(
                tales.left(partition),
                log_end=ends[partition],
                compacted=None if kept is None else kept.compacted,
            )
            if lows[partition] > self.lows[partition] and books.start < lows[partition]:
                books.find("doubt", "removed_meanwhile", REMOVED_MEANWHILE)


def prepare(
    settings: Settings, choices: Sequence[TopicChoice], bounds: Bounds, *, whole: bool
) -> Reconciliation:
    """Pin what is looked at: first the committed offsets, then the ends of the logs.

    Args:
        settings: name group, dead-letter topics, schemas.
        choices: source topics.
        bounds: of the span.
        whole: it was not said where to begin: with the first record that there ever was.

    Raises:
        Misconfigured: a topic or partition does not exist, or is one that the connector writes.
        TryAgain: no broker answers.
    """
    own = next((c.topic for c in choices if settings.is_own_topic(c.topic)), None)
    if own is not None:
        raise Misconfigured(f"{own} is a topic of the connector's own; name a source topic.")
    reader = BooksReader(settings)
    known = reader.topics()
    partitions = partitions_of(choices, known)
    committed = reader.committed(settings.group_id, partitions)
    spans = spans_of(reader, partitions, bounds)
    lows, stable = reader.starts(partitions), reader.ends(partitions)
    written = reader.written(partitions)
    begins = dict.fromkeys(partitions, 0) if whole else _begins(reader, bounds, lows, stable)
    books: dict[TopicPartition, Books] = {}
    upto: dict[TopicPartition, int | None] = {}
    for partition in partitions:
        start, end = spans.get(partition, (lows[partition], lows[partition]))
        upto[partition] = bounds.to_offset
        if bounds.to_ms is not None and end < stable[partition]:
            upto[partition] = end
        books[partition] = made = Books(partition, start, end, committed[partition])
        _look_at_removed(made, begins[partition], lows[partition])
        _look_at_commit(made, lows[partition], stable[partition], written[partition])
    return Reconciliation(books, upto, lows, known, settings, reader)


def _begins(
    reader: BooksReader,
    bounds: Bounds,
    lows: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Where the span begins as it was asked for; below the log's start: something is missing."""
    if bounds.from_offset is not None:
        return dict.fromkeys(lows, bounds.from_offset)
    if bounds.from_ms is None:
        return dict(lows)
    found = reader.at(list(lows), bounds.from_ms)
    begins = {}
    for partition, low in lows.items():
        offset = found[partition]
        # Whether the one before the oldest was younger than that time, nobody can tell any more.
        unknown = offset == low or (offset is None and ends[partition] == low)
        begins[partition] = max(low - 1, 0) if unknown else low
    return begins


def _look_at_removed(books: Books, begin: int, low: int) -> None:
    if begin < low:
        books.find("doubt", "removed", f"{REMOVED} The log begins at offset {low}.")


def _look_at_commit(books: Books, low: int, stable: int, written: int) -> None:
    committed = books.committed
    if committed is None:
        if books.start < books.end:
            books.find("doubt", "no_commit", NO_COMMIT)
    elif committed > written:
        message = f"{COMMIT_BEYOND_LOG_END} (committed {committed}, log end {written})"
        books.find("contradiction", "commit_beyond_log_end", message)
    elif committed < low and books.start == low:
        message = f"{COMMIT_BEFORE_LOG_START} (committed {committed}, log start {low})"
        books.find("doubt", "commit_before_log_start", message)
    elif stable < written and committed > stable:
        books.find("doubt", "unfinished_transaction", UNFINISHED_TRANSACTION)


def _matters(told: Told | None) -> bool:
    """Whether it has to be known what would become of a record today."""
    if told is None:
        return True
    if told.code is None:
        return not (told.foreign or told.unreadable)
    # What crashed a process once is not tried again here.
    return not told.code.startswith(SENT_BEFORE) and told.code is not Code.DECODE_CRASH


REMOVED = (
    "records of the span are no longer there, so nobody can tell what became of them; "
    "--from-earliest asks only for what is left."
)
REMOVED_MEANWHILE = "records of the span were removed while it was read; run it again"
NO_COMMIT = (
    "the group has no committed offset here: nothing has ended yet, or its offsets have expired or "
    "were deleted"
)
COMMIT_BEYOND_LOG_END = (
    "the group has committed more than the log ever held: the topic was recreated or lost its end, "
    "or the offset was set by hand"
)
COMMIT_BEFORE_LOG_START = (
    "the records between the committed offset and the log's start were removed before they ended"
)
UNFINISHED_TRANSACTION = "an unfinished transaction hides records below the committed offset"
