"""Exported dead letters back into a dead-letter topic, byte for byte."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from processor.errors import Misconfigured, TryAgain
from processor.kafka.letter import Glance, glance
from processor.kafka.record_writer import RecordWriter
from processor.kafka.topics import Topics
from processor.operations.bounds import LARGEST_OFFSET, LARGEST_PARTITION
from processor.operations.letters.find import is_letter_topic
from processor.operations.reading import Reader
from processor.record import Record
from processor.settings import Settings
from processor.settings.masking import printable
from processor.settings.topics import is_topic_name

LINE_BYTES = 256 * 1024 * 1024
"""The largest record that Kafka's client takes is a quarter of this."""

BROKEN_SHOWN = 10
DRY_RUN = "Nothing was written: this is a dry run; --execute writes them."


class Broken(Exception):
    """A line that is no exported dead letter; says why."""


@dataclass(slots=True)
class Import:
    """Dead letters of a file, checked, and where they go.

    Attributes:
        letters: how many go to each topic.
        homeless: how many stood in a partition that their topic does not have; the key decides.
        missing: topics that do not exist yet; they are made as the connector does.
        sources: by topic, the source topic of one of its letters.
    """

    letters: Counter[str] = field(default_factory=Counter)
    homeless: int = 0
    missing: tuple[str, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, record: Record, source_topic: str, partitions: int | None) -> None:
        """Count a letter.

        Args:
            record: as it will be written.
            source_topic: of its record.
            partitions: of its topic, `None` when that does not exist.
        """
        self.letters[record.topic] += 1
        self.sources.setdefault(record.topic, source_topic)
        if partitions is not None and record.partition >= partitions:
            self.homeless += 1

    @property
    def count(self) -> int:
        """How many letters."""
        return self.letters.total()

    def document(self, *, executed: bool, written: int) -> dict[str, Any]:
        """What came of it, as one JSON object."""
        return {
            "execute": executed,
            "letters": self.count,
            "written": written,
            "topics": dict(sorted(self.letters.items())),
            "without_their_partition": self.homeless,
            "missing_topics": list(self.missing),
        }

    def lines(self, *, executed: bool, written: int) -> Iterator[str]:
        """What came of it, in sentences."""
        for topic, count in sorted(self.letters.items()):
            made = " (does not exist yet)" if topic in self.missing and not executed else ""
            yield f"{count:>9}  for {topic}{made}"
        if self.homeless:
            yield f"{self.homeless:>9}  of them had a partition that is not there: the key decides"
        yield f"{written:>9}  written and acknowledged" if executed else DRY_RUN


