"""Which records are in flight, which have ended, and so which offsets may be committed (pure).

One rule carries the product: an offset becomes committable only when its record, and every record
before it in the partition, has ended. The ledger also keeps the books, so that *in flight* is its
own size and never a difference:

``consumed = delivered + dead-lettered + filtered + released + in flight``
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from processor.connector.assignment import Assignment, Held
from processor.errors import Code, FilterReason
from processor.kafka.progress import CAPACITY_BITS, NOTHING, Ended, Mark, Origin
from processor.record import Record, TopicPartition

FULL_BITS = CAPACITY_BITS - 2_800
"""Leaves room for what was polled before the source hears of it: three batches."""

ROOM_BITS, ROOMY_BITS = FULL_BITS - 1_000, 14_000
"""Where a full partition has room again, for two batches or so; and where it has ample room."""


class Delivered(NamedTuple):
    """Accepted by Experience Platform for each of its targets."""


class DeadLettered(NamedTuple):
    """Acknowledged by the dead-letter topic."""

    code: Code


class LeftOut(NamedTuple):
    """Filtered, for a counted reason."""

    reason: FilterReason


Ending = Delivered | DeadLettered | LeftOut

DELIVERED = Delivered()


class ReleaseReason(StrEnum):
    """Why a record was given back unended; a metric label."""

    REVOKED = "revoked"
    LOST = "lost"
    STOPPED = "stopped"


class Taken(NamedTuple):
    """What was taken into flight: the assignment's epoch, and which of the records."""

    epoch: int
    records: Sequence[Record]


class Books(NamedTuple):
    """What became of the records of one partition since the process started, in records."""

    consumed: int
    delivered: int
    dead_lettered: dict[Code, int]
    filtered: dict[FilterReason, int]
    released: dict[ReleaseReason, int]
    in_flight: int

    @property
    def balance(self) -> bool:
        """Whether the accounting equation holds."""
        ended = self.delivered + self.dead_lettered_total + self.filtered_total
        return self.consumed == ended + sum(self.released.values()) + self.in_flight

    @property
    def dead_lettered_total(self) -> int:
        """Records in the dead-letter topic, whatever the code."""
        return sum(self.dead_lettered.values())

    @property
    def filtered_total(self) -> int:
        """Records left out, whatever the reason."""
        return sum(self.filtered.values())


@dataclass(slots=True)
class _Account:
    """Counts of one partition; they outlive its assignments."""

    consumed: int = 0
    delivered: int = 0
    dead_lettered: Counter[Code] = field(default_factory=Counter)
    filtered: Counter[FilterReason] = field(default_factory=Counter)
    released: Counter[ReleaseReason] = field(default_factory=Counter)


