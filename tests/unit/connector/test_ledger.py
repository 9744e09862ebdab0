import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from processor.connector.ledger import (
    DELIVERED,
    DeadLettered,
    Ending,
    Ledger,
    LeftOut,
    ReleaseReason,
)
from processor.errors import Code, FilterReason
from processor.kafka.progress import LIMIT_BYTES, Ended, Mark, Origin, Run, read
from processor.record import Record, TopicPartition

PARTITION = TopicPartition("events", 0)
OTHER = TopicPartition("events", 1)
HERE = Origin("cluster", "topic")
ENDINGS: tuple[Ending, ...] = (
    DELIVERED,
    DeadLettered(Code.GATE_VIOLATION),
    LeftOut(FilterReason.TOMBSTONE),
)


def raw(offset: int, value: bytes = b"value") -> Record:
    return Record("events", 0, offset, value=value)


def taken(*offsets: int, committed: int | None = None) -> tuple[Ledger, int]:
    ledger = Ledger()
    epoch = ledger.assign(PARTITION, committed=committed)
    ledger.take(PARTITION, map(raw, offsets))
    return ledger, epoch


@given(st.permutations(range(12)), st.integers(0, 12))
def test_nothing_past_an_open_record_is_committable(order: list[int], ended: int) -> None:
    ledger, epoch = taken(*range(12), committed=0)

    for offset in order[:ended]:
        ledger.end(PARTITION, epoch, offset, DELIVERED)

    watermark = min(order[ended:], default=12)
    assert ledger.committable() == ({PARTITION: Mark(watermark)} if watermark else {})


def test_a_gap_in_the_offsets_is_crossed_and_never_waited_for() -> None:
    ledger, epoch = taken(3, 7, 20, committed=0)

    ledger.end(PARTITION, epoch, 7, DELIVERED)
    ledger.end(PARTITION, epoch, 3, DELIVERED)

    assert ledger.committable() == {PARTITION: Mark(20)}


def test_before_the_first_record_there_is_nothing_to_commit() -> None:
    ledger = Ledger()

    ledger.assign(PARTITION, committed=None)
    ledger.take(PARTITION, [])

    assert ledger.committable() == {}


def test_what_the_broker_acknowledged_is_not_committed_again() -> None:
    ledger, epoch = taken(5)
    ledger.end(PARTITION, epoch, 5, DELIVERED)

    ledger.committed(PARTITION, Mark(6))
    ledger.committed(PARTITION, Mark(4))

    assert ledger.committable() == {}


def test_messages_of_a_record_count_while_there_are_any() -> None:
    ledger, epoch = taken(0, 1, 2, 3)
    before = ledger.in_flight_bytes
    for offset in range(4):
        ledger.made(PARTITION, epoch, offset, 100)
    all_made = (ledger.made_bytes, ledger.in_flight_bytes)

    ledger.made(PARTITION, epoch, 0, 0)
    ledger.end(PARTITION, epoch, 1, DELIVERED)
    after = ledger.made_bytes
    ledger.release(PARTITION, ReleaseReason.LOST)

    assert all_made == (400, before + 400)
    assert after == 200
    assert (ledger.made_bytes, ledger.in_flight_bytes) == (0, 0)


def test_messages_of_a_record_that_is_not_in_flight_do_not_count() -> None:
    ledger, epoch = taken(0, 1)
    ledger.end(PARTITION, epoch, 0, DELIVERED)

    ledger.made(PARTITION, epoch, 0, 100)
    ledger.made(PARTITION, epoch + 1, 1, 100)
    ledger.made(TopicPartition("others", 0), epoch, 1, 100)

    assert ledger.made_bytes == 0


def test_only_what_was_decided_for_this_assignment_counts_as_committed() -> None:
    ledger = Ledger()
    ledger.assign(PARTITION, committed=0, generation=1)
    ledger.take(PARTITION, [raw(0)])
    epoch = ledger.assign(PARTITION, committed=None, generation=2)
    ledger.take(PARTITION, [raw(0)])
    ledger.end(PARTITION, epoch, 0, DELIVERED)

    ledger.committed(PARTITION, Mark(9, generation=1))
    before = ledger.committable()
    ledger.committed(PARTITION, Mark(1, generation=2))

    assert before == {PARTITION: Mark(1, generation=2)}
    assert ledger.committable() == {}


