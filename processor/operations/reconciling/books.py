"""The books of one partition as Kafka alone tells them: counts, contradictions, doubts (pure)."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from processor.errors import Code, FilterReason
from processor.kafka.letter import Letter
from processor.operations.rehearsal import Rehearsed
from processor.record import Record, TopicPartition

EXAMPLES = 5

SENT_BEFORE = "delivery."
"""Codes that only Experience Platform could give: what today's schemas say of them is no news."""


class Verdict(StrEnum):
    """What can be said of the books."""

    BALANCED = "balanced"
    NOT_BALANCED = "not balanced"
    NOT_PROVABLE = "not provable"


Weight = Literal["contradiction", "doubt", "note"]


@dataclass(slots=True)
class Finding:
    """Something that the verdict rests on.

    Attributes:
        weight: a contradiction cannot be in sound books; a doubt is what Kafka alone cannot tell;
            a note decides nothing.
        what: a short fixed name.
        message: what it means, and what to do.
        count: how many records or letters it is about; 0: it is about none in particular.
        offsets: the first few of them.
    """

    weight: Weight
    what: str
    message: str
    count: int = 0
    offsets: list[int] = field(default_factory=list)


def verdict_of(findings: list[Finding]) -> Verdict:
    """A contradiction outweighs every doubt."""
    weights = {finding.weight for finding in findings}
    if "contradiction" in weights:
        return Verdict.NOT_BALANCED
    return Verdict.NOT_PROVABLE if "doubt" in weights else Verdict.BALANCED


@dataclass(slots=True)
class Told:
    """What all letters of one source record say together; about 200 bytes.

    Attributes:
        code: why it ended as a dead letter; `None`: no letter says that it did, only that it
            failed in a replay of its range, or is another's.
        replayed: it failed in a replay of a range.
        foreign: a letter of another connector names it.
        unreadable: a letter that we cannot read names it.
        content: of the record that the letters hold; `None` before the first of ours.
        mixed: two letters of ours hold different records.
    """

    code: Code | None = None
    replayed: bool = False
    foreign: bool = False
    unreadable: bool = False
    content: bytes | None = None
    mixed: bool = False

    @property
    def ours(self) -> bool:
        """Whether a letter of this connector is among them."""
        return self.content is not None

    def add(self, letter: Letter) -> None:
        """One more letter of ours."""
        content = content_of(letter.key, letter.value, letter.source_timestamp_ms)
        self.mixed |= self.content not in (None, content)
        self.content = content
        if letter.replay_id is None:
            self.code = letter.code
        else:
            self.replayed = True

    def holds(self, record: Record) -> bool:
        """Whether the letters are of this very record, by key, value and time."""
        content = content_of(record.key, record.value, record.timestamp_ms)
        return not self.mixed and self.content == content


def content_of(key: bytes | None, value: bytes | None, timestamp_ms: int | None) -> bytes:
    """Stands for a record's bytes and time: a letter keeps all three."""
    digest = hashlib.blake2b(digest_size=12)
    for part in (key, value):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    digest.update(str(timestamp_ms).encode())
    return digest.digest()


