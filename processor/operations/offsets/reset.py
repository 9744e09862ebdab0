"""Sets the connector's committed offsets: what would change, what that costs, doing it, undoing it.

An offset is committed without metadata, so whatever had ended beyond the old one is read again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from processor.errors import Misconfigured, TryAgain
from processor.kafka.progress import Ended, Mark
from processor.operations.bounds import (
    LARGEST_OFFSET,
    TopicChoice,
    before_ms,
    moment_ms,
    offset,
    one_of,
    partitions_of,
    wrong,
)
from processor.operations.offsets.file import Wanted, csv_of, read_file
from processor.operations.offsets.group import GroupNow, GroupWriter
from processor.operations.offsets.offsets import Standing, all_of, standings
from processor.record import TopicPartition
from processor.settings import Settings

Word = Literal["earliest", "latest", "offset", "time", "shift", "file"]
_SIGNED = re.compile(r"[+-]?[0-9]{1,19}")
MEMBERS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the offsets shall go.

    Attributes:
        number: an offset, milliseconds since the epoch, or how far to shift.
        wanted: by partition, for a file.
    """

    word: Word
    number: int = 0
    wanted: Wanted = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResetOptions:
    """The words of ``kafka-consumer-groups --reset-offsets``, as they were given."""

    to_earliest: bool = False
    to_latest: bool = False
    to_offset: str | None = None
    to_datetime: str | None = None
    by_duration: str | None = None
    shift_by: str | None = None
    from_file: Path | None = None

    def read(self, now: datetime) -> Aim:
        """Read the one that was given.

        Args:
            now: what ``--by-duration`` counts back from.

        Raises:
            Misconfigured: none is given, or more than one, or it is malformed.
        """
        given = {
            "--to-earliest": self.to_earliest,
            "--to-latest": self.to_latest,
            "--to-offset": self.to_offset,
            "--to-datetime": self.to_datetime,
            "--by-duration": self.by_duration,
            "--shift-by": self.shift_by,
            "--from-file": self.from_file,
        }
        one_of(given)
        if self.to_earliest:
            return Aim("earliest")
        if self.to_latest:
            return Aim("latest")
        if self.to_offset is not None:
            return Aim("offset", offset("--to-offset", self.to_offset))
        if self.to_datetime is not None:
            return Aim("time", moment_ms("--to-datetime", self.to_datetime))
        if self.by_duration is not None:
            return Aim("time", before_ms(now, self.by_duration))
        if self.shift_by is not None:
            return Aim("shift", _shift(self.shift_by))
        if self.from_file is not None:
            return Aim("file", wanted=read_file(self.from_file))
        raise Misconfigured("It does not say where to.", mend=f"Give one of {', '.join(given)}.")