def test_an_answer_of_an_earlier_assignment_changes_nothing() -> None:
    ledger, early = taken(0, 1)
    ledger.release(PARTITION, ReleaseReason.REVOKED)
    late = ledger.assign(PARTITION, committed=0)
    ledger.take(PARTITION, [raw(0), raw(1)])

    counted = ledger.end(PARTITION, early, 0, DELIVERED)

    assert not counted
    assert ledger.committable() == {}
    assert not ledger.is_current(PARTITION, early)
    assert ledger.is_current(PARTITION, late)


def test_the_same_offsets_of_a_recreated_topic_are_other_records() -> None:
    ledger, early = taken(0, 1, 2, committed=0)

    late = ledger.assign(PARTITION, committed=None)
    ledger.take(PARTITION, [raw(0)])
    ledger.end(PARTITION, early, 0, DELIVERED)

    assert ledger.books()[PARTITION].released == {ReleaseReason.LOST: 3}
    assert ledger.in_flight_count == 1
    assert ledger.epoch_of(PARTITION) == late


def test_a_record_ends_once() -> None:
    ledger, epoch = taken(0)

    first = ledger.end(PARTITION, epoch, 0, DELIVERED)
    second = ledger.end(PARTITION, epoch, 0, DeadLettered(Code.DELIVERY_REFUSED))

    assert (first, second) == (True, False)
    assert ledger.books()[PARTITION].dead_lettered == {}


def test_records_of_a_partition_that_is_not_ours_are_not_taken() -> None:
    ledger = Ledger()

    taken = ledger.take(PARTITION, [raw(0)])

    assert taken is None
    assert ledger.in_flight_count == 0
    assert ledger.epoch_of(PARTITION) is None


@pytest.mark.parametrize("offset", [4, 5])
def test_an_offset_that_goes_back_is_a_defect_and_nothing_of_the_batch_counts(offset: int) -> None:
    ledger, _ = taken(5, committed=5)

    with pytest.raises(ValueError, match="came after offset"):
        ledger.take(PARTITION, [raw(6), raw(offset)])

    assert ledger.in_flight_count == 1
    assert ledger.books()[PARTITION].balance


def test_bytes_in_flight_are_key_and_value() -> None:
    ledger = Ledger()
    epoch = ledger.assign(PARTITION, committed=None)

    ledger.take(
        PARTITION, [Record("events", 0, 0, key=b"abc", value=b"de"), Record("events", 0, 1)]
    )
    before = ledger.in_flight_bytes
    assert epoch is not None
    ledger.end(PARTITION, epoch, 0, DELIVERED)

    assert before == 5
    assert ledger.in_flight_bytes == 0


# What has ended beyond the committed offset.


def ended_beyond(mark: Mark) -> set[int]:
    """The offsets that a commit's metadata says have ended."""
    return {n for run in read(mark.metadata, mark.offset, HERE, 1 << 62) for n in range(*run)}


def kept(*offsets: int, committed: int = 0, ended: Ended | None = None) -> tuple[Ledger, int]:
    """A ledger that writes metadata, with these offsets taken."""
    ledger = Ledger()
    epoch = ledger.assign(PARTITION, committed=committed, ended=ended or Ended(), origin=HERE)
    ledger.take(PARTITION, map(raw, offsets))
    return ledger, epoch


def test_what_ended_beyond_the_lowest_open_record_goes_into_the_metadata() -> None:
    ledger, epoch = kept(*range(10))

    for offset in (0, 3, 4, 9):
        ledger.end(PARTITION, epoch, offset, DELIVERED)

    mark = ledger.committable()[PARTITION]
    assert mark.offset == 1
    assert ended_beyond(mark) == {3, 4, 9}


def test_a_commit_is_due_when_only_the_metadata_changed_and_not_after_it_was_acknowledged() -> None:
    ledger, epoch = kept(*range(4))
    ledger.end(PARTITION, epoch, 2, DELIVERED)
    first = ledger.committable()[PARTITION]
    ledger.committed(PARTITION, first)

    before = ledger.committable()
    ledger.end(PARTITION, epoch, 1, DELIVERED)
    after = ledger.committable()[PARTITION]

    assert before == {}
    assert (first.offset, after.offset) == (0, 0)
    assert ended_beyond(after) == {1, 2}


