"""Dead letters by kind of failure: how many, since when, and what mends them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from processor.connector.mends import MENDS
from processor.errors import Code
from processor.kafka.letter import Glance
from processor.operations.letters.fields import rfc3339
from processor.operations.letters.meant import Selection
from processor.record import Position, Record

KINDS = 5_000
"""Fingerprints that are counted apart; what more there are is counted together."""

TEXTS = 10
"""Event names, targets and schema ids that a kind names."""

TEXT_CHARACTERS = 200
MESSAGE_CHARACTERS = 1_000
"""Whoever may write to the topic may write headers of any length; so much of them is kept."""

NEVER_MS = -1
"""Before the time of every record; Kafka gives some no time."""


@dataclass(slots=True)
class Kind:
    """Dead letters that failed alike.

    Attributes:
        fingerprint: of all of them.
        code: likewise.
        first_ms: when the first of them was written, `None` when Kafka does not say; likewise
            `last_ms`.
        targets: what failed, without the index of a message; likewise `schema_ids` and `events`:
            at most `TEXTS`.
        sample: coordinates of the latest.
        message: what that one says.
    """

    fingerprint: str
    code: Code
    count: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    targets: dict[str, None] = field(default_factory=dict)
    schema_ids: dict[str, None] = field(default_factory=dict)
    events: dict[str, None] = field(default_factory=dict)
    sample: Position | None = None
    message: str = ""
    _alike: int | None = None

    def add(self, record: Record, letter: Glance) -> None:
        """Count one."""
        self.count += 1
        time_ms = record.timestamp_ms
        if time_ms is not None:
            self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
        if self.sample is None or self._is_later(record):
            self.last_ms = time_ms
            self.sample = record.position
            self.message = _cut(letter.message, MESSAGE_CHARACTERS)
        alike = hash(letter.kind)
        if alike != self._alike:
            self._alike = alike
            self._name(letter)

    def _name(self, letter: Glance) -> None:
        _note(self.events, letter.event_name)
        _note(self.schema_ids, letter.schema_id)
        for target in letter.targets:
            _note(self.targets, target.partition("#")[0])

    def fields(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "fingerprint": self.fingerprint,
            "count": self.count,
            "first_seen": rfc3339(self.first_ms),
            "last_seen": rfc3339(self.last_ms),
            "code": self.code.value,
            "stage": self.code.stage.value,
            "targets": sorted(self.targets),
            "schema_ids": sorted(self.schema_ids),
            "events": sorted(self.events),
            "sample": self.sample._asdict() if self.sample is not None else None,
            "message": self.message,
            "mend": MENDS[self.code],
        }

    def _is_later(self, record: Record) -> bool:
        now, last = record.timestamp_ms, self.last_ms
        mine = NEVER_MS if now is None else now
        return (mine, record.position) > (NEVER_MS if last is None else last, self.sample)


@dataclass(slots=True)
class Stats:
    """Dead letters by kind of failure; memory stays bounded however many there are.

    Attributes:
        others: letters of fingerprints that came after `KINDS` different ones.
    """

    others: int = 0
    _kinds: dict[str, Kind] = field(default_factory=dict)

    def add(self, record: Record, letter: Glance) -> None:
        """Count one letter."""
        mark = _cut(letter.fingerprint, TEXT_CHARACTERS)
        kind = self._kinds.get(mark)
        if kind is None:
            if len(self._kinds) >= KINDS:
                self.others += 1
                return
            kind = self._kinds[mark] = Kind(mark, letter.code)
        kind.add(record, letter)

    @property
    def letters(self) -> int:
        """How many were counted."""
        return self.others + sum(kind.count for kind in self._kinds.values())

    def summary(self) -> str:
        """One sentence."""
        count = self.letters
        if not count:
            return "No dead letter matches."
        kinds = len(self._kinds)
        more = f"; {self.others} of further kinds are counted together" if self.others else ""
        return (
            f"{count} {'dead letter' if count == 1 else 'dead letters'} of "
            f"{kinds} {'kind' if kinds == 1 else 'kinds'}{more}."
        )

    def others_fields(self) -> dict[str, Any]:
        """The letters that are not counted apart, as a kind without a fingerprint."""
        nothing = dict.fromkeys(("first_seen", "last_seen", "code", "stage"))
        return {
            "fingerprint": None,
            "count": self.others,
            **nothing,
            "targets": [],
            "schema_ids": [],
            "events": [],
            "sample": None,
            "message": f"Others: more than {KINDS} fingerprints are not counted apart.",
            "mend": None,
        }

    def kinds(self) -> list[Kind]:
        """The largest first."""
        return sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.fingerprint))


def stats_of(selection: Selection, looked_at: Callable[[int], None]) -> Stats:
    """Count the letters that are meant.

    Args:
        selection: which they are.
        looked_at: called now and then with how many records are done.

    Raises:
        TryAgain: Kafka or the schema registry stopped answering.
        Misconfigured: one of them refuses us.
    """
    stats = Stats()
    with selection.reader.reading(selection.spans) as reading:
        for record, letter in _meant(reading, selection, looked_at):
            stats.add(record, letter)
    return stats


def _meant(
    batches: Iterable[list[Record]], selection: Selection, looked_at: Callable[[int], None]
) -> Iterator[tuple[Record, Glance]]:
    look, done = selection.meant.look, 0
    for records in batches:
        for record in records:
            letter = look(record)
            if letter is not None:
                yield record, letter
        done += len(records)
        looked_at(done)


def _note(texts: dict[str, None], text: str | None) -> None:
    if text and text not in texts and len(texts) < TEXTS:
        texts[_cut(text, TEXT_CHARACTERS)] = None


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