@dataclass(frozen=True, slots=True)
class Change:
    """What a reset does in one partition. Counts are of offsets: gaps count as records.

    Attributes:
        new: the offset to commit; `None`: none shall be committed.
        clamped: what was asked for lies outside the log, which has moved it to an end of it.
        begins: where the connector begins without a committed offset.
    """

    standing: Standing
    new: int | None
    clamped: str = ""
    begins: Literal["earliest", "latest"] = "earliest"

    @property
    def partition(self) -> TopicPartition:
        """Which."""
        return self.standing.partition

    @property
    def changes(self) -> bool:
        """Whether anything would be another afterwards."""
        standing = self.standing
        return self.new != standing.committed or bool(standing.metadata)

    @property
    def read_again(self) -> int:
        """How many have ended by what is committed now, and would be read once more."""
        then, now = self._place(self.new), self._place(self.standing.committed)
        return max(now - then, 0) + _within(self.standing.ended, then, LARGEST_OFFSET)

    @property
    def skipped(self) -> int:
        """How many have not ended, and would never be read."""
        then, now = self._place(self.new), self._place(self.standing.committed)
        return max(then - now, 0) - _within(self.standing.ended, now, then)

    def undone(self) -> "Change":
        """The way back."""
        standing = self.standing
        then = Standing(standing.partition, self.new, standing.start, standing.end)
        return Change(then, standing.committed, begins=self.begins)

    def document(self) -> dict[str, Any]:
        """One JSON object."""
        standing = self.standing
        return {
            "topic": self.partition.topic,
            "partition": self.partition.partition,
            "committed_offset": standing.committed,
            "new_offset": self.new,
            "read_again": self.read_again,
            "skipped": self.skipped,
            "log_start": standing.start,
            "log_end": standing.end,
            "clamped": self.clamped or None,
            "changes": self.changes,
        }

    def _place(self, at: int | None) -> int:
        """Where the connector begins with this committed offset."""
        standing = self.standing
        if at is None:
            return standing.start if self.begins == "earliest" else standing.end
        return min(max(at, standing.start), standing.end)


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset would do, and the way to do it.

    Attributes:
        group: as it was when it was looked at.
        changes: one of each partition that was asked for.
    """

    group: GroupNow
    changes: tuple[Change, ...]
    _writer: GroupWriter = field(repr=False)

    @property
    def read_again(self) -> int:
        """Of all partitions together."""
        return sum(change.read_again for change in self.changes)

    @property
    def skipped(self) -> int:
        """Of all partitions together."""
        return sum(change.skipped for change in self.changes)

    @property
    def to_do(self) -> tuple[Change, ...]:
        """Those that change anything."""
        return tuple(change for change in self.changes if change.changes)

    @property
    def undo_skips(self) -> bool:
        """Whether the way back goes forward."""
        return any(change.undone().skipped for change in self.to_do)

    def warnings(self) -> list[str]:
        """What to know before it is done, one sentence each."""
        said = [change.clamped for change in self.changes if change.clamped]
        if self.group.active:
            said.append(f"{_in_use(self.group)} With --execute this is refused until then.")
        return said

    def allow(self, *, skip_records: bool) -> None:
        """Check that it may be done.

        Raises:
            TryAgain: somebody is in the group.
            Misconfigured: records would be skipped, and that was not asked for.
        """
        if self.group.active:
            raise TryAgain(f"{_in_use(self.group)} Nothing was changed.", reason="kafka")
        if self.skipped and not skip_records:
            places = [str(change.partition) for change in self.changes if change.skipped]
            raise Misconfigured(
                f"This skips {self.skipped} records that have not ended, of {', '.join(places)}: "
                "they would neither be delivered nor become dead letters. Nothing was changed.",
                mend="Add --skip-records if that is what you want.",
            )

    def undo(self) -> str:
        """The offset file that takes it back; all of the group's offsets where one is deleted."""
        before: dict[TopicPartition, int | None] = {
            change.partition: change.standing.committed for change in self.to_do
        }
        if self._deletes:
            for partition, mark in self._writer.marks(self.group.name).items():
                before.setdefault(partition, mark.offset)
        return csv_of(dict(sorted(before.items())))

    def write(self) -> None:
        """Set the offsets and read them back.

        Raises:
            TryAgain: no broker answers, somebody has joined the group, or what is read back is not
                what was set.
            Misconfigured: Kafka refuses us.
        """
        name = self.group.name
        marks = {c.partition: Mark(c.new) for c in self.to_do if c.new is not None}
        if self._deletes:
            self._delete(marks)
        else:
            self._writer.set_marks(name, marks)
        found = self._writer.marks(name, [change.partition for change in self.to_do])
        for change in self.to_do:
            if found.get(change.partition) != marks.get(change.partition):
                there = found.get(change.partition)
                raise TryAgain(
                    f"Group {name} has {there.offset if there else 'nothing'} committed for "
                    f"{change.partition}, where {change.new} was set: somebody has committed "
                    "since. Look with `processor offsets show`.",
                    reason="kafka",
                )

    @property
    def _deletes(self) -> bool:
        return any(change.new is None for change in self.to_do)

    def _delete(self, marks: dict[TopicPartition, Mark]) -> None:
        """Delete the group, and write back everything but what shall go."""
        name, touched = self.group.name, {change.partition for change in self.to_do}
        others = {p: m for p, m in self._writer.marks(name).items() if p not in touched}
        self._writer.forget(name)
        try:
            self._writer.set_marks(name, {**others, **marks})
        except TryAgain as raised:
            raise TryAgain(
                f"{raised} The offsets of group {name} are deleted and not written back yet: set "
                "them with the undo file before the connector is started.",
                reason="kafka",
            ) from raised