def test_when_all_has_ended_there_is_no_metadata() -> None:
    ledger, epoch = kept(3, 4, 9)

    for offset in (9, 4, 3):
        ledger.end(PARTITION, epoch, offset, DELIVERED)

    assert ledger.committable() == {PARTITION: Mark(10)}


def test_foreign_metadata_is_overwritten_by_the_first_commit_even_at_the_same_offset() -> None:
    ledger = Ledger()
    ledger.assign(PARTITION, committed=5, metadata="somebody's", origin=HERE)

    before = ledger.committable()
    ledger.take(PARTITION, [raw(5)])

    assert before == {}
    assert ledger.committable() == {PARTITION: Mark(5)}


def test_what_had_ended_is_neither_taken_nor_counted_and_stays_known() -> None:
    ledger, _ = kept(committed=5, ended=Ended([Run(6, 8), Run(10, 11)]))

    taken = ledger.take(PARTITION, map(raw, [5, 6, 7, 8]))
    mark = ledger.committable()[PARTITION]

    assert taken is not None
    assert [record.offset for record in taken.records] == [5, 8]
    assert ledger.books()[PARTITION].consumed == 2
    assert ledger.in_flight_count == 2
    assert (mark.offset, ended_beyond(mark)) == (5, {6, 7, 10})


def test_the_committed_offset_crosses_what_had_ended_before() -> None:
    ledger, epoch = kept(5, committed=5, ended=Ended([Run(6, 8), Run(10, 11)]))

    ledger.end(PARTITION, epoch, 5, DELIVERED)
    early = ledger.committable()[PARTITION]
    ledger.take(PARTITION, map(raw, [6, 7, 8, 9, 10]))
    for offset in (8, 9):
        ledger.end(PARTITION, epoch, offset, DELIVERED)

    assert (early.offset, ended_beyond(early)) == (8, {10})
    assert ledger.committable() == {PARTITION: Mark(11)}


def test_what_had_ended_is_crossed_where_compaction_took_it_away() -> None:
    ledger, epoch = kept(committed=5, ended=Ended([Run(6, 8), Run(20, 30)]))

    ledger.take(PARTITION, map(raw, [25, 40]))
    ledger.end(PARTITION, epoch, 40, DELIVERED)

    assert ledger.in_flight_count == 0
    assert ledger.committable() == {PARTITION: Mark(41)}


def test_a_later_assignment_forgets_what_an_earlier_one_knew() -> None:
    ledger, _ = kept(committed=5, ended=Ended([Run(6, 8)]))

    ledger.assign(PARTITION, committed=None, origin=HERE)
    ledger.take(PARTITION, map(raw, [5, 6, 7]))

    assert ledger.in_flight_count == 3


def test_without_ids_nothing_is_written() -> None:
    ledger, epoch = taken(0, 1, committed=0)

    ledger.end(PARTITION, epoch, 1, DELIVERED)

    assert ledger.committable() == {}


def test_a_partition_is_full_before_its_metadata_overflows_and_goes_on_later() -> None:
    ledger, epoch = kept(0)
    offset = 1
    while PARTITION not in ledger.full:
        assert offset < 100_000, "it would overflow"
        ledger.take(PARTITION, map(raw, range(offset, offset + 500)))
        for ended in range(offset, offset + 500, 2):
            ledger.end(PARTITION, epoch, ended, DELIVERED)
        offset += 500
    ledger.take(PARTITION, map(raw, range(offset, offset + 1_500)))
    for ended in range(offset, offset + 1_500, 2):
        ledger.end(PARTITION, epoch, ended, DELIVERED)

    mark = ledger.committable()[PARTITION]
    assert LIMIT_BYTES * 0.8 < len(mark.metadata) <= LIMIT_BYTES
    assert len(ended_beyond(mark)) == (offset - 1 + 1_500) // 2, "nothing was left out"
    for ended in (n for n in range(offset + 1_500) if n % 64):
        ledger.end(PARTITION, epoch, ended, DELIVERED)
    assert ledger.full == set()


