"""What today's schemas make of a record: decoded, mapped and checked, and nothing sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from processor.connector.assembly import Shaping, shaping
from processor.connector.graveyard import Names, letter_of
from processor.connector.passage import Failure, Named, Parcel, Passage, Story
from processor.connector.transform import Newer
from processor.errors import Code, Filtered, FilterReason, Refused
from processor.kafka.letter import read_letter
from processor.operations.chosen import Chosen
from processor.operations.letters.find import read_story
from processor.operations.reading import Reader
from processor.record import Event, Record
from processor.schemas.decoder import SchemaMissing
from processor.schemas.registry import SchemaRegistry
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of a record.

    Attributes:
        passage: holds the failures if there are any.
        event: `None` when it could not be decoded, or is left out before that.
        parcels: the messages that would be sent.
        filtered: why the record would be left out, `None` when it would not.
    """

    passage: Passage
    event: Event | None = None
    parcels: tuple[Parcel, ...] = ()
    filtered: FilterReason | None = None

    @property
    def fails(self) -> bool:
        """Whether the record would be dead-lettered before anything is sent."""
        return bool(self.passage.failures)


class Rehearsal:
    """The pipeline's own decoder, mapping and gates, without the rest of it.

    Args:
        shapes: compiled from the settings.
        registry: where writer schemas come from; `None` when the settings have none.
    """

    def __init__(self, shapes: Shaping, registry: SchemaRegistry | None, names: Names) -> None:
        self.shapes = shapes
        self._registry = registry
        self._names = names

    async def rehearse(self, record: Record, story: Story | None = None) -> Rehearsed:
        """Carry a record as far as its messages.

        Args:
            record: the bytes.
            story: for a dead letter, what it says of its first life.

        Raises:
            TryAgain: the schema registry does not answer.
            Misconfigured: it refuses us, or the record needs one and none is configured.
        """
        passage = Passage(record, 0, story=story)
        try:
            event = await self.decode(record)
        except Filtered as filtered:
            passage.keep_name(filtered.event_name)
            return Rehearsed(passage, filtered=filtered.reason)
        except Refused as error:
            passage.keep_name(error.event_name, error.event_id)
            passage.failures.append(Failure("", error))
            return Rehearsed(passage)
        passage.event = Named(event.name, event.event_id, event.schema_id)
        parcels = self.shapes.transform.parcels(passage, event)
        if not parcels and not passage.failures:
            reason = FilterReason.STALE if passage.stale else FilterReason.NO_TARGET
            return Rehearsed(passage, event, filtered=reason)
        return Rehearsed(passage, event, tuple(parcels))

    async def decode(self, record: Record) -> Event:
        """Decode a record, with its writer schema fetched when it is not known yet.

        Raises:
            Refused: the record is at fault.
            Filtered: the settings leave it out.
            TryAgain: the schema registry does not answer.
            Misconfigured: it refuses us, or the record needs one and none is configured.
        """
        decoder = self.shapes.decoder
        try:
            return decoder.decode(record)
        except SchemaMissing as missing:
            if self._registry is None:
                raise AssertionError("a schema is missing only where a registry is set") from None
            try:
                decoder.learn(missing.key, await self._registry.fetch(missing.key))
            except Refused as error:
                decoder.learn(missing.key, error)
        return decoder.decode(record)

    def fingerprint(self, rehearsed: Rehearsed) -> str:
        """The fingerprint that its dead letter would have."""
        return letter_of(rehearsed.passage, self._names).fingerprint


@asynccontextmanager
async def rehearsing(settings: Settings, *, newer: Newer | None = None) -> AsyncIterator[Rehearsal]:
    """A rehearsal with today's schemas; closes its connections.

    Args:
        settings: the connector's.
        newer: for records of a source topic, whether it holds a later one; `None`: nobody asks.

    Raises:
        Misconfigured: a schema or mapping set is wrong; says every problem.
    """
    shapes = shaping(settings, newer=newer)
    registry = (
        SchemaRegistry(settings.schema_registry) if settings.schema_registry is not None else None
    )
    names = Names(settings.name, "", settings.dead_letter_topic)
    try:
        yield Rehearsal(shapes, registry, names)
    finally:
        if registry is not None:
            await registry.aclose()