def size_of(path: Path) -> int | None:
    """Bytes of a file, `None` when they cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def check_file(
    settings: Settings, path: Path, topic: str | None, looked_at: Callable[[int], None]
) -> Import:
    """Read a whole file, and write nothing.

    Args:
        settings: name the dead-letter topics.
        path: what ``dlq export --format raw`` wrote, or ``--reveal``.
        topic: where all letters go; `None`: where they stood.
        looked_at: called now and then with how many bytes are done.

    Raises:
        Misconfigured: the file cannot be read, a line is no exported letter, or a topic is no
            dead-letter topic of this connector; names the lines.
        TryAgain: no broker answers.
    """
    if topic is not None and not is_letter_topic(settings, topic):
        raise _not_ours(topic)
    known = Reader(settings).topics()
    found, broken, done = Import(), _BrokenLines(path), 0
    for number, line in _lines(path):
        done += len(line)
        looked_at(done)
        try:
            record, letter = read_line(line, topic)
        except Broken as error:
            broken.add(number, str(error))
        else:
            if is_letter_topic(settings, record.topic):
                found.add(record, letter.source.topic, known.get(record.topic))
            else:
                broken.add(number, f"{record.topic} is no dead-letter topic of this connector")
    if broken.count:
        raise broken.error()
    found.missing = tuple(sorted(set(found.letters) - set(known)))
    return found


def write_file(
    settings: Settings,
    path: Path,
    topic: str | None,
    found: Import,
    written: Callable[[int], None],
) -> int:
    """Write the letters of a file that was checked, each acknowledged by every in-sync replica.

    Args:
        settings: of Kafka.
        path: the file.
        topic: as it was checked.
        found: what the check found.
        written: called now and then with how many the brokers have.

    Returns:
        How many were written.

    Raises:
        TryAgain: Kafka does not answer; says how many were written before.
        Misconfigured: Kafka refuses us, or the file has changed; likewise.
    """
    topics = Topics(settings.kafka, settings.errors, settings.name)
    counts = {
        name: topics.dead_letter_partitions(name, found.sources[name]) for name in found.letters
    }
    with RecordWriter(settings.kafka, f"{settings.name}-import") as writer:
        try:
            for number, line in _lines(path):
                try:
                    record, _letter = read_line(line, topic)
                    count = counts[record.topic]
                except (Broken, KeyError):
                    raise _broken(path, f"line {number}: it has changed since") from None
                writer.write(
                    record.topic,
                    record.partition if record.partition < count else None,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                    timestamp_ms=record.timestamp_ms,
                )
                written(writer.written)
            writer.finish()
        except TryAgain as error:
            raise TryAgain(f"{error} {_so_far(writer, found)}", reason=error.reason) from error
        except Misconfigured as error:
            raise Misconfigured(f"{error} {_so_far(writer, found)}") from error
    return writer.written


def read_line(line: bytes, topic: str | None = None) -> tuple[Record, Glance]:
    """The record that a line of an export holds, and what it says of itself as a dead letter.

    Args:
        line: one JSON object: that of ``--format raw``, or one that holds it as ``raw``.
        topic: instead of the one that it names.

    Raises:
        Broken: it is none.
    """
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Broken("it is no JSON") from None
    if isinstance(document, dict) and isinstance(document.get("raw"), dict):
        document = document["raw"]
    elif isinstance(document, dict) and "fingerprint" in document:
        raise Broken("it was exported masked and does not hold the record's bytes")
    if not isinstance(document, dict) or "headers" not in document:
        raise Broken("it is no dead letter that was exported with --reveal")
    if not isinstance(document["headers"], list):
        raise Broken("headers is no list")
    named = document.get("topic") if topic is None else topic
    if not isinstance(named, str) or not is_topic_name(named):
        raise Broken("topic is no name of a topic")
    record = Record(
        named,
        _number(document, "partition", LARGEST_PARTITION),
        0,
        None
        if document.get("timestamp_ms") is None
        else _number(document, "timestamp_ms", LARGEST_OFFSET),
        _bytes(document, "key"),
        _bytes(document, "value"),
        [_header(header) for header in document["headers"]],
    )
    letter = glance(record)
    if letter is None:
        raise Broken("its headers are not those of a dead letter")
    return record, letter


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, without the empty ones."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES):
                number += 1
                if len(line) == LINE_BYTES:
                    why = f"line {number}: it is longer than any exported letter"
                    raise _broken(path, why)
                if line.strip():
                    yield number, line
    except OSError as error:
        raise Misconfigured(f"{printable(str(path))} cannot be read: {error.strerror}.") from error


def _header(header: Any) -> tuple[str, bytes | None]:
    if not isinstance(header, dict) or not isinstance(header.get("name"), str):
        raise Broken("a header has no name")
    return header["name"], _bytes(header, "value")


def _bytes(document: Mapping[str, Any], name: str) -> bytes | None:
    if name not in document:
        raise Broken(f"{name} is missing")
    text = document[name]
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Broken(f"{name} is not base64") from None


def _number(document: Mapping[str, Any], name: str, largest: int) -> int:
    number = document.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= largest:
        raise Broken(f"{name} is no number from 0 to {largest}")
    return number


class _BrokenLines:
    """Counts the lines at fault, and keeps the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: list[str] = []
        self.count = 0

    def add(self, number: int, why: str) -> None:
        self.count += 1
        if len(self._first) < BROKEN_SHOWN:
            self._first.append(f"line {number}: {printable(why)}")

    def error(self) -> Misconfigured:
        more = self.count - len(self._first)
        return _broken(self._path, "; ".join(self._first) + (f"; {more} more" if more else ""))


def _broken(path: Path, lines: str) -> Misconfigured:
    return Misconfigured(
        f"{printable(str(path))} cannot be imported: {lines}.",
        mend="Export with --format raw --reveal.",
    )


def _not_ours(topic: str) -> Misconfigured:
    return Misconfigured(
        f"--topic: {printable(topic[:60])} is no dead-letter topic of this connector."
    )


def _so_far(writer: RecordWriter, found: Import) -> str:
    return f"Of {found.count} letters {writer.written} were written."