@pytest.mark.parametrize("why", list(ReleaseReason))
def test_a_full_partition_that_goes_is_full_no_more(why: ReleaseReason) -> None:
    ledger, _ = kept(*range(22_000))
    before = set(ledger.full)

    ledger.release(PARTITION, why)

    assert before == {PARTITION}
    assert ledger.full == set()


def test_one_record_that_waits_while_a_million_pass_fills_nothing() -> None:
    ledger, epoch = kept(0)

    for start in range(1, 1_000_000, 50_000):
        ledger.take(PARTITION, [raw(start + 49_999)])
        ledger.end(PARTITION, epoch, start + 49_999, DELIVERED)

    assert ledger.full == set()
    assert len(ledger.committable()[PARTITION].metadata) < 100


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=300),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=60)
def test_whatever_ends_next_the_metadata_takes_no_more_than_the_bound(
    records: list[tuple[int, bool]], dice: random.Random
) -> None:
    offsets, offset = [], 0
    for step, _ in records:
        offset += step
        offsets.append(offset)
    ledger, epoch = kept(*offsets)
    order = list(offsets)
    dice.shuffle(order)
    bound = math.inf
    for ended in order:
        ledger.end(PARTITION, epoch, ended, DELIVERED)
        assignment = ledger._assignments[PARTITION]  # noqa: SLF001 - the bound is an inner matter
        mark = assignment.mark()
        assert mark is not None
        bits = max(0, len(mark.metadata.rpartition(";")[2]) - 3) * 6

        assert bits <= bound + 8
        bound = min(bound, assignment.most_bits())