@dataclass(slots=True)
class Books:
    """The books of one partition.

    Every record of the span stands in exactly one account:
    ``consumed = delivered + dead-lettered + filtered + open + unexplained``

    Attributes:
        start: first offset of the span; ``end`` is the one after its last.
        committed: the group's offset; `None`: it has none.
        consumed: records of the span, those that are open among them.
        delivered: by inference: they have ended, have no letter and would be sent today.
        dead_lettered: records, however many letters each has.
        open: at or beyond the committed offset.
        unexplained: have ended, and Kafka does not tell how.
    """

    partition: TopicPartition
    start: int
    end: int
    committed: int | None
    consumed: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    filtered: Counter[FilterReason] = field(default_factory=Counter)
    open: int = 0
    unexplained: int = 0
    first_ms: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """What can be said of this partition."""
        return verdict_of(self.findings)

    @property
    def without_letter(self) -> int:
        """Records that have ended and of which no letter was found."""
        return self.consumed - self.open - self.dead_lettered

    def find(self, weight: Weight, what: str, message: str, offset: int | None = None) -> None:
        """Note something; about one offset more when it was found before."""
        found = next((f for f in self.findings if f.what == what), None)
        if found is None:
            found = Finding(weight, what, message)
            self.findings.append(found)
        if offset is not None:
            found.count += 1
            if len(found.offsets) < EXAMPLES:
                found.offsets.append(offset)

    def has_ended(self, record: Record) -> bool:
        """Whether a record lies below the committed offset."""
        return self.committed is not None and record.offset < self.committed

    def meet_open(self, record: Record, told: Told | None) -> None:
        """Count a record at or beyond the committed offset."""
        self._meet(record)
        self.open += 1
        if told is not None and told.code is not None and told.holds(record):
            self.find("note", "letter_of_open_record", LETTER_OF_OPEN_RECORD, record.offset)

    def meet_ended(self, record: Record, told: Told | None, today: Rehearsed | None) -> None:
        """Count a record below the committed offset.

        Args:
            record: which.
            told: what letters say of it; `None`: there are none.
            today: what would become of it now; `None`: nobody needs to know, for it is a dead
                letter whatever that is.
        """
        self._meet(record)
        offset = record.offset
        if told is not None and told.ours and not told.holds(record):
            self.unexplained += 1
            self.find("doubt", "letter_of_another_record", LETTER_OF_ANOTHER_RECORD, offset)
        elif told is not None and told.code is not None:
            self.dead_lettered += 1
            if today is not None and not today.fails:
                self.find("doubt", "schemas_changed", SCHEMAS_CHANGED, offset)
        elif told is not None and told.unreadable:
            self.unexplained += 1
            self.find("doubt", "unreadable_letter", UNREADABLE_LETTER, offset)
        elif told is not None and told.foreign:
            self.unexplained += 1
            self.find("doubt", "another_connectors_letter", ANOTHER_CONNECTORS_LETTER, offset)
        elif today is None:
            raise AssertionError("what has no letter is rehearsed")
        elif today.fails:
            self.unexplained += 1
            self.find("doubt", "would_fail_today", WOULD_FAIL_TODAY, offset)
        else:
            if today.filtered is not None:
                self.filtered[today.filtered] += 1
            else:
                self.delivered += 1
            if told is not None and told.replayed:
                self.find("note", "failed_in_a_replay", FAILED_IN_A_REPLAY, offset)

    def meet_letters_left(
        self, left: Mapping[int, Told], *, log_end: int, compacted: bool | None
    ) -> None:
        """Judge letters of ours whose record was not met.

        Args:
            left: by source offset, in the span as it was asked for.
            log_end: after the last record now; a busy topic grew while it was read.
            compacted: whether single records may vanish from the topic; `None`: not known.
        """
        for offset, told in sorted(left.items()):
            if not told.ours:
                continue
            if offset >= log_end:
                self.find("contradiction", "letter_beyond_log_end", LETTER_BEYOND_LOG_END, offset)
            elif self.start <= offset < self.end and compacted is False:
                self.find("contradiction", "letter_without_record", LETTER_WITHOUT_RECORD, offset)
            elif self.start <= offset < self.end:
                self.find("doubt", "letter_of_a_record_gone", LETTER_OF_A_RECORD_GONE, offset)

    def document(self) -> dict[str, Any]:
        """The books as JSON shows them."""
        return {
            "topic": self.partition.topic,
            "partition": self.partition.partition,
            "from_offset": self.start,
            "to_offset": self.end,
            "committed_offset": self.committed,
            **accounts(self),
            "verdict": self.verdict,
            "findings": [shown(finding) for finding in self.findings],
        }

    def _meet(self, record: Record) -> None:
        self.consumed += 1
        if self.consumed == 1:
            self.first_ms = record.timestamp_ms


def accounts(books: Books) -> dict[str, Any]:
    """The accounts by name, as JSON shows them."""
    return {
        "consumed": books.consumed,
        "delivered_by_inference": books.delivered,
        "dead_lettered": books.dead_lettered,
        "filtered": {reason.value: n for reason, n in sorted(books.filtered.items())},
        "open": books.open,
        "unexplained": books.unexplained,
    }


def shown(finding: Finding) -> dict[str, Any]:
    """A finding as JSON shows it."""
    return {
        "weight": finding.weight,
        "what": finding.what,
        "count": finding.count,
        "message": finding.message,
        "offsets": finding.offsets,
    }


LETTER_OF_OPEN_RECORD = (
    "open records have a dead letter already: they will be read again, which is at least once"
)
LETTER_OF_ANOTHER_RECORD = (
    "a dead letter has these coordinates and other bytes or another time: the topic was recreated "
    "or the letter was copied from another cluster"
)
SCHEMAS_CHANGED = (
    "dead letters would pass today: settings, schemas or registry have changed since, so what is "
    "filtered today need not have been filtered then"
)
UNREADABLE_LETTER = (
    "a record of the dead-letter topic that this version cannot read as a letter names these"
)
ANOTHER_CONNECTORS_LETTER = (
    "only another connector's dead letter names these: was this connector renamed?"
)
WOULD_FAIL_TODAY = (
    "have ended without a dead letter and would get one today: settings, schemas or registry have "
    "changed since, or the letter is gone, or the offset was moved past them"
)
FAILED_IN_A_REPLAY = "failed in a replay of their range only; the dead letter is that replay's"
LETTER_BEYOND_LOG_END = "dead letters name offsets that the log does not have yet"
LETTER_WITHOUT_RECORD = "dead letters name offsets at which the topic holds no record"
LETTER_OF_A_RECORD_GONE = (
    "dead letters name offsets at which no record is left, and the topic is compacted (or does not "
    "tell whether it is)"
)