class Ledger:
    """Knows what is open in each assigned partition; every method is synchronous and pure.

    Not thread-safe: the task's event loop owns it.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._accounts: dict[TopicPartition, _Account] = {}
        self._open_count = 0
        self._open_bytes = self._made_bytes = 0
        self._full: set[TopicPartition] = set()

    @property
    def full(self) -> AbstractSet[TopicPartition]:
        """Partitions of which no more can be taken: what has ended would not fit in a commit."""
        return self._full

    @property
    def in_flight_count(self) -> int:
        """Records taken and not yet ended or released."""
        return self._open_count

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of key and value of the records in flight, and of the messages made of them."""
        return self._open_bytes + self._made_bytes

    @property
    def made_bytes(self) -> int:
        """Bytes of the messages alone."""
        return self._made_bytes

    def partitions(self) -> tuple[TopicPartition, ...]:
        """The partitions that are assigned now."""
        return tuple(self._assignments)

    def assign(
        self,
        partition: TopicPartition,
        *,
        committed: int | None,
        metadata: str = "",
        ended: Ended = NOTHING,
        origin: Origin | None = None,
        generation: int = 0,
    ) -> int:
        """Begin an assignment and return its epoch.

        Args:
            partition: which one. If it is assigned already, the old assignment is released as
                lost: its late answers must not count for the new one.
            committed: the group's committed offset, `None` when there is none.
            metadata: what is committed along with it.
            ended: what has ended beyond it, and is not taken again.
            origin: whose offsets they are; without it commits carry no metadata.
            generation: what the source calls this assignment; what is to be committed for it says
                so, and only what says so counts as committed.
        """
        if partition in self._assignments:
            self.release(partition, ReleaseReason.LOST)
        self._epoch += 1
        self._assignments[partition] = Assignment(
            self._epoch,
            None,
            generation,
            committed=None if committed is None else Mark(committed, metadata, generation),
            ended_before=ended,
            origin=origin,
        )
        self._accounts.setdefault(partition, _Account())
        return self._epoch

    def take(self, partition: TopicPartition, records: Iterable[Record]) -> Taken | None:
        """Take polled records, in offset order, into flight.

        Returns:
            The assignment's epoch, which :meth:`end` asks for, and the records without those that
            an earlier assignment had ended; or `None` when the partition is not assigned: then
            nothing was taken and the records are someone else's.

        Raises:
            ValueError: an offset is not above the one before. Whoever reads a partition from
                another place begins a new assignment, or a commit could pass an open record.
        """
        assignment = self._assignments.get(partition)
        if assignment is None:
            return None
        polled = list(records)
        fresh, before = polled, assignment.ended_before
        if before:
            fresh = [record for record in polled if not before.covers(record.offset)]
        taken: dict[int, int] = {}
        first_offset = next_offset = assignment.next_offset or 0
        runs = 0
        for record in fresh:
            if record.offset != next_offset:
                if record.offset < next_offset:
                    raise ValueError(f"{record.position} came after offset {next_offset - 1}")
                runs += 1
            taken[record.offset] = record.size_bytes
            next_offset = record.offset + 1
        if first_offset in taken and first_offset - 1 not in assignment.open:
            runs += 1
        if polled:
            assignment.next_offset = max(next_offset, polled[-1].offset + 1)
        if before:
            assignment.ended_before = before.after(assignment.next_offset or 0)
        if taken:
            assignment.open.update(taken)
            assignment.open_runs += runs
            self._accounts[partition].consumed += len(taken)
            self._open_count += len(taken)
            size = sum(taken.values())
            assignment.open_bytes += size
            self._open_bytes += size
            if assignment.origin is not None and assignment.most_bits() >= FULL_BITS:
                assignment.full = True
                self._full.add(partition)
        return Taken(assignment.epoch, fresh)

    def made(self, partition: TopicPartition, epoch: int, offset: int, size: int) -> None:
        """Say how many bytes of messages there are of a record in flight now."""
        assignment = self._assignments.get(partition)
        if assignment is None or assignment.epoch != epoch or offset not in assignment.open:
            return
        change = size - assignment.made.pop(offset, 0)
        assignment.made_bytes += change
        self._made_bytes += change
        if size:
            assignment.made[offset] = size

    def end(self, partition: TopicPartition, epoch: int, offset: int, ending: Ending) -> bool:
        """Say that a record has ended.

        Returns:
            False when the assignment that took the record is over, or the record has ended
            before: then nothing changed, and nothing may be committed for it.
        """
        assignment = self._assignments.get(partition)
        if assignment is None or assignment.epoch != epoch:
            return False
        still_open = assignment.open
        size = still_open.pop(offset, None)
        if size is None:
            return False
        assignment.open_runs += (offset - 1 in still_open) + (offset + 1 in still_open) - 1
        if assignment.full and assignment.most_bits() <= ROOM_BITS:
            assignment.full = False
            self._full.discard(partition)
        made = assignment.made.pop(offset, 0)
        assignment.open_bytes -= size
        assignment.made_bytes -= made
        self._open_count -= 1
        self._open_bytes -= size
        self._made_bytes -= made
        account = self._accounts[partition]
        match ending:
            case Delivered():
                account.delivered += 1
            case DeadLettered(code):
                account.dead_lettered[code] += 1
            case LeftOut(reason):
                account.filtered[reason] += 1
        return True

    def is_current(self, partition: TopicPartition, epoch: int) -> bool:
        """Whether the assignment with this epoch still holds the partition."""
        assignment = self._assignments.get(partition)
        return assignment is not None and assignment.epoch == epoch

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The epoch of the assignment that holds the partition; `None` when none does."""
        assignment = self._assignments.get(partition)
        return None if assignment is None else assignment.epoch

    def open_in(self, partition: TopicPartition) -> int:
        """Records in flight in one partition; 0 when it is not assigned."""
        assignment = self._assignments.get(partition)
        return 0 if assignment is None else len(assignment.open)

    def held(self, partition: TopicPartition) -> Held:
        """What is in flight of one partition; nothing when it is not assigned."""
        assignment = self._assignments.get(partition)
        return Held(0, 0, 0) if assignment is None else assignment.held

    def is_roomy(self, partition: TopicPartition) -> bool:
        """Whether a commit has ample room; so for a partition that is not assigned."""
        assignment = self._assignments.get(partition)
        return assignment is None or assignment.most_bits() <= ROOMY_BITS

    def committable(self) -> dict[TopicPartition, Mark]:
        """What may be committed now and is not committed yet."""
        marks: dict[TopicPartition, Mark] = {}
        for partition, assignment in self._assignments.items():
            mark = assignment.mark()
            if mark is not None and mark != assignment.committed:
                marks[partition] = mark
        return marks

    def committed(self, partition: TopicPartition, mark: Mark) -> None:
        """Remember that the broker acknowledged a commit.

        An older one changes nothing, and neither does one that an earlier assignment decided.
        """
        assignment = self._assignments.get(partition)
        if assignment is None or assignment.generation != mark.generation:
            return
        if assignment.committed is None or assignment.committed.offset <= mark.offset:
            assignment.committed = mark

    def release(self, partition: TopicPartition, reason: ReleaseReason) -> int:
        """Give a partition back; its open records are someone else's now.

        Returns:
            The number of records that were open.
        """
        assignment = self._assignments.pop(partition, None)
        if assignment is None:
            return 0
        self._full.discard(partition)
        count = len(assignment.open)
        self._open_count -= count
        self._open_bytes -= assignment.open_bytes
        self._made_bytes -= assignment.made_bytes
        if count:
            self._accounts[partition].released[reason] += count
        return count

    def books(self) -> dict[TopicPartition, Books]:
        """The books of every partition that was ever ours in this process."""
        return {
            partition: Books(
                account.consumed,
                account.delivered,
                dict(account.dead_lettered),
                dict(account.filtered),
                dict(account.released),
                self.open_in(partition),
            )
            for partition, account in self._accounts.items()
        }
