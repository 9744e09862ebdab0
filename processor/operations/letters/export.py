"""Dead letters as JSON: to be read by people and programs, or to be written back as they were."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.letter import read_letter
from processor.operations.letters.fields import fields_of, header_shown, more_of
from processor.operations.letters.find import Found
from processor.operations.letters.meant import Selection
from processor.operations.masking import log_export, size_and_hash
from processor.record import Headers, Record
from processor.settings.masking import printable

JSONL, RAW = "jsonl", "raw"
FORMATS = (JSONL, RAW)
SHOWN_CHARACTERS = 60


def check_format(name: str, *, reveal: bool) -> None:
    """Refuse a format that does not exist, or that shows what is not to be revealed.

    Raises:
        Misconfigured: it is so.
    """
    if name not in FORMATS:
        shown = printable(name[:SHOWN_CHARACTERS])
        raise Misconfigured(f"--format is one of {', '.join(FORMATS)}; «{shown}» is not.")
    if name == RAW and not reveal:
        raise Misconfigured(
            "--format raw holds customers' data as it is: key, value and headers of every letter.",
            mend="Add --reveal, which is logged; or leave --format out for masked JSON.",
        )


@dataclass(slots=True)
class Export:
    """Writes down the letters that are meant.

    Attributes:
        selection: which they are; of `JSONL` with a decoder.
        form: one of `FORMATS`.
        reveal: show customers' values; then every object can be imported again.
        count: letters given so far.
    """

    selection: Selection
    form: str
    reveal: bool
    count: int = field(default=0, init=False)

    def documents(self, looked_at: Callable[[int], None]) -> Iterator[dict[str, Any]]:
        """One object a letter, those of each partition in their order; a reveal is logged once.

        Args:
            looked_at: called now and then with how many records are done.

        Raises:
            TryAgain: Kafka or the schema registry stopped answering.
            Misconfigured: one of them refuses us.
        """
        done = 0
        try:
            with self.selection.reader.reading(self.selection.spans) as reading:
                for records in reading:
                    for record in records:
                        if self.selection.meant.look(record) is not None:
                            self.count += 1
                            yield self._document(record)
                    done += len(records)
                    looked_at(done)
        finally:
            if self.reveal and self.count:
                log_export(self.count, sorted({p.topic for p in self.selection.spans}))

    def _document(self, record: Record) -> dict[str, Any]:
        if self.form == RAW:
            return raw_of(record)
        letter = read_letter(record)
        if letter is None:
            raise AssertionError("what is meant is a letter")
        found = Found(record.position, record.timestamp_ms, letter)
        meant = self.selection.meant
        decoding = meant.decoding
        document = {
            **fields_of(found, reveal=self.reveal, resolution=meant.label(record.position)),
            **more_of(letter),
            "headers": [header_shown(*h, reveal=self.reveal) for h in letter.headers],
            "value": size_and_hash(record.value),
            "event": None if decoding is None else decoding.shown(record, reveal=self.reveal),
        }
        return {**document, "raw": raw_of(record)} if self.reveal else document


def raw_of(record: Record) -> dict[str, Any]:
    """A record as it is: bytes in base64, nothing left out, to be written again."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "headers": _headers(record.headers),
    }


def _headers(headers: Headers) -> list[dict[str, str | None]]:
    return [{"name": name, "value": _base64(content)} for name, content in headers]


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