def prepare(
    settings: Settings, options: ResetOptions, choices: Sequence[TopicChoice], *, now: datetime
) -> Reset:
    """Look at what a reset would do; nothing is changed.

    Args:
        settings: name the group and the topics.
        options: where to.
        choices: topics and partitions; empty: all that the connector consumes.
        now: what a duration counts back from.

    Raises:
        Misconfigured: an option is wrong, or what it names does not exist or is not consumed.
        TryAgain: no broker answers.
    """
    aim = options.read(now)
    if aim.word == "file" and choices:
        raise Misconfigured("--topic and --from-file contradict each other.", mend="Give one.")
    if aim.word == "file":
        choices = [TopicChoice(p.topic, (p.partition,)) for p in aim.wanted]
    return prepare_aim(settings, aim, choices)


def prepare_aim(settings: Settings, aim: Aim, choices: Sequence[TopicChoice]) -> Reset:
    """As `prepare`, with an aim that was read already.

    Raises:
        Misconfigured: what is named does not exist or is not consumed.
        TryAgain: no broker answers.
    """
    own = next((c.topic for c in choices if settings.is_own_topic(c.topic)), None)
    if own is not None:
        raise Misconfigured(f"{own} is a topic of the connector's own, which it never consumes.")
    writer = GroupWriter(settings)
    known, name = writer.topics(), settings.group_id
    group = writer.group(name)
    partitions = partitions_of(choices, known) if choices else all_of(settings, known, (), own=True)
    stand = standings(writer, settings, name, partitions)
    for standing in stand.values():
        if not standing.consumed and standing.committed is None and aim.word != "file":
            raise Misconfigured(
                f"{standing.partition.topic} is no topic of the connector, and nothing is "
                "committed for it.",
                mend="Check --topic and [kafka] topics.",
            )
    found = writer.at(partitions, aim.number) if aim.word == "time" else {}
    begins = settings.kafka.auto_offset_reset
    changes = [_change(aim, stand[p], found.get(p), begins) for p in partitions]
    return Reset(group, tuple(changes), writer)


def _change(
    aim: Aim, standing: Standing, found: int | None, begins: Literal["earliest", "latest"]
) -> Change:
    new = _wanted(aim, standing, found)
    if new is None:
        return Change(standing, None, begins=begins)
    clamped = ""
    if new < standing.start:
        clamped = (
            f"{standing.partition}: offset {new} is no longer in the log; its start is taken, "
            f"{standing.start}."
        )
        new = standing.start
    elif new > standing.end:
        clamped = (
            f"{standing.partition}: offset {new} is beyond the log; its end is taken, "
            f"{standing.end}."
        )
        new = standing.end
    return Change(standing, new, clamped, begins)


def _wanted(aim: Aim, standing: Standing, found: int | None) -> int | None:
    """The offset that is asked for, wherever it lies."""
    match aim.word:
        case "earliest":
            return standing.start
        case "latest":
            return standing.end
        case "offset":
            return aim.number
        case "time":
            return standing.end if found is None else found
        case "file":
            return aim.wanted[standing.partition]
        case "shift":
            if standing.committed is None:
                raise Misconfigured(
                    f"--shift-by: nothing is committed for {standing.partition} that could be "
                    "shifted.",
                    mend="Name the others with --topic, or say where to.",
                )
            return standing.committed + aim.number


def _within(ended: Ended, start: int, stop: int) -> int:
    """How many offsets from ``start`` on, before ``stop``, have ended."""
    return sum(max(min(run.stop, stop) - max(run.start, start), 0) for run in ended)


def _shift(text: str) -> int:
    if _SIGNED.fullmatch(text) is None or abs(int(text)) > LARGEST_OFFSET:
        raise wrong("--shift-by", text, "a whole number up to 2^63-1, such as -100 or 100")
    return int(text)


def _in_use(group: GroupNow) -> str:
    named = [str(member) for member in group.members[:MEMBERS_NAMED]]
    more = len(group.members) - len(named)
    who = f": {', '.join(named)}{f' and {more} more' if more else ''}" if named else ""
    return (
        f"Group {group.name} is in use ({group.state}){who}. Stop every `processor run` of it; one "
        "that was killed leaves the group when its session times out."
    )