class Partition:
    """What the ledger must know of one partition, kept the simple way."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.first = 0
        self.seen: list[int] = []
        self.again: list[int] = []
        self.open: set[int] = set()
        self.stale: list[tuple[int, int]] = []
        self.consumed = self.ended = self.released = 0
        self.over: set[int] = set()
        self.mark: Mark | None = None

    def leave(self) -> None:
        if self.epoch is not None:
            self.stale += [(self.epoch, offset) for offset in self.open]
        self.released += len(self.open)
        self.epoch, self.open = None, set()


class LedgerMachine(RuleBasedStateMachine):
    """Any order of assignments, polls, endings, commits and losses."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.model = {PARTITION: Partition(), OTHER: Partition()}

    @initialize(starts=st.tuples(st.integers(0, 5), st.integers(0, 5)))
    def begin(self, starts: tuple[int, int]) -> None:
        for partition, start in zip(self.model, starts, strict=True):
            self.assign(partition, start)

    @rule(partition=st.sampled_from([PARTITION, OTHER]), start=st.integers(0, 5))
    def assign(self, partition: TopicPartition, start: int) -> None:
        model = self.model[partition]
        model.leave()
        model.epoch = self.ledger.assign(partition, committed=start, origin=HERE)
        model.first, model.seen, model.again = start, [], []
        model.over, model.mark = set(), None

    @rule(partition=st.sampled_from([PARTITION, OTHER]))
    def come_back(self, partition: TopicPartition) -> None:
        """Begin at what was committed last, as after a crash or a rebalance."""
        model = self.model[partition]
        if model.mark is None:
            return
        model.leave()
        offset, metadata, _ = model.mark
        model.epoch = self.ledger.assign(
            partition,
            committed=offset,
            metadata=metadata,
            ended=read(metadata, offset, HERE, 1 << 62),
            origin=HERE,
        )
        model.first, model.again = offset, [n for n in (*model.seen, *model.again) if n >= offset]
        model.seen = [n for n in model.seen if n < offset]
        model.over = {n for n in model.over if n < offset} | ended_beyond(model.mark)

    @rule(
        partition=st.sampled_from([PARTITION, OTHER]),
        gaps=st.lists(st.sampled_from([1, 1, 1, 2, 3]), max_size=6),
    )
    def poll(self, partition: TopicPartition, gaps: list[int]) -> None:
        model = self.model[partition]
        if model.epoch is None:
            assert self.ledger.take(partition, [raw(0)]) is None
            return
        offsets = model.again[: len(gaps)]
        model.again = model.again[len(gaps) :]
        offset = max([*offsets, *model.seen, model.first - 1])
        for gap in gaps[len(offsets) :]:
            offset += gap
            offsets.append(offset)

        taken = self.ledger.take(partition, map(raw, offsets))

        fresh = [n for n in offsets if n not in model.over]
        assert taken is not None
        assert taken.epoch == model.epoch
        assert [r.offset for r in taken.records] == fresh
        model.seen += offsets
        model.open |= set(fresh)
        model.consumed += len(fresh)

    @rule(
        partition=st.sampled_from([PARTITION, OTHER]),
        picks=st.lists(st.integers(0, 9), min_size=1, max_size=6),
        ending=st.sampled_from(ENDINGS),
    )
    def end_several(self, partition: TopicPartition, picks: list[int], ending: Ending) -> None:
        for pick in picks:
            self.end(partition, pick, ending)

    @rule(
        partition=st.sampled_from([PARTITION, OTHER]),
        pick=st.integers(0),
        ending=st.sampled_from(ENDINGS),
    )
    def end(self, partition: TopicPartition, pick: int, ending: Ending) -> None:
        model = self.model[partition]
        if model.open and model.epoch is not None:
            offset = sorted(model.open)[pick % len(model.open)]
            assert self.ledger.end(partition, model.epoch, offset, ending)
            model.open.discard(offset)
            model.over.add(offset)
            model.ended += 1

    @precondition(lambda self: any(model.stale for model in self.model.values()))
    @rule(ending=st.sampled_from(ENDINGS))
    def end_too_late(self, ending: Ending) -> None:
        for partition, model in self.model.items():
            for epoch, offset in model.stale:
                assert not self.ledger.end(partition, epoch, offset, ending)

    @rule(
        partition=st.sampled_from([PARTITION, OTHER]), reason=st.sampled_from(list(ReleaseReason))
    )
    def give_back(self, partition: TopicPartition, reason: ReleaseReason) -> None:
        count = self.ledger.release(partition, reason)
        assert count == len(self.model[partition].open)
        self.model[partition].leave()

    @rule()
    def commit(self) -> None:
        for partition, mark in self.ledger.committable().items():
            self.ledger.committed(partition, mark)
            self.model[partition].mark = mark
        assert self.ledger.committable() == {}

    @invariant()
    def no_commit_passes_an_open_record(self) -> None:
        for partition, mark in self.ledger.committable().items():
            model = self.model[partition]
            assert all(open_offset >= mark.offset for open_offset in model.open)
            beyond = {n for n in (*model.seen, *model.again) if n >= mark.offset}
            assert ended_beyond(mark) & beyond == model.over & beyond
            assert not ended_beyond(mark) & model.open

    @invariant()
    def runs_of_open_offsets_are_counted(self) -> None:
        for partition, assignment in self.ledger._assignments.items():  # noqa: SLF001
            still_open = self.model[partition].open
            assert assignment.open_runs == sum(n - 1 not in still_open for n in still_open)

    @invariant()
    def the_books_balance(self) -> None:
        for partition, books in self.ledger.books().items():
            model = self.model[partition]
            assert books.balance
            assert books.consumed == model.consumed
            assert books.in_flight == len(model.open)
            assert sum(books.released.values()) == model.released

    @invariant()
    def memory_is_what_is_open(self) -> None:
        count = sum(len(model.open) for model in self.model.values())
        assert self.ledger.in_flight_count == count
        assert self.ledger.in_flight_bytes == count * len(b"value")


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_commits_stay_apart_by_partition(record: Callable[..., Record]) -> None:
    ledger = Ledger()
    first = ledger.assign(PARTITION, committed=None)
    ledger.assign(OTHER, committed=None)
    ledger.take(PARTITION, [record(0)])
    ledger.take(OTHER, [record(9, partition=1)])

    ledger.end(PARTITION, first, 0, DELIVERED)

    assert ledger.committable() == {PARTITION: Mark(1), OTHER: Mark(9)}
    assert set(ledger.partitions()) == {PARTITION, OTHER}
    assert ledger.open_in(OTHER) == 1