class Expected(StrEnum):
    """What a replay of a dead letter is expected to come to."""

    MENDED = "would_pass"
    """What failed can be proven mended here."""
    UNKNOWN_UNTIL_SENT = "unknown_until_sent"
    """It failed at Experience Platform: only that can tell."""
    WOULD_FAIL = "would_fail"
    FILTERED = "filtered"
    STALE = "stale"
    """Nothing would be sent: it only sets states, and its source topic holds later records."""


class Expectation(NamedTuple):
    """What a replay of a dead letter is expected to come to, and more of it.

    Attributes:
        code: of the failure; likewise ``fingerprint``.
        reason: why it would be left out.
        partly_stale: some of it would not be sent, as with `Expected.STALE`.
    """

    expected: Expected
    code: Code | None = None
    fingerprint: str = ""
    reason: FilterReason | None = None
    partly_stale: bool = False

    def document(self) -> dict[str, Any]:
        """What there is to say of it, for programs."""
        failure = {"code": self.code, "fingerprint": self.fingerprint} if self.code else {}
        return {
            "expected": self.expected.value,
            **failure,
            **({"reason": self.reason} if self.reason else {}),
            **({"partly_stale": True} if self.partly_stale else {}),
        }


def expectation(rehearsal: Rehearsal, rehearsed: Rehearsed, before: Code) -> Expectation:
    """What is expected of a letter that failed with a code before."""
    stale = bool(rehearsed.passage.stale)
    if rehearsed.fails:
        code = rehearsed.passage.failures[0].error.code
        mark = rehearsal.fingerprint(rehearsed)
        return Expectation(Expected.WOULD_FAIL, code, mark, partly_stale=stale)
    if stale and not rehearsed.parcels:
        return Expectation(Expected.STALE)
    if rehearsed.filtered is not None:
        return Expectation(Expected.FILTERED, reason=rehearsed.filtered)
    if before.value.startswith("delivery."):
        return Expectation(Expected.UNKNOWN_UNTIL_SENT, partly_stale=stale)
    return Expectation(Expected.MENDED, partly_stale=stale)


@dataclass(slots=True)
class Prediction:
    """What a replay of dead letters would come to.

    Attributes:
        letters: by what is expected of them.
        gone: were there when they were chosen, and are no more.
    """

    letters: dict[Expectation, Chosen] = field(default_factory=dict)
    gone: int = 0

    def counts(self, expected: Expected) -> dict[Expectation, int]:
        """How many letters, by what exactly is expected; the most first."""
        counts = {e: c.count for e, c in self.letters.items() if e.expected is expected}
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0]))))


async def predict(
    reader: Reader,
    rehearsal: Rehearsal,
    letters: Chosen,
    *,
    story: Callable[[Record], Story | None] = read_story,
    looked_at: Callable[[int], None] = lambda _count: None,
) -> Prediction:
    """Rehearse every letter that was chosen.

    Args:
        reader: of Kafka.
        rehearsal: with today's schemas.
        letters: their coordinates.
        story: what a letter says of its record's first life.
        looked_at: called now and then with how many are done.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: one of them refuses us.
    """
    prediction, done = Prediction(), 0
    for records in chosen_records(reader, letters):
        for record in records:
            letter = read_letter(record)
            if letter is not None:
                rehearsed = await rehearsal.rehearse(record, story(record))
                expected = expectation(rehearsal, rehearsed, letter.code)
                prediction.letters.setdefault(expected, Chosen()).add(record.position)
                done += 1
        looked_at(done)
        await asyncio.sleep(0)  # an interrupt is delivered here
    prediction.gone = letters.count - done
    return prediction


def chosen_records(reader: Reader, chosen: Chosen) -> Iterator[list[Record]]:
    """The records that were chosen and are still there, batch by batch.

    Raises:
        TryAgain: Kafka stopped answering.
        Misconfigured: Kafka refuses us.
    """
    with reader.reading(chosen.spans, chosen.has) as reading:
        yield from reading
