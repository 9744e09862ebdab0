"""One record's whole story from Kafka and the registry: where it stands, what became of it, why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from processor.errors import Code, ProcessorError, Refused
from processor.kafka.letter import Letter, read_letter
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.letters.done import LettersDone
from processor.operations.letters.fields import fields_of, header_shown, more_of, rfc3339
from processor.operations.letters.find import is_letter_topic, one
from processor.operations.letters.view import event_shown, today_shown
from processor.operations.masking import log_reveal, shown_key, size_and_hash
from processor.operations.offsets.offsets import Standing, standings
from processor.operations.reconciling.kafka import BooksReader
from processor.operations.rehearsal import Rehearsal, Rehearsed, rehearsing
from processor.operations.tracing.ending import Ending, ending_of
from processor.operations.tracing.letters import LetterSearch, Told
from processor.record import Position, Record, TopicPartition
from processor.schemas.wire import SCHEMA_ID_HEADER, Fingerprinted, Json, Registered, unframe
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Trace:
    """One record's story, masked or revealed.

    Attributes:
        asked: the coordinates that were given: of the record, or of a dead letter of it.
        place: of the record.
        log: what its partition holds now, first offset and the one after the last; `None`: there is
            no such partition.
        gone: why the record is not there; empty: it is.
        shown_from: the dead letter that stands in for a record that is gone.
        record: timestamp, key, headers, value and framing; `None`: nothing is left of it.
        standing: the group, its committed offset, and where the record lies.
        letters: what each dead letter of the record says, the oldest first.
        notes: what limits all this, one sentence each.
    """

    asked: Position
    place: Position
    log: tuple[int, int] | None
    gone: str
    shown_from: Position | None
    record: dict[str, Any] | None
    event: dict[str, Any] | None
    today: list[dict[str, Any]]
    standing: dict[str, Any]
    ending: Ending
    letters: list[dict[str, Any]]
    notes: list[str]

    def document(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "topic": self.place.topic,
            "partition": self.place.partition,
            "offset": self.place.offset,
            "asked": self.asked._asdict(),
            "found": not self.gone,
            "gone": self.gone or None,
            "log_start": self.log and self.log[0],
            "log_end": self.log and self.log[1],
            "shown_from": self.shown_from and self.shown_from._asdict(),
            **(self.record or NOTHING_LEFT),
            "event": self.event,
            "today": self.today,
            "standing": self.standing,
            "ending": self.ending.word,
            "ending_because": self.ending.because,
            "letters": self.letters,
            "notes": self.notes,
        }


NOTHING_LEFT = dict.fromkeys(("timestamp", "key", "headers", "value", "framing"))


@dataclass(slots=True)
class Tracing:
    """What is looked at, pinned by :func:`prepare`.

    Attributes:
        search: for the record's dead letters; run it before :meth:`tell`.
    """

    asked: Position
    place: Position
    search: LetterSearch
    _settings: Settings
    _record: Record | None
    _gone: str
    _log: tuple[int, int] | None
    _standing: Standing | None
    _notes: list[str] = field(default_factory=list)

    async def tell(self, *, reveal: bool) -> Trace:
        """Decode, map and check the record with today's schemas, and put the story together.

        Args:
            reveal: show customers' values; that is logged first.

        Raises:
            Misconfigured: the schemas or mapping sets are wrong.
            TryAgain: no broker answers.
        """
        letters = self.search.letters
        record, shown_from = self._record, None
        if record is None and letters:
            last = letters[-1]
            record, shown_from = _first_life(last.found.letter), last.found.position
        if reveal:
            log_reveal(self.place)
        notes = [*self._notes, *self._notes_on_letters()]
        done = LettersDone(self._settings)
        shown: dict[str, Any] | None = None
        event, today, rehearsed = None, [], None
        if record is not None:
            async with rehearsing(self._settings) as rehearsal:
                rehearsed = await self._rehearse(rehearsal, record, letters, notes)
                shown = _record_shown(record, self._settings, rehearsal, reveal=reveal)
                if rehearsed is not None:
                    event = event_shown(rehearsed, rehearsal, reveal=reveal)
                    today = today_shown(rehearsed, rehearsal, self._settings, reveal=reveal)
        where = _where(self.place, self._standing, self._log)
        return Trace(
            self.asked,
            self.place,
            self._log,
            self._gone,
            shown_from,
            shown,
            event,
            today,
            {"group": self._settings.group_id, **where},
            ending_of(where["where"], letters, rehearsed, removed=self.search.removed),
            [_letter_shown(told, done, reveal=reveal) for told in letters],
            notes,
        )

    async def _rehearse(
        self, rehearsal: Rehearsal, record: Record, letters: Sequence[Told], notes: list[str]
    ) -> Rehearsed | None:
        if any(told.found.letter.code is Code.DECODE_CRASH for told in letters):
            notes.append("It is not decoded here: that had crashed a process once.")
            return None
        try:
            return await rehearsal.rehearse(record)
        except ProcessorError as error:
            # Without a registry the rest of the story can still be told.
            notes.append(f"It cannot be decoded now: {error}")
            return None

    def _notes_on_letters(self) -> list[str]:
        search, notes = self.search, []
        if search.missing:
            notes.append(f"There is no dead-letter topic {search.topic}.")
        if search.removed and not search.letters:
            notes.append(f"Letters of its time may have been removed from {search.topic}.")
        if search.foreign:
            notes.append(f"Letters of other connectors name it too: {search.foreign}.")
        if search.unreadable:
            notes.append(f"Letters that cannot be read name it too: {search.unreadable}.")
        if any(told.same is False for told in search.letters):
            notes.append(
                "A dead letter names these coordinates and holds another record: the topic was "
                "recreated, or the letter copied."
            )
        return notes


def prepare(settings: Settings, asked: Position) -> Tracing:
    """Find the record, or the one that a dead letter names, and where the group stands.

    Args:
        settings: name group, topics and schemas.
        asked: coordinates of a record, or of a dead letter of ours.

    Raises:
        Misconfigured: the topic or the partition does not exist, or Kafka refuses us.
        TryAgain: no broker answers.
    """
    reader = BooksReader(settings)
    known = reader.topics()
    partitions_of([TopicChoice(asked.topic, (asked.partition,))], known)
    place, notes = asked, list[str]()
    if is_letter_topic(settings, asked.topic):
        place = _source(reader, asked, notes)
    record, gone, log, standing = None, "", None, None
    if place.partition < known.get(place.topic, 0):
        partition = TopicPartition(place.topic, place.partition)
        # First the committed offset: what is found open then was so a moment ago.
        standing = standings(reader, settings, settings.group_id, [partition])[partition]
        record = one(reader, place)
        log = reader.starts([partition])[partition], reader.written([partition])[partition]
        if record is None:
            gone = _why_gone(place, log, readable=reader.ends([partition])[partition])
    else:
        gone = f"There is no partition {place.topic}-{place.partition} any more."
    search = LetterSearch(reader, settings, known, place, record)
    return Tracing(asked, place, search, settings, record, gone, log, standing, notes)


def _source(reader: BooksReader, asked: Position, notes: list[str]) -> Position:
    """The record that a letter is about; the letter itself where it tells of none."""
    record = one(reader, asked)
    letter = None if record is None else read_letter(record)
    if record is None:
        return asked
    if letter is None:
        notes.append("It stands in a dead-letter topic, and its headers are no dead letter's.")
        return asked
    notes.append(f"{asked} is a dead letter; this is the story of the record that it is about.")
    return letter.source


def _why_gone(place: Position, log: tuple[int, int], *, readable: int) -> str:
    start, end = log
    holds = (
        f"the log holds offsets {start} to {end - 1}"
        if start < end
        else f"the log is empty, its next offset is {end}"
    )
    if place.offset >= end:
        return f"Nothing has been written at {place} yet: {holds}."
    if place.offset < start:
        return f"The record at {place} was removed (retention, or kafka-delete-records): {holds}."
    if place.offset >= readable:
        return f"An unfinished transaction hides what stands at {place}: {holds}."
    return (
        f"No record stands at {place}: compaction removed it, its transaction was aborted, or the "
        f"offset is a transaction's marker; {holds}."
    )


def _where(
    place: Position, standing: Standing | None, log: tuple[int, int] | None
) -> dict[str, Any]:
    """Where a record lies by the committed offset."""
    found = {
        "committed_offset": None if standing is None else standing.committed,
        "metadata_ignored": (standing.ignored or None) if standing is not None else None,
    }
    if standing is None or log is None:
        word = "unknown"
    elif place.offset >= log[1]:
        word = "not_written"
    elif standing.committed is None:
        word = "no_commit" if standing.consumed else "not_consumed"
    elif place.offset < standing.committed:
        word = "ended"
    else:
        word = "ended_beyond" if standing.ended.covers(place.offset) else "open"
    return {"where": word, **found}


def _first_life(letter: Letter) -> Record:
    """The record as it was, by what its letter holds."""
    source = letter.source
    return Record(
        *source, letter.source_timestamp_ms, letter.key, letter.value, headers=letter.headers
    )


def _record_shown(
    record: Record, settings: Settings, rehearsal: Rehearsal, *, reveal: bool
) -> dict[str, Any]:
    value = size_and_hash(record.value)
    if reveal:
        value["hex"] = record.value.hex() if record.value is not None else None
    return {
        "timestamp": rfc3339(record.timestamp_ms),
        "key": shown_key(record.key, reveal=reveal),
        "headers": [header_shown(name, part, reveal=reveal) for name, part in record.headers],
        "value": value,
        "framing": _framing(record, settings, rehearsal),
    }


def _framing(record: Record, settings: Settings, rehearsal: Rehearsal) -> dict[str, Any]:
    """How the value is framed and which schema wrote it."""
    shown: dict[str, Any] = dict.fromkeys(
        ("format", "schema_id", "schema_name", "schema_fingerprint", "message")
    )
    if record.value is None:
        return shown | {"format": "null"}
    try:
        framed = unframe(record.value, record.headers, settings.converter.value)
    except Refused as error:
        return shown | {"message": str(error)}
    writer = rehearsal.shapes.decoder.writer_of(record)
    if writer is not None:
        shown |= {
            "schema_name": writer.name,
            "schema_fingerprint": writer.fingerprint[::-1].hex(),
        }
    match framed:
        case Registered():
            in_header = any(name == SCHEMA_ID_HEADER for name, _ in record.headers)
            form = "schema id header" if in_header else "confluent"
            return shown | {"format": form, "schema_id": str(framed.id)}
        case Fingerprinted():
            return shown | {"format": "single object", "schema_id": framed.schema_id}
        case Json():
            return shown | {"format": "json"}


def _letter_shown(told: Told, done: LettersDone, *, reveal: bool) -> dict[str, Any]:
    return {
        **fields_of(told.found, reveal=reveal, resolution=done(told.found.position).label),
        **more_of(told.found.letter),
        "holds_this_record": told.same,
    }
